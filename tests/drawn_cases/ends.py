"""What a network answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from drawn_cases.building import Network, floats
from drawn_cases.versions import over_axes, whole

#: From the last activation and one before it, the outputs' names.
End = Callable[[Network, str, str], list[str]]


def logits(b: Network, x: str, outputs: int = 5) -> str:
    """A dense readout, behind a global mean where there are places."""
    rank = b.of(x).ndim
    if rank < 2:
        return x
    if rank > 2:
        x = over_axes(b, "ReduceMean", x, list(range(2, rank)), keepdims=0)
    given = b.of(x).shape[1]
    return str(b.op("Gemm", x, b.weights((given, outputs), given), b.bias((outputs,))))


def _logits(b: Network, x: str, hidden: str) -> list[str]:
    return [logits(b, x)]


def _map(b: Network, x: str, hidden: str) -> list[str]:
    """The activation itself."""
    return [str(b.op("Identity", x))]


def _flat(b: Network, x: str, hidden: str) -> list[str]:
    """All places, through a dense layer if the sizes are fixed."""
    return [str(b.op("Flatten", x))] if b.of(x).ndim > 1 else [x]


def _codes(kind: str, zero: int) -> End:
    def end(b: Network, x: str, hidden: str) -> list[str]:
        z = logits(b, x)
        return [str(b.op("QuantizeLinear", z, b.hold(b.step(z, 90)), np.asarray(zero, kind)))]

    return end


def _hidden_codes(b: Network, x: str, hidden: str) -> list[str]:
    scale = b.hold(b.step(hidden, 100))
    return [logits(b, x), str(b.op("QuantizeLinear", hidden, scale, np.asarray(1, np.int8)))]


def _several(b: Network, x: str, hidden: str) -> list[str]:
    return [logits(b, x), *_map(b, x, hidden), logits(b, x, 2)]


def _middle(b: Network, x: str, hidden: str) -> list[str]:
    return [hidden, logits(b, x)]


def _behind(op: str, **attributes: int) -> End:
    return lambda b, x, _: [str(b.op(op, logits(b, x), **attributes))]


def _top(b: Network, x: str, hidden: str) -> list[str]:
    return list(b.op("TopK", logits(b, x), whole(2), outputs=2))


def _no_batch(b: Network, x: str, hidden: str) -> list[str]:
    return [str(b.op("Reshape", logits(b, x), whole(-1)))]


def _mean_of_batch(b: Network, x: str, hidden: str) -> list[str]:
    return [over_axes(b, "ReduceMean", logits(b, x), [0], keepdims=0)]


def _turned(b: Network, x: str, hidden: str) -> list[str]:
    return [str(b.op("Transpose", logits(b, x), perm=[1, 0]))]


def _constant(b: Network, x: str, hidden: str) -> list[str]:
    return [logits(b, x), str(b.op("Identity", b.hold(np.arange(3.0))))]


def _input(b: Network, x: str, hidden: str) -> list[str]:
    return [logits(b, x), str(b.op("Identity", next(iter(b.data))))]


def _shape(b: Network, x: str, hidden: str) -> list[str]:
    return [logits(b, x), str(b.op("Shape", x))]


def _cast(kind: str) -> End:
    return lambda b, x, _: [str(b.op("Cast", logits(b, x), to=floats(kind)))]


def _boxes(b: Network, x: str, hidden: str) -> list[str]:
    """Places as rows: sizes by exp, scores by sigmoid, joined."""
    z = logits(b, x, 6)
    size, score = (b.op("Slice", z, whole(i), whole(j), whole(1)) for i, j in ((0, 2), (2, 6)))
    return [str(b.op("Concat", b.op("Exp", size), b.op("Sigmoid", score), axis=-1))]


def _compared(b: Network, x: str, hidden: str) -> list[str]:
    return [str(b.op("Greater", logits(b, x), 0.125))]


ENDS: Mapping[str, End] = {
    "logits": _logits,
    "map": _map,
    "flat map": _flat,
    "int8 codes": _codes("int8", 0),
    "int8 codes of a negative zero point": _codes("int8", -128),
    "uint8 codes": _codes("uint8", 117),
    "hidden codes too": _hidden_codes,
    "several": _several,
    "hidden too": _middle,
    "Softmax": _behind("Softmax", axis=1),
    "Sigmoid": _behind("Sigmoid"),
    "ArgMax": _behind("ArgMax", axis=1, keepdims=0),
    "TopK": _top,
    "no batch axis": _no_batch,
    "mean of the batch": _mean_of_batch,
    "transposed": _turned,
    "constant too": _constant,
    "input too": _input,
    "shape too": _shape,
    "float16": _cast("float16"),
    "double": _cast("float64"),
    "boxes": _boxes,
    "bool": _compared,
}
