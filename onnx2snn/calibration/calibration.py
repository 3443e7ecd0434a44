"""Calibration: staircases of K levels stand wherever a float network's values enter synapses or products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import onnx

from onnx2snn.calibration.attempts import RULES, Method, Outcome, Progress, Work
from onnx2snn.calibration.calibrated import CalibratedLayer, Calibration, decibels
from onnx2snn.calibration.data_free import imagine
from onnx2snn.calibration.layerwise import Fitted
from onnx2snn.calibration.measure import Loss
from onnx2snn.calibration.mixed import fewest_spikes
from onnx2snn.calibration.preparing import prepare
from onnx2snn.calibration.statistics import spread
from onnx2snn.data import input_specs, open_data
from onnx2snn.dialect.layer_table import is_spiking
from onnx2snn.errors import ConversionError, InputError
from onnx2snn.exact.rounded_network import Product
from onnx2snn.exact.snapping import made_exact
from onnx2snn.graph.exporter import declared_as, to_model
from onnx2snn.model.files import load_model
from onnx2snn.model.networks import Network, named
from onnx2snn.remedies import ITS_SOURCE

#: Samples on which corrections are fitted.
SAMPLES = 256
#: Samples from which the ranges of quantisers that are put in are chosen.
RANGED = 32
#: Longest codes.
MOST_STEPS = 16
MOST_RATE_STEPS = 4096


def calibrate(
    model: Network,
    data: Any = None,
    *,
    timesteps: int | Literal["auto"] = 4,
    method: Method = "auto",
    per_channel: bool | None = None,
    coding: Literal["binary", "rate"] = "binary",
    max_loss: float = 0.1,
    hybrid: bool = False,
    samples: int = SAMPLES,
    exact: bool = True,
    batch: int | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Calibration:
    """Put staircases of K = 2^T − 1 levels wherever values enter synapses, or products of two activations.

    Clipped lines (ReLU, ReLU6, Clip, HardSigmoid) become staircases; functions of one tensor, quotients and operands of products
    get one behind them (:mod:`onnx2snn.calibration.quantiser_places`).

    Args:
        model: The float network; a path, or a model in memory (which is not changed).
        data: Samples: a path, a data set, or {input name: array}; labels only serve to measure. 32 are enough. None: batch norm
            statistics stand in for them, and thresholds are those of least squared error.
        timesteps: T; ``auto``: for each layer, so that spikes are fewest.
        method: How thresholds are chosen: ``max``, ``percentile`` (99.9), ``mse`` (least squared error): from statistics of the
            float network over all of the data. ``auto``: least squared error layer by layer behind layers that are quantised
            already, with corrections of means and weights where they help (:mod:`onnx2snn.calibration.fit`); ``mse`` where values
            select how many rows there are (NonMaxSuppression).
        per_channel: One threshold per channel, or per layer; None: what is better (``auto``), per channel (others).
        coding: ``binary``, or ``rate``: K = T, as many levels as T plain spikes can say.
        max_loss: With ``timesteps="auto"``: the loss allowed, in percentage points of accuracy; without labels, of samples that
            answer another class.
        hybrid: Keep other nonlinearities between synapses as they are instead of refusing the network.
        samples: Samples that ``auto`` fits on, spread over the data; fewer where memory asks for it.
        exact: Round weights, biases and the input to grids on which float32 adds exactly (:func:`onnx2snn.snap`): the spiking
            network then equals this one bit for bit, in every execution and runtime. False: weights stay as they are fitted.
            Rate codes are approximations, and stay as they are.
        batch: Samples at a time, at most; None: as many as memory is meant for.
        progress: Called as work goes on.

    Raises:
        ConversionError: something between synapses has no place for a staircase (Hardmax, TopK); names node, operator and remedy.
        InputError: the data does not fit, or an option is out of range.
    """
    _check(timesteps, coding, samples, method)
    source = load_model(named(model), in_place=True)
    if is_spiking(source):
        raise ConversionError("this model is already a spiking network", remedy=ITS_SOURCE)
    specs = input_specs(source)
    form = _Form(timesteps, coding, exact=exact and coding == "binary")
    data_set = None if data is None else open_data(data, specs, batch=batch)
    if data_set is not None and not len(data_set):
        raise InputError(
            "there are no samples to calibrate with",
            remedy="give data with at least one sample, or none: data=None",
        )
    few = None if data_set is None else spread(data_set, RANGED, progress=lambda _done: None)
    prepared = prepare(source, hybrid=hybrid, exact=form.exact, samples=few)
    work = Work(prepared, method, per_channel, samples)
    if data_set is None:
        return _without_data(source, work, specs, form)
    work.look(data_set, progress)
    if timesteps == "auto":
        outcome = fewest_spikes(work.trial, work.prepared, work.looked_at, max_loss)
    else:
        outcome = work.trial(dict.fromkeys(work.names, _levels(timesteps, coding)))
    return _calibration(source, work, outcome, form)


@dataclass(frozen=True)
class _Form:
    """What is asked for: see :func:`calibrate`."""

    timesteps: int | str
    coding: str
    exact: bool


def _check(timesteps: int | str, coding: str, samples: int, method: str) -> None:
    if method not in ("auto", *RULES):
        raise InputError(f"there is no method '{method}'", remedy="choose auto, mse, percentile or max")
    if samples < 1:
        raise InputError(
            "calibration needs at least one sample",
            found=samples,
            remedy="leave 'samples' away, or give 1 or more",
        )
    if timesteps == "auto":
        if coding == "rate":
            raise InputError("a rate code has one T for all layers", remedy="give it: timesteps=32")
        return
    most = MOST_STEPS if coding == "binary" else MOST_RATE_STEPS
    if not isinstance(timesteps, int) or not 1 <= timesteps <= most:
        raise InputError(
            f"T lies between 1 and {most}", found=timesteps, remedy=f"choose 1 to {most}; 4 is usual"
        )


def _levels(timesteps: int, coding: str) -> int:
    return timesteps if coding == "rate" else 2**timesteps - 1


def _without_data(source: onnx.ModelProto, work: Work, specs: Any, form: _Form) -> Calibration:
    if not isinstance(form.timesteps, int):
        raise InputError("choosing T for each layer needs data", remedy="give data, or T")
    work.imagine(imagine(work.prepared.graph, work.prepared.places, specs))
    outcome = work.trial(dict.fromkeys(work.names, _levels(form.timesteps, form.coding)))
    return _calibration(source, work, outcome, form)


def _calibration(source: onnx.ModelProto, work: Work, outcome: Outcome, form: _Form) -> Calibration:
    layers = tuple(_layer(one, outcome.loss, form.coding) for one in outcome.fitted)
    loss, exact, on_grids, fault = outcome.loss, None, None, ""
    if form.exact:
        exact = made_exact(outcome.graph, source, [work.looked_at] if work.looked_at else ())
        rounded = work.measured(exact.model)
        errors = [one.output.relative if one else None for one in (rounded, loss)]
        fault = Product(exact.exact, exact.coarsest, exact.obstacle, *errors).fault
        if fault:
            exact, on_grids = None, errors[0]
        else:
            loss = rounded
    return Calibration(
        model=declared_as(to_model(outcome.graph), source) if exact is None else exact.model,
        layers=layers,
        timesteps=form.timesteps
        if isinstance(form.timesteps, int)
        else max(layer.timesteps for layer in layers),
        method=work.method,
        samples=loss.samples if loss else 0,
        output_error=loss.output.relative if loss else None,
        top1_agreement=loss.top1_agreement if loss else None,
        accuracy=loss.accuracy if loss else None,
        non_spiking=tuple(kept.name for kept in work.prepared.kept),
        exact=exact,
        error_on_grids=on_grids,
        unrounded=fault,
    )


def _layer(one: Fitted, loss: Loss | None, coding: str) -> CalibratedLayer:
    levels, choice = one.staircase.levels, one.choice
    correction = "none"
    if choice is not None and (choice.mean or choice.ridge is not None):
        correction = "mean" if choice.ridge is None else "weights"
    return CalibratedLayer(
        name=one.line.node,
        operator=one.line.operator,
        levels=levels,
        timesteps=levels if coding == "rate" else levels.bit_length(),
        thresholds=one.staircase.step.size,
        correction=correction,
        signal_to_noise=decibels(loss.layers[one.line.output].signal_to_noise)
        if loss and one.line.output in loss.layers
        else None,
    )
