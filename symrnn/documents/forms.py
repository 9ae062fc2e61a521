# SPDX-License-Identifier: BSD-3-Clause
"""How a number looks: a decimal, a fraction, or a closed form; and whether that is exact.

A `Element` is a value that can be rounded to any number of digits, and what is known of it
exactly: a rational, a closed form, or nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from flint import fmpq

from symrnn.arrays import Array
from symrnn.documents.exactness import Closed, Known, fraction
from symrnn.documents.model import Math, Number
from symrnn.documents.options import Options
from symrnn.formats import round_decimal

__all__ = ["Element", "Written", "decimal_text", "write_numbers"]

_EXTRA = 4  # what is given may be this much longer than what is computed
_PLAIN = range(-5, 7)  # decimal exponents of numbers without a power of ten


class Element(NamedTuple):
    """A number: the value, ``None`` where it is `known`, and what is known of it."""

    value: Array | None
    known: Known
    exact: bool = True  # where it is known: whether that is the exact run's value


class Written(NamedTuple):
    """What to print for some numbers, and whether it is exactly what they are."""

    texts: list[Math]
    exact: bool


def write_numbers(
    elements: Sequence[Element], options: Options, *, given: bool = False
) -> Written:
    """Write numbers that stand in one matrix.

    Args:
        elements: The numbers.
        options: How they look.
        given: Whether they are parameters, inputs or initial states: such numbers may
            have some more digits, if these are all they have.
    """
    places = options.digits + _EXTRA * given
    if options.numbers == "decimal":
        return _decimals(elements, options, places)
    found = [_closed(element.known, options) for element in elements]
    if options.numbers == "fraction" or any(math is None for math in found):
        found = [_short(element.known, options) for element in elements]
    rest = [e for e, math in zip(elements, found, strict=True) if math is None]
    decimals = iter(_decimals(rest, options, places).texts)
    exact = _decimals(rest, options, places).exact if rest else True
    return Written([next(decimals) if m is None else m for m in found], exact)


def _closed(known: Known, options: Options) -> Math | None:
    return known.math if isinstance(known, Closed) else _short(known, options)


def _short(known: Known, options: Options) -> Math | None:
    """Return a rational as a fraction where that is no longer than its decimals."""
    if not isinstance(known, fmpq):
        return None
    length = len(str(abs(int(known.p)))) + len(str(int(known.q)))
    return fraction(known) if length <= max(6, 2 * options.digits) else None


# --- decimals -----------------------------------------------------------------------


def _decimals(elements: Sequence[Element], options: Options, limit: int) -> Written:
    if options.rounding == "significant":
        pairs = [_significant(element, options.digits, limit) for element in elements]
        return Written([m for m, _ in pairs], all(exact for _, exact in pairs))
    needed = [_places(element, limit) for element in elements]
    found = [n for n in needed if n is not None]
    exact = len(found) == len(needed) and all(e.exact for e in elements)
    shown = max(found, default=0) if exact else options.digits
    texts: list[Math] = [(Number(decimal_text(e, places=shown)),) for e in elements]
    return Written(texts, exact)


def _significant(element: Element, digits: int, limit: int) -> tuple[Math, bool]:
    known = _rational_of(element)
    if known is not None:
        text = round_decimal(known, known, digits=limit)
        if fmpq_of(text) == known:
            return (Number(_scientific(_trimmed(text), padded=True)),), element.exact
        text = round_decimal(known, known, digits=digits)
        return (Number(_scientific(text)),), False
    assert element.value is not None
    return (Number(_scientific(element.value.decimal(digits))),), False


def _trimmed(text: Any) -> str:
    """Return an exact decimal without zeros at its end."""
    return str(Decimal(text).normalize())


def _scientific(text: Any, *, padded: bool = False) -> str:
    """Write a decimal with a power of ten where it is very large or small.

    Also where zeros would stand for digits that are not known, unless `padded`.
    """
    value = Decimal(text)
    if not value:
        return "0"
    known = padded or int(value.as_tuple().exponent) <= 0
    if known and value.adjusted() in _PLAIN:
        return format(value, "f")
    return f"{value:e}".replace("e+", "e")


def fmpq_of(text: str | None) -> fmpq:
    """Return a decimal as the rational that it is."""
    top, bottom = Decimal(text or "0").as_integer_ratio()
    return fmpq(top, bottom)


def _rational_of(element: Element) -> fmpq | None:
    if isinstance(element.known, fmpq):
        return element.known
    if element.value is None:
        return None
    lo, hi = element.value.intervals()[()]
    return lo if lo == hi else None


def _places(element: Element, limit: int) -> int | None:
    """Return how many digits after the point a value has, ``None`` if over `limit`."""
    known = _rational_of(element)
    if known is None:
        return None
    return next((n for n in range(limit + 1) if (known * 10**n).q == 1), None)


def decimal_text(element: Element, *, places: int) -> str:
    """Return a value, correctly rounded, never in scientific notation.

    >>> decimal_text(Element(None, fmpq(-2, 3)), places=4)
    '-0.6667'
    """
    text: Any
    if isinstance(element.known, fmpq):
        text = round_decimal(element.known, element.known, places=places)
    else:
        assert element.value is not None
        text = element.value.decimal(places=places)
    return format(Decimal(text), "f")
