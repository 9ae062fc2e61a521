# SPDX-License-Identifier: BSD-3-Clause
r"""Dense tangents in float64, each with one bound of how far it may be off.

Note [Slopes]
    A slope is a float64 matrix M and a number ρ, and stands for all M + E with
    $\|E\|_F \le \rho$; $\varphi \ge \|M\|_F$ goes with it. With $u = 2^{-53}$, N
    elements, η the smallest positive float, d a column known to be within r of m:

    * $d \odot (M + E)$: $\rho' = (\max|m| + \max r)\rho + (\max r + u\max|m|)\varphi + N\eta$,
    * a sum: $\rho' = \sum\rho_i + ku\sum\varphi_i$ for k terms (underflow is exact),
    * $A(M + E)$, A within R of its midpoint:
      $\rho' = \|A\|_F\,(\rho + \gamma_n\varphi) + \|R\|_F\,(\varphi + \rho) + nN\eta$,

    since the Frobenius norm bounds the 2-norm and is multiplied by at most the largest
    element of a diagonal matrix. φ follows in the same way, ρ' being added, so that it
    bounds the computed matrix too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from symrnn.directed import TINY, UNIT, gamma
from symrnn.domains.enclosure import Enclosed
from symrnn.elementary import Floats
from symrnn.errors import EquationError
from symrnn.language import Add, Hadamard, Matmul, Neg
from symrnn.norms import frobenius_bound
from symrnn.program import Instruction

__all__ = [
    "Columns",
    "Factor",
    "Slope",
    "columns_of",
    "factor_of",
    "identity",
    "run_slopes",
]

_SLACK = 1 + 2.0**-46  # more than the roundings of one formula below


class Columns(NamedTuple):
    """Columns that multiply slopes element by element.

    Attributes:
        mids: Midpoints, one column to a row.
        sizes: The largest magnitude of each column's midpoints.
        rads: The largest radius of each column.
    """

    mids: Floats
    sizes: list[float]
    rads: list[float]


class Factor(NamedTuple):
    """A matrix of parameters, and bounds of its Frobenius norm and its deviation's."""

    mid: Floats
    size: float
    deviation: float


class Slope(NamedTuple):
    """A matrix known up to a deviation of bounded Frobenius norm; see Note [Slopes].

    Attributes:
        mid: The matrix.
        size: A bound of its Frobenius norm.
        spread: A bound of that of the deviation.
    """

    mid: Floats
    size: float
    spread: float


def identity(size: int, factor: float) -> Slope:
    """Return the identity divided by a power of two."""
    seed = np.eye(size) / factor
    return Slope(seed, frobenius_bound(seed), 0.0)


def columns_of(values: Enclosed) -> Columns:
    """Prepare enclosed columns for products with slopes."""
    sizes, rads = np.abs(values.mid).max(axis=0), values.rad.max(axis=0)
    return Columns(np.ascontiguousarray(values.mid.T), sizes.tolist(), rads.tolist())


def factor_of(values: Enclosed) -> Factor:
    """Prepare an enclosed matrix for products with slopes."""
    return Factor(values.mid, frobenius_bound(values.mid), frobenius_bound(values.rad))


def run_slopes(
    phase: tuple[Instruction, ...],
    slopes: dict[int, Slope],
    columns: Mapping[int, Columns],
    factors: Mapping[int, Factor],
    k: int,
) -> None:
    """Run instructions on tangents, with column `k` of values.

    Args:
        phase: Of a `TangentProgram`: ``seeded`` or ``mixed``.
        slopes: Tangents by register; those of the phase are added.
        columns: What the phase multiplies tangents with, element by element.
        factors: What it multiplies tangents with as matrices.
        k: Which column; columns that are alone stand for all.

    Raises:
        EquationError: A node is not linear.
    """
    for instruction in phase:
        operands = instruction.operands
        match instruction.node:
            case Add():
                result = _add([slopes[r] for r in operands])
            case Neg():
                mid, size, spread = slopes[operands[0]]
                result = Slope(-mid, size, spread)
            case Matmul():
                result = _product(factors[operands[0]], slopes[operands[1]])
            case Hadamard():
                a, b = operands if operands[0] in slopes else operands[::-1]
                result = _scaled(columns[b], k, slopes[a])
            case _:
                raise EquationError(f"no slope of the node {instruction.node}")
        slopes[instruction.target] = result


def _product(a: Factor, b: Slope) -> Slope:
    mid, size, deviation = a
    rounding = gamma(mid.shape[1]) * b.size
    spread = size * (b.spread + rounding) + deviation * (b.size + b.spread)
    spread = (spread + mid.size * b.mid.size * TINY) * _SLACK
    return Slope(mid @ b.mid, (size * b.size + spread) * _SLACK, spread)


def _scaled(columns: Columns, k: int, m: Slope) -> Slope:
    """Return column k, or the only one, times a slope, element by element."""
    mids, sizes, rads = columns
    k = min(k, len(sizes) - 1)
    size, rad = sizes[k], rads[k]
    mid = mids[k][:, np.newaxis] * m.mid
    spread = (size + rad) * m.spread + (rad + UNIT * size) * m.size
    spread = (spread + mid.size * TINY) * _SLACK
    return Slope(mid, (size * m.size + spread) * _SLACK, spread)


def _add(terms: list[Slope]) -> Slope:
    total = terms[0].mid + terms[1].mid
    for term in terms[2:]:
        total += term.mid
    size = sum(t.size for t in terms)
    spread = (sum(t.spread for t in terms) + len(terms) * UNIT * size) * _SLACK
    return Slope(total, (size + spread) * _SLACK, spread)
