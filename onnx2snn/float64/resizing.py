"""Resize to the nearest cell, as runtimes find it: which cell is nearest is decided by coordinates in float32."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from onnx.reference.ops.op_resize import Resize as ReferenceResize

from onnx2snn.model.reference import run_reference

Array = NDArray[Any]


#: Places that float32 can number.
MOST = 1 << 24


class Resize(ReferenceResize):
    """Cells of any type, each where onnxruntime takes it from; interpolation is as the reference has it."""

    op_domain = ""

    def _run(
        self, X: Array, roi: Array | None = None, scales: Array | None = None, sizes: Array | None = None,
        antialias: int | None = None, axes: Sequence[int] | None = None,
        coordinate_transformation_mode: str | None = None, cubic_coeff_a: float | None = None,
        exclude_outside: int | None = None,
        extrapolation_value: float | None = None, keep_aspect_ratio_policy: str | None = None, mode: str | None = None,
        nearest_mode: str | None = None,
    ) -> tuple[Array]:  # fmt: skip
        given = {"roi": roi, "scales": scales, "sizes": sizes}
        alone = [axis for axis in (0, 1) if self._kept(X, axis, given)]
        shape = (*(1 for _ in alone), *X.shape[len(alone) :])
        if mode != "nearest" or alone[:1] != [0] or math.prod(shape) > MOST:
            found: tuple[Array] = super()._run(
                X, roi, scales, sizes, antialias, axes, coordinate_transformation_mode, cubic_coeff_a, exclude_outside,
                extrapolation_value, keep_aspect_ratio_policy, mode, nearest_mode,
            )  # fmt: skip
            return found
        places = self._places(shape, given, len(alone))
        inside = X.reshape(*X.shape[: len(alone)], -1)[..., np.maximum(places, 0).ravel()]
        y = inside.reshape(*X.shape[: len(alone)], *places.shape[len(alone) :])
        outside = float(extrapolation_value or 0.0)
        return (np.where(places < 0, np.asarray(outside, X.dtype), y),)

    def _kept(self, x: Array, axis: int, given: dict[str, Array | None]) -> bool:
        """Whether an axis stays as it is."""
        axes = self._axes(x.ndim)
        place = next((i for i, a in enumerate(axes) if a % x.ndim == axis), None)
        scales, sizes = given.get("scales"), given.get("sizes")
        if place is None:
            return True
        if scales is not None and scales.size:
            return bool(scales[place] == 1)
        return sizes is not None and bool(sizes[place] == x.shape[axis])

    def _axes(self, rank: int) -> list[int]:
        """What scales and sizes are listed for."""
        given = next((list(a.ints) for a in self.onnx_node.attribute if a.name == "axes"), None)
        return list(range(rank)) if given is None else given

    def _places(self, shape: tuple[int, ...], given: dict[str, Array | None], kept: int) -> NDArray[np.int64]:
        """Where each cell comes from, of places in ``shape`` that follow each other; −1 outside."""
        node = onnx.NodeProto()
        node.CopyFrom(self.onnx_node)
        for attribute in node.attribute:
            if attribute.name == "extrapolation_value":
                attribute.f = -1.0
        if not any(a.name == "extrapolation_value" for a in node.attribute):
            node.attribute.append(helper.make_attribute("extrapolation_value", -1.0))
        held = {name: value for name, value in given.items() if value is not None and value.size}
        if "sizes" in held:
            axes = [a % len(shape) for a in self._axes(len(shape))]
            held["sizes"] = np.where(np.array(axes) < kept, 1, held["sizes"]).astype(np.int64)
        held = {n: v if n == "sizes" else v.astype(np.float32) for n, v in held.items()}
        node.input[:] = ["x", *(name if name in held else "" for name in ("roi", "scales", "sizes"))]
        node.output[:] = ["y"]
        x = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
        types = {"x": TensorProto.FLOAT} | {
            n: helper.np_dtype_to_tensor_dtype(v.dtype) for n, v in held.items()
        }
        graph = helper.make_graph(
            [node], "places", [helper.make_tensor_value_info(n, t, None) for n, t in types.items()],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        )  # fmt: skip
        opsets = [helper.make_opsetid(domain, v) for domain, v in self.run_params["opsets"].items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        return np.asarray(run_reference(model, {"x": x, **held})["y"], np.int64)
