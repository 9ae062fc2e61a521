# SPDX-License-Identifier: BSD-3-Clause
"""Mappings of arrays under torch's names: state_dicts, and what files are read into.

A name is a prefix, the name of an array, and for a sequence layer its position:
``encoder.lstm.`` ``weight_ih`` ``_l0_reverse``. Names with the same prefix are a group;
a network is one group. Arrays of any kind are copied exactly, with the float format they
came in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from symrnn.equations.cells import CELLS, Cell, find_cell
from symrnn.errors import SourceError
from symrnn.networks.network import Network
from symrnn.networks.sources.options import Options
from symrnn.numerics.exact import Exact, exact_array, float_format

__all__ = ["load_mapping", "read_arrays"]


ARRAYS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


SYNONYMS = {
    "w_ih": "weight_ih",
    "w_hh": "weight_hh",
    "b_ih": "bias_ih",
    "b_hh": "bias_hh",
    "w_hr": "weight_hr",
}

_Arrays = Mapping[Any, Any]


_Names = tuple[str, ...] | None
"""Names of a user's cell's arrays; ``None`` for torch's, with their synonyms."""

_SEPARATORS = "._/"


_POSITION = r"_l\d+(?:_reverse)?"


_LOOKS_RECURRENT = re.compile(r"(weight|bias|w|b)_[ih][a-z]*(_.*)?|.*_l\d+.*")


@dataclass(slots=True)
class _Group:
    """The names that share a prefix: standard name to key of the mapping."""

    keys: dict[str, str] = field(default_factory=dict)
    parametrized: list[str] = field(default_factory=list)


def load_mapping(mapping: _Arrays, options: Options) -> Network:
    """Return the network whose parameters `mapping` holds; see `symrnn.load`.

    Args:
        mapping: Names to arrays; or one level above, as checkpoints have it; or with
            ``"cell"`` and ``"parameters"``, as `symrnn.load` describes it for JSON.
        options: What the caller says.

    Raises:
        SourceError: No group of names, or several, or the cell cannot be told.
        ShapeError: Shapes contradict each other.

    >>> load_mapping({"weight_ih": [[1]] * 4, "weight_hh": [[0]] * 4}, Options())
    Network(LSTM, input_size=1, hidden_size=1, num_layers=1, bidirectional=False)
    """
    if {"cell", "parameters"} <= set(mapping):
        mapping, options = _read_document(mapping, options)
    arrays = tuple(options.cell.stacking) if isinstance(options.cell, Cell) else None
    mapping = _descend(mapping, arrays)
    prefix, group = _choose_group(mapping, arrays, options.prefix)
    if group.parametrized:
        raise SourceError(
            f"{group.parametrized[0]} belongs to a parametrization (weight_norm, "
            "prune, …), and a state_dict does not say how it acts; pass the live module"
        )
    _refuse_leftovers(mapping, prefix, group, arrays)
    named, single_step = _place_names(group.keys, options.single_step)
    values = {name: mapping[key] for name, key in named.items()}
    parameters, dtype = read_arrays(values, options.dtype)
    return Network.from_arrays(
        _choose_cell(parameters, options.cell),
        parameters,
        batch_first=bool(options.batch_first),
        dtype=dtype,
        single_step=single_step,
    )


# --- which arrays -------------------------------------------------------------------


def _pattern(arrays: _Names) -> re.Pattern[str]:
    names = sorted(arrays or (*ARRAYS, *SYNONYMS), key=len, reverse=True)
    return re.compile(
        rf"(?P<prefix>|.*?[{_SEPARATORS}])(?P<p>parametrizations\.)?"
        rf"(?P<array>{'|'.join(map(re.escape, names))})(?P<position>{_POSITION})?"
        r"(?P<q>\.original\d*|_[gvu]|_orig|_mask|\.\d+\..*)?",
        re.DOTALL,
    )


def _groups(keys: Iterable[Any], arrays: _Names) -> dict[str, _Group]:
    pattern, groups = _pattern(arrays), dict[str, _Group]()
    for key in keys:
        match = pattern.fullmatch(key) if isinstance(key, str) else None
        if match is None:
            continue
        group = groups.setdefault(match["prefix"], _Group())
        if match["p"] or match["q"]:
            group.parametrized.append(key)
            continue
        array = match["array"]
        if arrays is None:
            array = SYNONYMS.get(array, array)
        name = array + (match["position"] or "")
        if name in group.keys:
            raise SourceError(f"{group.keys[name]} and {key} are the same parameter")
        group.keys[name] = key
    return groups


