# SPDX-License-Identifier: BSD-3-Clause
"""A report in a form that the suffix of a file, or its user, names."""

from __future__ import annotations

import json
from collections.abc import Callable
from os import PathLike, fspath
from pathlib import Path

from symrnn.audit.pages.html import report_html
from symrnn.audit.pages.text import report_text
from symrnn.audit.report import Report
from symrnn.writing import write_text

__all__ = ["FORMS", "form_of", "render", "save"]


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


def save(report: Report, path: str | PathLike[str]) -> None:
    """Write a report in the form that the suffix names; see `symrnn.Report.save`."""
    text = render(report, form_of(path))
    write_text(Path(fspath(path)), f"{text}\n")
