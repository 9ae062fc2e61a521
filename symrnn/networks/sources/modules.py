# SPDX-License-Identifier: BSD-3-Clause
"""Live torch modules: the parameters as they will act at the next call.

Note [Parameters as they act]
    What ``nn.LSTM.forward`` multiplies with is neither its state_dict nor its
    attributes. Forward pre-hooks (old ``weight_norm`` and ``spectral_norm``, ``prune``)
    overwrite the attributes first; parametrizations compute them at each access; and
    the kernel gets the list ``_flat_weights``, which is refreshed only where torch
    notices a change. So the hooks are run, and the list is chosen, exactly as forward
    does it, on a replica that shares the tensors but none of the module's dictionaries:
    the module stays untouched. ``copy.deepcopy`` would not do: it refuses the tensors
    that old hooks leave behind.

`to_torch` is the way back: a live module for a network that came from a file.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np
from flint import fmpq

from symrnn.equations.cells import CELLS, Cell, find_cell
from symrnn.errors import SourceError, UnsupportedError
from symrnn.networks.network import Network, Position, array_name
from symrnn.networks.sources.options import Options, require_package
from symrnn.networks.sources.state_dicts import read_arrays
from symrnn.numerics.exact import Exact, to_fraction
from symrnn.numerics.formats import find_format, nearest_float

__all__ = [
    "is_torch_module",
    "load_module",
    "recurrent_module",
    "to_torch",
    "torch_class",
]


LAYER_CLASSES = ("RNN", "LSTM", "GRU")


STEP_CLASSES = ("RNNCell", "LSTMCell", "GRUCell")


def is_torch_module(obj: object) -> bool:
    """Tell whether `obj` is a ``torch.nn.Module``, without importing torch.

    >>> is_torch_module([1.0])
    False
    """
    torch = sys.modules.get("torch")  # whoever made a module has imported it
    return torch is not None and isinstance(obj, torch.nn.Module)


def recurrent_module(model: Any, prefix: str | None = None) -> Any:
    """Return the one live recurrent module in `model`: itself, or a submodule.

    Args:
        model: A ``torch.nn.Module``.
        prefix: Path of a submodule, such as ``"encoder.lstm"``.

    Raises:
        SourceError: There is no such submodule, or no or several recurrent ones; the
            message lists what there is.
        UnsupportedError: It is a subclass whose equations are its own.

    >>> import torch
    >>> recurrent_module(torch.nn.Sequential(torch.nn.GRU(2, 3), torch.nn.Tanh()))
    GRU(2, 3)
    """
    path = (prefix or "").strip(".")
    _require_python(model, "the model")
    try:
        root = model.get_submodule(path)
    except AttributeError:
        _no_module(f"there is no submodule {path!r}", model, "")
    found = (
        {path: root}
        if _kind(root) is not None
        else dict(_recurrent_submodules(root, path))
    )
    if len(found) > 1:
        raise SourceError(
            f"there are several recurrent modules; choose one with prefix=: "
            f"{', '.join(found)}"
        )
    if not found:
        _no_module("there is no recurrent module", root, path)
    name, module = next(iter(found.items()))
    _require_known_equations(module, name)
    return module


def load_module(model: Any, options: Options) -> Network:
    """Return the network that a live torch module computes; see `symrnn.load`."""
    module = recurrent_module(model, options.prefix)
    kind = str(_kind(module))
    what = f"this torch.nn.{kind}"
    single_step = kind in STEP_CLASSES
    facts: dict[str, Any] = {
        "cell": _cell_name(module, kind),
        "single_step": single_step,
    }
    if not single_step:
        facts["batch_first"] = module.batch_first
        _require_no_dropout(module, what)
    options.require_agreement(what, facts)
    arrays, dtype = read_arrays(_acting_parameters(module), options.dtype)
    cell = find_cell(
        facts["cell"], bias=module.bias, projected=getattr(module, "proj_size", 0) > 0
    )
    return Network.from_arrays(
        cell,
        arrays,
        batch_first=facts.get("batch_first", bool(options.batch_first)),
        dtype=dtype,
        single_step=single_step,
    )


# --- which module -------------------------------------------------------------------


def _kind(module: Any) -> str | None:
    """Return the name of torch's recurrent class that `module` belongs to, if any."""
    import torch

    for name in (*LAYER_CLASSES, *STEP_CLASSES):
        if isinstance(module, getattr(torch.nn, name)):
            return name
    # Others that must not be passed over in silence, although they are refused.
    name = getattr(module, "original_name", type(module).__name__)  # if scripted
    other = _is_quantized(module) or isinstance(module, torch.jit.ScriptModule)
    return name if other and name in (*LAYER_CLASSES, *STEP_CLASSES) else None


def _is_quantized(module: Any) -> bool:
    home = type(module).__module__
    return home.startswith("torch.") and ".quantiz" in home


