"""What a model means: onnxruntime with its graph optimisations off, as ONNX defines it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnxruntime as ort
from onnx.numpy_helper import to_array
from onnx.reference import ReferenceEvaluator

from onnx2snn.errors import InputError, InvalidModelError, raise_for_memory
from onnx2snn.model.domains import for_onnxruntime
from onnx2snn.model.equal_signs import with_equal_signs
from onnx2snn.model.nodes import held_tensors, is_own
from onnx2snn.model.qonnx_definition import with_definitions
from onnx2snn.model.subgraphs import names_read
from onnx2snn.model.weights import Array, SplitModel, let_go, split_model, weights_as_inputs
from onnx2snn.runtime.backends import tensor_of
from onnx2snn.runtime.batches import joined, of_samples
from onnx2snn.runtime.engine_inputs import at_a_time
from onnx2snn.runtime.providers import Provider, chosen_providers

#: NumPy's types of what onnxruntime calls so.
_FOUR_BITS = {
    "tensor(uint4)": onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.UINT4),
    "tensor(int4)": onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.INT4),
}
#: Behind the name of an output that is shown as floats.
_SHOWN = "/shown as floats"

#: Runs a loaded model: {input name: array} to {output name: array}. Inputs that the model does not have are ignored.
Runner: TypeAlias = Callable[[Mapping[str, Array]], dict[str, Array]]


class Reference:
    """A loaded model that computes operator by operator, as it is written.

    onnxruntime does it; where it has no kernel for what the model asks, the reference evaluator of the onnx package. Operators
    of QONNX run by their own definition (:mod:`onnx2snn.model.qonnx_definition`).

    Large weights are given to it at every run, from the arrays where they are: no runtime copies them. 8-bit weights take
    the sign of the activations that they meet: kernels add exactly on every processor (:mod:`onnx2snn.model.equal_signs`).

    Args:
        model: Any valid model.
        providers: Execution providers of onnxruntime; None: the CPU, whose sums are those that files are made for.

    Raises:
        InvalidModelError: onnxruntime finds the model invalid.
        InputError: onnxruntime has no such provider.
    """

    def __init__(
        self, model: onnx.ModelProto | SplitModel, providers: Sequence[Provider] | None = None
    ) -> None:
        chosen = chosen_providers(providers)
        split = with_equal_signs(model if isinstance(model, SplitModel) else split_model(model))
        self._weights = {name: np.ascontiguousarray(values) for name, values in split.weights.items()}
        self._model = for_onnxruntime(with_definitions(weights_as_inputs(split.structure)))
        self._evaluator: ReferenceEvaluator | None = None
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 2
        options.enable_cpu_mem_arena = False  # what an operator needed is given back when it is done
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4  # what goes wrong is raised; it need not be printed too
        try:
            self._session = _session(self._model, options, chosen)
            #: Outputs of 4-bit codes: NumPy's type of each. They are fetched as floats.
            self._codes = {
                o.name: _FOUR_BITS[o.type] for o in self._session.get_outputs() if o.type in _FOUR_BITS
            }
            if self._codes:
                _show(self._model, self._codes)
                self._session = _session(self._model, options, chosen)
        except Exception as error:  # onnxruntime's errors share no base class
            raise_for_memory(error)
            raise _unusable("onnxruntime cannot load this network", error) from error
        #: Declared shapes of the inputs, by name.
        self.inputs: dict[str, list[int | str | None]] = {
            i.name: i.shape for i in self._session.get_inputs() if i.name not in self._weights
        }
        self.outputs: list[str] = [o.name.removesuffix(_SHOWN) for o in self._session.get_outputs()]

    @property
    def native(self) -> bool:
        """Whether onnxruntime has computed all that was run so far."""
        return self._evaluator is None

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> dict[str, Array]:
        """Outputs by name, all or those asked for; inputs that the model does not have are ignored.

        Raises:
            InvalidModelError: neither onnxruntime nor the reference evaluator can compute it.
        """
        try:
            return self._answers(inputs, list(outputs) if outputs is not None else self.outputs)
        finally:
            for values in self._weights.values():
                let_go(values)

    def _answers(self, inputs: Mapping[str, Array], names: Sequence[str]) -> dict[str, Array]:
        feed = {name: inputs[name] for name in self.inputs if name in inputs} | self._weights
        if self._evaluator is not None:
            return _tensors(names, self._evaluator.run(names, feed))
        fetched = [name + _SHOWN if name in self._codes else name for name in names]
        try:
            answers = _tensors(names, self._session.run(fetched, feed))
            return {n: a.astype(self._codes[n]) if n in self._codes else a for n, a in answers.items()}
        except Exception as error:  # noqa: BLE001 - onnxruntime's errors share no base class
            raise_for_memory(error)
            return self._evaluated(names, feed, error)

    def _evaluated(self, names: Sequence[str], feed: dict[str, Array], error: Exception) -> dict[str, Array]:
        """Where onnxruntime failed: by the reference evaluator, from now on, or not at all."""
        from onnx2snn.float64.reference_kernels import CORRECTED  # noqa: PLC0415 - rarely needed

        try:
            evaluator = ReferenceEvaluator(self._model, new_ops=list(CORRECTED))
            answers = _tensors(names, evaluator.run(names, feed))
        except Exception:  # noqa: BLE001 - any of Python's; onnxruntime's says best what is wrong
            raise _unusable("this network cannot be computed", error) from error
        self._evaluator = evaluator
        return answers


def _session(
    model: onnx.ModelProto, options: ort.SessionOptions, providers: list[tuple[str, dict[str, Any]]]
) -> ort.InferenceSession:
    return ort.InferenceSession(model.SerializeToString(), options, providers=providers)


def _show(model: onnx.ModelProto, outputs: Iterable[str]) -> None:
    """Write ``outputs`` of 4 bits, which onnxruntime does not hand out, as floats under another name."""
    one = onnx.helper.make_tensor(f"one{_SHOWN}", onnx.TensorProto.FLOAT, [], [1.0])
    model.graph.initializer.append(one)
    for info in model.graph.output:
        if info.name in outputs:
            shown = [info.name + _SHOWN]
            node = onnx.helper.make_node(
                "DequantizeLinear", [info.name, one.name], shown, domain="com.microsoft"
            )
            model.graph.node.append(node)
            info.CopyFrom(onnx.helper.make_tensor_value_info(shown[0], onnx.TensorProto.FLOAT, None))
    if all(opset.domain != "com.microsoft" for opset in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))


def _tensors(names: Sequence[str], answers: Iterable[Any]) -> dict[str, Array]:
    return {name: tensor_of(answer) for name, answer in zip(names, answers, strict=True)}


#: What onnxruntime says of a model that is newer than itself, up to the newest version that it knows; and what to do.
_NEWER = {
    r"max supported IR version: (\d+)": "update onnxruntime, or write it for an older one: model.ir_version = {}",
    r"support for domain ai\.onnx is till opset (\d+)": "update onnxruntime, or export with opset {} or older",
}


def _unusable(what: str, error: Exception) -> InvalidModelError:
    said = [(re.search(pattern, str(error)), remedy) for pattern, remedy in _NEWER.items()]
    newer = [remedy.format(match[1]) for match, remedy in said if match]
    remedy = newer[0] if newer else "see which operator it names"
    return InvalidModelError(what, found=str(error).splitlines()[0], remedy=remedy)


def run_reference(
    model: onnx.ModelProto | SplitModel, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None
) -> dict[str, Array]:
    """The outputs of ``model`` by name."""
    return Reference(model).run(inputs, outputs)


def make_runner(
    model: onnx.ModelProto | SplitModel,
    providers: Sequence[Provider] | None = None,
    axis_of: Mapping[str, int] = MappingProxyType({}),
) -> Batches:
    """Load ``model`` once, to run it often, on any number of samples, by :class:`Reference`.

    Where the model fixes its batch, samples are presented in such batches, the last filled up with its last sample. Outputs
    are handed out as the model gives them; those of batches follow each other, and what no sample decides is there once.

    Raises:
        InputError: when run: an output neither grows with the samples nor is the same for all of them.
    """
    return Batches(model, providers, axis_of)


class Batches:
    """A model that is given any number of samples.

    1. Its batch is open: all at once.
    2. It declares an open batch, but names a size of it inside (a ``Reshape`` to [1, ...], a ``Resize`` to [4, ...]): so many.
    3. Its batch is fixed: so many at a time.

    Args:
        model: It.
        providers: Execution providers of onnxruntime; None: the CPU.
        axis_of: The axis of samples, of outputs where that is known.

    Attributes:
        batch: Samples at a time; None for any number, as far as it was run.
    """

    def __init__(
        self,
        model: onnx.ModelProto | SplitModel,
        providers: Sequence[Provider] | None = None,
        axis_of: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._axis_of = axis_of
        self._reference = Reference(model, providers)
        self._inputs = list(self._reference.inputs)
        first = (shape[0] for shape in self._reference.inputs.values() if shape)
        self.batch: int | None = at_a_time(size if isinstance(size, int) else None for size in first)
        self._reached = sampled_tensors(model)
        graph = (model.structure if isinstance(model, SplitModel) else model).graph
        self._named = _resized_to(graph)

    @property
    def native(self) -> bool:
        """As of :class:`Reference`."""
        return self._reference.native

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by name; see :func:`make_runner`."""
        given = {name: inputs[name] for name in self._inputs}
        samples = len(given[self._inputs[0]]) if given else 0
        if self.batch is None and (samples > 1 or self._named):
            whole = self._at_once(given)
            if whole is not None:
                return whole
        if self.batch is None or samples == self.batch:
            return self._reference.run(given)
        return self._in_batches(given, samples, self.batch)

    def _at_once(self, inputs: Mapping[str, Array]) -> dict[str, Array] | None:
        """Case 1; None, now and from now on, in case 2."""
        failure: InvalidModelError | None = None
        try:
            whole = self._reference.run(inputs)
        except InvalidModelError as error:
            failure = error
        else:
            self.batch = self._inside(whole, len(next(iter(inputs.values()))))
            return whole if self.batch is None else None
        try:
            self._reference.run({name: value[:1] for name, value in inputs.items()})
        except InvalidModelError as error:
            raise failure or error from None
        self.batch = 1
        return None

    def _inside(self, whole: Mapping[str, Array], samples: int) -> int | None:
        """The batch that is named inside: samples decide an output, and it has rows of that many, whatever their number."""
        decided = {len(value) for name, value in whole.items() if name in self._reached and value.ndim > 0}
        batches = self._named - {samples}
        named = {n for n in batches for rows in decided if rows == n or (rows % samples and not rows % n)}
        return named.pop() if len(named) == 1 else None

    def _in_batches(self, inputs: Mapping[str, Array], samples: int, batch: int) -> dict[str, Array]:
        parts = []
        for start in range(0, samples, batch):
            rows = np.minimum(np.arange(start, start + batch), samples - 1)
            parts.append(self._reference.run({name: value[rows] for name, value in inputs.items()}))
        whole = joined(parts, [batch] * len(parts), samples, self._reached, self._axis_of)
        if whole is None:
            remedy = f"give {batch} at a time"
            raise InputError("its outputs do not grow with the samples", found=samples, remedy=remedy)
        return whole


def _resized_to(graph: onnx.GraphProto) -> set[int]:
    """Sizes that a Resize gives to the first axis."""
    held = held_tensors(graph)
    wanted = [
        held.get(node.input[3])
        for node in graph.node
        if is_own(node, "Resize")
        and len(node.input) > 3
        and not any(a.name == "axes" for a in node.attribute)
    ]
    return {int(to_array(sizes).ravel()[0]) for sizes in wanted if sizes is not None}


def sampled_tensors(model: onnx.ModelProto | SplitModel) -> set[str]:
    """Names of the tensors that samples decide, by their values; all others are the same for all samples."""
    graph = (model.structure if isinstance(model, SplitModel) else model).graph
    held = {tensor.name for tensor in graph.initializer}
    steps = ((node.op_type, names_read(node), node.output) for node in graph.node)
    return of_samples(steps, [info.name for info in graph.input if info.name not in held])
