"""What a trace shows can be given to redis-cli: it reads the same replies, and writes the same keys."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import redis
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda

from integration_tests.redis_cli import redis_cli
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory, Trace
from langchain_agentmem.core.operations import Op, call, reads, writes
from langchain_agentmem.embedded.server import EmbeddedRedis

Cli = Callable[[Sequence[str]], list[bytes]]
TEXT = 'I live in "Porto"\n– são João \\o/ 👨‍👩‍👧'


@pytest.fixture
def cli(server: EmbeddedRedis) -> Cli:
    """Give lines to redis-cli, each with its reply."""
    binary = redis_cli()
    if binary is None:
        pytest.skip("no redis-cli that runs is on the PATH or beside the servers found")
    parts = urlsplit(server.url)

    def typed(lines: Sequence[str]) -> list[bytes]:
        end = b"---- end of a reply"
        told = subprocess.run(
            [binary, "-s", unquote(parts.path)],
            input="".join(f'{line}\nECHO "{end.decode()}"\n' for line in lines).encode(),
            env={**os.environ, "REDISCLI_AUTH": unquote(parts.password or "")},
            capture_output=True,
            check=True,
        )
        assert told.stderr == b""
        *replies, rest = told.stdout.split(end + b"\n")
        assert (len(replies), rest) == (len(lines), b"")
        return replies

    return typed


def printed(reply: Any) -> bytes:
    """A reply as redis-cli prints it where it does not write to a terminal."""
    if isinstance(reply, dict):
        reply = [part for pair in reply.items() for part in pair]
    if isinstance(reply, list):
        return b"\n".join(map(printed, reply))
    return b"" if reply is None else reply if isinstance(reply, bytes) else str(reply).encode()


@pytest.fixture
def memory(url: str) -> Iterator[AgentMemory]:
    with AgentMemory(f"{url}&protocol=2", embeddings=WordEmbeddings()) as memory:
        yield memory


@pytest.fixture
def replies(memory: AgentMemory) -> list[Any]:
    """The replies to everything that is sent, as they come."""
    told: list[Any] = []
    run = memory.transport._run

    def noting(op: Op[Any]) -> Op[Any]:
        try:
            answer = yield next(op)
            while True:
                told.extend(answer)
                answer = yield op.send(answer)
        except StopIteration as stop:
            return stop.value

    vars(memory.transport)["_run"] = lambda op: run(noting(op))
    return told


def lines(trace: Trace) -> list[str]:
    return [command.text for trip in trace.round_trips for command in trip.commands]


def test_reads_have_the_same_replies(memory: AgentMemory, replies: list[Any], cli: Cli) -> None:
    memory.working.append_turn("t 1", "user", TEXT, user="são")
    memory.long_term.remember_many([TEXT, "the cat is called Mia"], user="são")
    memory.events.record("t 1", "said", TEXT)
    embedding = memory.long_term.embeddings.embed_query("where is Porto")  # type: ignore[union-attr]
    replies.clear()
    with memory.trace() as trace:
        memory.working.load("t 1")
        for mode in memory.long_term.modes:
            memory.long_term.recall(
                "Porto", user="são", mode=mode, embedding=embedding, distance_threshold=None
            )
        memory.long_term.list_memories(user="são")
        memory.events.recent("t 1")
        memory.transport.run(call(reads("HGETALL", "agent:session:t 1")))
    commands = [command for trip in trace.round_trips for command in trip.commands]
    assert {command.name for command in commands} >= {"HGETALL", "HMGET", "FT.SEARCH", "XREVRANGE"}
    assert sum("<" in command.short and command.reply == "2 results" for command in commands) == 2
    found = cli(lines(trace))
    expected = [printed(reply) + b"\n" for reply in replies]
    counted = [at for at, line in enumerate(lines(trace)) if line.startswith(("PTTL", "TTL"))]
    for at in sorted(counted, reverse=True):  # time goes on
        del found[at], expected[at]
    # The members of a JSON.GET come in any order.
    assert [sorted(line) if b"$" in line else line for line in found] == [
        sorted(line) if b"$" in line else line for line in expected
    ]


def content(client: redis.Redis) -> dict[bytes, Any]:
    """What is in the database, without times and ids of streams."""
    stored: dict[bytes, Any] = {}
    for key in client.scan_iter(count=1000):
        match client.type(key):
            case b"hash":
                stored[key] = client.hgetall(key)
            case b"stream":
                stored[key] = [fields for _, fields in client.xrange(key)]
            case b"zset":
                stored[key] = client.zrange(key, 0, -1)
            case b"string":
                stored[key] = client.get(key)
            case kind:
                assert kind == b"ReJSON-RL", kind
                fields = client.json().get(key)
                assert isinstance(fields, dict)
                stored[key] = {**fields, "created_ts": None}
    for key, fields in stored.items():
        if key.startswith(b"agent:session:"):
            stored[key] = {name: value for name, value in fields.items() if not name.endswith(b"_ts")}
    return stored


def test_a_turns_writes_fill_an_emptied_database_with_the_same(
    memory: AgentMemory, bare: redis.Redis, cli: Cli
) -> None:
    chain = memory.wrap(RunnableLambda(lambda _: AIMessage("noted")), history_key="chat_history")
    with memory.trace() as trace:
        chain.invoke({"input": TEXT}, {"configurable": {"session_id": "t 1", "user_id": "são"}})
    scripts = {command.script for trip in trace.round_trips for command in trip.commands}
    assert scripts == {None, "note_thread", "write_session", "record_events", "remember"}
    written = content(bare)
    assert len(written) >= 4
    bare.flushdb()
    cli(lines(trace))
    assert content(bare) == written


def test_any_bytes_arrive_as_they_are(memory: AgentMemory, bare: redis.Redis, cli: Cli) -> None:
    every = bytes(range(256)) + "\"\\x41 'são' 👨‍👩‍👧\u202e\n".encode() + bytes(range(255, -1, -1))

    def op() -> Op[None]:
        yield [
            writes("SET", "k", every),
            writes("XADD", "agent:events:t1", "1-1", "action", every, "ts", 0.5),
            writes("HSET", every, "", every),
            reads("GET", "k"),
        ]

    with memory.trace() as trace:
        memory.transport.run(op())
    bare.flushdb()
    *_, got = cli(lines(trace))
    assert got == every + b"\n"
    assert bare.get("k") == every
    assert bare.xrange("agent:events:t1") == [(b"1-1", {b"action": every, b"ts": b"0.5"})]
    assert bare.hgetall(every) == {b"": every}
