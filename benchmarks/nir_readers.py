"""What other frameworks make of a converted network in NIR.

    python benchmarks/nir_readers.py write FOLDER              the digits network in NIR, and what its neurons send (needs nir)
    python benchmarks/nir_readers.py NAME FOLDER               read them in snntorch, sinabs, spikingjelly, norse or spyx

Each framework needs an environment of its own: ``pip install torch==2.13.0 NAME nir nirtorch``. A line a file: what the framework
says where it refuses, else how many of its answers are those of the network, and how many layers send as many spikes.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
SAMPLES, T = 50, 32
FILES = {"rate, SumPool2d": "rate_sum", "rate, AvgPool2d": "rate_average", "binary": "binary"}


def write(folder: Path) -> None:
    import onnx2snn
    from onnx2snn.exchange import export_nir, run_nir
    from onnx2snn.runtime import SpikingSession

    folder.mkdir(parents=True, exist_ok=True)
    digits = ROOT / "examples" / "digits" / "digits"
    images = np.load(digits.with_suffix(".npz"))["image"][:SAMPLES]
    for stem, options, pools in (
        ("rate_sum", {"coding": "rate", "timesteps": T}, "sum"),
        ("rate_average", {"coding": "rate", "timesteps": T}, "average"),
        ("binary", {}, "sum"),
    ):
        conversion = onnx2snn.convert(digits.with_suffix(".onnx"), **options)
        session = SpikingSession(conversion)
        expected, result = session.levels(images), session.run(images)
        graph = export_nir(conversion, folder / f"{stem}.nir", pools=pools)
        found = run_nir(graph, {"image": images})
        differing = sum(
            int((found.levels[n["name"].replace("/", ".")] != expected[n["name"]]).sum())
            for n in session.layers
        )
        compared = sum(expected[n["name"]].size for n in session.layers)
        print(f"{stem}: {differing} of {compared:,} levels differ in our own reader")
        spikes = {f"spikes/{n.replace('/', '.')}": counts for n, counts in result.spikes.items()}
        np.savez(folder / f"{stem}.npz", image=images, logits=expected["logits"], **spikes)


#: (path, images, T) to what the last layer sent in all (N, 10), and by neuron layer, in order, its spikes in all.
Reader = Callable[[Path, np.ndarray, int], tuple[np.ndarray, list[float]]]


def stepped(
    network: Any, images: np.ndarray, steps: int, neurons: tuple[type, ...]
) -> tuple[np.ndarray, list[float]]:
    """Present the images in every step; what a module with a state gave comes back to it."""
    import torch

    counts: dict[str, float] = {}

    def watch(name: str) -> Any:
        def count(_module: Any, _read: Any, sent: Any) -> None:
            spikes = sent[0] if isinstance(sent, tuple) else sent
            counts[name] = counts.get(name, 0.0) + float(spikes.sum())

        return count

    for name, module in network.named_modules():
        if isinstance(module, neurons):
            module.register_forward_hook(watch(name))
    x, state, total = torch.as_tensor(images), None, 0
    with torch.no_grad():
        for _ in range(steps):
            found = network(x, state) if state is not None else network(x)
            out, state = found if isinstance(found, tuple) else (found, None)
            total = total + (out[0] if isinstance(out, tuple) else out)
    return np.asarray(total), list(counts.values())


def snntorch(path: Path, images: np.ndarray, steps: int) -> tuple[np.ndarray, list[float]]:
    import nir
    import snntorch as snn
    from snntorch.import_nir import import_from_nir

    return stepped(import_from_nir(nir.read(path)), images, steps, (snn.Leaky,))


def sinabs(path: Path, images: np.ndarray, steps: int) -> tuple[np.ndarray, list[float]]:
    import nir
    import sinabs.layers as sl
    import torch
    from sinabs.nir import from_nir

    network = from_nir(nir.read(path), batch_size=len(images))
    repeated = torch.as_tensor(np.repeat(images, steps, axis=0))
    counts = []
    for module in network.modules():
        if isinstance(module, sl.IAFSqueeze):
            module.register_forward_hook(lambda _m, _r, sent: counts.append(float(sent.sum())))
    with torch.no_grad():
        out = network(repeated)
    out = out[0] if isinstance(out, tuple) else out
    return np.asarray(out).reshape(len(images), steps, -1).sum(axis=1), counts


def spikingjelly(path: Path, images: np.ndarray, steps: int) -> tuple[np.ndarray, list[float]]:
    from spikingjelly.activation_based import neuron
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    return stepped(import_from_nir(path, dt=1.0), images, steps, (neuron.BaseNode,))


def norse(path: Path, images: np.ndarray, steps: int) -> tuple[np.ndarray, list[float]]:
    import nir
    import norse.torch

    # it flattens the axis of samples too: one at a time, without that axis
    found = [
        stepped(norse.torch.from_nir(nir.read(path), dt=1.0), image, steps, (norse.torch.IAFCell,))
        for image in images
    ]
    return np.stack([total for total, _ in found]), list(np.sum([counts for _, counts in found], axis=0))


def spyx(path: Path, images: np.ndarray, steps: int) -> tuple[np.ndarray, list[float]]:
    import jax.numpy as jnp
    import nir
    from spyx.nir import from_nir

    _, outputs = from_nir(nir.read(path), jnp.asarray(np.repeat(images[None], steps, axis=0)), dt=1)
    return np.asarray(outputs).sum(axis=0), []


def told(reader: Reader, path: Path, expected: Mapping[str, np.ndarray], steps: int) -> dict[str, Any]:
    try:
        logits, counts = reader(path, expected["image"], steps)
    except Exception as error:  # noqa: BLE001 - whatever a framework says
        lines = (str(error).strip() or repr(error)).splitlines()
        return {"refused": f"{type(error).__name__}: {lines[-1][:160]}"}
    same = float((logits.reshape(len(logits), -1).argmax(axis=1) == expected["logits"].argmax(axis=1)).mean())
    own = [float(expected[name].sum()) for name in expected if name.startswith("spikes/")]
    return {"same answers": same, "spikes": counts, "spikes of the network": own}


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    if name == "write":
        write(folder)
        return
    warnings.simplefilter("ignore")
    logging.disable()
    for title, stem in FILES.items():
        with np.load(folder / f"{stem}.npz") as expected:
            found = told(
                globals()[name], folder / f"{stem}.nir", dict(expected), 20 if stem == "binary" else T
            )
        print(json.dumps({"framework": name, "file": title, **found}))


if __name__ == "__main__":
    main()
