"""The report: one page, whole, with every number in text."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers_corpus import Example

import onnx2snn

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")


def test_a_page_stands_alone(tmp_path: Path) -> None:
    from onnx2snn.report import write_report  # noqa: PLC0415 - an extra

    example = Example("torchts17__plain-pact4-nofold-dyn")
    snn, page = tmp_path / "snn.onnx", tmp_path / "report.html"
    conversion = onnx2snn.convert(example.path)
    conversion.save(snn)
    facts = write_report(example.path, snn, example.inputs, page)
    text = page.read_text()
    assert facts["lossless"]
    assert "Lossless" in text
    assert "http" not in text.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    ).replace("https://matplotlib.org", "")
    assert "<script" not in text
    for layer in conversion.layers:
        assert layer.name in text
    assert len(facts["layers"]) == len(conversion.layers)
    assert text.count("<svg") == 6
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["report.html", "snn.onnx"]
