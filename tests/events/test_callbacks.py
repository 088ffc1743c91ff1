"""The handlers under real LangChain runnables, with their events kept in a buffer."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from langchain_core.agents import AgentAction, AgentFinish
from langchain_core.callbacks import (
    AsyncCallbackHandler,
    BaseCallbackHandler,
    CallbackManagerForRetrieverRun,
    adispatch_custom_event,
    dispatch_custom_event,
)
from langchain_core.documents import Document
from langchain_core.language_models.fake import FakeListLLM
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_core.tools import StructuredTool

from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.events import callbacks
from langchain_agentmem.events import runs as runs_module
from langchain_agentmem.events.background import EventBuffer
from langchain_agentmem.events.callbacks import AsyncEventLogHandler, EventLogHandler
from langchain_agentmem.events.event import Event, read_event
from langchain_agentmem.events.event_log import EventLog
from tests.fake_transport import FakeTransport

SECRET = "hunter2SECRETx9"


class Retriever(BaseRetriever):
    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        if query == "fail":
            raise LookupError("nothing there")
        return [Document(f"text {i} of {query}", metadata={"password": SECRET}) for i in range(5)]


def model(*answers: AIMessage) -> GenericFakeChatModel:
    return GenericFakeChatModel(messages=iter(answers or [AIMessage("hello")] * 5))


class Harness:
    """Runs a runnable under a handler and gives the events."""

    def __init__(self, kind: type[Any], runs: str) -> None:
        self.log = EventLog(transport=FakeTransport())
        self.buffer = self.log.buffer()
        self.handler = kind(self.log, "t1", user="alice", sink=self.buffer)
        self._runs = runs

    async def __call__(self, runnable: Runnable[Any, Any], value: Any) -> list[Event]:
        config: RunnableConfig = {"callbacks": [self.handler]}
        if self._runs == "sync":
            runnable.invoke(value, config)
        else:
            await runnable.ainvoke(value, config)
        return self.events()

    def events(self) -> list[Event]:
        found = []
        for thread_id, fields in self.buffer.drain():
            assert thread_id == "t1"
            found.append(read_event([b"1-0", [part for pair in fields.items() for part in pair]]))
        return found


@pytest.fixture(
    params=[
        (EventLogHandler, "sync"),
        (EventLogHandler, "async"),
        (AsyncEventLogHandler, "async"),
        (AsyncEventLogHandler, "sync"),
    ],
    ids=["sync", "sync handler in async chain", "async", "async handler in sync chain"],
)
def under(request: pytest.FixtureRequest) -> Iterator[Harness]:
    harness = Harness(*request.param)
    yield harness
    assert harness.log.dropped == 0
    harness.log.close()


def actions(events: list[Event]) -> list[str]:
    return [event.action for event in events]


class TestEveryCallback:
    async def test_chain_and_chat_model(self, under: Harness) -> None:
        usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
        call = {"name": "look", "args": {"city": "Rome", "api_key": SECRET}, "id": "c1"}
        answer = AIMessage("hello", usage_metadata=usage, tool_calls=[call])
        chain = ChatPromptTemplate.from_messages([("human", "{input}")]) | model(answer)
        events = await under(chain, {"input": "hi there"})
        assert actions(events) == [
            *("chain_start", "chain_start", "chain_end"),
            *("chat_model_start", "chat_model_end", "chain_end"),
        ]
        root, prompt, prompt_end, begun, ended, root_end = events
        assert (root.name, prompt.name, begun.name) == (
            "RunnableSequence",
            "ChatPromptTemplate",
            "GenericFakeChatModel",
        )
        assert root.parent_run_id == ""
        assert {prompt.parent_run_id, begun.parent_run_id, ended.parent_run_id} == {root.run_id}
        assert (root_end.run_id, root_end.name) == (root.run_id, "RunnableSequence")
        assert root.duration_seconds is None
        assert 0 <= (ended.duration_seconds or -1) <= (root_end.duration_seconds or -1) < 5
        assert prompt_end.duration_seconds is not None
        assert {event.user for event in events} == {"alice"}
        assert root.detail == '{"input":"hi there"}'
        assert begun.detail == '[{"type":"human","content":"hi there"}]'
        detail = json.loads(ended.detail)
        assert detail["text"] == "hello"
        args = {"city": "Rome", "api_key": "[redacted]"}
        assert detail["tool_calls"] == [{"name": "look", "args": args, "id": "c1"}]
        assert detail["usage"] == usage

    async def test_a_chat_model_alone(self, under: Harness) -> None:
        events = await under(model(), "hi")
        assert actions(events) == ["chat_model_start", "chat_model_end"]

    async def test_llm(self, under: Harness) -> None:
        events = await under(FakeListLLM(responses=["pong"]), "ping")
        assert actions(events) == ["llm_start", "llm_end"]
        assert [event.detail for event in events] == ["ping", '{"text":"pong"}']

    async def test_failing_model(self, under: Harness) -> None:
        with pytest.raises(RuntimeError):  # the fake has no more answers
            await under(GenericFakeChatModel(messages=iter([])), "hi")
        begun, failed = under.events()
        assert (begun.action, failed.action) == ("chat_model_start", "chat_model_error")
        assert failed.duration_seconds is not None

    async def test_tool(self, under: Harness) -> None:
        def add(a: int, password: str) -> str:
            """Add."""
            return f"{a} token={SECRET}"

        events = await under(StructuredTool.from_function(add), {"a": 2, "password": SECRET})
        assert actions(events) == ["tool_start", "tool_end"]
        assert [event.name for event in events] == ["add", "add"]
        assert events[0].detail == '{"a":2,"password":"[redacted]"}'
        assert events[1].detail == "2 token=[redacted]"

    async def test_a_tool_that_returns_an_exception_has_not_failed(self, under: Harness) -> None:
        def cautious(a: int) -> Exception:
            """Answer with what went wrong."""
            return ValueError(f"no {a}")

        events = await under(StructuredTool.from_function(cautious), {"a": 2})
        assert [(event.action, event.detail) for event in events][1] == ("tool_end", "ValueError: no 2")

    async def test_failing_tool(self, under: Harness) -> None:
        def fail(a: int) -> str:
            """Fail."""
            raise OSError(f"cannot reach redis://u:{SECRET}@host/{a}")

        with pytest.raises(OSError, match="cannot reach"):
            await under(StructuredTool.from_function(fail), {"a": 2})
        events = under.events()
        assert actions(events) == ["tool_start", "tool_error"]
        assert events[1].detail == "OSError: cannot reach redis://[redacted]@host/2"

    async def test_retriever(self, under: Harness) -> None:
        begun, ended = await under(Retriever(), "rome")
        assert (begun.action, begun.detail, ended.action) == ("retriever_start", "rome", "retriever_end")
        assert json.loads(ended.detail) == {"documents": 5, "texts": [f"text {i} of rome" for i in range(3)]}
        with pytest.raises(LookupError):
            await under(Retriever(), "fail")
        assert actions(under.events()) == ["retriever_start", "retriever_error"]

    async def test_failing_chain(self, under: Harness) -> None:
        def fail(_: Any) -> None:
            raise ValueError(f"bad api_key: {SECRET}")

        with pytest.raises(ValueError, match="bad"):
            await under(RunnableLambda(fail, name="failing"), {"x": 1})
        begun, failed = under.events()
        assert (begun.action, failed.action, failed.name) == ("chain_start", "chain_error", "failing")
        assert failed.detail == "ValueError: bad api_key: [redacted]"

    @pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
    async def test_errors_that_are_no_exceptions(self, error: type[BaseException]) -> None:
        under = Harness(EventLogHandler, "sync")
        run = uuid4()
        under.handler.on_chain_start({}, {}, run_id=run, name="n")
        under.handler.on_chain_error(error(), run_id=run)
        assert under.events()[1].detail.startswith(error.__name__)
        under.log.close()

    async def test_retried_runs(self, under: Harness) -> None:
        attempts = []

        def flaky(value: str) -> str:
            attempts.append(value)
            if len(attempts) < 3:
                raise OSError("not yet")
            return "done"

        chain = RunnableLambda(flaky).with_retry(wait_exponential_jitter=False)
        events = await under(chain, "x")
        assert actions(events).count("chain_error") == 2
        assert events[-1].detail == "done"

    async def test_custom_events(self, under: Harness) -> None:
        def sync(value: str, config: RunnableConfig) -> str:
            dispatch_custom_event("progress", {"done": 5, "token": SECRET}, config=config)
            return value

        async def asynchronous(value: str, config: RunnableConfig) -> str:
            await adispatch_custom_event("progress", {"done": 5, "token": SECRET}, config=config)
            return value

        events = await under(RunnableLambda(sync, afunc=asynchronous), "x")
        assert actions(events) == ["chain_start", "custom", "chain_end"]
        assert (events[1].name, events[1].run_id) == ("progress", events[0].run_id)
        assert events[1].detail == '{"done":5,"token":"[redacted]"}'

    async def test_agents_and_retries(self, under: Harness) -> None:
        run: dict[str, Any] = {"run_id": uuid4(), "parent_run_id": uuid4()}
        failure = SimpleNamespace(done=lambda: True, exception=lambda: OSError("later"))
        calls = [
            ("on_agent_action", AgentAction("look", {"city": "Rome", "pwd": SECRET}, "thinking")),
            ("on_agent_finish", AgentFinish({"output": "done"}, "log")),
            ("on_retry", SimpleNamespace(attempt_number=2, outcome=failure)),
            ("on_retry", SimpleNamespace(attempt_number=1, outcome=None)),
        ]
        for name, value in calls:
            answer = getattr(under.handler, name)(value, **run)
            if asyncio.iscoroutine(answer):
                await answer
        action, finish, retry, first = under.events()
        assert (action.action, action.name) == ("agent_action", "look")
        assert action.detail == '{"tool":"look","input":{"city":"Rome","pwd":"[redacted]"}}'
        assert (finish.action, finish.detail) == ("agent_finish", '{"output":"done"}')
        assert (retry.action, retry.detail) == ("retry", '{"attempt":2,"error":"OSError: later"}')
        assert first.detail == '{"attempt":1,"error":null}'

    async def test_streaming_records_no_tokens(self, under: Harness) -> None:
        chain = model(AIMessage("one two three")) | RunnableLambda(lambda message: message)
        config: RunnableConfig = {"callbacks": [under.handler]}
        if under._runs == "sync":
            assert len([*chain.stream("hi", config)]) > 0
        else:
            assert len([chunk async for chunk in chain.astream("hi", config)]) > 0
        events = under.events()
        assert set(actions(events)) == {"chain_start", "chat_model_start", "chat_model_end", "chain_end"}
        assert json.loads(events[2].detail if events[2].action == "chat_model_end" else events[3].detail)[
            "text"
        ] == ("one two three")

    async def test_hidden_runs_are_left_out(self, under: Harness) -> None:
        hidden = RunnableLambda(lambda x: x).with_config(tags=["langsmith:hidden"])
        events = await under(hidden | RunnableLambda(lambda x: x, name="seen"), "x")
        assert actions(events) == ["chain_start", "chain_start", "chain_end", "chain_end"]
        assert events[1].name == "seen"

    @pytest.mark.parametrize("value", ["text", None, [1], {"a": None}, object(), b"x"])
    async def test_any_input(self, under: Harness, value: Any) -> None:
        assert len(await under(RunnableLambda(lambda x: x), value)) == 2


class TestLongDetails:
    async def test_after_many_messages_the_question_and_the_tool_s_result_are_in_the_events(
        self, under: Harness
    ) -> None:
        call = {"name": "search", "args": {"query": "ferries"}, "id": "c1"}
        answers = model(AIMessage("", tool_calls=[call]), AIMessage("At nine."))
        search = StructuredTool.from_function(
            lambda query: f"{query} leave at nine. " * 150, name="search", description="Find it."
        )

        def agent(state: dict[str, Any]) -> AIMessage:
            messages = [*state["messages"]]
            while (answer := answers.invoke(messages)).tool_calls:
                messages += [answer, *(search.invoke(call) for call in answer.tool_calls)]
            return answer

        history = [AIMessage(f"{number} " + "word " * 60) for number in range(60)]
        state = {"messages": [*history, HumanMessage("When do ferries leave?")], "notes": "none"}
        events = await under(RunnableLambda(agent, name="agent"), state)
        assert actions(events) == [
            *("chain_start", "chat_model_start", "chat_model_end"),
            *("tool_start", "tool_end", "chat_model_start", "chat_model_end", "chain_end"),
        ]
        begun, asked, _, _, found, asked_again, answered, _ = map(detail, events)
        assert begun["messages"][-1] == {"type": "human", "content": "When do ferries leave?"}
        assert begun["notes"] == "none"
        assert asked[-1] == {"type": "human", "content": "When do ferries leave?"}
        assert asked[0] == {"…": "54 earlier messages"}
        for result in (found, asked_again[-1]):
            assert result["type"] == "tool"
            assert result["content"].startswith("ferries leave at nine. ferries")
            assert len(result["content"]) > 1800
            assert result["tool_call_id"] == "c1"
        assert answered["text"] == "At nine."

    async def test_a_long_answer_leaves_room_for_its_tool_calls_and_they_for_it(self, under: Harness) -> None:
        calls = [{"name": f"look{n}", "args": {"query": "where " * 500}, "id": f"c{n}"} for n in range(3)]
        usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
        answer = AIMessage("because " * 500, tool_calls=calls, usage_metadata=usage)
        _, ended = await under(model(answer), "hi")
        described = detail(ended)
        assert described["text"].startswith("because because")
        assert [call["name"] for call in described["tool_calls"]] == ["look0", "look1", "look2"]
        assert all(call["args"]["query"].startswith("where where") for call in described["tool_calls"])
        assert described["usage"] == usage

    async def test_of_a_long_prompt_the_end_is_recorded(self, under: Harness) -> None:
        prompt = "System: be kind.\n" + "Human: old\nAI: answer\n" * 500 + "Human: where do I live?"
        begun, _ = await under(FakeListLLM(responses=["pong"]), prompt)
        assert begun.detail.startswith("…")
        assert begun.detail.endswith("AI: answer\nHuman: where do I live?")
        assert len(begun.detail.encode()) == 2000

    async def test_documents_and_errors_are_cut_too(self, under: Harness) -> None:
        documents = [Document("page " * 400, metadata={"source": f"{n}.txt"}) for n in range(9)]
        _, ended = await under(RunnableLambda(lambda _: {"context": documents, "question": "why?"}), "x")
        described = detail(ended)
        assert described["question"] == "why?"
        assert [page["metadata"]["source"] for page in described["context"]] == [f"{n}.txt" for n in range(9)]

        def fail(_: Any) -> None:
            raise ValueError("bad " * 1000)

        with pytest.raises(ValueError, match="bad"):
            await under(RunnableLambda(fail), {"x": 1})
        failed = under.events()[1]
        assert failed.detail.startswith("ValueError: bad bad")
        assert len(failed.detail.encode()) == 2000


def detail(event: Event) -> Any:
    assert len(event.detail.encode()) <= 2000
    return json.loads(event.detail)


async def test_a_stream_that_is_abandoned_ends() -> None:
    under = Harness(EventLogHandler, "sync")
    stream = RunnableLambda(lambda _: iter("abc")).stream("x", {"callbacks": [under.handler]})
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    begun, ended = under.events()
    assert (begun.action, ended.action) == ("chain_start", "chain_end")
    assert begun.run_id == ended.run_id
    under.log.close()


def test_metadata_tags_and_parameters_are_not_recorded() -> None:
    under = Harness(EventLogHandler, "sync")
    chain = RunnableLambda(lambda x: x)
    chain.invoke(
        "x",
        {
            "callbacks": [under.handler],
            "metadata": {"note": "META"},
            "tags": ["TAG"],
            "configurable": {"a": "CONF"},
        },
    )
    under.handler.on_llm_start(
        {"kwargs": {"x": "KWARG"}},
        ["p"],
        run_id=uuid4(),
        invocation_params={"x": "PARAM"},
        options={"x": "OPT"},
    )
    text = repr(under.events())
    for word in ("META", "TAG", "CONF", "KWARG", "PARAM", "OPT"):
        assert word not in text
    under.log.close()


@pytest.mark.parametrize(
    ("serialized", "run", "name"),
    [
        ({"name": "b"}, {"name": "a"}, "a"),
        ({"name": "b", "id": ["x", "c"]}, {}, "b"),
        ({"id": ["x", "c"]}, {"name": None}, "c"),
        ({"id": []}, {}, ""),
        (None, {}, ""),
    ],
)
def test_names(serialized: Any, run: dict[str, Any], name: str) -> None:
    under = Harness(EventLogHandler, "sync")
    under.handler.on_chain_start(serialized, {}, run_id=uuid4(), **run)
    assert under.events()[0].name == name
    under.log.close()


def test_an_end_without_a_start_is_recorded() -> None:
    under = Harness(EventLogHandler, "sync")
    under.handler.on_chain_end({"a": 1}, run_id=uuid4())
    (event,) = under.events()
    assert (event.action, event.duration_seconds) == ("chain_end", None)
    under.log.close()


def test_runs_that_never_end_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_module, "MAX_RUNS", 5)
    under = Harness(EventLogHandler, "sync")
    runs = [uuid4() for _ in range(20)]
    for run in runs:
        under.handler.on_chain_start({}, {}, run_id=run)
    assert len(under.handler._runs) == 5
    for run in runs:
        under.handler.on_chain_end({}, run_id=run)
    assert len(under.handler._runs) == 0
    under.log.close()


def test_a_bug_in_the_handler_is_logged_once_and_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> str:
        raise RuntimeError(f"a bug with password={SECRET}")

    under = Harness(EventLogHandler, "sync")
    monkeypatch.setattr(callbacks, "stream_fields", fail)
    assert RunnableLambda(lambda x: x).invoke("x", {"callbacks": [under.handler]}) == "x"
    assert under.handler.dropped == under.log.dropped == 2
    assert [record.name for record in caplog.records] == ["langchain_agentmem"]
    assert SECRET not in caplog.text
    under.log.close()


class Refusing:
    """Raises whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __bool__(self) -> bool:
        raise RuntimeError("no")

    __str__ = __repr__ = __len__ = __iter__ = __eq__ = __bool__  # type: ignore[assignment]
    __hash__ = object.__hash__


