"""A float network ready to be calibrated, or the reason why it cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnx2snn.activations.check_float32 import recognise_checked
from onnx2snn.analysis.non_spiking import NonSpiking, dynamic_quantisation, non_spiking, obstacles
from onnx2snn.analysis.pass_manager import apply_owned
from onnx2snn.analysis.training_mode import refuse_training_mode
from onnx2snn.calibration.entering import Entering, choose_ranges, put_clips
from onnx2snn.calibration.lines import ClippedLine, clipped_lines
from onnx2snn.calibration.writing import Staircased, write_staircase
from onnx2snn.errors import ConversionError
from onnx2snn.graph.core import Array, tidy
from onnx2snn.operators.linear import is_neuron
from onnx2snn.passes import PREPARE, RECOGNISE
from onnx2snn.passes.importer import import_model
from onnx2snn.passes.normalise.refuse_undefined import refuse_undefined
from onnx2snn.remedies import ACTIVATIONS, AS_IT_IS, CALIBRATE, KEEP, QUANTISE, RELU, either


@dataclass(frozen=True)
class Prepared:
    """A float network.

    Attributes:
        graph: Normalised, with a Clip wherever a quantiser was put in.
        source: The same without: what the float network computes.
        lines: Those that become staircases, in order.
        kept: Operators between synapses that stay non-spiking (``hybrid``).
    """

    graph: gs.Graph
    source: gs.Graph
    lines: list[ClippedLine]
    kept: tuple[NonSpiking, ...]


def prepare(
    source: onnx.ModelProto,
    *,
    hybrid: bool,
    exact: bool = False,
    samples: Mapping[str, Array] | None = None,
    levels: int = 15,
) -> Prepared:
    """Find the activations of ``source``, and check that with staircases in their place it would convert.

    Args:
        source: The float network.
        hybrid: Keep what has no staircase.
        exact: Quantise currents that enter synapses, too.
        samples: Inputs (N, ...) from which the ranges of quantisers that are put in are chosen.
        levels: K, for these.

    Raises:
        ConversionError: another nonlinearity lies between synapses, there is nothing to calibrate, or it was exported in
            training mode.
    """
    graph = import_model(source)
    refuse_training_mode(graph)
    graph = apply_owned(refuse_undefined(graph), PREPARE)
    float_graph = graph.copy()
    tensors, lines = graph.tensors(), clipped_lines(graph)
    if exact and samples is not None and lines:  # ranges are chosen from data alone
        put_clips(graph, Entering(graph, {id(tensors[line.output]) for line in lines}).wanted.values())
        graph = tidy(graph)
        choose_ranges(graph, float_graph, samples, levels)
        lines = clipped_lines(graph)
    trial = _with_staircases(graph, lines)
    left = non_spiking(trial, recognise_checked(trial).rejected)
    spikes = any(map(is_neuron, trial.nodes))
    between = obstacles(left)
    if ((between and not hybrid) or not spikes) and (dynamic := dynamic_quantisation(graph)):
        raise dynamic
    if between and not (hybrid and spikes):
        raise _no_staircase(between[0], spikes=spikes)
    if not spikes:
        raise ConversionError("this network has no activation: nothing in it could spike", remedy=ACTIVATIONS)
    if not lines:
        raise ConversionError("there is no float activation to calibrate", remedy=AS_IT_IS)
    return Prepared(graph, float_graph, lines, tuple(left) if hybrid else ())


def _no_staircase(first: NonSpiking, *, spikes: bool) -> ConversionError:
    """Of what lies between synapses; it may be kept where something else spikes."""
    reason, remedy = first.reason.replace("is not quantised", "has no staircase"), first.remedy
    if first.remedy == CALIBRATE or first.remedy.startswith(QUANTISE):
        remedy = either(RELU, KEEP) if spikes else RELU
    return ConversionError(reason, node=first.name, operator=first.operator, remedy=remedy)


def _with_staircases(graph: gs.Graph, lines: list[ClippedLine]) -> gs.Graph:
    """The network as it would be recognised, were every clipped line a staircase."""
    trial = graph.copy()
    tensors = trial.tensors()
    for line in lines:
        channels = tensors[line.root].shape[line.axis]
        rank = len(tensors[line.root].shape)
        size = int(channels) if isinstance(channels, (int, np.integer)) else 1
        steps = np.linspace(1, 2, size, dtype=np.float32).reshape((-1,) + (1,) * (rank - 1 - line.axis))
        half, low = np.float32(0.5), line.low.astype(np.float32)
        write_staircase(trial, line, Staircased(steps, np.asarray(half), steps, low, levels=3))
    return apply_owned(trial, RECOGNISE)
