"""Conversion: a quantised network in, a spiking network out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import onnx

import onnx2snn
from onnx2snn.analysis.batch_axis import axes_of_outputs
from onnx2snn.analysis.training_mode import refuse_training_mode
from onnx2snn.batch_notes import batch_notes
from onnx2snn.calibration import Calibration
from onnx2snn.calibration.attempts import Progress
from onnx2snn.certificate.finished import Witness, check_finished
from onnx2snn.certificate.freed_batch import with_open_batch
from onnx2snn.certificate.normalised_source import NormalisedSource, facts_of, is_light
from onnx2snn.data import Source
from onnx2snn.dialect.layer_table import (
    Layer,
    NonSpikingOperator,
    is_spiking,
    read_layer_table,
)
from onnx2snn.errors import ConversionError, InputError, InvalidModelError, Onnx2SnnError, SelfCheckError
from onnx2snn.exact.proof import prove_graph
from onnx2snn.judgement import judge
from onnx2snn.listings import layer_listing
from onnx2snn.model.files import load_model
from onnx2snn.model.networks import Network, is_module, named
from onnx2snn.model.savable import SavableInParts
from onnx2snn.model.torch_modules import module_to_onnx
from onnx2snn.model.weights import SplitModel
from onnx2snn.pass_driver import Bias, Coding, Form, PassDriver
from onnx2snn.passes import PREPARE, RECOGNISE, neurons
from onnx2snn.passes.importer import import_model
from onnx2snn.passes.normalise.refuse_undefined import refuse_undefined
from onnx2snn.remedies import ITS_SOURCE
from onnx2snn.spiking_file import SpikingFile, spiking_file
from onnx2snn.units import steps_in_words, steps_to_answer, things


@dataclasses.dataclass(frozen=True, repr=False)
class Conversion(SavableInParts):
    """A converted network.

    Attributes:
        network: The spiking network, its large weights in arrays apart.
        layers: Its layers of neurons, in order.
        timesteps: T, on every train.
        depth: L, layers of neurons on the longest path.
        source: The network that it equals: what was given, what was exported of a torch module, or what calibration made.
        non_spiking: Operators between neurons that were kept (``hybrid=True``).
        macs: Multiply-accumulates of one sample: of the ``ann``, those that stay ``analog`` (the input layer among them), and
            those of them that are ``non_spiking``: behind neurons (``hybrid=True``). None where a size is dynamic: then
            results have them, by the sizes of the data.
        notes: What else is worth knowing, in words: what became of a batch that the source fixes.
        tried: What came of the finished network on a drawn sample beside its source: ``equal``, ``explained`` (by neurons on a
            threshold), ``loaded`` and why no more was tried; ``not tried`` with ``check=False``.
        checks: With data to ``check``: (pass, largest relative change of any output against the source).
        calibration: With ``calibrate``: the quantised network that this one equals, and what it lost against the float one.
    """

    network: SplitModel
    layers: tuple[Layer, ...]
    timesteps: int
    depth: int = 0
    source: str | Path | onnx.ModelProto = ""
    non_spiking: tuple[NonSpikingOperator, ...] = ()
    macs: Mapping[str, int | None] = dataclasses.field(default_factory=dict)
    checks: tuple[tuple[str, float], ...] = ()
    calibration: Calibration | None = None
    tried: str = "not tried"
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return (
            f"Conversion({things(len(self.layers), 'layer')}, {steps_in_words(self.timesteps, self.steps)})"
        )

    def _repr_html_(self) -> str:
        return layer_listing(self._layers()).html(self._told())

    def summary(self) -> str:
        """What was made, layer by layer, as text."""
        return layer_listing(self._layers()).text(self._told())

    def _layers(self) -> list[dict[str, Any]]:
        return [dataclasses.asdict(layer) for layer in self.layers]

    def _told(self) -> str:
        """One line over the table."""
        neurons = (
            None if any(None in layer.shape for layer in self.layers) else sum(x.neurons for x in self.layers)
        )
        counted = "" if neurons is None else f", {things(neurons, 'neuron')}"
        return f"{things(len(self.layers), 'layer')} of neurons{counted}, {steps_in_words(self.timesteps, self.steps)}"

    @property
    def steps(self) -> int:
        """Time steps from an input to its answer: (L + 1)·T; in a rate code, where all layers compute in each step, T."""
        return steps_to_answer(self.timesteps, self.depth, self.coding)

    @property
    def coding(self) -> str:
        """What a spike carries."""
        return str(read_layer_table(self.network.structure).get("coding", "binary"))


def convert(
    model: Network | Any,
    example_inputs: Any = None,
    *,
    calibrate: Source | None = None,
    timesteps: int | Literal["auto"] | None = None,
    coding: Coding = "binary",
    bias: Bias = "once",
    hybrid: bool = False,
    exact: bool = True,
    execution: str = "spiking",
    check: Any = None,
    batch: int | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Conversion:
    """Convert a quantised network to a spiking one that answers the same (Datta et al., arXiv 2312.06900).

    Args:
        model: A path, a model in memory, or a torch module (none of which is changed).
        example_inputs: Of a torch module, which is exported with them: what it is called with, a tensor (N, ...) or a tuple.
        calibrate: Data by which float ReLU activations are quantised first: a path, {input name: array}, or the only input's
            array.
        timesteps: T of calibrated activations (K = 2^T − 1; ``auto``: for each layer); with ``coding="rate"`` of any network.
        coding: What a spike carries. ``binary``: 2^(T−t), lossless. ``rate``: 1, as in earlier conversions: plain IF neurons
            that start at half their threshold and are reset by subtraction, K = T. An approximation, for comparisons.
        bias: How the shifted bias enters the membrane potential (METHOD 4).
        hybrid: Keep operators that cannot spike, and report them, instead of refusing the network.
        exact: With ``calibrate``: the quantised network is one that float32 computes exactly (:func:`onnx2snn.snap`).
        execution: ``spiking`` (0/1 trains) or ``fused`` (integer levels, one pass): the bodies that the model carries.
        check: None: the finished network is loaded in onnxruntime and answers one drawn sample as the source does, or there is
            an error. Data, {input name: array (N, ...)}: the graph is run and compared after every pass, too. False: neither.
        batch: Of what calibrates, samples at a time, at most; None: as many as memory is meant for.
        progress: Called while calibration goes on.

    Returns:
        The spiking network with the source's inputs and outputs, and its layer table.

    Raises:
        ConversionError: this network cannot be converted; names node, cause and remedy.
        SelfCheckError: what was made of it does not load, or answers something else than its source.
        InvalidModelError: the file is missing, damaged, or no ONNX model, or no runtime computes it.
        InputError: options that exclude each other.
    """
    form = _form(coding, bias, execution)
    model = module_to_onnx(model, example_inputs) if is_module(model) else named(model)
    source = load_model(model, in_place=True)
    if is_spiking(source):
        raise ConversionError("this model is already a spiking network", remedy=ITS_SOURCE)
    calibration = None
    if calibrate is not None:
        chosen = timesteps or (32 if coding == "rate" else 4)
        calibration = onnx2snn.calibrate(
            model,
            calibrate,
            timesteps=chosen,
            coding=coding,
            hybrid=hybrid,
            exact=exact,
            batch=batch,
            progress=progress,
        )
        source = model = calibration.model
    witness = Witness.of(source) if check is not False else None
    try:
        driver = PassDriver(source, check, form)
        conversion, normalised = _converted(source, driver, _steps(timesteps), hybrid=hybrid)
    except Onnx2SnnError:
        raise
    except Exception:  # a network that contradicts itself may break whatever works on it
        (witness or Witness.of(source)).must_run()
        raise
    return dataclasses.replace(
        _tried(conversion, source, witness, form, normalised), source=model, calibration=calibration
    )


def _form(coding: Coding, bias: Bias, execution: str) -> Form:
    if coding == "rate" and (bias == "paper" or execution != "spiking"):
        raise InputError(
            "a rate code has one form: biases are constant currents, and the execution is spiking",
            remedy="leave bias and execution as they are",
        )
    return Form("per-step" if coding == "rate" else bias, execution, coding)


def _tried(
    conversion: Conversion,
    source: onnx.ModelProto,
    witness: Witness | None,
    form: Form,
    normalised: NormalisedSource | None,
) -> Conversion:
    """Its network beside the source, where there is a witness; for any batch, where it proves to be fit for that."""
    if witness is None:
        notes = batch_notes(source, at_a_time=None, opened=False)
        return dataclasses.replace(conversion, notes=notes)
    witness.must_run()
    exact = form.coding == "binary"
    try:
        tried = check_finished(
            conversion.network, witness, execution=form.execution, exact=exact, normalised=normalised
        )
    except SelfCheckError as error:
        if witness.native:
            raise
        raise InvalidModelError(
            "onnxruntime cannot run this network, nor what it becomes",
            found=error.found,
            remedy="export it with what onnxruntime has; --no-check writes the file all the same, for other runtimes",
        ) from error
    opened = with_open_batch(conversion.network, witness)
    notes = batch_notes(source, at_a_time=witness.at_a_time, opened=opened is not None)
    return dataclasses.replace(conversion, tried=tried, network=opened or conversion.network, notes=notes)


def _converted(
    source: onnx.ModelProto, driver: PassDriver, timesteps: int | None, *, hybrid: bool
) -> tuple[Conversion, NormalisedSource | None]:
    """Through all passes; and the source as it was before neurons were made, for the check, where that is light."""
    graph = import_model(source)
    sample_axes = axes_of_outputs(graph)
    refuse_training_mode(graph)
    facts = facts_of(graph)
    graph = driver.apply(refuse_undefined(graph), PREPARE)
    prepared = graph.copy() if is_light(graph) else None
    graph = driver.apply(graph, RECOGNISE)
    normalised = None if prepared is None else NormalisedSource(*facts, prepared, graph.copy())
    judgement = judge(source, graph, hybrid=hybrid)
    if judgement.refusal:
        raise judgement.refusal
    operators = (NonSpikingOperator(k.name, k.operator, k.reason) for k in judgement.kept if hybrid)
    kept = list(dict.fromkeys(operators))
    form = driver.form
    exact = frozenset[str]()
    if form.coding == "binary" and form.bias == "once":
        exact = frozenset(proof.name for proof in prove_graph(graph) if proof.exact and proof.neurons)
    graph = driver.apply(graph, neurons(bias=form.bias, coding=form.coding, timesteps=timesteps))
    file = spiking_file(graph, driver.source, driver.form, kept, exact, sample_axes=sample_axes)
    return _conversion(file, kept, driver), normalised


def _steps(timesteps: int | str | None) -> int | None:
    return timesteps if isinstance(timesteps, int) else None


def _conversion(file: SpikingFile, kept: list[NonSpikingOperator], driver: PassDriver) -> Conversion:
    return Conversion(
        file.network,
        file.layers,
        file.timesteps,
        file.depth,
        non_spiking=tuple(kept),
        macs=file.macs,
        checks=tuple(driver.checks),
    )
