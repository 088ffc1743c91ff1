"""Working memory whose turns are the list of the Flowise node, on Redis and over REST."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis
from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, ToolMessage

from integration_tests.conftest import BACKENDS_AND_CLUSTER, Both, Call, Counting, connection_to
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.partitions import partitions_on
from langchain_agentmem.errors import ConfigurationError, InvalidInputError, WrongKeyTypeError
from langchain_agentmem.transport.connections import SharedConnection
from langchain_agentmem.working.histories import RedisListChatMessageHistory
from langchain_agentmem.working.working_memory import WorkingMemory

CONVERSATION: list[BaseMessage] = [
    HumanMessage("what is it?"),
    AIMessage("", tool_calls=[{"name": "look", "args": {"at": ["é", 1.5, None]}, "id": "c1"}]),
    ToolMessage("42,\nor so", tool_call_id="c1", name="look"),
    ChatMessage("hm", role="critic"),
]


@pytest.fixture(params=BACKENDS_AND_CLUSTER)
async def transport(request: pytest.FixtureRequest, url: str) -> AsyncIterator[SharedConnection]:
    connection = connection_to(request.param, request, url)
    yield connection
    await connection.aclose()


@pytest.fixture
def working(transport: SharedConnection) -> WorkingMemory:
    return WorkingMemory(transport=transport, storage="list", ttl_seconds=None)


def record(working: WorkingMemory, user: str) -> bytes:
    """The key of a user's threads."""
    partitions = partitions_on(None, cluster=working.transport.cluster)
    return Keys(partitions=partitions).of(user).threads(user).encode()


async def test_turns_are_a_list_under_the_bare_id(
    working: WorkingMemory, bare: redis.Redis, both: Both
) -> None:
    assert await both(working).aappend("t1", CONVERSATION, user="alice") == 4
    assert await both(working).amessages("t1") == CONVERSATION
    assert bare.type("t1") == b"list"
    assert json.loads(bare.lindex("t1", -1) or b"")["data"]["content"] == "what is it?"
    assert bare.hget(working.key("t1"), "recent_turns") == b"[]"
    assert bare.ttl("t1") == bare.ttl(working.key("t1")) == -1


async def test_the_state_is_one_whole(working: WorkingMemory, both: Both) -> None:
    assert await both(working).aload("t1") is None
    await both(working).aset_goal("t1", "book a trip")
    await both(working).aappend("t1", CONVERSATION, user="alice")
    state = await both(working).aappend_turn("t1", "user", "and now?")
    assert (state.goal, state.turn_count, state.messages) == (
        "book a trip",
        5,
        [*CONVERSATION, HumanMessage("and now?")],
    )
    assert [turn.role for turn in state.recent_turns] == ["user", "assistant", "tool", "critic", "user"]
    assert await both(working).aload("t1") == state


async def test_a_list_that_others_wrote_is_a_session(
    working: WorkingMemory, transport: SharedConnection, bare: redis.Redis, both: Both
) -> None:
    RedisListChatMessageHistory("t1", 60, transport=transport).add_messages(CONVERSATION)
    state = await both(working).aload("t1")
    assert (state.thread_id, state.user, state.turn_count, state.messages) == ("t1", "", 4, CONVERSATION)
    assert 50 < state.ttl_seconds <= 60
    assert await both(working).aappend("t1", [HumanMessage("more")]) == 5
    assert RedisListChatMessageHistory("t1", transport=transport).messages == [
        *CONVERSATION,
        HumanMessage("more"),
    ]
    assert 50 < bare.ttl("t1") <= 60  # an expiry that somebody else gave stays


async def test_the_window_limits_what_is_read(
    transport: SharedConnection, bare: redis.Redis, both: Both
) -> None:
    working = WorkingMemory(transport=transport, storage="list", max_turns=2)
    await both(working).aappend("t1", CONVERSATION)
    assert await both(working).amessages("t1") == CONVERSATION[3:]  # no beginning with a result
    assert (await both(working).aload("t1")).messages == CONVERSATION[3:]
    assert bare.llen("t1") == 4


async def test_every_write_refreshes_both_lives(
    transport: SharedConnection, bare: redis.Redis, both: Both
) -> None:
    working = WorkingMemory(transport=transport, storage="list", ttl_seconds=50)
    writes: list[Call] = [
        lambda: both(working).aappend("t1", [HumanMessage("x")]),
        lambda: both(working).aappend_turn("t1", "user", "y"),
        lambda: both(working).aset_goal("t1", "z"),
        lambda: both(working).astart("t1"),
    ]
    for write in writes:
        for key in ("t1", working.key("t1")):
            bare.expire(key, 5)
        await write()
        assert 45 < bare.ttl("t1") <= 50
        assert 45 < bare.ttl(working.key("t1")) <= 50


