# SPDX-License-Identifier: BSD-3-Clause
"""Networks are loaded as they act, from live torch modules and from mappings."""

import copy
import itertools
import subprocess
import sys
import warnings
from collections import OrderedDict

import numpy as np
import pytest

from symrnn.equations.cells import Cell, lstm
from symrnn.equations.language import add, matmul, tanh
from symrnn.equations.symbols import (
    hidden_size,
    input_size,
    matrix,
    previous,
    quantity,
    x,
)
from symrnn.errors import EquationError, ShapeError, SourceError, UnsupportedError
from symrnn.networks.network import Network
from symrnn.networks.sources import load
from symrnn.networks.sources.modules import is_torch_module, recurrent_module
from tests.require import require_module

torch = require_module("torch")
nn = torch.nn
parametrize = nn.utils.parametrize
prune = require_module("torch.nn.utils.prune")

LAYERS = ["RNN", "LSTM", "GRU"]


# --- an oracle: the equations of torch's documentation, with loops ------------------


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def step(p, x_t, state, relu):
    """One step of any cell with parameters `p`, told apart by their names."""
    h = state[0]

    def gate(g):
        return (
            p[f"W_i{g}"] @ x_t
            + p.get(f"b_i{g}", 0)
            + p[f"W_h{g}"] @ h
            + p.get(f"b_h{g}", 0)
        )

    if "W_ih" in p:
        total = p["W_ih"] @ x_t + p.get("b_ih", 0) + p["W_hh"] @ h + p.get("b_hh", 0)
        return (np.maximum(total, 0) if relu else np.tanh(total),)
    if "W_if" in p:
        c = sigmoid(gate("f")) * state[1] + sigmoid(gate("i")) * np.tanh(gate("g"))
        h = sigmoid(gate("o")) * np.tanh(c)
        # W_hr is of the projection: LSTM gates are i, f, g, o.
        return (p["W_hr"] @ h if "W_hr" in p else h), c
    r, z = sigmoid(gate("r")), sigmoid(gate("z"))
    candidate = p["W_hn"] @ h + p.get("b_hn", 0)
    n = np.tanh(p["W_in"] @ x_t + p.get("b_in", 0) + r * candidate)
    return ((1 - z) * n + z * h,)


def oracle(net, xs):
    """The outputs, (time, batch, features), of a network on (time, batch, features)."""
    relu = net.cell.name == "RNN (relu)"
    below = [x_t.T for x_t in np.asarray(xs, dtype=np.float64)]
    for layer in range(net.num_layers):
        columns = []
        for direction in net.directions:
            p = net.parameters[layer, direction]
            batch = below[0].shape[1]
            state = tuple(np.zeros((n, batch)) for n in net.state_sizes.values())
            order = below if direction == "forward" else below[::-1]
            outputs = []
            for x_t in order:
                state = step(p, x_t, state, relu)
                outputs.append(state[0])
            columns.append(outputs if direction == "forward" else outputs[::-1])
        below = [np.concatenate(parts) for parts in zip(*columns, strict=True)]
    return np.stack([h.T for h in below])


def random_input(module, time=4, batch=3):
    generator = torch.Generator().manual_seed(5)
    size = (time, batch, module.input_size)
    return torch.randn(size, generator=generator, dtype=torch.float64)


def assert_acts(module):
    """What is loaded from `module` computes what its next call does."""
    net = load(module)
    xs = random_input(module)
    expected = oracle(net, xs)
    with torch.no_grad():
        actual = module(xs)[0].numpy()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-13)
    return net


def make(kind, *args, seed=1, **options):
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dropout with one layer
        return getattr(nn, kind)(*args, **{"dtype": torch.float64, **options})


# --- every option of the constructors -----------------------------------------------


def every_option():
    flags = itertools.product([1, 3], [True, False], [True, False], [True, False])
    for kind, (layers, bias, both, first) in itertools.product(LAYERS, flags):
        yield pytest.param(
            kind,
            {
                "num_layers": layers,
                "bias": bias,
                "bidirectional": both,
                "batch_first": first,
            },
            id=f"{kind}-{layers}-{bias:d}{both:d}{first:d}",
        )


