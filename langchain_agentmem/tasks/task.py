"""A task as it stands in its queue. It is recognised by its bytes, so they never change by themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias, get_args

from langchain_agentmem.core import json
from langchain_agentmem.core.checks import epoch_seconds, not_negative, utf8, validate_id
from langchain_agentmem.errors import InvalidInputError, StoreError

What: TypeAlias = Literal["extract", "fold"]


class Place(NamedTuple):
    """Which queue a task stands in.

    Attributes:
        what: What is to be done: `extract` memories from exchanges, or `fold` what waits in a session into
            its summary. A queue for the latter holds one task at most.
        thread_id: In which thread.
        user: For which user.
        namespace: In which namespace.
    """

    what: What
    thread_id: str
    user: str
    namespace: str

    def checked(self) -> Place:
        """Return it, if its ids are valid.

        Raises:
            InvalidInputError: One is not, or there is no such kind of task.
        """
        if self.what not in get_args(What):
            raise InvalidInputError(f"what must be {' or '.join(get_args(What))}, not {self.what!r}.")
        for name, value in zip(self._fields[1:], self[1:], strict=True):
            validate_id(name, value)
        return self


@dataclass(frozen=True, slots=True)
class Task:
    """Holds what is to be done for a thread.

    Attributes:
        id: A uuid in hexadecimal.
        ts: When it was queued, in epoch seconds.
        messages: The messages it is about, as their session stores them; none to `fold`.
        history: Texts that were said before, each with its role: `("user", "I moved.")`.
        attempts: How often it has failed.
        not_before: When it may be begun, in epoch seconds.
    """

    id: str
    ts: float
    messages: tuple[bytes, ...] = ()
    history: tuple[tuple[str, str], ...] = ()
    attempts: int = 0
    not_before: float = 0.0


class Queued(NamedTuple):
    """Holds a task and its bytes in the queue, by which it is taken off."""

    task: Task
    stored: bytes


class Signal(NamedTuple):
    """Holds what tells a worker that a queue is not empty.

    Attributes:
        id: Its id in the stream of signals.
        place: The queue.
        deliveries: How often workers have been given it; 0 if that is not known.
    """

    id: str
    place: Place
    deliveries: int = 0


@dataclass(frozen=True, slots=True)
class Taking:
    """Tasks that are to be taken off their queue, all or none; `TaskQueue.taking` makes it.

    Attributes:
        keys: The queue, its signal, and the stream of signals.
        stored: The tasks' bytes, each once.
        signal_id: The signal that the worker was given; empty if it was given none.
        group: The group of workers in which it is acknowledged; empty for none.
    """

    keys: tuple[str, str, str]
    stored: tuple[bytes, ...]
    signal_id: str = ""
    group: str = ""

    @property
    def arguments(self) -> tuple[str | bytes, ...]:
        """Return what `take_off.lua` and other scripts take besides the keys."""
        return (self.group, self.signal_id, *self.stored)


def encode(task: Task) -> bytes:
    """Return a task's bytes: a line of JSON, and the messages as they are, one after the other.

    Raises:
        InvalidInputError: A member of the task is not usable.
    """
    return _header(task) + b"".join(task.messages)


def decode(stored: bytes) -> Task:
    """Return the task of what `encode` wrote.

    Raises:
        StoreError: It is none.
    """
    try:
        line, separator, _ = stored.partition(b"\n")
        header = json.loads(line)
        messages, at = [], len(line) + len(separator)
        for size in header["sizes"]:
            messages.append(stored[at : at + not_negative("size", size)])
            at += size
        if at != len(stored):
            raise ValueError("its messages have another length than it says")
        return Task(
            id=validate_id("id", header["id"]),
            ts=epoch_seconds("ts", header["ts"]),
            messages=tuple(messages),
            history=tuple((str(role), str(said)) for role, said in header["history"]),
            attempts=not_negative("attempts", header["attempts"]),
            not_before=epoch_seconds("not_before", header["not_before"]),
        )
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise StoreError(f"What stands in a queue of tasks is none: {error}.") from error


def changed(queued: Queued, *, attempts: int, not_before: float) -> tuple[int, bytes]:
    """Return how many of a task's first bytes are replaced when it has been tried, and by what."""
    header = _header(replace(queued.task, attempts=attempts, not_before=not_before))
    return queued.stored.index(b"\n") + 1, header


def _header(task: Task) -> bytes:
    members = {
        "id": validate_id("id", task.id),
        "ts": epoch_seconds("ts", task.ts),
        "attempts": not_negative("attempts", task.attempts),
        "not_before": epoch_seconds("not_before", task.not_before),
        "history": [[_text("role", role), _text("history", said)] for role, said in task.history],
        "sizes": [len(_bytes(message)) for message in task.messages],
    }
    return json.dumps(members) + b"\n"


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        utf8(name, value)  # says what it has to be; lone surrogates, which models do emit, are fine here
    return str(value)


def _bytes(message: object) -> bytes:
    if not isinstance(message, bytes):
        raise InvalidInputError(f"A message must be bytes, not {type(message).__name__}.")
    return message
