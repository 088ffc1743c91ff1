"""From tasks to what an extractor is given: exchanges of a thread that follow each other become one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from langchain_core.messages import BaseMessage

from langchain_agentmem.core.messages import speaker_of
from langchain_agentmem.tasks.task import Queued, Task
from langchain_agentmem.working.session import UNREADABLE

if TYPE_CHECKING:
    from langchain_agentmem.working.operations import SessionOperations

MAX_EXCHANGES = 8  # that are extracted from as one: what a user says in a burst
MAX_MESSAGES = 40


def taken_together(queued: Sequence[Queued], now: float) -> list[Queued]:
    """Return the tasks that are done as one: the first, and those that can be merged with it.

    One that has failed is done alone, so that the others do not fail with it.

    Args:
        queued: A queue's tasks, oldest first.
        now: The time, in epoch seconds. The first task is due.
    """
    taken = [queued[0]]
    if queued[0].task.attempts:
        return taken
    messages = len(queued[0].task.messages)
    for one in queued[1:MAX_EXCHANGES]:
        messages += len(one.task.messages)
        if one.task.attempts or one.task.not_before > now or messages > MAX_MESSAGES:
            break
        taken.append(one)
    return taken


def is_full(queued: Sequence[Queued]) -> bool:
    """Return whether a queue holds as much as is done at once, so that there is nothing to wait for."""
    return len(queued) >= MAX_EXCHANGES or sum(len(one.task.messages) for one in queued) >= MAX_MESSAGES


class Said(NamedTuple):
    """Holds what was said in exchanges that follow each other.

    Attributes:
        messages: The messages, oldest first.
        times: When each was said, in epoch seconds.
        unreadable: How many messages could not be read, and are left out.
    """

    messages: list[BaseMessage]
    times: list[float]
    unreadable: int

    @property
    def by_user(self) -> list[str]:
        """Return the user's own words, each message by itself."""
        words = (one.text for one in self.messages if speaker_of(one) == "user")
        return [one.encode(errors="replace").decode() for one in words]  # a lone surrogate is no text


def said_in(tasks: Sequence[Task], working: SessionOperations) -> Said:
    """Return what was said in the exchanges of tasks, oldest first.

    Args:
        tasks: The tasks, oldest first.
        working: Reads messages from their stored bytes.
    """
    messages, times, unreadable = list[BaseMessage](), list[float](), 0
    for task in tasks:
        for stored in task.messages:
            try:
                message, time = working.decode(stored), working.said_at(stored) or task.ts
            except UNREADABLE:
                unreadable += 1
            else:
                messages.append(message)
                times.append(time)
    return Said(messages, times, unreadable)
