# SPDX-License-Identifier: BSD-3-Clause
r"""How the symbols of an unrolled network are called and how they print.

Steps are numbered from 1 in print, as in textbooks: $h_1 = f(x_1, h_0)$. Layers appear as
a superscript $h_1^{(2)}$ and directions as an arrow where there is more than one of them.
A pass in reverse starts from the state after the last step, $\overleftarrow{h}_{T+1}$.
"""

from __future__ import annotations

from symrnn.language import Named
from symrnn.network import Network, Place

__all__ = ["input_at", "parameter_at", "quantity_at", "state_before"]

_ARROWS = {"forward": r"\overrightarrow", "reverse": r"\overleftarrow"}


def parameter_at(net: Network, parameter: Named, place: Place) -> Named:
    """Return a parameter of the cell as that of one layer and direction.

    >>> from sympy import latex
    >>> import symrnn
    >>> net = symrnn.load({"weight_ih_l0": [[1, 2]], "weight_hh_l0": [[0]]}, cell="rnn_relu")
    >>> latex(parameter_at(net, net.cell.parameters[0], (0, "forward")))
    'W_{ih}'
    """
    rows, columns = (int(net.sizes[place].get(n, n)) for n in parameter.shape)
    latex = _decorate(net, str(parameter.args[3].name), place)
    return Named(f"{parameter.name}{_suffix(net, place)}", rows, columns, latex)


def quantity_at(net: Network, name: str, size: int, place: Place, step: int) -> Named:
    """Return the quantity `name` at a step, numbered from 0 here and from 1 in print."""
    python, latex = f"{name}{_suffix(net, place)}_{step + 1}", f"{name}_{{{step + 1}}}"
    return Named(python, size, 1, _decorate(net, latex, place))


def state_before(net: Network, name: str, place: Place, step: int) -> Named:
    """Return the state that a step starts from: the neighbour's, or the initial one."""
    neighbour = step + 1 if place[1] == "reverse" else step - 1
    return quantity_at(net, name, net.state_sizes[name], place, neighbour)


def input_at(net: Network, layer: int, step: int) -> Named:
    """Return the input of a layer at a step; of the layers above the first, a name for it."""
    suffix, latex = f"_{step + 1}", f"x_{{{step + 1}}}"
    if layer:
        return Named(
            f"x_l{layer}{suffix}", net.output_size, 1, f"{latex}^{{({layer + 1})}}"
        )
    return Named(f"x{suffix}", net.input_size, 1, latex)


def _suffix(net: Network, place: Place) -> str:
    """Return torch's suffix, left out where there is nothing to tell apart."""
    layer, direction = place
    suffix = f"_l{layer}" if net.num_layers > 1 or net.bidirectional else ""
    return suffix + ("_reverse" if direction == "reverse" else "")


def _decorate(net: Network, latex: str, place: Place) -> str:
    layer, direction = place
    if net.bidirectional:
        base, _, subscript = latex.partition("_")
        latex = f"{_ARROWS[direction]}{{{base}}}" + (
            f"_{subscript}" if subscript else ""
        )
    return f"{latex}^{{({layer + 1})}}" if net.num_layers > 1 else latex
