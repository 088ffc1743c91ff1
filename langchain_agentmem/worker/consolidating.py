"""Consolidation in a worker: of the users whose memories it has changed, once they are quiet."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from langchain_agentmem.worker.failures import told

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory
    from langchain_agentmem.longterm.consolidation import Consolidator
    from langchain_agentmem.worker.metrics import Tally

logger = logging.getLogger("langchain_agentmem")

QUIET_SECONDS = 60.0
"""For how long nothing of a user must have been changed: what belongs together comes in bursts."""


class Consolidating:
    """The users whose memories are to be consolidated.

    Nothing of this is stored: those of a worker that dies are consolidated when they change again.

    Args:
        memory: The memory.
        consolidator: Who judges what is near each other; `None` to merge only what says the same.
        tally: Where it is counted.
    """

    def __init__(self, memory: AgentMemory, consolidator: Consolidator | None, tally: Tally) -> None:
        self._memory, self._consolidator, self._tally = memory, consolidator, tally
        self._changed: dict[str, float] = {}

    def note(self, user: str) -> None:
        """Note that a user's memories were changed."""
        self._changed.pop(user, None)
        self._changed[user] = time.monotonic()

    def due(self, quiet_seconds: float = QUIET_SECONDS) -> list[str]:
        """Return the users that have been quiet for so long, and forget that they were changed."""
        before = time.monotonic() - quiet_seconds
        users = [user for user, changed in self._changed.items() if changed <= before]
        for user in users:
            del self._changed[user]
        return users

    async def consolidate(self, user: str) -> None:
        """Consolidate a user's memories; what fails is logged, counted, and tried when they change again."""
        op = self._memory.long_term.consolidate_op(user=user, dry_run=False, consolidator=self._consolidator)
        try:
            done = await self._memory.transport.arun(self._tally.timed(op))
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the worker
            reason, message = told(error)
            self._tally.failures[reason] += 1
            logger.warning("The memories of a user could not be consolidated: %s", message)
        else:
            self._tally.consolidated += done.merged + done.superseded
