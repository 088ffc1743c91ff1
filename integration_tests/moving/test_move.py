"""A move from one server to another: all is there, as it was."""

from __future__ import annotations

import redis

from integration_tests.moving.conftest import USERS, contents, fill, memory_at
from langchain_agentmem import move_memory
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.tasks.queue import TaskQueue


def test_all_is_there_as_it_was(url: str, other: str) -> None:
    with memory_at(url) as memory, memory_at(other) as moved, redis.Redis.from_url(url) as bare:
        fill(memory)
        report = move_memory(url, other)
        assert report.ok
        assert (report.pending, report.kept, report.joined) == (0, 0, 0)
        assert report.passes == 2
        with redis.Redis.from_url(other) as there:
            assert contents(there, signals=False) == contents(bare, signals=False)
        for user in USERS:
            (found, *_) = moved.long_term.recall("Where do I live?", user=user, k=1)
            assert found.text == "I live in Porto."
            again = moved.long_term.remember("I live in Porto.", user=user, kind="semantic")
            assert (again.id, again.deduped) == (found.id, True)
            assert len(moved.working.list_sessions(user=user).sessions) == 6
        assert moved.transport.run(TaskQueue(Keys()).waiting_op()) == (len(USERS), len(USERS))
