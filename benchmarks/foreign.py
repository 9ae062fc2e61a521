# SPDX-License-Identifier: BSD-3-Clause
"""Recurrent layers in plain NumPy: other honest orders of rounding than torch's.

One layer, one direction, full batches. Every operation is rounded to the format that it
is done in; sums are taken in a stated order, biases first or last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import ml_dtypes
import numpy as np

Array = np.ndarray
Functions = Mapping[str, Callable[[Array], Array]]

NUMPY_TYPES = {
    "float64": np.float64,
    "float32": np.float32,
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
}
ORDERS = ("sequential", "reversed", "pairwise", "random tree", "shuffled", "fma")


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x), rounded at each operation."""
    one = x.dtype.type(1)
    return one / (one + np.exp(-x))


@dataclass(frozen=True, kw_only=True)
class Style:
    """How somebody computes a layer.

    Attributes:
        dtype: The format of results.
        accumulate: The format of sums of products.
        order: One of `ORDERS`.
        biases: ``"first"``, ``"last"``, or ``"merged"``: both added to each other before.
        gru: ``"documented"``, (1-z)n + zh, or ``"kernel"``, (h-n)z + n.
        functions: tanh and sigmoid, of arrays in float32 or float64.
    """

    dtype: str
    accumulate: str
    order: str = "sequential"
    biases: str = "last"
    gru: str = "documented"
    functions: Functions = field(
        default_factory=lambda: {"tanh": np.tanh, "sigmoid": sigmoid}
    )


_ACCUMULATES = {
    "float64": ["float64"],
    "float32": ["float32", "float32", "float64"],
    "float16": ["float16", "float32"],
    "bfloat16": ["bfloat16", "float32"],
}


def random_style(rng: np.random.Generator, dtype: str) -> Style:
    """Draw a style; audits of 16-bit ones must be told the format of accumulation."""
    accumulate = str(rng.choice(_ACCUMULATES[dtype]))
    # Fused operations are emulated in float64, and of float32.
    orders = ORDERS if accumulate == "float32" else ORDERS[:-1]
    return Style(
        dtype=dtype,
        accumulate=accumulate,
        order=str(rng.choice(orders)),
        biases=str(rng.choice(["first", "last", "merged"])),
        gru=str(rng.choice(["documented", "kernel"])),
    )


# --- sums ---------------------------------------------------------------------------


def fused(a: Array, b: Array, c: Array) -> Array:
    """Return a·b + c of float32 arrays, rounded once.

    The product is exact in float64. Its sum with c is rounded to odd there, which does
    not spoil a second rounding (Boldo & Melquiond, 'Emulation of a FMA and correctly
    rounded sums', IEEE Trans. Comput. 57, 2008).
    """
    product, c = a.astype(np.float64) * b, c.astype(np.float64)
    total = product + c
    other = total - product
    error = (product - (total - other)) + (c - other)
    even = (total.view(np.int64) & 1) == 0
    odd = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
    return np.where(even & (error != 0), odd, total).astype(np.float32)


