"""What an exchange reads and writes, step by step, and what it leaves behind when a step fails."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from langchain_agentmem.chain.exchange import ChainExchange
from langchain_agentmem.chain.noteworthy import noteworthy
from langchain_agentmem.chain.options import ExchangeReport
from langchain_agentmem.errors import (
    EmbeddingError,
    ExchangeNotStoredError,
    InvalidInputError,
    MessageNotStorableError,
    StoreConnectionError,
    StoreFullError,
    StoreTimeoutError,
    WrongKeyTypeError,
    WrongOwnerError,
)
from langchain_agentmem.longterm.types import RememberResult
from tests.chain.fake_memory import CONFIG, KNOWN, Memory, stored
from tests.embedding_model import RecordingEmbeddings

READ = ["history", "recall"]
WRITE = ["note", "append", "events", "remember"]
UNSTORABLE = AIMessage("dear", additional_kwargs={"a": {1}})


def read(memory: Memory, exchange: ChainExchange) -> dict[str, Any]:
    memory.transport.run(exchange.read())
    return exchange.chain_inputs()


def write(memory: Memory, exchange: ChainExchange, output: Any = "yo") -> Exception | None:
    exchange.finish(output)
    return memory.transport.run(exchange.write())


def answered(memory: Memory, output: Any = "yo", **options: Any) -> ChainExchange:
    exchange = memory.exchange(**options)
    read(memory, exchange)
    exchange.finish(output)
    return exchange


class TestRoundTrips:
    def test_one_reads_everything_and_one_writes_everything(self) -> None:
        memory = Memory()
        exchange = memory.exchange()
        read(memory, exchange)
        assert write(memory, exchange) is None
        assert memory.store.steps == [READ, WRITE]
        assert memory.embeddings.calls == [("embed_query", ["hi"])]
        assert memory.store.appended == [([("hi", False), ("yo", False)], [])]
        assert memory.store.actions == ["turn_start", "recall"]

    async def test_the_async_driver_sends_the_same(self) -> None:
        memory = Memory()
        exchange = memory.exchange()
        await memory.transport.arun(exchange.read())
        exchange.chain_inputs()
        exchange.finish("yo")
        assert await memory.transport.arun(exchange.write()) is None
        assert memory.store.steps == [READ, WRITE]
        assert memory.embeddings.calls == [("aembed_query", ["hi"])]

    def test_the_same_vector_is_searched_for_and_stored(self) -> None:
        memory = Memory()
        exchange = memory.exchange()
        read(memory, exchange)
        write(memory, exchange)
        ((_, recalled),) = memory.facts.recalled
        ((_, remembered),) = memory.facts.remembered
        assert recalled["embedding"] == remembered["embedding"] == [2.0]

    @pytest.mark.parametrize(
        ("options", "steps", "embedded"),
        [
            ({"memories_key": None}, [["history"], WRITE], 1),
            ({"remember": None}, [READ, WRITE[:-1]], 1),
            ({"memories_key": None, "remember": None}, [["history"], WRITE[:-1]], 0),
            ({"check_owner": False}, [["history", "recall"], WRITE], 1),
        ],
        ids=str,
    )
    def test_what_is_not_wanted_is_neither_sent_nor_embedded(
        self, options: dict[str, Any], steps: list[list[str]], embedded: int
    ) -> None:
        memory = Memory()
        exchange = memory.exchange(**options)
        read(memory, exchange)
        write(memory, exchange)
        assert memory.store.steps == steps
        assert len(memory.embeddings.calls) == embedded


class TestReading:
    def test_the_chain_is_given_the_history_and_the_memories_beside_its_own_input(self) -> None:
        memory = Memory()
        memory.store.replies |= {"history": stored("before"), "recall": [KNOWN]}
        inputs = read(memory, memory.exchange({"input": "hi", "style": "brief"}))
        assert inputs == {
            "input": "hi",
            "style": "brief",
            "chat_history": [HumanMessage("before")],
            "memories": [KNOWN],
        }
        assert str(inputs["memories"]) == "- tea is hot"

    def test_what_was_recalled_is_an_event(self) -> None:
        memory = Memory()
        memory.store.replies["recall"] = [KNOWN]
        write(memory, answered(memory))
        assert b"0.250 tea is hot" in b" ".join(str(part).encode() for part in memory.store.of("events")[0])

    def test_what_was_recalled_because_all_is_has_no_number(self) -> None:
        memory = Memory()
        listed = replace(KNOWN, distance=None, score=1.0)
        memory.store.replies["recall"] = [listed, replace(listed, text="milk is cold")]
        write(memory, answered(memory))
        assert "tea is hot; milk is cold" in memory.store.told("detail")

    def test_what_was_recalled_by_words_alone_has_its_score(self) -> None:
        memory = Memory()
        memory.store.replies["recall"] = [replace(KNOWN, distance=None, score=0.5, matched_words=["tea"])]
        write(memory, answered(memory))
        assert "0.500 tea is hot" in memory.store.told("detail")

    def test_history_that_fails_raises(self) -> None:
        memory = Memory()
        memory.store.replies["history"] = WrongKeyTypeError("another type")
        with pytest.raises(WrongKeyTypeError):
            read(memory, memory.exchange())

    def test_or_is_passed_over(self) -> None:
        memory = Memory(on_error="continue")
        memory.store.replies |= {"history": WrongKeyTypeError("another type"), "recall": [KNOWN]}
        exchange = memory.exchange()
        inputs = read(memory, exchange)
        assert (inputs["chat_history"], inputs["memories"]) == ([], [KNOWN])
        assert (memory.failures, exchange.failures.noted) == (1, ["history: another type"])

    def test_recall_that_fails_raises(self) -> None:
        memory = Memory()
        memory.store.replies["recall"] = StoreFullError("no memory left")
        with pytest.raises(StoreFullError):
            read(memory, memory.exchange())

    def test_or_leaves_the_history(self) -> None:
        memory = Memory(on_error="continue")
        memory.store.replies |= {"history": stored("before"), "recall": StoreFullError("no memory left")}
        exchange = memory.exchange()
        inputs = read(memory, exchange)
        assert (inputs["chat_history"], inputs["memories"]) == ([HumanMessage("before")], [])
        assert exchange.failures.noted == ["recall: no memory left"]

    def test_embeddings_that_fail_raise_before_anything_is_sent(self) -> None:
        memory = Memory(embeddings=RecordingEmbeddings(EmbeddingError("no model")))
        with pytest.raises(EmbeddingError):
            read(memory, memory.exchange())
        assert memory.store.steps == []

    def test_or_leave_an_exchange_without_memories(self) -> None:
        memory = Memory(embeddings=RecordingEmbeddings(OSError("no model")), on_error="continue")
        exchange = memory.exchange()
        read(memory, exchange)
        assert write(memory, exchange) is None
        assert memory.store.steps == [["history"], WRITE[:-1]]
        assert exchange.failures.noted == ["recall: OSError: no model"]


class TestOwner:
    def test_anothers_session_is_refused_whatever_on_error_is(self) -> None:
        memory = Memory(on_error="continue")
        memory.store.replies["owner"] = b"bob"
        with pytest.raises(WrongOwnerError):
            read(memory, memory.exchange())
        assert memory.failures == 0

    @pytest.mark.parametrize("owner", [None, b"alice", b"default", b""])
    def test_ones_own_and_nobodys_is_not(self, owner: bytes | None) -> None:
        memory = Memory()
        memory.store.replies["owner"] = owner
        read(memory, memory.exchange())

    @pytest.mark.parametrize(
        ("options", "named", "checked"),
        [({}, True, "alice"), ({"check_owner": False}, True, ""), ({"remember": None}, False, "")],
    )
    def test_the_write_checks_it_again_if_a_user_was_named(
        self, options: dict[str, Any], named: bool, checked: str
    ) -> None:
        memory = Memory()
        config = CONFIG if named else {"configurable": {"session_id": "t1"}}
        exchange = memory.exchange("hi", config, memories_key=None, **options)
        read(memory, exchange)
        write(memory, exchange)
        assert memory.store.argv("append", 9) == [checked]

    def test_a_session_that_another_began_meanwhile_is_an_error_that_holds_the_answer(self) -> None:
        memory = Memory(on_error="continue")
        exchange = answered(memory)
        memory.store.replies["append"] = WrongKeyTypeError("OWNED the session is another user's")
        error = memory.transport.run(exchange.write())
        assert isinstance(error, WrongOwnerError)

    def test_nothing_is_left_in_anothers_session(self) -> None:
        memory = Memory()
        memory.store.replies["owner"] = b"bob"
        exchange = memory.exchange()
        with pytest.raises(WrongOwnerError) as caught:
            memory.transport.run(exchange.read())
        memory.transport.run(exchange.abandon(caught.value))
        assert memory.store.steps == [READ]


class TestAbandoned:
    """The chain gave no answer."""

    def test_what_the_user_said_is_kept_unanswered_in_one_round_trip(self) -> None:
        memory = Memory()
        exchange = memory.exchange()
        read(memory, exchange)
        memory.transport.run(exchange.abandon(ZeroDivisionError("no answer")))
        assert memory.store.steps[1:] == [["note", "append", "events"]]
        assert memory.store.appended == [([("hi", True)], [])]
        assert memory.store.actions == ["turn_start", "recall", "turn_error"]

    def test_the_session_is_read_first_if_it_was_not(self) -> None:
        memory = Memory(embeddings=RecordingEmbeddings(OSError("no model")))
        exchange = memory.exchange()
        with pytest.raises(OSError, match="no model") as caught:
            memory.transport.run(exchange.read())
        memory.store.replies["history"] = stored("hi", unanswered=True)
        memory.transport.run(exchange.abandon(caught.value))
        assert memory.store.steps == [["history"], ["note", "append", "events"]]
        assert memory.store.appended == [([("hi", True)], [("hi", True)])]

    def test_nothing_is_sent_when_the_store_did_not_answer(self) -> None:
        memory = Memory()
        memory.store.breaks[0] = StoreConnectionError("gone")
        exchange = memory.exchange()
        with pytest.raises(StoreConnectionError) as caught:
            memory.transport.run(exchange.read())
        memory.transport.run(exchange.abandon(caught.value))
        assert memory.store.steps == [READ]

    def test_nothing_is_sent_for_a_call_that_was_refused(self) -> None:
        memory = Memory()
        memory.transport.run(memory.exchange().abandon(InvalidInputError("bad")))
        assert memory.store.steps == []

    @pytest.mark.parametrize(
        ("on_abandon", "kept"),
        [
            ("keep_input", [("hi", True)]),
            ("keep_partial", [("hi", True), ("one two ", True)]),
            ("drop", None),
        ],
    )
    def test_of_a_stream_that_was_left_is_kept_what_was_chosen(
        self, on_abandon: Any, kept: list[tuple[str, bool]] | None
    ) -> None:
        memory = Memory()
        exchange = memory.exchange(on_abandon=on_abandon)
        read(memory, exchange)
        for chunk in ("one ", "two "):
            exchange.take(chunk)
        memory.transport.run(exchange.abandon(GeneratorExit()))
        assert memory.store.appended == ([] if kept is None else [(kept, [])])
        assert "the stream was left before its end" in str(memory.store.of("events"))

    def test_half_an_answer_that_cannot_be_stored_costs_not_the_question(self) -> None:
        memory = Memory()
        exchange = memory.exchange(on_abandon="keep_partial")
        read(memory, exchange)
        exchange.take(UNSTORABLE)
        memory.transport.run(exchange.abandon(GeneratorExit()))
        assert memory.store.appended == [([("hi", True)], [])]
        assert exchange.failures.noted[0].startswith("append: ")

    def test_a_refused_append_is_raised_and_only_logged_by_clearing_up(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        memory = Memory()
        memory.store.replies["append"] = StoreFullError("no memory left")
        exchange = memory.exchange()
        read(memory, exchange)
        error = ZeroDivisionError()
        with caplog.at_level(logging.WARNING):
            exchange.turn.clear_up(error, exchange.abandon(error))
        assert "What was said in thread 't1' may not be kept: no memory left" in caplog.text


class TestSaidAgain:
    def test_the_unanswered_question_is_replaced_and_not_part_of_the_history(self) -> None:
        memory = Memory()
        memory.store.replies["history"] = stored("hi", unanswered=True)
        exchange = memory.exchange()
        assert read(memory, exchange)["chat_history"] == []
        write(memory, exchange)
        assert memory.store.appended == [([("hi", False), ("yo", False)], [("hi", True)])]

    def test_another_question_replaces_nothing(self) -> None:
        memory = Memory()
        memory.store.replies["history"] = stored("hi", unanswered=True)
        exchange = memory.exchange("how are you")
        assert read(memory, exchange)["chat_history"] == [HumanMessage("hi")]
        write(memory, exchange)
        assert memory.store.appended[0][1] == []


class TestWriting:
    def test_an_answer_that_cannot_be_stored_leaves_the_question_unanswered(self) -> None:
        memory = Memory()
        exchange = answered(memory, UNSTORABLE)
        assert isinstance(memory.transport.run(exchange.write()), MessageNotStorableError)
        assert memory.store.appended == [([("hi", True)], [])]
        assert memory.facts.remembered == []

    def test_a_graph_that_waits_for_somebody_has_not_answered(self) -> None:
        memory = Memory()
        state = {"messages": [HumanMessage("hi"), AIMessage("half")], "__interrupt__": ["may I?"]}
        exchange = answered(memory, state)
        assert memory.transport.run(exchange.write()) is None
        assert memory.store.steps[1:] == [WRITE[:-1]]
        assert memory.store.appended == [([("hi", True)], [])]

    def test_an_append_that_is_refused_is_handed_back_and_the_rest_is_written(self) -> None:
        memory = Memory()
        exchange = answered(memory)
        memory.store.replies["append"] = StoreFullError("no memory left")
        assert isinstance(memory.transport.run(exchange.write()), StoreFullError)
        assert memory.store.steps[1:] == [WRITE]

    def test_a_memory_that_is_refused_is_handed_back(self) -> None:
        memory = Memory()
        exchange = answered(memory)
        memory.store.replies["remember"] = StoreFullError("no memory left")
        assert isinstance(memory.transport.run(exchange.write()), StoreFullError)

    def test_both_are_passed_over_on_request(self) -> None:
        memory = Memory(on_error="continue")
        reports: list[ExchangeReport] = []
        exchange = answered(memory, on_exchange=reports.append)
        memory.store.replies |= {"append": StoreFullError("full"), "remember": StoreFullError("full")}
        assert memory.transport.run(exchange.write()) is None
        exchange.report()
        assert reports[0].failures == ["append: full", "remember: full"]
        assert (reports[0].turn_count, reports[0].remembered, memory.failures) == (None, None, 2)

    def test_events_that_are_refused_are_counted_and_raise_nothing(self) -> None:
        memory = Memory()
        exchange = answered(memory)
        memory.store.replies["events"] = WrongKeyTypeError("no stream")
        assert memory.transport.run(exchange.write()) is None
        assert memory.events.dropped == 2

    def test_the_report_says_what_was_done(self) -> None:
        memory = Memory()
        memory.store.replies |= {"recall": [KNOWN], "append": 7}
        reports: list[ExchangeReport] = []
        exchange = answered(memory, on_exchange=reports.append)
        memory.transport.run(exchange.write())
        exchange.report()
        (report,) = reports
        assert (report.thread_id, report.user, report.namespace) == ("t1", "alice", "default")
        assert (report.recalled, report.turn_count, report.failures) == ([KNOWN], 7, [])
        assert report.remembered == RememberResult("m2", False, None)
        assert report.not_remembered is None
        event = {"action": "remember", "detail": "hi", "user": "alice", "memory_ids": ["m2"]}
        assert report.memory_event == ("t1", event)

    @pytest.mark.parametrize(
        ("text", "remember", "why"),
        [
            ("Where do I live?", noteworthy, "question"),
            ("Tell me a joke.", noteworthy, "request"),
            ("Where do I live?", lambda text: None, "question"),
            ("I live in Porto.", lambda text: None, "declined"),
            ("I live in Porto.", None, "off"),
            ("", noteworthy, "unusable"),
            ("I live in Porto, by the sea.", noteworthy, "unusable"),
            ("I live in Porto.", lambda text: 1 // 0, "failed"),
            ("I live in Porto.", noteworthy, "failed"),
        ],
    )
    def test_the_report_says_why_nothing_was_remembered(self, text: str, remember: Any, why: str) -> None:
        memory = Memory(max_text_bytes=20, on_error="continue")
        memory.store.replies["remember"] = StoreFullError("full")
        reports: list[ExchangeReport] = []
        exchange = answered(memory, value=text, remember=remember, on_exchange=reports.append)
        memory.transport.run(exchange.write())
        exchange.report()
        assert (reports[0].remembered, reports[0].not_remembered) == (None, why)
        assert reports[0].memory_event is None

    def test_a_report_that_fails_is_noted_and_raises_nothing(self) -> None:
        def fail(_: ExchangeReport) -> None:
            raise ZeroDivisionError("yours")

        memory = Memory()
        exchange = answered(memory, on_exchange=fail)
        memory.transport.run(exchange.write())
        exchange.report()
        assert (memory.failures, exchange.failures.noted) == (1, ["on_exchange: ZeroDivisionError: yours"])


class TestDelivering:
    def test_an_error_of_the_package_holds_the_answer_and_counts_the_events_as_lost(self) -> None:
        memory = Memory()
        exchange = answered(memory)
        memory.store.breaks[1] = StoreTimeoutError("late")
        with pytest.raises(StoreTimeoutError) as caught, exchange.delivering():
            memory.transport.run(exchange.write())
        assert caught.value.output == "yo"
        assert memory.events.dropped == 2

    def test_so_does_a_foreign_one_in_an_error_of_the_package(self) -> None:
        exchange = answered(Memory())
        with (
            pytest.raises(ExchangeNotStoredError, match="ZeroDivisionError") as caught,
            exchange.delivering(),
        ):
            raise ZeroDivisionError
        assert caught.value.output == "yo"
        assert isinstance(caught.value.__cause__, ZeroDivisionError)


class TestTakenBack:
    """The caller gets an error though the chain has answered."""

    @staticmethod
    def broken(memory: Memory, error: Exception) -> ChainExchange:
        exchange = answered(memory)
        memory.store.breaks[1] = error
        with pytest.raises(type(error)):
            memory.transport.run(exchange.write())
        return exchange

    def test_what_was_stored_is_marked_in_one_round_trip(self) -> None:
        memory = Memory()
        exchange = answered(memory)
        memory.store.replies["remember"] = StoreFullError("full")
        error = memory.transport.run(exchange.write())
        assert error is not None
        memory.transport.run(exchange.turn.take_back(error))
        assert memory.store.steps[2:] == [["note", "append"]]
        said = [("hi", False), ("yo", False)]
        assert memory.store.appended[1] == ([("hi", True), ("yo", True)], said)
        assert memory.store.argv("append", 12)[1] == 1, "only in place of what it marks"

    def test_what_surely_was_not_stored_is_left_alone(self) -> None:
        memory = Memory()
        exchange = answered(memory)
        memory.store.replies["append"] = StoreFullError("full")
        error = memory.transport.run(exchange.write())
        assert error is not None
        memory.transport.run(exchange.turn.take_back(error))
        assert len(memory.store.steps) == 2

    def test_what_is_marked_already_is_left_alone(self) -> None:
        memory = Memory()
        exchange = answered(memory, UNSTORABLE)
        error = memory.transport.run(exchange.write())
        assert error is not None
        memory.transport.run(exchange.turn.take_back(error))
        assert len(memory.store.steps) == 2

    @pytest.mark.parametrize(("was_stored", "appends"), [(True, 1), (False, 2)])
    def test_of_an_unknown_outcome_it_is_marked_or_stored(self, was_stored: bool, appends: int) -> None:
        memory = Memory()
        error = StoreConnectionError("broken off")
        exchange = self.broken(memory, error)
        memory.store.replies["append"] = 2 if was_stored else None
        memory.transport.run(exchange.turn.take_back(error))
        assert memory.store.steps[2:] == [["note", "append"]] * appends
        marked = [("hi", True), ("yo", True)]
        assert [messages for messages, _ in memory.store.appended[1:]] == [marked] * appends
        assert memory.store.argv("append", 12)[1:] == [1, 0][:appends]

    def test_after_a_timeout_nothing_is_sent(self) -> None:
        memory = Memory()
        error = StoreTimeoutError("late")
        exchange = self.broken(memory, error)
        memory.transport.run(exchange.turn.take_back(error))
        assert len(memory.store.steps) == 2


class TestIds:
    @pytest.mark.parametrize("name", ["session_id", "thread_id"])
    def test_the_session_is_named_in_the_config(self, name: str) -> None:
        assert Memory().exchange("hi", {"configurable": {name: "t9", "user_id": "bob"}}).thread_id == "t9"

    def test_or_is_the_memorys_own(self) -> None:
        memory = Memory()
        memory.session_id = "own"
        assert memory.exchange("hi", {"configurable": {"user_id": "bob"}}).thread_id == "own"

    def test_without_any_it_is_refused_with_what_was_given(self) -> None:
        with pytest.raises(InvalidInputError, match="no session_id, only user_id"):
            Memory().exchange("hi", {"configurable": {"user_id": "bob"}})

    def test_a_user_is_needed_where_memories_are(self) -> None:
        config: Any = {"configurable": {"session_id": "t1"}}
        with pytest.raises(InvalidInputError, match="user_id"):
            Memory().exchange("hi", config)
        assert Memory().exchange("hi", config, memories_key=None, remember=None).user == "default"

    def test_an_exchange_inside_another_of_its_session_is_refused_until_that_is_over(self) -> None:
        memory = Memory()
        outer = memory.exchange()
        with pytest.raises(InvalidInputError, match="inside another one"):
            memory.exchange("ho", {**outer.chain_config(), **CONFIG})
        memory.exchange(
            "ho", {**outer.chain_config(), "configurable": {"session_id": "t2", "user_id": "alice"}}
        )
        outer.finish("yo")
        memory.exchange("ho", {**outer.chain_config(), **CONFIG})


def test_a_question_that_cannot_be_stored_is_refused_or_passed_over() -> None:
    odd = HumanMessage("hi", additional_kwargs={"a": {1}})
    with pytest.raises(MessageNotStorableError):
        Memory().exchange(odd)
    memory = Memory(on_error="continue")
    exchange = memory.exchange(odd)
    read(memory, exchange)
    write(memory, exchange)
    assert memory.store.steps[1:] == [["note", "events", "remember"]]


def test_parts_of_a_stream_are_added_up_or_replaced() -> None:
    exchange = Memory().exchange()
    for part in ("a", "b", {"answer": 1}, {"answer": 2}):
        exchange.take(part)
    assert exchange.streamed == {"answer": 2}
