"""Entries picked by several indices, as entries picked along one axis."""

from __future__ import annotations

import math

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.analysis.facts import facts
from onnx2snn.graph.build import Spelling, spells
from onnx2snn.graph.core import Array, constant_input
from onnx2snn.operators.batch import static


@spells("GatherND")
def gather_along_one_axis(spelling: Spelling, node: gs.Node) -> None:
    """Write GatherND with constant indices as Gather.

        [H, W, N, C] ─▶ GatherND (.., 2)      becomes
        [H, W, N, C] ─▶ Transpose ─▶ [N, H, W, C] ─▶ Reshape ─▶ [N, H·W, C] ─▶ Gather ─▶ [N, .., C] ─▶ Transpose

    Exporters spell picking by several index arrays at once (``x[:, :, rows, columns]``) like that.

    1. Batch dimensions, an index into the batch axis, or open sizes: the node stays.
    """
    indices, shape = constant_input(node, 1), node.inputs[0].shape
    batch = facts(spelling.graph).batch_axes.get(node.inputs[0].name)
    if node.attrs.get("batch_dims", 0) or indices is None or shape is None or batch is None:
        return
    if batch >= indices.shape[-1] and static([size for axis, size in enumerate(shape) if axis != batch]):
        _gather(spelling, node, indices, batch)


def _gather(spelling: Spelling, node: gs.Node, indices: Array, batch: int) -> None:
    source, output = node.inputs[0], node.outputs[0]
    shape, picked = list(source.shape), indices.shape[-1]
    others = [axis for axis in range(picked, len(shape)) if axis != batch]
    places = np.ravel_multi_index(
        [indices[..., i] % shape[i] for i in range(picked)], [int(size) for size in shape[:picked]]
    )
    kept = [shape[axis] for axis in others]
    sizes = [shape[batch], *shape[:picked], *kept]
    turned = spelling.apply("Transpose", source, perm=[batch, *range(picked), *others], sizes=sizes)
    flat = [math.prod(int(size) for size in shape[:picked]), *kept]
    merged = spelling.apply("Reshape", turned, np.array([-1, *flat], np.int64), sizes=[shape[batch], *flat])
    sizes = [shape[batch], *places.shape, *kept]
    found = spelling.apply("Gather", merged, np.asarray(places, np.int64), axis=1, sizes=sizes)
    front = places.ndim
    back = [*range(1, front + 1)]
    rest = iter(range(front + 1, front + 1 + len(others)))
    back += [0 if axis == batch else next(rest) for axis in range(picked, len(shape))]
    node.outputs.clear()
    spelling.apply("Transpose", found, output=output, perm=back)
