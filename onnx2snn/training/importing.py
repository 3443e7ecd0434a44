"""Any exporter's ONNX network as a torch module whose activations are QCFS.

    in.onnx ─▶ normalise ─▶ activations become markers ─▶ onnx2torch ─▶ checked ─▶ markers become QCFS

Staircases that are there already keep their range; float activations (ReLU, ReLU6, Clip at 0) are calibrated.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, fx, nn

from onnx2snn.errors import ConversionError, InputError
from onnx2snn.graph.exporter import to_model
from onnx2snn.model.reference import run_reference
from onnx2snn.training.marking import Marked, marked_graph, prepared_graph
from onnx2snn.training.qcfs import QCFS
from onnx2snn.training.torch_spelling import at_opset, spell_dense_layers
from onnx2snn.training.writing_back import UnmatchedError, constants_behind, write_back

#: The newest operators that onnx2torch reads.
OPSET = 17
#: Largest difference to the source that a faithful import may show, in units of the outputs' range.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Imported:
    """A network on its way through training.

    Attributes:
        module: The torch module; a tensor (N, ...) an input, gives one, or a list of them.
        factors: By name of a QCFS, what the network multiplies it by: α/θ, which broadcasts to it.
        inputs: The source's inputs, in order.
        outputs: The source's outputs, likewise.
        to_calibrate: Names of the QCFS modules whose thresholds are not known yet.
        graph: The model that the module was made from, with a Relu for each QCFS.
        behind: See :func:`constants_behind`.
    """

    module: nn.Module
    factors: dict[str, Tensor]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    to_calibrate: tuple[str, ...]
    graph: onnx.ModelProto
    behind: dict[str, tuple[str, bool]]

    def export(self) -> onnx.ModelProto:
        """The network as it has learned to be: plain ONNX, with the source's input, output and operators."""
        return write_back(self.graph, self.module, self.behind)


@dataclass(frozen=True)
class Teacher:
    """A network whose hidden activations are learned.

    Attributes:
        module: The torch module, its activations clipped where the source clips them.
        factors: By name of an activation, what the network multiplies it by, which broadcasts to it.
    """

    module: nn.Module
    factors: dict[str, Tensor]


def import_torch(
    model: onnx.ModelProto, *, levels: int, samples: Mapping[str, np.ndarray[Any, Any]]
) -> Imported:
    """Read ``model`` as a torch module.

    Args:
        model: Of any inputs and outputs.
        levels: K of the activations to be.
        samples: Some inputs by name, (N, ...), on which module and source have to agree.

    Raises:
        ConversionError: an operator that onnx2torch does not know, named; or the module does not compute what the source
            computes.
    """
    read = _Read.of(model, samples)
    names = _put_qcfs(read.module, read.marked, levels)
    _make_trainable(read)
    return Imported(read.module, read.factors, read.inputs, read.outputs, names, read.proto, read.behind)


def import_teacher(model: onnx.ModelProto, *, samples: Mapping[str, np.ndarray[Any, Any]]) -> Teacher:
    """As :func:`import_torch`, with a rectifier in the place of each activation."""
    read = _Read.of(model, samples)
    for name, mark in read.marked.items():
        if mark.ceiling is not None:
            setattr(read.module, name, nn.Hardtanh(0.0, float(mark.ceiling.max())))
    return Teacher(read.module, read.factors)


@dataclass(frozen=True)
class _Read:
    """A model as torch has it, a rectifier wherever an activation is to be."""

    module: nn.Module
    marked: dict[str, Marked]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    proto: onnx.ModelProto
    behind: dict[str, tuple[str, bool]]

    @classmethod
    def of(cls, model: onnx.ModelProto, samples: Mapping[str, np.ndarray[Any, Any]]) -> _Read:
        """``model``, compared on ``samples``."""
        marked, graph = marked_graph(prepared_graph(model))
        inputs, outputs = (tuple(t.name for t in ports) for ports in (graph.inputs, graph.outputs))
        proto = at_opset(to_model(graph), OPSET)
        spell_dense_layers(proto)
        _plain_names(proto, marked)
        module, behind = _to_torch(proto)
        _compare(module, proto, {name: samples[name] for name in inputs}, outputs)
        return cls(module, marked, inputs, outputs, proto, behind)

    @property
    def factors(self) -> dict[str, Tensor]:
        """What the network multiplies each activation by."""
        return {name: torch.as_tensor(m.factor, dtype=torch.float32) for name, m in self.marked.items()}


def _plain_names(model: onnx.ModelProto, marked: Mapping[str, Marked]) -> None:
    """Node names that can be module names."""
    for number, node in enumerate(model.graph.node):
        if node.name not in marked:
            node.name = f"{node.op_type}_{number}"


