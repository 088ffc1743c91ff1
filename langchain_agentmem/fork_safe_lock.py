"""Provides a lock that survives `fork`, which copies held locks but no thread that would release them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakSet


class ForkSafeLock:
    """Locks re-entrantly; a forked child finds it free, whichever thread of its parent held it.

    What it guards may be half done in the child. So guard what a single assignment completes, or what
    the child does over again.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _locks.add(self)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock in a `with` block."""
        lock = self._lock  # the block may fork: what it has taken is what it gives back
        with lock:
            yield

    def _renew(self) -> None:
        self._lock = threading.RLock()


_locks: WeakSet[ForkSafeLock] = WeakSet()


def _renew_all() -> None:
    for lock in _locks:
        lock._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
