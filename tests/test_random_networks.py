"""Random networks of fixed seeds, each with one of the properties; ``benchmarks/random_networks.py`` draws many more."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from random_networks import PROPERTIES, Drawn, networks

import onnx2snn

#: Networks of one seed.
COUNT = 20
SEEDS = range(3)


def drawn(number: int, count: int) -> list[Drawn]:
    """``count`` networks, always the same."""
    found: list[Drawn] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
    )
    @given(networks())
    def collect(network: Drawn) -> None:
        found.append(network)

    collect()
    return found


@pytest.mark.parametrize("number", SEEDS)
@pytest.mark.parametrize("name", PROPERTIES)
def test_property(name: str, number: int) -> None:
    networks_of_seed = drawn(1000 * list(PROPERTIES).index(name) + number, COUNT)
    assert len(networks_of_seed) == COUNT
    for network in networks_of_seed:
        PROPERTIES[name](network)


def digests(folder: Path) -> list[str]:
    """Of the conversions of the models in a folder."""
    converted = (onnx2snn.convert(path).model for path in sorted(folder.glob("*.onnx")))
    return [hashlib.sha256(model.SerializeToString()).hexdigest() for model in converted]


def test_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    """Sets of names are ordered by a hash that changes from process to process: no result may depend on it."""
    for number, network in enumerate(drawn(0, 8)):
        onnx.save(network.model, tmp_path / f"{number}.onnx")
    expected = digests(tmp_path)
    code = "import sys, pathlib, test_random_networks as t; print(*t.digests(pathlib.Path(sys.argv[1])))"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    for number in ("1", "2"):
        command = [sys.executable, "-c", code, str(tmp_path)]
        answer = subprocess.run(
            command, env={**environment, "PYTHONHASHSEED": number}, capture_output=True, check=True
        )
        assert answer.stdout.decode().split() == expected
