"""Pages of networks that differ in what a page has to show, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import helpers_corpus
import numpy as np
import onnx
from helpers_networks import NETWORKS, Builder, Network
from onnx import numpy_helper

import onnx2snn
from onnx2snn.report import write_report

if TYPE_CHECKING:
    from conftest import Example

SWEEP = [
    {"code": code, "T": T, "accuracy": 1 - 0.5 / T} for code in ("binary", "rate") for T in (1, 2, 4, 16)
]


def deep() -> Network:
    """Twenty layers, some of them skipped: more than a figure shows."""
    b = Builder()
    held = b.act(b.dense("x", (6, 8), 1))
    for seed in range(10, 46, 4):
        inner = b.act(b.dense(b.act(b.dense(held, (8, 8), seed)), (8, 8), seed + 2))
        held = b.add("Add", inner, held) if seed % 3 else inner
    return Network(b.model({"x": ["N", 6]}, {"y": (b.dense(held, (8, 3), 5), ["N", 3])}), {"x": (6,)})


def spoil(model: onnx.ModelProto) -> None:
    """Give a converted network other weights than its source has."""
    weights = next(t for t in model.graph.initializer if len(t.dims) == 4)
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * np.float32(1.3), weights.name))


class PageMaker:
    """Writes each network's page once.

    Args:
        folder: Where to.
        files: The small network with labels: its page has a sweep too.
    """

    def __init__(self, folder: Path, files: Example) -> None:
        self._folder = folder
        self._files = files
        self._written: dict[str, Path] = {}

    def __call__(self, name: str) -> Path:
        """The path of a page: ``small``, ``deep``, ``spoilt``, one of the corpus, or of NETWORKS."""
        if name not in self._written:
            html = self._folder / f"{name}.html"
            self._write(name, html)
            self._written[name] = html
        return self._written[name]

    def _write(self, name: str, html: Path) -> None:
        snn = html.with_name(f"{name}_snn.onnx")
        if name == "small":
            write_report(self._files.ann, self._files.snn, self._files.data, html, sweep=SWEEP, sample=3)
        elif name in helpers_corpus.ALL:
            found = helpers_corpus.Example(name)
            found.conversion.save(snn)
            write_report(found.path, snn, found.inputs, html)
        else:
            network = deep() if name == "deep" else NETWORKS["pooled" if name == "spoilt" else name]()
            conversion = onnx2snn.convert(network.model, hybrid=network.hybrid)
            if name == "spoilt":
                spoil(conversion.model)
            onnx.save(network.model, html.with_suffix(".onnx"))
            onnx.save(conversion.model, snn)
            write_report(html.with_suffix(".onnx"), snn, network.inputs(20), html)
