"""From an exact expression to the staircase that it is, or the reason why it is none.

n = R(clip(p·z + q, ...)),   a = clip(α'·n + β, ...)      ─▶      k = clip(R'((z + δ)/θ), 0, K),  a = α·k + o
"""

from __future__ import annotations

from onnx2snn.activations.expression import Value
from onnx2snn.activations.jumps import Rounded, Run, jumps_of_curve, runs_of, same_float
from onnx2snn.activations.neuron import Staircase
from onnx2snn.activations.piecewise_linear import ONE, ChannelsDifferError, Curve, Line, again, decide
from onnx2snn.activations.rationals import NotPiecewiseLinearError, Rationals, ratio, where
from onnx2snn.activations.rules import Rounding, Rules, counted_from, mirrored, rules_of

#: A higher K is no quantiser but a float grid. A 16-bit quantiser has 65,535, and one more where its clip in float32 lies above.
MAX_LEVELS = 2**16


#: Where an expression keeps what it was reduced to.
_REDUCED = "staircase"


def reduce_to_staircase(value: Value) -> Staircase:
    """The staircase that ``value`` is; of K = 0 where exact arithmetic says that its last level is its first.

    1. A step function of z, equal steps at equal distances: thresholds stand in its breaks.
    2. One rounding of a clipped line, then a clipped line of the result.

    Raises:
        NotPiecewiseLinearError: it is none; the message says why.
        ChannelsDifferError: channels need different cases.
    """
    held = value.known  # an expression is asked several times whether it is one, and by several passes
    if _REDUCED not in held:
        try:
            held[_REDUCED] = _reduced(value)
        except (NotPiecewiseLinearError, ChannelsDifferError) as error:
            held[_REDUCED] = again(error)
    found: Staircase | Exception = held[_REDUCED]
    if isinstance(found, Exception):
        raise again(found)
    return found


def is_staircase(value: Value) -> bool:
    """Whether ``value`` is one as it stands."""
    try:
        reduce_to_staircase(value)
    except (NotPiecewiseLinearError, ChannelsDifferError):
        return False
    return True


def channels_differ(value: Value) -> bool:
    """Whether it would be a staircase, if all channels had the same cases."""
    try:
        reduce_to_staircase(value)
    except NotPiecewiseLinearError:
        return False
    except ChannelsDifferError:
        return True
    return False


def _reduced(value: Value) -> Staircase:
    if value.of_level is None or value.rounded is None:
        return _from_step(value.of_root)
    if value.of_root.value is None:
        raise NotPiecewiseLinearError("it adds the unrounded activation to the rounded one")
    shift = value.of_root.pieces[0].offset
    return _from_rounding(value.rounded, value.of_level, shift)


def _from_step(step: Curve) -> Staircase:
    start, jumps = jumps_of_curve(step)
    runs = runs_of(start, jumps)
    if len(runs) == 1:
        return _from_run(start, runs[0])
    if any(((a.rise != 0) & (b.rise != 0)).any() for a, b in zip(jumps[::2], jumps[1::2], strict=True)):
        raise NotPiecewiseLinearError("at a threshold it takes a value of neither side (Sign gives 0 at 0)")
    raise NotPiecewiseLinearError("its steps are not equal")


def _from_run(start: Rationals, run: Run) -> Staircase:
    """Level 1 from the run's first threshold on: where z + δ = θ, or 0 (ceil), or θ/2 (to the nearest level)."""
    first = {"floor": run.gap, "ceil": run.gap * 0}.get(run.rule, run.gap / 2)
    return _staircase(rules_of(run.rule), run.gap, first - run.threshold, ratio(run.count), run.rise, start)


def _single_slope(curve: Curve) -> tuple[Line, Rationals | None, Rationals | None]:
    """The one line that is not flat, and the breaks at its ends (None: it goes on for ever)."""
    sloped = [i for i, piece in enumerate(curve.pieces) if not piece.is_flat]
    if len(sloped) != 1:
        raise NotPiecewiseLinearError(
            "it is not one clipped line" if sloped else "it does not depend on its input"
        )
    i = sloped[0]
    if i > 1 or len(curve.pieces) - 1 - i > 1:
        raise NotPiecewiseLinearError("it is not one clipped line")
    low = curve.breaks[i - 1] if i > 0 else None
    high = curve.breaks[i] if i < len(curve.breaks) else None
    return curve.pieces[i], low, high


