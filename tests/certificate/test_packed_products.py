"""Products that round what they read to codes of its own range: how far they may be at ties, and networks with such ties."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node

import onnx2snn
from onnx2snn.float64.error_bounds import RunningError
from onnx2snn.model.domains import MICROSOFT
from onnx2snn.model.reference import run_reference
from onnx2snn.model.weights import split_model
from onnx2snn.operators.signals import Precision, RoundingCount, Signal

RANDOM = np.random.default_rng(7)
ROWS, OUTPUTS = 40, 6


def packed(bits: int, level: int, *, zeros: bool = False) -> tuple[onnx.NodeProto, dict[str, Any]]:
    """A product of q with weights in two blocks of 32 and 8 rows, of which 64 are packed."""
    held: dict[str, Any] = {
        "b": RANDOM.integers(0, 256, (OUTPUTS, 2, 4 * bits)).astype(np.uint8),
        "c": (RANDOM.uniform(0.5, 1, (OUTPUTS, 2)) * 2.0**-bits).astype(np.float32),
    }
    if zeros:
        held["e"] = RANDOM.integers(0, 256, (OUTPUTS, bits * 2 // 8)).astype(np.uint8)
    options = {"K": ROWS, "N": OUTPUTS, "bits": bits, "block_size": 32, "accuracy_level": level}
    return node("MatMulNBits", ["q", *held], ["p"], domain=MICROSOFT, **options), held


def alone(bits: int, *, zeros: bool) -> onnx.ModelProto:
    product, held = packed(bits, 4, zeros=zeros)
    return make_model(
        [product], held, {"q": ["N", ROWS]}, {"p": ["N", OUTPUTS]}, domains=[MICROSOFT], opset=18
    )


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("bits", [4, 8])
def test_an_answer_to_a_value_that_is_off_lies_within_the_bound(bits: int, zeros: bool) -> None:
    """Half of all entries are ties: 7 of 14 steps, in units of the largest over 127. Moved as a float32 sum may be, they jump."""
    model = alone(bits, zeros=zeros)
    k = RANDOM.integers(0, 15, (40, ROWS))
    k[:, ::5] = 14
    k[:, 1::2] = 7
    q = (k * np.float32(1.3 / 7)).astype(np.float32)
    precision = Precision(timesteps=4)
    read = {"q": Signal(q.astype(np.float64), magnitude=np.abs(q), rounding=RoundingCount(terms=2))}
    operators = RunningError(split_model(model))._operators
    found = operators[0].signals(
        {**read, **{n: operators_constant(model, n) for n in operators[0].reads if n != "q"}}, precision
    )[1][0]
    bound = found.reach + precision.rounded(found)
    worst = 0.0
    for _ in range(30):
        off = precision.rounded(read["q"]) * RANDOM.uniform(-1, 1, q.shape)
        answer = run_reference(model, {"q": (q + off).astype(np.float32)})["p"]
        apart = np.abs(answer.astype(np.float64) - found.value)
        assert np.all(apart <= bound)
        worst = max(worst, float((apart / bound).max()))
    assert worst > 0.1  # it is no empty promise


def operators_constant(model: onnx.ModelProto, name: str) -> Signal:
    held = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    return Signal(held[name], fixed=True)


def test_away_from_ties_it_is_as_small_as_rounding() -> None:
    model = alone(4, zeros=False)
    q = RANDOM.integers(-127, 128, (40, ROWS)).astype(np.float32) / 64
    q[:, [0, 32]] = 127 / 64
    (one,) = RunningError(split_model(model))._operators
    given = Signal(q.astype(np.float64), magnitude=np.abs(q), rounding=RoundingCount(terms=2))
    read = {"q": given, **{n: operators_constant(model, n) for n in one.reads if n != "q"}}
    (found,) = one.signals(read, Precision(timesteps=4))[1]
    assert float(found.reach.max()) < 1e-3


@pytest.mark.parametrize("bits", [4, 8])
def test_a_network_with_ties_in_the_kernel_is_certified(bits: int) -> None:
    """Sums k + 3·k' of levels of 15, largest 60: the largest over 127 makes a tie of 30. Neurons behind are told as ambiguous.

    The two have no step in common that a potential could be counted in: both networks add them as they are rounded.
    """
    random = np.random.default_rng(7)
    product, held = packed(bits, 4)
    constants = {f"w{i}": random.normal(0, 0.6, (8, ROWS)).astype(np.float32) for i in "ab"}
    constants |= {"v": random.normal(0, 1, (OUTPUTS, 3)).astype(np.float32), **held}
    constants |= {
        "inverse": np.float32(7 / 1.3),
        "zero": np.float32(0),
        "top": np.float32(15),
        "step": np.float32(1.3 / 7),
        "stepa": np.float32(1.9 / 7),
        "stepb": np.float32(5.7 / 7),
    }
    nodes = []
    for i in "ab":
        nodes += [
            node("MatMul", ["x", f"w{i}"], [f"h{i}"]), node("Mul", [f"h{i}", "inverse"], [f"u{i}"]),
            node("Floor", [f"u{i}"], [f"f{i}"]), node("Clip", [f"f{i}", "zero", "top"], [f"k{i}"]),
            node("Mul", [f"k{i}", f"step{i}"], [f"a{i}"]),
        ]  # fmt: skip
    nodes += [
        node("Add", ["aa", "ab"], ["q"]),
        product,
        node("Div", ["p", "step"], ["d"]),
        node("Floor", ["d"], ["g"]),
    ]
    nodes += [node("Clip", ["g", "zero", "top"], ["r"]), node("MatMul", ["r", "v"], ["y"])]
    source = make_model(nodes, constants, {"x": ["N", 8]}, {"y": ["N", 3]}, domains=[MICROSOFT], opset=18)
    conversion = onnx2snn.convert(source, hybrid=True)
    x = random.normal(0, 1, (1600, 8)).astype(np.float32)
    certificate = onnx2snn.verify(source, conversion.model, {"x": x})
    assert certificate.lossless
    assert sum(layer.ambiguous for layer in certificate.layers) > 0
