# SPDX-License-Identifier: BSD-3-Clause
"""What Hypothesis draws: extreme numbers, balls of every width, small networks."""

from fractions import Fraction

from flint import arb
from hypothesis import strategies as st

from symrnn.equations.cells import find_cell
from symrnn.networks.network import Network
from tests.cases import GATES

TINIEST = 5e-324
"""The smallest float64 above zero, a subnormal."""


def floats(largest: float = 1e300) -> st.SearchStrategy[float]:
    """Draw float64 of any size: small integers, subnormals, up to ±`largest`."""
    return st.one_of(
        st.integers(-3, 3).map(float),
        st.floats(-4, 4),
        st.floats(-largest, largest),
        st.floats(-1e-290, 1e-290),
        st.sampled_from([TINIEST, -TINIEST, 2.0**-1022, 1e-300, largest, -largest]),
        st.builds(float.__mul__, st.floats(-2, 2), st.sampled_from([1e-30, 1e6, 1e30])),
    )


def rationals() -> st.SearchStrategy[Fraction]:
    """Draw ratios that are mostly no binary fractions."""
    return st.builds(
        Fraction,
        st.integers(-(10**9), 10**9),
        st.sampled_from([1, 2, 3, 7, 8, 10, 125, 9973, 2**40, 10**12]),
    )


@st.composite
def balls(draw: st.DrawFn) -> tuple[arb, Fraction]:
    """Draw a ball, and a point of it: narrow, wide, huge, tiny, either sign, exact."""
    middle = draw(floats(1e30))
    kind = draw(st.sampled_from(["exact", "relative", "absolute", "huge"]))
    size = draw(st.floats(0, 1))
    if kind == "exact":
        radius = 0.0
    elif kind == "relative":
        radius = abs(middle) * size * 2.0 ** -draw(st.integers(-3, 60))
    else:
        radius = size * (1e40 if kind == "huge" else 10.0 ** draw(st.integers(-40, 3)))
    ball = arb(middle, radius)
    # The radius of an arb is rounded up, so the point may go by the one asked for.
    where = Fraction(draw(st.floats(-1, 1)))
    return ball, Fraction(middle) + where * Fraction(radius)


@st.composite
def networks(
    draw: st.DrawFn, numbers: st.SearchStrategy, kinds: tuple[str, ...] = tuple(GATES)
) -> tuple[str, dict, Network, list]:
    """Draw a small network and an input, every number from `numbers`.

    Returns:
        The kind, the arrays under torch's names, the network, and x as [t][feature].
    """
    kind = draw(st.sampled_from(kinds))
    size, hidden = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    layers, both = draw(st.integers(1, 2)), draw(st.booleans())
    bias = draw(st.booleans())

    def drawn(*shape: int) -> list:
        if not shape:
            return draw(numbers)
        return [drawn(*shape[1:]) for _ in range(shape[0])]

    arrays: dict[str, list] = {}
    rows = GATES[kind] * hidden
    for layer in range(layers):
        for suffix in ("", "_reverse") if both else ("",):
            below = hidden * (1 + both) if layer else size
            arrays[f"weight_ih_l{layer}{suffix}"] = drawn(rows, below)
            arrays[f"weight_hh_l{layer}{suffix}"] = drawn(rows, hidden)
            if bias:
                arrays[f"bias_ih_l{layer}{suffix}"] = drawn(rows)
                arrays[f"bias_hh_l{layer}{suffix}"] = drawn(rows)
    x = drawn(draw(st.integers(1, 3)), size)
    return kind, arrays, Network.from_arrays(find_cell(kind, bias=bias), arrays), x
