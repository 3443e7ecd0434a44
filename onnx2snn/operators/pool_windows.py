"""Where the windows of a pooling lie along one axis: as onnxruntime and ONNX's operator set 22 place them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

SAME = ("SAME_UPPER", "SAME_LOWER")


@dataclass(frozen=True)
class Windows:
    """The windows of a pooling along one axis, of an input of ``size`` cells.

    Attributes:
        size: Cells of the input.
        extent: Cells from the first to the last that a window covers, (kernel - 1)·dilation + 1.
        stride: Cells from one window to the next.
        before: Padding in front; negative: cells that no window reaches.
        after: Padding behind, likewise.
        ceil: Whether a last window may hang over the padding behind. It never begins in it.
    """

    size: int
    extent: int
    stride: int
    before: int
    after: int
    ceil: bool

    @property
    def count(self) -> int:
        """How many there are."""
        room = self.size + self.before + self.after - self.extent
        if not self.ceil:
            return int(room / self.stride) + 1  # towards 0: one that is larger than all there is stays
        count = -(-room // self.stride) + 1
        return count - ((count - 1) * self.stride >= self.size + self.before)

    @property
    def claimed(self) -> int:
        """How many there are by the rule of operator sets up to 21: a last one may begin in the padding, or behind it."""
        room = self.size + self.before + self.after - self.extent
        return (-(-room // self.stride) if self.ceil else int(room / self.stride)) + 1

    @property
    def needed(self) -> int:
        """The padding behind with which the last window just ends there; negative: cells that no window reaches."""
        return (self.count - 1) * self.stride + self.extent - self.size - self.before


def windows_of(
    auto_pad: str, size: int, kernel: int, dilation: int, stride: int, *, pads: tuple[int, int], ceil: bool
) -> Windows:
    """The windows along one axis.

    1. ``SAME_UPPER``, ``SAME_LOWER``: padding for one window to each stride begun, ``ceil_mode`` or not; onnxruntime's
       kernels forget dilations there, and so have fewer. Windows smaller than their stride leave cells out at the ends where
       others take padding. Halves are rounded towards 0.
    2. ``VALID``: no padding, which a last window hangs over with ``ceil_mode``.
    """
    extent = (kernel - 1) * dilation + 1
    if auto_pad in SAME:
        total = (-(-size // stride) - 1) * stride + kernel - size
        before = int((total + (auto_pad == "SAME_LOWER")) / 2)
        return Windows(size, extent, stride, before, total - before, ceil=False)
    before, after = (0, 0) if auto_pad == "VALID" else pads
    return Windows(size, extent, stride, before, after, ceil)


def whole_windows(shape: list[int | str] | None, attrs: dict[str, Any]) -> list[int] | None:
    """Amounts of a Pad that makes every window of a pooling with ``ceil_mode`` whole; None where a size is not known.

    The last window begins inside of the tensor or of the padding in front of it.
    """
    kernel = attrs["kernel_shape"]
    rank = len(kernel)
    strides = attrs.get("strides", [1] * rank)
    pads = attrs.get("pads", [0] * (2 * rank))
    sizes = (shape or [""] * (rank + 2))[2:]
    ends = []
    for size, window, stride, before, after in zip(
        sizes, kernel, strides, pads[:rank], pads[rank:], strict=True
    ):
        if not isinstance(size, (int, np.integer)):
            return None
        last = -(-(size + before + after - window) // stride)
        if last * stride >= size + before:
            last -= 1
        ends.append(max(0, last * stride + window - size - before))
    return [0, 0, *pads[:rank], 0, 0, *ends]
