"""The streams beside the queues, as they are read: signals, and tasks that are set aside."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from langchain_agentmem.core.operations import pairs, text
from langchain_agentmem.errors import AgentMemoryError, InvalidInputError, StoreError
from langchain_agentmem.tasks.task import Place, Signal, Task, What, decode

logger = logging.getLogger("langchain_agentmem")


@dataclass(frozen=True, slots=True)
class FailedTask:
    """A task that was set aside, because it failed too often.

    Attributes:
        id: Its id among those that are set aside.
        place: The queue that it was in.
        task: The task, as it is when it is replayed; `None` if it cannot be read.
        reason: Why it failed, in one word.
        message: What the last error said.
        attempts: How often it was tried.
        ts: When it was set aside, in epoch seconds.
    """

    id: str
    place: Place
    task: Task | None
    reason: str
    message: str
    attempts: int
    ts: float


def signals(entries: Iterable[Any], unreadable: list[str], *, deliveries: int = 0) -> Iterator[Signal]:
    """Yield signals, and log those that are none.

    Args:
        entries: Entries of the stream.
        unreadable: Where the ids of those are put that are no signals.
        deliveries: How often they have been given to workers.
    """
    for entry in entries:
        if entry is None or entry[1] is None:  # deleted, while a worker had it in hand
            continue
        try:
            place = _place(dict(pairs(entry[1])))
        except AgentMemoryError as error:
            logger.warning("An entry of the stream of tasks is none, and is passed over: %s", error)
            unreadable.append(text(entry[0]))
        else:
            yield Signal(text(entry[0]), place, deliveries)


def failed(entries: Iterable[Any]) -> Iterator[FailedTask]:
    """Yield tasks that are set aside, and log those that are none."""
    for entry in entries:
        entry_id, fields = text(entry[0]), dict(pairs(entry[1]))
        try:
            place = _place(fields)
        except AgentMemoryError as error:
            logger.warning("An entry of the stream of failed tasks is none, and is passed over: %s", error)
            continue
        attempts = fields.get(b"attempts", b"0")
        yield FailedTask(
            entry_id,
            place,
            _task(fields.get(b"task", b"")),
            text(fields.get(b"reason", b"")),
            text(fields.get(b"message", b"")),
            int(attempts) if attempts.isdigit() else 0,
            int(entry_id.partition("-")[0]) / 1000,
        )


def _place(fields: dict[bytes, bytes]) -> Place:
    try:
        what, *ids = (fields[name.encode()].decode() for name in ("what", "thread", "user", "namespace"))
    except (KeyError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"Its fields are not those of a task: {error}.") from error
    thread_id, user, namespace = ids
    return Place(cast("What", what), thread_id, user, namespace).checked()


def _task(stored: bytes) -> Task | None:
    try:
        return decode(stored)
    except StoreError:
        return None
