"""Graph passes: the pipeline reads as a table of contents.

Every entry is one pure function ``Graph → Graph`` in a file of its own. After each of them the graph is a valid ONNX
model that computes the same function, in stock runtimes.
"""

from __future__ import annotations

from onnx2snn.analysis.pass_manager import Fixpoint
from onnx2snn.graph.core import Pass
from onnx2snn.passes.normalise import NORMALISE
from onnx2snn.passes.normalise.merge_moves import merge_moves
from onnx2snn.passes.normalise.push_moves import push_moves
from onnx2snn.passes.recognise.bound_roundings import bound_roundings
from onnx2snn.passes.recognise.choose_by_products import choose_by_products
from onnx2snn.passes.recognise.drop_requantisers import drop_requantisers
from onnx2snn.passes.recognise.encode_lattices import encode_lattices
from onnx2snn.passes.recognise.maxima_first import maxima_first
from onnx2snn.passes.recognise.open_gates import open_gates
from onnx2snn.passes.recognise.recognise_staircases import recognise_staircases
from onnx2snn.passes.rewrite.absorb_scales import absorb_backwards, absorb_forwards, unit_thresholds
from onnx2snn.passes.rewrite.drop_neutral import drop_neutral
from onnx2snn.passes.rewrite.fuse_batch_norm import fuse_batch_norm
from onnx2snn.passes.rewrite.hold_operands import hold_operands
from onnx2snn.passes.rewrite.insert_integrates import insert_integrates
from onnx2snn.passes.rewrite.integer_inputs import integer_inputs
from onnx2snn.passes.rewrite.integer_weights import integer_weights, note_integers
from onnx2snn.passes.rewrite.integrate_whole_levels import integrate_whole_levels
from onnx2snn.passes.rewrite.rate_levels import rate_levels
from onnx2snn.passes.rewrite.scale_thresholds import scale_thresholds
from onnx2snn.passes.rewrite.shift_biases import shift_biases
from onnx2snn.passes.rewrite.spike import spike

#: One spelling: what the recogniser reads.
PREPARE: tuple[Pass, ...] = (
    *NORMALISE,
    drop_requantisers,
    Fixpoint(push_moves, merge_moves),
    maxima_first,
    bound_roundings,
    note_integers,
)

#: Activations become staircases of integer levels.
RECOGNISE: tuple[Pass, ...] = (
    drop_requantisers,
    choose_by_products,
    recognise_staircases,
    encode_lattices,
    encode_lattices,
    open_gates,
)

#: Affine maps between staircases become synapses and biases.
REWRITE: tuple[Pass, ...] = (
    fuse_batch_norm,
    hold_operands,
    scale_thresholds,
    insert_integrates,
    shift_biases,
    drop_neutral,
    absorb_backwards,
    unit_thresholds,
    absorb_forwards,
    integrate_whole_levels,
    drop_neutral,
    integer_weights,
    integer_inputs,
)


def neurons(*, bias: str = "once", coding: str = "binary", timesteps: int | None = None) -> tuple[Pass, ...]:
    """The passes from staircases to neurons, in order.

    Args:
        bias: How the shifted bias enters (METHOD 4).
        coding: What a spike carries: ``binary`` 2^(T−t), ``rate`` 1.
        timesteps: T of the rate code; None for as many as levels.
    """
    recode = (rate_levels(timesteps),) if coding == "rate" else ()
    return (*recode, *REWRITE, spike(bias, coding))


def pipeline(*, bias: str = "once") -> tuple[Pass, ...]:
    """All passes from an imported graph to a spiking one, in order."""
    return (*PREPARE, *RECOGNISE, *neurons(bias=bias))


__all__ = ["PREPARE", "RECOGNISE", "REWRITE", "neurons", "pipeline"]
