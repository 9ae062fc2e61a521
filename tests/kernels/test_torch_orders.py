# SPDX-License-Identifier: BSD-3-Clause
"""The order of a black box's sum is found, and repeats its results bit for bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symrnn.domains.rounded import ProductOrder, TreeOrder
from symrnn.kernels.torch_orders import reveal_order, torch_products
from symrnn.numerics.float_arithmetic import Arithmetic
from symrnn.numerics.formats import EMULATED_FORMATS

DOUBLE = EMULATED_FORMATS["float64"]
SINGLE = EMULATED_FORMATS["float32"]


def black_box(order, form):
    """Return a dot product of which only results are seen."""
    arithmetic = Arithmetic(form)
    return lambda a, b: float(order.product(arithmetic, a[None], b[:, None])[0, 0])


@st.composite
def trees(draw, leaves):
    """Draw any way to add the given terms."""
    if len(leaves) == 1:
        return leaves[0]
    cut = draw(st.integers(1, len(leaves) - 1))
    return draw(trees(leaves[:cut])), draw(trees(leaves[cut:]))


def fusable(tree):
    """Return the terms that are added by themselves, at most one of each pair."""
    if isinstance(tree, int):
        return []
    first, second = tree
    return (
        (
            [second]
            if isinstance(second, int)
            else ([first] if isinstance(first, int) else [])
        )
        + fusable(first)
        + fusable(second)
    )


def unordered(tree):
    """Return a tree whose sums have no first and second part."""
    return tree if isinstance(tree, int) else frozenset(map(unordered, tree))


@given(st.data())
def test_any_tree_is_found(data):
    """Random trees over random permutations, some terms fused."""
    leaves = data.draw(st.permutations(range(data.draw(st.integers(1, 9)))))
    tree = data.draw(trees(list(leaves)))
    fused = frozenset(k for k in fusable(tree) if data.draw(st.booleans()))
    form = data.draw(st.sampled_from([SINGLE, DOUBLE]))
    found = reveal_order(black_box(TreeOrder(tree, fused), form), len(leaves), form)
    assert unordered(tree) == unordered(found.tree)
    assert fused == found.fused


@pytest.mark.parametrize("form", [SINGLE, DOUBLE], ids=lambda f: f.name)
@pytest.mark.parametrize(
    "order",
    [
        ProductOrder(),
        ProductOrder(fma=True),
        ProductOrder(lanes=4, fma=True),
        ProductOrder(lanes=3),
        ProductOrder(block=5, lanes=2, fma=True),
        ProductOrder(pairwise=True),
    ],
    ids=str,
)
def test_named_orders_are_repeated(order, form):
    """What is found computes what the order does, on random numbers too."""
    found = reveal_order(black_box(order, form), 19, form)
    rng = np.random.default_rng(2)
    arithmetic = Arithmetic(form)
    a, b = (arithmetic.nearest(rng.normal(size=s)) for s in ((40, 19), (19, 30)))
    wanted = order.product(arithmetic, a, b)
    assert np.array_equal(wanted, found.product(arithmetic, a, b))


@pytest.mark.torch_bits
@pytest.mark.parametrize("name", ["float32", "float64"])
def test_torch_is_asked_and_repeated(torch, name):
    """A linear map of one vector and of several, near what torch returns and mostly equal."""
    form = EMULATED_FORMATS[name]
    dtype, arithmetic = getattr(torch, name), Arithmetic(form)
    choose = torch_products(name, 24)
    torch.manual_seed(0)
    for columns in (1, 6):
        weights, x = (
            torch.randn(24, 17, dtype=dtype),
            torch.randn(columns, 17, dtype=dtype),
        )
        returned = torch.nn.functional.linear(x, weights, torch.zeros(24, dtype=dtype))
        a, b = weights.double().numpy(), x.double().numpy().T
        found = choose(17, columns).product(arithmetic, a, b)
        difference = np.abs(found - returned.double().numpy().T)
        assert difference.max() <= 40 * 2.0**-form.precision
        assert np.mean(difference == 0) > 0.5


def test_long_sums_do_not_nest():
    """A chain of thousands of additions is a loop, from either end."""
    n = 4000
    forward, backward = 0, n - 1
    for k in range(1, n):
        forward, backward = (forward, k), (n - 1 - k, backward)
    ones = np.ones((1, n))
    for tree in (forward, backward):
        assert n == TreeOrder(tree).product(Arithmetic(SINGLE), ones, ones.T)[0, 0]