async def test_a_session_s_own_life_is_its_list_s_too(
    transport: SharedConnection, bare: redis.Redis, both: Both
) -> None:
    working = WorkingMemory(transport=transport, storage="list", ttl_seconds=50)
    await both(working).aappend("t1", CONVERSATION)
    assert (await both(working).astart("t1", ttl_seconds=None)).ttl_seconds is None
    await both(working).aappend("t1", CONVERSATION)
    assert bare.ttl("t1") == bare.ttl(working.key("t1")) == -1
    assert (await both(working).astart("t1", ttl_seconds=7)).ttl_seconds in (6, 7)
    assert bare.ttl("t1") in (6, 7)


async def test_a_session_lives_no_longer_than_its_list(
    working: WorkingMemory, bare: redis.Redis, both: Both
) -> None:
    await both(working).aappend("t1", CONVERSATION)
    bare.expire("t1", 50)
    assert 45 < (await both(working).aload("t1")).ttl_seconds <= 50
    await both(working).aappend("t1", [HumanMessage("more")])
    assert 45 < bare.ttl(working.key("t1")) <= bare.ttl("t1") <= 50


async def test_a_thread_that_is_named_like_another_s_key_is_refused(
    working: WorkingMemory, bare: redis.Redis, both: Both
) -> None:
    with pytest.raises(InvalidInputError, match="thread_id begins with"):
        await both(working).aappend("agent:session:bob", CONVERSATION)
    assert bare.dbsize() == 0


@pytest.mark.parametrize(
    "entry",
    ["nope", "[" * 100_000, '{"type":"human","data":' + '{"a":' * 9000],
    ids=["no json", "deep list", "deep object"],
)
async def test_a_foreign_entry_is_named_by_its_place_in_the_list(
    transport: SharedConnection, bare: redis.Redis, both: Both, entry: str
) -> None:
    working = WorkingMemory(transport=transport, storage="list", max_turns=3)
    await both(working).aappend("t1", [HumanMessage(str(number)) for number in range(9)])
    bare.lset("t1", 1, entry)
    state = await both(working).aload("t1")
    assert [(bad.key, bad.position) for bad in state.unreadable] == [("t1", 1)]
    assert [m.content for m in state.messages] == ["6", "8"]
    assert bare.llen("t1") == 9


async def test_what_others_own_is_not_forgotten_with_a_user(
    working: WorkingMemory, transport: SharedConnection, bare: redis.Redis, both: Both
) -> None:
    await both(working).aappend("t1", CONVERSATION, user="alice")
    await both(working).aappend("t2", CONVERSATION, user="alice")
    bare.delete("t2")
    bare.set("t2", "mine")
    bare.hset(b"agent:session:\xff", "user", "bob")
    assert sorted(await both(working).aforget_user("alice")) == ["t1", "t2"]
    assert sorted(bare.keys()) == [b"agent:session:\xff", record(working, "alice"), b"t2"]


async def test_deleting_and_forgetting_remove_both_keys(
    working: WorkingMemory, bare: redis.Redis, both: Both
) -> None:
    for thread, user in [("t1", "alice"), ("t2", "bob"), ("t3", "alice"), ("t4", "alice")]:
        await both(working).aappend(thread, [HumanMessage("x")], user=user)
    assert sorted(await both(working).alist_threads()) == ["t1", "t2", "t3", "t4"]
    assert await both(working).adelete("t1") is True
    assert await both(working).adelete("t1") is False
    assert sorted(await both(working).aforget_user("alice")) == ["t3", "t4"]
    records = [record(working, "alice"), record(working, "bob")]
    assert sorted(bare.keys()) == sorted([working.key("t2").encode(), *records, b"t2"])


async def test_each_operation_is_one_round_trip(counting: Counting, both: Both) -> None:
    working = WorkingMemory(transport=counting.transport, storage="list")
    await both(working).aappend("first", CONVERSATION)  # on a cluster, it asks how many partitions there are
    calls: list[Call] = [
        lambda: both(working).aappend("t1", CONVERSATION),
        lambda: both(working).aappend_turn("t1", "user", "y"),
        lambda: both(working).amessages("t1"),
        lambda: both(working).aload("t1"),
        lambda: both(working).adelete("t1"),
    ]
    for call in calls:
        before = counting.round_trips
        await call()
        assert counting.round_trips == before + 1


async def test_a_key_of_another_type_is_left_alone_and_nothing_is_written(
    working: WorkingMemory, bare: redis.Redis, both: Both
) -> None:
    bare.set("t1", "mine")
    with pytest.raises(WrongKeyTypeError):
        await both(working).aappend("t1", CONVERSATION)
    bare.delete(record(working, "default"))  # the thread is noted before the session is written
    assert bare.keys() == [b"t1"]
    with pytest.raises(WrongKeyTypeError):
        await both(working).amessages("t1")
    with pytest.raises(WrongKeyTypeError):
        await both(working).adelete("t1")
    assert bare.keys() == [b"t1"]


def test_another_storage_is_refused() -> None:
    wrong: Any = "set"
    with pytest.raises(ConfigurationError, match="'hash' or 'list'"):
        WorkingMemory("redis://localhost", storage=wrong)
    with pytest.raises(ConfigurationError, match="must differ"):
        WorkingMemory("redis://localhost", storage="list", list_prefix="agent:session:")
