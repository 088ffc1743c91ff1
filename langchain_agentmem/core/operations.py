"""Defines an operation: what to send and how to read the answer, as a generator without I/O.

One `yield` passes a batch of commands to whoever runs the operation and receives their replies, so
one `yield` is one round trip. Drivers (`langchain_agentmem.transport`) run the same operation
synchronously and asynchronously, which is why no tier is written twice.

What a driver promises for a batch:

* one reply per command, in order; a command that the server refused has a `StoreError` *as its
  reply* (it is not raised), so that one refusal does not hide the other replies;
* strings in replies are `bytes`, whatever the client decodes; maps may come as `dict` (RESP3) or
  as flat lists (RESP2), `pairs()` reads both;
* a batch that could not be sent, or whose replies did not arrive, raises out of the driver.

A batch is not atomic: its commands run in order, others' may come between, and one that writes does
not depend on another's success.

What an operation needs besides the server (the vectors of texts, say) is an `Effect`: it yields one in
place of a batch, receives what the effect results in, and what the effect raises is raised at the `yield`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

from typing_extensions import Self

T = TypeVar("T")

Argument: TypeAlias = bytes | str | int | float


class Command(NamedTuple):
    """Holds a command, and what has to be known to route it and to send it again.

    Attributes:
        args: The command's name and arguments, as they are sent.
        keys: The keys among them; empty for a command that any server may answer.
        read_only: Whether it changes nothing, and so may be repeated.
        node: The primary of a cluster that it is meant for, as `host:port`; `None` for the one that its first
            key is on, or any if it has no keys.
        by_replica: Whether a replica of that primary may answer it, which may be behind.
    """

    args: tuple[Argument, ...]
    keys: tuple[Argument, ...] = ()
    read_only: bool = False
    node: str | None = None
    by_replica: bool = False


class Effect(ABC):
    """Describes something an operation needs besides the server, done synchronously or asynchronously.

    Drivers call `run` or `arun`; operations only describe it. Effects of the same group that operations side
    by side wait for are merged, and done as one.
    """

    @property
    @abstractmethod
    def group(self) -> Hashable:
        """Return what effects that can be done together have in common."""

    @abstractmethod
    def merge(self, others: Sequence[Self]) -> tuple[Effect, Callable[[Any], list[Any]]]:
        """Return one effect in place of this and others of its group, and what splits its result for each."""

    @abstractmethod
    def run(self) -> Any:
        """Do it, and return the result."""

    @abstractmethod
    async def arun(self) -> Any:
        """Async version of `run`."""


Batch: TypeAlias = Sequence[Command]
Step: TypeAlias = Batch | Effect
Op: TypeAlias = Generator[Step, Any, T]


def reads(name: str, key: Argument, *rest: Argument) -> Command:
    """Return a command that only reads one key, which stands first."""
    return Command((name, key, *rest), (key,), True)


def writes(name: str, key: Argument, *rest: Argument) -> Command:
    """Return a command that writes one key, which stands first."""
    return Command((name, key, *rest), (key,))


def asks(*args: Argument) -> Command:
    """Return a command that only reads, and names no key."""
    return Command(args, (), True)


def ok(reply: Any) -> Any:
    """Return a reply, or raise it if it is an error."""
    if isinstance(reply, Exception):
        raise reply
    return reply


def call(command: Command) -> Op[Any]:
    """Send one command, and return its reply."""
    (reply,) = yield [command]
    return ok(reply)


def pairs(reply: Any) -> Iterator[tuple[Any, Any]]:
    """Return the members of a map reply, of either protocol."""
    if isinstance(reply, dict):
        return iter(reply.items())
    items = iter(reply)
    return zip(items, items, strict=True)


def text(value: Any) -> str:
    """Return a string reply as `str`; bytes that are not UTF-8 become U+FFFD."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def gather(ops: Iterable[Op[Any]]) -> Op[list[Any]]:
    """Run operations side by side: together they cost as many round trips as the longest of them.

    Effects that some of them wait for are done before the next batch, those of one group as one.

    Returns:
        One entry per operation, in order: its result, or the exception it ended with, which whoever
        uses the result raises (`ok`). One operation's failure, of whatever kind, does not keep the
        others from finishing.
    """
    running = list(ops)
    results: list[Any] = [None] * len(running)
    waiting: dict[int, Step] = {}

    def advance(index: int, resume: Callable[[Any], Step], value: Any) -> None:
        waiting.pop(index, None)
        try:
            waiting[index] = resume(value)
        except StopIteration as stop:
            results[index] = stop.value
        except Exception as error:  # noqa: BLE001 - its result, which whoever uses it raises
            results[index] = error

    try:
        for index, op in enumerate(running):
            advance(index, op.send, None)
        while waiting:
            while effects := {at: step for at, step in waiting.items() if isinstance(step, Effect)}:
                for indices, effect, split in _merged(effects):
                    try:
                        values = split((yield effect))
                    except Exception as error:  # noqa: BLE001 - raised in each of them
                        for index in indices:
                            advance(index, running[index].throw, error)
                    else:
                        for index, value in zip(indices, values, strict=True):
                            advance(index, running[index].send, value)
            asked: dict[int, Any] = dict(waiting)
            replies = (yield [command for batch in asked.values() for command in batch]) if asked else []
            start = 0
            for index, batch in asked.items():
                stop = start + len(batch)
                advance(index, running[index].send, replies[start:stop])
                start = stop
        return results
    finally:
        for op in running:
            op.close()


