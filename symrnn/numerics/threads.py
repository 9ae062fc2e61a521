# SPDX-License-Identifier: BSD-3-Clause
"""Threads that share the cores with the matrix products that each of them computes.

A product of BLAS takes all cores and waits for the slowest of them. Where there are
several groups of sequences, it is quicker to compute each group's products in the
group's own thread: another group's elementwise work then runs meanwhile.

Note [One thread a product]
    The number of BLAS's threads belongs to the process. threadpoolctl lets one thread
    change it, and ignores all others, so it is limited by who hands out the work, before
    any thread starts; processes that take part limit their own. A product may depend on
    the number of threads in its last bits; whether they are limited must therefore depend
    on the work alone, not on who does it.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

__all__ = ["count_workers", "one_thread_a_product", "require_executor"]


def require_executor(executor: Any) -> None:
    """Raise `TypeError` for what is given as an executor and is none."""
    if executor is not None and not isinstance(executor, Executor):
        raise TypeError(
            f"executor must be a concurrent.futures.Executor (got {executor!r})"
        )


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
    if count_workers() == 1:
        yield
        return
    with _blas().limit(limits=1):
        yield


@cache
def _blas() -> Any:
    return ThreadpoolController().select(user_api="blas")
