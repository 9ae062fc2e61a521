# SPDX-License-Identifier: BSD-3-Clause
"""Marks for answers, each decided by an enclosure of what is right.

An answer claims as many decimals as it has: 0.57 is right where what is asked for is
within half a hundredth of it. Nothing is compared in floating point.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from symrnn.derivations.exercises.keys import (
    FORM,
    Following,
    Known,
    find_sheet,
    half_unit,
    known,
)
from symrnn.errors import SourceError

__all__ = ["Grade", "Mark", "grade", "read_json"]

Verdict = Literal["right", "partial", "follows", "wrong", "not answered", "unreadable"]

_POINTS: Mapping[str, float] = {"right": 1.0, "follows": 1.0, "partial": 0.5}
_DECIMAL = re.compile(
    r"[+-]?(?:\d+(?:\.(\d*))?|\.(\d+))(?:[eE]([+-]?\d{1,3}))?", re.ASCII
)
_RATIO = re.compile(r"[+-]?\d+\s*/\s*\d+", re.ASCII)
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Mark:
    """What one answer is worth, and why.

    Attributes:
        key: Which answer.
        given: What was answered, as text.
        verdict: ``right``; ``partial``, right to one decimal less than asked;
            ``follows``, right for the student's own earlier answers; ``wrong``;
            ``not answered``; ``unreadable``, no number.
        points: 1, 0.5 or 0.
        message: Why, in words.
    """

    key: str
    given: str
    verdict: Verdict
    points: float
    message: str


@dataclass(frozen=True, slots=True)
class Grade:
    """The marks of one sheet.

    Attributes:
        sheet: Which sheet.
        name: Whose.
        marks: One for each answer that is asked for.
    """

    sheet: str
    name: str
    marks: tuple[Mark, ...]

    @property
    def points(self) -> float:
        """How many points."""
        return sum(mark.points for mark in self.marks)

    @property
    def total(self) -> int:
        """Out of how many."""
        return len(self.marks)

    @property
    def passed(self) -> bool:
        """Whether every answer is right."""
        return all(mark.verdict == "right" for mark in self.marks)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON."""
        return {
            "sheet": self.sheet,
            "name": self.name,
            "points": self.points,
            "total": self.total,
            "marks": [asdict(mark) for mark in self.marks],
        }


def grade(key: Any, answers: Any, *, follow: bool = False) -> Grade:
    """Mark answers.

    Args:
        key: The key of an exercise, or a file of it.
        answers: An answer form that was filled in, or a file of it. Answers are numbers,
            or text: ``"0.57"``, ``"-1/3"``.
        follow: Whether an answer that is wrong, but right for the student's own earlier
            answers, has its point.

    Raises:
        SourceError: It is no key, or no answers, or they are of another sheet.

    >>> import symrnn
    >>> relu = symrnn.exercise("rnn_relu", hidden=1, inputs=1, steps=2, seed=7)
    >>> form = relu.answer_form()
    >>> form["answers"]["step 2: h"] = "0.76"
    >>> symrnn.grade(relu.key, form).marks[-1].message
    '0.76 is not right to 2 decimals (0.7500)'
    """
    filled = _read(answers)
    if not isinstance(filled, dict) or filled.get("schema") != FORM:
        raise SourceError(
            f"these are no answers: expected an object of schema {FORM!r}"
        )
    sheet = find_sheet(_read(key), filled.get("sheet"))
    given = filled.get("answers")
    asked = {answer["key"]: answer for answer in sheet["answers"]}
    if not isinstance(given, dict):
        raise SourceError("the answers must be an object, key by key")
    unknown = [name for name in given if name not in asked]
    if unknown:
        raise SourceError(
            f"sheet {sheet['sheet']!r} does not ask for {str(unknown[0])[:80]!r}"
        )
    marks = [_mark(answer, given.get(name)) for name, answer in asked.items()]
    if follow:
        marks = _followed(sheet, marks)
    name = filled.get("name") or sheet.get("name") or ""
    return Grade(sheet["sheet"], str(name), tuple(marks))


