# SPDX-License-Identifier: BSD-3-Clause
"""The proven bound on a whole run against what torch did, and where its error came from.

For each cell and format: the largest bound and the largest actual error of the last
output, their ratio by unit, the time the bound takes, and the same for the
probabilistic bound. Then an emulated run in the format, split by kind of rounding, and
what remains unexplained to first order.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

import symrnn
from symrnn.audits.explain.attribution import attribute
from symrnn.audits.explain.bound import bound_errors
from symrnn.domains.rounding_bounds import FloatingDomain
from symrnn.networks.inputs import Inputs, read_inputs
from symrnn.networks.network import Network
from symrnn.numerics.exact import exact_array
from symrnn.numerics.formats import FORMATS

CONFIDENCE = 0.999


def main() -> None:
    options = _options()
    print(f"hidden size {options.hidden}, {options.steps} steps, default weights\n")
    columns = "cell  format     bound     probable  actual    bound/actual  seconds"
    print(f"{columns}   (last output; ratio: median over units)")
    explained = []
    for name in options.cells:
        for dtype in options.formats:
            module, x, output = _honest_run(name, dtype, options)
            net = symrnn.load(module)
            inputs = read_inputs(net, x)
            _print_bound(name, dtype, net, inputs, output)
            if dtype != "float64":  # whose emulation takes long, and shows the same
                explained.append((name, dtype, net, inputs))
    print("\nshare of the error of the last output, emulated, by kind of rounding")
    for case in explained:
        _print_kinds(*case)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--cells", nargs="+", default=["RNN", "LSTM", "GRU"])
    parser.add_argument(
        "--formats", nargs="+", default=["float32", "float16"], choices=[*FORMATS]
    )
    return parser.parse_args()


def _honest_run(
    name: str, dtype: str, options: argparse.Namespace
) -> tuple[torch.nn.Module, torch.Tensor, np.ndarray]:
    torch.manual_seed(0)
    kind = getattr(torch, dtype)
    module = getattr(torch.nn, name)(options.hidden // 2, options.hidden).to(kind)
    x = torch.randn(options.steps, options.hidden // 2).to(kind)
    with torch.no_grad():
        output, _ = module(x)
    return module, x, exact_array(output)


def _print_bound(
    name: str, dtype: str, net: Network, inputs: Inputs, output: np.ndarray
) -> None:
    half = FORMATS[dtype].precision < 24
    domain = FloatingDomain(FORMATS[dtype], FORMATS["float32"] if half else None)
    start = time.perf_counter()
    bound = bound_errors(net, inputs, domain).results()["output"]
    seconds = time.perf_counter() - start
    probable = bound_errors(net, inputs, domain, confidence=CONFIDENCE).results()
    trace = symrnn.evaluate(net, inputs.x[:, 0], digits=25, keep="states")
    error = np.abs(output - np.asarray(trace.output))
    assert (error <= bound + 2.0**-53 * np.abs(output)).all(), "a bound is exceeded"
    ratio = float(np.median(bound[-1] / np.maximum(error[-1], 1e-300)))
    print(
        f"{name:5} {dtype:9}  {bound[-1].max():.2e}  {probable['output'][-1].max():.2e}"
        f"  {error[-1].max():.2e}  {ratio:12.4g}  {seconds:7.2f}",
        flush=True,
    )


def _print_kinds(name: str, dtype: str, net: Network, inputs: Inputs) -> None:
    start = time.perf_counter()
    found = attribute(net, inputs, dtype)
    seconds = time.perf_counter() - start
    shares = {kind: found.share(part) for kind, part in found.by("kind").items()}
    largest = sorted(shares.items(), key=lambda item: -abs(item[1]))[:5]
    steps = {key: found.share(part) for key, part in found.by_step().items()}
    recent = sum(
        share for (start_, _), share in steps.items() if start_ >= found.steps[0] - 4
    )
    print(
        f"{name:5} {dtype:9}  "
        + ", ".join(f"{kind} {share:.0%}" for kind, share in largest)
        + f"; last 5 steps {recent:.0%}; remainder {found.relative_remainder:.1e}"
        f"; {seconds:.1f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
