"""What can go wrong, and what the caller is told.

    Onnx2SnnError            carries node, operator, value found and remedy; owns its exit code
    ├── ConversionError      exit 3: this network cannot be converted
    │   └── SelfCheckError   what was made of it does not load, or does not answer as its source: our defect
    ├── InvalidModelError    exit 4: a model file is missing, damaged or not what it should be
    ├── InputError           exit 4: data does not fit the model (name, shape, dtype, NaN), or cannot be read
    └── OutputError          exit 4: a result cannot be written

Nothing here imports anything: the runtime on an edge device raises the same errors.
"""

from __future__ import annotations


class Onnx2SnnError(Exception):
    """Base of all errors that are the user's to mend.

    Args:
        message: What is wrong, in one sentence, without a full stop.
        node: Name of the node at fault, as the user's own file names it.
        operator: Its operator, for example ``Sigmoid``.
        found: The value found, where one explains the fault.
        remedy: What the user can do about it.
    """

    exit_code = 4

    def __init__(
        self,
        message: str,
        *,
        node: str | None = None,
        operator: str | None = None,
        found: object = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.node = node
        self.operator = operator
        self.found = found
        self.remedy = remedy

    def __str__(self) -> str:
        where = f"node '{self.node}'" if self.node is not None else ""
        if self.operator:
            where = f"{where} ({self.operator})" if where else self.operator
        lines = [f"{where}: {self.message}" if where else self.message]
        if self.found is not None:
            lines.append(f"found: {self.found}")
        if self.remedy:
            lines.append(f"remedy: {self.remedy}")
        return "\n".join(lines)


class ConversionError(Onnx2SnnError):
    """This network cannot be converted; the message names node, cause and remedy."""

    exit_code = 3


class SelfCheckError(ConversionError):
    """The finished spiking network does not load, or does not answer as its source does: nothing is written."""


class InvalidModelError(Onnx2SnnError):
    """A model file is missing, damaged, or not what it should be."""


class InputError(Onnx2SnnError):
    """Data does not fit the model, or cannot be read."""


class OutputError(Onnx2SnnError):
    """A result cannot be written where it was asked for."""


def raise_for_memory(error: Exception) -> None:
    """Raise a MemoryError where ``error`` is one, or onnxruntime, which has no kind of error for it, says so in words."""
    said = str(error)
    if isinstance(error, MemoryError) or any(words in said for words in _NO_MEMORY):
        raise MemoryError(said) from error


_NO_MEMORY = ("bad_alloc", "Failed to allocate memory")
