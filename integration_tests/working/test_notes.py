"""Notes: a line each, added on the server, so that none is lost."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from langchain_core.messages import HumanMessage

from integration_tests.conftest import Both, Counting
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.transport.connections import SharedConnection
from langchain_agentmem.working.config import SCRATCHPAD_BYTES
from langchain_agentmem.working.working_memory import WorkingMemory


@pytest.fixture(params=["hash", "list"])
def working(request: pytest.FixtureRequest, transport: SharedConnection) -> WorkingMemory:
    return WorkingMemory(transport=transport, storage=request.param)


async def test_a_note_is_a_line_more_and_everything_else_stays(
    working: WorkingMemory, bare: redis.Redis, both: Both, counting: Counting
) -> None:
    state = await both(working).aadd_note("t1", "  first: é\n\r\nand more ", user="alice", agent="helper")
    assert counting.round_trips == 1
    assert (state.scratchpad, state.user, state.agent) == ("first: é  and more", "alice", "helper")
    await both(working).aappend("t1", [HumanMessage("hi")])
    bare.expire("agent:session:t1", 10)
    state = await both(working).aadd_note("t1", "second")
    assert (state.scratchpad, state.turn_count) == ("first: é  and more\nsecond", 1)
    assert state.messages == [HumanMessage("hi")]
    assert bare.ttl("agent:session:t1") > 10 or working.ttl_seconds is None


async def test_a_note_stands_behind_what_was_set(working: WorkingMemory, both: Both) -> None:
    await both(working).aset_scratchpad("t1", "plan:\n")
    assert (await both(working).aadd_note("t1", "pack")).scratchpad == "plan:\npack"


def test_notes_at_once_are_all_kept(working: WorkingMemory) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: working.add_note("t1", f"note {number}"), range(8)))
    assert sorted(_notes(working)) == [f"note {number}" for number in range(8)]


async def test_notes_of_tasks_at_once_are_all_kept(working: WorkingMemory) -> None:
    await asyncio.gather(*(working.aadd_note("t1", f"note {number}") for number in range(8)))
    assert sorted(_notes(working)) == [f"note {number}" for number in range(8)]


def test_beyond_the_limit_the_oldest_lines_are_dropped(working: WorkingMemory) -> None:
    half = "x" * (SCRATCHPAD_BYTES // 2 - 1)
    working.add_note("t1", "oldest")
    working.add_note("t1", half)
    assert _notes(working) == ["oldest", half]
    working.add_note("t1", half)
    assert _notes(working) == [half, half]
    working.add_note("t1", "a")
    assert _notes(working) == [half, "a"]
    working.add_note("t1", "é" * (SCRATCHPAD_BYTES // 2))
    assert _notes(working) == ["é" * (SCRATCHPAD_BYTES // 2)]


def _notes(working: WorkingMemory) -> list[str]:
    state = working.load("t1")
    assert state is not None
    return state.scratchpad.split("\n")


@pytest.mark.parametrize("wrong", ["", " \n ", "x" * (SCRATCHPAD_BYTES + 1), None, 1, "\ud800"])
def test_what_is_no_note_is_refused(working: WorkingMemory, bare: redis.Redis, wrong: Any) -> None:
    with pytest.raises(InvalidInputError, match="text"):
        working.add_note("t1", wrong)
    assert bare.dbsize() == 0
