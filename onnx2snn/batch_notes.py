"""What a conversion says of the batch that its source fixes."""

from __future__ import annotations

import onnx

from onnx2snn.data import batch_of, input_specs

_INSIDE = (
    "the source declares an open batch, and works for {0} at a time; the spiking network takes any number"
)
_OPENED = "the source fixes a batch of 1: it is freed, the spiking network takes any number of samples"
_FIXED = (
    "the source fixes a batch of {0}: it is free inside, and declared as in the source; "
    "sessions take any number of samples, {0} at a time"
)


def batch_notes(source: onnx.ModelProto, *, at_a_time: int | None, opened: bool) -> tuple[str, ...]:
    """Lines for whoever converted ``source``; none where its batch is open.

    Args:
        source: As it was given.
        at_a_time: It declares an open batch, and works for so many samples at a time.
        opened: It declares a batch of 1, and what was made of it an open one.
    """
    if opened:
        return (_OPENED,)
    if at_a_time is not None:
        return (_INSIDE.format("one sample" if at_a_time == 1 else f"{at_a_time} samples"),)
    batch = batch_of(input_specs(source))
    return () if batch is None else (_FIXED.format(batch),)
