# SPDX-License-Identifier: BSD-3-Clause
"""What a schedule is, and the proof that makes it one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from sympy import MatrixExpr

from symrnn.domains.rounded import Fused, ProductOrder, Products, RoundedDomain
from symrnn.equations.cells import Cell, Equation
from symrnn.equations.equality import Polynomial, normal_form, spell
from symrnn.errors import EquationError
from symrnn.networks.network import Network
from symrnn.numerics.float_arithmetic import Floats
from symrnn.numerics.formats import FloatFormat, find_emulated_format

__all__ = ["Schedule", "as_written"]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A cell, and an order of operations that computes it exactly where nothing is rounded.

    Attributes:
        name: What it is called in reports.
        cell: The cell that it computes.
        order: A cell with the same parameters and states whose equations are in the order
            of computation; each value that is stored has a name there.
        products: The order of the sums in matrix products.
        choose: What chooses that order instead, by a product's shape; see
            `RoundedDomain`.
        accumulate: The format of operations inside an equation where numbers are stored
            in a narrower one; ``None`` rounds every operation to the format stored.
        fused: Which products are added by fused multiply-adds; see `RoundedDomain`.
        kernel: Which code of torch computes in this order, if any does; see
            `symrnn.kernels.layer_kernel`.

    Raises:
        EquationError: An equation of `order` does not equal the cell's, or has other
            parameters or states. The message names the equation and the difference.
    """

    name: str
    cell: Cell
    order: Cell
    products: Products = field(default_factory=ProductOrder)
    choose: Callable[[int, int], Products] | None = None
    accumulate: str | None = None
    fused: tuple[Fused, ...] = ()
    kernel: str | None = None

    def __post_init__(self) -> None:
        _prove(self)

    def apply(self, net: Network) -> Network:
        """Return a network that computes what `net` does, in this order.

        Raises:
            EquationError: `net` has another cell.
        """
        if net.cell != self.cell:
            raise EquationError(
                f"the order {self.name!r} is of {self.cell.name}, not of "
                f"{net.cell.name}"
            )
        return replace(net, cell=self.order)

    def accumulation(self, target: FloatFormat) -> FloatFormat:
        """Return the format of operations inside equations when `target` is stored.

        >>> from symrnn.equations import find_cell
        >>> from symrnn.kernels import FORMATS
        >>> order = as_written(find_cell("lstm"), accumulate="float32")
        >>> [order.accumulation(FORMATS[f]).name for f in ("bfloat16", "float64")]
        ['float32', 'float64']
        """
        if self.accumulate is None:
            return target
        wide = find_emulated_format(self.accumulate)
        return wide if wide.precision > target.precision else target

    def domain(
        self,
        format: str | FloatFormat,
        *,
        functions: Mapping[str, Callable[[Floats], Floats]] | None = None,
    ) -> RoundedDomain:
        """Return the arithmetic in which it runs when numbers are stored in `format`.

        Args:
            format: See `symrnn.kernels.find_emulated_format`.
            functions: See `RoundedDomain`.
        """
        target = find_emulated_format(format)
        return RoundedDomain(
            target,
            accumulate=self.accumulation(target),
            products=self.products,
            choose=self.choose,
            fused=self.fused,
            functions=functions,
        )


# --- the proof ----------------------------------------------------------------------


def _prove(schedule: Schedule) -> None:
    """Compare every quantity that the order and the cell have both, states among them."""
    cell, order = schedule.cell, schedule.order
    where = f"the order {schedule.name!r} of {cell.name}"
    for what, ours, theirs in (
        ("parameters", order.parameters, cell.parameters),
        ("states", order.states, cell.states),
        ("stacking", dict(order.stacking), dict(cell.stacking)),
    ):
        if ours != theirs:
            raise EquationError(f"{where} has {what} {ours}, expected {theirs}")
    expected = {line.name: line for line in cell.equations}
    full = _forms(cell), _forms(order)
    # Quantities known to be equal stay names, which keeps a difference short.
    equal: dict[MatrixExpr, Polynomial] = {}
    for line in order.equations:
        if line.name not in expected:
            continue
        written = expected[line.name]
        if full[0][written.target] != full[1][line.target]:
            difference = _difference(cell, order, line, equal)
            raise EquationError(
                f"{where}: equation {line.name} is not equal to the cell's "
                f"'{written}'; it exceeds it by {difference}"
            )
        equal[line.target] = normal_form(line.target)


def _forms(
    cell: Cell, known: Mapping[MatrixExpr, Polynomial] | None = None
) -> dict[MatrixExpr, Polynomial]:
    """Return every quantity of a cell in terms of parameters, x and previous states."""
    forms: dict[MatrixExpr, Polynomial] = dict(known or {})
    for line in cell.equations:
        if line.target not in forms:
            forms[line.target] = normal_form(line.value, forms)
    return forms


def _difference(
    cell: Cell, order: Cell, line: Equation, equal: Mapping[MatrixExpr, Polynomial]
) -> str:
    ours, theirs = (dict(_forms(c, equal)[line.target]) for c in (order, cell))
    zero = Fraction(0)
    terms = {m: ours.get(m, zero) - theirs.get(m, zero) for m in ours | theirs}
    return spell(frozenset((m, c) for m, c in terms.items() if c))


def as_written(cell: Cell, *, accumulate: str | None = None) -> Schedule:
    """Return the order in which a cell's equations are written.

    Args:
        cell: Any cell.
        accumulate: See `Schedule`.
    """
    return Schedule(name="as written", cell=cell, order=cell, accumulate=accumulate)
