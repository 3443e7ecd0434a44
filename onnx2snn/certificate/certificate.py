"""What a verification found."""

from __future__ import annotations

import dataclasses
import importlib
import math
from typing import Any

from onnx2snn.listings import Listing, certificate_listing, nearness_listing
from onnx2snn.units import count, steps_in_words, things


@dataclasses.dataclass(frozen=True)
class Defect:
    """A difference that rounding does not explain.

    Attributes:
        layer: The layer, or the output.
        sample: Position of the sample in the data; None where the network itself was compared, whatever the data.
        neuron: Index within the layer.
        ann: The ANN's level (for an output, or where maps were compared: its value).
        snn: The SNN's.
        potential: The ANN's pre-activation z in exact arithmetic; of a neuron without data, in units of θ.
        threshold: The threshold between the two levels, in units of z.
        bound: The rounding bound that the difference exceeds.
        reason: In words.
    """

    layer: str
    sample: int | None
    neuron: tuple[int, ...]
    ann: float
    snn: float
    potential: float | None
    threshold: float | None
    bound: float
    reason: str


@dataclasses.dataclass(frozen=True)
class LayerCounts:
    """Neurons of one layer, over all samples.

    Attributes:
        name: The IF node.
        neurons: Neurons for one sample.
        levels_compared: neurons · samples.
        exact: The same level.
        ambiguous: Another level, but z lies within the float32 rounding bound of the threshold between.
        propagated: Another level because the inputs differed; with the ANN's inputs exact or ambiguous.
        unexplained: A defect.
        ann_exact: Of the ambiguous ones, those for which exact arithmetic (float64) gives the ANN's level.
        snn_exact: And those for which it gives the SNN's.
        signal_to_noise: Where values are compared (``Certificate.approximate``): of what the spikes stand for, in decibels;
            None otherwise, or without a difference.
        read_from: Where the ANN's levels come from: the source's own ``file``, or, where no tensor of the file holds them, its
            ``normalised form`` (then outputs of the file say whether these were its levels).
    """

    name: str
    neurons: int
    levels_compared: int = 0
    exact: int = 0
    ambiguous: int = 0
    propagated: int = 0
    unexplained: int = 0
    ann_exact: int = 0
    snn_exact: int = 0
    signal_to_noise: float | None = None
    read_from: str = "file"


@dataclasses.dataclass(frozen=True)
class OutputCheck:
    """One output of the source's file, as it is, against the spiking network's.

    Attributes:
        name: The output.
        max_abs_error: Largest difference.
        unexplained: Numbers that differ by more than explained neurons and the rounding bound allow; None where nothing is
            certified (``Certificate.approximate``).
    """

    name: str
    max_abs_error: float
    unexplained: int | None


@dataclasses.dataclass(frozen=True)
class MapCheck:
    """The synapses of one layer, or of an output, compared in float64, whatever the data.

    Attributes:
        name: The IF node, or the output.
        probes: Patterns of levels on which both networks' affine maps were evaluated; every synapse takes part.
        differing: Potentials that differ by more than the rounding of constants explains.
        largest: The largest difference, as a share of that bound: below 1 where maps agree.
        thresholds: Thresholds at which the neuron answers another level than the activation.
        rigorous: Whether the bound is proved; False where an operator that is not spiking has none, and it is measured.
        exact: Whether it is proved that float32 rounds nothing in either network, whatever the levels before the layer.
    """

    name: str
    probes: int
    differing: int
    largest: float
    thresholds: int
    rigorous: bool
    exact: bool = False


@dataclasses.dataclass(frozen=True)
class InterpreterCheck:
    """Answers of the spiking network beside those of the interpreter: its integer kernels round in their own way.

    Attributes:
        name: Of the interpreter.
        samples: How many were compared.
        equal: Share of the numbers of all outputs that are equal.
        max_abs_error: Largest difference of any output; of integer outputs, in codes.
        top1_agreement: Share of samples with the same first class, by the first output that holds scores; None without one.
    """

    name: str
    samples: int
    equal: float
    max_abs_error: float
    top1_agreement: float | None