@pytest.mark.parametrize(("kind", "options"), list(every_option()))
def test_layer_options(kind, options):
    """Sizes, layers, directions, biases and batch_first are those of the module."""
    module = make(kind, 2, 3, **options)
    net = load(module)
    assert (2, 3) == (net.input_size, net.hidden_size)
    assert options["num_layers"] == net.num_layers
    assert options["bidirectional"] == net.bidirectional
    assert options["batch_first"] == net.batch_first
    assert not net.single_step
    assert "float64" == net.dtype
    module.batch_first = False
    assert_acts(module)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_projection(bias, both):
    """An LSTM's projection is loaded, in every layer and direction."""
    module = make(
        "LSTM", 2, 5, num_layers=2, proj_size=3, bias=bias, bidirectional=both
    )
    net = assert_acts(module)
    assert {"h": 3, "c": 5} == net.state_sizes
    assert "LSTM with projection" == net.cell.name


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_nonlinearity(nonlinearity):
    """The RNN's nonlinearity is the module's."""
    net = assert_acts(make("RNN", 2, 3, nonlinearity=nonlinearity))
    assert f"RNN ({nonlinearity})" == net.cell.name
    cell = make("RNNCell", 2, 3, nonlinearity=nonlinearity)
    assert f"RNN ({nonlinearity})" == load(cell).cell.name


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", LAYERS)
def test_single_step_cells(kind, bias):
    """A …Cell is a single-step network with its parameters."""
    module = make(f"{kind}Cell", 2, 3, bias=bias)
    net = load(module)
    assert net.single_step
    xs = random_input(module, time=1)
    out = module(xs[0])
    out = out[0] if isinstance(out, tuple) else out
    np.testing.assert_allclose(
        out.detach().numpy(), oracle(net, xs)[0], rtol=0, atol=1e-14
    )


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("kind", LAYERS)
def test_every_bit_is_kept(kind, dtype):
    """Each parameter is the number that the module holds, to the last bit."""
    module = make(kind, 2, 3, dtype=getattr(torch, dtype))
    with torch.no_grad():
        module.weight_hh_l0[0, 0] = torch.finfo(module.weight_hh_l0.dtype).tiny / 2
        module.weight_hh_l0[0, 1] = torch.finfo(module.weight_hh_l0.dtype).max
    for source in (module, module.state_dict()):
        net = load(source, cell="rnn_tanh" if kind == "RNN" else None)
        assert dtype == net.dtype
        for array, stem in (("weight_ih_l0", "W_i"), ("weight_hh_l0", "W_h")):
            rows = [
                p
                for name, p in net.parameters[0, "forward"].items()
                if name.startswith(stem)
            ]
            expected = getattr(module, array).detach().double().numpy()
            np.testing.assert_array_equal(expected, np.concatenate(rows))


def test_parameters_are_copied():
    """Training the module afterwards does not change the network."""
    module = make("GRU", 2, 3)
    state = {k: v.numpy() for k, v in module.state_dict().items()}
    nets = [load(module), load(module.state_dict()), load(state)]
    before = copy.deepcopy([dict(net.parameters[0, "forward"]) for net in nets])
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1)
    for old, net in zip(before, nets, strict=True):
        for name, values in net.parameters[0, "forward"].items():
            np.testing.assert_array_equal(old[name], values)


def test_non_finite_parameters_pass():
    """NaN and infinity are loaded: audits report on them."""
    module = make("GRU", 2, 3)
    with torch.no_grad():
        module.weight_hh_l0[4, 1] = torch.nan
    assert load(module).first_non_finite() is not None
    assert load(module.state_dict()).first_non_finite() is not None


def test_dropout_that_acts_is_refused():
    """Dropout between layers makes outputs random in training mode, and only there."""
    module = make("LSTM", 2, 3, num_layers=2, dropout=0.5)
    with pytest.raises(UnsupportedError, match=r"dropout=0\.5.*model\.eval\(\)"):
        load(module)
    assert_acts(module.eval())
    assert_acts(make("LSTM", 2, 3, num_layers=1, dropout=0.5))


# --- parameters as they act ---------------------------------------------------------


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


class Noisy(nn.Module):
    def forward(self, weight):
        return weight + torch.rand_like(weight)


class Dropped(nn.Dropout):
    pass


