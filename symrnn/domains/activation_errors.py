# SPDX-License-Identifier: BSD-3-Clause
"""How far a library's functions, such as tanh, are from the real ones: figures and bounds.

An `ActivationErrors` is measured by `symrnn.calibrate` or assumed (`assumed_errors`); an
audit bounds the activations of its subject with it. docs/theory/activations.md has the
proofs.

Note [Profiles]
    One figure for all arguments would be spoiled by the worst: so there is one for each
    sign and binade of the argument. Libraries give up results that are hardly normal
    numbers or not (torch's float32 sigmoid is 0 below -88.73, where e^-x overflows; that
    is 24 ulps of bfloat16, and millions of float32). So the profile is of results that
    are at least `nearly_subnormal`, and one absolute figure, ``underflow``, is for all
    others.

Note [Sampled figures]
    The largest error of all arguments is not among those measured. What exceeds the half
    ulp of a rounding is doubled, and is taken to be a quarter of an ulp of the format
    that is computed in at least: float32 for 16-bit formats. That this is enough is an
    assumption.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from symrnn.equations.functions import rounds
from symrnn.numerics.formats import FloatFormat

__all__ = [
    "BINADES",
    "LEAST",
    "ActivationErrors",
    "Provenance",
    "Worst",
    "assumed_errors",
    "nearly_subnormal",
]

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.intp]
Provenance = Literal["measured exhaustively", "measured on samples", "assumed"]

BINADES = 2047
"""Binades of an argument by the exponent field of a float64: 0 for |a| < 2^-1022, else k
for 2^(k-1023) ≤ |a| < 2^(k-1022)."""


LEAST = 2.0**-16
"""The least number of ulps that is ever allowed, but to what rounds nothing, as relu does."""

_CHUNK = 1 << 15  # elements at a time: what is written between the steps stays in cache
_USUAL = slice(1023 - 4, 1023 + 3)  # binades of most arguments: 1/16 <= |a| < 8
_EXPONENT = np.uint64(0x7FF << 52)
_ASSUMED = 6.0  # ulps; torch 2.13 has shown 4.7, and 68 on processors without FMA


@dataclass(frozen=True, slots=True, kw_only=True)
class Worst:
    """The argument with the largest error.

    Attributes:
        ulps: An upper bound of the error, in ulps at the exact value.
        argument: The argument as a hexadecimal float, ``"-0x1.62p+6"``.
        path: Where it was computed: ``"vector"`` or ``"tail"`` (the elements that do not
            fill a vector register), or the quantity of a layer.
    """

    ulps: float
    argument: str
    path: str


@dataclass(frozen=True, kw_only=True, eq=False)
class ActivationErrors:
    """The errors of one function in one format, as one library computes it.

    Attributes:
        function: ``"tanh"``, ``"sigmoid"``, …
        format: Name of the float format of the results.
        kernel: Which code computes it: ``"elementwise"``, or that of a layer.
        provenance: How the figures were found.
        arguments: The number of arguments they were measured on; 0 if assumed.
        library: Whose they are, ``"torch 2.13.0"``.
        cpu: The processor they were measured on, with the instructions in use.
        threads: The number of threads.
        profile: Upper bounds of the largest error in ulps (Goldberg's, at the exact
            value: `symrnn.kernels.FloatFormat.ulp_exponent`), over the arguments whose
            exact value is `nearly_subnormal` or more. A float64 array of shape
            (2, `BINADES`): row 0 for arguments ≥ 0 (-0 too), row 1 for those below.
        underflow: Upper bound of the largest absolute error of all other arguments.
        worst: The argument with the largest entry of the profile.
        worst_underflow: The argument with the error `underflow`, in ulps as well.
    """

    function: str
    format: FloatFormat
    kernel: str
    provenance: Provenance
    arguments: int
    library: str | None
    cpu: str | None
    threads: int | None
    profile: Floats
    underflow: float
    worst: Worst | None = None
    worst_underflow: Worst | None = None

    def __post_init__(self) -> None:
        figures = np.append(self.profile, self.underflow)
        if self.profile.shape != (2, BINADES) or not (figures >= 0).all():
            raise ValueError(
                f"a profile is an array of non-negative numbers of shape (2, {BINADES}); "
                f"this one has shape {self.profile.shape}"
            )

    @property
    def peak(self) -> float:
        """The largest entry of the profile, in ulps."""
        return float(self.profile.max())

    def bound(
        self, mid: Floats, rad: Floats, value: Floats, *, scale: float = 1.0
    ) -> Floats:
        r"""Bound the error of the function at every float of some intervals.

        Args:
            mid: Float64 array of midpoints.
            rad: Array of radii, of the same shape.
            value: Array of upper bounds of $|f|$ on the interval, of the same shape.
            scale: Of what is returned, 1 or more; all but a relative 2^-51 of it.

        Returns:
            A float64 array: the computed f(a) is within it of f(a) for every float64 a that
            is an argument of the function with $|a - mid| \le rad$ and $|f(a)| \le value$.
            Infinite where `value` is infinite or NaN.

        >>> import numpy as np
        >>> from symrnn.kernels import FORMATS
        >>> errors = assumed_errors("tanh", FORMATS["float32"])
        >>> one = np.ones(1)
        >>> errors.bound(one, 0.5 * one, one) / 2.0**-23  # in ulps of float32 at 1
        array([6.])
        """
        out = np.empty(np.shape(value))
        flat = out.reshape(-1)
        m, r, v = (
            np.ascontiguousarray(a, np.float64).ravel() for a in (mid, rad, value)
        )
        for start in range(0, flat.size, _CHUNK):
            part = slice(start, start + _CHUNK)
            self._bound_chunk(m[part], r[part], v[part], flat[part], scale)
        return out

    def _bound_chunk(
        self, mid: Floats, rad: Floats, value: Floats, out: Floats, scale: float
    ) -> None:
        """Write the bounds of a few elements to `out`; see docs/theory/activations.md."""
        np.bitwise_and(value.view(np.uint64), _EXPONENT, out=out.view(np.uint64))
        least = 2.0**self.format.emin
        ulp = 2.0 ** (1 - self.format.precision) * scale  # of 1
        lost = self.underflow * scale
        uniform = self._uniform
        # Subnormal float64 numbers come last of all: a product loses half of TINY.
        rest = 5e-324 if self.format.precision == 53 else 0.0
        if uniform and uniform < np.inf:  # the bound of an infinite value is infinite
            out *= uniform * ulp
            if rest:
                out += rest
            np.maximum(out, max(least * (uniform * ulp) + rest, lost), out=out)
            return
        np.maximum(out, least, out=out)
        out *= ulp
        with np.errstate(invalid="ignore"):  # 0 ulps of an infinite value, inf - inf
            out *= self._ulps(mid, rad) if uniform is None else uniform
        out += rest
        np.maximum(out, lost, out=out)
        out[np.isnan(out)] = np.inf

    def _ulps(self, mid: Floats, rad: Floats) -> Floats:
        """Return the largest number of ulps allowed on some intervals."""
        # Rounding is monotone and a is a float64: fl(mid - rad) <= a <= fl(mid + rad).
        with np.errstate(over="ignore"):  # infinity counts to the last binade
            first, last = _position(mid - rad), _position(mid + rad)
        line = self._maxima[0]
        ulps = np.maximum(line.take(first), line.take(last))
        wide = np.flatnonzero(last - first > 1)  # where there are more than these two
        if wide.size:
            ulps[wide] = self._wide_ulps(first[wide], last[wide])
        return ulps

    def _wide_ulps(self, first: Positions, last: Positions) -> Floats:
        level = _FLOOR_LOG2[last - first]
        table = self._maxima
        return np.maximum(table[level, first], table[level, last + 1 - (1 << level)])

    @cached_property
    def _allowed(self) -> Floats:
        """The profile, or what is made of it where arguments were sampled."""
        if self.provenance != "measured on samples":
            least = LEAST if rounds(self.function) else 0.0
            return np.maximum(self.profile, least)
        least = 0.25 * 2.0 ** min(self.format.precision - 24, 0)
        return 0.5 + 2 * np.maximum(self.profile - 0.5, least)

    @cached_property
    def _uniform(self) -> float | None:
        """The largest figure, if it is little more than most: then nobody looks them up."""
        most, usual = self._allowed.max(), self._allowed[:, _USUAL].min()
        return float(most) if most <= 1.25 * usual else None

    @cached_property
    def _maxima(self) -> Floats:
        """Maxima of the 2^k entries from each position on, for all k: a sparse table.

        The two that start at the first position of a range and end at its last cover it.
        """
        line = np.concatenate([self._allowed[1, ::-1], self._allowed[0]])
        rows = [np.pad(line, (1, _LINE - line.size - 1))]
        for k in range(int(_FLOOR_LOG2[_LINE - 1])):
            shifted = np.roll(rows[-1], -(1 << k))
            rows.append(np.maximum(rows[-1], shifted))
        return np.array(rows)

    def describe(self) -> str:
        """Say what the figures are in one sentence, for a report."""
        what = f"{self.kernel} {self.function} in {self.format.name}"
        if self.provenance == "assumed":
            return f"{what}: at most {self.peak:.6g} ulps, assumed"
        how = "all" if self.provenance == "measured exhaustively" else "a sample of"
        return (
            f"{what}: at most {self.peak:.6g} ulps, measured on {how} "
            f"{self.arguments:,} arguments ({self.library}, {self.cpu}, threads: "
            f"{self.threads})"
        )


# Positions on the line of all binades, from -inf to +inf: negative ones first, reversed.
# Infinities and NaN, of exponent field 2047, count to the binade next to them.
_LINE = 4096
_FLOOR_LOG2 = np.frexp(np.arange(1, _LINE + 1).astype(np.float64))[1] - 1


def _make_positions() -> Positions:
    field = np.minimum(np.arange(2048), BINADES - 1)
    # ``bits >> 52`` is the field for a number >= +0, and the field - 2048 below: as an
    # index, the negative ones count from the end.
    return np.concatenate([1 + BINADES + field, BINADES - field]).astype(np.intp)


_POSITIONS = _make_positions()


def _position(a: Floats) -> Positions:
    return _POSITIONS[a.view(np.int64) >> 52]


def nearly_subnormal(format: FloatFormat) -> float:
    """Return the magnitude below which a result is counted as underflow.

    4 times the smallest normal number: oneDNN's float32 sigmoid is 0 from 1.4 times on.
    In float64 it is 2^64 times that, for measuring takes float64 arithmetic, and must not
    underflow itself.
    """
    return 2.0 ** (format.emin + (2 if format.precision < 53 else 64))


def assumed_errors(
    function: str, format: FloatFormat, *, kernel: str = "elementwise"
) -> ActivationErrors:
    """Return figures for a library that nobody has measured.

    float32 and float64: 6 ulps. 16-bit formats: a float32 function of 6 ulps, rounded
    once. Results below `nearly_subnormal` may be lost, but not in float16: float32 has
    them all, so they are right to two ulps. What rounds nothing, as relu does, has no error.

    Args:
        function: Its name.
        format: The float format of arguments and results.
        kernel: Which code computes it.

    >>> from symrnn.kernels import FORMATS
    >>> assumed_errors("sigmoid", FORMATS["bfloat16"]).peak
    0.500091552734375
    """
    half = format.precision < 24
    ulps = 0.5 + _ASSUMED * 2.0 ** (format.precision - 24) if half else _ASSUMED
    underflow = nearly_subnormal(format)
    if format.emin > -126:
        underflow *= 2.0 ** (2 - format.precision)
    if not rounds(function):
        ulps = underflow = 0.0
    return ActivationErrors(
        function=function,
        format=format,
        kernel=kernel,
        provenance="assumed",
        arguments=0,
        library=None,
        cpu=None,
        threads=None,
        profile=np.full((2, BINADES), ulps),
        underflow=underflow,
    )
