"""One contract for both chat histories, sync and async; then what only one of them does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    ToolMessage,
)
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import RunnableLambda
from langchain_core.runnables.history import RunnableWithMessageHistory

from integration_tests.conftest import CountingTransport
from langchain_agentmem.errors import InvalidInputError, MessageNotStorableError, WrongKeyTypeError
from langchain_agentmem.transport.connections import SharedConnection
from langchain_agentmem.working.histories import RedisHashChatMessageHistory, RedisListChatMessageHistory
from tests.strategies import scopes, whole_messages

History = RedisHashChatMessageHistory | RedisListChatMessageHistory
Make = Callable[..., History]
CONVERSATION = [
    HumanMessage("what is it?"),
    AIMessage("", tool_calls=[{"name": "look", "args": {"at": ["é", 1.5, None]}, "id": "c1"}]),
    ToolMessage("42", tool_call_id="c1", name="look", artifact={"raw": [1, 2]}, status="error"),
    AIMessage("42", id="run-1", usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}),
]


@pytest.fixture(params=[RedisHashChatMessageHistory, RedisListChatMessageHistory], ids=["hash", "list"])
def make(request: pytest.FixtureRequest, transport: SharedConnection) -> Make:
    def made(session_id: str | None = "s1", **options: Any) -> History:
        history: History = request.param(session_id, **{"transport": transport, **options})
        return history

    return made


@pytest.fixture(params=["sync", "async"])
def asynchronous(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "async")


async def add(history: History, messages: list[BaseMessage], asynchronous: bool) -> None:
    if asynchronous:
        await history.aadd_messages(messages)
    else:
        history.add_messages(messages)


async def read(history: History, asynchronous: bool) -> list[BaseMessage]:
    return await history.aget_messages() if asynchronous else history.messages


async def test_messages_come_back_equal_and_in_order(make: Make, asynchronous: bool) -> None:
    history = make()
    assert await read(history, asynchronous) == []
    await add(history, CONVERSATION[:1], asynchronous)
    await add(history, CONVERSATION[1:], asynchronous)
    assert await read(make(), asynchronous) == CONVERSATION
    await (history.aclear() if asynchronous else _now(history.clear))
    assert await read(history, asynchronous) == []


async def _now(function: Callable[[], None]) -> None:
    function()


async def test_no_messages_are_no_write(make: Make, bare: redis.Redis, asynchronous: bool) -> None:
    await add(make(), [], asynchronous)
    assert bare.dbsize() == 0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=whole_messages, session=scopes)
def test_any_message_in_any_session(make: Make, message: BaseMessage, session: str) -> None:
    history = make(session)
    history.clear()
    history.add_messages([message])
    assert history.messages == [message]


async def test_the_window(make: Make, asynchronous: bool) -> None:
    history = make(max_messages=3)
    await add(history, CONVERSATION, asynchronous)
    assert await read(history, asynchronous) == CONVERSATION[1:]
    await add(history, [HumanMessage("x")], asynchronous)
    assert await read(history, asynchronous) == [CONVERSATION[3], HumanMessage("x")]


async def test_a_life_is_given_and_refreshed(make: Make, bare: redis.Redis, asynchronous: bool) -> None:
    history = make(session_ttl=50)
    for _ in range(2):
        await add(history, [HumanMessage("x")], asynchronous)
        (key,) = bare.keys("*")
        assert 45 < bare.ttl(key) <= 50
        bare.expire(key, 5)


async def test_a_write_and_a_read_are_one_round_trip_each(
    make: Make, counting: CountingTransport, asynchronous: bool
) -> None:
    history = make(transport=counting)
    await add(history, CONVERSATION * 10, asynchronous)
    assert counting.round_trips == 1
    await read(history, asynchronous)
    assert counting.round_trips == 2


def test_a_session_id_is_made_up_if_none_is_given(make: Make) -> None:
    first, second = make(None), make(None)
    assert first.session_id != second.session_id
    first.add_messages([HumanMessage("x")])
    assert second.messages == []
    assert make(first.session_id).messages == [HumanMessage("x")]


@pytest.mark.parametrize(
    "options",
    [
        {"session_id": ""},
        {"session_ttl": 0},
        {"session_ttl": -5},
        {"session_ttl": "abc"},
        {"max_messages": 0},
    ],
    ids=str,
)
def test_bad_parameters_are_refused(make: Make, options: dict[str, Any]) -> None:
    with pytest.raises(
        InvalidInputError,
        match=next(iter(options)).replace("session_ttl", "ttl|session_ttl").replace("max_messages", "max_"),
    ):
        make(**options)


def test_what_cannot_be_stored_is_refused_whole(make: Make, bare: redis.Redis) -> None:
    with pytest.raises(MessageNotStorableError):
        make().add_messages([HumanMessage("ok"), HumanMessage("x", additional_kwargs={"a": {1}})])
    assert bare.dbsize() == 0


def test_a_key_of_another_type_is_left_alone(make: Make, bare: redis.Redis) -> None:
    bare.set("s1", "mine")
    bare.set("agent:session:s1", "mine")
    with pytest.raises(WrongKeyTypeError):
        make().add_messages([HumanMessage("x")])
    with pytest.raises(WrongKeyTypeError):
        _ = make().messages
    with pytest.raises(WrongKeyTypeError):
        make().clear()
    assert bare.mget("s1", "agent:session:s1") == [b"mine", b"mine"]


@pytest.mark.filterwarnings("ignore:RunnableWithMessageHistory is deprecated")
async def test_it_serves_a_runnable_with_message_history(make: Make) -> None:
    prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("chat_history"), ("human", "{input}")])
    echo = RunnableLambda(lambda value: AIMessage(f"{len(value.to_messages())} messages"))
    chain = RunnableWithMessageHistory(
        prompt | echo, make, input_messages_key="input", history_messages_key="chat_history"
    )
    config: Any = {"configurable": {"session_id": "s9"}}
    assert chain.invoke({"input": "a"}, config).content == "1 messages"
    assert (await chain.ainvoke({"input": "b"}, config)).content == "3 messages"
    assert [m.content for m in make("s9").messages] == ["a", "1 messages", "b", "3 messages"]


class TestList:
    def test_the_bytes_are_those_of_javascript_newest_first(
        self, transport: SharedConnection, bare: redis.Redis
    ) -> None:
        RedisListChatMessageHistory("s1", transport=transport).add_messages(
            [HumanMessage("hi"), AIMessage("yo é")]
        )
        assert bare.lrange("s1", 0, -1) == [
            '{"type":"ai","data":{"content":"yo é","tool_calls":[],"invalid_tool_calls":[],'
            '"additional_kwargs":{},"response_metadata":{}}}'.encode(),
            b'{"type":"human","data":{"content":"hi","additional_kwargs":{},"response_metadata":{}}}',
        ]
        assert bare.ttl("s1") == -1

    def test_what_langchain_community_wrote_is_read(
        self, transport: SharedConnection, bare: redis.Redis
    ) -> None:
        bare.lpush(
            "message_store:s1",
            json.dumps(
                {
                    "type": "human",
                    "data": {
                        "content": "hi",
                        "type": "human",
                        "name": None,
                        "id": None,
                        "additional_kwargs": {},
                        "response_metadata": {},
                    },
                }
            ),
        )
        history = RedisListChatMessageHistory("s1", key_prefix="message_store:", transport=transport)
        assert history.messages == [HumanMessage("hi")]

    def test_a_chunk_becomes_a_whole_message(self, transport: SharedConnection) -> None:
        history = RedisListChatMessageHistory("s1", transport=transport)
        history.add_messages([AIMessageChunk("yo")])
        assert history.messages == [AIMessage("yo")]

    def test_what_javascript_cannot_read_is_refused(
        self, transport: SharedConnection, bare: redis.Redis
    ) -> None:
        with pytest.raises(MessageNotStorableError, match="JavaScript"):
            RedisListChatMessageHistory("s1", transport=transport).add_messages([RemoveMessage(id="1")])
        assert bare.dbsize() == 0

    @pytest.mark.parametrize(
        "entry",
        [
            b"nope",
            b"7",
            b'{"type":"human"}',
            b'{"type":"alien","data":{}}',
            b"\xff",
            b"null",
            b'{"type":"human","data":{"content":{"a":1}}}',
        ],
    )
    def test_a_foreign_entry_is_reported_and_left(
        self, transport: SharedConnection, bare: redis.Redis, caplog: pytest.LogCaptureFixture, entry: bytes
    ) -> None:
        history = RedisListChatMessageHistory("s1", transport=transport)
        history.add_messages([HumanMessage("a")])
        bare.lpush("s1", entry)
        history.add_messages([HumanMessage("b")])
        assert history.messages == [HumanMessage("a"), HumanMessage("b")]
        assert "'s1' at position 1" in caplog.text
        assert bare.lindex("s1", 1) == entry

    def test_an_expiry_that_is_there_stays_without_session_ttl(
        self, transport: SharedConnection, bare: redis.Redis
    ) -> None:
        RedisListChatMessageHistory("s1", 60, transport=transport).add_messages([HumanMessage("a")])
        RedisListChatMessageHistory("s1", transport=transport).add_messages([HumanMessage("b")])
        assert bare.ttl("s1") > 50
