"""A spiking network as a pipeline: two stateless graphs, and the states that they hand on.

    step   once a time step      spikes of one time step, potentials before → potentials after
    turn   at the end of a phase inputs, integrated potentials → potentials to generate, answers; everything analog

Both are cut out of the network at its neurons. Tensors that an operator reads late come in as ``delay/<tensor>/<phases>``
(:mod:`onnx2snn.runtime.schedule`); what depends on sizes and constants alone is computed in both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from onnx2snn.runtime import wire
from onnx2snn.runtime.bodies import function_body
from onnx2snn.runtime.network import Network, read_network
from onnx2snn.runtime.schedule import Kind, Schedule, make_schedule
from onnx2snn.runtime.step_bodies import step_functions
from onnx2snn.runtime.step_graphs import StepGraph, TurnGraph, integrates, serialized
from onnx2snn.runtime.tensors import described
from onnx2snn.runtime.wire import FLOAT, value_info

_INITIALIZER = 5
#: Constants of more values are weights: no size is computed from them.
_FEW = 1024

#: Operators that move spikes, and add none.
_MOVING = ("Concat", "Flatten", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze")


@dataclass(frozen=True)
class Line:
    """A delay line: what a tensor held in the phases before.

    Attributes:
        tensor: Its name.
        taps: Delays at which it is read, in phases.
        every_step: Whether it holds a value a time step, or one a phase.
        spikes: Whether it holds zeros and ones: a neuron's spikes.
    """

    tensor: str
    taps: tuple[int, ...]
    every_step: bool
    spikes: bool


@dataclass(frozen=True)
class Pipeline:
    """A network, ready to be executed step by step.

    Attributes:
        step: The model of one time step; None where the network has no neurons.
        turn: The model of the end of a phase.
        sizes: A model that writes a tensor of the shape of every state, from the network's inputs.
        inputs: Names of the network's inputs.
        depth: Layers of neurons on the longest path.
        integrating: The train that each neuron and each readout integrates, by its name.
        generating: (the train that it makes, its stage) of each neuron, by its name.
        lines: Delay lines, by tensor.
        outputs: Phases by which each output waits for the deepest one.
    """

    step: bytes | None
    turn: bytes
    sizes: bytes
    inputs: tuple[str, ...]
    depth: int
    integrating: Mapping[str, str]
    generating: Mapping[str, tuple[str, int]]
    lines: Mapping[str, Line]
    outputs: Mapping[str, int]


def make_pipeline(content: bytes, *, timesteps: int, bias: str, opset: int) -> Pipeline:
    """Cut a network into its pipeline.

    Args:
        content: The serialized network, in any execution.
        timesteps: T.
        bias: The form in which it stores biases.
        opset: Version of the default operator set.

    Raises:
        ValueError: it is no network of the dialect.
    """
    network = read_network(content)
    schedule = make_schedule(network)
    hearing = {
        position: node
        for position, node in enumerate(network.nodes)
        if integrates(node) and schedule.kinds[node.inputs[0]] is Kind.TRAIN
    }
    neurons = {node.name: node.outputs[0] for node in network.nodes if node.is_dialect("IF")}
    lines = _lines(network, schedule)
    steps = [line.tensor for line in lines.values() if line.every_step]
    phases = [
        line.tensor for line in lines.values() if not line.every_step and line.tensor not in network.inputs
    ]
    step, turn = (part(network, schedule, timesteps, bias) for part in (StepGraph, TurnGraph))
    functions = step_functions(bias, opset)
    trains = list(neurons.values())
    heard = [node.inputs[0] for node in hearing.values()]
    return Pipeline(
        step=step.model([*trains, *steps], roots=hearing, functions=functions) if neurons else None,
        turn=turn.model([*network.outputs, *phases, *trains]),
        sizes=_sizes(network, opset, bias, [*heard, *trains, *lines]),
        inputs=tuple(network.inputs),
        depth=schedule.depth,
        integrating={node.name: node.inputs[0] for node in hearing.values()},
        generating={name: (train, schedule.stages[train]) for name, train in neurons.items()},
        lines=lines,
        outputs={name: schedule.output_delay(name) for name in network.outputs},
    )


def _lines(network: Network, schedule: Schedule) -> dict[str, Line]:
    taps: dict[str, set[int]] = {}
    for position, reader in enumerate(network.nodes):
        for name in reader.reads:
            if schedule.delay(position, name) > 0:
                taps.setdefault(name, set()).add(schedule.delay(position, name))
    for name in network.outputs:
        if schedule.output_delay(name):
            taps.setdefault(name, set()).add(schedule.output_delay(name))
    spikes = _spikes(network)
    return {
        name: Line(name, tuple(sorted(taps[name])), schedule.kinds[name] is Kind.TRAIN, name in spikes)
        for name in sorted(taps)
    }


def _spikes(network: Network) -> set[str]:
    """Tensors of zeros and ones: what neurons make, and what only moves it."""
    found: set[str] = set()
    for node in network.nodes:
        read = [name for name in node.inputs if name in network.producers]
        moved = not node.domain and node.operator in _MOVING and found.issuperset(read)
        if node.is_dialect("IF") or (moved and read):
            found.update(node.outputs)
    return found


def _sizes(network: Network, opset: int, bias: str, wanted: Iterable[str]) -> bytes:
    """The network on levels, where every train has the size of one time step; weights have sizes and no values."""
    bodies = (function_body(name, execution="fused", bias=bias, opset=opset) for name in ("IF", "Integrate"))
    names = [name for name in dict.fromkeys(wanted) if name not in network.inputs]
    infos = {name: network.outputs.get(name, value_info(name, network.type_of(name))) for name in names}
    zeros = {name: _zeros(name, held) for name, held in network.initializers.items()}
    kept = [held for name, held in network.initializers.items() if not zeros[name]]
    return serialized(
        network,
        nodes=[
            *(made for nodes in zeros.values() for made in nodes),
            *(node.content for node in network.nodes),
        ],
        initializers=kept,
        inputs=network.inputs.values(),
        outputs=infos.values(),
        functions=bodies,
    )


def _zeros(name: str, initializer: memoryview) -> list[bytes]:
    """Nodes that make zeros of the size of a large constant, when they are read; none for any other."""
    if initializer[0] >> 3 != _INITIALIZER:
        return []
    kind, sizes = described(next(value for _, _, value, _, _ in wire.fields(initializer)))
    if kind != FLOAT or math.prod(sizes) <= _FEW:
        return []
    shape = wire.node("Constant", [], [f"{name}/sizes"], value=np.array(sizes, np.int64))
    return [shape, wire.node("ConstantOfShape", [f"{name}/sizes"], [name], value=np.zeros(1, np.float32))]
