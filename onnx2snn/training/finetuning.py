"""From any ONNX network to one that needs few time steps and few spikes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

import onnx2snn
from onnx2snn.data import input_specs, open_data
from onnx2snn.data.sources import Source
from onnx2snn.errors import InputError
from onnx2snn.exact.snapping import rounded
from onnx2snn.model.files import load_model
from onnx2snn.training.checkpoint import Checkpoint, run_identity
from onnx2snn.training.importing import import_teacher, import_torch
from onnx2snn.training.marking import prepared_graph
from onnx2snn.training.ports import Rows
from onnx2snn.training.pruning import SynapsePruning
from onnx2snn.training.qcfs import QCFS
from onnx2snn.training.records import Epoch, Finetuned, Plan, TrainingStep
from onnx2snn.training.replacing import calibrate_thresholds
from onnx2snn.training.scale_free import step_scale_free
from onnx2snn.training.sparsity import FineGrainedL1
from onnx2snn.training.spike_meter import SpikeMeter
from onnx2snn.training.synapse_counts import NORMALISERS
from onnx2snn.training.taught import Taught, quantised_network
from onnx2snn.training.teaching import lessons

_CHECKED = 8  # samples on which the imported network has to agree with its source
_CALIBRATION = 512
#: Share of the steps over which the penalty grows to its full weight.
RAMP = 0.5


def finetune(
    model: str | Path | onnx.ModelProto,
    data: Source,
    *,
    timesteps: int = 4,
    sparsity: float = 0.0,
    pruning: float = 0.0,
    layerwise: float = 0.0,
    epochs: int = 5,
    learning_rate: float = 1e-3,
    batch: int = 64,
    held_out: float = 0.1,
    patience: int = 0,
    seed: int = 0,
    exact: bool = True,
    checkpoint: str | Path | None = None,
    on_epoch: Callable[[Epoch], None] = lambda _epoch: None,
    on_step: Callable[[TrainingStep], None] = lambda _step: None,
) -> Finetuned:
    """Train a network for ``timesteps`` time steps and few spikes.

    Its activations become QCFS with K = 2^T − 1 levels; a float network is calibrated first
    (:func:`onnx2snn.calibrate`), a quantised one keeps its ranges.
    With ``labels`` in the data it learns the labels, without any what it answered before:
    probabilities by their Kullback-Leibler divergence, embeddings, boxes and masks by squared error over
    their variance (which distils logits best, too: Kim et al., IJCAI 2021), summed over outputs. The epoch with
    the least loss + sparsity · spikes on the held-out samples is kept. A seed gives the same result again on the
    same machine with the same number of threads.

    Args:
        model: Float or quantised, from any framework.
        data: A path or arrays by input name; kept in memory.
        timesteps: T.
        sparsity: η, loss per spike (:class:`FineGrainedL1`); it grows linearly over the first half.
        pruning: ν, loss per synaptic operation below which a synapse is dropped (:class:`SynapsePruning`), behind each
            epoch of the first half, in which it grows; later epochs alone can be the best.
        layerwise: Weight of hidden activations beside answers: each layer learns what the network had there before
            (:class:`~onnx2snn.training.hints.LayerHints`).
        epochs: At most so many.
        learning_rate: Of Adam, at the beginning; it falls to 0 along a cosine. Thresholds move by it in proportion to themselves.
        batch: Samples a step.
        held_out: Share of the samples that judge an epoch and are not trained on.
        patience: Stop after so many epochs without a better one (once the penalty is at its full weight); 0:
            never.
        seed: Of the held-out choice and of the order of samples.
        exact: Round weights, biases and the input to grids on which float32 adds exactly (:func:`onnx2snn.snap`), where the
            network stays what it has learned to be.
        checkpoint: A file: the state after each epoch, which a later call with the same arguments goes on
            from.
        on_epoch: Called with each epoch's result.
        on_step: Called after each batch.

    Raises:
        ConversionError: the network cannot be trained here (an operator that onnx2torch does not know, by
            name).
        InputError: the data does not fit, training diverged, or there is no epoch behind the last synapse dropped.
    """
    if pruning and epochs < 2:
        raise InputError(
            "a network needs an epoch before and one after synapses are dropped",
            found=f"{epochs} epoch",
            remedy="train for at least two epochs",
        )
    source = load_model(model)
    data_set = open_data(data, input_specs(source))
    plan = Plan(
        timesteps, sparsity, pruning, layerwise, epochs, learning_rate, batch, held_out, patience, seed
    )
    samples = next(iter(data_set.batches(_CHECKED))).inputs
    torch.manual_seed(seed)
    taught = lessons(prepared_graph(source), data_set)
    kept, judged = split(len(taught), held_out, seed)
    quantised = quantised_network(source, taught.given(kept[:_CALIBRATION]), timesteps=timesteps)
    imported = import_torch(quantised, levels=2**timesteps - 1, samples=samples)
    teacher = import_teacher(source, samples=samples) if layerwise else None
    run = run_identity(
        onnx2snn.__version__,
        source.SerializeToString(),
        data_set.fingerprint,
        taught.inputs.numpy().tobytes(),
        asdict(plan),
    )
    state = Checkpoint(None if checkpoint is None else Path(checkpoint), run)
    trainer = _Trainer(Taught(imported, teacher, taught, kept, judged), plan, state)
    history = trainer.run(on_epoch, on_step)
    result, unrounded = imported.export(), ""
    if exact:
        made, unrounded = rounded(result, data_set)
        result = result if unrounded else made.model
    trainer.checkpoint.remove()
    return Finetuned(result, min(history, key=trainer.score), history, unrounded)


class _Trainer:
    """One run: calibrate what has no threshold yet, train, keep the best."""

    def __init__(self, taught: Taught, plan: Plan, checkpoint: Checkpoint) -> None:
        self.taught, self.kept, self.judged = taught.lessons, taught.kept, taught.judged
        self.model = Rows(taught.network.module, self.taught.inputs_held, self.taught.wanted)
        self.hints = taught.hints(self.model)
        self.plan, self.checkpoint = plan, checkpoint
        self.to_calibrate = [f"network.{name}" for name in taught.network.to_calibrate]
        self.steps = len(self.kept.split(plan.batch))
        self.thresholds = [child.threshold for child in self.model.modules() if isinstance(child, QCFS)]
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=plan.learning_rate)
        self.synapses = SynapsePruning(
            self.model, plan.pruning, answers=taught.lessons.answers, seed=plan.seed
        )
        self.history: list[Epoch] = []
        self.best: dict[str, Tensor] = {}

    def score(self, epoch: Epoch) -> float:
        """What the best epoch has least of; infinite while synapses are still to be dropped."""
        if self.plan.pruning and epoch.number <= self.settled:
            return math.inf
        return epoch.held_out_loss + self.plan.sparsity * epoch.spikes

    @property
    def settled(self) -> int:
        """The epoch that ends with the whole penalty."""
        return math.ceil(RAMP * self.plan.epochs)

    def run(
        self, on_epoch: Callable[[Epoch], None], on_step: Callable[[TrainingStep], None]
    ) -> tuple[Epoch, ...]:
        if not self._resume():
            calibration = [self.taught.inputs[self.kept[:_CALIBRATION]]]
            calibrate_thresholds(self.model, calibration, names=self.to_calibrate)
            self._judge(0, float("nan"), time.monotonic(), on_epoch)
        with FineGrainedL1(self.model, 1.0) as spikes, self.synapses:
            for number in range(len(self.history), self.plan.epochs + 1):
                if self._is_exhausted():
                    break
                began = time.monotonic()
                if self.plan.pruning and 1 < number <= self.settled + 1:
                    share = (number - 1) / self.settled
                    self.synapses.drop(self.taught.inputs[self.kept[:_CALIBRATION]], share)
                loss = self._epoch(number, spikes, on_step)
                self._judge(number, loss, began, on_epoch)
        self.model.load_state_dict(self.best)
        return tuple(self.history)

    def _epoch(self, number: int, spikes: FineGrainedL1, on_step: Callable[[TrainingStep], None]) -> float:
        self._begin_training()
        order = torch.randperm(len(self.kept), generator=_generator(self.plan.seed, number))
        total = 0.0
        for done, chosen in enumerate(self.kept[order].split(self.plan.batch)):
            position = ((number - 1) * self.steps + done) / (self.plan.epochs * self.steps)
            for group in self.optimiser.param_groups:
                group["lr"] = self.plan.learning_rate * 0.5 * (1 + math.cos(math.pi * position))
            loss = self.taught.loss(self.model(self.taught.inputs[chosen]), self.taught.targets[chosen])
            hinted = 0.0 if self.hints is None else self.hints(self.taught.inputs[chosen])
            emitted = spikes()
            weight = self.plan.sparsity * min(1.0, position / RAMP)
            self.optimiser.zero_grad()
            (loss + self.plan.layerwise * hinted + weight * emitted).backward()
            step_scale_free(self.optimiser, self.thresholds)
            value = float(loss.detach())
            if not math.isfinite(value):
                raise InputError(
                    "training diverged", found=f"a loss of {value}", remedy="lower the learning rate"
                )
            total += value * len(chosen)
            on_step(TrainingStep(number, done + 1, self.steps, value, float(emitted.detach())))
        return total / len(self.kept)

    def _begin_training(self) -> None:
        """Statistics of batch norms stay those of the training that the network comes from: few samples have others."""
        self.model.train()
        for child in self.model.modules():
            if isinstance(child, NORMALISERS):
                child.eval()

    def _judge(self, number: int, loss: float, began: float, on_epoch: Callable[[Epoch], None]) -> None:
        """Measure on the held-out samples, keep the state, save it."""
        answers, spikes = evaluate(self.model, self.taught.inputs[self.judged])
        targets = self.taught.targets[self.judged]
        self.synapses.clear()
        epoch = Epoch(
            number,
            loss,
            held_out_loss=float(self.taught.loss(answers, targets)),
            accuracy=self.taught.right(answers, targets),
            errors=self.taught.errors(answers, targets),
            spikes=spikes,
            synapses=self.synapses.kept,
            seconds=time.monotonic() - began,
        )
        if not self.history or self.score(epoch) < min(map(self.score, self.history)):
            self.best = {name: values.clone() for name, values in self.model.state_dict().items()}
        self.history.append(epoch)
        self.checkpoint.save(
            {
                "model": self.model.state_dict(),
                "best": self.best,
                "synapses": self.synapses.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "history": [asdict(one) for one in self.history],
            }
        )
        on_epoch(epoch)

    def _resume(self) -> bool:
        state = self.checkpoint.load()
        if state is None:
            return False
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.synapses.load_state_dict(state["synapses"])
        self.best = state["best"]
        self.history = [Epoch(**one) for one in state["history"]]
        return True

    def _is_exhausted(self) -> bool:
        """Whether ``patience`` epochs at full penalty brought nothing better."""
        patience, done = self.plan.patience, len(self.history) - 1
        settled = self.settled if self.plan.sparsity or self.plan.pruning else 0
        if not patience or done < settled + patience:
            return False
        scores = [self.score(epoch) for epoch in self.history]
        return min(scores[-patience:]) >= min(scores[:-patience])


def split(total: int, held_out: float, seed: int) -> tuple[Tensor, Tensor]:
    """Positions to train on, at least two, and positions to judge by, at least one."""
    if total < 3:
        raise InputError(
            "training needs at least three samples",
            found=total,
            remedy="give data with three samples or more",
        )
    order = torch.randperm(total, generator=_generator(seed, 0))
    count = min(max(1, round(total * held_out)), total - 2)
    return order[count:], order[:count]


def evaluate(model: nn.Module, inputs: Tensor, *, batch: int = 256) -> tuple[Tensor, float]:
    """The outputs (N, ...) in evaluation mode, and the mean spikes of one sample."""
    model.eval()
    with torch.no_grad(), SpikeMeter(model) as meter:
        answers = torch.cat([model(part) for part in inputs.split(batch)])
    return answers, meter.total


def _generator(seed: int, number: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed * 1_000_003 + number)
