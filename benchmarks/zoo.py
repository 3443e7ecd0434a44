"""The light networks inside the onnx package, with weights: architectures of the model zoo, no download.

Their weights are ConstantOfShape nodes. Real ones are drawn: He normal for synapses, scales around one and small shifts for what
follows; the statistics of batch norms are those of what reaches them, for noise images.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnx.backend.test
import onnx_graphsurgeon as gs
from onnx import numpy_helper

from onnx2snn.analysis.pass_manager import apply_owned
from onnx2snn.calibration.stages import make_stages
from onnx2snn.passes import PREPARE
from onnx2snn.passes.importer import import_model

FOLDER = Path(onnx.backend.test.__file__).parent / "data" / "light"
#: Networks whose every nonlinearity between synapses is a ReLU or a maximum.
NAMES = ("squeezenet", "shufflenet", "inception_v2", "resnet50", "densenet121")
#: Networks with local response normalisation.
WITH_LRN = ("bvlc_alexnet", "inception_v1", "zfnet512")


def images(count: int, seed: int = 0) -> np.ndarray:
    """Noise with the correlations of pictures, (count, 3, 224, 224): unit variance, smooth over some pixels."""
    random = np.random.default_rng(seed)
    coarse = random.normal(0, 1, (count, 3, 28, 28)).repeat(8, axis=2).repeat(8, axis=3)
    fine = random.normal(0, 1, (count, 3, 224, 224))
    return ((coarse + 0.5 * fine) / np.sqrt(1.25)).astype(np.float32)


def network(name: str, seed: int = 0) -> onnx.ModelProto:
    """The light network ``name`` with drawn weights; its only input is the image."""
    model = onnx.load(FOLDER / f"light_{name}.onnx")
    _draw(model, np.random.default_rng(seed))
    _only_image_input(model)
    _adapt_batch_norms(model)
    return model


def input_name(model: onnx.ModelProto) -> str:
    """The name of the image."""
    initialised = {t.name for t in model.graph.initializer}
    return next(i.name for i in model.graph.input if i.name not in initialised)


def _draw(model: onnx.ModelProto, random: np.random.Generator) -> None:
    shapes = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    roles = dict(_roles(model))
    kept = []
    for node in model.graph.node:
        if node.op_type != "ConstantOfShape":
            kept.append(node)
            continue
        values = _values(roles.get(node.output[0], ""), tuple(shapes[node.input[0]].tolist()), random)
        model.graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), node.output[0]))
    del model.graph.node[:]
    model.graph.node.extend(kept)


def _roles(model: onnx.ModelProto) -> Iterator[tuple[str, str]]:
    """What each constant is to the operator that reads it, through an Unsqueeze."""
    through = {n.input[0]: n.output[0] for n in model.graph.node if n.op_type == "Unsqueeze"}
    back = {made: read for read, made in through.items()}
    for node in model.graph.node:
        for position, name in enumerate(node.input):
            yield back.get(name, name), f"{node.op_type}{position}"


def _values(role: str, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    if role in ("Conv1", "Gemm1"):
        terms = int(np.prod(shape[1:]))
        return random.normal(0, np.sqrt(2 / terms), shape)
    if role in ("BatchNormalization1", "BatchNormalization4") or role.startswith("Mul"):
        return random.uniform(0.5, 1.5, shape)
    return random.normal(0, 0.2, shape)


def _only_image_input(model: onnx.ModelProto) -> None:
    read = {name for node in model.graph.node for name in node.input}
    weights = {t.name for t in model.graph.initializer}
    inputs = [i for i in model.graph.input if i.name not in weights]
    used = [t for t in model.graph.initializer if t.name in read]
    del model.graph.initializer[:], model.graph.input[:]
    model.graph.initializer.extend(used)
    model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, 4)


def _adapt_batch_norms(model: onnx.ModelProto, count: int = 4) -> None:
    """Give each batch norm the statistics of what reaches it."""
    graph = apply_owned(import_model(model), PREPARE)
    norms = [node for node in graph.nodes if node.op == "BatchNormalization"]
    held = {input_name(model): images(count, seed=1)}
    stages = make_stages(graph, [[n.inputs[0].name] for n in norms], [], [])
    found = {}
    for stage, node in zip(stages, norms, strict=False):
        held |= stage.run(graph, held, count)
        z = held[node.inputs[0].name].astype(np.float64)
        moments = (z.mean(axis=(0, 2, 3)), z.var(axis=(0, 2, 3)) + 1e-3)
        for position, values in zip((3, 4), moments, strict=True):
            node.inputs[position] = gs.Constant(node.inputs[position].name, values.astype(np.float32))
        found[node.outputs[0].name] = moments
        for name in stage.done:
            held.pop(name, None)
    initialised = {t.name: t for t in model.graph.initializer}
    for node in model.graph.node:
        for position, values in zip((3, 4), found.get(node.output[0], ()), strict=False):
            new = numpy_helper.from_array(values.astype(np.float32), node.input[position])
            initialised[node.input[position]].CopyFrom(new)


def save(name: str, path: Path) -> None:
    """Write the network, as a user would have it."""
    onnx.save(network(name), path)


__all__ = ["NAMES", "WITH_LRN", "images", "input_name", "network", "save"]
