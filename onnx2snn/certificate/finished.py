"""A finished file, loaded and run beside its source, before anybody gets it."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from onnx2snn.certificate.as_written import Shown, near
from onnx2snn.certificate.batch_findings import Findings, difference
from onnx2snn.certificate.compare import Comparison
from onnx2snn.certificate.defects import check_form, defect
from onnx2snn.certificate.normalised_source import NormalisedSource
from onnx2snn.certificate.samples import Way, ways
from onnx2snn.certificate.source_network import Answer
from onnx2snn.data import Batch, InputSpec, batch_of, input_specs
from onnx2snn.errors import ConversionError, InputError, InvalidModelError, Onnx2SnnError
from onnx2snn.graph.core import Array
from onnx2snn.model.files import save_model
from onnx2snn.model.reference import Reference, make_runner
from onnx2snn.model.weights import SplitModel, split_model, weights_as_inputs
from onnx2snn.model.writer import write_embedded
from onnx2snn.remedies import IN_RANGE, UNCHECKED, either
from onnx2snn.runtime.backends import tensor_of

#: Bytes of weights up to which the very bytes of the file are loaded; larger ones are given to the runtime where they are.
LIGHT = 1 << 24


@dataclass(frozen=True)
class Witness:
    """What the source, as it is, answers to a drawn sample.

    Attributes:
        source: The source.
        inputs: The sample, as a batch of two where the source takes one, by name.
        outputs: The source's answers by name; empty where no sample was found that it computes.
        failure: Why not.
        at_a_time: It declares an open batch, and works for so many samples at a time; None for any number.
        any_number: It takes any number of samples at a time.
        native: onnxruntime computes it; else the reference evaluator of the onnx package does.
    """

    source: SplitModel
    inputs: Mapping[str, Array] = field(default_factory=dict)
    outputs: Mapping[str, Array] = field(default_factory=dict)
    failure: Onnx2SnnError | None = None
    at_a_time: int | None = None
    any_number: bool = False
    native: bool = True

    @classmethod
    def of(cls, model: onnx.ModelProto | SplitModel) -> Witness:
        """Draw a sample that ``model`` computes; axes that it leaves open are given a few sizes, one after another."""
        source = model if isinstance(model, SplitModel) else split_model(model)
        failure: Onnx2SnnError | None = None
        try:
            specs, run = input_specs(source.structure), make_runner(source)
            for draw, count in _ways(specs):
                try:
                    inputs = draw(count)
                    outputs = run(inputs)
                    if run.batch not in (
                        None,
                        count,
                    ):  # it names its batch: for others sizes and axes say something else
                        inputs = draw(run.batch)
                        outputs = run(inputs)
                except InvalidModelError as error:
                    failure = failure or error
                    continue
                if all(output.size for output in outputs.values()):
                    open_ = all(spec.batch is None for spec in specs)
                    at_a_time = run.batch if open_ else None
                    any_, native = run.batch is None, run.native
                    return cls(source, inputs, outputs, None, at_a_time, any_number=any_, native=native)
        except Onnx2SnnError as error:
            failure = error
        empty = InputError(
            "whatever the size of its open axes, an output is empty", remedy="give data: --data DATA.npz"
        )
        return cls(source, failure=failure or empty)

    def must_run(self) -> None:
        """Nothing, or why no runtime computes the source.

        Raises:
            InvalidModelError: it was run on inputs as it declares them, and failed.
        """
        if isinstance(self.failure, InvalidModelError) and not self._open():
            raise self.failure

    def _open(self) -> bool:
        """Whether the sample was a guess: the model leaves sizes open, or reads numbers that may be positions in a table."""
        return len(list(ways(input_specs(self.source.structure)))) > 1


def _ways(specs: Sequence[InputSpec]) -> Iterator[tuple[Callable[[int], dict[str, Array]], int]]:
    """How samples are drawn, and how many: two at a time, where the batch is open: then it is no size like any other."""
    fixed = batch_of(specs)
    counts = (2, 1) if fixed is None else (fixed,)
    for way in ways(specs):

        def draw(count: int, way: Way = way) -> dict[str, Array]:
            return way.draw(specs, np.random.default_rng(0), count)

        yield from ((draw, count) for count in counts)


def check_finished(
    network: SplitModel,
    witness: Witness,
    *,
    execution: str,
    exact: bool = True,
    normalised: NormalisedSource | None = None,
) -> str:
    """Keep to the rules of ONNX, load, and answer as the source does: ``equal``, ``explained`` by ambiguous neurons ...

    Args:
        network: The spiking network, as it will be written.
        witness: Of its source.
        execution: Whose bodies it carries.
        exact: Whether it promises the source's answers; a rate code promises names, types and shapes.
        normalised: The source as the conversion normalised it; None: it is normalised here.

    Returns:
        What was found, in words.

    Raises:
        SelfCheckError: it does not; says what differs.
    """
    if broken := broken_rule(network):
        raise defect("the spiking network is against the rules of ONNX", found=broken)
    run = LoadedFile(network)
    if not witness.outputs:
        return f"loaded; no sample could be drawn on which the source runs: {witness.failure}".splitlines()[0]
    found = run(witness.inputs)
    check_form(found, witness.outputs, network="spiking", source="source")
    if not exact:
        return "loaded; a rate code approximates its answers (verify says how far)"
    if all(near(found[name], value) for name, value in witness.outputs.items()):
        return "equal"
    shown = _farthest(run, witness, found) or (witness.inputs, found)
    del run
    _explain(network, (witness.source, normalised), *shown, execution)
    return "explained"


def _farthest(
    run: LoadedFile, witness: Witness, found: Mapping[str, Array]
) -> tuple[Mapping[str, Array], Mapping[str, Array]] | None:
    """Of several samples, the one answered farthest from the source, and these answers; None where it alone has others."""
    counts = {len(v) if v.ndim else 0 for v in (*witness.inputs.values(), *witness.outputs.values())}
    if not witness.any_number or len(counts) != 1 or min(counts) < 2:
        return None
    apart = np.zeros(counts.pop())
    for name, value in witness.outputs.items():
        largest = float(difference(value, np.zeros_like(value)).max(initial=0)) or 1.0
        with np.errstate(invalid="ignore"):  # infinities and no numbers are as far as can be
            ratio = difference(found[name], value).reshape(len(apart), -1).max(axis=1) / largest
        apart = np.maximum(apart, np.where(np.isnan(ratio), np.inf, ratio))
    row = slice(int(np.argmax(apart)), int(np.argmax(apart)) + 1)
    alone = {name: value[row] for name, value in witness.inputs.items()}
    answers = run(alone)
    alike = all(near(answers[name], value[row]) for name, value in found.items())
    return (alone, answers) if alike else None


def broken_rule(network: SplitModel) -> str:
    """Which rule of ONNX a finished file does not keep to; empty where it keeps to all."""
    try:
        onnx.checker.check_model(weights_as_inputs(network.structure), full_check=True)
    except Exception as error:  # noqa: BLE001 - the checker's and the inference's errors share no base class
        return _first_line(error)
    return ""


class LoadedFile:
    """The file in onnxruntime, as whoever loads it has it."""

    def __init__(self, network: SplitModel) -> None:
        try:
            self._reference: Reference | None = None
            if sum(values.nbytes for values in network.weights.values()) > LIGHT:
                self._reference = Reference(network)
                return
            stream = io.BytesIO()
            write_embedded(network, stream)
            options = ort.SessionOptions()
            options.log_severity_level = 4
            options.intra_op_num_threads = 1
            # What an operator needed is given back when it is done: the session lives as long as the check.
            options.enable_cpu_mem_arena = options.enable_mem_pattern = False
            self._session = ort.InferenceSession(
                stream.getvalue(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors share no base class
            raise defect("onnxruntime cannot load the spiking network", found=_said(error)) from error

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by name."""
        try:
            if self._reference is not None:
                return self._reference.run(inputs)
            names = [output.name for output in self._session.get_outputs()]
            read = {value.name: inputs[value.name] for value in self._session.get_inputs()}
            return {n: tensor_of(v) for n, v in zip(names, self._session.run(names, read), strict=True)}
        except Exception as error:  # as above
            raise defect("onnxruntime cannot run the spiking network", found=_said(error)) from error


