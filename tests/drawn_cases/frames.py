"""A case: an input, synapses and an activation, the operator in the middle, synapses and an activation, an end."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from drawn_cases import codes
from drawn_cases.arithmetic import ARITHMETIC
from drawn_cases.building import BATCHES, Network, run
from drawn_cases.code_operators import CODES
from drawn_cases.ends import ENDS
from drawn_cases.middles import Middle
from drawn_cases.moves import MOVES
from drawn_cases.places import PLACES
from drawn_cases.quantisers import QUANTISERS
from drawn_cases.sizes import SIZES
from drawn_cases.sources import REALS, SOURCES

MIDDLES: Mapping[str, Middle] = {**MOVES, **PLACES, **ARITHMETIC, **SIZES}

#: Of one sample, by what the operator in the middle reads.
SHAPES = {"image": (4, 8, 8), "sequence": (4, 12), "volume": (4, 4, 4, 4), "vector": (8,)}


@dataclass(frozen=True)
class Kind:
    """What is combined in a case; each field names a row of a table.

    Attributes:
        source: Type of the input and how it is read.
        quantiser: Spelling of the activations, or a form of QLinear operators.
        middle: The operator, its attributes.
        place: Where the operator stands: behind an ``activation``, in front of it (``potential``), on the ``input``, in the
            ``readout``, or at a ``fork``.
        sizes: ``one`` sample, a ``fixed`` number, a dynamic ``batch``, dynamic ``places`` too.
        layout: ``NCHW``, ``NHWC``, or written by onnxruntime: ``basic``, ``extended``.
        end: What is answered.
        numbers: ``dyadic`` or ``general``.
        opset: Of the model.
        held: Where constants stand.
        weights: ``float``, or int8 codes that are dequantised, by tensor or by channel.
    """

    source: str
    quantiser: str
    middle: str
    place: str
    sizes: str
    layout: str
    end: str
    numbers: str
    opset: int
    held: str
    weights: str

    @property
    def seed(self) -> int:
        """Of its numbers."""
        return zlib.crc32(repr(asdict(self)).encode())


@dataclass(frozen=True)
class Case:
    """A model and data for it, in the types that it declares."""

    kind: Kind
    model: onnx.ModelProto
    data: dict[str, np.ndarray]


def opsets(kind: Kind) -> tuple[int, int]:
    """The first and the last opset that has all that a kind names."""
    since, until = 10, 99
    if kind.middle in MIDDLES:
        since, until = MIDDLES[kind.middle].since, MIDDLES[kind.middle].until
    if kind.quantiser in QUANTISERS:
        since = max(since, QUANTISERS[kind.quantiser][1])
    if "by channel" in kind.weights + kind.source:
        since = max(since, 13)
    return since, until


def build(kind: Kind) -> Case | None:
    """The case; None where there is no such network: stock onnxruntime doesn't run it, or it answers a constant."""
    try:
        b = _begun(kind)
        _body(b, kind)
        model = b.finished()
        if kind.layout in ("basic", "extended"):
            model = optimised(model, kind.layout)
        answers = run(model, b.data)
    except Exception:  # noqa: BLE001 - tables are combined blindly: whatever onnx and onnxruntime refuse is no network
        return None
    return Case(kind, model, b.data) if _telling(answers) else None


def _telling(answers: list[Any]) -> bool:
    """Numbers that are finite, and not all the same."""
    first = np.asarray(answers[0])
    if first.dtype.kind == "b":
        return bool(first.size > 1 and first.any() and not first.all())
    return all(np.isfinite(a).all() for a in answers) and bool(np.ptp(first.astype(np.float64)) > 0)


def _begun(kind: Kind) -> Network:
    dtype, source, _ = SOURCES[kind.source]
    b = Network(
        kind.opset, kind.numbers == "dyadic", kind.held, REALS.get(kind.source, np.float32),
        np.random.default_rng(kind.seed),
    )  # fmt: skip
    shape = SHAPES[_shape(kind)]
    channels_last = kind.layout == "NHWC" and len(shape) == 3

    def drawn(batch: int, sizes: tuple[int, ...]) -> np.ndarray:
        values = source(b, (batch, *sizes)).astype(dtype)
        return np.ascontiguousarray(np.moveaxis(values, 1, -1)) if channels_last else values

    batch = {"one": 1, "fixed": 3}.get(kind.sizes, BATCHES[0])
    b.data = {"x": drawn(batch, shape)}
    if kind.sizes == "batch":
        b.resized = {"x": drawn(BATCHES[1], shape)}
    elif kind.sizes == "places":
        larger = (shape[0], *(s + 4 for s in shape[1:]))
        b.resized = {"x": drawn(BATCHES[1], larger)}
    return b


def _shape(kind: Kind) -> str:
    return MIDDLES[kind.middle].shape if kind.middle in MIDDLES else "image"


