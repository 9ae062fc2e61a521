# SPDX-License-Identifier: BSD-3-Clause
"""The matrix cells × arithmetics × options: every witness says the same."""

from dataclasses import fields, replace
from fractions import Fraction
from functools import lru_cache
from itertools import product

import numpy as np
import pytest

from symrnn.equations.cells import find_cell
from symrnn.networks.network import Network
from symrnn.runs.evaluate import evaluate
from tests.cases import (
    CASES,
    DTYPES,
    FRACTIONS,
    KINDS,
    OPTIONS,
    SEQUENCES,
    SINGLE,
    Case,
    arguments,
    arrange,
    as_objects,
    contains,
    exact_value,
    multiprecision,
    oracle,
    sample,
)

# The oracle's own error: 80 digits, a few hundred operations on numbers below 10^6.
ORACLE = Fraction(1, 10**68)
DIGITS = 30

# Of the module's scope, so that the tests of a case follow each other and share its traces.
each_case = pytest.mark.parametrize(
    "case", CASES, ids=lambda case: case.id, scope="module"
)


def run(case, **options):
    return evaluate(sample(case).network, **arguments(case), **options)


@lru_cache(maxsize=4)
def ball_trace(case):
    return run(case, digits=DIGITS)


@lru_cache(maxsize=4)
def exact_trace(case):
    return run(case, exact=True)


def results(trace):
    """Return the output and the last states by name."""
    states = {f"{state}_n": trace.state(state) for state in trace.net.cell.states}
    return {"output": trace.output} | states


def width(interval):
    lower, upper = interval
    return Fraction(int((upper - lower).p), int((upper - lower).q))


# --- the table ----------------------------------------------------------------------


def test_every_option_is_in_the_table():
    """No option of torch's recurrent modules is left out of the matrix."""
    assert set(DTYPES) == OPTIONS["dtype"]
    assert {*SEQUENCES, *SINGLE} == OPTIONS["layout"]
    assert {1, 2, 6} == OPTIONS["layers"]
    for option in ("projected", "bidirectional", "bias", "states"):
        assert {True, False} == OPTIONS[option], option


def test_every_cell_meets_every_option():
    """Each kind of cell is run with each value of each option that it can have."""
    for kind, projected in KINDS:
        own = [c for c in CASES if (c.kind, c.projected) == (kind, projected)]
        for field in fields(Case):
            if field.name in ("kind", "projected"):
                continue
            wanted = OPTIONS[field.name] - (set(SINGLE) if projected else set())
            found = {getattr(case, field.name) for case in own}
            assert wanted == found, (kind, projected, field.name)


def test_case_names_are_unique():
    """Two cases never share a name, so they never share their random numbers."""
    assert len({case.id for case in CASES}) == len(CASES)


# --- ball, exact, mp against the oracle -----------------------------------------------


@each_case
def test_balls_contain_the_oracle_and_are_narrow(case):
    """Each enclosure contains the mpmath value and is as narrow as 30 digits need."""
    expected = arrange(case, oracle(case))
    for name, array in results(ball_trace(case)).items():
        intervals = array.intervals()
        assert expected[name].shape == intervals.shape, name
        for index, value in np.ndenumerate(expected[name]):
            assert contains(intervals[index], value, ORACLE), (name, index)
            size = abs(exact_value(value))
            assert width(intervals[index]) * 10**DIGITS <= size + ORACLE, (name, index)


@each_case
def test_named_quantities_contain_the_oracle(case):
    """Every gate, state and pre-activation of every step is where torch has it."""
    trace = ball_trace(case)
    for b, expected in enumerate(oracle(case)):
        for position, quantities in expected.steps.items():
            step = trace[position]
            assert set(step.names) == set(quantities)
            for name, values in quantities.items():
                intervals = step[name].intervals()
                row = intervals if intervals.ndim == 1 else intervals[b]
                assert len(values) == len(row)
                for interval, value in zip(row, values, strict=True):
                    assert contains(interval, value, ORACLE), (position, name)
                    assert width(interval) < Fraction(1, 10**25), (position, name)


@each_case
def test_exact_values_contain_the_oracle(case):
    """Exact values are rationals or closed forms that enclose the mpmath value."""
    expected = arrange(case, oracle(case))
    for name, array in results(exact_trace(case)).items():
        intervals = array.intervals()
        for index, value in np.ndenumerate(expected[name]):
            assert contains(intervals[index], value, ORACLE), (name, index)
            assert width(intervals[index]) < Fraction(1, 10**55), (name, index)


