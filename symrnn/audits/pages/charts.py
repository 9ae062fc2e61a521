# SPDX-License-Identifier: BSD-3-Clause
"""Charts of a local audit as SVG trees, which a page styles.

Note [Too many steps]
    What has more steps or units than a chart has room for is drawn in groups, each by
    its largest figure: nothing that stands out can disappear. The description says so.

Note [Logarithms of 0 and infinity]
    An error of 0 is drawn on the lower edge, one that is infinite on the upper.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from symrnn.audits.findings import LayerReport
from symrnn.documents.html.tags import tag

__all__ = ["LEVELS", "bound_chart", "heat_map", "series_chart"]

Floats = npt.NDArray[np.float64]

LEVELS = (2.0**-6, 2.0**-5, 2.0**-4, 2.0**-3, 2.0**-2, 2.0**-1, 1.0)
"""Upper ends of a heat map's colours; a colour of its own is for what is above 1."""

_WIDTH, _HEIGHT = 720, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 704, 16, 216
_POINTS = 314  # two units of width each
_ROWS, _COLUMNS = 80, 157
_TICKS = 7


def series_chart(
    series: Iterable[tuple[str, Sequence[float]]], *, ident: str, title: str, unit: str
) -> Element:
    """Draw figures of each step, on a logarithmic scale.

    Args:
        series: Name and figures, which are not negative, of each line; at most four.
        ident: What the chart's ids start with.
        title: What is drawn.
        unit: Of the figures.
    """
    lines = [(name, np.asarray(values, dtype=np.float64)) for name, values in series]
    steps = max((len(values) for _, values in lines), default=0)
    across = _Steps(steps, _POINTS)
    up = _Logarithmic.over([v for _, values in lines for v in values], _BOTTOM, _TOP)
    drawn = []
    for i, (name, values) in enumerate(lines):
        shown = across.largest(values)
        path = "".join(
            f"{'L' if x else 'M'}{across.at(x):.1f} {up(value):.1f}"
            for x, value in enumerate(shown)
        )
        if len(shown) == 1:
            path += "h2"
        drawn.append(tag("path", class_=f"line s{i}", d=path))
        drawn += _key(i, name)
    return _chart(
        [*_frame(across, up, "step", unit), *drawn],
        ident=ident,
        title=title,
        text=f"{_ranges(lines, unit)} {across.remark}",
        height=_HEIGHT + 8,
    )


def bound_chart(layer: LayerReport, *, ident: str, title: str) -> Element:
    """Draw the largest bound of each step against its largest error, both in ulps."""
    errors = np.asarray(layer.error_by_step, dtype=np.float64)
    bounds = np.asarray(layer.bound_by_step, dtype=np.float64)
    chosen = _loudest(np.asarray(layer.ratio_by_step, dtype=np.float64), _POINTS)
    values = [*errors.tolist(), *bounds.tolist()]
    across = _Logarithmic.over(values, _LEFT, _RIGHT)
    up = _Logarithmic.over(values, _BOTTOM, _TOP)
    diagonal = tag(
        "line",
        class_="limit",
        **_ends(across.start, up.start, across.end, up.end),
    )
    dots = [
        tag(
            "circle",
            class_="dot beyond" if layer.ratio_by_step[t] > 1 else "dot",
            cx=round(across(errors[t]), 1),
            cy=round(up(bounds[t]), 1),
            r=2.5,
        )
        for t in chosen
    ]
    label = tag(
        "text",
        "error = bound",
        class_="small",
        x=_RIGHT - 6,
        y=_TOP + 34,
        text_anchor="end",
    )
    some = (
        "" if len(chosen) == len(errors) else f" The {len(chosen)} largest are shown."
    )
    text = (
        f"One dot for each step: its largest error, from {_span(errors)} ulps, against its "
        f"largest bound, from {_span(bounds)} ulps. Steps with a state beyond its bound are red: "
        f"{sum(r > 1 for r in layer.ratio_by_step)}.{some}"
    )
    frame = _frame(across, up, "largest error of the step, in ulps", "bound, in ulps")
    return _chart([*frame, diagonal, label, *dots], ident=ident, title=title, text=text)


