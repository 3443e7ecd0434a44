"""Parts of what networks write, put beside each other, are the whole, bit for bit: sums of these networks are exact."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_graphs import make_model, node
from helpers_operators import CASES, Case, dyadic, op

from onnx2snn.model.reference import run_reference
from onnx2snn.model.weights import SplitModel, split_model
from onnx2snn.operators import every
from onnx2snn.operators.divided import TensorPart, divided

MORE = {
    "conv, one cell of which lies in padding alone": Case(
        op("Conv", "w", pads=[3, 0, 0, 0]), {"w": dyadic(5, 4, 3, 3)}, (5, 7, 4)
    ),
    "residual": Case(
        [
            node("Conv", ["a", "w"], ["d"], pads=[1] * 4),
            node("MaxPool", ["a"], ["e"], kernel_shape=[3, 3], pads=[1] * 4),
            node("Add", ["d", "e"], ["f"]),
            node("Concat", ["f", "a"], ["g"], axis=1),
            node("Conv", ["g", "v"], ["b"], strides=[2, 1], pads=[1] * 4),
        ],
        {"w": dyadic(4, 4, 3, 3), "v": dyadic(3, 8, 3, 3)},
        (3, 6, 6),
        (4, 12, 6),
    ),
    "up and on": Case(
        [
            node("Resize", ["a", "", "s"], ["d"], mode="linear"),
            node("Conv", ["d", "w"], ["b"], pads=[1] * 4),
        ],
        {"s": np.array([1, 1, 2, 2], np.float32), "w": dyadic(3, 4, 3, 3)},
        (3, 32, 12),
        (4, 16, 6),
    ),
    "mean over channels": Case(op("ReduceMean", axes=[1]), {}, (1, 6, 6)),
    "maximum over channels": Case(op("ReduceMax", axes=[1]), {}, (1, 6, 6)),
}
ALL = {**CASES, **MORE}


def model_of(case: Case) -> SplitModel:
    inputs, outputs = ({name: ["N", *sizes]} for name, sizes in (("a", case.before), ("b", case.after)))
    opset = (
        17
        if any(
            n.op_type.startswith("Reduce") and n.attribute and n.attribute[0].name == "axes"
            for n in case.nodes
        )
        else 18
    )
    return split_model(make_model(case.nodes, case.constants, inputs, outputs, opset=opset))


def parts_along(model: SplitModel, a: np.ndarray, axis: int) -> list[TensorPart]:
    return [part for (part,) in divided([model], {"a": a.shape}, [axis], 1)]


def whole_of(parts: list[TensorPart], a: np.ndarray) -> np.ndarray:
    answers = [run_reference(part.model, part.of({"a": a}))[part.output] for part in parts]
    return np.concatenate(answers, axis=parts[0].span.axis)


@pytest.mark.parametrize("name", ALL)
def test_parts_are_the_whole(name: str) -> None:
    model, a = model_of(ALL[name]), dyadic(2, *ALL[name].before)
    whole = run_reference(model, {"a": a})["b"]
    for axis in range(1, whole.ndim):
        parts = parts_along(model, a, axis)
        if parts:
            np.testing.assert_array_equal(whole_of(parts, a), whole)


def divides(operator: str) -> list[str]:
    """The networks with this operator that are divided along some axis."""
    found = []
    for name, case in ALL.items():
        if any(n.op_type == operator for n in case.nodes):
            a = dyadic(2, *case.before)
            found += [name for axis in (1, 2, 3) if parts_along(model_of(case), a, axis)]
    return found


def test_every_rule_divides_some_network() -> None:
    tried = {n.op_type for case in ALL.values() for n in case.nodes}
    ruled = [o.name for o in every() if o.parts is not None and o.name in tried]
    assert len(ruled) >= 12
    assert [name for name in ruled if not divides(name)] == []


def test_a_part_reads_what_windows_cover_and_no_more() -> None:
    case = CASES["conv padded"]
    parts = parts_along(model_of(case), dyadic(2, *case.before), 2)
    assert [(s.first, s.last) for s in (part.inputs["a"] for part in parts) if s] == [
        (0, 2), (0, 3), (1, 4), (2, 5), (3, 6), (4, 6), (5, 6),
    ]  # fmt: skip


def test_what_takes_all_places_together_is_not_divided_along_them() -> None:
    model = model_of(CASES["global average pool"])
    a = dyadic(2, 4, 4, 4)
    assert parts_along(model, a, 2) == []
    assert len(parts_along(model, a, 1)) == 4


def test_what_is_small_is_left_whole() -> None:
    model = model_of(CASES["conv"])
    assert divided([model], {"a": (2, 4, 6, 6)}, [2], 2 * 5 * 6 * 6) == []


def test_models_are_divided_at_the_same_places() -> None:
    """One of them by more than it has to be: of it less is held."""
    one, other = model_of(CASES["conv"]), model_of(MORE["conv, one cell of which lies in padding alone"])
    assert divided([one, other], {"a": (2, 4, 6, 6)}, [2], 1) == []  # of other shapes
    both = divided([one, model_of(CASES["conv"])], {"a": (2, 4, 6, 6)}, [2], 100)
    assert len(both) == 4
    assert all(len(pair) == 2 and pair[0].span == pair[1].span for pair in both)


def test_weights_of_some_channels_alone_are_held() -> None:
    case = Case(op("Conv", "w", pads=[1] * 4), {"w": dyadic(64, 32, 3, 3)}, (64, 6, 6), (32, 6, 6))
    found = divided([model_of(case)], {"a": (2, 32, 6, 6)}, [1], 2 * 32 * 36)
    assert [[w.shape for w in part.model.weights.values()] for (part,) in found] == [[(32, 32, 3, 3)]] * 2