def old_weight_norm(module, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and in old models
        nn.utils.weight_norm(module, name)
    with torch.no_grad():
        getattr(module, f"{name}_g").mul_(1.5)  # the attribute is stale now


def new_weight_norm(module, name):
    nn.utils.parametrizations.weight_norm(module, name)
    with torch.no_grad():
        getattr(module.parametrizations, name).original0.mul_(1.5)


def new_spectral_norm(module, name):
    nn.utils.parametrizations.spectral_norm(module, name).eval()


def old_spectral_norm(module, name):
    nn.utils.spectral_norm(module, name).eval()


def doubled(module, name):
    parametrize.register_parametrization(module, name, Doubled())
    with torch.no_grad():
        getattr(module.parametrizations, name).original.add_(0.25)


def pruned(module, name):
    prune.l1_unstructured(module, name, amount=0.5)
    with torch.no_grad():
        getattr(module, f"{name}_orig").mul_(3)


def pruned_twice(module, name):
    prune.l1_unstructured(module, name, amount=2)
    prune.ln_structured(module, name, amount=1, n=2, dim=0)


def replaced(module, name):
    setattr(module, name, nn.Parameter(getattr(module, name).detach() * 2))


def replaced_behind_its_back(module, name):
    module._parameters[name] = nn.Parameter(getattr(module, name).detach() * 2)


WAYS = [
    old_weight_norm,
    new_weight_norm,
    old_spectral_norm,
    new_spectral_norm,
    doubled,
    pruned,
    pruned_twice,
    replaced,
    replaced_behind_its_back,
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", LAYERS)
def test_parameters_as_they_act(kind, way):
    """What is loaded is what the next forward multiplies with, never a stale copy."""
    module = make(kind, 3, 4, num_layers=2, bidirectional=True)
    plain = load(copy.deepcopy(module))
    way(module, "weight_hh_l1_reverse")
    net = assert_acts(module)
    same = [
        np.array_equal(old, net.parameters[1, "reverse"][name])
        for name, old in plain.parameters[1, "reverse"].items()
    ]
    assert not all(same), "the test would pass with any parameters"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", LAYERS)
def test_cell_parameters_as_they_act(kind, way):
    """The same for a single-step cell."""
    module = make(f"{kind}Cell", 3, 4)
    way(module, "weight_ih")
    xs = random_input(module, time=1)
    net = load(module)
    out = module(xs[0])
    out = out[0] if isinstance(out, tuple) else out
    np.testing.assert_allclose(
        out.detach().numpy(), oracle(net, xs)[0], rtol=0, atol=1e-13
    )


@pytest.mark.parametrize("way", WAYS)
def test_loading_leaves_the_module_alone(way):
    """No attribute, buffer or parameter is replaced or changed."""
    module = make("LSTM", 2, 3)
    way(module, "weight_hh_l0")
    before = dict(vars(module))
    flat = list(module._flat_weights)
    values = {k: v.clone() for k, v in module.state_dict().items()}
    state = torch.get_rng_state()
    load(module)
    assert before.keys() == vars(module).keys()
    assert all(vars(module)[name] is value for name, value in before.items())
    assert all(a is b for a, b in zip(flat, module._flat_weights, strict=True))
    for name, value in module.state_dict().items():
        assert torch.equal(values[name], value)
    assert torch.equal(state, torch.get_rng_state())


def test_flat_weights_are_what_acts():
    """Where torch's list of weights and the attributes disagree, the list acts."""
    module = make("GRU", 2, 3)
    module._flat_weights[0] = module._flat_weights[0].detach() * 2
    net = assert_acts(module)
    np.testing.assert_array_equal(
        2 * module.weight_ih_l0.detach().numpy()[:3],
        net.parameters[0, "forward"]["W_ir"],
    )


def test_shared_parameters():
    """Tied weights are loaded for both places."""
    module = make("GRU", 3, 3, num_layers=2)
    module.weight_hh_l1 = module.weight_hh_l0
    assert_acts(module)


@pytest.mark.parametrize(
    "norm", [nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm]
)
def test_spectral_norm_in_training_is_refused(norm):
    """It changes the weight at each call, so there is no one network."""
    module = norm(make("LSTM", 2, 3), "weight_hh_l0")
    before = {k: v.clone() for k, v in module.state_dict().items()}
    with pytest.raises(
        UnsupportedError, match=r"SpectralNorm may change.*model\.eval\(\)"
    ):
        load(module)
    for name, value in module.state_dict().items():
        assert torch.equal(before[name], value)


def test_random_parametrizations_are_refused():
    """A parametrization that draws numbers has no one value."""
    module = make("LSTM", 2, 3)
    parametrize.register_parametrization(module, "weight_hh_l0", Noisy())
    with pytest.raises(UnsupportedError, match="other numbers at each call"):
        load(module.eval())
    module = make("LSTM", 2, 3)
    parametrize.register_parametrization(module, "weight_hh_l0", Dropped(0.5))
    with pytest.raises(UnsupportedError, match=r"Dropped may change.*model\.eval\(\)"):
        load(module.train())
    assert_acts(module.eval())


def test_unknown_pre_hook_is_refused():
    """It may change the parameters or the inputs; a forward hook only sees outputs."""
    module = make("LSTM", 2, 3)
    handle = module.register_forward_pre_hook(lambda module, inputs: None)
    with pytest.raises(UnsupportedError, match=r"pre-hook .*remove it first"):
        load(module)
    handle.remove()
    module.register_forward_hook(lambda module, inputs, outputs: None)
    assert_acts(module)


# --- modules that cannot be loaded --------------------------------------------------


class Counting(nn.LSTM):
    """Torch's equations, and something beside them."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.calls = 0


class Skipping(nn.LSTM):
    def forward(self, values, hx=None):
        output, state = super().forward(values, hx)
        return output + values, state


def test_subclasses():
    """A subclass is loaded while forward is torch's own."""
    assert_acts(Counting(2, 3, dtype=torch.float64))
    with pytest.raises(UnsupportedError, match=r"Skipping\) has a forward of its own"):
        load(Skipping(3, 3))
    with pytest.raises(UnsupportedError, match=r"encoder \(Skipping\)"):
        load(nn.ModuleDict({"encoder": Skipping(3, 3)}))
    module = nn.LSTM(2, 3)
    module.forward = lambda values, hx=None: values
    with pytest.raises(UnsupportedError, match="has a forward of its own"):
        load(module)


def test_meta_and_lazy_parameters():
    """Tensors without numbers are refused, and named."""
    with pytest.raises(SourceError, match="weight_ih_l0 is on the meta device"):
        load(nn.LSTM(2, 3, device="meta"))
    module = parametrize.register_parametrization(
        nn.LSTM(2, 3, device="meta"), "weight_ih_l0", Doubled()
    )
    with pytest.raises(SourceError, match="weight_ih_l0 is on the meta device"):
        load(module)
    with torch._subclasses.FakeTensorMode():
        module = nn.LSTM(2, 3)
    with pytest.raises(SourceError, match="weight_ih_l0 cannot be copied to NumPy"):
        load(module)
    module = nn.GRU(2, 3)
    module.weight_hh_l0 = nn.UninitializedParameter()
    with pytest.raises(SourceError, match="weight_hh_l0 is not initialised"):
        load(module)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.float8_e5m2, torch.int32])
