"""A detector of two stages (R-CNN): what the first one finds is selected by the data, and the second looks at that alone."""

from __future__ import annotations

import numpy as np
import onnx
from helpers_control_flow import Middle
from helpers_graphs import make_model, node
from helpers_operators import dyadic
from onnx import TensorProto, helper

CONSTANTS = {
    "half": np.float32(0.5), "zero": np.float32(0), "five": np.float32(5), "four": np.float32(4), "least": np.float32(-1e9),
    "k1": dyadic(4, 3, 3, 3, seed=1), "k2": dyadic(4, 4, 3, 3, seed=2), "k3": dyadic(1, 4, 1, 1, seed=3),
    "k4": dyadic(4, 4, 1, 1, seed=4), "f1": dyadic(36, 8, seed=5), "f2": dyadic(8, 8, seed=6), "f3": dyadic(8, 3, seed=7),
    "all": np.array([-1]), "boxes": np.array([-1, 4]), "six": np.array([6]), "axis0": np.array([0]), "axis1": np.array([1]),
    "of_one": np.array([1, -1, 4]), "scores": np.array([1, 1, -1]), "five_boxes": np.array([5]), "two": np.array([2]),
    "end": np.array([3]), "overlap": np.array([0.5], np.float32), "any": np.array([-1e9], np.float32),
}  # fmt: skip


def relu(source: str, name: str) -> list[onnx.NodeProto]:
    return [node("Relu", [source], [name])]


def regions(backbone: Middle, head: Middle, batch: int | str = 1) -> onnx.ModelProto:
    """A backbone, proposals of regions, and a head that reads each; activations of the one and of the other."""
    nodes = [
        node("Conv", ["x", "k1"], ["c1"], name="conv", pads=[1] * 4),
        *backbone("c1", "a1"),
        node("Conv", ["a1", "k2"], ["c2"], name="proposals", pads=[1] * 4),
        *backbone("c2", "a2"),
        node("Conv", ["a2", "k3"], ["objects"], name="objectness"),
        node("Conv", ["a2", "k4"], ["offsets"], name="offsets"),
        node("Reshape", ["objects", "all"], ["listed"]),
        node("Transpose", ["offsets"], ["turned"], perm=[0, 2, 3, 1]),
        node("Reshape", ["turned", "boxes"], ["rows"]),
        node("TopK", ["listed", "six"], ["best", "at"], axis=0, name="best"),
        node("Gather", ["rows", "at"], ["chosen"], axis=0),
        node("Exp", ["chosen"], ["sizes"], name="decoded"),
        node("Clip", ["sizes", "zero", "four"], ["clipped"]),
        node("Greater", ["best", "least"], ["kept"]),
        node("NonZero", ["kept"], ["found"], name="found"),
        node("Squeeze", ["found", "axis0"], ["places"]),
        node("Gather", ["clipped", "places"], ["candidates"], axis=0),
        node("Gather", ["best", "places"], ["confidence"], axis=0),
        node("Reshape", ["candidates", "of_one"], ["b"]),
        node("Reshape", ["confidence", "scores"], ["s"]),
        node("NonMaxSuppression", ["b", "s", "five_boxes", "overlap", "any"], ["selected"], name="suppression"),
        node("Slice", ["selected", "two", "end", "axis1"], ["column"]),
        node("Squeeze", ["column", "axis1"], ["last"]),
        node("Gather", ["candidates", "last"], ["rois"], axis=0),
        node("Shape", ["rois"], ["count"], start=0, end=1),
        node("ConstantOfShape", ["count"], ["image"], value=helper.make_tensor("v", TensorProto.INT64, [1], [0])),
        node("RoiAlign", ["a1", "rois", "image"], ["pooled"], name="pooled", output_height=3, output_width=3,
             sampling_ratio=2, coordinate_transformation_mode="half_pixel"),
        node("Flatten", ["pooled"], ["flat"], axis=1),
        node("MatMul", ["flat", "f1"], ["z3"], name="dense1"),
        *head("z3", "a3"),
        node("MatMul", ["a3", "f2"], ["z4"], name="dense2"),
        *head("z4", "a4"),
        node("MatMul", ["a4", "f3"], ["logits"], name="classes"),
        node("Softmax", ["logits"], ["y"], axis=-1),
    ]  # fmt: skip
    used = {name for n in nodes for name in n.input}
    constants = {name: values for name, values in CONSTANTS.items() if name in used}
    return make_model(nodes, constants, {"x": [batch, 3, 8, 8]}, {"y": ["regions", 3]})
