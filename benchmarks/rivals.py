# SPDX-License-Identifier: BSD-3-Clause
"""What one would write without symrnn: the same forward pass by hand, three times.

The elementwise part of a step is the same Python for SymPy, mpmath and python-flint;
they differ in their numbers, their products and their precision. Parameters are float32
arrays under torch's names. Every rival returns its outputs, one list of numbers a step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flint
import mpmath
import numpy as np
import sympy

Arrays = Mapping[str, np.ndarray]
Numbers = list[Any]

GATES = {"rnn_tanh": 1, "lstm": 4, "gru": 3}


@dataclass(frozen=True)
class Case:
    """One network and one input.

    Attributes:
        cell: A key of `GATES`.
        arrays: float32 parameters under torch's names, of one layer.
        x: float32 inputs, (steps, input_size).
    """

    cell: str
    arrays: Arrays
    x: np.ndarray

    @property
    def hidden_size(self) -> int:
        return self.arrays["weight_hh_l0"].shape[1]


def random_case(cell: str, hidden_size: int, steps: int, seed: int = 0) -> Case:
    """Return a network with torch's default initialisation, and normal inputs."""
    rng = np.random.default_rng(seed)
    input_size = max(1, hidden_size // 2)
    rows = GATES[cell] * hidden_size
    shapes = {
        "weight_ih_l0": (rows, input_size),
        "weight_hh_l0": (rows, hidden_size),
        "bias_ih_l0": (rows,),
        "bias_hh_l0": (rows,),
    }
    arrays = {
        name: (rng.uniform(-1, 1, shape) / hidden_size**0.5).astype(np.float32)
        for name, shape in shapes.items()
    }
    x = rng.standard_normal((steps, input_size)).astype(np.float32)
    return Case(cell, arrays, x)


# --- one step, for any numbers ------------------------------------------------------


@dataclass(frozen=True)
class Functions:
    sigmoid: Callable[[Any], Any]
    tanh: Callable[[Any], Any]


def advance(
    case: Case,
    gates: Numbers,
    from_h: Numbers,
    b_hn: Numbers,
    states: Any,
    f: Functions,
) -> tuple[Numbers, ...]:
    """Return the next states from W_ih x + b (`gates`) and W_hh h (`from_h`)."""
    if case.cell == "gru":
        return _gru(gates, from_h, b_hn, *states, f)
    pre = [a + b for a, b in zip(gates, from_h, strict=True)]
    if case.cell == "lstm":
        return _lstm(pre, *states, f)
    return ([f.tanh(a) for a in pre],)


def _lstm(
    pre: Numbers, h: Numbers, c: Numbers, f: Functions
) -> tuple[Numbers, Numbers]:
    n = len(c)
    i, forget = ([f.sigmoid(a) for a in pre[k * n : k * n + n]] for k in (0, 1))
    g = [f.tanh(a) for a in pre[2 * n : 3 * n]]
    o = [f.sigmoid(a) for a in pre[3 * n :]]
    c = [fk * ck + ik * gk for fk, ck, ik, gk in zip(forget, c, i, g, strict=True)]
    return [ok * f.tanh(ck) for ok, ck in zip(o, c, strict=True)], c


def _gru(
    gates: Numbers, from_h: Numbers, b_hn: Numbers, h: Numbers, f: Functions
) -> tuple[Numbers]:
    n = len(h)
    r, z = (
        [f.sigmoid(gates[k] + from_h[k]) for k in range(first, first + n)]
        for first in (0, n)
    )
    new = [
        f.tanh(a + rk * (b + bias))
        for a, rk, b, bias in zip(gates[2 * n :], r, from_h[2 * n :], b_hn, strict=True)
    ]
    return ([(1 - zk) * nk + zk * hk for zk, nk, hk in zip(z, new, h, strict=True)],)


def biases(case: Case, number: Callable[[float], Any]) -> tuple[Numbers, Numbers]:
    """Return what can be added before the loop, and GRU's b_hn, which cannot."""
    b_ih = [number(v) for v in case.arrays["bias_ih_l0"].tolist()]
    b_hh = [number(v) for v in case.arrays["bias_hh_l0"].tolist()]
    early = len(b_hh) - case.hidden_size if case.cell == "gru" else len(b_hh)
    sums = [a + b for a, b in zip(b_ih[:early], b_hh[:early], strict=True)]
    return sums + b_ih[early:], b_hh[early:]


def zero_states(case: Case, zero: Any) -> tuple[Numbers, ...]:
    return ([zero] * case.hidden_size,) * (2 if case.cell == "lstm" else 1)


# --- three ways to do it ------------------------------------------------------------


def with_sympy(case: Case, digits: int) -> list[Numbers]:
    """Nested SymPy expressions of exact rationals, then ``evalf``: the obvious way."""

    def rows(name: str) -> list[Numbers]:
        return [[sympy.Rational(v) for v in r] for r in case.arrays[name].tolist()]

    def product(matrix: list[Numbers], vector: Sequence[Any]) -> Numbers:
        return [
            sympy.Add(*(w * v for w, v in zip(row, vector, strict=True)))
            for row in matrix
        ]

    f = Functions(lambda a: 1 / (1 + sympy.exp(-a)), sympy.tanh)
    outputs = _loop(case, rows, product, sympy.Rational, f)
    return [[value.evalf(digits) for value in h] for h in outputs]


def with_mpmath(case: Case, bits: int) -> list[Numbers]:
    """Lists of ``mpf`` and ``fdot``; the backend is gmpy2 where that is installed."""
    mp = mpmath.MPContext()
    mp.prec = bits

    def rows(name: str) -> list[Numbers]:
        return [[mp.mpf(v) for v in row] for row in case.arrays[name].tolist()]

    def product(matrix: list[Numbers], vector: Sequence[Any]) -> Numbers:
        return [mp.fdot(row, vector) for row in matrix]

    f = Functions(lambda a: 1 / (1 + mp.exp(-a)), mp.tanh)
    return _loop(case, rows, product, mp.mpf, f)


def with_flint(case: Case, bits: int) -> list[Numbers]:
    """python-flint balls: all gates in one matrix, all inputs in one product."""
    arb, arb_mat = flint.arb, flint.arb_mat
    with flint.ctx.workprec(bits):
        from_x = arb_mat(case.arrays["weight_ih_l0"].tolist()) * arb_mat(
            case.x.T.tolist()
        )
        per_step = zip(*from_x.table(), strict=True)
        W_hh = arb_mat(case.arrays["weight_hh_l0"].tolist())
        b, b_hn = biases(case, arb)
        f = Functions(lambda a: 1 / (1 + (-a).exp()), arb.tanh)
        states, outputs = zero_states(case, arb(0)), []
        for column in per_step:
            gates = [a + bias for a, bias in zip(column, b, strict=True)]
            from_h = (W_hh * arb_mat(case.hidden_size, 1, states[0])).entries()
            states = advance(case, gates, from_h, b_hn, states, f)
            outputs.append(states[0])
        return outputs


def _loop(
    case: Case,
    rows: Callable[[str], list[Numbers]],
    product: Callable[[list[Numbers], Sequence[Any]], Numbers],
    number: Callable[[float], Any],
    f: Functions,
) -> list[Numbers]:
    W_ih, W_hh = rows("weight_ih_l0"), rows("weight_hh_l0")
    b, b_hn = biases(case, number)
    states, outputs = zero_states(case, number(0)), []
    for x in case.x.tolist():
        from_x = product(W_ih, [number(v) for v in x])
        gates = [a + bias for a, bias in zip(from_x, b, strict=True)]
        states = advance(case, gates, product(W_hh, states[0]), b_hn, states, f)
        outputs.append(states[0])
    return outputs
