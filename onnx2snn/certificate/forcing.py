"""The spiking network with the ANN's levels fed into every layer: teacher forcing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from onnx2snn.dialect import DOMAIN
from onnx2snn.graph import Array
from onnx2snn.reference import make_runner
from onnx2snn.runtime.counts import counts_of


class ForcedNetwork:
    """Each layer of a converted network on its own, its inputs given.

    Args:
        model: The converted network.
        outputs: Train of each layer, by the layer's name.
        timesteps: T.
    """

    def __init__(self, model: onnx.ModelProto, outputs: Mapping[str, str], timesteps: int) -> None:
        forced = onnx.ModelProto()
        forced.CopyFrom(model)
        for info in [*forced.graph.input, *forced.graph.output]:
            if info.type.tensor_type.shape.dim:
                info.type.tensor_type.shape.dim[0].dim_param = "N"  # inside, the batch is free
        trains = {tensor: layer for layer, tensor in outputs.items()}
        for node in forced.graph.node:
            if node.domain == DOMAIN and node.op_type == "IF" and node.output[0] in trains:
                train = node.output[0]
                node.output[0] = f"own/{trains[train]}"
                shape = _shape(model, train)
                forced.graph.input.append(helper.make_tensor_value_info(train, TensorProto.FLOAT, shape))
                own = helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, shape)
                forced.graph.output.append(own)
        kept = [info for info in forced.graph.value_info if info.name not in trains]
        del forced.graph.value_info[:]
        forced.graph.value_info.extend(kept)
        self._outputs = dict(outputs)
        self._timesteps = timesteps
        self._run = make_runner(forced)

    def levels(
        self, inputs: Mapping[str, Array], levels: Mapping[str, NDArray[np.int64]]
    ) -> dict[str, Array]:
        """What each layer answers to ``levels`` (by layer) of the layers before it; outputs of the network by name."""
        trains = {self._outputs[name]: self._train(k) for name, k in levels.items()}
        answer = self._run({**inputs, **trains})
        found = {name: counts_of(answer[f"own/{name}"], self._timesteps) for name in self._outputs}
        return {**found, **{n: v for n, v in answer.items() if not n.startswith("own/")}}

    def _train(self, k: NDArray[np.int64]) -> Array:
        bits = np.arange(self._timesteps - 1, -1, -1).reshape((-1,) + (1,) * k.ndim)
        train = (k[None] >> bits) & 1
        return train.reshape(-1, *k.shape[1:]).astype(np.float32)


def _shape(model: onnx.ModelProto, name: str) -> list[str | int]:
    for info in model.graph.value_info:
        if info.name == name:
            dims = info.type.tensor_type.shape.dim
            return [f"train_{i}" if i == 0 or not d.dim_value else d.dim_value for i, d in enumerate(dims)]
    return []
