"""When each tensor of a pipeline holds the sample that entered first: stages, and the delays between them.

A *phase* is T time steps. A network's input is held during phase 0; a tensor of *stage* k belongs, during phase n, to the
sample that entered in phase n − k.

    analog input         stage 0
    neuron               integrates during stage k, generates during stage k + 1
    Hold                 takes its value at the end of stage k, holds it during stage k + 1
    Integrate            the stage of its train, at the end of the phase
    any other operator   the stage of the deepest tensor that it reads

Where an operator joins tensors of different stages, the shallower ones are delayed by whole phases. Neurons fire as early
as they can. Operators on trains run as late as they can: delays then move up to the neurons, where a value is a bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

import onnx

from onnx2snn.compile.draft import is_dialect, is_neuron, reads
from onnx2snn.dialect.functions import DOMAIN, HOLD
from onnx2snn.operators import of


class StageKind(Enum):
    """What a tensor holds.

    STATIC: what depends on sizes and constants alone.
    ANALOG: one value a sample.
    TRAIN: one value a time step.
    """

    STATIC = "static"
    ANALOG = "analog"
    TRAIN = "train"


@dataclass
class Schedule:
    """Stages of a network.

    Attributes:
        kinds: By tensor.
        stages: By tensor, in phases; static tensors have none.
        reading: By position of a node: the stage in which it reads.
        depth: The stage of the answer: layers of neurons on the longest path.
    """

    kinds: dict[str, StageKind] = field(default_factory=dict)
    stages: dict[str, int] = field(default_factory=dict)
    reading: dict[int, int] = field(default_factory=dict)
    depth: int = 0

    def delay(self, position: int, name: str) -> int:
        """Phases by which the node at ``position`` reads ``name`` late."""
        return self.reading[position] - self.stages[name] if name in self.stages else 0

    def output_delay(self, name: str) -> int:
        """Phases by which an output of the network waits for the deepest one."""
        return self.depth - self.stages[name] if name in self.stages else 0


def make_schedule(nodes: Sequence[onnx.NodeProto], inputs: Iterable[str]) -> Schedule:
    """Stages of all tensors.

    Args:
        nodes: In topological order.
        inputs: Names of the network's inputs.

    Raises:
        ValueError: an operator reads a train beside an analog value, which the dialect does not know.
    """
    found = Schedule()
    for name in inputs:
        found.kinds[name], found.stages[name] = StageKind.ANALOG, 0
    for position, node in enumerate(nodes):
        _forwards(found, position, node)
    found.depth = max(found.stages.values(), default=0)
    _backwards(found, nodes)
    return found


def signals(node: onnx.NodeProto, schedule: Schedule) -> list[str]:
    """The tensors that carry a sample from stage to stage: not constants, not what only lends its size."""
    if of(node).sizes:
        return []
    read = node.input if node.domain == DOMAIN else sorted(reads(node))
    return [name for name in read if schedule.kinds.get(name, StageKind.STATIC) is not StageKind.STATIC]


def _forwards(found: Schedule, position: int, node: onnx.NodeProto) -> None:
    read = signals(node, found)
    kinds = {found.kinds[name] for name in read}
    if len(kinds) > 1 and node.domain != DOMAIN:
        raise ValueError(f"{node.op_type} '{node.name}' reads a spike train beside an analog value")
    kind = kinds.pop() if kinds else StageKind.STATIC
    stage = max((found.stages[name] for name in read), default=0)
    found.reading[position] = stage
    if is_neuron(node) or is_dialect(node, HOLD):
        kind, stage = StageKind.TRAIN, stage + 1
    elif node.domain == DOMAIN:
        kind = StageKind.ANALOG
    for name in node.output:
        found.kinds[name] = kind
        if kind is not StageKind.STATIC:
            found.stages[name] = stage


def _backwards(found: Schedule, nodes: Sequence[onnx.NodeProto]) -> None:
    """Move operators on trains to the latest stage that all their readers allow."""
    allowed: dict[str, int] = {}
    for position in reversed(range(len(nodes))):
        node = nodes[position]
        free = node.domain != DOMAIN and found.kinds[node.output[0]] is StageKind.TRAIN
        latest = [allowed[name] for name in node.output if name in allowed]
        if free and latest:
            found.reading[position] = min(latest)
            found.stages.update(dict.fromkeys(node.output, min(latest)))
        for name in signals(node, found):
            allowed[name] = min(allowed.get(name, found.depth), found.reading[position])
