"""examples/browser: the converted digits network in a browser answers what it answers in Python."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from helpers_browser import Browser, Page
from helpers_graphs import node

import onnx2snn
from onnx2snn.runtime import SpikingSession

EXAMPLES = Path(__file__).parents[2] / "examples"
READY = "document.documentElement.dataset.ready"
#: Presents all samples to the page's own network: [[potentials, those of the last time step, [spikes of each layer]], ...].
ANSWERS = """(async () => {
    const { SpikingNetwork } = await import("/network.js");
    const network = await SpikingNetwork.load("/digits");
    const samples = new Float32Array(await (await fetch("/samples.bin")).arrayBuffer());
    const answers = [];
    for (let at = 0; at < samples.length; at += 784) {
        const pixels = samples.slice(at, at + 784);
        const { potentials } = await network.answer(pixels), shown = await network.spikes(pixels);
        const counts = shown.trains.map((train) => train.reduce((sum, spike) => sum + spike, 0));
        answers.push([[...potentials], [...shown.potentials], counts]);
    }
    return answers;
})()"""

#: The shades of grey of every picture that is offered.
INK = """[...document.querySelectorAll("#samples canvas")].map((canvas) =>
    [...canvas.getContext("2d").getImageData(0, 0, 28, 28).data].filter((_, i) => i % 4 === 0))"""


def load_server() -> ModuleType:
    spec = importlib.util.spec_from_file_location("serve", EXAMPLES / "browser" / "serve.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    serve = load_server()
    if not serve.RUNTIME.is_dir():
        pytest.skip("no onnxruntime-web (npm install --prefix examples/browser)")
    found: dict[str, bytes] = serve.contents()
    return found


@pytest.fixture(scope="module")
def of_integers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The digits network behind a quantiser, so that it reads pixels of int8; and two samples of these."""
    model = onnx.load(EXAMPLES / "digits" / "digits.onnx")
    held = [("pixel", np.float32(1 / 255)), ("black", np.int8(-128))]
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in held)
    model.graph.node.insert(0, node("DequantizeLinear", ["codes", "pixel", "black"], ["image"]))
    model.graph.input[0].name = "codes"
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT8
    folder = tmp_path_factory.mktemp("integers")
    onnx.save(model, folder / "digits.onnx")
    with np.load(EXAMPLES / "digits" / "digits.npz") as data:
        codes = (np.rint(255 * data["image"][:2]) - 128).astype(np.int8)
    np.savez(folder / "digits.npz", codes=codes)
    return folder / "digits.onnx", folder / "digits.npz"


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[str]:
    with load_server().make_server(files) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def address(files: dict[str, bytes]) -> Iterator[str]:
    with serving(files) as found:
        yield found


@pytest.fixture(scope="module")
def digits() -> np.ndarray[Any, Any]:
    with np.load(EXAMPLES / "digits" / "digits.npz") as data:
        return np.asarray(data["image"][:20])


@pytest.fixture(scope="module")
def page(browser: Browser, address: str) -> Iterator[Page]:
    with browser.open_page(address) as opened:
        opened.wait_for(READY)
        yield opened
        assert opened.console_errors == []
        assert all(request.startswith((address, "data:", "blob:")) for request in opened.requests)


def test_the_browser_answers_as_python_does(
    page: Page, files: dict[str, bytes], digits: np.ndarray[Any, Any]
) -> None:
    conversion = onnx2snn.convert(EXAMPLES / "digits" / "digits.onnx")
    result = SpikingSession(conversion.model.SerializeToString()).run({"image": digits})
    answers = page.evaluate(ANSWERS)
    assert len(answers) == len(digits) == 20
    spikes = np.array([counts for *_, counts in answers])
    # Two builds of onnxruntime may add in another order, which moves a neuron within rounding of its threshold one level.
    assert np.abs(spikes - np.stack(list(result.spikes.values()), axis=1)).max() <= 4
    for form in (0, 1):  # in one pass, and step by step
        potentials = np.array([answer[form] for answer in answers])
        assert np.array_equal(potentials.argmax(1), result.outputs["logits"].argmax(1))
        assert np.abs(potentials - result.outputs["logits"]).max() <= 0.1
    assert files.keys() >= {"/digits_fused.onnx", "/digits_step.onnx"}


@pytest.mark.usefixtures("files")
def test_pictures_of_integers_are_shown_and_read(browser: Browser, of_integers: tuple[Path, Path]) -> None:
    network, samples = of_integers
    codes = np.load(samples)["codes"]
    result = SpikingSession(onnx2snn.convert(network)).run({"codes": codes})
    with serving(load_server().contents(network, samples)) as address, browser.open_page(address) as page:
        page.wait_for(READY)
        answers = page.evaluate(ANSWERS)
        shown = page.evaluate(INK)
    spikes = np.array([counts for *_, counts in answers])
    assert np.abs(spikes - np.stack(list(result.spikes.values()), axis=1)).max() <= 4
    assert np.array_equal(
        np.array([first for first, *_ in answers]).argmax(1), result.outputs["logits"].argmax(1)
    )
    np.testing.assert_array_equal(shown, codes.reshape(2, 784).astype(int) + 128)


def test_a_digit_is_shown_spike_by_spike(page: Page) -> None:
    page.evaluate("document.querySelectorAll('#samples button')[3].click()")
    page.wait_for("document.getElementById('answer').textContent === '0'")
    page.wait_for("!document.getElementById('play').disabled")
    assert "a time step takes" in page.evaluate("document.getElementById('cost').textContent")
    for step in (1, 7, 16):
        page.evaluate(f"document.querySelectorAll('.timeline button')[{step - 1}].click()")
        layer, weight = (step - 1) // 4 + 1, 2 ** (3 - (step - 1) % 4)
        words = page.evaluate("document.getElementById('moment').textContent")
        assert words.startswith(f"Step {step} of 16: layer {layer}, spikes worth {weight}: ")
        assert page.evaluate("document.querySelectorAll('.layer.now').length") == 1
    page.evaluate("document.getElementById('clear').click()")
    assert page.evaluate("document.getElementById('answer').textContent") == "–"


def test_a_drawing_is_read(page: Page) -> None:
    """A straight stroke from top to bottom, by mouse: a one."""
    box = page.evaluate(
        "(({x, y, width}) => [x, y, width])(document.getElementById('pad').getBoundingClientRect())"
    )
    left, top, side = box
    page.evaluate("document.getElementById('clear').click()")
    for event, height in [
        ("mousePressed", 0.2),
        *(("mouseMoved", h / 10) for h in range(3, 8)),
        ("mouseReleased", 0.8),
    ]:
        place = {"x": left + side * 0.4, "y": top + side * height}
        page.call("Input.dispatchMouseEvent", type=event, button="left", buttons=1, clickCount=1, **place)
    page.wait_for("document.getElementById('answer').textContent === '1'")


@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_a_phone(browser: Browser, address: str, dark: bool) -> None:
    with browser.open_page(address, width=400, height=800, dark=dark) as page:
        page.wait_for(READY)
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        assert page.console_errors == []


def test_the_server_hands_out_nothing_else(address: str) -> None:
    host = address.removeprefix("http://").rstrip("/")
    for path in ("/serve.py", "/../digits/digits.onnx", "/ort/../package.json", "/node_modules/"):
        connection = HTTPConnection(host, timeout=10)
        with closing(connection):
            connection.request("GET", path)
            assert connection.getresponse().status == 404
