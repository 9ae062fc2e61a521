# SPDX-License-Identifier: BSD-3-Clause
"""A derivation as an exercise: the same document with numbers, and with blanks for them.

The sheet comes first: a derivation whose values are blanks, wherever they appear, so that
none can be read off a second place. The solution is the sheet with the blanks filled in,
so both have the same lines and pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any

from symrnn.derivations.derive import Derivation, derive
from symrnn.derivations.exercises.asked import Answer, Asked, blanks_in, filled
from symrnn.derivations.exercises.keys import (
    FORM,
    SCHEMA,
    Following,
    Known,
    half_unit,
    known,
)
from symrnn.derivations.exercises.networks import (
    ALGORITHM,
    Friendly,
    Palette,
    Size,
    draw,
)
from symrnn.derivations.numbers import Values
from symrnn.derivations.opening import opening
from symrnn.derivations.options import Detail, Options, suggest
from symrnn.derivations.steps import sequences
from symrnn.documents.layout import columns_that_fit
from symrnn.documents.model import (
    Blank,
    Block,
    Document,
    Formula,
    Heading,
    Paragraph,
    Script,
    Strong,
    Table,
)
from symrnn.equations.cells import CELLS
from symrnn.errors import SourceError, UnsupportedError
from symrnn.networks.inputs import require_int
from symrnn.runs.evaluate import evaluate

__all__ = ["DIFFICULTIES", "Difficulty", "Exercise", "exercise"]

_MOST_STEPS = 12
_MOST_UNITS = 8
_MOST_LAYERS = 3
_MOST_DIGITS = 12
_MORE = 3  # decimals of worked steps beyond those that are asked for
_ATTEMPTS = 40


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
    layers: int = 1,
    bidirectional: bool = False,
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
        cell: One of ``symrnn.equations.CELLS``.
        hidden: Number of units.
        inputs: Number of features of the input.
        steps: Number of steps.
        layers: Number of layers.
        bidirectional: Whether each layer has a reverse direction too.
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
    size = Size(
        hidden=hidden,
        inputs=inputs,
        steps=steps,
        layers=layers,
        bidirectional=bidirectional,
    )
    _require_sizes(cell, size, digits, level)
    require_int(number, "number", 1)
    require_int(seed, "seed", 0)
    if not isinstance(name, str):
        raise SourceError(f"name must be text (got {name!r})")
    options = Options(
        title=title,
        # Who goes on from a worked step needs more digits than are asked for.
        digits=digits + _MORE * (level.worked and steps > 1),
        detail=level.detail,
        steps=tuple(range(1, steps + 1)),
        notation=notation,
        graph=graph,
        colour=colour,
    )
    friendly, values, body = _drawn(
        cell, size, level, options, digits, f"{difficulty} {seed} {number}"
    )
    trace = values.trace
    sheet = f"{cell}-{size}-{difficulty}-{seed}-{number}"
    asked = dict.fromkeys(blank.answer for blank in blanks_in(body))
    document = Document((*_top(values, sheet, name, len(asked)), *body))
    solved = filled(document, values.answers)
    return Exercise(
        sheet=Derivation(document=document, trace=trace, options=options),
        solution=Derivation(document=solved, trace=trace, options=options),
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


def _drawn(
    cell: str, size: Size, level: Difficulty, options: Options, digits: int, seed: str
) -> tuple[Friendly, Asked, tuple[Block, ...]]:
    """Draw a network, its values, and the pages that ask for them.

    It is drawn again where whoever starts from the printed numbers of worked steps, and
    rounds correctly, would not get what the key has.
    """
    for again in range(_ATTEMPTS):
        friendly = draw(
            cell,
            size,
            palette=level.palette,
            seed=seed + f" again {again}" * (again > 0),
        )
        net = friendly.load()
        trace = evaluate(net, friendly.x, places=options.digits, keep="nodes")
        values = Asked(trace, options, digits=digits, worked=level.worked)
        body = _body(values)
        given = values.given()
        if not given:  # who starts from the inputs has what the key has
            return friendly, values, body
        following = Following(net, friendly.x, given)
        entries = [_entry(answer, digits) for answer in values.answers.values()]
        if all(_is_right(following.expected(e), e) for e in entries):
            return friendly, values, body
    raise UnsupportedError(
        f"no {cell} was found whose answers to {digits} decimals follow from the printed "
        "steps; ask for more digits, or for another seed"
    )


def _is_right(found: Known | None, entry: Mapping[str, Any]) -> bool:
    """Tell whether a number, correctly rounded, is what the key has."""
    if found is None:
        return False
    right, places = known(entry["value"]), entry["places"]
    half = half_unit(places)
    ends = (round(found.lo, places), round(found.hi, places))
    return all(right.within(Fraction(end), half) is True for end in ends)


def _difficulty(name: str) -> Difficulty:
    if name not in DIFFICULTIES:
        raise SourceError(
            f"there is no difficulty {name!r}{suggest(name, DIFFICULTIES)}"
        )
    return DIFFICULTIES[name]


def _require_sizes(cell: str, size: Size, digits: int, level: Difficulty) -> None:
    """Require that every number has room on the page: none may be left out."""
    if cell not in CELLS:
        raise SourceError(f"there is no cell {cell!r}{suggest(cell, CELLS)}")
    require_int(digits, "digits", 0)
    room = columns_that_fit(min(digits, _MOST_DIGITS))
    units = room
    if level.detail == "summary" and cell == "lstm":  # h and c are in one table
        units = max(2, room // 2)
    limits = (
        ("hidden", size.hidden, min(units, _MOST_UNITS)),
        ("inputs", size.inputs, min(room, _MOST_UNITS)),
        ("steps", size.steps, _MOST_STEPS),
        ("layers", size.layers, _MOST_LAYERS),
    )
    if not isinstance(size.bidirectional, bool):
        raise SourceError(f"bidirectional must be a bool (got {size.bidirectional!r})")
    for what, value, most in limits:
        require_int(value, what, 1)
        if value > most:
            raise SourceError(f"{what} must be at most {most} on a sheet (got {value})")
    if size.widest > (most := min(room, _MOST_UNITS)):
        raise SourceError(
            f"a layer must read at most {most} features on a sheet (got {size.widest}); "
            "ask for fewer units"
        )
    if digits > _MOST_DIGITS:
        raise SourceError(f"digits must be at most {_MOST_DIGITS} (got {digits})")


def _entry(answer: Answer, digits: int) -> dict[str, Any]:
    return {
        "key": answer.key,
        "node": answer.node,
        "layer": answer.position.layer + 1,
        "direction": str(answer.position.direction),
        "step": answer.step,
        "unit": answer.unit,
        "places": digits,
        "value": answer.value,
    }


def _top(values: Asked, sheet: str, name: str, count: int) -> Iterator[Block]:
    options = values.options
    yield Heading(1, (options.title or f"{values.net.cell.name}: exercise",))
    whom = name or Formula((Blank(24, ""),))
    yield Paragraph((Strong("Name:"), " ", whom))
    yield Paragraph((f"Sheet {sheet}",))
    digits = values.places
    plural = "s" if digits != 1 else ""
    points = f"{count} point" + ("s" if count != 1 else "")
    yield Paragraph(
        (
            Strong("Task."),
            " Work out the numbers that are missing. Give each to "
            f"{digits} decimal{plural}, or exactly; carry more digits than you "
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
