# SPDX-License-Identifier: BSD-3-Clause
"""Sets of errors that keep their correlations: images of a cube under a matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from symrnn.domains.differences import row_sums

__all__ = ["Zonotope"]

Floats = npt.NDArray[np.float64]


class Zonotope:
    """The set {G ξ : |ξ| <= 1} that contains the error; see `symrnn.audit.trajectory.bound`.

    Args:
        entry: Half the sides of the box that it is at first, (total × 1).
        columns: How many columns G may have.

    Attributes:
        error: E, an upper bound of the row sums of |G|, (total × 1).
    """

    def __init__(self, entry: Floats, columns: int) -> None:
        self.limit = max(columns, 2 * len(entry))
        self.blocks: list[Floats] = [np.diag(entry[:, 0])] if entry.any() else []
        self.error = entry

    @property
    def generators(self) -> Floats | None:
        """G in one piece, ``None`` where there is no error."""
        return np.hstack(self.blocks) if self.blocks else None

    def give_up(self) -> None:
        """From here on, nothing is known."""
        self.blocks = []
        self.error = np.full_like(self.error, np.inf)

    def become(self, blocks: Sequence[Floats], box: Floats) -> None:
        """Be the sum of the images of cubes under `blocks`, and a box."""
        self.blocks = [*blocks, np.diag(box[:, 0])]
        if sum(block.shape[1] for block in self.blocks) > self.limit:
            self._bundle()
        self.error = row_sums(self.blocks)
        if not np.isfinite(self.error).all():
            self.give_up()

    def _bundle(self) -> None:
        """Put a box around the older half of the columns; see Note [Old generators] there."""
        every = np.hstack(self.blocks)
        keep = every.shape[1] - self.limit // 2
        box = np.diag(row_sums([every[:, :keep]])[:, 0])
        self.blocks = [box, every[:, keep:]]
