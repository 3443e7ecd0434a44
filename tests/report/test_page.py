"""The page as text: whole, alone, and every figure with its numbers."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import Example
from helpers_networks import Builder, Network
from helpers_pages import PageMaker

import onnx2snn
from onnx2snn.errors import OutputError
from onnx2snn.report import gather, write_report
from onnx2snn.report.figures.drawing import COLOURS, chosen

FIGURES = ["input", "raster", "potentials", "levels", "bits", "energy", "sweep"]


class Page(HTMLParser):
    """What a parser that corrects nothing makes of a page."""

    VOID = ("meta", "link", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name in ("href", "src", "xlink:href", "action", "data"):
                self.addresses.append(str(value))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data: str) -> None:
        if "style" not in self.open[-1:]:
            self.words.append(data.strip())


@pytest.fixture(scope="module")
def text(page: PageMaker) -> str:
    return page("small").read_text(encoding="utf-8")


def test_it_is_well_formed_and_stands_alone(text: str) -> None:
    parsed = Page(text)
    assert not parsed.open
    assert len(parsed.ids) == len(set(parsed.ids))
    assert all(address.startswith(("#", "data:")) for address in parsed.addresses)
    assert {address[1:] for address in parsed.addresses if address.startswith("#")} <= set(parsed.ids)
    assert "<script" not in text
    assert "@import" not in text
    assert set(re.findall(r"url\(([^)]*)\)", text)) <= {f"#{i}" for i in parsed.ids}


def test_the_verdict_comes_first(text: str) -> None:
    words = [word for word in Page(text).words if word]
    assert words[:5] == [
        "snn.onnx: lossless, T = 4",
        "Spiking network report",
        "snn.onnx",
        "converted from ann.onnx",
        "Lossless",
    ]
    assert words[5].startswith("90 samples, T = 4 time steps a layer, 12 to an answer, accuracy")


@pytest.mark.parametrize("key", FIGURES)
def test_every_figure_has_its_numbers_in_words(text: str, key: str) -> None:
    figure = text[text.index(f'<figure class="card" id="{key}">') :]
    figure = figure[: figure.index("</figure>")]
    caption = re.search(r"<figcaption>(.*?)</figcaption>", figure, re.DOTALL)
    assert caption
    assert re.search(r"\d", caption[1])
    assert len(re.findall("<tr>", figure)) >= 2
    if "<svg" in figure:
        label = re.search(
            rf'<svg role="img" aria-labelledby="{key}-title".*?<title id="{key}-title">([^<]+)</title>',
            figure,
            re.DOTALL,
        )
        assert label
        assert re.search(r"\d", label[1])
    else:
        assert 'alt="' in figure


def test_costs_stand_there_with_memory_and_as_neurobench_has_them(text: str) -> None:
    words = " ".join(Page(text).words)
    assert "With memory accesses, which the bars leave out (Lemaire et al. 2022): SNN" in words
    for metric in (
        "footprint",
        "connection sparsity",
        "activation sparsity",
        "effective accumulates",
        "dense operations",
    ):
        assert re.search(rf"{metric} +\d", words), metric


def test_figures_take_the_pages_colours(text: str) -> None:
    figures = re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
    assert not re.findall(r"#[0-9a-f]{6}\b", re.sub(r'src="[^"]*"|(href|url)[=(]"?#[^")]*', "", figures))
    style = text[text.index("<style>") : text.index("</style>")]
    for name in COLOURS:
        assert style.count(f"--{name}:") == 2, name
    assert len(set(COLOURS.values())) == len(COLOURS)


def test_all_layers_are_in_the_table_even_where_figures_show_some(page: PageMaker) -> None:
    text = page("deep").read_text(encoding="utf-8")
    table = text[text.index('<table class="layers">') :]
    assert table[: table.index("</table>")].count("<tr") == 1 + 19
    assert "12 of 19 layers are drawn" in text
    assert chosen(19, 12)[0] == 0
    assert chosen(19, 12)[-1] == 18
    assert chosen(3, 12) == [0, 1, 2]


def test_a_defect_is_shown_with_its_numbers(page: PageMaker) -> None:
    text = page("spoilt").read_text(encoding="utf-8")
    assert "Not lossless" in text
    assert "Examples of what is unexplained" in text
    assert "rounding bound" in text
    assert '<tr class="unlike">' in text


def test_what_does_not_spike_is_said(page: PageMaker) -> None:
    text = page("hybrid").read_text(encoding="utf-8")
    assert "1 operator does not spike" in text
    assert "this nonlinearity between neurons is not a spiking operator" in text


def test_names_are_text_not_markup(page: PageMaker, example: Example, tmp_path: Path) -> None:
    ann = tmp_path / "<b>&.onnx"
    ann.write_bytes(example.ann.read_bytes())
    write_report(ann, example.snn, example.data, tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;&amp;.onnx" in text
    assert not Page(text).open


def test_a_page_is_written_whole_or_not_at_all(example: Example, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        write_report(example.ann, example.snn, example.data, tmp_path / "missing" / "r.html")
    write_report(example.ann, example.snn, example.data, tmp_path / "r.html")
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


def test_without_the_extra_it_says_what_to_install(
    example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(OutputError) as raised:
        write_report(example.ann, example.snn, example.data, tmp_path / "r.html")
    assert "onnx2snn[report]" in str(raised.value)


def tiny(neurons: int, *, levels: int = 1, step: float = 0.5, shift: float = 0.0) -> Network:
    b = Builder()
    z = b.add("Sub", b.dense("x", (2, neurons), 1), np.float32(shift))
    out = b.dense(b.act(z, levels=levels, step=step), (neurons, 1), 3)
    return Network(b.model({"x": ["N", 2]}, {"y": (out, ["N", 1])}), {"x": (2,)})


@pytest.mark.parametrize(
    "network",
    [tiny(1), tiny(3, levels=2), tiny(4, shift=1000.0), tiny(5, levels=65535, step=2.0**-10)],
    ids=["one neuron", "three", "silent", "sixteen steps"],
)
@pytest.mark.parametrize("samples", [1, 4])
def test_networks_with_little_to_draw(network: Network, samples: int, tmp_path: Path) -> None:
    onnx.save(network.model, tmp_path / "ann.onnx")
    onnx2snn.convert(network.model).save(tmp_path / "snn.onnx")
    write_report(tmp_path / "ann.onnx", tmp_path / "snn.onnx", network.inputs(samples), tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert not Page(text).open
    assert "1 layer of neurons" in text
    assert not re.search(
        r"\b(nan|inf)\b", re.sub(r"<style>.*?</style>|data:[^\"]*", "", text, flags=re.DOTALL)
    )


def test_a_neuron_that_never_spikes_can_be_watched(example: Example, tmp_path: Path) -> None:
    certificate = onnx2snn.verify(example.ann, example.snn, example.data)
    facts = gather(example.ann, example.snn, example.data, certificate=certificate)
    never = next(i for i in range(144) if i not in facts.sample.layers[0].neurons)
    options = {"certificate": certificate, "neurons": {facts.layers[0].name: [never]}}
    write_report(example.ann, example.snn, example.data, tmp_path / "r.html", **options)
    assert f"neuron {never}: k = " in (tmp_path / "r.html").read_text(encoding="utf-8")
