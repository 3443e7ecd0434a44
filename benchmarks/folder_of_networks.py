"""Convert every network of a folder, certify it, and tell what it costs: a table of Markdown, a line a network.

    python benchmarks/folder_of_networks.py FOLDER [--samples 2] [--only NAME] [--results results.json] [--page docs/networks.md]

``NAME.npz`` beside ``NAME.onnx`` holds its inputs by name; without it, samples are drawn. ``README.md`` there may tell where
each network is from, in a table: file, source, path, licence. Each network has a process of its own, so that its memory is known;
times are those of the processor. Energy is that of 45 nm hardware with 8-bit integers, beside the network itself run in these.
``--page`` writes the table into a page, between its marks.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from process_memory import peak_memory

import onnx2snn
from onnx2snn.conversion import Conversion
from onnx2snn.data import input_specs
from onnx2snn.errors import Onnx2SnnError
from onnx2snn.model.files import load_model
from onnx2snn.runtime import INT8, SpikingSession

_TITLES = (
    "network", "layers", "T", "neurons", "SynOps", "energy / int8", "levels that differ", "ambiguous", "unexplained", "certified",
    "convert, s", "verify, s", "memory, MB",
)  # fmt: skip
_ORIGIN = ("network", "source", "path", "licence")
_SECONDS = 1800


def main() -> None:
    """The table, and what was counted in all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--results", type=Path, help="what is known already, and where it is kept")
    parser.add_argument("--page", type=Path, help="the page that the table is written into")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(measured(chosen.folder, chosen.samples)))
        return
    found = json.loads(chosen.results.read_text()) if chosen.results and chosen.results.exists() else {}
    known = origins(chosen.folder)
    for path in sorted(chosen.folder.glob("*.onnx")):
        if path.stem not in found and chosen.only in path.stem:
            found[path.stem] = _in_process(path, chosen.samples) | {"origin": known.get(path.stem)}
            if chosen.results:
                chosen.results.write_text(json.dumps(found, indent=1) + "\n")
            print(path.stem, found[path.stem], file=sys.stderr, flush=True)
    print(table(found))
    if chosen.page:
        page = chosen.page.read_text(encoding="utf-8")
        chosen.page.write_text(on_page(page, found), encoding="utf-8")


def on_page(page: str, found: dict[str, dict[str, Any]]) -> str:
    """``page`` with the table of ``found`` between its marks."""
    marks = re.compile(
        r"(?<=by benchmarks/folder_of_networks.py -->\n).*(?=<!-- end of networks -->)", re.DOTALL
    )
    return marks.sub(lambda _: f"{table(found)}\n", page)


def origins(folder: Path) -> dict[str, tuple[str, str, str]]:
    """(source, path, licence) by network, from the table of the folder's ``README.md``."""
    readme = folder / "README.md"
    lines = readme.read_text(encoding="utf-8").splitlines() if readme.exists() else []
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines if ".onnx |" in line]
    return {Path(row[0]).stem: (row[1], row[2], row[3]) for row in rows if len(row) == 4}


def _in_process(path: Path, samples: int) -> dict[str, Any]:
    return in_process([__file__, str(path), "--one", "--samples", str(samples)], _SECONDS)


def in_process(
    arguments: Sequence[str], seconds: float, before: Callable[[], None] | None = None
) -> dict[str, Any]:
    """What a Python of its own prints last, as JSON, or what its last error says (``refused``); ``before`` is called first."""
    command = [sys.executable, *arguments]
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=False, preexec_fn=before
        )
    except subprocess.TimeoutExpired:
        return {"refused": f"not done in {seconds} s"}
    if not ended.returncode:
        return dict(json.loads(ended.stdout.strip().splitlines()[-1]))
    lines = ended.stderr.strip().splitlines() or ["no word"]
    said = next((i for i, line in enumerate(reversed(lines)) if line.startswith(" ")), len(lines))
    return {"refused": " ".join(lines[len(lines) - said :] or lines[-1:]), "ended": ended.returncode}


