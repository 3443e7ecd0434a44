"""The networks of the benchmarks, with random weights, as ONNX models: VGG16, ResNet, MobileNetV2, DenseNet.

Each comes in three spellings that share their weights:

    relu   float weights, ReLU (ReLU6 in MobileNetV2 stays a ReLU, so that all networks are treated alike)
    qcfs   float weights, λ · clip(floor(z·K/λ + 1/2) / K, 0, 1) in place of each ReLU
    qdq    int8 weights by output channel and unsigned activations of K levels, as QuantizeLinear/DequantizeLinear

Weights are He-normal, so that activations keep their size from layer to layer and levels of all kinds occur.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Spelling = Literal["relu", "qcfs", "qdq"]

#: λ: three standard deviations of a pre-activation of variance 2.
CLIP = 4.0


@dataclass
class Builder:
    """Nodes and weights of a network in the making.

    Attributes:
        spelling: Of activations and weights.
        levels: K.
    """

    spelling: Spelling
    levels: int = 15
    seed: int = 0
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)

    def add(self, operator: str, *read: str | NDArray[Any], **attributes: Any) -> str:
        """A node, and the name of what it writes; arrays become constants."""
        names = [value if isinstance(value, str) else self._hold(value) for value in read]
        output = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, names, [output], output, **attributes))
        return output

    def conv(self, x: str, size: tuple[int, int], kernel: int = 3, *, stride: int = 1, group: int = 1) -> str:
        """A convolution with bias and "same" padding."""
        weights, steps = self._weights((size[1], size[0] // group, kernel, kernel))
        bias = self._bias(self._random.normal(0, 0.1, size[1]), x, steps)
        pads = [kernel // 2] * 4
        return self.add(
            "Conv", x, weights, bias, kernel_shape=[kernel] * 2, pads=pads, strides=[stride] * 2, group=group
        )

    def dense(self, x: str, size: tuple[int, int]) -> str:
        """A linear layer with bias."""
        weights, steps = self._weights((size[1], size[0]))
        return self.add("Gemm", x, weights, self._bias(np.zeros(size[1]), x, steps), transB=1)

    def act(self, x: str) -> str:
        """The activation, in the builder's spelling."""
        if self.spelling == "relu":
            return self.add("Relu", x)
        if self.spelling == "qcfs":
            scaled = self.add("Mul", x, np.asarray(self.levels / CLIP, np.float32))
            floor = self.add("Floor", self.add("Add", scaled, np.float32(0.5)))
            clipped = self.add(
                "Clip", self.add("Div", floor, np.float32(self.levels)), np.float32(0), np.float32(1)
            )
            return self.add("Mul", clipped, np.float32(CLIP))
        return self.quantised(self.add("Clip", x, np.float32(0), np.float32(CLIP)), CLIP / self.levels)

    def quantised(self, x: str, step: float) -> str:
        """``x`` through 8-bit unsigned integers."""
        constants = (np.float32(step), np.uint8(0))
        return self.add("DequantizeLinear", self.add("QuantizeLinear", x, *constants), *constants)

    def model(self, image: tuple[int, ...], logits: str, classes: int) -> onnx.ModelProto:
        """The network of all nodes so far."""
        self.nodes.append(helper.make_node("Identity", [logits], ["logits"], "logits"))
        graph = helper.make_graph(
            self.nodes,
            f"{self.spelling}",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", *image])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", classes])],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)

    def _weights(self, shape: tuple[int, ...]) -> tuple[str, NDArray[Any] | None]:
        """Name, and the quantisation step by output channel."""
        values = self._random.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
        if self.spelling != "qdq":
            return self._hold(values), None
        steps = (np.abs(values).reshape(shape[0], -1).max(axis=1) / 127).astype(np.float32)
        integers = (
            np.rint(values / steps.reshape(-1, *[1] * (len(shape) - 1))).clip(-127, 127).astype(np.int8)
        )
        name = self.add("DequantizeLinear", integers, steps, np.zeros(shape[0], np.int8), axis=0)
        return name, steps

    def _bias(self, values: NDArray[Any], x: str, steps: NDArray[Any] | None) -> str:
        """In the qdq spelling 32-bit integers times the steps of activation and weights, as ONNX quantisers write it."""
        if steps is None or x == "image":
            return self._hold(values.astype(np.float32))
        scale = steps * np.float32(CLIP / self.levels)
        integers = np.rint(values / scale).astype(np.int32)
        return self.add("DequantizeLinear", integers, scale, np.zeros(len(values), np.int32), axis=0)

    def _hold(self, value: NDArray[Any]) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name


def vgg16(spelling: Spelling, *, size: int = 32, classes: int = 10, levels: int = 15) -> onnx.ModelProto:
    """VGG16 with one linear layer behind its convolutions, as is usual for 32×32 images."""
    b = Builder(spelling, levels)
    x, channels = "image", 3
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            x, channels = b.act(b.conv(x, (channels, width))), width
        x = b.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    side = size // 32
    return b.model((3, size, size), b.dense(b.add("Flatten", x), (512 * side**2, classes)), classes)


