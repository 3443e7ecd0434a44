"""Tensors that are functions of bytes, in a draft: what is known of each, and what is written of it once it is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from onnx2snn.compile.byte_functions import CODES, ByteTensor, Function, identity
from onnx2snn.compile.byte_products import ByteProduct
from onnx2snn.compile.byte_rows import NeuronTable
from onnx2snn.compile.byte_sources import byte_top
from onnx2snn.compile.byte_store import ByteStore
from onnx2snn.compile.byte_synapses import matrix_of
from onnx2snn.compile.draft import Draft, Place, is_dialect, is_neuron, reads
from onnx2snn.compile.float_sums import write_float_sums
from onnx2snn.compile.fused import FusedWriter
from onnx2snn.compile.spike_sums import CODED, SPIKE_SUMS, SpikeSums, ones_of_codes


class ByteWriter(FusedWriter):
    """What is known as functions of bytes; an execution decides what is.

    Args:
        draft: Where.
        **options: As of any writer.
    """

    def __init__(self, draft: Draft, **options: Any) -> None:
        super().__init__(draft, **options)
        self._functions: dict[str, Function] = {}
        self._parts: dict[str, tuple[Function, ...]] = {}
        self._products: dict[str, ByteProduct] = {}
        self._inside: set[str] = set()
        self._lazy: dict[str, onnx.NodeProto] = {}
        self._written = set(draft.inputs) | set(draft.initializers)
        self._bytes = ByteStore(draft)
        self._together: dict[str, Function | None] = {}

    def as_bytes(self, node: onnx.NodeProto) -> bool:
        """Whether ``node`` is known to make functions of bytes, or is within what makes them."""
        raise NotImplementedError

    def write(self, node: onnx.NodeProto) -> bool:
        """As any writer; functions of bytes are written once they are read."""
        if node.output and any(
            node.output[0] in held for held in (self._functions, self._inside, self._parts)
        ):
            return True
        if is_dialect(node, SPIKE_SUMS):
            self.sums(node)
        elif not self._differs(node) and not self.as_bytes(node):
            if not self._sums_up(node):
                self._as_floats(sorted(reads(node)))
                self._write_floats(node)
            made = [name for name in node.output if not self.is_apart(name)]
            self._written.update(made)
            if made:
                self._from_floats(node)
        return True

    def finish(self) -> None:
        """Outputs that are levels come out as floats."""
        self._as_floats(self.draft.outputs)

    def summed(self, at: Place, train: str, sums: SpikeSums) -> list[str]:
        """As :meth:`FusedWriter.summed`; of bytes that are no levels, the ones of the level are looked up, not the level."""
        function = None if train in self._written else self._functions.get(train)
        looked_up = function is not None and self._is_looked_up(self._lazy[train], function)
        if function is None or not looked_up or function.is_identity or sums.timesteps > CODED:
            self._as_floats([train])
            return super().summed(at, train, sums)
        base, ones = function.bases[0], ones_of_codes()[function.values.astype(np.int64)]
        counts = self._bytes.look_up(train, base, ones, function.rows)
        return (sums.channels_last() if base.last else sums).of_counts(at, counts)

    def stands_as(self, train: str) -> Any:
        """As :meth:`FusedWriter.stands_as`; of a function of bytes these, and the level of each."""
        if self.is_apart(train):
            return None
        if train in self._written:
            return train
        if train in self._parts:
            return {"parts": [part.named for part in self._parts[train]]}
        function = self._functions.get(train)
        return train if function is None else function.named

    def _from_floats(self, node: onnx.NodeProto) -> None:
        """Levels of neurons written as floats, and a quantised input's whole numbers, are bytes too, once they are read so."""
        sizes = self.draft.sample_shape(node.output[0]) if len(node.output) == 1 else None
        top = byte_top(self.draft, node)
        if sizes and top is not None:
            name = self.draft.at(node.output[0]).add("Cast", [node.output[0]], to=TensorProto.UINT8)
            self._functions[node.output[0]] = identity(ByteTensor(name, False, sizes, top))

    def _differs(self, node: onnx.NodeProto) -> bool:
        """Whether ``node`` is a difference that is looked up: as floats, and as bytes, where these hold it."""
        found, output = self.difference(node), node.output[0]
        if found is None:
            return False
        sizes, at = self.draft.sample_shape(output), self.draft.at(output)
        found.write(at, output=output)
        self._written.add(output)
        low = float(found.table.min())
        span = float(found.table.max()) - low
        if sizes and span < CODES:
            name = found.write(at, less=low, dtype=np.uint8)
            values = (np.arange(CODES) + low).astype(np.float32)
            self._functions[output] = Function((ByteTensor(name, False, sizes, int(span)),), values)
        return True

    def _known(self, node: onnx.NodeProto, function: Function | None) -> bool:
        """Note what a node makes; False where it is not known."""
        if function is not None:
            self._functions[node.output[0]], self._lazy[node.output[0]] = function, node
        return function is not None

    def _read(self, name: str) -> Function | None:
        """A tensor as one function of one tensor of bytes: what is beside each other in it put together, its rows looked up."""
        if name not in self._parts and (name not in self._functions or self._functions[name].rows is None):
            return self._functions.get(name)
        if name not in self._together:
            if name in self._parts:
                self._together[name] = self._bytes.beside(name, self._parts[name], 1)
            else:
                self._together[name] = self._bytes.alike(name, self._functions[name])
        return self._together[name]

    def _hold(
        self,
        neurons: Sequence[onnx.NodeProto],
        base: ByteTensor,
        reached: Iterable[NDArray[np.int64]],
        tables: Sequence[NeuronTable | None] = (),
    ) -> None:
        """Trains are functions of a byte that says which thresholds are reached.

        Args:
            neurons: Their neurons.
            base: The bytes.
            reached: By neuron, the byte from which on each of its thresholds is reached.
            tables: By neuron, the level that so many thresholds are; None, or nothing: that number.
        """
        codes = np.arange(256)
        for neuron, there, table in zip(neurons, reached, tables or [None] * len(neurons), strict=True):
            count, top, held = np.searchsorted(there, codes, side="right"), int(there[-1]), base
            rows = None if table is None else table.rows
            levels = count if table is None else table.levels[:, count]
            alone = (
                rows is None
                and len(neurons) == 1
                and top < 255
                and np.array_equal(there, np.arange(1, top + 1))
            )
            if alone:
                held = self._bytes.cut(base, top)
            if rows is None:
                levels = levels.reshape(-1)
            self._known(neuron, Function((held,), levels.astype(np.float32), rows=rows))

    def _as_floats(self, tensors: Iterable[str]) -> None:
        """Write those of ``tensors`` as float32 that are known as functions of bytes alone."""
        for name in tensors:
            if name in self._written or not any(
                name in held for held in (self._functions, self._parts, self._products)
            ):
                continue
            self._written.add(name)
            node, function = self._lazy[name], self._functions.get(name)
            beside = {other for other in node.output if other != name} & self._written
            if function is None or not (beside or self._is_looked_up(node, function)):
                self._written.update(node.output)
                self._as_floats(sorted(reads(node)))
                self._write_floats(node)
                continue
            self._bytes.floats(name, function)

    def _write_floats(self, node: onnx.NodeProto) -> None:
        """``node``, on float32."""
        if not super().write(node):
            self.draft.keep(node)

    def _sums_up(self, node: onnx.NodeProto) -> bool:
        """Whether ``node``, a matrix of bytes whose sums flow on as floats, has been written through a kernel."""
        weights = matrix_of(self.draft, node) if self.draft.target.contributed else None
        function = None if weights is None else self._read(node.input[0])
        if weights is None or function is None:
            return False
        return write_float_sums(self._bytes, node, weights, function)

    def _is_looked_up(self, node: onnx.NodeProto, function: Function) -> bool:
        """Whether values are looked up by bytes; else ``node`` makes them again, as where it reads nothing but floats."""
        one = len(function.bases) == 1 and not function.summed and function.offsets is None
        return one and (is_neuron(node) or not all(name in self._written for name in reads(node)))
