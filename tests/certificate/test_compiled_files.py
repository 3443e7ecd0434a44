"""Compiled files beside their source: certified like the file that they were made from, and shown in a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from helpers_networks import NETWORKS
from onnx import numpy_helper

import onnx2snn
from onnx2snn.cli import main
from onnx2snn.errors import InvalidModelError


@pytest.mark.parametrize("execution", ["spiking", "fused", "int8", "step"])
def test_it_is_certified(execution: Any, tmp_path: Path) -> None:
    network = NETWORKS["residual"]()
    path = tmp_path / "fast.onnx"
    onnx2snn.compile(onnx2snn.convert(network.model), execution=execution, batch=1).save(path)
    certificate = onnx2snn.verify(network.model, path)
    assert certificate.lossless
    assert sum(layer.levels_compared for layer in certificate.layers) > 0


def test_a_compiled_file_with_another_weight_is_found_out(tmp_path: Path) -> None:
    network = NETWORKS["residual"]()
    model = onnx2snn.compile(onnx2snn.convert(network.model)).model
    tensor = next(t for t in model.graph.initializer if list(t.dims) == [8, 8])
    values = numpy_helper.to_array(tensor).copy()
    values[3] += 2
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(model, tmp_path / "fast.onnx")
    assert not onnx2snn.verify(network.model, tmp_path / "fast.onnx").lossless


def test_it_is_refused_beside_another_network(tmp_path: Path) -> None:
    path = tmp_path / "fast.onnx"
    onnx2snn.compile(onnx2snn.convert(NETWORKS["residual"]().model)).save(path)
    for other in ("several", "hybrid"):
        with pytest.raises(InvalidModelError, match="compiled"):
            onnx2snn.verify(NETWORKS[other]().model, path)
    with pytest.raises(InvalidModelError, match="swapped"):
        onnx2snn.verify(path, NETWORKS["residual"]().model)


def test_a_rate_code_is_compared(tmp_path: Path) -> None:
    network = NETWORKS["residual"]()
    conversion = onnx2snn.convert(network.model, coding="rate", timesteps=4)
    onnx2snn.compile(conversion, execution="spiking").save(tmp_path / "fast.onnx")
    found = onnx2snn.verify(network.model, tmp_path / "fast.onnx", network.inputs(8))
    expected = onnx2snn.verify(network.model, conversion, network.inputs(8))
    assert found.approximate
    assert found.layers == expected.layers


def test_the_commands(tmp_path: Path) -> None:
    network = NETWORKS["residual"]()
    paths = [str(tmp_path / name) for name in ("ann.onnx", "fast.onnx", "x.npz", "page.html")]
    onnx.save(network.model, paths[0])
    np.savez(paths[2], **network.inputs(6))  # type: ignore[arg-type]
    onnx2snn.compile(onnx2snn.convert(network.model)).save(paths[1])
    ran = CliRunner().invoke(main, ["verify", *paths[:2], "--data", paths[2]])
    assert ran.exit_code == 0, ran.output
    ran = CliRunner().invoke(main, ["report", *paths[:2], "--data", paths[2], "--html", paths[3]])
    assert ran.exit_code == 0, ran.output
    assert "fused, as compiled execution" in Path(paths[3]).read_text(encoding="utf-8")
