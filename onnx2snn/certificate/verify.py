"""Verification: the source as ONNX defines it against the spiking network, neuron by neuron."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx2snn.certificate.forcing import ForcedNetwork
from onnx2snn.certificate.result import Certificate, Defect, LayerCounts
from onnx2snn.certificate.samples import drawn
from onnx2snn.certificate.source import Source, rounding_bound
from onnx2snn.data import Batch, input_specs, open_data
from onnx2snn.dialect import read_layer_table
from onnx2snn.errors import InvalidModelError
from onnx2snn.evaluation.work import predicted_classes
from onnx2snn.graph import Array
from onnx2snn.model_file import load_model
from onnx2snn.reference import loads_in_onnxruntime, make_runner
from onnx2snn.runtime import SpikingSession

#: Samples at a time.
CHUNK = 64
#: Outputs behind a head (Softmax ...) of equal levels may differ by this share of their range: the head's own rounding.
OUTPUT_TOLERANCE = 2e-5
MOST_DEFECTS = 10


def verify(
    source: str | Path | onnx.ModelProto,
    snn: str | Path | onnx.ModelProto,
    data: Any = None,
    *,
    execution: str = "spiking",
    backend: str = "onnxruntime",
    progress: Callable[[int], None] | None = None,
) -> Certificate:
    """Compare a spiking network with its source on every neuron of every sample.

    Args:
        source: The network that was converted.
        snn: The converted network.
        data: A path, a data set, or {input name: array (N, ...)}; None: 64 samples are drawn, half of them at thresholds.
        execution: The execution of the spiking network to check.
        backend: What runs it.
        progress: Called with the number of samples that were just done.

    Raises:
        InvalidModelError: a file is missing or damaged, or the SNN is not of this source.
        InputError: the data does not fit.
    """
    model, converted = load_model(source), load_model(snn)
    table = read_layer_table(converted)
    check = _Check(model, converted, table, execution=execution, backend=backend)
    specs = input_specs(model)
    if data is None:
        samples = {name: value.astype(value.dtype) for name, value in drawn(specs, check.source).items()}
        data_set = open_data(samples, specs)
    else:
        data_set = open_data(data, specs)
    for batch in data_set.batches(CHUNK):
        check.batch(batch)
        if progress is not None:
            progress(len(batch))
    return check.certificate(generated=data is None)


class _Check:
    """Counts differences, batch by batch; memory stays bounded by one batch."""

    def __init__(
        self,
        model: onnx.ModelProto,
        converted: onnx.ModelProto,
        table: dict[str, Any],
        *,
        execution: str,
        backend: str,
    ) -> None:
        self.source = Source(model)
        self._table = table
        self._names = {layer["name"]: layer["source_tensor"] for layer in table["layers"]}
        self._match(table)
        self._session = SpikingSession(
            converted.SerializeToString(), execution=execution, backend=backend, chunk=CHUNK
        )
        self._converted = converted
        self._forced: ForcedNetwork | None = None
        self._raw = make_runner(model) if loads_in_onnxruntime(model) else None
        self._counts = {
            name: LayerCounts(name, layer["neurons"])
            for name, layer in zip(self._names, table["layers"], strict=True)
        }
        self._defects: list[Defect] = []
        self._samples = 0
        self._unexplained = 0
        self._errors: list[NDArray[np.float64]] = []
        self._max_error = self._sum_error = 0.0
        self._values = 0
        self._same_class = self._classed = 0
        self._right = {"ann": 0, "snn": 0}
        self._labelled = 0

    def _match(self, table: dict[str, Any]) -> None:
        """Every activation of the source must be a layer of the SNN, and the other way round."""
        missing = sorted(set(self.source.layers) - set(self._names.values()))
        foreign = sorted(set(self._names.values()) - set(self.source.layers))
        if missing or foreign or sorted(table.get("outputs", [])) != sorted(self.source.outputs):
            found = [f"no layer for {m}" for m in missing] + [
                f"no activation {f} in the source" for f in foreign
            ]
            raise InvalidModelError(
                "this spiking network was not made from this source",
                found="; ".join(found[:3]) or "other outputs",
                remedy="convert the source again, or give the file that it was converted from",
            )

    def batch(self, batch: Batch) -> None:
        inputs = batch.inputs
        answer = self.source.run(inputs)
        expected = self._expected(inputs, answer)
        ann = self.source.levels(answer)
        found = self._session.levels(inputs)
        unequal = False
        for name, tensor in self._names.items():
            counts = self._counts[name]
            same = found[name] == ann[tensor]
            counts.levels_compared += same.size
            counts.exact += int(same.sum())
            unequal |= not same.all()
        if unequal:
            self._explain(batch, ann, found)
        self._outputs(batch, expected, found, None if unequal else ann)
        self._samples += len(batch)

    def _expected(self, inputs: Mapping[str, Array], normalised: dict[str, Array]) -> dict[str, Array]:
        """What the source answers; where no runtime computes it as it is written, what it answers normalised."""
        if self._raw is not None:
            try:
                return self._raw(inputs)
            except InvalidModelError:
                self._raw = None
        return normalised

    def _explain(self, batch: Batch, ann: dict[str, Any], found: dict[str, Array]) -> None:
        """Sort the neurons whose levels differ, by what they answer when every layer gets the ANN's levels."""
        if self._forced is None:
            outputs = {layer["name"]: layer["output"] for layer in self._table["layers"]}
            self._forced = ForcedNetwork(self._converted, outputs, self._session.timesteps)
        forced = self._forced.levels(batch.inputs, {n: ann[t] for n, t in self._names.items()})
        potentials = self.source.potentials(batch.inputs, ann)
        for name, tensor in self._names.items():
            layer = self.source.layers[tensor]
            z, magnitude = potentials[tensor]
            bound = rounding_bound(layer, z, magnitude, self._session.timesteps)
            wide = np.broadcast_to(bound, ann[tensor].shape)
            differs = found[name] != ann[tensor]
            alone = forced[name] != ann[tensor]
            high = np.maximum(forced[name], ann[tensor])
            low = np.minimum(forced[name], ann[tensor])
            upper, lower = layer.staircase.lower_edges(high), layer.staircase.lower_edges(low + 1)
            near = (np.abs(z - upper) <= wide) & (np.abs(z - lower) <= wide)
            bad = alone & ~near
            counts = self._counts[name]
            counts.ambiguous += int((differs & alone & near & (found[name] == forced[name])).sum())
            counts.propagated += int((differs & ~bad & ~(alone & near & (found[name] == forced[name]))).sum())
            counts.unexplained += int(bad.sum())
            counts.exact -= int((bad & ~differs).sum())
            self._note(batch, name, bad, ann[tensor], forced[name], z, upper, wide)

    def _note(  # noqa: PLR0917 - what one defect is made of
        self, batch: Batch, name: str, bad: Any, ann: Any, snn: Any, z: Any, edge: Any, bound: Any
    ) -> None:
        self._unexplained += int(bad.sum())
        for where in np.argwhere(bad)[: MOST_DEFECTS - len(self._defects)]:
            at = tuple(int(i) for i in where)
            self._defects.append(
                Defect(
                    name, batch.start + at[0], at[1:], float(ann[at]), float(snn[at]), float(z[at]),
                    float(np.broadcast_to(edge, ann.shape)[at]), float(bound[at]),
                    "with the ANN's own inputs the neuron answers another level, and rounding does not explain it",
                )
            )  # fmt: skip

    def _outputs(
        self, batch: Batch, expected: dict[str, Array], found: dict[str, Array], ann: dict[str, Any] | None
    ) -> None:
        worst = np.zeros(len(batch))
        for name in self.source.outputs:
            a, b = expected[name].astype(np.float64), found[name].astype(np.float64)
            if a.shape != b.shape:
                raise InvalidModelError(
                    f"output '{name}' of the spiking network has another shape", found=b.shape
                )
            error = np.abs(a - b)
            error[np.isnan(a) & np.isnan(b)] = 0
            error = np.nan_to_num(error, nan=np.inf)
            self._max_error = max(self._max_error, float(error.max(initial=0)))
            self._sum_error += float(error.sum())
            self._values += error.size
            worst = np.maximum(worst, error.reshape(len(batch), -1).max(axis=1, initial=0))
            if ann is not None:
                self._output_defects(batch, name, a, b, ann)
        self._errors.append(worst)
        first = self.source.outputs[0]
        right, snn = predicted_classes(expected[first]), predicted_classes(found[first])
        if right is None or snn is None:
            return
        self._classed += len(batch)
        self._same_class += int((right == snn).sum())
        if batch.labels is not None:
            self._labelled += len(batch)
            self._right["ann"] += int((right == batch.labels).sum())
            self._right["snn"] += int((snn == batch.labels).sum())

    def _output_defects(self, batch: Batch, name: str, a: Array, b: Array, levels: dict[str, Any]) -> None:
        """All levels are equal, so outputs may differ by the readout's rounding only."""
        error = np.nan_to_num(np.abs(a - b), nan=np.inf)
        error[np.isnan(a) & np.isnan(b)] = 0
        span = max(float(np.ptp(a)), float(np.abs(a).max(initial=0)), 1e-30)
        bad = error > OUTPUT_TOLERANCE * span
        if bad.any():
            bounds = self.source.readout_bounds(batch.inputs, levels, self._session.timesteps)
            bad &= error > bounds.get(name, np.zeros(1))
        self._unexplained += int(bad.sum())
        for where in np.argwhere(bad)[: MOST_DEFECTS - len(self._defects)]:
            at = tuple(int(i) for i in where)
            reason = "every level is equal, but the readout answers another value"
            ann, snn, bound = float(a[at]), float(b[at]), OUTPUT_TOLERANCE * span
            self._defects.append(
                Defect(name, batch.start + at[0], at[1:], ann, snn, None, None, bound, reason)
            )

    def certificate(self, *, generated: bool) -> Certificate:
        errors = np.concatenate(self._errors) if self._errors else np.zeros(0)
        order = np.argsort(-errors, kind="stable")[:5]
        return Certificate(
            lossless=self._unexplained == 0,
            samples=self._samples,
            generated=generated,
            timesteps=self._session.timesteps,
            layers=tuple(self._counts.values()),
            max_abs_error=self._max_error,
            mean_abs_error=self._sum_error / max(self._values, 1),
            top1_agreement=self._same_class / self._classed if self._classed else None,
            accuracy={k: v / self._labelled for k, v in self._right.items()} if self._labelled else None,
            worst_samples=tuple(int(i) for i in order if errors[i] > 0),
            defects=tuple(self._defects),
        )
