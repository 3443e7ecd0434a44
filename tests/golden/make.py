"""Write the golden files of a dialect: ``python tests/golden/make.py 2``. Files that are there already are left alone."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from helpers_networks import NETWORKS

import onnx2snn
from onnx2snn.runtime import SpikingSession

#: Every rounding rule and structure in the default form; every bias form in every execution that a file can carry.
FORMS = [
    *((name, "once", "spiking") for name in NETWORKS),
    *(
        ("signed", bias, execution)
        for bias in ("once", "per-step", "paper")
        for execution in ("spiking", "fused")
    ),
    *(("pooled", bias, "fused") for bias in ("per-step", "paper")),
]


def main(dialect: int) -> None:
    """Convert, run, and write what is not there."""
    folder = Path(__file__).parent / f"dialect{dialect}"
    folder.mkdir(exist_ok=True)
    for name, bias, execution in dict.fromkeys(FORMS):
        target = folder / f"{name}-{bias}-{execution}.onnx"
        if target.exists():
            continue
        network = NETWORKS[name]()
        conversion = onnx2snn.convert(network.model, bias=bias, execution=execution, hybrid=network.hybrid)
        inputs = network.inputs(8)
        session = SpikingSession(conversion.model.SerializeToString(), execution=execution)
        result, levels = session.run(inputs), session.levels(inputs)
        arrays = {f"input/{key}": value for key, value in inputs.items()}
        arrays |= {f"output/{key}": value for key, value in result.outputs.items()}
        arrays |= {f"spikes/{key}": value for key, value in result.spikes.items()}
        arrays |= {f"synops/{key}": value for key, value in result.synops.items()}
        arrays |= {f"level/{layer.name}": levels[layer.name].astype(np.int64) for layer in conversion.layers}
        np.savez_compressed(target.with_suffix(".npz"), **arrays)
        conversion.save(target)


if __name__ == "__main__":
    main(int(sys.argv[1]))
