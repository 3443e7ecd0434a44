"""What interrupted work had done, kept in a small JSON file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from onnx2snn.atomic_files import whole_file
from onnx2snn.errors import InputError

_VERSION = 3

Self_ = TypeVar("Self_", bound="Partial")


class Partial(Protocol):
    """The result on some samples; results on disjoint samples add up, in any order, to the same bits."""

    @property
    def samples(self) -> int:
        """Number of samples."""

    def __add__(self: Self_, other: Self_) -> Self_: ...

    def to_state(self) -> dict[str, Any]:
        """Everything, exactly, as JSON can hold it."""

    @classmethod
    def from_state(cls: type[Self_], state: Mapping[str, Any]) -> Self_:
        """The inverse of :meth:`to_state`."""


Part = TypeVar("Part", bound=Partial)


@dataclass
class Progress(Generic[Part]):
    """The part of some work that is done.

    Attributes:
        task: What identifies the work: digests of models and data, batch size, options.
        batch: Samples a batch.
        total: Samples in the data set.
        tally: The result of what is done.
        done: Positions of the first sample of each finished batch.
    """

    task: dict[str, str]
    batch: int
    total: int
    tally: Part
    done: set[int] = field(default_factory=set)

    def add(self, start: int, tally: Part) -> None:
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
        with whole_file(path) as stream:
            stream.write(json.dumps(state).encode())

    def load(self, path: Path) -> None:
        """Take over what an earlier run of the same work had done; a missing file is an empty one.

        Raises:
            InputError: the file is damaged, or belongs to other work.
        """
        if not path.exists():
            return
        state = self._read(path)
        differing = [name for name, value in self.task.items() if state["task"].get(name) != value]
        if differing or state.get("version") != _VERSION:
            raise InputError(
                f"{path} belongs to other work",
                found=f"another {', '.join(differing) or 'version of onnx2snn'}",
                remedy="delete it to start anew, or name another --resume file",
            )
        try:
            self.done = {int(start) for start in state["done"]}
            self.tally = type(self.tally).from_state(state["tally"])
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
            raise _damaged(path) from error

    @staticmethod
    def _read(path: Path) -> dict[str, Any]:
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise _damaged(path) from error
        if not isinstance(state, dict) or not isinstance(state.get("task"), dict):
            raise _damaged(path)
        return state


def _damaged(path: Path) -> InputError:
    return InputError(f"{path} is not a state file, or damaged", remedy="delete it to start anew")
