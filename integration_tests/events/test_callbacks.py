"""Handlers under real chains, down to the stream."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.tools import StructuredTool

from langchain_agentmem.events.callbacks import AsyncEventLogHandler, EventLogHandler
from langchain_agentmem.events.event_log import EventLog

SECRET = "hunter2SECRETx9"
KINDS = [EventLogHandler, AsyncEventLogHandler]


class Retriever(BaseRetriever):
    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        return [Document(f"found password={SECRET}", metadata={"api_key": SECRET})]


def conversation() -> Runnable[Any, Any]:
    call = {"name": "login", "args": {"user": "bob", "password": SECRET}, "id": "c1"}
    answers = iter([AIMessage(f"token: {SECRET}", tool_calls=[call])] * 9)
    prompt = ChatPromptTemplate.from_messages([("human", "{input}")])

    def login(user: str, password: str) -> str:
        """Log in."""
        raise PermissionError(f"{user} refused: Authorization: Bearer {password}")

    def use_tool(message: AIMessage) -> str:
        try:
            return str(StructuredTool.from_function(login).invoke(message.tool_calls[0]["args"]))
        except PermissionError:
            return "refused"

    search = RunnableLambda(lambda question: Retriever().invoke(question) and {"input": question})
    return search | prompt | GenericFakeChatModel(messages=answers) | RunnableLambda(use_tool)


@pytest.fixture
def log(url: str) -> Iterator[EventLog]:
    with EventLog(url) as log:
        yield log


@pytest.mark.parametrize("kind", KINDS)
async def test_a_chain_s_events_are_there_when_it_returns(
    log: EventLog, bare: redis.Redis, kind: Any
) -> None:
    handler = kind(log, "t", user="alice")
    assert (
        await conversation().ainvoke(f"my api_key is api_key={SECRET}", {"callbacks": [handler]}) == "refused"
    )
    events = (await log.arecent("t", 100))[::-1]
    actions = [event.action for event in events]
    assert actions[0] == "chain_start"
    assert actions[-1] == "chain_end"
    wanted = {
        "retriever_start",
        "retriever_end",
        "chat_model_start",
        "chat_model_end",
        "tool_start",
        "tool_error",
    }
    assert wanted <= set(actions)
    starts = {event.run_id: index for index, event in enumerate(events) if event.action.endswith("_start")}
    for index, event in enumerate(events):
        assert starts[event.run_id] <= index
        assert event.parent_run_id == "" or starts[event.parent_run_id] < index
    assert [event.ts for event in events] == sorted(event.ts for event in events)
    assert {event.user for event in events} == {"alice"}
    assert_no_secret(bare)
    assert handler.dropped == 0


def assert_no_secret(bare: redis.Redis) -> None:
    keys = bare.keys("agent:events:*")
    dump = b"".join(bare.dump(key) for key in bare.scan_iter())
    assert b"chain_start" in dump  # strings are not compressed: a secret would show
    assert SECRET.encode() not in dump
    text = repr([bare.xrange(key) for key in keys])
    assert SECRET not in text
    assert "[redacted]" in text


def test_a_sync_chain_s_events_are_in_redis_when_it_returns(log: EventLog, bare: redis.Redis) -> None:
    for turn in range(1, 6):
        conversation().invoke("hi", {"callbacks": [EventLogHandler(log, "t")]})
        entries = bare.xrange("agent:events:t")  # not read through the log, which would wait
        roots = [f for _, f in entries if b"parent_run_id" not in f and f[b"action"] == b"chain_end"]
        assert len(roots) == turn


async def test_an_async_handler_has_written_when_the_chain_returns(log: EventLog, bare: redis.Redis) -> None:
    for turn in range(1, 6):
        await conversation().ainvoke("hi", {"callbacks": [AsyncEventLogHandler(log, "t")]})
        assert bare.xlen("agent:events:t") == turn * log.length("t") / turn
        (_, last), *_ = bare.xrevrange("agent:events:t", count=1)
        assert last[b"action"] == b"chain_end"
        assert b"parent_run_id" not in last


def test_a_failing_chain_s_events_are_there_too(log: EventLog, bare: redis.Redis) -> None:
    def fail(_: Any) -> None:
        raise ValueError(f"redis://u:{SECRET}@host is wrong")

    with pytest.raises(ValueError, match="wrong"):
        RunnableLambda(fail).invoke("x", {"callbacks": [EventLogHandler(log, "t")]})
    (_, start), (_, error) = bare.xrange("agent:events:t")
    assert (start[b"action"], error[b"action"]) == (b"chain_start", b"chain_error")
    assert error[b"detail"] == b"ValueError: redis://[redacted]@host is wrong"


def test_a_key_of_another_type_drops_events_and_nothing_else(
    log: EventLog, bare: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    bare.set("agent:events:t", "mine")
    handler = EventLogHandler(log, "t")
    assert RunnableLambda(lambda x: x).invoke("x", {"callbacks": [handler]}) == "x"
    assert handler.dropped == log.dropped == 2
    assert len(caplog.records) == 1
    assert bare.get("agent:events:t") == b"mine"


def test_one_handler_serves_threads_at_the_same_time(log: EventLog) -> None:
    handler = EventLogHandler(log, "t")
    chain = RunnableLambda(lambda x: x)
    workers = [
        threading.Thread(target=lambda: [chain.invoke(i, {"callbacks": [handler]}) for i in range(25)])
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    events = log.after("t", "", 1000)
    assert len(events) == 200
    runs: dict[str, list[str]] = {}
    for event in events:
        runs.setdefault(event.run_id, []).append(event.action)
    assert list(runs.values()) == [["chain_start", "chain_end"]] * 100


@pytest.mark.parametrize("kind", KINDS)
async def test_chains_side_by_side_on_one_loop(log: EventLog, kind: Any) -> None:
    handler = kind(log, "t")
    chain = RunnableLambda(lambda x: x) | RunnableLambda(lambda x: x)
    await asyncio.gather(*(chain.ainvoke(i, {"callbacks": [handler]}) for i in range(20)))
    assert await log.alength("t") == 120
    assert handler.dropped == 0


async def test_a_log_with_only_an_async_client(url: str) -> None:
    async with redis.asyncio.Redis.from_url(url) as client:
        log = EventLog(async_client=client)
        handler = AsyncEventLogHandler(log, "t")
        await conversation().ainvoke("hi", {"callbacks": [handler]})
        assert (await log.arecent("t", 1))[0].action == "chain_end"
        await RunnableLambda(lambda x: x).ainvoke("x", {"callbacks": [EventLogHandler(log, "u")]})
        assert await log.alength("u") == 2
        assert log.dropped == 0
        await log.aclose()


async def test_a_buffer_s_events_are_written_with_something_else(log: EventLog, bare: redis.Redis) -> None:
    buffer = log.buffer()
    handler = EventLogHandler(log, "t", sink=buffer)
    conversation().invoke("hi", {"callbacks": [handler]})
    assert bare.keys() == []
    ids = log.transport.run(log.record_op(buffer.drain()))
    assert [event.id for event in log.after("t")] == ids
    assert_no_secret(bare)
