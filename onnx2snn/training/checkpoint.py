"""What an interrupted training goes on from."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from onnx2snn.atomic_files import whole_file
from onnx2snn.errors import InputError


@dataclass(frozen=True)
class Checkpoint:
    """A file that always holds one whole state, or does not exist.

    Attributes:
        path: Where it lies; None keeps nothing.
        run: Identifies the run (network, data, options): another run's state is refused.
    """

    path: Path | None
    run: str

    def load(self) -> dict[str, Any] | None:
        """The state last saved; None where there is none.

        Raises:
            InputError: the file is damaged, or was written by a run with other options.
        """
        if self.path is None or not self.path.exists():
            return None
        remedy = f"delete {self.path} to start anew"
        try:
            state: dict[str, Any] = torch.load(self.path, weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            raise InputError(f"the checkpoint {self.path} is damaged", remedy=remedy) from error
        if state.get("run") != self.run:
            raise InputError(
                f"the checkpoint {self.path} belongs to a run with another network, data or options",
                remedy=remedy,
            )
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Replace the state.

        Raises:
            OutputError: the file cannot be written.
        """
        if self.path is None:
            return
        with whole_file(self.path) as stream:
            torch.save({**state, "run": self.run}, stream)

    def remove(self) -> None:
        """The run is done."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def run_identity(*parts: object) -> str:
    """A digest of everything that decides how a run goes."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else repr(part).encode())
    return digest.hexdigest()
