# SPDX-License-Identifier: BSD-3-Clause
"""Schedules: which are refused, that the others are exact, and how they round."""

import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import symrnn
from symrnn.domains.exact import ExactDomain
from symrnn.domains.rounded import ProductOrder
from symrnn.equations.cells import Cell, find_cell, gru, lstm, rnn
from symrnn.equations.language import add, hadamard, neg, ones, subtract
from symrnn.equations.symbols import hidden_size, previous, quantity
from symrnn.errors import EquationError, UnsupportedError
from symrnn.kernels.emulation import SCHEDULES, emulate, find_schedule
from symrnn.kernels.schedule import Schedule, as_written
from symrnn.kernels.torch_orders import torch_functions, torch_order
from symrnn.networks.inputs import read_inputs
from symrnn.networks.network import Network
from symrnn.numerics.formats import EMULATED_FORMATS, find_emulated_format
from symrnn.runs.run import run
from tests.cases import CASES, arguments, arrange, oracle, pack, sample
from tests.numerics.test_float_arithmetic import values_of

H = hidden_size
TORCH = [
    find_cell(kind, bias=bias)
    for kind in ("rnn_tanh", "rnn_relu", "lstm", "gru")
    for bias in (True, False)
] + [lstm(projected=True), lstm(bias=False, projected=True)]


def ordered(cell, **equations):
    """Return torch's order of a cell, with some equations replaced."""
    order = find_schedule("torch cpu", cell).order
    lines = {
        line.target: equations.get(line.name, line.value) for line in order.equations
    }
    return Cell.define(
        "changed", parameters=cell.parameters, equations=lines, stacking=cell.stacking
    )


# --- the proof ------------------------------------------------------------------------


@pytest.mark.parametrize("cell", TORCH, ids=str)
def test_torch_orders_are_the_cells(cell):
    """Construction is the proof; the default order of emulation is among them."""
    assert "torch cpu" == find_schedule("torch cpu", cell).name
    if cell.name == "LSTM":
        assert "onednn" == find_schedule("onednn", cell).name
        assert "onednn merged" == find_schedule("onednn merged", cell).name


z, n, h = quantity("z", H), quantity("n", H), previous("h", H)
d, s, c = quantity("d", H), quantity("s", H), previous("c", H)
f, i, g, o = (quantity(name, H) for name in "figo")
WRONG_GRU = {
    "z swapped": {"h": add(hadamard(subtract(n, h), z), n)},
    "n forgotten": {"h": s},
    "added twice": {"h": add(s, n, n)},
}


@pytest.mark.parametrize("name", WRONG_GRU)
def test_wrong_orders_are_refused(name):
    """The equation is named, and what it exceeds the cell's by."""
    with pytest.raises(
        EquationError, match=r"GRU: equation h .*exceeds it by"
    ) as error:
        Schedule(name="mine", cell=gru(), order=ordered(gru(), **WRONG_GRU[name]))
    assert "(1 - z) ⊙ n + z ⊙ h_prev" in str(error.value)


def test_the_difference_is_short():
    """Quantities that agree stay names in the message."""
    wrong = ordered(gru(), h=add(hadamard(subtract(n, h), z), n))
    with pytest.raises(EquationError) as error:
        Schedule(name="mine", cell=gru(), order=wrong)
    assert str(error.value).endswith("exceeds it by -2 h_prev ⊙ z + 2 n ⊙ z")


def test_the_first_wrong_equation_is_named():
    """A gate without its bias, before the state that it spoils."""
    line = next(
        e for e in find_schedule("torch cpu", gru()).order.equations if e.name == "a_hz"
    )
    with pytest.raises(EquationError, match=r"equation z is not .* -sigmoid\("):
        Schedule(name="mine", cell=gru(), order=ordered(gru(), a_hz=line.value.args[0]))


def test_other_parameters_or_states_are_refused():
    """An order belongs to one cell."""
    with pytest.raises(EquationError, match="parameters"):
        Schedule(name="mine", cell=gru(), order=gru(bias=False))
    with pytest.raises(EquationError, match="parameters"):
        Schedule(name="mine", cell=lstm(), order=gru())
    net = Network.from_arrays(
        rnn(bias=False), {"weight_ih_l0": [[1.0]], "weight_hh_l0": [[1.0]]}
    )
    with pytest.raises(EquationError, match="is of GRU, not of RNN"):
        find_schedule("torch cpu", gru()).apply(net)