def heat_map(layer: LayerReport, *, ident: str, title: str) -> Element:
    """Draw error / bound by step and unit, the worst of the batch."""
    across = _Steps(layer.ratio_map.shape[0], _COLUMNS)
    down = _Steps(layer.ratio_map.shape[1], _ROWS, start=_TOP, end=_BOTTOM, name="unit")
    cells = down.largest(across.largest(layer.ratio_map).T)
    levels = np.searchsorted(LEVELS, np.nan_to_num(cells, nan=0.0, posinf=np.inf))
    picture = tag(
        "svg",
        *(
            tag("path", class_=f"cell q{level}", d=_runs(levels == level))
            for level in np.unique(levels).tolist()
        ),
        x=_LEFT,
        y=_TOP,
        width=_RIGHT - _LEFT,
        height=_BOTTOM - _TOP,
        viewBox=f"0 0 {cells.shape[1]} {cells.shape[0]}",
        preserveAspectRatio="none",
    )
    marks = list(_mark(layer, across, down))
    beyond = int(np.count_nonzero(levels == len(LEVELS)))
    text = (
        f"Steps from left to right, units from top to bottom. The largest is "
        f"{_figure(float(np.max(cells, initial=0.0)))}; {beyond} cells are above 1, which "
        f"rounding does not explain. {across.remark} {down.remark}"
    )
    frame = [*across.axis("step"), *down.axis("unit")]
    return _chart(
        [picture, *frame, *marks, *_legend()],
        ident=ident,
        title=title,
        text=text,
        height=_HEIGHT + 40,
    )


