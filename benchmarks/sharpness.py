# SPDX-License-Identifier: BSD-3-Clause
"""How near derived bounds are to real errors, and the smallest faults that they show.

    python benchmarks/sharpness.py [--quick] [--seed N]

Networks with torch's default weights, batch 4, 20 steps. First, bound / error over all
elements of torch's own outputs (infinite where there is no error); in ulps, the largest
error, and the median, over steps and units, of the largest bound of the batch. Then faults,
each made smaller until the audit no longer tells it from rounding. Then faults that have one
size: in how many of three networks the audit shows them.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import torch
from foreign import Layer, Style, sigmoid

import symrnn
from symrnn.audits.departures import ulps
from symrnn.audits.judging import judge_steps
from symrnn.audits.local_audit import audit_steps, floating_domain
from symrnn.audits.subject import Subject, observe, read_subject
from symrnn.audits.torch_run import run_torch
from symrnn.numerics.formats import FORMATS

KINDS = {"rnn_tanh": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
DTYPES = ("float32", "float64", "bfloat16", "float16")
BATCH, STEPS, UNIT, STEP = 4, 20, 1, 11
NEVER = 64.0  # powers of two below which a fault is not looked for


def make(kind: str, dtype: str, hidden: int, seed: int) -> tuple:
    """Return a module of so many inputs and units, and inputs."""
    torch.manual_seed(seed)
    module = KINDS[kind](hidden, hidden).to(getattr(torch, dtype))
    return module, torch.randn(STEPS, BATCH, hidden).to(getattr(torch, dtype))


def subject_of(
    module: torch.nn.Module, net: symrnn.Network, x: torch.Tensor
) -> Subject:
    """Return what torch makes of `module`, to be held against `net`."""
    return run_torch(module, net, x, None, None, grad=False)


def caught(subject: Subject) -> bool:
    """Whether the local audit shows that something is wrong."""
    return audit_steps(subject).violated


# --- ratios -------------------------------------------------------------------------


def print_ratios(dtype: str, kind: str, hidden: int, seed: int) -> None:
    """Print one row: quantiles of bound / error, and medians in ulps."""
    module, x = make(kind, dtype, hidden, seed)
    net = symrnn.load(module)
    subject = subject_of(module, net, x)
    observed = observe(net, subject.inputs, subject.values)
    domain = floating_domain(subject)
    judged = judge_steps(net, subject.inputs, observed, domain)[0, "forward"]
    ratios = np.concatenate(judged.ratios).astype(np.float64)
    with np.errstate(divide="ignore"):
        tightest, low, median, high = 1 / np.quantile(ratios, [1, 0.99, 0.5, 0.01])
    print(
        f"{dtype:9}{kind:9}{hidden:5}  {tightest:9.1f} {low:9.1f} {median:9.1f} "
        f"{high:10.0f}   {np.max(judged.error):7.2f} {np.median(judged.bound):9.1f}"
    )


# --- faults of any size -------------------------------------------------------------


def dropped_bias(module, net, x, size):
    """One bias of that size, which the subject leaves out."""
    index = len(module.bias_hh_l0) - module.hidden_size + UNIT
    with torch.no_grad():
        module.bias_hh_l0[index] = size
        net = symrnn.load(module)
        kept = float(module.bias_hh_l0[index])
        module.bias_hh_l0[index] = 0
    return (subject_of(module, net, x), kept) if kept else None


def wrong_weight(module, net, x, size):
    """One recurrent weight, off by that part of it."""
    weight = module.weight_hh_l0
    with torch.no_grad():
        index = np.unravel_index(int(weight.abs().argmax()), weight.shape)
        before = float(weight[index])
        weight[index] = before * (1 + size)
        found = subject_of(module, net, x) if float(weight[index]) != before else None
        changed = abs(float(weight[index]) / before - 1)
        weight[index] = before
    return (found, changed) if found is not None else None


def one_unit(module, net, x, size):
    """One unit at one step, off by so many ulps, a whole number."""
    if round(size) < 1:
        return None
    subject = subject_of(module, net, x)
    output = subject.values["output"].copy()
    before = output[STEP, 0, UNIT]
    ulp = float(ulps(np.array([[before]]), subject.format)[0, 0])
    output[STEP, 0, UNIT] += np.copysign(round(size) * ulp, before)
    return replace(subject, values=subject.values | {"output": output}), round(size)


FAULTS = {
    "dropped bias, of": dropped_bias,
    "one weight, relative": wrong_weight,
    "one unit at one step, ulps": one_unit,
}


def smallest(fault: Callable, dtype: str, kind: str, hidden: int, seed: int) -> float:
    """Return the size of the smallest fault that is caught, to within a fifth."""
    module, x = make(kind, dtype, hidden, seed)
    net = symrnn.load(module)

    def size_if_caught(exponent: float) -> float | None:
        found = fault(module, net, x, 2.0**exponent)
        return found[1] if found is not None and caught(found[0]) else None

    low, high = -NEVER, 24.0 if fault is one_unit else 4.0
    size = size_if_caught(high)
    while size is not None and high - low > 0.25:
        middle = (low + high) / 2
        found = size_if_caught(middle)
        if found is None:
            low = middle
        else:
            size, high = found, middle
    return float("nan") if size is None else size


# --- faults of one size -------------------------------------------------------------


def by_numpy(module, net, x, dtype, **options) -> Subject:
    """Return what plain NumPy makes of a layer, in one style of `benchmarks/foreign.py`."""
    half = FORMATS[dtype].precision < 24
    options = {"dtype": dtype, "accumulate": "float32" if half else dtype} | options
    arrays = {n: p.detach().double().numpy() for n, p in module.named_parameters()}
    kind = next(k for k, module_class in KINDS.items() if type(module) is module_class)
    states = [np.zeros((BATCH, module.hidden_size))] * (1 + (kind == "lstm"))
    outputs = Layer(kind, arrays, Style(**options)).run(x.double().numpy(), *states)
    given = tuple(o.astype(np.float64) for o in outputs)
    return read_subject(net, x, None, None, given, dtype)


def pade(order: int) -> Callable:
    """Return tanh's continued fraction a/(1 + a²/(3 + a²/(5 + …))), of so many levels."""

    def tanh(a):
        square, found = a * a, np.full_like(a, 2 * order - 1)
        for k in range(2 * order - 3, 0, -2):
            found = k + square / found
        return np.clip(a / found, -1, 1)

    return tanh