def _merged(effects: dict[int, Effect]) -> Iterator[tuple[list[int], Effect, Callable[[Any], list[Any]]]]:
    """Yield one effect per group, the operations that wait for it, and what splits its result for them."""
    groups: dict[Hashable, list[int]] = {}
    for index, effect in effects.items():
        groups.setdefault((type(effect), effect.group), []).append(index)
    for indices in groups.values():
        first, *others = (effects[index] for index in indices)
        if others:
            yield indices, *first.merge(others)
        else:
            yield indices, first, lambda result: [result]


def checked_first(op: Op[T], ask: Callable[[bool], Batch], check: Callable[[list[Any]], object]) -> Op[T]:
    """Run an operation whose batches are sent only if the replies to other commands pass a check.

    These are sent along with a batch that only reads, and cost a round trip only before a write.

    Args:
        op: The operation. It is not begun again, and nothing more of it runs if the check fails.
        ask: Called with whether the next batch only reads: once before one that does, else until there is
            nothing to ask; returns what is.
        check: Given the replies; what it raises is raised.
    """
    try:
        step = next(op)
        while True:
            if not isinstance(step, Effect):
                only_reads = all(command.read_only for command in step)
                while commands := ask(only_reads):
                    replies = yield [*commands, *(step if only_reads else ())]
                    check(replies[: len(commands)])
                    if only_reads:
                        break
                if commands:
                    step = op.send(replies[len(commands) :])
                    continue
            try:
                answer = yield step
            except Exception as error:  # noqa: BLE001 - raised in the operation
                step = op.throw(error)
            else:
                step = op.send(answer)
    except StopIteration as stop:
        result_of_op: T = stop.value
        return result_of_op
    finally:
        op.close()


def once_checked(op: Op[T], commands: Batch, check: Callable[[list[Any]], object]) -> Op[T]:
    """Run an operation as `checked_first` does, asking once."""
    left = [commands]
    return checked_first(op, lambda only_reads: left.pop() if left else [], check)


def nothing() -> Op[None]:
    """Send nothing but what is asked before it, as by `once_checked`."""
    yield []


def late(make: Callable[[], Op[T]]) -> Op[T]:
    """Build an operation lazily, so that `gather` reports build errors as its own."""
    return (yield from make())
