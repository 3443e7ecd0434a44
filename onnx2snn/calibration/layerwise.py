"""Layer by layer: each staircase is fitted to the float network with all layers before it quantised already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.analysis.channels import channel_axis
from onnx2snn.calibration.arguments import ArgumentReader
from onnx2snn.calibration.fit import Choice, Problem, SampledRows, choose, draw_rows, fit_steps
from onnx2snn.calibration.lines import QuantiserPlace
from onnx2snn.calibration.stages import Stage, make_stages
from onnx2snn.calibration.synapses_ahead import Synapses, synapses_of
from onnx2snn.calibration.writing import Staircased, staircase_of, write_staircase
from onnx2snn.exact.write_quantisers import add_to
from onnx2snn.graph.core import Array
from onnx2snn.graph.walks import backward
from onnx2snn.operators.linear import is_weighted

#: What the tensors that are kept between stages may take, in bytes.
MEMORY = 1 << 30
#: Ones in the binary code of each number below 2^16.
_ONES = np.unpackbits(np.arange(1 << 16, dtype=">u2").view(np.uint8)).reshape(-1, 16).sum(axis=1)


@dataclass(frozen=True)
class Fitted:
    """One activation's staircase.

    Attributes:
        line: The activation.
        staircase: What replaces it.
        choice: How it was corrected; None where thresholds alone were chosen.
        spikes: Of one sample, on average.
    """

    line: QuantiserPlace
    staircase: Staircased
    choice: Choice | None = None
    spikes: float = 0.0


class Layerwise:
    """A network whose activations are quantised one after the other; the graph is changed.

    Args:
        graph: The float network, prepared.
        lines: Its activations, in order.
    """

    def __init__(self, graph: gs.Graph, lines: list[QuantiserPlace]) -> None:
        self._graph = graph
        self._lines = lines
        self._count = 1
        tensors = graph.tensors()
        self._readings = [ArgumentReader(graph, line) for line in lines]
        self._synapses = [_reached(tensors[line.argument], line.axis) for line in lines]
        wanted = [
            [line.argument, *([s.source] if s else [])] for line, s in zip(lines, self._synapses, strict=True)
        ]
        self._readouts = _readouts(graph, lines)
        last = [t.name for t in graph.outputs] + [n for r in self._readouts for n in (r.source, r.target)]
        self._stages = make_stages(graph, wanted, [line.output for line in lines], dict.fromkeys(last))

    def samples(self, inputs: Mapping[str, Array]) -> int:
        """How many samples fit in memory, by what the first one of ``inputs`` takes."""
        held = {name: value[:1] for name, value in inputs.items()}
        most = 1
        for stage, reading in zip(self._stages, self._readings, strict=False):
            held |= stage.run(self._graph, held, 1)
            held[reading.place.output] = reading.value(held[reading.place.argument])
            most = max(most, sum(value.nbytes for value in held.values()))
            forget(held, stage)
        return max(1, MEMORY // (2 * most))

    def run(
        self,
        inputs: Mapping[str, Array],
        levels: Mapping[str, int],
        *,
        per_channel: bool | None = None,
        progress: Callable[[float], None] = lambda _share: None,
    ) -> list[Fitted]:
        """Fit and write all staircases.

        Args:
            inputs: By name, (N, ...).
            levels: K, by the tensor that holds the activation.
            per_channel: One threshold per channel, or per layer; None for what is better, layer by layer.
            progress: Called with the share of the stages that each one is.
        """
        held, exact = dict(inputs), dict(inputs)
        self._count = len(next(iter(inputs.values())))
        fitted = []
        for stage, reading, synapses in zip(self._stages, self._readings, self._synapses, strict=False):
            line = reading.place
            exact |= stage.run(self._graph, exact, self._count)
            held |= stage.run(self._graph, held, self._count)
            problem = _problem(reading, synapses, (exact, held), levels[line.output])
            choice = choose(problem, per_channel=False if line.ranged else per_channel)
            fitted.append(self._fit(stage, problem, held, choice))
            exact[line.output] = reading.value(exact[line.argument])
            forget(exact, stage)
            forget(held, stage)
            progress(1 / len(self._stages))
        self._read_out(exact, held)
        progress(1 / len(self._stages))
        for one in fitted:
            write_staircase(self._graph, one.line, one.staircase)
        return fitted

    def _fit(self, stage: Stage, problem: Problem, held: dict[str, Array], choice: Choice) -> Fitted:
        """The staircase of one activation, as chosen, on all samples; and what it makes of them."""
        reading, synapses, rows = problem.reading, problem.synapses, problem.rows
        if reading is None or problem.target is None:
            raise AssertionError("a readout has no staircase")
        line = reading.place
        if choice.ridge is not None and synapses is not None:
            synapses.add(problem.changes([choice.ridge], rows.all)[0])
            held |= stage.run(self._graph, held, self._count)
        z = held[line.argument]
        driven = rows.of(reading.driven(z), line.axis)
        shift = problem.shift(driven, rows.all) if choice.mean else np.zeros(len(driven))
        driven += shift[:, None].astype(np.float32)
        u = reading.rounded(driven)
        steps = fit_steps(u, problem.target, problem.levels, per_channel=choice.per_channel)
        staircase = staircase_of(line, steps, shift, z.ndim)
        level = staircase.level(reading.raw(z + staircase.before if np.any(staircase.before) else z))
        held[line.output] = staircase.value(level)
        return Fitted(line, staircase, choice, spike_count(level) / self._count)

    def _read_out(self, exact: dict[str, Array], held: dict[str, Array]) -> None:
        """Correct what the last synapses answer, as those before."""
        stage = self._stages[-1]
        exact |= stage.run(self._graph, exact, self._count)
        held |= stage.run(self._graph, held, self._count)
        for readout in self._readouts:
            z = held[readout.target]
            rows = draw_rows(z.shape, readout.axis, readout.synapses.terms * readout.synapses.groups)
            wanted, found = (rows.of(h[readout.target], readout.axis) for h in (exact, held))
            operands = _operands(readout.synapses, held, rows)
            problem = Problem(rows, wanted, found, np.ones(len(wanted)), readout.synapses, operands)
            choice, answer = choose(problem), problem.found
            if choice.ridge is not None:
                change = problem.changes([choice.ridge], rows.all)[0]
                answer = problem.moved(change)
                readout.synapses.add(change)
            if choice.mean:
                add_to(self._graph, readout.synapses.node, problem.shift(answer, rows.all))


def _problem(
    reading: ArgumentReader,
    synapses: Synapses | None,
    held: tuple[Mapping[str, Array], Mapping[str, Array]],
    levels: int,
) -> Problem:
    """What is to be fitted, of the tensors of the float network and of the quantised one."""
    line = reading.place
    exact, found = (h[line.argument] for h in held)
    rows = draw_rows(found.shape, line.axis, synapses.terms * synapses.groups if synapses else 0)
    return Problem(
        rows,
        wanted=rows.of(reading.driven(exact), line.axis),
        found=rows.of(reading.driven(found), line.axis),
        slope=np.broadcast_to(line.slope.ravel(), (found.shape[line.axis],)).astype(np.float64),
        synapses=synapses,
        operands=_operands(synapses, held[1], rows),
        reading=reading,
        target=rows.of(reading.target(exact), line.axis),
        levels=levels,
    )


@dataclass(frozen=True)
class _Readout:
    """Synapses behind the last activations."""

    synapses: Synapses
    target: str
    axis: int

    @property
    def source(self) -> str:
        return self.synapses.source


def _readouts(graph: gs.Graph, lines: list[QuantiserPlace]) -> list[_Readout]:
    """The weighted operators that no activation and no other synapses follow."""
    tensors = graph.tensors()
    arguments = {id(tensors[line.argument]) for line in lines}
    feeding = backward(graph.nodes, lambda node, written: is_weighted(node) or any(written), arguments)
    found = []
    for node in reversed(graph.nodes):
        if is_weighted(node) and not any(id(t) in feeding for t in node.outputs):
            out = node.outputs[0]
            axis = channel_axis(out)
            synapses = _reached(out, axis)
            if synapses is not None:
                found.append(_Readout(synapses, out.name, axis))
    return found


def _reached(tensor: gs.Tensor, axis: int) -> Synapses | None:
    channels = tensor.shape[axis]
    return synapses_of(tensor, int(channels)) if isinstance(channels, (int, np.integer)) else None


def _operands(
    synapses: Synapses | None, held: Mapping[str, Array], rows: SampledRows
) -> NDArray[np.float32] | None:
    return None if synapses is None else synapses.operands(held[synapses.source], rows.samples, rows.places)


def spike_count(levels: NDArray[np.float32]) -> int:
    """Ones in the binary codes of all levels."""
    return int(_ONES[levels.astype(np.uint16)].sum())


def forget(held: dict[str, Array], stage: Stage) -> None:
    """Drop what nothing reads any more."""
    for name in stage.done:
        held.pop(name, None)
