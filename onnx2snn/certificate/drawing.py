"""Samples where none are given, drawn by the type and the sizes of each input."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnx2snn.data import InputSpec
from onnx2snn.errors import InputError, InvalidModelError
from onnx2snn.graph.core import Array

#: Sizes that are tried for axes that the model leaves open, all of them alike.
SIZES = (16, 32, 64, 128, 224, 8, 4, 3, 2, 1)
#: Integers of more than 16 bits may be pixels, or positions in a table of unknown length: they are drawn below one of these.
TOPS = (256, 10, 2, 1)
#: Values of an input: in float64 they fill 2 GiB.
LARGEST = 1 << 28


@dataclass(frozen=True)
class Way:
    """How samples are drawn.

    Attributes:
        size: Of axes that the model leaves open.
        top: Of wide integers: all are below it.
    """

    size: int = SIZES[0]
    top: int = TOPS[0]

    def draw(self, specs: Sequence[InputSpec], random: np.random.Generator, count: int) -> dict[str, Array]:
        """Inputs (count, ...) by name.

        Raises:
            InputError: the model does not say an input's rank, it is no tensor of numbers, or one that no machine holds.
        """
        return {spec.name: self._values(spec, random, count) for spec in specs}

    def _values(self, spec: InputSpec, random: np.random.Generator, count: int) -> Array:
        kind = np.dtype(spec.dtype)
        if spec.shape is None or not (kind.kind in "fiub" or kind.name == "bfloat16"):
            raise InputError(
                f"no samples can be drawn for input '{spec.name}'",
                found=str(spec),
                remedy="give data: --data DATA.npz",
            )
        shape = (count, *(self.size if size is None else size for size in spec.shape))
        if math.prod(shape) > LARGEST:
            raise InputError(
                f"no samples can be drawn for input '{spec.name}': no machine holds one", found=str(spec)
            )
        if kind.kind in "iub":
            return self._integers(kind, random, shape)
        return _numbers(random, shape).astype(kind)

    def _integers(
        self, kind: np.dtype[np.generic], random: np.random.Generator, shape: tuple[int, ...]
    ) -> Array:
        """All codes of up to 16 bits; of wider ones those below ``top``."""
        if kind.kind == "b":
            return random.random(shape) < 0.5
        if kind.itemsize > 2:
            return random.integers(0, self.top, shape).astype(kind)
        range_ = np.iinfo(kind.name)
        return random.integers(range_.min, range_.max + 1, shape).astype(kind)


def _numbers(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Normal ones, ones in [0, 1), larger ones, and few of them, in turn."""
    values = random.normal(0, 1, shape)
    values[1::4] = random.uniform(0, 1, values[1::4].shape)
    values[2::4] *= 3
    values[3::4] *= random.uniform(0, 1, values[3::4].shape) < 0.25
    return values


def ways(specs: Sequence[InputSpec]) -> Iterator[Way]:
    """Those that differ for these inputs, the likeliest first."""
    open_ = any(spec.shape is not None and None in spec.shape for spec in specs)
    wide = any(np.dtype(s.dtype).kind in "iu" and np.dtype(s.dtype).itemsize > 2 for s in specs)
    for top, size in itertools.product(TOPS if wide else TOPS[:1], SIZES if open_ else SIZES[:1]):
        yield Way(size, top)


def workable(specs: Sequence[InputSpec], run: Callable[[Mapping[str, Array]], Mapping[str, Array]]) -> Way:
    """The first way whose samples ``run`` can compute, to answers that are not empty.

    Raises:
        InputError: samples cannot be drawn of any.
        InvalidModelError: none of them can be computed; the first one's error.
    """
    first: InvalidModelError | None = None
    for way in ways(specs):
        inputs = way.draw(specs, np.random.default_rng(0), 1)
        try:
            answers = run(inputs)
        except InvalidModelError as error:
            first = first or error
            continue
        if all(answer.size for answer in answers.values()):
            return way
    raise first or InputError(
        "no samples can be drawn: whatever the size of its open axes, an output is empty",
        remedy="give data: --data DATA.npz",
    )