def _descend(mapping: _Arrays, arrays: _Names) -> _Arrays:
    """Go one level down where a checkpoint keeps its state_dict there."""
    if _groups(mapping, arrays):
        return mapping
    inner = {
        key: value
        for key, value in mapping.items()
        if isinstance(value, Mapping) and _groups(value, arrays)
    }
    if len(inner) > 1:
        raise SourceError(
            f"several entries hold recurrent parameters: {', '.join(map(str, inner))}; "
            "pass one of them"
        )
    return next(iter(inner.values()), mapping)


def _choose_group(
    mapping: _Arrays, arrays: _Names, prefix: str | None
) -> tuple[str, _Group]:
    groups = _groups(mapping, arrays)
    found = groups
    if prefix is not None:
        # With the prefix taken off, "enc" + "W" need no separator between them.
        for start in (prefix, *(prefix + separator for separator in _SEPARATORS)):
            rest = {k: k[len(start) :] for k in mapping if str(k).startswith(start)}
            group = _groups(rest.values(), arrays).get("")
            if group:
                whole = {short: key for key, short in rest.items()}
                group.keys = {name: whole[short] for name, short in group.keys.items()}
                return start, group
        below = tuple(prefix.rstrip(_SEPARATORS) + s for s in _SEPARATORS)
        found = {p: group for p, group in groups.items() if p.startswith(below)}
    if len(found) > 1:
        raise SourceError(
            "there are several groups of recurrent parameters; choose one with "
            f"prefix=: {_listed(found)}"
        )
    if not found:
        _no_group(mapping, groups, arrays, prefix)
    return next(iter(found.items()))


def _no_group(
    mapping: _Arrays,
    groups: Mapping[str, _Group],
    arrays: _Names,
    prefix: str | None,
) -> NoReturn:
    if groups:
        raise SourceError(
            f"no recurrent parameters begin with {prefix!r}; there are those of "
            + _listed(groups)
        )
    expected = ", ".join(arrays) if arrays else "weight_ih_l0, weight_hh_l0, …"
    names = [str(key) for key in mapping]
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    raise SourceError(
        f"no recurrent parameters: expected names such as {expected}; found "
        f"{shown or 'nothing'}"
    )


def _listed(prefixes: Iterable[str]) -> str:
    return ", ".join(repr(prefix) for prefix in prefixes)


def _refuse_leftovers(
    mapping: _Arrays,
    prefix: str,
    group: _Group,
    arrays: _Names,
) -> None:
    """Refuse names that are probably misspelt: they would drop a parameter silently."""
    others = {k for g in _groups(mapping, arrays).values() for k in g.keys.values()}
    for key in mapping:
        if key in group.keys.values() or key in others or not isinstance(key, str):
            continue
        rest = key.removeprefix(prefix)
        if not key.startswith(prefix) or "." in rest or "/" in rest:
            continue
        if not prefix or (arrays is None and _LOOKS_RECURRENT.fullmatch(rest)):
            expected = ", ".join(arrays or ARRAYS)
            raise SourceError(
                f"{key} is no parameter of a recurrent network; those are {expected}, "
                "with _l0, _l0_reverse, … for a layer"
            )


def _place_names(
    keys: Mapping[str, str], single_step: bool | None
) -> tuple[dict[str, str], bool]:
    """Return the names as a single-step cell's or a layer's, and which it is."""
    placed = {name for name in keys if re.search(rf"{_POSITION}$", name)}
    if placed and len(placed) < len(keys):
        bare = sorted(set(keys) - placed)[0]
        raise SourceError(f"{sorted(placed)[0]} names a layer, {bare} does not")
    if single_step is None:
        single_step = not placed
    if single_step and placed:
        if not all(name.endswith("_l0") for name in placed):
            raise SourceError("a single-step cell has one layer and one direction")
        return {name.removesuffix("_l0"): key for name, key in keys.items()}, True
    suffix = "" if single_step or placed else "_l0"
    return {name + suffix: key for name, key in keys.items()}, single_step


# --- which cell ---------------------------------------------------------------------


