"""What executes the ONNX model: onnxruntime, or the reference evaluator (NumPy)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.errors import InputError, InvalidModelError
from onnx2snn.runtime.draft import Written
from onnx2snn.runtime.freed_memory import give_back

Array: TypeAlias = NDArray[Any]

_TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int8)": "int8",
    "tensor(int16)": "int16",
    "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
    "tensor(bool)": "bool",
}


@dataclass(frozen=True)
class InputSpec:
    """An input as the model declares it; None stands for any size."""

    shape: tuple[int | None, ...]
    dtype: str

    def checked(self, name: str, value: Array) -> Array:
        """``value`` as an array, if it fits.

        Raises:
            InputError: rank, size or dtype differ, or it holds NaN or infinity.
        """
        array = np.asarray(value)
        if array.dtype != np.dtype(self.dtype):
            raise InputError(
                f"input '{name}' has the wrong dtype", found=array.dtype, remedy=f"convert it to {self.dtype}"
            )
        sizes = zip(self.shape[1:], array.shape[1:], strict=False)
        if array.ndim != len(self.shape) or any(s is not None and s != found for s, found in sizes):
            wanted = "(N" + "".join(f", {s if s is not None else '?'}" for s in self.shape[1:]) + ")"
            raise InputError(
                f"input '{name}' has the wrong shape", found=array.shape, remedy=f"give it {wanted}"
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise InputError(f"input '{name}' holds NaN or infinity", remedy="clean the data first")
        return array


class Engine(Protocol):
    """A loaded model.

    Attributes:
        inputs: By name.
        outputs: Names, in the model's order.
        fixed_batch: The batch size that the model declares, None for any.
    """

    inputs: dict[str, InputSpec]
    outputs: list[str]

    @property
    def fixed_batch(self) -> int | None:
        """The batch size that the model declares, None for any."""
        ...

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name."""
        ...


class FixedBatch:
    """What every engine says of its inputs."""

    inputs: dict[str, InputSpec]

    @property
    def fixed_batch(self) -> int | None:
        """The batch size that the model declares, None for any."""
        sizes = {spec.shape[0] for spec in self.inputs.values() if spec.shape}
        return sizes.pop() if len(sizes) == 1 else None


class OnnxruntimeEngine(FixedBatch):
    """Stock onnxruntime; concurrent runs are safe.

    Args:
        content: The serialized model.
        constants: What the model reads and does not hold, by name; not copied.
        folder: Where weights in files of their own are.
        lean: Compute from weights when it runs what would otherwise be kept beside them, as large as they are.
        once: It is run once: time spent on making it fast is lost.
        threads: See :class:`onnx2snn.runtime.SpikingSession`, as of the rest.
    """

    def __init__(
        self,
        content: bytes,
        *,
        constants: Mapping[str, Array] = MappingProxyType({}),
        folder: Path | None,
        lean: bool,
        once: bool = False,
        threads: int | None,
        providers: Sequence[str] | None,
        session_options: Any,
    ) -> None:
        import onnxruntime as ort  # noqa: PLC0415 - one of two engines

        self._constants = constants  # onnxruntime reads them where they are
        options, written = session_options, Written(content, constants)
        if options is None:
            options = ort.SessionOptions()
            options.log_severity_level = 3
            options.enable_mem_pattern = (
                False  # it would hold what a run needs once more, beside what the first run needed
            )
            options.execution_order = (
                ort.ExecutionOrder.PRIORITY_BASED
            )  # spikes are counted at once, not all at the end
            if once:
                options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
            if threads is not None:
                options.intra_op_num_threads = threads
            values = [ort.OrtValue.ortvalue_from_numpy(held) for held in constants.values()]
            options.add_external_initializers(list(constants), values)
            content = written.hollow()
        else:  # they may serve other sessions too, and would keep what was given to this one
            content = written.whole()
        if folder is not None:
            key = "session.model_external_initializers_file_folder_path"
            options.add_session_config_entry(key, str(folder.resolve()))
        if lean or once:
            options.add_session_config_entry("session.disable_prepacking", "1")
        try:
            self._session = ort.InferenceSession(
                content,
                options,
                providers=list(providers) if providers else ["CPUExecutionProvider"],
                disabled_optimizers=["ConstantFolding"] if lean else None,
            )
        except Exception as error:  # onnxruntime's errors share no base class
            raise InvalidModelError(
                "onnxruntime cannot load this model", found=str(error).splitlines()[0]
            ) from error
        give_back()
        self.inputs = {
            i.name: InputSpec(
                tuple(s if isinstance(s, int) else None for s in i.shape), _TYPES.get(i.type, "float32")
            )
            for i in self._session.get_inputs()
        }
        self.outputs = [o.name for o in self._session.get_outputs()]

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name."""
        with _computing():
            return _named(self.outputs, self._session.run(None, dict(inputs)))


class ReferenceEngine(FixedBatch):
    """The reference evaluator of the onnx package: NumPy, slow, and the meaning of ONNX."""

    def __init__(self, content: bytes, *, folder: Path | None) -> None:
        import onnx  # noqa: PLC0415 - a device that uses onnxruntime does without
        from onnx.reference import ReferenceEvaluator  # noqa: PLC0415

        from onnx2snn.float64.padding import Pad  # noqa: PLC0415

        with _computing():
            model = onnx.ModelProto.FromString(content)
            if folder is not None:
                onnx.load_external_data_for_model(model, str(folder.resolve()))
            self._evaluator = ReferenceEvaluator(model, new_ops=[Pad])
        self.outputs = [o.name for o in model.graph.output]
        self.inputs = {}
        for info in model.graph.input:
            described = info.type.tensor_type
            shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in described.shape.dim)
            dtype = onnx.helper.tensor_dtype_to_np_dtype(described.elem_type)
            self.inputs[info.name] = InputSpec(shape, str(dtype))

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name."""
        with _computing():
            return _named(self.outputs, self._evaluator.run(None, dict(inputs)))


def tensor_of(answer: Any) -> Array:
    """An output as one array (N, ...).

    Classifiers of scikit-learn answer one dictionary a sample, {class: probability}: here (N, classes), the classes in
    increasing order.
    """
    if isinstance(answer, list) and answer and isinstance(answer[0], Mapping):
        return np.array([list(sample.values()) for sample in answer])
    return np.asarray(answer)


@contextmanager
def _computing() -> Iterator[None]:
    """What the libraries raise where a model contradicts itself."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # neither library has a base class for its errors
        found = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InvalidModelError("this network cannot be computed", found=found) from error


def _named(names: Sequence[str], answers: Iterable[Any]) -> dict[str, Array]:
    return {name: tensor_of(answer) for name, answer in zip(names, answers, strict=True)}


def make_engine(content: bytes, backend: str, **options: Any) -> Engine:
    """The engine that ``backend`` names.

    Raises:
        InputError: there is none of that name.
    """
    if backend == "onnxruntime":
        return OnnxruntimeEngine(content, **options)
    if backend == "numpy":
        return ReferenceEngine(content, folder=options.get("folder"))
    raise InputError(f"there is no backend '{backend}'", remedy="choose onnxruntime or numpy")
