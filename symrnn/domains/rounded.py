# SPDX-License-Identifier: BSD-3-Clause
"""Every operation rounded to a float format: a defined arithmetic, the same everywhere.

Operations, elementwise functions too, are correctly rounded. The only freedom is the order
of a product's sum, which `ProductOrder` states, and what lies between roundings, which the
names of the equations do: see `RoundedDomain`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from flint import arb

from symrnn.domains.ball import ball_interval, working_precision
from symrnn.equations.domain import Domain, Interval
from symrnn.equations.functions import ElementwiseFunction
from symrnn.errors import UndecidedError
from symrnn.numerics.exact import Exact, to_fraction
from symrnn.numerics.float_arithmetic import Arithmetic, Floats
from symrnn.numerics.formats import (
    FloatFormat,
    as_rational,
    find_emulated_format,
    nearest_float,
)
from symrnn.numerics.upward import check_arithmetic

__all__ = ["Fused", "ProductOrder", "Products", "RoundedDomain", "Tree", "TreeOrder"]

Fused = Literal["hadamard", "matmul"]
"""A kind of product that is added to a sum by fused multiply-adds."""


@dataclass(frozen=True, kw_only=True)
class ProductOrder:
    """In which order the n terms of a dot product are added.

    Attributes:
        lanes: Term k is added to the partial sum number k mod `lanes`, as by a vector
            unit; in the end the upper half of the sums is added to the lower, and so on.
        block: Every so many terms are a dot product of their own, whose result is added
            to that of the blocks before; all in one by default.
        pairwise: Terms are multiplied first, and the sum is that of the sums of their
            first and second halves; not with `lanes` or `fma`.
        fma: Whether a term is multiplied and added with one rounding.

    Raises:
        ValueError: A number is below 1, or `pairwise` is combined with what it excludes.

    >>> ProductOrder(lanes=8, fma=True)
    ProductOrder(lanes=8, block=None, pairwise=False, fma=True)
    """

    lanes: int = 1
    block: int | None = None
    pairwise: bool = False
    fma: bool = False

    def __post_init__(self) -> None:
        if self.lanes < 1 or (self.block is not None and self.block < 1):
            raise ValueError(
                f"lanes and block must be 1 or more (got {self.lanes}, {self.block})"
            )
        if self.pairwise and (self.lanes > 1 or self.fma):
            raise ValueError("pairwise adds products, without lanes or fma")

    def product(self, arithmetic: Arithmetic, a: Floats, b: Floats) -> Floats:
        """Return the matrix product of `a` (m, n) and `b` (n, k), n at least 1.

        Args:
            arithmetic: What rounds each operation.
            a: Numbers of its format, float64.
            b: Likewise.
        """
        size = self.block or a.shape[1]
        total: Floats | None = None
        for start in range(0, a.shape[1], size):
            left, right = a[:, start : start + size], b[start : start + size]
            part = self._block(arithmetic, left.T[:, :, None], right[:, None, :])
            total = part if total is None else arithmetic.add(total, part)
        assert total is not None
        return total

    def _block(self, arithmetic: Arithmetic, a: Floats, b: Floats) -> Floats:
        """Add the products of `a` (n, m, 1) and `b` (n, 1, k) over n."""
        if self.pairwise:
            return _pairwise(arithmetic, a, b)
        sums = arithmetic.multiply(a[: self.lanes], b[: self.lanes])
        for start in range(self.lanes, len(a), self.lanes):
            x, y = a[start : start + self.lanes], b[start : start + self.lanes]
            reached = sums[: len(x)]
            if self.fma:
                sums[: len(x)] = arithmetic.fma(x, y, reached)
            else:
                sums[: len(x)] = arithmetic.add(reached, arithmetic.multiply(x, y))
        while len(sums) > 1:
            half = (len(sums) + 1) // 2
            upper = sums[half:]
            sums[: len(upper)] = arithmetic.add(sums[: len(upper)], upper)
            sums = sums[:half]
        first: Floats = sums[0]
        return first


Tree: TypeAlias = "int | tuple[Tree, Tree]"
"""An order of additions: a term's number, or the sum of two trees."""


@dataclass(frozen=True)
class TreeOrder:
    """Any order at all, as `symrnn.kernels.reveal_order` finds it.

    Attributes:
        tree: Which partial sums are added; every term occurs once.
        fused: The terms that are multiplied and added with one rounding.

    >>> order = TreeOrder(((0, 2), 1))
    >>> a, b = np.array([[2.0**24, 1.0, -(2.0**24)]]), np.ones((3, 1))
    >>> order.product(Arithmetic(find_emulated_format("float32")), a, b).tolist()
    [[1.0]]
    """

    tree: Tree
    fused: frozenset[int] = frozenset()

    def product(self, arithmetic: Arithmetic, a: Floats, b: Floats) -> Floats:
        """Return the matrix product, as `ProductOrder.product`."""

        def total(tree: Tree) -> Floats:
            added: list[Tree] = []  # what joins the first term, the last one first
            while not isinstance(tree, int):
                first, second = tree
                alone = isinstance(first, int)
                if alone and (not isinstance(second, int) or first in self.fused):
                    first, second = second, first
                added.append(second)
                tree = first
            value = arithmetic.multiply(a[:, tree, None], b[tree])
            for part in reversed(added):
                if isinstance(part, int) and part in self.fused:
                    value = arithmetic.fma(a[:, part, None], b[part], value)
                else:
                    value = arithmetic.add(value, total(part))
            return value

        return total(self.tree)


