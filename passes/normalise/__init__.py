"""The normalise stage: one spelling for what exporters write in many."""

from __future__ import annotations

from onnx2snn.analysis.pass_manager import Fixpoint
from onnx2snn.graph.core import Pass
from onnx2snn.passes.normalise.batch_to_front import batch_to_front
from onnx2snn.passes.normalise.channels_first import channels_first
from onnx2snn.passes.normalise.compute_in_float32 import compute_in_float32
from onnx2snn.passes.normalise.decompose_quantisers import decompose_quantisers
from onnx2snn.passes.normalise.drop_identities import drop_identities
from onnx2snn.passes.normalise.expand_functions import expand_functions
from onnx2snn.passes.normalise.expand_fused_operators import expand_fused_operators
from onnx2snn.passes.normalise.fold_constants import fold_constants
from onnx2snn.passes.normalise.free_batch import free_batch
from onnx2snn.passes.normalise.gather_along_one_axis import gather_along_one_axis
from onnx2snn.passes.normalise.gather_in_samples import gather_in_samples
from onnx2snn.passes.normalise.infer_shapes import infer_shapes
from onnx2snn.passes.normalise.inline_conditionals import inline_conditionals
from onnx2snn.passes.normalise.merge_moves import merge_moves
from onnx2snn.passes.normalise.narrow_constants import narrow_constants
from onnx2snn.passes.normalise.open_sequences import open_sequences
from onnx2snn.passes.normalise.pick_along_first_axis import pick_along_first_axis
from onnx2snn.passes.normalise.refuse_mixed_samples import refuse_mixed_samples
from onnx2snn.passes.normalise.samples_first import samples_first
from onnx2snn.passes.normalise.spell_batch_norm import spell_batch_norm
from onnx2snn.passes.normalise.spell_operators import spell_operators
from onnx2snn.passes.normalise.spell_windows import spell_windows

NORMALISE: tuple[Pass, ...] = (
    fold_constants,  # in the types that the file computes them in: float16 overflows
    compute_in_float32,
    Fixpoint(  # each may show the others more: constants, types, sizes
        expand_fused_operators,
        expand_functions,
        channels_first,
        decompose_quantisers,
        fold_constants,
        inline_conditionals,
        open_sequences,
        drop_identities,
        infer_shapes,
        pick_along_first_axis,
        spell_windows,
    ),
    spell_batch_norm,
    spell_operators,
    gather_along_one_axis,
    gather_in_samples,
    narrow_constants,
    samples_first,
    free_batch,
    infer_shapes,
    batch_to_front,
    merge_moves,
    refuse_mixed_samples,
)
