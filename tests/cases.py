# SPDX-License-Identifier: BSD-3-Clause
"""The table of networks that every arithmetic is tested on, and an oracle for them.

The oracle is written from PyTorch's documentation with plain loops over lists. It
shares no code with symrnn, not even the reading of numbers, and runs over
``fractions.Fraction`` or mpmath. Torch itself, in float64, is the other witness.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from functools import lru_cache
from itertools import chain, cycle, product
from typing import Any, NamedTuple

import mpmath
import numpy as np
from flint import arb, fmpq

from symrnn.domains.ball import BallDomain, Balls
from symrnn.equations.cells import find_cell
from symrnn.networks.network import Network

# --- the oracle ---------------------------------------------------------------------

GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3, "gru_reset_before": 3}


@dataclass(frozen=True)
class Arithmetic:
    """What the oracle needs of numbers."""

    number: Callable[[Any], Any]
    tanh: Callable[[Any], Any] | None = None
    sigmoid: Callable[[Any], Any] | None = None


def as_fraction(value: Any) -> Fraction:
    return Fraction(value) if isinstance(value, str) else Fraction(float(value))


FRACTIONS = Arithmetic(as_fraction)


@lru_cache
def multiprecision(digits: int = 80) -> Arithmetic:
    """Return mpmath at so many digits, in a context of its own."""
    mp = mpmath.MPContext()
    mp.dps = digits

    def number(value: Any) -> Any:
        exact = as_fraction(value)
        return mp.mpf(exact.numerator) / exact.denominator

    def sigmoid(value: Any) -> Any:
        return 1 / (1 + mp.exp(-value))

    return Arithmetic(number, mp.tanh, sigmoid)


def relu(value: Any) -> Any:
    return value if value > 0 else value * 0


def product_with(matrix: Any, vector: Any) -> Any:
    return [sum(w * v for w, v in zip(row, vector, strict=True)) for row in matrix]


def plus(*vectors: Any) -> Any:
    return [sum(terms) for terms in zip(*vectors, strict=True)]


def times(a: Any, b: Any) -> Any:
    return [x * y for x, y in zip(a, b, strict=True)]


def blocks(rows: Any, count: int) -> Any:
    size = len(rows) // count
    return [rows[i * size : (i + 1) * size] for i in range(count)]


def step(kind: str, p: Any, x: Any, h: Any, c: Any, a: Arithmetic) -> dict[str, Any]:
    """Return every quantity of one step, as PyTorch's documentation defines it."""
    from_x = plus(product_with(p["weight_ih"], x), p["bias_ih"])
    from_h = plus(product_with(p["weight_hh"], h), p["bias_hh"])
    q: dict[str, Any] = {}

    def gate(name: str, function: Any, value: Any) -> Any:
        q[f"{name}_pre"] = value
        q[name] = [function(v) for v in value]
        return q[name]

    if kind == "rnn_relu":
        gate("h", relu, plus(from_x, from_h))
    elif kind == "rnn_tanh":
        gate("h", a.tanh, plus(from_x, from_h))
    elif kind == "lstm":
        both = blocks(plus(from_x, from_h), 4)
        functions = (a.sigmoid, a.sigmoid, a.tanh, a.sigmoid)
        for name, function, value in zip("ifgo", functions, both, strict=True):
            gate(name, function, value)
        q["c"] = plus(times(q["f"], c), times(q["i"], q["g"]))
        q["h"] = times(q["o"], [a.tanh(v) for v in q["c"]])
        if "weight_hr" in p:
            q["m"] = q["h"]
            q["h"] = product_with(p["weight_hr"], q["m"])
    else:
        (x_r, x_z, x_n), (h_r, h_z, h_n) = blocks(from_x, 3), blocks(from_h, 3)
        r = gate("r", a.sigmoid, plus(x_r, h_r))
        z = gate("z", a.sigmoid, plus(x_z, h_z))
        if kind == "gru_reset_before":
            weight, bias = blocks(p["weight_hh"], 3)[2], blocks(p["bias_hh"], 3)[2]
            n = gate("n", a.tanh, plus(x_n, product_with(weight, times(r, h)), bias))
        else:
            n = gate("n", a.tanh, plus(x_n, times(r, h_n)))
        q["h"] = [(1 - u) * v + u * w for u, v, w in zip(z, n, h, strict=True)]
    return q


