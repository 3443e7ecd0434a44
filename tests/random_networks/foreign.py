"""Operators on integer codes, and those of onnxruntime's own: each with the tensors that it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from random_networks import (
    code_arithmetic,
    code_products,
    code_windows,
    fused_attention,
    fused_functions,
    fused_products,
)
from random_networks.building import Building, Tensor

Block = Callable[[Building, Tensor], "Tensor | None"]


@dataclass(frozen=True)
class Foreign:
    """A block of one such operator.

    Attributes:
        spell: Writes it.
        ranks: How many axes a sample may have.
        exact: It answers dyadic numbers to dyadic ones.
        hybrid: Something of it is no spiking operator.
    """

    spell: Block
    ranks: tuple[int, ...] = (1, 2, 3)
    exact: bool = True
    hybrid: bool = False

    def __call__(self, b: Building, x: Tensor) -> Tensor | None:
        """The block behind ``x``; None where it does not fit."""
        fits = len(x.shape) in self.ranks and (self.exact or not b.exact) and (b.hybrid or not self.hybrid)
        return self.spell(b, x) if fits else None


FOREIGN: Mapping[str, Foreign] = {
    "QLinearConv": Foreign(code_windows.qlinear_conv, (2, 3)),
    "QLinearAveragePool": Foreign(code_windows.qlinear_pool, (2, 3)),
    "QLinearGlobalAveragePool": Foreign(code_windows.qlinear_global_mean, (2, 3), exact=False),
    "ConvInteger": Foreign(code_windows.integer_conv, (2, 3)),
    "FusedConv": Foreign(code_windows.fused_conv, (2, 3)),
    "QLinearAdd, QLinearMul": Foreign(code_arithmetic.qlinear_binary),
    "functions of codes": Foreign(code_arithmetic.qlinear_function),
    "QLinearConcat": Foreign(code_arithmetic.qlinear_concat),
    "QLinearWhere": Foreign(code_arithmetic.qlinear_where),
    "QLinearMatMul": Foreign(code_products.qlinear_matmul),
    "QGemm": Foreign(code_products.q_gemm, (1,)),
    "integer products": Foreign(code_products.integer_matmul),
    "DynamicQuantizeMatMul": Foreign(code_products.dynamic_matmul, exact=False, hybrid=True),
    "FusedGemm": Foreign(fused_products.fused_gemm, (1,)),
    "FusedMatMul": Foreign(fused_products.fused_matmul, (2,)),
    "MatMulNBits": Foreign(fused_products.packed_matmul, (1, 2), exact=False),
    "GatherBlockQuantized": Foreign(fused_products.packed_table, (2, 3), exact=False),
    "activations": Foreign(fused_functions.fused_function, exact=False),
    "GatedAdd": Foreign(fused_functions.gated_sum, (2,), exact=False),
    "normalisations": Foreign(fused_functions.fused_norm, (2,), exact=False),
    "EmbedLayerNormalization": Foreign(fused_functions.embedded, (2,), exact=False, hybrid=True),
    "Attention": Foreign(fused_attention.attention, (2,), exact=False, hybrid=True),
    "QAttention": Foreign(fused_attention.q_attention, (2,), exact=False, hybrid=True),
    "MultiHeadAttention": Foreign(fused_attention.several_heads, (2,), exact=False, hybrid=True),
    "RotaryEmbedding": Foreign(fused_attention.rotated, (2,), exact=False),
    "NhwcMaxPool": Foreign(code_windows.maximum_of_codes, (3,)),
}
