"""Conversion: a quantised network in, a spiking network out."""

from __future__ import annotations

import dataclasses
import gc
import logging
import math
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnx_graphsurgeon as gs

import onnx2snn
from onnx2snn.analysis.pass_manager import State, apply_owned, state_of
from onnx2snn.analysis.training_mode import refuse_training_mode
from onnx2snn.batch_notes import batch_notes
from onnx2snn.calibration import Calibration
from onnx2snn.calibration.attempts import Progress
from onnx2snn.certificate.finished import Witness, check_finished
from onnx2snn.certificate.freed_batch import with_open_batch
from onnx2snn.compile.schedule import make_schedule
from onnx2snn.data import Source
from onnx2snn.dialect.functions import VERSION, attach_functions
from onnx2snn.dialect.layer_table import (
    Layer,
    NonSpikingOperator,
    described_as,
    is_snn,
    read_layer_table,
    write_counting_graph,
    write_layer_table,
)
from onnx2snn.dialect.macs import macs_of
from onnx2snn.dialect.neuron_layers import layers_of
from onnx2snn.dialect.synops import counting_graph
from onnx2snn.errors import ConversionError, InputError, Onnx2SnnError
from onnx2snn.exact.proof import prove_graph
from onnx2snn.graph.core import Array, Pass, is_constant
from onnx2snn.graph.exporter import declared_as, to_split_model
from onnx2snn.judgement import judge
from onnx2snn.model.files import load_model, save_model
from onnx2snn.model.networks import Network, is_module, named
from onnx2snn.model.qonnx_definition import inlined
from onnx2snn.model.reference import run_reference
from onnx2snn.model.torch_modules import module_to_onnx
from onnx2snn.model.weights import SplitModel
from onnx2snn.passes import PREPARE, RECOGNISE, neurons
from onnx2snn.passes.importer import import_model
from onnx2snn.passes.normalise.refuse_undefined import refuse_undefined
from onnx2snn.passes.rewrite.spike import network_timesteps
from onnx2snn.remedies import ITS_SOURCE
from onnx2snn.tables import layer_listing
from onnx2snn.units import steps_in_words, steps_to_answer, things

#: Bytes of constants that are worth a collection of garbage after each pass.
_HEAVY = 1 << 25

_LOG = logging.getLogger(__name__)

Bias = Literal["once", "per-step", "paper"]
Coding = Literal["binary", "rate"]


