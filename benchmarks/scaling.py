"""How conversion time and memory grow with the number of nodes, and that no depth is too deep.

    python benchmarks/scaling.py                      # all shapes, up to 10,000 nodes
    python benchmarks/scaling.py --nodes 1000 --json  # one size

Each conversion runs in a process of its own, so that peak memory is its own. Time is processor time: it does not depend on
what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from process_memory import peak_memory

import onnx2snn

WIDTH = 8
SIZES = (500, 1_000, 2_000, 5_000, 10_000)


@dataclass
class Builder:
    """A network of dense layers in the making."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def hold(self, values: object) -> str:
        """A constant."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def op(self, op: str, *read: str) -> str:
        """One operator."""
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(read), [name], f"{op}_{len(self.nodes)}"))
        return name

    def dense(self, x: str) -> str:
        """A layer of synapses."""
        weights = self.random.integers(-4, 5, (WIDTH, WIDTH)) * 0.25
        return self.op("Gemm", x, self.hold(weights), self.hold(self.random.integers(-4, 5, WIDTH) * 0.25))

    def activation(self, x: str) -> str:
        """A quantised activation of 16 levels."""
        level = self.op("Floor", self.op("Div", x, self.hold(0.25)))
        return self.op("Mul", self.op("Clip", level, self.hold(0), self.hold(15)), self.hold(0.25))

    def model(self, y: str) -> onnx.ModelProto:
        """The network."""
        ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", WIDTH]) for n in ("x", y)]
        graph = helper.make_graph(self.nodes, "scaling", ends[:1], ends[1:], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def chain(b: Builder, nodes: int) -> str:
    """One layer after another."""
    x = "x"
    while len(b.nodes) < nodes - 1:
        x = b.activation(b.dense(x))
    return b.dense(x)


def residual(b: Builder, nodes: int) -> str:
    """Blocks of one layer beside an identity."""
    x = b.activation(b.dense("x"))
    while len(b.nodes) < nodes - 1:
        x = b.activation(b.op("Add", b.dense(x), x))
    return b.dense(x)


def stream(b: Builder, nodes: int) -> str:
    """A stream of potentials that every neuron reads, and adds to."""
    x = b.dense("x")
    while len(b.nodes) < nodes - 1:
        x = b.op("Add", x, b.dense(b.activation(x)))
    return b.dense(b.activation(x))


def sums(b: Builder, nodes: int) -> str:
    """Many branches of one activation, added up one after the other: one potential, as deep as the network is long."""
    a = b.activation(b.dense("x"))
    total = b.dense(a)
    while len(b.nodes) < nodes - 6:
        total = b.op("Add", total, b.dense(a))
    return b.dense(b.activation(total))


def affine(b: Builder, nodes: int) -> str:
    """Terms and factors, one after the other, in front of one activation."""
    x = b.dense("x")
    while len(b.nodes) < nodes - 6:
        x = b.op("Mul", b.op("Add", x, b.hold(0.25)), b.hold(-1))
    return b.dense(b.activation(x))


SHAPES: dict[str, Callable[[Builder, int], str]] = {
    "chain": chain,
    "residual": residual,
    "stream": stream,
    "sums": sums,
    "affine": affine,
}


@dataclass(frozen=True)
class Measured:
    """One conversion: processor time in seconds, memory that it added at its peak, and the size of its model, in MB."""

    shape: str
    nodes: int
    layers: int
    seconds: float
    memory: float
    model: float


def network(shape: str, nodes: int) -> onnx.ModelProto:
    """A network of about so many nodes."""
    builder = Builder()
    return builder.model(SHAPES[shape](builder, nodes))


def measure(shape: str, nodes: int) -> Measured:
    """Convert one network, here."""
    model = network(shape, nodes)
    onnx2snn.convert(network(shape, 50))  # imports
    before, start = _peak(), time.process_time()
    conversion = onnx2snn.convert(model)
    seconds = time.process_time() - start
    size = conversion.model.ByteSize() / 1e6
    return Measured(shape, len(model.graph.node), len(conversion.layers), seconds, _peak() - before, size)


def _peak() -> float:
    return peak_memory() / 2**20


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--nodes", type=int, action="append", metavar="N", help="sizes in place of the usual ones"
    )
    parser.add_argument("--shape", choices=SHAPES, action="append", help="shapes in place of all")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for shape in arguments.shape or SHAPES:
        for nodes in arguments.nodes or SIZES:
            with multiprocessing.get_context("spawn").Pool(1) as process:
                rows.append(process.apply(measure, (shape, nodes)))
            if not arguments.json:
                one = rows[-1]
                rate = 1000 * one.seconds / one.nodes
                print(
                    f"{shape:9} {one.nodes:7,} nodes {one.layers:6,} layers {one.seconds:7.2f} s  {rate:5.2f} ms a node "
                    f"{one.memory:7.1f} MB, model {one.model:5.1f} MB",
                    flush=True,
                )
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