def _mark(layer: LayerReport, across: _Steps, down: _Steps) -> Iterator[Element]:
    found = layer.first_violation
    if found is not None:
        x = across.at((found.location.step or 0) // across.size)
        y = down.at(found.location.unit // down.size)
        yield tag("circle", class_="ring", cx=round(x, 1), cy=round(y, 1), r=7)


def _legend() -> Iterator[Element]:
    """Yield a key of a heat map's colours."""
    wide = (_RIGHT - _LEFT) / (len(LEVELS) + 1)
    names = [f"to 1/{round(1 / level)}" for level in LEVELS[:-1]] + ["to 1", "above 1"]
    for i, name in enumerate(names):
        x = _LEFT + i * wide
        yield tag("rect", class_=f"cell q{i}", x=x, y=_HEIGHT + 4, width=14, height=14)
        yield tag("text", name, class_="small", x=x + 19, y=_HEIGHT + 15)


def _runs(mask: npt.NDArray[np.bool_]) -> str:
    """Return a path that covers the cells of a mask, by horizontal runs."""
    padded = np.pad(mask.astype(np.int8), ((0, 0), (1, 1)))
    change = np.diff(padded, axis=1)
    starts, ends = np.argwhere(change == 1), np.argwhere(change == -1)
    return "".join(
        f"M{x} {y}h{end - x}v1h{x - end}z"
        for (y, x), (_, end) in zip(starts.tolist(), ends.tolist(), strict=True)
    )


# --- scales -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Steps:
    """An axis of steps or units, in groups of `size`; see Note [Too many steps]."""

    count: int
    most: int
    start: float = _LEFT
    end: float = _RIGHT
    name: str = "step"

    @property
    def size(self) -> int:
        return max(1, -(-self.count // self.most))

    @property
    def groups(self) -> int:
        return -(-self.count // self.size)

    @property
    def remark(self) -> str:
        if self.size == 1:
            return ""
        return f"Each {self.size} neighbouring {self.name}s are drawn as one, by the largest."

    def largest(self, values: Floats) -> Floats:
        """Return the largest of each group along the first axis."""
        if self.size == 1:
            return values
        starts = np.arange(0, len(values), self.size)
        found: Floats = np.maximum.reduceat(values, starts, axis=0)
        return found

    def at(self, group: float) -> float:
        """Return where the middle of a group is."""
        return self.start + (self.end - self.start) * (group + 0.5) / max(
            1, self.groups
        )

    def axis(self, label: str) -> Iterator[Element]:
        """Yield some labels, and the name of the axis."""
        across = self.start == _LEFT
        for tick in range(0, self.count, _round_step(self.count)):
            place = self.at((tick + 0.5) / self.size - 0.5)
            yield _tick(place, f"{tick}", across=across)
        yield _axis_label(label, across=across)


@dataclass(frozen=True, slots=True)
class _Logarithmic:
    """A logarithmic axis from 10^low to 10^high."""

    low: int
    high: int
    start: float
    end: float

    @classmethod
    def over(cls, values: Iterable[float], start: float, end: float) -> _Logarithmic:
        logs = [math.log10(v) for v in values if 0 < v < math.inf]
        low = math.floor(min(logs, default=0.0))
        high = math.ceil(max(logs, default=1.0))
        return cls(low, max(high, low + 1), start, end)

    def __call__(self, value: float) -> float:
        if not value > 0:
            return self.start  # NaN too: nothing was judged there
        power = self.high if math.isinf(value) else math.log10(value)
        part = (min(max(power, self.low), self.high) - self.low) / (
            self.high - self.low
        )
        return self.start + (self.end - self.start) * part

    def axis(self, label: str) -> Iterator[Element]:
        """Yield lines at some powers of ten with labels, and the name of the axis."""
        every = -(-(self.high - self.low) // _TICKS)
        across = self.start == _LEFT
        for power in range(self.low, self.high + 1, every):
            place = self.start + (self.end - self.start) * (power - self.low) / (
                self.high - self.low
            )
            ends = (
                _ends(place, _TOP, place, _BOTTOM)
                if across
                else _ends(_LEFT, place, _RIGHT, place)
            )
            yield tag("line", class_="grid", **ends)
            yield _tick(place, _power(power), across=across)
        yield _axis_label(label, across=across)


def _round_step(count: int) -> int:
    """Return the smallest of 1, 2, 5, 10, 20, … that leaves few ticks."""
    steps = (int(n * 10.0**power) for power in range(19) for n in (1, 2, 5))
    return next(step for step in steps if count <= step * _TICKS)


def _ends(x1: float, y1: float, x2: float, y2: float) -> dict[str, float]:
    return {"x1": x1, "y1": y1, "x2": x2, "y2": y2}


def _power(exponent: int) -> str:
    return f"{10.0**exponent:g}" if -3 <= exponent <= 4 else f"1e{exponent}"


def _tick(place: float, text: str, *, across: bool) -> Element:
    if across:
        return tag(
            "text", text, class_="tick", x=place, y=_BOTTOM + 16, text_anchor="middle"
        )
    return tag("text", text, class_="tick", x=_LEFT - 8, y=place + 4, text_anchor="end")


def _axis_label(text: str, *, across: bool) -> Element:
    middle = (_LEFT + _RIGHT) / 2 if across else (_TOP + _BOTTOM) / 2
    if across:
        return tag(
            "text", text, class_="axis", x=middle, y=_BOTTOM + 34, text_anchor="middle"
        )
    turned = f"rotate(-90 14 {middle:g})"
    return tag(
        "text",
        text,
        class_="axis",
        x=14,
        y=middle + 4,
        text_anchor="middle",
        transform=turned,
    )


def _frame(
    across: _Steps | _Logarithmic, up: _Logarithmic, below: str, beside: str
) -> Iterator[Element]:
    yield from up.axis(beside)
    yield from across.axis(below)
    size = {"width": _RIGHT - _LEFT, "height": _BOTTOM - _TOP}
    yield tag("rect", class_="frame", x=_LEFT, y=_TOP, **size)


def _key(i: int, name: str) -> tuple[Element, Element]:
    x, y = _LEFT + 150 * i, _HEIGHT
    sample = tag("path", class_=f"line s{i}", d=f"M{x} {y}h28")
    return sample, tag("text", name, class_="small", x=x + 34, y=y + 4)


# --- words --------------------------------------------------------------------------


def _chart(
    parts: Iterable[Element],
    *,
    ident: str,
    title: str,
    text: str,
    height: int = _HEIGHT,
) -> Element:
    return tag(
        "svg",
        tag("title", title, id=f"{ident}-title"),
        tag("desc", text.strip(), id=f"{ident}-desc"),
        *parts,
        class_="chart",
        role="img",
        viewBox=f"0 0 {_WIDTH} {height}",
        aria_labelledby=f"{ident}-title {ident}-desc",
    )


def _ranges(lines: Iterable[tuple[str, Floats]], unit: str) -> str:
    return " ".join(f"{name}: from {_span(values)} {unit}." for name, values in lines)


def _span(values: Floats) -> str:
    if not values.size:
        return "none"
    return f"{_figure(float(values.min()))} to {_figure(float(values.max()))}"


def _figure(value: float) -> str:
    return f"{value:.3g}"


def _loudest(ratios: Floats, most: int) -> list[int]:
    """Return the indices of the largest, in order."""
    if len(ratios) <= most:
        return list(range(len(ratios)))
    return sorted(np.argsort(-ratios, kind="stable")[:most].tolist())
