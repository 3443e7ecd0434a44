"""How many broken networks a certificate lets through: ``python benchmarks/mutations.py [--most 1] [--json PATH]``.

Every kind of mistake of ``mutants.py`` in every network of ``NETWORKS``, at up to ``--most`` nodes each. A mutant is *caught*
where ``verify`` says "not lossless" or refuses the file. One that is not caught is *equivalent* where all levels and all
outputs are the same bits on the data, and a *survivor* otherwise.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from everywhere import modern
from helpers_quantised import Quantised
from mutants import MUTATIONS

import onnx2snn
from onnx2snn.runtime import SpikingSession

CORPUS = Path(__file__).resolve().parents[1] / "tests" / "corpus"
NETWORKS = (
    "ortquant__mlp-relu-qdq_s8sym",
    "torchts17__conv1d-qcfs16-dyadic-nofold-dyn",
    "brevitas__plain-a2w2-qonnx",
    "torchts17__plain-pact4-nofold-dyn",
    "torchts13__dense-qcfs8c-dyn",
    "brevitas__inq-a8w8pc-qcdq",
    "keras17__res-qcfs16",
    "torchts17__mobile-qcfs16-dyadic-dyn",
    "torchts16__unet-qcfs16-dyadic-dyn",
    "torchts11__preact-qcfs16-dyn",
    "attention",
    "curve",
)
SAMPLES = 8


def curve() -> onnx.ModelProto:
    """HardSwish between two quantisers: rising and falling steps."""
    net = Quantised(8)
    a = net.quantised(net.add("Conv", "x", net.weights(4, 3, 3, 3)), 0.03, 120)
    f = net.quantised(net.add("HardSwish", a), 0.02, 20)
    net.add("Conv", f, net.weights(5, 4, 3, 3), output="y")
    return net.model({"x": ["N", 3, 8, 8]}, {"y": ["N", 5, 4, 4]})


#: Layer norm, attention, SiLU and a gate; a function alone: as a stock quantiser writes them. Sources, and shapes of a sample.
BUILT = {"attention": (lambda: modern(tokens=8), (8, 8)), "curve": (curve, (3, 8, 8))}


def source_of(name: str) -> Path | onnx.ModelProto:
    return BUILT[name][0]() if name in BUILT else CORPUS / f"{name}.onnx"


def samples_of(name: str, count: int = SAMPLES) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    if name in BUILT:
        return {"x": random.normal(0, 1, (count, *BUILT[name][1])).astype(np.float32)}
    with np.load(CORPUS / f"{name}.npz") as data:
        shapes = {k: data[k] for k in data.files if not k.startswith("expected_")}
    return {k: random.normal(0, 1, (count, *v.shape[1:])).astype(v.dtype) for k, v in shapes.items()}


def verdict(
    source: Path | onnx.ModelProto,
    mutant: onnx.ModelProto,
    samples: Mapping[str, np.ndarray],
    right: onnx.ModelProto,
) -> str:
    """``caught``, ``refused``, ``equivalent`` or ``survivor``."""
    try:
        certificate = onnx2snn.verify(source, mutant, samples)
    except onnx2snn.InvalidModelError:
        return "refused"
    if not certificate.lossless:
        return "caught" if certificate.defects else "caught without a reason"
    return "equivalent" if same_answers(right, mutant, samples) else "survivor"


def same_answers(one: onnx.ModelProto, other: onnx.ModelProto, samples: Mapping[str, np.ndarray]) -> bool:
    first, second = (SpikingSession(m.SerializeToString()).levels(samples) for m in (one, other))
    return all(np.array_equal(first[name], second[name]) for name in first)


def tally(name: str, most: int) -> dict[str, Counter[str]]:
    """Verdicts on the mutants of one network, by kind of mistake."""
    source, samples = source_of(name), samples_of(name)
    right = onnx2snn.convert(source).model
    found: dict[str, Counter[str]] = {}
    for mutation in MUTATIONS:
        verdicts = found.setdefault(mutation.kind, Counter())
        for node, mutant in mutation.mutants(right, most=most):
            answer = verdict(source, mutant, samples, right)
            verdicts[answer] += 1
            if answer not in ("caught", "refused"):
                print(f"{answer}: {mutation.kind}, {node} of {name}", file=sys.stderr, flush=True)
    return found


def table(rows: Mapping[str, Counter[str]]) -> str:
    lines = [
        "| one thing wrong | mutants | caught | refused | equivalent | survivors |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    total: Counter[str] = Counter()
    for kind, found in [*rows.items(), ("**all**", total)]:
        total += found if found is not total else Counter()
        numbers = [found.total(), *(found[k] for k in ("caught", "refused", "equivalent", "survivor"))]
        lines.append(f"| {kind} | " + " | ".join(map(str, numbers)) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--most", type=int, default=1, help="nodes of each network that one kind befalls")
    parser.add_argument("--only", default="", help="networks by a part of their name")
    parser.add_argument("--json", type=Path, help="also write the numbers there")
    options = parser.parse_args()
    began = time.monotonic()
    rows: dict[str, Counter[str]] = {mutation.kind: Counter() for mutation in MUTATIONS}
    networks = [name for name in NETWORKS if options.only in name]
    for name in networks:
        for kind, found in tally(name, options.most).items():
            rows[kind] += found
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        if options.json:
            options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(table(rows))
    print(
        f"\n{len(networks)} networks, {SAMPLES} samples each, {time.monotonic() - began:.0f} s",
        file=sys.stderr,
    )
    sys.exit(1 if any(found["survivor"] for found in rows.values()) else 0)


if __name__ == "__main__":
    main()
