# SPDX-License-Identifier: BSD-3-Clause
"""Random and adversarial networks, with inputs, for the benchmarks of audits.

`random_case` draws everything from a generator: the same seed, the same case. Parameters
and inputs follow a regime of `REGIMES`, which names what it tries to break.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from symrnn.numerics.formats import FORMATS, as_float

KINDS = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")
DTYPES = ("float32", "float64", "float16", "bfloat16")
SIZES = (1, 2, 3, 5, 8, 15, 16, 17, 31, 32, 33, 47, 64, 65, 100, 128, 200, 256, 300)
_SIZE_ODDS = np.array([1 / (3 + size) for size in SIZES])


@dataclass(frozen=True, kw_only=True)
class Case:
    """A module, what it is run on, and how."""

    module: torch.nn.Module
    x: torch.Tensor
    hx: object = None
    lengths: list[int] | None = None
    grad: bool = False
    threads: int = 1
    onednn: bool = True
    flushes: bool = False
    about: str = ""

    @contextmanager
    def settings(self) -> Iterator[None]:
        """Have torch run as the case says, for a while."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        torch.set_flush_denormal(self.flushes)
        # torch.backends.mkldnn.flags would set, and warn of, much else.
        torch._C._set_mkldnn_enabled(self.onednn)
        try:
            yield
        finally:
            torch._C._set_mkldnn_enabled(True)
            torch.set_flush_denormal(False)
            torch.set_num_threads(before)

    @property
    def dtype(self) -> str:
        """The name of the module's float format."""
        return str(next(self.module.parameters()).dtype).removeprefix("torch.")


# --- numbers ------------------------------------------------------------------------

Numbers = np.ndarray
Draw = Callable[[np.random.Generator, tuple[int, ...], "Scale"], Numbers]


@dataclass(frozen=True)
class Scale:
    """What numbers of a format and sums of so many terms are like."""

    dtype: str
    terms: int

    @property
    def largest(self) -> float:
        return as_float(FORMATS[self.dtype].largest)

    @property
    def emin(self) -> int:
        return FORMATS[self.dtype].emin


def uniform(rng, shape, scale):
    """Numbers as torch initialises with."""
    return rng.uniform(-1, 1, shape) / np.sqrt(scale.terms)


def normal(rng, shape, scale):
    """Numbers around 1."""
    return rng.normal(size=shape)


def large(rng, shape, scale):
    """Numbers of 100 to 10,000, all of one size."""
    return rng.normal(size=shape) * 10.0 ** rng.uniform(2, 4)


def all_sizes(rng, shape, scale):
    """Numbers of every exponent whose squares are still finite."""
    bits = min(-scale.emin, 1000) / 2
    return rng.normal(size=shape) * np.exp2(rng.uniform(-bits, bits / 4, shape))


def subnormal(rng, shape, scale):
    """Numbers around the smallest normal one of the format."""
    exponents = rng.integers(-12, 4, shape) + max(scale.emin, -1020)
    return rng.normal(size=shape) * np.exp2(exponents.astype(float))


def near_overflow(rng, shape, scale):
    """Numbers whose products come near the largest one."""
    root = np.sqrt(scale.largest / scale.terms)
    return rng.uniform(-1.5, 1.5, shape) * root


def coarse(rng, shape, scale):
    """Numbers of few bits, whose sums are ties."""
    return rng.integers(-8, 9, shape) * np.exp2(rng.integers(-9, 1, shape))


def one_hot(rng, shape, scale):
    """Rows with one number that is not 0."""
    found = np.zeros((*shape[:-1], shape[-1]))
    hot = rng.integers(0, shape[-1], shape[:-1])
    np.put_along_axis(found, hot[..., None], 1.0, axis=-1)
    return found


def sparse(rng, shape, scale):
    """Mostly zeros, of both signs."""
    keep = rng.random(shape) < 0.1
    return np.where(keep, rng.normal(size=shape), rng.choice([0.0, -0.0], shape))


def one_sided(rng, shape, scale):
    """Equal positive numbers: sums grow, and every addition may err the same way."""
    return np.full(shape, rng.uniform(0.5, 1) / np.sqrt(scale.terms))


def stagnating(rng, shape, scale):
    """1, and numbers of just under half an ulp: added to it one by one, all are lost."""
    found = np.full(shape, 2.0 ** -FORMATS[scale.dtype].precision * (1 - 2.0**-4))
    found[..., 0] = 1
    return found


