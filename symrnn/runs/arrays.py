# SPDX-License-Identifier: BSD-3-Clause
"""Real numbers in an array, each known as well as it is asked for.

An `Array` knows how to be computed again more precisely, so that any number of digits can
be asked of it at any time, and each is correct.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from flint import fmpq

from symrnn.documents.displayed import Displayed
from symrnn.equations.domain import Domain
from symrnn.errors import UndecidedError, UnsupportedError
from symrnn.networks.inputs import require_int
from symrnn.numerics.formats import find_format, nearest_float, round_decimal, round_up

__all__ = ["Array", "PackedArray", "Refine", "Rule", "Select", "attempt"]

Rule = Callable[[Any, Any], Any]
"""From the ends of an enclosure to a result, or ``None`` where they do not decide it."""


Select = Callable[[Any], "Array"]
"""From another run of the same computation to the array that stands for this one in it."""


class Refine(Protocol):
    """Finds results that an array's own precision leaves undecided."""

    def decide(self, select: Select, rule: Rule, undecided: Any) -> Any:
        """Return, for each index in `undecided`, the result of `rule`."""


class Array(Displayed):
    """Real numbers in an array, each known as well as it is asked for.

    It has a shape and is indexed like a NumPy array; ``numpy.asarray`` gives the correctly
    rounded float64 values.
    """

    def __init__(
        self,
        elements: npt.NDArray[np.object_],
        domain: Domain[Any],
        refine: Refine | None = None,
        select: Select | None = None,
    ) -> None:
        self._elements = elements
        self._domain = domain
        self._refine = refine
        self._select = select

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, as NumPy's and torch's."""
        return self._elements.shape

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return self._elements.ndim

    @property
    def elements(self) -> npt.NDArray[np.object_]:
        """The numbers as the domain holds them."""
        return self._elements

    @property
    def proven(self) -> bool:
        """Whether the numbers come from a domain that encloses the exact values."""
        return self._domain.proven

    def __len__(self) -> int:
        return len(self._elements)

    def __getitem__(self, index: Any) -> Array:
        """Return a part of the array; a single element has shape ()."""
        part = np.empty((), dtype=object)
        found = self._elements[index]
        if isinstance(found, np.ndarray):
            part = found
        else:
            part[()] = found
        select = self._select
        return Array(
            part,
            self._domain,
            self._refine,
            None if select is None else lambda run: select(run)[index],
        )

    def __iter__(self) -> Iterator[Array]:
        return (self[i] for i in range(len(self)))

    def decimal(self, digits: int | None = None, *, places: int | None = None) -> Any:
        """Return correctly rounded decimals, as (nested lists of) strings.

        Ties go to even, decided on the exact value. Precision is raised as far as needed.

        Args:
            digits: Number of significant digits (15 if neither is given); or
            places: number of digits after the decimal point.

        Raises:
            UndecidedError: The digits could not be decided within the precision limit.

        >>> from symrnn import evaluate, load
        >>> net = load({"weight_ih_l0": [["1/3"]], "weight_hh_l0": [[0]]}, cell="rnn_tanh")
        >>> evaluate(net, [[1]]).output.decimal(40)
        [['0.3215127375316343447194062224252064660053']]
        """
        if digits is not None and places is not None:
            raise TypeError("give digits= or places=, not both")
        if digits is None and places is None:
            digits = 15
        for what, n, least in (("digits", digits, 1), ("places", places, 0)):
            if n is not None:
                require_int(n, what, least)

        def rule(lo: Any, hi: Any) -> str | None:
            return round_decimal(lo, hi, digits=digits, places=places)

        return self.decide(rule).tolist()

    def nearest(self, dtype: str) -> npt.NDArray[Any]:
        """Return the correctly rounded values in a float format.

        Args:
            dtype: ``"float64"``, ``"float32"``, ``"float16"`` or ``"bfloat16"``.

        Returns:
            A NumPy array of that dtype; NumPy has no bfloat16, so those values come as
            float32, which holds them exactly.

        Raises:
            UndecidedError: A rounding could not be decided within the precision limit.
            ValueError: There is no such format.
        """
        target = find_format(dtype)
        values = self.decide(lambda lo, hi: nearest_float(lo, hi, target))
        holder = "float32" if target.name == "bfloat16" else target.name
        return values.astype(holder)

    def decide(self, rule: Rule) -> npt.NDArray[np.object_]:
        """Return `rule` of every element's enclosure, refining those it cannot decide.

        Args:
            rule: From the exact ends (python-flint ``fmpq``) of an enclosure to a result,
                or ``None`` where they do not decide it.

        Raises:
            UndecidedError: Naming an element that stays undecided.
        """
        results = np.empty(self.shape, dtype=object)
        undecided = []
        for index in np.ndindex(self.shape):
            results[index] = attempt(rule, self._domain, self._elements[index])
            if results[index] is None:
                undecided.append(index)
        if undecided:
            if self._refine is None or self._select is None:
                raise UndecidedError(
                    f"element {list(undecided[0])} is known only to lie in "
                    f"{self._elements[undecided[0]]}"
                )
            for index, result in self._refine.decide(
                self._select, rule, undecided
            ).items():
                results[index] = result
        return results

    def intervals(self) -> npt.NDArray[np.object_]:
        """Return each element's enclosure as exact (lower, upper) python-flint rationals."""
        ends = np.empty(self.shape, dtype=object)
        for index in np.ndindex(self.shape):
            ends[index] = self._domain.interval(self._elements[index])
        return ends

    def radius(self) -> npt.NDArray[np.float64]:
        """Return a proven bound on the distance of each enclosure's midpoint to the value.

        Rounded up to float64; 0.0 only where the value is known exactly.

        Raises:
            UnsupportedError: The numbers come from a domain that proves nothing.
        """
        if not self.proven:
            raise UnsupportedError(
                f"the {self._domain.name} domain carries no error bound; use domain='ball'"
            )
        radii = np.zeros(self.shape)
        for index in np.ndindex(self.shape):
            try:
                lo, hi = self._domain.interval(self._elements[index])
            except UndecidedError:
                radii[index] = np.inf
                continue
            radii[index] = round_up((hi - lo) / 2)
        return radii

    def exact(self) -> Any:
        """Return exact values: ``Fraction`` where rational, else SymPy closed forms.

        Raises:
            UnsupportedError: The trace was not made with ``exact=True``.
        """
        if self._domain.name != "exact":
            raise UnsupportedError("exact values come from evaluate(…, exact=True)")
        closed = np.empty(self.shape, dtype=object)
        for index in np.ndindex(self.shape):
            element = self._elements[index]
            if isinstance(element, fmpq):
                element = Fraction(int(element.p), int(element.q))
            closed[index] = element
        return closed.tolist()

    def tolist(self) -> Any:
        """Return the domain's own elements in nested lists."""
        return self._elements.tolist()

    def __array__(
        self, dtype: Any = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        values = self.nearest("float64")
        return values if dtype is None else values.astype(dtype)

    def __float__(self) -> float:
        if self.shape != ():
            raise TypeError(
                f"only one element can become a float, this has shape {self.shape}"
            )
        return float(self.nearest("float64"))

    def __repr__(self) -> str:
        if np.prod(self.shape) > 64:
            return f"Array(shape={self.shape}, domain={self._domain.name})"
        try:
            return f"Array({self.decimal(8)!r})"
        except UndecidedError:
            return f"Array({self._elements.tolist()!r})"


class PackedArray(Displayed):
    """The data of a packed output, with what torch's ``PackedSequence`` carries.

    Attributes:
        data: (total steps, features), as ``PackedSequence.data``.
        batch_sizes: Number of sequences running at each step.
        sorted_indices: Batch elements by decreasing length, as torch packed them.
    """

    def __init__(
        self, data: Array, batch_sizes: Sequence[int], order: Sequence[int]
    ) -> None:
        self.data = data
        self.batch_sizes = tuple(batch_sizes)
        self.sorted_indices = tuple(order)

    def __getattr__(self, name: str) -> Any:
        """Everything an `Array` can do is done to the data."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.data, name)

    def __array__(
        self, dtype: Any = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        return self.data.__array__(dtype)

    def __repr__(self) -> str:
        return f"PackedArray({self.data!r}, batch_sizes={self.batch_sizes})"


def attempt(rule: Rule, domain: Domain[Any], element: Any) -> Any:
    """Return `rule` of what is known of an element, ``None`` where that is too little."""
    try:
        return rule(*domain.interval(element))
    except UndecidedError:
        return None