def measured(
    path: Path, samples: int, also: Callable[[Conversion], dict[str, Any]] = lambda _: {}
) -> dict[str, Any]:
    """Convert and certify the network at ``path``, run it, and tell what all that costs, in CPU seconds and bytes.

    ``also`` tells more of what was converted.
    """
    warnings.simplefilter("ignore")
    began = time.process_time()
    try:
        conversion = onnx2snn.convert(path)
    except Onnx2SnnError as error:
        return {"refused": str(error).splitlines()[0]}
    converted, data = time.process_time(), _data(path, samples)
    certificate = onnx2snn.verify(path, conversion, data)
    verified, memory = time.process_time(), peak_memory()
    session = SpikingSession(conversion.model.SerializeToString(), execution="fused", table=INT8)
    result = session.run(data if data is not None else _drawn(path))
    layers, held = certificate.layers, result.table["layers"]
    return {
        "layers": len(layers),
        "timesteps": certificate.timesteps,
        "neurons": sum(layer.neurons for layer in layers),
        "synops": float(np.mean(sum(result.synops.values()))),
        "spikes": float(np.mean(sum(result.spikes.values()))),
        "bits": sum(result.neurons[layer["name"]] * layer["timesteps"] for layer in held),
        "macs": result.table["macs"],
        "analog": dict(sum((Counter(layer.get("analog", {})) for layer in held), Counter())),
        "energy": float(np.mean(result.energy.snn / result.energy.ann)),
        "compared": sum(layer.levels_compared for layer in layers),
        **{k: sum(getattr(layer, k) for layer in layers) for k in ("exact", "ambiguous", "unexplained")},
        "lossless": certificate.lossless,
        "convert": converted - began,
        "verify": verified - converted,
        "memory": memory,
        **also(conversion),
    }


def _data(path: Path, samples: int) -> dict[str, np.ndarray] | None:
    beside, names = path.with_suffix(".npz"), {spec.name for spec in input_specs(load_model(path))}
    if not beside.exists():
        return None
    with np.load(beside) as held:
        return {name: held[name][:samples] for name in held.files if name in names}


def _drawn(path: Path) -> dict[str, np.ndarray]:
    from onnx2snn.certificate.samples import drawn_for  # noqa: PLC0415 - rarely needed

    return dict(next(iter(drawn_for(path).batches(2))).inputs)


def table(found: dict[str, dict[str, Any]]) -> str:
    """What was measured, below it how many networks are what, and where they are from."""
    kept = {name: one for name, one in sorted(found.items()) if "refused" not in one}
    lossless = [one for one in kept.values() if one["lossless"]]
    exact = sum(one["exact"] == one["compared"] for one in lossless)
    few = sum(1 <= one["ambiguous"] <= 5 for one in lossless)
    lines = [
        *_markdown(_TITLES, [_row(name, one) for name, one in kept.items()]),
        f"{len(lossless)} of {len(found)} are certified: {exact} without a level that differs, {few} with 1 to 5 ambiguous.",
    ]
    refused = [f"- `{name}`: {one['refused']}" for name, one in sorted(found.items()) if "refused" in one]
    lines += ["", "Refused:", "", *refused] if refused else []
    told = [(f"`{name}`", *one["origin"]) for name, one in sorted(found.items()) if one.get("origin")]
    return "\n".join([*lines, *(["", *_markdown(_ORIGIN, told)[:-1]] if told else [])])


def _markdown(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table, and an empty line."""
    return [*("| " + " | ".join(row) + " |" for row in (titles, ("---",) * len(titles), *rows)), ""]


def _row(name: str, one: dict[str, Any]) -> tuple[str, ...]:
    differing = f"{one['compared'] - one['exact']:,} of {one['compared']:,}"
    counts = [f"{one[k]:,.0f}" for k in ("layers", "timesteps", "neurons", "synops")]
    seconds = [f"{one[k]:.1f}" for k in ("convert", "verify")]
    verdict = [f"{one['ambiguous']:,}", f"{one['unexplained']:,}", "yes" if one["lossless"] else "no"]
    memory = f"{one['memory'] / 1e6:,.0f}"
    return (f"`{name}`", *counts, f"{one['energy']:.2f}", differing, *verdict, *seconds, memory)


if __name__ == "__main__":
    main()
