"""The two graphs that a pipeline is cut into, each as the nodes that its results depend on, back to states and inputs."""

from __future__ import annotations

from collections.abc import Iterable

from onnx2snn.runtime import wire
from onnx2snn.runtime.network import Network, Node, renamed
from onnx2snn.runtime.schedule import Kind, Schedule
from onnx2snn.runtime.step_bodies import accumulate, fire

_GRAPH, _FUNCTION = 7, 25
_NODE, _NAME, _INPUT, _OUTPUT = 1, 2, 11, 12
#: The input of the step graph that says which step of the phase it is.
STEP = "phase/step"


def tap(tensor: str, phases: int) -> str:
    """The name under which a graph reads a tensor ``phases`` phases late."""
    return f"delay/{tensor}/{phases}"


def integrates(node: Node) -> bool:
    """Whether ``node`` is a neuron or an Integrate."""
    return node.is_dialect("IF") or node.is_dialect("Integrate")


class _Part:
    """A graph in the making: the nodes that some tensors depend on, back to states and inputs."""

    def __init__(self, network: Network, schedule: Schedule, timesteps: int, bias: str) -> None:
        self.network = network
        self.schedule = schedule
        self.timesteps = timesteps
        self.bias = bias
        self._made: dict[int, list[bytes]] = {}
        self._initializers: dict[str, memoryview] = {}
        self._inputs: dict[str, bytes] = {}
        self._outputs: dict[str, bytes] = {}
        self._ahead: list[int] = []

    def dialect(self, node: Node, *, train: bool) -> list[bytes]:
        """What stands in the graph for a neuron or an Integrate, which reads a train or an analog value."""
        raise NotImplementedError

    def model(
        self, wanted: Iterable[str], *, roots: Iterable[int] = (), functions: Iterable[bytes] = ()
    ) -> bytes:
        """The serialized model that writes ``wanted``, and what the nodes at ``roots`` write."""
        for name in wanted:
            self.write(self.read(name))
        self._ahead += roots
        while self._ahead:
            position = self._ahead.pop()
            if position not in self._made:
                self._made[position] = []
                self._made[position] = self._nodes(position)
        return serialized(
            self.network,
            nodes=(content for position in sorted(self._made) for content in self._made[position]),
            initializers=self._initializers.values(),
            inputs=self._inputs.values(),
            outputs=self._outputs.values(),
            functions=functions,
        )

    def read(self, name: str) -> str:
        """``name``, once what it depends on is part of the graph."""
        if name in self.network.producers:
            self._ahead.append(self.network.producers[name])
        elif name in self.network.initializers:
            self._initializers[name] = self.network.initializers[name]
        elif name in self.network.inputs:
            self._inputs[name] = self.network.inputs[name]
        elif name:
            raise ValueError(f"nothing makes '{name}'")
        return name

    def state(self, name: str, kind: int | None = None) -> str:
        """``name``, once it is an input of the graph."""
        self._inputs[name] = wire.value_info(name) if kind is None else wire.value_info(name, kind)
        return name

    def write(self, name: str) -> str:
        """``name``, once it is an output of the graph."""
        known = self.network.outputs.get(name)
        self._outputs[name] = wire.value_info(name, self.network.type_of(name)) if known is None else known
        return name

    def _nodes(self, position: int) -> list[bytes]:
        node = self.network.nodes[position]
        if integrates(node):
            return self.dialect(node, train=self.schedule.kinds[node.inputs[0]] is Kind.TRAIN)
        late = {}
        for name in sorted(node.reads):
            phases = self.schedule.delay(position, name)
            if phases > 0:
                late[name] = self.state(tap(name, phases), self.network.type_of(name))
            else:
                self.read(name)
        return [renamed(node.content, late) if late else node.content]

    def late(self, node: Node) -> str:
        """What a neuron or an Integrate reads, in time."""
        name = node.inputs[0]
        phases = self.schedule.delay(self.network.producers[node.outputs[0]], name)
        return self.state(tap(name, phases)) if phases else self.read(name)

    def potential(self, node: Node, x: str, *, train: bool) -> tuple[list[bytes], str]:
        """The potential after integration: ``x`` with the bias, unless each time step has brought its part."""
        if train and self.bias != "once":
            return [], x
        name = f"potential/{node.name}"
        return [wire.node("Add", [x, self.read(node.inputs[1])], [name])], name


class StepGraph(_Part):
    """Trains: every neuron fires and integrates."""

    def dialect(self, node: Node, *, train: bool) -> list[bytes]:
        """One time step of integration and generation."""
        nodes = []
        step = self.state(STEP, wire.INT64)
        if train:
            nodes.append(
                accumulate(
                    self.bias,
                    self.timesteps,
                    v=self.state(f"integrating/{node.name}"),
                    current=self.late(node),
                    biases="" if self.bias == "once" else self.read(node.inputs[1]),
                    step=step,
                    output=self.write(f"integrated/{node.name}"),
                )
            )
        if node.is_dialect("IF"):
            compare, subtract = (self.read(name) for name in node.inputs[2:4])
            v, left = self.state(f"generating/{node.name}"), self.write(f"generated/{node.name}")
            nodes.append(
                fire(v, compare, subtract, step=step, spikes=self.write(node.outputs[0]), output=left)
            )
        else:  # somebody asks for its size
            x = f"integrating/{node.name}" if train else self.read(node.inputs[0])
            made, v = self.potential(node, x, train=train)
            nodes += [*made, wire.node("Identity", [v], [node.outputs[0]])]
        return nodes


class TurnGraph(_Part):
    """Everything else: a neuron's train stands for the potential that it is going to generate.

    It declares every input of the network, also one that nothing reads.
    """

    def __init__(self, network: Network, schedule: Schedule, timesteps: int, bias: str) -> None:
        super().__init__(network, schedule, timesteps, bias)
        self._inputs.update(network.inputs)

    def dialect(self, node: Node, *, train: bool) -> list[bytes]:
        """The end of integration: bias, and saturation."""
        x = self.state(f"integrating/{node.name}") if train else self.late(node)
        nodes, v = self.potential(node, x, train=train)
        if node.is_dialect("IF"):
            return [*nodes, wire.node("Min", [v, self.read(node.inputs[4])], [node.outputs[0]])]
        return [*nodes, wire.node("Identity", [v], [node.outputs[0]])]


def serialized(
    network: Network,
    *,
    nodes: Iterable[bytes],
    initializers: Iterable[bytes | memoryview],
    inputs: Iterable[bytes],
    outputs: Iterable[bytes],
    functions: Iterable[bytes],
) -> bytes:
    """A model with the opsets and foreign functions of ``network``, and a graph of its own.

    Each initializer may come in pieces; they are copied once.
    """
    graph = [
        *(wire.message(_NODE, content) for content in nodes),
        wire.text(_NAME, "pipeline"),
        *initializers,
        *(wire.message(_INPUT, info) for info in inputs),
        *(wire.message(_OUTPUT, info) for info in outputs),
    ]
    bodies = (wire.message(_FUNCTION, body) for body in functions)
    length = sum(len(part) for part in graph)
    return b"".join([network.head, wire.head(_GRAPH, length), *graph, *bodies])