@pytest.mark.parametrize(
    "case",
    [c for c in CASES if c.kind == "rnn_relu"],
    ids=lambda case: case.id,
    scope="module",
)
def test_relu_networks_are_exactly_rational(case):
    """A relu network's exact values are the fractions that plain Python finds."""
    expected = arrange(case, oracle(case, FRACTIONS))
    for name, array in results(exact_trace(case)).items():
        assert expected[name].tolist() == array.exact(), name


@each_case
def test_mpmath_domain_agrees_with_the_oracle(case):
    """The mp domain computes the same numbers to the digits asked for."""
    expected = arrange(case, oracle(case))
    for name, array in results(run(case, domain="mp", digits=DIGITS)).items():
        intervals = array.intervals()
        for index, value in np.ndenumerate(expected[name]):
            assert width(intervals[index]) == 0
            error = Fraction(1, 10**DIGITS) * (1 + abs(exact_value(value)))
            assert contains(intervals[index], value, error), (name, index)


# --- torch ---------------------------------------------------------------------------


def torch_module(torch, case):
    """Return the torch module of a case in float64, with the case's parameters."""
    kind = {"rnn_tanh": "RNN", "rnn_relu": "RNN"}.get(case.kind, case.kind.upper())
    options = {"bias": case.bias, "dtype": torch.float64}
    if kind == "RNN":
        options["nonlinearity"] = case.kind.removeprefix("rnn_")
    hidden = 2
    if case.layout in SINGLE:
        module = getattr(torch.nn, f"{kind}Cell")(3, hidden, **options)
    else:
        module = getattr(torch.nn, kind)(
            3,
            hidden,
            num_layers=case.layers,
            bidirectional=case.bidirectional,
            batch_first=sample(case).network.batch_first,
            **({"proj_size": 1} if case.projected else {}),
            **options,
        )
    numbers = {name: to_tensor(torch, v) for name, v in sample(case).arrays.items()}
    if case.layout in SINGLE:
        numbers = {name.removesuffix("_l0"): v for name, v in numbers.items()}
    module.load_state_dict(numbers)
    return module


def to_tensor(torch, values):
    """Return numbers or ratios as a float64 tensor."""
    array = values if isinstance(values, np.ndarray) else as_objects(values)
    floats = [float(Fraction(v)) for v in array.reshape(-1).tolist()]
    return torch.tensor(floats, dtype=torch.float64).reshape(array.shape)


def torch_results(torch, case):
    """Call torch and return what it returns, by name."""
    given = arguments(case)
    module, hx = torch_module(torch, case), given["hx"]
    if hx is not None:
        pair = isinstance(hx, tuple)
        hx = tuple(to_tensor(torch, h) for h in hx) if pair else to_tensor(torch, hx)
    x = given["x"]
    if case.layout.startswith("packed") or case.layout == "padded":
        padded = to_tensor(torch, sample(case).x)
        x = torch.nn.utils.rnn.pack_padded_sequence(
            padded,
            torch.tensor(sample(case).lengths),
            batch_first=True,
            enforce_sorted=case.layout == "packed",
        )
    else:
        x = to_tensor(torch, x)
    with torch.no_grad():
        returned = module(x, hx)
    if case.layout in SINGLE:
        states = returned if isinstance(returned, tuple) else (returned,)
        output = states[0]
    else:
        output, states = returned[0], returned[1]
        states = states if isinstance(states, tuple) else (states,)
    if case.layout == "padded":
        output, _ = torch.nn.utils.rnn.pad_packed_sequence(output)
    elif case.layout.startswith("packed"):
        output = output.data
    named = dict(zip(("h_n", "c_n"), states, strict=False))
    return x, hx, {"output": output} | named


@pytest.mark.torch_bits
@pytest.mark.parametrize(
    "case",
    [c for c in CASES if c.kind != "gru_reset_before"],
    ids=lambda case: case.id,
    scope="module",
)
def test_torch_in_float64_agrees(case, torch):
    """The modules of torch return the same numbers, within float64's rounding."""
    x, hx, expected = torch_results(torch, case)
    if case.layout == "padded" or case.dtype == "rational":
        trace = ball_trace(case)
    else:  # the tensors themselves, a real PackedSequence included
        trace = evaluate(sample(case).network, x, hx)
    for name, array in results(trace).items():
        assert expected[name].shape == array.shape, name
        ours = np.asarray(array).reshape(-1).tolist()
        for value, other in zip(ours, expected[name].reshape(-1).tolist(), strict=True):
            assert abs(value - other) <= 1e-12 * (1 + abs(value)), name


