"""What of an exchange is looked up and remembered, by which vectors."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage

from langchain_agentmem.chain.failures import Failures
from langchain_agentmem.chain.memories import ExchangeMemories, Ids, kind_of
from langchain_agentmem.errors import EmbeddingError, InvalidInputError, StoreFullError
from langchain_agentmem.longterm.types import RememberResult
from tests.chain.fake_memory import Memory, wrapping
from tests.embedding_model import RecordingEmbeddings

IDS = Ids("t1", "alice", "work")


def of_an_exchange(memory: Memory, text: str = "hi", **options: Any) -> tuple[ExchangeMemories, Failures]:
    failures = Failures(memory, IDS.thread_id, IDS.user)
    of_turn = wrapping(**options).turn(check_owner=True)
    return ExchangeMemories(memory, of_turn, IDS, text, failures), failures


def prepared(memory: Memory, text: str = "hi", **options: Any) -> ExchangeMemories:
    found, _ = of_an_exchange(memory, text, **options)
    memory.transport.run(found.prepare(kept=True))
    return found


class TestWhatIsRemembered:
    @pytest.mark.parametrize("remember", ["semantic", lambda text: "semantic"])
    def test_the_text_under_a_kind_that_is_named_or_chosen(self, remember: Any) -> None:
        assert kind_of("hi", remember) == "semantic"

    @pytest.mark.parametrize("remember", [None, lambda text: None])
    def test_or_nothing(self, remember: Any) -> None:
        assert kind_of("hi", remember) is None

    def test_the_choice_is_made_by_the_text(self) -> None:
        assert kind_of("secret", lambda text: None if "secret" in text else "episodic") is None

    @pytest.mark.parametrize("kind", ["", 5, "\ud800"])
    def test_what_is_no_kind_is_refused(self, kind: Any) -> None:
        with pytest.raises(InvalidInputError, match="kind"):
            kind_of("hi", lambda text: kind)

    def test_an_extractor_whose_parameter_has_another_name_is_told_so(self) -> None:
        with pytest.raises(InvalidInputError, match=r"returned a list.*has to be called exchange"):
            kind_of("hi", lambda text: [text])  # type: ignore[arg-type, return-value]

    def test_it_is_one_round_trip_with_the_vector_of_the_search(self) -> None:
        memory = Memory()
        found = prepared(memory)
        assert memory.embeddings.calls == [("embed_query", ["hi"])]
        assert memory.transport.run(found.remember([])) == [RememberResult("m2", False, None)]
        assert memory.store.steps == [["remember"]]
        shared = {"user": "alice", "namespace": "work", "source_thread": "t1", "context": "", "known": []}
        assert memory.facts.remembered == [("hi", {**shared, "kind": "episodic", "embedding": [2.0]})]

    def test_what_was_said_before_is_their_context_and_no_output_of_tools(self) -> None:
        memory = Memory()
        history = [
            HumanMessage("earlier"),
            AIMessageChunk("How often do you swim?"),
            AIMessage("", tool_calls=[{"name": "look", "args": {}, "id": "1"}]),
            ToolMessage("a page", tool_call_id="1"),
            SystemMessage("be brief"),
            HumanMessage("Well \ud83d"),
        ]
        memory.transport.run(prepared(memory).remember(history))
        assert memory.facts.remembered[0][1]["context"] == "How often do you swim?\nWell ?"

    def test_one_that_fails_is_raised(self) -> None:
        memory = Memory()
        found = prepared(memory)
        memory.store.replies["remember"] = StoreFullError("full")
        with pytest.raises(StoreFullError):
            memory.transport.run(found.remember([]))


class TestWhatIsRecalled:
    def test_the_text_in_the_users_namespace_with_the_options_of_wrap(self) -> None:
        memory = Memory()
        found = prepared(memory, recall={"k": 3, "kind": "semantic"})
        memory.transport.run(found.recall())
        asked = {"user": "alice", "namespace": "work", "embedding": [2.0], "k": 3, "kind": "semantic"}
        assert memory.facts.recalled == [("hi", asked)]

    def test_nothing_is_looked_up_that_no_prompt_shows(self) -> None:
        assert prepared(Memory(), memories_key=None).recalls is False

    def test_without_embeddings_the_store_finds_it_by_its_words(self) -> None:
        memory = Memory()
        memory.facts.embeddings = None
        found = prepared(memory)
        memory.transport.run(found.recall())
        memory.transport.run(found.remember([]))
        assert memory.facts.recalled[0][1]["embedding"] is None
        assert memory.facts.remembered[0][1]["embedding"] is None


class TestWhatIsNeither:
    def test_an_input_without_text(self) -> None:
        memory = Memory()
        found = prepared(memory, "")
        assert (found.recalls, found.remembers, memory.embeddings.calls) == (False, False, [])

    @pytest.mark.parametrize(("text", "why"), [("x" * 11, "over 10 bytes"), ("\ud800", "lone surrogate")])
    @pytest.mark.parametrize(("kept", "where"), [(True, "is in the session, but"), (False, "is neither")])
    def test_a_text_that_no_memory_can_be_is_noted(self, text: str, why: str, kept: bool, where: str) -> None:
        memory = Memory(max_text_bytes=10)
        found, failures = of_an_exchange(memory, text)
        memory.transport.run(found.prepare(kept=kept))
        assert (found.recalls, found.remembers, memory.embeddings.calls) == (False, False, [])
        (noted,) = failures.noted
        assert why in noted
        assert where in noted
        assert memory.failures == 0, "it is no failure"

    def test_a_choice_that_raises_is_passed_over_and_the_text_still_looked_up(self) -> None:
        def fail(_: str) -> None:
            raise ZeroDivisionError("yours")

        memory = Memory()
        found, failures = of_an_exchange(memory, remember=fail)
        memory.transport.run(found.prepare(kept=True))
        assert (found.recalls, found.remembers) == (True, False)
        assert (failures.noted, memory.failures) == (["remember: ZeroDivisionError: yours"], 1)

    def test_embeddings_that_fail_leave_neither_if_failures_are_passed_over(self) -> None:
        memory = Memory(embeddings=RecordingEmbeddings(OSError("no model")), on_error="continue")
        found = prepared(memory)
        assert (found.recalls, found.remembers) == (False, False)

    def test_a_vector_that_the_index_cannot_take_is_a_failure_of_recall(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_: Any) -> None:
            raise EmbeddingError("one number too few")

        memory = Memory()
        monkeypatch.setattr(memory.facts, "check_embedding", refuse)
        with pytest.raises(EmbeddingError):
            prepared(memory)
        memory.settings = memory.settings.model_copy(update={"on_error": "continue"})
        found, failures = of_an_exchange(memory)
        memory.transport.run(found.prepare(kept=True))
        assert (found.recalls, found.remembers) == (False, False)
        assert failures.noted == ["recall: one number too few"]
