"""Blocks of networks: what architectures are made of. Each maps a tensor to a tensor that another block can read."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from random_networks.activations import activate
from random_networks.affine import AFFINE
from random_networks.arithmetic import Grid
from random_networks.building import EXACT, Building, Tensor, unit_of
from random_networks.moves import MOVES, max_pool, shuffled
from random_networks.synapses import conv_same, gemm, matmul, summed, weighted
from random_networks.versions import clip, resize, split

Block = Callable[[Building, Tensor], "Tensor | None"]


def ready(b: Building, x: Tensor) -> Tensor:
    """``x``, quantised if its values are too fine for another layer of synapses to be exact."""
    return activate(b, x) if b.exact and x.top / x.unit > EXACT / 64 else x


def unit(b: Building, x: Tensor) -> Tensor:
    """Synapses, whatever is affine, perhaps a maximum, an activation."""
    z = weighted(b, ready(b, x))
    for _ in range(b.number(0, 2)):
        z = b.pick(AFFINE)(b, z) or z
    if b.flip() and b.flip():
        z = max_pool(b, z) or z
    return activate(b, z)


def same(b: Building, x: Tensor, channels: int, weights: str | None = None) -> Tensor:
    """Synapses that keep all sizes but that of the channels."""
    if len(x.shape) == 1:
        return gemm(b, x, channels)
    return conv_same(b, x, channels, weights)


def joined(b: Building, op: str, *parts: Tensor) -> Tensor | None:
    """A sum, difference or mean of tensors of one shape."""
    name = b.op(op, *parts)
    unit = min(p.unit for p in parts) / (len(parts) if op == "Mean" else 1)
    top = sum(p.top for p in parts)
    changed = {"levels": False, "finite": all(p.finite for p in parts)}
    return b.value(name, like=parts[0], unit=unit, top=top, **changed) if b.fits(unit, top) else None


def beside(b: Building, *parts: Tensor) -> Tensor:
    """Tensors side by side, along the channels."""
    name = b.op("Concat", *parts, axis=b.pick([1, -len(parts[0].shape)]) if b.opset >= 11 else 1)
    return b.value(
        name,
        like=parts[0],
        unit=min(p.unit for p in parts),
        top=max(p.top for p in parts),
        levels=all(p.levels for p in parts) and b.exact,
        finite=all(p.finite for p in parts),
    )


def residual(b: Building, x: Tensor) -> Tensor | None:
    """Two layers beside a shortcut, the sum quantised or not."""
    x = ready(b, x)
    inner = same(b, activate(b, same(b, x, x.channels)), x.channels)
    shortcut = x if b.flip() else same(b, x, x.channels)
    total = joined(
        b, b.pick(["Add", "Sum", "Sub", "Mean"]), *((inner, shortcut) if b.flip() else (shortcut, inner))
    )
    return total if total is None or b.flip() else activate(b, total)


def preactivation(b: Building, x: Tensor) -> Tensor | None:
    """A stream of potentials, read by neurons that add to it."""
    stream = same(b, ready(b, x), x.channels)
    for _ in range(b.number(1, 3)):
        z = (b.pick(AFFINE[:2])(b, stream) or stream) if b.flip() else stream
        more = joined(b, "Add", stream, same(b, activate(b, z), x.channels))
        stream = more or activate(b, stream)
    return activate(b, stream)


def dense(b: Building, x: Tensor) -> Tensor:
    """Each layer reads all before it, side by side."""
    for _ in range(b.number(1, 2)):
        x = ready(b, x)
        x = beside(b, x, activate(b, same(b, x, b.pick([2, 3]))))
    return x


def u_net(b: Building, x: Tensor) -> Tensor | None:
    """Down, and up again beside what was there before."""
    if len(x.shape) != 3 or x.shape[1] % 2 or x.shape[2] % 2 or x.shape[1] < 4:
        return None
    x = ready(b, x)
    z = same(b, x, 4)
    down = activate(b, b.value(b.op("MaxPool", z, kernel_shape=[2, 2], strides=[2, 2]), like=z))
    return beside(b, _up(b, activate(b, same(b, down, 4))), x)


def _up(b: Building, x: Tensor) -> Tensor:
    if b.flip():
        weights = b.weights((x.channels, 3, 2, 2), (0, 2, 3), x)
        name = b.op("ConvTranspose", x, weights, strides=[2, 2])
        return activate(b, summed(b, x, name, weights, (0, 2, 3), None))
    return b.value(resize(b, x, "nearest", [1.0, 1.0, 2.0, 2.0], "asymmetric"), like=x)


def inverted_residual(b: Building, x: Tensor) -> Tensor | None:
    """Expand, depthwise, project: MobileNet's block, the shortcut between its narrow ends."""
    if len(x.shape) != 3:
        return None
    x = ready(b, x)
    wide = activate(b, _one_by_one(b, x, 2 * x.channels))
    weights = b.weights((wide.channels, 1, 3, 3), (1, 2, 3), wide)
    deep = summed(
        b, wide, b.op("Conv", wide, weights, group=wide.channels, pads=[1] * 4), weights, (1, 2, 3), None
    )
    narrow = _one_by_one(b, activate(b, deep), x.channels)
    narrow = activate(b, narrow) if b.flip() else narrow
    return joined(b, "Add", x, narrow)


def _one_by_one(b: Building, x: Tensor, channels: int) -> Tensor:
    weights = b.weights((channels, x.channels, 1, 1), (1, 2, 3), x)
    bias = b.bias((channels,))
    return summed(b, x, b.op("Conv", x, weights, bias), weights, (1, 2, 3), bias)


