"""The models that the tests own: small networks as real exporters wrote them, with what ONNX says they answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "corpus"
#: Not quantised, or with an activation that no neuron can be.
REFUSED = ("torchts17__mlp-relu-dyn", "torchts13__plain-silu-b1")
#: Average pooling of levels gives exact halves, and the next quantiser rounds them to even; in float32 the source decides
#: them by its own rounding errors. Its certificate shows them; the outputs move by single levels.
TIES = ("ortquant__plain-relu-qdq_u4",)


@dataclass(frozen=True)
class Example:
    name: str

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.onnx"

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        return {k: v for k, v in self._arrays().items() if not k.startswith("expected_")}

    @property
    def expected(self) -> dict[str, np.ndarray]:
        return {
            k.removeprefix("expected_"): v for k, v in self._arrays().items() if k.startswith("expected_")
        }

    def _arrays(self) -> dict[str, np.ndarray]:
        with np.load(self.path.with_suffix(".npz")) as data:
            return dict(data)


ALL = [path.stem for path in sorted(FOLDER.glob("*.onnx"))]
QUANTISED = [name for name in ALL if name not in REFUSED]
EXACT = [name for name in QUANTISED if name not in TIES]
