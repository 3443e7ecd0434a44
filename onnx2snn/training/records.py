"""What a training run was asked for, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from onnx2snn.model.savable import Savable


@dataclass(frozen=True)
class Plan:
    """The options of a training run; see :func:`finetune`."""

    timesteps: int
    sparsity: float
    pruning: float
    layerwise: float
    epochs: int
    learning_rate: float
    batch: int
    held_out: float
    patience: int
    seed: int


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to.

    Attributes:
        number: 1 is the first; 0 is the calibrated network, before training.
        loss: Mean training loss without the penalty (NaN for number 0).
        held_out_loss: The same loss on the held-out samples.
        accuracy: Share of held-out samples answered as the labels say; NaN without labels.
        errors: By output that is no labels' matter: root mean square difference of held-out answers from the source network's,
            over their standard deviation.
        spikes: Mean spikes of one held-out sample.
        synapses: Share that is left, 0..1.
        seconds: Duration.
    """

    number: int
    loss: float
    held_out_loss: float
    accuracy: float
    errors: dict[str, float]
    spikes: float
    synapses: float
    seconds: float

    @property
    def error(self) -> float:
        """The root mean square of :attr:`errors`; NaN where there are none."""
        squares = [value**2 for value in self.errors.values()]
        return (sum(squares) / len(squares)) ** 0.5 if squares else float("nan")


@dataclass(frozen=True)
class Finetuned(Savable):
    """The result of :func:`finetune`.

    Attributes:
        model: The network with QCFS activations, ready for ``onnx2snn.convert``.
        best: The epoch that it comes from.
        history: All epochs, from the calibrated network on.
        unrounded: Why its weights are on no grids, on which float32 adds exactly, where they were to be; empty elsewhere.
    """

    model: onnx.ModelProto
    best: Epoch
    history: tuple[Epoch, ...]
    unrounded: str = ""


@dataclass(frozen=True)
class TrainingStep:
    """Where a run is, for whoever shows it: batch ``done`` of ``total`` in epoch ``epoch``."""

    epoch: int
    done: int
    total: int
    loss: float
    spikes: float
