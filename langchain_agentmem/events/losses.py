"""How many events were not written, and one log line each time that begins."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from contextlib import suppress

logger = logging.getLogger("langchain_agentmem")

_lock = threading.RLock()  # re-entrant: a garbage collection inside may end a run, and lose its event


def _renew_lock() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


class Losses:
    """Counts events that were dropped. Thread-safe."""

    def __init__(self) -> None:
        self._events = 0
        self._reported = False

    @property
    def events(self) -> int:
        """How many events were dropped so far."""
        return self._events

    def add(self, events: int, reason: object) -> None:
        """Count dropped events, and log the first ones since a batch went well. Never raises."""
        with _lock:
            self._events += events
            first, self._reported = not self._reported, True
        if first:
            with suppress(Exception):  # of the exception's own text, or of the application's log handlers
                why = f"{type(reason).__name__}: {reason}" if isinstance(reason, BaseException) else reason
                logger.warning(
                    "Events are dropped, %d so far; further ones are only counted, until writing works: %s",
                    self._events,
                    why,
                )

    def count(self, results: Sequence[object]) -> None:
        """Take the results of a batch: an exception is an event that was refused.

        With none, events are written again, and the next drop is worth a log line.
        """
        refusals = [result for result in results if isinstance(result, Exception)]
        if refusals:
            self.add(len(refusals), refusals[0])
        else:
            self._reported = False
