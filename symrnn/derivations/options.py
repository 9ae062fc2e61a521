# SPDX-License-Identifier: BSD-3-Clause
"""The choices of an author: one frozen value, checked before anything is computed.

`read_choices` takes them from a file of TOML, so that a course writes all its sheets alike.
"""

from __future__ import annotations

import difflib
import operator
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args

from symrnn.errors import SourceError
from symrnn.networks.inputs import require_int
from symrnn.networks.network import DIRECTIONS

__all__ = ["Choices", "Options", "read_choices", "read_notation", "suggest"]


Rounding = Literal["decimals", "significant"]


Numbers = Literal["decimal", "fraction", "closed"]


Detail = Literal["summary", "steps", "scalars"]


Carry = Literal["exact", "by-hand"]


Vectors = Literal["column", "row"]

Chosen = int | str | Iterable[int] | None

_MOST_DIGITS = 200


_MOST_NUMBER = 10**6

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "rounding": get_args(Rounding),
    "numbers": get_args(Numbers),
    "detail": get_args(Detail),
    "carry": get_args(Carry),
    "vectors": get_args(Vectors),
}


class Choices(TypedDict, total=False):
    """The choices by name, for editors and type checkers; `Options` says what each is."""

    title: str | None
    digits: int
    rounding: Rounding
    numbers: Numbers
    detail: Detail
    layers: Chosen
    directions: str | Iterable[str] | None
    steps: Chosen
    units: Chosen
    sequences: Chosen
    notation: str | Mapping[str, str]
    vectors: Vectors
    carry: Carry
    colour: bool
    graph: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a derivation is written. Things are counted from 1, as they are printed.

    Layers, steps, units and sequences are chosen by a number, by several, or by text with
    ranges, ``"1-3,50"``.

    Attributes:
        title: What to call the document; by default it names the cell.
        digits: How many digits are printed.
        rounding: What they count: ``decimals`` after the point, or ``significant`` ones.
        numbers: ``decimal``; ``fraction``, exact where a value is a short rational;
            ``closed``, exact in closed form where that is short, such as tanh(3/4).
        detail: ``summary``, the states alone; ``steps``, every equation; ``scalars``,
            every product of two numbers too.
        layers: Which layers to show; all, or as many as are readable, by default.
        directions: Which directions, ``forward`` and ``reverse``.
        steps: Which steps.
        units: Which units (rows) of states and gates.
        sequences: Which sequences of a batch.
        notation: ``pytorch``, ``goodfellow``, ``cho``, or LaTeX for names of the cell,
            ``{"W_ih": "U", "h": "s"}``.
        vectors: ``column``, W x; or ``row``, x Wᵀ, as torch computes.
        carry: ``exact``, every number rounded once for print; or ``by-hand``, every
            intermediate result rounded as it is printed and carried on so.
        colour: Whether each gate has a colour.
        graph: Whether the unrolled network is drawn.

    Raises:
        SourceError: A choice is not one that there is.

    >>> Options(steps="1-3,50").steps
    (1, 2, 3, 50)
    """

    title: str | None = None
    digits: int = 4
    rounding: Rounding = "decimals"
    numbers: Numbers = "decimal"
    detail: Detail = "steps"
    layers: tuple[int, ...] | None = None
    directions: tuple[str, ...] | None = None
    steps: tuple[int, ...] | None = None
    units: tuple[int, ...] | None = None
    sequences: tuple[int, ...] | None = None
    notation: str | Mapping[str, str] = "pytorch"
    vectors: Vectors = "column"
    carry: Carry = "exact"
    colour: bool = False
    graph: bool = True

    def __post_init__(self) -> None:
        require_int(self.digits, "digits", 1 if self.rounding == "significant" else 0)
        if self.digits > _MOST_DIGITS:
            raise SourceError(
                f"digits must be at most {_MOST_DIGITS} (got {self.digits})"
            )
        for name, known in _CHOICES.items():
            _require_choice(name, getattr(self, name), known)
        for name in ("colour", "graph"):
            if not isinstance(getattr(self, name), bool):
                raise SourceError(
                    f"{name} must be true or false (got {getattr(self, name)!r})"
                )
        if not (self.title is None or isinstance(self.title, str)):
            raise SourceError(f"title must be text (got {self.title!r})")
        for name in ("layers", "steps", "units", "sequences"):
            object.__setattr__(self, name, _numbers(name, getattr(self, name)))
        object.__setattr__(self, "directions", _directions(self.directions))
        object.__setattr__(self, "notation", _notation(self.notation))

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Options:
        """Return options by name; a name that does not exist is an error.

        Raises:
            SourceError: There is no such option, or no such choice of one.

        >>> Options.of({"detial": "steps"})
        Traceback (most recent call last):
            ...
        symrnn.errors.SourceError: there is no option 'detial'; did you mean 'detail'?
        """
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                raise SourceError(f"there is no option {name!r}{suggest(name, known)}")
        return cls(**given)


def _numbers(name: str, given: Any) -> tuple[int, ...] | None:
    """Return numbers from 1 in ascending order, each once."""
    if given is None:
        return None
    try:
        found = sorted(set(_read_numbers(given)))
    except (TypeError, ValueError):
        found = []
    if not found or found[0] < 1 or found[-1] > _MOST_NUMBER:
        raise SourceError(
            f"{name} must be whole numbers from 1, such as (1, 2, 50) or '1-2,50' "
            f"(got {given!r})"
        )
    return tuple(found)


def _read_numbers(given: Any) -> Iterator[int]:
    if isinstance(given, str):
        for part in given.split(","):
            first, dash, last = (text.strip() for text in part.partition("-"))
            ends = int(first), int(last) if dash else int(first)
            if not 1 <= ends[0] <= ends[1] <= _MOST_NUMBER:
                raise ValueError(part)
            yield from range(ends[0], ends[1] + 1)
        return
    for value in [given] if isinstance(given, int) else given:
        if isinstance(value, bool) or isinstance(given, bytes):
            raise TypeError(value)
        yield operator.index(value)


def _directions(given: Any) -> tuple[str, ...] | None:
    if given is None:
        return None
    values = (
        [given] if isinstance(given, str) or not isinstance(given, Iterable) else given
    )
    chosen = list(values)
    for value in chosen:
        _require_choice("directions", value, DIRECTIONS)
    if not chosen:
        raise SourceError("directions must name one, forward or reverse (got none)")
    return tuple(d for d in DIRECTIONS if d in chosen)


def _notation(given: Any) -> str | dict[str, str]:
    """Return the notation; its names are looked up where the cell is known."""
    if isinstance(given, str):
        return given
    if not isinstance(given, Mapping):
        raise SourceError(
            'notation must be a name such as "cho", or symbols by name such as '
            f'{{"W_ih": "U"}} (got {given!r})'
        )
    return dict(given)


def suggest(given: Any, known: Any) -> str:
    """Return the end of a message: what was perhaps meant, or all there is."""
    near = difflib.get_close_matches(str(given), list(known), n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; there are {', '.join(known)}"


def _require_choice(name: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        near = difflib.get_close_matches(str(value), known, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise SourceError(
            f"{name} must be one of {', '.join(known)} (got {value!r}){meant}"
        )


_TABLE = "derive"


def read_choices(path: str | os.PathLike[str]) -> dict[str, Any]:
    r"""Return the options that a file names: at its top, or in a table ``[derive]``.

    Other tables beside ``[derive]`` are for other readers of the file.

    Raises:
        OSError: The file cannot be read.
        SourceError: It is no TOML, or has what is no option.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "sheet.toml")
    ...     _ = path.write_text('digits = 6\nsteps = "1-3,50"\nnotation = {W_ih = "U"}')
    ...     read_choices(path)
    {'digits': 6, 'steps': '1-3,50', 'notation': {'W_ih': 'U'}}
    """
    found = _read(path)
    table = found.get(_TABLE)
    if isinstance(table, dict):
        # What stands above the table would silently do nothing.
        above = {k: v for k, v in found.items() if not isinstance(v, dict)}
        if above:
            raise SourceError(
                f"{path} has {', '.join(above)} outside of its table [{_TABLE}]; "
                "move it there"
            )
        found = table
    try:
        Options.of(found)
    except SourceError as error:
        raise SourceError(f"{path}: {error}") from None
    return found


def read_notation(path: str | os.PathLike[str]) -> Mapping[str, str]:
    r"""Return the symbols that a file gives to names of a cell: ``W_ih = "U"``.

    Raises:
        OSError: The file cannot be read.
        SourceError: It is no TOML, or has something else.
    """
    found = _read(path)
    for name, symbol in found.items():
        if not isinstance(symbol, str):
            raise SourceError(
                f'{path}: expected lines such as W_ih = "U" (got {name} = {symbol!r})'
            )
    return found


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is no TOML: {error}") from None
