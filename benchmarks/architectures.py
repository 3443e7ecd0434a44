"""Architectures, quantised in three ways, converted and certified: a table of Markdown, a line a network, way and exporter.

    python benchmarks/architectures.py [--only NAME] [--side 64] [--exporter script|dynamo] [--page docs/architectures.md]

Weights are random, batch norms hold the statistics of noise (architecture_networks.py). torch exports each network,
onnxruntime's static quantiser writes it: ``uint8``, all operators; ``int8``, all operators, symmetric; ``inputs``, those of Conv,
MatMul and Gemm alone. A row is a process of its own, with a limit of CPU time and of memory. Rows that are known
(results/architectures.json) are not made again; ``--again`` makes those that were refused or not certified, ``--times``
measures how long the executions of those that were not refused take beside their sources, and nothing else. ``--page`` writes
the table into a page, between its marks. Needs torch and torchvision, but for the table and networks that ``--folder`` keeps.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from folder_of_networks import in_process, measured

import onnx2snn
from onnx2snn.conversion import Conversion
from onnx2snn.runtime import SpikingSession

RESULTS = Path(__file__).parent / "results" / "architectures.json"
NETWORKS = (
    "bert", "mobilenet_v3_small", "yolo", "mobilenet_v3_large", "regnet_y_400mf", "lraspp_mobilenet_v3_large", "efficientnet_b0",
    "vit_b_16", "convnext_tiny", "swin_t", "swin_v2_t", "maxvit_t",
)  # fmt: skip
WAYS = ("uint8", "int8", "inputs")
SECONDS, BYTES = 1800, 16 << 30
_EXECUTIONS, _PAIRS, _LEAST = ("fused", "int8", "spiking"), 3, 0.1
_TITLES = (
    "network", "side", "quantised", "exporter", "layers", "T", "neurons", "spikes / bit", "SynOps", "MACs that spike",
    "analog operations", "levels that differ", "ambiguous", "unexplained", "certified", "convert, s", "verify, s", "memory, GB",
    *(f"{execution} / source" for execution in _EXECUTIONS),
)  # fmt: skip


def main() -> None:
    """Rows that are not known yet, and the table of all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="")
    parser.add_argument("--side", type=int, default=64, help="of pictures")
    parser.add_argument("--exporter", default="script", choices=("script", "dynamo"))
    parser.add_argument("--folder", type=Path, help="where quantised networks are kept; a temporary one")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--again", action="store_true", help="what is not certified yet")
    parser.add_argument("--times", action="store_true", help="of executions, anew, of rows that are known")
    parser.add_argument("--page", type=Path, help="the page that the table is written into")
    parser.add_argument("--table", action="store_true", help="no row")
    parser.add_argument("--make", nargs=2, metavar=("NAME", "WAY"), help=argparse.SUPPRESS)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.make:
        quantise(chosen.make[0], chosen.side, chosen.make[1], chosen.exporter, chosen.folder)
    elif chosen.one:
        print(json.dumps(times(chosen.folder) if chosen.times else row(chosen.folder)))
    else:
        _all(chosen)


def _all(chosen: argparse.Namespace) -> None:
    found = json.loads(chosen.results.read_text()) if chosen.results.exists() else {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary)
        for name, way in ((name, way) for name in NETWORKS for way in WAYS if not chosen.table):
            key = f"{name}-{chosen.side}-{way}-{chosen.exporter}"
            if _wanted(key, found.get(key), chosen):
                one = _row_of(name, way, folder / f"{key}.onnx", chosen)
                found = json.loads(chosen.results.read_text()) if chosen.results.exists() else {}
                if not chosen.times:  # others may make rows beside these
                    found[key] = one
                elif "refused" not in one:
                    found[key] |= one
                chosen.results.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
                print(key, one, file=sys.stderr, flush=True)
    print(table(found))
    if chosen.page:
        chosen.page.write_text(on_page(chosen.page.read_text(encoding="utf-8"), found), encoding="utf-8")


def _wanted(key: str, known: dict[str, Any] | None, chosen: argparse.Namespace) -> bool:
    """Whether a row is to be made, or, with ``--times``, is there to be measured anew."""
    if chosen.only not in key:
        return False
    if chosen.times:
        return known is not None and "refused" not in known
    return known is None or (chosen.again and not known.get("lossless"))


def _row_of(name: str, way: str, path: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """One row, in a process within the limits; networks are exported and quantised without any."""
    side, exporter = chosen.side, chosen.exporter
    made = [__file__, "--make", name, way, "--side", str(side), "--exporter", exporter, "--folder", str(path)]
    one = {} if path.with_suffix(".npz").exists() else in_process(made, 3600)
    asked = [__file__, "--one", *["--times"] * chosen.times, "--folder", str(path)]
    one = one if "refused" in one else in_process(asked, 7200, _limit)
    if one.get("ended") == -24:
        one["refused"] = f"not done in {SECONDS} s"
    return {"name": name, "side": side, "way": way, "exporter": exporter, **one}


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_DATA, (BYTES, BYTES))


def row(path: Path) -> dict[str, Any]:
    """What conversion, certificate and one picture cost, and how long executions take beside the source."""
    return measured(path, 1, lambda conversion: _beside_source(path, conversion))


def times(path: Path) -> dict[str, float]:
    """The last columns alone."""
    warnings.simplefilter("ignore")
    return _beside_source(path, onnx2snn.convert(path))


