"""What executes an ONNX model: onnxruntime, or the reference evaluator (NumPy)."""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.errors import InputError, InvalidModelError, raise_for_memory
from onnx2snn.runtime.choices import BACKENDS
from onnx2snn.runtime.engine_inputs import EngineInput, declared_axes, open_or_fixed
from onnx2snn.runtime.providers import Provider, chosen_providers

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
class Loadable:
    """A model, ready for a backend.

    Attributes:
        content: Its path, or the serialized model, which may say of weights that they lie elsewhere: in ``weights``.
        weights: By name; not copied.
        folder: Of files in which other weights lie.
        lean: Compute from weights when it runs what would otherwise be kept beside them, as large as they are.
        as_written: Let operators between quantisers compute what they say: onnxruntime would round their weights to 8 bits, too,
            and make kernels of them that round otherwise.
    """

    content: str | bytes
    weights: Mapping[str, Array] = field(default_factory=dict)
    folder: str | None = None
    lean: bool = False
    as_written: bool = False


class Engine(Protocol):
    """A loaded model.

    Attributes:
        inputs: By name.
        axes: Of each input and output: a size, or the name of one that is open.
        outputs: Names, in the model's order.
        metadata: Texts by key.
    """

    inputs: dict[str, EngineInput]
    axes: dict[str, tuple[int | str, ...]]
    outputs: list[str]
    metadata: dict[str, str]

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name."""
        ...

    def warm_up(self) -> None:
        """Prepare for many runs, whatever time that takes."""
        ...


class _AlwaysWarm:
    """There is nothing that an engine would do for many runs alone."""

    def warm_up(self) -> None:
        """Nothing."""


class OnnxruntimeEngine(_AlwaysWarm):
    """Stock onnxruntime; concurrent runs are safe.

    Args:
        model: What to run.
        threads: See :class:`onnx2snn.runtime.SpikingSession`, as of the rest.
    """

    def __init__(
        self,
        model: Loadable,
        *,
        threads: int | None = None,
        providers: Sequence[Provider] | None = None,
        session_options: Any = None,
    ) -> None:
        import onnxruntime as ort  # noqa: PLC0415 - one of two engines

        chosen = chosen_providers(providers)
        self._weights = model.weights  # onnxruntime reads them where they are
        options = session_options or _options(model, threads)
        if model.folder is not None:
            key = "session.model_external_initializers_file_folder_path"
            options.add_session_config_entry(key, model.folder)
        if model.lean:
            options.add_session_config_entry("session.disable_prepacking", "1")
        if model.as_written:
            options.add_session_config_entry("session.disable_quant_qdq", "1")
        try:
            self._session = ort.InferenceSession(
                model.content,
                options,
                providers=chosen,
                disabled_optimizers=["ConstantFolding"] if model.lean else None,
            )
        except Exception as error:  # onnxruntime's errors share no base class
            raise_for_memory(error)
            found = str(error).splitlines()[0]
            raise InvalidModelError(
                "onnxruntime cannot load this model",
                found=found,
                remedy="convert or compile it again, or upgrade onnxruntime",
            ) from error
        _give_back()
        self._describe()

    def _describe(self) -> None:
        """What the model says of itself."""
        declared, answered = self._session.get_inputs(), self._session.get_outputs()
        ends = (*answered, *declared)
        self.axes = {e.name: tuple(s if isinstance(s, int) else str(s) for s in e.shape) for e in ends}
        sizes = {i.name: open_or_fixed(self.axes[i.name]) for i in declared}
        self.inputs = {i.name: EngineInput(sizes[i.name], _TYPES.get(i.type, "float32")) for i in declared}
        self.outputs = [o.name for o in answered]
        self.metadata = dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name."""
        with computing():
            return _named(self.outputs, self._session.run(None, dict(inputs)))


class ProtoEngine:
    """What is known of a model from its own words; needs the onnx package."""

    def _describe(self, model: Any) -> None:
        """What an ``onnx.ModelProto`` says of itself."""
        import onnx  # noqa: PLC0415 - a device that uses onnxruntime does without

        read, answered = model.graph.input, model.graph.output
        self.outputs = [info.name for info in answered]
        self.axes = declared_axes((*answered, *read))
        self.inputs = {}
        for info in read:
            dtype = onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
            self.inputs[info.name] = EngineInput(open_or_fixed(self.axes[info.name]), str(dtype))
        self.metadata = {entry.key: entry.value for entry in model.metadata_props}