CALLBACKS = [
    (name, len(inspect.signature(callback).parameters) - 2)
    for name, callback in vars(EventLogHandler).items()
    if name.startswith("on_") and name not in ("on_llm_new_token", "on_stream_event")  # which record nothing
]
ODD = [
    None,
    5,
    "x",
    b"x",
    object(),
    [None],
    {},
    {"input": np.zeros(3)},
    np.zeros(3),
    [[]],
    ValueError(),
    Refusing,
]
RUNS: list[dict[str, Any]] = [
    {"run_id": uuid4(), "parent_run_id": uuid4()},
    {"run_id": uuid4(), "parent_run_id": None, "tags": None},
    {"run_id": None},
    {},
]


@pytest.mark.parametrize(("callback", "arguments"), CALLBACKS)
@pytest.mark.parametrize("kind", [EventLogHandler, AsyncEventLogHandler])
async def test_odd_arguments_and_missing_ones_are_recorded(
    kind: type[Any], callback: str, arguments: int
) -> None:
    under = Harness(kind, "async")
    for odd in ODD:
        for run in RUNS:
            for value in (odd, Refusing() if odd is Refusing else odd):
                answer = getattr(under.handler, callback)(*[value] * arguments, **run)
                if inspect.isawaitable(answer):
                    await answer
                (event,) = under.events()
                assert event.run_id == str(run.get("run_id") or "")
    assert under.handler.dropped == 0
    under.log.close()