@dataclass(frozen=True)
class Expected:
    """What the oracle says of one sequence.

    `output` is [t][feature], `h_n` and `c_n` [row][unit], `steps` the quantities by
    (layer, direction, t).
    """

    output: Any
    h_n: Any
    c_n: Any
    steps: dict[tuple[int, str, int], dict[str, Any]]


def reference(
    kind: str, arrays: Any, x: Any, h_0: Any, c_0: Any, a: Arithmetic
) -> Expected:
    """Run one sequence through all layers and directions.

    Args:
        kind: One of `GATES`.
        arrays: Parameters under torch's names; biases may be left out.
        x: [t][feature].
        h_0: [row][unit], or ``None`` for zeros.
        c_0: Likewise.
        a: The arithmetic.
    """
    numbers = {name: _convert(values, a) for name, values in arrays.items()}
    below, h_n, c_n, steps = _convert(x, a), [], [], {}
    layer = 0
    while f"weight_ih_l{layer}" in numbers:
        outputs = []
        for direction, suffix in (("forward", ""), ("reverse", "_reverse")):
            if f"weight_ih_l{layer}{suffix}" not in numbers:
                continue
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
            found = {n: numbers.get(f"{n}_l{layer}{suffix}") for n in names}
            p = {n: values for n, values in found.items() if values is not None}
            zeros = [a.number(0)] * len(p["weight_hh"])
            p = {"bias_ih": zeros, "bias_hh": zeros} | p
            row, width = len(h_n), len(p["weight_hh"][0])
            h = [a.number(v) for v in h_0[row]] if h_0 else [a.number(0)] * width
            units = len(p["weight_hh"]) // GATES[kind]
            c = [a.number(v) for v in c_0[row]] if c_0 else [a.number(0)] * units
            out = [None] * len(below)
            order = range(len(below))
            for t in reversed(order) if direction == "reverse" else order:
                q = step(kind, p, below[t], h, c, a)
                steps[layer, direction, t] = q
                h, c = q["h"], q.get("c", c)
                out[t] = h
            h_n.append(h)
            c_n.append(c)
            outputs.append(out)
        below = [list(chain(*parts)) for parts in zip(*outputs, strict=True)]
        layer += 1
    return Expected(below, h_n, c_n, steps)


def _convert(values: Any, a: Arithmetic) -> Any:
    if isinstance(values, (list, tuple, np.ndarray)):
        return [_convert(v, a) for v in values]
    return a.number(values)


def contains(interval: Any, value: Any, tolerance: Fraction = Fraction(0)) -> bool:
    """Whether an interval of python-flint rationals contains a number, give or take."""
    exact, room = to_fmpq(exact_value(value)), to_fmpq(tolerance)
    lower, upper = interval
    return lower - room <= exact <= upper + room


def to_fmpq(value: Fraction) -> fmpq:
    """Return a number as python-flint's, which compares long ones faster."""
    return fmpq(value.numerator, value.denominator)


def exact_value(value: Any) -> Fraction:
    """Return an mpf, a float or a Fraction exactly."""
    if hasattr(value, "_mpf_"):
        sign, mantissa, exponent, _ = value._mpf_
        if int(exponent) < -1_000_000:  # below every tolerance of these tests
            return Fraction(0)
        return Fraction((-1) ** sign * int(mantissa)) * Fraction(2) ** int(exponent)
    return Fraction(value)


# --- the table ----------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One network and one input. The fields are the options that the matrix crosses."""

    kind: str = "rnn_tanh"
    projected: bool = False
    layers: int = 1
    bidirectional: bool = False
    bias: bool = True
    dtype: str = "float64"
    layout: str = "batch"
    states: bool = False

    @property
    def id(self) -> str:
        flags = {
            "projected": "proj",
            "bidirectional": "bi",
            "bias": "bias",
            "states": "hx",
        }
        on = [short for name, short in flags.items() if getattr(self, name)]
        return "-".join([self.kind, f"l{self.layers}", self.dtype, self.layout, *on])


KINDS = (*((kind, False) for kind in GATES), ("lstm", True))
DTYPES = ("float64", "float32", "float16", "bfloat16", "rational")
SEQUENCES = ("batch", "batch_first", "unbatched", "padded", "packed", "packed_unsorted")
SINGLE = ("cell", "cell_unbatched")
RUNNING = {"padded": (1, 3, 2), "packed": (3, 2, 2), "packed_unsorted": (2, 1, 3)}
INPUT, HIDDEN, PROJECTED, TIME, BATCH = 3, 2, 1, 3, 3


