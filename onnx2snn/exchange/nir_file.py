"""A converted network as a graph of NIR (Pedersen et al., Nature Communications 15, 8122, 2024)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import onnx

import onnx2snn
from onnx2snn.atomic_files import whole_file
from onnx2snn.compile.network import Network, held_by, read_network
from onnx2snn.compile.schedule import Schedule, StageKind, make_schedule
from onnx2snn.dialect.functions import DOMAIN
from onnx2snn.dialect.train_shapes import shapes_of
from onnx2snn.errors import ConversionError
from onnx2snn.exchange.nir_neurons import BinaryNeurons, RateNeurons
from onnx2snn.exchange.nir_package import NirPackage, require_nir
from onnx2snn.exchange.nir_reader import run_nir
from onnx2snn.exchange.nir_synapses import REMEDY, WRITERS, NirDraft, Tensor, Translation, refusal, settled
from onnx2snn.graph.core import Array
from onnx2snn.runtime import SpikingSession

if TYPE_CHECKING:
    import nir

    from onnx2snn.model.networks import Network as Model

#: Shares of a level, or of an output's range, that the drawn sample may differ by before a file is not written.
_MOST_LEVELS = 0.001


def export_nir(
    model: Model, path: str | Path, *, pools: Literal["sum", "average"] = "sum", check: bool = True
) -> nir.NIRGraph:
    """Write a converted network as a file of NIR, whole or not at all.

    Args:
        model: A path, a model, or what :func:`onnx2snn.convert` made. Rate-coded networks become NIR's IF, binary-coded ones a
            circuit of its other primitives (:mod:`onnx2snn.exchange.nir_neurons`).
        path: Where it goes.
        pools: What average pools become: SumPool2d, divided by the synapses behind it, or AvgPool2d. Readers know one of them.
        check: Run the graph, as :func:`run_nir` does, on a drawn sample: every neuron has to send what it sends in ``model``.

    Returns:
        The ``nir.NIRGraph``.

    Raises:
        ConversionError: NIR has no word for one of its operators or neurons, or the check failed.
        InvalidModelError: it is no converted network.
        OutputError: the package nir is missing, or the file cannot be written.
    """
    package = require_nir()
    graph = _NirExport(read_network(held_by(model)), package, average=pools == "average").graph()
    if check:
        _try(graph, model)
    content = io.BytesIO()
    package.write(content, graph)
    with whole_file(path) as stream:
        stream.write(content.getvalue())
    return graph


class _NirExport:
    """Walks a converted network once, from its inputs to its outputs."""

    def __init__(self, network: Network, package: NirPackage, *, average: bool) -> None:
        self._network = network
        model = network.split.structure
        self._held = network.split.constants
        inputs = [i for i in model.graph.input if i.name not in self._held]
        self._nodes = list(model.graph.node)
        self._schedule: Schedule = make_schedule(self._nodes, [i.name for i in inputs])
        self._shapes = {name: tuple(sizes[1:]) for name, sizes in shapes_of(model).items() if sizes}
        self._rate = network.table.get("coding", "binary") == "rate"
        self._draft = NirDraft(package, average=average)
        T = int(network.table["timesteps"])
        self._neurons = RateNeurons(self._draft, T) if self._rate else BinaryNeurons(self._draft, T)
        self._tensors = {i.name: self._input(i.name) for i in inputs}

    def _input(self, name: str) -> Tensor:
        shape = self._shape(name)
        node = self._draft.nir.Input({"input": np.array(shape)})
        return self._neurons.current(self._draft.add(name, node), Tensor((), shape))

    def _shape(self, name: str) -> tuple[int, ...]:
        sizes = self._shapes.get(name)
        if sizes is None or any(size is None for size in sizes):
            message = f"NIR needs every size of the network, and those of '{name}' are open"
            raise ConversionError(message, remedy="export the network with the sizes that it will run on")
        return tuple(int(size) for size in sizes if size is not None)

    def graph(self) -> nir.NIRGraph:
        """The finished graph."""
        for position, node in enumerate(self._nodes):
            self._write(position, node)
        for info in self._network.split.structure.graph.output:
            self._output(info.name)
        table = self._network.table
        metadata = {
            "producer": f"onnx2snn {onnx2snn.__version__}",
            "coding": table.get("coding", "binary"),
            "timesteps": int(table["timesteps"]),
            "depth": self._schedule.depth,
            "dt": 1.0,
            "readout": "sum of all steps" if self._rate else "last step",
        }
        return self._draft.nir.NIRGraph(self._draft.nodes, self._draft.edges, metadata)

    def _write(self, position: int, node: onnx.NodeProto) -> None:
        places = [i for i, name in enumerate(node.input) if name in self._tensors]
        if not places:
            if node.domain == DOMAIN or self._schedule.kinds.get(node.output[0]) is not StageKind.STATIC:
                raise refusal(node, "NIR has no operator for what this reads")
            return
        if any(self._is_potential(node.input[i]) for i in places):
            raise refusal(node, "this works on a potential at the end of its phase, and NIR knows no end")
        read = [self._read(position, node.input[i]) for i in places]
        held = {i: self._held[name] for i, name in enumerate(node.input) if name in self._held}
        if node.domain == DOMAIN:
            made = self._spiking(position, node, read[0], held)
        elif node.op_type in WRITERS and not node.domain and len(node.output) == 1:
            made = WRITERS[node.op_type](
                Translation(self._draft, node, read, held, self._shape(node.output[0]))
            )
        else:
            raise refusal(node, "NIR has no word for this operator")
        self._tensors[node.output[0]] = made

    def _is_potential(self, name: str) -> bool:
        """Whether spikes were summed up to it: it is what it is in one step alone."""
        return self._schedule.kinds.get(name) is StageKind.ANALOG and self._schedule.stages.get(name, 0) > 0

    def _read(self, position: int, name: str) -> Tensor:
        tensor = self._tensors[name]
        if isinstance(self._neurons, BinaryNeurons):
            return self._neurons.delayed(tensor, self._schedule.delay(position, name))
        return tensor

    def _spiking(self, position: int, node: onnx.NodeProto, tensor: Tensor, held: dict[int, Array]) -> Tensor:
        tensor = settled(self._draft, tensor)
        if node.op_type not in ("IF", "Integrate") or set(held) != set(range(1, len(node.input))):
            raise refusal(node, "NIR has no primitives for this neuron")
        if self._network.table.get("bias", "once") == "paper":
            raise refusal(node, "biases in the paper's form have no place in NIR")
        write = "neuron" if node.op_type == "IF" else "readout"
        if isinstance(self._neurons, RateNeurons):
            analog = self._schedule.kinds[node.input[0]] is StageKind.ANALOG
            made: Tensor = getattr(self._neurons, write)(node, tensor, held, analog=analog)
        else:
            stage = self._schedule.reading[position]
            made = getattr(self._neurons, write)(node, tensor, held, stage)
        return made

    def _output(self, name: str) -> None:
        tensor = self._tensors.get(name)
        if (
            tensor is None
            or self._schedule.kinds[name] is StageKind.TRAIN
            or tensor.bias is not None
            or tensor.share != 1
        ):
            raise ConversionError(f"output '{name}' is no potential", remedy=REMEDY)
        if isinstance(self._neurons, BinaryNeurons):
            tensor = self._neurons.delayed(tensor, self._schedule.output_delay(name))
        node = self._draft.nir.Output({"output": np.array(tensor.shape)})
        self._draft.add(f"{name}.output", node, *tensor.sources)


def _try(graph: Any, model: Model) -> None:
    """Compare the graph with the network, on a drawn sample.

    Raises:
        ConversionError: neurons send something else.
    """
    session = SpikingSession(model)
    random = np.random.default_rng(0)
    shapes = {name: [1, *(size or 1 for size in spec.shape[1:])] for name, spec in session.inputs.items()}
    inputs = {name: random.uniform(0, 1, shape).astype(np.float32) for name, shape in shapes.items()}
    expected, found = session.levels(inputs), run_nir(graph, inputs)
    names = [layer["name"] for layer in session.layers]
    differing = sum(int((found.levels[name.replace("/", ".")] != expected[name]).sum()) for name in names)
    compared = sum(expected[name].size for name in names)
    if differing > max(_MOST_LEVELS * compared, 1):
        message = "the graph of NIR does not do what the network does: this is a defect of onnx2snn"
        raise ConversionError(message, found=f"{differing} of {compared} levels differ", remedy=REMEDY)
