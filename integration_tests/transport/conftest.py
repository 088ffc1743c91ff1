"""Redis servers of a test's own, on free ports of 127.0.0.1."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from integration_tests.listening import Proxy
from integration_tests.waiting import wait_until
from langchain_agentmem.core.operations import Op
from langchain_agentmem.embedded.binaries import find_candidates, make_runnable
from langchain_agentmem.embedded.server import EmbeddedRedis
from langchain_agentmem.transport.connections import SharedConnection, Transport


async def loop_until(predicate: Callable[[], object], seconds: float = 10.0) -> None:
    """`wait_until` that lets the event loop go on."""
    deadline = time.monotonic() + seconds
    while not predicate():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.001)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A redis-server process without modules, data or password, unless the options say otherwise."""

    def __init__(self, binary: Path, *options: str, answers: bool = True) -> None:
        self.binary = binary
        self.options = options
        self.folder = tempfile.TemporaryDirectory(prefix="am-")
        self.port = free_port()
        self.start(answers=answers)

    def start(self, *options: str, answers: bool = True) -> None:
        plain = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder.name, "--save", ""]
        if "--sentinel" not in self.options:
            plain += ["--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0"]
        command = [str(self.binary), *plain, *self.options, *options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        try:
            wait_until(self.is_up if answers else lambda: True)
        except BaseException:
            self.kill()
            raise

    def is_up(self) -> bool:
        assert self.process.poll() is None, "the server has ended"
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as probe:
            probe.sendall(b"PING\r\n")
            return probe.recv(100).startswith((b"+PONG", b"-NOAUTH"))
        return False

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self, **options: Any) -> redis.Redis:
        client: redis.Redis = redis.Redis(host="127.0.0.1", port=self.port, **options)
        return client

    def count(self, command: str) -> int:
        """How often the server ran a command."""
        with self.client() as client:
            stats: dict[str, Any] = client.info("commandstats")
        return int(stats.get(f"cmdstat_{command}", {}).get("calls", 0))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.kill()
        self.folder.cleanup()


StartServer = Callable[..., Server]


def binary_of_embedded() -> Path:
    """The `redis-server` that the private Redis runs on, too."""
    return make_runnable(find_candidates(search=True)[0]).server


@pytest.fixture(scope="session")
def binary(server: EmbeddedRedis) -> Path:
    return binary_of_embedded()


@pytest.fixture
def start_server(binary: Path) -> Iterator[StartServer]:
    with ExitStack() as stack:

        def start(*options: str, **how: Any) -> Server:
            started = Server(binary, *options, **how)
            stack.callback(started.close)
            return started

        yield start


@pytest.fixture(scope="module")
def _plain(binary: Path) -> Iterator[Server]:
    server = Server(binary)
    yield server
    server.close()


@pytest.fixture
def plain(_plain: Server) -> Server:
    """A server on TCP, one a module, empty for each test."""
    with _plain.client() as client:
        client.flushall()
        client.script_flush()
        client.config_resetstat()
    return _plain


Run = Callable[[Transport, Op[Any]], Awaitable[Any]]


async def _run(transport: Transport, op: Op[Any]) -> Any:
    return transport.run(op)


async def _arun(transport: Transport, op: Op[Any]) -> Any:
    return await transport.arun(op)


@pytest.fixture(params=[_run, _arun], ids=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs an operation on a transport, synchronously or asynchronously."""
    function: Run = request.param
    return function


Open = Callable[..., SharedConnection]


@pytest.fixture
async def connected() -> Any:
    """`SharedConnection(…)`, closed after the test."""
    opened: list[SharedConnection] = []

    def make(url: str, timeout_seconds: float = 5.0) -> SharedConnection:
        opened.append(SharedConnection(url, timeout_seconds))
        return opened[-1]

    yield make
    for connection in opened:
        await connection.aclose()


@pytest.fixture
def proxy(plain: Server) -> Iterator[Proxy]:
    with Proxy(plain.port) as proxy:
        yield proxy