@pytest.mark.parametrize("kind", [EventLogHandler, AsyncEventLogHandler])
@pytest.mark.parametrize("name", ["name", "tags", "inputs", "parent_run_id", "run_id"])
async def test_nothing_that_comes_with_a_callback_raises(kind: type[Any], name: str) -> None:
    under = Harness(kind, "async")
    for callback, arguments in CALLBACKS:
        for odd in (*ODD, Refusing(), itertools.count()):
            if (callback, name) in (("on_chain_start", "inputs"), ("on_custom_event", "name")):
                continue  # not beside the others, but one of them
            answer = getattr(under.handler, callback)(*["x"] * arguments, **{"run_id": uuid4(), name: odd})
            if inspect.isawaitable(answer):
                await answer
    under.log.close()


@pytest.mark.parametrize("kind", [EventLogHandler, AsyncEventLogHandler])
@pytest.mark.parametrize("state", ["full", "closed", "failing"])
async def test_a_chain_answers_whatever_state_the_sink_is_in(kind: type[Any], state: str) -> None:
    log = EventLog(transport=FakeTransport())
    if state == "closed":
        log.close()
    handler = kind(log, "t", sink=EventBuffer(log._losses, max_events=0) if state == "full" else None)
    chain = RunnableLambda(lambda x: x.upper())
    assert chain.invoke("hi", {"callbacks": [handler]}) == "HI"
    assert await chain.ainvoke("hi", {"callbacks": [handler]}) == "HI"
    handler.flush()
    assert handler.dropped == log.dropped == 4
    log.close()