def test_equal_in_another_way_is_accepted():
    """That h = n - (n - h) ⊙ z is right, although not torch's order."""
    right = ordered(gru(), h=subtract(n, hadamard(add(n, neg(h)), z)))
    assert right is Schedule(name="mine", cell=gru(), order=right).order
    opened = add(hadamard(subtract(ones(H), z), n), hadamard(z, h))
    assert Schedule(name="written", cell=gru(), order=ordered(gru(), h=opened))


def test_names():
    """Unknown ones list those there are; torch has no reset-before GRU."""
    with pytest.raises(ValueError, match="as written, torch cpu"):
        find_schedule("cuda", gru())
    with pytest.raises(UnsupportedError, match="torch has no cell"):
        find_schedule("torch cpu", find_cell("gru_reset_before"))
    with pytest.raises(UnsupportedError, match="only LSTMs"):
        find_schedule("onednn", gru())
    with pytest.raises(UnsupportedError, match="only LSTMs"):
        find_schedule("onednn", lstm(projected=True))


def test_orders_compute_the_cell_exactly():
    """Over rational numbers the order changes nothing: relu cells stay rational."""
    for case in CASES:
        if case.kind == "rnn_relu" and case.dtype == "rational" and not case.states:
            net = sample(case).network
            inputs = read_inputs(net, **arguments(case))
            results = [
                run(network, inputs, ExactDomain()).output.exact()
                for network in (net, find_schedule("torch cpu", net.cell).apply(net))
            ]
            assert results[0] == results[1]


# --- emulation ------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES[::5], ids=lambda case: case.id)
def test_float64_is_near_the_exact_values_in_every_layout(case):
    """All cells, layers, directions and layouts: shapes are torch's, errors a few ulps."""
    net = sample(case).network
    inputs = read_inputs(net, **arguments(case))
    expected = arrange(case, oracle(case))
    for schedule in (None, "as written"):
        output, states = emulate(net, inputs, "float64", schedule)
        names = ("output", "h_n", "c_n")
        for name, found in zip(names, (output, *states), strict=False):
            exact = np.array(expected[name], dtype=np.float64)
            assert exact.shape == found.shape
            assert np.allclose(exact, found, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    "name", ["float8_e5m2", "float8_e4m3fn", "bfloat16", "float16", "p5e4"]
)
def test_results_are_numbers_of_the_format(name):
    """Whatever is computed inside, outputs and states are stored in the format."""
    known = np.concatenate([values_of(name), -values_of(name)])
    for case in [c for c in CASES if c.kind in ("lstm", "gru")][::40]:
        net = sample(case).network
        output, states = emulate(net, read_inputs(net, **arguments(case)), name)
        for values in (output, *states):
            assert np.isin(values, known).all()


def test_schedules_round_differently():
    """Orders are not decoration: most elements of a GRU differ in their last bits."""
    rng = np.random.default_rng(5)
    shapes = {"weight_ih_l0": (24, 8), "weight_hh_l0": (24, 8)}
    arrays = {n: rng.normal(size=s).astype(np.float32) for n, s in shapes.items()}
    net = Network.from_arrays(gru(bias=False), arrays)
    inputs = read_inputs(net, rng.normal(size=(6, 8)).astype(np.float32))
    schedule = find_schedule("torch cpu", net.cell)
    first = emulate(net, inputs, "float32", schedule)[0]
    for other in (
        as_written(net.cell),
        replace(schedule, products=ProductOrder(lanes=4)),
        replace(schedule, products=ProductOrder(pairwise=True)),
    ):
        second = emulate(net, inputs, "float32", other)[0]
        assert 0.1 < np.mean(first != second)
        assert np.abs(first - second).max() < 1e-5


def test_accumulation_is_never_narrower_than_storage():
    """float32 inside equations is for narrow formats; float64 stays itself."""
    schedule = find_schedule("torch cpu", gru())
    wide = schedule.domain("float64")
    assert 1 + 2.0**-52 == wide.add(np.array([[1.0]]), np.array([[2.0**-52]]))[0, 0]
    narrow = schedule.domain("float8_e5m2")
    assert 1 + 2.0**-20 == narrow.add(np.array([[1.0]]), np.array([[2.0**-20]]))[0, 0]


