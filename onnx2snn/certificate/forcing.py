"""The spiking network with the ANN's levels fed into every layer: teacher forcing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from onnx2snn.certificate.pairing import Pair
from onnx2snn.dialect.functions import DOMAIN, NEURONS, function_body
from onnx2snn.dialect.layer_table import read_layer_table
from onnx2snn.graph.core import Array
from onnx2snn.model.reference import make_runner
from onnx2snn.model.weights import SplitModel


class ForcedNetwork:
    """Each layer of a converted network on its own, its inputs given.

    Args:
        model: The converted network.
        pairs: Its layers.
        fused: Levels flow in place of trains.
    """

    def __init__(self, model: SplitModel, pairs: Sequence[Pair], *, fused: bool) -> None:
        forced = _with_bodies(model.structure, "fused" if fused else "spiking")
        self._timesteps = None if fused else int(read_layer_table(forced)["timesteps"])
        self._trains = {pair.train: pair.name for pair in pairs}
        for info in [*forced.graph.input, *forced.graph.output]:
            if info.type.tensor_type.shape.dim:
                info.type.tensor_type.shape.dim[0].dim_param = "N"  # inside, the batch is free
        for node in forced.graph.node:
            if node.domain == DOMAIN and node.op_type in NEURONS:
                train = node.output[0]
                node.output[0] = f"own/{self._trains[train]}"
                shape = _shape(model.structure, train)
                forced.graph.input.append(helper.make_tensor_value_info(train, TensorProto.FLOAT, shape))
                own = helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, shape)
                forced.graph.output.append(own)
        del forced.graph.value_info[:]  # sizes of trains, which fused networks do not have
        self._run = make_runner(SplitModel(forced, model.weights))

    def levels(
        self, inputs: Mapping[str, Array], levels: Mapping[str, NDArray[np.float32]]
    ) -> dict[str, Array]:
        """What each layer answers to ``levels`` (by layer) of the layers before it; outputs of the network by name."""
        answer = self._run({**inputs, **{t: self._on_wire(levels[name]) for t, name in self._trains.items()}})
        found = {name: self._decoded(answer[f"own/{name}"]) for name in self._trains.values()}
        return {**found, **{n: v for n, v in answer.items() if not n.startswith("own/")}}

    def _on_wire(self, k: NDArray[np.float32]) -> Array:
        if self._timesteps is None:
            return k
        bits = np.arange(self._timesteps - 1, -1, -1).reshape((-1,) + (1,) * k.ndim)
        train = (k[None].astype(np.int64) >> bits) & 1
        return train.reshape(-1, *k.shape[1:]).astype(np.float32)

    def _decoded(self, train: Array) -> Array:
        return train if self._timesteps is None else counts_of(train, self._timesteps)


def counts_of(train: NDArray[Any], timesteps: int) -> NDArray[np.float32]:
    """The level (N, ...) that a train (T·N, ...) carries: Σ 2^(T−1−t)·s(t)."""
    steps = train.reshape(timesteps, -1, *train.shape[1:])
    level: NDArray[np.float32] = steps[0].astype(np.float32)
    for spikes in steps[1:]:
        level += level + spikes
    return level


def _with_bodies(model: onnx.ModelProto, execution: str) -> onnx.ModelProto:
    """A copy whose neurons have the bodies of ``execution``."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    table = read_layer_table(model)
    bias = str(table.get("bias", "once"))
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    names = [function.name for function in model.functions if function.domain == DOMAIN]
    others = [function for function in model.functions if function.domain != DOMAIN]
    del copy.functions[:]
    copy.functions.extend(others)
    copy.functions.extend(
        function_body(name, timesteps=table["timesteps"], execution=execution, bias=bias, opset=opset)
        for name in names
    )
    return copy


def _shape(model: onnx.ModelProto, name: str) -> list[str | int]:
    for info in model.graph.value_info:
        if info.name == name:
            dims = info.type.tensor_type.shape.dim
            return [f"train_{i}" if i == 0 or not d.dim_value else d.dim_value for i, d in enumerate(dims)]
    return []