def _table() -> list[Case]:
    dtypes, states = (
        cycle(DTYPES),
        cycle((True, False, False, True, True, False, False)),
    )
    cases = [
        Case(kind, projected, layers, both, bias, next(dtypes), layout, next(states))
        for (kind, projected), layers, both, bias, layout in product(
            KINDS, (1, 2), (False, True), (True, False), SEQUENCES
        )
    ]
    cases += [
        Case(kind, False, 1, False, bias, next(dtypes), layout, hx)
        for kind, bias, layout, hx in product(
            GATES, (True, False), SINGLE, (True, False)
        )
    ]
    deep = replace(Case(), layers=6, layout="unbatched", dtype="float32")
    return cases + [
        replace(deep, kind=k, projected=p, bidirectional=p) for k, p in KINDS
    ]


CASES = _table()

OPTIONS = {
    field.name: {getattr(c, field.name) for c in CASES} for field in fields(Case)
}


def draw(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Any:
    """Return numbers from -2 to 2 that `dtype` holds exactly; strings if rational."""
    if dtype == "rational":
        p, q = rng.integers(-12, 13, shape), rng.choice([3, 7, 8, 10], shape)
        ratios = [f"{a}/{b}" for a, b in zip(p.flat, q.flat, strict=True)]
        return np.array(ratios, dtype=object).reshape(shape).tolist()
    values = rng.uniform(-2, 2, shape)
    if dtype == "bfloat16":
        bits = values.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
        return bits.view(np.float32)
    return values.astype(dtype)


@dataclass(frozen=True, eq=False)
class Sample:
    """A case with its numbers: parameters under torch's names, and (batch, time) data.

    `x` is (batch, time, features) and `hx` a list of states (rows, batch, units),
    whatever the layout; one sequence has batch 1.
    """

    case: Case
    arrays: dict[str, Any]
    x: Any
    hx: Any
    lengths: tuple[int, ...]

    @property
    def network(self) -> Network:
        case, single = self.case, self.case.layout in SINGLE
        return Network.from_arrays(
            find_cell(case.kind, bias=case.bias, projected=case.projected),
            {
                (n.removesuffix("_l0") if single else n): v
                for n, v in self.arrays.items()
            },
            batch_first=case.layout in ("batch_first", "packed_unsorted"),
            dtype=None if case.dtype == "rational" else case.dtype,
            single_step=single,
        )


@lru_cache
def sample(case: Case) -> Sample:
    """Draw the numbers of a case; the same ones every time."""
    rng = np.random.default_rng([len(case.id), *case.id.encode()])
    gates = GATES[case.kind]
    output = PROJECTED if case.projected else HIDDEN
    suffixes = ("", "_reverse") if case.bidirectional else ("",)
    arrays: dict[str, Any] = {}
    for layer, suffix in product(range(case.layers), suffixes):
        size = output * len(suffixes) if layer else INPUT
        shapes = {
            "weight_ih": (gates * HIDDEN, size),
            "weight_hh": (gates * HIDDEN, output),
        }
        if case.bias:
            shapes |= {"bias_ih": (gates * HIDDEN,), "bias_hh": (gates * HIDDEN,)}
        if case.projected:
            shapes["weight_hr"] = (PROJECTED, HIDDEN)
        for name, shape in shapes.items():
            arrays[f"{name}_l{layer}{suffix}"] = draw(rng, shape, case.dtype)
    batch = 1 if "unbatched" in case.layout else BATCH
    time = 1 if case.layout in SINGLE else TIME
    rows = case.layers * len(suffixes)
    hx = None
    if case.states:
        hx = [draw(rng, (rows, batch, output), case.dtype)]
        if case.kind == "lstm":
            hx.append(draw(rng, (rows, batch, HIDDEN), case.dtype))
    x = draw(rng, (batch, time, INPUT), case.dtype)
    return Sample(case, arrays, x, hx, RUNNING.get(case.layout, (time,) * batch))


@lru_cache(maxsize=8)
def oracle(case: Case, a: Arithmetic | None = None) -> list[Expected]:
    """Return what the oracle says of each sequence of a case."""
    s = sample(case)
    a = a or multiprecision()
    results = []
    for b, length in enumerate(s.lengths):
        initial = [[row[b] for row in state] for state in s.hx] if s.hx else []
        h_0, c_0 = [*initial, None, None][:2]
        results.append(reference(case.kind, s.arrays, s.x[b][:length], h_0, c_0, a))
    return results


# --- arranging ----------------------------------------------------------------------


class Packed(NamedTuple):
    """What torch's ``PackedSequence`` holds."""

    data: Any
    batch_sizes: Any
    sorted_indices: Any
    unsorted_indices: Any


def pack(sequences: Any, *, enforce_sorted: bool) -> Packed:
    """Pack [batch][t] rows as torch documents it: step by step, the longest first."""
    order = sorted(range(len(sequences)), key=lambda b: -len(sequences[b]))
    longest = len(sequences[order[0]])
    running = [[b for b in order if len(sequences[b]) > t] for t in range(longest)]
    data = [sequences[b][t] for t in range(longest) for b in running[t]]
    sizes = [len(members) for members in running]
    if enforce_sorted:
        return Packed(data, sizes, None, None)
    back = sorted(range(len(order)), key=order.__getitem__)
    return Packed(data, sizes, order, back)


def arguments(case: Case) -> dict[str, Any]:
    """Return x, hx and lengths as `symrnn.evaluate` takes them."""
    s = sample(case)
    x = as_objects(s.x)
    hx = [as_objects(state) for state in s.hx] if s.hx else None
    lengths = list(s.lengths) if case.layout == "padded" else None
    if case.layout.startswith("packed"):
        sequences = [row[:n] for row, n in zip(s.x, s.lengths, strict=True)]
        x = pack(sequences, enforce_sorted=case.layout == "packed")
    elif case.layout in SINGLE:
        x = x[:, 0] if case.layout == "cell" else x[0, 0]
        hx = hx and [h[0] if case.layout == "cell" else h[0, 0] for h in hx]
    elif case.layout == "unbatched":
        x, hx = x[0], hx and [h[:, 0] for h in hx]
    elif case.layout != "batch_first":
        x = x.transpose(1, 0, 2)
    if hx:
        hx = tuple(h.tolist() for h in hx) if len(hx) > 1 else hx[0].tolist()
    return {
        "x": x if isinstance(x, Packed) else x.tolist(),
        "hx": hx,
        "lengths": lengths,
    }


def arrange(case: Case, results: list[Expected]) -> dict[str, Any]:
    """Return the oracle's output, h_n and c_n in torch's shapes."""
    lengths = sample(case).lengths
    if case.layout.startswith("packed"):
        output = as_objects(pack([r.output for r in results], enforce_sorted=True).data)
    else:
        rows = [list(r.output) for r in results]
        for row, n in zip(rows, lengths, strict=True):
            row += [[0 * v for v in row[0]]] * (
                TIME - n if case.layout == "padded" else 0
            )
        output = as_objects(rows)
        if case.layout in SINGLE:
            output = output[:, 0] if case.layout == "cell" else output[0, 0]
        elif case.layout == "unbatched":
            output = output[0]
        elif case.layout != "batch_first":
            output = output.transpose(1, 0, 2)
    found = {"output": output, "h_n": _rows(case, [r.h_n for r in results])}
    if case.kind == "lstm":
        found["c_n"] = _rows(case, [r.c_n for r in results])
    return found


def _rows(case: Case, states: Any) -> Any:
    array = as_objects(states).transpose(1, 0, 2)
    if case.layout in SINGLE:
        return array[0] if case.layout == "cell" else array[0, 0]
    return array[:, 0] if case.layout == "unbatched" else array


def as_objects(values: Any) -> Any:
    """Return nested lists as an object array; floats as Python's."""
    if isinstance(values, np.ndarray):
        values = values.astype(np.float64).tolist()
    shape, inner = [], values
    while isinstance(inner, list):
        shape.append(len(inner))
        inner = inner[0]
    array = np.empty(shape, dtype=object)
    for index in np.ndindex(*shape):
        element = values
        for i in index:
            element = element[i]
        array[index] = element
    return array


# --- numbers known to some digits only ----------------------------------------------


class WideBallDomain(BallDomain):
    """Balls in which every parameter stands for all numbers within `radius` of it."""

    def __init__(self, precision: int, radius: float) -> None:
        super().__init__(precision)
        self.radius = radius

    def parameter(self, name: str, values: Any, position: tuple[int, str]) -> Balls:
        error = arb(0, self.radius)
        return self.matrix(values).map(lambda ball: ball + error)
