# SPDX-License-Identifier: BSD-3-Clause
"""The numbers to be judged, checked and put under torch's names.

They are somebody's (`read_subject`), or those of the network emulated in a float format,
without hardware (`run_emulated`). What torch returns is `symrnn.audits.torch_run`'s. Last,
the subject's own states, as far as its results show them (`observe`).
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from symrnn._version import __version__
from symrnn.errors import ShapeError, SourceError, UnsupportedError
from symrnn.kernels.emulation import emulate, find_schedule
from symrnn.kernels.environment import Environment
from symrnn.kernels.schedule import Schedule
from symrnn.networks.inputs import Inputs, read_inputs, round_inputs
from symrnn.networks.layout import (
    Grid,
    result_grids,
    result_names,
    result_shapes,
    result_states,
)
from symrnn.networks.network import Network, Position
from symrnn.numerics.exact import Exact, exact_array, float_format
from symrnn.numerics.float_arithmetic import round_array
from symrnn.numerics.formats import FloatFormat, find_emulated_format, find_format

__all__ = [
    "Observed",
    "Subject",
    "check_outputs",
    "count_padding",
    "flatten",
    "numbers_of",
    "observe",
    "read_subject",
    "require_storage",
    "run_emulated",
]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Outputs, and all that is needed to judge them.

    Attributes:
        name: Whose they are.
        net: The network that it is to compute.
        inputs: The inputs as the subject saw them.
        format: Its float format.
        values: The outputs by name, float64 in torch's shapes.
        environment: What it ran in.
        notes: What a reader must know.
        rounded: Whether the inputs are not those that were given, but rounded.
        inner: The outputs of the layers below the last, from the first on, as far as
            they are known; shaped as the output.
        kernel: Which code computed its activations; see `symrnn.kernels.environment`.
        original: Network and inputs that the exact values are for, if not these.
        accumulate: The format in which it accumulates matrix products, where that is
            known.
    """

    name: str
    net: Network
    inputs: Inputs
    format: FloatFormat
    values: dict[str, npt.NDArray[np.float64]]
    environment: Environment
    notes: tuple[str, ...]
    rounded: bool = False
    inner: tuple[npt.NDArray[np.float64], ...] = ()
    kernel: str = "elementwise"
    original: tuple[Network, Inputs] | None = None
    accumulate: FloatFormat | None = None

    @cached_property
    def grids(self) -> dict[str, Grid]:
        """What the elements of each result stand for, by name."""
        grids = result_grids(self.net, self.inputs)
        return {name: grids[name] for name in self.values}


def read_subject(
    net: Network, x: Any, hx: Any, lengths: Any, outputs: Any, dtype: Any
) -> Subject:
    """Take outputs that somebody else computed; see `symrnn.audit` for the arguments.

    Raises:
        ShapeError: Shapes do not fit; both are in the message.
        SourceError: The outputs' format is not known.
    """
    target = _given_format(outputs, dtype)
    inputs = read_inputs(net, x, hx, lengths=lengths)
    values = check_outputs(net, inputs, outputs)
    return Subject(
        name="the given outputs",
        net=net,
        inputs=inputs,
        format=target,
        values=values,
        environment=Environment(
            symrnn=__version__, python=platform.python_version(), dtype=target.name
        ),
        notes=(*_finer_inputs(inputs, target), *_foreign(values, target)),
    )


def check_outputs(
    net: Network, inputs: Inputs, outputs: Any
) -> dict[str, npt.NDArray[np.float64]]:
    """Return outputs by name, if their shapes are the network's.

    Args:
        net: The network.
        inputs: What it was run on.
        outputs: What torch returns, or output alone; tuples may be nested.

    Raises:
        ShapeError: The number of outputs, or a shape, is wrong.
    """
    given = list(flatten(outputs)) or [()]
    shapes = result_shapes(net, inputs)
    if len(given) not in (1, len(shapes)):
        raise ShapeError(
            f"expected outputs ({', '.join(shapes)}), or {next(iter(shapes))} alone, got "
            f"{len(given)} arrays"
        )
    values = {}
    for (name, shape), array in zip(shapes.items(), given, strict=False):
        require_storage(name, array)
        _require_packing(name, inputs, array)
        exact = exact_array(numbers_of(array), name)
        if exact.shape != shape:
            raise ShapeError(
                f"expected {name} of shape {shape}, got {tuple(exact.shape)}"
            )
        values[name] = exact
    return {name: _as_floats(name, exact) for name, exact in values.items()}


def flatten(outputs: Any) -> Iterator[Any]:
    """Yield the arrays in nested tuples, of which a ``PackedSequence`` is none."""
    if isinstance(outputs, tuple) and not hasattr(outputs, "batch_sizes"):
        for part in outputs:
            yield from flatten(part)
    else:
        yield outputs


def numbers_of(given: Any) -> Any:
    """Return the tensor in a ``PackedSequence``, anything else as it is."""
    return given.data if hasattr(given, "batch_sizes") else given


