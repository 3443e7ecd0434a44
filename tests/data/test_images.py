"""Folders of images by class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnx2snn.data import ImageOptions, InputSpec, open_data
from onnx2snn.errors import InputError

Image = pytest.importorskip("PIL.Image", reason="needs Pillow")

FLOAT = np.dtype(np.float32)
NCHW = InputSpec("image", FLOAT, (3, 4, 6))
NHWC = InputSpec("image", FLOAT, (4, 6, 3))
GREY = InputSpec("image", FLOAT, (1, 4, 6))
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, pixels in enumerate(PIXELS):
        place = tmp_path / ("cat", "cat", "dog", "dog", "eel")[number]
        place.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(place / f"{number}.png")
    (tmp_path / "dog" / "notes.txt").write_text("not a picture")
    return tmp_path


def read(folder: Path, spec: InputSpec, **options: object) -> np.ndarray:
    data = open_data(folder, [spec], images=ImageOptions(**options))  # type: ignore[arg-type]
    return np.concatenate([batch.inputs["image"] for batch in data.batches(2)])


def test_classes_are_numbered_in_the_order_of_their_names(folder: Path) -> None:
    data = open_data(folder, [NCHW])
    assert len(data) == 5
    assert data.labels is not None
    assert data.labels.tolist() == [0, 0, 1, 1, 2]
    assert [batch.labels.tolist() for batch in data.batches(3) if batch.labels is not None] == [
        [0, 0, 1],
        [1, 2],
    ]


def test_the_layout_is_the_models(folder: Path) -> None:
    expected = (PIXELS / 255).astype(np.float32)
    np.testing.assert_array_equal(read(folder, NHWC), expected)
    np.testing.assert_array_equal(read(folder, NCHW), expected.transpose(0, 3, 1, 2))
    assert read(folder, GREY).shape == (5, 1, 4, 6)


def test_normalisation_is_per_channel(folder: Path) -> None:
    mean, std = (0.5, 0.25, 0.1), (0.5, 0.2, 1.0)
    expected = ((PIXELS / 255 - mean) / std).astype(np.float32)
    np.testing.assert_allclose(read(folder, NHWC, mean=mean, std=std), expected, rtol=1e-6)


@pytest.mark.parametrize(("dtype", "lowest"), [(np.uint8, 0), (np.int8, -128), (np.int32, 0)])
def test_integers_take_the_pixels_themselves(folder: Path, dtype: type[np.generic], lowest: int) -> None:
    codes = read(folder, InputSpec("image", np.dtype(dtype), (4, 6, 3)))
    assert codes.dtype == dtype
    np.testing.assert_array_equal(codes.astype(int), PIXELS.astype(int) + lowest)


def test_stretching_and_cropping(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    pixels = np.zeros((8, 20), np.uint8)
    pixels[:, 6:14] = 255
    Image.fromarray(pixels).save(tmp_path / "a" / "wide.png")
    square = InputSpec("image", FLOAT, (1, None, None))
    cropped = read(tmp_path, square, size=(8, 8), resize="crop")
    np.testing.assert_array_equal(cropped, np.ones((1, 1, 8, 8), np.float32))
    stretched = read(tmp_path, square, size=(8, 8))
    assert stretched[0, 0, 0, 0] == 0


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        (InputSpec("x", FLOAT, (10,)), {}, "not a picture"),
        (InputSpec("x", FLOAT, (3, None, None)), {}, "--image-size"),
        (NCHW, {"mean": (0.1, 0.2)}, "2 values of mean for 3 channels"),
        (NCHW, {"std": (0.0,)}, "cannot divide"),
        (InputSpec("image", np.dtype(np.int8), (3, 4, 6)), {"mean": (0.5,)}, "its own quantiser scales"),
    ],
)
def test_options_that_do_not_fit(
    folder: Path, spec: InputSpec, options: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read(folder, spec, **options)


def test_a_damaged_picture_is_named(folder: Path) -> None:
    (folder / "dog" / "3.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"3\.png cannot be read as a picture"):
        read(folder, NCHW)


def test_pictures_need_one_input(folder: Path) -> None:
    with pytest.raises(InputError, match="exactly one input"):
        open_data(folder, [NCHW, NHWC])
