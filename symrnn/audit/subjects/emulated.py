# SPDX-License-Identifier: BSD-3-Clause
"""A subject without hardware: the network, emulated in a float format."""

from __future__ import annotations

import platform
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from symrnn import __version__
from symrnn.audit.findings import Environment
from symrnn.audit.places import result_names
from symrnn.audit.subjects.rounding import round_array, round_inputs
from symrnn.audit.subjects.subject import Subject
from symrnn.errors import SourceError
from symrnn.formats import FloatFormat, find_emulated_format
from symrnn.inputs import Inputs, read_inputs
from symrnn.network import Network
from symrnn.schedules import Schedule, emulate, find_schedule

__all__ = ["run_emulated"]


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
        format: See `symrnn.formats.find_emulated_format`.
        schedule: See `symrnn.schedules.emulate`.

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
        accumulate=schedule.accumulation(target) if schedule else None,
    )


def round_network(net: Network, target: FloatFormat) -> tuple[Network, int]:
    """Return a network with parameters rounded once, and how many that changed.

    >>> import symrnn
    >>> from symrnn.formats import FORMATS
    >>> net = symrnn.load({"weight_ih_l0": [["1/3"]], "weight_hh_l0": [[1]]}, cell="rnn_tanh")
    >>> rounded, changed = round_network(net, FORMATS["bfloat16"])
    >>> rounded.parameters[0, "forward"]["W_ih"].item(), changed
    (0.333984375, 1)
    """
    rounded = {
        place: {name: round_array(values, target) for name, values in arrays.items()}
        for place, arrays in net.parameters.items()
    }
    changed = sum(
        int(np.count_nonzero(values != rounded[place][name]))
        for place, arrays in net.parameters.items()
        for name, values in arrays.items()
    )
    return replace(net, parameters=rounded, dtype=target.name), changed


def _cut_offs(net: Network) -> list[Network]:
    """Return the network cut off after each layer."""
    return [
        replace(
            net, parameters={p: a for p, a in net.parameters.items() if p[0] <= layer}
        )
        for layer in range(net.num_layers)
    ]


def _first_states(inputs: Inputs, net: Network) -> Inputs:
    if inputs.states is None:
        return inputs
    rows = len(net.places)
    states = {name: values[:rows] for name, values in inputs.states.items()}
    return replace(inputs, states=states)


def _results(
    net: Network, inputs: Inputs, target: FloatFormat, schedule: Schedule | str | None
) -> dict[str, npt.NDArray[np.float64]]:
    output, states = emulate(net, inputs, target, schedule)
    arrays = states if net.single_step else (output, *states)
    return dict(zip(result_names(net), arrays, strict=True))
