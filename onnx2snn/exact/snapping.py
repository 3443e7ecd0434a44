"""Any quantised network, made exact: what it computes is the same in every execution, runtime and thread count (METHOD 14)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnx2snn.analysis.pass_manager import apply_owned
from onnx2snn.analysis.training_mode import refuse_training_mode
from onnx2snn.data import input_specs, open_data
from onnx2snn.dialect.layer_table import is_spiking
from onnx2snn.errors import ConversionError
from onnx2snn.exact.concrete_sizes import with_concrete_sizes
from onnx2snn.exact.magnitudes import magnitudes
from onnx2snn.exact.on_levels import ON_LEVELS, entrances, put_grids
from onnx2snn.exact.proof import Proof, prove_graph, surplus
from onnx2snn.exact.rounded_network import Product, moved, obstacle_in
from onnx2snn.exact.weight_grids import Change, Grids
from onnx2snn.exact.write_quantisers import plain_neurons
from onnx2snn.graph.build import CodeGrid
from onnx2snn.graph.core import Array, tidy
from onnx2snn.graph.exporter import declared_as, to_model
from onnx2snn.listings import change_listing
from onnx2snn.model.files import load_model
from onnx2snn.model.reference import Reference
from onnx2snn.model.savable import Savable
from onnx2snn.operators.linear import is_neuron
from onnx2snn.operators.signals import quantum
from onnx2snn.passes import PREPARE, RECOGNISE
from onnx2snn.passes.importer import import_model
from onnx2snn.passes.normalise.refuse_undefined import refuse_undefined
from onnx2snn.passes.recognise.recognise_staircases import reached_by_synapses
from onnx2snn.remedies import AS_IT_IS, CALIBRATE, FEWER_LEVELS, ITS_SOURCE, either
from onnx2snn.units import things

#: Samples that are looked at together.
BATCH = 64
#: Steps from zero to the largest value of the network's input.
INPUT_STEPS = 2**10
#: The range of an input of which there is no data, and its step.
RANGE, STEP = 8.0, 2.0**-8
#: Bits that a layer gives up where its sums are too much for float32: at least, first and then, at most; and how often.
LEAST_SPARE, WHOLE_SPARE, MOST_SPARE, ATTEMPTS = 0.25, 1.0, 8.0, 5


@dataclass(frozen=True)
class InputGrid:
    """The grid that an analog input is rounded to.

    Attributes:
        name: The tensor that the first synapses read.
        step: Its values are multiples of it, a power of two.
        low: The smallest.
        high: The largest.
    """

    name: str
    step: float
    low: float
    high: float

    def joined(self, other: InputGrid) -> InputGrid:
        """One that holds the values of both."""
        low, high = min(self.low, other.low), max(self.high, other.high)
        step = max(min(self.step, other.step), max(-low, high) / INPUT_STEPS)
        return InputGrid(self.name, step, low, high)

    @property
    def grid(self) -> CodeGrid:
        """As the operators of a quantiser have it."""
        scale = np.asarray(self.step, np.float32)
        return CodeGrid(scale, np.zeros(()), self.low / self.step, self.high / self.step)


@dataclass(frozen=True, repr=False)
class Exact(Savable):
    """A quantised network whose arithmetic float32 computes exactly.

    Attributes:
        model: An ordinary ONNX network: levels between its synapses, constants on grids.
        inputs: Grids that analog inputs were put on.
        changes: What rounding did to the constants, by layer of synapses.
        proofs: Of each layer of neurons and each output.
        obstacle: The operator that keeps it from converting, where what it was made from converts.
        moved: How far outputs are from what they were, over their standard deviation; None where there was no data.
    """

    model: onnx.ModelProto
    inputs: tuple[InputGrid, ...]
    changes: tuple[Change, ...]
    proofs: tuple[Proof, ...]
    obstacle: str | None = None
    moved: float | None = None

    def __repr__(self) -> str:
        return f"Exact({self._told()})"

    def _repr_html_(self) -> str:
        return change_listing(map(asdict, self.changes)).html(self._told())

    def summary(self) -> str:
        """What rounding did, layer of synapses by layer, and how many layers of neurons are proved exact, as text."""
        return change_listing(map(asdict, self.changes)).text(self._told())

    def _told(self) -> str:
        layers = [proof.exact for proof in self.proofs if proof.neurons]
        rounded = f"{things(len(self.changes), 'layer')} of synapses rounded" if self.changes else "unchanged"
        return f"exact in float32: {sum(layers)} of {things(len(layers), 'layer')}, {rounded}"

    @property
    def proved(self) -> int:
        """How many layers and outputs are proved."""
        return sum(proof.exact for proof in self.proofs)

    @property
    def coarsest(self) -> float:
        """The largest change of a layer's weights."""
        return max((one.weights for one in self.changes), default=0.0)

    @property
    def exact(self) -> bool:
        """Whether every layer of neurons is proved."""
        return all(proof.exact for proof in self.proofs if proof.neurons)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the model, as JSON values."""
        return {
            "exact": self.exact,
            "moved": self.moved,
            "inputs": [asdict(one) for one in self.inputs],
            "changes": [asdict(one) for one in self.changes],
            "layers": [{**asdict(one), "exact": one.exact} for one in self.proofs],
        }


def snap(model: str | Path | onnx.ModelProto, data: Any = None, *, batch: int | None = None) -> Exact:
    """Round the constants of a quantised network so that float32 computes it exactly.

    Levels are whole numbers between synapses (θ = α = 1 in each channel, by scale freedom), weights and biases multiples of a
    power of two u with Σ w·K + b < 2²⁴·u over either sign, averages sums, and analog inputs on a grid. A network that is exact
    already stays as it is.

    Args:
        model: A path, or a model in memory (which is not changed).
        data: Samples whose range the grid of an analog input has: a path, a data set, or {input name: array}; None: −8 to 8.
        batch: Samples at a time, at most; None: as many as memory is meant for.

    Raises:
        ConversionError: it has no quantised activation, or its sums have more bits than float32 holds, so that on grids it would
            answer something else.
        InvalidModelError: the file is missing, damaged, or no ONNX model.
        InputError: the data does not fit.
    """
    made, fault = rounded(model, data, batch=batch)
    if fault:
        raise ConversionError(fault, remedy=either(AS_IT_IS, FEWER_LEVELS))
    return made


def rounded(
    model: str | Path | onnx.ModelProto, data: Any = None, *, batch: int | None = None
) -> tuple[Exact, str]:
    """As :func:`snap`, and why the network stays better as it is; empty where it does not."""
    source = load_model(model, in_place=True)
    if is_spiking(source):
        raise ConversionError("this model is already a spiking network", remedy=ITS_SOURCE)
    graph = import_model(source)
    refuse_training_mode(graph)
    graph = apply_owned(refuse_undefined(graph), PREPARE)
    proofs = prove_graph(apply_owned(graph.copy(), RECOGNISE))
    if proofs and all(proof.exact for proof in proofs):
        return Exact(source, (), (), proofs), ""
    samples = None if data is None else open_data(data, input_specs(source), batch=batch)

    def inputs() -> Iterator[Mapping[str, Array]]:
        return (one.inputs for one in (() if samples is None else samples.batches(BATCH)))

    made = made_exact(graph, source, inputs())
    made = replace(made, moved=moved(source, made.model, inputs()))
    return made, Product(made.exact, made.coarsest, made.obstacle, made.moved).fault


def made_exact(
    graph: gs.Graph, source: onnx.ModelProto, samples: Iterable[Mapping[str, Array]] = ()
) -> Exact:
    """A prepared, quantised graph made exact; inputs and outputs as ``source`` declares them.

    Args:
        graph: It is not changed.
        source: The network that it was made from.
        samples: Batches of inputs (N, ...) whose range inputs have; none: −8 to 8.
    """
    samples = iter(samples)
    first = next(samples, None)
    inputs = _input_grids(graph, samples if first is None else itertools.chain([first], samples))
    shapes = {name: (1, *value.shape[1:]) for name, value in (first or {}).items()}
    levels = graph.copy()
    put_grids(levels, {one.name: one.grid for one in inputs})
    levels = apply_owned(levels, RECOGNISE)
    sound = obstacle_in(levels) is None
    behind = reached_by_synapses(levels)
    if not any(is_neuron(node) and id(node.inputs[0]) in behind for node in levels.nodes):
        raise ConversionError("this network has no quantised activation", remedy=CALIBRATE)
    levels = apply_owned(levels, ON_LEVELS)
    # the first of equals: no bits are given up for nothing
    attempts = _attempts(levels, source, inputs, sound=sound, shapes=shapes)
    return max(attempts, key=lambda made: (made.obstacle is None, made.proved))


def _attempts(
    levels: gs.Graph,
    source: onnx.ModelProto,
    inputs: tuple[InputGrid, ...],
    *,
    sound: bool,
    shapes: Mapping[str, tuple[int, ...]],
) -> Iterator[Exact]:
    """A network on levels, rounded with fewer bits each time in front of what is not proved, while that may prove more.

    What is made of a ``sound`` one has to convert. Open sizes are those of ``shapes``, of the inputs of one sample.
    """
    sizes, spare = magnitudes(with_concrete_sizes(levels, shapes)), dict[str, float]()
    for _ in range(ATTEMPTS):
        rounded = levels.copy()
        changes = Grids(rounded, sizes, spare=spare).round()
        model = declared_as(to_model(apply_owned(rounded, (plain_neurons,))), source)
        recognised = apply_owned(import_model(model), (*PREPARE, *RECOGNISE))
        obstacle = obstacle_in(recognised) if sound else None
        proofs = prove_graph(with_concrete_sizes(recognised, shapes))
        made = Exact(model, inputs, tuple(changes), proofs, obstacle)
        yield made
        less = {
            p.name: spare.get(p.name, 0.0) + max(surplus(p), WHOLE_SPARE if p.name in spare else LEAST_SPARE)
            for p in made.proofs
            if surplus(p)
        }
        less = {name: bits for name, bits in less.items() if bits <= MOST_SPARE}
        if not less:
            return
        spare |= less


def _input_grids(graph: gs.Graph, samples: Iterable[Mapping[str, Array]]) -> tuple[InputGrid, ...]:
    names = list(entrances(graph))
    given = {t.name for t in graph.inputs}
    before = graph.copy()
    tensors = before.tensors()
    before.outputs = [tensors[name] for name in names if name not in given]
    network = Reference(to_model(tidy(before))) if before.outputs else None
    grids = {name: InputGrid(name, STEP, -RANGE, RANGE) for name in names}
    seen: set[str] = set()
    for inputs in samples:
        found = dict(inputs) if network is None else {**inputs, **network.run(dict(inputs))}
        for name in names:
            one = grid_of(name, found[name])
            grids[name] = one.joined(grids[name]) if name in seen else one
            seen.add(name)
    return tuple(grids.values())


def grid_of(name: str, values: Array) -> InputGrid:
    """The grid of what was seen: up to the power of two that holds it, in 2¹⁰ steps, or its own where it is on one already."""
    largest = max(float(np.max(np.abs(values), initial=0)), 2.0**-20)
    top = float(2.0 ** np.ceil(np.log2(largest)))
    step = max(top / INPUT_STEPS, min(quantum(values), top))
    return InputGrid(name, step, -top if np.min(values, initial=0) < 0 else 0.0, top)