def clipped_line(curve: Curve) -> tuple[Rationals, Rationals, Rationals | None, Rationals | None] | None:
    """Slope, offset and both bounds (None: there is none) of clip(slope·z + offset, low, high); None of anything else."""
    try:
        line, *edges = _single_slope(curve)
        rising = decide(line.slope > 0)
    except (NotPiecewiseLinearError, ChannelsDifferError):
        return None
    ends = [None if edge is None else line.at(edge) for edge in edges]
    for side, end in zip((0, -1), ends, strict=True):
        if end is not None and (
            (curve.pieces[side].offset != end).any() or (curve.points[side] != end).any()
        ):
            return None  # it jumps there
    low, high = ends if rising else ends[::-1]
    return line.slope, line.offset, low, high


def _from_rounding(rounded: Rounded, of_level: Curve, shift: Rationals) -> Staircase:
    line, _, _ = _single_slope(rounded.inner)
    rising = decide(line.slope > 0)
    first, last = _rounded_range(rounded)
    first, last, alpha, bottom = _level_range(of_level, first, last)
    if first is None or last is None:
        side = "below" if first is None else "above"
        raise NotPiecewiseLinearError(f"nothing bounds its levels {side}")
    count = last - first
    if (count > MAX_LEVELS).any() or (count < 0).any():
        raise NotPiecewiseLinearError(f"it has {int(count.integers().max()) + 1} levels")
    rule = _rule(rounded.rule, first, last)
    p, q = line.slope, line.offset
    if rising:
        rules = counted_from(rules_of(rule), first.odd())
        return _staircase(rules, ONE / p, (q - first) / p, count, alpha, bottom + shift)
    rules = mirrored(rules_of(rule), last.odd())
    top = bottom + alpha * count
    return _staircase(rules, -ONE / p, (q - last) / p, count, -alpha, top + shift)


def _rounded_range(rounded: Rounded) -> tuple[Rationals | None, Rationals | None]:
    """Smallest and largest n (None: unbounded)."""
    line, low, high = _single_slope(rounded.inner)
    ends = [None if edge is None else line.at(edge).rounded(rounded.rule) for edge in (low, high)]
    for position, edge in ((0, low), (-1, high)):
        if edge is not None and (rounded.inner.pieces[position].offset != line.at(edge)).any():
            raise NotPiecewiseLinearError("it jumps where it is clipped")
    first, last = ends if decide(line.slope > 0) else ends[::-1]
    return first, last


def _level_range(
    of_level: Curve, first: Rationals | None, last: Rationals | None
) -> tuple[Rationals | None, Rationals | None, Rationals, Rationals]:
    """Where the output still follows n: (first n, last n, α, output at the first n)."""
    line, low, high = _single_slope(of_level)
    if low is not None and (first is None or (first < low).any()):
        plateau = _meeting(of_level, line, low, side=-1)
        first = plateau if first is None else where(first < low, plateau, first)
    if high is not None and (last is None or (last > high).any()):
        plateau = _meeting(of_level, line, high, side=1)
        last = plateau if last is None else where(last > high, plateau, last)
    bottom = line.at(first) if first is not None else line.offset
    return first, last, line.slope, bottom


def _meeting(of_level: Curve, line: Line, edge: Rationals, *, side: int) -> Rationals:
    """The level at which a plateau (``side`` −1: the lower, 1: the upper) meets the line at ``edge``.

    1. The plateau is the line's value at the first n beside the edge: the usual clip.
    2. It is the value one level further out: the clip falls between two n.
    """
    n = edge.rounded("ceil" if side < 0 else "floor")
    plateau = of_level.pieces[0 if side < 0 else -1].offset
    point = of_level.points[0 if side < 0 else -1]
    if ((n == edge) & (point != line.at(n))).any():
        raise NotPiecewiseLinearError("it jumps where it is clipped")
    for candidate in (n, n + side):
        if same_float(line.at(candidate), plateau).all():
            return candidate
    raise NotPiecewiseLinearError("it is clipped between two levels")


def _rule(rule: str, first: Rationals, last: Rationals) -> Rounding:
    if rule != "trunc":
        return rule  # type: ignore[return-value]
    if (first >= 0).all():
        return "floor"
    if (last <= 0).all():
        return "ceil"
    raise NotPiecewiseLinearError("a cast to integer rounds towards zero on both sides of it")


def _staircase(  # noqa: PLR0917 - in the order of the equation
    rules: Rules, theta: Rationals, delta: Rationals, count: Rationals, alpha: Rationals, shift: Rationals
) -> Staircase:
    if (alpha == 0).any():
        raise NotPiecewiseLinearError("it does not depend on its input")
    ceilings = count.integers()
    return Staircase(
        threshold=theta.floats(),
        offset=delta.floats(),
        levels=int(ceilings.max()),
        ceilings=ceilings,
        scale=alpha.floats(),
        shift=shift.floats(),
        rounding=rules,
    )


__all__ = ["MAX_LEVELS", "channels_differ", "clipped_line", "is_staircase", "reduce_to_staircase"]
