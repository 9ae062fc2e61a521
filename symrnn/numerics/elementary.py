# SPDX-License-Identifier: BSD-3-Clause
r"""tanh, sigmoid and exp of float64 arrays, each with a proven bound of its error.

NumPy's own functions come with no proof. These use table entries, the four operations of
IEEE 754 and nothing else, so that their errors can be counted; docs/theory/elementary.md
counts them.

Note [How it is computed]
    An argument is split into $x = k/64 + r$ with $|r| \le 1/128$, exactly, and

    * $e^x = T_k + T_k\,(e^r - 1)$ with $T_k = e^{k/64}$ from a table,
    * $\sigma(x) = e^x/(1 + e^x)$,
    * $\tanh x = (t_k + \tau)/(1 + t_k\tau)$ with $t_k = \tanh(k/64)$ from a table and
      $\tau = \tanh r$,

    where $e^r - 1$ and $\tanh r$ are Taylor polynomials. All three keep their *relative*
    accuracy: tanh near 0 and sigmoid far to the left are as good as anywhere else.

Note [The split]
    In $[2^{46}, 2^{47})$ floats are 1/64 apart, so adding $1.5\cdot2^{46}$ to x rounds it
    to the nearest $k/64$, and leaves k in the lowest bits of the sum. Subtracting the
    constant again is exact, and so is $r = x - k/64$: for $k = 0$ trivially, else
    because the two are within a factor of 2 (Sterbenz' lemma).

Note [Blocks]
    Work goes through the arrays in blocks that stay in cache. Every element is computed
    from itself alone, so results do not depend on how an array is cut. Nothing is shared
    between threads but tables that never change, and NumPy releases the interpreter lock
    within blocks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from symrnn.numerics.upward import TINY, UNIT, check_arithmetic, up

__all__ = [
    "RELATIVE_ERROR",
    "SIGMOID",
    "TANH",
    "UNDERFLOW",
    "FirstOrder",
    "Floats",
    "exp",
    "sigmoid",
    "sigmoid_enclosure",
    "sigmoid_values",
    "tanh",
    "tanh_enclosure",
    "tanh_values",
]

Floats = npt.NDArray[np.float64]

RELATIVE_ERROR = 6.1 * UNIT
"""What bounds the error of every value of tanh and sigmoid, but for `UNDERFLOW`."""

UNDERFLOW = 16 * TINY
"""More than all losses below the normal numbers together."""

_BLOCK = 8192  # elements: half a dozen arrays of 64 KiB fit into a second-level cache


def exp(x: Any) -> tuple[Floats, Floats]:
    r"""Return $e^x$ of every element, and a bound of the error of each.

    The error is at most 2.05·2^-53 of the value, and a few times 2^-1074 below the
    normal numbers. Where $e^x$ is too large for a float, value and error are infinite.

    Args:
        x: Float64 numbers, any shape. Of NaN the value is NaN and the error infinite.

    Returns:
        ``(value, error)``, float64, in the shape of `x`.

    >>> value, error = exp([0.0, 1.0])
    >>> value.tolist(), bool((error < 3e-16 * value).all())
    ([1.0, 2.718281828459045], True)
    """
    return _with_error(x, _exp_block)


def sigmoid(x: Any) -> tuple[Floats, Floats]:
    r"""Return $\sigma(x) = 1/(1 + e^{-x})$ of every element, and a bound of each error.

    The error is at most 4.08·2^-53 of the value (2.06 where σ is near 1), and a few
    times 2^-1074 below the normal numbers.

    Args:
        x: Float64 numbers, any shape; infinity has its limit. Of NaN the value is NaN
            and the error infinite.

    Returns:
        ``(value, error)``, float64, in the shape of `x`.

    >>> sigmoid([0.0, -700.0])[0].tolist()
    [0.5, 9.85967654375977e-305]
    """
    return _with_error(x, _sigmoid_block)


def tanh(x: Any) -> tuple[Floats, Floats]:
    """Return tanh of every element, and a bound of the error of each.

    The error is at most 6.1·2^-53 of the value, and from 1/2 on less than 4.1·2^-53.

    Args:
        x: Float64 numbers, any shape; infinity has its limit. Of NaN the value is NaN
            and the error infinite.

    Returns:
        ``(value, error)``, float64, in the shape of `x`.

    >>> tanh([[1e-200, -1.0, 40.0]])[0].tolist()
    [[1e-200, -0.7615941559557649, 1.0]]
    """
    return _with_error(x, _tanh_block)


def tanh_enclosure(mid: Any, rad: Any) -> tuple[Floats, Floats]:
    r"""Return an enclosure of tanh on the balls ``mid ± rad``.

    Up to rad = 1/4 the midpoint is the computed $\tanh(mid)$ and the radius bounds
    $|\tanh(m + d) - \tanh m| \le (1 - \tanh^2 m)\,r/(1 - r)$ and the error. Beyond, the
    hull of the images of both ends is taken. An infinite radius stands for all numbers,
    and so does NaN in either place.

    Args:
        mid: Float64 midpoints, any shape.
        rad: Radii, 0 or more, that broadcast with them.

    Returns:
        ``(mid, rad)``: every tanh(y), |y - mid| <= rad, is within rad of mid.

    >>> middle, radius = tanh_enclosure([0.5, 0.0], [1e-3, np.inf])
    >>> middle.round(6).tolist(), radius.round(6).tolist()
    ([0.462117, 0.0], [0.000788, 1.0])
    """
    return _enclose(mid, rad, _tanh_block, TANH, (-1.0, 1.0))


def sigmoid_enclosure(mid: Any, rad: Any) -> tuple[Floats, Floats]:
    r"""Return an enclosure of the logistic function on the balls ``mid ± rad``.

    As `tanh_enclosure`, with
    $|\sigma(m + d) - \sigma(m)| \le \sigma(m)(1 - \sigma(m))\,(e^r - 1)$.

    Args:
        mid: Float64 midpoints, any shape.
        rad: Radii, 0 or more, that broadcast with them.

    Returns:
        ``(mid, rad)``: every σ(y), |y - mid| <= rad, is within rad of mid.

    >>> middle, radius = sigmoid_enclosure([0.0, 0.0], [1e-3, np.inf])
    >>> middle.tolist(), radius.round(6).tolist()
    ([0.5, 0.5], [0.00025, 0.5])
    """
    return _enclose(mid, rad, _sigmoid_block, SIGMOID, (0.0, 1.0))


# --- blocks --------------------------------------------------------------------------

_Block = Callable[[Floats, Floats, Floats], None]
"""Takes arguments, and writes values and errors; all one-dimensional and equally long."""


def _with_error(x: Any, block: _Block) -> tuple[Floats, Floats]:
    check_arithmetic()
    x = np.asarray(x, dtype=np.float64)
    flat = x.reshape(-1)
    value, error = np.empty_like(flat), np.empty_like(flat)
    with np.errstate(all="ignore"):
        for start in range(0, flat.size, _BLOCK):
            part = slice(start, start + _BLOCK)
            block(flat[part], value[part], error[part])
    return value.reshape(x.shape), error.reshape(x.shape)


def _exp_block(x: Floats, value: Floats, error: Floats) -> None:
    finite = _exp_values(x, _EXP_LIMITS, value)
    np.multiply(value, 2.05 * UNIT, out=error)
    error += UNDERFLOW
    if not finite:
        _mark_nan(x, value, error)


def _sigmoid_block(x: Floats, value: Floats, error: Floats) -> None:
    finite = sigmoid_values(x, value)
    np.multiply(value, -2.02 * UNIT, out=error)
    error += 4.08 * UNIT
    error *= value
    error += UNDERFLOW
    if not finite:
        _mark_nan(x, value, error)


def _tanh_block(x: Floats, value: Floats, error: Floats) -> None:
    finite = tanh_values(x, value)
    np.abs(value, out=error)
    # What t + tau loses to cancellation is absolute, but for the smallest arguments.
    cancelled = np.minimum(error * (2.04 * UNIT), 0.0159 * UNIT)
    error *= 4.05 * UNIT
    error += cancelled
    error += UNDERFLOW
    if not finite:
        _mark_nan(x, value, error)


def _mark_nan(x: Floats, value: Floats, error: Floats) -> None:
    unknown = np.isnan(x)
    value[unknown] = np.nan
    error[unknown] = np.inf


# --- tables --------------------------------------------------------------------------


class _Table(NamedTuple):
    """Values of a function at k/64, and the constant that finds them.

    Attributes:
        values: Of k = -64·limit, …, 64·limit or further.
        shift: 1.5·2^46 + limit; see Note [The split].
    """

    values: Floats
    shift: float


def _split(x: Floats, table: _Table) -> tuple[Floats, Floats]:
    """Return the table's entry for the k/64 nearest to each element, and what remains."""
    near = x + table.shift
    index = near.view(np.int64) & _INDEX
    near -= table.shift
    np.subtract(x, near, out=near)
    return np.take(table.values, index, mode="clip"), near


