"""At which sparsity work that follows the spikes is faster than dense products: ``python benchmarks/event_driven.py`` (scipy).

Two measurements, one thread, fastest of many runs in turn:

1. A fully connected layer: levels (N, in) of which a share is not zero, times weights (in, out). Dense by onnxruntime; by events
   as the product of a sparse matrix with the dense weights (scipy.sparse), which reads the rows of active neurons alone.
2. The shipped digits network, sample by sample: all synapses between its neurons as sparse matrices, times the levels of its
   neurons as sparse rows (the sum of a gather, nothing for silent ones), against one pass of its network in onnxruntime.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import scipy.sparse as sparse
from onnx import TensorProto, helper, numpy_helper
from onnx.utils import Extractor

import onnx2snn
from onnx2snn.runtime import SpikingSession

DIGITS = Path(__file__).resolve().parents[1] / "examples" / "digits"
SHARES = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002)
ROUNDS = 200


def session(model: onnx.ModelProto) -> ort.InferenceSession:
    """On one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def fastest(works: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Microseconds of each, in turn."""
    times = dict.fromkeys(works, float("inf"))
    for _ in range(ROUNDS):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            times[name] = min(times[name], 1e6 * (time.perf_counter() - began))
    return times


def dense_layer(weights: np.ndarray[Any, Any]) -> ort.InferenceSession:
    """A product with constant weights."""
    ends = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", s])
        for n, s in zip("xy", weights.shape, strict=True)
    ]
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "layer", ends[:1], ends[1:], [numpy_helper.from_array(weights, "w")])
    return session(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9))


def layer(size: int, batch: int) -> None:
    """One line a share."""
    random = np.random.default_rng(0)
    weights = random.normal(0, 1, (size, size)).astype(np.float32)
    run = dense_layer(weights)
    for share in SHARES:
        x = (random.integers(1, 16, (batch, size)) * (random.random((batch, size)) < share)).astype(
            np.float32
        )
        events = sparse.csr_matrix(x)
        found = fastest(
            {"dense": lambda x=x: run.run(None, {"x": x}), "events": lambda e=events: e @ weights}
        )
        print(
            f"{size} to {size}, batch {batch:2}, {share:6.1%} active: dense {found['dense']:7.1f} µs, "
            f"events {found['events']:7.1f} µs, ratio {found['events'] / found['dense']:.2f}",
            flush=True,
        )


def synapses(model: onnx.ModelProto) -> list[sparse.csr_matrix]:
    """Behind each activation, its map to the next potential, (in, out): what each neuron alone brings."""
    shaped = onnx.shape_inference.infer_shapes(model)
    acts = [n for n in shaped.graph.node if n.op_type == "Clip"]
    levels = [next(m.output[0] for m in shaped.graph.node if clip.output[0] in m.input) for clip in acts]
    potentials = [
        *[n.input[0] for n in shaped.graph.node if n.op_type == "Div"][1:],
        shaped.graph.output[0].name,
    ]
    known = {i.name: [d.dim_value for d in i.type.tensor_type.shape.dim[1:]] for i in shaped.graph.value_info}
    found = []
    for level, potential in zip(levels, potentials, strict=True):
        run = session(Extractor(shaped).extract_model([level], [potential]))
        size = int(np.prod(known[level]))
        one = run.run(None, {level: np.zeros((1, *known[level]), np.float32)})[0]
        rows = []
        for first in range(0, size, 512):
            basis = np.eye(min(512, size - first), size, first, dtype=np.float32).reshape(-1, *known[level])
            brings = run.run(None, {level: basis})[0] - one
            rows.append(sparse.csr_matrix(brings.reshape(len(basis), -1)))
        found.append(sparse.vstack(rows).tocsr())
    return found


def digits() -> None:
    """One line."""
    model = onnx.load(DIGITS / "digits_sparse.onnx")
    image = np.load(DIGITS / "digits.npz")
    x = next(image[k] for k in image.files if image[k].ndim == 4)[:100].astype(np.float32)
    conversion = onnx2snn.convert(model)
    name = model.graph.input[0].name
    levels = SpikingSession(conversion, execution="fused", count="levels").levels({name: x})
    maps, run = synapses(model), session(model)
    trains = [levels[one["name"]].reshape(len(x), -1) for one in SpikingSession(conversion).layers]
    total, events, dense = 0.0, 0.0, 0.0
    for i in range(0, len(x), 10):
        rows = [sparse.csr_matrix(k[i : i + 1]) for k in trains]
        for row, weights in zip(rows, maps, strict=True):
            total += int(np.diff(weights.indptr)[row.indices].sum())
        times = fastest(
            {
                "dense": lambda i=i: run.run(None, {name: x[i : i + 1]}),
                "events": lambda rows=rows: [r @ w for r, w in zip(rows, maps, strict=True)],
            }
        )
        events, dense = events + times["events"], dense + times["dense"]
    count = len(range(0, len(x), 10))
    print(
        f"digits_sparse, one sample: network in onnxruntime {dense / count:.1f} µs, synapses by events {events / count:.1f} µs "
        f"({total / count:,.0f} additions), ratio {events / dense:.2f}"
    )


if __name__ == "__main__":
    digits()
    for size, batch in ((1024, 1), (1024, 16), (4096, 1)):
        layer(size, batch)
