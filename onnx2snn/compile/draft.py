"""A graph in the making: what an execution reads from a converted network, and writes in its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from onnx2snn.dialect.functions import DOMAIN, NEURONS
from onnx2snn.errors import InputError
from onnx2snn.model.domains import imports_of
from onnx2snn.model.nodes import name_each, needed
from onnx2snn.model.subgraphs import names_read
from onnx2snn.model.weights import SMALL, SplitModel, hollow, is_hollow, let_go
from onnx2snn.runtime.target import ANYWHERE, Target

Array: TypeAlias = NDArray[Any]

#: Bytes of weights that are held in memory together while they are looked at.
_MUCH = 1 << 23
#: New constants of so few values are held once, however often they are asked for.
_FEW = 16


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Of a node, by name; texts are text."""
    held = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return {key: value.decode() if isinstance(value, bytes) else value for key, value in held.items()}


def is_dialect(node: onnx.NodeProto, *operators: str) -> bool:
    """Whether a node calls one of these functions of the dialect."""
    return node.domain == DOMAIN and node.op_type in operators


def is_neuron(node: onnx.NodeProto) -> bool:
    """Whether a node makes spikes."""
    return is_dialect(node, *NEURONS)


def reads(node: onnx.NodeProto) -> set[str]:
    """Names of all tensors that a node depends on, its subgraphs' too."""
    return set(names_read(node))


def sizes_of(info: onnx.ValueInfoProto) -> tuple[int | None, ...] | None:
    """The sizes that a value declares, None for one that is open; None where it declares none."""
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim)


class Draft:
    """A network, and the nodes that are to stand in place of its own.

    Args:
        network: What is rewritten; not changed.
        target: Where it will run.
    """

    def __init__(self, network: SplitModel, target: Target = ANYWHERE) -> None:
        graph = network.structure.graph
        self.network, self.target = network, target
        self.nodes = list(graph.node)
        self.initializers = {tensor.name: tensor for tensor in graph.initializer}
        self.inputs = {info.name: info for info in graph.input if info.name not in self.initializers}
        self.outputs = {info.name: info for info in graph.output}
        self.infos = {i.name: i for i in (*graph.value_info, *graph.input, *graph.output)}
        self.producers = {name: p for p, node in enumerate(self.nodes) for name in node.output if name}
        self._read = 0
        self._written: list[onnx.NodeProto] = []
        self._held: dict[str, Array] = {}
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._names: Counter[str] = Counter()
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in reads(node):
                self._readers.setdefault(name, []).append(node)

    @property
    def opsets(self) -> list[onnx.OperatorSetIdProto]:
        """The network's set of ONNX's operators."""
        return [o for o in self.network.structure.opset_import if not o.domain]

    def value(self, name: str) -> Array | None:
        """The values of a constant; None of anything else."""
        if name in self._held:
            return self._held[name]
        if name in self.network.weights:
            return self._weights(name)
        tensor = self.initializers.get(name)
        if tensor is None or is_hollow(tensor):
            return None
        return numpy_helper.to_array(tensor)

    def _weights(self, name: str) -> Array:
        """Large values; those that lie in a file are let go again, once many have been looked at."""
        values = self.network.weights[name]
        self._read += values.nbytes
        if self._read > _MUCH:
            let_go(values)
            self._read = values.nbytes
        return values

    def sample_shape(self, name: str) -> tuple[int, ...] | None:
        """Sizes of one sample, without the first axis; None where one of them is open."""
        info = self.infos.get(name)
        sizes = (None if info is None else sizes_of(info)) or (None, None)
        known = tuple(size for size in sizes[1:] if size is not None)
        return known if len(known) == len(sizes) - 1 else None

    def type_of(self, name: str) -> int:
        """Element type; float32, the type of every potential and spike, where none is declared."""
        if name in self.initializers:
            return int(self.initializers[name].data_type)
        declared = self.infos[name].type.tensor_type.elem_type if name in self.infos else 0
        return int(declared or onnx.TensorProto.FLOAT)

    def producer(self, name: str) -> onnx.NodeProto | None:
        """The node of the network that writes ``name``."""
        position = self.producers.get(name)
        return None if position is None else self.nodes[position]

    def readers(self, name: str) -> list[onnx.NodeProto]:
        """The nodes that read ``name``."""
        return self._readers.get(name, [])

    def only_reader(self, name: str) -> onnx.NodeProto | None:
        """The one node that reads ``name``, if nothing else does."""
        found = self._readers.get(name, [])
        return found[0] if len(found) == 1 and name not in self.outputs else None

    def is_read_by(self, name: str, nodes: Sequence[onnx.NodeProto]) -> bool:
        """Whether each of ``nodes`` reads ``name``, and nothing else does."""
        found = self._readers.get(name, [])
        alone = len(found) == len(nodes) and name not in self.outputs
        return alone and all(any(one is node for node in nodes) for one in found)

    def fresh(self, stem: str) -> str:
        """A name that nothing has."""
        self._names[stem] += 1
        return f"{stem}/compiled{self._names[stem]}"

    def at(self, stem: str) -> Place:
        """Where nodes are written whose tensors are named after ``stem``."""
        return Place(self, stem)

    def hold(self, stem: str, values: Any, dtype: Any, *, shared: bool = False) -> str:
        """A new constant; its name. One that is ``shared``, or small, is held once."""
        array = np.ascontiguousarray(values, dtype).reshape(np.shape(values))
        key = (array.dtype.name, array.shape, array.tobytes()) if shared or array.size <= _FEW else None
        if key is not None and key in self._known:
            return self._known[key]
        name = self.fresh(stem)
        self._held[name] = array
        if key is not None:
            self._known[key] = name
        return name

    def write(self, node: onnx.NodeProto) -> None:
        """Write a new node."""
        self._written.append(node)

    def keep(
        self,
        node: onnx.NodeProto,
        inputs: Iterable[str] | None = None,
        outputs: Iterable[str] | None = None,
    ) -> None:
        """Write a node of the network, which may read and write other tensors."""
        if inputs is not None or outputs is not None:
            other = onnx.NodeProto()
            other.CopyFrom(node)
            other.input[:] = node.input if inputs is None else inputs
            other.output[:] = node.output if outputs is None else outputs
            node = other
        self._written.append(node)

    def finished(
        self,
        *,
        inputs: Sequence[onnx.ValueInfoProto] | None = None,
        outputs: Sequence[onnx.ValueInfoProto] | None = None,
        functions: Sequence[onnx.FunctionProto] = (),
    ) -> SplitModel:
        """The model of what has been written, with the constants that it reads."""
        source = self.network.structure
        outputs = list(self.outputs.values()) if outputs is None else outputs
        nodes = needed(self._written, [info.name for info in outputs])
        read = {name for node in nodes for name in reads(node)} | {info.name for info in outputs}
        kept = [tensor for name, tensor in self.initializers.items() if name in read]
        weights = {t.name: self.network.weights[t.name] for t in kept if t.name in self.network.weights}
        for name, values in self._held.items():
            if name in read and values.size > SMALL:
                weights[name] = values
                kind = helper.np_dtype_to_tensor_dtype(values.dtype)
                kept.append(hollow(name, kind, values.shape))
            elif name in read:
                kept.append(numpy_helper.from_array(values, name))
        graph = helper.make_graph(
            nodes,
            source.graph.name or "compiled",
            list(self.inputs.values()) if inputs is None else inputs,
            outputs,
            kept,
        )
        _refuse_taken_names(graph)
        name_each(graph.node)  # one of the network may be written twice, of bytes and of floats
        model = helper.make_model(
            graph,
            opset_imports=imports_of(nodes, source.opset_import, functions),
            ir_version=source.ir_version,
            producer_name=source.producer_name,
            producer_version=source.producer_version,
            functions=functions,
        )
        return SplitModel(model, weights)


