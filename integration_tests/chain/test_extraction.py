"""What an extractor tells of a turn: made of it at once, or left to a worker, and never lost."""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
import redis
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableLambda

from integration_tests.chain.conftest import Run, ainvoke, config, contents, invoke
from integration_tests.waiting import wait_until
from integration_tests.words import WordEmbeddings
from langchain_agentmem import (
    Add,
    AgentMemory,
    Exchange,
    ExchangeReport,
    Supersede,
    TurnContext,
    TurnResult,
    noteworthy,
)
from langchain_agentmem.errors import (
    AgentMemoryError,
    ConfigurationError,
    ExtractionError,
    InvalidInputError,
    SearchUnavailableError,
)
from langchain_agentmem.longterm.types import RememberResult
from langchain_agentmem.tasks.task import Place, Queued

PLACE = Place("extract", "t1", "alice", "default")


class Telling:
    """An extractor that tells what a script says, and notes what it was given."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.given: list[Exchange] = []

    def __call__(self, exchange: Exchange) -> Sequence[Any]:
        self.given.append(exchange)
        answer = self.answers.pop(0) if self.answers else []
        if isinstance(answer, BaseException):
            raise answer
        changes: Sequence[Any] = answer(exchange) if callable(answer) else answer
        return changes


def replying(memory: AgentMemory, **options: Any) -> tuple[Any, list[ExchangeReport]]:
    """A chain that answers `ok`, and the reports of its exchanges."""
    reports: list[ExchangeReport] = []
    return memory.wrap(RunnableLambda(lambda _: "ok"), on_exchange=reports.append, **options), reports


def texts(memory: AgentMemory, user: str = "alice") -> list[str]:
    return sorted(record.text for record in memory.long_term.list_memories(user=user))


def queued(memory: AgentMemory, place: Place = PLACE) -> list[Queued]:
    return memory.transport.run(memory.tasks.read_op(place, 100))


def left(memory: AgentMemory) -> tuple[int, int]:
    return memory.transport.run(memory.tasks.waiting_op())


class TestInline:
    async def test_the_facts_are_remembered_instead_of_the_words(self, memory: AgentMemory, run: Run) -> None:
        extract = Telling([Add("I live in Porto.", kind="profile"), Add("I have two cats.")])
        chain, reports = replying(memory, remember=extract)
        await run(chain, {"input": "Porto is home now, cats included"}, config())
        assert texts(memory) == ["I have two cats.", "I live in Porto."]
        (report,) = reports
        assert [result.outcome for result in report.changes] == ["stored", "stored"]
        assert report.remembered is not None
        assert (report.not_remembered, report.failures) == (None, [])
        assert left(memory) == (0, 0)

    async def test_it_is_given_the_exchange_and_what_is_known(self, memory: AgentMemory, run: Run) -> None:
        memory.long_term.remember("I live in Oslo.", user="alice", kind="profile", id="home")
        memory.long_term.remember("I live in Rome.", user="bob", id="bobs")
        extract = Telling()
        chain, _ = replying(memory, remember=extract)
        await run(chain, {"input": "hello there"}, config())
        await run(chain, {"input": "moved to Porto"}, config())
        _, exchange = extract.given
        assert [one.content for one in exchange.messages] == ["moved to Porto", "ok"]
        assert [one.content for one in exchange.history] == ["hello there", "ok"]
        assert [record.id for record in exchange.memories] == ["home"]  # though it answers nothing
        assert (exchange.user, exchange.namespace, exchange.thread_id) == ("alice", "default", "t1")
        assert exchange.times[1] >= exchange.times[0] > memory.long_term.get("home").created_ts - 1  # type: ignore[union-attr]

    async def test_a_contradiction_supersedes_what_was_known(self, memory: AgentMemory, run: Run) -> None:
        memory.long_term.remember("I live in Oslo.", user="alice", kind="profile", id="home")
        extract = Telling(lambda given: [Supersede(given.memories[0].id, "I live in Porto.")])
        chain, _ = replying(memory, remember=extract)
        await run(chain, {"input": "Off to Porto for good"}, config())
        assert texts(memory) == ["I live in Porto."]
        assert [one.text for one in memory.long_term.history("home")] == [
            "I live in Oslo.",
            "I live in Porto.",
        ]
        assert [(one.kind, one.source_thread) for one in memory.long_term.list_memories(user="alice")] == [
            ("profile", "t1")
        ]

    @pytest.mark.parametrize("way", [invoke, ainvoke])
    async def test_it_costs_one_round_trip_more_and_one_embedding_of_what_is_new(
        self, memory: AgentMemory, way: Run
    ) -> None:
        chain, _ = replying(
            memory, remember=Telling([Add("I ski.")], [Add("I like tea."), Add("I like rum.")])
        )
        await way(chain, {"input": "hello"}, config())  # scripts are loaded by their first call
        with memory.trace() as trace:
            await way(chain, {"input": "tea and rum are fine"}, config())
        assert len(trace.round_trips) == 3
        assert [list(one.texts) for one in trace.embeddings] == [
            ["tea and rum are fine"],
            ["I like tea.", "I like rum."],
        ]
        with memory.trace() as trace:
            await way(chain, {"input": "and so on"}, config())
        assert len(trace.round_trips) == 3  # which takes the task off

    @pytest.mark.parametrize(
        "error",
        [
            OSError("no network"),
            ExtractionError("declined", reason="refused"),
            RuntimeError("key sk-abcdefghijklmnopqrstuvwxyz0123456789ABCD"),
        ],
    )
    @pytest.mark.parametrize("on_error", ["raise", "continue"])
    async def test_a_failure_costs_nothing_and_leaves_the_exchange_to_a_worker(
        self, url: str, on_error: Any, run: Run, error: Exception
    ) -> None:
        async with AgentMemory(url, embeddings=WordEmbeddings(), on_error=on_error) as memory:
            chain, reports = replying(memory, remember=Telling(error))
            assert await run(chain, {"input": "I live in Porto."}, config()) == "ok"
            assert contents(memory) == ["I live in Porto.", "ok"]
            (report,) = reports
            assert report.not_remembered == "failed"
            assert len(report.failures) == 1
            assert report.failures[0].startswith("extract: ")
            assert memory.failures == 1
            wait_until(lambda: any(one.action == "memory_error" for one in memory.events.recent("t1")))
            (task,) = queued(memory)
            assert task.task.attempts == 1
            assert task.task.not_before < time.time() + 5
            assert [memory.working.decode(one).content for one in task.task.messages] == [
                "I live in Porto.",
                "ok",
            ]
            assert "sk-abc" not in str(memory.events.recent("t1")) + str(report.failures)

    async def test_what_is_no_change_leaves_it_to_a_worker(self, memory: AgentMemory, run: Run) -> None:
        chain, reports = replying(memory, remember=Telling(lambda _: ["I live in Porto."]))
        await run(chain, {"input": "I live in Porto."}, config())
        assert "must return a list of Add" in reports[0].failures[0]
        assert len(queued(memory)) == 1

    async def test_the_exchange_is_queued_while_the_extractor_is_asked(
        self, memory: AgentMemory, run: Run
    ) -> None:
        """So that it is a worker's if the process is killed then; but not at once."""
        seen: list[Queued] = []

        def looking(given: Exchange) -> Sequence[Any]:
            seen.extend(queued(memory))
            return []

        chain, _ = replying(memory, remember=Telling(looking))
        await run(chain, {"input": "I live in Porto."}, config())
        (task,) = seen
        assert task.task.not_before > task.task.ts + 30
        assert left(memory) == (0, 0)

    async def test_a_worker_that_was_faster_has_made_the_changes(self, memory: AgentMemory, run: Run) -> None:
        def late(given: Exchange) -> Sequence[Any]:
            taking = memory.tasks.taking(PLACE, queued(memory))
            assert memory.transport.run(memory.tasks.take_off_op(taking))
            return [Add("I live in Porto.")]

        chain, reports = replying(memory, remember=Telling(late))
        await run(chain, {"input": "I live in Porto."}, config())
        assert texts(memory) == []
        assert (reports[0].failures, reports[0].not_remembered) == ([], "background")

    async def test_a_turn_that_is_broken_off_then_is_neither_answered_nor_queued(
        self, memory: AgentMemory
    ) -> None:
        chain, _ = replying(memory, remember=Telling(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            chain.invoke({"input": "I live in Porto."}, config())
        assert left(memory) == (0, 0)
        await invoke(chain, {"input": "I live in Porto."}, config())
        assert contents(memory) == ["I live in Porto.", "ok"]

    async def test_a_turn_that_is_not_stored_is_not_queued(
        self, memory: AgentMemory, bare: redis.Redis, run: Run
    ) -> None:
        bare.set("agent:session:t1", "no session")
        extract = Telling([Add("I live in Porto.")])
        chain, _ = replying(memory, remember=extract)
        with pytest.raises(AgentMemoryError):
            await run(chain, {"input": "I live in Porto."}, config())
        assert (extract.given, left(memory), texts(memory)) == ([], (0, 0), [])

    async def test_events_say_what_became_of_it(self, memory: AgentMemory, run: Run) -> None:
        memory.long_term.remember("I live in Oslo.", user="alice", id="home")
        memory.long_term.remember("I like tea.", user="alice", kind="semantic", id="tea")
        memory.long_term.remember("I like rum.", user="bob", id="bobs")
        extract = Telling(
            [
                Supersede("home", "I live in Porto."),
                Add("I like tea."),
                Add("I ski."),
                Supersede("bobs", "Mine now."),
            ]
        )
        chain, _ = replying(memory, remember=extract)
        await run(chain, {"input": "so much to tell"}, config())

        def told() -> list[tuple[str, str]]:
            kinds = ("supersede", "merge", "remember", "refuse")
            events = [one for one in memory.events.recent("t1", 50) if one.action in kinds]
            return [(one.action, one.detail) for one in reversed(events)]

        wait_until(lambda: len(told()) == 4)
        assert told() == [
            ("supersede", "I live in Porto."),
            ("merge", "I like tea."),
            ("remember", "I ski."),
            ("refuse", "foreign: Mine now."),
        ]

    async def test_an_async_extractor_serves_every_way_to_run(self, memory: AgentMemory, run: Run) -> None:
        async def extract(about: Exchange) -> Sequence[Any]:
            return [Add(f"Said: {about.messages[0].text}")]

        chain, _ = replying(memory, remember=extract)
        await run(chain, {"input": "I live in Porto."}, config())
        assert texts(memory) == ["Said: I live in Porto."]

    async def test_a_text_that_is_too_long_to_be_searched_for_is_extracted_from(
        self, url: str, run: Run
    ) -> None:
        async with AgentMemory(url, embeddings=WordEmbeddings(), max_text_bytes=100) as memory:
            chain, _ = replying(memory, remember=Telling([Add("I like long letters.")]))
            await run(chain, {"input": "Dear diary, " * 20}, config())
            assert texts(memory) == ["I like long letters."]

    async def test_what_is_known_is_of_its_namespace_and_so_is_what_is_remembered(
        self, memory: AgentMemory, run: Run
    ) -> None:
        memory.long_term.remember("I live in Oslo.", user="alice", namespace="work", id="w")
        memory.long_term.remember("I live in Rome.", user="alice", kind="profile", id="d")
        extract = Telling([Add("I live in Porto.")])
        chain, _ = replying(memory, remember=extract)
        await run(chain, {"input": "moved to Porto"}, config(namespace="work"))
        (exchange,) = extract.given
        assert ([one.id for one in exchange.memories], exchange.namespace) == (["w"], "work")
        assert sorted(one.text for one in memory.long_term.list_memories(user="alice", namespace="work")) == [
            "I live in Oslo.",
            "I live in Porto.",
        ]

    async def test_without_what_is_known_it_is_left_to_a_worker(
        self, memory: AgentMemory, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: Any, **__: Any) -> Any:
            yield []
            raise SearchUnavailableError("no search")

        extract = Telling([Add("I live in Porto.")])
        chain, reports = replying(memory, remember=extract, memories_key=None)
        monkeypatch.setattr(memory.long_term, "recall_op", broken)
        assert await run(chain, {"input": "I live in Porto."}, config()) == "ok"
        assert (extract.given, texts(memory), len(queued(memory))) == ([], [], 1)
        assert (reports[0].failures, reports[0].not_remembered) == (["extract: no search"], "failed")

    async def test_its_changes_are_recorded_once(self, memory: AgentMemory, run: Run) -> None:
        chain, reports = replying(memory, remember=Telling([Add("I live in Porto.")]))
        await run(chain, {"input": "Porto it is"}, config())
        assert reports[0].remembered is not None
        assert reports[0].memory_event is None

    async def test_what_was_merged_says_so(self, memory: AgentMemory, run: Run) -> None:
        memory.long_term.remember("I live in Porto.", user="alice", kind="semantic", id="home")
        chain, reports = replying(memory, remember=Telling([Add("I live in Porto.")]))
        await run(chain, {"input": "Porto it is"}, config())
        assert reports[0].remembered == RememberResult("home", deduped=True)


class TestWritesThatFail:
    """What the caller is told has failed is not done behind its back, and what it says again counts once."""

    @pytest.mark.parametrize("when", ["inline", "background"])
    async def test_a_turn_that_is_refused_is_not_queued(
        self, memory: AgentMemory, bare: redis.Redis, run: Run, when: Any
    ) -> None:
        extract = Telling([Add("I live in Porto.")])
        chain = memory.wrap(
            RunnableLambda(lambda _: bare.set("agent:session:t1", "no session")),
            remember=extract,
            remember_when=when,
        )
        with pytest.raises(AgentMemoryError):
            await run(chain, {"input": "I live in Porto."}, config())
        assert (extract.given, left(memory), texts(memory)) == ([], (0, 0), [])

    @pytest.mark.parametrize("when", ["inline", "background"])
    async def test_one_that_cannot_be_queued_is_said_again(
        self, memory: AgentMemory, bare: redis.Redis, run: Run, when: Any
    ) -> None:
        bare.set("agent:tasks:stream", "no stream")
        chain, _ = replying(memory, remember=Telling([Add("I live in Porto.")]), remember_when=when)
        with pytest.raises(AgentMemoryError):
            await run(chain, {"input": "I live in Porto."}, config())
        bare.delete("agent:tasks:stream")
        await run(chain, {"input": "I live in Porto."}, config())
        assert contents(memory) == ["I live in Porto.", "ok"]
        assert left(memory) == ((0, 0) if when == "inline" else (1, 0))

    async def test_one_that_cannot_be_queued_says_so_where_it_is_passed_over(
        self, url: str, bare: redis.Redis, run: Run
    ) -> None:
        bare.set("agent:tasks:stream", "no stream")
        async with AgentMemory(url, embeddings=WordEmbeddings(), on_error="continue") as memory:
            chain, reports = replying(memory, remember_when="background")
            assert await run(chain, {"input": "I live in Porto."}, config()) == "ok"
            assert (reports[0].not_remembered, reports[0].turn_count) == ("failed", 2)
            assert reports[0].failures[0].startswith("remember: ")

    @pytest.mark.parametrize("when", ["inline", "background"])
    def test_without_a_server_no_worker_is_promised(self, when: Any) -> None:
        with AgentMemory("redis://127.0.0.1:1", embeddings=WordEmbeddings(), on_error="continue") as memory:
            extract = Telling([Add("I live in Porto.")])
            chain, reports = replying(memory, remember=extract, remember_when=when)
            assert chain.invoke({"input": "I live in Porto."}, config()) == "ok"
            assert (reports[0].not_remembered, reports[0].turn_count) == ("failed", None)
            assert extract.given == []


class TestBackground:
    @pytest.mark.parametrize("remember", [noteworthy, Telling(AssertionError("asked"))])
    async def test_the_exchange_is_left_to_a_worker(
        self, memory: AgentMemory, run: Run, remember: Any
    ) -> None:
        chain, reports = replying(memory, remember=remember, remember_when="background")
        await run(chain, {"input": "I live in Rome."}, config())  # scripts are loaded by their first call
        with memory.trace() as trace:
            await run(chain, {"input": "I live in Porto."}, config())
        assert len(trace.round_trips) == 2
        assert texts(memory) == []
        assert (reports[0].remembered, reports[0].not_remembered) == (None, "background")
        _, task = queued(memory)
        assert task.task.not_before == 0
        assert left(memory) == (1, 0)

    async def test_without_anything_to_remember_nothing_is_queued(
        self, memory: AgentMemory, run: Run
    ) -> None:
        chain, reports = replying(memory, remember=None, remember_when="background")
        await run(chain, {"input": "I live in Porto."}, config())
        assert (reports[0].not_remembered, left(memory)) == ("off", (0, 0))

    async def test_a_chain_without_an_answer_queues_nothing(self, memory: AgentMemory, run: Run) -> None:
        def broken(_: Any) -> str:
            raise OSError("no model")

        chain = memory.wrap(RunnableLambda(broken), remember_when="background")
        with pytest.raises(OSError, match="no model"):
            await run(chain, {"input": "I live in Porto."}, config())
        assert left(memory) == (0, 0)

    async def test_what_has_left_the_window_is_left_to_a_worker_too(self, url: str, run: Run) -> None:
        async with AgentMemory(
            url, embeddings=WordEmbeddings(), summarise=lambda *_: "", summarise_when="background"
        ) as memory:
            chain, _ = replying(memory, remember=None)
            await run(chain, {"input": "1"}, config())
            with memory.trace() as trace:
                await run(chain, {"input": "2"}, config())
            assert len(trace.round_trips) == 2
            assert len(queued(memory, Place("fold", "t1", "alice", "default"))) == 1
            assert left(memory) == (1, 0)

    @pytest.mark.parametrize("remember", ["semantic", lambda text: "semantic"])
    def test_a_kind_is_refused(self, memory: AgentMemory, remember: Any) -> None:
        with pytest.raises(InvalidInputError, match="a worker's extractor says what to remember"):
            replying(memory, remember=remember, remember_when="background")

    def test_another_time_is_refused(self, memory: AgentMemory) -> None:
        with pytest.raises(ConfigurationError, match="remember_when must be"):
            replying(memory, remember_when="later")


@pytest.fixture(params=["", "a"], ids=["sync", "async"])
def call(request: pytest.FixtureRequest, memory: AgentMemory) -> Callable[..., Awaitable[Any]]:
    async def call(name: str, *args: Any, **options: Any) -> Any:
        result = getattr(memory, request.param + name)(*args, **options)
        return await result if inspect.isawaitable(result) else result

    return call


class TestTurns:
    async def test_a_turn_says_what_an_extractor_made_of_it(
        self, memory: AgentMemory, call: Callable[..., Awaitable[Any]]
    ) -> None:
        extract = Telling([Add("I live in Porto.", kind="profile")])
        context: TurnContext = await call("read_turn", "t1", user="alice", text="Porto!", remember=extract)
        result: TurnResult = await call("write_turn", context, [HumanMessage("Porto!"), AIMessage("Nice.")])
        assert [one.outcome for one in result.changes] == ["stored"]
        assert [one.id for one in result.remembered] == [one.id for one in result.changes]
        assert (result.not_remembered, texts(memory)) == (None, ["I live in Porto."])

    async def test_a_turn_without_an_answer_is_not_extracted_from(
        self, memory: AgentMemory, call: Callable[..., Awaitable[Any]]
    ) -> None:
        context = await call("read_turn", "t1", user="alice", text="Porto!", remember_when="background")
        result = await call("write_turn", context, [HumanMessage("Porto!")])
        assert (result.not_remembered, left(memory)) == ("unanswered", (0, 0))

    @pytest.mark.parametrize("when", ["inline", "background"])
    async def test_a_context_made_by_hand_says_what_is_remembered(
        self, memory: AgentMemory, call: Callable[..., Awaitable[Any]], when: Any
    ) -> None:
        extract = Telling([Add("I live in Porto.")])
        context = TurnContext("t1", "alice", text="Porto!", remember=extract, remember_when=when)
        result = await call("write_turn", context, [HumanMessage("Porto!"), AIMessage("Nice.")])
        assert result.not_remembered == (None if when == "inline" else "background")
        assert texts(memory) == (["I live in Porto."] if when == "inline" else [])
        assert len(queued(memory)) == (0 if when == "inline" else 1)


class TestProfile:
    async def test_a_chain_is_always_given_the_profile_first(self, memory: AgentMemory, run: Run) -> None:
        memory.long_term.remember("I am called Alice.", user="alice", kind="profile")
        memory.long_term.remember("My cat likes fish.", user="alice")
        given: list[Any] = []

        def answer(inputs: dict[str, Any]) -> str:
            given.append([record.text for record in inputs["memories"]])
            return "ok"

        for options in ({}, {"pinned": ()}, {"memories_key": None}):
            chain = memory.wrap(RunnableLambda(lambda x: answer({"memories": [], **x})), **options)  # type: ignore[arg-type]
            await run(chain, {"input": "does my cat like fish?"}, config())
        assert given == [["I am called Alice.", "My cat likes fish."], ["My cat likes fish."], []]

    async def test_it_comes_in_the_same_order_in_each_turn(self, memory: AgentMemory, run: Run) -> None:
        told = ["I am called Alice.", "I live in Porto.", "My cat is called Tom."]
        for text in told:
            memory.long_term.remember(text, user="alice", kind="profile")
        given: list[Any] = []
        chain = memory.wrap(lambda inputs: given.append([one.text for one in inputs["memories"]]) or "ok")
        for said in ("where is Tom the cat", "Porto", "who is called Alice"):
            await run(chain, {"input": said}, config())
        assert given == [given[0]] * 3
        assert sorted(given[0]) == told

    async def test_it_is_bounded_in_size(self, memory: AgentMemory, run: Run) -> None:
        for n in range(12):
            memory.long_term.remember(f"fact {n} " + "x" * 1000, user="alice", kind="profile")
        with memory.trace() as trace:
            context = memory.read_turn("t1", user="alice", text="fact", pinned=["profile"])
        assert 6 <= len(context.pinned) <= 8
        assert len(trace.round_trips) == 1

    def test_its_size_is_in_bytes_and_what_is_too_long_leaves_room_for_the_rest(
        self, memory: AgentMemory
    ) -> None:
        for text in ("fact " + "é" * 3000, "fact " + "ü" * 3000, "fact"):
            memory.long_term.remember(text, user="alice", kind="profile")
        context = memory.read_turn("t1", user="alice", text="what else", pinned=["profile"])
        assert "fact" in [one.text for one in context.pinned]
        assert sum(len(one.text.encode()) for one in context.pinned) <= 8192
        assert len(context.pinned) == 2


@pytest.fixture
async def other(url: str) -> AsyncIterator[AgentMemory]:
    async with AgentMemory(url, embeddings=WordEmbeddings(), session_storage="list") as memory:
        yield memory


async def test_a_list_is_extracted_from_as_a_hash_is(other: AgentMemory, run: Run) -> None:
    extract = Telling(lambda given: [Add(f"Said {given.messages[0].text}")])
    chain, _ = replying(other, remember=extract)
    await run(chain, {"input": "this"}, config())
    assert texts(other) == ["Said this"]
