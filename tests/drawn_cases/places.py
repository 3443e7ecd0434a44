"""Operators over the places of an image: pools, means, interpolation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drawn_cases.building import MICROSOFT, Network
from drawn_cases.middles import Middle, Spelling, one
from drawn_cases.versions import over_axes, resize, resize_to, whole


def _pool(op: str, kernel: int, rank: int = 2, **attributes: Any) -> Spelling:
    return one(op, kernel_shape=[kernel] * rank, **attributes)


def _reduced(op: str, axes: list[int], keepdims: int = 1) -> Spelling:
    return lambda b, x: over_axes(b, op, x, axes, keepdims=keepdims)


_POOLS: Mapping[str, tuple[int, dict[str, Any]]] = {
    "2": (2, {"strides": [2, 2]}),
    "3 pads": (3, {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "3 uneven pads": (3, {"strides": [2, 1], "pads": [0, 1, 1, 2]}),
    "3 ceil": (3, {"strides": [2, 2], "ceil_mode": 1}),
    "3 pads ceil": (3, {"strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1}),
    "SAME_UPPER": (3, {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    "SAME_LOWER": (2, {"strides": [1, 1], "auto_pad": "SAME_LOWER"}),
    "VALID": (3, {"strides": [3, 3], "auto_pad": "VALID"}),
}
_MAXIMA: Mapping[str, Middle] = {
    **{
        f"MaxPool {k}": Middle(_pool("MaxPool", n, **a), codes=True, since=12) for k, (n, a) in _POOLS.items()
    },
    "MaxPool dilated": Middle(_pool("MaxPool", 3, dilations=[2, 2]), codes=True, since=12),
    "MaxPool sequence": Middle(_pool("MaxPool", 3, 1, strides=[2]), shape="sequence", codes=True, since=12),
    "MaxPool volume": Middle(_pool("MaxPool", 2, 3, strides=[2] * 3), shape="volume", codes=True, since=12),
    "MaxPool storage order": Middle(_pool("MaxPool", 2, strides=[2, 2], storage_order=1)),
    "GlobalMaxPool": Middle(one("GlobalMaxPool")),
    "GlobalMaxPool sequence": Middle(one("GlobalMaxPool"), shape="sequence"),
    "ReduceMax places": Middle(_reduced("ReduceMax", [2, 3])),
    "ReduceMax dropped": Middle(_reduced("ReduceMax", [-1], 0), since=11),
    "ReduceMax channels": Middle(_reduced("ReduceMax", [1])),
    "ReduceMin places": Middle(_reduced("ReduceMin", [2, 3])),
}
_MEANS: Mapping[str, Middle] = {
    **{f"AveragePool {k}": Middle(_pool("AveragePool", n, **a)) for k, (n, a) in _POOLS.items()},
    **{
        f"AveragePool {k} counted": Middle(_pool("AveragePool", n, count_include_pad=1, **a))
        for k, (n, a) in _POOLS.items()
        if k not in ("2", "VALID")
    },
    "AveragePool dilated": Middle(_pool("AveragePool", 2, dilations=[2, 2]), since=19),
    "AveragePool dilated counted": Middle(
        _pool("AveragePool", 3, dilations=[2, 2], pads=[1] * 4, count_include_pad=1), since=19
    ),
    "AveragePool sequence": Middle(_pool("AveragePool", 3, 1, pads=[1, 1]), shape="sequence"),
    "AveragePool volume": Middle(_pool("AveragePool", 2, 3, strides=[2] * 3), shape="volume"),
    "GlobalAveragePool": Middle(one("GlobalAveragePool")),
    "GlobalAveragePool volume": Middle(one("GlobalAveragePool"), shape="volume"),
    "ReduceMean places": Middle(_reduced("ReduceMean", [2, 3])),
    "ReduceMean dropped": Middle(_reduced("ReduceMean", [-2, -1], 0), since=11),
    "ReduceMean channels": Middle(_reduced("ReduceMean", [1])),
    "ReduceMean sequence": Middle(_reduced("ReduceMean", [2], 0), shape="sequence"),
    "ReduceSum places": Middle(_reduced("ReduceSum", [2, 3])),
    "ReduceSum dropped": Middle(_reduced("ReduceSum", [3], 0)),
    "ReduceSum over nothing": Middle(one("ReduceSum", None, noop_with_empty_axes=1), since=13),
}
_NEAREST: Mapping[str, dict[str, Any]] = {
    "asymmetric floor": {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    "half_pixel": {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_floor"},
    "half_pixel ceil": {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "ceil"},
    "half_pixel round_prefer_ceil": {"nearest_mode": "round_prefer_ceil"},
    "align_corners": {"coordinate_transformation_mode": "align_corners"},
    "pytorch_half_pixel": {"coordinate_transformation_mode": "pytorch_half_pixel", "nearest_mode": "floor"},
}
_COORDINATES = ("asymmetric", "half_pixel", "align_corners", "pytorch_half_pixel")
_RESIZES: Mapping[str, Middle] = {
    **{
        f"Resize nearest {k}": Middle(
            lambda b, x, a=a: resize(b, x, [1, 1, 2, 1.5], "nearest", **a), since=11, codes=True
        )
        for k, a in _NEAREST.items()
    },
    **{
        f"Resize linear {c}": Middle(
            lambda b, x, c=c: resize(b, x, [1, 1, 2, 1.5], "linear", coordinate_transformation_mode=c), since=11
        )
        for c in _COORDINATES
    },
    **{
        f"Resize cubic {c}": Middle(
            lambda b, x, c=c: resize(b, x, [1, 1, 2, 1.5], "cubic", coordinate_transformation_mode=c), since=11
        )
        for c in _COORDINATES
    },
    "Resize nearest opset 10": Middle(lambda b, x: resize(b, x, [1, 1, 2, 3], "nearest"), until=10),
    "Resize linear opset 10": Middle(lambda b, x: resize(b, x, [1, 1, 2, 2], "linear"), until=10),
    "Resize smaller": Middle(lambda b, x: resize(b, x, [1, 1, 0.5, 0.5], "nearest"), since=11, codes=True),
    "Resize linear smaller": Middle(lambda b, x: resize(b, x, [1, 1, 0.5, 0.75], "linear"), since=11),
    "Resize to sizes": Middle(lambda b, x: resize_to(b, x, [11, 16], "nearest"), since=11, codes=True),
    "Resize linear to sizes": Middle(lambda b, x: resize_to(b, x, [16, 6], "linear"), since=11),
    "Resize cubic excluded": Middle(
        lambda b, x: resize(b, x, [1, 1, 2, 2], "cubic", exclude_outside=1, cubic_coeff_a=-0.5), since=11
    ),
    "Resize tf_half_pixel_for_nn": Middle(
        lambda b, x: resize(
            b, x, [1, 1, 2, 1.5], "nearest", coordinate_transformation_mode="tf_half_pixel_for_nn"
        ),
        since=11,
        until=12,
    ),
    "Resize half_pixel_symmetric": Middle(
        lambda b, x: resize(
            b, x, [1, 1, 1.3, 1.5], "linear", coordinate_transformation_mode="half_pixel_symmetric"
        ),
        since=19,
    ),
    "Resize antialias": Middle(
        lambda b, x: resize(b, x, [1, 1, 0.5, 0.5], "linear", antialias=1), since=18
    ),
    "Resize by axes": Middle(
        lambda b, x: str(b.op("Resize", x, None, None, whole(12, 16), axes=[2, 3], mode="nearest")), since=18
    ),
    "Resize not larger": Middle(
        lambda b, x: str(
            b.op(
                "Resize", x, None, None, whole(6, 12), axes=[2, 3],
                mode="linear", keep_aspect_ratio_policy="not_larger",
            )
        ),
        since=18,
    ),
    "Resize a region": Middle(lambda b, x: _region(b, x, 0.0), since=11),
    "Resize a region outside": Middle(lambda b, x: _region(b, x, 2.5), since=11),
    "Resize sequence": Middle(lambda b, x: resize(b, x, [1, 1, 2], "linear"), shape="sequence", since=11),
    "Resize volume": Middle(lambda b, x: resize(b, x, [1, 1, 2, 1, 2], "nearest"), shape="volume", since=11),
}  # fmt: skip


def _region(b: Network, x: str, outside: float) -> str:
    """tf_crop_and_resize, inside of the image or beyond it."""
    end = 1.4 if outside else 0.8
    region = b.hold([0.0, 0.0, 0.2, 0.1, 1.0, 1.0, end, 0.9])
    return str(
        b.op(
            "Resize", x, region, None if b.opset >= 13 else b.hold([]), whole(b.of(x).shape[0], 4, 6, 6),
            mode="linear", coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=outside,
        )
    )  # fmt: skip


def _norm_pools() -> Mapping[str, Middle]:
    powers = {
        "LpPool": _pool("LpPool", 2, strides=[2, 2]),
        "GlobalLpPool": one("GlobalLpPool"),
        "LRN": one("LRN", size=3),
        "ReduceL1": _reduced("ReduceL1", [2, 3]),
        "ReduceL2": _reduced("ReduceL2", [2, 3]),
        "ReduceSumSquare": _reduced("ReduceSumSquare", [1]),
        "ReduceLogSumExp": _reduced("ReduceLogSumExp", [3]),
        "ReduceProd": _reduced("ReduceProd", [3]),
    }
    return {name: Middle(spell, synaptic=False) for name, spell in powers.items()}


PLACES: Mapping[str, Middle] = {**_MAXIMA, **_MEANS, **_RESIZES, **_norm_pools()}

__all__ = ["MICROSOFT", "PLACES"]
