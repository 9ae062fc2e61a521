# SPDX-License-Identifier: BSD-3-Clause
"""Running torch safely.

Note [Before torch]
    torch 2.13 ends the process with a segmentation fault for a cell with 1-D input and
    a 2-D state, and takes other wrong shapes without a word. So nothing reaches torch
    that `symrnn.kernels.read_inputs` has not accepted, and what comes back is checked
    too.

Note [Inner layers]
    Results do not show the states of the layers below the last. They are those of the
    same network cut off after that layer: same shapes, so the same kernels, and the last
    states must be the same to the bit, or the layer counts as not observed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from symrnn.audits.subject import (
    Subject,
    check_outputs,
    flatten,
    numbers_of,
    require_storage,
)
from symrnn.errors import UnsupportedError
from symrnn.kernels.environment import Environment, environment_of, layer_kernel
from symrnn.networks.inputs import Inputs, read_inputs, round_inputs
from symrnn.networks.network import Network
from symrnn.numerics.exact import exact_array, float_format
from symrnn.numerics.formats import FloatFormat, find_format

__all__ = ["run_torch"]


def run_torch(
    module: Any, net: Network, x: Any, hx: Any, lengths: Any, *, grad: bool
) -> Subject:
    """Run a recurrent module and return what it gave; see Note [Before torch].

    Args:
        module: A live ``torch.nn.RNN``, ``LSTM``, ``GRU`` or ``…Cell``.
        net: The network that it computes.
        x: See `symrnn.audit`.
        hx: Likewise.
        lengths: Likewise.
        grad: Whether torch records for differentiation.

    Raises:
        ShapeError: Shapes do not fit.
        UnsupportedError: A tensor's dtype is not the module's, or torch refused.
    """
    import torch

    target = find_format(str(net.dtype))
    _require_dtype(target, "x", x)
    for state in _states(net, hx):
        _require_dtype(target, "hx", state)
    inputs, notes = round_inputs(read_inputs(net, x, hx, lengths=lengths), target)
    device = next(module.parameters()).device
    _refuse_autocast(device)
    arguments = _arguments(net, inputs, x, hx, device)
    with torch.set_grad_enabled(grad):
        environment = environment_of(target, device)
        ragged = lengths is not None
        try:
            results = _call(module, arguments, inputs, ragged=ragged)
            inner, changed = _run_inner(module, net, arguments, inputs, results, ragged)
        except RuntimeError as error:
            message = f"torch refused to run {type(module).__name__}: {error}"
            raise UnsupportedError(message) from error
    values = check_outputs(net, inputs, results)
    for name, array in zip(values, flatten(results), strict=True):
        found = float_format(numbers_of(array))
        if found != target.name:
            raise UnsupportedError(
                f"torch returned {name} as {found} from a {target.name} module; give "
                "outputs= and dtype="
            )
    return Subject(
        name=f"{type(module).__name__}, run by torch",
        net=net,
        inputs=inputs,
        format=target,
        values=values,
        inner=inner,
        kernel=_kernel(net, inputs, environment, ragged=ragged),
        environment=environment,
        notes=(*notes, *changed),
        rounded=bool(notes),
    )


def _refuse_autocast(device: Any) -> None:
    import torch

    if torch.is_autocast_enabled(device.type):
        raise UnsupportedError(
            "autocast is on, so torch computes in several formats; run the audit outside "
            "of it, or give outputs= and dtype="
        )


def _states(net: Network, hx: Any) -> tuple[Any, ...]:
    """Return what stands for each state in `hx`, however it is wrapped."""
    if hx is None:
        return ()
    if isinstance(hx, tuple) or (isinstance(hx, list) and len(net.cell.states) > 1):
        return tuple(hx)
    return (hx,)


def _is_tensor(given: Any) -> bool:
    return hasattr(numbers_of(given), "detach")


def _require_dtype(target: FloatFormat, what: str, given: Any) -> None:
    if not _is_tensor(given):
        return
    tensor = numbers_of(given)
    if float_format(tensor) != target.name:
        raise UnsupportedError(
            f"{what} is a tensor of {tensor.dtype}, and the module's dtype is "
            f"{target.name}: torch would not run. Convert it with "
            f".to(torch.{target.name}), or give nested lists to have them rounded"
        )
    require_storage(what, given)


def _arguments(
    net: Network, inputs: Inputs, x: Any, hx: Any, device: Any
) -> tuple[Any, ...]:
    """Return what the module is called with: tensors as they are, others rounded."""
    import torch

    dtype = getattr(torch, str(net.dtype))
    layout = inputs.layout

    def tensor(given: Any, values: npt.NDArray[np.float64]) -> Any:
        # The strides of a tensor may choose a kernel, so it is not copied.
        if _is_tensor(given):
            return given.to(device)
        return torch.from_numpy(np.array(values, order="C")).to(device, dtype)

    first = tensor(x, _as_given(inputs.x, inputs, transposed=layout.batch_first))
    if inputs.states is None:
        return (first,)
    states = tuple(
        tensor(given, _as_given(values, inputs, transposed=False))
        for given, values in zip(_states(net, hx), inputs.states.values(), strict=True)
    )
    return first, states if len(states) > 1 else states[0]


def _as_given(
    values: npt.NDArray[np.float64], inputs: Inputs, *, transposed: bool
) -> npt.NDArray[np.float64]:
    """Bring (time or rows, batch, features) back to the caller's dimensions."""
    if not inputs.layout.batched:
        values = values[:, 0]
    if inputs.layout.single_step:
        return values[0]
    return values.swapaxes(0, 1) if transposed and values.ndim == 3 else values


