"""Operators that move and copy entries: none changes a value."""

from __future__ import annotations

from dataclasses import replace

import onnx_graphsurgeon as gs

from onnx2snn.operators import (
    batch,
    conditions,
    counting,
    entries,
    error_rules,
    identities,
    jump_errors,
    layouts,
    multiples,
    parts,
    places,
    roundings,
    transfer,
    window_parts,
)
from onnx2snn.operators.spelled import plain
from onnx2snn.operators.table import Operator


def _always(_: gs.Node) -> bool:
    return True


def _nearest(node: gs.Node) -> bool:
    return bool(node.attrs.get("mode", "nearest") == "nearest")


def _fill(_: gs.Node) -> list[int]:
    return [2]


def every_input(node: gs.Node) -> range:
    """The operands of a sum."""
    return range(len(node.inputs))


_COPY = Operator(
    name="",
    copies=_always,
    counts=counting.copy,
    codes=(0,),
    errors=error_rules.passed(error_rules.same),
    roundings=0,
    quantum=multiples.copied,
    values=(0,),
    transfer=transfer.copied,
)
_MOVE = replace(_COPY, moves=True, silent=True)
_AMONG_CHANNELS = replace(_COPY, places=places.alike, linear=conditions.first)

OPERATORS = (
    replace(
        _MOVE,
        name="Identity",
        formula="{0}",
        passes=identities.always,
        entries=entries.same,
        linear=conditions.first,
        places=places.same,
        counts=counting.same,
        elementwise=True,
        plain=True,
    ),
    replace(
        _MOVE,
        name="Reshape",
        entries=entries.same,
        linear=conditions.reshape,
        places=places.regrouped,
        batch=batch.moved,
        plain=True,
        sized_by=1,
    ),
    replace(
        _MOVE,
        name="Flatten",
        linear=conditions.flatten,
        places=places.regrouped,
        batch=batch.moved,
        plain=True,
    ),
    replace(
        _MOVE,
        name="Squeeze",
        entries=entries.same,
        linear=conditions.squeeze,
        places=places.regrouped,
        batch=batch.shown,
        layout=layouts.removed,
        axes=1,
        plain=True,
    ),
    replace(
        _MOVE,
        name="Unsqueeze",
        entries=entries.same,
        linear=conditions.unsqueeze,
        places=places.regrouped,
        batch=batch.shown,
        layout=layouts.inserted,
        axes=1,
        plain=True,
    ),
    replace(
        _MOVE,
        name="Transpose",
        parts=parts.turned,
        linear=conditions.transpose,
        places=places.turned,
        batch=batch.shown,
        layout=layouts.turned,
    ),
    *_AMONG_CHANNELS.called("DepthToSpace", "SpaceToDepth"),
    replace(_COPY, name="Split", linear=conditions.split, places=places.alike),
    replace(
        _COPY,
        name="Gather",
        listed=0,
        entries=entries.taken,
        linear=conditions.gather,
        places=places.alike,
        batch=batch.gathered,
        grows=True,
    ),
    replace(
        _COPY,
        name="Slice",
        spelled=plain.narrowed,
        entries=entries.taken,
        linear=conditions.axes_kept,
        places=places.by_channel,
        axes=3,
    ),
    replace(
        _COPY,
        name="Expand",
        parts=parts.filled,
        linear=conditions.expand,
        places=places.by_channel,
        grows=True,
        passes=identities.same_shape,
        spreads=identities.widened,
        sized_by=1,
    ),
    replace(_COPY, name="Tile", linear=conditions.tile, places=places.by_channel, grows=True),
    replace(
        _COPY,
        name="Pad",
        passes=identities.without_padding,
        parts=window_parts.padded,
        transfer=transfer.padded,
        linear=conditions.pad,
        places=places.padded,
        terms=_fill,
        counts=counting.pad,
        codes=(0, 2),
        quantum=multiples.smallest,
        grows=True,
        values=(0, 2),
    ),
    replace(
        _COPY,
        name="Resize",
        spelled=plain.over_all_axes,
        parts=parts.resized,
        linear=conditions.resize,
        fill="extrapolation_value",
        places=places.by_channel,
        copies=_nearest,
        grows=True,
        counts=counting.resize,
        errors=error_rules.passed(error_rules.resized),
        roundings=roundings.resized,
        quantum=multiples.nearest,
    ),
    replace(
        _COPY,
        name="Concat",
        parts=parts.beside,
        joins=True,
        transfer=transfer.beside,
        entries=entries.joined,
        linear=conditions.axis_kept(),
        terms=every_input,
        counts=counting.concat,
        codes=(),
        values=None,
        quantum=multiples.beside,
    ),
    replace(
        _COPY,
        name="Where",
        formula="{1} if {0} else {2}",
        entries=entries.chosen,
        passes=identities.chosen,
        transfer=transfer.chosen,
        linear=conditions.where,
        terms=lambda _: (1, 2),
        broadcasts=True,
        elementwise=True,
        counts=counting.where,
        codes=(1, 2),
        values=(1, 2),
        errors=jump_errors.chosen,
        quantum=multiples.smallest,
    ),
    replace(
        _COPY,
        name="Dropout",
        copies=None,
        counts=None,
        codes=None,
        transfer=None,
        passes=identities.kept,
        trained=identities.dropping,
    ),
    Operator(name="CastLike", passes=identities.same_type),
    *replace(_COPY, copies=None, counts=None, codes=None, transfer=None).called("GatherND", "GatherElements"),
    replace(
        _COPY,
        name="Trilu",
        linear=conditions.cut_off,
        places=places.same,
        copies=None,
        codes=None,
        transfer=None,
        silent=True,
    ),
    Operator(name="CenterCropPad", grows=True),
    Operator(name="OneHot", grows=True, batch=batch.spread),
)
