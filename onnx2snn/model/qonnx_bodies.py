"""What each operator of QONNX computes, in the text of ``onnx.parser``: a statement reads like the specification's own.

Written from the specification (github.com/fastmachinelearning/qonnx, docs/qonnx-custom-ops) and from what its executor computes,
and from nothing else: this is the witness that :mod:`onnx2snn.operators.spelled.qonnx` is compared with; neither knows the other.

Quantisers use only what opset 9 has: files of that age are common, and are run as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from onnx2snn.model.qonnx_statements import Call, clamped, number, rounding, sizes

#: The body of one call: ``(inputs) => (outputs) { statements }``.
Body = Callable[[Call], str]


def _quant(call: Call) -> str:
    """Quant: scale, add the zero point, clamp, round, and back. One bit with a sign is −1 or 1."""
    bipolar = f"""{number("most", 1.5)} {number("zero", 0)}
        single = Less(b, most)
        negative = Less(v, zero)
        minus = Neg(one)
        side = Where(negative, minus, one)
        code = Where(single, side, r)"""
    return f"""(x, scale, zero_point, bits) => (out) {{
        s = Cast<to = 1>(scale)
        z = Cast<to = 1>(zero_point)
        b = Cast<to = 1>(bits)
        q = Div(x, s)
        v = Add(q, z)
        {clamped(call, "b", "v", "y")}
        {rounding(call, call.text("rounding_mode", "ROUND"), "y", "r")}
        {bipolar if call.flag("signed", 1) else "code = Identity(r)"}
        d = Sub(code, z)
        out = Mul(d, s)
    }}"""


def _bipolar(_: Call) -> str:
    """BipolarQuant: s where x is not negative, else −s."""
    return f"""(x, scale) => (out) {{
        {number("zero", 0)}
        s = Cast<to = 1>(scale)
        negative = Less(x, zero)
        minus = Neg(s)
        out = Where(negative, minus, s)
    }}"""


def _trunc(call: Call) -> str:
    """Trunc: codes, divided by a power of two, and rounded.

    Version 1 has five inputs; the sixth of version 2 is the scale of what it writes, and it clamps.
    """
    second = call.inputs > 5
    power = f"""so = Cast<to = 1>(out_scale)
        ratio = Div(so, s)
        natural = Log(ratio)
        {number("ln2", 0.6931471805599453)}
        exact = Div(natural, ln2)
        {rounding(call, "ROUND", "exact", "exponent")}
        factor = Pow(base, exponent)"""
    difference = "exponent = Sub(b, bo) factor = Pow(base, exponent)"
    final = rounding(call, call.text("rounding_mode", "FLOOR"), "y", "r")
    return f"""(x, scale, zero_point, bits, {"out_scale, out_bits" if second else "out_bits"}) => (out) {{
        s = Cast<to = 1>(scale)
        z = Cast<to = 1>(zero_point)
        b = Cast<to = 1>(bits)
        bo = Cast<to = 1>(out_bits)
        {number("base", 2)}
        q = Div(x, s)
        v = Add(q, z)
        {rounding(call, "ROUND", "v", "code")}
        {power if second else difference}
        part = Div(code, factor)
        {clamped(call, "bo", "part", "y") if second else "y = Identity(part)"}
        {final}
        zo = {"Div(z, factor)" if second else "Identity(z)"}
        d = Sub(r, zo)
        out = Mul(d, {"so" if second else "s"})
    }}"""


def _float_quant(call: Call) -> str:
    """FloatQuant: to the nearest multiple of the last place, 2^(floor(log2 |x|) − mantissa bits), and clamped.

    The logarithm is only a first guess: the exponent is what powers of two say.
    """
    if not call.flag("saturation", 1):
        raise ValueError("a FloatQuant that does not saturate writes what is no number")
    return f"""(x, scale, exponent_bits, mantissa_bits, bias, largest) => (out) {{
        s = Cast<to = 1>(scale) e = Cast<to = 1>(exponent_bits) m = Cast<to = 1>(mantissa_bits)
        c = Cast<to = 1>(bias) most = Cast<to = 1>(largest)
        {number("one", 1)} {number("two", 2)} {number("tiny", 2.0**-126)} {number("ln2", 0.6931471805599453)}
        v = Div(x, s)
        magnitude = Abs(v)
        size = Add(magnitude, tiny)
        natural = Log(size) logarithm = Div(natural, ln2) guess = Floor(logarithm)
        guessed = Pow(two, guess) twice = Mul(two, guessed)
        beneath = Less(size, guessed) beyond = Less(size, twice) within = Cast<to = 1>(beyond)
        lower = Cast<to = 1>(beneath) higher = Sub(one, within)
        up = Add(guess, higher) exponent = Sub(up, lower)
        place = Sub(exponent, m)
        least = Sub(one, c) lowest = Sub(least, m)
        bounded = Max(place, lowest)
        unit = Pow(two, bounded)
        y = Div(v, unit)
        {rounding(call, call.text("rounding_mode", "ROUND"), "y", "r")}
        value = Mul(unit, r)
        all = Pow(two, e) codes = Sub(all, one) last = Sub(codes, c) reach = Pow(two, last)
        negative = Neg(m) ulp = Pow(two, negative) full = Sub(two, ulp) own = Mul(full, reach)
        high = Min(own, most)
        low = Neg(high)
        raised = Max(value, low) kept = Min(raised, high)
        out = Mul(kept, s)
    }}"""


def _multi_threshold(call: Call) -> str:
    """MultiThreshold: how many of a channel's thresholds x reaches, scaled and shifted.

    Channels stand where the layout says; without one, second, or last in three axes.
    """
    layout = call.text("data_layout", "")
    position = layout.index("C") if "C" in layout else 1
    if layout and position not in (1, len(layout) - 1):
        raise ValueError(f"channels in the middle of the layout '{layout}'")
    second, last = "around = Identity(channels_second)", "around = Identity(channels_last)"
    by_rank = """rank = Size(shape)
        three = Constant<value = int64 {3}>()
        in_three = Equal(rank, three)
        around = Where(in_three, channels_last, channels_second)"""
    chosen = by_rank if not layout else last if position == len(layout) - 1 and position != 1 else second
    reduce = "n = ReduceSum<axes = [3], keepdims = 0>(counted)"
    if call.opset >= 13:
        reduce = f"{sizes('axis', [3])} n = ReduceSum<keepdims = 0>(counted, axis)"
    return f"""(x, thresholds) => (out) {{
        shape = Shape(x)
        {sizes("channels_second", [0, 0, -1, 1])}
        {sizes("first", [-1])} {sizes("ones", [1, 1])} {sizes("end", [-1])}
        channels = Gather(shape, end)
        channels_last = Concat<axis = 0>(first, channels, ones)
        {chosen}
        v = Reshape(x, around)
        {sizes("apart", [0, 1, -1])}
        t = Reshape(thresholds, apart)
        under = Less(v, t)
        reached = Not(under)
        counted = Cast<to = 1>(reached)
        {reduce}
        count = Reshape(n, shape)
        {number("scale", call.attributes.get("out_scale", 1.0))}
        {number("bias", call.attributes.get("out_bias", 0.0))}
        scaled = Mul(scale, count)
        out = Add(scaled, bias)
    }}"""


def _xnor_popcount_matmul(_: Call) -> str:
    """XnorPopcountMatMul: of bits 0 and 1, in how many places a row and a column agree."""
    return f"""(x, w) => (out) {{
        {number("one", 1)} {number("two", 2)} {number("half", 0.5)}
        twice_x = Mul(two, x) signs_x = Sub(twice_x, one)
        twice_w = Mul(two, w) signs_w = Sub(twice_w, one)
        difference = MatMul(signs_x, signs_w)
        shape = Shape(w)
        {sizes("first", [0])}
        places = Gather(shape, first)
        k = Cast<to = 1>(places)
        both = Add(difference, k)
        out = Mul(both, half)
    }}"""


def _quant_avg_pool(call: Call) -> str:
    """QuantAvgPool2d: sums of codes, shifted right to so many bits."""
    k, stride = call.whole("kernel"), call.whole("stride")
    largest = (2 ** call.whole("ibits") - 1) * k * k
    shift = max(largest.bit_length() - call.whole("obits"), 0)
    last = call.text("data_layout", "NCHW") == "NHWC"
    return f"""(x) => (out) {{
        v = {"Transpose<perm = [0, 3, 1, 2]>(x)" if last else "Identity(x)"}
        mean = AveragePool<kernel_shape = [{k}, {k}], strides = [{stride}, {stride}]>(v)
        {number("places", k * k)}
        y = Mul(mean, places)
        {rounding(call, "ROUND", "y", "total")}
        {number("factor", 2.0**shift)}
        part = Div(total, factor)
        r = Floor(part)
        out = {"Transpose<perm = [0, 2, 3, 1]>(r)" if last else "Identity(r)"}
    }}"""


def _max_pool_nhwc(call: Call) -> str:
    """MaxPoolNHWC: MaxPool, channels last."""
    names = ("kernel_shape", "pads", "strides")
    lists = [f"{name} = {list(call.attributes[name])}" for name in names if name in call.attributes]
    return f"""(x) => (out) {{
        v = Transpose<perm = [0, 3, 1, 2]>(x)
        m = MaxPool<{", ".join([*lists, f"ceil_mode = {call.whole('ceil_mode', 0)}"])}>(v)
        out = Transpose<perm = [0, 2, 3, 1]>(m)
    }}"""


#: By operator.
BODIES: Mapping[str, Body] = {
    "BipolarQuant": _bipolar,
    "FloatQuant": _float_quant,
    "IntQuant": _quant,
    "MaxPoolNHWC": _max_pool_nhwc,
    "MultiThreshold": _multi_threshold,
    "Quant": _quant,
    "QuantAvgPool2d": _quant_avg_pool,
    "Trunc": _trunc,
    "XnorPopcountMatMul": _xnor_popcount_matmul,
}