def vgg16_imagenet(spelling: Spelling, *, levels: int = 15) -> onnx.ModelProto:
    """VGG16 for 224×224 images and 1,000 classes: 138 million weights, 528 MiB."""
    b = Builder(spelling, levels)
    x, channels = "image", 3
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            x, channels = b.act(b.conv(x, (channels, width))), width
        x = b.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = b.add("Flatten", x)
    for size in ((25088, 4096), (4096, 4096)):
        x = b.act(b.dense(x, size))
    return b.model((3, 224, 224), b.dense(x, (4096, 1000)), 1000)


def resnet18(spelling: Spelling, *, size: int = 32, classes: int = 10, levels: int = 15) -> onnx.ModelProto:
    """ResNet-18 with a 3×3 convolution at its input, as is usual for 32×32 images."""
    b = Builder(spelling, levels)
    x, channels = b.act(b.conv("image", (3, 64))), 64
    for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for block in range(2):
            step = stride if block == 0 else 1
            inner = b.act(b.conv(x, (channels, width), stride=step))
            inner = b.conv(inner, (width, width))
            same = step == 1 and channels == width
            x = b.act(b.add("Add", inner, x if same else b.conv(x, (channels, width), 1, stride=step)))
            channels = width
    pooled = b.add("Flatten", b.add("GlobalAveragePool", x))
    return b.model((3, size, size), b.dense(pooled, (512, classes)), classes)


def mobilenet_v2(
    spelling: Spelling, *, size: int = 96, classes: int = 1000, levels: int = 15
) -> onnx.ModelProto:
    """MobileNetV2: inverted residuals, depthwise convolutions, linear bottlenecks."""
    b = Builder(spelling, levels)
    x, channels = b.act(b.conv("image", (3, 32), stride=2)), 32
    plan = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )
    for expansion, width, depth, stride in plan:
        for block in range(depth):
            step, inner = stride if block == 0 else 1, channels * expansion
            y = x if expansion == 1 else b.act(b.conv(x, (channels, inner), 1))
            y = b.act(b.conv(y, (inner, inner), stride=step, group=inner))
            y = b.conv(y, (inner, width), 1)
            x = b.add("Add", x, y) if step == 1 and channels == width else y
            channels = width
    x = b.act(b.conv(x, (channels, 1280), 1))
    pooled = b.add("Flatten", b.add("GlobalAveragePool", x))
    return b.model((3, size, size), b.dense(pooled, (1280, classes)), classes)


def _stem(b: Builder) -> str:
    """A convolution of 64 channels and a maximum, which quarter the image's sides."""
    x = b.act(b.conv("image", (3, 64), 7, stride=2))
    return b.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)


def resnet50(
    spelling: Spelling, *, size: int = 224, classes: int = 1000, levels: int = 15
) -> onnx.ModelProto:
    """ResNet-50: bottlenecks of three convolutions beside a shortcut."""
    b = Builder(spelling, levels)
    x, channels = _stem(b), 64
    for width, depth, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(depth):
            step = stride if block == 0 else 1
            inner = b.act(b.conv(x, (channels, width), 1))
            inner = b.conv(b.act(b.conv(inner, (width, width), stride=step)), (width, 4 * width), 1)
            x = b.act(b.add("Add", inner, x if block else b.conv(x, (channels, 4 * width), 1, stride=step)))
            channels = 4 * width
    pooled = b.add("Flatten", b.add("GlobalAveragePool", x))
    return b.model((3, size, size), b.dense(pooled, (channels, classes)), classes)


def densenet121(
    spelling: Spelling, *, size: int = 224, classes: int = 1000, levels: int = 15
) -> onnx.ModelProto:
    """DenseNet-121: every layer of a block reads all layers before it."""
    b = Builder(spelling, levels)
    x, channels = _stem(b), 64
    for number, depth in enumerate((6, 12, 24, 16)):
        if number:
            x, channels = b.conv(b.act(x), (channels, channels // 2), 1), channels // 2
            x = b.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
        for _ in range(depth):
            inner = b.act(b.conv(b.act(x), (channels, 128), 1))
            x, channels = b.add("Concat", x, b.conv(inner, (128, 32)), axis=1), channels + 32
    pooled = b.add("Flatten", b.add("GlobalAveragePool", b.act(x)))
    return b.model((3, size, size), b.dense(pooled, (channels, classes)), classes)


NETWORKS: dict[str, tuple[Callable[..., onnx.ModelProto], tuple[int, ...]]] = {
    "vgg16": (vgg16, (3, 32, 32)),
    "resnet18": (resnet18, (3, 32, 32)),
    "mobilenetv2": (mobilenet_v2, (3, 96, 96)),
    "resnet50": (resnet50, (3, 224, 224)),
    "densenet121": (densenet121, (3, 224, 224)),
}
