"""`agentmem mcp` as a client starts it, over standard input and output."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from integration_tests.cli.conftest import NO_MODEL, agentmem, environment
from integration_tests.mcp_server.clients import COMMAND, over_stdio
from integration_tests.upstash.emulator import Emulator
from langchain_agentmem.agent_memory import AgentMemory

_INITIALIZE = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


async def test_what_one_conversation_remembers_another_recalls(url: str) -> None:
    async with over_stdio(url, "--user", "ada") as client:
        (lisbon, _) = await client.remember("Ana lives in Lisbon", "Ana is allergic to nuts")
        assert await client.recall("where does Ana live") == [
            "Ana lives in Lisbon",
            "Ana is allergic to nuts",
        ]
        done = await client.call("remember", texts=["Ana lives in Porto"], replaces=lisbon)
        assert done["results"][0]["replaced"] == lisbon
    async with over_stdio(url, "--user", "ada") as client:
        assert "Ana lives in Porto" in await client.recall("where does Ana live")
        listed = (await client.call("list_memories", kind="semantic"))["memories"]
        assert [one["text"] for one in listed] == ["Ana lives in Porto", "Ana is allergic to nuts"]
        assert await client.call("update_memory", memory_id=listed[1]["id"], text="Ana eats nuts")
        assert await client.call("forget", memory_id=listed[0]["id"]) == {"id": listed[0]["id"]}
        assert await client.recall("what Ana eats") == ["Ana eats nuts"]
        assert "There is no memory" in await client.refusal("forget", memory_id=listed[0]["id"])


async def test_pages_bring_every_memory_once(url: str) -> None:
    async with over_stdio(url, "--user", "ada") as client:
        stored = await client.remember(*(f"fact number {n}" for n in range(7)))
        seen: list[str] = []
        cursor: str | None = None
        while True:
            page = await client.call("list_memories", limit=3, cursor=cursor)
            seen += [one["id"] for one in page["memories"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
    assert sorted(seen) == sorted(stored)


async def test_the_newest_of_the_profile_are_told(url: str) -> None:
    async with AgentMemory(url) as memory:
        for number in range(105):
            fact = f"Ada's number is {number}."
            await memory.long_term.aremember(fact, user="ada", kind="profile", deduplicate=False)
    async with over_stdio(url, "--user", "ada") as client:
        for told in (
            (await client.call("memory_prompt", query="cats", k=1))["result"],
            await client.resource("agentmem://profile"),
        ):
            lines = told.partition("Profile:\n")[2].splitlines()[:100]
            assert [line.partition(" is ")[2] for line in lines] == [f"{number}." for number in range(5, 105)]


async def test_conversations_of_the_user_are_read_and_nobody_elses(url: str) -> None:
    async with AgentMemory(url) as memory:
        for user, thread in (("ada", "t/1 ü"), ("bob", "t2"), ("default", "t3")):
            await memory.working.astart(thread, user=user, goal=f"goal of {user}")
            await memory.working.aappend_turn(thread, "user", f"I am {user}", user=user)
    async with over_stdio(url, "--user", "ada") as client:
        (line,) = (await client.call("list_sessions"))["sessions"]
        assert (line["id"], line["title"], line["message_count"]) == ("t/1 ü", "goal of ada", 1)
        found = await client.call("get_session", session_id="t/1 ü")
        assert [one["text"] for one in found["messages"]] == ["I am ada"]
        assert json.loads(await client.resource("agentmem://sessions/t%2F1%20%C3%BC")) == found
        (listed,) = json.loads(await client.resource("agentmem://sessions"))["sessions"]
        assert listed["id"] == line["id"]
        for other in ("t2", "t3", "nothing"):
            said = await client.refusal("get_session", session_id=other)
            assert (
                said == f"There is no conversation {other} of this user; list_sessions names those there are."
            )


async def test_notes_are_added_at_the_same_time_and_all_are_kept(url: str) -> None:
    async with AgentMemory(url) as memory:
        await memory.working.astart("of bob", user="bob")
    async with over_stdio(url, "--user", "ada") as client:
        notes = [f"note {n}" for n in range(8)]
        await asyncio.gather(*(client.call("add_note", session_id="t1", text=note) for note in notes))
        kept = (await client.call("get_session", session_id="t1"))["notes"]
        assert all(note in kept for note in notes)
        assert "Use another one" in await client.refusal("add_note", session_id="of bob", text="x")


async def test_a_namespace_divides_a_users_memories(url: str) -> None:
    async with over_stdio(url, "--user", "ada", "--namespace", "work") as work:
        (at_work,) = await work.remember("Ana leads a team")
    async with over_stdio(url, "--user", "ada") as client:
        assert await client.recall("what does Ana lead") == []
        assert "There is no memory" in await client.refusal("forget", memory_id=at_work)


async def test_a_server_that_only_reads_offers_nothing_that_writes(url: str) -> None:
    async with over_stdio(url, "--user", "ada", "--read-only") as client:
        assert await client.tools() == {
            *("recall", "memory_prompt", "list_memories", "list_sessions", "get_session")
        }
        assert "only read" in await client.refusal("remember", texts=["x"])
    assert agentmem("memories", "--user", "ada", "--json", url=url).stdout == "[]\n"


async def times_of_calls(url: str) -> list[float]:
    async with over_stdio(url, "--user", "ada", stubs=False) as client:
        await client.tools()  # else the client asks for their schemas first
        took = []
        for number in range(8):
            began = time.perf_counter()
            await client.recall(f"what is known about number {number}")
            took.append(time.perf_counter() - began)
    return took


async def test_the_first_call_takes_no_longer_than_the_next(url: str) -> None:
    """In one of three tries: another process may take the processor meanwhile."""
    tries = []
    for _ in range(3):
        first, *others = await times_of_calls(url)
        tries.append((first, statistics.median(others)))
        if first < 2 * tries[-1][1] + 0.02:  # without a first call of its own, 60 ms more
            return
    raise AssertionError(tries)


def lines_of(messages: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps({"jsonrpc": "2.0", **one}).encode() + b"\n" for one in messages)


def started(url: str, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, *COMMAND, "--user", "ada", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(url, stubs=True, **more),
    )


def complaints(said: bytes) -> list[bytes]:
    """What a server said on standard error, besides what takes it so long."""
    return [line for line in said.splitlines() if not line.endswith("…".encode())]


def greeted(process: subprocess.Popen[bytes]) -> None:
    """Wait until a server has answered the first request."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(lines_of([{"id": 1, "method": "initialize", "params": _INITIALIZE}]))
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["result"]["serverInfo"]["name"] == "agentmem"


