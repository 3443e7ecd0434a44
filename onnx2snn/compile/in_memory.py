"""What a session gets that is given a converted file: compiled when it is asked for, its weights where they are."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx

from onnx2snn.compile.executions import write_execution
from onnx2snn.compile.levels import with_levels
from onnx2snn.compile.network import Network, read_network
from onnx2snn.errors import InvalidModelError
from onnx2snn.model.weights import SplitModel, is_hollow, let_go
from onnx2snn.runtime.backends import Loadable
from onnx2snn.runtime.layer_records import compiled_facts
from onnx2snn.runtime.target import Target

#: A model by execution and count.
Compiler = Callable[[str, str], Loadable]


def compiler_of(model: Any, network: Network, target: Target, *, whole: bool = False) -> Compiler:
    """What compiles ``model``.

    Args:
        model: Path, bytes, a model, or what holds one.
        network: What has been read of it.
        target: Where it will run.
        whole: Weights are put into the model, and not beside it.
    """
    stamp = _stamp(Path(model)) if isinstance(model, (str, os.PathLike)) else None

    def compiled(execution: str, count: str) -> Loadable:
        if stamp is not None and _stamp(Path(model)) != stamp:
            raise InvalidModelError(
                f"{model} has changed since the session read it", remedy="make a new session"
            )
        made = write_execution(network, execution, count=count, target=target)
        ready = replace(loadable(made, network, whole=whole), as_written=True)
        for values in network.split.weights.values():
            let_go(values)  # what was read of them to compile
        return ready

    return compiled


def levels_of(model: Any, *, whole: bool = False) -> Loadable:
    """A compiled network with the levels of its neurons among its outputs.

    Args:
        model: As :func:`read_network` reads it.
        whole: Weights are put into the model, and not beside it.

    Raises:
        InvalidModelError: it does not say where they are.
    """
    network = read_network(model, or_compiled=True)
    facts = compiled_facts({e.key: e.value for e in network.split.structure.metadata_props}) or {}
    if facts["execution"] == "step":  # its trains are outputs
        return loadable(network.split, network, whole=whole)
    return loadable(with_levels(network.split, network.table, facts), network, whole=whole)


def loadable(made: SplitModel, network: Network, *, whole: bool = False) -> Loadable:
    """What a backend loads; weights that lie in files stay there, and it maps them."""
    if whole:
        return Loadable(made.whole().SerializeToString(), lean=network.beside)
    model = onnx.ModelProto()
    model.CopyFrom(made.structure)
    folders = {os.path.dirname(place.location) for place in network.places.values()}  # noqa: PTH120
    folder = folders.pop() if len(folders) == 1 else None
    weights = dict(made.weights)
    for tensor in filter(is_hollow, model.graph.initializer):
        held = {"location": "memory"}
        if (
            folder
            and weights[tensor.name] is network.split.weights.get(tensor.name)
            and tensor.name in network.places
        ):
            place, values = network.places[tensor.name], weights.pop(tensor.name)
            name = os.path.basename(place.location)  # noqa: PTH119
            held = {"location": name, "offset": str(place.offset or 0), "length": str(values.nbytes)}
        for key, text in held.items():
            tensor.external_data.add(key=key, value=text)
    return Loadable(model.SerializeToString(), weights, folder=folder, lean=network.beside)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written again; None where it is gone."""
    try:
        status = os.stat(path)  # noqa: PTH116 - of a link, the file that it points to
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
