"""The int8 execution: what flows are bytes, through 8-bit kernels, wherever these pass the thresholds of the neurons.

    k ─▶ Conv(n) ─▶ (Integrate ─▶ MaxPool ─▶) neurons      becomes      k ─▶ QLinearConv(n, m, B) ─▶ (MaxPool) ─▶ table of bytes
    k, l ─▶ Mul ─▶ neuron                                   becomes      k, l ─▶ QLinearMul ─▶ table of bytes

A table that changes nothing is not written; others are written once a tensor is read that they make (byte_functions.py). Where
weights are no 8-bit integers, or no kernel passes the thresholds, the fused execution's operators stand, on float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from onnx2snn.compile.byte_convolution import convolved
from onnx2snn.compile.byte_evaluation import averaged, copies_bytes, evaluated, evaluated_parts, levels_at
from onnx2snn.compile.byte_functions import ByteTensor, Function, codes_of, identity
from onnx2snn.compile.byte_kernels import kernel_of, node_of
from onnx2snn.compile.byte_lines import line_of
from onnx2snn.compile.byte_products import ByteProduct, multiplied, product_of, with_number, with_silence
from onnx2snn.compile.byte_quantisers import quantiser_of, thresholds_in_floats
from onnx2snn.compile.byte_sources import byte_top
from onnx2snn.compile.byte_store import ByteStore
from onnx2snn.compile.byte_synapses import bias_without_borders, finite_thresholds, layer_of
from onnx2snn.compile.byte_trains import takes_largest
from onnx2snn.compile.draft import Draft, attributes, is_dialect, is_neuron, reads
from onnx2snn.compile.fused import FusedWriter
from onnx2snn.dialect.functions import SCALED_IF
from onnx2snn.operators import of


class Int8Writer(FusedWriter):
    """Levels flow in bytes.

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

    def write(self, node: onnx.NodeProto) -> bool:
        """As any writer; functions of bytes are written once they are read."""
        if node.output and any(
            node.output[0] in held for held in (self._functions, self._inside, self._parts)
        ):
            return True
        if not (
            self._layer(node)
            or self._product(node)
            or self._function(node)
            or self._joined(node)
            or self._moved(node)
            or self._quantised(node)
        ):
            self._as_floats(sorted(reads(node)))
            if not super().write(node):
                self.draft.keep(node)
            self._written.update(node.output)
            self._from_floats(node)
        return True

    def finish(self) -> None:
        """Outputs that are levels come out as floats."""
        self._as_floats(self.draft.outputs)

    def stands_as(self, train: str) -> Any:
        """As :meth:`Writer.stands_as`; of a function of bytes these, and the level of each."""
        if train in self._parts:
            return {"parts": [part.named for part in self._parts[train]]}
        function = self._functions.get(train)
        return train if function is None or train in self._written else function.named

    # --- what is a function of bytes

    def _from_floats(self, node: onnx.NodeProto) -> None:
        """Levels of neurons written as floats, and a quantised input's whole numbers, are bytes too, once they are read so."""
        sizes = self.draft.sample_shape(node.output[0]) if len(node.output) == 1 else None
        top = byte_top(self.draft, node)
        if sizes and top is not None:
            name = self.draft.at(node.output[0]).add("Cast", [node.output[0]], to=TensorProto.UINT8)
            self._functions[node.output[0]] = identity(ByteTensor(name, False, sizes, top))

    def _function(self, node: onnx.NodeProto) -> bool:
        """Whether ``node`` makes a function of bytes of such."""
        if len(node.output) != 1 or not node.output[0]:
            return False
        if any(name in self._parts for name in node.input):
            return self._of_parts(node)
        read = {name: self._functions[name] for name in node.input if name in self._functions}
        if not read:
            return False
        if len({base for function in read.values() for base in function.bases}) > 1:
            read = {name: self._bytes.affine(name, function) for name, function in read.items()}
        if is_neuron(node):
            return self._neuron(node, read)
        return self._known(node, evaluated(self.draft, node, read)) or self._averaged(node, read)

    def _neuron(self, node: onnx.NodeProto, read: dict[str, Function]) -> bool:
        """Whether a neuron's potential, its bias added, is a function of bytes."""
        draft, (name, bias) = self.draft, node.input[:2]
        potential = read.get(name)
        if bias in read and potential is not None:
            added = helper.make_node("Add", [name, bias], [node.output[0]])
            potential = evaluated(draft, added, read)
        elif bias in read:
            return False
        if potential is None:
            return False
        neurons = [n for n in draft.readers(name) if is_neuron(n) and list(n.input[:2]) == [name, bias]]
        if not potential.is_of_one:
            own = np.zeros(1, np.float32) if bias in read else draft.value(bias)
            return (
                own is not None
                and own.size == 1
                and self._met(neurons, potential, np.float32(own.reshape(())))
            )
        levels = levels_at(draft, node, potential.values)
        if levels is None or draft.sample_shape(node.output[0]) != potential.bases[0].sizes:
            return False
        return self._known(node, Function(potential.bases, levels))

    def _of_parts(self, node: onnx.NodeProto) -> bool:
        """Whether ``node`` makes functions of bytes of each of the parts beside each other in what it reads."""
        parts = self._parts.get(node.input[0])
        if parts is None or any(n in self._parts or n in self._functions for n in node.input[1:]):
            return False
        made = evaluated_parts(self.draft, node, parts)
        if made is not None:
            self._parts[node.output[0]], self._lazy[node.output[0]] = made, node
        return made is not None

    def _averaged(self, node: onnx.NodeProto, read: dict[str, Function]) -> bool:
        """Whether ``node`` averages all places of a channel of a function that is affine in its byte."""
        function = read.get(node.input[0])
        if function is None or not self.draft.target.contributed or not function.is_of_one:
            return False
        return self._known(node, averaged(self.draft, node, self._bytes.affine(node.input[0], function)))

    def _met(self, neurons: list[onnx.NodeProto], potential: Function, own: np.float32) -> bool:
        """Whether a kernel passes the thresholds of neurons that read a function of two bytes, or of a sum."""
        draft = self.draft
        thresholds = [finite_thresholds(draft, neuron) for neuron in neurons]
        sizes = draft.sample_shape(neurons[0].output[0])
        if not draft.target.contributed or sizes is None or any(t is None or t.ndim != 1 for t in thresholds):
            return False
        potential = self._bytes.with_zeros(potential)
        one = kernel_of(potential, own, [t for t in thresholds if t is not None])
        if one is None:
            return False
        last = len(sizes) == 3
        read = [self._bytes.laid(base, last).name for base in potential.bases]
        at = draft.at(neurons[0].output[0])
        written = at.fresh()
        draft.write(node_of(one, read, written, at.constant, last=last))
        self._hold(neurons, ByteTensor(written, last, sizes), one.reached)
        return True

    def _quantised(self, node: onnx.NodeProto) -> bool:
        """Whether a neuron that reads float32 is a quantiser."""
        draft = self.draft
        sizes = draft.sample_shape(node.output[0]) if is_neuron(node) else None
        if sizes is None or self.plain or node.output[0] in self._blocked or self.rounding(node) is not None:
            return False
        name, operands = node.input[0], [node.input[1], *node.input[5:]]
        neurons = [
            n
            for n in draft.readers(name)
            if is_neuron(n) and n.input[0] == name and [n.input[1], *n.input[5:]] == operands
        ]
        thresholds = [thresholds_in_floats(draft, neuron) for neuron in neurons]
        known, own = [t for t in thresholds if t is not None], self._bias(node)
        if len(known) < len(thresholds) or own is None or own.size != 1:
            return False
        found = quantiser_of(known, float(own.reshape(())))
        if found is None:
            return False
        self._as_floats([name, *operands])
        at = draft.at(node.output[0])
        v = at.add("Div", [name, operands[1]]) if is_dialect(node, SCALED_IF) else name
        self._hold(neurons, ByteTensor(found.write(at, v), False, sizes), found.reached)
        return True

    def _hold(
        self, neurons: Sequence[onnx.NodeProto], base: ByteTensor, reached: Iterable[NDArray[np.int64]]
    ) -> None:
        """Trains are functions of a byte that says which thresholds are reached."""
        codes = np.arange(256)
        for neuron, there in zip(neurons, reached, strict=True):
            levels = np.searchsorted(there, codes, side="right").astype(np.float32)
            top = int(there[-1])
            alone = len(neurons) == 1 and top < 255 and np.array_equal(there, np.arange(1, top + 1))
            held = self._bytes.cut(base, top) if alone else base
            self._known(neuron, Function((held,), levels))

    # --- synapses

    def _product(self, node: onnx.NodeProto) -> bool:
        """Whether ``node`` multiplies two functions of bytes, or is a neuron that reads such a product."""
        draft, products = self.draft, self._products
        if is_neuron(node):
            return node.input[0] in products and self._multiplied(node)
        known = [name for name in node.input if name in products]
        made = None
        if len(known) == 1 and of(node).sums and len(node.input) == 2:
            made = with_number(products[known[0]], *(draft.value(n) for n in node.input if n != known[0]))
        elif not known and len(node.input) == 2:
            made = product_of(draft, node, *(self._functions.get(name) for name in node.input))
        if made is not None:
            products[node.output[0]], self._lazy[node.output[0]] = made, node
        return made is not None

    def _multiplied(self, node: onnx.NodeProto) -> bool:
        """Whether a kernel passes the thresholds of the neurons that read a product and a bias."""
        draft, (name, bias) = self.draft, node.input[:2]
        silent, product = self._products.get(bias), self._products[name]
        whole = with_number(product, draft.value(bias)) if silent is None else with_silence(product, silent)
        neurons = [n for n in draft.readers(name) if is_neuron(n) and list(n.input[:2]) == [name, bias]]
        thresholds = [finite_thresholds(draft, neuron) for neuron in neurons]
        maker = draft.producer(name)
        if whole is None or maker is None or any(t is None for t in thresholds):
            return False
        known = [t for t in thresholds if t is not None]
        found = multiplied(self._bytes, maker, whole, known, node.output[0])
        if found is not None:
            self._hold(neurons, found[0], found[1].reached)
        return found is not None

    def _layer(self, node: onnx.NodeProto) -> bool:
        draft = self.draft
        known = of(node).weights and (node.input[0] in self._functions or node.input[0] in self._parts)
        layer = layer_of(draft, node) if known else None
        function = self._read(node.input[0]) if layer is not None else None
        if layer is None or function is None:
            return False
        codes = codes_of(function) if function.is_line else None
        thresholds = [finite_thresholds(draft, neuron) for neuron in layer.neurons]
        if codes is None or any(t is None for t in thresholds):
            return False
        found = bias_without_borders(draft, layer, codes.step, function.offsets)
        if found is None or not 0 <= found[0] + codes.zero <= 255:
            return False
        zero, own = found[0] + codes.zero, found[1]
        whole = layer.whole and codes.step == 1 and zero == 0 and np.array_equal(own, own.astype(np.float32))
        there = [t + shift for t, shift in zip(thresholds, layer.shifts, strict=True) if t is not None]
        terms = layer.weights[0].size
        line = line_of(there, own, layer.unit * codes.step, whole=whole, terms=terms)
        if line is None:
            return False
        base = self._bytes.code(node.input[0], function, codes)
        after = convolved(self._bytes, layer, line, base, zero)
        if after is None:
            return False
        for pool in layer.pools:
            after = self._bytes.pool(pool, after)
        self._inside.update(layer.inside)
        self._hold(layer.neurons, after, line.reached)
        return True

    # --- what moves

    def _moved(self, node: onnx.NodeProto) -> bool:
        """Let an operator that only copies entries, or takes the largest, work on bytes."""
        function = self._read(node.input[0]) if node.input else None
        sizes = [self.draft.sample_shape(name) for name in node.output]
        if function is None or not function.is_line or any(one is None for one in sizes):
            return False
        base = function.bases[0]
        if takes_largest(node):
            rises = len(node.output) == 1 and np.all(np.diff(function.values[: base.top + 1]) >= 0)
            return bool(rises) and self._known(node, replace(function, bases=(self._bytes.pool(node, base),)))
        if function.offsets is not None or not (of(node).moves or copies_bytes(self.draft, node, base.sizes)):
            return False
        base = self._bytes.laid(base, False)
        names = [self.draft.fresh(name) for name in node.output]
        self.draft.keep(node, [base.name, *node.input[1:]], names)
        for name, output, one in zip(names, node.output, sizes, strict=True):
            held = replace(base, name=name, last=False, sizes=one or ())
            self._functions[output], self._lazy[output] = replace(function, bases=(held,)), node
        return True

    def _joined(self, node: onnx.NodeProto) -> bool:
        """Put functions of bytes beside each other: along channels each stays what it is until all are read."""
        sizes = self.draft.sample_shape(node.output[0]) if len(node.output) == 1 else None
        if not of(node).joins or sizes is None:
            return False
        axis = int(attributes(node)["axis"]) % (len(sizes) + 1)
        parts = [part for name in node.input for part in self._parts.get(name, (self._functions.get(name),))]
        known = [part for part in parts if part is not None and part.is_of_one]
        if axis == 0 or len(known) < len(parts):
            return False
        if axis == 1:
            self._parts[node.output[0]], self._lazy[node.output[0]] = tuple(known), node
            return True
        found = self._bytes.beside(node.output[0], known, axis)
        if found is not None and found.offsets is not None:
            return False
        return self._known(node, found)

    def _known(self, node: onnx.NodeProto, function: Function | None) -> bool:
        """Note what a node makes; False where it is not known."""
        if function is not None:
            self._functions[node.output[0]], self._lazy[node.output[0]] = function, node
        return function is not None

    def _read(self, name: str) -> Function | None:
        """A tensor as a function of one tensor of bytes, what is beside each other in it put together."""
        if name not in self._parts:
            return self._functions.get(name)
        if name not in self._together:
            self._together[name] = self._bytes.beside(name, self._parts[name], 1)
        return self._together[name]

    # --- what is written of a function

    def _as_floats(self, tensors: Iterable[str]) -> None:
        """Write those of ``tensors`` as float32 that are known as functions of bytes alone."""
        for name in tensors:
            if name in self._written or not any(
                name in held for held in (self._functions, self._parts, self._products)
            ):
                continue
            self._written.add(name)
            node, function = self._lazy[name], self._functions.get(name)
            if function is None or not function.is_of_one or self._are_floats(node):
                self._written.update(node.output)
                self._as_floats(sorted(reads(node)))
                if not super().write(node):
                    self.draft.keep(node)
                continue
            self._bytes.floats(name, function)

    def _are_floats(self, node: onnx.NodeProto) -> bool:
        """Whether all that ``node`` reads is written as floats."""
        return all(name in self._written for name in reads(node))
