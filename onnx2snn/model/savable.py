"""What a function made: a network that is asked for, and saved."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import onnx

from onnx2snn.model.files import save_model
from onnx2snn.model.weights import SplitModel


class Savable:
    """Something that was made, and whose attribute ``model`` is a network."""

    def save(self, path: str | Path) -> None:
        """Write the model to ``path``, whole or not at all.

        Raises:
            OutputError: it cannot be written there.
        """
        held = vars(self)
        save_model(held["model"] if "model" in held else held["network"], path)


class SavableInParts(Savable):
    """The same, its large weights in arrays apart: in the attribute ``network``."""

    network: SplitModel

    @cached_property
    def model(self) -> onnx.ModelProto:
        """The network as a runtime loads it; made when first asked for, as it copies the weights, and saved with changes."""
        return self.network.whole()