def parted(b: Building, x: Tensor) -> Tensor | None:
    """Half of the channels pass, half are computed with: ShuffleNet's block."""
    if x.channels < 2:
        return None
    x = ready(b, x)
    half = x.channels // 2
    left, right = (b.value(n, like=x) for n in split(b, x.name, [half, x.channels - half], 1))
    result = beside(b, left, activate(b, same(b, right, half)))
    return shuffled(b, result) or result


def inception(b: Building, x: Tensor) -> Tensor | None:
    """Branches of different depth and grid, side by side."""
    x = ready(b, x)
    branches = [activate(b, same(b, x, 2)), activate(b, same(b, activate(b, same(b, x, 3)), 2))]
    return beside(b, *branches, *([x] if b.flip() else []))


def shared_weights(b: Building, x: Tensor) -> Tensor:
    """One constant in two layers."""
    x = ready(b, x)
    if len(x.shape) == 1:
        return activate(b, matmul(b, activate(b, matmul(b, x, x.channels)), x.channels))
    first = same(b, x, x.channels)
    held = next(n.input[1] for n in reversed(b.nodes) if n.op_type == "Conv")
    y = activate(b, first)
    if b.exact and y.top / y.unit * 9 * x.channels * 8 > EXACT:
        return y
    return activate(b, same(b, y, x.channels, held))


def extreme(b: Building, x: Tensor) -> Tensor:
    """The larger, or smaller, of two activations on one grid."""
    x = ready(b, x)
    grid = Grid(np.asarray(0.5, np.float32), b.pick([0, -4]), b.pick([7, 15]))
    parts = [same(b, x, 3), same(b, x, 3)]
    made = [_floored(b, part, grid) for part in parts]
    return b.value(b.op(b.pick(["Max", "Min"]), *made), like=made[0])


def _floored(b: Building, x: Tensor, grid: Grid) -> Tensor:
    """An activation whose rounding is the same wherever it stands."""
    k = b.op("Floor", b.op("Div", x, grid.step))
    a = b.op("Mul", clip(b, k, grid.low, grid.high), grid.step)
    return b.value(a, like=x, unit=0.5, top=16.0, levels=True, finite=True)


def forked_potential(b: Building, x: Tensor) -> Tensor | None:
    """One potential, two activations."""
    z = same(b, ready(b, x), x.channels)
    first, second = activate(b, z), activate(b, z)
    return joined(b, "Add", same(b, first, 3), same(b, second, 3))


def pooled(b: Building, x: Tensor) -> Tensor | None:
    """A maximum of activations, or of what is made of them."""
    return max_pool(b, x) if x.levels or b.on_lattice(x) else None


def shortcut(b: Building, x: Tensor) -> Tensor | None:
    """A sum of activations, that nothing quantises: cut at zero, compared, or left as it is."""
    x = ready(b, x)
    inner = activate(b, same(b, x, x.channels))
    ways = ["Add", "Add", "Sub", "Mean"] if b.exact else ["Add"]
    total = joined(b, b.pick(ways), *((inner, x) if b.flip() else (x, inner)))
    if total is None or not b.on_lattice(total):
        return total
    way = b.pick(["itself", "Relu", "Clip", "Max", "Min"])
    if way == "itself":
        return total
    if way == "Relu":
        return b.value(b.op(way, total), like=total)
    if way == "Clip":
        return b.value(
            clip(b, total.name, b.pick([0.0, -1.0, None]), b.pick([2.0, 6.0])),
            like=total,
            unit=min(total.unit, 1.0),
        )
    return b.value(b.op(way, total, inner), like=total)


def rounded(b: Building, x: Tensor) -> Tensor | None:
    """What is made of activations, scaled and rounded again; it needs no clip."""
    shape = b.pick([(), (x.channels,) + (1,) * (len(x.shape) - 1)])
    factors = b.factors(
        shape, positive=not b.exact
    )  # a clip per channel, then both signs: of two roots at once
    factors *= np.float32(2.0 ** round(math.log2(b.pick([4, 16, 64]) / x.top)))
    top = x.top * float(np.abs(factors).max()) + 1
    if not x.finite or not b.fits(x.unit * unit_of(factors), top):
        return None
    z = b.op("Mul", x, factors) if b.flip() else b.op("Mul", factors, x)
    way = b.pick(["Floor", "Ceil", *(["Round"] if b.opset >= 11 else [])])
    k = b.op(way, z)
    step = np.float32(b.pick([1.0, 0.5, 0.25]))
    a = b.op("Mul", k, step) if b.flip() else k
    return b.value(a, like=x, unit=0.25, top=top, levels=True, finite=True)


def moved(b: Building, x: Tensor) -> Tensor | None:
    """Values change places."""
    return b.pick(MOVES)(b, x)


def affine(b: Building, x: Tensor) -> Tensor | None:
    """Anything affine."""
    return b.pick(AFFINE)(b, x)


def requantised(b: Building, x: Tensor) -> Tensor | None:
    """An activation of an activation, on another grid or its own."""
    return activate(b, x) if x.levels else None


BLOCKS: tuple[Block, ...] = (
    unit,
    moved,
    pooled,
    affine,
    residual,
    preactivation,
    dense,
    u_net,
    inverted_residual,
    parted,
    inception,
    shared_weights,
    extreme,
    forked_potential,
    requantised,
    rounded,
    shortcut,
)
