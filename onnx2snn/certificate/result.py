"""What a verification found."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Defect:
    """A difference that rounding does not explain.

    Attributes:
        layer: The layer, or the output.
        sample: Position of the sample in the data.
        neuron: Index within the layer.
        ann: The ANN's level (for an output: its value).
        snn: The SNN's.
        potential: The ANN's pre-activation z.
        threshold: The threshold between the two levels, in units of z.
        bound: The rounding bound that |z − threshold| exceeds.
        reason: In words.
    """

    layer: str
    sample: int
    neuron: tuple[int, ...]
    ann: float
    snn: float
    potential: float | None
    threshold: float | None
    bound: float
    reason: str


@dataclasses.dataclass
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
    """

    name: str
    neurons: int
    levels_compared: int = 0
    exact: int = 0
    ambiguous: int = 0
    propagated: int = 0
    unexplained: int = 0


@dataclasses.dataclass(frozen=True)
class Certificate:
    """The verdict on one conversion.

    Attributes:
        lossless: Nothing is unexplained.
        samples: How many were compared.
        generated: The samples were drawn, not given; half of them aim at thresholds.
        timesteps: T.
        layers: Counts by layer.
        max_abs_error: Largest difference of any output.
        mean_abs_error: Mean difference of all outputs.
        top1_agreement: Share of samples with the same first class; None where outputs are no scores.
        accuracy: Of ANN and SNN, where labels were given.
        worst_samples: Positions of the samples with the largest output error, worst first.
        defects: Examples of what is unexplained, at most ten.
    """

    lossless: bool
    samples: int
    generated: bool
    timesteps: int
    layers: tuple[LayerCounts, ...]
    max_abs_error: float
    mean_abs_error: float
    top1_agreement: float | None
    accuracy: dict[str, float] | None
    worst_samples: tuple[int, ...]
    defects: tuple[Defect, ...]

    def to_dict(self) -> dict[str, Any]:
        """The certificate as JSON values."""
        found = dataclasses.asdict(self)
        if self.accuracy is None:
            del found["accuracy"]
        return found
