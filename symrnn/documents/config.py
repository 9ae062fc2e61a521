# SPDX-License-Identifier: BSD-3-Clause
"""An author's choices from a file of TOML, so that a course writes all its sheets alike."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from symrnn.documents.options import Options
from symrnn.errors import SourceError

__all__ = ["read_choices", "read_notation"]

_TABLE = "derive"


def read_choices(path: str | os.PathLike[str]) -> dict[str, Any]:
    r"""Return the options that a file names: at its top, or in a table ``[derive]``.

    Other tables beside ``[derive]`` are for other readers of the file.

    Raises:
        OSError: The file cannot be read.
        SourceError: It is no TOML, or has what is no option.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "sheet.toml")
    ...     _ = path.write_text('digits = 6\nsteps = "1-3,50"\nnotation = {W_ih = "U"}')
    ...     read_choices(path)
    {'digits': 6, 'steps': '1-3,50', 'notation': {'W_ih': 'U'}}
    """
    found = _read(path)
    table = found.get(_TABLE)
    if isinstance(table, dict):
        # What stands above the table would silently do nothing.
        above = {k: v for k, v in found.items() if not isinstance(v, dict)}
        if above:
            raise SourceError(
                f"{path} has {', '.join(above)} outside of its table [{_TABLE}]; "
                "move it there"
            )
        found = table
    try:
        Options.of(found)
    except SourceError as error:
        raise SourceError(f"{path}: {error}") from None
    return found


def read_notation(path: str | os.PathLike[str]) -> Mapping[str, str]:
    r"""Return the symbols that a file gives to names of a cell: ``W_ih = "U"``.

    Raises:
        OSError: The file cannot be read.
        SourceError: It is no TOML, or has something else.
    """
    found = _read(path)
    for name, symbol in found.items():
        if not isinstance(symbol, str):
            raise SourceError(
                f'{path}: expected lines such as W_ih = "U" (got {name} = {symbol!r})'
            )
    return found


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is no TOML: {error}") from None
