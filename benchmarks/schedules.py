# SPDX-License-Identifier: BSD-3-Clause
"""How often torch's order, emulated, is what torch returns, bit for bit.

    python benchmarks/schedules.py [--quick]

For each cell × format × kernel (grad, no_grad): random networks with default weights,
sizes and batches as in SIZES, up to 20 steps. Printed are the fractions of output elements
and of whole runs that are identical:

* revealed: torch's own tanh and sigmoid, and the order of each product's sum found by
  asking torch (`torch_products`) where a cell is made of torch's linear maps;
* torch's: torch's own tanh and sigmoid, and sums of fused multiply-adds one by one;
* exact: the same with correctly rounded functions.

A batch of 1 goes to another kernel of the BLAS library (matrix times vector), and is
counted by itself.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import replace
from functools import lru_cache
from itertools import product

import numpy as np
import torch

import symrnn
from symrnn.kernels.emulation import emulate
from symrnn.kernels.torch_orders import torch_functions, torch_order, torch_products
from symrnn.networks.inputs import read_inputs

MODULES = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
GATES = {"rnn": 1, "lstm": 4, "gru": 3}
FORMATS = ("float32", "float64", "bfloat16", "float16")
SIZES = [  # input, hidden, batch, steps
    (3, 5, 4, 20),
    (16, 16, 4, 20),
    (20, 30, 3, 10),
    (32, 64, 8, 20),
    (64, 64, 8, 10),
    (64, 128, 16, 5),
    (128, 128, 8, 5),
]
ONE = [(3, 5, 1, 20), (16, 16, 1, 20), (64, 64, 1, 10)]


chosen = lru_cache(torch_products)  # an order is asked for once


def identical(kind, format, size, seed, *, grad):
    """Return which elements are identical: revealed, torch's functions, exact ones."""
    inputs, hidden, batch, steps = size
    torch.manual_seed(seed)
    dtype = getattr(torch, format)
    module = MODULES[kind](inputs, hidden).to(dtype)
    x = torch.randn(steps, batch, inputs).to(dtype)
    with torch.set_grad_enabled(grad):
        returned = module(x)[0].detach().double().numpy()
    net = symrnn.load(module)
    given = read_inputs(net, x)
    schedule = torch_order(net, given, format, grad=grad)
    revealed = schedule
    if schedule.kernel == "elementwise" and format in ("float32", "float64"):
        revealed = replace(schedule, choose=chosen(format, GATES[kind] * hidden))
    own = torch_functions(schedule, format)
    return [
        emulate(net, given, format, order, functions=functions)[0] == returned
        for order, functions in ((revealed, own), (schedule, own), (schedule, None))
    ]


def measure(kind, format, sizes, seeds, *, grad):
    """Return fractions of elements and of runs, in the order of `identical`."""
    found = [
        identical(kind, format, size, seed, grad=grad)
        for size, seed in product(sizes, range(seeds))
    ]
    columns = list(zip(*found, strict=True))
    return [
        (
            np.concatenate([same.ravel() for same in column]).mean(),
            np.mean([same.all() for same in column]),
        )
        for column in columns
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one network a size")
    seeds = 1 if parser.parse_args().quick else 5
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=UserWarning, module="torch")
    cpu = torch.backends.cpu.get_cpu_capability()
    print(
        f"torch {torch.__version__}, {cpu}, 1 thread; elements / whole runs identical"
    )
    print(f"{'':34} {'revealed':>17} {'torch functions':>17} {'exact functions':>17}")
    for batch, sizes in (("batch 3-16", SIZES), ("batch 1", ONE)):
        for kind, format, grad in product(MODULES, FORMATS, (False, True)):
            fractions = measure(kind, format, sizes, seeds, grad=grad)
            mode = "grad" if grad else "no_grad"
            cells = " ".join(f"{e:8.2%} {r:8.2%}" for e, r in fractions)
            print(f"{kind:5}{format:9} {mode:8} {batch:10} {cells}", flush=True)


if __name__ == "__main__":
    main()
