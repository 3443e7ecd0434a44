"""What counting costs: ``python benchmarks/counting.py`` prints sessions that count beside those that count nothing.

Networks are those of speed.py, T = 4; one thread, the fastest time of every single operator added up, so that what else the
machine does is left out. Ratios are to the same execution without counting.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime as ort

sys.path.insert(0, str(Path(__file__).parent))

from networks import NETWORKS
from speed import by_operator, options_of

import onnx2snn
from onnx2snn.runtime import SpikingSession

COUNTS: tuple[Literal["nothing", "spikes", "synops"], ...] = ("nothing", "spikes", "synops")
ROWS = (("qcfs", "fused"), ("qcfs", "spiking"), ("qdq", "fused"), ("qdq", "int8"), ("qdq", "spiking"))


def milliseconds(path: Path, execution: str, count: Any, image: np.ndarray[Any, Any]) -> float:
    """Of all operators of one run."""
    with tempfile.TemporaryDirectory() as folder:
        options: ort.SessionOptions = options_of(1, Path(folder))
        session = SpikingSession(
            path, execution=execution, session_options=options, count=count, chunk=len(image)
        )
        end = session._engine(count)._session.end_profiling  # noqa: SLF001 - the profiler has no other door
        return sum(by_operator(lambda: session.run({"image": image}), end).values())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", default=["vgg16", "resnet18", "mobilenetv2"])
    parser.add_argument("--batch", type=int, default=4)
    given = parser.parse_args()
    for name in given.networks:
        make, shape = NETWORKS[name]
        image = np.random.default_rng(0).normal(0, 1, (given.batch, *shape)).astype(np.float32)
        with tempfile.TemporaryDirectory() as folder:
            for source, execution in ROWS:
                path = Path(folder) / f"{source}.onnx"
                if not path.exists():
                    onnx2snn.convert(make(source)).save(path)
                nothing, spikes, synops = (milliseconds(path, execution, count, image) for count in COUNTS)
                print(
                    f"{name}, {source}, {execution}: {nothing:.1f} ms, spikes {spikes / nothing:.2f}, "
                    f"synaptic operations {synops / nothing:.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