@dataclasses.dataclass(frozen=True, repr=False)
class Certificate:
    """The verdict on one conversion.

    Attributes:
        lossless: Nothing is unexplained, on the data and in the network.
        samples: How many were compared.
        generated: The samples were drawn, not given; half of them aim at thresholds.
        timesteps: T.
        layers: Counts by layer.
        maps: Synapses and thresholds by layer, and the readouts.
        outputs: The file's outputs, each against the spiking network's.
        max_abs_error: Largest difference of any output.
        mean_abs_error: Mean difference of all outputs.
        top1_agreement: Share of samples with the same first class; None where outputs are no scores.
        accuracy: Of ANN and SNN, where labels were given.
        worst_samples: Positions of the samples with the largest output error, worst first.
        defects: Examples of what is unexplained, at most ten.
        approximate: There is nothing to certify: spikes are rate-coded, or the source is not quantised. Values and answers
            were compared, ``exact`` counts levels nearest to the source's values.
        exact: It is proved of every layer that float32 rounds nothing: levels are equal for every input, in every execution,
            runtime and thread count.
        interpreter: Answers beside those of the interpreter that the source's own file is made for; None where there is none.
        steps: Time steps from an input to its answer, (L + 1)·T; None where it is not known.
        alike: Samples in which all levels are equal.
        alike_error: The largest output error of those.
        one_at_a_time: Samples were given one at a time, as the source takes those of a batch together and answers several
            otherwise than each alone (operators that were kept between neurons do that).
    """

    lossless: bool
    samples: int
    generated: bool
    timesteps: int
    layers: tuple[LayerCounts, ...]
    maps: tuple[MapCheck, ...]
    outputs: tuple[OutputCheck, ...]
    max_abs_error: float
    mean_abs_error: float
    top1_agreement: float | None
    accuracy: dict[str, float] | None
    worst_samples: tuple[int, ...]
    defects: tuple[Defect, ...]
    approximate: bool = False
    exact: bool = False
    interpreter: InterpreterCheck | None = None
    steps: int | None = None
    alike: int = 0
    alike_error: float = 0.0
    one_at_a_time: bool = False

    def __repr__(self) -> str:
        return f"Certificate({self._told()})"

    def _repr_html_(self) -> str:
        return self._listing().html(self._told(), *self.words())

    def summary(self) -> str:
        """The verdict and what became of each layer's levels, as text."""
        return self._listing().text(self._told(), *self.words())

    def plot(self) -> Any:
        """Levels that differ, by cause and layer, as a ``matplotlib.figure.Figure`` (extra ``report``).

        Raises:
            OutputError: matplotlib is missing.
        """
        plots = importlib.import_module("onnx2snn.report.plots")  # an extra, which stands on all of this
        return plots.plot_certificate(self)

    def words(self) -> list[str]:
        """What differences mean for the answers, where a lossless network has some; no lines where there are none."""
        layers = self.layers
        ambiguous, propagated = (sum(getattr(x, n) for x in layers) for n in ("ambiguous", "propagated"))
        if self.approximate or not self.lossless or not ambiguous + propagated:
            return []
        ann, snn = (sum(getattr(x, n) for x in layers) for n in ("ann_exact", "snn_exact"))
        unlike = self.samples - self.alike
        lies = "lies" if ambiguous == 1 else "lie"
        follow = (
            f", and {things(propagated, 'level')} behind differ in turn (propagated)" if propagated else ""
        )
        equal = (
            f"In {count(self.alike)} of {things(self.samples, 'sample')} all levels are equal, and outputs differ by "
            f"{self.alike_error:.2g} at most."
        )
        other = (
            f"In the other {count(unlike)}, {things(ambiguous, 'potential')} {lies} so near to a threshold that float32 may "
            f"give either level (ambiguous){follow}; outputs differ by {self.max_abs_error:.2g} at most. Another order of "
            "additions in the source does the same to it."
        )
        truth = f"Exact arithmetic gives the SNN's level for {count(snn)} of the {count(ambiguous)}, the ANN's for {count(ann)}."
        return [equal, other, truth]

    def _listing(self) -> Listing:
        layers = [dataclasses.asdict(layer) for layer in self.layers]
        return (nearness_listing if self.approximate else certificate_listing)(layers)

    def _told(self) -> str:
        verdict = "an approximation" if self.approximate else "lossless" if self.lossless else "not lossless"
        told = f"{verdict}: {things(self.samples, 'sample')}, {steps_in_words(self.timesteps, self.steps)}"
        return f"{told}, largest output error {self.max_abs_error:.3g}"

    def to_dict(self) -> dict[str, Any]:
        """The certificate as JSON values; numbers that are not finite are None."""
        found: dict[str, Any] = _finite(dataclasses.asdict(self))
        if self.accuracy is None:
            del found["accuracy"]
        if self.interpreter is None:
            del found["interpreter"]
        return found


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
