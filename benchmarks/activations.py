# SPDX-License-Identifier: BSD-3-Clause
"""Largest errors of torch's tanh and sigmoid, and the time that finding and using them takes.

python benchmarks/activations.py            # all of float32: a few minutes
python benchmarks/activations.py --quick    # samples of float32: seconds
"""

import argparse
import time

import numpy as np

import symrnn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="sample float32")
    parser.add_argument("--elements", type=int, default=10**7, help="of the bound")
    options = parser.parse_args()
    started = time.perf_counter()
    found = symrnn.calibrate(exhaustive=not options.quick)
    seconds = time.perf_counter() - started
    arguments = sum(errors.arguments for errors in found)
    print(f"{arguments:,} arguments in {seconds:.1f} s ({found[0].library})")
    random = np.random.default_rng(0)
    mid = random.normal(size=options.elements) * 3
    rad = np.abs(mid) * 1e-6
    value = np.minimum(np.abs(mid), 1.0)
    print("function format   kernel           ulps  underflow  bound, ns an element")
    for errors in found:
        errors.bound(mid[:1], rad[:1], value[:1])  # makes its tables
        started = time.perf_counter()
        errors.bound(mid, rad, value)
        each = (time.perf_counter() - started) / options.elements * 1e9
        print(
            f"{errors.function:8} {errors.format.name:8} {errors.kernel:12} "
            f"{errors.peak:8.4f} {errors.underflow:10.1e} {each:8.1f}"
        )


if __name__ == "__main__":
    main()