def _choose_cell(parameters: Mapping[str, Exact], cell: str | Cell | None) -> Cell:
    if isinstance(cell, Cell):
        return cell
    if cell is None:
        cell = _infer_cell(parameters)
    return find_cell(
        cell,
        bias=any(name.startswith("bias") for name in parameters),
        projected=any(name.startswith("weight_hr") for name in parameters),
    )


def _infer_cell(parameters: Mapping[str, Exact]) -> str:
    """Tell the cell from the number of gates that ``weight_hh`` stacks."""
    hh = next((a for n, a in parameters.items() if n.startswith("weight_hh")), None)
    if hh is None or hh.ndim != 2 or 0 in hh.shape:
        found = "is missing" if hh is None else f"has shape {hh.shape}"
        raise SourceError(f"cannot tell the cell: weight_hh {found}; say it with cell=")
    hr = next((a for n, a in parameters.items() if n.startswith("weight_hr")), None)
    hidden = hh.shape[1] if hr is None else hr.shape[-1]
    gates, rest = divmod(hh.shape[0], hidden)
    if rest == 0 and gates in (3, 4):
        return {3: "gru", 4: "lstm"}[gates]
    if rest == 0 and gates == 1:
        raise SourceError(
            "these arrays fit rnn_tanh and rnn_relu; say which with "
            'cell="rnn_tanh" or cell="rnn_relu"'
        )
    raise SourceError(
        f"weight_hh of shape {hh.shape} fits no cell: expected 1, 3 or 4 times "
        f"{hidden} rows; name one of {', '.join(CELLS)} with cell=, or pass a Cell"
    )


# --- a document, with options beside the arrays --------------------------------------


def _read_document(
    document: Mapping[Any, Any], options: Options
) -> tuple[Mapping[Any, Any], Options]:
    known = ("cell", "batch_first", "single_step", "dtype", "prefix")
    allowed = {*known, "parameters", "description"}
    unknown = [key for key in document if key not in allowed]
    if unknown:
        raise SourceError(
            f"unknown entry {unknown[0]!r}; there are {', '.join(sorted(allowed))}"
        )
    parameters = document["parameters"]
    if not isinstance(parameters, Mapping):
        raise SourceError("the entry 'parameters' must map names to arrays")
    said = Options(**{key: document[key] for key in known if key in document})
    return parameters, options.over(said)


def read_arrays(
    arrays: Mapping[str, Any], dtype: str | None = None
) -> tuple[dict[str, Exact], str | None]:
    """Copy `arrays` exactly and return them with the float format that all share.

    Args:
        arrays: Tensors, NumPy arrays or nested lists, of any shape.
        dtype: The float format to report, whatever the arrays' own.

    Raises:
        SourceError: An array's numbers cannot be taken exactly, it holds none, or the
            arrays have different float formats and `dtype` is not given.

    >>> read_arrays({"w": np.ones((1, 1), dtype=np.float32)})
    ({'w': array([[1.]])}, 'float32')
    """
    formats = {name: float_format(values) for name, values in arrays.items()}
    if dtype is None and len(set(formats.values())) > 1:
        listed = ", ".join(f"{n} {found or 'none'}" for n, found in formats.items())
        raise SourceError(
            f"the arrays have different dtypes ({listed}); say with dtype= which float "
            "format the network has"
        )
    return (
        {name: _copy(values, name) for name, values in arrays.items()},
        dtype or next(iter(formats.values()), None),
    )


def _copy(values: Any, name: str) -> Exact:
    if hasattr(values, "detach"):
        _check_tensor(values, name)
    try:
        # A float64 array would be shared, and change when the model is trained.
        return np.array(exact_array(values, name))
    except (RuntimeError, TypeError) as error:  # a tensor subclass: fake, distributed
        raise SourceError(f"{name} cannot be copied to NumPy: {error}") from None


def _check_tensor(tensor: Any, name: str) -> None:
    problem = None
    if type(tensor).__name__.startswith("Uninitialized"):
        problem = (
            "is not initialised: call the model once, or load a state_dict into it"
        )
    elif tensor.is_meta:
        problem = "is on the meta device and holds no numbers"
    elif tensor.is_quantized or float_format(tensor) is None:
        problem = (
            f"has dtype {tensor.dtype}; expected float64, float32, float16 or bfloat16"
        )
    elif str(tensor.layout) != "torch.strided":
        problem = f"is stored as {tensor.layout}; convert it with .to_dense()"
    if problem:
        raise SourceError(f"{name} {problem}")