def test_standard_output_carries_the_protocol_alone(url: str, tmp_path: Path) -> None:
    """Whatever a library prints, or a process that it starts."""
    (tmp_path / "sitecustomize.py").write_text(
        "import langchain_agentmem.core.redaction as one\n"
        "import os\n"
        "def noisy(text, quiet=one.redact_secrets):\n"
        "    print('printed')\n"
        "    os.system('echo echoed; cat')\n"
        "    return quiet(text)\n"
        "one.redact_secrets = noisy\n"
    )
    paths = os.pathsep.join([str(tmp_path), environment(url, stubs=True)["PYTHONPATH"]])
    process = started(url, PYTHONPATH=paths)
    greeted(process)
    call = {"name": "get_session", "arguments": {"session_id": ""}}
    requests = [{"method": "notifications/initialized"}, {"id": 2, "method": "tools/call", "params": call}]
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(lines_of(requests))
    process.stdin.flush()
    answer = json.loads(process.stdout.readline())
    assert (answer["id"], answer["result"]["isError"]) == (2, True)
    rest, said = process.communicate(timeout=15)
    assert rest == b""
    assert b"printed" in said
    assert b"echoed" in said


def test_what_is_no_message_is_passed_over_and_not_quoted(url: str) -> None:
    process = started(url)
    assert process.stdin is not None
    process.stdin.write(b"hunter2\n\xff\n[]\n{}\n" + b"hunter2 " * 100_000 + b"\n")
    messages = [{"id": 1, "method": "initialize", "params": _INITIALIZE}]
    answered, said = process.communicate(lines_of(messages), timeout=30)
    assert [one["id"] for one in map(json.loads, answered.splitlines()) if "id" in one] == [1]
    assert process.returncode == 0
    assert b"hunter2" not in said
    assert b"Traceback" not in said


