# SPDX-License-Identifier: BSD-3-Clause
"""symrnn derives what a recurrent network computes, exactly, and checks floats against it.

>>> import symrnn
>>> net = symrnn.load(
...     {"weight_ih_l0": [["1/2"]], "weight_hh_l0": [["-1/3"]]}, cell="rnn_relu"
... )
>>> symrnn.evaluate(net, [["1/5"], ["1/7"]], exact=True).output.exact()
[[Fraction(1, 10)], [Fraction(4, 105)]]

Public are the names in ``__all__`` here and in `symrnn.equations` (cells of one's own),
`symrnn.kernels` (orders of operations, float formats, calibration), `symrnn.testing` and
`symrnn.errors`. They are bound when they are first used, so that ``import symrnn`` costs
nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from symrnn._version import __version__
from symrnn.documents.displayed import Form, set_writer

if TYPE_CHECKING:
    from symrnn import equations as equations
    from symrnn import errors as errors
    from symrnn import kernels as kernels
    from symrnn import testing as testing
    from symrnn.audits.audit import audit as audit
    from symrnn.audits.report import Report as Report
    from symrnn.audits.tolerance import Tolerance as Tolerance
    from symrnn.derivations.derive import Derivation as Derivation
    from symrnn.derivations.derive import derive as derive
    from symrnn.derivations.exercises.grading import Grade as Grade
    from symrnn.derivations.exercises.grading import grade as grade
    from symrnn.derivations.exercises.sheets import Exercise as Exercise
    from symrnn.derivations.exercises.sheets import exercise as exercise
    from symrnn.equations.cells import Cell as Cell
    from symrnn.errors import EquationError as EquationError
    from symrnn.errors import NotFiniteError as NotFiniteError
    from symrnn.errors import ShapeError as ShapeError
    from symrnn.errors import SourceError as SourceError
    from symrnn.errors import SymrnnError as SymrnnError
    from symrnn.errors import SymrnnWarning as SymrnnWarning
    from symrnn.errors import UndecidedError as UndecidedError
    from symrnn.errors import UnsupportedError as UnsupportedError
    from symrnn.kernels.calibration import calibrate as calibrate
    from symrnn.networks.network import Network as Network
    from symrnn.networks.sources import load as load
    from symrnn.runs.arrays import Array as Array
    from symrnn.runs.evaluate import evaluate as evaluate
    from symrnn.runs.propagation.stream import stream as stream
    from symrnn.runs.trace import Trace as Trace
    from symrnn.runs.unroll import Unrolled as Unrolled
    from symrnn.runs.unroll import unroll as unroll

_ROOMS = ("equations", "errors", "kernels", "testing")

_HOMES = {
    "Array": "runs.arrays",
    "Cell": "equations.cells",
    "Derivation": "derivations.derive",
    "EquationError": "errors",
    "Exercise": "derivations.exercises.sheets",
    "Grade": "derivations.exercises.grading",
    "Network": "networks.network",
    "NotFiniteError": "errors",
    "Report": "audits.report",
    "ShapeError": "errors",
    "SourceError": "errors",
    "SymrnnError": "errors",
    "SymrnnWarning": "errors",
    "Tolerance": "audits.tolerance",
    "Trace": "runs.trace",
    "UndecidedError": "errors",
    "Unrolled": "runs.unroll",
    "UnsupportedError": "errors",
    "audit": "audits.audit",
    "calibrate": "kernels.calibration",
    "derive": "derivations.derive",
    "evaluate": "runs.evaluate",
    "exercise": "derivations.exercises.sheets",
    "grade": "derivations.exercises.grading",
    "load": "networks.sources",
    "stream": "runs.propagation.stream",
    "unroll": "runs.unroll",
}

__all__ = ["__version__", *_ROOMS, *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"symrnn.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'symrnn' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"symrnn.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def _show(value: Any, form: Form) -> str | None:
    display = importlib.import_module("symrnn.derivations.display")
    text: str | None = display.show(value, form)
    return text


set_writer(_show)


def __dir__() -> list[str]:
    return __all__
