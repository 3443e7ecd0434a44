"""At which sparsity work that follows the spikes is faster than dense products: ``python benchmarks/event_driven.py``.

Needs ``pip install 'onnx2snn[events]'``. One thread, fastest of many runs in turn:

1. Single layers of which a share of the inputs is not zero: by the loops of the backend ``events``, and by onnxruntime.
2. The shipped digits networks, sample by sample: the quantised network and one with ReLU in onnxruntime, the spiking network in
   the fused execution and by events, and a time step of its pipeline.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

import onnx2snn
from onnx2snn.compile.draft import Draft
from onnx2snn.events import event_synapses
from onnx2snn.events.channels_last import last
from onnx2snn.events.event_synapses import followed
from onnx2snn.events.pieces import Parts
from onnx2snn.events.programs import loop
from onnx2snn.model.weights import split_model
from onnx2snn.runtime import SpikingSession

DIGITS = Path(__file__).resolve().parents[1] / "examples" / "digits"
SHARES = (0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01)
SAME = {"pads": [1, 1, 1, 1]}
LAYERS: dict[str, tuple[str, tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "3×3, 64 to 64, 32×32": ("Conv", (1, 64, 32, 32), (64, 64, 3, 3), SAME),
    "the same, 16 samples": ("Conv", (16, 64, 32, 32), (64, 64, 3, 3), SAME),
    "3×3, 256 to 256, 8×8": ("Conv", (1, 256, 8, 8), (256, 256, 3, 3), SAME),
    "3×3 by 2, 64 to 128, 32×32": ("Conv", (1, 64, 32, 32), (128, 64, 3, 3), {**SAME, "strides": [2, 2]}),
    "1×1, 256 to 64, 16×16": ("Conv", (1, 256, 16, 16), (64, 256, 1, 1), {}),
    "3×3 depthwise, 96, 32×32": ("Conv", (1, 96, 32, 32), (96, 1, 3, 3), {**SAME, "group": 96}),
    "matrix, 1024 to 1024": ("MatMul", (1, 1024), (1024, 1024), {}),
    "this matrix, 16 samples": ("MatMul", (16, 1024), (1024, 1024), {}),
    "matrix, 4096 to 4096": ("MatMul", (1, 4096), (4096, 4096), {}),
}


def fastest(works: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Microseconds of each, in turn."""
    times = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            times[name] = min(times[name], 1e6 * (time.perf_counter() - began))
    return times


def layer(name: str) -> None:
    """One line: by share of active inputs, time in that of the dense kernel, both asked whatever there is to do."""
    operator, before, shape, held = LAYERS[name]
    random = np.random.default_rng(0)
    weights = random.normal(0, 1, shape).astype(np.float32)
    node = helper.make_node(operator, ["x", "w"], ["y"], **held)
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None] * len(before)) for n in "xy"]
    graph = helper.make_graph([node], "layer", ends[:1], ends[1:], [numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    dense = Parts(Draft(split_model(model)), {"threads": 1}).piece([node], ["y"])
    spelled = followed(node, {"w": weights}.get, len(before))
    assert spelled is not None
    run = loop(("x",), ("y",), spelled, None).run
    cells = []
    for share in SHARES:
        active = random.random(before) < share
        x = last((random.integers(1, 16, before) * active).astype(np.float32))
        found = fastest({"dense": lambda x=x: dense(x), "events": lambda x=x: run(x)}, 40)
        cells.append(f"{found['events'] / found['dense']:.2f}")
    print(f"| {name} | {found['dense'] / 1000:.2g} ms | {' | '.join(cells)} |", flush=True)


def network(path: Path) -> ort.InferenceSession:
    """On one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(path, options)


def digits() -> None:
    """One line a contender: its median over samples."""
    image = np.load(DIGITS / "digits.npz")
    samples = next(image[k] for k in image.files if image[k].ndim == 4)[:100:10].astype(np.float32)
    source = onnx2snn.convert(DIGITS / "digits_sparse.onnx")
    plain = {name: network(DIGITS / f"{name}.onnx") for name in ("digits_sparse", "digits_relu")}
    sessions = {
        (execution, backend, count): SpikingSession(
            source, execution=execution, backend=backend, threads=1, count=count
        )
        for execution, count in (("fused", "nothing"), ("fused", "synops"), ("streaming", "nothing"))
        for backend in ("onnxruntime", "events")
    }
    for session in sessions.values():
        session.warm_up()
    times: dict[str, list[float]] = {}
    for place in range(len(samples)):
        x = samples[place : place + 1]
        works: dict[str, Callable[[], Any]] = {
            f"{name}.onnx, onnxruntime": lambda n=name, x=x: plain[n].run(None, {"image": x})
            for name in plain
        }
        for (execution, backend, count), session in sessions.items():
            if execution == "fused":
                works[f"fused, counting {count}, {backend}"] = lambda s=session, x=x: s.run({"image": x})
                continue
            stream = session.stream(count="nothing")
            works[f"a time step, {backend}"] = lambda s=stream, x=x: s.step({"image": x} if s.ready else None)
        for name, found in fastest(works, 400).items():
            times.setdefault(name, []).append(found)
    for name, found in times.items():
        print(f"{name}: {np.median(found):.0f} µs")


if __name__ == "__main__":
    digits()
    event_synapses.CALL = 10**15  # follow events however many there are
    print(f"| layer | dense | {' | '.join(f'{share:.0%}' for share in SHARES)} |")
    for each in LAYERS:
        layer(each)