def require_storage(what: str, given: Any) -> None:
    """Raise `UnsupportedError` for a tensor whose numbers are not all in memory."""
    tensor = numbers_of(given)
    layout = str(getattr(tensor, "layout", "torch.strided"))
    if layout != "torch.strided" or getattr(tensor, "is_meta", False):
        raise UnsupportedError(
            f"{what} is a tensor without plain storage ({layout}, on {tensor.device}); "
            "give one that holds its numbers, such as .to_dense() returns"
        )


def _require_packing(name: str, inputs: Inputs, array: Any) -> None:
    if not hasattr(array, "batch_sizes"):
        return
    sizes = tuple(int(n) for n in array.batch_sizes)
    order = array.sorted_indices
    order = range(sizes[0]) if order is None else (int(i) for i in order)
    found = (sizes, tuple(order))
    if not inputs.layout.packed or found != (inputs.widths, inputs.order):
        raise ShapeError(
            f"expected {name} packed as x is, with batch_sizes {inputs.widths} and "
            f"sorted_indices {inputs.order}, got {found[0]} and {found[1]}"
        )


def _as_floats(name: str, exact: Exact) -> npt.NDArray[np.float64]:
    if exact.dtype == object:
        raise SourceError(
            f"{name} holds numbers that are not binary floating point; give what the "
            "subject returned"
        )
    return exact


def _given_format(outputs: Any, dtype: Any) -> FloatFormat:
    if dtype is not None:
        try:
            return find_format(dtype)
        except ValueError as error:
            raise SourceError(str(error)) from None
    found = {float_format(numbers_of(array)) for array in flatten(outputs)}
    name = found.pop() if len(found) == 1 else None
    if name is None:
        raise SourceError(
            "the outputs have no float format in common; say with dtype= which one "
            "they were computed in, such as dtype='float32' (several results are a "
            "tuple, a list holds numbers)"
        )
    return find_format(name)


def _finer_inputs(inputs: Inputs, target: FloatFormat) -> Iterator[str]:
    if round_inputs(inputs, target)[1]:
        yield (
            f"x or hx holds numbers that are not {target.name}; the outputs are judged "
            "for x and hx exactly as given, so round them first if the subject did"
        )


def _foreign(
    values: dict[str, npt.NDArray[np.float64]], target: FloatFormat
) -> Iterator[str]:
    for name, array in values.items():
        same = (round_array(array, target) == array) | np.isnan(array)
        count = int(np.count_nonzero(~same))
        if count:
            yield f"{name}: {count} of {array.size} numbers are not {target.name}"


def run_emulated(
    net: Network,
    x: Any,
    hx: Any,
    lengths: Any,
    format: str | FloatFormat,
    schedule: Schedule | str | None = None,
) -> Subject:
    """Run a network in a format, every operation correctly rounded.

    Args:
        net: The network. Its parameters are rounded to the format first, as `x` and `hx`
            are; errors of results are against the exact values for all of them as given.
        x: See `symrnn.audit`.
        hx: Likewise.
        lengths: Likewise.
        format: See `symrnn.kernels.find_emulated_format`.
        schedule: See `symrnn.kernels.emulate`.

    Raises:
        SourceError: There is no such format or schedule.
        ShapeError: Shapes do not fit.
    """
    try:
        target = find_emulated_format(format)
        given = read_inputs(net, x, hx, lengths=lengths)
        if net.first_non_finite() or given.first_non_finite():
            raise SourceError("a network is emulated with finite numbers only")
        if isinstance(schedule, str):
            schedule = find_schedule(schedule, net.cell)
        inputs, notes = round_inputs(given, target)
        inputs_rounded = bool(notes)
        rounded, changed = round_network(net, target)
        results = [
            _results(part, _first_states(inputs, part), target, schedule)
            for part in _cut_offs(rounded)
        ]
    except ValueError as error:
        raise SourceError(str(error)) from None
    if changed:
        notes = (
            f"{changed} parameters were rounded to {target.name} before the run; errors of "
            "results include that, the bounds of single steps do not",
            *notes,
        )
    *inner, last = results
    return Subject(
        name=f"emulated in {target.name}",
        net=rounded,
        inputs=inputs,
        original=(net, given),
        format=target,
        values=last,
        inner=tuple(values[next(iter(values))] for values in inner),
        environment=Environment(
            symrnn=__version__, python=platform.python_version(), dtype=target.name
        ),
        notes=notes,
        rounded=inputs_rounded,
        accumulate=schedule.accumulation(target) if schedule else None,
    )


