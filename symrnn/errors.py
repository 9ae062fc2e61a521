# SPDX-License-Identifier: BSD-3-Clause
"""Everything symrnn raises.

::

    SymrnnError
    ├── EquationError      a cell's equations leave the vocabulary, or do not fit together
    ├── SourceError        a model or file cannot be read as a recurrent network
    ├── ShapeError         a parameter, input or state has the wrong shape
    ├── NotFiniteError     a parameter, input or state is NaN or infinite
    ├── UnsupportedError   understood, and refused with the reason
    └── UndecidedError     the requested digits were not decided within the limits

Each class is also the built-in exception that fits it best (``ValueError``,
``NotImplementedError``, ``ArithmeticError``), so that callers need not know symrnn to
handle it. A failed audit is a verdict, not an exception. `SymrnnWarning` is for what was
done, but not as might be wished.
"""

__all__ = [
    "EquationError",
    "NotFiniteError",
    "ShapeError",
    "SourceError",
    "SymrnnError",
    "SymrnnWarning",
    "UndecidedError",
    "UnsupportedError",
]


class SymrnnWarning(UserWarning):
    """Something was done, but not as might be wished."""


class SymrnnError(Exception):
    """Base of everything that symrnn raises on purpose.

    Catch it to handle any of them.

    >>> from symrnn import SymrnnError, load
    >>> try:
    ...     load({})
    ... except SymrnnError as error:
    ...     print(type(error).__name__)
    SourceError
    """


class EquationError(SymrnnError, ValueError):
    """A cell's equations contain an unknown node, or their shapes or names do not fit."""


class SourceError(SymrnnError, ValueError):
    """A model, mapping or file cannot be read as a recurrent network.

    The message says what was found, and which choices remain where it is ambiguous.
    """


class ShapeError(SymrnnError, ValueError):
    """A parameter, input or state has the wrong shape; both shapes are in the message."""


class NotFiniteError(SymrnnError, ValueError):
    """A parameter, input or state is NaN or infinite, where the equations mean nothing."""


class UnsupportedError(SymrnnError, NotImplementedError):
    """The request was understood and is refused; the message says why and what to do."""


class UndecidedError(SymrnnError, ArithmeticError):
    """The requested digits were not decided within the precision limit.

    The message names the element and gives the enclosure that was reached.
    """
