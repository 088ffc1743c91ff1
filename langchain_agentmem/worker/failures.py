"""What is made of failures: when a task is tried again, what is said of it, what a log shows."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING

from langchain_agentmem.chain.failures import said
from langchain_agentmem.core.redaction import shorten
from langchain_agentmem.errors import (
    ConfigurationError,
    ExtractionError,
    InvalidInputError,
    StoreConnectionError,
    StoreError,
    StoreFullError,
    StoreLoadingError,
    StoreRateLimitError,
    SummaryError,
)
from langchain_agentmem.extraction.applying import note_changes
from langchain_agentmem.working.folding import folded_messages

if TYPE_CHECKING:
    from langchain_agentmem.events.event_log import EventLog
    from langchain_agentmem.tasks.task import Place
    from langchain_agentmem.worker.operations import Done

logger = logging.getLogger("langchain_agentmem")

OUTAGES = (StoreConnectionError, StoreLoadingError, StoreRateLimitError, StoreFullError)
"""What passes by itself, and is no fault of the task."""

LONGEST_BACKOFF_SECONDS = 300.0
_LONGEST_MESSAGE = 500  # characters
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (SummaryError, "summary"),
    (StoreError, "store"),
    (ConfigurationError, "configuration"),
    (InvalidInputError, "invalid"),
)


def backoff(failures: int, *, most: float = LONGEST_BACKOFF_SECONDS) -> float:
    """Return for how many seconds to wait after so many failures: 1, 2, 4 …, each up to a quarter off.

    Those that failed together do not try again together.
    """
    return min(2.0 ** min(failures - 1, 30), most) * random.uniform(0.75, 1.25)


def told(error: BaseException) -> tuple[str, str]:
    """Return the reason of a failure, in a word, and what is said of it, without secrets."""
    if isinstance(error, ExtractionError):
        reason: str = error.reason
    else:
        reason = next((name for kind, name in _REASONS if isinstance(error, kind)), "error")
    return reason, shorten(" ".join(said(error).split()), _LONGEST_MESSAGE)


class Outage:
    """Logs when the store goes away, and when it is back: a line each, however often it is tried."""

    def __init__(self) -> None:
        self._lasts = False

    def begins(self, error: StoreError) -> None:
        """Note a failure of the store."""
        if not self._lasts:
            self._lasts = True
            logger.warning("The store fails, and the worker keeps trying: %s", error)

    def ends(self) -> None:
        """Note that the store has answered."""
        if self._lasts:
            self._lasts = False
            logger.warning("The store answers again, and the worker goes on.")


def note_done(events: EventLog, place: Place, done: Done) -> None:
    """Record what became of tasks as events of their thread."""
    note_changes(events, place.thread_id, place.user, done.changes)
    if done.folded:
        events.put(place.thread_id, "summarise", folded_messages(done.folded), user=place.user)


def note_failure(events: EventLog, place: Place, message: str, attempts: int, *, set_aside: bool) -> None:
    """Record a failed attempt as an event of its thread; log it if it was the last one."""
    action = "extract_error" if place.what == "extract" else "summarise_error"
    what = f"attempt {attempts}{', set aside' if set_aside else ''}: {message}"
    events.put(place.thread_id, action, what, user=place.user)
    if set_aside:
        logger.warning(
            "A task of thread %r was set aside after %d attempt%s: %s",
            place.thread_id,
            attempts,
            "" if attempts == 1 else "s",
            message,
        )