class Products(Protocol):
    """An order of the sums in matrix products: `ProductOrder`, `TreeOrder`, or one's own."""

    def product(self, arithmetic: Arithmetic, a: Floats, b: Floats) -> Floats:
        """Return the product of `a` (m, n) and `b` (n, k), rounded step by step."""


def _pairwise(arithmetic: Arithmetic, a: Floats, b: Floats) -> Floats:
    if len(a) == 1:
        return arithmetic.multiply(a[0], b[0])
    half = (len(a) + 1) // 2
    first, second = slice(None, half), slice(half, None)
    return arithmetic.add(
        _pairwise(arithmetic, a[first], b[first]),
        _pairwise(arithmetic, a[second], b[second]),
    )


class _Product(np.ndarray[Any, np.dtype[np.float64]]):
    """A rounded product that remembers its factors, so that a sum can fuse with it.

    Parts of it and results computed from it do not.
    """

    factors: tuple[Fused, Floats, Floats] | None = None


def _product(kind: Fused, value: Floats, a: Floats, b: Floats) -> Floats:
    result = np.asarray(value).view(_Product)
    result.factors = kind, np.asarray(a), np.asarray(b)
    return result


class RoundedDomain(Domain[Floats]):
    """The arithmetic of a float format, on float64 arrays that hold its numbers.

    Parameters, inputs, initial states and whatever an equation gives a name are numbers
    of `format`. Operations inside an equation are rounded to `accumulate`, and the value
    is rounded once more when it gets its name. With ``accumulate`` left out, every single
    operation is therefore rounded to `format`; with ``"float32"``, a bfloat16 equation is
    computed as a kernel does that loads, computes in float32, and stores.

    Results are numbers of a format: they enclose nothing (`Domain.proven` is false), but
    they are the same on every machine. Infinity and NaN arise and spread as in IEEE 754.

    Args:
        format: A `FloatFormat` or the name of one, as `find_emulated_format` takes it.
        accumulate: The format inside equations.
        products: The order in which dot products are added.
        choose: What chooses the order instead, from the number of terms and the number of
            columns of the right factor: libraries have other kernels for other shapes.
        fused: Which unnamed products are, where an equation adds them to something,
            accumulated onto it term by term with one rounding each: a ⊙ b in ``c + a ⊙ b``
            if ``"hadamard"``, W h in ``c + W h`` if ``"matmul"``, one lane only.
        functions: By name, elementwise functions to take instead of the correctly rounded
            ones: from and to float64 arrays; results are rounded to `accumulate`.

    Raises:
        ValueError: There is no such format.
        UnsupportedError: A format is too wide to emulate, see `Arithmetic`; or this
            thread's float64 arithmetic is not as assumed there.

    >>> from symrnn import load
    >>> from symrnn.networks.inputs import read_inputs
    >>> from symrnn.runs.run import run
    >>> net = load({"weight_ih_l0": [["-0.8769"]], "weight_hh_l0": [[0]]}, cell="rnn_tanh")
    >>> trace = run(net, read_inputs(net, [[3]]), RoundedDomain("bfloat16"))
    >>> trace.output.decimal(5)
    [['-0.98828']]
    """

    name = "rounded"
    proven = False

    def __init__(
        self,
        format: str | FloatFormat,
        *,
        accumulate: str | FloatFormat | None = None,
        products: Products | None = None,
        choose: Callable[[int, int], Products] | None = None,
        fused: Collection[Fused] = (),
        functions: Mapping[str, Callable[[Floats], Floats]] | None = None,
    ) -> None:
        check_arithmetic()
        self._stored = Arithmetic(find_emulated_format(format))
        self._inner = self._stored
        if accumulate is not None:
            self._inner = Arithmetic(find_emulated_format(accumulate))
        self._products = products or ProductOrder()
        self._choose = choose
        self._fused = frozenset(fused)
        self._functions = dict(functions or {})

    def matrix(self, values: Exact) -> Floats:
        if values.dtype != object:
            return self._stored.nearest(values)
        form = self._stored.format
        flat = [_nearest(value, form) for value in values.reshape(-1).tolist()]
        return np.array(flat, dtype=np.float64).reshape(values.shape)

    def stored(self, a: Floats) -> Floats:
        a = np.asarray(a)  # what has a name is fused with nothing
        return a if self._inner is self._stored else self._stored.nearest(a)

    def matmul(self, a: Floats, b: Floats) -> Floats:
        order = self._products
        if self._choose is not None:
            order = self._choose(*b.shape)
        result = order.product(self._inner, a, b)
        return _product("matmul", result, a, b) if "matmul" in self._fused else result

    def add(self, *terms: Floats) -> Floats:
        total = np.asarray(terms[0])
        for term in terms[1:]:
            factors = term.factors if isinstance(term, _Product) else None
            total = self._add(total, np.asarray(term), factors)
        return total

    def _add(
        self, total: Floats, term: Floats, factors: tuple[Fused, Floats, Floats] | None
    ) -> Floats:
        match factors:
            case None:
                return self._inner.add(total, term)
            case "hadamard", a, b:
                return self._inner.fma(a, b, total)
            case _, a, b:
                for k in range(a.shape[1]):
                    total = self._inner.fma(a[:, k : k + 1], b[k : k + 1], total)
                return total

    def neg(self, a: Floats) -> Floats:
        return -np.asarray(a)

    def hadamard(self, a: Floats, b: Floats) -> Floats:
        result = self._inner.multiply(a, b)
        return (
            _product("hadamard", result, a, b) if "hadamard" in self._fused else result
        )

    def elementwise(self, function: ElementwiseFunction, a: Floats) -> Floats:
        if function.name in self._functions:
            return self._inner.nearest(self._functions[function.name](a))
        return _rounded_image(function, a, self._inner)

    def transpose(self, a: Floats) -> Floats:
        return a.T

    def constant(self, value: int, rows: int, columns: int = 1) -> Floats:
        return np.full((rows, columns), float(value))

    def vstack(self, parts: Sequence[Floats]) -> Floats:
        return np.vstack(parts)

    def hstack(self, parts: Sequence[Floats]) -> Floats:
        return np.hstack(parts)

    def split(self, a: Floats, widths: Sequence[int]) -> list[Floats]:
        ends = np.cumsum(widths)
        return [
            a[:, end - width : end] for width, end in zip(widths, ends, strict=True)
        ]

    def rows(self, a: Floats) -> list[list[Any]]:
        return list(a.tolist())

    def interval(self, element: Any) -> Interval:
        """Return the number as both ends; how far it is from the exact one is unknown."""
        if not np.isfinite(element):
            raise UndecidedError(f"the rounded value is {element}")
        exact = as_rational(element)
        return exact, exact