def _to_torch(model: onnx.ModelProto) -> tuple[nn.Module, dict[str, tuple[str, bool]]]:
    try:
        with _without_torchvision():
            import onnx2torch  # noqa: PLC0415 - it wants torchvision
    except ModuleNotFoundError as error:
        raise InputError(
            "training an ONNX file needs onnx2torch", found=str(error), remedy="pip install 'onnx2snn[train]'"
        ) from error
    try:
        module: fx.GraphModule = onnx2torch.convert(model)
        return module, constants_behind(model, module)
    except NotImplementedError as error:
        operator = next((n for n in model.graph.node if f"{n.op_type}" in str(error)), None)
        raise ConversionError(
            "onnx2torch cannot turn this operator into torch",
            node=operator.name if operator else None,
            operator=operator.op_type if operator else None,
            found=str(error),
            remedy="train the network in its own framework, with QCFS or any other quantiser",
        ) from error
    except KeyError as error:  # it looks tensors up by name, among those that have a shape
        raise ConversionError(
            "onnx2torch has to know the shape of every tensor",
            found=f"none of {error}",
            remedy="export the network with the shapes of its inputs",
        ) from error
    except UnmatchedError as error:
        raise ConversionError(
            "onnx2torch keeps a weight in a form of its own",
            found=str(error),
            remedy="train the network in its own framework, with QCFS or any other quantiser",
        ) from error


@contextmanager
def _without_torchvision() -> Iterator[None]:
    """Let onnx2torch be imported where torchvision cannot be, as beside a CPU build of torch.

    It needs two of torchvision's operators, both for object detection (NonMaxSuppression, RoiAlign); a
    network with either is then refused like one with any other
    unknown operator.
    """
    names = ("torchvision", "torchvision.ops")
    try:
        importlib.import_module("torchvision")
    except (ImportError, OSError, RuntimeError):
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        package, operators = (types.ModuleType(name) for name in names)
        operators.roi_align = operators.nms = _absent  # type: ignore[attr-defined]
        package.ops = operators  # type: ignore[attr-defined]
        sys.modules.update(zip(names, (package, operators), strict=True))
        try:
            yield
        finally:
            for name in names:
                del sys.modules[name]
    else:
        yield


def _absent(*_: Any, **__: Any) -> Tensor:
    raise NotImplementedError("object detection needs a torchvision that fits this torch")


def _put_qcfs(module: nn.Module, marked: Mapping[str, Marked], levels: int) -> tuple[str, ...]:
    """A QCFS for each marker; the names of those still to be calibrated."""
    to_calibrate = []
    for name, mark in marked.items():
        activation = QCFS(
            levels=levels,
            threshold=1.0,
            channels=None if mark.ceiling is None or mark.ceiling.size == 1 else mark.ceiling.size,
            channel_axis=mark.axis,
        )
        if mark.ceiling is None:
            to_calibrate.append(name)
        else:
            activation.set_threshold(torch.as_tensor(mark.ceiling.reshape(activation.threshold.shape)))
        setattr(module, name, activation)
    return tuple(to_calibrate)


def _make_trainable(read: _Read) -> None:
    """Weights that a graph holds as plain constants (of MatMul, Mul, Add) learn too; scalars stay.

    So do the lines around a marker: thresholds, weights and biases say what they could learn, and hidden activations are taught
    in the units that they have at first.
    """
    holder: Any = getattr(read.module, "initializers", None)
    if holder is None:
        return
    around = {name for mark in read.marked.values() for name in mark.around}
    for name, values in list(holder.named_buffers()):
        constant, _ = read.behind.get(f"initializers.{name}", ("", False))
        if values.is_floating_point() and values.numel() > 1 and constant not in around:
            delattr(holder, name)
            holder.register_parameter(name, nn.Parameter(values.clone()))


def _compare(
    module: nn.Module,
    proto: onnx.ModelProto,
    inputs: Mapping[str, np.ndarray[Any, Any]],
    outputs: Sequence[str],
) -> None:
    expected = run_reference(proto, inputs)
    module.eval()
    try:
        with torch.no_grad():
            answer = module(*(torch.tensor(x) for x in inputs.values()))
    except (RuntimeError, ValueError, TypeError, IndexError) as error:  # whatever operators of torch raise
        raise ConversionError(
            "torch cannot compute this network",
            found=(str(error).splitlines() or [type(error).__name__])[0],
            remedy="train the network in its own framework, with QCFS or any other quantiser",
        ) from error
    for name, found in zip(outputs, [answer] if isinstance(answer, Tensor) else answer, strict=True):
        worst = _apart(expected[name].astype(np.float64), found.double().numpy())
        if not worst <= TOLERANCE:
            raise ConversionError(
                "as a torch module the network does not compute the same",
                found=f"{worst:.3g} of the range of '{name}'",
                remedy="train the network in its own framework, with QCFS or any other quantiser",
            )


def _apart(expected: np.ndarray[Any, Any], found: np.ndarray[Any, Any]) -> float:
    """The largest difference, in units of the range of what is expected."""
    if found.shape != expected.shape:
        return float("inf")
    span = max(float(np.ptp(expected)), float(np.abs(expected).max()), 1e-12) if expected.size else 1.0
    return float(np.abs(found - expected).max(initial=0)) / span
