"""Sessions that other programs wrote: whatever their layout and their numbers, appending goes on and loses nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage

from integration_tests.conftest import Both
from langchain_agentmem.transport.connections import SharedConnection
from langchain_agentmem.working.working_memory import WorkingMemory

KEY = "agent:session:t1"
NEW = HumanMessage("new")


@pytest.fixture
def working(transport: SharedConnection) -> WorkingMemory:
    return WorkingMemory(transport=transport)


# What a scanner of JSON may stumble over stands in texts, in names, and nested.
TEXTS = st.one_of(
    st.text(st.sampled_from('\\"[]{},:\n\r\t aé\u2028😀/'), max_size=12),
    st.text(max_size=5),
    st.sampled_from(['\\"', '\\\\"', '"},{"role":"tool', "\\", "]\n}", "[ \n", ",\n", '\\\\\\"]']),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
TURNS = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system"]), "content": TEXTS, "ts": st.floats(0, 2e9)},
        optional={"additional_kwargs": st.dictionaries(TEXTS, VALUES, max_size=3), "name": TEXTS},
    ),
    max_size=5,
)
BLANKS = st.text(st.sampled_from(" \n\r\t"), max_size=3)
LAYOUTS = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "indent": st.none() | st.integers(0, 3) | st.sampled_from(["\t", " "]),
        "separators": st.none()
        | st.tuples(
            st.builds("{0}{1}{2}".format, BLANKS, st.just(","), BLANKS),
            st.builds("{0}{1}{2}".format, BLANKS, st.just(":"), BLANKS),
        ),
    }
)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
AFTER_BRACKET = st.sampled_from(["", "", " ", "\n", " \n", " \r\n", "\t"])
BEFORE_BRACKET = st.sampled_from(["", "", " ", "\n", "\n ", " \n"])
HOSTILE: list[dict[str, Any]] = [
    {"role": "user", "content": 'say "[1, {2}]" \\', "ts": 1.0},
    {"role": "assistant", "content": '\\"},{"', "ts": 2.0},
    {"role": "user", "content": "last", "ts": 3.0},
]


@pytest.mark.parametrize("transport", ["redis"], indirect=True)
@QUICK
@given(
    turns=TURNS, layout=LAYOUTS, first=AFTER_BRACKET, last=BEFORE_BRACKET, window=st.sampled_from([None, 3])
)
@example(HOSTILE, {}, "", "", None)
@example(HOSTILE, {}, " \n", "", None)
@example(HOSTILE, {}, " \n", "", 3)
@example(HOSTILE, {"indent": 1}, " \n", "\n", 3)
@example(HOSTILE, {"separators": ("\n,", ":")}, " \n", "\n", 3)
@example(HOSTILE, {"separators": (",", ":\n")}, " \n", "\n", 3)
@example([{"role": "user", "content": "a", "ts": 1.0}] * 4, {"separators": (",", ":\n")}, " \n", "\n", 3)
def test_an_append_keeps_every_turn_of_any_layout_and_adds_its_own(
    transport: SharedConnection,
    bare: redis.Redis,
    turns: list[dict[str, Any]],
    layout: dict[str, Any],
    first: str,
    last: str,
    window: int | None,
) -> None:
    written = json.dumps(turns, **layout)
    # Framed as ours, with several turns on one line: they are kept and counted as one.
    several = len(turns) > 1 and layout.get("indent") is None and "\n" not in written
    assume(not (several and first == " \n" and last.endswith("\n")))
    written = "[" + first + written[1:-1] + last + "]"
    assert json.loads(written) == turns
    bare.delete(KEY)
    bare.hset(KEY, "recent_turns", written.encode("utf-8", "surrogatepass"))
    working = WorkingMemory(transport=transport, max_turns=window)
    read = working.load("t1")
    assert read is not None
    assert read.unreadable == []
    for number in (1, 2):
        assert working.append("t1", [NEW]) == len(turns) + number
        stored = json.loads(bare.hget(KEY, "recent_turns") or b"")
        expected = [*turns, *stored[len(stored) - number :]]
        assert stored == (expected if window is None else expected[-window:])
        assert stored[-1]["content"] == "new"
    state = working.load("t1")
    assert state is not None
    assert state.unreadable == []
    assert state.messages == [*read.messages, NEW, NEW][-(window or 100) :]


@pytest.mark.parametrize(
    "number",
    ["1.5", "-1", "-60", "nan", "inf", "1e3", "0x10", "soon", "", "2147483648", "9" * 30, " 60", "6 0"],
)
async def test_an_odd_time_to_live_is_the_default(
    working: WorkingMemory, bare: redis.Redis, both: Both, number: str
) -> None:
    bare.hset(KEY, mapping={"ttl_seconds": number, "thread_id": "t1"})
    assert await both(working).aappend("t1", [NEW]) == 1
    assert 3590 < bare.ttl(KEY) <= 3600
    assert bare.hget(KEY, "ttl_seconds") == number.encode()
    assert await both(working).amessages("t1") == [NEW]
    assert (await both(working).aset_goal("t1", "g")).ttl_seconds > 3590


@pytest.mark.parametrize(
    ("number", "seconds"), [("60", 60), ("60.0", 60), ("2147483647", 2147483647), ("0", -1)]
)
async def test_a_whole_time_to_live_is_the_sessions_own(
    working: WorkingMemory, bare: redis.Redis, both: Both, number: str, seconds: int
) -> None:
    bare.hset(KEY, mapping={"ttl_seconds": number, "thread_id": "t1"})
    await both(working).aappend("t1", [NEW])
    assert seconds - 5 <= bare.ttl(KEY) <= seconds


async def test_an_odd_time_to_live_goes_for_a_list_too(
    transport: SharedConnection, bare: redis.Redis, both: Both
) -> None:
    working = WorkingMemory(transport=transport, storage="list", ttl_seconds=3600)
    bare.hset(KEY, mapping={"ttl_seconds": "1.5", "thread_id": "t1"})
    await both(working).aappend("t1", [NEW])
    assert 3590 < bare.ttl("t1") <= 3600
    assert 3590 < bare.ttl(KEY) <= 3600


@pytest.mark.parametrize("number", ["many", "", "1.5", "-3", "9223372036854775807", "1e3", "nan", "9" * 40])
async def test_a_turn_count_that_is_none_begins_anew_with_what_is_there(
    working: WorkingMemory, bare: redis.Redis, both: Both, number: str
) -> None:
    await both(working).aappend("t1", [NEW, AIMessage("yo")])
    bare.hset(KEY, "turn_count", number)
    assert (await both(working).aload("t1")).turn_count == 0
    assert await both(working).aappend("t1", [NEW]) == 3
    assert (await both(working).aload("t1")).turn_count == 3


async def test_a_listed_session_is_counted_anew_too(
    transport: SharedConnection, bare: redis.Redis, both: Both
) -> None:
    working = WorkingMemory(transport=transport, storage="list")
    await both(working).aappend("t1", [NEW, AIMessage("yo")])
    bare.hset(KEY, "turn_count", "many")
    assert await both(working).aappend("t1", [NEW]) == 3


async def test_a_large_count_goes_on(working: WorkingMemory, bare: redis.Redis, both: Both) -> None:
    bare.hset(KEY, mapping={"turn_count": 2**52, "thread_id": "t1"})
    assert await both(working).aappend("t1", [NEW]) == 2**52 + 1
    assert bare.hget(KEY, "turn_count") == str(2**52 + 1).encode()


@pytest.mark.parametrize("ts", ["soon", None, [], "nan", 1e300, 10**400, True, "5.5", -1])
async def test_a_time_that_is_none_does_not_hide_a_turn(
    working: WorkingMemory, bare: redis.Redis, both: Both, ts: Any
) -> None:
    bare.hset(KEY, "recent_turns", json.dumps([{"role": "user", "content": "hi", "ts": ts}]))
    state = await both(working).aload("t1")
    assert [turn.content for turn in state.recent_turns] == ["hi"]
    assert state.unreadable == []
    assert state.recent_turns[0].ts in (0.0, 1.0, 5.5, -1.0)
