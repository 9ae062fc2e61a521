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
from symrnn.errors import EquationError
from symrnn.language import Add, Hadamard, Matmul, Neg
from symrnn.network import Network, Place
from symrnn.norms import frobenius_bound, spectral_norm_bound
from symrnn.program import Instruction, execute

__all__ = ["StepNorms"]

_SLACK = 1 + 2.0**-46  # more than the roundings of one formula below

_Columns = tuple[Floats, list[float], list[float]]
"""Midpoints, one column to a row; largest magnitude and largest radius of each column."""


class _Slope(NamedTuple):
    """A matrix known up to a deviation of bounded Frobenius norm; see Note [Slopes]."""

    mid: Floats
    size: float
    spread: float


class StepNorms:
    r"""Bounds of the 2-norm of the derivatives of one layer and direction.

    Distances of states are measured after scaling each state by a power of two, S.

    Args:
        net: The network.
        place: Its layer and direction.
        wrt: With respect to what: the names of all states, or ``("x",)``.
        scale: The factor of each state.
        enough: A bound that is as good as a smaller one; saves time where it holds.
    """

    def __init__(
        self,
        net: Network,
        place: Place,
        wrt: tuple[str, ...],
        scale: Mapping[str, float],
        *,
        enough: float = 0.0,
    ) -> None:
        self.states = net.cell.states
        self.scale = scale
        self._enough = enough
        lengths = {"x": net.sizes[place][input_size], **net.state_sizes}
        self._orthogonal = lengths[wrt[-1]] if len(wrt) > 1 else 0
        with EnclosureDomain().context():
            self._blocks = [
                _Block(net, place, name, lengths[name], scale.get(name, 1.0))
                for name in wrt
            ]

    def bounds(self, at: Mapping[str, Enclosed]) -> tuple[Floats, dict[str, Enclosed]]:
        """Return a bound of ‖S J S⁻¹‖₂ (‖S J‖₂ for ``x``) over each column's box.

        Args:
            at: ``"x"`` and the states before the step, each (features × columns): the
                columns are points of their own, and each radius half a box's width.

        Returns:
            One number for each column, infinite where nothing is known; and what the
            states are after the step.
        """
        norms = np.empty(at["x"].mid.shape[1])
        with EnclosureDomain().context():
            values = [block.values(at) for block in self._blocks]
            for k in range(len(norms)):
                norms[k] = self._norm(
                    [b.slopes(v, k) for b, v in zip(self._blocks, values, strict=True)]
                )
        return norms, dict(values[0].states)

    def _norm(self, blocks: list[dict[str, _Slope]]) -> float:
        """Bound the norm of the blocks side by side, states on top of each other."""
        spread, rows = 0.0, []
        for state in self.states:
            factor = self.scale[state]  # scales exactly, but below the normal numbers
            spread += factor * sum(block[state].spread for block in blocks)
            row = np.hstack([block[state].mid for block in blocks])
            rows.append(row if factor == 1 else row * factor)
        if not math.isfinite(spread):
            return math.inf
        stacked = np.vstack(rows)
        bound = spectral_norm_bound(
            stacked, enough=self._enough, orthogonal=self._orthogonal
        )
        return (bound + spread + stacked.size * TINY) * _SLACK


class _Values(NamedTuple):
    """The values of many steps at once: of states, and of what meets slopes."""

    states: Mapping[str, Enclosed]
    columns: Mapping[int, _Columns]


class _Block:
    """The derivative of the states with respect to x or to one state."""

    def __init__(
        self, net: Network, place: Place, name: str, size: int, factor: float
    ) -> None:
        self.states = net.state_sizes
        self.size = size
        self._sizes = net.sizes[place]
        self._domain = EnclosureDomain()
        self._program = program = lower_tangent(net.cell, (name,))
        self._fixed: dict[int, Any] = {
            register: self._domain.matrix(net.parameters[place][parameter])
            for parameter, register in program.parameters.items()
        }
        execute(self._domain, program.once, self._fixed, self._sizes)
        self._norms: dict[int, tuple[float, float]] = {}
        seed = np.eye(size) / factor
        self._slopes = {program.seeds[name]: _Slope(seed, frobenius_bound(seed), 0.0)}
        columns = {
            r: _columns(self._fixed[r]) for r in _read(program.seeded, self._fixed)
        }
        self._run(program.seeded, self._slopes, columns, 0)

    def values(self, at: Mapping[str, Enclosed]) -> _Values:
        """Enclose every value of the steps that start from the columns of `at`."""
        program = self._program
        registers = self._fixed | {program.x: at["x"]}
        registers |= {program.previous[s]: at[s] for s in self.states}
        execute(self._domain, program.values, registers, self._sizes)
        columns = {r: _columns(registers[r]) for r in _read(program.mixed, registers)}
        return _Values(
            {s: registers[program.quantities[s]] for s in self.states}, columns
        )

    def slopes(self, values: _Values, k: int) -> dict[str, _Slope]:
        """Return the derivative of every state in column k."""
        slopes = dict(self._slopes)
        self._run(self._program.mixed, slopes, values.columns, k)
        return {
            s: slopes[self._program.tangents[s]]
            if s in self._program.tangents
            else _Slope(np.zeros((size, self.size)), 0.0, 0.0)
            for s, size in self.states.items()
        }

    def _run(
        self,
        phase: tuple[Instruction, ...],
        slopes: dict[int, _Slope],
        columns: Mapping[int, _Columns],
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
                    a, b = operands if operands[0] in slopes else operands[::-1]
                    result = _scaled(columns[b], k, slopes[a])
                case _:
                    raise EquationError(f"no slope of the node {instruction.node}")
            slopes[instruction.target] = result

    def _matmul(self, register: int, b: _Slope) -> _Slope:
        mid, rad = self._fixed[register]
        if register not in self._norms:
            self._norms[register] = frobenius_bound(mid), frobenius_bound(rad)
        size, deviation = self._norms[register]
        rounding = gamma(mid.shape[1]) * b.size
        spread = size * (b.spread + rounding) + deviation * (b.size + b.spread)
        spread = (spread + mid.size * b.mid.size * TINY) * _SLACK
        return _Slope(mid @ b.mid, (size * b.size + spread) * _SLACK, spread)


def _read(phase: tuple[Instruction, ...], registers: Mapping[int, Any]) -> set[int]:
    """Return which of `registers` a phase multiplies slopes with, element by element."""
    found = {s for i in phase if isinstance(i.node, Hadamard) for s in i.operands}
    return found & set(registers)


def _columns(values: Enclosed) -> _Columns:
    sizes, rads = np.abs(values.mid).max(axis=0), values.rad.max(axis=0)
    return np.ascontiguousarray(values.mid.T), sizes.tolist(), rads.tolist()


def _scaled(columns: _Columns, k: int, m: _Slope) -> _Slope:
    """Return column k, or the only one, times a slope, element by element."""
    mids, sizes, rads = columns
    k = min(k, len(sizes) - 1)
    size, rad = sizes[k], rads[k]
    mid = mids[k][:, np.newaxis] * m.mid
    spread = (size + rad) * m.spread + (rad + UNIT * size) * m.size
    spread = (spread + mid.size * TINY) * _SLACK
    return _Slope(mid, (size * m.size + spread) * _SLACK, spread)


def _add(terms: list[_Slope]) -> _Slope:
    total = terms[0].mid + terms[1].mid
    for term in terms[2:]:
        total += term.mid
    size = sum(t.size for t in terms)
    spread = (sum(t.spread for t in terms) + len(terms) * UNIT * size) * _SLACK
    return _Slope(total, (size + spread) * _SLACK, spread)