def test_it_ends_when_the_client_closes_its_end(url: str) -> None:
    process = started(url)
    greeted(process)
    rest, said = process.communicate(timeout=15)
    assert (process.returncode, rest, complaints(said)) == (0, b"", [])


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_by_a_signal_while_the_client_waits(url: str, how: signal.Signals) -> None:
    process = started(url)
    greeted(process)
    process.send_signal(how)
    assert process.wait(timeout=15) == 0
    rest, said = process.communicate()
    assert (rest, complaints(said)) == (b"", [])


def test_a_client_that_has_gone_ends_it(url: str) -> None:
    process = started(url)
    greeted(process)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.close()
    process.stdin.write(lines_of([{"id": 2, "method": "ping"}]))
    process.stdin.flush()
    assert process.wait(timeout=15) == 0
    process.stdin.close()
    assert process.stderr is not None
    with process.stderr as stream:
        assert complaints(stream.read()) == []


def test_a_store_that_cannot_be_reached_is_said_on_standard_error() -> None:
    done = agentmem("mcp", "--user", "ada", url="redis://:hunter2@127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: No connection to" in done.stderr
    assert "hunter2" not in done.stderr


async def test_two_servers_share_a_private_redis(tmp_path: Path) -> None:
    store = f"embedded://{tmp_path / 'data'}"
    async with over_stdio(store, "--user", "ada") as one, over_stdio(store, "--user", "ada") as other:
        await one.remember("Ana lives in Lisbon")
        assert await other.recall("where does Ana live") == ["Ana lives in Lisbon"]
        await other.remember("Ana has a dog")
        assert (await one.call("list_memories"))["memories"][0]["text"] == "Ana has a dog"


async def test_a_database_of_upstash_is_served(emulator: Emulator) -> None:
    """Where memories are found by words, and a session is a list."""
    more = {**NO_MODEL, "AGENTMEM_TOKEN": emulator.token}
    async with over_stdio(emulator.url, "--user", "ada", stubs=False, **more) as client:
        (lisbon,) = await client.remember("Ana lives in Lisbon")
        await client.call("add_note", session_id="t1", text="window seat")
        await wait_for(lambda: client.recall("where in Lisbon"), ["Ana lives in Lisbon"])
        block = (await client.call("memory_prompt", query="where in Lisbon"))["result"]
        assert "Ana lives in Lisbon" in block
        assert (await client.call("get_session", session_id="t1"))["notes"].endswith("window seat")
        assert [one["id"] for one in (await client.call("list_memories"))["memories"]] == [lisbon]
        assert await client.call("update_memory", memory_id=lisbon, text="Ana lives in Porto")
        assert await client.call("forget", memory_id=lisbon)


async def wait_for(ask: Callable[[], Awaitable[object]], expected: object) -> None:
    """Wait until an index that is filled in its own time has it."""
    deadline = time.monotonic() + 10
    while await ask() != expected:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_a_namespace_where_there_is_none_is_wrong_usage(emulator: Emulator) -> None:
    done = agentmem(
        "mcp", "--user", "ada", "--namespace", "work", url=emulator.url, AGENTMEM_TOKEN=emulator.token
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "no --namespace" in " ".join(done.stderr.replace("│", " ").split())