# --- mutations -----------------------------------------------------------------------

BASE = [
    Case(kind, projected, 2, True, True, "float64", "batch", True)
    for kind, projected in KINDS
]
each_base = pytest.mark.parametrize(
    "case", BASE, ids=lambda case: case.id, scope="module"
)


def trace_of(case, arrays):
    cell = find_cell(case.kind, projected=case.projected)
    return evaluate(Network.from_arrays(cell, arrays), **arguments(case), digits=DIGITS)


def differs(case, arrays):
    """Whether some enclosure of the changed network excludes the oracle's value."""
    expected = arrange(case, oracle(case))
    return any(
        not contains(intervals[index], value, ORACLE)
        for name, array in results(trace_of(case, arrays)).items()
        for intervals in [array.intervals()]
        for index, value in np.ndenumerate(expected[name])
    )


@each_base
def test_unchanged_network_does_not_differ(case):
    """The test of mutations itself finds nothing where nothing was changed."""
    assert not differs(case, sample(case).arrays)


@each_base
def test_last_bit_of_any_parameter_is_noticed(case):
    """One weight of each array, changed in its last bit, changes an enclosure."""
    arrays = sample(case).arrays
    for name, array in arrays.items():
        seen = False
        for index in np.ndindex(array.shape):  # behind a dead relu unit nothing shows
            changed = array.copy()
            changed[index] = np.nextafter(changed[index], np.inf)
            seen = differs(case, arrays | {name: changed})
            if seen:
                break
        assert seen, name


@each_base
def test_swapped_gates_are_noticed(case):
    """Any two gates exchanged in all arrays of one layer change an enclosure."""
    arrays = sample(case).arrays
    count = arrays["weight_ih_l0"].shape[0] // 2
    for a, b in [(a, b) for a, b in product(range(count), repeat=2) if a < b]:
        order = list(range(count))
        order[a], order[b] = b, a
        changed = dict(arrays)
        for name in arrays:
            if name.endswith("_l0") and "_hr" not in name:
                gates = np.split(arrays[name], count)
                changed[name] = np.concatenate([gates[g] for g in order])
        assert differs(case, changed), order


@each_base
def test_swapped_directions_are_noticed(case):
    """Forward and reverse parameters exchanged in one layer change an enclosure."""
    arrays = sample(case).arrays
    for layer in ("_l0", "_l1"):
        swapped = {
            name: arrays[
                name.removesuffix("_reverse")
                if name.endswith("_reverse")
                else f"{name}_reverse"
            ]
            for name in arrays
            if layer in name
        }
        assert differs(case, arrays | swapped)


@each_base
def test_dropped_bias_is_noticed(case):
    """Each bias set to zero, b_hn of a GRU among them, changes an enclosure."""
    arrays = sample(case).arrays
    count = arrays["weight_ih_l0"].shape[0] // 2
    for name in ("bias_ih_l0", "bias_hh_l0", "bias_hh_l1_reverse"):
        for gate in range(count):
            changed = arrays[name].copy()
            changed[2 * gate : 2 * gate + 2] = 0
            assert differs(case, arrays | {name: changed}), (name, gate)


@each_base
def test_exchanged_biases_matter_only_in_torch_s_gru(case):
    """b_i and b_h are interchangeable, but for the n gate of ``torch.nn.GRU``."""
    arrays = sample(case).arrays
    swapped = {"bias_ih_l0": arrays["bias_hh_l0"], "bias_hh_l0": arrays["bias_ih_l0"]}
    assert (case.kind == "gru") == differs(case, arrays | swapped)


def test_two_kinds_of_gru_differ():
    """Reset before the product is another function than reset after it."""
    case = next(c for c in BASE if c.kind == "gru")
    other = replace(case, kind="gru_reset_before")
    s = sample(case)
    trace = evaluate(
        Network.from_arrays(find_cell(other.kind), s.arrays), **arguments(case)
    )
    intervals = trace.output.intervals()
    expected = arrange(case, oracle(case, multiprecision()))["output"]
    outside = [
        index
        for index, value in np.ndenumerate(expected)
        if not contains(intervals[index], value, Fraction(1, 1000))
    ]
    assert outside
