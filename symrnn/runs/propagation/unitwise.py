# SPDX-License-Identifier: BSD-3-Clause
r"""Norms of Jacobians that are sums of diagonal times fixed matrices, many at a time.

In an LSTM, a GRU or a plain RNN the Jacobian of a step is $J = [CW, V]$: what is
multiplied with W is the same at every step, and C and V mix only rows that belong to the
same unit u (one element of each state). The mixing is found for many steps at once, and
what is left for each step is one product and one factorisation.

Note [Balancing units]
    Let $J = [CW, V]$ with $C_u$ (states × sources) and $V_u$ (states × diagonal seeds)
    for each unit. For *any* $R_u$ and $D_u$, with $\beta \ge \|DW\|_2$ and
    $\Delta = C - RD$,

    .. math:: \|J\|_2 \le \max_u \|\beta^2 R_u R_u^T + V_u V_u^T\|_\infty^{1/2}
        + \max_u \|\Delta_u\|_F\,\|W\|_F,

    because $(RDW)(RDW)^T \preceq \beta^2 RR^T$, the 2-norm of a symmetric matrix is at most
    its ∞-norm, and a matrix of blocks on the diagonal has the largest norm of a block.
    If R is the Cholesky factor of $\alpha I - V_u V_u^T$ and $D = R^{-1}C$, then J has norm
    $\sqrt\alpha$ exactly where $\|DW\| = 1$, and nothing is lost there but rounding. R and D
    come from ordinary float64; Δ is bounded as computed, with the radii of C.

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
from typing import NamedTuple

import numpy as np

from symrnn.domains.enclosure import Enclosed, EnclosureDomain
from symrnn.equations.derivatives import TangentProgram, lower_tangent
from symrnn.equations.language import Add, Hadamard, Matmul, Neg
from symrnn.equations.program import Instruction, execute
from symrnn.equations.symbols import input_size
from symrnn.errors import EquationError
from symrnn.networks.network import Network, Position
from symrnn.numerics.elementary import Floats
from symrnn.numerics.norms import frobenius_bound, spectral_norm_bound
from symrnn.numerics.upward import TINY, UNIT, gamma

__all__ = [
    "Columns",
    "Factor",
    "Slope",
    "UnitNorms",
    "columns_of",
    "factor_of",
    "identity",
    "is_unitwise",
    "run_slopes",
]


_ROUNDED = 1 + 2.0**-46  # more than the roundings of one formula below


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
    spread = (spread + mid.size * b.mid.size * TINY) * _ROUNDED
    return Slope(mid @ b.mid, (size * b.size + spread) * _ROUNDED, spread)


def _scaled(columns: Columns, k: int, m: Slope) -> Slope:
    """Return column k, or the only one, times a slope, element by element."""
    mids, sizes, rads = columns
    k = min(k, len(sizes) - 1)
    size, rad = sizes[k], rads[k]
    mid = mids[k][:, np.newaxis] * m.mid
    spread = (size + rad) * m.spread + (rad + UNIT * size) * m.size
    spread = (spread + mid.size * TINY) * _ROUNDED
    return Slope(mid, (size * m.size + spread) * _ROUNDED, spread)


def _add(terms: list[Slope]) -> Slope:
    total = terms[0].mid + terms[1].mid
    for term in terms[2:]:
        total += term.mid
    size = sum(t.size for t in terms)
    spread = (sum(t.spread for t in terms) + len(terms) * UNIT * size) * _ROUNDED
    return Slope(total, (size + spread) * _ROUNDED, spread)


_SLACK = 1 + 2.0**-40  # more than the roundings of the formulas below


_FAR = 1.1  # times as much as is enough: worth a second look


_ROOM = 1.25  # so that R is far from singular

_Mixture = dict[int, Enclosed]
"""Coefficients of a tangent, one column for each step, by the register of the source."""


def is_unitwise(net: Network, wrt: tuple[str, ...]) -> bool:
    """Whether tangents are multiplied with matrices before they meet values of a step."""
    program = lower_tangent(net.cell, wrt)
    if len(set(net.state_sizes.values())) > 1:
        return False
    if any(isinstance(i.node, Matmul) for i in program.mixed):
        return False
    return _owners(program) is not None


def _owners(program: TangentProgram) -> dict[int, str] | None:
    """Return on which seed each fixed tangent depends, ``None`` if one on several."""
    owners = {register: name for name, register in program.seeds.items()}
    for instruction in program.seeded:
        found = {owners[s] for s in instruction.operands if s in owners}
        if len(found) > 1:
            return None
        owners[instruction.target] = found.pop()
    return owners


class _Parts(NamedTuple):
    """C and V of Note [Balancing units], (steps × units × states × …), and their radii."""

    c: Floats
    c_rad: Floats
    v: Floats
    v_rad: Floats


class UnitNorms:
    """Bounds of the 2-norm of derivatives for which `is_unitwise` holds.

    Args:
        net: The network.
        position: Its layer and direction.
        wrt: With respect to what.
        scale: The factor of each state.
        enough: A bound that is as good as a smaller one; 0 for the best.
    """

    def __init__(
        self,
        net: Network,
        position: Position,
        wrt: tuple[str, ...],
        scale: Mapping[str, float],
        enough: float,
    ) -> None:
        self.states = net.cell.states
        self.scale = scale
        self.enough = enough
        self._size = net.state_sizes[self.states[0]]
        self._sizes = net.sizes[position]
        self._domain = EnclosureDomain()
        self._program = program = lower_tangent(net.cell, wrt)
        self._fixed = {
            register: self._domain.matrix(net.parameters[position][name])
            for name, register in program.parameters.items()
        }
        execute(self._domain, program.once, self._fixed, self._sizes)
        lengths = {"x": self._sizes[input_size], **net.state_sizes}
        slopes = {
            register: identity(lengths[name], scale.get(name, 1.0))
            for name, register in program.seeds.items()
        }
        fixed = {s for i in program.seeded for s in i.operands} & set(self._fixed)
        columns = {r: columns_of(self._fixed[r]) for r in fixed}
        factors = {r: factor_of(self._fixed[r]) for r in fixed}
        run_slopes(program.seeded, slopes, columns, factors, 0)
        self._place_sources(slopes)

    def _place_sources(self, slopes: dict[int, Slope]) -> None:
        """Sort sources into those of V and those of C, and stack the latter's matrices."""
        program = self._program
        read = {s for i in program.mixed for s in i.operands}
        read |= {program.tangents[s] for s in self.states if s in program.tangents}
        owners = _owners(program)
        assert owners is not None
        self.sources = sources = [r for r in owners if r in read]
        seeds = program.seeds
        mixed = {owners[r] for r in sources if r != seeds[owners[r]]}
        self._diagonal = [r for r in sources if owners[r] not in mixed]
        self._dense = [r for r in sources if owners[r] in mixed]
        widths = {n: slopes[r].mid.shape[1] for n, r in seeds.items() if n in mixed}
        starts = dict(zip(widths, np.cumsum([0, *widths.values()]), strict=False))
        stacked = np.zeros((self._size, len(self._dense), sum(widths.values())))
        for k, register in enumerate(self._dense):
            start = starts[owners[register]]
            mid = slopes[register].mid
            stacked[:, k, start : start + mid.shape[1]] = mid
        self._stacked = stacked
        self._norm = frobenius_bound(stacked)
        self._spread = sum(slopes[r].spread for r in self._dense) * _SLACK
        # A diagonal source is its seed: the identity over a power of two.
        self._shrunk = [1 / self.scale.get(owners[r], 1.0) for r in self._diagonal]

    def bounds(self, at: Mapping[str, Enclosed]) -> tuple[Floats, dict[str, Enclosed]]:
        """Return a bound for each column's box, and the states after the step."""
        program, count = self._program, at["x"].mid.shape[1]
        registers = self._fixed | {program.x: at["x"]}
        registers |= {r: at[s] for s, r in program.previous.items()}
        execute(self._domain, program.values, registers, self._sizes)
        parts = self._parts(self._mixtures(registers), count)
        after = {s: registers[program.quantities[s]] for s in self.states}
        squares = (parts.v**2).sum(axis=(2, 3)).max(axis=1, initial=0.0)
        alpha = np.maximum(self.enough**2 or 1.0, squares * _ROOM)
        norms = self._bound(parts, alpha, self.enough and 1.0)
        again = np.flatnonzero(np.isfinite(norms) & (norms > self.enough * _FAR))
        if again.size:
            chosen = _Parts(*(array[again] for array in parts))
            alpha = np.maximum(norms[again], 2.0**-400) ** 2
            norms[again] = np.minimum(norms[again], self._bound(chosen, alpha, 0.0))
        return norms, after

    def _mixtures(self, registers: Mapping[int, Enclosed]) -> dict[int, _Mixture]:
        """Return every tangent as a mixture of sources, with coefficients for all steps."""
        domain = self._domain
        one = Enclosed(np.ones((self._size, 1)), np.zeros((self._size, 1)))
        found: dict[int, _Mixture] = {r: {r: one} for r in self.sources}
        for instruction in self._program.mixed:
            operands, total = instruction.operands, _Mixture()
            match instruction.node:
                case Add():
                    for mixture in (found[r] for r in operands):
                        for r, c in mixture.items():
                            total[r] = domain.add(total[r], c) if r in total else c
                case Neg():
                    total = {r: domain.neg(c) for r, c in found[operands[0]].items()}
                case Hadamard():
                    a, b = operands if operands[0] in found else operands[::-1]
                    value = registers[b]
                    total = {
                        r: value if c is one else domain.hadamard(value, c)
                        for r, c in found[a].items()
                    }
            found[instruction.target] = total
        return found

    def _parts(self, found: Mapping[int, _Mixture], count: int) -> _Parts:
        """Write the coefficients of the states' tangents into arrays, scaled."""
        tangents = self._program.tangents
        arrays = []
        for sources, factors in (
            (self._dense, [1.0] * len(self._dense)),
            (self._diagonal, self._shrunk),
        ):
            shape = (count, self._size, len(self.states), len(sources))
            mid, rad = np.zeros(shape), np.zeros(shape)
            for s, state in enumerate(self.states):
                mixture = found[tangents[state]] if state in tangents else {}
                for k, (source, factor) in enumerate(
                    zip(sources, factors, strict=True)
                ):
                    if source in mixture:
                        factor = factor * self.scale[state]
                        mid[:, :, s, k] = mixture[source].mid.T * factor
                        rad[:, :, s, k] = mixture[source].rad.T * factor + TINY
            arrays += [mid, rad]
        return _Parts(*arrays)

    def _bound(self, parts: _Parts, alpha: Floats, enough: float) -> Floats:
        """Return bounds of the norms that are sharp for those near the root of alpha.

        Args:
            parts: C and V of the steps.
            alpha: One for each step.
            enough: Of ‖DW‖, as for `spectral_norm_bound`.
        """
        c, c_rad, v, v_rad = parts
        own = _gram(v)
        r = _cholesky(alpha[:, None, None, None] * np.eye(len(self.states)) - own)
        d = _solve(r, c)
        product, sizes = _times(r, d), _times(np.abs(r), np.abs(d))
        error = gamma(len(self.states) + 3)
        left = np.abs(c - product) + error * (np.abs(c) + sizes) + c_rad + 8 * TINY
        deviation = (
            _largest(left) * self._norm + _largest(np.abs(c) + c_rad) * self._spread
        )
        deviation += _largest(v_rad)
        beta = np.array([self._mixed_norm(m, enough) for m in d])
        lost = gamma(len(self._dense) + 2) * _largest(d) * self._norm
        beta = (beta + lost + self._stacked.size * len(self.states) * TINY) * _SLACK
        square = (beta**2 * _SLACK)[:, None, None, None]
        total = np.abs(square * _gram(r) + own)
        error = gamma(len(self.states) + len(self._diagonal) + 4)
        total += error * (square * _gram(np.abs(r)) + _gram(np.abs(v))) + 32 * TINY
        norms = np.sqrt(total.sum(axis=3).max(axis=(1, 2), initial=0.0) * _SLACK)
        norms = (norms + deviation) * _SLACK
        return np.where(np.isnan(norms), np.inf, norms)

    def _mixed_norm(self, d: Floats, enough: float) -> float:
        """Return a bound of the norm of the computed product DW."""
        units, states, _ = d.shape
        product = np.matmul(d, self._stacked).reshape(units * states, -1)
        return spectral_norm_bound(product, enough=enough)


