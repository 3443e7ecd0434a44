"""``onnx2snn finetune`` without what it needs: named before anything is done."""

from __future__ import annotations

import importlib.util

import pytest
from click.testing import CliRunner

from onnx2snn.cli.finetune import _load
from onnx2snn.errors import OutputError


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ({"torch"}, "needs torch"),
        ({"onnx2torch"}, "needs onnx2torch"),
        ({"torch", "onnx2torch"}, "needs torch and onnx2torch"),
    ],
)
def test_missing_libraries_are_named_with_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch, missing: set[str], named: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in missing else object())
    ended = CliRunner().invoke(_load(), ["relu.onnx", "data.npz", "out.onnx", "--epochs", "1"])
    assert isinstance(ended.exception, OutputError)
    assert str(ended.exception).splitlines()[0].endswith(named)
    assert ended.exception.remedy == "pip install 'onnx2snn[train]'"
    assert CliRunner().invoke(_load(), ["--help"]).exit_code == 0
