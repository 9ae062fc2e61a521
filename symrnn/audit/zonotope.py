# SPDX-License-Identifier: BSD-3-Clause
"""Sets of errors that keep their correlations: images of a cube under a matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from symrnn.directed import TINY, gamma

__all__ = ["SLACK", "Zonotope"]

Floats = npt.NDArray[np.float64]

SLACK = 1 + 2.0**-40
"""Above the product of the roundings of some thousand operations on numbers >= 0."""


class Zonotope:
    """The set {G ξ : |ξ| <= 1} that contains the error; see `symrnn.audit.bound`.

    Args:
        entry: Half the sides of the box that it is at first, (total × 1).
        columns: How many columns G may have.

    Attributes:
        error: E, an upper bound of the row sums of |G|, (total × 1).
    """

    def __init__(self, entry: Floats, columns: int) -> None:
        self.total = len(entry)
        self.limit = max(columns, 2 * self.total)
        self.blocks: list[Floats] = [_diagonal(entry)] if entry.any() else []
        self.error = entry

    def give_up(self) -> None:
        """From here on, nothing is known."""
        self.blocks = []
        self.error = np.full_like(self.error, np.inf)

    def advance(
        self, mid: Floats, rad: Floats, local: Floats, entering: Floats | None
    ) -> None:
        """Go one step on.

        Args:
            mid: Midpoint of the Jacobian, (total × (total + inputs)).
            rad: Its radius.
            local: δ, (total × 1).
            entering: Error of the input, (inputs × 1), if it has any.
        """
        before = self.error
        if entering is not None:
            before = np.vstack([before, entering])
        n = self.total
        moved = [mid[:, :n] @ block for block in self.blocks]
        if entering is not None:
            moved.append(mid[:, n:] * entering.T)
        # What the products above lost: γ |J||G|, whose row sums are below γ |J| E.
        count = sum(block.shape[1] for block in moved)
        lost = gamma(mid.shape[1] + 2) * (np.abs(mid) @ before)
        lost += 2 * (count + 2) * (mid.shape[1] + 1) * TINY
        fresh = (local + rad @ before + lost) * (SLACK * (1 + gamma(mid.shape[1] + 8)))
        fresh += mid.shape[1] * 2 * TINY
        self.blocks = [*moved, _diagonal(fresh)]
        self._bundle()
        self.error = _row_sums(self.blocks)
        if not np.isfinite(self.error).all():
            self.give_up()

    def _bundle(self) -> None:
        """Put a box around the older half; see Note [Old generators] there."""
        widths = [block.shape[1] for block in self.blocks]
        if sum(widths) <= self.limit:
            return
        keep, kept = len(widths), 0
        while kept + widths[keep - 1] <= self.limit // 2:
            keep -= 1
            kept += widths[keep]
        box = _diagonal(_row_sums(self.blocks[:keep]))
        self.blocks = [box, *self.blocks[keep:]]


def _diagonal(column: Floats) -> Floats:
    return np.diag(column[:, 0])


def _row_sums(blocks: Sequence[Floats]) -> Floats:
    """Return upper bounds of the row sums of absolute values."""
    count = sum(block.shape[1] for block in blocks)
    sums = sum(np.abs(block).sum(axis=1, keepdims=True) for block in blocks)
    return np.asarray(sums) * (SLACK * (1 + gamma(count + len(blocks))))
