# SPDX-License-Identifier: BSD-3-Clause
"""Documents per second, and a long derivation against SymPy's ``latex()``.

Run ``python benchmarks/documents.py --help``. SymPy prints the formulas that the
derivation prints, line by line, from expressions that were built beforehand: it neither
computes their numbers nor breaks lines, and only its ``latex()`` is timed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import click
import sympy
from rich.console import Console
from rich.table import Table
from sympy.matrices.expressions import HadamardProduct, MatAdd, MatMul
from unrolled import HIDDEN_SIZE, INPUT_SIZE, _random_network

import symrnn
from symrnn.documents.model import (
    Brackets,
    Document,
    Equations,
    Function,
    Heading,
    Math,
    Matrix,
    Number,
    Piece,
    Sign,
    Symbol,
)

FORMATS = (".tex", ".html", ".md", ".ipynb")

LIMIT = 10.0
"""Milliseconds of a step, derived and written, at most."""


@click.command(context_settings={"show_default": True})
@click.option("--steps", default=1000, help="Steps of the long derivation, all shown.")
@click.option("--short", default=3, help="Steps of the short documents.")
@click.option("--repeat", default=5, help="Repetitions; the best counts.")
@click.option("--check", is_flag=True, help=f"Fail where a step takes over {LIMIT} ms.")
def main(steps: int, short: int, repeat: int, check: bool) -> None:
    """Time the derivations of a small LSTM."""
    console = Console()
    console.print(
        f"LSTM {INPUT_SIZE} -> {HIDDEN_SIZE}, SymPy {sympy.__version__}, symrnn "
        f"{symrnn.__version__}, Python {sys.version.split()[0]}; processor time"
    )
    console.print(_short_documents(short, repeat))
    found = _long_derivation(steps)
    console.print(found)
    per_step = found.per_step
    if check and per_step > LIMIT:
        raise SystemExit(f"{per_step:.1f} ms a step, more than {LIMIT}")


# --- short documents ----------------------------------------------------------------


def _short_documents(steps: int, repeat: int) -> Table:
    arrays, x = _random_network(steps)
    net = symrnn.load(arrays, cell="lstm")
    seconds, page = _best(lambda: symrnn.derive(net, x), repeat)
    table = Table("", "seconds", "per second", title=f"Documents of {steps} steps")

    def row(name: str, value: float) -> None:
        table.add_row(name, f"{value:.4f}", f"{1 / value:.1f}")

    row("derive", seconds)
    total = seconds
    for suffix in FORMATS:
        seconds, _ = _best(lambda suffix=suffix: page.text(suffix), repeat)
        row(f"write {suffix}", seconds)
        total += seconds
    row("derive, and write all of them", total)
    return table


# --- a long one ---------------------------------------------------------------------


class _Found:
    """Seconds of the long derivation, and of SymPy on its formulas."""

    def __init__(self, steps: int, derive: float, write: float, rival: float) -> None:
        self.steps, self.derive, self.write, self.rival = steps, derive, write, rival

    @property
    def per_step(self) -> float:
        """Milliseconds of deriving and writing a step."""
        return 1000 * (self.derive + self.write) / self.steps

    def __rich__(self) -> Table:
        table = Table(
            *("", "seconds", "ms a step", "SymPy's latex() over it"),
            title=f"{self.steps} steps in one document",
        )
        rows = {
            "symrnn derives": self.derive,
            "symrnn writes LaTeX": self.write,
            "symrnn, both": self.derive + self.write,
            "SymPy's latex() on the same formulas": self.rival,
        }
        for name, seconds in rows.items():
            table.add_row(
                name,
                f"{seconds:.3f}",
                f"{1000 * seconds / self.steps:.2f}",
                f"{self.rival / seconds:.2f}",
            )
        return table


def _long_derivation(steps: int) -> _Found:
    arrays, x = _random_network(steps)
    net = symrnn.load(arrays, cell="lstm")
    derive, page = _timed(lambda: symrnn.derive(net, x, steps=f"1-{steps}"))
    write, text = _timed(page.latex)
    expressions = [_expression(math) for math in _formulas(page.document)]
    rival, printed = _timed(lambda: [sympy.latex(e) for e in expressions])
    _require_all_numbers(text, printed)
    return _Found(steps, derive, write, rival)


def _formulas(document: Document) -> Iterator[Math]:
    """Yield the formulas of the steps; what is assembled after them has dots."""
    for block in document:
        if isinstance(block, Heading) and block.content == ("Output",):
            return
        for line in block.lines if isinstance(block, Equations) else ():
            if line.left:
                yield line.left
            yield from _between_relations(line.right)


def _between_relations(math: Math) -> Iterator[Math]:
    part: Math = ()
    for piece in math:
        if piece in (Sign("equals"), Sign("approx")):
            yield part
            part = ()
        else:
            part = (*part, piece)
    yield part


def _require_all_numbers(ours: str, theirs: list[str]) -> None:
    """Fail unless SymPy has printed about as many decimals as symrnn."""
    points = ours.count("."), sum(text.count(".") for text in theirs)
    if not 0.9 < points[1] / points[0] < 1.1:
        raise SystemExit(f"symrnn prints {points[0]} decimals, SymPy {points[1]}")


# --- formulas as SymPy's expressions ------------------------------------------------


def _expression(math: Math) -> Any:
    """Return a formula as an expression that SymPy prints as it stands."""
    terms: list[Any] = []
    for term in _split(math, ("plus", "minus")):
        factors = [_factors(part) for part in _split(term, ("odot",))]
        whole = factors[0]
        for factor in factors[1:]:
            whole = HadamardProduct(whole, factor)
        terms.append(whole)
    return terms[0] if len(terms) == 1 else MatAdd(*terms, evaluate=False)


def _split(math: Math, signs: tuple[str, ...]) -> list[Math]:
    parts: list[Math] = [()]
    for piece in math:
        if isinstance(piece, Sign) and piece.name in signs:
            parts.append(())
        else:
            parts[-1] = (*parts[-1], piece)
    return parts


def _factors(math: Math) -> Any:
    found: list[Any] = []
    pieces = iter(math)
    for piece in pieces:
        if isinstance(piece, Function):
            argument = _piece(next(pieces))
            found.append(argument.applyfunc(sympy.Function(piece.name)))
        elif piece != Sign("transposed"):
            found.append(_piece(piece))
    return found[0] if len(found) == 1 else MatMul(*found, evaluate=False)


def _piece(piece: Piece) -> Any:
    match piece:
        case Symbol():
            return sympy.MatrixSymbol(f"{piece.base}_{piece.sub}", *_shape(piece))
        case Number():
            return sympy.Float(piece.text)
        case Brackets():
            return _expression(piece.body)
        case Matrix():
            rows = [[_expression(cell) for cell in row] for row in piece.rows]
            if not isinstance(rows[0][0], sympy.Float):
                return sympy.BlockMatrix(rows)
            return sympy.ImmutableDenseMatrix(rows)
    raise SystemExit(f"there is no expression for {piece}")


def _shape(symbol: Symbol) -> tuple[int, int]:
    if symbol.base == "W":
        return HIDDEN_SIZE, INPUT_SIZE if symbol.sub.startswith("i") else HIDDEN_SIZE
    return (INPUT_SIZE if symbol.base == "x" else HIDDEN_SIZE), 1


def _best(run: Callable[[], Any], repeat: int) -> tuple[float, Any]:
    found = [_timed(run) for _ in range(repeat)]
    return min(seconds for seconds, _ in found), found[-1][1]


def _timed(run: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    found = run()
    return time.process_time() - start, found


if __name__ == "__main__":
    main()
