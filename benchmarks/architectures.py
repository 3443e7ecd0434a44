"""Architectures of torchvision, quantised in three ways, converted and certified: a table of Markdown, a line a network and way.

    python benchmarks/architectures.py [--only NAME] [--exporter script|dynamo] [--folder FOLDER]

Weights are random, batch norms hold the statistics of noise. torch exports each network, onnxruntime's static quantiser writes
it: ``uint8``, all operators; ``int8``, all operators, symmetric; ``inputs``, those of Conv, MatMul and Gemm alone. A row is a
process of its own, with a limit of CPU time and of memory; what goes beyond at 224 × 224 is tried on smaller pictures. Rows that
are known (results/architectures.json) are not made again. Needs torch and torchvision.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from folder_of_networks import in_process, measured

import onnx2snn
from onnx2snn.runtime import SpikingSession

RESULTS = Path(__file__).parent / "results" / "architectures.json"
#: By name, sides of pictures, the largest first; partitions of MaxViT have to divide them.
NETWORKS = {
    "mobilenet_v3_small": (224, 64),
    "mobilenet_v3_large": (224, 64),
    "efficientnet_b0": (224, 64),
    "regnet_y_400mf": (224, 64),
    "lraspp_mobilenet_v3_large": (224, 64),
    "convnext_tiny": (224, 64),
    "swin_t": (224, 112, 64),
    "vit_b_16": (224, 112, 64),
    "maxvit_t": (224, 64),
    "swin_v2_t": (224, 112, 64),
}
WAYS = ("uint8", "int8", "inputs")
SECONDS, BYTES = 600, 4 << 30
_PAIRS = 5
_TITLES = (
    "network", "side", "quantised", "layers", "T", "neurons", "spikes / bit", "SynOps", "MACs that spike", "analog operations",
    "levels that differ", "unexplained", "certified", "convert, s", "verify, s", "memory, GB", "fused / source",
)  # fmt: skip


def main() -> None:
    """Rows that are not known yet, and the table of all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="")
    parser.add_argument("--exporter", default="script", choices=("script", "dynamo"))
    parser.add_argument("--folder", type=Path, help="where quantised networks are kept; a temporary one")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--make", nargs=3, metavar=("NAME", "SIDE", "WAY"), help=argparse.SUPPRESS)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.make:
        name, side, way = chosen.make
        quantise(name, int(side), way, chosen.exporter, chosen.folder)
    elif chosen.one:
        print(json.dumps(row(chosen.folder)))
    else:
        _all(chosen)


def _all(chosen: argparse.Namespace) -> None:
    found = json.loads(chosen.results.read_text()) if chosen.results.exists() else {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary)
        for way in WAYS:
            for name in NETWORKS:
                key = f"{name} {way}" + f" {chosen.exporter}" * (chosen.exporter != "script")
                if key not in found and chosen.only in name:
                    found[key] = largest(name, way, chosen.exporter, folder)
                    chosen.results.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
                    print(key, found[key], file=sys.stderr, flush=True)
    print(table(found))


def largest(name: str, way: str, exporter: str, folder: Path) -> dict[str, Any]:
    """The row of the largest picture that stays within the limits; ``beyond`` says what did not."""
    beyond: list[str] = []
    for side in NETWORKS[name]:
        path = folder / f"{name}-{side}-{way}-{exporter}.onnx"
        made = [__file__, "--make", name, str(side), way, "--exporter", exporter, "--folder", str(path)]
        one = {} if path.exists() else in_process(made, 3600)
        one = (
            one if "refused" in one else in_process([__file__, "--one", "--folder", str(path)], 7200, _limit)
        )
        one = {"side": side, "way": way, "name": name, "exporter": exporter, **one}
        if "refused" not in one or (
            one.get("ended", 1) not in (-24, -9, -6) and "memory" not in one["refused"].lower()
        ):
            break
        beyond.append(f"{side}: {one['refused']}")
    return {**one, "beyond": beyond}


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_DATA, (BYTES, BYTES))


def row(path: Path) -> dict[str, Any]:
    """What conversion, certificate and one picture cost, and how long the fused execution takes beside the source."""
    found = measured(path, 1)
    return found if "refused" in found else {**found, "fused": _beside_source(path)}


def _beside_source(path: Path) -> float:
    """The median of ratios of times, in turn, on one thread."""
    conversion = onnx2snn.convert(path, check=False)
    fused = SpikingSession(
        conversion.model.SerializeToString(), execution="fused", threads=1, count="nothing"
    )
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    source = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    with np.load(path.with_suffix(".npz")) as held:
        picture = {"x": held["x"][:1]}

    def seconds(run: Callable[[], Any]) -> float:
        began = time.perf_counter()
        run()
        return time.perf_counter() - began

    pairs = [
        (seconds(lambda: fused.run(picture)), seconds(lambda: source.run(None, picture)))
        for _ in range(_PAIRS + 1)
    ]
    return statistics.median(mine / theirs for mine, theirs in pairs[1:])


