# SPDX-License-Identifier: BSD-3-Clause
"""Upper bounds in float64, by rounding to nearest and then going up.

NumPy cannot switch the rounding mode, so a bound is computed in the ordinary way and
inflated by what its roundings may have lost. That, and every error bound of the package,
holds under two assumptions about the arithmetic, which `check_arithmetic` tests:

* float64 operations are rounded to nearest (IEEE 754);
* underflow is gradual: a product may lose up to half of `TINY`, and a sum or difference
  loses nothing to underflow. Where a processor flushes subnormal numbers to zero, as
  ``torch.set_flush_denormal(True)`` asks for, each operation may lose 2^-1022 instead,
  and ``x - y`` may be 0 for different numbers: bounds would be wrong.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from symrnn.errors import UnsupportedError

__all__ = ["TINY", "UNIT", "check_arithmetic", "gamma", "up"]

TINY = 2.0**-1074
"""The smallest positive float64, which is also the distance of subnormal numbers."""

UNIT = 2.0**-53
"""The unit roundoff of float64: the largest relative error of one rounding."""


def up(x: Any) -> npt.NDArray[np.float64]:
    """Return the float64 after each element of `x`.

    It is above every real number that rounds to `x`. Infinity and NaN stay what they are.

    Args:
        x: A float64 number or array.

    >>> float(up(1.0)) - 1
    2.220446049250313e-16
    """
    with np.errstate(over="ignore"):
        return np.nextafter(x, np.inf)


def gamma(n: int, precision: int = 53) -> float:
    r"""Return an upper bound of $\gamma_n = nu/(1 - nu)$, infinite where $nu \ge 1$.

    A product of n factors $(1 + \delta_i)^{\pm 1}$, each $|\delta_i| \le u$, is
    $1 + \theta$ with $|\theta| \le \gamma_n$ (Higham, 'Accuracy and Stability of
    Numerical Algorithms', 2nd ed., Lemma 3.1).

    Args:
        n: How many roundings, 0 or more.
        precision: Bits of the significand; $u = 2^{-precision}$.

    >>> gamma(0), gamma(4, precision=8), gamma(1 << 53)
    (0.0, 0.015873015873015876, inf)
    """
    if n == 0:
        return 0.0
    rest = (1 << precision) - n
    # A quotient of two integers is rounded once.
    return math.nextafter(n / rest, math.inf) if rest > 0 else math.inf


def check_arithmetic() -> None:
    """Check that this thread rounds to nearest and keeps subnormal numbers.

    Raises:
        UnsupportedError: It does not; no float64 bound would be proven.
    """
    # Operands are arrays, so that no operation is done once and for all by the compiler.
    one, small = np.ones(1), np.full(1, 2.0**-54)
    if (one + small)[0] != 1.0 or (one - small)[0] != 1.0:
        raise UnsupportedError(
            "float64 arithmetic in this thread does not round to nearest, so error bounds "
            "would not be proven; restore the rounding mode (fesetround(FE_TONEAREST))"
        )
    normal, tiny = np.full(1, 2.0**-1022), np.full(1, TINY)
    if (normal * 0.5)[0] == 0 or (tiny * 4)[0] == 0:
        raise UnsupportedError(
            "this thread flushes subnormal numbers to zero, so error bounds would not be "
            "proven; call torch.set_flush_denormal(False)"
        )
