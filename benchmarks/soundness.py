# SPDX-License-Identifier: BSD-3-Clause
"""Whether bounds hold: honest torch, honest others, and the exact values of steps.

    python benchmarks/soundness.py [--elements N] [--enclosed N] [--seed N]

Random and adversarial networks (benchmarks/networks.py) of every kind, size and format are
run by torch, and by NumPy in other orders (benchmarks/foreign.py), and audited: nobody may
be found to violate a bound. Then steps are enclosed, and compared with mpmath's values to 50
digits. Each miss is printed with what reproduces it, and ends the command with exit code 1.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction

import mpmath
import numpy as np
import torch
from foreign import NUMPY_TYPES, Layer, random_style
from networks import REGIMES, Scale, random_case, rounded, set_parameters

import symrnn
from symrnn.domains.activation_errors import assumed_errors
from symrnn.domains.enclosure import EnclosureDomain
from symrnn.domains.rounding_bounds import FloatingDomain
from symrnn.errors import UndecidedError
from symrnn.networks.inputs import read_inputs
from symrnn.numerics.formats import FORMATS
from symrnn.runs.run import run

LAYERS = {
    "rnn_tanh": (torch.nn.RNN, {}),
    "rnn_relu": (torch.nn.RNN, {"nonlinearity": "relu"}),
    "lstm": (torch.nn.LSTM, {}),
    "gru": (torch.nn.GRU, {}),
}
Check = Callable[[int, int], tuple[str, Counter]]

# --- audits -------------------------------------------------------------------------


def audit_torch(seed: int, index: int) -> tuple[str, Counter]:
    """Audit one random network as torch runs it."""
    case = random_case(np.random.default_rng([seed, index]), elements=40_000)
    with case.settings():
        report = symrnn.audit(
            case.module,
            case.x,
            case.hx,
            lengths=case.lengths,
            grad=case.grad,
            exact=False,
        )
    kind = type(case.module).__name__.removesuffix("Cell")
    return case.about, _count(report, f"{kind} {case.dtype}")


def audit_foreign(seed: int, index: int) -> tuple[str, Counter]:
    """Audit one random layer as NumPy computes it, in a random style."""
    rng = np.random.default_rng([seed, index, 1])
    kind, dtype, regime = (
        str(rng.choice(list(names))) for names in (LAYERS, NUMPY_TYPES, REGIMES)
    )
    module, x, states = random_layer(rng, kind, dtype, regime, time=5, batch=64)
    style = random_style(rng, dtype)
    layer = Layer(kind, numbers(module), style, index)
    outputs = layer.run(*(v.double().numpy() for v in (x, *states)))
    hx = tuple(state[None] for state in states)
    report = symrnn.audit(
        symrnn.load(module),
        x,
        hx if len(hx) > 1 else hx[0],
        outputs=tuple(o.astype(np.float64) for o in outputs),
        dtype=dtype,
        accumulate=style.accumulate if dtype in ("float16", "bfloat16") else None,
        exact=False,
    )
    about = f"{dtype} {module} | {regime}, {style}"
    return about, _count(report, f"{kind} {dtype}")


def random_layer(rng, kind, dtype, regime, *, time, batch):
    """Return a module, its input (time × batch × features) and states (batch × units)."""
    module_class, options = LAYERS[kind]
    size, hidden = (int(n) for n in rng.choice([1, 2, 3, 5, 16, 17, 33, 60], 2))
    module = module_class(size, hidden, dtype=getattr(torch, dtype), **options)
    recipe, scale = REGIMES[regime], Scale(dtype, size)
    set_parameters(rng, module, recipe)
    x = rounded(recipe.inputs(rng, (time, batch, size), scale), dtype)
    states = [
        rounded(recipe.states(rng, (batch, hidden), Scale(dtype, hidden)), dtype)
        for _ in range(1 + (kind == "lstm"))
    ]
    return module, x, states


def numbers(module: torch.nn.Module) -> dict[str, np.ndarray]:
    """Return parameters as float64 arrays."""
    return {n: p.detach().double().numpy() for n, p in module.named_parameters()}


def _count(report: symrnn.Report, name: str) -> Counter:
    found = Counter()
    for layer in report.layers:
        found[name] += layer.judged
        found["unknown"] += layer.unjudged
        found["misses"] += layer.violations
    found["misses"] += report.verdict == "violated" and not found["misses"]
    return found


# --- enclosures ---------------------------------------------------------------------


def domains(dtype: str) -> Iterator[tuple[str, object]]:
    """Yield arithmetics that must contain a step's exact value."""
    target = FORMATS[dtype]
    wide = FORMATS["float32"] if target.precision < 24 else target
    yield "bounds", FloatingDomain(target, wide)
    # Nobody rounds, so only what float64 itself may err is left.
    nothing = {name: _no_errors(name) for name in ("tanh", "sigmoid")}
    yield (
        "midpoints",
        FloatingDomain(FORMATS["float64"], activations=nothing, unit=lambda n, p: 0.0),
    )
    yield "enclosures", EnclosureDomain()


def _no_errors(name: str):
    errors = assumed_errors(name, FORMATS["float64"])
    return type(errors)(
        function=name,
        format=errors.format,
        kernel=errors.kernel,
        provenance="assumed",
        arguments=0,
        library=None,
        cpu=None,
        threads=None,
        profile=np.zeros_like(errors.profile),
        underflow=0.0,
    )


