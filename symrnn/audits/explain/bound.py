# SPDX-License-Identifier: BSD-3-Clause
r"""Bounds on the error of a whole run, proven before anybody runs it.

`probabilistic_domain` makes smaller ones that hold with a probability, under an assumption.

Note [Errors as a zonotope]
    Let y be the exact trajectory and ŷ one of honest floating-point arithmetic. Its error
    is $e_t = F(\hat y_{t-1}) - F(y_{t-1}) + r_t$, with $r_t$ its local error. If

    .. math:: e_{t-1} \in \{G_{t-1}\,\xi : |\xi|_\infty \le 1\}, \quad
              E_{t-1} = |G_{t-1}|\,1, \quad |r_t| \le \delta_t,

    then `DifferenceDomain` carries G through the equations, to $H\xi + \eta$, $|\eta| \le
    b$, and $e_t$ is in the same kind of set, with

    .. math:: G_t = [H,\ \mathrm{diag}(\delta_t + b)].

    H is about $J_t G_{t-1}$, and b of second order. Errors keep their signs and
    correlations from step to step, which is what interval recursion, $E_t = |J_t| E_{t-1}
    + \delta_t$, throws away. docs/theory/global-error.md has the proof, with what float64
    itself loses.

Note [The tube]
    Derivatives and local errors are bounded in a tube around float64 points c, computed by
    $c_t = F(c_{t-1}) + \rho_t$ with a proven $\rho_t$. The exact trajectory is not c, but
    if $\rho_t \le \kappa\delta_t$ at every step, the recursion above also proves
    $|y_t - c_t| \le \kappa E_t$: it is linear in its sources. So $\delta_t$ is enlarged
    by $\rho_t/\kappa$, and the tube is $c_t \pm (1 + \kappa) E_t$.

Note [Old generators]
    $G_t$ would grow by a block of columns a step. When there are too many, the older half
    is replaced by the box around it, a diagonal block: a superset. A box forgets
    correlations once in so many steps, by which time most networks have forgotten the
    errors themselves.

Note [Layers]
    The error of a layer's input, $E$ of the layer below, enters as a box whose sides are
    generators of their own. Correlations between steps
    and units of the layer below are given up; those of what they cause above are not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from symrnn.domains.differences import SLACK, Difference, DifferenceDomain, row_sums
from symrnn.domains.enclosure import Enclosed, EnclosureDomain
from symrnn.domains.rounding_bounds import FloatingDomain
from symrnn.domains.rounding_sets import Floating
from symrnn.equations.domain import Domain
from symrnn.equations.program import Program, execute, lower
from symrnn.networks.inputs import Inputs, Layout, one_sequence
from symrnn.networks.layout import result_grids, result_states
from symrnn.networks.network import DIRECTIONS, FIRST, Network, Position
from symrnn.numerics.upward import TINY, gamma

__all__ = [
    "Counting",
    "ErrorBound",
    "Zonotope",
    "bound_errors",
    "probabilistic_domain",
    "probabilistic_unit",
]


Floats = npt.NDArray[np.float64]


class Zonotope:
    """The set {G ξ : |ξ| <= 1} that contains the error; see `symrnn.audits.explain.bound`.

    Args:
        entry: Half the sides of the box that it is at first, (total × 1).
        columns: How many columns G may have.

    Attributes:
        error: E, an upper bound of the row sums of |G|, (total × 1).
    """

    def __init__(self, entry: Floats, columns: int) -> None:
        self.limit = max(columns, 2 * len(entry))
        self.blocks: list[Floats] = [np.diag(entry[:, 0])] if entry.any() else []
        self.error = entry

    @property
    def generators(self) -> Floats | None:
        """G in one piece, ``None`` where there is no error."""
        return np.hstack(self.blocks) if self.blocks else None

    def give_up(self) -> None:
        """From here on, nothing is known."""
        self.blocks = []
        self.error = np.full_like(self.error, np.inf)

    def become(self, blocks: Sequence[Floats], box: Floats) -> None:
        """Be the sum of the images of cubes under `blocks`, and a box."""
        self.blocks = [*blocks, np.diag(box[:, 0])]
        if sum(block.shape[1] for block in self.blocks) > self.limit:
            self._bundle()
        self.error = row_sums(self.blocks)
        if not np.isfinite(self.error).all():
            self.give_up()

    def _bundle(self) -> None:
        """Put a box around the older half of the columns; see Note [Old generators] there."""
        every = np.hstack(self.blocks)
        keep = every.shape[1] - self.limit // 2
        box = np.diag(row_sums([every[:, :keep]])[:, 0])
        self.blocks = [box, every[:, keep:]]


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


_BLOCKS = 24
"""Steps whose errors keep their correlations; see Note [Old generators]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorBound:
    """How far states can be from the exact ones, whoever computes them honestly.

    Attributes:
        states: By (layer, direction) and state, (time, batch, size): upper bounds of
            absolute errors, infinite where nothing is known, NaN beyond a sequence's
            length.
        net: The network.
        inputs: What it is run on.
        format: The float format.
        accumulate: The format in which products are accumulated.
        failure: 0 where the bound is proven; else the probability, under the assumption
            that rounding errors are independent with mean 0, that one of them is
            exceeded somewhere.
    """

    states: Mapping[Position, Mapping[str, Floats]]
    net: Network
    inputs: Inputs
    format: str
    accumulate: str
    failure: float = 0.0

    @property
    def proven(self) -> bool:
        """Whether it holds with certainty, under the assumptions of `FloatingDomain`."""
        return self.failure == 0

    def results(self) -> dict[str, Floats]:
        """Return bounds in torch's shapes by name: ``output``, ``h_n``, …; 0 for padding."""
        found = {}
        states = result_states(self.net)
        for name, grid in result_grids(self.net, self.inputs).items():
            values = np.zeros(grid.shape)
            for position in self.net.positions:
                here = (grid.layer == position.layer) & ~grid.padding
                here &= grid.direction == DIRECTIONS.index(position.direction)
                where = grid.step[here], grid.batch[here], grid.unit[here]
                values[here] = self.states[position][states[name]][where]
            found[name] = values
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the largest bound of every step as plain data; ``None`` is infinite."""
        return {
            "proven": self.proven,
            "failure": self.failure,
            "format": self.format,
            "accumulate": self.accumulate,
            "largest_by_step": [
                {
                    "layer": position.layer,
                    "direction": str(position.direction),
                    "state": state,
                    "bounds": [_number(np.nanmax(step)) for step in values],
                }
                for position, states in self.states.items()
                for state, values in states.items()
            ],
        }


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def bound_errors(
    net: Network,
    inputs: Inputs,
    domain: FloatingDomain,
    *,
    confidence: float | None = None,
    columns: int | None = None,
) -> ErrorBound:
    """Bound the error of every state of any honest run; see this module's notes.

    Parameters, inputs and initial states are exact numbers; where they are none of the
    format, a run that rounds them is covered too.

    Args:
        net: The network, of any cell.
        inputs: What it is run on.
        domain: What honest arithmetic is: format, accumulation, activation errors.
        confidence: Instead of a proof, a smaller bound that holds with this probability
            if rounding errors are independent and have mean 0; see
            `symrnn.audits.explain.bound`.
        columns: How many generators are kept at most; more are tighter and slower. By
            default as many as 24 steps make.

    Raises:
        NotFiniteError: A parameter, input or initial state is NaN or infinite.
        UnsupportedError: This thread flushes subnormal numbers.
        ValueError: `confidence` is not between 0 and 1.

    >>> import symrnn
    >>> from symrnn.numerics.formats import FORMATS
    >>> from symrnn.networks.inputs import read_inputs
    >>> net = symrnn.load({"weight_ih_l0": [[0.5]], "weight_hh_l0": [[-0.25]]}, cell="rnn_tanh")
    >>> inputs = read_inputs(net, [[1.0]] * 50)
    >>> found = bound_errors(net, inputs, FloatingDomain(FORMATS["float32"]))
    >>> found.proven, bool((found.results()["output"] < 1e-6).all())
    (True, True)
    """
    net.require_finite()
    inputs.require_finite()
    if confidence is not None:
        if not 0 < confidence < 1:
            raise ValueError(f"confidence must be between 0 and 1 (got {confidence!r})")
        domain = _probable(net, inputs, domain, 1 - confidence)
    states = {
        position: {
            state: np.full((inputs.time, inputs.batch, size), np.nan)
            for state, size in net.state_sizes.items()
        }
        for position in net.positions
    }
    for b in range(inputs.batch):
        found = _Run(net, one_sequence(inputs, b), domain, columns).run()
        for position, by_state in found.items():
            for state, values in by_state.items():
                states[position][state][: len(values), b] = values
    return ErrorBound(
        states=states,
        net=net,
        inputs=inputs,
        format=domain.target.name,
        accumulate=domain.accumulate.name,
        failure=0.0 if confidence is None else 1 - confidence,
    )


# --- one sequence -------------------------------------------------------------------


class _Run:
    def __init__(
        self, net: Network, inputs: Inputs, domain: FloatingDomain, columns: int | None
    ) -> None:
        self.net = net
        self.inputs = inputs
        self.domain = domain
        self.columns = columns

    def run(self) -> dict[Position, dict[str, Floats]]:
        time, first = len(self.inputs.widths), self.net.cell.states[0]
        found: dict[Position, dict[str, Floats]] = {}
        with EnclosureDomain().context(), self.domain.context():
            below: list[_Input] = [self._given(t) for t in range(time)]
            for layer in range(self.net.num_layers):
                centers = []
                for position in self.net.layer(layer):
                    run = _Pass(
                        self.net, self.inputs, self.domain, position, self.columns
                    )
                    run.run(below)
                    found[position] = run.bounds
                    centers.append(run.centers)
                below = [
                    _Input(
                        np.concatenate([c[t] for c in centers])[:, np.newaxis],
                        np.concatenate(
                            [found[p][first][t] for p in self.net.layer(layer)]
                        )[:, np.newaxis],
                    )
                    for t in range(time)
                ]
        return found

    def _given(self, t: int) -> _Input:
        return _Input(self.inputs.step(t))


@dataclass(frozen=True, slots=True)
class _Input:
    """The input of a layer at a step: exact numbers, or a point and the error around it."""

    point: npt.NDArray[Any]
    error: Floats | None = None

    def difference(self) -> Difference:
        center = EnclosureDomain().matrix(self.point)
        if self.error is None:
            return Difference(center)
        return Difference(center, (None, np.diag(self.error[:, 0])))

    def held(self, domain: FloatingDomain, widening: float) -> Floating:
        if self.error is None:
            return domain.parameter("x", self.point, FIRST)
        return domain.atom(self.point, spread=_widened(self.error, widening))


def _widened(error: Floats, factor: float) -> Floats:
    return error * factor + 2 * TINY  # below normal numbers, the product may lose that


class _Pass:
    """One layer in one direction."""

    def __init__(
        self,
        net: Network,
        inputs: Inputs,
        domain: FloatingDomain,
        position: Position,
        columns: int | None,
    ) -> None:
        self.net, self.inputs, self.position = net, inputs, position
        self.states, self.sizes = net.cell.states, net.state_sizes
        self.total = sum(self.sizes.values())
        features = net.output_size if position.layer else 0
        self.columns = columns or _BLOCKS * (self.total + features)
        # See Note [The tube]: the finer float64 is than the format, the smaller.
        self.kappa = 2.0 ** -min(16, max(0, 53 - domain.target.precision))
        self.widening = (1 + self.kappa) * SLACK
        self.program: Program = lower(net.cell)
        self.domain, self.exact = domain, DifferenceDomain(self.kappa)
        self.held = self._parameters(domain)
        self.given = self._parameters(self.exact)
        self.bounds: dict[str, Floats] = {}
        self.centers: list[Floats] = []

    def _parameters(self, domain: Domain[Any]) -> dict[int, Any]:
        parameters = self.net.parameters[self.position]
        registers = {
            register: domain.parameter(name, parameters[name], self.position)
            for name, register in self.program.parameters.items()
        }
        execute(domain, self.program.once, registers, self.net.sizes[self.position])
        return registers

    def run(self, below: Sequence[_Input]) -> None:
        index = self.net.positions.index(self.position)
        given = {s: self.inputs.initial(s, index, n) for s, n in self.sizes.items()}
        starts = [EnclosureDomain().matrix(given[s]) for s in self.states]
        point = np.vstack([start.mid for start in starts])
        zonotope = Zonotope(self._entry_errors(given, starts), self.columns)
        errors = np.zeros((len(below), self.total))
        points = np.zeros((len(below), self.total))
        for t in self.position.direction.order(len(below)):
            point = self._step(point, below[t], zonotope)
            points[t], errors[t] = point[:, 0], zonotope.error[:, 0]
        start = 0
        for state, size in self.sizes.items():
            self.bounds[state] = errors[:, start : start + size]
            if state == self.states[0]:
                self.centers = list(points[:, start : start + size])
            start += size

    def _entry_errors(
        self, given: Mapping[str, npt.NDArray[Any]], starts: Sequence[Enclosed]
    ) -> Floats:
        """Return how far a run's initial states may be from exact, and those from c."""
        rounded = [
            self.domain.parameter(s, given[s], self.position).rad for s in self.states
        ]
        held = np.vstack(
            [
                np.zeros_like(start.mid) if rad is None else rad
                for rad, start in zip(rounded, starts, strict=True)
            ]
        )
        off = np.vstack([start.rad for start in starts])
        return (held + off / self.kappa) * SLACK

    def _split(self, column: Floats) -> dict[str, Floats]:
        ends = np.cumsum([self.sizes[s] for s in self.states])[:-1]
        return dict(zip(self.states, np.split(column, ends), strict=True))

    def _step(self, point: Floats, below: _Input, zonotope: Zonotope) -> Floats:
        """Advance the zonotope by one step, and return the next point of the tube."""
        known = np.isfinite(zonotope.error).all()
        known &= below.error is None or np.isfinite(below.error).all()
        if not known:
            zonotope.give_up()
            return point
        found = self._difference(point, below, zonotope)
        local = self._local(point, zonotope.error, below)
        local += found.center.rad / self.kappa
        box = 0.0 if found.box is None else found.box
        blocks = [block for block in found.blocks if block is not None]
        zonotope.become(blocks, (local + box) * SLACK)
        return found.center.mid

    def _difference(
        self, point: Floats, below: _Input, zonotope: Zonotope
    ) -> Difference:
        """Return F at the point of the tube, and differences between F around it."""
        registers = dict(self.given)
        registers[self.program.x] = below.difference()
        generators = zonotope.generators
        parts = {} if generators is None else self._split(generators)
        for state, part in self._split(point).items():
            exact = Enclosed(part, np.zeros_like(part))
            value = Difference(exact, (parts[state],) if parts else ())
            registers[self.program.previous[state]] = value
        return self.exact.vstack(self._results(self.exact, registers))

    def _local(self, point: Floats, error: Floats, below: _Input) -> Floats:
        """Return what a step from anywhere in the tube may add to the error."""
        registers = dict(self.held)
        registers[self.program.x] = below.held(self.domain, self.widening)
        radii = self._split(_widened(error, self.widening))
        for state, part in self._split(point).items():
            atom = self.domain.atom(part, spread=radii[state])
            registers[self.program.previous[state]] = atom
        found = []
        for value in self._results(self.domain, registers):
            settled = self.domain.settle(value)
            rad = np.zeros_like(settled.mid) if settled.rad is None else settled.rad
            found.append(rad[:, :1])
        return np.vstack(found)

    def _results(self, domain: Domain[Any], registers: dict[int, Any]) -> list[Any]:
        sizes = self.net.sizes[self.position]
        execute(domain, self.program.input, registers, sizes)
        execute(domain, self.program.step, registers, sizes)
        return [registers[self.program.quantities[s]] for s in self.states]


def _probable(
    net: Network, inputs: Inputs, domain: FloatingDomain, failure: float
) -> FloatingDomain:
    """Return the domain with a smaller unit that fails in this run but with `failure`."""
    counting = Counting(
        domain.target, domain.accumulate, activations=domain.activations
    )
    layout = Layout(batched=True, batch_first=False, single_step=False, packed=False)
    zero = np.zeros((1, 1, net.input_size))
    one = Inputs(x=zero, states=None, lengths=(1,), layout=layout)
    _Run(net, one, counting, None).run()
    return probabilistic_domain(domain, counting.count * sum(inputs.lengths), failure)
