# SPDX-License-Identifier: BSD-3-Clause
"""How a number looks: a decimal, a fraction, or a closed form; and whether that is exact.

An `Element` is a value that can be rounded to any number of digits, and what is known of it
exactly: a rational, a closed form, or nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from flint import fmpq

from symrnn.derivations.exactness import Closed, Known, digits_of, fraction
from symrnn.derivations.options import Options
from symrnn.documents.model import Math, Number
from symrnn.equations.domain import Interval
from symrnn.errors import UndecidedError
from symrnn.numerics.formats import round_decimal
from symrnn.runs.arrays import Array

__all__ = [
    "EXTRA",
    "Element",
    "Written",
    "enclosure",
    "longest_fraction",
    "notated",
    "write_numbers",
]

EXTRA = 4
"""Numbers that are given may have this many digits more than those that are computed."""

_PLAIN = range(-5, 7)  # decimal exponents of numbers without a power of ten


class Element(NamedTuple):
    """A number: the value, ``None`` where it is `known`, and what is known of it.

    `exact` tells whether what is known is what exact arithmetic gives, as it is except
    where results are rounded before they are used again.
    """

    value: Array | None
    known: Known
    exact: bool = True


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

    >>> third = Element(None, fmpq(-2, 3))
    >>> write_numbers([third], Options())
    Written(texts=[(Number(text='-0.6667', origin=None),)], exact=False)
    """
    found = _exact_forms(elements, options)
    rest = [e for e, math in zip(elements, found, strict=True) if math is None]
    written = _decimals(rest, options, options.digits + EXTRA * given)
    decimals = iter(written.texts)
    texts = [next(decimals) if math is None else math for math in found]
    return Written(texts, written.exact)


# --- fractions and closed forms -----------------------------------------------------


def _exact_forms(
    elements: Sequence[Element], options: Options
) -> Sequence[Math | None]:
    """Return fractions or closed forms where the options ask for them, else ``None``.

    Closed forms are for a matrix as a whole: beside decimals, they are hard to read.
    """
    if options.numbers == "decimal":
        return [None] * len(elements)
    fractions = [_fraction(element, options) for element in elements]
    if options.numbers == "fraction":
        return fractions
    closed = [
        element.known.math if isinstance(element.known, Closed) else fraction
        for element, fraction in zip(elements, fractions, strict=True)
    ]
    return fractions if None in closed else closed


def _fraction(element: Element, options: Options) -> Math | None:
    """Return a rational as a fraction where it is short, and what the number is."""
    known = element.known
    if not (element.exact and isinstance(known, fmpq)):
        return None
    return fraction(known) if digits_of(known) <= longest_fraction(options) else None


def longest_fraction(options: Options) -> int:
    """Return how many digits a fraction may have, above and below together.

    So many that a number below 10 with the decimals that are printed is one.
    """
    return max(6, 2 * options.digits + 2)


# --- decimals -----------------------------------------------------------------------


def _decimals(elements: Sequence[Element], options: Options, limit: int) -> Written:
    """Write decimals; exact ones of up to `limit` digits are written out."""
    ends = [enclosure(element) for element in elements]
    exact = all(element.exact for element in elements)
    if options.rounding == "significant":
        pairs = [
            _significant(element, *end, options.digits, limit)
            for element, end in zip(elements, ends, strict=True)
        ]
        texts = [math for math, _ in pairs]
        return Written(texts, exact and all(whole for _, whole in pairs))
    needed = [_places(*end, limit) for end in ends]
    found = [n for n in needed if n is not None]
    exact = exact and len(found) == len(needed)
    places = max(found, default=0) if exact else options.digits
    texts = [
        (Number(_rounded(element, *end, places)),)
        for element, end in zip(elements, ends, strict=True)
    ]
    return Written(texts, exact)


def enclosure(element: Element) -> Interval:
    """Return an enclosure of a number: twice the number where that is known."""
    if isinstance(element.known, fmpq):
        return element.known, element.known
    assert element.value is not None
    try:
        return element.value.intervals().item()
    except UndecidedError:  # nothing finite; `Array.decimal` asks for more precision
        return fmpq(-1), fmpq(1)


def _places(lo: fmpq, hi: fmpq, limit: int) -> int | None:
    """Return how many digits after the point a value has, ``None`` if over `limit`."""
    if lo != hi or (lo * 10**limit).q != 1:
        return None
    return next(n for n in range(limit + 1) if (lo * 10**n).q == 1)


def _rounded(element: Element, lo: fmpq, hi: fmpq, places: int) -> str:
    """Return a value, correctly rounded, never in scientific notation."""
    text = round_decimal(lo, hi, places=places)
    if text is None:
        assert element.value is not None
        text = str(element.value.decimal(places=places))
    return text


def _significant(
    element: Element, lo: fmpq, hi: fmpq, digits: int, limit: int
) -> tuple[Math, bool]:
    """Return a number and whether it is written out."""
    if lo == hi and element.exact:
        whole = Decimal(round_decimal(lo, lo, digits=limit) or 0)
        if fmpq(*whole.as_integer_ratio()) == lo:
            return (Number(notated(whole.normalize(), padded=True)),), True
    text = round_decimal(lo, hi, digits=digits)
    if text is None:
        text = _significant_digits(element, digits)
    return (Number(notated(Decimal(text))),), False


def _significant_digits(element: Element, digits: int) -> str:
    assert element.value is not None
    try:
        return str(element.value.decimal(digits))
    except UndecidedError:
        raise UndecidedError(
            f"the precision limit does not tell {digits} significant digits of a value that "
            'is 0, or almost, or almost a tie; ask for decimals: rounding="decimals"'
        ) from None


def notated(value: Decimal, *, padded: bool = False) -> str:
    """Return a decimal, with a power of ten where it is very large or small.

    Also where zeros would stand for digits that are not known, unless `padded`.

    >>> [notated(Decimal(text)) for text in ("0.005723", "1.235E5", "5.723E-9")]
    ['0.005723', '1.235e5', '5.723e-9']
    """
    if not value:
        return "0"
    known = padded or int(value.as_tuple().exponent) <= 0
    if known and value.adjusted() in _PLAIN:
        return format(value, "f")
    return f"{value:e}".replace("e+", "e")
