"""Which file a session was given, and what can be made of it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from onnx2snn.errors import InputError, InvalidModelError
from onnx2snn.runtime.backends import Loadable, OnnxruntimeEngine
from onnx2snn.runtime.layer_records import NEWEST, TABLE_KEY, compiled_facts, read_table
from onnx2snn.runtime.target import ANYWHERE, Target

#: A path, the bytes of a model, a model, or what :func:`onnx2snn.convert` or :func:`onnx2snn.compile` made.
Model: TypeAlias = Any
Count = Literal["synops", "spikes", "nothing"]
#: What is made of a converted file: the model of an execution, for what it counts.
Compile = Callable[[str, str], Loadable]


@dataclass(frozen=True)
class SessionFile:
    """A converted network, or a compiled one.

    Attributes:
        table: Its layer table.
        ready: The model as it is; None of a converted one where the onnx package is there to compile it.
        compile: (execution, count) → the model; None where there is no more than ``ready``.
        execution: Of ``ready``.
        count: What ``ready`` counts.
        alike: Outputs, and layers, that are the same for all samples.
        levels: ``ready`` with the levels of its neurons among its outputs; None where that takes the onnx package.
    """

    table: dict[str, Any]
    ready: Loadable | None = None
    compile: Compile | None = None
    execution: str = "spiking"
    count: str = "nothing"
    alike: frozenset[str] = field(default_factory=frozenset)
    levels: Callable[[], Loadable] | None = None

    @property
    def counts(self) -> Count:
        """The most that it counts."""
        if self.compile is not None:
            return "synops"
        return "spikes" if self.count == "spikes" else "synops" if self.count == "synops" else "nothing"

    def model(self, execution: str, count: str) -> Loadable:
        """The model of an execution, for what it counts.

        Raises:
            InputError: this file does not hold it, and there is no onnx package to compile it.
        """
        if self.compile is not None:
            return self.compile(execution, count)
        if self.ready is None:
            raise AssertionError("a source is compiled, or ready")
        if execution != self.execution:
            raise InputError(
                f"this file holds the {self.execution} execution",
                found=execution,
                remedy=_STUDY
                if execution == "trace"
                else f"compile it: onnx2snn compile snn.onnx fast.onnx --execution {execution}",
            )
        if count == "levels" and self.levels is not None:
            return self.levels()
        if count not in _WITHIN.get(self.count, (self.count,)):
            raise InputError(
                "this file does not count that",
                found=count,
                remedy=_STUDY if count == "levels" else f"compile it beforehand with --count {count}",
            )
        return self.ready


_STUDY = "give a session the converted file, where the onnx package is installed"
#: What a file that counts something also answers.
_WITHIN = {
    "nothing": ("nothing",),
    "spikes": ("nothing", "spikes"),
    "synops": ("nothing", "spikes", "synops"),
}


def open_source(model: Model, target: Target = ANYWHERE, *, whole: bool = False) -> SessionFile:
    """Read a converted or compiled network.

    Args:
        model: Path, bytes, or what holds a model in memory.
        target: Where it will run.
        whole: Weights are put into the model, and not beside it.

    Raises:
        InvalidModelError: it is missing, damaged, no spiking network, or of a newer dialect.
    """
    if isinstance(model, (str, os.PathLike)):
        _check_path(Path(model))
    if importlib.util.find_spec("onnx") is None:
        return _as_it_is(model)
    from onnx2snn.compile.in_memory import compiler_of, levels_of  # noqa: PLC0415 - needs the onnx package
    from onnx2snn.compile.network import held_by, is_compiled, read_network  # noqa: PLC0415

    held = model if isinstance(model, bytes) else held_by(model)
    network = read_network(held, or_compiled=True)
    if is_compiled(network.split.structure):
        return replace(_as_it_is(model), levels=lambda: levels_of(held, whole=whole))
    compile_for = compiler_of(model, network, target, whole=whole)
    return SessionFile(network.table, compile=compile_for, alike=network.alike)


def _as_it_is(model: Model) -> SessionFile:
    """The file itself, described by its metadata."""
    if not isinstance(model, (str, bytes, os.PathLike)):
        proto: Any = getattr(model, "model", model)
        model = proto.SerializeToString()
    ready = Loadable(os.fspath(model) if isinstance(model, os.PathLike) else model)
    metadata = OnnxruntimeEngine(ready).metadata
    table = table_of(metadata)
    try:
        facts = compiled_facts(metadata)
    except ValueError as error:
        raise InvalidModelError(
            "the metadata of this model is damaged",
            found=str(error),
            remedy="give the file that onnx2snn wrote",
        ) from error
    if facts is None:
        return SessionFile(table, ready, execution=str(table.get("execution", "spiking")))
    alike = frozenset(facts.get("alike", ()))
    return SessionFile(table, ready, execution=facts["execution"], count=facts["count"], alike=alike)


def table_of(metadata: Mapping[str, str]) -> dict[str, Any]:
    """The layer table in a file's metadata.

    Raises:
        InvalidModelError: there is none, it is damaged, or of a newer dialect.
    """
    if TABLE_KEY not in metadata:
        remedy = "convert it first: onnx2snn in.onnx out.onnx"
        raise InvalidModelError("this model is no spiking network of onnx2snn", remedy=remedy)
    try:
        table = read_table(metadata[TABLE_KEY], NEWEST)
    except ValueError as error:
        raise InvalidModelError(
            "the layer table of this model is damaged",
            found=str(error),
            remedy="give the file that onnx2snn wrote",
        ) from error
    if table["dialect"] > NEWEST:
        found = f"dialect {table['dialect']}"
        raise InvalidModelError(
            "this model was written in a newer dialect", found=found, remedy="upgrade onnx2snn"
        )
    return table


def _check_path(path: Path) -> None:
    remedy = "give the path of a converted model"
    try:
        if not path.exists():
            raise InvalidModelError(f"{path} cannot be read: it does not exist", remedy=remedy)
        if not path.is_file():
            raise InvalidModelError(f"{path} cannot be read: it is no file", remedy=remedy)
    except (OSError, ValueError) as error:  # a null character, a loop of links
        raise InvalidModelError(f"{path} cannot be read: {error}", remedy=remedy) from error
