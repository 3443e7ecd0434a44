"""What between neurons is no spiking operator: refused by name, or kept on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.operators import HANDLERS
from onnx2snn.activations.recognise import Rejected
from onnx2snn.analysis.dataflow import influenced_by
from onnx2snn.analysis.reach import (
    before_synapses,
    evaluated_nodes,
    is_passed,
    is_quantiser,
    straight_to_neurons,
    straight_to_unread,
)
from onnx2snn.errors import ConversionError
from onnx2snn.graph.build import is_integer_type
from onnx2snn.graph.core import DYNAMIC, origin
from onnx2snn.model.domains import MICROSOFT
from onnx2snn.operators import of
from onnx2snn.operators.linear import (
    EXTREME,
    ORDER_PRESERVING,
    float_signals,
    is_line,
    is_weighted,
)
from onnx2snn.operators.quantising import QONNX, mixes_signs
from onnx2snn.remedies import (
    ACTIVATIONS,
    CHANNEL_SCALES,
    CONSTANTS,
    FEWER_BITS,
    HYBRID,
    INTEGER_CODES,
    ONE_SAMPLE,
    ONE_SCALE,
    ONE_SCALE_INSIDE,
    QUANTISE,
    REPLACE,
    SHAPES,
    STATIC,
    either,
)

NO_LATTICE = "and their values have no common measure within 16 bits"


@dataclass(frozen=True)
class NonSpiking:
    """An operator between neurons that is evaluated on decoded values.

    Attributes:
        name: The user's node.
        operator: Its operator.
        reason: Why it does not spike.
        remedy: What to do.
        follows: It would be part of neurons, were the activation behind it quantised: a maximum of potentials, or what stands in
            front of a quantiser that was not read.
        readout: Nothing but the neurons of quantised outputs is behind it: it is reported where others are kept, and keeps no
            network from converting.
    """

    name: str
    operator: str
    reason: str
    remedy: str
    follows: bool = False
    readout: bool = False


def non_spiking(graph: gs.Graph, rejected: Mapping[str, Rejected]) -> list[NonSpiking]:
    """Nonlinearities with synapses on both sides that no neuron stands for.

    In front of the first synapses a network may do what it likes (its input is analog), and so it may behind the last
    (its output is read out). Max pooling of potentials that go straight into neurons is part of the method.
    """
    misses = {name: miss for miss in rejected.values() for name in miss.nodes}
    nodes, feeding = evaluated_nodes(graph), before_synapses(graph)
    activations = {node.name for node in nodes if of(node).elementwise and not is_line(node)}
    hoped = straight_to_neurons(graph, {*misses, *activations})
    awaited = straight_to_unread(graph, nodes)
    found = []
    for node in nodes:
        described = _described(node, misses.get(node.name))
        follows = node.op in (*ORDER_PRESERVING, *EXTREME) and all(id(t) in hoped for t in node.outputs)
        follows = follows and node.name not in misses
        if is_quantiser(node) or node.op in HANDLERS or is_passed(node):
            follows = follows or all(id(t) in awaited for t in node.outputs)
        readout = not any(id(t) in feeding for t in node.outputs)
        found.append(replace(described, follows=follows, readout=readout))
    return list(dict.fromkeys(found))


def obstacles(found: Sequence[NonSpiking]) -> list[NonSpiking]:
    """Those that have to change: what only follows from another is none, nor is what belongs to the readout."""
    between = [kept for kept in found if not kept.readout]
    return [kept for kept in between if not kept.follows] or between


def refusal(
    found: Sequence[NonSpiking], rejected: Sequence[Rejected], *, spikes: bool, hybrid: bool
) -> ConversionError:
    """Names the first operator that cannot spike, or says that the network has no neuron; with node, cause and remedy."""
    between = obstacles(found)
    if between and not (hybrid and spikes):
        first, *others = between
        more = f" ({len(others)} more like it)" if others else ""
        remedy = first.remedy if spikes else first.remedy.replace(HYBRID, REPLACE)  # nothing else would spike
        return ConversionError(
            f"{first.reason}{more}", node=first.name, operator=first.operator, remedy=remedy
        )
    for miss in rejected:
        return ConversionError(
            f"no activation of this network is quantised: {miss.reason}",
            node=miss.node,
            operator=miss.operator,
            remedy=miss.remedy,
        )
    return ConversionError("this network has no activation: nothing in it could spike", remedy=ACTIVATIONS)


def dynamic_quantisation(graph: gs.Graph) -> ConversionError | None:
    """The refusal of a network whose activations are quantised by scales of each sample; None where none are."""
    reached = influenced_by(graph, lambda node: is_weighted(node) or of(node).code_products)
    for node in graph.nodes:
        behind = any(id(t) in reached for t in node.inputs)
        whole = of(node).by_range
        if behind and (whole or DYNAMIC in node.attrs):
            samples = ", and on all samples of a batch together" if whole else ""
            return ConversionError(
                f"dynamic quantisation: its scale depends on the data{samples}",
                node=next(iter(origin(node)), node.name),
                operator="DynamicQuantizeLinear",
                remedy=either(ONE_SAMPLE, STATIC) if whole else STATIC,
            )
    return None


def _described(node: gs.Node, miss: Rejected | None) -> NonSpiking:
    if any(t.shape is None for t in float_signals(node)):
        name = next(iter(origin(node)), node.outputs[0].name)
        return NonSpiking(name, node.op, "the shape of what it reads is not known", SHAPES)
    if miss is not None:
        reason = f"this activation is not quantised: {miss.reason}"
        return NonSpiking(miss.node, miss.operator, reason, miss.remedy)
    names = origin(node)
    name = names[0] if names else node.outputs[0].name
    if len(float_signals(node)) > 1 and of(node).multiplies:
        return NonSpiking(name, node.op, "a product of two activations is not a spiking operator", HYBRID)
    if node.op in EXTREME:
        reason = f"the activations that it compares lie on different grids, {NO_LATTICE}"
        return NonSpiking(name, node.op, reason, either(ONE_SCALE, HYBRID))
    if is_quantiser(node):
        reason, remedy = _unread_quantiser(node)
        return NonSpiking(name, node.op, reason, either(remedy, HYBRID))
    if node.op in ORDER_PRESERVING:
        reason = f"what it pools is no single activation (a sum, a mean, terms by place), {NO_LATTICE}"
        return NonSpiking(name, node.op, reason, either(ONE_SCALE_INSIDE, HYBRID))
    if node.domain == MICROSOFT:
        reason = "this form of onnxruntime's own operator is not written out in operators of ONNX"
        return NonSpiking(name, node.op, reason, HYBRID)
    if not float_signals(node):
        reason = "what it computes with integers between neurons is not a spiking operator"
        return NonSpiking(name, node.op, reason, HYBRID)
    if of(node).linear:
        reason = "it mixes samples of the batch, or its parameters are not constant"
        return NonSpiking(name, node.op, reason, HYBRID)
    reason = "this nonlinearity between neurons is not a spiking operator"
    return NonSpiking(name, node.op, reason, either(QUANTISE, HYBRID) if of(node).elementwise else HYBRID)


def _unread_quantiser(node: gs.Node) -> tuple[str, str]:
    """Why a quantiser was not written as arithmetic, and what to do.

    1. Its codes are small floats (float8, float4): a table of thresholds, no staircase.
    2. It has a scale for each block of channels.
    3. Some of its channels have one bit with a sign, others more levels than a table holds.
    4. Its parameters are computed from data.
    """
    code = node.outputs[0].dtype if of(node).whole else node.inputs[0].dtype
    small_floats = node.domain not in QONNX and code is not None and not is_integer_type(code)
    if node.op == "FloatQuant" or small_floats:
        found = "" if node.op == "FloatQuant" else f" ({np.dtype(code)})"
        return f"its codes are small floats{found}, whose steps are not alike", INTEGER_CODES
    if node.attrs.get("block_size", 0):
        return "it has a scale for each block", CHANNEL_SCALES
    if mixes_signs(node):
        reason = (
            "some of its channels are one bit with a sign, others have more levels than a table of thresholds"
        )
        return reason, FEWER_BITS
    return (
        "its parameters (scale, zero point, bits, thresholds) are no constants",
        CONSTANTS,
    )
