# SPDX-License-Identifier: BSD-3-Clause
"""What a caller, or a file, may say about a source beyond the numbers in it."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, fields, replace
from types import ModuleType
from typing import Any

from symrnn.equations.cells import Cell
from symrnn.errors import SourceError, UnsupportedError
from symrnn.numerics.formats import find_format

__all__ = ["Options", "require_package"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The keywords of `symrnn.load`; ``None`` is "as the source says"."""

    prefix: str | None = None
    cell: str | Cell | None = None
    batch_first: bool | None = None
    dtype: str | None = None
    single_step: bool | None = None

    def __post_init__(self) -> None:
        kinds: dict[str, tuple[Any, str]] = {
            "prefix": (str, "a string"),
            "cell": ((str, Cell), "a cell's name or a Cell"),
            "batch_first": (bool, "True or False"),
            "single_step": (bool, "True or False"),
        }
        for name, (kind, expected) in kinds.items():
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise SourceError(f"{name} must be {expected} (got {value!r})")
        if self.dtype is not None:
            try:
                name = find_format(self.dtype).name
            except ValueError as error:
                raise SourceError(str(error)) from None
            object.__setattr__(self, "dtype", name)  # torch.float32 is welcome, too

    @property
    def given(self) -> dict[str, Any]:
        """The options that say something, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def over(self, other: Options) -> Options:
        """Return these options, with those of `other` where they say nothing."""
        return replace(other, **self.given)

    def require_agreement(self, what: str, facts: dict[str, Any]) -> None:
        """Raise `SourceError` where an option contradicts what the source is."""
        for name, fact in facts.items():
            said = self.given.get(name, fact)
            if said != fact:
                raise SourceError(
                    f"{what} has {name}={fact!r}, which {name}={said!r} contradicts; "
                    f"leave {name}= out"
                )


def require_package(module: str, extra: str, what: str) -> ModuleType:
    """Import an optional package, or say how to install it.

    Raises:
        UnsupportedError: The package is not installed.

    >>> try:
    ...     require_package("no_such_package", "files", "x.abc:")
    ... except UnsupportedError as error:
    ...     print(error)
    x.abc: needs the package no_such_package; pip install 'symrnn[files]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise  # it is there, and broken
        raise UnsupportedError(
            f"{what} needs the package {error.name}; pip install 'symrnn[{extra}]'"
        ) from None