def test_other_dtypes(dtype):
    """Numbers that no recurrent kernel computes with are refused by name."""
    state = nn.GRU(2, 3).state_dict()
    state["weight_hh_l0"] = state["weight_hh_l0"].to(dtype)
    with pytest.raises(SourceError, match=f"weight_hh_l0 has dtype {dtype}; expected"):
        load(state, dtype="float32")


def test_quantized_modules_and_tensors():
    """Quantized parameters are not the numbers that act."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch is about to drop it; models remain
        dynamic = torch.ao.nn.quantized.dynamic.LSTM(2, 3)
        tensor = torch.quantize_per_tensor(torch.ones(9, 2), 0.1, 0, torch.qint8)
    for source in (dynamic, nn.Sequential(dynamic)):
        with pytest.raises(SourceError, match="is quantized; load the float model"):
            load(source)
    state = nn.GRU(2, 3).state_dict() | {"weight_ih_l0": tensor}
    with pytest.raises(SourceError, match=r"weight_ih_l0 has dtype torch\.qint8"):
        load(state, dtype="float32")


def test_mixed_dtypes():
    """Arrays that disagree have no one float format, unless it is given."""
    module = make("GRU", 2, 3)
    module.bias_hh_l0 = nn.Parameter(module.bias_hh_l0.detach().float())
    for source in (module, module.state_dict()):
        with pytest.raises(SourceError, match=r"bias_hh_l0 float32.*dtype="):
            load(source)
        assert "float32" == load(source, dtype="float32").dtype


def test_options_that_contradict_a_module():
    """A module says itself what it is; a wrong option is not ignored."""
    module = nn.GRU(2, 3, batch_first=True)
    assert load(module, cell="gru", batch_first=True, single_step=False).batch_first
    for option in (
        {"cell": "lstm"},
        {"cell": "gru_reset_before"},
        {"batch_first": False},
        {"single_step": True},
    ):
        (name,) = option
        with pytest.raises(SourceError, match=rf"nn\.GRU has {name}=.*contradicts"):
            load(module, **option)


# --- models -------------------------------------------------------------------------


def model():
    return nn.ModuleDict(
        {
            "encoder": nn.ModuleDict({"lstm": nn.LSTM(2, 3), "fc": nn.Linear(3, 1)}),
            "decoder": nn.ModuleDict({"gru": nn.GRU(2, 3)}),
            "head": nn.Linear(3, 1),
        }
    )


def test_one_recurrent_submodule_is_found():
    """In a model with one recurrent module, that one is meant."""
    whole = nn.Sequential(OrderedDict(embed=nn.Linear(2, 2), rnn=nn.GRU(2, 3)))
    assert recurrent_module(whole) is whole.rnn
    assert "GRU" == load(whole).cell.name


@pytest.mark.parametrize(
    ("prefix", "name"),
    [("encoder.lstm", "LSTM"), ("decoder.gru.", "GRU"), ("encoder", "LSTM")],
)
def test_prefix_of_a_submodule(prefix, name):
    """A path leads to a submodule, or to what holds just one recurrent module."""
    assert name == load(model(), prefix=prefix).cell.name
    assert name == type(recurrent_module(model(), prefix)).__name__
    assert name == load(model().state_dict(), prefix=prefix).cell.name


def test_unclear_submodules_are_listed():
    """Messages list the choices."""
    with pytest.raises(SourceError, match=r"prefix=: encoder\.lstm, decoder\.gru$"):
        load(model())
    with pytest.raises(
        SourceError, match=r"no submodule 'coder'; .* encoder\.lstm, decoder\.gru"
    ):
        load(model(), prefix="coder")
    with pytest.raises(
        SourceError, match=r"no recurrent module; head holds no modules"
    ):
        load(model(), prefix="head")
    with pytest.raises(SourceError, match=r"Sequential holds 0 \(Linear\), 1 \(Tanh\)"):
        load(nn.Sequential(nn.Linear(1, 1), nn.Tanh()))


def test_scripted_module():
    """A scripted module is refused with a way out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(nn.GRU(2, 3))
    for source in (scripted, nn.Sequential(scripted)):
        with pytest.raises(SourceError, match=r"scripted .*state_dict\(\)"):
            load(source)
    assert "GRU" == load(scripted.state_dict()).cell.name


