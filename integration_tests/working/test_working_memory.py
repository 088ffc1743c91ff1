"""Working memory on a real server, sync and async."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from integration_tests.conftest import BACKENDS_AND_CLUSTER, Both, Call, Counting, connection_to
from langchain_agentmem.errors import (
    WrongKeyTypeError,
)
from langchain_agentmem.transport.connections import SharedConnection
from langchain_agentmem.working.working_memory import WorkingMemory
from tests.strategies import chunks, scopes, whole_messages


@pytest.fixture(params=BACKENDS_AND_CLUSTER)
async def transport(request: pytest.FixtureRequest, url: str) -> AsyncIterator[SharedConnection]:
    connection = connection_to(request.param, request, url)
    yield connection
    await connection.aclose()


@pytest.fixture
def working(transport: SharedConnection) -> WorkingMemory:
    return WorkingMemory(transport=transport)


async def test_a_session_begins_and_is_loaded(working: WorkingMemory, both: Both) -> None:
    assert await both(working).aload("t1") is None
    state = await both(working).astart("t1", user="alice", agent="helper", goal="book a trip")
    assert (state.thread_id, state.user, state.agent, state.goal) == ("t1", "alice", "helper", "book a trip")
    assert (state.scratchpad, state.turn_count, state.recent_turns, state.unreadable) == ("", 0, [], [])
    assert state.created_ts == state.last_active_ts > 1_700_000_000
    assert await both(working).aload("t1") == state


async def test_the_hash_is_what_the_design_says(
    working: WorkingMemory, bare: redis.Redis, both: Both
) -> None:
    await both(working).aappend_turn("t1", "user", "hi", ts=1715990400.1)
    await both(working).aappend_turn("t1", "assistant", "yo", ts=1715990401.5)
    fields = bare.hgetall("agent:session:t1")
    assert {name.decode() for name in fields} == {
        "thread_id",
        "user",
        "agent",
        "goal",
        "scratchpad",
        "turn_count",
        "created_ts",
        "last_active_ts",
        "recent_turns",
    }
    assert json.loads(fields[b"recent_turns"]) == [
        {"role": "user", "content": "hi", "ts": 1715990400.1},
        {"role": "assistant", "content": "yo", "ts": 1715990401.5},
    ]
    assert fields[b"turn_count"] == b"2"
    assert 3590 < bare.ttl("agent:session:t1") <= 3600


async def test_taking_a_session_up_again_keeps_its_turns(working: WorkingMemory, both: Both) -> None:
    await both(working).aappend("t1", [HumanMessage("hi")])
    state = await both(working).astart("t1", user="alice")
    assert [turn.content for turn in state.recent_turns] == ["hi"]
    assert state.user == "alice"
    again = await both(working).astart("t1", goal="g")
    assert (again.user, again.goal, again.turn_count) == ("alice", "g", 1)


async def test_the_window_keeps_the_newest(transport: SharedConnection, both: Both) -> None:
    working = WorkingMemory(transport=transport, max_turns=3)
    for number in range(5):
        count = await both(working).aappend("t1", [HumanMessage(str(number))])
        assert count == number + 1
    assert [m.content for m in await both(working).amessages("t1")] == ["2", "3", "4"]
    assert await both(working).aappend("t1", [HumanMessage(str(n)) for n in range(5, 12)]) == 12
    assert [m.content for m in await both(working).amessages("t1")] == ["9", "10", "11"]


async def test_an_unbounded_window_keeps_all(transport: SharedConnection, both: Both) -> None:
    working = WorkingMemory(transport=transport, max_turns=None)
    for start in range(0, 600, 100):
        await both(working).aappend("t1", [HumanMessage(str(n)) for n in range(start, start + 100)])
    assert [m.content for m in await both(working).amessages("t1")] == [str(n) for n in range(600)]


def call(*ids: str) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": i} for i in ids])


@pytest.mark.parametrize("window", range(1, 6))
async def test_a_window_never_begins_with_a_result_whose_call_was_cut_off(
    transport: SharedConnection, both: Both, window: int
) -> None:
    working = WorkingMemory(transport=transport, max_turns=window)
    conversation = [
        HumanMessage("q"),
        call("1", "2"),
        ToolMessage("r1", tool_call_id="1"),
        ToolMessage("r2", tool_call_id="2"),
        AIMessage("a"),
    ]
    expected = {1: 1, 2: 1, 3: 1, 4: 4, 5: 5}[window]
    await both(working).aappend("together", conversation)
    for message in conversation:
        await both(working).aappend("apart", [message])
    for thread in ("together", "apart"):
        kept = await both(working).amessages(thread)
        assert kept == conversation[-expected:]


async def test_a_tool_result_that_nothing_was_cut_from_stays(working: WorkingMemory, both: Both) -> None:
    await both(working).aappend("t1", [ToolMessage("r", tool_call_id="1")])
    assert len(await both(working).amessages("t1")) == 1


async def test_a_json_look_alike_in_a_text_does_not_disturb_the_window(
    transport: SharedConnection, both: Both
) -> None:
    working = WorkingMemory(transport=transport, max_turns=2)
    hostile = ['{"role":"tool"}', "]\n},\n{", '\\"},\n{"role":"tool', "[ \n", "\u2028\r\n"]
    for content in hostile:
        await both(working).aappend("t1", [HumanMessage(content)])
    assert [m.content for m in await both(working).amessages("t1")] == hostile[-2:]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=whole_messages | chunks, thread=scopes)
def test_any_message_on_any_thread_comes_back_equal(
    working: WorkingMemory, message: BaseMessage, thread: str
) -> None:
    working.delete(thread)
    working.append(thread, [message, message])
    assert working.messages(thread) == [message, message]
    state = working.load(thread)
    assert state is not None
    assert state.messages == [message, message]
    assert thread in working.list_threads(limit=None)


async def test_threads_are_exact(working: WorkingMemory, both: Both) -> None:
    names = ["a", "A", " a", "a ", "a*", "*", "[a]", "é", "e\u0301", "a:b", "\x00", "a\n"]
    for name in names:
        await both(working).aappend(name, [HumanMessage(repr(name))])
    for name in names:
        assert [m.content for m in await both(working).amessages(name)] == [repr(name)]
    assert sorted(await both(working).alist_threads()) == sorted(names)


async def test_goal_and_scratchpad(working: WorkingMemory, both: Both) -> None:
    state = await both(working).aset_goal("t1", "win")
    assert state.goal == "win"
    state = await both(working).aset_scratchpad("t1", "step 1\nstep 2 é")
    assert (state.goal, state.scratchpad) == ("win", "step 1\nstep 2 é")
    assert (await both(working).aset_goal("t1", "")).goal == ""


async def test_every_write_refreshes_the_time_to_live(
    working: WorkingMemory, bare: redis.Redis, both: Both
) -> None:
    await both(working).astart("t1")
    writes: list[Call] = [
        lambda: both(working).aappend("t1", [HumanMessage("x")]),
        lambda: both(working).aappend_turn("t1", "user", "x"),
        lambda: both(working).aset_goal("t1", "g"),
        lambda: both(working).aset_scratchpad("t1", "s"),
        lambda: both(working).astart("t1"),
    ]
    for write in writes:
        bare.expire("agent:session:t1", 10)
        await write()
        assert bare.ttl("agent:session:t1") > 3590
    bare.expire("agent:session:t1", 10)
    assert (await both(working).aload("t1")).ttl_seconds == 10


async def test_a_session_keeps_a_life_of_its_own(
    working: WorkingMemory, bare: redis.Redis, both: Both
) -> None:
    assert (await both(working).astart("short", ttl_seconds=60)).ttl_seconds == 60
    assert (await both(working).aappend_turn("short", "user", "x")).ttl_seconds == 60
    assert (await both(working).astart("long", ttl_seconds=None)).ttl_seconds is None
    assert (await both(working).aappend_turn("long", "user", "x")).ttl_seconds is None
    assert bare.ttl("agent:session:long") == -1


async def test_no_time_to_live_on_request(transport: SharedConnection, bare: redis.Redis, both: Both) -> None:
    bare.hset("agent:session:t1", "goal", "g")
    bare.expire("agent:session:t1", 60)
    working = WorkingMemory(transport=transport, ttl_seconds=None)
    await both(working).aappend("t1", [HumanMessage("x")])
    assert bare.ttl("agent:session:t1") == -1


async def test_a_session_is_deleted(working: WorkingMemory, both: Both) -> None:
    await both(working).astart("t1")
    assert await both(working).adelete("t1") is True
    assert await both(working).adelete("t1") is False
    assert await both(working).aload("t1") is None
    assert await both(working).amessages("t1") == []


async def test_threads_are_listed_without_blocking_the_server(
    working: WorkingMemory, bare: redis.Redis, both: Both
) -> None:
    with bare.pipeline() as pipeline:
        for number in range(2500):
            pipeline.hset(f"agent:session:{number}", "user", "u")
            pipeline.set(f"other:{number}", 1)
        pipeline.set("agent:session:a-string", 1)
        pipeline.execute()
    bare.config_resetstat()
    assert len(set(await both(working).alist_threads(limit=None))) == 2500
    assert len(await both(working).alist_threads()) == 100
    assert "cmdstat_keys" not in bare.info("commandstats")


async def test_a_user_is_forgotten_and_nobody_else(
    working: WorkingMemory, bare: redis.Redis, both: Both
) -> None:
    for number in range(30):
        await both(working).astart(f"t{number}", user=["alice", "Alice", "bob"][number % 3])
    gone = await both(working).aforget_user("alice")
    assert sorted(gone) == sorted(f"t{n}" for n in range(0, 30, 3))
    assert len(await both(working).alist_threads()) == 20


async def test_each_operation_is_one_round_trip(counting: Counting, both: Both) -> None:
    working = WorkingMemory(transport=counting.transport)
    await both(working).astart("first")  # on a cluster, it asks how many partitions there are
    calls: list[Call] = [
        lambda: both(working).astart("t1"),
        lambda: both(working).aappend("t1", [HumanMessage(str(n)) for n in range(50)]),
        lambda: both(working).aappend_turn("t1", "user", "x"),
        lambda: both(working).amessages("t1"),
        lambda: both(working).aload("t1"),
        lambda: both(working).aset_goal("t1", "g"),
        lambda: both(working).adelete("t1"),
    ]
    for call in calls:
        before = counting.round_trips
        await call()
        assert counting.round_trips - before == 1


async def test_a_key_of_another_type_is_left_alone(
    working: WorkingMemory, bare: redis.Redis, both: Both
) -> None:
    bare.set("agent:session:t1", "mine")
    calls: list[Call] = [
        lambda: both(working).aappend("t1", [HumanMessage("x")]),
        lambda: both(working).aload("t1"),
        lambda: both(working).amessages("t1"),
        lambda: both(working).aset_goal("t1", "g"),
        lambda: both(working).adelete("t1"),
    ]
    for call in calls:
        with pytest.raises(WrongKeyTypeError, match="another prefix"):
            await call()
    assert bare.get("agent:session:t1") == b"mine"


@pytest.mark.parametrize("number", ["inf", "nan", "1e300", "soon"])
async def test_odd_numbers_are_none(
    working: WorkingMemory, bare: redis.Redis, both: Both, number: str
) -> None:
    await both(working).aappend_turn("t1", "user", "hi")
    odd = {"turn_count": number, "created_ts": number, "last_active_ts": number}
    bare.hset("agent:session:t1", mapping=odd)
    state = await both(working).aload("t1")
    assert (state.turn_count, state.created_ts, state.last_active_ts) == (0, 0.0, 0.0)
    assert [turn.content for turn in state.recent_turns] == ["hi"]


async def test_a_session_another_program_wrote_is_taken_up(
    working: WorkingMemory, bare: redis.Redis, both: Both
) -> None:
    turns = [
        {"role": "user", "content": 'a "quoted", [x]\n', "ts": 1.0},
        {"role": "assistant", "content": "b\\", "ts": 2.0},
    ]
    for layout in ({}, {"indent": 2}, {"separators": (",", ":")}, {"indent": 0}):
        bare.delete("agent:session:t1")
        bare.hset("agent:session:t1", mapping={"recent_turns": json.dumps(turns, **layout), "turn_count": 7})  # type: ignore[arg-type]
        await both(working).aappend("t1", [HumanMessage("new")])
        state = await both(working).aload("t1")
        assert [turn.content for turn in state.recent_turns] == ['a "quoted", [x]\n', "b\\", "new"]
        assert (state.turn_count, state.unreadable) == (8, [])
        assert json.loads(bare.hget("agent:session:t1", "recent_turns") or "")[:2] == turns


@pytest.mark.parametrize(
    ("stored", "readable", "position"),
    [
        ('[{"role":"user","content":"a","ts":1},{"role":"us', ["a"], 1),
        ('[7,{"role":"user","content":"a","ts":1}]', ["a"], 0),
        ('[{"role":"user","ts":1},{"role":"user","content":"a","ts":1}]', ["a"], 0),
        ('[{"role":"user","content":"a","ts":1},{"role":"nobody","content":"b","ts":1}]', ["a"], 1),
        ("not json at all", [], 0),
        ('{"a":1}', [], 0),
        (
            '[ \n{"role":"user","content":"a","ts":1},\nrubbish,\n{"role":"user","content":"b","ts":1}\n]',
            ["a", "b"],
            1,
        ),
        ("[\udcff]", [], 0),
    ],
)
async def test_an_entry_that_cannot_be_read_is_reported_and_left(
    working: WorkingMemory,
    bare: redis.Redis,
    both: Both,
    caplog: pytest.LogCaptureFixture,
    stored: str,
    readable: list[str],
    position: int,
) -> None:
    raw = stored.encode("utf-8", "surrogateescape")
    bare.hset("agent:session:t1", "recent_turns", raw)
    state = await both(working).aload("t1")
    assert [turn.content for turn in state.recent_turns] == readable
    assert [(entry.key, entry.position) for entry in state.unreadable] == [("agent:session:t1", position)]
    assert f"'agent:session:t1' at position {position}" in caplog.text
    assert bare.hget("agent:session:t1", "recent_turns") == raw

    await both(working).aappend("t1", [HumanMessage("new")])
    state = await both(working).aload("t1")
    assert [turn.content for turn in state.recent_turns] == [*readable, "new"]
    assert len(state.unreadable) == 1
