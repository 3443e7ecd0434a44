"""A converted network becomes one that runs fast anywhere."""

from __future__ import annotations

import dataclasses
from numbers import Integral
from typing import Literal

from onnx2snn.compile.executions import write_execution
from onnx2snn.compile.known_sizes import settled, with_batch
from onnx2snn.compile.network import Network, held_by, read_network
from onnx2snn.compile.opsets import in_oldest, in_opset
from onnx2snn.errors import InputError
from onnx2snn.model.networks import Network as Model
from onnx2snn.model.savable import SavableInParts
from onnx2snn.model.weights import SplitModel

Execution = Literal["spiking", "fused", "int8", "step"]
Count = Literal["spikes", "synops", "nothing"]


@dataclasses.dataclass(frozen=True)
class Compiled(SavableInParts):
    """A compiled network: plain ONNX operators, the layer table in its metadata.

    Attributes:
        network: The model, its large weights in arrays apart.
        execution: What it computes; ``spiking`` where a rate code has no shorter way.
        count: What it counts.
        tried: What came of it on a drawn sample beside the converted file: ``equal``, ``explained`` (by neurons on a
            threshold) or ``loaded`` and why no more was tried; ``not tried`` with ``check=False``.
    """

    network: SplitModel = dataclasses.field(repr=False)
    execution: str
    count: str
    tried: str = "not tried"


def compile(  # noqa: A001 - onnx2snn.compile, as its command
    model: Model,
    *,
    execution: Execution = "fused",
    count: Count = "nothing",
    batch: int | None = None,
    opset: int | None = None,
    check: bool = True,
) -> Compiled:
    """Write a converted network for one execution: plain operators, no functions, no control flow, no domain of ours.

    Args:
        model: A path, a model, or a :class:`onnx2snn.conversion.Conversion`; not changed.
        execution: ``spiking``: trains of 0 and 1, T steps folded into the batch. ``fused``: integer levels, one pass. ``int8``:
            the same in 8-bit integers wherever that is the same bit for bit. ``step``: one time step a call, every state an
            input and an output (:mod:`onnx2snn.compile.step`).
        count: What is among the outputs: ``spikes/<layer>`` (N,) float64, with ``synops`` also ``synops/<layer>``.
        batch: Samples at a time, for runtimes and generators that want all sizes known; None: as many as are given.
        opset: Version of the default operator set, 17 or later; None: the oldest that has the network's operators.
        check: Load the result in onnxruntime, and compare its answer to one drawn sample with that of ``model``.

    Raises:
        InvalidModelError: it is missing, damaged, or no converted network.
        InputError: there is no such execution or count, or the network cannot be written in this opset or for this batch.
        SelfCheckError: what was made does not load, or answers something else.
    """
    for value, known in ((execution, Execution), (count, Count)):
        choices = known.__args__  # type: ignore[attr-defined]
        if value not in choices:
            remedy = f"choose one of {', '.join(choices)}"
            raise InputError(f"there is no '{value}' to compile", remedy=remedy)
    for name, number in (("batch", batch), ("opset", opset)):
        if number is not None and (
            isinstance(number, bool) or not isinstance(number, Integral) or number < 1
        ):
            raise InputError(
                f"'{name}' has to be a whole number, 1 or more",
                found=repr(number),
                remedy=f"give {name}=1 or more, or leave it away",
            )
    network = read_network(held_by(model))
    if batch is not None:
        network = with_batch(network, batch)
    made = settled(write_execution(network, execution, count=count))
    made = in_oldest(made) if opset is None else in_opset(made, opset)
    return Compiled(
        made,
        _execution(network, execution),
        count,
        _tried(made, network, execution) if check else "not tried",
    )


def _execution(network: Network, execution: str) -> str:
    rate = network.table.get("coding", "binary") == "rate"
    return "spiking" if rate and execution in ("fused", "int8") else execution


def _tried(made: SplitModel, network: Network, execution: str) -> str:
    from onnx2snn.compile.check import check_compiled  # noqa: PLC0415 - what a session never needs

    return check_compiled(made, network, _execution(network, execution))