def _call(
    module: Any, arguments: Sequence[Any], inputs: Inputs, *, ragged: bool
) -> Any:
    if not ragged:
        return module(*arguments)
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    x, *rest = arguments
    first = inputs.layout.batch_first
    lengths = list(inputs.lengths)
    packed = pack_padded_sequence(x, lengths, batch_first=first, enforce_sorted=False)
    output, states = module(packed, *rest)
    padded, _ = pad_packed_sequence(output, batch_first=first, total_length=inputs.time)
    return padded, states


def _run_inner(
    module: Any,
    net: Network,
    arguments: tuple[Any, ...],
    inputs: Inputs,
    results: Any,
    ragged: bool,
) -> tuple[tuple[npt.NDArray[np.float64], ...], tuple[str, ...]]:
    """Return the outputs of the layers below the last; see Note [Inner layers]."""
    found: list[npt.NDArray[np.float64]] = []
    states = list(flatten(results))[1:]
    for layers in range(1, net.num_layers):
        rows = layers * len(net.directions)
        x, *given = arguments
        if given:
            first = _first_rows(given[0], rows)
            given = [first]
        output, *last = flatten(
            _call(_cut_off(module, layers), (x, *given), inputs, ragged=ragged)
        )
        same = all(
            _equal(mine[:rows], theirs)
            for mine, theirs in zip(states, last, strict=True)
        )
        if not same:
            return tuple(found), (
                f"cut off after layer {layers - 1}, torch returns other numbers than "
                "within the whole network, so the layers from there on are not judged",
            )
        found.append(exact_array(numbers_of(output), "output"))
    return tuple(found), ()


def _first_rows(states: Any, rows: int) -> Any:
    if isinstance(states, tuple):
        return tuple(state[:rows] for state in states)
    return states[:rows]


def _equal(a: Any, b: Any) -> bool:
    """Whether two tensors hold the same numbers, NaN being itself."""
    return bool(((a == b) | ((a != a) & (b != b))).all())


def _cut_off(module: Any, layers: int) -> Any:
    """Return a module of the first layers of a ``torch.nn.RNN``, ``LSTM`` or ``GRU``."""
    import torch

    names = ("input_size", "hidden_size", "bias", "batch_first", "bidirectional")
    options = {name: getattr(module, name) for name in names}
    kind = next(
        k for k in (torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN) if isinstance(module, k)
    )
    if kind is torch.nn.RNN:
        options["nonlinearity"] = module.nonlinearity
    if getattr(module, "proj_size", 0):
        options["proj_size"] = module.proj_size
    weight = next(module.parameters())
    # Initialising draws random numbers, and the caller's generator must not notice.
    with torch.random.fork_rng(devices=[]):
        part = kind(
            num_layers=layers, device=weight.device, dtype=weight.dtype, **options
        )
    state = module.state_dict()
    part.load_state_dict({name: state[name] for name in part.state_dict()})
    return part.train(module.training)


def _kernel(
    net: Network, inputs: Inputs, environment: Environment, *, ragged: bool
) -> str:
    return layer_kernel(
        net.cell.family,
        find_format(environment.dtype),
        grad=environment.grad_mode == "grad",
        onednn=bool(environment.onednn) and environment.device == "cpu",
        single_step=net.single_step,
        projected=net.cell.projected,
        packed=ragged or inputs.layout.packed,
    )
