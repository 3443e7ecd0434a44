"""The proof that float32 rounds nothing: a bound of every potential, from the finished network alone (METHOD 14).

All levels are set to their highest. M, the larger of the sums of what is positive and of what is negative among w·K and b, bounds
every partial sum of every order (:mod:`onnx2snn.exact.magnitudes`), and u, a power of two of which all
products and biases of a channel are multiples, its steps. Multiples of u below 2²⁴·u are numbers of float32, so with M < 2²⁴·u
each operation on them is exact, in every execution, runtime and thread count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnx2snn.activations.neuron_nodes import DIVIDES_WHOLE, SOURCE_TENSOR, parameters
from onnx2snn.activations.tables import is_unsure
from onnx2snn.activations.whole_quotients import beside_potential
from onnx2snn.analysis.pass_manager import apply_owned
from onnx2snn.dialect.subnetworks import CutNetwork, cut_source
from onnx2snn.exact.concrete_sizes import with_concrete_sizes
from onnx2snn.exact.magnitudes import full, largest_sum
from onnx2snn.float64.error_bounds import RunningError
from onnx2snn.float64.in_parts import in_parts
from onnx2snn.graph.core import Array, is_float
from onnx2snn.model.weights import SplitModel
from onnx2snn.operators import of
from onnx2snn.operators.divided import TensorPart
from onnx2snn.operators.linear import ROWS, is_neuron
from onnx2snn.operators.scales import is_power_of_two
from onnx2snn.operators.signals import EXACT, Precision, Signal, quanta
from onnx2snn.passes import PREPARE, RECOGNISE
from onnx2snn.passes.importer import import_model

#: Weights of a layer that are held several times in float64 to prove it; larger ones are left out.
LARGEST = 1 << 22
#: Numbers of the largest tensor that are held at a time.
BLOCK = 1 << 22
#: What a quantiser of the network's input clips, whatever its range.
FAR = 2.0**60


@dataclass(frozen=True)
class Proof:
    """What is proved of one layer, or of one output.

    Attributes:
        name: The source's tensor.
        steps: The largest M/u of its channels: below 2²⁴ nothing is rounded; None where there is no bound.
        reason: Why not, in words; empty where it is exact.
        neurons: Whether it is a layer of neurons; else an output.
    """

    name: str
    steps: float | None
    reason: str = ""
    neurons: bool = True

    @property
    def exact(self) -> bool:
        """Whether float32 computes it exactly."""
        return not self.reason


def surplus(proof: Proof) -> float:
    """Bits that its sums have more than float32 holds; 0 where that is not what is missing."""
    return (
        float(np.log2(proof.steps / EXACT)) if proof.reason and proof.steps and proof.steps >= EXACT else 0.0
    )


def prove_model(model: onnx.ModelProto | SplitModel) -> tuple[Proof, ...]:
    """Which layers of a quantised network float32 computes exactly, in order; outputs behind them.

    Args:
        model: The source, however it was made.
    """
    return prove_graph(apply_owned(import_model(model), (*PREPARE, *RECOGNISE)))


def prove_graph(graph: gs.Graph) -> tuple[Proof, ...]:
    """As :func:`prove_model`, of a graph whose activations are Staircase nodes."""
    graph = with_concrete_sizes(graph)
    cut = cut_source(graph)
    neurons = [node for node in graph.nodes if is_neuron(node)]
    tops = {
        f"level/{n.attrs[SOURCE_TENSOR]}": full(n.outputs[0], parameters(n).levels, n.attrs.get(ROWS, 1))
        for n in neurons
    }
    given = tops | {t.name: full(t, FAR) for t in graph.inputs if is_float(t)}
    found = []
    for node in neurons:
        name = node.attrs[SOURCE_TENSOR]
        computed = parameters(node)
        one = bounded(cut, node.inputs[0].name, name, given, beside_potential(computed))
        if one.exact and not (is_power_of_two(computed.threshold) or node.attrs.get(DIVIDES_WHOLE)):
            one = replace(one, reason="its threshold is no power of two")
        if one.exact and is_unsure(computed):
            one = replace(one, reason="its own operators take either side of a threshold")
        found.append(one)
    outputs = [replace(bounded(cut, t.name, t.name, given), neurons=False) for t in graph.outputs]
    return (*found, *outputs)


def bounded(
    cut: CutNetwork, tensor: str, name: str, given: Mapping[str, Array], beside: Sequence[Array] = ()
) -> Proof:
    """What is proved of ``tensor``, of levels at their highest, and of its sum with what stands ``beside`` it.

    Args:
        cut: The network.
        tensor: A potential or an output.
        name: What the proof is of.
        given: Network inputs and ``level/<layer>``, (1, ...), as large as they may be.
        beside: Numbers by channel that neurons behind add, or divide by; their sum counts.
    """
    model = cut.before(tensor)
    refused = _refused(model)
    if refused:
        return Proof(name, None, refused)
    if any(values.size >= LARGEST for values in model.weights.values()):
        return Proof(name, None, "its weights are too many for a proof beside the conversion")
    network = RunningError(model)
    if any(n not in given for n in network.inputs):
        return Proof(name, None, "it reads an input that holds no floats")
    largest: float | None = 0.0
    sums = _sums_levels(model)
    signs = (1.0, -1.0) if any(not n.startswith("level/") for n in network.inputs) else (1.0,)
    try:
        with np.errstate(all="ignore"):
            for found in _on_highest(model, network, given, signs, _free_axes(beside)):
                steps = _steps(found, beside, sums=sums)
                largest = None if steps is None or largest is None else max(largest, steps)
    except Exception as error:  # noqa: BLE001 - the evaluator's errors share no base class
        return Proof(name, None, f"it cannot be evaluated: {error}")
    if largest is None:
        return Proof(name, None, "its numbers are on no common grid")
    too_many = f"its sums are {largest / EXACT:.3g} times what float32 holds exactly"
    return Proof(name, largest, "" if largest < EXACT else too_many)


def _on_highest(
    model: SplitModel,
    network: RunningError,
    given: Mapping[str, Array],
    signs: Sequence[float],
    axes: Sequence[int],
) -> Iterator[Signal]:
    """What a network makes of the largest levels, and of inputs of each sign; where it is large, some at a time."""
    shapes = {n: given[n].shape for n in network.inputs}
    whole: list[tuple[TensorPart | None, RunningError]] = [(None, network)]
    for part, run in [one for (one,) in in_parts([model], shapes, axes, BLOCK)] or whole:
        held = given if part is None else part.of(given)
        for sign in signs:
            read = {n: held[n] * (1 if n.startswith("level/") else sign) for n in network.inputs}
            yield run(read, {n: float(n.startswith("level/")) for n in read}, Precision(16))


def _free_axes(beside: Sequence[Array]) -> Sequence[int]:
    """Axes behind the channels, where numbers (C, 1, ...) are the same along them."""
    sizes = list(np.broadcast_shapes(*(values.shape for values in beside if values.size > 1)))
    while sizes and sizes[0] == 1:
        del sizes[0]
    return range(2, 8) if not sizes or (len(sizes) > 1 and set(sizes[1:]) == {1}) else ()


def _sums_levels(model: SplitModel) -> bool:
    """Whether what it computes is a sum of levels times weights, of several of them times each other, and of biases."""
    graph = model.structure.graph
    records = [of(node) for node in graph.node]
    levels = all(value.name.startswith("level/") for value in graph.input if value.name not in model.weights)
    return levels and all(r.linear is not None or r.bilinear or r.constant for r in records)


def _steps(found: Signal, beside: Sequence[Array], *, sums: bool) -> float | None:
    """The largest M/u; None where there is no u."""
    if found.whole:
        return 0.0
    unit = np.asarray(found.rounding.quantum)
    size = largest_sum(found.size, found.value if sums else None)
    for values in beside:
        unit, size = np.minimum(unit, quanta(values)), size + np.abs(values)
    return None if np.any(unit <= 0) else float(np.max(size / unit, initial=0.0))


def _refused(model: SplitModel) -> str:
    """The first operator whose results float32 rounds, in words; empty if there is none that can be told without running it."""
    for node in model.structure.graph.node:
        record = of(node)
        if record.sizes or record.whole or record.jumps or record.constant:
            continue
        if record.quantum is None:
            return f"{node.op_type} '{node.name}' is computed in float32"
        if record.weights is not None and len(node.input) > 1:
            weights = model.weights.get(node.input[1])
            if weights is not None and _is_general(weights):
                return f"the weights of '{node.name}' are on no grid"
    return ""


def _is_general(weights: Array) -> bool:
    """Whether a few weights tell that they are general numbers of float32."""
    few = weights.reshape(-1)[:: max(1, weights.size // 64)].astype(np.float64)
    few = few[few != 0]
    return few.size > 8 and float(np.median(np.abs(few) / quanta(few))) > EXACT / 8