def ones(rng, shape, scale):
    return np.ones(shape)


def zeros(rng, shape, scale):
    return np.zeros(shape)


def saturating(rng, shape, scale):
    """Numbers beyond which tanh and sigmoid are 1, or nearly."""
    return rng.choice([-1, 1], shape) * 10.0 ** rng.uniform(0.3, 2.5, shape)


def huge(rng, shape, scale):
    """Numbers next to which sums lose everything else."""
    return rng.normal(size=shape) * min(scale.largest / 100, 2.0**60)


@dataclass(frozen=True)
class Regime:
    """What parameters and inputs are drawn from.

    Attributes:
        weights: Of the input products.
        recurrent: Of the recurrent products; as `weights` by default.
        biases: Likewise.
        inputs: Inputs.
        states: Initial states.
        gain: What the recurrent weights are multiplied with.
        cancels: Whether the second half of a row undoes the first half.
    """

    weights: Draw = uniform
    recurrent: Draw | None = None
    biases: Draw = uniform
    inputs: Draw = normal
    states: Draw = normal
    gain: float = 1.0
    cancels: bool = False


REGIMES = {
    "default": Regime(),
    "contracting": Regime(gain=0.1),
    "expanding": Regime(gain=8.0),
    "large weights": Regime(weights=large),
    "large inputs": Regime(inputs=large, states=large),
    "saturated": Regime(biases=saturating),
    "saturated weights": Regime(weights=saturating, inputs=one_hot),
    "huge biases": Regime(biases=huge),
    "subnormal weights": Regime(weights=subnormal, biases=subnormal),
    "subnormal inputs": Regime(inputs=subnormal, states=subnormal, biases=zeros),
    "subnormal × large": Regime(weights=large, inputs=subnormal, biases=subnormal),
    "large × subnormal": Regime(weights=subnormal, inputs=large, biases=subnormal),
    "all sizes": Regime(weights=all_sizes, biases=all_sizes, inputs=all_sizes),
    "near overflow": Regime(
        weights=near_overflow, inputs=near_overflow, states=near_overflow
    ),
    "cancelling": Regime(cancels=True),
    "cancelling, large": Regime(weights=large, cancels=True),
    "coarse": Regime(weights=coarse, biases=coarse, inputs=coarse, states=coarse),
    "one-sided": Regime(weights=one_sided, biases=one_sided, inputs=one_sided),
    "stagnating": Regime(
        weights=stagnating, recurrent=zeros, biases=zeros, inputs=ones, states=zeros
    ),
    "one-hot": Regime(inputs=one_hot),
    "sparse": Regime(weights=sparse, inputs=sparse, biases=sparse),
    "zero inputs": Regime(inputs=zeros, states=zeros),
    "zero": Regime(weights=zeros, biases=zeros),
}


# --- cases --------------------------------------------------------------------------


def random_case(
    rng: np.random.Generator,
    *,
    dtype: str | None = None,
    kind: str | None = None,
    regime: str | None = None,
    elements: int = 20_000,
) -> Case:
    """Draw a network, inputs, and how it is run; about so many states altogether."""
    dtype = dtype or str(rng.choice(DTYPES))
    kind = kind or str(rng.choice(KINDS, p=[0.25, 0.25, 0.25, 0.08, 0.09, 0.08]))
    regime = regime or str(rng.choice(list(REGIMES)))
    module = random_module(rng, kind, dtype)
    recipe = REGIMES[regime]
    set_parameters(rng, module, recipe)
    single = kind.endswith("Cell")
    layers = getattr(module, "num_layers", 1)
    directions = 1 + bool(getattr(module, "bidirectional", False))
    states = elements / (module.hidden_size * layers * directions)
    time = (
        1 if single else int(rng.choice([1, 2, 7, 20, 50], p=[0.1, 0.1, 0.3, 0.4, 0.1]))
    )
    batch = max(1, min(int(states / time), 512))
    if rng.random() < 0.1:
        batch = 1
    scale = Scale(dtype, module.input_size)
    x = recipe.inputs(rng, (time, batch, module.input_size), scale)
    if recipe.cancels:
        x = _repeated(x)
    x = rounded(x, dtype)
    x, batch_first = x[0] if single else x, bool(getattr(module, "batch_first", False))
    if batch_first:
        x = x.swapaxes(0, 1).contiguous()
    rows = () if single else (layers * directions,)
    hx = _initial(rng, module, recipe, (*rows, batch), dtype)
    ragged = not single and rng.random() < 0.25
    lengths = rng.integers(1, time + 1, batch).tolist() if ragged else None
    if lengths:
        lengths[int(rng.integers(batch))] = time
    grad, threads = bool(rng.random() < 0.5), int(rng.choice([1, 2]))
    onednn, flushes = bool(rng.random() < 0.8), bool(rng.random() < 0.1)
    about = (
        f"{dtype} {module} | {regime}, time {time}, batch {batch}, "
        f"{'ragged' if ragged else 'full'}, {'hx' if hx is not None else 'no hx'}, "
        f"{'grad' if grad else 'no grad'}, threads {threads}"
        f"{'' if onednn else ', no oneDNN'}{', flushes' if flushes else ''}"
    )
    return Case(
        module=module,
        x=x,
        hx=hx,
        lengths=lengths,
        grad=grad,
        threads=threads,
        onednn=onednn,
        flushes=flushes,
        about=about,
    )


