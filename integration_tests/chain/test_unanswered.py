"""What the user said is kept when no answer comes, and stands once when it is said again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import redis
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.runnables import Runnable, RunnableGenerator, RunnableLambda

from integration_tests.chain.conftest import Run, abatch, ainvoke, batch, config, invoke
from integration_tests.conftest import BACKENDS, Counting, connection_to
from integration_tests.waiting import wait_until
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory
from langchain_agentmem.errors import StoreConnectionError, StoreTimeoutError
from langchain_agentmem.working.session import Turn


@pytest.fixture(params=["hash", "list"])
async def memory(url: str, request: pytest.FixtureRequest) -> AsyncIterator[AgentMemory]:
    async with AgentMemory(url, embeddings=WordEmbeddings(), session_storage=request.param) as memory:
        yield memory


class Failing:
    """A chain that raises as often as it is told, and then answers; it keeps the histories it was given."""

    def __init__(self, times: int, answer: Any = "ok") -> None:
        self.left = times
        self.answer = answer
        self.histories: list[list[BaseMessage]] = []
        self.runnable: Runnable[Any, Any] = RunnableLambda(self._answer)

    def _answer(self, inputs: dict[str, Any]) -> Any:
        self.histories.append(inputs["chat_history"])
        self.left -= 1
        if self.left >= 0:
            raise ZeroDivisionError("no answer")
        return self.answer


def turns(memory: AgentMemory, thread: str = "t1") -> list[tuple[Any, bool]]:
    state = memory.working.load(thread)
    return [] if state is None else [(turn.content, turn.unanswered) for turn in state.recent_turns]


def count(memory: AgentMemory, thread: str = "t1") -> int | None:
    state = memory.working.load(thread)
    return None if state is None else state.turn_count


def last_event(memory: AgentMemory) -> tuple[str, str]:
    (event,) = memory.events.recent("t1", 1)
    return event.action, event.detail


def speaking(*words: Any, then: Exception | None = None) -> Runnable[Any, Any]:
    """Streams these, and then raises."""

    def speak(_: Iterator[Any]) -> Iterator[Any]:
        yield from words
        if then is not None:
            raise then

    async def aspeak(_: AsyncIterator[Any]) -> AsyncIterator[Any]:
        for word in speak(iter(())):
            yield word

    return RunnableGenerator(speak, aspeak)


NUMBERS = speaking("one ", "two ", "three")
ONCE = pytest.mark.parametrize("run", [invoke, ainvoke, batch, abatch])  # LangChain retries no stream


async def test_what_was_said_to_a_chain_that_raises_is_kept(memory: AgentMemory, run: Run) -> None:
    with pytest.raises(ZeroDivisionError):
        await run(memory.wrap(Failing(1).runnable), "I am here", config())
    assert turns(memory) == [("I am here", True)]
    assert memory.working.messages("t1") == [HumanMessage("I am here")]
    assert count(memory) == 1
    state = memory.working.load("t1")
    assert state is not None
    assert (state.user, state.recent_turns[0].role) == ("alice", "user")
    assert memory.long_term.list_memories(user="alice") == []


async def test_an_error_without_words_is_told_by_its_kind(memory: AgentMemory) -> None:
    def fail(_: Any) -> None:
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        memory.wrap(RunnableLambda(fail)).invoke("I am here", config())
    assert last_event(memory) == ("turn_error", "ValueError")


async def test_said_again_it_stands_once_and_is_answered(memory: AgentMemory, run: Run) -> None:
    failing = Failing(3)
    chain = memory.wrap(failing.runnable)
    await run(memory.wrap(RunnableLambda(lambda _: "yo")), "before", config())
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await run(chain, "I am here", config())
        assert turns(memory) == [("before", False), ("yo", False), ("I am here", True)]
        assert count(memory) == 3
    assert await run(chain, "I am here", config()) == "ok"
    assert turns(memory) == [("before", False), ("yo", False), ("I am here", False), ("ok", False)]
    assert count(memory) == 4
    assert [[m.content for m in history] for history in failing.histories] == [["before", "yo"]] * 4
    remembered = [record.text for record in memory.long_term.list_memories(user="alice")]
    assert sorted(remembered) == ["I am here", "before"]


async def test_langchains_own_retry_stores_one_question_and_one_answer(memory: AgentMemory) -> None:
    chain = memory.wrap(Failing(2).runnable)
    assert chain.with_retry(wait_exponential_jitter=False).invoke("I am here", config()) == "ok"
    assert turns(memory) == [("I am here", False), ("ok", False)]
    assert count(memory) == 2


async def test_a_fallback_answers_what_the_first_chain_did_not(memory: AgentMemory, run: Run) -> None:
    other = Failing(0, "from the other")
    chain = memory.wrap(Failing(1).runnable).with_fallbacks([memory.wrap(other.runnable)])
    assert await run(chain, "I am here", config()) == "from the other"
    assert turns(memory) == [("I am here", False), ("from the other", False)]
    assert other.histories == [[]]


async def test_another_question_afterwards_leaves_the_unanswered_one(memory: AgentMemory, run: Run) -> None:
    failing = Failing(1)
    chain = memory.wrap(failing.runnable)
    with pytest.raises(ZeroDivisionError):
        await run(chain, "I am here", config())
    await run(chain, "how are you", config())
    await run(chain, "I am here", config())
    first = [("I am here", True), ("how are you", False), ("ok", False)]
    assert turns(memory) == [*first, ("I am here", False), ("ok", False)]
    assert [len(history) for history in failing.histories] == [0, 1, 3]
    assert count(memory) == 5


async def test_two_that_are_unanswered_are_replaced_from_the_one_that_is_said_again(
    memory: AgentMemory,
) -> None:
    chain = memory.wrap(Failing(3).runnable)
    for said in ("a", "b", "b"):
        with pytest.raises(ZeroDivisionError):
            chain.invoke(said, config())
    assert turns(memory) == [("a", True), ("b", True)]
    chain.invoke([HumanMessage("a"), HumanMessage("b")], config())
    assert turns(memory) == [("a", False), ("b", False), ("ok", False)]
    assert count(memory) == 3


async def test_what_is_not_said_right_after_is_not_replaced(memory: AgentMemory) -> None:
    chain = memory.wrap(Failing(2).runnable)
    for said in ("a", "b"):
        with pytest.raises(ZeroDivisionError):
            chain.invoke(said, config())
    chain.invoke("a", config())
    assert turns(memory) == [("a", True), ("b", True), ("a", False), ("ok", False)]
    assert count(memory) == 4


async def test_threads_are_apart(memory: AgentMemory) -> None:
    chain = memory.wrap(Failing(1).runnable)
    with pytest.raises(ZeroDivisionError):
        chain.invoke("I am here", config("t1"))
    chain.invoke("I am here", config("t2"))
    assert turns(memory, "t1") == [("I am here", True)]
    assert turns(memory, "t2") == [("I am here", False), ("ok", False)]


async def test_the_question_stands_once_though_somebody_appended_meanwhile(
    memory: AgentMemory, run: Run
) -> None:
    def answer(_: Any) -> str:
        memory.working.append("t1", [HumanMessage("from elsewhere")])
        return "ok"

    with pytest.raises(ZeroDivisionError):
        await run(memory.wrap(Failing(1).runnable), "I am here", config())
    await run(memory.wrap(RunnableLambda(answer)), "I am here", config())
    expected = [("from elsewhere", False), ("I am here", False), ("ok", False)]
    assert turns(memory) == expected
    assert count(memory) == 3


async def test_turns_at_once_on_one_thread_lose_nothing(memory: AgentMemory) -> None:
    chain = memory.wrap(RunnableLambda(lambda inputs: inputs["input"].upper()))
    failing = memory.wrap(Failing(10).runnable)
    said = [f"word {number}" for number in range(5)]
    calls = [one.ainvoke(text, config()) for text in said for one in (chain, failing)]
    await asyncio.gather(*calls, return_exceptions=True)
    stored = turns(memory)
    for text in said:
        assert (text, False) in stored
        assert (text.upper(), False) in stored
    assert sum(text.upper() == text for text, _ in stored) == 5
    assert count(memory) == len(stored)


class TestStreams:
    async def test_a_stream_that_is_left_keeps_what_was_said(self, memory: AgentMemory) -> None:
        chain = memory.wrap(NUMBERS)
        stream: Any = chain.stream("count", config())
        assert next(stream) == "one "
        stream.close()
        assert turns(memory) == [("count", True)]
        assert last_event(memory) == ("turn_error", "the stream was left before its end")
        astream: Any = chain.astream("count", config())
        assert await anext(astream) == "one "
        await astream.aclose()
        assert turns(memory) == [("count", True)]
        assert "".join(chain.stream("count", config())) == "one two three"
        assert turns(memory) == [("count", False), ("one two three", False)]
        assert count(memory) == 2

    @pytest.mark.parametrize(
        ("on_abandon", "kept"),
        [
            ("keep_input", [("count", True)]),
            ("keep_partial", [("count", True), ("one two ", True)]),
            ("drop", []),
        ],
    )
    async def test_what_is_kept_is_a_choice(
        self, memory: AgentMemory, on_abandon: Any, kept: list[Any]
    ) -> None:
        breaking = speaking("one ", "two ", then=ZeroDivisionError())
        chain = memory.wrap(breaking, on_abandon=on_abandon)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                list(chain.stream("count", config()))
            assert turns(memory) == kept
            with pytest.raises(ZeroDivisionError):
                [chunk async for chunk in chain.astream("count", config())]
            assert turns(memory) == kept
        memory.wrap(RunnableLambda(lambda _: "ok")).invoke("count", config())
        assert turns(memory) == [("count", False), ("ok", False)]
        assert count(memory) == 2

    async def test_half_an_answer_that_cannot_be_stored_does_not_cost_the_question(
        self, memory: AgentMemory
    ) -> None:
        breaking = speaking(AIMessage("half", additional_kwargs={"a": {1}}), then=ZeroDivisionError())
        chain = memory.wrap(breaking, on_abandon="keep_partial")
        with pytest.raises(ZeroDivisionError):
            list(chain.stream("count", config()))
        assert turns(memory) == [("count", True)]


class TestCancellation:
    @pytest.mark.parametrize("again", [False, True], ids=["once", "at every await"])
    async def test_a_turn_that_is_cancelled_keeps_what_was_said(
        self, memory: AgentMemory, again: bool
    ) -> None:
        reached = asyncio.Event()

        async def never(_: Any) -> str:
            reached.set()
            await asyncio.Event().wait()
            return "never"

        task = asyncio.create_task(memory.wrap(RunnableLambda(never)).ainvoke("I am here", config()))
        await reached.wait()
        task.cancel()
        while again and not task.done():  # as the task groups of a web framework do
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(wait_until, lambda: turns(memory) == [("I am here", True)])
        assert last_event(memory) == ("turn_error", "the call was cancelled")

    async def test_a_stream_that_is_cancelled_keeps_what_was_said(self, memory: AgentMemory) -> None:
        reached = asyncio.Event()

        async def slow(_: AsyncIterator[Any]) -> AsyncIterator[str]:
            yield "one "
            reached.set()
            await asyncio.Event().wait()

        async def read() -> list[Any]:
            chain = memory.wrap(RunnableGenerator(slow), on_abandon="keep_partial")  # type: ignore[arg-type]
            return [chunk async for chunk in chain.astream("count", config())]

        task = asyncio.create_task(read())
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert turns(memory) == [("count", True), ("one ", True)]


class TestAnsweredAndNotStored:
    """The chain has answered, the exchange is appended, and something else fails."""

    @pytest.fixture
    def forgetful(self, memory: AgentMemory, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
        def fail(times: int, error: Exception | None = None) -> None:
            remember, left = memory.long_term.remember_op, [times]

            def failing(*args: Any, **kwargs: Any) -> Any:
                left[0] -= 1
                if left[0] >= 0:
                    raise error or OSError("the disk of the embeddings is full")
                return remember(*args, **kwargs)

            monkeypatch.setattr(memory.long_term, "remember_op", failing)

        return fail

    @ONCE
    async def test_a_retry_stores_one_question_and_one_answer(
        self, memory: AgentMemory, run: Run, forgetful: Callable[[int], None]
    ) -> None:
        forgetful(2)
        failing = Failing(0)
        chain = memory.wrap(failing.runnable).with_retry(wait_exponential_jitter=False)
        assert await run(chain, "I am here", config()) == "ok"
        assert turns(memory) == [("I am here", False), ("ok", False)]
        assert count(memory) == 2
        assert failing.histories == [[], [], []]

    async def test_until_then_it_is_marked(
        self, memory: AgentMemory, run: Run, forgetful: Callable[[int], None]
    ) -> None:
        exchange = [
            AIMessage("", tool_calls=[{"name": "look", "args": {"at": 1}, "id": "c1"}]),
            ToolMessage("seen", tool_call_id="c1"),
            AIMessage("done"),
        ]
        forgetful(1)
        chain = memory.wrap(Failing(0, exchange).runnable)
        with pytest.raises(Exception, match="disk") as caught:
            await run(chain, "I am here", config())
        assert getattr(caught.value, "output", None) == exchange
        assert [unanswered for _, unanswered in turns(memory)] == [True] * 4
        assert memory.working.messages("t1") == [HumanMessage("I am here"), *exchange]
        await run(chain, "I am here", config())
        assert turns(memory) == [(m.content, False) for m in [HumanMessage("I am here"), *exchange]]
        assert count(memory) == 4

    @ONCE
    async def test_a_fallback_answers_it_too(
        self, memory: AgentMemory, run: Run, forgetful: Callable[[int], None]
    ) -> None:
        forgetful(1)
        chain = memory.wrap(Failing(0, "first").runnable)
        other = memory.wrap(Failing(0, "second").runnable)
        assert await run(chain.with_fallbacks([other]), "I am here", config()) == "second"
        assert turns(memory)[-2:] == [("I am here", False), ("second", False)]
        assert count(memory) == 2

    async def test_what_others_appended_meanwhile_stays(
        self, memory: AgentMemory, forgetful: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        forgetful(1)
        run = memory.transport.run

        def interfering(op: Any) -> Any:
            if "take_back" in op.__qualname__:
                memory.working.append("t1", [HumanMessage("from elsewhere")])
            return run(op)

        monkeypatch.setattr(memory.transport, "run", interfering)
        with pytest.raises(Exception, match="disk"):
            memory.wrap(Failing(0).runnable).invoke("I am here", config())
        assert turns(memory) == [("from elsewhere", False), ("I am here", True), ("ok", True)]
        assert count(memory) == 3

    @pytest.mark.parametrize("stored", [True, False], ids=["stored", "not stored"])
    @pytest.mark.parametrize("retried", [False, True], ids=["at once", "in a retry"])
    async def test_a_write_whose_outcome_is_unknown_leaves_it_once_and_unanswered(
        self, memory: AgentMemory, monkeypatch: pytest.MonkeyPatch, stored: bool, retried: bool
    ) -> None:
        run = memory.transport.run

        def sent(batch: Any) -> Any:
            yield batch

        def breaking(op: Any) -> Any:
            if not op.__qualname__.endswith(".write"):
                return run(op)
            commands = next(op)
            if stored:
                run(sent(commands))
            op.close()
            raise StoreConnectionError("the connection broke before the replies came")

        if retried:
            with pytest.raises(ZeroDivisionError):
                memory.wrap(Failing(1).runnable).invoke("I am here", config())
        monkeypatch.setattr(memory.transport, "run", breaking)
        with pytest.raises(StoreConnectionError) as caught:
            memory.wrap(Failing(0).runnable).invoke("I am here", config())
        assert caught.value.output == "ok"
        assert turns(memory) == [("I am here", True), ("ok", True)]
        assert count(memory) == 2

    async def test_after_a_timeout_nothing_more_is_sent(
        self, memory: AgentMemory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = memory.transport.run

        def hanging(op: Any) -> Any:
            if op.__qualname__.endswith(".write"):
                next(op)
                raise StoreTimeoutError("no answer in time")
            return run(op)

        monkeypatch.setattr(memory.transport, "run", hanging)
        with pytest.raises(StoreTimeoutError):
            memory.wrap(Failing(0).runnable).invoke("I am here", config())
        assert turns(memory) == []


@pytest.mark.parametrize("window", [1, 2, 3, 4])
@pytest.mark.parametrize("storage", ["hash", "list"])
async def test_a_small_window_stays_right(url: str, window: int, storage: Any) -> None:
    async with AgentMemory(
        url, embeddings=WordEmbeddings(), max_turns=window, session_storage=storage
    ) as memory:
        chain = memory.wrap(Failing(2).runnable)
        memory.wrap(RunnableLambda(lambda _: "yo")).invoke("before", config())
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                chain.invoke("I am here", config())
        chain.invoke("I am here", config())
        said = [("before", False), ("yo", False), ("I am here", False), ("ok", False)]
        shown = turns(memory)
        assert shown == said[-len(shown) :]
        assert shown[-1] == ("ok", False)
        assert sum(text == "I am here" for text, _ in shown) <= 1
        assert count(memory) == 4


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("storage", ["hash", "list"])
@pytest.mark.parametrize("run", [invoke, ainvoke])
async def test_every_backend_keeps_and_replaces(
    request: pytest.FixtureRequest, url: str, bare: redis.Redis, backend: str, storage: Any, run: Run
) -> None:
    connection = connection_to(backend, request, url)
    place = {"url": "https://unused.example", "token": "unused"} if connection.rest else {"url": url}
    memory = AgentMemory(**place, session_storage=storage, session_ttl_seconds=None)
    await memory.transport.aclose()
    try:
        memory.transport = connection
        chain = memory.wrap(Failing(2).runnable, memories_key=None, remember=None)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await run(chain, "hï\n\u2028", config())
        if storage == "list":
            bare.expire("t1", 1000)
        await run(chain, "hï\n\u2028", config())
        assert turns(memory) == [("hï\n\u2028", False), ("ok", False)]
        assert count(memory) == 2
        if storage == "list":  # an expiry that somebody else gave stays, though every entry was replaced
            assert 900 < bare.ttl("t1") <= 1000
    finally:
        await memory.aclose()


async def test_a_turn_that_replaces_costs_two_round_trips_like_any(memory: AgentMemory, run: Run) -> None:
    counting = Counting(memory.transport)
    chain = memory.wrap(Failing(2).runnable)
    for expected in ("fails", "fails again", "answers"):
        before = counting.round_trips
        if expected == "answers":
            await run(chain, "I am here", config())
        else:
            with pytest.raises(ZeroDivisionError):
                await run(chain, "I am here", config())
        if expected != "fails":  # the first use of the index looks at it
            assert counting.round_trips - before == 2


def test_a_turn_says_whether_it_was_answered() -> None:
    assert Turn("user", "I am here", 0.0, HumanMessage("I am here")).unanswered is False


async def test_embeddings_that_fail_do_not_cost_what_was_said(url: str, run: Run) -> None:
    class Broken(WordEmbeddings):
        def embed_query(self, text: str) -> list[float]:
            raise TimeoutError("the embedding service is down")

    async with AgentMemory(url, embeddings=Broken()) as memory:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await run(memory.wrap(Failing(0).runnable), "I am here", config())
            assert turns(memory) == [("I am here", True)]
