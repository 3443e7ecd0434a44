"""The record: all that the converter knows of one operator, and where it is looked up.

Every fact has its rule here, as a primitive of JAX has: passes, counting, certificate and scales ask :func:`of` a node, and
hold no names of operators. What is not said of an operator is unknown, and whoever asks does the safe thing; a test holds each
record to what it has to say, and each rule to a small network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx2snn.dialect.synops import Count
    from onnx2snn.graph.build import Spelling
    from onnx2snn.operators.batch import Samples
    from onnx2snn.operators.parts import Rule
    from onnx2snn.operators.running_error import Step
    from onnx2snn.operators.signals import Signal
    from onnx2snn.operators.transfer import Transfer

Array: TypeAlias = NDArray[Any]
#: Whether something holds for a node; its docstring is the operator's line in the documentation.
Test: TypeAlias = Callable[[gs.Node], bool]
#: What belongs to each entry of the first tensor (1, ...), for the entries of the second; None where that is not known.
Places: TypeAlias = Callable[[gs.Node, Array, gs.Tensor, gs.Tensor], "Array | None"]
#: Writes the nodes that stand for an operator where spikes are counted; the names of the counts that it makes.
Counts: TypeAlias = Callable[["Count", onnx.NodeProto], list[str]]
#: Where what a node writes (last) counts samples, from the tensor that it reads, and where that does.
Batch: TypeAlias = Callable[[gs.Node, gs.Tensor, "Samples", gs.Tensor], "Samples | None"]
#: For each axis of a result, the axis of the input that it shows; None for an inserted axis of one entry.
Layout: TypeAlias = "tuple[int | None, ...]"
#: A number, the name of a size that is not known before the run, or None where nothing is known.
Entries: TypeAlias = "list[int | str | None]"
#: The entries of a vector of sizes, where they are known.
Spelled: TypeAlias = Callable[[gs.Tensor], "Entries | None"]
#: The signals that an operator writes: how rounding, and jumps, go through it.
Errors: TypeAlias = "Callable[[Step], list[Signal]]"
#: Of one operator: how many roundings lie between its inputs and its output, at most.
Roundings: TypeAlias = "int | Callable[[Step], int]"
#: A power of two, or one for each channel: (1, C, ...).
Steps: TypeAlias = "float | NDArray[np.float64]"
#: The power of two of which a result is a multiple, from those of the inputs; 0 where there is none.
Quantum: TypeAlias = Callable[["Step", list[Steps]], Steps]


#: Writes a node in another form, where it has one.
Spells: TypeAlias = Callable[["Spelling", gs.Node], None]
#: Spells numerator and divisor of what a node computes, apart.
Quotient: TypeAlias = Callable[["Spelling", gs.Node], tuple[gs.Tensor, gs.Tensor]]
#: γ, β, μ and σ² of each channel; None where they are not constant.
Normalisation: TypeAlias = Callable[[gs.Node], "tuple[Array, ...] | None"]


@dataclass(frozen=True, kw_only=True)
class Weights:
    """How an operator holds synapses.

    Attributes:
        read: Factors (one, or one an input channel) in the shape in which they multiply the weights; None without a place.
        written: The same of output channels.
        channels: The axis of its result along which output channels lie.
        inputs: The axis of its signal along which input channels lie.
        outputs: The axis of the weights, of the given rank, along which output channels lie; from the node's attributes. None
            where they lie along no single axis.
        rows: The weights as (output channels, weights of each); None where an operator has no such order.
        held: Such rows as weights of the given shape.
        sums: Multiply-accumulates of one sample: the entries of a tensor, times a factor; None where it is not known.
        fan_out: Synapses of one spike on average, borders not subtracted.
    """

    read: Callable[[gs.Node, NDArray[np.float64], Array], NDArray[np.float64] | None]
    written: Callable[[gs.Node, NDArray[np.float64], Array], NDArray[np.float64] | None]
    channels: int
    inputs: int
    outputs: Callable[[Mapping[str, Any], int], int | None]
    rows: Callable[[gs.Node, Array], Array | None]
    held: Callable[[gs.Node, Array, tuple[int, ...]], Array]
    sums: Callable[[gs.Node], tuple[gs.Tensor, int] | None]
    fan_out: Callable[[gs.Node, Array], float]

    def whole_outputs(self, attributes: Mapping[str, Any], rank: int) -> int | None:
        """As ``outputs``, where each output channel reads all input channels; None where it reads those of its group."""
        return None if int(attributes.get("group", 1)) > 1 else self.outputs(attributes, rank)


@dataclass(frozen=True, kw_only=True)
class Operator:
    """What an operator is.

    Attributes:
        name: ONNX's.
        domain: Empty for ONNX's own.

        spelled: Its form in which the others are told what it is.
        linear: When it maps trains to trains: linear in its float signals, each sample for itself (METHOD 6).
        values: The inputs that may carry values; None: all. Others are sizes, indices, factors to resize by.
        multiplies: It multiplies its operands by each other, or divides them.
        bilinear: It is linear in each of its first two operands (METHOD 12: in the one that spikes).
        divides: When it is a quotient of two values of the sample (METHOD 13).
        quotient: Their spelling.
        weights: How it is a layer of synapses.
        terms: The inputs that are added when they are constant: what is left of a linear operator without them (METHOD 4).
        fill: The attribute with a number that stands in some places of its result, whatever it reads.
        sums: It adds or subtracts its operands, and nothing else.
        subtracts: The operands whose sign it turns.
        unsigned: The operator that does the same without turning signs.
        normalises: By which constants it normalises each channel.
        joins: It puts its operands beside each other, along its ``axis``.
        listed: The input that it picks entries from, wherever they stand in it.
        silent: It answers zeros to zeros, whatever its constants.
        neutral: The constant that changes nothing.

        broadcasts: It takes all of its operands against each other.
        elementwise: Each entry of its result depends on the same entry of what it reads.
        line: A factor and a term, entry by entry.
        moves: It changes the places of entries, one to one, or nothing at all.
        copies: When each entry of its result is one of those that it reads, or a constant, in places that depend on no value.
        compares: The axes along which it takes the largest entry: it commutes with every rising function, a channel alike.
        extreme: The largest or smallest of several operands: it commutes with every rising function of all.
        jumps: A value a little larger may be answered by a whole step more.
        whole: It writes integers, or booleans.
        mean: It averages or adds up places: synapses of equal weights.
        total: It adds them up.
        plain: It writes what it reads, perhaps in another shape or type.
        passes: The input that it writes as it is; None where it does something.
        spreads: The constant that it repeats, where it widens one to the shape of its result; None where it does not.
        constant: It writes the constant that it holds.
        typed_by: The attribute that names the type of its result.
        trained: What makes its answer depend on chance, or on the batch, in training mode; empty at inference.
        one: A reduction that makes of a single entry that entry.
        windows: It looks at windows along the axes behind the channels.
        undecided: Not the same at every run.
        stable: Runtimes compute it where its definition overflows.
        grows: It may write more than it reads.
        selects: Values decide how many rows it writes.
        sizes: It reads sizes of tensors, and no values.
        channels_second: It reads samples along axis 0, and channels along axis 1.
        axes: The input that lists axes.
        sized_by: The input that lists the sizes of its result.

        formula: An entry of its result in Python, of float32 operands {0}, {1} ..., before it is of the
            result's type; empty: it is computed elsewhere.

        places: What belongs to the entries of its input, behind it (METHOD 5: how thresholds are absorbed).
        layout: The axis of its input that each axis of its result shows, where it does nothing else; the input's shape is known.
        batch: Where the batch axis goes; None: an axis from the back stays where it is.
        entries: What its result says as a vector of sizes, entry by entry.
        parts: What a part of its result is made of; None: of all that it reads, unless it is ``elementwise``.
        counts: What it does to spike counts: its matrix, a one wherever that is not zero (METHOD 7).

        quantiser: It goes from numbers to integer codes, or back.
        by_range: It quantises by the range of what it reads.
        code_products: It adds up products of integer codes.
        packs: The inputs that kernels pack where they are constant: where they are not, some kernels compute something else.
        codes: The inputs that hold integer codes, which it may as well read in float32; empty: all.
        sums_codes: As long as codes are wide enough not to wrap.
        any_type: It reads whatever type.
        code_type: The input that has the type of the codes that it writes; missing there: it writes numbers.

        errors: How rounding, and jumps, go through it (METHOD 10); None: what it makes of them is measured.
        roundings: Between its inputs and its output, at most.
        quantum: What its results are multiples of.
        transfer: Which values it may answer, from those that it may be given.
    """

    name: str
    domain: str = ""

    spelled: Spells | None = None
    linear: Test | None = None
    values: tuple[int, ...] | None = None
    multiplies: bool = False
    bilinear: bool = False
    divides: Test | None = None
    quotient: Quotient | None = None
    weights: Weights | None = None
    terms: Callable[[gs.Node], Iterable[int]] | None = None
    fill: str | None = None
    sums: bool = False
    subtracts: tuple[int, ...] = ()
    unsigned: str = ""
    normalises: Normalisation | None = None
    joins: bool = False
    listed: int | None = None
    silent: bool = False
    neutral: float | None = None

    broadcasts: bool = False
    elementwise: bool = False
    line: bool = False
    moves: bool = False
    copies: Test | None = None
    compares: Callable[[gs.Node], list[int] | None] | None = None
    extreme: bool = False
    jumps: bool = False
    whole: bool = False
    mean: bool = False
    total: bool = False
    plain: bool = False
    passes: Callable[[gs.Node], gs.Tensor | None] | None = None
    spreads: Callable[[gs.Node], Array | None] | None = None
    constant: bool = False
    typed_by: str = ""
    trained: Callable[[gs.Node], str] | None = None
    one: bool = False
    windows: bool = False
    undecided: bool = False
    stable: bool = False
    grows: bool = False
    selects: bool = False
    sizes: bool = False
    channels_second: bool = False
    axes: int | None = None
    sized_by: int | None = None

    formula: str = ""

    places: Places | None = None
    layout: Callable[[gs.Node], Layout | None] | None = None
    batch: Batch | None = None
    entries: Callable[[gs.Node, Spelled], Entries | None] | None = None
    parts: Rule | None = None
    counts: Counts | None = None

    quantiser: bool = False
    by_range: bool = False
    code_products: bool = False
    packs: tuple[int, ...] = ()
    codes: tuple[int, ...] | None = None
    sums_codes: bool = False
    any_type: bool = False
    code_type: int | None = None

    errors: Errors | None = None
    roundings: Roundings | None = None
    quantum: Quantum | None = None
    transfer: Transfer | None = None

    def called(self, *names: str, **facts: Any) -> list[Operator]:
        """Records of operators that have these facts in common, and others of their own."""
        return [replace(self, name=name, **facts) for name in names]


#: Nothing is known of it.
UNKNOWN = Operator(name="")
_TABLE: dict[tuple[str, str], Operator] = {}


def register(operators: Iterable[Operator]) -> None:
    """Enter records; each operator once."""
    for operator in operators:
        key = operator.domain, operator.name
        if key in _TABLE:
            raise AssertionError(f"{operator.name} has a record already")
        _TABLE[key] = operator


def of(node: gs.Node | onnx.NodeProto) -> Operator:
    """The record of a node's operator; :data:`UNKNOWN` where there is none."""
    name = node.op_type if isinstance(node, onnx.NodeProto) else node.op
    return _TABLE.get((node.domain or "", name), UNKNOWN)


def every() -> list[Operator]:
    """All records, in the order of their names."""
    return [_TABLE[key] for key in sorted(_TABLE)]
