# SPDX-License-Identifier: BSD-3-Clause
"""The way back: a live torch module for a network that came from a file."""

from __future__ import annotations

from typing import Any

import numpy as np
from flint import fmpq

from symrnn.cells import CELLS, find_cell
from symrnn.errors import UnsupportedError
from symrnn.formats import find_format, nearest_float
from symrnn.network import Network, Place, array_name
from symrnn.numbers import Exact, to_fraction
from symrnn.sources.options import require_package

__all__ = ["to_torch"]

_CLASSES = {"rnn_tanh": "RNN", "rnn_relu": "RNN", "lstm": "LSTM", "gru": "GRU"}


def to_torch(net: Network, dtype: str | None = None) -> Any:
    """Build the torch module that computes what a network says.

    Args:
        net: A network whose cell torch has.
        dtype: The module's float format, the network's by default, or else
            ``"float32"``. Parameters are rounded to it once, to nearest; load the
            module to see them.

    Returns:
        A ``torch.nn.RNN``, ``LSTM``, ``GRU`` or ``…Cell`` on the CPU, in eval mode.

    Raises:
        UnsupportedError: torch is missing, or has no such cell.

    >>> import symrnn
    >>> net = symrnn.load({"weight_ih_l0": [["1/3"]] * 3, "weight_hh_l0": [[0.5]] * 3})
    >>> to_torch(net)
    GRU(1, 1, bias=False)
    """
    torch = require_package("torch", "torch", "running the network")
    name, bias = _find(net)
    target = find_format(dtype or net.dtype or "float32").name
    options: dict[str, Any] = {"bias": bias, "dtype": getattr(torch, target)}
    if name.startswith("rnn"):
        options["nonlinearity"] = name.removeprefix("rnn_")
    sizes = (net.input_size, net.hidden_size)
    # Initialising draws random numbers, and the caller's generator must not notice.
    with torch.random.fork_rng(devices=[]):
        if net.single_step:
            module = getattr(torch.nn, f"{_CLASSES[name]}Cell")(*sizes, **options)
        else:
            projected = net.state_sizes["h"]
            if projected != net.hidden_size:
                options["proj_size"] = projected
            module = getattr(torch.nn, _CLASSES[name])(
                *sizes,
                num_layers=net.num_layers,
                batch_first=net.batch_first,
                bidirectional=net.bidirectional,
                **options,
            )
    state = {
        array_name(array, place, single_step=net.single_step): torch.from_numpy(
            _rounded(_stack(net, place, members), target)
        ).to(options["dtype"])
        for place in net.places
        for array, members in net.cell.stacking.items()
    }
    module.load_state_dict(
        {key: state[key].reshape(old.shape) for key, old in module.state_dict().items()}
    )
    return module.eval()


def _find(net: Network) -> tuple[str, bool]:
    """Return the name of the network's cell and whether it has biases."""
    for name in _CLASSES:
        for bias in (True, False):
            for projected in (False, True)[: 1 + (name == "lstm")]:
                if net.cell == find_cell(name, bias=bias, projected=projected):
                    return name, bias
    known = ", ".join(name for name in CELLS if name in _CLASSES)
    raise UnsupportedError(
        f"torch has no module for the cell {net.cell.name}, only for {known}; judge "
        "outputs that were computed elsewhere instead"
    )


def _stack(net: Network, place: Place, members: tuple[str, ...]) -> Exact:
    return np.concatenate([net.parameters[place][member] for member in members])


def _rounded(values: Exact, dtype: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Round to a format once: by way of float64 it would be twice."""
    if values.dtype != object:
        return np.array(values)
    target = find_format(dtype)
    fractions = (to_fraction(value) for value in values.reshape(-1).tolist())
    exact = (fmpq(f.numerator, f.denominator) for f in fractions)
    rounded = [nearest_float(q, q, target) for q in exact]
    return np.array(rounded, dtype=np.float64).reshape(values.shape)