def _recurrent_submodules(root: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, module in root.named_modules():
        if _kind(module) is not None:
            yield f"{path}.{name}" if path else name, module


def _no_module(problem: str, root: Any, path: str) -> NoReturn:
    recurrent = [name or "(itself)" for name, _ in _recurrent_submodules(root, path)]
    if recurrent:
        raise SourceError(f"{problem}; recurrent ones are {', '.join(recurrent)}")
    children = [f"{name} ({type(m).__name__})" for name, m in root.named_children()]
    where = path or type(root).__name__
    raise SourceError(f"{problem}; {where} holds {', '.join(children) or 'no modules'}")


def _require_python(module: Any, who: str) -> None:
    import torch

    if isinstance(module, torch.jit.ScriptModule):
        raise SourceError(
            f"{who} is scripted or traced, and hides its equations; load its "
            "state_dict() with cell= instead"
        )


def _require_known_equations(module: Any, name: str) -> None:
    import torch

    who = f"{name or 'the module'} ({type(module).__name__})"
    _require_python(module, who)
    if _is_quantized(module):
        raise SourceError(f"{who} is quantized; load the float model it was made from")
    ours = getattr(torch.nn, str(_kind(module)))
    replaced = [
        method
        for method in ("forward", "__call__")
        if getattr(type(module), method) is not getattr(ours, method)
        or method in vars(module)
    ]
    if replaced:
        raise UnsupportedError(
            f"{who} has a {replaced[0]} of its own, so its equations are unknown; load "
            "its state_dict() if they are torch's after all, or with a Cell of your own"
        )


# --- its parameters -----------------------------------------------------------------


def _cell_name(module: Any, kind: str) -> str:
    if kind == "RNN":
        return str(module.mode).lower()
    if kind == "RNNCell":
        return f"rnn_{module.nonlinearity}"
    return kind.removesuffix("Cell").lower()


def _require_no_dropout(module: Any, what: str) -> None:
    if module.training and module.dropout > 0 and module.num_layers > 1:
        raise UnsupportedError(
            f"{what} is in training mode with dropout={module.dropout}, so its outputs "
            "are random; call model.eval() first"
        )


def _acting_parameters(module: Any) -> dict[str, Any]:
    """Return the next forward's tensors by name; see Note [Parameters as they act]."""
    import torch

    _require_deterministic(module)
    with torch.no_grad():
        tensors = _tensors(_after_pre_hooks(module))
        if hasattr(module, "parametrizations"):
            _require_repeatable(tensors, _tensors(_after_pre_hooks(module)))
    return tensors


def _after_pre_hooks(module: Any) -> Any:
    """Return a replica of `module` on which its forward pre-hooks have acted."""
    kind: Any = type(module)
    replica = kind.__new__(kind)
    shared = vars(module)
    copied = {k: v.copy() for k, v in shared.items() if isinstance(v, (dict, list))}
    vars(replica).update(shared | copied)
    for hook in shared["_forward_pre_hooks"].values():
        _require_known_hook(hook)
        hook(replica, ())
    return replica


def _tensors(module: Any) -> dict[str, Any]:
    if hasattr(module, "_flat_weights"):
        names = module._flat_weights_names
        # nn.RNNBase._update_flat_weights, which may also move tensors on a GPU.
        if not module._weights_have_changed():
            return dict(zip(names, module._flat_weights, strict=True))
    else:
        biases = ("bias_ih", "bias_hh") if module.bias else ()
        names = ("weight_ih", "weight_hh", *biases)
    return {name: getattr(module, name) for name in names}


def _require_known_hook(hook: Any) -> None:
    homes = {
        "weight_norm": "WeightNorm",
        "spectral_norm": "SpectralNorm",
        "prune": "BasePruningMethod",
    }
    # By import_module, since torch.nn.utils.weight_norm is also a function.
    known = tuple(
        getattr(importlib.import_module(f"torch.nn.utils.{home}"), name)
        for home, name in homes.items()
    )
    if not isinstance(hook, known):
        name = getattr(hook, "__qualname__", type(hook).__qualname__)
        raise UnsupportedError(
            f"the forward pre-hook {name} may change parameters or inputs in ways that "
            "symrnn cannot see; remove it first"
        )


def _require_deterministic(module: Any) -> None:
    """Refuse what may change at each call in training mode, as spectral_norm does."""
    import torch

    hooks = module._forward_pre_hooks.values()
    moving = [
        h for h in hooks if type(h).__name__ == "SpectralNorm" and module.training
    ]
    for part in getattr(module, "parametrizations", torch.nn.ModuleDict()).modules():
        # Buffers are what a parametrization may update; _SpectralNorm's are _u and _v.
        own_buffers = any(True for _ in part.buffers(recurse=False))
        dropout = isinstance(part, torch.nn.modules.dropout._DropoutNd)
        if part.training and (own_buffers or dropout):
            moving.append(part)
    if moving:
        raise UnsupportedError(
            f"{type(moving[0]).__name__.strip('_')} may change the parameters at each "
            "call in training mode; call model.eval() first"
        )


def _require_repeatable(first: dict[str, Any], second: dict[str, Any]) -> None:
    import torch

    for name, tensor in first.items():
        same = tensor.is_meta or torch.allclose(
            tensor, second[name], rtol=0, atol=0, equal_nan=True
        )
        if not same:
            raise UnsupportedError(
                f"the parametrization of {name} gives other numbers at each call"
            )


_CLASSES = {"rnn_tanh": "RNN", "rnn_relu": "RNN", "lstm": "LSTM", "gru": "GRU"}


def torch_class(cell: Cell) -> str | None:
    """Return the name of torch's layer for a cell, ``"LSTM"``; ``None`` if it has none."""
    return _CLASSES.get(cell.family or "")


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
        array_name(array, position, single_step=net.single_step): torch.from_numpy(
            _rounded(_stack(net, position, members), target)
        ).to(options["dtype"])
        for position in net.positions
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


def _stack(net: Network, position: Position, members: tuple[str, ...]) -> Exact:
    return np.concatenate([net.parameters[position][member] for member in members])


def _rounded(values: Exact, dtype: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Round to a format once: by way of float64 it would be twice."""
    if values.dtype != object:
        return np.array(values)
    target = find_format(dtype)
    fractions = (to_fraction(value) for value in values.reshape(-1).tolist())
    exact = (fmpq(f.numerator, f.denominator) for f in fractions)
    rounded = [nearest_float(q, q, target) for q in exact]
    return np.array(rounded, dtype=np.float64).reshape(values.shape)
