"""Passes, one after the other, and the graph compared before and after each."""

from __future__ import annotations

import dataclasses
import gc
import logging
import time
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnx2snn.analysis.pass_manager import State, apply_owned, state_of
from onnx2snn.dialect.functions import attach_functions
from onnx2snn.graph.core import Array, Pass, is_constant
from onnx2snn.graph.exporter import to_split_model
from onnx2snn.model.reference import run_reference

#: Bytes of constants that are worth a collection of garbage after each pass.
_HEAVY = 1 << 25

_LOG = logging.getLogger(__name__)

Bias = Literal["once", "per-step", "paper"]
Coding = Literal["binary", "rate"]


@dataclasses.dataclass(frozen=True)
class Form:
    """How neurons are written: see :func:`onnx2snn.convert`."""

    bias: Bias
    execution: str
    coding: Coding


class PassDriver:
    """Applies passes, and compares the graph before and after each."""

    def __init__(self, source: onnx.ModelProto, check: Any, form: Form) -> None:
        samples = _samples(check)
        self.source = source
        self.form = form
        self.checks: list[tuple[str, float]] = []
        self._samples = samples
        self._began = 0.0
        self._expected = None if samples is None else run_reference(source, samples)
        self._seen: State | None = None
        self._constants: dict[int, int] = {}

    def apply(self, graph: gs.Graph, passes: tuple[Pass, ...]) -> gs.Graph:
        """``graph`` is given away."""
        self._began = time.perf_counter()
        return apply_owned(graph, passes, self._watch)

    def _watch(self, graph_pass: Pass, graph: gs.Graph) -> None:
        took = 1000 * (time.perf_counter() - self._began)
        _LOG.debug("%s: %d nodes, %.0f ms", graph_pass.__name__, len(graph.nodes), took)
        self._let_go(graph)
        if self._expected is not None:
            self._check(graph_pass.__name__, graph)
        self._began = time.perf_counter()

    def _let_go(self, graph: gs.Graph) -> None:
        """Graphs are full of cycles: weights that were replaced would wait for the next collection."""
        held = _constants(graph)
        replaced = self._constants.keys() - held.keys()
        if sum(self._constants[one] for one in replaced) >= _HEAVY:
            gc.collect()
        self._constants = held

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


def _constants(graph: gs.Graph) -> dict[int, int]:
    """Bytes of the values that nodes read; arrays are told apart by where they are."""
    read = (t.values for node in graph.nodes for t in node.inputs if is_constant(t))
    return {id(values): values.nbytes for values in read}


def relative_change(found: Array, expected: Array) -> float:
    """The largest difference, relative to the range of what was expected; infinite where shapes differ."""
    if found.shape != expected.shape:
        return float("inf")
    if expected.size == 0 or np.array_equal(found, expected):
        return 0.0
    low, high = np.min(expected).astype(np.float64), np.max(expected).astype(np.float64)
    span = max(float(high - low), float(np.abs(high)), 1e-12)
    return float(np.max(np.abs(found.astype(np.float64) - expected))) / span


def _samples(check: Any) -> Mapping[str, Array] | None:
    if check is None or check is False:
        return None
    if isinstance(check, Mapping):
        return check
    inputs: Mapping[str, Array] = next(iter(check.batches(64))).inputs
    return inputs
