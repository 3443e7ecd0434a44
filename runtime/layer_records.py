"""The layer table of a file, read without trusting it: what is used later is there, and is what it should be."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

#: Metadata of converted files, and of compiled ones.
TABLE_KEY, COMPILED_KEY = "onnx2snn", "onnx2snn.compiled"
#: The newest dialect that is understood.
NEWEST = 2
#: float32 tells 2²⁴ levels apart; no code needs more time steps than a number of 64 bits has.
MOST_TIMESTEPS = 64
#: A rate code has as many steps as levels.
MOST_RATE_TIMESTEPS = 4096

Check = Callable[[object], bool]
#: Executions, and what they count; ``trace`` and ``levels`` are made in memory only.
_WRITTEN, _COUNTED = ("spiking", "fused", "int8", "step", "trace"), ("nothing", "spikes", "synops", "levels")


def _whole(low: int, high: int = 1 << 62) -> Check:
    return lambda value: type(value) is int and low <= value <= high


class LayerEntry(TypedDict, total=False):
    """A layer in the table, as far as sizes and costs ask for it."""

    name: str
    output: str
    neurons: int
    shape: list[int | None]
    timesteps: int
    analog: dict[str, int]


class OpenEntry(TypedDict):
    """Multiply-accumulates of open sizes: see :class:`onnx2snn.dialect.macs.Macs`."""

    tensor: str
    factor: int
    of: list[str]
    layer: str | None


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return type(value) in (int, float)


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _is_one_or_many(value: object) -> bool:
    return _is_number(value) or (_list_of(_is_number)(value) and bool(value))


def _is_rule(value: object) -> bool:
    return value in ("floor", "ceil", "half_even", "half_odd", "table")


def _is_counts(value: object) -> bool:
    return isinstance(value, dict) and all(map(_whole(0), value.values()))


_LAYER: Mapping[str, Check] = {
    "name": _is_text,
    "output": _is_text,
    "source_nodes": _list_of(_is_text),
    "source_tensor": _is_text,
    "neurons": _whole(1),
    "shape": _list_of(_or_none(_whole(0))),
    "timesteps": _whole(1, MOST_RATE_TIMESTEPS),
    "levels": _whole(1),
    "rounding": lambda value: _is_rule(value) or (_list_of(_is_rule)(value) and bool(value)),
    "threshold": _or_none(_is_one_or_many),
    "scale": _is_one_or_many,
    "offset": _is_one_or_many,
    "fan_out": _is_number,
}

_OPEN: Mapping[str, Check] = {
    "tensor": _is_text,
    "factor": _whole(0),
    "of": _list_of(_is_text),
    "layer": _or_none(_is_text),
}

_TABLE: Mapping[str, Check] = {
    "dialect": _whole(1),
    "timesteps": _whole(1, MOST_RATE_TIMESTEPS),
    "bias": lambda value: value in ("once", "per-step", "paper"),
    "outputs": _list_of(_is_text),
    "layers": _list_of(lambda value: isinstance(value, dict)),
    "macs": lambda value: isinstance(value, dict) and all(map(_or_none(_whole(0)), value.values())),
    "non_spiking": _list_of(lambda value: isinstance(value, dict)),
}


def tensors_of(train: Any) -> list[str]:
    """The tensors that hold a train of a compiled network, as its metadata name it."""
    if not isinstance(train, dict):
        return [train]
    return (
        [name for part in train["parts"] for name in tensors_of(part)]
        if "parts" in train
        else [train["bytes"]]
    )


def _is_train(value: Any) -> bool:
    """Whether it names a tensor, or one of bytes and the levels of each."""
    if not isinstance(value, dict):
        return _is_text(value)
    if "parts" in value:
        return bool(value["parts"]) and _list_of(_is_train)(value["parts"])
    levels = value.get("levels")
    if not _is_text(value.get("bytes")) or type(value.get("channels_last")) is not bool:
        return False
    if "rows" in value:
        return _is_packed(levels) and _is_packed(value["rows"])
    return isinstance(levels, list) and len(levels) == 256 and all(map(_whole(0), levels))


def _is_packed(value: Any) -> bool:
    """Whether it is an array as text."""
    return isinstance(value, dict) and _list_of(_whole(1))(value.get("shape")) and _is_text(value.get("data"))


def compiled_facts(metadata: Mapping[str, str]) -> dict[str, Any] | None:
    """What a compiled network says of itself; None of any other.

    ``execution``, ``count``, ``alike``; ``trains``: by layer, the tensor that holds its levels, or its spikes, or the tensor of
    ``bytes`` that they are looked up by, the ``levels`` of each (by row where there are ``rows``, the row of each place), and
    whether ``channels_last``, or ``parts``: such as lie beside each other along the channels; of the step
    execution ``states``, ``depth`` and ``stages``: by layer, the phase in which it fires.

    Raises:
        ValueError: it is damaged.
    """
    if COMPILED_KEY not in metadata:
        return None
    facts = json.loads(metadata[COMPILED_KEY])
    if not isinstance(facts, dict):
        raise ValueError("its metadata names no execution")
    for key, known in (("execution", _WRITTEN), ("count", _COUNTED)):
        if facts.get(key) not in known:
            raise ValueError(f"its metadata names no {key} that is known here: {str(facts.get(key))[:40]}")
    tables = facts.get("trains", {}), facts.get("stages", {})
    if not (
        all(_list_of(_is_text)(facts.get(key, [])) for key in ("alike", "states"))
        and all(isinstance(table, dict) for table in tables)
        and all(map(_is_train, tables[0].values()))
        and all(map(_whole(0), tables[1].values()))
    ):
        raise ValueError("its metadata is unusable")
    return facts


def read_table(content: str | bytes, newest: int) -> dict[str, Any]:
    """The layer table; of a dialect newer than ``newest``, its version is all that is looked at.

    Raises:
        ValueError: it is damaged; says where.
    """
    try:
        table = json.loads(content)
    except RecursionError as error:
        raise ValueError("the layer table is nested too deep") from error
    if not isinstance(table, dict) or not _TABLE["dialect"](table.get("dialect")):
        raise ValueError("the layer table names no dialect")
    if table["dialect"] > newest:
        return table
    _check(table, _TABLE, "the layer table")
    for layer in table["layers"]:
        _check(layer, _LAYER, "a layer")
        if not _is_counts(layer.get("analog", {})):
            raise ValueError("a layer has an unusable 'analog'")
    _check_open(table)
    axes = table.get("sample_axes", {})
    if not isinstance(axes, dict) or not all(map(_whole(-1), axes.values())):
        raise ValueError("the layer table has an unusable 'sample_axes'")
    _check_steps(table)
    for key in ("name", "output"):
        if len({layer[key] for layer in table["layers"]}) < len(table["layers"]):
            raise ValueError(f"two layers have the same {key}")
    return table


def _check_open(table: Mapping[str, Any]) -> None:
    """What is counted once sizes are known counts for totals that there are."""
    entries, layers = table.get("open_macs", []), {layer["name"] for layer in table["layers"]}
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("the layer table has an unusable 'open_macs'")
    for entry in entries:
        _check(entry, _OPEN, "an entry of 'open_macs'")
        known = entry["layer"] is None or entry["layer"] in layers.intersection(table.get("layer_macs", {}))
        if not known or not set(entry["of"]) <= set(table["macs"]):
            raise ValueError("an entry of 'open_macs' counts for no total")


def _check_steps(table: Mapping[str, Any]) -> None:
    coding = table.get("coding", "binary")
    if coding not in ("binary", "rate"):
        raise ValueError(f"the layer table has an unusable 'coding': {str(coding)[:40]}")
    longest = max([table["timesteps"], *(layer["timesteps"] for layer in table["layers"])])
    if coding == "binary" and longest > MOST_TIMESTEPS:
        raise ValueError(f"the layer table has an unusable 'timesteps': {longest}")


def _check(entry: Mapping[str, Any], checks: Mapping[str, Check], what: str) -> None:
    for key, is_right in checks.items():
        if key not in entry:
            raise ValueError(f"{what} has no '{key}'")
        if not is_right(entry[key]):
            raise ValueError(f"{what} has an unusable '{key}': {str(entry[key])[:80]}")
