"""DynamicQuantizeLinear, whose scale is a signal, in float arithmetic (METHOD 13)."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import Spelling
from onnx2snn.graph.core import DYNAMIC, Names, signals
from onnx2snn.graph.walks import reached
from onnx2snn.operators import of

_LEVELS = np.float32(255)


def spell_dynamic_quantiser(graph: gs.Graph, names: Names, node: gs.Node) -> bool:
    """Write a DynamicQuantizeLinear of single samples in float32; False for any other operator.

        x ─▶ DynamicQuantizeLinear ─▶ k, s, z

        s = (max(x, 0) − min(x, 0))/255
        z = round(clip(−min(x, 0)/s, 0, 255))
        k = clip(round((x + z·s)/s), 0, 255)        x/s + z, as a quotient of one sum

    Its definition takes extremes over all that it reads, a batch too: it means the same for each sample only where the
    batch is one. Then they are taken of each sample, so that the batch may be freed. s and z keep the rank of x.

    1. A batch of another size, or an open one: the node stays, and is refused by that reason.
    2. They meet a tensor of fewer axes, or an operator that wants one number: the node stays.
    3. All of a sample is 0: s is the smallest number, and k is z.
    """
    if not of(node).by_range:
        return False
    x = node.inputs[0]
    if x.shape and x.shape[0] == 1 and all(_fits(node, number) for number in node.outputs[1:]):
        _spell(Spelling(graph, names, node), node)
    return True


def _spell(spelling: Spelling, node: gs.Node) -> None:
    x = node.inputs[0]
    codes, scale, zero = node.outputs
    node.outputs.clear()
    sizes, axes = [1] * len(x.shape), np.arange(1, len(x.shape))
    nothing = np.float32(0)
    low, high = (
        spelling.apply(
            extreme,
            spelling.apply(f"Reduce{extreme}", x, axes, sizes=sizes, keepdims=1),
            nothing,
            sizes=sizes,
        )
        for extreme in ("Min", "Max")
    )
    step = spelling.apply("Div", spelling.apply("Sub", high, low), _LEVELS)
    spelling.apply("Max", step, np.finfo(np.float32).tiny, output=scale)  # case 3
    scale.inputs[0].attrs[DYNAMIC] = 1
    first = spelling.apply("Div", spelling.apply("Neg", low), scale)
    spelling.apply("Round", spelling.apply("Clip", first, nothing, _LEVELS), output=zero)
    risen = spelling.apply("Add", x, spelling.apply("Mul", zero, scale))
    level = spelling.apply("Round", spelling.apply("Div", risen, scale))
    spelling.apply("Clip", level, nothing, _LEVELS, output=codes)
    scale.shape = zero.shape = sizes


def _fits(node: gs.Node, number: gs.Tensor) -> bool:
    """Case 2, for the scale or the zero point, and what is made of it and of constants."""
    codes, *numbers = node.outputs
    rank = len(node.inputs[0].shape)

    def others(tensor: gs.Tensor, reader: gs.Node) -> list[gs.Tensor]:
        return [t for t in signals(reader) if t is not tensor and t not in numbers]

    def alone(tensor: gs.Tensor) -> list[gs.Tensor]:
        made = [r for r in tensor.outputs if not of(r).code_products and not others(tensor, r)]
        return [reader.outputs[0] for reader in made]

    def fits(tensor: gs.Tensor, reader: gs.Node) -> bool:
        beside = others(tensor, reader)
        if of(reader).code_products:  # without their zero point, which may be a signal there
            return beside == [codes]
        known = [t is codes or (t.shape is not None and len(t.shape) >= rank) for t in beside]
        return of(reader).elementwise and all(known)

    return all(fits(tensor, reader) for tensor in reached([number], alone) for reader in tensor.outputs)
