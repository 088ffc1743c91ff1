"""Failures that an exchange passes over: logged, counted, told to `on_exchange`, and shown as an event."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from langchain_agentmem.errors import AgentMemoryError, WrongOwnerError

if TYPE_CHECKING:
    from langchain_agentmem.chain.options import ChainMemory

logger = logging.getLogger("langchain_agentmem")

# What ends an exchange without being an error.
_ENDS: dict[type[BaseException], str] = {
    GeneratorExit: "the stream was left before its end",
    asyncio.CancelledError: "the call was cancelled",
}


class Failures:
    """The failures of one exchange.

    Args:
        memory: The memory: its `on_error` decides what is passed over, its event log shows it.
        thread_id: The thread of the exchange.
        user: The user of the exchange.

    Attributes:
        noted: What was passed over so far, and why.
    """

    def __init__(self, memory: ChainMemory, thread_id: str, user: str) -> None:
        self.noted: list[str] = []
        self._memory = memory
        self._thread_id = thread_id
        self._user = user

    @contextmanager
    def tolerating(self, what: str) -> Iterator[None]:
        """Pass over a failure if `on_error` is `continue`, except that the session is another user's."""
        try:
            yield
        except WrongOwnerError:
            raise
        except Exception as error:
            if self._memory.settings.on_error == "raise":
                raise
            self.pass_over(what, error)

    @contextmanager
    def passing_over(self, what: str) -> Iterator[None]:
        """Pass over what a callback of the user's raises, whatever `on_error` is."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - what a callback raises never costs the answer
            self.pass_over(what, error)

    def pass_over(self, what: str, error: Exception) -> None:
        """Count a failure, log it, and show it."""
        self._memory.failures += 1
        self.note(what, error)

    def note(self, what: str, reason: object) -> None:
        """Log something that was passed over, and show it."""
        if isinstance(reason, Exception):
            why, line = said(reason), "%s failed in thread %r and the chain goes on: %s"
        else:
            why, line = str(reason), "%s in thread %r: %s"
        self.noted.append(f"{what}: {why}")
        logger.warning(line, what, self._thread_id, why)
        self._memory.events.put(self._thread_id, "memory_error", self.noted[-1], user=self._user)


def said(error: BaseException) -> str:
    """Return what an error says, with its kind if it is foreign; the code that makes its words may fail."""
    try:
        words = str(error)
    except Exception:  # noqa: BLE001 - any code may stand behind it
        words = "?"
    if isinstance(error, AgentMemoryError) and words:
        return words
    kind = next((told for ended, told in _ENDS.items() if isinstance(error, ended)), type(error).__name__)
    return f"{kind}: {words}" if words else kind
