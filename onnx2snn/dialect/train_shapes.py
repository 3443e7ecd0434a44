"""What a finished file says of its tensors: sizes, and which are trains."""

from __future__ import annotations

import onnx

from onnx2snn.dialect.functions import DOMAIN, HOLD, NEURONS
from onnx2snn.graph.walks import forward
from onnx2snn.operators import of


def shapes_of(model: onnx.ModelProto) -> dict[str, list[int | None]]:
    """Sizes by tensor name, constants too; None for a size that is open."""
    found: dict[str, list[int | None]] = {}
    for info in [*model.graph.value_info, *model.graph.input, *model.graph.output]:
        dims = info.type.tensor_type.shape.dim
        found[info.name] = [d.dim_value if d.HasField("dim_value") else None for d in dims]
    found.update((tensor.name, list(tensor.dims)) for tensor in model.graph.initializer)
    return found


def train_names(model: onnx.ModelProto) -> set[str]:
    """Names of the trains of a converted network: what comes from an IF before the next Integrate."""
    no_signals = {tensor.name for tensor in model.graph.initializer} | _integers(model) | _held(model)

    def passes(node: onnx.NodeProto, read: list[bool]) -> bool:
        if node.domain == DOMAIN:
            return node.op_type in NEURONS
        values = of(node).values  # sizes, indices and factors are no signal
        carried = [
            known
            for i, (name, known) in enumerate(zip(node.input, read, strict=True))
            if name and name not in no_signals and (values is None or i in values)
        ]
        return bool(carried) and all(carried)

    return forward(model.graph.node, passes) - no_signals


def _held(model: onnx.ModelProto) -> set[str]:
    """Names of potentials that stand beside trains: synapses, as far as these are concerned."""
    nodes = (n for n in model.graph.node if n.domain == DOMAIN and n.op_type == HOLD)
    return {name for node in nodes for name in node.output}


def _integers(model: onnx.ModelProto) -> set[str]:
    """Names of tensors that hold sizes, indices or masks."""
    others = (onnx.TensorProto.INT64, onnx.TensorProto.INT32, onnx.TensorProto.BOOL)
    sizes = {name for node in model.graph.node if of(node).sizes for name in node.output}
    return sizes | {v.name for v in model.graph.value_info if v.type.tensor_type.elem_type in others}