_INDEX = (1 << 51) - 1
_SHIFT = 1.5 * 2.0**46
_TANH_LIMIT = 22.0  # 1 - tanh 22 < 0.002 of the unit roundoff
_COMMON = 40  # arguments that a small table serves
# e^-746 is below TINY/4, and 1 - σ(40) below 0.04 of the unit roundoff. What is above
# log(largest float) = 709.7827… overflows by itself, and must not reach the next entry.
_EXP_LIMITS = (-746.0, 709.785)
_EXP_TOP = 64 * 709 + 50
_SIGMOID_LIMITS = (-746.0, 40.0)


def sigmoid_values(x: Floats, out: Floats) -> bool:
    """Write what `sigmoid` returns as values; return whether every element is finite.

    Args:
        x: A one-dimensional array.
        out: Where to write, of the same size.

    >>> out = np.empty(2)
    >>> sigmoid_values(np.array([0.0, 40.0]), out), out.tolist()
    (True, [0.5, 1.0])
    """
    finite = _exp_values(x, _SIGMOID_LIMITS, out)
    out /= out + 1
    return finite


def tanh_values(x: Floats, out: Floats) -> bool:
    """Write what `tanh` returns as values; return whether every element is finite.

    Args:
        x: A one-dimensional array.
        out: Where to write, of the same size.

    >>> out = np.empty(2)
    >>> tanh_values(np.array([0.0, np.inf]), out), out.tolist()
    (False, [0.0, 1.0])
    """
    least, most = float(x.min()), float(x.max())
    if not (least >= -_TANH_LIMIT and most <= _TANH_LIMIT):
        x = np.fmin(np.fmax(x, -_TANH_LIMIT), _TANH_LIMIT)
    t, r = _split(x, _tanh_table())
    w = r * r
    tau = w * (-17 / 315)
    tau += 2 / 15
    tau *= w
    tau -= 1 / 3
    tau *= w
    tau *= r
    tau += r
    np.add(t, tau, out=out)
    t *= tau
    t += 1
    out /= t
    return math.isfinite(least) and math.isfinite(most)


