"""Lines of an export, or of a file, as a program imports them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from integration_tests.conftest import Both, Counting
from integration_tests.upstash.emulator import Emulator
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory, ImportReport
from langchain_agentmem.errors import InvalidInputError

LINES: list[Any] = [
    {"thread": "t1", "user": "ada", "goal": "tea", "scratchpad": "green"},
    {"thread": "t1", "user": "ada", "role": "user", "content": "Which tea?", "ts": 5},
    {"thread": "t1", "user": "ada", "role": "assistant", "content": "Green."},
    b'{"text": "Ada likes tea", "user": "ada", "kind": "semantic"}\n',
    '"Somebody likes coffee"\n',
]


@pytest.fixture
async def memory(url: str) -> AsyncIterator[AgentMemory]:
    async with AgentMemory(url, embeddings=WordEmbeddings()) as memory:
        yield memory


async def test_lines_are_stored_once_however_often_they_are_imported(memory: AgentMemory, both: Both) -> None:
    seen: list[int] = []
    first = await both(memory).aimport_lines(LINES, on_batch=lambda so_far: seen.append(so_far.lines))
    assert first == ImportReport(lines=5, new_messages=2, new_memories=2)
    again = await both(memory).aimport_lines(LINES, batch_size=2)
    assert again == ImportReport(lines=5, duplicate_messages=2, duplicate_memories=2)
    assert seen == [5]
    state = memory.working.load("t1")
    assert state is not None
    assert (state.user, state.goal, state.scratchpad, state.turn_count) == ("ada", "tea", "green", 2)
    assert [one.text for one in memory.long_term.list_memories(user="ada")] == ["Ada likes tea"]
    assert [one.text for one in memory.long_term.list_memories(user="default")] == ["Somebody likes coffee"]


async def test_what_an_export_yields_comes_back_and_may_become_somebody_elses(
    memory: AgentMemory, both: Both
) -> None:
    await both(memory).aimport_lines(LINES)
    exported = list(memory.export_user("ada", tiers=["sessions", "memories"]))
    memory.forget_user("ada")
    await both(memory).aimport_lines(exported)
    without_times = [{**line, "created_ts": 0} for line in exported]
    assert [{**line, "created_ts": 0} for line in memory.export_user("ada")] == without_times
    await both(memory).aimport_lines(exported, user="bob", thread_id="t2", namespace="work", kind="mine")
    (theirs,) = memory.long_term.list_memories(user="bob", namespace="work", kind="mine")
    assert theirs.text == "Ada likes tea"
    assert memory.working.load("t2", user="bob") is not None


async def test_a_session_without_goal_or_messages_is_imported_too(memory: AgentMemory, both: Both) -> None:
    await both(memory).aimport_lines([{"thread": "t1", "goal": ""}])
    assert memory.working.list_threads() == ["t1"]


async def test_a_batch_costs_a_few_round_trips_however_many_sessions_it_is_of(
    memory: AgentMemory, both: Both
) -> None:
    memory.long_term.create_index()
    lines = [{"thread": f"t{n}", "role": "user", "content": str(n)} for n in range(30)]
    counting = Counting(memory.transport)
    await both(memory).aimport_lines([*lines, *({"text": f"a{n} b{n} c{n}"} for n in range(30))])
    assert counting.round_trips == 5


async def test_what_cannot_be_imported_is_in_the_report_by_its_number(
    memory: AgentMemory, both: Both
) -> None:
    bad = [
        {"role": "user", "content": "x"},
        {"text": 5},
        {"role": "user", "content": {1}, "thread": "t"},
        b"null",
        "no JSON",
    ]
    report = await both(memory).aimport_lines([*bad, '"a memory"'], default_user="ada")
    assert [refused.line for refused in report.refused] == [1, 2, 3, 4, 5]
    assert report.new_memories == 1
    for wrong in ({"user": ""}, {"default_user": ""}, {"thread_id": 5}, {"batch_size": 0}):
        with pytest.raises(InvalidInputError, match=next(iter(wrong))):
            await both(memory).aimport_lines(['"another"'], **wrong)
    for single in ("facts.jsonl", b"{}", {"text": "tea"}):
        with pytest.raises(InvalidInputError, match="lines"):
            await both(memory).aimport_lines(single)  # type: ignore[arg-type]
    assert (await both(memory).aimport_lines(["tea"], plain=True, user="bob")).new_memories == 1
    assert len(memory.long_term.list_memories(user="ada", namespace=None)) == 1


async def test_a_batch_that_is_told_may_end_the_import(memory: AgentMemory, both: Both) -> None:
    def enough(so_far: ImportReport) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        await both(memory).aimport_lines(LINES, batch_size=4, on_batch=enough)
    assert await both(memory).aimport_lines(LINES) == ImportReport(
        lines=5, duplicate_messages=2, new_memories=1, duplicate_memories=1
    )


async def test_over_rest_memories_have_no_namespaces(emulator: Emulator, both: Both) -> None:
    async with AgentMemory(emulator.url, token=emulator.token) as memory:
        elsewhere = {"text": "x", "namespace": "work"}
        report = await both(memory).aimport_lines([*LINES, elsewhere])
        assert (report.new_memories, [refused.line for refused in report.refused]) == (2, [6])
        report = await both(memory).aimport_lines(LINES)
        assert (report.new_memories, report.duplicate_memories) == (0, 2)
