"""A memory with everything in it, a server to move it to, and what both hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from integration_tests.conftest import forget_what_is_known
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory, EmbeddedRedis
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.tasks.queue import TaskQueue
from langchain_agentmem.tasks.task import Place, Task

USERS = ("alice", "bob", "carol, of old", "δ")


@pytest.fixture(scope="session")
def other_server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture
def other(other_server: EmbeddedRedis) -> Iterator[str]:
    """The URL of an empty server beside the one of `url`."""
    with redis.Redis.from_url(other_server.url) as client:
        client.flushall()
        forget_what_is_known(other_server.url)
        yield other_server.url


def memory_at(url: str, **options: Any) -> AgentMemory:
    return AgentMemory(url, embeddings=WordEmbeddings(), **options)


def fill(memory: AgentMemory, count: int = 6) -> None:
    """Write something of every kind, for several users."""
    for user in USERS:
        for at in range(count):
            thread = f"thread {at} of {user}"
            memory.working.append_turn(thread, "user", f"Hello {at}.", user=user)
            memory.working.append_turn(thread, "assistant", "Hello.", user=user)
            memory.events.record(thread, "order_placed", f"{at} tickets", user=user)
            memory.events.record(thread, "paid", "", user=user)
            memory.long_term.remember(f"I have {at} cats and a dog.", user=user, kind="semantic")
            memory.long_term.remember(f"Yesterday I saw {at} birds.", user=user, source_thread=thread)
        first = memory.long_term.remember(
            "I live in Lisbon.", user=user, kind="semantic", metadata={"a": 1.5}
        )
        memory.long_term.update(first.id, "I live in Porto.", user=user)  # a pointer leads to it
        memory.long_term.remember("I work in Rome.", user=user, kind="semantic", context="user: where?")
        fill_tasks(memory, user)
    store = memory.store(ttl={"default_ttl": 600}, user_of=lambda namespace: namespace[0])
    for user in USERS:
        for at in range(count):
            store.put((user, "notes"), f"note {at}", {"text": f"It has {at} pages."})
        store.put((user, "kept"), "for ever", {"n": 1}, ttl=None)


def fill_tasks(memory: AgentMemory, user: str) -> None:
    queue = TaskQueue(Keys())
    place = Place("extract", f"thread 0 of {user}", user, "default")
    for at in range(3):
        queued = memory.transport.run(queue.enqueue_op(place, Task(f"{at}", 1.5, (b'{"content":"hi"}',))))
    failing = queue.fail_op(place, queued, reason="failed", message="no", not_before=0, set_aside=True)
    memory.transport.run(failing)


def contents(client: redis.Redis, *, signals: bool = True) -> dict[bytes, Any]:
    """All that a server holds, and when it expires; without what belongs to an index or to a move."""
    found: dict[bytes, Any] = {}
    for key in client.scan_iter(count=1000):
        if key.startswith((b"agentmem:idx", b"agentmem:store", b"agentmem:move:")):
            continue
        if not signals and (key.endswith((b":signal", b"tasks:stream"))):
            continue
        kind = client.type(key)
        read = {
            b"hash": client.hgetall,
            b"string": client.get,
            b"list": lambda one: client.lrange(one, 0, -1),
            b"zset": lambda one: client.zrange(one, 0, -1, withscores=True),
            b"stream": client.xrange,
        }
        value = read[kind](key) if kind in read else client.execute_command("JSON.GET", key)
        found[key] = (kind, client.pexpiretime(key), value)
    return found
