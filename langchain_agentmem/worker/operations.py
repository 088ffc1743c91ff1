"""What a worker does for a queue: reads it, extracts from exchanges, folds what waits. No I/O.

Whatever ends in between, a task is in its queue until what it gave rise to is written, and both are one step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from langchain_agentmem.core.operations import Op, gather, ok
from langchain_agentmem.extraction.applying import extract_op
from langchain_agentmem.extraction.extractor import Exchange, Extractor
from langchain_agentmem.extraction.history import as_messages
from langchain_agentmem.extraction.known import known_op
from langchain_agentmem.longterm.changes import Change, ChangeResult
from langchain_agentmem.tasks.queue import TaskQueue
from langchain_agentmem.tasks.task import Place, Queued, Signal, What
from langchain_agentmem.worker.exchanges import MAX_EXCHANGES, said_in

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory
    from langchain_agentmem.longterm.long_term_memory import BaseLongTermMemory
    from langchain_agentmem.working.operations import SessionOperations
    from langchain_agentmem.working.working_memory import WorkingMemory

NOBODY: dict[What, str] = {
    "extract": "Exchanges wait to be extracted from, and this worker has no extractor, such as "
    "model_extractor(model): they are left to others.",
    "fold": "Messages wait to be summed up, and this worker has no summariser, such as "
    "model_summariser(model): they are left to others.",
}
"""What is said of work that a worker cannot do."""


class Look(NamedTuple):
    """Holds what was found at a queue.

    Attributes:
        left: Which of its signals are to be dealt with still; the others are acknowledged.
        queued: The first tasks in the queue, oldest first.
    """

    left: list[str]
    queued: list[Queued]


def look(tasks: TaskQueue, place: Place, signal_ids: Sequence[str], group: str) -> Op[Look]:
    """Return what is to be done at a queue. One round trip.

    A signal is at its end if the queue is empty, or has another one, which some worker is given.
    """
    ends = [tasks.done_op(group, Signal(id, place)) for id in signal_ids]
    *ended, queued = map(ok, (yield from gather([*ends, tasks.read_op(place, MAX_EXCHANGES)])))
    return Look([id for id, end in zip(signal_ids, ended, strict=True) if not end], queued)


@dataclass(frozen=True, slots=True)
class Done:
    """Holds what became of tasks.

    Attributes:
        taken: Whether they were taken off. If not, another worker has done it, or the user was forgotten, and
            nothing was written.
        changes: The changes of memories, with what became of each.
        unreadable: How many messages were left out because they could not be read.
        folded: How many messages were folded.
    """

    taken: bool
    changes: Sequence[tuple[Change, ChangeResult]] = ()
    unreadable: int = 0
    folded: int = 0


class Work:
    """The operations that do what tasks ask for.

    Args:
        memory: The memory.
        group: The group of workers in which signals are acknowledged.
        extractor: Who extracts.
        working: The conversations, with who sums up; `None` if nobody does.
    """

    def __init__(
        self,
        memory: AgentMemory,
        group: str,
        extractor: Extractor | None,
        working: WorkingMemory | None,
    ) -> None:
        self._long_term: BaseLongTermMemory = memory.long_term
        self._sessions: SessionOperations = memory.working
        self._tasks: TaskQueue = memory.tasks
        self._group = group
        self._extractor = extractor
        self._working = working

    def can(self, what: What) -> bool:
        """Return whether there is somebody to do work of a kind."""
        return (self._extractor if what == "extract" else self._working) is not None

    def do(self, place: Place, taken: Sequence[Queued], signal_id: str) -> Op[Done]:
        """Do what tasks of a queue ask for, and take them off.

        Raises:
            Exception: Whatever the extractor, the summariser, the embeddings or the store raised. The tasks
                are in their queue, unless the answer to the last step was lost.
        """
        return (
            self._extract(place, taken, signal_id)
            if place.what == "extract"
            else self._fold(place, taken, signal_id)
        )

    def _extract(self, place: Place, taken: Sequence[Queued], signal_id: str) -> Op[Done]:
        said = said_in([one.task for one in taken], self._sessions)
        taking = self._tasks.taking(place, taken, signal_id=signal_id, group=self._group)
        if not said.messages:
            return Done((yield from self._tasks.take_off_op(taking)), unreadable=said.unreadable)
        assert self._extractor is not None  # else it is left to others
        exchange = Exchange(
            user=place.user,
            messages=said.messages,
            times=said.times,
            memories=(
                yield from known_op(self._long_term, said.by_user, user=place.user, namespace=place.namespace)
            ),
            history=as_messages(taken[0].task.history),
            namespace=place.namespace,
            thread_id=place.thread_id,
        )
        made = yield from extract_op(self._extractor, exchange, self._long_term, taking)
        return Done(made is not None, made or (), said.unreadable)

    def _fold(self, place: Place, taken: Sequence[Queued], signal_id: str) -> Op[Done]:
        assert self._working is not None  # else it is left to others
        folded = 0
        while count := (yield from self._working.fold_op(place.thread_id)):
            folded += count
        taking = self._tasks.taking(place, taken, signal_id=signal_id, group=self._group)
        return Done((yield from self._tasks.take_off_op(taking)), folded=folded)
