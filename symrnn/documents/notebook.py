# SPDX-License-Identifier: BSD-3-Clause
"""The writer for Jupyter notebooks: text as Markdown, scripts as code to run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from symrnn.documents.markdown import write_block
from symrnn.documents.model import Document, Heading, Script
from symrnn.errors import UnsupportedError

__all__ = ["write_notebook"]

_KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def write_notebook(document: Document) -> str:
    """Write `document` as a notebook (nbformat 4.5), without outputs.

    Cells are numbered, so that one document always gives the same file.

    Raises:
        UnsupportedError: nbformat is not installed.
    """
    try:
        import nbformat
    except ImportError:
        raise UnsupportedError(
            "notebooks need nbformat: pip install 'symrnn[notebook]'"
        ) from None
    notebook: Any = nbformat.from_dict(  # type: ignore[no-untyped-call]
        {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {
                "kernelspec": _KERNEL,
                "language_info": {"name": "python"},
            },
            "cells": [
                _cell(n, source, is_code=is_code)
                for n, (is_code, source) in enumerate(_cells(document))
            ],
        }
    )
    nbformat.validate(notebook)
    text: str = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    return f"{text}\n"


def _cell(number: int, source: str, *, is_code: bool) -> dict[str, Any]:
    if not is_code:
        return {
            "id": f"text-{number}",
            "cell_type": "markdown",
            "metadata": {},
            "source": source,
        }
    return {
        "id": f"code-{number}",
        "cell_type": "code",
        "metadata": {},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


def _cells(document: Document) -> Iterator[tuple[bool, str]]:
    """Yield whether a cell is code, and its source; a heading begins a cell."""
    text: list[str] = []
    for block in document:
        if isinstance(block, Script | Heading) and text:
            yield False, "\n\n".join(text)
            text = []
        if isinstance(block, Script):
            yield True, block.source
        else:
            text.append(write_block(block))
    if text:
        yield False, "\n\n".join(text)
