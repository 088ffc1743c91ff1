"""Serve one client over standard input and output, which then carry nothing except the protocol."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from langchain_agentmem.mcp_server.server import ready
from langchain_agentmem.stop_signals import on_signals

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory
    from langchain_agentmem.mcp_server.sdk import Server


@contextmanager
def claimed_streams() -> Iterator[tuple[int, int]]:
    """Yield file descriptors of the client's pipes, which are nobody else's meanwhile.

    What a library or a child process prints goes to standard error, and what it reads is empty.
    """
    sys.stdout.flush()
    pipes = os.dup(0), os.dup(1)  # no child inherits these
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    try:
        yield pipes
    finally:
        sys.stdout.flush()
        for number, pipe in enumerate(pipes):
            os.dup2(pipe, number)
            # Not closed: the thread that waits for input may still read it.


async def serve_stdio(server: Server, memory: AgentMemory, pipes: tuple[int, int]) -> None:
    """Serve until the client closes its end, or a signal comes; then close the memory.

    Args:
        server: From `build_server`.
        memory: Its memory.
        pipes: From `claimed_streams`.
    """
    async with ready(memory):
        with anyio.CancelScope() as scope, on_signals(scope.cancel):
            await server.run_over(_Lines(pipes[0]), _Output(pipes[1], scope))


class _Lines:
    """Lines of a pipe, as they come.

    The SDK's own reader waits in a thread that nothing can interrupt, so a signal would not end the process.
    """

    def __init__(self, pipe: int) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[str](0)
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(pipe,), daemon=True).start()

    def _read(self, pipe: int) -> None:
        try:
            with open(pipe, encoding="utf-8", errors="replace", newline="\n", closefd=False) as lines:
                for line in lines:
                    asyncio.run_coroutine_threadsafe(self._send.send(line), self._loop).result()
            self._loop.call_soon_threadsafe(self._send.close)
        except (RuntimeError, anyio.BrokenResourceError, anyio.ClosedResourceError, asyncio.CancelledError):
            return  # nobody reads any more

    def __aiter__(self) -> _Lines:
        return self

    async def __anext__(self) -> str:
        try:
            return await self._receive.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None


class _Output:
    """Writes to a pipe; a client that has gone ends the serving."""

    def __init__(self, pipe: int, scope: anyio.CancelScope) -> None:
        self._pipe = pipe
        self._scope = scope

    async def write(self, line: str) -> None:
        await anyio.to_thread.run_sync(self._write, line.encode())

    async def flush(self) -> None:
        """Do nothing: every line is written at once."""

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._pipe, data) :]
        except OSError:
            anyio.from_thread.run_sync(self._scope.cancel)
