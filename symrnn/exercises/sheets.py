# SPDX-License-Identifier: BSD-3-Clause
"""A derivation as an exercise: the same document with numbers, and with blanks for them.

The sheet comes first: a derivation whose values are blanks, wherever they appear, so that
none can be read off a second place. The solution is the sheet with the blanks filled in,
so both have the same lines
and pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any

from flint import fmpq
from sympy import MatrixExpr

from symrnn.cells import CELLS, x
from symrnn.documents.derivation import Derivation, derive
from symrnn.documents.layout import columns_that_fit
from symrnn.documents.model import (
    Blank,
    Block,
    Document,
    Formula,
    Heading,
    Math,
    Matrix,
    Paragraph,
    Script,
    Strong,
    Table,
)
from symrnn.documents.notation import Shown
from symrnn.documents.opening import opening
from symrnn.documents.options import Detail, Options, suggest
from symrnn.documents.printed import Values
from symrnn.documents.steps import sequences
from symrnn.errors import SourceError
from symrnn.evaluate import evaluate
from symrnn.exercises.keys import FORM, SCHEMA
from symrnn.exercises.networks import ALGORITHM, Friendly, Palette, draw
from symrnn.inputs import require_int
from symrnn.language import Constant, Named
from symrnn.network import Place
from symrnn.trace import Trace

__all__ = ["DIFFICULTIES", "Difficulty", "Exercise", "exercise"]

_MOST_STEPS = 12
_MOST_UNITS = 8
_MOST_DIGITS = 12
_KNOWN = 40  # decimals of an irrational answer in the key


@dataclass(frozen=True, slots=True)
class Difficulty:
    """What makes a sheet easy or hard.

    Attributes:
        palette: The numbers of the network.
        digits: Decimals that are asked for.
        detail: What is printed: every line of the working, or the states alone.
        worked: Whether the steps before the last are worked examples.
    """

    palette: Palette
    digits: int
    detail: Detail
    worked: bool


DIFFICULTIES: Mapping[str, Difficulty] = {
    "easy": Difficulty(
        Palette(
            unit=Decimal("0.5"), most=Decimal(1), input_unit=Decimal(1), bias=False
        ),
        digits=2,
        detail="steps",
        worked=True,
    ),
    "medium": Difficulty(
        Palette(
            unit=Decimal("0.25"), most=Decimal(1), input_unit=Decimal("0.5"), bias=True
        ),
        digits=3,
        detail="steps",
        worked=False,
    ),
    "hard": Difficulty(
        Palette(
            unit=Decimal("0.1"),
            most=Decimal("0.9"),
            input_unit=Decimal("0.1"),
            bias=True,
        ),
        digits=4,
        detail="summary",
        worked=False,
    ),
}


# --- numbers that are asked for -----------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """What belongs into a blank.

    Attributes:
        printed: The number as the solution prints it.
        node: The name of the quantity, or the expression.
        step: From 1.
        unit: From 1; 0 where there is one only.
        value: A ratio where it is exact, or else a decimal of many digits.
    """

    printed: str
    node: str
    step: int
    unit: int
    value: str

    @property
    def key(self) -> str:
        """What the answer is called."""
        unit = f"[{self.unit}]" if self.unit else ""
        return f"step {self.step}: {self.node}{unit}"


class _Asked(Values):
    """The values of a document, with blanks for all that is computed from a step on.

    Attributes:
        answers: What belongs into the blanks, by key.
    """

    def __init__(self, trace: Trace, options: Options, first: int) -> None:
        super().__init__(trace, options)
        self.first = first
        self.answers: dict[str, Answer] = {}

    def node(self, place: Place, t: int, b: int, node: MatrixExpr) -> Shown:
        shown = super().node(place, t, b, node)
        if t < self.first or not self._is_computed(node):
            return shown
        (piece,) = shown.math
        if not isinstance(piece, Matrix):
            return Shown((self._blank(piece, place, t, node, 0),), shown.exact)
        rows: tuple[tuple[Math, ...], ...] = tuple(
            ((self._blank(number, place, t, node, unit),),)
            for unit, ((number,),) in enumerate(piece.rows)
        )
        return Shown((replace(piece, rows=rows),), shown.exact)

    def state(self, place: Place, t: int, b: int, state: str, unit: int) -> Math:
        math = super().state(place, t, b, state, unit)
        if t < self.first:
            return math
        return (self._blank(math[0], place, t, self.results.target(state), unit),)

    def _is_computed(self, node: MatrixExpr) -> bool:
        if isinstance(node, Constant) or node in self.net.cell.parameters:
            return False
        return node != x and not (
            isinstance(node, Named) and node.name.endswith("_prev")
        )

    def _blank(
        self, printed: Any, place: Place, t: int, node: MatrixExpr, unit: int
    ) -> Blank:
        numbers = self.results.exact(place, t, 0, node)
        exact = numbers.at(unit, 0)
        if isinstance(exact.known, fmpq):
            value = f"{exact.known.p}/{exact.known.q}"
        else:
            assert exact.value is not None
            value = exact.value.decimal(places=_KNOWN)
        answer = Answer(
            printed=printed.text,
            node=self._names.get(node, str(node)),
            step=t + 1,
            unit=unit + 1 if numbers.shape[0] > 1 else 0,
            value=value,
        )
        self.answers[answer.key] = answer
        return Blank(self.digits + 3, answer.key)


def _blanks(part: Any) -> Iterator[Blank]:
    """Yield all blanks in a part of a document, in reading order."""
    if isinstance(part, Blank):
        yield part
    elif isinstance(part, tuple):
        for inner in part:
            yield from _blanks(inner)
    elif is_dataclass(part):
        for attribute in fields(part):
            yield from _blanks(getattr(part, attribute.name))


def _filled(part: Any, answers: Mapping[str, Answer]) -> Any:
    """Return a part of a document with the numbers in its blanks."""
    if isinstance(part, Blank):
        answer = answers.get(part.answer)
        return replace(part, filled=answer.printed if answer else "")
    if isinstance(part, tuple):
        return tuple(_filled(inner, answers) for inner in part)
    if is_dataclass(part) and not isinstance(part, type):
        inner = {f.name: _filled(getattr(part, f.name), answers) for f in fields(part)}
        return replace(part, **inner)
    return part


# --- exercises ----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, repr=False)
class Exercise:
    """A sheet with blanks, its solution and its key.

    Attributes:
        sheet: What a student gets; ``sheet.save("sheet.pdf")``.
        solution: The same pages with the numbers in place.
        key: All answers, weights and inputs, for `symrnn.grade`; JSON.
    """

    sheet: Derivation
    solution: Derivation
    key: dict[str, Any]

    @property
    def id(self) -> str:
        """Which sheet it is."""
        return str(self.key["sheets"][0]["sheet"])

    @cached_property
    def working(self) -> Derivation:
        """Every line from the inputs to the answers, where a hard sheet has none."""
        (sheet,) = self.key["sheets"]
        friendly = Friendly(
            cell=sheet["cell"], parameters=sheet["parameters"], x=sheet["x"]
        )
        options = self.solution.options
        return derive(
            friendly.load(), friendly.x, options=replace(options, detail="steps")
        )

    def __repr__(self) -> str:
        return f"Exercise({self.id}, answers={len(self.key['sheets'][0]['answers'])})"

    def answer_form(self) -> dict[str, Any]:
        """Return what a student fills in: JSON with ``null`` for every answer."""
        (sheet,) = self.key["sheets"]
        return {
            "schema": FORM,
            "sheet": self.id,
            "name": sheet["name"],
            "answers": {answer["key"]: None for answer in sheet["answers"]},
        }


def exercise(
    cell: str = "gru",
    *,
    hidden: int = 2,
    inputs: int = 2,
    steps: int = 3,
    difficulty: str = "easy",
    seed: int = 0,
    number: int = 1,
    name: str = "",
    digits: int | None = None,
    title: str | None = None,
    notation: str | Mapping[str, str] = "pytorch",
    graph: bool = True,
    colour: bool = False,
) -> Exercise:
    """Make an exercise: a network with friendly numbers to work out by hand.

    The same arguments give the same sheet, everywhere; `name`, `digits`, and how it is
    written do not change the network.

    Args:
        cell: One of ``symrnn.cells.CELLS``.
        hidden: Number of units.
        inputs: Number of features of the input.
        steps: Number of steps.
        difficulty: ``easy``: the last step is asked, those before it are worked;
            ``medium``: every line of every step; ``hard``: the states, nothing else.
        seed: Whole number; another one gives other networks.
        number: Which sheet of that seed, from 1: one for each student.
        name: Whom it is for, printed on it; room for a name by default.
        digits: Decimals that are asked for; 2, 3 or 4 by difficulty.
        title: What to call it.
        notation: As in `symrnn.derive`.
        graph: Whether the unrolled network is drawn.
        colour: Whether each gate has a colour.

    Raises:
        SourceError: There is no such cell or difficulty, or a number is too large for a
            sheet.
        UnsupportedError: No friendly network of that size was found.

    >>> import symrnn
    >>> relu = symrnn.exercise("rnn_relu", hidden=1, inputs=1, steps=2, seed=7)
    >>> form = relu.answer_form()
    >>> list(form["answers"])
    ['step 2: W_ih*x', 'step 2: W_hh*h_prev', 'step 2: W_ih*x + W_hh*h_prev', 'step 2: h']
    """
    level = _difficulty(difficulty)
    digits = level.digits if digits is None else digits
    _require_sizes(cell, hidden, inputs, steps, digits, level)
    require_int(number, "number", 1)
    require_int(seed, "seed", 0)
    friendly = draw(
        cell,
        hidden=hidden,
        inputs=inputs,
        steps=steps,
        palette=level.palette,
        seed=f"{difficulty} {seed} {number}",
    )
    options = Options(
        title=title,
        digits=digits,
        detail=level.detail,
        steps=tuple(range(1, steps + 1)),
        notation=notation,
        graph=graph,
        colour=colour,
    )
    trace = evaluate(friendly.load(), friendly.x, places=digits, keep="nodes")
    values = _Asked(trace, options, first=steps - 1 if level.worked else 0)
    sheet = f"{cell}-{hidden}-{inputs}-{steps}-{difficulty}-{seed}-{number}"
    body = _body(values)
    asked = dict.fromkeys(blank.answer for blank in _blanks(body))
    document = Document((*_top(values, sheet, name, len(asked)), *body))
    filled = _filled(document, values.answers)
    return Exercise(
        sheet=Derivation(document=document, trace=trace, options=options),
        solution=Derivation(document=filled, trace=trace, options=options),
        key={
            "schema": SCHEMA,
            "sheets": [
                {
                    "sheet": sheet,
                    "algorithm": ALGORITHM,
                    "name": name,
                    "cell": cell,
                    "difficulty": difficulty,
                    "seed": seed,
                    "number": number,
                    "parameters": friendly.parameters,
                    "x": friendly.x,
                    "answers": [_entry(values.answers[k], digits) for k in asked],
                }
            ],
        },
    )


def _difficulty(name: str) -> Difficulty:
    if name not in DIFFICULTIES:
        raise SourceError(
            f"there is no difficulty {name!r}{suggest(name, DIFFICULTIES)}"
        )
    return DIFFICULTIES[name]


def _require_sizes(
    cell: str, hidden: int, inputs: int, steps: int, digits: int, level: Difficulty
) -> None:
    """Require that every number has room on the page: none may be left out."""
    if cell not in CELLS:
        raise SourceError(f"there is no cell {cell!r}{suggest(cell, CELLS)}")
    require_int(digits, "digits", 0)
    room = columns_that_fit(min(digits, _MOST_DIGITS))
    units = room
    if level.detail == "summary" and cell == "lstm":  # h and c are in one table
        units = max(2, room // 2)
    limits = (
        ("hidden", hidden, min(units, _MOST_UNITS)),
        ("inputs", inputs, min(room, _MOST_UNITS)),
        ("steps", steps, _MOST_STEPS),
    )
    for what, value, most in limits:
        require_int(value, what, 1)
        if value > most:
            raise SourceError(f"{what} must be at most {most} on a sheet (got {value})")
    if digits > _MOST_DIGITS:
        raise SourceError(f"digits must be at most {_MOST_DIGITS} (got {digits})")


def _entry(answer: Answer, digits: int) -> dict[str, Any]:
    return {
        "key": answer.key,
        "node": answer.node,
        "step": answer.step,
        "unit": answer.unit,
        "places": digits,
        "value": answer.value,
    }


def _top(values: Values, sheet: str, name: str, count: int) -> Iterator[Block]:
    options = values.options
    yield Heading(1, (options.title or f"{values.net.cell.name}: exercise",))
    whom = name or Formula((Blank(24, ""),))
    yield Paragraph((Strong("Name:"), " ", whom))
    yield Paragraph((f"Sheet {sheet}",))
    plural = "s" if options.digits != 1 else ""
    points = f"{count} point" + ("s" if count != 1 else "")
    yield Paragraph(
        (
            Strong("Task."),
            " Work out the numbers that are missing. Give each to "
            f"{options.digits} decimal{plural}, or exactly; carry more digits than you "
            f"write down. Each counts once, however often it appears: {points}.",
        )
    )


def _body(values: Values) -> tuple[Block, ...]:
    """Return the network and the steps, without what is about torch."""
    first = [block for block in opening(values) if not isinstance(block, Table)]
    rest = [block for block in sequences(values) if not isinstance(block, Script)]
    return tuple(_without_empty_headings([*first, *rest]))


def _without_empty_headings(blocks: Sequence[Block]) -> Iterator[Block]:
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        level = block.level if isinstance(block, Heading) else None
        if level and isinstance(following, Heading) and following.level <= level:
            continue
        yield block