def piecewise(pieces: int) -> Callable:
    """Return tanh, linear between so many points a unit."""
    points = np.linspace(-9, 9, 18 * pieces + 1)
    return lambda a: np.interp(a, points, np.tanh(points)).astype(a.dtype)


def float16_tanh(a):
    """Return tanh as accurate as float16."""
    return np.tanh(a).astype(np.float16).astype(a.dtype)


def with_tanh(tanh: Callable) -> Callable:
    functions = {"tanh": tanh, "sigmoid": sigmoid}
    return lambda m, net, x, dtype: by_numpy(m, net, x, dtype, functions=functions)


def coarse_tanh(module, net, x, dtype):
    """Not a fault in formats as coarse."""
    if FORMATS[dtype].precision <= 11:
        return None
    return with_tanh(float16_tanh)(module, net, x, dtype)


def float16_sums(module, net, x, dtype):
    return by_numpy(module, net, x, dtype, accumulate="float16")


def swapped_gates(module, net, x, dtype):
    """Two blocks of the input weights exchanged: i and f, or r and z."""
    n = module.hidden_size
    with torch.no_grad():
        weight = module.weight_ih_l0
        if len(weight) == n:
            return None
        weight[: 2 * n] = torch.cat([weight[n : 2 * n], weight[:n]])
    return subject_of(module, net, x)


def early_state(module, net, x, dtype):
    """The last states of the step before the last one."""
    subject = subject_of(module, net, x)
    early = subject.values["output"][-2][None]
    return replace(subject, values=subject.values | {"h_n": early})


def coarse_input(module, net, x, dtype):
    """x rounded to bfloat16 on its way."""
    if dtype == "bfloat16":
        return None
    coarse = x.to(torch.bfloat16).to(x.dtype)
    return replace(
        subject_of(module, net, coarse), inputs=subject_of(module, net, x).inputs
    )


KNOWN = {
    "honest NumPy": lambda m, net, x, dtype: by_numpy(m, net, x, dtype),
    "tanh accurate to float16": coarse_tanh,
    "tanh, fraction of 4 levels": with_tanh(pade(4)),
    "tanh, fraction of 6 levels": with_tanh(pade(6)),
    "tanh, fraction of 9 levels": with_tanh(pade(9)),
    "tanh, linear, 16 pieces/unit": with_tanh(piecewise(16)),
    "tanh, linear, 256 pieces/unit": with_tanh(piecewise(256)),
    "tanh, linear, 4096 pieces/unit": with_tanh(piecewise(4096)),
    "sums in float16": float16_sums,
    "two gates swapped": swapped_gates,
    "h_n of the step before": early_state,
    "x rounded to bfloat16": coarse_input,
}


def times_caught(fault: Callable, dtype: str, kind: str, hidden: int, seed: int) -> str:
    """Return in how many of three networks the fault is caught, ``"-"`` if it is none."""
    found = []
    for k in range(3):
        module, x = make(kind, dtype, hidden, seed + k)
        subject = fault(module, symrnn.load(module), x, dtype)
        if subject is None:
            return "-"
        found.append(caught(subject))
    return f"{sum(found)}/3"


# --- the command --------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small networks only")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    seed, sizes = options.seed, (8, 32) if options.quick else (8, 64, 256)
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=UserWarning, module="torch")
    module, x = make("lstm", "float32", 8, seed)
    figures = audit_steps(subject_of(module, symrnn.load(module), x)).arithmetic
    print(f"torch {torch.__version__}; {'; '.join(figures.activations)}\n")

    print(f"{'':23}  {'bound / error':^40}   {'in ulps':^17}")
    print(
        f"{'format':9}{'cell':9}{'units':>5}  {'least':>9} {'1 %':>9} {'median':>9} "
        f"{'99 %':>10}   {'error ≤':>7} {'bound ~':>9}"
    )
    for dtype, kind, hidden in product(DTYPES, KINDS, sizes):
        print_ratios(dtype, kind, hidden, seed)

    print("\nThe smallest fault that is caught")
    print(f"{'':30}{'units':>6} {'cell':9}" + "".join(f"{d:>11}" for d in DTYPES))
    for (name, fault), hidden, kind in product(FAULTS.items(), sizes, KINDS):
        found = [smallest(fault, dtype, kind, hidden, seed) for dtype in DTYPES]
        cells = "".join(f"{size:11.2g}" for size in found)
        print(f"{name:30}{hidden:6} {kind:9}{cells}", flush=True)

    print("\nFaults caught, of 3 networks")
    print(f"{'':30}{'units':>6} {'cell':9}" + "".join(f"{d:>11}" for d in DTYPES))
    for (name, fault), hidden, kind in product(KNOWN.items(), sizes[1:2], KINDS):
        found = [times_caught(fault, dtype, kind, hidden, seed) for dtype in DTYPES]
        print(
            f"{name:30}{hidden:6} {kind:9}" + "".join(f"{n:>11}" for n in found),
            flush=True,
        )


if __name__ == "__main__":
    main()
