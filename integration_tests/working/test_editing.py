"""Deleting and replacing messages: atomically, with goal and counts kept, and nobody's append lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
    trim_messages,
)
from langgraph.graph.message import REMOVE_ALL_MESSAGES

from integration_tests.conftest import Both, Counting, before_each_batch
from langchain_agentmem.core.messages import mark_unanswered
from langchain_agentmem.errors import InvalidInputError, MessageNotStorableError, WrongOwnerError
from langchain_agentmem.transport.connections import SharedConnection
from langchain_agentmem.working.working_memory import WorkingMemory

CONVERSATION: list[BaseMessage] = [
    HumanMessage("what is it?", id="1"),
    AIMessage("", tool_calls=[{"name": "look", "args": {"at": ["é", 1.5, [], {}]}, "id": "c1"}], id="2"),
    ToolMessage("42,\nor so", tool_call_id="c1", name="look", id="3"),
    AIMessage("It is 42.", id="4"),
]
SUMMARY = SystemMessage("They found out that it is 42.")


@pytest.fixture(params=["hash", "list"])
def working(request: pytest.FixtureRequest, transport: SharedConnection) -> WorkingMemory:
    return WorkingMemory(transport=transport, storage=request.param, ttl_seconds=3600)


def interfering(working: WorkingMemory, messages: Sequence[BaseMessage], monkeypatch: Any) -> None:
    """Let somebody else append between the next two round trips."""
    run, left = working.transport._run, [2]

    def act(_: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            run(working.append_op("t1", messages))

    monkeypatch.setattr(working.transport, "_run", lambda op: run(before_each_batch(op, act)))


class TestDelete:
    async def test_goal_counts_and_the_other_messages_stay(
        self, working: WorkingMemory, bare: redis.Redis, both: Both
    ) -> None:
        await both(working).aappend("t1", CONVERSATION, user="alice")
        await both(working).aset_goal("t1", "find out")
        await both(working).aset_scratchpad("t1", "a note")
        bare.expire("agent:session:t1", 10)
        before = await both(working).aload("t1")
        assert await both(working).adelete_messages("t1", ["2", "3", "unknown"]) == 2
        state = await both(working).aload("t1")
        assert state.messages == [CONVERSATION[0], CONVERSATION[3]]
        assert (state.goal, state.scratchpad, state.turn_count) == ("find out", "a note", 4)
        assert (state.user, state.created_ts) == ("alice", before.created_ts)
        assert [turn.ts for turn in state.recent_turns] == [before.recent_turns[at].ts for at in (0, 3)]
        assert state.ttl_seconds > 3590
        assert await both(working).aappend("t1", [HumanMessage("x")]) == 5

    async def test_messages_without_an_id_are_deleted_by_being_equal(
        self, working: WorkingMemory, both: Both
    ) -> None:
        said = [HumanMessage("hi"), AIMessage("ok"), HumanMessage("do it"), AIMessage("ok")]
        await both(working).aappend("t1", said)
        assert await both(working).adelete_messages("t1", said[-2:]) == 2
        assert await both(working).amessages("t1") == said[:2]
        assert await both(working).adelete_messages("t1", [AIMessage("ok"), AIMessage("ok")]) == 1
        assert await both(working).amessages("t1") == said[:1]
        assert await both(working).adelete_messages("t1", said[:1]) == 1
        assert await both(working).amessages("t1") == []
        assert (await both(working).aload("t1")).turn_count == 4

    async def test_nothing_to_delete_writes_nothing(
        self, working: WorkingMemory, bare: redis.Redis, both: Both, counting: Counting
    ) -> None:
        assert await both(working).adelete_messages("t1", ["1"]) == 0
        assert bare.dbsize() == 0
        await both(working).aappend("t1", CONVERSATION)
        bare.expire("agent:session:t1", 10)
        before = counting.round_trips
        assert await both(working).adelete_messages("t1", ["5", HumanMessage("1")]) == 0
        assert counting.round_trips - before == 1
        assert bare.ttl("agent:session:t1") <= 10
        assert await both(working).adelete_messages("t1", ["1"]) == 1
        assert counting.round_trips - before == 3

    async def test_another_users_session_is_refused(self, working: WorkingMemory, both: Both) -> None:
        await both(working).aappend("t1", CONVERSATION, user="alice")
        for change in (
            lambda: both(working).adelete_messages("t1", ["1"], user="bob"),
            lambda: both(working).areplace_messages("t1", [SUMMARY], user="bob"),
            lambda: both(working).aadd_note("t1", "mine", user="bob"),
            lambda: both(working).aset_goal("t1", "mine", user="bob"),
            lambda: both(working).aset_scratchpad("t1", "mine", user="bob"),
        ):
            with pytest.raises(WrongOwnerError):
                await change()
        state = await both(working).aload("t1")
        assert (state.messages, state.goal, state.scratchpad) == (CONVERSATION, "", "")
        assert await both(working).adelete_messages("t1", ["1"], user="alice") == 1

    def test_what_is_appended_meanwhile_stays(self, working: WorkingMemory, monkeypatch: Any) -> None:
        working.append("t1", CONVERSATION)
        interfering(working, [HumanMessage("me too")], monkeypatch)
        assert working.delete_messages("t1", ["4"]) == 1
        assert working.messages("t1") == [*CONVERSATION[:3], HumanMessage("me too")]

    @pytest.mark.parametrize("wrong", ["1", [1], CONVERSATION[0], None, {"1"}, ["\ud800"]], ids=repr)
    def test_what_is_no_list_of_messages_is_refused(self, working: WorkingMemory, wrong: Any) -> None:
        with pytest.raises(InvalidInputError):
            working.delete_messages("t1", wrong)


class TestReplace:
    async def test_the_window_is_replaced_and_what_is_kept_keeps_its_time(
        self, working: WorkingMemory, bare: redis.Redis, both: Both
    ) -> None:
        await both(working).astart("t1", user="alice", goal="find out")
        await both(working).aappend("t1", CONVERSATION, user="alice")
        before = await both(working).aload("t1")
        assert await both(working).areplace_messages("t1", [SUMMARY, CONVERSATION[3]], user="alice") == 4
        assert bare.exists("agent:threads:default") == 0, "it is noted among the threads of its own user"
        state = await both(working).aload("t1")
        assert state.messages == [SUMMARY, CONVERSATION[3]]
        assert (state.goal, state.turn_count, state.user) == ("find out", 4, "alice")
        assert state.recent_turns[1] == before.recent_turns[3]
        assert await both(working).aappend("t1", [HumanMessage("x")]) == 5

    async def test_trimmed_messages_replace_what_they_are_trimmed_from(
        self, working: WorkingMemory, both: Both
    ) -> None:
        await both(working).aappend("t1", CONVERSATION)
        seen = await both(working).amessages("t1")
        kept = trim_messages(seen, max_tokens=1, token_counter=len, strategy="last")
        await both(working).aappend("t1", [HumanMessage("me too")])  # after it was read
        await both(working).areplace_messages("t1", kept, seen=seen)
        assert await both(working).amessages("t1") == [*kept, HumanMessage("me too")]

    def test_what_is_appended_while_it_is_written_stays(
        self, working: WorkingMemory, monkeypatch: Any
    ) -> None:
        working.append("t1", CONVERSATION)
        interfering(working, [HumanMessage("me too"), *CONVERSATION[:1]], monkeypatch)
        assert working.replace_messages("t1", [SUMMARY, CONVERSATION[0]]) == 6
        assert working.messages("t1") == [
            *[SUMMARY, CONVERSATION[0], HumanMessage("me too"), CONVERSATION[0]],
        ]

    def test_what_is_taken_out_meanwhile_does_not_come_back(
        self, working: WorkingMemory, monkeypatch: Any
    ) -> None:
        working.append("t1", CONVERSATION)
        run, left = working.transport._run, [2]

        def act(_: Any) -> None:
            left[0] -= 1
            if left[0] == 0:
                run(working.delete_messages_op("t1", ["4"], None))

        monkeypatch.setattr(working.transport, "_run", lambda op: run(before_each_batch(op, act)))
        working.replace_messages("t1", [SUMMARY, *CONVERSATION[2:]])
        assert working.messages("t1") == [SUMMARY, CONVERSATION[2]]

    def test_a_question_that_waits_for_its_answer_is_found_by_it(self, working: WorkingMemory) -> None:
        question, answer = HumanMessage("and now?"), AIMessage("nothing")
        working.append("t1", CONVERSATION)
        stored = [mark_unanswered(working.encode(question, 5.0))]
        working.transport.run(working.write_turns_op("t1", stored, user="alice"))
        working.replace_messages("t1", [SUMMARY, question])
        whole = [working.encode(message, 6.0) for message in (question, answer)]
        op = working.write_turns_op("t1", whole, user="alice", replaces=stored)
        assert working.transport.run(op) == 6
        assert working.messages("t1") == [SUMMARY, question, answer]

    async def test_a_new_session_begins_with_them(self, working: WorkingMemory, both: Both) -> None:
        assert await both(working).areplace_messages("t1", CONVERSATION, user="alice") == 4
        state = await both(working).aload("t1")
        assert (state.messages, state.turn_count, state.user) == (CONVERSATION, 4, "alice")
        assert await both(working).areplace_messages("t1", []) == 4
        assert await both(working).amessages("t1") == []

    async def test_the_window_is_kept(self, transport: SharedConnection, both: Both) -> None:
        for storage in ("hash", "list"):
            working = WorkingMemory(transport=transport, storage=storage, max_turns=3)
            await both(working).aappend(storage, CONVERSATION * 2)
            await both(working).areplace_messages(storage, CONVERSATION)
            assert await both(working).amessages(storage) == CONVERSATION[1:]

    async def test_a_list_is_replaced_beyond_the_window_too(
        self, transport: SharedConnection, both: Both, bare: redis.Redis
    ) -> None:
        working = WorkingMemory(transport=transport, storage="list", max_turns=2)
        said: list[BaseMessage] = [HumanMessage(str(number)) for number in range(30)]
        await both(working).aappend("t1", said)
        seen = await both(working).amessages("t1")
        await both(working).aappend("t1", [HumanMessage("30")])
        await both(working).areplace_messages("t1", [SUMMARY], seen=seen)
        assert bare.llen("t1") == 2
        assert await both(working).amessages("t1") == [SUMMARY, HumanMessage("30")]

    def test_what_cannot_be_stored_is_refused_before_anything_is_sent(
        self, working: WorkingMemory, counting: Counting
    ) -> None:
        with pytest.raises(MessageNotStorableError):
            working.replace_messages("t1", [HumanMessage("x", additional_kwargs={"a": {1}})])
        with pytest.raises(InvalidInputError, match="RemoveMessage"):
            working.replace_messages("t1", [RemoveMessage(id="1")])
        assert counting.round_trips == 0


class TestRemoveMessage:
    async def test_it_removes_in_the_order_of_the_batch(self, working: WorkingMemory, both: Both) -> None:
        await both(working).aappend("t1", CONVERSATION)
        batch = [
            AIMessage("no", id="5"),
            RemoveMessage(id="4"),
            AIMessage("yes", id="6"),
            RemoveMessage(id="5"),
            RemoveMessage(id="unknown"),
        ]
        assert await both(working).aappend("t1", batch) == 5
        assert await both(working).amessages("t1") == [*CONVERSATION[:3], AIMessage("yes", id="6")]
        assert await both(working).aappend("t1", [RemoveMessage(id="6")]) == 5
        assert await both(working).amessages("t1") == CONVERSATION[:3]

    async def test_all_before_it_is_removed(self, working: WorkingMemory, both: Both) -> None:
        await both(working).aappend("t1", CONVERSATION)
        batch = [HumanMessage("x"), RemoveMessage(id=REMOVE_ALL_MESSAGES), SUMMARY, *CONVERSATION[3:]]
        assert await both(working).aappend("t1", batch) == 6
        assert await both(working).amessages("t1") == [SUMMARY, *CONVERSATION[3:]]

    def test_what_is_appended_meanwhile_stays(self, working: WorkingMemory, monkeypatch: Any) -> None:
        working.append("t1", CONVERSATION)
        interfering(working, [HumanMessage("me too")], monkeypatch)
        working.append("t1", [RemoveMessage(id=REMOVE_ALL_MESSAGES), SUMMARY])
        assert working.messages("t1") == [HumanMessage("me too"), SUMMARY]


@pytest.mark.parametrize("transport", ["redis"], indirect=True)
class TestForeign:
    @pytest.mark.parametrize("indent", [None, 2])
    def test_other_programs_layouts_are_edited_and_their_entries_kept(
        self, transport: SharedConnection, bare: redis.Redis, indent: int | None
    ) -> None:
        working = WorkingMemory(transport=transport)
        turns: list[Any] = [
            {
                "role": "user",
                "content": "hi",
                "id": "1",
                "ts": 1.0,
                "additional_kwargs": {"a": [[], {}, 2**60]},
            },
            {"role": "nobody knows", "content": "?"},
            7,
            {"role": "assistant", "content": "yo", "id": "2", "ts": 2.5},
        ]
        bare.hset("agent:session:t1", "recent_turns", json.dumps(turns, indent=indent))
        assert working.delete_messages("t1", ["2"]) == 1
        assert json.loads(bare.hget("agent:session:t1", "recent_turns") or b"") == turns[:3]
        assert working.delete_messages("t1", ["1"]) == 1
        assert json.loads(bare.hget("agent:session:t1", "recent_turns") or b"") == turns[1:3]
        working.append("t1", [RemoveMessage(id=REMOVE_ALL_MESSAGES), SUMMARY])
        assert json.loads(bare.hget("agent:session:t1", "recent_turns") or b"")[:2] == turns[1:3]
        assert working.messages("t1") == [SUMMARY]

    def test_a_damaged_session_is_edited_as_far_as_it_can_be_read(
        self, transport: SharedConnection, bare: redis.Redis
    ) -> None:
        working = WorkingMemory(transport=transport)
        whole = b'{"role":"user","content":"hi","id":"1","ts":1}'
        bare.hset("agent:session:t1", "recent_turns", b"[%s,%s" % (whole, whole[:-9]))
        assert working.delete_messages("t1", ["1"]) == 1
        assert working.messages("t1") == []
        assert whole[:-9] in (bare.hget("agent:session:t1", "recent_turns") or b"")

    def test_a_list_that_others_wrote_is_edited_and_keeps_its_expiry(
        self, transport: SharedConnection, bare: redis.Redis
    ) -> None:
        working = WorkingMemory(transport=transport, storage="list")
        bare.lpush("t1", '{"type": "human", "data": {"content": "hi", "id": "1"}}', "no JSON")
        bare.expire("t1", 500)
        assert working.delete_messages("t1", ["1"]) == 1
        assert bare.lrange("t1", 0, -1) == [b"no JSON"]
        working.replace_messages("t1", [SUMMARY])
        assert bare.lindex("t1", 0) == b"no JSON"
        assert 490 < bare.ttl("t1") <= 500


IDS = st.sampled_from(["1", "2", "3"])
TEXTS = st.sampled_from(["a", "b", "[ \n", ",\n", "\u2028"])
SAID: st.SearchStrategy[BaseMessage] = st.one_of(
    st.builds(lambda text, id: HumanMessage(text, id=id), TEXTS, st.none() | IDS),
    st.builds(lambda text, id: AIMessage(text, id=id), TEXTS, st.none() | IDS),
)
REMOVALS = IDS.map(lambda id: RemoveMessage(id=id))
MANY = st.lists(SAID, max_size=5)
STEPS = st.one_of(
    st.tuples(st.just("append"), st.lists(SAID | REMOVALS, max_size=5)),
    st.tuples(st.just("delete"), st.lists(SAID | IDS, max_size=3)),
    st.tuples(st.just("replace"), MANY),
)


@pytest.mark.parametrize("transport", ["redis"], indirect=True)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=8))
def test_any_changes_leave_what_a_list_in_python_would(
    working: WorkingMemory, steps: list[tuple[str, list[Any]]]
) -> None:
    working.delete("t1")
    expected: list[BaseMessage] = []
    for what, given_messages in steps:
        if what == "append":
            for message in given_messages:
                if isinstance(message, RemoveMessage):
                    expected = [one for one in expected if one.id != message.id]
                else:
                    expected.append(message)
            working.append("t1", given_messages)
        elif what == "delete":
            ids = {one if isinstance(one, str) else one.id for one in given_messages} - {None}
            left = [one for one in expected if one.id not in ids]
            for message in (one for one in given_messages if not isinstance(one, str) and one.id is None):
                for at in reversed(range(len(left))):
                    if left[at] == message:
                        del left[at]
                        break
            assert working.delete_messages("t1", given_messages) == len(expected) - len(left)
            expected = left
        else:
            expected = list(given_messages)
            working.replace_messages("t1", given_messages)
        expected = expected[-20:]
        assert working.messages("t1") == expected


async def test_writers_at_once_lose_nothing_to_those_who_delete_and_replace(
    transport: SharedConnection,
) -> None:
    for storage in ("hash", "list"):
        working = WorkingMemory(transport=transport, storage=storage, max_turns=None)

        async def write(writer: int, working: WorkingMemory = working, thread: str = storage) -> None:
            for number in range(15):
                await working.aappend(thread, [HumanMessage(f"{writer}:{number}", id=f"{writer}:{number}")])
                if number % 3 == 0:
                    await working.adelete_messages(thread, [f"{writer}:{number}"])

        async def shorten(working: WorkingMemory = working, thread: str = storage) -> None:
            for _ in range(10):
                seen = await working.amessages(thread)
                kept = [message for message in seen if str(message.content).endswith(("1", "2", "5"))]
                await working.areplace_messages(thread, [SUMMARY, *kept], seen=seen)

        await asyncio.gather(*(write(writer) for writer in range(4)), shorten())
        state = await working.aload(storage)
        assert state is not None
        assert state.turn_count == 60
        left = [str(message.content) for message in state.messages]
        for writer in range(4):
            own = [text for text in left if text.startswith(f"{writer}:")]
            assert own == sorted(own, key=lambda text: int(text.split(":")[1]))
            kept_always = {
                f"{writer}:{number}" for number in range(15) if number % 3 and str(number)[-1] in "125"
            }
            assert kept_always <= set(own)
            assert not {f"{writer}:{number}" for number in range(0, 15, 3)} & set(own)
