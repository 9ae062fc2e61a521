# SPDX-License-Identifier: BSD-3-Clause
"""What a value shows of itself in a notebook, without knowing how that is written.

Jupyter asks a value for HTML, Markdown and LaTeX by these methods, and takes the best that
it can show. The package says once who writes them (`set_writer`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

__all__ = ["Displayed", "Form", "set_writer"]

Form = Literal["html", "markdown", "latex"]

Writer = Callable[[Any, Form], str | None]


def _nothing(value: Any, form: Form) -> str | None:
    return None


_writer: Writer = _nothing


def set_writer(writer: Writer) -> None:
    """Set who writes what notebooks show; it returns ``None`` to leave it at ``repr``."""
    global _writer
    _writer = writer


class Displayed:
    """A value that notebooks show as mathematics and tables, and elsewhere as ``repr``."""

    __slots__ = ()

    def _repr_html_(self) -> str | None:
        return _writer(self, "html")

    def _repr_markdown_(self) -> str | None:
        return _writer(self, "markdown")

    def _repr_latex_(self) -> str | None:
        return _writer(self, "latex")
