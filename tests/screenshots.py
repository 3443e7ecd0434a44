"""Pictures of the digits' report for the documentation (make screenshots).

python tests/screenshots.py docs/images
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from helpers_browser import Browser, Page, find_chromium
from PIL import Image

import onnx2snn
from onnx2snn.data import input_specs, open_data
from onnx2snn.report import run_sweep, write_report

DIGITS = Path(__file__).parent.parent / "examples" / "digits"
#: Colours of a picture: enough for text and lines, in a third of the bytes.
COLOURS = 256


def main(folder: Path) -> None:
    program = find_chromium()
    if program is None:
        sys.exit("screenshots need chromium (Debian: apt-get install chromium)")
    with (
        tempfile.TemporaryDirectory() as scratch,
        Browser(program) as browser,
        browser.open_page(write_page(Path(scratch))) as page,
    ):
        for name, dark, width, end in (
            ("report-light", False, 1120, "#distributions"),
            ("report-dark", True, 1120, "#distributions"),
            ("report-phone", False, 400, "#sample"),
        ):
            take(page, folder / f"{name}.png", dark=dark, width=width, end=end)


def write_page(scratch: Path) -> Path:
    """The report on 1,000 digits, with a sweep over T."""
    ann, snn, html = DIGITS / "digits.onnx", scratch / "digits_snn.onnx", scratch / "report.html"
    onnx2snn.convert(ann).save(snn)
    data = open_data(DIGITS / "digits.npz", input_specs(ann))
    with np.load(DIGITS / "calibration.npz") as calibration:
        points = run_sweep(DIGITS / "digits_relu.onnx", dict(calibration), data)
    write_report(ann, snn, data, html, sweep=points)
    return html


def take(page: Page, path: Path, *, dark: bool, width: int, end: str) -> None:
    """The page down to the section ``end``, with few colours."""
    page.prefer(dark=dark)
    page.resize(width, 900)
    height = int(page.evaluate(f"document.querySelector('{end}').getBoundingClientRect().top")) - 16
    page.resize(width, height, scale=2 if width < 600 else 1)
    page.screenshot(path, whole=False)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