def random_module(rng: np.random.Generator, kind: str, dtype: str) -> torch.nn.Module:
    """Return a module of random sizes and options; its parameters are not set yet."""
    odds = _SIZE_ODDS / _SIZE_ODDS.sum()
    size = int(rng.choice(SIZES, p=odds))
    hidden = size if rng.random() < 0.2 else int(rng.choice(SIZES, p=odds))
    options = {"bias": bool(rng.random() < 0.9), "dtype": getattr(torch, dtype)}
    if kind.startswith("RNN"):
        options["nonlinearity"] = str(rng.choice(["tanh", "relu"]))
    if not kind.endswith("Cell"):
        options["num_layers"] = int(rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1]))
        options["bidirectional"] = bool(rng.random() < 0.3)
        options["batch_first"] = bool(rng.random() < 0.3)
    if kind == "LSTM" and hidden > 1 and rng.random() < 0.25:
        options["proj_size"] = int(rng.integers(1, hidden))
    return getattr(torch.nn, kind)(size, hidden, **options)


def set_parameters(
    rng: np.random.Generator, module: torch.nn.Module, regime: Regime
) -> None:
    """Draw all parameters anew."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            shape = tuple(parameter.shape)
            dtype = str(parameter.dtype).removeprefix("torch.")
            scale = Scale(dtype, shape[-1])
            if name.startswith("bias"):
                values = regime.biases(rng, shape, scale)
            elif name.startswith("weight_ih"):
                values = regime.weights(rng, shape, scale)
                if regime.cancels:
                    values = _undone(rng, values)
            else:
                draw = regime.recurrent or regime.weights
                values = regime.gain * draw(rng, shape, scale)
            parameter.copy_(rounded(values, dtype))


def _undone(rng: np.random.Generator, values: Numbers) -> Numbers:
    """Make the second half of each row the negative of the first, but for last bits."""
    half = values.shape[-1] // 2
    off = 1 + rng.integers(-2, 3, values[:, :half].shape) * 2.0**-22
    values[:, half : 2 * half] = -values[:, :half] * off
    return values


def _repeated(x: Numbers) -> Numbers:
    half = x.shape[-1] // 2
    x[..., half : 2 * half] = x[..., :half]
    return x


def rounded(values: Numbers, dtype: str) -> torch.Tensor:
    """Return a tensor of the format, with no infinities."""
    largest = as_float(FORMATS[dtype].largest)
    return torch.from_numpy(np.clip(values, -largest, largest)).to(
        getattr(torch, dtype)
    )


def _initial(
    rng: np.random.Generator,
    module: torch.nn.Module,
    regime: Regime,
    shape: tuple[int, ...],
    dtype: str,
) -> object:
    if rng.random() < 0.4:
        return None
    hidden = module.hidden_size
    scale = Scale(dtype, hidden)
    sizes = [getattr(module, "proj_size", 0) or hidden]
    if type(module).__name__.startswith("LSTM"):
        sizes.append(hidden)
    states = tuple(
        rounded(regime.states(rng, (*shape, size), scale), dtype) for size in sizes
    )
    return states if len(states) > 1 else states[0]
