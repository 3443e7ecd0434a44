"""The staircase: what every quantised clipped activation is, however it was written."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx2snn.activations.rules import Rules, by_rule, rounded

Float = NDArray[np.float32]

#: The fields of a :class:`Staircase` that hold a value for each channel.
ARRAYS = ("threshold", "offset", "ceilings", "scale", "shift", "rounding")


@dataclass(frozen=True)
class Staircase:
    """k = clip(R((z + δ) / θ), 0, K),  a = α·k + o  (Datta et al. 2023, eq. 5, with all its parameters free).

    Arrays broadcast against one sample, without the batch axis: shape () for one value, (C, 1, 1) per channel.

    Attributes:
        threshold: θ > 0, the quantisation step and base threshold, in units of z.
        offset: δ, added to z before it is compared, in units of z.
        levels: K, the highest level; where channels differ, the largest.
        ceilings: K of each channel (all equal to ``levels`` in most networks).
        scale: α, output per level; may be negative.
        shift: o, the output at level 0.
        rounding: R, by name. ``floor``: k ≥ j where z + δ ≥ j·θ; ``ceil``: k ≥ j where z + δ > (j − 1)·θ;
            ``half_even``, ``half_odd``: to the nearest level, ties to the even (odd) one.

    >>> half, zero = np.array(0.5), np.array(0.0)
    >>> staircase = Staircase(half, zero, 7, np.array(7), half, zero, np.array("half_even"))
    >>> staircase.formula, staircase.timesteps
    ('0.5·clip(round(z/0.5), 0, 7)', 3)
    >>> staircase.level(np.array([-1.0, 0.25, 0.75, 9.0])).tolist()
    [0, 0, 2, 7]
    """

    threshold: NDArray[np.float64]
    offset: NDArray[np.float64]
    levels: int
    ceilings: NDArray[np.int64]
    scale: NDArray[np.float64]
    shift: NDArray[np.float64]
    rounding: Rules

    @property
    def timesteps(self) -> int:
        """T = ceil(log2(K + 1))."""
        return max(1, math.ceil(math.log2(self.levels + 1)))

    @property
    def reach(self) -> NDArray[np.float64]:
        """The largest threshold by magnitude, in units of θ."""
        return np.asarray(self.levels + 1.0)

    @property
    def formula(self) -> str:
        """The staircase in the terms of the module, with numbers where all channels share them."""
        theta, delta = number(self.threshold, "θ"), number(self.offset, "δ")
        inner = f"z/{theta}" if delta == "0" else f"(z {signed(delta)})/{theta}"
        names = by_rule(self.rounding, floor="floor", ceil="ceil", half_even="round", half_odd="round_to_odd")
        name = names.item() if names.size == 1 else "R"
        shift = number(self.shift, "o")
        tail = "" if shift == "0" else f" {signed(shift)}"
        return f"{number(self.scale, 'α')}·clip({name}({inner}), 0, {self.levels}){tail}"

    def per_sample(self, rank: int) -> Staircase:
        """The same without the batch axis of tensors of ``rank`` axes."""
        held = {name: getattr(self, name) for name in ARRAYS}
        return replace(self, **{name: a.reshape(a.shape[1:]) for name, a in held.items() if a.ndim == rank})

    def level(self, z: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
        """The level k of pre-activations ``z`` (N, ...), computed in float64."""
        u = (np.asarray(z, np.float64) + self.offset) / self.threshold
        return np.clip(rounded(u, self.rounding), 0, self.ceilings).astype(np.int64)

    def level_range(
        self, low: NDArray[np.float64], high: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The lowest and the highest level between pre-activations ``low`` and ``high`` (N, ...): same shape."""
        return self.level(low), self.level(high)

    def lower_edges(self, k: NDArray[Any]) -> NDArray[np.float64]:
        """The smallest z (up to the strictness of R) at which the level is ``k`` (k ≥ 1)."""
        steps = by_rule(self.rounding, floor=k, ceil=k - 1, half_even=k - 0.5, half_odd=k - 0.5)
        return np.asarray(steps * self.threshold - self.offset)


