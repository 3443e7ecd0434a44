"""Pad as ONNX defines it: negative amounts cut off."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.reference.op_run import OpRun

Array = NDArray[Any]

#: NumPy's names.
_MODES = {"constant": "constant", "edge": "edge", "reflect": "reflect", "wrap": "wrap"}


def padded(x: Array, amounts: Array, mode: str, fill: Any) -> Array:
    """``x`` with cells in front of and behind each axis; first what is negative is cut off, then the rest is added.

    Args:
        x: Any tensor.
        amounts: By axis, cells in front and behind, (rank, 2).
        mode: What the cells hold: constant, edge, reflect or wrap.
        fill: Of constant ones.
    """
    cuts = np.minimum(amounts, 0)
    kept = x[tuple(slice(int(-a), n + int(b)) for n, (a, b) in zip(x.shape, cuts, strict=True))]
    options = {"constant_values": fill} if mode == "constant" else {}
    result: Array = np.pad(kept, np.maximum(amounts, 0), mode=_MODES[mode], **options)  # type: ignore[call-overload]
    return result


class Pad(OpRun):
    """As :func:`padded`; the reference evaluator's knows no negative amounts."""

    op_domain = ""

    def _run(
        self,
        data: Array,
        pads: Array,
        value: Array | None = None,
        axes: Array | None = None,
        mode: Any = None,
    ) -> tuple[Array]:
        amounts = np.zeros((data.ndim, 2), np.int64)
        chosen = np.arange(data.ndim) if axes is None else np.asarray(axes).reshape(-1) % data.ndim
        amounts[chosen] = np.asarray(pads).reshape(2, -1).T
        fill = data.dtype.type(0) if value is None else np.asarray(value).reshape(-1)[0]
        return (padded(data, amounts, mode or "constant", fill).astype(data.dtype, copy=False),)