def _nearest(value: Any, form: FloatFormat) -> float:
    if isinstance(value, float):
        return float(Arithmetic(form).nearest(np.array(value)))
    exact = as_rational(to_fraction(value))
    found = nearest_float(exact, exact, form)
    assert found is not None  # an exact value decides every rounding
    return found


# --- elementwise functions, correctly rounded ---------------------------------------


_PRECISIONS = tuple(64 << n for n in range(9))


def _rounded_image(
    function: ElementwiseFunction, x: Floats, arithmetic: Arithmetic
) -> Floats:
    """Return the numbers of a format nearest to the function of each element."""
    result = np.full(x.shape, np.nan)
    with np.errstate(all="ignore"):
        if function.with_error is not None:
            value, error = function.with_error(x)
            lower, upper = value - error, value + error
            lower = np.where(error > 0, np.nextafter(lower, -np.inf), lower)
            upper = np.where(error > 0, np.nextafter(upper, np.inf), upper)
            low, high = arithmetic.nearest(lower), arithmetic.nearest(upper)
            result = np.where(low == high, np.copysign(low, value), np.nan)
            result = np.where((x == 0) & (result == 0), x, result)  # tanh(-0) = -0
        infinite = ~np.isfinite(x)
        result[infinite] = arithmetic.nearest(function.numpy(x[infinite]))
    hard = np.isnan(result) & ~infinite
    if hard.any():
        arguments, inverse = np.unique(x[hard], return_inverse=True)
        images = [_decide(function, v, arithmetic.format) for v in arguments.tolist()]
        result[hard] = np.array(images)[inverse]
    return result


def _decide(function: ElementwiseFunction, x: float, form: FloatFormat) -> float:
    """Return the float nearest to the function of one number, by ball arithmetic."""
    exact = function.rational(as_rational(x))
    if exact is not None:
        found = nearest_float(exact, exact, form)
        return x if found == 0 == x else float(found)  # type: ignore[arg-type]
    for bits in _PRECISIONS:
        with working_precision(bits):
            ball = function.ball(arb(x))
        if not ball.is_finite():
            continue
        lo, hi = ball_interval(ball)
        found = nearest_float(lo, hi, form)
        if found is not None:
            return float(np.copysign(found, 1.0 if hi > 0 else -1.0))
    raise UndecidedError(
        f"{function.name}({x!r}) could not be rounded to {form.name} within "
        f"{_PRECISIONS[-1]} bits"
    )
