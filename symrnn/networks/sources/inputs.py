# SPDX-License-Identifier: BSD-3-Clause
"""Files of inputs and of outputs: what a network is run on, or returned.

Nothing here runs code that a file contains, and numbers in text stay as written.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from symrnn.errors import SourceError
from symrnn.networks.sources.files import READERS, errors_name, unique_names

__all__ = ["read_arrays", "read_json"]

_MOST_DIMENSIONS = 8  # a network has 4 at most; a parser's stack has some hundreds
_NOT_FINITE = {"nan", "inf", "infinity"}


def read_arrays(path: Path, unnamed: str = "x") -> dict[str, Any]:
    """Return the arrays in a file by name.

    Args:
        path: One of

            - ``.json``: nested lists of numbers and strings (``"-0.8769"``, ``"1/3"``),
              taken exactly as written, or an object of several: ``{"x": …, "hx": …}``.
              Where it holds ``NaN`` or ``Infinity``, which only an audit can take,
              numbers are the doubles nearest to what is written.
            - ``.npy``: one array; ``.npz``: several, by name. No pickles.
            - ``.csv``, ``.txt``: one matrix, a row in each line; between numbers is a
              comma, a semicolon, or else blanks. ``#`` starts a comment.

        unnamed: The name of an array that has none.

    Raises:
        SourceError: The file is missing, malformed or of an unknown kind; the message
            names it.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise SourceError(
            f"{path}: unknown suffix {path.suffix!r}; inputs are read from "
            f"{', '.join(_READERS)}"
        )
    with errors_name(path):
        return _named(reader(path), unnamed)


def read_json(text: str | bytes, unnamed: str = "x") -> dict[str, Any]:
    """Do what `read_arrays` does, for the text of a ``.json`` file.

    Raises:
        SourceError: It is no JSON, or of the wrong form.

    >>> read_json("[[0.1, 2]]")
    {'x': [['0.1', '2']]}
    """
    with errors_name(Path("-")):
        return _named(_parse(text), unnamed)


def _named(content: Any, unnamed: str) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        content = {unnamed: content}
    for name, values in content.items():
        if not isinstance(values, (list, np.ndarray)):
            raise SourceError(
                f"{name}: expected nested lists of numbers, found {values!r:.40}"
            )
        _check_depth(name, values)
    return dict(content)


def _check_depth(name: str, values: Any) -> None:
    level = [values]
    for _ in range(_MOST_DIMENSIONS):
        level = [v for items in level if isinstance(items, list) for v in items]
    if any(isinstance(item, list) for item in level):
        raise SourceError(f"{name}: lists are nested more than {_MOST_DIMENSIONS} deep")


def _parse(text: str | bytes) -> Any:
    constants: list[str] = []
    content = json.loads(
        text,
        parse_float=str,  # as written: exact_array takes decimal strings exactly
        parse_int=str,
        parse_constant=constants.append,
        object_pairs_hook=unique_names,
    )
    # NaN has no exact value, and lists that hold it are lists of floats.
    return json.loads(text) if constants else content


def _read_json(path: Path) -> Any:
    return _parse(path.read_bytes())


def _read_npy(path: Path) -> Any:
    _require_start(path, b"\x93NUMPY")
    with path.open("rb") as stream:
        return np.load(stream, allow_pickle=False)


def _read_npz(path: Path) -> Any:
    _require_start(path, b"PK")
    return READERS[".npz"](path)


def _require_start(path: Path, magic: bytes) -> None:
    """Refuse what NumPy would take for a pickle, and advise to open."""
    with path.open("rb") as stream:
        if stream.read(len(magic)) != magic:
            raise SourceError(f"is not a {path.suffix} file that NumPy wrote")


def _read_rows(path: Path) -> list[list[Any]]:
    rows: list[list[Any]] = list(_rows(path.read_text(encoding="utf-8-sig")))
    if not rows:
        raise SourceError("holds no numbers")
    if any(field.lower().lstrip("+-") in _NOT_FINITE for row in rows for field in row):
        return [[float(field) for field in row] for row in rows]
    return rows


def _rows(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        content = line.partition("#")[0].strip()
        delimiter = next((d for d in ",;" if d in content), None)
        if delimiter:
            fields = next(csv.reader([content], delimiter=delimiter))
            yield [field.strip() for field in fields]
        elif content:
            yield content.split()


_READERS: dict[str, Callable[[Path], Any]] = {
    ".json": _read_json,
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".csv": _read_rows,
    ".txt": _read_rows,
}
