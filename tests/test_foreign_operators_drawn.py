"""Operators on codes and of onnxruntime's own: all that are known are drawn, with every attribute they have."""

from __future__ import annotations

import collections
import functools
import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import onnx
import onnxruntime.capi.onnxruntime_pybind11_state as runtime
import pytest
from random_networks import FOREIGN, check, files
from random_networks.attributes import LEFT_OUT, VALUES
from test_random_networks import drawn, examples

from onnx2snn.model.domains import MICROSOFT
from onnx2snn.operators import every
from onnx2snn.operators.spelled.integer_arithmetic import HANDLERS
from onnx2snn.passes.normalise.expand_fused_operators import DEFINITIONS

Key: TypeAlias = tuple[str, str]

#: Operators that onnxruntime keeps in ONNX's own domain.
IN_THEIR_DOMAIN = ("SimplifiedLayerNormalization",)
#: Networks of each block that are looked at, and of those that are converted too.
LOOKED_AT, CONVERTED = 100, 1
#: So often are more looked at, where a value has not been seen yet.
ROUNDS = 6
#: Attributes that no network of ours may have, and why.
NEVER = {
    ("Attention", "do_rotary"): "another operator turns what it reads",
    ("Attention", "past_present_share_buffer"): "of a past",
    ("Attention", "rotary_embedding_dim"): "another operator turns what it reads",
    ("EmbedLayerNormalization", "mask_index_type"): "it says how a mask is counted, which nothing here reads",
    ("FusedGemm", "activation_gamma"): "no activation that has it is fused",
    ("QAttention", "do_rotary"): "another operator turns what it reads",
    ("QAttention", "past_present_share_buffer"): "of a past",
}


@functools.cache
def schemas() -> dict[Key, set[str]]:
    """By operator on codes, or of onnxruntime's own, that the tables know and that runs here: its attributes."""
    ours = {*HANDLERS, *((MICROSOFT, name) for name in (*DEFINITIONS, "NhwcMaxPool", "NhwcFusedConv"))}
    ours |= {(o.domain, o.name) for o in every() if o.domain == MICROSOFT}
    ours = {("" if name in IN_THEIR_DOMAIN else domain, name) for domain, name in ours}
    kernels = runtime.get_all_opkernel_def()
    here = {(k.domain, k.op_name) for k in kernels if k.provider == "CPUExecutionProvider"}
    every_schema = [(s.domain, s.name, s.attributes) for s in runtime.get_all_operator_schema()]
    every_schema += [
        ("", n, onnx.defs.get_schema(n).attributes) for d, n in ours if not d and onnx.defs.has(n)
    ]
    found: dict[Key, set[str]] = {key: set() for key in ours & here}
    for domain, name, attributes in every_schema:
        if (domain, name) in found:
            found[domain, name] |= set(attributes)
    return found


@pytest.fixture(scope="module")
def written() -> dict[Key, list[dict[str, Any]]]:
    """By operator, the attributes of each node of many networks."""
    found: dict[Key, list[dict[str, Any]]] = collections.defaultdict(list)
    wanting = list(FOREIGN)
    for again in range(ROUNDS):
        wanting = [name for name in wanting if _draws(name, again, found)]
        if not wanting and missing(found):
            wanting = list(
                FOREIGN
            )  # of what stands in several blocks, and of blocks that choose between operators
    return found


def _draws(block: str, again: int, found: dict[Key, list[dict[str, Any]]]) -> bool:
    """Look at more networks with a block; whether some value of its operators has not been drawn yet."""
    names = set()
    for model in examples(
        files(FOREIGN[block]), list(FOREIGN).index(block) + again * len(FOREIGN), LOOKED_AT
    ):
        for node in model.graph.node:
            values = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            found[node.domain, node.op_type].append(values)
            names.add(node.op_type)
    return bool(never_drawn(found, names))


def missing(written: Mapping[Key, list[dict[str, Any]]]) -> bool:
    """Whether there is something that all networks together have to show, and do not."""
    return bool(
        set(schemas()) - set(written) or not_written(written) - set(NEVER) or never_drawn(written, VALUES)
    )


def not_written(written: Mapping[Key, list[dict[str, Any]]]) -> set[tuple[str, str]]:
    """Attributes of operators that no network has."""
    return {
        (name, attribute)
        for (domain, name), attributes in schemas().items()
        for attribute in attributes
        if not any(attribute in node for node in written.get((domain, name), ()))
    }


def never_drawn(written: Mapping[Key, list[dict[str, Any]]], names: Iterable[str]) -> list[Any]:
    """Attributes of the tables, of some operators, with fewer values than there are, or never left out though they may be."""
    missing = []
    for name in names:
        nodes = [*written.get((MICROSOFT, name), ()), *written.get(("", name), ())]
        for attribute, choices in VALUES.get(name, {}).items():
            values = {json.dumps(n[attribute], default=bytes.decode) for n in nodes if attribute in n}
            absent = any(attribute not in n for n in nodes)
            if len(values) < len(set(choices) - {LEFT_OUT}) or (LEFT_OUT in choices and not absent):
                missing.append((name, attribute, sorted(values)))
    return missing


def test_every_operator_is_drawn(written: dict[Key, list[dict[str, Any]]]) -> None:
    known = schemas()
    assert len(known) > 30
    assert set(known) - set(written) == set()


def test_every_attribute_is_drawn(written: dict[Key, list[dict[str, Any]]]) -> None:
    """Each is written in some networks; those that never are are named, with a reason."""
    assert not_written(written) == set(NEVER)


def test_every_value_is_drawn(written: dict[Key, list[dict[str, Any]]]) -> None:
    """As many values of each attribute as its table has, and none where the table says that it may be left out."""
    assert never_drawn(written, VALUES) == []


@pytest.mark.parametrize("name", FOREIGN)
def test_every_property_holds(name: str) -> None:
    networks = drawn(0, CONVERTED, FOREIGN[name])
    assert len(networks) == CONVERTED
    for network in networks:
        check(network)
