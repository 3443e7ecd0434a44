"""What an interrupted evaluation had done, kept in a small JSON file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onnx2snn.errors import InputError, OutputError
from onnx2snn.evaluation.tally import Tally

_VERSION = 1


@dataclass
class Progress:
    """The part of an evaluation that is done.

    Attributes:
        task: What identifies the evaluation: digests of model and data, batch size, execution, backend.
        batch: Samples a batch.
        total: Samples in the data set.
        done: Positions of the first sample of each finished batch.
        tally: Their result.
    """

    task: dict[str, str]
    batch: int
    total: int
    done: set[int] = field(default_factory=set)
    tally: Tally = field(default_factory=Tally)

    def add(self, start: int, tally: Tally) -> None:
        """Count a finished batch, once."""
        if start not in self.done:
            self.done.add(start)
            self.tally = self.tally + tally

    def pending(self) -> Iterator[tuple[int, int]]:
        """Ranges of samples that are still to do, adjacent batches as one range."""
        begin: int | None = None
        for start in range(0, self.total, self.batch):
            if start in self.done and begin is not None:
                yield begin, start
                begin = None
            elif start not in self.done and begin is None:
                begin = start
        if begin is not None:
            yield begin, self.total

    def save(self, path: Path) -> None:
        """Write atomically: a kill leaves the last complete state."""
        state: dict[str, Any] = {"version": _VERSION, "task": self.task, "done": sorted(self.done)}
        state["tally"] = self.tally.to_state()
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            temporary.write_text(json.dumps(state), encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            raise OutputError(
                f"cannot write {path}: {error.strerror}", remedy="choose another --resume file"
            ) from error

    def load(self, path: Path) -> None:
        """Take over what an earlier run of the same evaluation had done; a missing file is an empty one.

        Raises:
            InputError: the file is damaged, or belongs to another evaluation.
        """
        if not path.exists():
            return
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            task, done, tally = dict(state["task"]), set(state["done"]), Tally.from_state(state["tally"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path} is not a state file, or damaged", remedy="delete it to start anew"
            ) from error
        differing = [name for name, value in self.task.items() if task.get(name) != value]
        if differing or state.get("version") != _VERSION:
            raise InputError(
                f"{path} belongs to another evaluation",
                found=f"another {', '.join(differing) or 'version of onnx2snn'}",
                remedy="delete it to start anew, or name another --resume file",
            )
        self.done, self.tally = done, tally
