# SPDX-License-Identifier: BSD-3-Clause
"""What a domain is: an arithmetic on (features × batch) matrices.

A domain chooses its own matrix type ``M``. A column (features × 1) stands for every
column of a batch wherever `Domain.add` or `Domain.hadamard` meets it.

`ObjectDomain` is what domains whose matrices are NumPy object arrays have in common.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from symrnn.equations.functions import ElementwiseFunction
from symrnn.numerics.exact import Exact

__all__ = ["Domain", "Interval", "ObjectDomain", "Objects", "object_array"]


M = TypeVar("M")

Interval = tuple[Any, Any]
"""Lower and upper end as python-flint ``fmpq``; equal where the value is exact."""


class Domain(ABC, Generic[M]):
    """One arithmetic. Subclasses are final, immutable, and one to a file.

    Attributes:
        name: As in ``evaluate(…, domain=name)``.
        proven: Whether its values are certain to contain the exact ones.
        batched: Whether steps can be joined into one matrix and split again; if not, the
            input products are run one step at a time.
    """

    name: str
    proven: bool
    batched: bool = True

    def context(self) -> AbstractContextManager[Any]:
        """Return the context in which every operation below must be called."""
        return nullcontext()

    @abstractmethod
    def matrix(self, values: Exact) -> M:
        """Take a 2-D array of finite exact numbers into the domain."""

    def parameter(self, name: str, values: Exact, position: tuple[int, str]) -> M:
        """Take a parameter into the domain; symbolic domains put a symbol in its place."""
        return self.matrix(values)

    def input(self, values: Exact, t: int) -> M:
        """Take the input of step `t` into the domain."""
        return self.matrix(values)

    def initial(self, state: str, values: Exact, position: tuple[int, str]) -> M:
        """Take an initial state into the domain."""
        return self.matrix(values)

    def stored(self, a: M) -> M:
        """Return what an equation's value is kept as, once it has a name."""
        return a

    def name_values(
        self, values: dict[Any, M], position: tuple[int, str], t: int
    ) -> dict[Any, M]:
        """Return what stands for the named values of a step from here on."""
        return values

    @abstractmethod
    def matmul(self, a: M, b: M) -> M:
        """Return the matrix product."""

    @abstractmethod
    def add(self, *terms: M) -> M:
        """Return the sum, left to right."""

    @abstractmethod
    def neg(self, a: M) -> M:
        """Return the negative."""

    @abstractmethod
    def hadamard(self, a: M, b: M) -> M:
        """Return the elementwise product."""

    @abstractmethod
    def elementwise(self, function: ElementwiseFunction, a: M) -> M:
        """Return the function of every element."""

    @abstractmethod
    def transpose(self, a: M) -> M:
        """Return the transpose."""

    @abstractmethod
    def constant(self, value: int, rows: int, columns: int = 1) -> M:
        """Return a matrix of one repeated integer."""

    @abstractmethod
    def vstack(self, parts: Sequence[M]) -> M:
        """Put matrices of equal width on top of each other."""

    @abstractmethod
    def hstack(self, parts: Sequence[M]) -> M:
        """Put matrices of equal height side by side."""

    @abstractmethod
    def split(self, a: M, widths: Sequence[int]) -> list[M]:
        """Cut a matrix into parts of the given widths; what is left over is dropped."""

    @abstractmethod
    def rows(self, a: M) -> list[list[Any]]:
        """Return the elements, row by row."""

    @abstractmethod
    def interval(self, element: Any) -> Interval:
        """Return exact ends of what is known of an element of `rows`.

        Raises:
            UndecidedError: Nothing finite is known of it.
        """


Objects = npt.NDArray[np.object_]


class ObjectDomain(Domain[Objects]):
    """Stacking, splitting and listing of object arrays; arithmetic is the subclass's."""

    def transpose(self, a: Objects) -> Objects:
        return a.T

    def vstack(self, parts: Sequence[Objects]) -> Objects:
        return np.vstack(parts)

    def hstack(self, parts: Sequence[Objects]) -> Objects:
        return np.hstack(parts)

    def split(self, a: Objects, widths: Sequence[int]) -> list[Objects]:
        ends = np.cumsum(widths)
        return [
            a[:, end - width : end] for width, end in zip(widths, ends, strict=True)
        ]

    def rows(self, a: Objects) -> list[list[Any]]:
        return a.tolist()


def object_array(flat: Sequence[Any], shape: tuple[int, ...]) -> Objects:
    """Return `flat`, row by row, as an array of the given shape."""
    array = np.empty(len(flat), dtype=object)
    array[:] = flat
    return array.reshape(shape)
