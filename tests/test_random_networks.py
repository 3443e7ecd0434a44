"""Random networks of fixed seeds, each with every property; ``benchmarks/random_networks.py`` draws many more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from random_networks import Drawn, check, networks
from random_networks.foreign import Foreign

#: Networks of one seed.
COUNT = 12
SEEDS = range(5)


def drawn(number: int, count: int, shown: Foreign | None = None) -> list[Drawn]:
    """``count`` networks, always the same; with the operator ``shown`` in each."""
    return examples(networks(shown), number, count)


def examples(strategy: st.SearchStrategy[Any], number: int, count: int) -> list[Any]:
    """The first ``count`` examples of a seed."""
    found: list[Any] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
    )
    @given(strategy)
    def collect(example: Any) -> None:
        found.append(example)

    collect()
    return found


@pytest.mark.parametrize("number", SEEDS)
def test_every_property_holds(number: int) -> None:
    networks_of_seed = drawn(number, COUNT)
    assert len(networks_of_seed) == COUNT
    for network in networks_of_seed:
        check(network)


_DIGESTS = """
import hashlib, pathlib, sys
import onnx2snn
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.onnx")):
    model = onnx2snn.convert(path, check=False).model
    print(hashlib.sha256(model.SerializeToString()).hexdigest())
"""


def test_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    """Sets of names are ordered by a hash that changes from process to process: no result may depend on it."""
    for number, network in enumerate(drawn(0, 8)):
        onnx.save(network.model, tmp_path / f"{number}.onnx")
    answers = [
        subprocess.run(
            [sys.executable, "-c", _DIGESTS, str(tmp_path)],
            env={**os.environ, "PYTHONHASHSEED": seed_of_hashes},
            capture_output=True,
            check=True,
        ).stdout.split()
        for seed_of_hashes in ("1", "2")
    ]
    assert len(answers[0]) == 8
    assert answers[0] == answers[1]