@dataclasses.dataclass(frozen=True, repr=False)
class Conversion:
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

    @cached_property
    def model(self) -> onnx.ModelProto:
        """The spiking network, which any ONNX runtime runs; made when first asked for, as it copies the weights."""
        return self.network.whole()

    def save(self, path: str | Path) -> None:
        """Write the model to ``path``, whole or not at all.

        Raises:
            OutputError: it cannot be written there.
        """
        save_model(
            self.__dict__.get("model", self.network), path
        )  # with what the caller changed in the model


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
        progress: Called while calibration goes on.

    Returns:
        The spiking network with the source's inputs and outputs, and its layer table.

    Raises:
        ConversionError: this network cannot be converted; names node, cause and remedy.
        SelfCheckError: what was made of it does not load, or answers something else than its source.
        InvalidModelError: the file is missing, damaged, or no ONNX model, or no runtime computes it.
        InputError: options that exclude each other.
    """
    if coding == "rate" and (bias == "paper" or execution != "spiking"):
        raise InputError(
            "a rate code has one form: biases are constant currents, and the execution is spiking",
            remedy="leave bias and execution as they are",
        )
    model = module_to_onnx(model, example_inputs) if is_module(model) else named(model)
    source = load_model(model, in_place=True)
    if is_snn(source):
        raise ConversionError("this model is already a spiking network", remedy=ITS_SOURCE)
    calibration = None
    if calibrate is not None:
        chosen = timesteps or (32 if coding == "rate" else 4)
        calibration = onnx2snn.calibrate(
            model, calibrate, timesteps=chosen, coding=coding, hybrid=hybrid, exact=exact, progress=progress
        )
        source = model = calibration.model
    form = Form("per-step" if coding == "rate" else bias, execution, coding)
    witness = Witness.of(source) if check is not False else None
    try:
        conversion = _converted(
            source, _Driver(source, _samples(check), form), _steps(timesteps), hybrid=hybrid
        )
    except Onnx2SnnError:
        raise
    except Exception:  # a network that contradicts itself may break whatever works on it
        (witness or Witness.of(source)).must_run()
        raise
    if witness is not None:
        witness.must_run()
        tried = check_finished(conversion.network, witness, execution=execution, exact=coding == "binary")
        conversion = dataclasses.replace(conversion, tried=tried)
    opened = None if witness is None else with_open_batch(conversion.network, witness)
    at_a_time = None if witness is None else witness.at_a_time
    return dataclasses.replace(
        conversion,
        source=model,
        network=opened or conversion.network,
        calibration=calibration,
        notes=batch_notes(source, at_a_time=at_a_time, opened=opened is not None),
    )


def _converted(
    source: onnx.ModelProto, driver: _Driver, timesteps: int | None, *, hybrid: bool
) -> Conversion:
    """Through all passes."""
    graph = import_model(source)
    refuse_training_mode(graph)
    graph = driver.apply(refuse_undefined(graph), (*PREPARE, *RECOGNISE))
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
    return _finish(graph, driver, kept, exact)


def _steps(timesteps: int | str | None) -> int | None:
    return timesteps if isinstance(timesteps, int) else None


def _samples(check: Any) -> Mapping[str, Array] | None:
    if check is None or check is False:
        return None
    if isinstance(check, Mapping):
        return check
    inputs: Mapping[str, Array] = next(iter(check.batches(64))).inputs
    return inputs


@dataclasses.dataclass(frozen=True)
class Form:
    """How neurons are written: see :func:`convert`."""

    bias: Bias
    execution: str
    coding: Coding


class _Driver:
    """Applies passes, and compares the graph before and after each."""

    def __init__(self, source: onnx.ModelProto, samples: Mapping[str, Array] | None, form: Form) -> None:
        self.source = source
        self.form = form
        self.checks: list[tuple[str, float]] = []
        self._samples = samples
        self._began = 0.0
        self._expected = None if samples is None else run_reference(source, samples)
        self._seen: State | None = None

    def apply(self, graph: gs.Graph, passes: tuple[Pass, ...]) -> gs.Graph:
        """``graph`` is given away."""
        self._began = time.perf_counter()
        return apply_owned(graph, passes, self._watch)

    def _watch(self, graph_pass: Pass, graph: gs.Graph) -> None:
        took = 1000 * (time.perf_counter() - self._began)
        _LOG.debug("%s: %d nodes, %.0f ms", graph_pass.__name__, len(graph.nodes), took)
        if _size_of_constants(graph) >= _HEAVY:
            gc.collect()  # graphs are full of cycles: weights that were replaced would wait for the next collection
        if self._expected is not None:
            self._check(graph_pass.__name__, graph)
        self._began = time.perf_counter()

    def _check(self, name: str, graph: gs.Graph) -> None:
        """Run ``graph``; one that the pass did not change answers what it answered before."""
        before, self._seen = self._seen, state_of(graph)
        if before is not None and self._seen.equals(before):
            self.checks.append((name, self.checks[-1][1]))
            return
        model = to_split_model(graph)
        attach_functions(model.structure, bias=self.form.bias, coding=self.form.coding)
        found = run_reference(model, self._samples or {})
        expected = self._expected or {}
        worst = max(relative_change(found[key], value) for key, value in expected.items())
        self.checks.append((name, worst))


def _size_of_constants(graph: gs.Graph) -> int:
    """In bytes."""
    read = (t for node in graph.nodes for t in node.inputs if is_constant(t))
    return sum(math.prod(t.shape) * np.dtype(t.dtype).itemsize for t in read)


def relative_change(found: Array, expected: Array) -> float:
    """The largest difference, relative to the range of what was expected; infinite where shapes differ."""
    if found.shape != expected.shape:
        return float("inf")
    if expected.size == 0 or np.array_equal(found, expected):
        return 0.0
    low, high = np.min(expected).astype(np.float64), np.max(expected).astype(np.float64)
    span = max(float(high - low), float(np.abs(high)), 1e-12)
    return float(np.max(np.abs(found.astype(np.float64) - expected))) / span


def _finish(
    graph: gs.Graph, driver: _Driver, kept: list[NonSpikingOperator], exact: frozenset[str]
) -> Conversion:
    form = driver.form
    network = to_split_model(graph)
    network = dataclasses.replace(
        network, structure=inlined(network.structure)
    )  # what was kept of QONNX runs nowhere
    model = network.structure
    attach_functions(model, bias=form.bias, execution=form.execution, coding=form.coding)
    declared_as(model, driver.source)
    described_as(model, driver.source)
    schedule = make_schedule(model.graph.node, [info.name for info in model.graph.input])
    layers = tuple(
        dataclasses.replace(layer, phase=schedule.stages[layer.output], exact=layer.source_tensor in exact)
        for layer in layers_of(graph, form.coding)
    )
    timesteps = network_timesteps(graph, form.coding)
    write_counting_graph(model, counting_graph(model, layers))
    macs = macs_of(graph, layers)
    write_layer_table(
        model,
        {
            "dialect": VERSION,
            "producer": f"onnx2snn {onnx2snn.__version__}",
            "timesteps": timesteps,
            "depth": schedule.depth,
            **dataclasses.asdict(form),
            "layers": [dataclasses.asdict(layer) for layer in layers],
            "outputs": [output.name for output in model.graph.output],
            "macs": macs.total,
            "layer_macs": macs.by_layer,
            **(
                {"open_macs": macs.unknown} if None in (*macs.total.values(), *macs.by_layer.values()) else {}
            ),
            "non_spiking": [dataclasses.asdict(operator) for operator in kept],
        },
    )
    model.producer_name = "onnx2snn"
    model.producer_version = onnx2snn.__version__
    return Conversion(
        network,
        layers,
        timesteps,
        schedule.depth,
        non_spiking=tuple(kept),
        macs=macs.total,
        checks=tuple(driver.checks),
    )
