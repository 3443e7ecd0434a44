"""A compiled network beside its source: it shows answers and levels; what its neurons are stands in the converted network."""

from __future__ import annotations

import onnx

from onnx2snn.dialect.layer_table import read_layer_table
from onnx2snn.errors import ConversionError, InvalidModelError
from onnx2snn.model.weights import SplitModel
from onnx2snn.runtime.layer_records import compiled_facts

#: What tells one layer of neurons from another.
_SAME = ("name", "neurons", "timesteps", "levels", "rounding", "threshold", "scale", "offset")


def compiled_execution(model: onnx.ModelProto) -> str | None:
    """The execution that a compiled network holds, as sessions call it; None of any other."""
    facts = compiled_facts({entry.key: entry.value for entry in model.metadata_props})
    return None if facts is None else {"step": "streaming"}.get(facts["execution"], str(facts["execution"]))


def converted_twin(source: SplitModel, compiled: SplitModel) -> SplitModel:
    """What ``source`` is converted to, which has to have the layers that ``compiled`` has.

    Raises:
        InvalidModelError: it has others.
    """
    from onnx2snn.conversion import convert  # noqa: PLC0415 - whose self-check is of this package

    table = read_layer_table(compiled.structure, compiled=True)
    options = {
        "bias": table["bias"],
        "hybrid": bool(table["non_spiking"]),
        "coding": table.get("coding", "binary"),
    }
    remedy = (
        "give the file that was converted; one that another version compiled, verify before it is compiled"
    )
    try:
        twin = convert(source.whole(), check=False, **options).network
    except ConversionError as error:
        raise InvalidModelError(
            "this source converts to no network that could have been compiled",
            found=error.message,
            remedy=remedy,
        ) from error
    ours, theirs = (
        [{k: e.get(k) for k in _SAME} for e in t["layers"]] for t in (read_layer_table(twin.structure), table)
    )
    if ours != theirs:
        raise InvalidModelError("the compiled network was not made from this source", remedy=remedy)
    return twin