def round_network(net: Network, target: FloatFormat) -> tuple[Network, int]:
    """Return a network with parameters rounded once, and how many that changed.

    >>> import symrnn
    >>> from symrnn.numerics.formats import FORMATS
    >>> net = symrnn.load({"weight_ih_l0": [["1/3"]], "weight_hh_l0": [[1]]}, cell="rnn_tanh")
    >>> rounded, changed = round_network(net, FORMATS["bfloat16"])
    >>> rounded.parameters[0, "forward"]["W_ih"].item(), changed
    (0.333984375, 1)
    """
    rounded = {
        position: {name: round_array(values, target) for name, values in arrays.items()}
        for position, arrays in net.parameters.items()
    }
    changed = sum(
        int(np.count_nonzero(values != rounded[position][name]))
        for position, arrays in net.parameters.items()
        for name, values in arrays.items()
    )
    return replace(net, parameters=rounded, dtype=target.name), changed


def _cut_offs(net: Network) -> list[Network]:
    """Return the network cut off after each layer."""
    return [
        replace(
            net,
            parameters={p: a for p, a in net.parameters.items() if p.layer <= layer},
        )
        for layer in range(net.num_layers)
    ]


def _first_states(inputs: Inputs, net: Network) -> Inputs:
    if inputs.states is None:
        return inputs
    rows = len(net.positions)
    states = {name: values[:rows] for name, values in inputs.states.items()}
    return replace(inputs, states=states)


def _results(
    net: Network, inputs: Inputs, target: FloatFormat, schedule: Schedule | str | None
) -> dict[str, npt.NDArray[np.float64]]:
    output, states = emulate(net, inputs, target, schedule)
    arrays = states if net.single_step else (output, *states)
    return dict(zip(result_names(net), arrays, strict=True))


Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What is known of the states of one subject.

    Attributes:
        outputs: The first state at every step, by (layer, direction): (time, batch,
            size); what lies beyond a sequence's length means nothing. Layers that the
            results do not show are missing.
        finals: Last states, by (layer, direction) and state: (batch, size).
    """

    outputs: Mapping[Position, Floats]
    finals: Mapping[tuple[Position, str], Floats]


def observe(
    net: Network,
    inputs: Inputs,
    values: Mapping[str, Floats],
    inner: Sequence[Floats] = (),
) -> Observed:
    """Read states off results in torch's shapes.

    Args:
        net: The network.
        inputs: What it was run on.
        values: ``output``, ``h_n``, …, or ``h``, ``c`` of a single step.
        inner: Outputs of the layers below the last, as far as they are known.

    >>> import symrnn, numpy as np
    >>> from symrnn.networks.inputs import read_inputs
    >>> net = symrnn.load({"weight_ih_l0": [[1]], "weight_hh_l0": [[1]]}, cell="rnn_tanh")
    >>> inputs = read_inputs(net, [[3], [4]])
    >>> observe(net, inputs, {"output": np.ones((2, 1))}).outputs[0, "forward"].shape
    (2, 1, 1)
    """
    states = result_states(net)
    first = next(iter(states))
    outputs: dict[Position, Floats] = {}
    finals: dict[tuple[Position, str], Floats] = {}
    shown = [(net.num_layers - 1, values[first])] if first in values else []
    for layer, array in [*enumerate(inner), *shown]:
        steps = _steps_first(inputs, array)
        parts = np.split(steps, len(net.directions), axis=2)
        outputs |= zip(net.layer(layer), parts, strict=True)
    for name, array in values.items():
        if name != first:
            state = states[name]
            size = net.state_sizes[state]
            rows = array.reshape(len(net.positions), inputs.batch, size)
            finals |= {(p, state): r for p, r in zip(net.positions, rows, strict=True)}
    return Observed(outputs=outputs, finals=finals)


def count_padding(inputs: Inputs, values: Mapping[str, Floats]) -> int:
    """Return how many numbers beyond a sequence's length are not 0, as they should be.

    >>> import symrnn, numpy as np
    >>> from symrnn.networks.inputs import read_inputs
    >>> net = symrnn.load({"weight_ih_l0": [[1]], "weight_hh_l0": [[1]]}, cell="rnn_tanh")
    >>> inputs = read_inputs(net, np.ones((3, 2, 1)), lengths=[3, 1])
    >>> count_padding(inputs, {"output": np.ones((3, 2, 1))})
    2
    """
    if "output" not in values or inputs.layout.packed:
        return 0
    steps = _steps_first(inputs, values["output"])
    return sum(
        int(np.count_nonzero(steps[n:, b])) for b, n in enumerate(inputs.lengths)
    )


def _steps_first(inputs: Inputs, array: Floats) -> Floats:
    """Bring an output in torch's shape to (time, batch, features)."""
    layout = inputs.layout
    if layout.packed:
        steps = np.full((len(inputs.widths), inputs.batch, array.shape[-1]), np.nan)
        start = 0
        for t, width in enumerate(inputs.widths):
            steps[t, list(inputs.order[:width])] = array[start : start + width]
            start += width
        return steps
    if layout.single_step:
        array = array[np.newaxis]
    if not layout.batched:
        return array[:, np.newaxis]
    swapped = layout.batch_first and not layout.single_step
    return array.swapaxes(0, 1) if swapped else array
