"""What metadata may say of where a compiled network's trains are; anything else is told to be unusable."""

from __future__ import annotations

import json
from typing import Any

import pytest

from onnx2snn.runtime.layer_records import COMPILED_KEY, compiled_facts, tensors_of

_BYTES = {"bytes": "a", "levels": [0] * 256, "channels_last": False}


def facts_of(train: Any) -> Any:
    facts = {"execution": "int8", "count": "nothing", "trains": {"layer": train}}
    return compiled_facts({COMPILED_KEY: json.dumps(facts)})


@pytest.mark.parametrize(
    ("train", "tensors"), [("a", ["a"]), (_BYTES, ["a"]), ({"parts": ["b", _BYTES]}, ["b", "a"])]
)
def test_tensors_of_a_train_are_named(train: Any, tensors: list[str]) -> None:
    assert tensors_of(facts_of(train)["trains"]["layer"]) == tensors


@pytest.mark.parametrize(
    "train",
    [7, {"parts": []}, {"parts": [7]}, {**_BYTES, "levels": [0]}, {"bytes": "a", "levels": [0] * 256}],
)
def test_damaged_trains_are_told(train: Any) -> None:
    with pytest.raises(ValueError, match="unusable"):
        facts_of(train)