def test_compiled_module():
    """What torch.compile wraps is found."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, as it imports its compiler
        compiled = torch.compile(nn.ModuleDict({"rnn": nn.GRU(2, 3)}))
    assert "GRU" == load(compiled).cell.name
    assert "GRU" == load(compiled, prefix="rnn").cell.name


# --- mappings -----------------------------------------------------------------------


def assert_same(expected, actual):
    assert expected.cell == actual.cell
    assert expected.single_step == actual.single_step
    for position, arrays in expected.parameters.items():
        for name, values in arrays.items():
            np.testing.assert_array_equal(values, actual.parameters[position][name])


@pytest.mark.parametrize(("kind", "options"), list(every_option()))
def test_state_dict(kind, options):
    """A state_dict gives the network of its module."""
    module = make(kind, 2, 3, **options)
    net = load(
        module.state_dict(),
        batch_first=options["batch_first"],
        cell="rnn_tanh" if kind == "RNN" else None,
    )
    assert_same(load(module), net)
    assert options["batch_first"] == net.batch_first


def test_projection_is_inferred():
    """weight_hr tells that there is a projection, and the hidden size."""
    module = make("LSTM", 2, 6, proj_size=3, num_layers=2, bidirectional=True)
    assert_same(load(module), load(module.state_dict()))


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_cell_state_dict(kind):
    """Names without a layer are a single-step cell's, unless it is said otherwise."""
    module = make(f"{kind}Cell", 2, 3)
    state = module.state_dict()
    assert_same(load(module), load(state))
    assert not load(state, single_step=False).single_step


def test_layer_as_a_single_step():
    """One layer can be taken as a cell; a stack cannot."""
    assert load(make("GRU", 2, 3).state_dict(), single_step=True).single_step
    with pytest.raises(SourceError, match="one layer and one direction"):
        load(make("GRU", 2, 3, num_layers=2).state_dict(), single_step=True)