@pytest.mark.parametrize("kind", [EventLogHandler, AsyncEventLogHandler])
@pytest.mark.parametrize("thread_id", ["", None, 5, "x" * 4097, "\ud800"])
def test_a_bad_thread_id_is_refused(kind: type[Any], thread_id: Any) -> None:
    log = EventLog(transport=FakeTransport())
    with pytest.raises(InvalidInputError, match="thread_id"):
        kind(log, thread_id)
    with pytest.raises(InvalidInputError, match="user"):
        kind(log, "t", user=b"x")


def test_with_a_sink_of_its_own_a_handler_writes_nothing() -> None:
    under = Harness(EventLogHandler, "sync")
    RunnableLambda(lambda x: x).invoke("x", {"callbacks": [under.handler]})
    assert isinstance(under.handler, BaseCallbackHandler)
    assert not under.handler.flush()
    assert len(under.buffer.drain()) == 2
    under.log.close()


def test_put_describes_without_secrets() -> None:
    log = EventLog(transport=FakeTransport())
    sink = EventBuffer()
    log.put("t", "memory_error", {"token": SECRET, "n": 1}, user="bob", sink=sink)
    ((thread_id, fields),) = sink.drain()
    assert (thread_id, fields["action"], fields["user"]) == ("t", "memory_error", "bob")
    assert fields["detail"] == '{"token":"[redacted]","n":1}'
    with pytest.raises(InvalidInputError):
        log.put("", "a")


