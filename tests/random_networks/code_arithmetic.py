"""Sums, products, selections and functions of integer codes."""

from __future__ import annotations

import numpy as np

from random_networks.attributes import chosen
from random_networks.building import MICROSOFT, Building, Tensor
from random_networks.codes_of_tensors import Codes, coded, codes_fit, decoded


def _other(b: Building, x: Tensor, code: Codes) -> Codes:
    """Codes that broadcast against ``code``: the same again, of another scale, or constant."""
    way = b.pick(["itself", "another scale", "constant", "number"])
    if way == "itself":
        return code
    out = code.scaled(b, 2 if b.exact else 1.7)
    if way == "another scale":
        return out.named(b.op("QuantizeLinear", x, *out.parameters))
    shape = (1, x.channels) + (1,) * (len(x.shape) - 1) if way == "constant" else ()
    values = b.random.integers(-20, 21, shape) + int(b.constants[out.parameters[1]])
    info = np.iinfo(out.kind)
    return out.named(b.hold(np.clip(values, info.min, info.max), out.kind))


def qlinear_binary(b: Building, x: Tensor) -> Tensor | None:
    """QLinearAdd or QLinearMul."""
    if not codes_fit(b, x, 4):
        return None
    operator, code = b.any_of(["QLinearAdd", "QLinearMul"]), coded(b, x)
    other = _other(b, x, code)
    if operator == "QLinearMul" and other.name not in b.constants:
        operator = "QLinearAdd"  # a product of two signals: its levels are not of one tensor's grid
    out = code.scaled(b, 2)
    operands = [(code.name, *code.parameters), (other.name, *other.parameters)]
    first, second = operands if b.flip() else operands[::-1]
    y = b.op(operator, *first, *second, *out.parameters, domain=MICROSOFT)
    b.declare(y, code.name, code.element)
    return decoded(b, out.named(y), x)


def qlinear_function(b: Building, x: Tensor) -> Tensor | None:
    """QLinearLeakyRelu, QLinearSigmoid or QLinearSoftmax."""
    if not codes_fit(b, x, 4):
        return None
    operator = b.any_of(["QLinearLeakyRelu", *([] if b.exact else ["QLinearSigmoid", "QLinearSoftmax"])])
    code = coded(b, x)
    given = chosen(b, operator) if operator != "QLinearSigmoid" else {}
    if int(given.get("axis", -1)) >= len(x.shape) + 1:
        given["axis"] = 1
    factor = 2.0 if operator == "QLinearLeakyRelu" else 1 / 256 / code.scale
    out = code.scaled(b, factor)
    if operator == "QLinearSoftmax":
        out = Codes("", out.scale, out.kind, (out.parameters[0], b.hold(np.iinfo(out.kind).min, out.kind)))
    y = b.op(operator, code.name, *code.parameters, *out.parameters, domain=MICROSOFT, **given)
    b.declare(y, code.name, code.element)
    return decoded(b, out.named(y), x)


def qlinear_concat(b: Building, x: Tensor) -> Tensor | None:
    """QLinearConcat of tensors on grids of their own, along channels or the last axis."""
    if not codes_fit(b, x, 4) or x.channels > 8 or x.shape[-1] > 16:
        return None
    axis, code = chosen(b, "QLinearConcat")["axis"], coded(b, x)
    others = [code.scaled(b, 2) for _ in range(b.number(1, 2))]
    parts = [code, *(o.named(b.op("QuantizeLinear", x, *o.parameters)) for o in others)]
    out = code.scaled(b, 1)
    read = [name for part in parts for name in (part.name, *part.parameters)]
    y = b.op("QLinearConcat", *out.parameters, *read, domain=MICROSOFT, axis=axis)
    sizes = list(x.shape)
    sizes[axis - 1 if axis > 0 else -1] *= len(parts)
    b.typed(y, sizes, code.element)
    return decoded(b, out.named(y), x)


def qlinear_where(b: Building, x: Tensor) -> Tensor | None:
    """QLinearWhere by a constant mask."""
    if not codes_fit(b, x, 4):
        return None
    code = coded(b, x)
    other, out = _other(b, x, code), code.scaled(b, 1)
    mask = b.hold(b.random.integers(0, 2, x.shape) > 0, bool)
    operands = [(code.name, *code.parameters), (other.name, *other.parameters)]
    first, second = operands if b.flip() else operands[::-1]
    y = b.op("QLinearWhere", mask, *first, *second, *out.parameters, domain=MICROSOFT)
    b.declare(y, code.name, code.element)
    return decoded(b, out.named(y), x)
