"""How tensors that count samples on any axis are held with samples in front."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from onnx2snn.graph.core import Array
from onnx2snn.graph.mover import Sizes
from onnx2snn.operators.batch import Samples

#: An axis of a tensor, or a part of the axis that counts samples.
Label: TypeAlias = "tuple[int, str]"


@dataclass(frozen=True)
class SampleLayout:
    """How a tensor of ``sizes``, which counts samples on an axis, is held with them in front."""

    samples: Samples
    sizes: Sizes

    @property
    def parts(self) -> list[tuple[str, int]]:
        """Of the axis that counts samples, beside them: outer and inner entries, where there are several."""
        return [(p, n) for p, n in (("o", self.samples.outer), ("i", self.samples.inner or 1)) if n > 1]

    @property
    def labels(self) -> list[Label]:
        """The axes behind samples, in order."""
        found: list[Label] = []
        for axis in range(len(self.sizes)):
            parts = [part for part, _ in self.parts] if axis == self.samples.axis else [""]
            found += [(axis, part) for part in parts]
        return found

    def size(self, label: Label) -> int | str:
        """Of an axis behind samples."""
        axis, part = label
        return dict(self.parts)[part] if part else self.sizes[axis]

    @property
    def behind(self) -> Sizes:
        """The sizes of one sample."""
        return [self.size(label) for label in self.labels]

    @property
    def same(self) -> bool:
        """Whether it is held as it is."""
        return self.samples == Samples(0)

    def place(self, axis: int) -> int | None:
        """Where an axis is, with samples in front; None for that which counts them."""
        axis %= len(self.sizes)
        return None if axis == self.samples.axis else self.labels.index((axis, "")) + 1

    def constant(self, values: Array) -> Array | None:
        """``values``, taken against the tensor; None where they differ by sample."""
        samples, rank = self.samples, len(self.sizes)
        if values.size == 1 or values.ndim < rank - samples.axis:
            return values.reshape(()) if values.size == 1 and values.ndim > 1 else values
        full = values.reshape((1,) * (rank - values.ndim) + values.shape)
        if full.shape[samples.axis] != 1:
            return None
        return full.reshape([1, *(1 if part else full.shape[axis] for axis, part in self.labels)])
