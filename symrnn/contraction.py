# SPDX-License-Identifier: BSD-3-Clause
r"""Proven bounds of how far one step of a network can move two states apart.

The derivative of a step is its tangent (`symrnn.derivatives`) along the columns of an
identity. The columns of values that it is made of are enclosed for many steps at once;
the tangents themselves are dense, so they carry no radius for each element but one
number:

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

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from symrnn.cells import input_size
from symrnn.derivatives import lower_tangent
from symrnn.directed import TINY, UNIT, gamma
from symrnn.domains.enclosure import Enclosed, EnclosureDomain
from symrnn.elementary import Floats
from symrnn.language import Add, Hadamard, Matmul, Neg
from symrnn.network import Network, Place
from symrnn.norms import frobenius_bound, spectral_norm_bound
from symrnn.program import Instruction, execute

__all__ = ["StepNorms"]

_SLACK = 1 + 2.0**-46  # more than the roundings of one formula below


class _Slope(NamedTuple):
    """A matrix known up to a deviation of bounded Frobenius norm; see Note [Slopes]."""

    mid: Floats
    size: float
    spread: float


class _Column(NamedTuple):
    """A column of values, (features × 1), with its largest magnitude and radius."""

    mid: Floats
    size: float
    rad: float


class StepNorms:
    r"""Bounds of the 2-norm of the derivatives of one layer and direction.

    Distances of states are measured after scaling each state by a power of two, S.

    Args:
        net: The network.
        place: Its layer and direction.
        wrt: With respect to what: the names of all states, or ``("x",)``.
        scale: The factor of each state.
    """

    def __init__(
        self,
        net: Network,
        place: Place,
        wrt: tuple[str, ...],
        scale: Mapping[str, float],
    ) -> None:
        self.states = net.cell.states
        self.scale = scale
        self._sizes = net.sizes[place]
        self._domain = EnclosureDomain()
        self._program = program = lower_tangent(net.cell, wrt)
        with self._domain.context():
            self._fixed: dict[int, Any] = {
                register: self._domain.matrix(net.parameters[place][name])
                for name, register in program.parameters.items()
            }
            execute(self._domain, program.once, self._fixed, self._sizes)
        lengths = {"x": net.sizes[place][input_size], **net.state_sizes}
        total, start = sum(lengths[n] for n in wrt), 0
        self._slopes: dict[int, _Slope] = {}
        for name in wrt:
            mid = np.zeros((lengths[name], total))
            np.fill_diagonal(mid[:, start:], 1 / scale.get(name, 1.0))
            self._slopes[program.seeds[name]] = _Slope(mid, frobenius_bound(mid), 0.0)
            start += lengths[name]
        self._sizes_of: dict[int, float] = {}
        self._slope_phase(program.seeded, self._slopes, {}, 0)

    def bounds(self, at: Mapping[str, Enclosed]) -> tuple[Floats, dict[str, Enclosed]]:
        """Return a bound of ‖S J S⁻¹‖₂ (‖S J‖₂ for ``x``) over each column's box.

        Args:
            at: ``"x"`` and the states before the step, each (features × columns): the
                columns are points of their own, and each radius half a box's width.

        Returns:
            One number for each column, infinite where nothing is known; and what the
            states are after the step.
        """
        program = self._program
        registers = self._fixed | {program.x: at["x"]}
        registers |= {program.previous[s]: at[s] for s in self.states}
        with self._domain.context():
            execute(self._domain, program.values, registers, self._sizes)
            columns = self._columns(registers)
            norms = [
                self._norm(self._slopes_at(columns, k))
                for k in range(at["x"].mid.shape[1])
            ]
        values = {s: registers[program.quantities[s]] for s in self.states}
        return np.array(norms), values

    def _slopes_at(
        self, columns: Mapping[int, tuple[Any, ...]], k: int
    ) -> dict[str, _Slope]:
        """Return the slopes of the states in column k, but for those that are zero."""
        slopes = dict(self._slopes)
        self._slope_phase(self._program.mixed, slopes, columns, k)
        return {
            s: slopes[r] for s, r in self._program.tangents.items() if s in self.states
        }

    def _columns(self, registers: Mapping[int, Enclosed]) -> dict[int, tuple[Any, ...]]:
        """Return midpoints, largest magnitudes and radii of what meets slopes."""
        used = {s for i in self._program.mixed for s in i.operands if s in registers}
        found = {}
        for register in used:
            mid, rad = registers[register]
            sizes = np.abs(mid).max(axis=0).tolist()
            found[register] = (
                np.ascontiguousarray(mid.T),
                sizes,
                rad.max(axis=0).tolist(),
            )
        return found

    def _slope_phase(
        self,
        phase: tuple[Instruction, ...],
        slopes: dict[int, _Slope],
        columns: Mapping[int, tuple[Any, ...]],
        k: int,
    ) -> None:
        for instruction in phase:
            operands = instruction.operands
            match instruction.node:
                case Add():
                    result = _add([slopes[r] for r in operands])
                case Neg():
                    mid, size, spread = slopes[operands[0]]
                    result = _Slope(-mid, size, spread)
                case Matmul():
                    result = self._matmul(operands[0], slopes[operands[1]])
                case Hadamard():
                    a, b = operands
                    if a not in slopes:
                        a, b = b, a
                    result = _scaled(_column(columns[b], k), slopes[a])
                case _:
                    raise AssertionError(f"no slope of {instruction.node}")
            slopes[instruction.target] = result

    def _matmul(self, register: int, b: _Slope) -> _Slope:
        matrix: Enclosed = self._fixed[register]
        size = self._sizes_of.setdefault(register, frobenius_bound(matrix.mid))
        rad = frobenius_bound(matrix.rad)
        rounding = gamma(matrix.mid.shape[1]) * b.size
        lost = matrix.mid.size * b.mid.size * TINY
        spread = (
            size * (b.spread + rounding) + rad * (b.size + b.spread) + lost
        ) * _SLACK
        return _Slope(matrix.mid @ b.mid, (size * b.size + spread) * _SLACK, spread)

    def _norm(self, slopes: Mapping[str, _Slope]) -> float:
        if not slopes:
            return 0.0
        spread = sum(self.scale[s] * slope.spread for s, slope in slopes.items())
        if not math.isfinite(spread):
            return math.inf
        stacked = np.vstack(
            [
                m if self.scale[s] == 1 else m * self.scale[s]
                for s, (m, _, _) in slopes.items()
            ]
        )
        # A power of two scales exactly, but below the normal numbers.
        return (spectral_norm_bound(stacked) + spread + stacked.size * TINY) * _SLACK


def _column(columns: tuple[Any, ...], k: int) -> _Column:
    mids, sizes, rads = columns
    k = min(k, len(sizes) - 1)  # one column of parameters stands for all
    return _Column(mids[k][:, np.newaxis], sizes[k], rads[k])


def _scaled(d: _Column, m: _Slope) -> _Slope:
    mid = d.mid * m.mid
    spread = (d.size + d.rad) * m.spread + (d.rad + UNIT * d.size) * m.size
    spread = (spread + mid.size * TINY) * _SLACK
    return _Slope(mid, (d.size * m.size + spread) * _SLACK, spread)


def _add(terms: list[_Slope]) -> _Slope:
    total = terms[0].mid + terms[1].mid
    for term in terms[2:]:
        total += term.mid
    size = sum(t.size for t in terms)
    spread = (sum(t.spread for t in terms) + len(terms) * UNIT * size) * _SLACK
    return _Slope(total, (size + spread) * _SLACK, spread)