@pytest.mark.parametrize("prefix", ["enc_", "enc"])
def test_names_of_other_libraries(prefix):
    """A checkpoint in NumPy with its own names is read as a sequence layer."""
    rng = np.random.default_rng(3)
    shapes = {"w_ih": (12, 5), "w_hh": (12, 4), "b_ih": (12,), "b_hh": (12,)}
    state = {
        f"{part}_{name}": rng.normal(size=shape).astype(np.float32)
        for part in ("enc", "dec")
        for name, shape in shapes.items()
    }
    state |= {"enc_emb": np.zeros((7, 5), np.float32), "fc_w": np.zeros((2, 4))}
    net = load(state, prefix=prefix, single_step=False)
    assert ("GRU", 5, 4, "float32") == (
        net.cell.name,
        net.input_size,
        net.hidden_size,
        net.dtype,
    )
    assert not net.single_step
    np.testing.assert_array_equal(
        state["enc_w_hh"][8:], net.parameters[0, "forward"]["W_hn"]
    )
    with pytest.raises(SourceError, match=r"prefix=: 'enc_', 'dec_'$"):
        load(state)
    with pytest.raises(
        SourceError, match=r"begin with 'mid'; there are those of 'enc_'"
    ):
        load(state, prefix="mid")


@pytest.mark.parametrize("prefix", [None, "rnn", "rnn."])
def test_other_parameters_of_a_model_are_ignored(prefix):
    """A prefix tells a network's parameters from the rest of the model's."""
    whole = nn.ModuleDict({"fc": nn.Linear(3, 1), "rnn": nn.GRU(2, 3)})
    assert "GRU" == load(whole.state_dict(), prefix=prefix).cell.name


def test_empty_prefix():
    """The empty prefix means names without one."""
    state = make("GRU", 2, 3).state_dict()
    both = state | {f"lstm.{k}": v for k, v in make("LSTM", 2, 3).state_dict().items()}
    assert "GRU" == load(both, prefix="").cell.name
    with pytest.raises(SourceError, match=r"prefix=: '', 'lstm\.'"):
        load(both)


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_checkpoints(key):
    """One level above the state_dict is a checkpoint."""
    checkpoint = {
        key: model().decoder.state_dict(),
        "optimizer": {"state": {0: {"step": torch.ones(())}}, "param_groups": []},
        "epoch": 3,
    }
    assert "GRU" == load(checkpoint).cell.name
    checkpoint["ema"] = checkpoint[key]
    with pytest.raises(SourceError, match=f"several entries.*: {key}, ema"):
        load(checkpoint)


@pytest.mark.parametrize(
    "way", [old_weight_norm, new_weight_norm, doubled, pruned, old_spectral_norm]
)
def test_parametrized_state_dict_is_refused(way):
    """A state_dict does not say how a parametrization acts; the live module does."""
    module = make("GRU", 2, 3)
    way(module, "weight_hh_l0")
    for state in (module.state_dict(), nn.Sequential(module).state_dict()):
        with pytest.raises(SourceError, match=r"parametrization.*pass the live module"):
            load(state)


def test_unclear_cells():
    """Where arrays fit several cells, or none, the message lists the choices."""
    with pytest.raises(
        SourceError, match=r'fit rnn_tanh and rnn_relu.*cell="rnn_tanh"'
    ):
        load(make("RNN", 2, 3).state_dict())
    with pytest.raises(
        SourceError, match=r"shape \(2, 1\) fits no cell: expected 1, 3"
    ):
        load({"weight_ih_l0": [[1], [1]], "weight_hh_l0": [[1], [1]]})
    with pytest.raises(SourceError, match="weight_hh is missing"):
        load({"weight_ih_l0": [[1], [1]]})
    with pytest.raises(EquationError, match="no cell named 'gruu'; there are rnn_tanh"):
        load(make("GRU", 2, 3).state_dict(), cell="gruu")
    net = load(make("GRU", 2, 3).state_dict(), cell="gru_reset_before")
    assert "GRU (reset before)" == net.cell.name