class Sink(EventBuffer):
    """Notes on which threads events come, and when somebody settles."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()
        self.settled: list[str] = []

    def put(self, thread_id: str, fields: dict[str, str]) -> None:
        self.threads.add(threading.get_ident())
        super().put(thread_id, fields)

    def settle(self) -> None:
        self.settled.append("sync")

    async def asettle(self) -> None:
        self.settled.append("async")


def finish_runs(handler: Any) -> list[Any]:
    """A root with a child that fails, then a root that fails."""
    root, child = uuid4(), uuid4()
    return [
        handler.on_tool_error(ValueError(), run_id=child, parent_run_id=root),
        handler.on_chain_end({}, run_id=root, parent_run_id=None),
        handler.on_chain_error(ValueError(), run_id=uuid4()),
    ]


def test_a_handler_waits_for_root_runs_only() -> None:
    sink = Sink()
    finish_runs(EventLogHandler(EventLog(transport=FakeTransport()), "t", sink=sink))
    assert sink.settled == ["sync", "sync"]


async def test_no_handler_blocks_an_event_loop() -> None:
    log, sink, asink = EventLog(transport=FakeTransport()), Sink(), Sink()
    finish_runs(EventLogHandler(log, "t", sink=sink))
    assert sink.settled == []
    for waiting in finish_runs(AsyncEventLogHandler(log, "t", sink=asink)):
        await waiting
    assert asink.settled == ["async", "async"]


async def test_async_chains_call_the_sync_handler_on_the_loop_s_thread() -> None:
    sink = Sink()
    handler = EventLogHandler(EventLog(transport=FakeTransport()), "t", sink=sink)

    async def same(value: str) -> str:
        return value

    await RunnableLambda(same).ainvoke("x", {"callbacks": [handler]})
    assert sink.threads == {threading.get_ident()}


async def test_async_chains_call_the_async_handler_in_order_and_before_others() -> None:
    sink, order = Sink(), []

    class Other(AsyncCallbackHandler):
        async def on_chain_start(self, *_: Any, **__: Any) -> None:
            order.append(("other", len(sink._entries)))

        async def on_chain_end(self, *_: Any, **__: Any) -> None:
            order.append(("other", len(sink._entries)))

    handler = AsyncEventLogHandler(EventLog(transport=FakeTransport()), "t", sink=sink)

    async def same(value: str) -> str:
        return value

    chain = RunnableLambda(same) | RunnableLambda(same)
    await chain.ainvoke("x", {"callbacks": [Other(), handler]})
    assert [fields["action"] for _, fields in sink.drain()] == [
        *("chain_start", "chain_start", "chain_end", "chain_start", "chain_end", "chain_end")
    ]
    assert order == [("other", count) for count in range(1, 7)]
    assert sink.threads == {threading.get_ident()}
    assert sink.settled == ["async"]


def test_the_async_handler_awaits_ends_and_nothing_else() -> None:
    awaited = {
        name
        for name in dir(AsyncEventLogHandler)
        if name.startswith("on_") and inspect.iscoroutinefunction(getattr(AsyncEventLogHandler, name))
    }
    kinds = ("chain", "llm", "tool", "retriever")
    assert awaited == {f"on_{kind}_{how}" for kind in kinds for how in ("end", "error")}


@pytest.mark.parametrize("name", ["on_llm_new_token", "on_stream_event"])
def test_a_token_is_no_event_whatever_it_is(name: str) -> None:
    under = Harness(EventLogHandler, "sync")
    run = uuid4()
    under.handler.on_chat_model_start({}, [[]], run_id=run)
    for odd in (*ODD, Refusing(), {"event": Refusing()}):
        for which in (run, uuid4(), None, "x", Refusing()):
            getattr(under.handler, name)(odd, run_id=which, chunk=odd)
    assert actions(under.events()) == ["chat_model_start"]
    assert under.handler.dropped == 0
    under.log.close()


def test_the_first_token_is_the_first_that_has_something() -> None:
    under = Harness(EventLogHandler, "sync")
    run = uuid4()
    under.handler.on_chat_model_start({}, [[]], run_id=run)
    empty = SimpleNamespace(message=AIMessageChunk(""))
    for token, chunk in (("", empty), ("", None), ([], empty), ("", AIMessageChunk(""))):
        under.handler.on_llm_new_token(token, run_id=run, chunk=chunk)
    under.handler.on_stream_event({"event": "message-start"}, run_id=run)
    assert under.handler._runs.get(run).first_token is None
    call = AIMessageChunk("", tool_call_chunks=[tool_call_chunk(name="look", args="{", id="c1", index=0)])
    under.handler.on_llm_new_token("", run_id=run, chunk=SimpleNamespace(message=call))
    first = under.handler._runs.get(run).first_token
    assert first is not None
    under.handler.on_llm_new_token("word", run_id=run)
    assert under.handler._runs.get(run).first_token == first
    under.log.close()
