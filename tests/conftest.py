"""A small network, its data and its conversion, for tests that need a network rather than a certain one."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers_browser import Browser, find_chromium
from helpers_pages import PageMaker
from onnx import TensorProto, helper, numpy_helper

import onnx2snn

CLASSES, LEVELS = 5, 15

# A background job of a shell without job control inherits SIGINT as ignored, and so would every command that a test starts
# and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Example:
    """Files of one network: the source, its spiking twin, and labelled data."""

    ann: Path
    snn: Path
    data: Path
    samples: int


def qcfs(name: str, source: str, nodes: list[onnx.NodeProto]) -> str:
    """clip(floor(z · K + 1/2) / K, 0, 1), as an exporter writes it."""
    chain = [("Mul", "levels"), ("Add", "half"), ("Floor", None), ("Div", "levels")]
    for operator, constant in chain:
        target = f"{name}_{operator.lower()}"
        nodes.append(helper.make_node(operator, [source, *filter(None, [constant])], [target], target))
        source = target
    nodes.append(helper.make_node("Clip", [source, "zero", "one"], [name], f"{name}_clip"))
    return name


def small_network(activation: bool = True, width: int = 12) -> onnx.ModelProto:
    """Convolution, mean, two linear layers; with QCFS activations, or with plain ReLUs."""
    random = np.random.default_rng(7)
    constants = {
        "w1": random.normal(0, 0.6, (4, 1, 3, 3)),
        "b1": random.normal(0, 0.2, 4),
        "w2": random.normal(0, 0.5, (36, width)),
        "w3": random.normal(0, 0.5, (width, CLASSES)),
        "levels": np.array(LEVELS),
        "half": np.array(0.5),
        "zero": np.array(0.0),
        "one": np.array(1.0),
    }
    nodes = [helper.make_node("Conv", ["image", "w1", "b1"], ["z1"], "conv1")]

    def act(name: str, source: str) -> str:
        if activation:
            return qcfs(name, source, nodes)
        nodes.append(helper.make_node("Relu", [source], [name], name))
        return name

    first = act("act1", "z1")
    nodes.append(
        helper.make_node("AveragePool", [first], ["pooled"], "pool", kernel_shape=[2, 2], strides=[2, 2])
    )
    nodes.append(helper.make_node("Flatten", ["pooled"], ["flat"], "flatten"))
    nodes.append(helper.make_node("MatMul", ["flat", "w2"], ["z2"], "fc1"))
    nodes.append(helper.make_node("MatMul", [act("act2", "z2"), "w3"], ["logits"], "fc2"))
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    """The small network, converted, and 90 samples with labels."""
    folder = tmp_path_factory.mktemp("example")
    random = np.random.default_rng(3)
    files = Example(folder / "ann.onnx", folder / "snn.onnx", folder / "data.npz", 90)
    onnx.save(small_network(), files.ann)
    onnx2snn.convert(files.ann).save(files.snn)
    np.savez(
        files.data,
        image=random.uniform(0, 1, (90, 1, 8, 8)).astype(np.float32),
        labels=random.integers(0, CLASSES, 90),
    )
    return files


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[str]:
    """The address of a Ray cluster of two nodes on this machine."""
    utils = pytest.importorskip("ray.cluster_utils", reason="needs Ray (extra cluster)")
    cluster = utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    yield cluster.address
    cluster.shutdown()


@pytest.fixture
def relu_network(tmp_path: Path) -> Path:
    """The same network with ReLUs: nothing that can spike before it is calibrated."""
    path = tmp_path / "relu.onnx"
    onnx.save(small_network(activation=False), path)
    return path


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory, example: Example) -> PageMaker:
    """Report pages by the name of a network."""
    return PageMaker(tmp_path_factory.mktemp("pages"), example)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless chromium; what needs one is skipped where there is none."""
    program = find_chromium()
    if program is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    with Browser(program) as found:
        yield found