def sum_terms(terms: Array, order: str, rng: np.random.Generator) -> Array:
    """Return the sum over the first axis, each addition rounded to the terms' format."""
    if order in ("random tree", "shuffled"):
        terms = terms[rng.permutation(len(terms))]
    if order == "reversed":
        terms = terms[::-1]
    if order == "random tree":
        parts = list(terms)
        while len(parts) > 1:
            k = int(rng.integers(len(parts) - 1))
            parts[k : k + 2] = [parts[k] + parts[k + 1]]
        return parts[0]
    if order == "pairwise":
        while len(terms) > 1:
            odd = terms[len(terms) // 2 * 2 :]
            terms = np.concatenate([terms[:-1:2] + terms[1::2], odd])
        return terms[0]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def product(weight: Array, x: Array, style: Style, rng: np.random.Generator) -> Array:
    """Return weight·x of shapes (rows × terms) and (terms × batch), rounded to `dtype`."""
    wide = NUMPY_TYPES[style.accumulate]
    weight, x = weight.astype(wide), x.astype(wide)
    if style.order == "fma" and wide is np.float32:
        total = np.zeros((len(weight), x.shape[1]), np.float32)
        for k in rng.permutation(len(x)):
            total = fused(weight[:, k, None], x[k], total)
    else:
        order = "sequential" if style.order == "fma" else style.order
        total = sum_terms(weight.T[:, :, None] * x[:, None, :], order, rng)
    return total.astype(NUMPY_TYPES[style.dtype])


# --- layers -------------------------------------------------------------------------


class Layer:
    """A layer of kind ``"rnn_tanh"``, ``"rnn_relu"``, ``"lstm"`` or ``"gru"``.

    Args:
        kind: The kind.
        arrays: weight_ih_l0 and so on, under torch's names; numbers of the format.
        style: How to compute.
        seed: Of random orders.
    """

    def __init__(
        self, kind: str, arrays: Mapping[str, Array], style: Style, seed: int = 0
    ) -> None:
        dtype = NUMPY_TYPES[style.dtype]
        self.kind, self.style, self.rng = kind, style, np.random.default_rng(seed)
        self.arrays = {
            n.removesuffix("_l0"): a.astype(dtype) for n, a in arrays.items()
        }

    def run(self, x: Array, *states: Array) -> tuple[Array, ...]:
        """Return output and last states, of x (time × batch × features); states likewise."""
        dtype = NUMPY_TYPES[self.style.dtype]
        x, columns = x.astype(dtype), [s.astype(dtype).T for s in states]
        output = []
        with np.errstate(all="ignore"):
            for row in x:
                columns = self._step(row.T, *columns)
                output.append(columns[0].T)
        return np.array(output), *(c.T[None] for c in columns)

    def _apply(self, function: str, a: Array) -> Array:
        wide = (
            np.promote_types(np.float32, a.dtype) if a.dtype != np.float64 else a.dtype
        )
        return self.style.functions[function](a.astype(wide)).astype(a.dtype)

    def _gates(self, x: Array, h: Array, count: int) -> tuple[list[Array], list[Array]]:
        """Return what the input and the state give to each gate."""
        names = (("weight_ih", x, "bias_ih"), ("weight_hh", h, "bias_hh"))
        found = []
        for weight, operand, bias in names:
            total = product(self.arrays[weight], operand, self.style, self.rng)
            if bias in self.arrays and self.style.biases == "first":
                total = self.arrays[bias][:, None] + total
            found.append(np.split(total, count))
        return found[0], found[1]

    def _sums(self, x: Array, h: Array, count: int) -> list[Array]:
        """Return the arguments of gates in which everything is added."""
        from_x, from_h = self._gates(x, h, count)
        biases = self._biases(count)
        found = []
        for k, (a, b) in enumerate(zip(from_x, from_h, strict=True)):
            total = a + b
            for bias in biases:
                total = total + bias[k]
            found.append(total)
        return found

    def _biases(self, count: int) -> list[list[Array]]:
        if "bias_ih" not in self.arrays or self.style.biases == "first":
            return []
        both = [self.arrays[n][:, None] for n in ("bias_ih", "bias_hh")]
        if self.style.biases == "merged":
            both = [both[0] + both[1]]
        return [np.split(bias, count) for bias in both]

    def _step(self, x: Array, h: Array, c: Array | None = None) -> list[Array]:
        if self.kind.startswith("rnn"):
            [a] = self._sums(x, h, 1)
            relu = self.kind == "rnn_relu"
            return [np.maximum(a, 0) if relu else self._apply("tanh", a)]
        if self.kind == "lstm":
            i, f, g, o = self._sums(x, h, 4)
            i, f, o = (self._apply("sigmoid", a) for a in (i, f, o))
            c = f * c + i * self._apply("tanh", g)
            return [o * self._apply("tanh", c), c]
        z, n = self._update_and_candidate(x, h)
        if self.style.gru == "kernel":
            return [(h - n) * z + n]
        return [(z.dtype.type(1) - z) * n + z * h]

    def _update_and_candidate(self, x: Array, h: Array) -> tuple[Array, Array]:
        from_x, from_h = self._gates(x, h, 3)
        zero = np.zeros((), from_x[0].dtype)
        b_x = b_h = [zero] * 3
        if "bias_ih" in self.arrays and self.style.biases != "first":
            b_x, b_h = (
                np.split(self.arrays[n][:, None], 3) for n in ("bias_ih", "bias_hh")
            )
        if self.style.biases == "merged":  # of r and z alone: n's are used apart
            r, z = (from_x[k] + from_h[k] + (b_x[k] + b_h[k]) for k in range(2))
        else:
            r, z = ((from_x[k] + b_x[k]) + (from_h[k] + b_h[k]) for k in range(2))
        r, z = self._apply("sigmoid", r), self._apply("sigmoid", z)
        inner = r * (from_h[2] + b_h[2])
        return z, self._apply("tanh", (from_x[2] + b_x[2]) + inner)