def _read(given: Any) -> Any:
    return read_json(given) if isinstance(given, (str, os.PathLike)) else given


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a file of JSON, its numbers as the text that they are written in.

    Raises:
        SourceError: It is no JSON.
        OSError: It cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        # Whole numbers stay numbers where they are short: steps and units of a key.
        return json.loads(text, parse_float=str, parse_int=_whole, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: this is no JSON ({error})") from None


def _whole(text: str) -> int | str:
    return int(text) if len(text) < 20 else text


# --- one answer ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Given:
    """A number that was answered; `places` is ``None`` for a ratio."""

    text: str
    value: Fraction
    places: int | None


def _parse(text: str) -> _Given | None:
    plain = text.replace("\u2212", "-").replace(",", ".")
    if len(plain) > _LONGEST:
        return None
    if _RATIO.fullmatch(plain):
        top, bottom = (int(part) for part in plain.split("/"))
        return _Given(text, Fraction(top, bottom), None) if bottom else None
    match = _DECIMAL.fullmatch(plain)
    if match is None:
        return None
    decimals, exponent = match[1] or match[2] or "", int(match[3] or 0)
    return _Given(text, Fraction(plain), len(decimals) - exponent)


def _text(given: Any) -> str:
    """Return an answer as text; what is no number stays what it is."""
    if given is None:
        return ""
    text = format(given, "f") if isinstance(given, Decimal) else str(given)
    return text.strip()


def _mark(answer: Mapping[str, Any], given: Any) -> Mark:
    text = _text(given)
    key = answer["key"]
    if not text:
        return Mark(key, "", "not answered", 0.0, "not answered")
    number = None if isinstance(given, bool) else _parse(text)
    if number is None:
        shown = text if len(text) <= 40 else f"{text[:40]}…"
        message = f"{shown!r} is no number; expected such as 0.57, -1/3 or 2e-3"
        return Mark(key, shown, "unreadable", 0.0, message)
    return _judge(key, number, known(answer["value"]), answer["places"])


def _judge(key: str, given: _Given, right: Known, asked: int) -> Mark:
    def mark(verdict: Verdict, message: str) -> Mark:
        return Mark(key, given.text, verdict, _POINTS.get(verdict, 0.0), message)

    text = given.text
    if right.exact and given.value == right.lo:
        return mark("right", f"{text} is exact")
    begins = right.begins(max(asked, given.places or 0) + 2)
    if given.places is None:
        close = right.within(given.value, half_unit(asked))
        if right.exact or not close:
            return mark("wrong", f"{text} is not right ({begins})")
        return mark("right", f"{text} is right to {_decimals(asked)}")
    claimed = right.within(given.value, half_unit(given.places))
    if claimed and given.places >= asked:
        return mark("right", f"{text} is right to {_decimals(given.places)}")
    if claimed:
        # Whoever writes 0 everywhere is often right to no decimals.
        near = given.places >= max(1, asked - 1)
        return mark(
            "partial" if near else "wrong",
            f"{text} is right to {_decimals(given.places)} only; "
            f"{_decimals(asked)} were asked for ({begins})",
        )
    if given.places > asked:
        rounded = round(given.value, asked)
        if right.within(rounded, half_unit(asked)):
            return mark(
                "right",
                f"{text} is right to the {_decimals(asked)} asked for, "
                f"not to {_decimals(given.places)} ({begins})",
            )
    return mark("wrong", f"{text} is not right to {_decimals(given.places)} ({begins})")


def _decimals(places: int) -> str:
    if places < 0:
        return f"a multiple of 1e{-places}"
    return f"{places} decimal" + ("" if places == 1 else "s")


# --- consequences of earlier answers ------------------------------------------------


def _followed(sheet: Mapping[str, Any], marks: list[Mark]) -> list[Mark]:
    """Give the point to answers that follow from what the student had before."""
    numbers = {
        mark.key: number.value
        for mark in marks
        if (number := _parse(mark.given)) is not None
    }
    following = Following.of_answers(sheet, numbers)
    judged: list[Mark] = []
    for mark, answer in zip(marks, sheet["answers"], strict=True):
        own = following.expected(answer) if mark.verdict == "wrong" else None
        again = own and _judge(mark.key, _given(mark), own, answer["places"])
        if again and again.verdict == "right":
            message = f"{mark.message}, but right for the earlier answers"
            mark = Mark(mark.key, mark.given, "follows", 1.0, message)
        judged.append(mark)
    return judged


def _given(mark: Mark) -> _Given:
    number = _parse(mark.given)
    assert number is not None
    return number