def _explain(
    network: SplitModel,
    sources: tuple[SplitModel, NormalisedSource | None],
    inputs: Mapping[str, Array],
    found: Mapping[str, Array],
    execution: str,
) -> None:
    """The certificate's verdict on samples; and what it looked at has to be what the file answers."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "snn.onnx"
            save_model(network, path)
            way: dict[str, Any] = {"execution": execution, "backend": "onnxruntime"}
            comparison = Comparison(sources[0], network, str(path), normalised=sources[1], **way)
            shown = Shown(
                network, comparison.trains, comparison.timesteps, fused=comparison.fused, load=LoadedFile
            )
            comparison.session = shown
            answer = comparison.answer(inputs)
            _must_be_numbers(answer)
            findings = comparison(Batch(0, dict(inputs), None), answer)
    except ConversionError:
        raise
    except Exception as error:  # whatever a comparison breaks on, the network has not been shown to be right
        raise defect(
            "the spiking network cannot be compared with its source", found=_first_line(error)
        ) from error
    _check_findings(findings)
    for name, value in shown.answers.items():
        if not near(found[name], value):
            far = float(difference(found[name], value).max())
            raise defect(
                f"output '{name}' changes where the levels of neurons are read beside it",
                found=f"largest difference {far:.3g}",
            )


def _must_be_numbers(answer: Answer) -> None:
    for name in answer.overflown:
        raise ConversionError(
            f"the activation '{name}' is no number, and no level, on a drawn sample: what lies in front of it overflows",
            remedy=either(IN_RANGE, UNCHECKED),
        )


def _check_findings(findings: Findings) -> None:
    if not findings.unexplained:
        return
    one = findings.defects[0]
    raise defect(
        f"the spiking network does not answer as its source does: {one.reason}",
        node=one.layer,
        found=f"the source {one.ann:.6g}, the spiking network {one.snn:.6g}, bound {one.bound:.3g}",
    )


def _said(error: Exception) -> str:
    """What onnxruntime says, without its path of files."""
    return _first_line(error).split(" Status Message: ")[-1]


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
