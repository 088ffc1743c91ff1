"""On Upstash too, names of any kind match themselves alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integration_tests.conftest import Both
from integration_tests.upstash.emulator import Emulator
from langchain_agentmem.longterm.upstash.memory import UpstashLongTermMemory
from langchain_agentmem.transport.connections import SharedConnection
from tests.strategies import scopes

PATIENT = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
LONG = "x" * 4096
NAMES = st.one_of(scopes, st.sampled_from([LONG, LONG[:-1] + "y", "a", "a:b", "a:b:c", ":", "::", "a:"]))
USERS = [
    "a",
    "a:b",
    "a:b:c",
    "A",
    "a ",
    "*",
    "?",
    "[a]",
    "\\",
    '"a"',
    "a,b",
    "{a}",
    "é",
    "e\u0301",
    "日本",
    "$",
    "\n",
]
Make = Callable[..., UpstashLongTermMemory]


@pytest.fixture
def memory(transport: SharedConnection) -> UpstashLongTermMemory:
    memory = UpstashLongTermMemory(transport=transport)
    memory.create_index()
    return memory


@PATIENT
@given(st.lists(st.tuples(NAMES, NAMES), min_size=2, max_size=4))
def test_no_scope_sees_anothers_memories(
    memory: UpstashLongTermMemory, owners: list[tuple[str, str]]
) -> None:
    memory.clear()
    ids = {(user, kind): memory.remember("tea", user=user, kind=kind).id for user, kind in owners}
    assert len(set(ids.values())) == len(ids)
    memory.wait_indexing()
    for user, kind in ids:
        mine = {one for owner, one in ids.items() if owner[0] == user}
        for asked, expected in ((kind, {ids[user, kind]}), (None, mine)):
            recalled = memory.recall("tea", user=user, kind=asked, k=100)
            assert {one.id for one in recalled} == expected
            assert {one.id for one in memory.list_memories(user=user, kind=asked)} == expected
    user, kind = owners[0]
    assert memory.clear(user=user, kind=kind) == 1
    mine = {one for owner, one in ids.items() if owner[0] == user and owner != (user, kind)}
    others = {one for owner, one in ids.items() if owner[0] != user}
    assert memory.forget_user(user) == len(mine)
    assert all(memory.get(one) for one in others)
    assert memory.clear() == len(others)


async def test_a_user_is_forgotten_exactly_and_wholly_though_nothing_is_indexed_yet(
    memory: UpstashLongTermMemory, emulator: Emulator, bare: redis.Redis, both: Both
) -> None:
    emulator.indexing_delay_seconds = 60
    for user in USERS:
        memory.remember_many(["one", "two"], user=user)
    left = 2 * len(USERS)
    for user in USERS:
        assert await both(memory).aforget_user(user) == 2
        left -= 2
        assert len(bare.keys("memory:*")) == left


async def test_many_are_forgotten_in_pages(
    memory: UpstashLongTermMemory, bare: redis.Redis, both: Both
) -> None:
    document: dict[str, Any] = {"text": "tea", "userId": "a", "kind": "fact", "createdAt": 1}
    with bare.pipeline(transaction=False) as pipe:
        for n in range(2500):
            pipe.json().set(f"memory:a:{n}", "$", document | {"kind": "event" if n % 5 else "fact"})
            pipe.json().set(f"memory:a:b:{n}", "$", document | {"userId": "a:b"})
        pipe.execute()
    assert await both(memory).aclear(user="a", kind="fact") == 500
    assert await both(memory).aforget_user("a") == 2000
    assert len(bare.keys("memory:*")) == 2500
    assert await both(memory).aclear(kind="event", namespace="default") == 0
    assert await both(memory).aclear() == 2500
