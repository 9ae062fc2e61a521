# SPDX-License-Identifier: BSD-3-Clause
"""Smaller error bounds that hold with a probability, under an assumption."""

from __future__ import annotations

import math
from functools import partial

from symrnn.audit.local.floating import Floating, FloatingDomain
from symrnn.directed import gamma

__all__ = ["Counting", "probabilistic_domain", "probabilistic_unit"]

_SLACK = 1 + 2.0**-40


def probabilistic_unit(factor: float, roundings: int, precision: int) -> float:
    r"""Return what n rounding errors do together with high probability, or γ_n if less.

    $\tilde\gamma_n(\lambda) = \exp(\lambda\sqrt n u + n u^2/(1-u)) - 1$ bounds a product
    of n factors $1 + \delta_i$ with probability at least
    $1 - 2\exp(-\lambda^2(1-u)^2/2)$ if the $\delta_i$ are independent with mean 0 (Higham
    & Mary, 'A new approach to probabilistic rounding error analysis', SIAM J. Sci.
    Comput. 41, 2019, Theorem 2.4). Rounding errors need be neither.

    Args:
        factor: λ.
        roundings: n.
        precision: Bits of the significand; u = 2^-precision.

    >>> probabilistic_unit(5.0, 10_000, 24) < gamma(10_000, 24) / 15
    True
    """
    u = 2.0**-precision
    exponent = factor * math.sqrt(roundings) * u + roundings * u * u / (1 - u)
    probable = math.expm1(min(exponent, 700.0)) * _SLACK
    return min(gamma(roundings, precision), probable)


class Counting(FloatingDomain):
    """Counts the products of roundings that its results rest on."""

    count = 0

    def settle(self, a: Floating) -> Floating:
        if not a.settled:
            self.count += a.mid.size * (a.monomials + a.outer_monomials)
        return super().settle(a)


def probabilistic_domain(
    domain: FloatingDomain, events: int, failure: float
) -> FloatingDomain:
    """Return a domain whose bounds all hold but with a probability of `failure`.

    Args:
        domain: The arithmetic.
        events: How many products of roundings there will be; see `Counting`.
        failure: Shared out among them evenly.
    """
    u = 2.0**-domain.target.precision
    factor = math.sqrt(2 * math.log(2 * max(1, events) / failure)) / (1 - u) * _SLACK
    return FloatingDomain(
        domain.target,
        domain.accumulate,
        activations=domain.activations,
        flushes=domain.flushes,
        unit=partial(probabilistic_unit, factor),
    )