def test_one_may_add_a_schedule(monkeypatch):
    """The registry is open."""
    mine = lambda cell: replace(as_written(cell), name="mine")  # noqa: E731
    monkeypatch.setitem(SCHEDULES, "mine", mine)
    assert "mine" == find_schedule("mine", gru()).name


# --- torch ----------------------------------------------------------------------------


KERNELS = ["RNN", "LSTM", "LSTM without oneDNN", "GRU"]


@pytest.mark.torch_bits
@pytest.mark.parametrize("name", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_emulated_torch_is_near_torch(torch, kernel, name, monkeypatch):
    """How near is measured in benchmarks; here, that it is the same computation."""
    kind, *disabled = kernel.split(maxsplit=1)
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", not disabled)
    torch.manual_seed(7)
    dtype = getattr(torch, name)
    module = getattr(torch.nn, kind)(6, 6, num_layers=2, bidirectional=True).to(dtype)
    x = torch.randn(5, 3, 6).to(dtype)
    with torch.no_grad():
        returned, state = module(x)
    net = symrnn.load(module)
    inputs = read_inputs(net, x)
    schedule = torch_order(net, inputs, name)
    functions = torch_functions(schedule, name)
    ulp = 2.0 ** (1 - find_emulated_format(name).precision)
    for chosen in (functions, None):
        output, states = emulate(net, inputs, name, schedule, functions=chosen)
        expected = [returned, *(state if kind == "LSTM" else (state,))]
        for found, tensor in zip((output, *states), expected, strict=True):
            difference = np.abs(tensor.double().numpy() - found)
            assert tuple(tensor.shape) == found.shape
            assert difference.max() <= 20 * ulp
            # Sums are added in an order of the library's own, which 16 bits hardly show.
            if EMULATED_FORMATS[name].precision < 20:
                assert np.mean(difference == 0) > 0.9


def order_of(cell, size, name, *, batch=3, lengths=None, **options):
    """Return the name of torch's order for a network of two units."""
    shapes = {"weight_ih_l0": (8, size), "weight_hh_l0": (8, 2)}
    arrays = {n: np.zeros(s) for n, s in shapes.items()}
    net = Network.from_arrays(cell, arrays)
    x = [[[0.0] * size] * batch] * 2
    if lengths:
        x = pack([[[0.0] * size] * n for n in lengths], enforce_sorted=True)
    return torch_order(net, read_inputs(net, x), name, **options).name


def test_which_order_torch_takes():
    """For LSTMs of its formats oneDNN, unless packed or projected."""
    order = partial(order_of, lstm(bias=False), here=False)
    assert "onednn" == order(3, "float32")
    assert "onednn merged" == order(2, "bfloat16")
    assert "onednn merged" == order(2, "float16")
    assert "onednn" == order(2, "float32", grad=True)
    assert "onednn" == order(2, "float32", batch=1)
    assert "onednn merged" == order(3, "float32", batch=1, grad=True)
    assert "torch cpu" == order(2, "float16", grad=True)
    assert "torch cpu" == order(2, "float32", lengths=[2, 1])
    assert "torch cpu" == order(2, "float64")
    assert "torch cpu" == order(2, "p11e5")


def test_torch_is_asked_what_onednn_takes(torch, monkeypatch):
    """Of processors and settings there are many; emulation is the same on all."""
    order = partial(order_of, lstm(bias=False), 3)
    formats = ("float32", "bfloat16", "float16")
    for name, question in (
        ("bfloat16", "_is_mkldnn_bf16_supported"),
        ("float16", "_is_mkldnn_fp16_supported"),
    ):
        monkeypatch.setattr(torch.ops.mkldnn, question, lambda: True)
        assert "onednn" == order(name)
        monkeypatch.setattr(torch.ops.mkldnn, question, lambda: False)
        assert "torch cpu" == order(name)
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    assert ["torch cpu"] * 3 == [order(name) for name in formats]
    assert ["onednn"] * 3 == [order(name, here=False) for name in formats]


def test_without_torch_onednn_takes_all_it_can(monkeypatch):
    """There is nobody to ask; a projection is known all the same."""
    monkeypatch.setitem(sys.modules, "torch", None)
    order = partial(order_of, lstm(bias=False), 3)
    assert ["onednn"] * 3 == [
        order(name) for name in ("float32", "bfloat16", "float16")
    ]
    assert "torch cpu" == order("float64")