@dataclass(frozen=True)
class NeuronParameters:
    """What an IF node holds besides its bias (METHOD 3), float32, for T steps, most significant bit first.

    Attributes:
        bias: δ, added to the membrane potential once; shape of one sample's parameters.
        compare: (T, ...): a spike at step t where v ≥ compare[t].
        subtract: (T, ...): what a spike takes from v.
        ceiling: v is cut to it before the first spike.
    """

    bias: Float
    compare: Float
    subtract: Float
    ceiling: Float


def neuron_parameters(staircase: Staircase, timesteps: int) -> NeuronParameters:
    """The thresholds by which an IF neuron computes ``staircase``.

    Powers of two times θ are exact in floating point, and so (Sterbenz) is each subtraction v − 2^j·θ while
    2^j·θ ≤ v ≤ 2^(j+1)·θ: generation never rounds. ``v > c`` is written ``v ≥ nextafter(c)``. The ceiling stands in the
    middle of level K, where rounding cannot move it below the threshold K·θ.

    Where θ is a float32 number itself, as a quantiser's scale is, each c is the first number on the other side of its place,
    (2^j − h)·θ: all float32 potentials decide as exact ones would. A θ that was rounded is not known as well as that, and
    places are rounded to the nearest number, too: most often to the tie that they were.
    """
    rules = staircase.rounding
    theta = np.broadcast_to(
        staircase.threshold.astype(np.float32), np.broadcast_shapes(staircase.threshold.shape, rules.shape)
    )
    bits = np.arange(timesteps - 1, -1, -1)
    column = (timesteps,) + (1,) * theta.ndim
    powers = np.ldexp(np.float32(1), bits).astype(np.float32).reshape(column)
    last = (bits == 0).reshape(column)
    subtract = powers * theta
    own = theta == staircase.threshold
    half, whole = (powers - 0.5) * theta.astype(np.float64), (powers - 1.0) * theta.astype(np.float64)
    least, more = _reached(half, own, open_=False), _reached(half, own, open_=True)
    compare = by_rule(
        rules,
        floor=subtract,
        ceil=_reached(whole, own, open_=True),
        half_even=np.where(last, more, least),
        half_odd=np.where(last, least, more),
    )
    middle = by_rule(rules, floor=0.5, ceil=-0.5, half_even=0, half_odd=0).astype(np.float32)
    ceiling = (staircase.ceilings.astype(np.float32) + middle) * theta
    bias = staircase.offset.astype(np.float32)
    return NeuronParameters(bias, compare.astype(np.float32), subtract, ceiling.astype(np.float32))


def rate_parameters(staircase: Staircase, timesteps: int) -> NeuronParameters:
    """The thresholds of a plain IF neuron that starts at half its threshold, with one spike a level: K = T.

    Starting at 0 and comparing with θ/2 is the same; ``bias`` is what is left of δ.
    """
    theta = staircase.threshold.astype(np.float32)
    column = np.ones((timesteps,) + (1,) * theta.ndim, np.float32)
    return NeuronParameters(
        bias=(staircase.offset - staircase.threshold / 2).astype(np.float32),
        compare=column * (theta / np.float32(2)),
        subtract=column * theta,
        ceiling=theta * np.float32(timesteps),
    )


def _reached(places: NDArray[np.float64], exactly: NDArray[np.bool_], *, open_: bool) -> Float:
    """The first float32 numbers that are as large as ``places``, or larger where these are ``open_``.

    Where they are not to be taken ``exactly``, places are the nearest such numbers.
    """
    near = places.astype(np.float32)
    places = np.where(exactly, places, near)
    short = near <= places if open_ else near < places
    found: Float = np.where(short, np.nextafter(near, np.float32(np.inf)), near).astype(np.float32)
    return found


def number(values: NDArray[Any], symbol: str) -> str:
    """One number where all channels agree, else the symbol."""
    flat = np.unique(values)
    return f"{flat[0]:.6g}" if flat.size == 1 else symbol


def signed(text: str) -> str:
    """A number as a term of a sum."""
    return f"- {text[1:]}" if text.startswith("-") else f"+ {text}"