def _beside_source(path: Path, conversion: Conversion) -> dict[str, float]:
    """Medians of ratios of processor times, in turn, on one thread."""
    content, options = conversion.model.SerializeToString(), ort.SessionOptions()
    options.intra_op_num_threads = 1
    source = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    with np.load(path.with_suffix(".npz")) as held:
        sample = {name: held[name][:1] for name in held.files}

    def seconds(run: Callable[[], Any]) -> float:
        """Of one run, from so many that the processor's clock tells them apart."""
        began, runs = time.process_time(), 0
        while (spent := time.process_time() - began) < _LEAST:
            run()
            runs += 1
        return spent / runs

    ratios = {}
    for execution in _EXECUTIONS:
        session = SpikingSession(content, execution=execution, threads=1, count="nothing")
        ours, theirs = partial(session.run, sample), partial(source.run, None, sample)
        ratios[execution] = statistics.median(
            [seconds(ours) / seconds(theirs) for _ in range(_PAIRS + 1)][1:]
        )
    return ratios


def quantise(name: str, side: int, way: str, exporter: str, path: Path) -> None:
    """Write the network as torch and onnxruntime do, and two more samples beside it."""
    import torch  # noqa: PLC0415 - an extra
    from architecture_networks import network_of, tokens  # noqa: PLC0415 - needs torch
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static  # noqa: PLC0415
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    network, samples = network_of(name, side)
    names = ["x", "mask"][: len(samples)]

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # untyped
        def __init__(self) -> None:
            self._batches: Iterator[dict[str, Any]] = iter(
                [{name: one.numpy() for name, one in zip(names, samples, strict=True)}]
            )

        def get_next(self) -> dict[str, Any] | None:
            return next(self._batches, None)

    with tempfile.TemporaryDirectory() as folder:
        exported, prepared = Path(folder) / "exported.onnx", Path(folder) / "prepared.onnx"
        torch.onnx.export(
            network, samples, str(exported), input_names=names, output_names=["y"], **_export(exporter, names)
        )
        quant_pre_process(exported, prepared, skip_symbolic_shape=True)
        exact = QuantType.QInt8
        quantize_static(
            prepared, path, Reader(), weight_type=exact, per_channel=True, **_ways(QuantType)[way]
        )
    others = tokens() if name == "bert" else (torch.randn(2, 3, side, side),)
    np.savez(path.with_suffix(".npz"), **{name: one.numpy() for name, one in zip(names, others, strict=True)})
    print("{}")


def _export(exporter: str, names: list[str]) -> dict[str, Any]:
    """Options of torch's exporters: the number of samples is open."""
    if exporter == "script":
        axes = {name: {0: "N"} for name in (*names, "y")}
        return {"dynamo": False, "opset_version": 17, "dynamic_axes": axes}
    import torch  # noqa: PLC0415 - an extra

    shapes = tuple({0: torch.export.Dim("N")} for _ in names)
    return {
        "dynamo": True, "opset_version": 18, "dynamic_shapes": shapes, "external_data": False, "verbose": False,
    }  # fmt: skip


def _ways(types: Any) -> dict[str, dict[str, Any]]:
    """Options of onnxruntime's static quantiser."""
    operators = ["Conv", "MatMul", "Gemm"]
    return {
        "uint8": {"activation_type": types.QUInt8},
        "int8": {
            "activation_type": types.QInt8,
            "extra_options": {"ActivationSymmetric": True, "WeightSymmetric": True},
        },
        "inputs": {
            "activation_type": types.QUInt8,
            "op_types_to_quantize": operators,
            "extra_options": {"OpTypesToExcludeOutputQuantization": operators},
        },
    }


def on_page(page: str, found: dict[str, dict[str, Any]]) -> str:
    """``page`` with the table of ``found`` between its marks."""
    marks = re.compile(
        r"(?<=by benchmarks/architectures.py -->\n).*(?=<!-- end of architectures -->)", re.DOTALL
    )
    return marks.sub(lambda _: f"{table(found)}\n", page)


def table(found: dict[str, dict[str, Any]]) -> str:
    """A line a network and way; below, what was refused or went beyond the limits."""
    kept = sorted(found.items(), key=lambda item: (NETWORKS.index(item[1]["name"]), item[0]))
    rows = [_TITLES, ("---",) * len(_TITLES), *(_row(one) for _, one in kept if "refused" not in one)]
    lines = ["| " + " | ".join(line) + " |" for line in rows]
    certified = sum(bool(one.get("lossless")) for one in found.values())
    lines += ["", f"{certified} of {len(found)} are certified."]
    refused = [f"- `{key}`: {one['refused']}" for key, one in kept if "refused" in one]
    return "\n".join([*lines, *(["", "Refused:", "", *refused] if refused else [])])


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    macs, differing = one["macs"], one["compared"] - one["exact"]
    side = "" if one["name"] == "bert" else str(one["side"])
    return (
        f"`{one['name']}`", side, one["way"], one["exporter"],
        *(f"{one[key]:,.0f}" for key in ("layers", "timesteps", "neurons")),
        f"{one['spikes'] / one['bits']:.3f}",
        f"{one['synops'] / 1e6:,.0f} M",
        f"{1 - macs['analog'] / macs['ann']:.1%}",
        f"{sum(one['analog'].values()) / 1e6:,.2f} M",
        f"{differing:,} of {one['compared'] / 1e6:,.2f} M",
        f"{one['ambiguous']:,}", f"{one['unexplained']:,}", "yes" if one["lossless"] else "no",
        *(f"{one[key]:,.0f}" for key in ("convert", "verify")),
        f"{one['memory'] / 1e9:.1f}",
        *(f"{one[key]:.2f}" if key in one else "" for key in _EXECUTIONS),
    )  # fmt: skip


if __name__ == "__main__":
    main()
