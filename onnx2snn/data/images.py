"""A folder of images by class as columns: ``root/<class>/<picture>``; needs Pillow (extra ``images``)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from onnx2snn.data.columns import ArrayColumn, Column, Reader
from onnx2snn.data.fitting import is_whole
from onnx2snn.data.specs import Array, InputSpec
from onnx2snn.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_CHANNELS = {3: "RGB", 1: "L", 4: "RGBA"}

Resize = Literal["stretch", "crop"]


@dataclass(frozen=True)
class ImageOptions:
    """How a picture becomes an array: value = (pixel · scale − mean) / std, per channel.

    An input of integers takes the 8-bit pixels themselves, int8 takes pixel − 128: its own quantiser holds mean and std.

    Attributes:
        size: Height and width in pixels; None takes them from the model.
        resize: ``stretch`` to the size, or scale the shorter side to it and ``crop`` the middle.
        scale: Factor on the 8-bit pixel.
        mean: Subtracted from the scaled pixel; one value, or one a channel.
        std: Divides what is left; one value, or one a channel.
    """

    size: tuple[int, int] | None = None
    resize: Resize = "stretch"
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


def _pillow() -> Any:
    try:
        from PIL import Image  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise InputError("pictures need Pillow", remedy="pip install 'onnx2snn[images]'") from error
    return Image


def is_image(path: Path) -> bool:
    """Whether the file's name says that it is a picture."""
    return path.suffix.lower() in _SUFFIXES


def image_columns(
    classes: Sequence[Path], specs: Sequence[InputSpec] | None, options: ImageOptions
) -> dict[str, Column]:
    """The pictures of each class folder in order, and their labels."""
    if specs is None or len(specs) != 1:
        raise InputError(
            "pictures need a model with exactly one input",
            found=f"{len(specs or ())} inputs",
            remedy="give the inputs as arrays in one .npz, by their names",
        )
    found = [
        (file, label)
        for label, folder in enumerate(classes)
        for file in sorted(folder.iterdir())
        if is_image(file)
    ]
    labels = np.array([label for _, label in found], np.int64)
    return {
        specs[0].name: ImageColumn([file for file, _ in found], specs[0], options),
        "labels": ArrayColumn(labels),
    }


class ImageColumn(Column):
    """Pictures, decoded as they are read, in the layout that the model's input asks for."""

    def __init__(self, files: Sequence[Path], spec: InputSpec, options: ImageOptions) -> None:
        self._files = tuple(files)
        self._options = options
        self._channels_first, channels, sizes = _layout(spec)
        self._height, self._width = options.size or _fixed(sizes, spec)
        self._mode = _CHANNELS[channels]
        self._mean = _per_channel(options.mean, channels, "mean")
        self._std = _per_channel(options.std, channels, "std")
        if not np.all(self._std):
            raise InputError(
                "a standard deviation of 0 cannot divide", remedy="give the data set's own --std"
            )
        whole = is_whole(spec.dtype)
        if whole and options != ImageOptions(options.size, options.resize):
            raise InputError(
                f"'{spec.name}' takes pixels as integers, which its own quantiser scales",
                found=str(spec),
                remedy="leave out --image-mean and --image-std",
            )
        plane = (self._height, self._width)
        self.shape = (
            (len(files), channels, *plane) if self._channels_first else (len(files), *plane, channels)
        )
        self.dtype = spec.dtype if whole else np.dtype(np.float32)

    def reader(self, start: int, stack: ExitStack) -> Reader:  # noqa: ARG002 - pictures are opened one by one
        """See :meth:`Column.reader`."""
        position = start

        def read(count: int) -> Array:
            nonlocal position
            files = self._files[position : position + count]
            position += count
            return np.stack([self._decode(file) for file in files])

        return read

    def _decode(self, path: Path) -> Array:
        image = _pillow()
        bombs = (image.DecompressionBombError, image.DecompressionBombWarning)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", image.DecompressionBombWarning)
                with image.open(path) as picture:
                    pixels = np.asarray(self._resized(picture.convert(self._mode)), np.float64)
        except (OSError, SyntaxError, ValueError, *bombs) as error:
            raise InputError(
                f"{path} cannot be read as a picture: {error}", remedy="remove or replace it"
            ) from error
        pixels = pixels.reshape(self._height, self._width, -1)
        if is_whole(self.dtype):
            values = (pixels - 128 * (self.dtype == np.int8)).astype(self.dtype)
        else:
            values = ((pixels * self._options.scale - self._mean) / self._std).astype(np.float32)
        return values.transpose(2, 0, 1) if self._channels_first else values

    def _resized(self, picture: Image) -> Image:
        image = _pillow()
        size = (self._width, self._height)
        if picture.size == size:
            return picture
        if self._options.resize == "stretch":
            return picture.resize(size, image.Resampling.BILINEAR)
        ratio = max(want / have for want, have in zip(size, picture.size, strict=True))
        width, height = (
            max(round(side * ratio), want) for side, want in zip(picture.size, size, strict=True)
        )
        left, top = (width - self._width) // 2, (height - self._height) // 2
        scaled = picture.resize((width, height), image.Resampling.BILINEAR)
        return scaled.crop((left, top, left + self._width, top + self._height))

    @property
    def identity(self) -> str:
        """See :attr:`Column.identity`."""
        files = "\n".join(f"{file.parent.name}/{file.name} {file.stat().st_size}" for file in self._files)
        return f"{super().identity} {self._options}\n{files}"


def _layout(spec: InputSpec) -> tuple[bool, int, tuple[int | None, int | None]]:
    """Whether channels come first, how many there are, and the plane's height and width."""
    shape = spec.shape
    if shape is not None and len(shape) == 3:
        for channels in _CHANNELS:  # the likely numbers first: (4, 6, 3) is a plane of 4 x 6
            if shape[0] == channels:
                return True, channels, (shape[1], shape[2])
            if shape[2] == channels:
                return False, channels, (shape[0], shape[1])
    raise InputError(
        "the model's input is not a picture", found=str(spec), remedy="save the data as .npz instead"
    )


def _fixed(sizes: tuple[int | None, int | None], spec: InputSpec) -> tuple[int, int]:
    height, width = sizes
    if height is None or width is None:
        raise InputError(
            "the model takes pictures of any size", found=str(spec), remedy="choose one: --image-size 224x224"
        )
    return height, width


def _per_channel(values: Sequence[float], channels: int, what: str) -> NDArray[np.float64]:
    if len(values) not in (1, channels):
        raise InputError(
            f"{len(values)} values of {what} for {channels} channels", remedy="give one, or one a channel"
        )
    return np.broadcast_to(np.array(values, np.float64), (channels,))
