"""Energy of one sample as the report tells it: by one table of costs, and with memory accesses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from onnx2snn.runtime.energy import FLOAT32, INT8, EnergyTable

#: What people call the tables of costs.
TABLES = {FLOAT32: "32-bit float", INT8: "8-bit integer"}


@dataclass(frozen=True)
class EnergyFacts:
    """Joules a sample, if an operation costs what one table says (METHOD 7).

    Attributes:
        name: The table.
        synapses: SynOps · E_AC.
        analog: What reads analog values, the input layer above all, and what neurons compute of potentials, · E_MAC; None where
            it is not counted.
        ann: Multiply-accumulates of the source · E_MAC; None where they are not known.
        accumulate: E_AC, joules.
        multiply_accumulate: E_MAC, joules.
        memory: What memory accesses add, by the model that the page names: of the ``snn``, and of the ``ann``.
    """

    name: str
    synapses: float
    analog: float | None
    ann: float | None
    accumulate: float
    multiply_accumulate: float
    memory: Mapping[str, float | None] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        table: EnergyTable,
        synops: float,
        snn: float | None,
        ann: float | None,
        memory: Mapping[str, float | None] | None = None,
    ) -> EnergyFacts:
        """What ``synops`` cost, and what the rest of ``snn`` does; joules of a sample."""
        synapses = synops * table.accumulate
        analog = None if snn is None else max(snn - synapses, 0.0)
        costs = table.accumulate, table.multiply_accumulate
        return cls(TABLES[table], synapses, analog, ann, *costs, memory or {})

    @property
    def snn(self) -> float:
        """Both parts of the SNN's."""
        return self.synapses + (self.analog or 0.0)

    @property
    def with_memory(self) -> tuple[float, float] | None:
        """The SNN's and the ANN's with memory accesses; None where one of them is not known."""
        snn, ann = self.memory.get("snn"), self.memory.get("ann")
        return None if snn is None or ann is None or self.ann is None else (self.snn + snn, self.ann + ann)