def _largest(blocks: Floats) -> Floats:
    """Return the largest Frobenius norm of each step's blocks, rounded up."""
    squares = (blocks**2).sum(axis=(2, 3)).max(axis=1, initial=0.0)
    lost = math.prod(blocks.shape[1:]) * TINY
    found: Floats = np.sqrt(squares * _SLACK + lost) * _SLACK
    return found


def _gram(blocks: Floats) -> Floats:
    """Return each block times its transpose."""
    return _times(blocks, blocks.swapaxes(2, 3))


def _times(a: Floats, b: Floats) -> Floats:
    """Return the products of blocks: few long sums instead of many short products."""
    total = np.zeros((*a.shape[:3], b.shape[3]))
    for k in range(a.shape[3]):
        total += a[..., k, None] * b[:, :, k, None, :]
    return total


def _cholesky(blocks: Floats) -> Floats:
    """Factorise every block, roughly where it is not definite; nothing rests on it."""
    size = blocks.shape[3]
    factor = np.zeros_like(blocks)
    for i in range(size):
        for j in range(i + 1):
            known = (factor[..., i, :j] * factor[..., j, :j]).sum(axis=-1)
            rest = blocks[..., i, j] - known
            if i == j:
                factor[..., i, i] = np.sqrt(
                    np.maximum(rest, 2.0**-20 * np.abs(blocks[..., i, i]) + 2.0**-900)
                )
            else:
                factor[..., i, j] = rest / factor[..., j, j]
    return factor


def _solve(factor: Floats, right: Floats) -> Floats:
    """Solve with triangular blocks; nothing rests on it."""
    found = np.zeros_like(right)
    for i in range(factor.shape[3]):
        known = (factor[..., i, :i, None] * found[..., :i, :]).sum(axis=-2)
        found[..., i, :] = (right[..., i, :] - known) / factor[..., i, i, None]
    return found
