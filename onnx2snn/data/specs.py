"""What a model expects of its data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.errors import InvalidModelError

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

Array: TypeAlias = NDArray[np.generic]


@dataclass(frozen=True)
class InputSpec:
    """One input of a model.

    Attributes:
        name: Its name in the graph.
        dtype: Its element type.
        shape: The shape of one sample, without the batch axis; None where a size is dynamic. None as a whole
            where the model does not say even the rank.
        batch: The size of the batch axis where the model fixes it, otherwise None.
    """

    name: str
    dtype: np.dtype[np.generic]
    shape: tuple[int | None, ...] | None
    batch: int | None = None

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.name}: {self.dtype} of any shape"
        sizes = [
            "N" if self.batch is None else str(self.batch),
            *("?" if d is None else str(d) for d in self.shape),
        ]
        return f"{self.name}: {self.dtype} ({', '.join(sizes)})"

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether samples of ``shape`` (without the batch axis) can be presented."""
        if self.shape is None:
            return True
        same_rank = len(shape) == len(self.shape)
        return same_rank and all(want in (None, got) for want, got in zip(self.shape, shape, strict=True))


def input_specs(model: str | Path | ModelProto) -> tuple[InputSpec, ...]:
    """The inputs of ``model`` that a caller has to feed: no initializers, and no states of a network of one time step.

    Args:
        model: A path, or a model in memory, which is taken as it is.

    Raises:
        InvalidModelError: the file is not a readable ONNX model.
    """
    import onnx  # noqa: PLC0415 - only where a model is read

    from onnx2snn.model.files import load_model  # noqa: PLC0415
    from onnx2snn.runtime.layer_records import compiled_facts  # noqa: PLC0415

    proto = model if isinstance(model, onnx.ModelProto) else load_model(model)
    handed = {tensor.name for tensor in proto.graph.initializer}
    states = (compiled_facts({e.key: e.value for e in proto.metadata_props}) or {}).get("states")
    handed |= {"enters", *states} if states else set()
    return tuple(_spec(value) for value in proto.graph.input if value.name not in handed)


def batch_of(specs: Iterable[InputSpec]) -> int | None:
    """Samples that are presented at a time, where an input fixes that; None for any number."""
    from onnx2snn.runtime.engine_inputs import at_a_time  # noqa: PLC0415

    return at_a_time(spec.batch for spec in specs)


def _spec(value: ValueInfoProto) -> InputSpec:
    import onnx  # noqa: PLC0415

    tensor = value.type.tensor_type
    if tensor.elem_type not in onnx.TensorProto.DataType.values()[1:]:
        raise InvalidModelError(
            f"input '{value.name}' is no tensor", remedy="give a network that reads tensors"
        )
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    if not tensor.HasField("shape") or not tensor.shape.dim:
        return InputSpec(value.name, dtype, None)
    sizes = [
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in tensor.shape.dim
    ]
    return InputSpec(value.name, dtype, tuple(sizes[1:]), sizes[0])
