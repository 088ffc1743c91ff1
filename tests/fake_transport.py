"""A transport without a server: replies from a list, commands recorded, effects done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_agentmem.core.operations import Argument, Command, Op, T
from langchain_agentmem.transport.connections import Transport
from langchain_agentmem.transport.drivers import AsyncDriver, Driver, InFlightBatch


class FakeTransport(Transport):
    """Answer each batch with the next of the replies, by the package's own drivers.

    A batch for which there are no replies fails the test: without any, nothing may be sent.

    Args:
        replies: For each batch, one reply per command.
        rest: Whether to look like Upstash's REST API.

    Attributes:
        sent: The batches, in order.
        closed: Whether it was closed.
    """

    def __init__(self, *replies: Sequence[Any], rest: bool = False) -> None:
        self.rest = rest
        self.known = {}
        self.sent: list[list[Command]] = []
        self.closed = False
        self._replies = list(replies)

    @property
    def sent_args(self) -> list[list[tuple[Argument, ...]]]:
        """Return what was sent, without what commands know of themselves."""
        return [[command.args for command in batch] for batch in self.sent]

    def answer(self, in_flight: InFlightBatch) -> None:
        """Record a batch, and answer it."""
        batch = list(in_flight.left.values())
        self.sent.append(batch)
        assert self._replies, f"unexpected: {batch}"
        replies = self._replies.pop(0)
        assert len(replies) == len(batch), f"{len(replies)} replies for {batch}"
        in_flight.settle(replies)

    def _run(self, op: Op[T]) -> T:
        return _FakeDriver(self).run(op)

    async def _arun(self, op: Op[T]) -> T:
        return await _AsyncFakeDriver(self).run(op)

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True

    async def aclose(self) -> None:
        """Async version of `close`."""
        self.closed = True


class _FakeDriver(Driver):
    def __init__(self, transport: FakeTransport) -> None:
        self._transport = transport

    def _attempt(self, in_flight: InFlightBatch) -> None:
        self._transport.answer(in_flight)

    def close(self) -> None: ...


class _AsyncFakeDriver(AsyncDriver):
    def __init__(self, transport: FakeTransport) -> None:
        self._transport = transport

    async def _attempt(self, in_flight: InFlightBatch) -> None:
        self._transport.answer(in_flight)

    async def aclose(self) -> None: ...
