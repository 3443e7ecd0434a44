"""The models that the tests own: small networks as real exporters wrote them, with what ONNX says they answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

import onnx2snn

FOLDER = Path(__file__).parent / "corpus"
#: Not quantised, or with an activation that no neuron can be.
REFUSED = ("torchts17__mlp-relu-dyn", "torchts13__plain-silu-b1")
#: Average pooling of levels gives exact halves, and the next quantiser rounds them to even; in float32 the source decides
#: them by its own rounding errors. Its certificate shows them; the outputs move by single levels.
TIES = ("ortquant__plain-relu-qdq_u4",)


@cache
def _converted(path: Path) -> onnx2snn.Conversion:
    return onnx2snn.convert(path)


@dataclass(frozen=True)
class Example:
    name: str

    @property
    def path(self) -> Path:
        file = f"{self.name}.onnx"
        return FOLDER / file if (FOLDER / file).exists() else FOLDER / "more" / file

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        return {k: v for k, v in self._arrays().items() if not k.startswith("expected_")}

    @property
    def expected(self) -> dict[str, np.ndarray]:
        return {
            k.removeprefix("expected_"): v for k, v in self._arrays().items() if k.startswith("expected_")
        }

    @property
    def conversion(self) -> onnx2snn.Conversion:
        """It, converted; once in a process."""
        return replace(_converted(self.path))

    def _arrays(self) -> dict[str, np.ndarray]:
        with np.load(self.path.with_suffix(".npz")) as data:
            return dict(data)


ALL = [path.stem for path in sorted(FOLDER.glob("*.onnx"))]
QUANTISED = [name for name in ALL if name not in REFUSED]
EXACT = [name for name in QUANTISED if name not in TIES]

#: Further networks, of the same exporters, which only the conversion is tested on.
MORE = [path.stem for path in sorted((FOLDER / "more").glob("*.onnx"))]
MORE_REFUSED = (
    "keras13__plain-relu6",
    "torchdy18__mobile-relu6-dyn",
    "torchdy18__plain-relu-dyn",
    "torchdy18__plain-silu-b1",
    "torchdy20__mlp-relu-noopt-dyn",
    "torchdy21__res-relu6-dyn",
    "torchts11__plain-relu-dyn",
    "torchts16__res-relu6-nofold-dyn",
)
MORE_TIES = (
    "ortquant__plain-relu-qdq_s8",
    "ortquant__plain-relu-qdq_u8",
    "ortquant__plain-relu-qdq_u8pc",
    "ortquant__res-relu6-qop_u8",
)
MORE_QUANTISED = [name for name in MORE if name not in MORE_REFUSED]
MORE_EXACT = [name for name in MORE_QUANTISED if name not in MORE_TIES]
