# SPDX-License-Identifier: BSD-3-Clause
"""symrnn derives what a recurrent network computes, exactly, and checks floats against it.

>>> import symrnn
>>> net = symrnn.load(
...     {"weight_ih_l0": [["1/2"]], "weight_hh_l0": [["-1/3"]]}, cell="rnn_relu"
... )
>>> symrnn.evaluate(net, [["1/5"], ["1/7"]], exact=True).output.exact()
[[Fraction(1, 10)], [Fraction(4, 105)]]

Names are bound when they are first used, so that ``import symrnn`` costs nothing.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

from symrnn.showing import Form, set_writer

__version__ = "0.1.0"

if TYPE_CHECKING:
    from symrnn.arrays import Array as Array
    from symrnn.audit import Report as Report
    from symrnn.audit import Tolerance as Tolerance
    from symrnn.audit import audit as audit
    from symrnn.calibrate import calibrate as calibrate
    from symrnn.cells import Cell as Cell
    from symrnn.documents import Derivation as Derivation
    from symrnn.documents import derive as derive
    from symrnn.errors import EquationError as EquationError
    from symrnn.errors import NotFiniteError as NotFiniteError
    from symrnn.errors import ShapeError as ShapeError
    from symrnn.errors import SourceError as SourceError
    from symrnn.errors import SymrnnError as SymrnnError
    from symrnn.errors import SymrnnWarning as SymrnnWarning
    from symrnn.errors import UndecidedError as UndecidedError
    from symrnn.errors import UnsupportedError as UnsupportedError
    from symrnn.evaluate import evaluate as evaluate
    from symrnn.exercises import Exercise as Exercise
    from symrnn.exercises import Grade as Grade
    from symrnn.exercises import exercise as exercise
    from symrnn.exercises import grade as grade
    from symrnn.network import Network as Network
    from symrnn.sources import load as load
    from symrnn.stream import stream as stream
    from symrnn.trace import Trace as Trace
    from symrnn.unroll import Unrolled as Unrolled
    from symrnn.unroll import unroll as unroll

_HOMES = {
    "Array": "arrays",
    "Cell": "cells",
    "Derivation": "documents",
    "EquationError": "errors",
    "Exercise": "exercises",
    "Grade": "exercises",
    "Network": "network",
    "NotFiniteError": "errors",
    "Report": "audit",
    "ShapeError": "errors",
    "SourceError": "errors",
    "SymrnnError": "errors",
    "SymrnnWarning": "errors",
    "Tolerance": "audit",
    "Trace": "trace",
    "UndecidedError": "errors",
    "UnsupportedError": "errors",
    "Unrolled": "unroll",
    "audit": "audit",
    "calibrate": "calibrate",
    "derive": "documents",
    "evaluate": "evaluate",
    "exercise": "exercises",
    "grade": "exercises",
    "load": "sources",
    "stream": "stream",
    "unroll": "unroll",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'symrnn' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"symrnn.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def _show(value: Any, form: Form) -> str | None:
    text: str | None = importlib.import_module("symrnn.documents.showing").show(
        value, form
    )
    return text


set_writer(_show)


class _Package(types.ModuleType):
    """Keeps ``symrnn.evaluate`` the function, not the module that defines it.

    Importing a submodule binds it in the package, over a public name of the same spelling.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, types.ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return __all__
