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
from onnx2snn.calibration.lines import QuantiserPlace
from onnx2snn.calibration.quantiser_places import find_places
from onnx2snn.calibration.ranges import Seen, look
from onnx2snn.calibration.writing import Staircased, write_staircase
from onnx2snn.errors import ConversionError
from onnx2snn.graph.core import Array
from onnx2snn.operators.linear import is_neuron
from onnx2snn.passes import PREPARE, RECOGNISE
from onnx2snn.passes.importer import import_model
from onnx2snn.passes.normalise.refuse_undefined import refuse_undefined
from onnx2snn.remedies import ACTIVATIONS, AS_IT_IS, CALIBRATE, FUNCTIONS, HYBRID, KEEP, QUANTISE, either


@dataclass(frozen=True)
class Prepared:
    """A float network.

    Attributes:
        graph: Normalised, with an Identity wherever a quantiser comes to stand beside those of clipped lines.
        source: The same without: what the float network computes.
        places: Those of staircases, in order.
        seen: What samples showed of tensors whose range is to be chosen.
        kept: Operators between synapses that stay non-spiking (``hybrid``).
    """

    graph: gs.Graph
    source: gs.Graph
    places: list[QuantiserPlace]
    seen: dict[str, Seen]
    kept: tuple[NonSpiking, ...]


def prepare(
    source: onnx.ModelProto,
    *,
    hybrid: bool,
    exact: bool = False,
    samples: Mapping[str, Array] | None = None,
) -> Prepared:
    """Find where staircases belong in ``source``, and check that with them it would convert.

    Args:
        source: The float network.
        hybrid: Keep what has no staircase.
        exact: Quantise currents that enter synapses, too.
        samples: Inputs (N, ...) from which ranges are chosen.

    Raises:
        ConversionError: another nonlinearity lies between synapses, there is nothing to calibrate, or it was exported in
            training mode.
    """
    graph = import_model(source)
    refuse_training_mode(graph)
    graph = apply_owned(refuse_undefined(graph), PREPARE)
    float_graph = graph.copy()
    places = find_places(graph, exact=exact)
    trial = _with_staircases(graph, places)
    left = non_spiking(trial, recognise_checked(trial).rejected)
    spikes = any(map(is_neuron, trial.nodes))
    between = obstacles(left)
    if ((between and not hybrid) or not spikes) and (dynamic := dynamic_quantisation(graph)):
        raise dynamic
    if between and not (hybrid and spikes):
        raise _no_staircase(between[0], spikes=spikes)
    if not spikes:
        raise ConversionError("this network has no activation: nothing in it could spike", remedy=ACTIVATIONS)
    if not places:
        raise ConversionError("there is no float activation to calibrate", remedy=AS_IT_IS)
    seen = {} if samples is None else look(float_graph, places, samples)
    return Prepared(graph, float_graph, places, seen, tuple(left) if hybrid else ())


def _no_staircase(first: NonSpiking, *, spikes: bool) -> ConversionError:
    """Of what lies between synapses; it may be kept where something else spikes."""
    reason, remedy = first.reason.replace("is not quantised", "has no staircase"), first.remedy
    if first.remedy in (CALIBRATE, HYBRID) or first.remedy.startswith(QUANTISE):
        remedy = either(FUNCTIONS, KEEP) if spikes else FUNCTIONS
    return ConversionError(reason, node=first.name, operator=first.operator, remedy=remedy)


def _with_staircases(graph: gs.Graph, places: list[QuantiserPlace]) -> gs.Graph:
    """The network as it would be recognised, were there a staircase at every place."""
    trial = graph.copy()
    tensors = trial.tensors()
    for place in places:
        channels = tensors[place.root].shape[place.axis]
        rank = len(tensors[place.root].shape)
        size = int(channels) if isinstance(channels, (int, np.integer)) and not place.ranged else 1
        steps = np.linspace(1, 2, size, dtype=np.float32).reshape((-1,) + (1,) * (rank - 1 - place.axis))
        half, low = np.float32(0.5), place.low.astype(np.float32)
        write_staircase(trial, place, Staircased(steps, np.asarray(half), steps, low, levels=3))
    return apply_owned(trial, RECOGNISE)
