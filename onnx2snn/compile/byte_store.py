"""Tensors of bytes in a draft: laid out as kernels read them, looked up in tables, put beside each other, each once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from onnx2snn.compile.byte_functions import (
    CODES,
    MICROSOFT,
    ByteTensor,
    Codes,
    Function,
    codes_of,
    dequantised,
    steps_of,
)
from onnx2snn.compile.byte_kernels import missing_zeros
from onnx2snn.compile.draft import Array, Draft, attributes

#: What says how places of largest values are counted; their kernel has no such output.
_OF_PLACES = "storage_order"
#: The axis of a tensor with channels second that each axis shows once they lie last.
_LAST = (0, 2, 3, 1)


class ByteStore:
    """What has been written of bytes.

    Args:
        draft: Where.
    """

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self._laid: dict[tuple[str, bool], ByteTensor] = {}
        self._coded: dict[tuple[str, bytes, bytes], ByteTensor] = {}
        self._origins: dict[str, tuple[str, ByteTensor, NDArray[np.uint8]]] = {}

    def laid(self, base: ByteTensor, last: bool) -> ByteTensor:
        """The same bytes, channels last or not."""
        if base.last == last:
            return base
        key = (base.name, last)
        if key not in self._laid:
            at, (channels, *places) = self.draft.at(base.name), base.sizes
            if np.prod(places) == 1 or channels == 1:  # nothing moves
                sizes = [-1, *places, channels] if last else [-1, channels, *places]
                name = at.add("Reshape", [base.name, at.constant(sizes, np.int64)])
            else:
                name = at.add("Transpose", [base.name], perm=[0, 2, 3, 1] if last else [0, 3, 1, 2])
            self._laid[key] = replace(base, name=name, last=last)
            self._laid[name, not last] = base
        return self._laid[key]

    def code(self, name: str, function: Function, codes: Codes) -> ByteTensor:
        """The codes of a function of one byte, as a tensor."""
        base = function.bases[0]
        if function.rows is None and np.array_equal(codes.codes[: base.top + 1], np.arange(base.top + 1)):
            return base
        return self.coded(name, base, codes.codes, function.rows)

    def coded(
        self, stem: str, base: ByteTensor, codes: NDArray[np.uint8], rows: NDArray[np.int64] | None = None
    ) -> ByteTensor:
        """The codes of bytes."""
        key = (base.name, codes.tobytes(), b"" if rows is None else rows.tobytes())
        if key not in self._coded:
            used = codes[..., base.low : base.top + 1]
            name = self.look_up(stem, base, codes, rows)
            self._coded[key] = ByteTensor(name, base.last, base.sizes, int(used.max()), int(used.min()))
            if rows is None:
                self._origins[name] = stem, base, codes
        return self._coded[key]

    def alike(self, name: str, function: Function | None) -> Function | None:
        """A function of bytes that is the same one everywhere; None where the rows of one have no step in common.

        Rows may be so far apart that bytes do not hold all of their steps: then each begins at its lowest.
        """
        if function is None or function.rows is None:
            return function
        codes, offsets, inside = codes_of(function), None, (..., slice(0, function.bases[0].top + 1))
        if codes is None:
            lowest = function.values[inside].min(axis=1, keepdims=True)
            offsets = lowest[function.rows, 0].astype(np.float64)
            function = replace(function, values=function.values - lowest)
            codes = codes_of(function)
        if codes is None:
            return None
        line = ((np.arange(CODES) - codes.zero) * codes.step).astype(np.float32)
        line[codes.codes[inside]] = function.values[inside]
        return Function((self.code(name, function, codes),), line, offsets=offsets)

    def floats(self, name: str, function: Function) -> None:
        """A function of one byte as the network's tensor, float32."""
        at, base = self.draft.at(name), self.laid(function.bases[0], False)
        if function.rows is None:
            if function.is_identity:
                at.end("Cast", [base.name], to=TensorProto.FLOAT)
                return
            # Files are read by evaluators that know this operator of newer operator sets alone.
            line = dequantised(function) if self.draft.target.contributed else None
            if line is not None:
                step, zero = line
                at.end("DequantizeLinear", [base.name, at.constant(step), at.constant(zero, np.uint8)])
                return
        self.look_up(name, base, function.values, function.rows, output=name)

    def look_up(
        self,
        stem: str,
        base: ByteTensor,
        table: Array,
        rows: NDArray[np.int64] | None = None,
        output: str = "",
    ) -> str:
        """The entries of ``table`` (256,) at bytes, or of the row of each place, (R, 256)."""
        at = self.draft.at(stem)
        places = at.add("Cast", [base.name], to=TensorProto.INT32)
        if rows is not None:
            starts = np.moveaxis(rows, 0, -1) if base.last else rows
            places = at.add("Add", [places, at.constant(starts * CODES, np.int32)])
        found = at.looked_up(at.constant(table.reshape(-1), table.dtype), at.flat(places))
        sizes = (*base.sizes[1:], base.sizes[0]) if base.last else base.sizes
        return at.add("Reshape", [found, at.constant([-1, *sizes], np.int64)], output=output)

    def cut(self, base: ByteTensor, top: int) -> ByteTensor:
        """Bytes up to ``top``."""
        at = self.draft.at(base.name)
        name = at.add("Clip", [base.name, at.constant(0, np.uint8), at.constant(top, np.uint8)])
        return ByteTensor(name, base.last, base.sizes, top)

    def pool(self, pool: onnx.NodeProto, base: ByteTensor) -> ByteTensor:
        """The largest bytes of windows."""
        sizes = self.draft.sample_shape(pool.output[0])
        at = self.draft.at(pool.output[0])
        if base.last and sizes is not None:
            held = {key: value for key, value in attributes(pool).items() if key != _OF_PLACES}
            name = at.add("NhwcMaxPool", [base.name], domain=MICROSOFT, **held)
            return ByteTensor(name, True, sizes, base.top)
        base, name = self.laid(base, False), at.fresh()
        self.draft.keep(pool, [base.name, *pool.input[1:]], [name])
        return ByteTensor(name, False, sizes or (), base.top)

    def beside(self, name: str, functions: Sequence[Function], axis: int) -> Function | None:
        """Functions along an axis, as one of one step; channels may differ by what they add."""
        sizes = self.draft.sample_shape(name)
        codes = [codes_of(function) for function in functions]
        known = [one for one in codes if one is not None]
        if sizes is None or len(known) < len(codes) or len({np.float32(one.step) for one in known}) > 1:
            return None
        bases = [self.code(name, function, one) for function, one in zip(functions, known, strict=True)]
        last = len(sizes) == 3 and any(base.last for base in bases)
        if axis != 1 and len({one.zero for one in known}) > 1:
            return None
        read = [self.laid(base, last).name for base in bases]
        written = self.draft.at(name).add("Concat", read, axis=_LAST.index(axis) if last else axis)
        held = ByteTensor(written, last, sizes, max(base.top for base in bases))
        step, zero = np.float32(known[0].step), known[0].zero
        line = ((np.arange(CODES) - zero) * step).astype(np.float32)
        if all(one.zero == zero for one in known):
            return Function((held,), line)
        counts = [base.sizes[0] for base in bases]
        offsets = np.repeat([(zero - one.zero) * known[0].step for one in known], counts)
        return Function((held,), line, offsets=offsets.reshape(-1, *(1,) * (len(sizes) - 1)))

    def raised(self, base: ByteTensor, more: int) -> ByteTensor | None:
        """Bytes, each larger by ``more``, of the table that made them where one did; None where they would not be bytes."""
        if base.top + more >= CODES:
            return None
        stem, source, codes = self._origins.get(base.name, (base.name, base, np.arange(CODES)))
        return self.coded(stem, source, (codes + more).astype(np.uint8))

    def affine(self, name: str, function: Function) -> Function:
        """A function of bytes that it is affine in, if it is one."""
        if not function.is_of_one:
            return function
        codes = steps_of(function)
        if codes is None:
            return function
        base = self.code(name, function, codes)
        if base.name == function.bases[0].name:
            return function
        inside = slice(0, function.bases[0].top + 1)
        values = (function.values[inside].min() + np.arange(CODES) * codes.step).astype(np.float32)
        values[codes.codes[inside]] = function.values[inside]
        return Function((base,), values)

    def with_zeros(self, potential: Function) -> Function:
        """The same of codes among which there is one of zero, where it is a product and its factors never are zero."""
        if potential.summed:
            return potential
        bases, values = list(potential.bases), potential.values
        for place, more in enumerate(missing_zeros(potential)):
            moved = self.raised(bases[place], more) if more else None
            if moved is not None:
                bases[place], values = moved, np.roll(values, more, axis=place)
        return Function(tuple(bases), values)
