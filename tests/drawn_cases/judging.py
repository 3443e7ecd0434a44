"""What becomes of a network: converted, loaded, compared with the source as it is, verified."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

import onnx2snn
from drawn_cases.building import run
from onnx2snn.errors import Onnx2SnnError, SelfCheckError
from onnx2snn.model.reference import run_reference

#: What is right: the same answers and a certificate, answers that differ where a neuron is at its threshold, or a reason why not.
RIGHT = ("ok", "tie", "hybrid ok", "hybrid tie", "refused")
#: Of the largest answer; floats of a readout are summed in another order.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Verdict:
    """How it ended.

    Attributes:
        kind: ``ok``; ``tie``: a neuron at its threshold; ``refused``; ``defect``, found by convert itself, and
            its ``crash``; ``unloadable`` by stock onnxruntime;
            ``shape``: another shape or type; ``wrong`` answers; ``blind``: wrong and certified; ``denied``: right, and not
            certified; ``verify refuses``, ``verify crash``. Behind ``hybrid`` where conversion is refused without it.
        why: The message, or the difference.
    """

    kind: str
    why: str = ""

    @property
    def right(self) -> bool:
        """Whether the user was told nothing but the truth."""
        return self.kind in RIGHT


def judge(model: onnx.ModelProto, data: Mapping[str, np.ndarray]) -> Verdict:
    """Convert as the command does; with ``hybrid`` where that is refused."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.onnx"
        onnx.save(model, source)
        first = _judge(source, data, hybrid=False)
        if first.kind != "refused":
            return first
        second = _judge(source, data, hybrid=True)
        if second.kind == "refused":
            return first
        return Verdict(f"hybrid {second.kind}", first.why if second.right else second.why)


def _judge(source: Path, data: Mapping[str, np.ndarray], *, hybrid: bool) -> Verdict:
    target = source.with_name("snn.onnx")
    try:
        onnx2snn.convert(source, hybrid=hybrid).save(target)
    except SelfCheckError as error:
        return Verdict("defect", _line(error))
    except Onnx2SnnError as error:
        return Verdict("refused", _line(error))
    except Exception as error:  # noqa: BLE001 - a crash is a result here
        return Verdict("crash", _trace(error))
    expected = list(run_reference(onnx.load(source), dict(data)).values())
    try:
        found = run(str(target), dict(data))
    except Exception as error:  # noqa: BLE001 - onnxruntime's errors share no base class
        return Verdict("unloadable", str(error)[-200:].replace("\n", " "))
    return _compared(source, data, expected, found)


def _compared(
    source: Path, data: Mapping[str, np.ndarray], expected: list[np.ndarray], found: list[np.ndarray]
) -> Verdict:
    for a, b in zip(expected, found, strict=True):
        if a.shape != b.shape or a.dtype != b.dtype:
            return Verdict("shape", f"{a.dtype}{a.shape} became {b.dtype}{b.shape}")
    worst = max(_difference(a, b) for a, b in zip(expected, found, strict=True))
    try:
        certificate = onnx2snn.verify(source, source.with_name("snn.onnx"), dict(data))
    except Onnx2SnnError as error:
        return Verdict("verify refuses" if worst < TOLERANCE else "wrong", _line(error))
    except Exception as error:  # noqa: BLE001 - a crash is a result here
        return Verdict("verify crash", _trace(error))
    if worst < TOLERANCE:
        return Verdict("ok") if certificate.lossless else Verdict("denied", _unexplained(certificate))
    if not certificate.lossless:
        return Verdict("wrong", f"differs by {worst:.2g}")
    explained = sum(layer.ambiguous + layer.propagated for layer in certificate.layers)
    return Verdict("tie" if explained else "blind", f"differs by {worst:.2g}")


def _unexplained(certificate: onnx2snn.Certificate) -> str:
    """The layers that it does not explain, and its first defect."""
    layers = [
        f"{layer.name}: {layer.unexplained} levels" for layer in certificate.layers if layer.unexplained
    ]
    maps = [f"{m.name}: {m.differing} maps" for m in certificate.maps if m.differing]
    defects = [str(d) for d in certificate.defects[:1]]
    return "; ".join([*layers, *maps, *defects])[:300]


def _difference(expected: np.ndarray, found: np.ndarray) -> float:
    """The largest, as a share of the largest answer; none where it is one place of a type that has no finer numbers."""
    if not expected.size:
        return 0.0
    a, b = expected.astype(np.float64), found.astype(np.float64)
    apart = float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-12))
    narrow = expected.dtype.kind == "f" and apart <= np.finfo(expected.dtype).eps
    return 0.0 if narrow else apart


def _line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _trace(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})"[:240]
