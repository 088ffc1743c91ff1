"""A server that stands still, or answers too slowly, costs one time-out, and is said to be late."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from integration_tests.listening import Listener
from integration_tests.transport.conftest import Open, Run, Server
from integration_tests.transport.test_failures import QUOTED, raises
from integration_tests.transport.test_sentinel import Group
from integration_tests.waiting import wait_until
from langchain_agentmem.core.operations import asks, call, reads, writes
from langchain_agentmem.errors import StoreTimeoutError
from langchain_agentmem.transport.connections import CallerSuppliedClients

SECONDS = 0.3
READ, WRITE = reads("HGET", "h", "f"), writes("INCR", "n")


@pytest.fixture(scope="module")
def stoppable(binary: Path) -> Iterator[Server]:
    with closing(Server(binary, "--unixsocket", "redis.sock")) as server:
        yield server


@contextmanager
def standing_still(*pids: int) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def urls(server: Server) -> dict[str, str]:
    return {"tcp": server.url, "unix": f"unix://{server.folder.name}/redis.sock"}


@contextmanager
def is_late() -> Iterator[None]:
    start = time.monotonic()
    with raises(StoreTimeoutError, within=SECONDS * 1.9):
        yield
    assert time.monotonic() - start > SECONDS * 0.7


@pytest.mark.parametrize("command", [READ, WRITE], ids=["read", "write"])
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("scheme", ["tcp", "unix"])
async def test_a_server_that_stands_still(
    stoppable: Server, connected: Open, run: Run, scheme: str, protocol: int, command: tuple[str, ...]
) -> None:
    url = f"{urls(stoppable)[scheme]}?protocol={protocol}"
    fresh, established = connected(url, SECONDS), connected(f"{url}&client_name=established", SECONDS)
    await run(established, call(asks("PING")))
    with standing_still(stoppable.process.pid):
        for transport in (fresh, established, established):
            with is_late():
                await run(transport, call(command))
    for transport in (fresh, established):
        assert await run(transport, call(writes("ECHO", "mine"))) == b"mine"


class Hesitant(Listener):
    """Answers each command, and takes its time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        super().__init__()

    def serve(self, near: socket.socket) -> None:
        while request := near.recv(1 << 16):
            for command in request.split(b"*")[1:]:
                if self.ended.wait(self._seconds):
                    return
                near.sendall(b"%1\r\n$5\r\nproto\r\n:3\r\n" if b"HELLO" in command else b"+OK\r\n")


@pytest.mark.parametrize("protocol", [2, 3])
async def test_a_handshake_has_one_time_limit_in_all(connected: Open, run: Run, protocol: int) -> None:
    with Hesitant(SECONDS * 0.6) as hesitant, is_late():
        await run(connected(f"{hesitant.url}?db=3&protocol={protocol}", SECONDS), call(WRITE))


async def test_a_slow_handshake_that_is_in_time_is_none_too_many(connected: Open, run: Run) -> None:
    with Hesitant(SECONDS * 0.1) as hesitant:
        transport = connected(f"{hesitant.url}?db=3&protocol=3", SECONDS * 2)
        assert await run(transport, call(WRITE)) == b"OK"
        start = time.monotonic()
        assert await run(transport, call(WRITE)) == b"OK"
        assert time.monotonic() - start < SECONDS


async def test_a_client_of_the_callers_own_has_its_own_limits(stoppable: Server) -> None:
    client = redis.asyncio.Redis(
        unix_socket_path=f"{stoppable.folder.name}/redis.sock",
        socket_timeout=SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    async with client:
        supplied = CallerSuppliedClients(async_client=client)
        with standing_still(stoppable.process.pid), is_late():
            await supplied.arun(call(WRITE))
        assert isinstance(await supplied.arun(call(WRITE)), int)


@pytest.fixture(scope="module")
def watched(binary: Path) -> Iterator[Group]:
    with ExitStack() as stack:

        def start(*options: str) -> Server:
            return stack.enter_context(closing(Server(binary, *options)))

        group = stack.enter_context(closing(Group(binary, start)))
        wait_until(group.is_watching)
        yield group


def sentinel_url(group: Group, count: int) -> str:
    hosts = ",".join([f"127.0.0.1:{group.port}"] * count)
    return f"redis+sentinel://{hosts}/mymaster/0?sentinel_password={QUOTED}"


@pytest.mark.parametrize(("count", "seconds"), [(1, SECONDS), (2, 2.0)])
async def test_sentinels_that_stand_still(
    connected: Open, run: Run, watched: Group, count: int, seconds: float
) -> None:
    """However many they are, since they are asked one after the other."""
    transport = connected(sentinel_url(watched, count), seconds)
    with standing_still(watched.process.pid), raises(StoreTimeoutError, within=seconds * 1.5):
        await run(transport, call(WRITE))
    assert isinstance(await run(transport, call(WRITE)), int)


async def test_a_primary_that_stands_still(connected: Open, run: Run, watched: Group) -> None:
    transport = connected(sentinel_url(watched, 1), SECONDS)
    with standing_still(watched.primary.process.pid), is_late():
        await run(transport, call(WRITE))
