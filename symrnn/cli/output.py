# SPDX-License-Identifier: BSD-3-Clause
"""Where results go, and what a terminal shows meanwhile."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import click

from symrnn.errors import SourceError
from symrnn.numerics.files import write_text

__all__ = [
    "output_option",
    "precision_option",
    "remark",
    "require_folder",
    "working",
    "write",
]

output_option = click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to FILE, whole or not at all, instead of to standard output.",
)

precision_option = click.option(
    "--max-precision",
    metavar="BITS",
    type=click.IntRange(min=2),
    default=1 << 16,
    show_default=True,
    help="Working precision at which to give up.",
)


def write(text: str, path: Path | None) -> None:
    """Write `text` and a newline to a file, complete or not at all, or to stdout.

    Raises:
        OSError: It cannot be written.
        SourceError: The folder is missing.
    """
    text = text.rstrip("\n") + "\n"
    if path is None:
        click.echo(text, nl=False)
        return
    require_folder(path)
    write_text(path, text)


def require_folder(path: Path) -> None:
    """Require that a file can have that name.

    Raises:
        SourceError: Its folder is missing.
    """
    if not path.parent.is_dir():
        raise SourceError(f"{path}: there is no folder {path.parent}")


def remark(text: str) -> None:
    """Say something on stderr that is no result."""
    click.echo(f"symrnn: {text}", err=True)


def working(what: str) -> AbstractContextManager[Any]:
    """Show on a terminal that something is being done; be silent in a pipe."""
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(what)
