# SPDX-License-Identifier: BSD-3-Clause
"""Threads that share the cores with the matrix products that each of them computes.

A product of BLAS takes all cores and waits for the slowest of them. Where there are
several groups of sequences, it is quicker to compute each group's products in the
group's own thread: another group's elementwise work then runs meanwhile.

Note [One thread a product]
    The number of BLAS's threads belongs to the process, so those who limit it are
    counted: the first limits it, the last restores it. A product may depend on the
    number of threads in its last bits; whether they are limited must therefore depend on
    the work alone, not on who does it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController

__all__ = ["count_workers", "one_thread_a_product"]

_lock = Lock()
_within: list[Any] = []  # one entry, the limiter, for each who is within


def count_workers() -> int:
    """Return the number of threads that BLAS would use, 1 where nobody can limit it.

    >>> count_workers() >= 1
    True
    """
    return max((found["num_threads"] for found in _blas().info()), default=1)


@contextmanager
def one_thread_a_product() -> Iterator[None]:
    """Let every matrix product run in the thread that asks for it; may be nested.

    >>> with one_thread_a_product():
    ...     count_workers()
    1
    """
    with _lock:
        _within.append(_within[0] if _within else _blas().limit(limits=1))
    try:
        yield
    finally:
        with _lock:
            limiter = _within.pop()
            if not _within:
                limiter.restore_original_limits()


@cache
def _blas() -> Any:
    return ThreadpoolController().select(user_api="blas")
