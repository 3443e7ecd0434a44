"""Draw random networks, and check every property of each: a long form of tests/test_random_networks.py.

    python benchmarks/random_networks.py                          # 10,000 networks
    python benchmarks/random_networks.py --networks 500 --seed 7  # others, fewer
    python benchmarks/random_networks.py --results results.json   # and go on where that file says it stopped

What fails is shrunk by hypothesis, written as a model beside the results, and printed as text.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import sys
import time
import warnings
from pathlib import Path

import onnx
from hypothesis import HealthCheck, Phase, given, seed, settings

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from random_networks import Drawn, check, networks

#: Networks of one seed: few, so that each seed draws afresh.
CHUNK = 20


@dataclasses.dataclass
class Tally:
    """What was drawn so far.

    Attributes:
        networks: How many were checked.
        seeds: How many seeds they came from: where to go on.
        exact: Of them, dyadic: everything had to agree bit for bit.
        nodes: Of all networks together.
        seconds: Processor time.
        failures: By seed, what was found.
        operators: How many networks hold each.
        opsets: How many are written for each.
    """

    networks: int = 0
    seeds: int = 0
    exact: int = 0
    nodes: int = 0
    seconds: float = 0.0
    failures: dict[str, str] = dataclasses.field(default_factory=dict)
    operators: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    opsets: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)

    def count(self, drawn: Drawn) -> None:
        """One more network."""
        self.networks += 1
        self.exact += drawn.exact
        self.nodes += len(drawn.model.graph.node)
        self.operators.update({f"{n.domain}.{n.op_type}".lstrip(".") for n in drawn.model.graph.node})
        self.opsets[str(next(o.version for o in drawn.model.opset_import if not o.domain))] += 1

    def text(self) -> str:
        """A table for people."""
        lines = [
            f"{self.networks:,} networks ({self.exact:,} exact), {self.nodes:,} nodes, {self.seconds:,.0f} s of processor time",
            f"{len(self.failures)} failures",
            "opsets: "
            + ", ".join(f"{k} × {v}" for k, v in sorted(self.opsets.items(), key=lambda i: int(i[0]))),
            "operators: " + ", ".join(f"{k} {v}" for k, v in sorted(self.operators.items())),
        ]
        return "\n".join(lines)


def check_seed(number: int, count: int, tally: Tally, folder: Path) -> None:
    """``count`` networks of one seed; a failure ends them, shrunk."""
    failing: list[Drawn] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=[*HealthCheck],
        report_multiple_bugs=False,
    )
    @given(networks())
    def run(drawn: Drawn) -> None:
        if not failing:
            tally.count(drawn)
        try:
            check(drawn)
        except BaseException:
            failing.append(drawn)
            raise

    try:
        run()
    except Exception as error:  # noqa: BLE001 - whatever was found is a result here
        path = folder / f"random_network_{number}.onnx"
        onnx.save(failing[-1].model, path) if failing else None
        tally.failures[str(number)] = f"{type(error).__name__}: {error}"
        print(f"\nseed {number}: {tally.failures[str(number)]}\n{failing[-1] if failing else ''}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=int, default=10_000, metavar="N")
    parser.add_argument("--seed", type=int, default=0, help="the first seed; later ones count on from it")
    parser.add_argument("--results", type=Path, default=None, metavar="JSON")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    tally = _resumed(arguments.results)
    folder = Path.cwd() if arguments.results is None else arguments.results.parent
    number = arguments.seed + tally.seeds
    while tally.networks < arguments.networks:
        start = time.process_time()
        check_seed(number, min(CHUNK, arguments.networks - tally.networks), tally, folder)
        tally.seconds += time.process_time() - start
        number += 1
        tally.seeds += 1
        print(f"\r{tally.networks:,} networks, {len(tally.failures)} failures", end="", flush=True)
        if arguments.results is not None:
            arguments.results.write_text(json.dumps(vars(tally), indent=1, sort_keys=True))
    print("\n" + tally.text())
    return 1 if tally.failures else 0


def _resumed(path: Path | None) -> Tally:
    if path is None or not path.exists():
        return Tally()
    held = json.loads(path.read_text())
    held.update({key: collections.Counter(held[key]) for key in ("operators", "opsets")})
    return Tally(**held)


if __name__ == "__main__":
    sys.exit(main())
