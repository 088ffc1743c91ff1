"""An operation: what to send and how to read the answer, as a generator without I/O.

One `yield` hands a batch of commands to whoever runs the operation and receives their replies, so
one `yield` is one round trip. Drivers (`langchain_agentmem.transport`) run the same operation
synchronously and asynchronously, which is why no tier is written twice.

What a driver promises for a batch:

* one reply a command, in order; a command that the server refused has a `StoreError` *as its
  reply* (it is not raised), so that one refusal does not hide the other replies;
* strings in replies are `bytes`, whatever the client decodes; maps may come as `dict` (RESP3) or
  as flat lists (RESP2), `pairs()` reads both;
* a batch that could not be sent, or whose replies did not arrive, raises out of the driver.

A batch is not atomic: its commands run in order, others' may come between, and one that writes does
not depend on another's success.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

Argument: TypeAlias = bytes | str | int | float
Command: TypeAlias = tuple[Argument, ...]
Batch: TypeAlias = Sequence[Command]
Op: TypeAlias = Generator[Batch, list[Any], T]


def ok(reply: Any) -> Any:
    """The reply itself, or raise it if it is an error."""
    if isinstance(reply, Exception):
        raise reply
    return reply


def call(command: Command) -> Op[Any]:
    """An operation of one command; its result is the reply."""
    (reply,) = yield [command]
    return ok(reply)


def pairs(reply: Any) -> Iterator[tuple[Any, Any]]:
    """The members of a map reply, in whichever shape the protocol brought it."""
    if isinstance(reply, dict):
        return iter(reply.items())
    items = iter(reply)
    return zip(items, items, strict=True)


def text(value: Any) -> str:
    """A string reply as `str`; bytes that are not UTF-8 keep their place as U+FFFD."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def gather(ops: Iterable[Op[Any]]) -> Op[list[Any]]:
    """Run operations side by side: together they cost as many round trips as the longest of them.

    Returns:
        One entry per operation, in order: its result, or the exception it ended with, which whoever
        uses the result raises (`ok`). One operation's failure, of whatever kind, does not keep the
        others from finishing.
    """
    running = list(ops)
    results: list[Any] = [None] * len(running)
    waiting: dict[int, Batch] = {}

    def advance(index: int, replies: list[Any] | None) -> None:
        waiting.pop(index, None)
        try:
            waiting[index] = next(running[index]) if replies is None else running[index].send(replies)
        except StopIteration as stop:
            results[index] = stop.value
        except Exception as error:  # noqa: BLE001 - its result, which whoever uses it raises
            results[index] = error

    try:
        for index in range(len(running)):
            advance(index, None)
        while waiting:
            asked = dict(waiting)
            replies = yield [command for batch in asked.values() for command in batch]
            start = 0
            for index, batch in asked.items():
                stop = start + len(batch)
                advance(index, replies[start:stop])
                start = stop
        return results
    finally:
        for op in running:
            op.close()


def late(make: Callable[[], Op[T]]) -> Op[T]:
    """An operation that is made when it is run, so that what its making raises is its own failure."""
    return (yield from make())
