"""The rows: what is timed, what prepares it, and what undoes it. Runs in a library's process."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from integration_tests.benchmarks.peers.libraries.library import Library, NotOfferedError
from integration_tests.benchmarks.peers.material import TOPIC_SIZE, Material, conversation, exchange, fact

USER = "bench"
WINDOW = 20
FOUND = 5
PER_USER = 100
TOPICS_PER_USER = PER_USER // TOPIC_SIZE


class WrongResultError(Exception):
    """What was timed did not do its work; the message says what it did."""


@dataclass(frozen=True)
class Job:
    """Something to be timed.

    Attributes:
        run: Does it; takes a number, so that every library has the same input in a round.
        undo: Takes the result, and puts things back.
        check: Raises if the result is not what was asked for.
    """

    run: Callable[[int], Any]
    undo: Callable[[Any], object] | None = None
    check: Callable[[Any], object] = lambda result: None


def timed(job: Job, first: int, rounds: int) -> list[float]:
    """Return the seconds of each round. Python's garbage is collected between bursts, as `timeit` does."""
    taken = []
    gc.collect()
    gc.disable()
    try:
        for number in range(first, first + rounds):
            began = time.perf_counter()
            result = job.run(number)
            taken.append(time.perf_counter() - began)
            job.check(result)
            if job.undo is not None:
                job.undo(result)
    finally:
        gc.enable()
    return taken


def append(library: Library, material: Material) -> Job:
    """Append an exchange to a session that begins with 20 messages."""
    filled(library, "append", WINDOW)
    return Job(lambda at: library.append("append", exchange(at)))


def read(library: Library, material: Material) -> Job:
    """Read 20 messages."""
    filled(library, "read", WINDOW)
    return Job(lambda at: library.read("read", WINDOW), check=lambda found: _counted(found, WINDOW))


def recall(library: Library, material: Material) -> Job:
    """Recall 5 of the memories that are loaded, by vectors."""
    if not library.by_vectors:
        raise NotOfferedError("searches words too: see the next row")
    return Job(
        lambda at: library.recall(USER, material.new(at), FOUND), check=lambda found: _counted(found, FOUND)
    )


def recall_by_default(library: Library, material: Material) -> Job:
    """Recall the library's own way."""
    return Job(
        lambda at: library.recall_by_default(USER, material.new(at), FOUND),
        check=lambda found: _counted(found, FOUND),
    )


def remember(library: Library, material: Material) -> Job:
    """Remember a new fact; it is forgotten again."""
    return Job(
        lambda at: library.remember(USER, material.new(at)),
        lambda remembered: library.forget(USER, remembered),
    )


def turn(library: Library, material: Material) -> Job:
    """Read, recall, append and remember."""
    filled(library, "turn", WINDOW)

    def check(turned: Any) -> None:
        _counted(turned[0], WINDOW)
        _counted(turned[1], FOUND)

    return Job(
        lambda at: library.turn("turn", USER, exchange(at), material.new(at), FOUND),
        lambda turned: library.forget(USER, turned[2]),
        check,
    )


ROWS: dict[str, Callable[[Library, Material], Job]] = {
    "append": append,
    "read": read,
    "recall": recall,
    "recall-default": recall_by_default,
    "remember": remember,
    "turn": turn,
}


def load(library: Library, material: Material, user: str, first: int, count: int) -> float:
    """Remember facts at once, and return the seconds it took."""
    texts = [fact(number) for number in range(first, first + count)]
    began = time.perf_counter()
    library.load(user, texts)
    return time.perf_counter() - began


def of_users(library: Library, material: Material, operation: str, users: int) -> Job:
    """Return what is timed in a store that grows: each round is another of so many users, who has 100 facts."""

    def user(at: int) -> str:
        return user_name(_stride(at, users))

    def text(at: int) -> str:
        return material.new(_stride(at, users) * TOPICS_PER_USER + at % TOPICS_PER_USER)

    if operation == "remember":
        return Job(
            lambda at: (user(at), library.remember(user(at), text(at))),
            lambda remembered: library.forget(*remembered),
        )
    return Job(
        lambda at: library.recall(user(at), text(at), FOUND), check=lambda found: _counted(found, FOUND)
    )


def user_name(number: int) -> str:
    """Return the name of a user."""
    return f"user{number}"


def _stride(at: int, users: int) -> int:
    return at * 37 % users


def of_sessions(library: Library, operation: str, messages: int, sessions: int) -> Job:
    """Return what is timed of sessions with as many messages, another one each round."""
    names = [f"{operation} {messages} {number}" for number in range(sessions)]
    for name in names:
        filled(library, name, messages)
    if operation == "append":
        return Job(lambda at: library.append(names[at % sessions], exchange(at)))
    return Job(
        lambda at: library.read(names[at % sessions], messages), check=lambda found: _counted(found, messages)
    )


def filled(library: Library, session: str, messages: int) -> None:
    """Let a session have exactly these messages."""
    library.clear(session)
    whole = conversation(messages)
    for at in range(0, len(whole), 100):
        library.append(session, whole[at : at + 100])


def _counted(found: Sequence[Any], wanted: int) -> None:
    if len(found) != wanted:
        raise WrongResultError(f"found {len(found)} instead of {wanted}")
