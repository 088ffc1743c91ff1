"""Lines of an export, or of a file, as a program imports them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from integration_tests.conftest import Both, Counting
from integration_tests.upstash.emulator import Emulator
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory, ImportReport, SessionState, chat_export_lines
from langchain_agentmem.core.operations import call, writes
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.importing.report import MergedLine, TrimmedSession
from tests.importing.exports import CATS, MOVING, NOVEMBER_20, written

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
    assert list(memory.export_user("ada")) == exported
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
    assert counting.round_trips == 4


SAID = ["I like tea.", "I have two cats.", "i like tea", "My dog is old."]


@pytest.mark.parametrize("batch_size", [1, 64])
async def test_the_report_says_which_line_was_merged_into_what(
    memory: AgentMemory, both: Both, batch_size: int
) -> None:
    there = memory.long_term.remember("My dog is old", user="ada").id
    report = await both(memory).aimport_lines(SAID, plain=True, user="ada", batch_size=batch_size)
    first = {one.text: one.id for one in memory.long_term.list_memories(user="ada")}
    assert report.merged == [
        MergedLine(line=3, text="i like tea", into_line=1, id=first["I like tea."], into_text="I like tea."),
        MergedLine(line=4, text="My dog is old.", into_line=None, id=there, into_text="My dog is old"),
    ]
    assert (report.new_memories, report.duplicate_memories) == (2, 2)
    again = await both(memory).aimport_lines(SAID, plain=True, user="ada", batch_size=batch_size)
    assert again.merged == report.merged
    assert (again.new_memories, again.duplicate_memories) == (0, 4)
    assert [one.hit_count for one in memory.long_term.list_memories(user="ada")] == [0, 0, 0]


async def test_a_memory_that_was_changed_since_it_was_exported_is_left_as_it_is(
    memory: AgentMemory, both: Both
) -> None:
    await both(memory).aimport_lines(SAID[:1], plain=True, user="ada")
    exported = list(memory.export_user("ada"))
    memory.long_term.update(exported[0]["id"], "I like coffee.")
    report = await both(memory).aimport_lines(exported)
    assert (report.duplicate_memories, report.merged) == (1, [])
    assert [one.text for one in memory.long_term.list_memories(user="ada")] == ["I like coffee."]


async def test_what_is_said_in_the_same_words_is_known_and_not_merged(
    memory: AgentMemory, both: Both
) -> None:
    await both(memory).aimport_lines(SAID[:2], plain=True, user="ada")
    assert (await both(memory).aimport_lines(SAID[:2], plain=True, user="ada")).merged == []
    (repeated,) = (await both(memory).aimport_lines(SAID[:1] * 2, plain=True, user="ada")).merged
    assert (repeated.line, repeated.into_line) == (2, 1)


async def test_nothing_is_merged_if_all_is_to_be_kept_and_a_second_run_adds_nothing(
    memory: AgentMemory, both: Both
) -> None:
    lines = [*SAID, SAID[0]]
    merged = await both(memory).aimport_lines(lines, plain=True, user="ada")
    assert (merged.new_memories, merged.duplicate_memories) == (3, 2)
    for new in (2, 0):
        kept = await both(memory).aimport_lines(lines, plain=True, user="ada", keep_all=True)
        assert (kept.new_memories, kept.duplicate_memories, kept.merged) == (new, 5 - new, [])
    assert sorted(one.text for one in memory.long_term.list_memories(user="ada")) == sorted(lines)
    after = await both(memory).aimport_lines(lines, plain=True, user="ada")
    assert after.new_memories == 0


@pytest.mark.parametrize("dedup", ["near", "exact", None, str.lower])
async def test_any_rule_of_duplicates_knows_what_it_imported(url: str, both: Both, dedup: Any) -> None:
    lines = [*SAID, SAID[0]]
    stored = {None: 5, "near": 3}.get(dedup, 4)
    async with AgentMemory(url, embeddings=WordEmbeddings(), dedup=dedup) as memory:
        for new in (stored, 0):
            report = await both(memory).aimport_lines(lines, plain=True, user="ada", batch_size=2)
            assert (report.new_memories, report.duplicate_memories) == (new, 5 - new)
        assert len(memory.long_term.list_memories(user="ada")) == stored


async def test_memories_of_a_thread_in_a_row_have_their_context(memory: AgentMemory, both: Both) -> None:
    rows = [
        *({"text": text, "thread": "t1"} for text in ("one", "two", "three", "four")),
        {"text": "five", "thread": "t2"},
        {"text": "six", "thread": "t2", "context": "as exported"},
        {"text": "seven", "thread": "t2", "id": "exported without a context"},
        {"text": "eight"},
    ]
    await both(memory).aimport_lines(rows, user="ada", batch_size=3)
    found = {one.text: one.context for one in memory.long_term.list_memories(user="ada")}
    assert found == {
        **{"one": "", "two": "one", "three": "one\ntwo", "four": "two\nthree"},
        **{"five": "", "six": "as exported", "seven": "", "eight": ""},
    }
    lines = list(memory.export_user("ada"))
    memory.forget_user("ada")
    await both(memory).aimport_lines(lines)
    assert {one.text: one.context for one in memory.long_term.list_memories(user="ada")} == found


@pytest.mark.parametrize("storage", ["json", "hash"])
async def test_what_became_of_a_memory_comes_back(url: str, both: Both, storage: Any) -> None:
    async with AgentMemory(url, embeddings=WordEmbeddings(), storage=storage) as memory:
        lisbon = memory.long_term.remember("I live in Lisbon", user="ada").id
        memory.long_term.remember("i live in Lisbon.", user="ada")
        porto = memory.long_term.remember("I live in Porto", user="ada", replaces=lisbon).id
        memory.long_term.update(memory.long_term.remember("tea", user="ada").id, "green tea")
        exported = list(memory.export_user("ada"))
        before = {one: memory.long_term.get(one) for one in (lisbon, porto)}
        assert before[lisbon] is not None
        assert (before[lisbon].superseded_by, before[lisbon].hit_count) == (porto, 1)
        memory.forget_user("ada")
        report = await both(memory).aimport_lines(exported)
        assert (report.new_memories, report.superseded_memories) == (3, 0)
        assert {one: memory.long_term.get(one) for one in before} == before
        assert list(memory.export_user("ada")) == exported
        found = memory.long_term.recall("Where in Lisbon do I live?", user="ada")
        assert "I live in Lisbon" not in [one.text for one in found]
        assert memory.long_term.remember("I live in Lisbon", user="ada").deduped is False
        # Somebody else's memories have other ids, and what was replaced has nothing to be linked to.
        report = await both(memory).aimport_lines(exported, user="bob")
        assert (report.new_memories, report.superseded_memories) == (2, 1)
        assert {one.text for one in memory.long_term.list_memories(user="bob")} == {
            "I live in Porto",
            "green tea",
        }


async def test_an_export_that_comes_back_into_its_store_adds_nothing(memory: AgentMemory, both: Both) -> None:
    call = {"name": "look", "args": {"at": [1, {"x": None}]}, "id": "c1", "type": "tool_call"}
    said = [HumanMessage("yes"), AIMessage("", tool_calls=[call]), HumanMessage("yes")]
    memory.working.append("t1", said, user="ada")
    memory.long_term.remember("I like tea", user="ada")
    exported = list(memory.export_user("ada"))
    new = {"thread": "t1", "user": "ada", "role": "user", "content": "yes"}
    report = await both(memory).aimport_lines([*exported, new])
    assert (report.new_messages, report.duplicate_messages) == (1, 3)
    assert (report.new_memories, report.duplicate_memories) == (0, 1)
    assert [message.content for message in memory.working.messages("t1")] == ["yes", "", "yes", "yes"]


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


async def test_over_rest_a_memory_keeps_its_date_and_what_was_replaced_is_left_out(
    emulator: Emulator, both: Both
) -> None:
    async with AgentMemory(emulator.url, token=emulator.token) as memory:
        said = {"user": "ada", "context": "before", "created_ts": 1715990400.123, "hit_count": 3}
        lines = [
            {**said, "text": "I live in Porto", "id": "new"},
            {**said, "text": "I live in Lisbon", "id": "old", "superseded_by": "new", "superseded_ts": 5.0},
        ]
        report = await both(memory).aimport_lines(lines)
        assert (report.new_memories, report.superseded_memories) == (1, 1)
        (line,) = memory.export_user("ada")
        assert line.items() >= {**said, "text": "I live in Porto"}.items()


async def test_over_rest_all_lines_can_be_kept_and_a_second_run_adds_nothing(
    emulator: Emulator, both: Both
) -> None:
    async with AgentMemory(emulator.url, token=emulator.token) as memory:
        merged = await both(memory).aimport_lines(SAID, plain=True, user="ada")
        assert (merged.new_memories, [one.line for one in merged.merged]) == (3, [3])
        for new in (1, 0):
            kept = await both(memory).aimport_lines(SAID, plain=True, user="ada", keep_all=True)
            assert (kept.new_memories, kept.duplicate_memories) == (new, 4 - new)
        assert len(list(memory.export_user("ada"))) == 4


def timeless(state: SessionState | None) -> SessionState:
    """The state of a session, of whose TTL only is told whether there is one."""
    assert state is not None
    return replace(state, ttl_seconds=None if state.ttl_seconds is None else 1)


async def test_a_session_comes_back_as_it_was(url: str, both: Both) -> None:
    async with AgentMemory(url, embeddings=WordEmbeddings(), max_turns=4) as memory:
        working = memory.working
        working.start("never", user="ada", agent="guide", goal="tea", ttl_seconds=None)
        working.start("daily", user="ada", ttl_seconds=86400)
        working.append("usual", [HumanMessage(str(number)) for number in range(6)], user="ada")
        memory.transport.run(call(writes("HSET", "agent:session:usual", "summary", "numbers")))
        before = {one: timeless(working.load(one)) for one in ("never", "daily", "usual")}
        exported = list(memory.export_user("ada"))
        memory.forget_user("ada")
        for _ in range(2):  # the second time, nothing changes
            await both(memory).aimport_lines(exported, batch_size=3)
            assert {one: timeless(working.load(one)) for one in before} == before
            assert list(memory.export_user("ada")) == exported
        assert [one.thread_id for one in memory.list_sessions(user="ada").sessions] == [
            *("usual", "daily", "never")
        ]
        # What was said here since is not of the past.
        working.append("usual", [HumanMessage("6")], user="ada")
        later = timeless(working.load("usual"))
        await both(memory).aimport_lines(exported)
        assert timeless(working.load("usual")) == later
        assert later.turn_count == 7


async def test_times_that_no_session_can_have_are_left_out(memory: AgentMemory, both: Both) -> None:
    odd = {"thread": "t1", "goal": "", "created_ts": -5, "last_active_ts": 1e300, "cut_off_messages": 3}
    began = time.time()
    await both(memory).aimport_lines([odd])
    state = memory.working.load("t1")
    assert state is not None
    assert began - 1 < state.created_ts <= state.last_active_ts < time.time() + 1
    assert state.turn_count == 3


async def test_a_window_is_told_only_if_the_import_fills_it(memory: AgentMemory, both: Both) -> None:
    memory.working.append("full", [HumanMessage(str(number)) for number in range(26)], user="ada")
    exported = list(memory.export_user("ada"))
    assert (await both(memory).aimport_lines(exported)).windows == []
    memory.forget_user("ada")
    for _ in range(2):
        assert (await both(memory).aimport_lines(exported)).windows == []
    more = [{"thread": "full", "user": "ada", "role": "user", "content": f"more {n}"} for n in range(6)]
    assert (await both(memory).aimport_lines(more)).windows == [TrimmedSession("full", 20, 26)]
    assert (await both(memory).aimport_lines(more)).windows == []


async def test_a_prefix_makes_threads_of_their_own(memory: AgentMemory, both: Both) -> None:
    memory.working.append("t1", [HumanMessage("mine")], user="bob")
    report = await both(memory).aimport_lines(
        [*LINES, {"text": "tea is good", "thread": "t1"}], user="carl", thread_prefix="carl/"
    )
    assert (report.new_messages, report.new_memories, report.refused) == (2, 3, [])
    assert [message.content for message in memory.working.messages("carl/t1")] == ["Which tea?", "Green."]
    assert [message.content for message in memory.working.messages("t1")] == ["mine"]
    memories = memory.long_term.list_memories(user="carl")
    assert {one.source_thread for one in memories} == {"", "carl/t1"}
    report = await both(memory).aimport_lines(LINES[:1], thread_prefix="x" * 5000)
    assert [refused.line for refused in report.refused] == [1]


@pytest.mark.parametrize("over", ["redis", "rest"])
async def test_a_chat_export_keeps_its_dates(
    url: str, emulator: Emulator, both: Both, tmp_path: Path, over: str
) -> None:
    path = written(tmp_path / "conversations.json", [MOVING, CATS])
    where: dict[str, Any] = {"url": url, "embeddings": WordEmbeddings()}
    if over == "rest":
        where = {"url": emulator.url, "token": emulator.token}
    async with AgentMemory(**where) as memory:
        for new in (8, 0):
            with chat_export_lines(path) as lines:
                report = await both(memory).aimport_lines(lines, user="ada")
            assert (report.new_messages, report.duplicate_messages) == (new, 8 - new)
        if over == "rest":
            memory.long_term.wait_indexing()  # type: ignore[union-attr]
        found = {one.text: one.created_ts - NOVEMBER_20 for one in memory.long_term.list_memories(user="ada")}
        assert found == {"I live in Porto now, and I have two cats.": 0, "My cat is called Miso.": 0.5}
        page = memory.list_sessions(user="ada")
        assert [(one.title, one.created_ts) for one in page.sessions] == [
            ("Cats", NOVEMBER_20),
            ("Moving to Porto", NOVEMBER_20),
        ]
