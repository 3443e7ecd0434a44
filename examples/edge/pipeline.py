"""A stream of frames through a spiking network: answer, spikes, energy and latency of every frame.

    onnx2snn compile snn.onnx fast.onnx --execution fused --count synops
    python examples/edge/pipeline.py fast.onnx examples/digits/digits.npz --frames 20
    python examples/edge/pipeline.py fast.onnx examples/digits/digits.npz --camera --rate 30

Needs NumPy, onnxruntime and onnx2snn.runtime, and nothing else.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from frames import Frame, camera, from_path, paced

from onnx2snn.errors import Onnx2SnnError
from onnx2snn.runtime import INT8, Result, SpikingSession


@dataclass(frozen=True)
class Answer:
    """What one frame brought.

    Attributes:
        name: Of the frame.
        result: Of the network.
        seconds: From the frame to its answer.
    """

    name: str
    result: Result
    seconds: float

    @property
    def line(self) -> str:
        """A row of the table."""
        energy = self.result.energy
        spikes = sum(int(s[0]) for s in self.result.spikes.values())
        return (
            f"{self.name:24} {self.label:>6} {spikes:>9,} {energy.snn[0] * 1e6:>9.3f} µJ "
            f"{energy.ann[0] / max(energy.snn[0], 1e-30):>6.1f}× {self.seconds * 1e3:>8.2f} ms"
        )

    @property
    def label(self) -> int:
        """The class of the highest score."""
        return int(np.argmax(next(iter(self.result.outputs.values()))[0]))


HEADER = f"{'frame':24} {'answer':>6} {'spikes':>9} {'energy':>12} {'less':>7} {'latency':>11}"


def answers(session: SpikingSession, source: Iterator[tuple[str, Frame]]) -> Iterator[Answer]:
    """Frame by frame: the next is taken when the last is answered."""
    [name] = session.inputs
    for title, frame in source:
        began = time.perf_counter()
        result = session.run({name: frame})
        yield Answer(title, result, time.perf_counter() - began)


def streamed(session: SpikingSession, source: Iterator[tuple[str, Frame]]) -> Iterator[Answer]:
    """One time step a call: a frame enters every T steps, while the layers work on those before it."""
    [name] = session.inputs
    stream = session.stream()
    waiting: list[tuple[str, float]] = []
    frames = iter(source)
    more = True
    while more or stream.pending:
        entering = None
        if stream.ready and more:
            title, frame = next(frames, (None, None))
            more = frame is not None
            if title is not None and frame is not None:
                entering = {name: frame}
                waiting.append((title, time.perf_counter()))
        if stream.step(entering) is not None and stream.result is not None:
            title, began = waiting.pop(0)
            yield Answer(title, stream.result, time.perf_counter() - began)


def run(given: argparse.Namespace) -> None:
    """Print a row for every frame, and what all of them took."""
    session = SpikingSession(
        given.model,
        threads=given.threads,
        chunk=1,
        **({"table": INT8} if given.int8_energy else {}),
    )
    source: Iterator[tuple[str, Frame]] = from_path(given.frames_from)
    if given.camera:
        source = camera(itertools.islice(source, 100), frames=given.frames or 100)
    elif given.frames:
        source = itertools.islice(source, given.frames)
    lost = 0

    def arriving() -> Iterator[tuple[str, Frame]]:
        nonlocal lost
        for frame in paced(source, given.rate) if given.rate else source:
            if frame is None:
                lost += 1
            else:
                yield frame

    print(HEADER)
    found = []
    for answer in (streamed if session.execution == "streaming" else answers)(session, arriving()):
        print(answer.line, flush=True)
        found.append(answer)
    if not found:
        print(f"0 frames, {lost} lost")
        return
    times = np.array([a.seconds for a in found]) * 1e3
    joules = np.mean([a.result.energy.snn[0] for a in found])
    print(
        f"{len(found)} frames, {lost} lost; latency {np.median(times):.2f} ms (median), "
        f"{np.percentile(times, 95):.2f} ms (95 %); {joules * 1e6:.3f} µJ a frame"
    )


def main(arguments: list[str] | None = None) -> int:
    """The command; 0, or 4 for what the user has to mend."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, help="a network that onnx2snn compiled")
    parser.add_argument(
        "frames_from", metavar="frames", type=Path, help=".npy, .npz, .pgm, .ppm, or a folder of them"
    )
    parser.add_argument(
        "--camera", action="store_true", help="shake the frames, and add noise, as a camera in the hand"
    )
    parser.add_argument("--frames", type=int, help="stop after this many")
    parser.add_argument("--rate", type=float, help="frames a second; those that come too early are lost")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--int8-energy", action="store_true", help="energy of 8-bit integers, not of 32-bit floats"
    )
    given = parser.parse_args(arguments)
    try:
        run(given)
    except (Onnx2SnnError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