def _exp_values(x: Floats, limits: tuple[float, float], out: Floats) -> bool:
    """Write e^x of arguments cut to `limits`; return whether every element is finite."""
    least, most = float(x.min()), float(x.max())
    if least >= -_COMMON and most <= _COMMON:
        base, r = _split(x, _exp_table(-64 * _COMMON, 64 * _COMMON))
    else:
        cut = np.fmin(np.fmax(x, limits[0]), limits[1])
        base, r = _split(cut, _exp_table(-64 * 746, _EXP_TOP))
    p = r * (1 / 720)
    for coefficient in (1 / 120, 1 / 24, 1 / 6, 1 / 2):
        p += coefficient
        p *= r
    p *= r
    p += r
    p *= base
    np.add(base, p, out=out)
    return math.isfinite(least) and math.isfinite(most)


@cache
def _exp_table(low: int, high: int) -> _Table:
    """Return the floats nearest to e^(k/64), low <= k <= high; `low` is a multiple of 64."""
    powers = _exponentials(range(low, high + 1))
    entries = [math.ldexp(float(m), -scale) for m, scale in powers]
    return _Table(_constant(entries), _SHIFT - low // 64)


@cache
def _tanh_table() -> _Table:
    """Return the floats nearest to tanh(k/64), |k/64| <= 22."""
    entries = []
    for power, scale in _exponentials(range(2, 128 * int(_TANH_LIMIT) + 1, 2)):
        one = 1 << scale
        entries.append((power - one) / (power + one))  # of integers: rounded once
    mirrored = [-t for t in reversed(entries)]
    return _Table(_constant([*mirrored, 0.0, *entries]), _SHIFT + _TANH_LIMIT)


def _exponentials(numbers: range) -> Iterator[tuple[int, int]]:
    """Yield (m, s) for each k: m·2^-s is e^(k/64) but for 2^-120 of it."""
    whole = {n: _scaled_exp(n) for n in range(numbers[0] // 64, numbers[-1] // 64 + 1)}
    parts = [_scaled_exp(i / 64) for i in range(64)]
    for k in numbers:
        (a, a_scale), (b, b_scale) = whole[k // 64], parts[k % 64]
        yield a * b, a_scale + b_scale


def _scaled_exp(x: float) -> tuple[int, int]:
    """Return (m, s): m·2^-s is e^x but for 2^-122 of it; m has about 128 bits.

    Python's decimal arithmetic rounds exp correctly, to as many digits as asked for.
    """
    context = Context(prec=45)
    scale = 128 - math.floor(x / math.log(2))
    factor = context.create_decimal(1 << abs(scale))
    move = context.multiply if scale >= 0 else context.divide
    return int(move(context.exp(Decimal(x)), factor)), scale


def _constant(entries: list[float]) -> Floats:
    values = np.array(entries)
    values.flags.writeable = False
    return values


# --- images of balls -----------------------------------------------------------------

_WIDE = 0.25
_ABOVE_ONE = 1 + 16 * UNIT


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstOrder:
    """How a function f is bounded on narrow intervals, from its values in the middle.

    ``|f(m + d) - f(m)| <= |f'(m)| r (1 + bend r)`` for ``|d| <= r <= 1/4``.

    Attributes:
        values: Writes f of a one-dimensional float64 array to another; returns whether
            every element is finite. Of infinity it writes the limit, of NaN anything.
        slope: Writes upper bounds of ``|f'|`` to an array, from what `values` wrote.
        bend: See above, at least 0.
        relative_error: Of every value, at least 0; but for `UNDERFLOW`.

    Raises:
        ValueError: One of the two numbers is below 0.
    """

    values: Callable[[Floats, Floats], bool]
    slope: Callable[[Floats, Floats], None]
    bend: float
    relative_error: float

    def __post_init__(self) -> None:
        if not (self.bend >= 0 and self.relative_error >= 0):
            raise ValueError(
                "bend and relative_error are bounds, 0 or more "
                f"(got {self.bend}, {self.relative_error})"
            )


def _tanh_slope(t: Floats, out: Floats) -> None:
    np.multiply(t, t, out=out)
    np.subtract(_ABOVE_ONE, out, out=out)


def _sigmoid_slope(s: Floats, out: Floats) -> None:
    np.subtract(_ABOVE_ONE, s, out=out)
    out *= s


TANH = FirstOrder(
    values=tanh_values, slope=_tanh_slope, bend=1.5, relative_error=RELATIVE_ERROR
)
SIGMOID = FirstOrder(
    values=sigmoid_values,
    slope=_sigmoid_slope,
    bend=0.75,
    relative_error=RELATIVE_ERROR,
)


def _enclose(
    mid: Any,
    rad: Any,
    block: _Block,
    order: FirstOrder,
    ends: tuple[float, float],
) -> tuple[Floats, Floats]:
    check_arithmetic()
    mid, rad = np.broadcast_arrays(np.asarray(mid, np.float64), rad)
    centres, radii = mid.reshape(-1), rad.reshape(-1)
    value, error = np.empty_like(centres), np.empty_like(centres)
    with np.errstate(all="ignore"):
        for start in range(0, centres.size, _BLOCK):
            part = slice(start, start + _BLOCK)
            m, r, v, e = centres[part], radii[part], value[part], error[part]
            block(m, v, e)
            _add_image(order, v, r, e)
            if not (r.max() <= _WIDE and abs(float(v.max())) <= 1):
                wide = ~(r <= _WIDE) | np.isnan(v)
                v[wide], e[wide] = _hull(m[wide], r[wide], block, ends)
    return value.reshape(mid.shape), error.reshape(mid.shape)


def _add_image(order: FirstOrder, value: Floats, r: Floats, error: Floats) -> None:
    """Add slope·r·(1 + bend·r) to the error, and what its roundings may have lost."""
    slope = np.empty_like(value)
    order.slope(value, slope)
    growth = r * order.bend
    growth += 1
    growth *= r
    growth *= slope
    error += growth
    error *= _ABOVE_ONE


def _hull(
    mid: Floats, rad: Floats, block: _Block, ends: tuple[float, float]
) -> tuple[Floats, Floats]:
    """Return a ball around the images of both ends, of an increasing function."""
    low, high = -up(rad - mid), up(mid + rad)
    low[np.isnan(low)], high[np.isnan(high)] = -np.inf, np.inf
    image = np.empty((2, *mid.shape))
    error = np.empty_like(image)
    block(low, image[0], error[0])
    block(high, image[1], error[1])
    bottom = np.maximum(-up(error[0] - image[0]), ends[0])
    top = np.minimum(up(image[1] + error[1]), ends[1])
    middle = (bottom + top) / 2
    return middle, up(np.maximum(top - middle, middle - bottom))
