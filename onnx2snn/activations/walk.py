"""One walk along the elementwise operators of a graph: what each makes of the tensor that it begins with.

A walk gives every tensor the expression that it is of its *root*; where an activation ends, its tensor becomes the root of
what follows.
"""

from __future__ import annotations

import contextlib

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations import expression as act
from onnx2snn.activations.composition import composed, constant
from onnx2snn.activations.entrywise import is_elementwise, leaves_float32
from onnx2snn.activations.expression import RegridError, Value
from onnx2snn.activations.findings import Found, Rejected, rejected
from onnx2snn.activations.jumps import Rounded
from onnx2snn.activations.operators import HANDLERS, Handler
from onnx2snn.activations.piecewise_linear import ChannelsDifferError
from onnx2snn.activations.rationals import NotPiecewiseLinearError
from onnx2snn.activations.reduction import channels_differ, clipped_line, is_staircase, reduce_to_staircase
from onnx2snn.graph.core import is_constant, is_float, signals


class Walk:
    """The expressions found so far, by tensor."""

    def __init__(self, graph: gs.Graph) -> None:
        self.outputs = {id(tensor) for tensor in graph.outputs}
        self.produced: dict[int, Value] = {}
        self.rejected: dict[str, Rejected] = {}
        self.unbounded: dict[int, Rounded] = {}
        self._roots: set[int] = set()

    def visit(self, node: gs.Node) -> None:
        """Compose ``node`` with what it reads.

        1. All that it reads comes from one root: its output is an expression of that root.
        2. Channels differ in their cases (behind a batch norm of mixed signs, say): what it reads is the root, if that is a
           line; else the activation that ended before it, or the end of the line that it was made from.
        3. It rounds again, to another grid: the activation has ended where it first was a staircase, and that tensor is
           the root of the next; so it goes on for as many grids as there are.
        4. Anything else: its outputs are roots.
        """
        handler = HANDLERS.get(node.op) if not node.domain else None
        if handler is None or not is_elementwise(node):
            return
        try:
            value = self._composed(handler, node)
        except ChannelsDifferError as error:
            value = self._composed_anew(handler, node, error)
        if value is not None:
            self.produced[id(node.outputs[0])] = value

    def settle(self, tensor: gs.Tensor) -> None:
        """End activations in front of ``tensor`` until it is one of its own, or none."""
        value, ended = self.produced.get(id(tensor)), False
        while value is not None and value.is_discrete and not is_staircase(value):
            if self.end_activation(value):
                ended = True
            elif ended or not self.end_line(value):
                return
            value = self.produced.get(id(tensor))

    def end_activation(self, value: Value) -> bool:
        """Make a root of the first tensor of ``value``'s chain that is a whole staircase; False if there is none.

        1. All that follows is made from it alone: of ``c + (q − c)`` it is the sum, for what rounds the sum.
           Synapses read it too: what follows must not clip it for them.
        2. There is none such: it is a part of a sum.
        """
        whole = [position for position in range(len(value.nodes)) if self._is_whole(value.nodes[position])]
        waists = [position for position in whole if _is_waist(value, position)]
        read = [position for position in waists if self._feeds_others(value.nodes[position].outputs[0])]
        for position in [*read[-1:], *waists, *whole]:
            self._end(value, value.nodes[position])
            return True
        return False

    def _feeds_others(self, tensor: gs.Tensor) -> bool:
        """Whether anything but elementwise operators reads ``tensor``."""
        readers = tensor.outputs
        return id(tensor) in self.outputs or any(r.domain or r.op not in HANDLERS for r in readers)

    def _is_whole(self, node: gs.Node) -> bool:
        here = self.produced.get(id(node.outputs[0]))
        if here is None or not is_float(node.outputs[0]):
            return False  # a mask belongs to what it selects
        return here.is_discrete and is_staircase(here)

    def end_line(self, value: Value) -> bool:
        """If channels differ behind it, make a root of the end of the line that ``value`` begins with; False if there is none.

        Behind an activation, of a clipped line: a neuron can encode the values that the clip leaves.
        """
        lines = self._lines(value) if channels_differ(value) else []
        if lines:
            self._end(value, lines[-1])
        return bool(lines)

    def _lines(self, value: Value) -> list[gs.Node]:
        """The nodes of ``value``'s chain that write a line of its root; behind an activation, if there is none, a clipped one."""
        here = [(node, self.produced.get(id(node.outputs[0]))) for node in value.nodes]
        lines = [node for node, made in here if made is not None and made.is_affine]
        if lines or id(value.root) not in self._roots:
            return lines
        whole = [(node, made.of_root) for node, made in here if made is not None and made.of_level is None]
        return [node for node, curve in whole if clipped_line(curve) is not None]

    def _end_in_front_of(self, tensor: gs.Tensor) -> bool:
        """End the first activation that ``tensor`` is made of; if channels of its line differ, behind that line."""
        if self.end_activation(self._read(tensor)):
            return True
        self.end_line(self._read(tensor))
        return self.end_activation(self._read(tensor))

    def _is_discrete(self, tensor: gs.Tensor) -> bool:
        value = self._read(tensor)
        return value.is_discrete and not value.is_affine

    def _end(self, value: Value, last: gs.Node) -> None:
        """Make a root of what node ``last`` of the chain writes, and compose what follows anew."""
        self._roots.add(id(last.outputs[0]))
        position = next(i for i, node in enumerate(value.nodes) if node is last)
        for later in value.nodes[position + 1 :]:
            self.produced.pop(id(later.outputs[0]), None)
            self.visit(later)

    def _composed_anew(self, handler: Handler, node: gs.Node, error: ChannelsDifferError) -> Value | None:
        """Case 2: from roots nearer to ``node``; lines that all of its operands are made from first, the nearest last."""
        while sum(self._end_in_front_of(tensor) for tensor in signals(node) if self._is_discrete(tensor)):
            with contextlib.suppress(ChannelsDifferError):
                return self._composed(handler, node)
        while self._end_lines(node):
            with contextlib.suppress(ChannelsDifferError):
                return self._composed(handler, node)
        self._reject(node, error)
        return None

    def _end_lines(self, node: gs.Node) -> bool:
        """End the first line that all operands of ``node`` are made from, or the first of each; False if there is none."""
        values = [value for value in map(self._read, signals(node)) if not value.is_identity]
        lines = [self._lines(value) for value in values]
        shared = [n for n in lines[0] if all(any(n is m for m in own) for own in lines)] if lines else []
        ended = [
            (value, (shared or own)[0]) for value, own in zip(values, lines, strict=True) if shared or own
        ]
        for value, last in ended:
            self._end(value, last)
        return bool(ended)

    def _composed(self, handler: Handler, node: gs.Node) -> Value | None:
        """Case 3: as many activations end in front of ``node`` as there are grids."""
        while True:
            try:
                return self._composed_as_it_is(handler, node)
            except RegridError:  # noqa: PERF203 - each turn changes what is composed
                read = signals(node)
                if not sum([self._end_in_front_of(tensor) for tensor in read]):
                    self._roots.update(id(t) for t in read if self._read(t).rounded is not None)

    def _composed_as_it_is(self, handler: Handler, node: gs.Node) -> Value | None:
        try:
            values = [self._read(t) for t in node.inputs if not t.is_empty()]
            roots = {id(v.root): v.root for v in values if v.root is not None}
            if len(roots) != 1 or not all(map(_is_potential, roots.values())) or leaves_float32(node):
                return None
            return composed(handler, node, values)
        except NotPiecewiseLinearError as error:
            self._reject(node, error)
            return None

    def _reject(self, node: gs.Node, error: Exception) -> None:
        read = [self.produced.get(id(t)) for t in signals(node)]
        names = {n.name: None for value in read if value is not None for n in value.nodes}
        self._note_unbounded(error, *read)
        self.rejected[node.outputs[0].name] = rejected(node, str(error), (*names, node.name))

    def conclude(self, tensor: gs.Tensor, value: Value) -> Found | Rejected:
        """The staircase that ends at ``tensor``, or why there is none."""
        last = value.nodes[-1]
        names = tuple(node.name for node in value.nodes)
        if not is_float(tensor):
            return rejected(last, "its comparison selects between other values", names)
        fault = value.rounded.node if value.rounded is not None else last
        try:
            staircase = reduce_to_staircase(value)
        except (NotPiecewiseLinearError, ChannelsDifferError) as error:
            self._note_unbounded(error, value)
            return rejected(fault, str(error), names)
        staircase = staircase.per_sample(len(tensor.shape))
        return Found(staircase, value.potential, tensor, value.nodes, value.known)

    def whole_parts(self, value: Value) -> list[Found]:
        """The first staircase in the chain of a value that is none itself."""
        for node in value.nodes:
            if self._is_whole(node):
                part = self.conclude(node.outputs[0], self.produced[id(node.outputs[0])])
                return [part] if isinstance(part, Found) else []
        return []

    def _note_unbounded(self, error: Exception, *values: Value | None) -> None:
        """Roundings of what goes on for ever: bounds may help, if only for the clip behind them to do nothing any more."""
        rounded = [v.rounded for v in values if v is not None and v.rounded is not None]
        if isinstance(error, NotPiecewiseLinearError):
            self.unbounded.update((id(one.node), one) for one in rounded if one.is_open)

    def _read(self, tensor: gs.Tensor) -> Value:
        if is_constant(tensor):
            return constant(tensor)
        if id(tensor) in self._roots:
            return act.root(tensor)
        return self.produced.get(id(tensor)) or act.root(tensor)

    def is_read_outside(self, tensor: gs.Tensor, value: Value) -> bool:
        """Whether anything but the same activation's own operators reads ``tensor``; a constant made of it is no activation."""
        for reader in tensor.outputs:
            composed = self.produced.get(id(reader.outputs[0]))
            if composed is None or composed.root is not value.root:
                return True
            if value.is_discrete and composed.is_affine:
                return True
        return False


def _is_potential(tensor: gs.Tensor) -> bool:
    """Whether a tensor may hold float32 numbers: inputs of another type are read through their Cast, which is the root then."""
    return tensor.dtype is None or np.dtype(tensor.dtype) == np.float32


def _is_waist(value: Value, position: int) -> bool:
    """Whether the nodes behind ``position`` in the chain read nothing from before it but what it writes itself."""
    own = {id(tensor) for node in value.nodes[position:] for tensor in node.outputs}
    return all(id(t) in own for node in value.nodes[position + 1 :] for t in signals(node))
