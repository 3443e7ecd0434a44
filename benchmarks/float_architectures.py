"""Float networks of many architectures, calibrated, converted and certified: what quantising costs, in error, time and memory.

    python benchmarks/float_architectures.py [--only NAME] [--side 64] [--timesteps 4 6 8] [--page docs/calibration.md]

Weights are random, batch norms hold the statistics of noise (architecture_networks.py); torch exports each network. Thresholds
are chosen from eight pictures of noise. The error is the root mean square difference of the first output from the float
network's, over its standard deviation, on these and on four others. Each row is a process of its own, with a limit of memory;
rows that are known (results/float_architectures.json) are not made again. ``--page`` writes the table into a page, between its
marks. Needs torch and torchvision, but for the table.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from folder_of_networks import in_process
from process_memory import peak_memory

import onnx2snn
from onnx2snn.errors import Onnx2SnnError
from onnx2snn.model.reference import make_runner

RESULTS = Path(__file__).parent / "results" / "float_architectures.json"
NETWORKS = (
    "mobilenet_v3_small", "yolo", "regnet_y_400mf", "efficientnet_b0", "vit_b_16", "convnext_tiny", "swin_t",
)  # fmt: skip
BYTES = 10 << 30
_TITLES = (
    "network", "T", "layers", "error, %", "on other data, %", "exact layers", "levels that differ", "unexplained", "certified",
    "calibrate, s", "convert, s", "verify, s", "memory, GB",
)  # fmt: skip


def main() -> None:
    """Rows that are not known yet, and the table of all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="")
    parser.add_argument("--side", type=int, default=64, help="of pictures")
    parser.add_argument("--timesteps", type=int, nargs="*", default=[4, 6, 8], help="none: the table alone")
    parser.add_argument("--folder", type=Path, help="where float networks are kept; a temporary one")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--again", action="store_true", help="what is not certified yet")
    parser.add_argument("--page", type=Path, help="the page that the table is written into")
    parser.add_argument("--make", help=argparse.SUPPRESS)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.make:
        export(chosen.make, chosen.side, chosen.folder)
    elif chosen.one:
        print(json.dumps(row(chosen.folder, chosen.one)))
    else:
        _all(chosen)


def _all(chosen: argparse.Namespace) -> None:
    found = json.loads(chosen.results.read_text()) if chosen.results.exists() else {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary)
        for timesteps, name in ((t, name) for t in chosen.timesteps for name in NETWORKS):
            key, path = f"{name}-{chosen.side}-{timesteps}", folder / f"{name}-{chosen.side}-float.onnx"
            known = key in found and (found[key].get("lossless") or not chosen.again)
            if not known and chosen.only in key:
                found[key] = {"name": name, "side": chosen.side, "timesteps": timesteps}
                found[key] |= _row_of(name, chosen.side, timesteps, path)
                chosen.results.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
                print(key, found[key], file=sys.stderr, flush=True)
    print(table(found))
    if chosen.page:
        chosen.page.write_text(on_page(chosen.page.read_text(encoding="utf-8"), found), encoding="utf-8")


def _row_of(name: str, side: int, timesteps: int, path: Path) -> dict[str, Any]:
    made = [__file__, "--make", name, "--side", str(side), "--folder", str(path)]
    one = {} if path.with_suffix(".npz").exists() else in_process(made, 3600)
    measured = [__file__, "--one", str(timesteps), "--folder", str(path)]
    return one if "refused" in one else in_process(measured, 7200, _limit)


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (BYTES, BYTES))


def export(name: str, side: int, path: Path) -> None:
    """Write the network as torch does, and twelve pictures of noise beside it."""
    import torch  # noqa: PLC0415 - an extra
    from architecture_networks import network_of  # noqa: PLC0415 - needs torch

    network, samples = network_of(name, side)
    axes = {name: {0: "N"} for name in ("x", "y")}
    torch.onnx.export(
        network, samples, str(path), input_names=["x"], output_names=["y"], dynamo=False, opset_version=17, dynamic_axes=axes
    )  # fmt: skip
    pictures = torch.randn(12, 3, side, side).numpy()
    np.savez(path.with_suffix(".npz"), data=pictures[:8], other=pictures[8:])
    print("{}")


def row(path: Path, timesteps: int) -> dict[str, Any]:
    """One row of the table; seconds are those of the processor."""
    with np.load(path.with_suffix(".npz")) as held:
        data, other = ({"x": held[name]} for name in ("data", "other"))
    spent = [time.process_time()]
    try:
        calibration = onnx2snn.calibrate(path, data, timesteps=timesteps)
        spent.append(time.process_time())
        conversion = onnx2snn.convert(calibration.model)
    except Onnx2SnnError as error:
        return {"refused": str(error).splitlines()[0]}
    spent.append(time.process_time())
    certificate = onnx2snn.verify(calibration.model, conversion, {"x": other["x"][:1]})
    spent.append(time.process_time())
    expected, found = (
        next(iter(make_runner(model)(other).values())) for model in (onnx.load(path), calibration.model)
    )
    proofs = [] if calibration.exact is None else calibration.exact.proofs
    layers = certificate.layers
    return {
        "layers": len(layers),
        "error": calibration.output_error,
        "error_on_other": float(np.sqrt(np.mean((expected - found) ** 2)) / expected.std()),
        "error_on_grids": calibration.error_on_grids,
        "proved": sum(proof.exact for proof in proofs if proof.neurons),
        "not_proved": [(proof.name, proof.reason) for proof in proofs if proof.neurons and not proof.exact],
        "compared": sum(layer.levels_compared for layer in layers),
        **{k: sum(getattr(layer, k) for layer in layers) for k in ("exact", "ambiguous", "unexplained")},
        "lossless": certificate.lossless,
        **dict(zip(("calibrate", "convert", "verify"), np.diff(spent).tolist(), strict=True)),
        "memory": peak_memory(),
    }


def on_page(page: str, found: dict[str, dict[str, Any]]) -> str:
    """``page`` with the table of ``found`` between its marks."""
    marks = re.compile(r"(?<=<!-- float architectures -->\n).*(?=<!-- /float architectures -->)", re.DOTALL)
    return marks.sub(lambda _: f"{table(found)}\n", page)


def table(found: dict[str, dict[str, Any]]) -> str:
    """A line a network and T; below, what was refused."""
    kept = sorted(found.values(), key=lambda one: (NETWORKS.index(one["name"]), one["timesteps"]))
    rows = [_TITLES, ("---",) * len(_TITLES), *(_row(one) for one in kept if "refused" not in one)]
    lines = ["| " + " | ".join(line) + " |" for line in rows]
    refused = [
        f"- `{one['name']}`, T = {one['timesteps']}: {one['refused']}" for one in kept if "refused" in one
    ]
    return "\n".join([*lines, *(["", "Refused:", "", *refused] if refused else [])])


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    proofs = one["proved"] + len(one["not_proved"])
    return (
        f"`{one['name']}`", str(one["timesteps"]), str(one["layers"]),
        *(f"{one[key]:.1%}".strip("%") for key in ("error", "error_on_other")),
        f"{one['proved']} of {proofs}" if proofs else "none",
        f"{one['compared'] - one['exact']:,} of {one['compared']:,}", f"{one['unexplained']:,}",
        "yes" if one["lossless"] else "no",
        *(f"{one[key]:,.0f}" for key in ("calibrate", "convert", "verify")),
        f"{one['memory'] / 1e9:.1f}",
    )  # fmt: skip


if __name__ == "__main__":
    main()
