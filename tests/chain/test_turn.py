"""What a turn reads and writes, by whoever runs it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from langchain_agentmem.chain.ids import Ids
from langchain_agentmem.chain.options import TurnOptions
from langchain_agentmem.chain.turn import Turn, begun, ending
from langchain_agentmem.chain.turn_context import TurnContext
from langchain_agentmem.core.operations import Op
from langchain_agentmem.errors import InvalidInputError, StoreFullError, WrongOwnerError
from langchain_agentmem.longterm.types import MemoryRecord
from tests.chain.fake_memory import KNOWN, Memory, stored

IDS = Ids("t1", "alice", "default")


def turn(memory: Memory, text: str = "hi", **options: Any) -> Turn:
    return begun(memory, TurnOptions(**{"recall": {}, "remember": "episodic", **options}), IDS, text, None)


def read(memory: Memory, one: Turn, *, store_input: bool = False) -> TurnContext:
    memory.transport.run(one.read(store_input=store_input))
    return one.context


def write(memory: Memory, one: Turn, **options: Any) -> Exception | None:
    messages = one.encoded([HumanMessage("hi"), AIMessage("yo")])
    return memory.transport.run(one.write(messages, **options))


def _returning(records: list[MemoryRecord]) -> Op[list[MemoryRecord]]:
    yield from ()
    return records


class TestReading:
    def test_the_session_and_what_is_recalled_are_one_round_trip(self) -> None:
        memory = Memory()
        memory.store.replies |= {
            "history": stored("before"),
            "goal": b"a trip",
            "scratchpad": b"- by train",
            "summary": "früher".encode(),
            "recall": [KNOWN],
        }
        context = read(memory, turn(memory))
        assert memory.store.steps == [["history", "recall"]]
        assert context.history == [HumanMessage("before")]
        assert (context.goal, context.scratchpad, context.summary) == ("a trip", "- by train", "früher")
        assert (context.memories, context.pinned) == ([KNOWN], [])

    def test_pinned_memories_are_looked_for_by_the_same_vector_and_are_given_once(self) -> None:
        memory = Memory()
        profile = replace(KNOWN, id="m0", kind="profile", text="is called Ada")
        memory.store.replies["recall"] = [profile]
        context = read(memory, turn(memory, pinned=("profile",)))
        assert memory.store.steps == [["history", "recall", "recall"]]
        assert (context.pinned, context.memories) == ([profile], [])
        (_, recalled), (_, pinned) = memory.facts.recalled
        assert pinned["embedding"] == recalled["embedding"]
        assert (pinned["kind"], pinned["distance_threshold"], pinned["mode"]) == ("profile", None, "vector")
        assert memory.embeddings.calls == [("embed_query", ["hi"])]
        assert memory.store.actions == []
        write(memory, ending(memory, context))
        assert memory.store.actions == ["turn_start", "recall"]

    def test_what_a_pinned_memory_says_is_not_recalled_as_well(self) -> None:
        memory = Memory()
        texts = {"m1": "I am called Ada.", "m2": "i'm called ada!", "m3": "I am called Bea."}
        pinned, same, other = (replace(KNOWN, id=id, text=text) for id, text in texts.items())
        memory.store.replies["recall"] = [same, other]
        one = turn(memory, pinned=("profile",))
        one.memories.recall_pinned = lambda: _returning([pinned])  # type: ignore[method-assign]
        context = read(memory, one)
        assert (context.pinned, context.memories) == ([pinned], [other])

    def test_without_recall_nothing_is_looked_for(self) -> None:
        memory = Memory()
        read(memory, turn(memory, recall=None, remember=None))
        assert memory.store.steps == [["history"]]
        assert memory.embeddings.calls == []

    def test_anothers_session_is_refused(self) -> None:
        memory = Memory(on_error="continue")
        memory.store.replies["owner"] = b"bob"
        with pytest.raises(WrongOwnerError):
            read(memory, turn(memory))
        read(memory, turn(memory, check_owner=False))


class TestStoredAhead:
    def test_the_question_is_appended_in_the_round_trip_that_reads(self) -> None:
        memory = Memory()
        one = turn(memory)
        read(memory, one, store_input=True)
        assert memory.store.steps == [["history", "note", "append", "recall"]]
        assert memory.store.appended == [([("hi", True)], [])]
        write(memory, one)
        assert memory.store.appended[1:] == [([("hi", False), ("yo", False)], [("hi", True)])]

    def test_what_was_said_before_and_not_answered_is_replaced_with_it(self) -> None:
        memory = Memory()
        memory.store.replies["history"] = stored("hi", unanswered=True)
        one = turn(memory)
        assert read(memory, one, store_input=True).history == []
        write(memory, one)
        assert memory.store.appended[1] == ([("hi", False), ("yo", False)], [("hi", True), ("hi", True)])

    def test_what_cannot_be_appended_raises_or_is_passed_over(self) -> None:
        memory = Memory()
        memory.store.replies["append"] = StoreFullError("no memory left")
        with pytest.raises(StoreFullError):
            read(memory, turn(memory), store_input=True)
        memory = Memory(on_error="continue")
        memory.store.replies["append"] = StoreFullError("no memory left")
        one = turn(memory)
        context = read(memory, one, store_input=True)
        assert context.failures == ["append: no memory left"]
        assert one.replaces == []


class TestWriting:
    def test_it_is_one_round_trip_and_says_what_became_of_it(self) -> None:
        memory = Memory()
        one = turn(memory)
        read(memory, one)
        assert write(memory, one) is None
        assert memory.store.steps[1:] == [["note", "append", "events", "remember"]]
        result = one.result()
        assert (result.turn_count, [kept.id for kept in result.remembered]) == (2, ["m2"])
        assert result.not_remembered is None

    def test_of_a_turn_without_an_answer_nothing_is_remembered(self) -> None:
        memory = Memory()
        one = turn(memory)
        read(memory, one)
        assert write(memory, one, answered=False) is None
        assert memory.store.steps[1:] == [["note", "append", "events"]]

    def test_a_context_made_by_hand_is_embedded_when_it_is_written(self) -> None:
        memory = Memory()
        one = ending(memory, TurnContext("t1", "alice", text="I live in Oslo."))
        assert write(memory, one) is None
        assert memory.store.steps == [["note", "append", "events", "remember"]]
        assert memory.embeddings.calls == [("embed_query", ["I live in Oslo."])]
        assert [text for text, _ in memory.facts.remembered] == ["I live in Oslo."]

    def test_the_callers_events_come_after_the_turns_own(self) -> None:
        memory = Memory()
        one = turn(memory)
        read(memory, one)
        one.add_events([{"action": "search", "detail": "weather"}])
        write(memory, one)
        assert memory.store.actions == ["turn_start", "recall", "search"]
        with pytest.raises(InvalidInputError, match="action"):
            one.add_events([{"action": ""}])


class TestRefusals:
    @pytest.mark.parametrize(
        ("ids", "text", "messages"),
        [
            (Ids("", "alice", "default"), "hi", None),
            (Ids("t1", "", "default"), "hi", None),
            (Ids("t1", "alice", ""), "hi", None),
            (IDS, "\ud800", None),
            (IDS, 5, None),
            (IDS, "hi", ["hi"]),
        ],
    )
    def test_what_is_no_id_text_or_message(self, ids: Ids, text: Any, messages: Any) -> None:
        with pytest.raises(InvalidInputError):
            begun(Memory(), TurnOptions({}), ids, text, messages)

    @pytest.mark.parametrize("pinned", ["profile", [""], [5]])
    def test_what_are_no_kinds(self, pinned: Any) -> None:
        with pytest.raises(InvalidInputError, match="pinned"):
            TurnOptions({}, pinned)

    def test_a_context_of_another_memory_or_none(self) -> None:
        memory = Memory()
        context = read(memory, turn(memory))
        with pytest.raises(InvalidInputError, match="another memory"):
            ending(Memory(), context)
        with pytest.raises(InvalidInputError, match="read_turn"):
            ending(memory, {"thread_id": "t1"})  # type: ignore[arg-type]
