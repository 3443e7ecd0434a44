"""Networks whose uniform neurons are written as tables of thresholds (METHOD 11)."""

from __future__ import annotations

import json

import numpy as np
import onnx
from onnx import numpy_helper

from onnx2snn.dialect.functions import TABLE_IF, attach_functions


def with_tables(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network, every threshold j·θ of its neurons written down."""
    tabled = onnx.ModelProto()
    tabled.CopyFrom(model)
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for number, node in enumerate(n for n in tabled.graph.node if n.op_type == "IF"):
        held = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        theta = constants[node.input[3]][-1]
        steps = np.arange(1, 2 ** held["timesteps"]) * theta.reshape(-1, 1)
        steps[:, held["levels"] :] = np.inf
        rows = np.arange(theta.size).reshape(theta.shape) * steps.shape[1]
        for key, values in (("table", steps.astype(np.float32).ravel()), ("rows", rows)):
            tabled.graph.initializer.append(numpy_helper.from_array(values, f"{key}{number}"))
        node.op_type = TABLE_IF
        node.input[:] = [*node.input[:2], f"table{number}", f"rows{number}"]
        kept = [a for a in node.attribute if a.name in ("input_steps", "timesteps", "levels")]
        del node.attribute[:]
        node.attribute.extend(kept)
    attach_functions(tabled)
    entry = next(e for e in tabled.metadata_props if e.key == "onnx2snn")
    table = json.loads(entry.value)
    table["layers"] = [layer | {"rounding": "table", "threshold": None} for layer in table["layers"]]
    entry.value = json.dumps(table)
    return tabled