def proto_of(model: Loadable) -> Any:
    """The ``onnx.ModelProto``; weights of which it says that they lie elsewhere are not read, but for those of a path."""
    import onnx  # noqa: PLC0415 - as above

    if isinstance(model.content, str):
        return onnx.load(model.content)
    loaded = onnx.ModelProto()
    loaded.ParseFromString(model.content)
    return loaded


class ReferenceEngine(ProtoEngine, _AlwaysWarm):
    """The reference evaluator of the onnx package: NumPy, slow, and the meaning of ONNX."""

    def __init__(self, model: Loadable) -> None:
        if importlib.util.find_spec("onnx") is None:
            raise InputError(
                "the backend numpy is the onnx package's", remedy="pip install onnx, or use onnxruntime"
            )
        from onnx.reference import ReferenceEvaluator  # noqa: PLC0415

        from onnx2snn.float64.reference_kernels import CORRECTED  # noqa: PLC0415

        with computing():
            loaded = proto_of(model)
            self._evaluator = ReferenceEvaluator(loaded, new_ops=list(CORRECTED))
        self._describe(loaded)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name."""
        with computing():
            return _named(self.outputs, self._evaluator.run(None, dict(inputs)))


def _options(model: Loadable, threads: int | None) -> Any:
    """A session's options, where the caller has none of his own."""
    import onnxruntime as ort  # noqa: PLC0415 - one of two engines

    options = ort.SessionOptions()
    options.log_severity_level = 3
    # It would hold what a run needs once more, beside what the first run needed.
    options.enable_mem_pattern = False
    # Spikes are counted at once, not all at the end.
    options.execution_order = ort.ExecutionOrder.PRIORITY_BASED
    if threads is not None:
        options.intra_op_num_threads = threads
    if model.weights:
        held = [ort.OrtValue.ortvalue_from_numpy(values) for values in model.weights.values()]
        options.add_external_initializers(list(model.weights), held)
    return options


def _give_back() -> None:
    """Let the operating system have the memory that was freed, where the C library keeps it for later (glibc).

    While onnxruntime loads a network it holds weights several times; what it needs to run it is less, and comes in other
    pieces, which do not fit into what was freed.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library; a system without one by this name
        return
    trim(0)


def tensor_of(answer: Any) -> Array:
    """An output as one array (N, ...).

    Classifiers of scikit-learn answer one dictionary a sample, {class: probability}: here (N, classes), the classes in
    increasing order.
    """
    if isinstance(answer, list) and answer and isinstance(answer[0], Mapping):
        return np.array([list(sample.values()) for sample in answer])
    return np.asarray(answer)


@contextmanager
def computing() -> Iterator[None]:
    """What the libraries raise where a model contradicts itself."""
    try:
        yield
    except Exception as error:  # neither library has a base class for its errors
        raise_for_memory(error)
        found = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InvalidModelError(
            "this network cannot be computed",
            found=found,
            remedy="give inputs of the sizes that it takes; of a damaged file, convert or compile it again",
        ) from error


def _named(names: Sequence[str], answers: Iterable[Any]) -> dict[str, Array]:
    return {name: tensor_of(answer) for name, answer in zip(names, answers, strict=True)}


def make_engine(model: Loadable, backend: str, **options: Any) -> Engine:
    """The engine that ``backend`` names.

    Args:
        model: What it loads.
        backend: ``onnxruntime``, ``numpy``, or ``events``.
        **options: Of onnxruntime.

    Raises:
        InputError: there is none of that name.
        InvalidModelError: it cannot be loaded.
    """
    if backend == "onnxruntime":
        return OnnxruntimeEngine(model, **options)
    if backend == "numpy":
        return ReferenceEngine(model)
    if backend == "events":
        if missing := [name for name in ("onnx", "numba") if importlib.util.find_spec(name) is None]:
            remedy = "pip install 'onnx2snn[events]', or use onnxruntime"
            raise InputError(f"the backend events needs {' and '.join(missing)}", remedy=remedy)
        from onnx2snn.events.event_engine import EventEngine  # noqa: PLC0415 - needs the onnx package, and Numba

        return EventEngine(model, **options)
    raise InputError(f"there is no backend '{backend}'", remedy=f"choose one of {', '.join(BACKENDS)}")