def _refuse_taken_names(graph: onnx.GraphProto) -> None:
    """Counts, trains and states have names that whoever drives the file looks for: the network's own must be others.

    Raises:
        InputError: one is not.
    """
    made = [info.name for info in graph.input] + [tensor.name for tensor in graph.initializer]
    made += [name for node in graph.node for name in node.output if name]
    for names in (made, [info.name for info in graph.output]):
        taken = [name for name, times in Counter(names).items() if times > 1]
        if taken:
            raise InputError(
                "this network has a tensor of a name that the compiled one needs",
                found=f"'{taken[0]}'",
                remedy="give it another name in the source, and convert that again",
            )


class Place:
    """Where nodes are written whose tensors are named after one of the network's."""

    def __init__(self, draft: Draft, stem: str) -> None:
        self._draft, self._stem = draft, stem

    def add(self, operator: str, inputs: Sequence[str], *, output: str = "", **attributes: Any) -> str:
        """A node of the default domain; the name of its one output, ``output`` or a fresh one."""
        name = output or self._draft.fresh(self._stem)
        self._draft.write(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def end(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """The node that writes the network's tensor itself."""
        return self.add(operator, inputs, output=self._stem, **attributes)

    def look_up(self, table: str, places: str) -> str:
        """As :class:`onnx2snn.dialect.neuron_bodies.Nodes`, for places of the size of the network's tensor."""
        return self.shaped(self.looked_up(table, self.flat(places)), places)

    def looked_up(self, table: str, places: str) -> str:
        """The entries of ``table`` (R,) at ``places`` (M,)."""
        return self.add(
            "GatherElements" if self._draft.target.elements else "Gather", [table, places], axis=0
        )

    def laid_out(self, values: str) -> str:
        """``values`` as places of :meth:`looked_up` have to lie: along one axis, where that is by elements."""
        return self.flat(values) if self._draft.target.elements else values

    def laid_back(self, found: str, like: str, output: str) -> str:
        """What was looked up, in the shape of ``like``, which is that of the network's tensor, as ``output``."""
        if self._draft.target.elements:
            return self.add("Reshape", [found, self._sizes(like)], output=output)
        return self.add("Identity", [found], output=output)

    def flat(self, values: str) -> str:
        """``values`` along one axis."""
        return self.add("Reshape", [values, self.constant([-1], np.int64)])

    def shaped(self, flat: str, like: str) -> str:
        """Back from one axis, to the shape of ``like``, which is that of the network's tensor."""
        return self.add("Reshape", [flat, self._sizes(like)])

    def _sizes(self, like: str) -> str:
        """The shape of ``like``."""
        sizes = self._draft.sample_shape(self._stem)
        return self.add("Shape", [like]) if sizes is None else self.constant([-1, *sizes], np.int64)

    def constant(self, values: Any, dtype: Any = np.float32, *, shared: bool = False) -> str:
        """As :meth:`Draft.hold`."""
        return self._draft.hold(self._stem, values, dtype, shared=shared)

    def fresh(self) -> str:
        """A name that nothing has."""
        return self._draft.fresh(self._stem)