def enclose_steps(seed: int, index: int) -> tuple[str, Counter]:
    """Enclose steps from a batch of states, and compare some elements with mpmath."""
    rng = np.random.default_rng([seed, index, 2])
    kind, dtype, regime = (
        str(rng.choice(list(names))) for names in (LAYERS, NUMPY_TYPES, REGIMES)
    )
    module, x, states = random_layer(rng, kind, dtype, regime, time=1, batch=40)
    net, hx = symrnn.load(module), tuple(state[None] for state in states)
    inputs = read_inputs(net, x, hx if len(hx) > 1 else hx[0])
    arrays, found = numbers(module), Counter()
    columns = [v.double().numpy() for v in (x[0], *states)]
    chosen = {
        (int(rng.integers(module.hidden_size)), int(rng.integers(40)))
        for _ in range(48)
    }
    exact = {
        (u, b): exact_step(kind, arrays, u, *(c[b] for c in columns)) for u, b in chosen
    }
    for name, domain in domains(dtype):
        record = run(net, inputs, domain).records[0, "forward"].steps[0]
        for k, state in enumerate(net.cell.states):
            rows = domain.rows(record[state])
            for (u, b), values in exact.items():
                known = contains(domain, rows[u][b], values[k])
                found["unknown" if known is None else name] += 1
                found["misses"] += known is False
    return f"{dtype} {module} | {regime}", found


def contains(domain: object, element: object, value: mpmath.mpf) -> bool | None:
    """Whether an element contains a value of mpmath; ``None`` if nothing is known."""
    if not np.isfinite(tuple(element)).all():
        return None
    try:
        low, high = (Fraction(int(e.p), int(e.q)) for e in domain.interval(element))
    except UndecidedError:
        return None
    sign, mantissa, exponent, _ = value._mpf_  # mpf(value) would round it
    exact = (-1) ** sign * int(mantissa) * Fraction(2) ** max(int(exponent), -5000)
    slack = abs(exact) / 10**45  # mpmath's own, at 50 digits
    return low - slack <= exact <= high + slack


def exact_step(kind, arrays, unit, x, h, c=None):
    """Return what a unit's states are after one step, to about 50 digits."""
    with mpmath.workdps(50):
        count = len(arrays["weight_ih_l0"]) // len(h)
        rows = range(unit, count * len(h), len(h))
        from_x = [_affine(arrays, "ih", row, x) for row in rows]
        from_h = [_affine(arrays, "hh", row, h) for row in rows]
        both = [_add(a, b) for a, b in zip(from_x, from_h, strict=True)]
        if kind == "rnn_tanh":
            return (mpmath.tanh(both[0]),)
        if kind == "rnn_relu":
            return (max(both[0], mpmath.mpf(0)),)
        if kind == "lstm":
            i, f, o = (_sigmoid(both[k]) for k in (0, 1, 3))
            c = f * c[unit] + i * mpmath.tanh(both[2])
            return o * mpmath.tanh(c), c
        r, z = _sigmoid(both[0]), _sigmoid(both[1])
        n = mpmath.tanh(_add(from_x[2], r * from_h[2]))
        return ((1 - z) * n + z * h[unit],)


def _affine(arrays, which, row, operand):
    """Return weights·operand + bias; exactly, as float64's exponents span 4,400 bits."""
    with mpmath.workprec(4400):
        weights = [mpmath.mpf(w) for w in arrays[f"weight_{which}_l0"][row].tolist()]
        total = mpmath.fdot(weights, [mpmath.mpf(v) for v in operand.tolist()])
        return total + mpmath.mpf(float(arrays[f"bias_{which}_l0"][row]))


def _add(a, b):
    with mpmath.workprec(4400):
        return a + b


def _sigmoid(a):
    if a < -(10**6):  # below every radius
        return mpmath.mpf(0)
    return 1 / (1 + mpmath.exp(-a))


# --- the command --------------------------------------------------------------------


def repeat(check: Check, seed: int, elements: int, title: str) -> Counter:
    """Check one random network after the other until so many elements were judged."""
    found, start, done = Counter(), time.perf_counter(), 0
    for index in itertools.count():
        about, counts = check(seed, index)
        found += counts
        done += sum(counts.values()) - counts["unknown"] - counts["misses"]
        if counts["misses"]:
            print(f"MISS ({counts['misses']}): {title} {seed} {index}: {about}")
        if sys.stderr.isatty():
            print(f"\r{title}: {done:,}", end="", file=sys.stderr)
        if done >= elements:
            break
    seconds = time.perf_counter() - start
    print(
        f"{title}: {done:,} elements of {index + 1:,} networks, "
        f"{found['unknown']:,} more that may overflow or start from what did, "
        f"{found['misses']:,} misses ({seconds:.0f} s)"
    )
    for name in sorted(found.keys() - {"unknown", "misses"}):
        print(f"    {name:18} {found[name]:>12,}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--elements", type=int, default=10_000_000, help="to audit")
    parser.add_argument("--enclosed", type=int, default=300_000, help="to compare")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning, module="torch")
    others = options.elements // 20
    checks = (
        ("audits of torch", audit_torch, options.elements - others),
        ("audits of NumPy in other orders", audit_foreign, others),
        ("steps enclosed", enclose_steps, options.enclosed),
    )
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")
    misses = sum(
        repeat(check, options.seed, elements, title)["misses"]
        for title, check, elements in checks
    )
    sys.exit(1 if misses else 0)


if __name__ == "__main__":
    main()
