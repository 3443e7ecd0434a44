"""Small networks drawn by kind, a part of those that ``benchmarks/drawn_cases.py`` draws; and the judge itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from drawn_cases import Case, cases
from drawn_cases.choice import AXES
from drawn_cases.code_operators import CODES
from drawn_cases.frames import MIDDLES, Kind, build
from drawn_cases.judging import TOLERANCE, _difference, judge
from drawn_cases.quantisers import QUANTISERS
from onnx import helper, numpy_helper

import onnx2snn
from onnx2snn.activations.operators import HANDLERS as ELEMENTWISE
from onnx2snn.operators import every
from onnx2snn.operators.spelled.integer_arithmetic import HANDLERS as INTEGER

#: One turn in so many is drawn, from as many seeds as there are groups.
EVERY = 24
GROUPS = 4


@pytest.mark.parametrize("group", range(GROUPS))
def test_none_goes_wrong(group: int) -> None:
    """Converted, loaded, equal to the source as it is, and certified; or refused."""
    drawn = list(cases(repeats=1, seed=group, first=group * EVERY // GROUPS, every=EVERY))
    assert len(drawn) >= 12
    verdicts = [(case.kind, judge(case.model, case.data)) for case in drawn]
    assert [(kind, verdict) for kind, verdict in verdicts if not verdict.right] == []


def a_case() -> Case:
    """A convolution between two activations."""
    kind = Kind(
        "float32", "LSQ", "Conv", "activation", "batch", "NCHW", "logits", "dyadic", 17, "nodes", "float"
    )
    case = build(kind)
    assert case is not None
    return case


def test_the_same_kind_is_the_same_case() -> None:
    first, second = a_case(), a_case()
    assert first.model == second.model
    assert all(np.array_equal(first.data[n], second.data[n]) for n in first.data)


def test_every_operator_of_the_tables_is_drawn() -> None:
    """What converts has a row of its own, or is what a row is spelled with."""
    text = "".join(p.read_text() for p in (Path(__file__).parent / "drawn_cases").glob("*.py"))
    known = {
        *(o.name for o in every() if o.linear or o.extreme or o.compares),
        *ELEMENTWISE,
        *(name for _, name in INTEGER),
    }
    assert len(known) > 60
    assert sorted(name for name in known if f'"{name}' not in text) == []


def test_every_row_is_a_network() -> None:
    """No row of a table is there in vain: each operator and each activation is in some network that runs."""
    assert len(MIDDLES) > 200
    assert len(CODES) > 30
    plain = dict.fromkeys(AXES) | {"source": "float32", "sizes": "batch", "layout": "NCHW", "end": "map"}
    plain |= {"place": "input", "numbers": "general", "opset": 17, "held": "nodes", "weights": "float"}
    for name in QUANTISERS:
        opset = max(17, QUANTISERS[name][1])
        assert build(Kind(**{**plain, "middle": "Conv", "quantiser": name, "opset": opset})), name  # type: ignore[arg-type]


# The judge finds what is wrong.


def doctored(monkeypatch: pytest.MonkeyPatch, change: Any) -> str:
    """What is said of a conversion whose file ``change`` has changed."""
    case = a_case()
    convert = onnx2snn.convert

    class Changed:
        def __init__(self, *arguments: Any, **options: Any) -> None:
            self.model = convert(*arguments, **options).model

        def save(self, path: Path) -> None:
            change(self.model)
            onnx.save(self.model, path)

    monkeypatch.setattr(onnx2snn, "convert", Changed)
    return judge(case.model, case.data).kind


def test_judge_tells_right_from_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctored(monkeypatch, lambda _: None) == "ok"


def test_judge_finds_what_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_a_node(model: onnx.ModelProto) -> None:
        model.graph.node[-1].input[0] = "nothing"

    assert doctored(monkeypatch, break_a_node) == "unloadable"


def test_judge_finds_another_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def change_a_bias(model: onnx.ModelProto) -> None:
        for constant in model.graph.initializer:
            if list(constant.dims) == [5]:
                values = numpy_helper.to_array(constant) + np.float32(1)
                constant.CopyFrom(numpy_helper.from_array(values, constant.name))
                return
        raise AssertionError("the readout has no bias")

    assert doctored(monkeypatch, change_a_bias) == "wrong"


def test_judge_finds_another_type(monkeypatch: pytest.MonkeyPatch) -> None:
    def cast(model: onnx.ModelProto) -> None:
        output = model.graph.output[0]
        for node in model.graph.node:
            node.output[:] = [f"{o}_" if o == output.name else o for o in node.output]
        model.graph.node.append(helper.make_node("Cast", [f"{output.name}_"], [output.name], to=11))
        output.type.tensor_type.elem_type = 11

    assert doctored(monkeypatch, cast) == "shape"


def test_a_place_of_float16_is_no_difference() -> None:
    """Sums in another order are rounded to the next number: there is none between. Two places are one."""
    one = np.array([1.32, 0.5], np.float16)
    next_one = np.nextafter(one, np.float16(2))
    assert _difference(one, next_one) == 0
    assert _difference(one, np.nextafter(next_one, np.float16(2))) > TOLERANCE
    assert _difference(one.astype(np.float32), next_one.astype(np.float32)) > TOLERANCE
