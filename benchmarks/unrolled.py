# SPDX-License-Identifier: BSD-3-Clause
"""An unrolled LSTM as SymPy expressions, and its value: symrnn against nested SymPy.

Both build the last state of a small LSTM as expressions of exact rationals and evaluate
them with ``evalf``. symrnn shares common parts, nested SymPy repeats them, so SymPy
goes only as many steps as it finishes within a limit.
"""

from __future__ import annotations

import argparse
import signal
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

import symrnn

INPUT_SIZE, HIDDEN_SIZE = 3, 4

Arrays = dict[str, np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=20, help="symrnn's steps (20)")
    parser.add_argument("--digits", type=int, default=30, help="digits of evalf (30)")
    parser.add_argument("--limit", type=float, default=30.0, help="s for SymPy (30)")
    parser.add_argument("--repeat", type=int, default=3, help="best of (3); SymPy: 1")
    options = parser.parse_args()
    if min(options.steps, options.digits, options.repeat) < 1:
        parser.error("--steps, --digits and --repeat must be at least 1")
    arrays, x = _random_network(options.steps)

    print(f"LSTM {INPUT_SIZE} -> {HIDDEN_SIZE}, last h to {options.digits} digits")
    print(f"{'steps':>5}  {'symrnn, s':>10}  {'SymPy, s':>10}  {'ratio':>8}")
    finished, theirs = 0, 0.0
    for steps in range(1, options.steps + 1):
        result = _nested_within(options.limit, arrays, x[:steps], options.digits)
        if result is None:
            print(f"{steps:5}  {'':10}  {f'> {options.limit:g}':>10}")
            break
        theirs, found = result
        finished = steps
        ours = _symrnn_seconds(arrays, x[:steps], options, found)
        print(
            f"{steps:5}  {ours:10.4f}  {theirs:10.4f}  {theirs / ours:8.1f}", flush=True
        )
    ours = _symrnn_seconds(arrays, x, options)
    print(f"{options.steps:5}  {ours:10.4f}")
    if not finished:
        raise SystemExit("SymPy finished no step; raise --limit")
    print(
        f"symrnn takes {ours / theirs:.3f} times as long for {options.steps} steps as "
        f"nested SymPy for {finished}"
    )


def _symrnn_seconds(
    arrays: Arrays, x: np.ndarray, options: Any, also: list[Any] | None = None
) -> float:
    """Return the best time of building and evaluating, once the digits agree.

    They, and the rival's values in `also`, are compared with `symrnn.evaluate`, whose
    digits are proven.
    """
    net = symrnn.load(arrays, cell="lstm")
    timed = [
        _timed(lambda: _shared(net, x, options.digits)) for _ in range(options.repeat)
    ]
    last = symrnn.evaluate(net, x, digits=options.digits + 10).output
    exact = [Fraction(v) for v in last.decimal(options.digits + 10)[-1]]
    for found in (timed[0][1], also):
        if found is not None:
            _require_digits(found, exact, options.digits)
    return min(seconds for seconds, _ in timed)


class _OutOfTime(BaseException):
    """No ``Exception``, lest SymPy catch it."""


def _nested_within(
    limit: float, arrays: Arrays, x: np.ndarray, digits: int
) -> tuple[float, list[Any]] | None:
    """Return seconds and values of `_nested`, ``None`` where they exceed `limit`."""

    def stop(*_: Any) -> None:
        raise _OutOfTime

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        return _timed(lambda: _nested(arrays, x, digits))
    except _OutOfTime:
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _shared(net: symrnn.Network, x: np.ndarray, digits: int) -> list[Any]:
    """Unroll, put the inputs and zero states in, evaluate."""
    unrolled = symrnn.unroll(net, len(x), numbers=True)
    last = unrolled[0, "forward", len(x) - 1].substituted("h")
    values = {
        symbol[k, 0]: sympy.Rational(value)
        for symbol, row in zip(unrolled.inputs, x.tolist(), strict=True)
        for k, value in enumerate(row)
    }
    for symbol in unrolled.initial.values():
        values |= {symbol[k, 0]: sympy.S.Zero for k in range(symbol.shape[0])}
    return list(last.subs(values).evalf(digits))


def _nested(arrays: Arrays, x: np.ndarray, digits: int) -> list[Any]:
    """Build the expressions the obvious way, step by step, and evaluate."""
    W_ih, W_hh, b_ih, b_hh = (
        sympy.Matrix(a.shape[0], a.size // a.shape[0], _rationals(a))
        for a in arrays.values()
    )
    n = HIDDEN_SIZE
    h = c = sympy.zeros(n, 1)
    for row in x:
        pre = W_ih * sympy.Matrix(_rationals(row)) + b_ih + W_hh * h + b_hh
        i, f, o = (pre[k : k + n, :].applyfunc(_sigmoid) for k in (0, n, 3 * n))
        g = pre[2 * n : 3 * n, :].applyfunc(sympy.tanh)
        c = f.multiply_elementwise(c) + i.multiply_elementwise(g)
        h = o.multiply_elementwise(c.applyfunc(sympy.tanh))
    return list(h.evalf(digits))


def _sigmoid(a: Any) -> Any:
    return 1 / (1 + sympy.exp(-a))


def _rationals(values: np.ndarray) -> list[sympy.Rational]:
    return [sympy.Rational(v) for v in values.ravel().tolist()]


def _random_network(steps: int) -> tuple[Arrays, np.ndarray]:
    """Return float32 parameters under torch's names, and inputs (steps, input_size)."""
    rng = np.random.default_rng(0)
    rows = 4 * HIDDEN_SIZE
    shapes: dict[str, tuple[int, ...]] = {
        "weight_ih_l0": (rows, INPUT_SIZE),
        "weight_hh_l0": (rows, HIDDEN_SIZE),
        "bias_ih_l0": (rows,),
        "bias_hh_l0": (rows,),
    }
    arrays = {
        name: (rng.uniform(-1, 1, shape) / HIDDEN_SIZE**0.5).astype(np.float32)
        for name, shape in shapes.items()
    }
    return arrays, rng.standard_normal((steps, INPUT_SIZE)).astype(np.float32)


def _timed(run: Callable[[], list[Any]]) -> tuple[float, list[Any]]:
    start = time.perf_counter()
    found = run()
    return time.perf_counter() - start, found


def _require_digits(found: list[Any], exact: list[Fraction], digits: int) -> None:
    """Fail unless every value is within a unit of its last digit."""
    for value, truth in zip(found, exact, strict=True):
        error = abs(Fraction(str(value)) - truth)
        if error > abs(truth) / 10 ** (digits - 1):
            raise SystemExit(
                f"{value} differs from {float(truth)} within {digits} digits"
            )


if __name__ == "__main__":
    main()
