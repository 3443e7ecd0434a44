"""The map: stops, what lies between them, and lanes that never run through one another's stops."""

from __future__ import annotations

import pytest
from helpers_corpus import QUANTISED, Example
from helpers_networks import NETWORKS

import onnx2snn
from onnx2snn.report.topology import Stop, lanes_of, stops_of


def stops(name: str) -> tuple[Stop, ...]:
    network = NETWORKS[name]()
    conversion = onnx2snn.convert(network.model, hybrid=network.hybrid)
    return stops_of(conversion.model, [operator.name for operator in conversion.non_spiking])


def names(found: tuple[Stop, ...], stop: Stop) -> set[str]:
    return {found[source].name.removesuffix("/neuron") for source in stop.sources}


def test_a_chain_is_a_line() -> None:
    found = stops("floor")
    assert [stop.kind for stop in found] == ["input", "layer", "layer", "output"]
    assert [stop.sources for stop in found] == [(), (0,), (1,), (2,)]
    assert [stop.phase for stop in found] == [0, 1, 2, 2]
    assert [stop.operators for stop in found] == [(), ("Dense 6→8",), ("Dense 8→8",), ("Dense 8→3",)]
    assert lanes_of(found).of == [0, 0, 0, 0]


def test_a_shortcut_is_a_lane_beside_the_block() -> None:
    found = stops("residual")
    assert [stop.sources for stop in found] == [(), (0,), (1,), (2,), (1, 3), (1, 4)]
    lanes = lanes_of(found)
    assert lanes.of == [0, 0, 1, 1, 1, 0]
    assert lanes.count == 2


def test_inputs_meet_and_outputs_part() -> None:
    found = stops("several")
    assert [stop.kind for stop in found].count("input") == 2
    assert {stop.name for stop in found if stop.kind == "output"} == {"early", "late", "class"}
    joined = next(stop for stop in found if len(stop.sources) == 2)
    assert {found[source].kind for source in joined.sources} == {"layer"}
    assert any("Concat" in word for word in joined.operators)


def test_what_does_not_spike_is_a_stop() -> None:
    found = stops("hybrid")
    gate = next(stop for stop in found if stop.kind == "operator")
    assert len(gate.sources) == 1
    after = next(stop for stop in found if found.index(gate) in stop.sources)
    assert (after.kind, len(after.sources)) == ("layer", 2)


def test_a_sum_that_is_read_twice_is_a_stop_and_one_read_once_is_none() -> None:
    stream = stops("stream_of_potentials")
    assert [stop.kind for stop in stream if len(stop.sources) > 1] == ["join", "join", "layer", "output"]
    assert all(len(stop.sources) <= 2 for stop in stream)
    assert "join" not in {stop.kind for stop in stops("residual")}


def test_sizes_that_the_network_computes_are_no_lines() -> None:
    found = stops("of_any_size")
    assert [stop.kind for stop in found] == ["input", "layer", "layer", "layer", "output"]
    assert found[3].sources == (1, 2)


@pytest.mark.parametrize("name", QUANTISED)
def test_every_layer_is_on_the_map_in_order(name: str) -> None:
    conversion = Example(name).conversion
    found = stops_of(conversion.model)
    assert [stop.name for stop in found if stop.kind == "layer"] == [la.name for la in conversion.layers]
    assert all(source < position for position, stop in enumerate(found) for source in stop.sources)
    assert all(stop.sources for stop in found if stop.kind != "input")
    last = len(found) - 1
    assert all(any(i in stop.sources for stop in found) for i in range(last) if found[i].kind != "output")


def dense_block(size: int) -> tuple[Stop, ...]:
    """Each stop hears all before it."""
    return tuple(Stop("layer", str(i), tuple(range(i)), (), i) for i in range(size))


@pytest.mark.parametrize(
    "found",
    [
        dense_block(8),
        *(stops(name) for name in ("residual", "several", "stream_of_potentials")),
        tuple(
            Stop("layer", "", sources, (), 0) for sources in [(), (0,), (1,), (2,), (2, 3), (1, 4), (0, 5)]
        ),
    ],
)
def test_a_line_passes_no_foreign_stop(found: tuple[Stop, ...]) -> None:
    lanes = lanes_of(found)
    for position, lane in enumerate(lanes.of):
        for between in range(position + 1, lanes.last[position]):
            assert lanes.of[between] != lane, (position, between)
    assert lanes.count == max(lanes.of) + 1


def test_skips_of_a_u_net_nest() -> None:
    sources = [(), (0,), (1,), (2,), (2, 3), (1, 4), (0, 5)]
    found = tuple(Stop("layer", "", s, (), 0) for s in sources)
    assert lanes_of(found).of == [0, 1, 2, 3, 2, 1, 0]
