"""Write docs/operators.md from the tables by which the converter decides.

python docs/scripts/operators_page.py
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from onnx2snn.activations.operators import HANDLERS as ELEMENTWISE
from onnx2snn.operators import Operator, every
from onnx2snn.operators.linear import EXTREME, ORDER_PRESERVING
from onnx2snn.operators.spelled.integer_arithmetic import HANDLERS as INTEGER
from onnx2snn.operators.spelled.qonnx import HANDLERS as QONNX_OPERATORS
from onnx2snn.operators.spelled.qonnx import QONNX
from onnx2snn.passes.normalise.expand_fused_operators import DEFINITIONS as FUSED
from onnx2snn.passes.normalise.upgrade_opset import OPSET

PAGE = Path(__file__).parents[1] / "operators.md"

TEXT = """\
# Operators

<!-- Written by docs/scripts/operators_page.py from the converter's own tables. -->

What each ONNX operator becomes. The tables are those by which the converter decides; a test keeps this page current.
Models of any opset are read ({opset} is what they are brought to), with float16, bfloat16 and float64 computed in float32.

What matters is where an operator stands:

| place | what may stand there |
| --- | --- |
| in front of the first synapses | anything: the input is analog |
| between neurons | [synaptic operators](#synaptic-operators), [maxima](#maxima), [activations](#quantised-activations) |
| | [products](method.md#products) of two signals |
| in front of a quantiser | any function of one tensor; [quotients](method.md#quotients): softmax, normalisation, division |
| behind the last synapses | anything: softmax, argmax, ... read the decoded readout |

Everything else between neurons (a sort, a function that nothing quantises in front of weights) is refused with the
node's name and a remedy, or kept and reported as non-spiking with `--hybrid`.

## Synaptic operators

Linear: each time step passes through them on its own, as spikes or as the currents that spikes cause.
**Bold**: layers of synapses, with weights; thresholds and scales are absorbed there.

| operator | where |
| --- | --- |
{linear}

Other spellings of these, such as an Einsum with constant weights, are rewritten first. An operator that breaks its condition is
treated as any other nonlinearity. All of them may carry constant parts (biases, offsets,
`x − 0.25`): these are evaluated once and added to the next neuron's membrane potential.

## Maxima

They commute with a rising staircase, so they move in front of the neuron, onto membrane potentials: {order}, and
{extreme} of several activations on one grid. Activations side by side are pooled part by part where they round in different ways.

Where no single activation is pooled or compared (the sum of a residual block, a mean, activations on different grids, Sign in
two steps, terms by place), its values may still lie on one lattice: scales of which all are multiples have a common measure u,
and a sum of levels takes (high − low)/u + 1 values. Then the maximum is taken of membrane potentials, and a neuron of θ = u
behind it encodes it exactly. So it is with `Relu`, `Clip`, `Max` and `Min` of such a sum that nothing quantises. Scales
without a common measure (within 16 bits) are refused.

## Quantised activations

A quantised activation is recognised by algebra, in whatever order these operators write it. Each is evaluated as a
piecewise linear function of one tensor, with exact rational numbers:

{elementwise}

Constants may be scalars or one per channel. What the expression comes to must be *one* staircase,
a = α · clip(R((z + δ)/θ), 0, K) + o; `onnx2snn inspect model.onnx` prints it, or the nearest miss and its reason.
A rounding without a clip has bounds where what it rounds has: levels that were scaled, moved, pooled, joined or added.

## Quantisers and integer operators

Rewritten in float32 operators of exactly the same meaning, before anything else:

| domain | operators |
| --- | --- |
{integers}

Operators of ONNX that are functions of others, and have no rule of their own, are read as the bodies that their definitions give
them: Attention, RotaryEmbedding, ReduceSumSquare, CenterCropPad ... A body that loops is not.

Operators of com.microsoft that onnxruntime makes of several, when it optimises a file, are written out in those of ONNX first:
{fused}. Attention is read without a past; MatMulNBits at the accuracy levels 0 and 1, since at others a kernel may round what it
reads.

DynamicQuantizeLinear takes one scale for all that it reads. Where the file fixes a batch of 1 that is a scale for each sample,
which a neuron's thresholds are multiplied with; of a batch of any other size it is refused.
"""


def page() -> str:
    """The page's text."""
    return TEXT.format(
        opset=OPSET,
        linear="\n".join(_row(operator) for operator in every() if operator.linear),
        order=_listed(ORDER_PRESERVING),
        extreme=_listed(EXTREME),
        fused=_listed(FUSED),
        elementwise=_listed(ELEMENTWISE),
        integers="\n".join(f"| {domain} | {_listed(names)} |" for domain, names in _quantisers().items()),
    )


def _row(operator: Operator) -> str:
    name, condition = operator.name, (operator.linear.__doc__ or "").strip()
    if not condition or "\n" in condition:
        raise ValueError(f"the test of {name} says in one line what it asks for")
    return f"| {f'**{name}**' if operator.weights else name} | {condition[0].lower()}{condition[1:].rstrip('.')} |"


def _quantisers() -> dict[str, list[str]]:
    found = {
        "ONNX": ["QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"],
        "com.microsoft": ["QuantizeLinear", "DequantizeLinear"],
    }
    for domain, name in INTEGER:
        found[domain or "ONNX"].append(name)
    return found | {f"QONNX ({', '.join(QONNX)})": list(QONNX_OPERATORS)}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
