# SPDX-License-Identifier: BSD-3-Clause
"""The result of an audit: its findings, to print, to show and to save."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symrnn.audits.findings import Findings, Unseen
from symrnn.audits.pages.html import report_html
from symrnn.audits.pages.text import renderable, report_text
from symrnn.audits.pages.wording import sentence
from symrnn.documents.displayed import Displayed
from symrnn.numerics.files import write_text

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["FORMS", "SCHEMA", "Report", "form_of", "render"]

SCHEMA = "symrnn.audit/2"
"""Version of what `Report.to_dict` returns; raised when a key changes its meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(Findings, Displayed):
    """The result of `symrnn.audit`.

    ``print(report)`` shows it, ``report.passed`` is the answer in one word.

    Attributes:
        verdict: ``"holds"``: every state that was judged is within its derived bound;
            or, where the caller stated a tolerance, every result is within that.
            ``"not finite"``: a parameter or input is NaN or infinite, or an output is and
            should not be. ``"undecided"``: there are results, but not one of them, and no
            state, has a finite limit to be held to. ``"violated"``: everything else.
        subject: Whose outputs they are.
        network: The network, in short.
        dtype: The subject's float format.
        tensors: One report for each result, against the exact values; empty where they
            were not computed.
        environment: What the subject ran in.
        tolerance: What the caller allows of a result, if anything was stated.
        arithmetic: What the derived bounds assume; ``None`` without exact values.
        layers: The local audit: every step from its own inputs.
        unseen: Layers that could not be judged so, and why.
        causes: The parameters and inputs that are not finite, in words.
        notes: What else a reader must know, such as inputs that were rounded.
        rounded: Whether the subject saw other inputs than were given: rounded ones. Left
            out of `Report.to_dict`; a note says it.
        statements: What the report claims, and how well.
        explanation: Where errors come from, as far as that was asked for.
    """

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data for ``json.dumps``.

        The key ``"schema"`` names its version, ``"summary"`` is the verdict in a sentence;
        the others are the attributes (docs/reference/audit-json.md). JSON has no infinity
        and no NaN: they come as the strings ``"inf"``, ``"-inf"`` and ``"nan"``.
        """
        summary = sentence(self)
        head = {"schema": SCHEMA, "passed": self.passed, "summary": summary}
        return {**head, **_plain(self)}

    def save(self, path: str | PathLike[str]) -> None:
        """Write the report to a file, whole or not at all.

        Args:
            path: Its suffix says in which form: ``.html`` (one page that needs nothing
                else), ``.json`` (`to_dict`) or ``.txt`` (``str(report)``).

        Raises:
            ValueError: The suffix is another one.
            OSError: The file cannot be written; the message names it.
        """
        text = render(self, form_of(path))
        write_text(Path(fspath(path)), f"{text}\n")

    def __str__(self) -> str:
        return report_text(self)

    def __rich__(self) -> RenderableType:
        """Let ``rich.print(report)`` show it in colour."""
        return renderable(self)


def _report_json(report: Report) -> str:
    return json.dumps(report.to_dict(), indent=1, allow_nan=False)


FORMS: dict[str, Callable[[Report], str]] = {
    "text": report_text,
    "json": _report_json,
    "html": report_html,
}
"""How a report is written, by the name of the form."""

_SUFFIXES = {".txt": "text", ".json": "json", ".html": "html", ".htm": "html"}


def form_of(path: str | PathLike[str]) -> str:
    """Return the form that the suffix of a file asks for.

    Raises:
        ValueError: None does.

    >>> form_of("audit.HTML")
    'html'
    """
    suffix = Path(fspath(path)).suffix.lower()
    if suffix not in _SUFFIXES:
        found = f"ends in {suffix!r}" if suffix else "has no suffix"
        raise ValueError(
            f"{fspath(path)}: a report is saved as .html, .json or .txt, and this file "
            f"{found}"
        )
    return _SUFFIXES[suffix]


def render(report: Report, form: str) -> str:
    """Return a report as ``"text"``, ``"json"`` or ``"html"``, without a newline at the end."""
    return FORMS[form](report)


def _plain(value: Any) -> Any:
    if isinstance(value, (Unseen, str)):  # as a sentence; a direction as its word
        return str(value)
    if is_dataclass(value):
        shown = [f for f in fields(value) if f.metadata.get("plain", True)]
        return {f.name: _plain(getattr(value, f.name)) for f in shown}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