def quantise(name: str, side: int, way: str, exporter: str, path: Path) -> None:
    """Write the network as torch and onnxruntime do, and two pictures of noise beside it."""
    import torch  # noqa: PLC0415 - an extra
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static  # noqa: PLC0415
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    torch.manual_seed(0)
    network, pictures = _network(name, side), torch.randn(2, 3, side, side)
    options: dict[str, Any] = {
        "dynamo": False,
        "opset_version": 17,
        "dynamic_axes": {"x": {0: "N"}, "y": {0: "N"}},
    }
    if exporter == "dynamo":
        shapes = ({0: torch.export.Dim("N")},)
        options = {
            "dynamo": True,
            "opset_version": 18,
            "dynamic_shapes": shapes,
            "external_data": False,
            "verbose": False,
        }

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # untyped
        def __init__(self) -> None:
            self._batches: Iterator[dict[str, Any]] = iter([{"x": pictures.numpy()}])

        def get_next(self) -> dict[str, Any] | None:
            return next(self._batches, None)

    exact, operators = QuantType.QInt8, ["Conv", "MatMul", "Gemm"]
    ways: dict[str, dict[str, Any]] = {
        "uint8": {"activation_type": QuantType.QUInt8},
        "int8": {
            "activation_type": exact,
            "extra_options": {"ActivationSymmetric": True, "WeightSymmetric": True},
        },
        "inputs": {
            "activation_type": QuantType.QUInt8,
            "op_types_to_quantize": operators,
            "extra_options": {"OpTypesToExcludeOutputQuantization": operators},
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        exported, prepared = Path(folder) / "exported.onnx", Path(folder) / "prepared.onnx"
        torch.onnx.export(
            network, (pictures,), str(exported), input_names=["x"], output_names=["y"], **options
        )
        quant_pre_process(exported, prepared, skip_symbolic_shape=True)
        quantize_static(prepared, path, Reader(), weight_type=exact, per_channel=True, **ways[way])
    np.savez(path.with_suffix(".npz"), x=torch.randn(2, 3, side, side).numpy())
    print("{}")


def _network(name: str, side: int) -> Any:
    """With random weights; batch norms hold the statistics of noise."""
    import torch  # noqa: PLC0415

    library = torch.library.Library(
        "torchvision", "DEF"
    )  # compiled operators that a CPU build of torch lacks
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
    import torchvision  # noqa: PLC0415

    chosen: dict[str, Any] = {"weights": None}
    if name == "vit_b_16":
        chosen["image_size"] = side
    if name == "maxvit_t":
        chosen |= {"input_size": (side, side), "partition_size": side // 32}
    if name.startswith("lraspp"):
        chosen |= {"weights_backbone": None, "num_classes": 21}
    network = torchvision.models.get_model(name, **chosen)
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
    if norms:
        with torch.no_grad():
            network.train()(torch.randn(4, 3, side, side))
    return _FirstOutput(network.eval()) if name.startswith("lraspp") else network.eval()


def _FirstOutput(network: Any) -> Any:  # noqa: N802 - a class, where torch is
    import torch  # noqa: PLC0415

    class FirstOutput(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Any) -> Any:
            return self.network(x)["out"]

    return FirstOutput()


def table(found: dict[str, dict[str, Any]]) -> str:
    """A line a network and way; below, what was refused, and what went beyond the limits."""
    rows = [_TITLES, ("---",) * len(_TITLES)]
    rows += [_row(one) for one in found.values() if "refused" not in one]
    lines = ["| " + " | ".join(line) + " |" for line in rows]
    lines += [f"- `{key}`: {one['refused']}" for key, one in found.items() if "refused" in one]
    return "\n".join(lines)


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    macs, differing = one["macs"], one["compared"] - one["exact"]
    return (
        f"`{one['name']}`",
        str(one["side"]),
        one["way"],
        *(f"{one[key]:,.0f}" for key in ("layers", "timesteps", "neurons")),
        f"{one['spikes'] / one['bits']:.3f}",
        f"{one['synops'] / 1e6:,.0f} M",
        f"{1 - macs['analog'] / macs['ann']:.1%}",
        f"{sum(one['analog'].values()) / 1e6:,.2f} M",
        f"{differing:,} of {one['compared'] / 1e6:,.2f} M",
        f"{one['unexplained']:,}",
        "yes" if one["lossless"] else "no",
        *(f"{one[key]:,.0f}" for key in ("convert", "verify")),
        f"{one['memory'] / 1e9:.1f}",
        f"{one['fused']:.2f}",
    )


if __name__ == "__main__":
    main()
