"""The int8 execution: what flows are bytes, through 8-bit kernels, wherever these pass the thresholds of the neurons.

    k ─▶ Conv(n) ─▶ (Integrate ─▶ MaxPool ─▶) neurons      becomes      k ─▶ QLinearConv(n, m, B) ─▶ (MaxPool) ─▶ table of bytes
    k, l ─▶ Mul ─▶ neuron                                   becomes      k, l ─▶ QLinearMul ─▶ table of bytes

A table that changes nothing is not written; others are written once a tensor is read that they make (byte_functions.py). Where
weights are no 8-bit integers, or no kernel passes the thresholds, the fused execution's operators stand, on float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from onnx2snn.compile.byte_convolution import convolved
from onnx2snn.compile.byte_evaluation import averaged, copies_bytes, evaluated, evaluated_parts, levels_of
from onnx2snn.compile.byte_functions import ByteTensor, Codes, Function, codes_of
from onnx2snn.compile.byte_kernels import kernel_of, node_of
from onnx2snn.compile.byte_lines import ByteLine, line_of
from onnx2snn.compile.byte_norms import norm_of
from onnx2snn.compile.byte_products import multiplied, product_of, with_number, with_silence
from onnx2snn.compile.byte_quantisers import quantiser_of, table_in_floats
from onnx2snn.compile.byte_rows import NeuronTable
from onnx2snn.compile.byte_synapses import ByteLayer, bias_without_borders, finite_thresholds, layer_of
from onnx2snn.compile.byte_trains import takes_largest
from onnx2snn.compile.byte_writer import ByteWriter
from onnx2snn.compile.draft import Place, attributes, is_dialect, is_neuron
from onnx2snn.dialect.functions import SCALED_IF
from onnx2snn.operators import of


class Int8Writer(ByteWriter):
    """Levels flow in bytes."""

    def as_bytes(self, node: onnx.NodeProto) -> bool:
        """As :meth:`ByteWriter.as_bytes`."""
        return (
            self._layer(node)
            or self._product(node)
            or self._function(node)
            or self._joined(node)
            or self._moved(node)
            or self._quantised(node)
        )

    # --- what is a function of bytes

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
            read = {
                name: self._bytes.affine(name, self._read(name) or function)
                for name, function in read.items()
            }
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
        if potential is None or potential.offsets is not None:
            return False
        neurons = self._beside(node)
        if len(potential.bases) > 1 or potential.summed:
            own = np.zeros(1, np.float32) if bias in read else draft.value(bias)
            return (
                own is not None
                and own.size == 1
                and self._met(neurons, potential, np.float32(own.reshape(())))
            )
        if draft.sample_shape(node.output[0]) != potential.bases[0].sizes:
            return False
        return self._known(node, levels_of(draft, node, potential))

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
        tables = self._tables(neurons)
        sizes = draft.sample_shape(neurons[0].output[0])
        if not draft.target.contributed or sizes is None or not tables:
            return False
        potential = self._bytes.with_zeros(potential)
        one = kernel_of(potential, own, [table.thresholds for table in tables])
        if one is None:
            return False
        last = len(sizes) == 3
        read = [self._bytes.laid(base, last).name for base in potential.bases]
        at = draft.at(neurons[0].output[0])
        written = at.fresh()
        draft.write(node_of(one, read, written, at.constant, last=last))
        self._hold(neurons, ByteTensor(written, last, sizes), one.reached, tables)
        return True

    def _beside(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """The neurons that read the potential of ``node``, with its bias and its scale; it is one of them."""

        def reads(neuron: onnx.NodeProto) -> list[str]:
            return [*neuron.input[:2], *neuron.input[5:]]

        return [n for n in self.draft.readers(node.input[0]) if is_neuron(n) and reads(n) == reads(node)]

    def _tables(self, neurons: Sequence[onnx.NodeProto]) -> list[NeuronTable]:
        """Of each neuron; none where one is not known."""
        tables = [table_in_floats(self.draft, neuron) for neuron in neurons]
        known = [table for table in tables if table is not None]
        return known if len(known) == len(tables) else []

    def _quantised(self, node: onnx.NodeProto) -> bool:
        """Whether a neuron that reads float32 is a quantiser."""
        draft = self.draft
        sizes = draft.sample_shape(node.output[0]) if is_neuron(node) else None
        if sizes is None or self.plain or node.output[0] in self._blocked or self.rounding(node) is not None:
            return False
        neurons = self._beside(node)
        tables, own = self._tables(neurons), self._bias(node)
        if not tables or own is None:
            return False
        scaled, alike = is_dialect(node, SCALED_IF), own.size == 1
        added = float(own.reshape(())) if alike else 0.0
        found = quantiser_of([table.thresholds for table in tables], added, scaled=scaled)
        if found is None:
            return False
        at, v = draft.at(node.output[0]), node.input[0]
        if scaled:
            v = self._quotient(at, v, node.input[5])
        else:
            self._as_floats([v])
        if not alike:
            v = at.add("Add", [v, at.constant(own)])
        self._hold(neurons, ByteTensor(found.write(at, v), False, sizes), found.reached, tables)
        return True

    def _quotient(self, at: Place, name: str, divisor: str) -> str:
        """One tensor by another, which stand in the network; by one kernel where they are those of a normalisation."""
        found = norm_of(self.draft, name, divisor) if self.draft.target.contributed else None
        if found is None:
            self._as_floats([name, divisor])
            return at.add("Div", [name, divisor])
        self._as_floats([found.x])
        read = [found.x, at.constant(found.gain), at.constant(found.shift)]
        return at.add("LayerNormalization", read, axis=-1, epsilon=found.epsilon)

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
            made = product_of(draft, node, *map(self._read, node.input))
        if made is not None:
            products[node.output[0]], self._lazy[node.output[0]] = made, node
        return made is not None

    def _multiplied(self, node: onnx.NodeProto) -> bool:
        """Whether a kernel passes the thresholds of the neurons that read a product and a bias."""
        draft, (name, bias) = self.draft, node.input[:2]
        silent, product = self._products.get(bias), self._products[name]
        whole = with_number(product, draft.value(bias)) if silent is None else with_silence(product, silent)
        neurons = self._beside(node)
        tables, maker = self._tables(neurons), draft.producer(name)
        if whole is None or maker is None or not tables:
            return False
        known = [table.thresholds for table in tables]
        found = multiplied(self._bytes, maker, whole, known, node.output[0])
        if found is not None:
            self._hold(neurons, found[0], found[1].reached, tables)
        return found is not None

    def _layer(self, node: onnx.NodeProto) -> bool:
        draft = self.draft
        known = of(node).weights and (node.input[0] in self._functions or node.input[0] in self._parts)
        layer = layer_of(draft, node) if known else None
        function = self._read(node.input[0]) if layer is not None else None
        if layer is None or function is None:
            return False
        codes = codes_of(function) if function.is_line else None
        if codes is None:
            return False
        found = bias_without_borders(draft, layer, codes.step, function.offsets)
        if found is None or not 0 <= found[0] + codes.zero <= 255:
            return False
        passed = self._line(layer, codes, *found)
        if passed is None:
            return False
        base = self._bytes.code(node.input[0], function, codes)
        after = convolved(self._bytes, layer, passed[0], base, found[0] + codes.zero)
        if after is None:
            return False
        for pool in layer.pools:
            after = self._bytes.pool(pool, after)
        self._inside.update(layer.inside)
        self._hold(layer.neurons, after, passed[0].reached, passed[1])
        return True

    def _line(
        self, layer: ByteLayer, codes: Codes, zero: int, own: NDArray[np.float64]
    ) -> tuple[ByteLine, list[NeuronTable]] | None:
        """What passes the thresholds of neurons that are alike in all channels but for a scale, or of all rows that they have."""
        whole = layer.whole and codes.step == 1 and zero + codes.zero == 0
        whole = whole and np.array_equal(own, own.astype(np.float32))
        thresholds = [finite_thresholds(self.draft, neuron) for neuron in layer.neurons]
        tables: list[NeuronTable] = []
        ways = [([t for t in thresholds if t is not None], tables)]
        if any(t is None or t.ndim == 2 for t in thresholds):
            tables = self._tables(layer.neurons)
            ways.append(([table.thresholds for table in tables], tables))
        for known, held in ways:
            if len(known) < len(layer.neurons):
                continue
            there = [t + shift for t, shift in zip(known, layer.shifts, strict=True)]
            line = line_of(there, own, layer.unit * codes.step, whole=whole, terms=layer.weights[0].size)
            if line is not None:
                return line, held
        return None

    # --- what moves

    def _moved(self, node: onnx.NodeProto) -> bool:
        """Let an operator that only copies entries, or takes the largest, work on bytes."""
        function = self._read(node.input[0]) if node.input else None
        sizes = [self.draft.sample_shape(name) for name in node.output]
        if function is None or not function.is_line or any(one is None for one in sizes):
            return False
        base, offsets = function.bases[0], function.offsets
        if takes_largest(node):
            if offsets is not None and offsets.size > len(offsets):  # places of a window differ
                return False
            rises = len(node.output) == 1 and np.all(np.diff(function.values[: base.top + 1]) >= 0)
            return bool(rises) and self._known(node, replace(function, bases=(self._bytes.pool(node, base),)))
        if offsets is not None or not (of(node).moves or copies_bytes(self.draft, node, base.sizes)):
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
