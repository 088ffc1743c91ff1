"""`redis+sentinel://`: the primary is found, and found again after a failover."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis
from langchain_core.messages import HumanMessage

from integration_tests.transport.conftest import Open, Run, Server, StartServer, free_port
from integration_tests.transport.test_failures import QUOTED, SECRET, raises
from integration_tests.waiting import wait_until
from langchain_agentmem.core.operations import Op, asks, call, pairs
from langchain_agentmem.errors import StoreConnectionError
from langchain_agentmem.transport.connections import SharedConnection
from langchain_agentmem.working.working_memory import WorkingMemory

CONFIG = """
port {port}
bind 127.0.0.1
dir {folder}
requirepass "{password}"
sentinel monitor mymaster 127.0.0.1 {primary} 1
sentinel down-after-milliseconds mymaster 300
sentinel failover-timeout mymaster 2000
"""


class Group:
    """A primary, its replica, and one sentinel that watches them."""

    def __init__(self, binary: Path, start_server: StartServer) -> None:
        self.primary = start_server("--repl-diskless-load", "swapdb")
        self.replica = start_server("--replicaof", f"127.0.0.1 {self.primary.port}")
        # Before the sentinel starts: it asks a primary for its replicas at once, and then every ten seconds.
        with self.replica.client() as client:
            wait_until(lambda: client.info("replication")["master_link_status"] == "up")
        self.port = free_port()
        folder = Path(self.primary.folder.name)
        config = folder / "sentinel.conf"
        config.write_text(
            CONFIG.format(port=self.port, folder=folder, password=SECRET, primary=self.primary.port), "utf-8"
        )
        self.process = subprocess.Popen([binary, config, "--sentinel"], stdout=subprocess.DEVNULL)
        self.client = redis.Redis(port=self.port, password=SECRET, decode_responses=True)

    def is_watching(self) -> bool:
        with suppress(redis.ConnectionError):
            known = self.client.sentinel_slaves("mymaster")
            return [each["flags"] for each in known] == ["slave"]
        return False

    def primary_port(self) -> int:
        return int(dict(pairs(self.client.execute_command("SENTINEL", "MASTER", "mymaster")))["port"])

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:{self.port}/mymaster/0?sentinel_password={QUOTED}"

    def close(self) -> None:
        self.client.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def group(binary: Path, start_server: StartServer) -> Iterator[Group]:
    group = Group(binary, start_server)
    try:
        wait_until(group.is_watching)
        yield group
    finally:
        group.close()


def append(transport: SharedConnection, text: str) -> Op[int]:
    return WorkingMemory(transport=transport).append_op("t1", [HumanMessage(text)])


def contents(server: Server) -> list[str]:
    with WorkingMemory(server.url) as working:
        return [str(message.content) for message in working.messages("t1")]


async def test_the_primary_is_found_and_found_again(group: Group, connected: Open, run: Run) -> None:
    # The first sentinel of the two is down.
    transport = connected(group.url.replace("://", f"://127.0.0.1:{free_port()},"))
    assert await run(transport, append(transport, "a")) == 1
    assert contents(group.primary) == ["a"]
    with group.replica.client() as client:
        wait_until(lambda: client.exists("agent:session:t1"))
    group.client.execute_command("SENTINEL", "FAILOVER", "mymaster")
    wait_until(lambda: group.primary_port() == group.replica.port)
    with group.primary.client() as old:
        old.client_kill_filter(_type="normal", skipme=True)  # as the sentinel does, if only after 8 s
    assert await run(transport, append(transport, "b")) == 2
    assert contents(group.replica) == ["a", "b"]


async def test_a_killed_primary_is_replaced_meanwhile(group: Group, connected: Open, run: Run) -> None:
    transport = connected(group.url)
    assert await run(transport, append(transport, "a")) == 1
    with group.replica.client() as client:
        wait_until(lambda: client.exists("agent:session:t1"))
    group.primary.kill()
    while True:
        try:
            assert await run(transport, append(transport, "b")) == 2
            break
        except StoreConnectionError:
            pass  # the sentinel has not replaced it yet; a write that was not sent did not happen
    assert contents(group.replica) == ["a", "b"]


async def test_a_write_that_a_former_primary_refuses_goes_to_the_new_one(
    group: Group, connected: Open, run: Run
) -> None:
    transport = connected(group.url)
    await run(transport, append(transport, "a"))
    with group.replica.client() as new, group.primary.client() as old:
        wait_until(lambda: new.exists("agent:session:t1"))
        new.replicaof("NO", "ONE")
        old.replicaof("127.0.0.1", group.replica.port)  # leaves its clients connected
        group.client.sentinel_remove("mymaster")
        group.client.sentinel_monitor("mymaster", "127.0.0.1", group.replica.port, 1)
        assert await run(transport, append(transport, "b")) == 2
        assert new.hget("agent:session:t1", "turn_count") == b"2"


@pytest.mark.usefixtures("impatient")
async def test_an_unknown_service_is_named(group: Group, connected: Open, run: Run) -> None:
    transport = connected(group.url.replace("mymaster", "other"))
    with raises(StoreConnectionError, match="'other'"):
        await run(transport, append(transport, "a"))


@pytest.mark.usefixtures("impatient")
async def test_no_sentinel_answers(connected: Open, run: Run) -> None:
    transport = connected(
        f"redis+sentinel://u:{QUOTED}@127.0.0.1:{free_port()}/mymaster?sentinel_password={QUOTED}"
    )
    with raises(StoreConnectionError, match=r"'mymaster' \(.*ConnectionError"):
        await run(transport, append(transport, "a"))


def test_connections_to_sentinels_are_closed_too(group: Group) -> None:
    group.client.ping()

    def clients() -> int:
        return len(group.client.client_list(_type="normal"))

    async def use() -> None:
        async with WorkingMemory(group.url) as memory:
            await memory.aappend("t1", [HumanMessage("x")])
            memory.append("t1", [HumanMessage("y")])
            assert clients() == before + 2

    before = clients()
    asyncio.run(use())
    wait_until(lambda: clients() == before)
    with WorkingMemory(group.url) as memory:
        assert memory.transport.run(call(asks("PING"))) == b"PONG"
    wait_until(lambda: clients() == before)