def _body(b: Network, kind: Kind) -> None:
    _, _, reading = SOURCES[kind.source]
    x = "x"
    if b.data["x"].ndim == 4 and kind.layout == "NHWC":
        x = b.op("Transpose", x, perm=[0, 3, 1, 2])
    x = reading(b, x)
    b.places = x
    if kind.quantiser in codes.FORMS:
        y, hidden = _of_codes(b, x, kind)
    else:
        y, hidden = _of_floats(b, x, kind)
    b.outputs = ENDS[kind.end](b, y, hidden)
    if kind.layout == "NHWC":
        b.outputs = [b.op("Transpose", o, perm=[0, 2, 3, 1]) if b.of(o).ndim == 4 else o for o in b.outputs]


def _of_floats(b: Network, x: str, kind: Kind) -> tuple[str, str]:
    """Synapses and activations of floats, the middle at its place."""
    quantise, _ = QUANTISERS[kind.quantiser]
    middle = MIDDLES[kind.middle]
    if kind.place == "input":
        x = middle.spell(b, x)
    z = synapses(b, x, kind)
    if kind.place == "potential":
        z = middle.spell(b, z)
    hidden = y = quantise(b, z)
    if kind.place in ("activation", "fork"):
        y = middle.spell(b, hidden)
    y = quantise(b, synapses(b, y, kind))
    if kind.place == "readout":
        y = middle.spell(b, synapses(b, y, kind))
    if kind.place == "fork":
        y = _beside(b, y, quantise(b, synapses(b, hidden, kind)))
    return y, hidden


def _beside(b: Network, first: str, second: str) -> str:
    """Added where the shapes are the same, else as scores side by side."""
    if b.of(first).shape == b.of(second).shape:
        return str(b.op("Add", first, second))
    return str(b.op("Concat", *(b.op("Flatten", p) for p in (first, second)), axis=1))


def synapses(b: Network, x: str, kind: Kind) -> str:
    """Weights that suit the rank: a dense layer, a convolution of 3 places, a product over the last axis."""
    values = b.of(x)
    if values.ndim < 2 or values.ndim > 5:
        raise ValueError("no synapses for such a rank")
    given = values.shape[1]
    if values.ndim == 2:
        weights = _weights(b, b.weights((given, 8), given), kind, 1)
        return str(b.op("Gemm", x, weights, b.bias((8,))))
    if values.shape[2] < 3 or given > 32:
        given = values.shape[-1]
        weights = _weights(b, b.weights((given, 6), given), kind, 1)
        return str(b.op("Add", b.op("MatMul", x, weights), b.bias((6,))))
    rank = values.ndim - 2
    weights = _weights(b, b.weights((4, given, *[3] * rank), given * 3**rank), kind, 0)
    return str(b.op("Conv", x, weights, b.bias((4,)), pads=[1] * 2 * rank))


def _weights(b: Network, values: np.ndarray, kind: Kind, axis: int) -> str:
    """As they are, or as codes up to 48 and a scale."""
    if kind.weights == "float":
        return b.hold(values)
    others = tuple(a for a in range(values.ndim) if a != axis)
    top = np.abs(values).max(axis=others if kind.weights == "int8 by channel" else None)
    scale = np.maximum(top, 0.25) / 48.0
    scale = np.exp2(np.ceil(np.log2(scale))) if b.dyadic else scale
    column = scale.reshape([-1 if a == axis else 1 for a in range(values.ndim)]) if scale.ndim else scale
    held = np.round(values / column).astype(np.int8)
    extra = {"axis": axis} if scale.ndim else {}
    return str(b.op("DequantizeLinear", held, scale, np.zeros(scale.shape, np.int8), **extra))


def _of_codes(b: Network, x: str, kind: Kind) -> tuple[str, str]:
    """QLinear operators from end to end; what moves codes is applied to them as they are."""
    form = codes.FORMS[kind.quantiser]
    c = codes.encode(b, x, form)
    if b.of(c.name).ndim > 2:
        c = codes.conv(b, c, form, pads=[1] * 2 * (b.of(c.name).ndim - 2))
    hidden = codes.decode(b, c)
    if kind.middle in CODES:
        c = CODES[kind.middle](b, c, form)
    else:
        middle = MIDDLES[kind.middle]
        if not middle.codes:
            raise ValueError("not for codes")
        c = codes.Codes(middle.spell(b, c.name), *c.both)
    if kind.place == "potential":
        c = codes.dense(b, c, form)
    elif kind.place == "readout" and b.of(c.name).ndim == 2:
        return str(codes.q_gemm(b, c, form, floating=True)), hidden
    elif b.of(c.name).ndim == 4 and b.shape(c.name)[1] <= 32:
        c = codes.conv(b, c, form, kernel=1)
    return codes.decode(b, c), hidden


def optimised(model: onnx.ModelProto, level: str) -> onnx.ModelProto:
    """As onnxruntime writes it, with its own operators."""
    options = ort.SessionOptions()
    options.graph_optimization_level = {
        "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
        "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    }[level]
    options.log_severity_level = 4
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
        ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)