def test_missing_and_misspelt_parameters():
    """No parameter is dropped or made up in silence."""
    state = make("LSTM", 2, 3, num_layers=2).state_dict()
    for name in list(state):
        rest = {k: v for k, v in state.items() if k != name}
        with pytest.raises(SourceError, match=rf"{name}( is missing|, )|no parameter"):
            load(rest)
    with pytest.raises(SourceError, match="bias_hl_l0 is no parameter"):
        load({f"a.{k.replace('bias_hh', 'bias_hl')}": v for k, v in state.items()})
    with pytest.raises(SourceError, match="weight_ih_l0_revers is no parameter"):
        load(
            {f"a.{k}": v for k, v in state.items()}
            | {"a.weight_ih_l0_revers": state["weight_ih_l0"]}
        )
    with pytest.raises(SourceError, match="extra is no parameter"):
        load(state | {"extra": torch.ones(1)})
    with pytest.raises(SourceError, match="bias_ih does not"):
        load(state | {"bias_ih": torch.ones(12)})
    with pytest.raises(SourceError, match="are the same parameter"):
        load(state | {"w_ih_l0": state["weight_ih_l0"]})
    with pytest.raises(ShapeError, match="W_hi"):
        load(state | {"weight_hh_l1": torch.ones(12, 2, dtype=torch.float64)})


def test_empty_and_foreign_mappings():
    """Messages say what was expected, and what was found."""
    with pytest.raises(SourceError, match=r"weight_ih_l0, .*found nothing"):
        load({})
    with pytest.raises(SourceError, match=r"found weight, bias$"):
        load(nn.Linear(1, 1).state_dict())
    with pytest.raises(SourceError, match="cannot load a network from list"):
        load([1])


def test_cell_of_ones_own():
    """A user's cell names its arrays itself, at every place."""
    W, U = (
        matrix("W", hidden_size, input_size),
        matrix("U", hidden_size, hidden_size),
    )
    cell = Cell.define(
        "mine",
        parameters=[W, U],
        equations={
            quantity("h", hidden_size): tanh(
                add(matmul(W, x), matmul(U, previous("h", hidden_size)))
            )
        },
    )
    arrays = {"W": [["1/3", 2]], "U": [["0.5"]]}
    assert load(arrays, cell=cell).single_step
    layered = {f"net.{k}_l0": v for k, v in arrays.items()} | {"fc.weight": 1}
    net = load(layered, cell=cell)
    assert (2, 1, False) == (net.input_size, net.hidden_size, net.single_step)
    with pytest.raises(SourceError, match=r"expected names such as W, U; found a"):
        load({"a": 1}, cell=cell)
    with pytest.raises(SourceError, match=r"nn\.GRU has cell="):
        load(nn.GRU(1, 1), cell=cell)
    assert lstm() == load(make("LSTM", 1, 1).state_dict(), cell=lstm()).cell


# --- options, and the door itself ---------------------------------------------------


def test_network_is_returned_as_it_is():
    """A Network takes no options."""
    net = load(nn.GRU(1, 1))
    assert isinstance(net, Network)
    assert load(net) is net
    with pytest.raises(SourceError, match=r"no options \(got dtype\)"):
        load(net, dtype="float32")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"dtype": "float31"}, "no float format named 'float31'; there are"),
        ({"batch_first": 1}, "batch_first must be True or False"),
        ({"single_step": "yes"}, "single_step must be True or False"),
        ({"prefix": 3}, "prefix must be a string"),
        ({"cell": 3}, "cell must be a cell's name or a Cell"),
    ],
)
def test_wrong_options(option, message):
    """An option that means nothing is an error."""
    with pytest.raises(SourceError, match=message):
        load(nn.GRU(1, 1), **option)


def test_torch_dtype_is_a_name():
    """dtype= takes torch's own objects too."""
    assert "float16" == load(nn.GRU(1, 1), dtype=torch.float16).dtype


def test_unknown_option_is_a_type_error():
    """Options are not passed through to nowhere."""
    with pytest.raises(TypeError, match="batchfirst"):
        load({}, batchfirst=True)


def test_is_torch_module():
    """Only modules are; a mapping of tensors is not."""
    assert is_torch_module(nn.GRU(1, 1))
    assert not is_torch_module(nn.GRU(1, 1).state_dict())
    assert not is_torch_module(nn.GRU)


def test_import_is_light():
    """Neither importing nor loading plain numbers imports torch."""
    code = (
        "import sys; from symrnn.networks.sources import load; "
        "load({'weight_ih': [[1]] * 3, 'weight_hh': [[1]] * 3}); "
        "print({'torch', 'yaml', 'safetensors'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "set()" == result.stdout.strip()
