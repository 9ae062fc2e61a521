# SPDX-License-Identifier: BSD-3-Clause
r"""Proven bounds of how far one step of a network can move two states apart.

The derivative of a step is its tangent (`symrnn.equations.derivatives`) along the columns of an
identity. The columns of values that it is made of are enclosed for many steps at once.
Where tangents are multiplied with matrices before they meet those, as in torch's cells,
`symrnn.runs.propagation.unitwise` does the same for most of the rest; else the tangents of
each step are dense matrices.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from symrnn.domains.enclosure import Enclosed, EnclosureDomain
from symrnn.equations.derivatives import lower_tangent
from symrnn.equations.language import Hadamard, Matmul
from symrnn.equations.program import Instruction, execute
from symrnn.equations.symbols import input_size
from symrnn.networks.network import Network, Position
from symrnn.numerics.elementary import Floats
from symrnn.numerics.norms import spectral_norm_bound
from symrnn.numerics.upward import TINY
from symrnn.runs.propagation.unitwise import (
    Columns,
    Slope,
    UnitNorms,
    columns_of,
    factor_of,
    identity,
    is_unitwise,
    run_slopes,
)

__all__ = ["StepNorms"]

_SLACK = 1 + 2.0**-46  # more than the roundings of one formula below


class StepNorms:
    r"""Bounds of the 2-norm of the derivatives of one layer and direction.

    Distances of states are measured after scaling each state by a power of two, S.

    Args:
        net: The network.
        position: Its layer and direction.
        wrt: With respect to what: the names of all states, or ``("x",)``.
        scale: The factor of each state.
        enough: A bound that is as good as a smaller one; saves time where it holds.
    """

    def __init__(
        self,
        net: Network,
        position: Position,
        wrt: tuple[str, ...],
        scale: Mapping[str, float],
        *,
        enough: float = 0.0,
    ) -> None:
        self.states = net.cell.states
        self.scale = scale
        self._enough = enough
        lengths = {"x": net.sizes[position][input_size], **net.state_sizes}
        self._orthogonal = lengths[wrt[-1]] if len(wrt) > 1 else 0
        self._units: UnitNorms | None = None
        self._blocks: list[_Block] = []
        with EnclosureDomain().context():
            if is_unitwise(net, wrt):
                self._units = UnitNorms(net, position, wrt, scale, enough)
                return
            self._blocks = [
                _Block(net, position, name, lengths[name], scale.get(name, 1.0))
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
            if self._units is not None:
                return self._units.bounds(at)
            values = [block.values(at) for block in self._blocks]
            for k in range(len(norms)):
                norms[k] = self._norm(
                    [b.slopes(v, k) for b, v in zip(self._blocks, values, strict=True)]
                )
        return norms, dict(values[0].states)

    def _norm(self, blocks: list[dict[str, Slope]]) -> float:
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
    columns: Mapping[int, Columns]


class _Block:
    """The derivative of the states with respect to x or to one state."""

    def __init__(
        self, net: Network, position: Position, name: str, size: int, factor: float
    ) -> None:
        self.states = net.state_sizes
        self.size = size
        self._sizes = net.sizes[position]
        self._domain = EnclosureDomain()
        self._program = program = lower_tangent(net.cell, (name,))
        self._fixed: dict[int, Any] = {
            register: self._domain.matrix(net.parameters[position][parameter])
            for parameter, register in program.parameters.items()
        }
        execute(self._domain, program.once, self._fixed, self._sizes)
        self._slopes = {program.seeds[name]: identity(size, factor)}
        self._factors = {
            i.operands[0]: factor_of(self._fixed[i.operands[0]])
            for i in (*program.seeded, *program.mixed)
            if isinstance(i.node, Matmul)
        }
        columns = {
            r: columns_of(self._fixed[r]) for r in _read(program.seeded, self._fixed)
        }
        run_slopes(program.seeded, self._slopes, columns, self._factors, 0)

    def values(self, at: Mapping[str, Enclosed]) -> _Values:
        """Enclose every value of the steps that start from the columns of `at`."""
        program = self._program
        registers = self._fixed | {program.x: at["x"]}
        registers |= {program.previous[s]: at[s] for s in self.states}
        execute(self._domain, program.values, registers, self._sizes)
        columns = {r: columns_of(registers[r]) for r in _read(program.mixed, registers)}
        return _Values(
            {s: registers[program.quantities[s]] for s in self.states}, columns
        )

    def slopes(self, values: _Values, k: int) -> dict[str, Slope]:
        """Return the derivative of every state in column k."""
        slopes = dict(self._slopes)
        run_slopes(self._program.mixed, slopes, values.columns, self._factors, k)
        return {
            s: slopes[self._program.tangents[s]]
            if s in self._program.tangents
            else Slope(np.zeros((size, self.size)), 0.0, 0.0)
            for s, size in self.states.items()
        }


def _read(phase: tuple[Instruction, ...], registers: Mapping[int, Any]) -> set[int]:
    """Return which of `registers` a phase multiplies slopes with, element by element."""
    found = {s for i in phase if isinstance(i.node, Hadamard) for s in i.operands}
    return found & set(registers)
