"""Every failure is one of the package's own errors, comes in time, and tells no secret."""

from __future__ import annotations

import socket
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest
import redis
from langchain_core.messages import HumanMessage
from tenacity import stop_after_delay

from integration_tests.listening import Proxy
from integration_tests.transport.conftest import Open, Run, Server, StartServer, free_port
from integration_tests.waiting import wait_until
from langchain_agentmem.core.operations import Op, asks, call, reads, writes
from langchain_agentmem.errors import (
    AgentMemoryError,
    ConfigurationError,
    StoreAuthenticationError,
    StoreConnectionError,
    StoreError,
    StoreFullError,
    StoreTimeoutError,
    WrongKeyTypeError,
)
from langchain_agentmem.transport.connections import CallerSuppliedClients, SharedConnection
from langchain_agentmem.transport.drivers import PACE
from langchain_agentmem.working.working_memory import WorkingMemory

SECRET = "s3cr3t@:/?#é"
QUOTED = quote(SECRET, safe="")


def append(transport: SharedConnection, text: str = "x") -> Op[int]:
    return WorkingMemory(transport=transport).append_op("t1", [HumanMessage(text)])


@contextmanager
def raises(kind: type[AgentMemoryError], *, within: float = 3.5, match: str | None = None) -> Iterator[None]:
    """Exactly this error, with redis-py's as its cause, in time, and without the secret anywhere."""
    start = time.monotonic()
    with pytest.raises(AgentMemoryError, match=match) as caught:
        yield
    assert time.monotonic() - start < within
    error = caught.value
    assert type(error) is kind
    assert isinstance(error.__cause__, redis.RedisError | OSError | ValueError)
    shown = "".join(traceback.format_exception(error)) + repr(error) + str(error)
    link: BaseException | None = error
    while link is not None:
        shown += repr(link) + str(link)
        link = link.__cause__ or link.__context__
    assert SECRET not in shown
    assert QUOTED not in shown


@pytest.mark.usefixtures("impatient")
async def test_nobody_listens(connected: Open, run: Run) -> None:
    transport = connected(f"redis://user:{QUOTED}@127.0.0.1:{free_port()}/0")
    with raises(StoreConnectionError, match="127.0.0.1"):
        await run(transport, append(transport))


@pytest.mark.usefixtures("impatient")
async def test_no_such_socket(connected: Open, run: Run) -> None:
    transport = connected(f"unix://:{QUOTED}@/nowhere/redis.sock?db=1")
    with raises(StoreConnectionError, match="unix:/nowhere/redis.sock"):
        await run(transport, append(transport))


