"""What a conversion says of the batch that its source fixes."""

from __future__ import annotations

import onnx

from onnx2snn.data import input_specs

_SINGLE = "the source declares an open batch, and works for one sample at a time; the spiking network takes any number"
_FIXED = (
    "the source fixes a batch of {0}: it is free inside, and declared as in the source; "
    "sessions take any number of samples, {0} at a time"
)


def batch_notes(source: onnx.ModelProto, *, single: bool) -> tuple[str, ...]:
    """Lines for whoever converted ``source``; none where its batch is open.

    Args:
        source: As it was given.
        single: It declares an open batch, and works for one sample at a time.
    """
    if single:
        return (_SINGLE,)
    fixed = {spec.batch for spec in input_specs(source)} - {None}
    return tuple(_FIXED.format(batch) for batch in fixed) if len(fixed) == 1 else ()
