"""The ways to run a wrapped chain: each begins, ends and clears up an exchange alike."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.runnables import (
    Runnable,
    RunnableConfig,
    RunnableGenerator,
    RunnableLambda,
    RunnablePassthrough,
)

from langchain_agentmem.chain.options import ExchangeReport
from langchain_agentmem.chain.runnable import MemoryChain
from langchain_agentmem.errors import (
    InvalidInputError,
    StoreConnectionError,
    StoreFullError,
    StoreTimeoutError,
    WrongOwnerError,
)
from tests.chain.fake_memory import CONFIG, KNOWN, Memory, stored, wrapping
from tests.chain.test_refusals import Pregel

READ = ["history", "recall"]
WRITE = ["note", "append", "events", "remember"]
KEPT = ["note", "append", "events"]
Run = Callable[..., Awaitable[Any]]


async def invoke(chain: Runnable[Any, Any], config: Any = CONFIG) -> Any:
    return chain.invoke("hi", config)


async def ainvoke(chain: Runnable[Any, Any], config: Any = CONFIG) -> Any:
    return await chain.ainvoke("hi", config)


async def stream(chain: Runnable[Any, Any], config: Any = CONFIG) -> Any:
    return "".join(chain.stream("hi", config))


async def astream(chain: Runnable[Any, Any], config: Any = CONFIG) -> Any:
    return "".join([chunk async for chunk in chain.astream("hi", config)])


@pytest.fixture(params=[invoke, ainvoke, stream, astream], ids=lambda function: function.__name__)
def run(request: pytest.FixtureRequest) -> Run:
    function: Run = request.param
    return function


@pytest.fixture
def memory() -> Memory:
    return Memory()


def speaking(*words: str, then: BaseException | None = None) -> Runnable[Any, Any]:
    """Answers with these, a chunk each, and then raises."""

    def speak(_: Iterator[Any]) -> Iterator[str]:
        yield from words
        if then is not None:
            raise then

    async def aspeak(_: AsyncIterator[Any]) -> AsyncIterator[str]:
        for word in speak(iter(())):
            yield word

    return RunnableGenerator(speak, aspeak)


class Asked:
    """A chain that answers "yo", and keeps what it was given."""

    def __init__(self) -> None:
        self.inputs: list[Any] = []
        self.runnable: Runnable[Any, Any] = RunnableLambda(self._answer)

    def _answer(self, inputs: Any) -> str:
        self.inputs.append(inputs)
        return "yo"


def wrap(memory: Memory, runnable: Any, **options: Any) -> MemoryChain:
    return MemoryChain(memory, runnable, wrapping(**options))


async def test_an_exchange_is_two_round_trips_with_the_chain_between_them(memory: Memory, run: Run) -> None:
    memory.store.replies |= {"history": stored("before"), "recall": [KNOWN]}
    asked, reports = Asked(), list[ExchangeReport]()
    assert await run(wrap(memory, asked.runnable, on_exchange=reports.append)) == "yo"
    assert asked.inputs == [{"input": "hi", "chat_history": [HumanMessage("before")], "memories": [KNOWN]}]
    assert memory.store.steps == [READ, WRITE]
    assert memory.store.appended == [([("hi", False), ("yo", False)], [])]
    assert memory.store.actions == ["turn_start", "recall", "chain_start", "chain_end"]
    assert [report.turn_count for report in reports] == [2]


async def test_events_tell_how_much_a_chain_was_given_and_not_the_same_lists_again(
    memory: Memory, run: Run
) -> None:
    memory.store.replies |= {"history": stored("before"), "recall": [KNOWN, KNOWN]}
    more = RunnablePassthrough.assign(more=lambda inputs: list(inputs["chat_history"]))
    await run(wrap(memory, more | RunnableLambda(lambda inputs: "yo")))
    told = memory.store.told("detail")
    details = [json.loads(detail) for detail in told if detail.startswith("{")]
    given = {"input": "hi", "chat_history": "1 message", "memories": "2 memories"}
    copied = {"more": "1 message"}
    assert given | copied in details
    assert all(detail in (given, copied, given | copied) for detail in details)
    # The copy is another list: the event of the function that made it tells what is in it.
    assert told.count('[{"type":"human","content":"before"}]') == 1


async def test_an_exchange_that_is_over_is_let_go_without_the_collector(memory: Memory, run: Run) -> None:
    seen: list[weakref.ref[Any]] = []

    def answer(inputs: Any, config: RunnableConfig) -> str:
        handlers: Any = config["callbacks"]
        seen.extend(weakref.ref(handler.exchange) for handler in handlers.inheritable_handlers)
        return "yo"

    gc.collect()
    gc.disable()
    try:
        await run(wrap(memory, RunnableLambda(answer)))
        assert [reference() for reference in seen] == [None]
    finally:
        gc.enable()


async def test_nothing_is_written_before_a_stream_has_ended(memory: Memory) -> None:
    chain = wrap(memory, speaking("one ", "two"))
    for chunk in chain.stream("hi", CONFIG):
        assert chunk
        assert memory.store.steps == [READ]
    async for _ in chain.astream("hi", CONFIG):
        assert memory.store.steps[2:] == [READ]
    answered = ([("hi", False), ("one two", False)], [])
    assert memory.store.appended == [answered, answered]


async def test_a_chain_that_raises_leaves_the_question(memory: Memory, run: Run) -> None:
    with pytest.raises(ZeroDivisionError):
        await run(wrap(memory, speaking(then=ZeroDivisionError())))
    assert memory.store.steps == [READ, KEPT]
    assert memory.store.appended == [([("hi", True)], [])]
    assert memory.store.actions[-1] == "turn_error"


async def test_a_stream_that_is_left_leaves_the_question(memory: Memory) -> None:
    chain = wrap(memory, speaking("one ", "two"), on_abandon="keep_partial")
    left: Any = chain.stream("hi", CONFIG)
    next(left)
    left.close()
    aleft: Any = chain.astream("hi", CONFIG)
    await anext(aleft)
    await aleft.aclose()
    assert memory.store.appended == [([("hi", True), ("one ", True)], [])] * 2


async def test_a_call_that_is_cancelled_leaves_the_question(memory: Memory) -> None:
    reached = asyncio.Event()

    async def never(_: Any) -> None:
        reached.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(wrap(memory, RunnableLambda(never)).ainvoke("hi", CONFIG))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert memory.store.steps == [READ, KEPT]
    assert "the call was cancelled" in str(memory.store.of("events"))


async def test_a_store_that_is_gone_raises_before_the_chain_is_asked(memory: Memory, run: Run) -> None:
    memory.store.breaks[0] = StoreConnectionError("gone")
    asked = Asked()
    with pytest.raises(StoreConnectionError):
        await run(wrap(memory, asked.runnable))
    assert asked.inputs == []
    assert memory.store.steps == [READ], "and nothing more is sent to it"


async def test_or_the_chain_goes_on_without_it(run: Run) -> None:
    memory = Memory(on_error="continue")
    memory.store.breaks = {0: StoreConnectionError("gone"), 1: StoreConnectionError("gone")}
    reports: list[ExchangeReport] = []
    assert await run(wrap(memory, Asked().runnable, on_exchange=reports.append)) == "yo"
    assert reports[0].failures == ["reading: gone", "writing: gone"]
    assert (memory.failures, memory.events.dropped) == (2, 3)


async def test_anothers_session_is_refused_before_the_chain_is_asked(memory: Memory, run: Run) -> None:
    memory.store.replies["owner"] = b"bob"
    asked = Asked()
    with pytest.raises(WrongOwnerError):
        await run(wrap(memory, asked.runnable))
    assert (asked.inputs, memory.store.steps) == ([], [READ])


async def test_a_memory_that_is_refused_raises_with_the_answer_and_takes_the_exchange_back(
    memory: Memory, run: Run
) -> None:
    memory.store.replies["remember"] = StoreFullError("full")
    with pytest.raises(StoreFullError) as caught:
        await run(wrap(memory, Asked().runnable))
    assert caught.value.output == "yo"
    assert memory.store.steps == [READ, WRITE, ["note", "append"]]
    assert memory.store.appended[1][0] == [("hi", True), ("yo", True)]


async def test_a_write_that_breaks_off_is_made_sure_of(memory: Memory, run: Run) -> None:
    memory.store.breaks[1] = StoreConnectionError("broken off")
    memory.store.replies["append"] = None  # it was not stored: nothing is there to be replaced
    with pytest.raises(StoreConnectionError) as caught:
        await run(wrap(memory, Asked().runnable))
    assert caught.value.output == "yo"
    assert memory.store.steps[2:] == [["note", "append"]] * 2


async def test_after_a_timeout_nothing_more_is_sent(memory: Memory, run: Run) -> None:
    memory.store.breaks[1] = StoreTimeoutError("late")
    with pytest.raises(StoreTimeoutError) as caught:
        await run(wrap(memory, Asked().runnable))
    assert caught.value.output == "yo"
    assert memory.store.steps == [READ, WRITE]


async def test_what_fails_while_clearing_up_does_not_hide_why(
    memory: Memory, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    memory.store.breaks[1] = StoreConnectionError("gone meanwhile")
    with pytest.raises(ZeroDivisionError):
        await run(wrap(memory, speaking(then=ZeroDivisionError())))
    assert "may not be kept: gone meanwhile" in caplog.text
    assert memory.events.dropped > 0


async def test_a_stream_mode_without_an_answer_is_refused_before_anything(memory: Memory) -> None:
    chain = wrap(memory, Asked().runnable)
    with pytest.raises(InvalidInputError, match="stream_mode"):
        chain.invoke("hi", CONFIG, stream_mode="updates")
    with pytest.raises(InvalidInputError, match="stream_mode"):
        await chain.ainvoke("hi", CONFIG, stream_mode="updates")
    assert memory.store.steps == []


def test_a_chain_inside_that_has_the_same_memory_is_refused(memory: Memory) -> None:
    with pytest.raises(InvalidInputError, match="stored twice"):
        wrap(memory, wrap(memory, Asked().runnable) | RunnableLambda(str))
    between = wrap(Memory(), wrap(memory, Asked().runnable))
    with pytest.raises(InvalidInputError, match="stored twice"):
        wrap(memory, between)
    wrap(memory, wrap(Memory(), Asked().runnable))


def test_a_graph_that_would_ignore_what_it_is_given_is_refused(memory: Memory) -> None:
    with pytest.raises(InvalidInputError, match="an agent keeps its own messages"):
        wrap(memory, Pregel("messages"))


async def test_one_that_a_function_calls_is_refused_when_it_runs(memory: Memory, run: Run) -> None:
    asked = Asked()
    inner = wrap(memory, asked.runnable)
    with pytest.raises(InvalidInputError, match="inside another one"):
        await run(wrap(memory, RunnableLambda(lambda _: inner.invoke("ho", CONFIG))))
    assert asked.inputs == []


def test_the_config_says_which_ids_there_are(memory: Memory) -> None:
    names = [spec.id for spec in wrap(memory, Asked().runnable).config_specs]
    assert names == ["session_id", "user_id", "namespace"]