@pytest.mark.usefixtures("impatient")
async def test_no_such_host(connected: Open, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    transport = connected(f"redis://:{QUOTED}@nowhere.invalid")
    with raises(StoreConnectionError, match="nowhere.invalid"):
        await run(transport, append(transport))


@pytest.mark.parametrize("query", ["?protocol=2", "?protocol=3"])
async def test_a_server_that_never_answers(connected: Open, run: Run, query: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        transport = connected(f"redis://127.0.0.1:{silent.getsockname()[1]}/0{query}", 0.3)
        with raises(StoreTimeoutError, within=1.0):
            await run(transport, append(transport))
        with raises(StoreTimeoutError, within=1.0):
            await run(transport, call(asks("PING")))  # a read is not sent again either


async def test_a_server_that_stops_answering(plain: Server, connected: Open, run: Run) -> None:
    transport = connected(plain.url, 0.3)
    await run(transport, append(transport))
    with raises(StoreTimeoutError, within=1.0):
        await run(transport, call(writes("BLPOP", "nothing", 0)))
    assert await run(transport, append(transport)) == 2


@pytest.fixture
def locked(start_server: StartServer) -> Server:
    """A server with a password, and a user that may only PING."""
    server = start_server("--requirepass", SECRET)
    with server.client(password=SECRET) as client:
        client.acl_setuser("weak", enabled=True, passwords=[f"+{SECRET}"], commands=["+ping"])
    return server


@pytest.mark.parametrize("query", ["?protocol=2", "?protocol=3"])
async def test_credentials(locked: Server, connected: Open, run: Run, query: str) -> None:
    address = f"127.0.0.1:{locked.port}/0{query}"
    right = connected(f"redis://:{QUOTED}@{address}")
    assert await run(right, append(right)) == 1
    for wrong in (f":{QUOTED}x@", f"nobody:{QUOTED}@", ""):
        transport = connected(f"redis://{wrong}{address}")
        with raises(StoreAuthenticationError, within=1.0):  # it is not tried again: that would not help
            await run(transport, append(transport))
    weak = connected(f"redis://weak:{QUOTED}@{address}")
    assert await run(weak, call(asks("PING"))) == b"PONG"
    with raises(StoreAuthenticationError, within=1.0, match="ACL"):
        await run(weak, append(weak))
    with locked.client(password=SECRET) as client:
        assert client.hget("agent:session:t1", "turn_count") == b"1"


async def test_a_full_server_writes_all_or_nothing(plain: Server, connected: Open, run: Run) -> None:
    transport = connected(plain.url)
    await run(transport, append(transport))
    with plain.client() as client:
        before = client.dump("agent:session:t1")
        client.config_set("maxmemory", 1_000_000)
        try:
            new = WorkingMemory(transport=transport).append_op("t2", [HumanMessage("x")])
            with raises(StoreFullError, match="maxmemory"):
                await run(transport, new)
            with raises(StoreFullError):
                await run(transport, append(transport))
            assert await run(transport, call(reads("HGET", "agent:session:t1", "turn_count"))) == b"1"
        finally:
            client.config_set("maxmemory", 0)
        assert client.dump("agent:session:t1") == before
        assert sorted(client.keys()) == [b"agent:session:t1", b"agent:threads:default"]
        assert client.zrangebyscore("agent:threads:default", 0, "+inf") == [b"t1"]


async def test_a_replica_is_named_as_the_reason(
    start_server: StartServer, plain: Server, connected: Open, run: Run
) -> None:
    replica = start_server("--replicaof", f"127.0.0.1 {plain.port}")
    with replica.client() as client:
        wait_until(lambda: client.info("replication")["master_link_status"] == "up")
    transport = connected(replica.url)
    with raises(StoreError, within=1.0, match="replica"):
        await run(transport, append(transport))
    assert await run(transport, call(reads("HGET", "a", "b"))) is None


async def test_a_key_of_another_type(plain: Server, connected: Open, run: Run) -> None:
    transport = connected(plain.url)
    with plain.client() as client:
        client.set("agent:session:t1", "mine")
        with raises(WrongKeyTypeError, within=1.0):
            await run(transport, append(transport))
        assert client.get("agent:session:t1") == b"mine"


async def test_a_server_that_takes_no_more_clients(
    plain: Server, connected: Open, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with plain.client() as client, plain.client() as idle:
        idle.ping()
        client.config_set("maxclients", 2)
        try:
            transport = connected(plain.url)
            with monkeypatch.context() as impatient, raises(StoreConnectionError, match="127.0.0.1"):
                impatient.setitem(PACE, "stop", stop_after_delay(0.1))
                await run(transport, append(transport))
            release = threading.Timer(0.2, idle.close)
            release.start()
            assert await run(transport, append(transport)) == 1  # it waits for the place
            release.join()
        finally:
            client.config_set("maxclients", 1000)


@pytest.mark.usefixtures("impatient")
async def test_a_pool_without_a_connection_left(plain: Server, run: Run) -> None:
    with plain.client(max_connections=1) as client:
        async with redis.asyncio.Redis(port=plain.port, max_connections=1) as async_client:
            supplied = CallerSuppliedClients(client, async_client)
            taken = client.connection_pool.get_connection()
            async_taken = await async_client.connection_pool.get_connection()
            with raises(StoreConnectionError, match=r"in use\. max_connections raises the limit"):
                await run(supplied, call(asks("PING")))
            client.connection_pool.release(taken)
            await async_client.connection_pool.release(async_taken)
            assert await run(supplied, call(asks("PING"))) == b"PONG"


async def test_a_connection_that_breaks_off_inside_a_reply(
    plain: Server, proxy: Proxy, connected: Open, run: Run
) -> None:
    transport = connected(proxy.url)
    await run(transport, call(writes("SET", "k", "value")))
    proxy.cut_reply_to, proxy.reply_bytes = b"GET", len(b"$5\r\nva")
    with raises(StoreConnectionError, within=1.0):
        await run(transport, call(writes("GET", "k")))  # no command of this package, so it may be a write
    assert await run(transport, call(writes("GET", "k"))) == b"value"


async def test_a_host_that_no_socket_takes(run: Run) -> None:
    with redis.Redis(host="a..b") as client, raises(ConfigurationError, match="a..b"):
        await run(CallerSuppliedClients(client), call(asks("PING")))


@pytest.mark.parametrize(
    ("query", "protocol", "db"),
    [
        ("", None, 0),
        ("/2", None, 2),
        ("?protocol=2", 2, 0),
        ("/1?protocol=3", 3, 1),
        ("?db=3&protocol=2", 2, 3),
    ],
)
async def test_what_a_url_asks_for(
    plain: Server, connected: Open, run: Run, query: str, protocol: int | None, db: int
) -> None:
    transport = connected(f"  redis://127.0.0.1:{plain.port}{query}\n")
    listed = (await run(transport, call(writes("CLIENT", "LIST")))).decode()
    mine = dict(
        word.split("=", 1)
        for line in listed.splitlines()
        if "cmd=client|list" in line
        for word in line.split()
    )
    assert mine["db"] == str(db)
    assert protocol is None or mine["resp"] == str(protocol)  # else it is redis-py's own choice


async def test_a_unix_socket_with_password_and_database(
    start_server: StartServer, connected: Open, run: Run
) -> None:
    server = start_server("--requirepass", SECRET, "--unixsocket", "redis.sock")
    path = f"{server.folder.name}/redis.sock"
    for url in (f"unix://:{QUOTED}@{path}?db=2", f"unix://{path}?password={QUOTED}&db=2"):
        assert await run(connected(url), call(writes("INCR", "n"))) > 0
    with server.client(password=SECRET, db=2) as client:
        assert client.get("n") == b"2"


async def test_a_server_that_stops_reading(connected: Open, run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        transport = connected(f"redis://127.0.0.1:{deaf.getsockname()[1]}/0?protocol=2", 0.5)
        accepted: list[socket.socket] = []

        def greet() -> None:
            near, _ = deaf.accept()
            near.sendall(b"+OK\r\n" * 2)  # to the name and version of the library
            accepted.append(near)

        greeter = threading.Thread(target=greet)
        greeter.start()
        with raises(StoreTimeoutError, within=2.0):
            await run(transport, call(writes("ECHO", b"x" * 20_000_000)))
        greeter.join()
        for near in accepted:
            near.close()
