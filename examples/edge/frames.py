"""Where frames come from: files as they are written, or something that behaves like a camera. Needs NumPy alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Frame: TypeAlias = NDArray[np.float32]


def from_path(path: Path) -> Iterator[tuple[str, Frame]]:
    """Frames (1, C, H, W) in 0..1 with their names.

    Args:
        path: A folder of frames in the order of their names, or one file: ``.npy`` or ``.npz`` (its first array) of one
            frame or of many, or a binary ``.pgm`` / ``.ppm`` picture.

    Raises:
        ValueError: there is nothing to read, or it is none of these.
    """
    files = sorted(p for p in path.iterdir() if p.suffix in _READERS) if path.is_dir() else [path]
    if not files:
        raise ValueError(f"{path} holds no frames: {', '.join(_READERS)}")
    for file in files:
        if file.suffix not in _READERS:
            raise ValueError(f"{file} is no frame: {', '.join(_READERS)}")
        frames = _READERS[file.suffix](file)
        for number, frame in enumerate(frames):
            yield (file.name if len(frames) == 1 else f"{file.name}[{number}]"), _scaled(frame)[None]


def camera(scenes: Iterable[tuple[str, Frame]], *, frames: int, seed: int = 0) -> Iterator[tuple[str, Frame]]:
    """A hand-held camera in front of ``scenes``: each stands for a moment, shakes, and is noisy."""
    random = np.random.default_rng(seed)
    held = list(scenes)
    for number in range(frames):
        _, scene = held[number // 5 % len(held)]
        shaken = np.roll(scene, tuple(random.integers(-2, 3, 2)), axis=(2, 3))
        noise = random.normal(0, 0.05, scene.shape)
        yield f"camera[{number}]", np.clip(shaken + noise, 0, 1).astype(np.float32)


def paced(
    source: Iterable[tuple[str, Frame]],
    rate: float,
    *,
    now: Callable[[], float] = time.perf_counter,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[str, Frame] | None]:
    """``source`` at ``rate`` frames a second; None for each frame that came while the network was busy, and is lost."""
    began: float | None = None
    for number, frame in enumerate(source):
        began = now() if began is None else began  # with the first frame
        due = began + number / rate
        late = now() - due
        if late < 0:
            wait(-late)
        yield None if late > 1 / rate else frame


def _scaled(frame: NDArray[np.generic]) -> Frame:
    if frame.dtype == np.uint8:
        return (frame / np.float32(255)).astype(np.float32)
    return frame.astype(np.float32)


def _array(file: Path) -> NDArray[np.generic]:
    loaded = np.load(file, allow_pickle=False)
    array = loaded if isinstance(loaded, np.ndarray) else loaded[loaded.files[0]]
    if array.ndim == 2:
        array = array[None]
    return array if array.ndim == 4 else array[None]


def _netpbm(file: Path) -> NDArray[np.generic]:
    """A binary PGM (grey) or PPM (colour) picture of 8 bits a channel."""
    content = file.read_bytes()
    fields: list[bytes] = []
    position = 0
    while len(fields) < 4:
        line_end = content.index(b"\n", position)
        fields += content[position:line_end].split(b"#")[0].split()
        position = line_end + 1
    kind, width, height, highest = fields[0], *map(int, fields[1:4])
    if kind not in (b"P5", b"P6") or highest > 255:
        raise ValueError(f"{file} is no binary PGM or PPM of 8 bits")
    channels = 1 if kind == b"P5" else 3
    pixels = np.frombuffer(content, np.uint8, width * height * channels, position)
    return pixels.reshape(height, width, channels).transpose(2, 0, 1)[None]


_READERS: dict[str, Callable[[Path], NDArray[np.generic]]] = {
    ".npy": _array,
    ".npz": _array,
    ".pgm": _netpbm,
    ".ppm": _netpbm,
}
