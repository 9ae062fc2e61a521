# SPDX-License-Identifier: BSD-3-Clause
"""The words that textbooks have for the quantities of well-known cells, as data.

Nothing depends on them: a cell that is not listed is derived with its symbols alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from symrnn.documents.model import Brackets, Fraction, Math, Number, Sign, Symbol

__all__ = ["FUNCTION_WORDS", "definition", "word_for"]

_LSTM = {
    "i": "Input gate",
    "f": "Forget gate",
    "g": "Cell candidate",
    "o": "Output gate",
    "c": "Cell state",
    "m": "Hidden state before the projection",
    "h": "Hidden state",
}
_GRU = {"r": "Reset gate", "z": "Update gate", "n": "New gate", "h": "Hidden state"}

_WORDS: Mapping[str, Mapping[str, str]] = {
    "RNN (tanh)": {"h": "Hidden state"},
    "RNN (relu)": {"h": "Hidden state"},
    "LSTM": _LSTM,
    "LSTM with projection": _LSTM,
    "GRU": _GRU,
    "GRU (reset before)": _GRU,
}

FUNCTION_WORDS: Mapping[str, str] = {
    "tanh": "the hyperbolic tangent",
}


def word_for(cell_name: str, quantity: str) -> str | None:
    """Return what `quantity` is called in PyTorch's documentation of the cell.

    >>> word_for("LSTM", "f"), word_for("my cell", "f")
    ('Forget gate', None)
    """
    return _WORDS.get(cell_name, {}).get(quantity)


_A = Symbol("a")
_DEFINITIONS: Mapping[str, Math] = {
    "sigmoid": (
        Fraction((Number("1"),), (Number("1"), Sign("plus"), Symbol("e", sup="-a"))),
    ),
    "relu": (Symbol(r"\max"), Brackets((Number("0"), Sign("comma"), _A))),
}


def definition(function: str) -> Math | None:
    """Return the function of the symbol a, where it is defined by a short formula."""
    return _DEFINITIONS.get(function)
