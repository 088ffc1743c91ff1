"""One contract for both chat histories, sync and async; then what only one of them does."""

from __future__ import annotations

import json
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from langchain_classic.memory import ConversationBufferMemory
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    RemoveMessage,
    ToolMessage,
)
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import RunnableLambda
from langchain_core.runnables.history import RunnableWithMessageHistory
from langgraph.graph.message import REMOVE_ALL_MESSAGES

from integration_tests.conftest import Counting, before_each_batch, connection_to
from integration_tests.upstash.emulator import Emulator
from langchain_agentmem.errors import (
    ConfigurationError,
    InvalidInputError,
    MessageNotStorableError,
    WrongKeyTypeError,
)
from langchain_agentmem.transport.connections import SharedConnection
from langchain_agentmem.working.histories import (
    RedisHashChatMessageHistory,
    RedisListChatMessageHistory,
    UpstashChatMessageHistory,
)
from tests.strategies import scopes, whole_messages

History = RedisHashChatMessageHistory | RedisListChatMessageHistory | UpstashChatMessageHistory
Make = Callable[..., History]
CONVERSATION = [
    HumanMessage("what is it?"),
    AIMessage("", tool_calls=[{"name": "look", "args": {"at": ["é", 1.5, None]}, "id": "c1"}]),
    ToolMessage("42", tool_call_id="c1", name="look", artifact={"raw": [1, 2]}, status="error"),
    AIMessage("42", id="run-1", usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}),
]


Kind = tuple[str, type[History]]
KINDS: dict[str, Kind] = {
    "hash": ("redis", RedisHashChatMessageHistory),
    "list": ("redis", RedisListChatMessageHistory),
    "upstash": ("upstash", UpstashChatMessageHistory),
    "upstash-hash": ("upstash", RedisHashChatMessageHistory),
    "front": ("front", UpstashChatMessageHistory),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Which server, and which history on it."""
    return KINDS[request.param]


@pytest.fixture
async def transport(kind: Kind, request: pytest.FixtureRequest, url: str) -> AsyncIterator[SharedConnection]:
    connection = connection_to(kind[0], request, url)
    yield connection
    await connection.aclose()


@pytest.fixture
def make(kind: Kind, transport: SharedConnection) -> Make:
    def made(session_id: str | None = "s1", **options: Any) -> History:
        return kind[1](session_id, **{"transport": transport, **options})

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
        for key in bare.keys("*"):  # with the record of the user's threads, where there is one
            assert 45 < bare.ttl(key) <= 50
            bare.expire(key, 5)


async def test_a_write_and_a_read_are_one_round_trip_each(
    make: Make, counting: Counting, asynchronous: bool
) -> None:
    history = make()
    await add(history, CONVERSATION * 10, asynchronous)
    assert counting.round_trips == 1
    await read(history, asynchronous)
    assert counting.round_trips == 2


async def test_a_remove_message_removes(make: Make, asynchronous: bool) -> None:
    history = make(max_messages=4)
    said = [HumanMessage("hi", id="1"), AIMessage("yo", id="2"), HumanMessage("and?", id="3")]
    await add(history, said, asynchronous)
    await add(history, [AIMessage("no", id="4"), RemoveMessage(id="2"), RemoveMessage(id="4")], asynchronous)
    assert await read(history, asynchronous) == [said[0], said[2]]
    await add(history, [RemoveMessage(id="unknown")], asynchronous)
    assert await read(history, asynchronous) == [said[0], said[2]]
    await add(history, [RemoveMessage(id=REMOVE_ALL_MESSAGES), *CONVERSATION * 2], asynchronous)
    assert await read(history, asynchronous) == CONVERSATION
    await add(history, [RemoveMessage(id=REMOVE_ALL_MESSAGES)], asynchronous)
    assert await read(history, asynchronous) == []


async def test_removing_costs_a_round_trip_more_and_loses_nothing_that_comes_meanwhile(
    make: Make, counting: Counting, asynchronous: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    history, other = make(), make()
    await add(history, CONVERSATION, asynchronous)
    run, arun, seen = history.transport._run, history.transport._arun, list[int]()

    def act(_: Any) -> None:
        seen.append(1)
        if len(seen) == 2:
            run(other._append("s1", [HumanMessage("me too")]))

    monkeypatch.setattr(history.transport, "_run", lambda op: run(before_each_batch(op, act)))
    monkeypatch.setattr(history.transport, "_arun", lambda op: arun(before_each_batch(op, act)))
    before = counting.round_trips
    await add(history, [RemoveMessage(id=REMOVE_ALL_MESSAGES), HumanMessage("x")], asynchronous)
    assert counting.round_trips - before == 3  # with that of somebody else
    assert await read(history, asynchronous) == [HumanMessage("me too"), HumanMessage("x")]


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
        match=next(iter(options)),
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


@pytest.mark.parametrize("kind", ["list", "upstash", "front"], indirect=True)
class TestList:
    def test_the_bytes_are_those_of_javascript_newest_first(self, make: Make, bare: redis.Redis) -> None:
        make("s1").add_messages([HumanMessage("hi"), AIMessage("yo é")])
        assert bare.lrange("s1", 0, -1) == [
            '{"type":"ai","data":{"content":"yo é","tool_calls":[],"invalid_tool_calls":[],'
            '"additional_kwargs":{},"response_metadata":{}}}'.encode(),
            b'{"type":"human","data":{"content":"hi","additional_kwargs":{},"response_metadata":{}}}',
        ]
        assert bare.ttl("s1") == -1

    def test_an_expiry_of_somebody_elses_outlives_the_removal_of_all(
        self, make: Make, bare: redis.Redis
    ) -> None:
        history = make("s1")
        history.add_messages(CONVERSATION)
        bare.expire("s1", 500)
        history.add_messages([RemoveMessage(id=REMOVE_ALL_MESSAGES), HumanMessage("x")])
        assert 490 < bare.ttl("s1") <= 500

    def test_what_langchain_community_wrote_is_read(self, make: Make, bare: redis.Redis) -> None:
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
        history = make("s1", key_prefix="message_store:")
        assert history.messages == [HumanMessage("hi")]

    def test_a_chunk_becomes_a_whole_message(self, make: Make) -> None:
        history = make("s1")
        history.add_messages([AIMessageChunk("yo")])
        assert history.messages == [AIMessage("yo")]

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
        self, make: Make, bare: redis.Redis, caplog: pytest.LogCaptureFixture, entry: bytes
    ) -> None:
        history = make("s1")
        history.add_messages([HumanMessage("a")])
        bare.lpush("s1", entry)
        history.add_messages([HumanMessage("b")])
        assert history.messages == [HumanMessage("a"), HumanMessage("b")]
        assert "'s1' at position 1" in caplog.text
        assert bare.lindex("s1", 1) == entry

    def test_an_expiry_that_is_there_stays_without_session_ttl(self, make: Make, bare: redis.Redis) -> None:
        make("s1", session_ttl=60).add_messages([HumanMessage("a")])
        make("s1").add_messages([HumanMessage("b")])
        assert bare.ttl("s1") > 50

    def test_a_window_limits_what_is_read_and_deletes_nothing(self, make: Make, bare: redis.Redis) -> None:
        make("s1").add_messages(CONVERSATION)
        assert make("s1", max_messages=1, trim=False).messages == CONVERSATION[3:]
        assert (
            make("s1", max_messages=2, trim=False).messages == CONVERSATION[3:]
        )  # a result without its call is no beginning
        assert make("s1", max_messages=3, trim=False).messages == CONVERSATION[1:]
        assert make("s1", max_messages=9, trim=False).messages == CONVERSATION
        assert bare.llen("s1") == 4

    def test_a_window_of_a_longer_list_is_read_at_once_and_trimmed_by_a_write(
        self, make: Make, bare: redis.Redis
    ) -> None:
        make("s1").add_messages(CONVERSATION)
        history = make("s1", max_messages=3)
        assert history.messages == CONVERSATION[1:]
        assert bare.llen("s1") == 4
        history.add_messages([HumanMessage("x"), HumanMessage("y")])
        assert history.messages == [CONVERSATION[3], HumanMessage("x"), HumanMessage("y")]
        assert bare.llen("s1") == 3

    def test_a_chat_message_is_generic_to_javascript_and_comes_back(
        self, make: Make, bare: redis.Redis
    ) -> None:
        message = ChatMessage("hi", role="critic")
        make("s1").add_messages([message])
        assert json.loads(bare.lindex("s1", 0) or b"")["type"] == "generic"
        assert make("s1").messages == [message]


async def test_each_operation_takes_another_session_s_id(make: Make, asynchronous: bool) -> None:
    history = make("own")
    history.add_messages([HumanMessage("mine")])
    if asynchronous:
        await history.aadd_messages([HumanMessage("yours")], session_id="other")
        assert await history.aget_messages("other") == [HumanMessage("yours")]
        await history.aclear("other")
    else:
        history.add_messages([HumanMessage("yours")], session_id="other")
        assert history.get_messages("other") == [HumanMessage("yours")]
        history.clear("other")
    assert history.get_messages("other") == []
    assert await read(history, asynchronous) == [HumanMessage("mine")]
    with pytest.raises(InvalidInputError, match="session_id"):
        history.get_messages("")


@pytest.mark.parametrize("kind", ["upstash"], indirect=True)
class TestUpstash:
    def test_the_environment_says_where(
        self, make: Make, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make("s1").add_messages([HumanMessage("x")])
        monkeypatch.setenv("UPSTASH_REDIS_REST_URL", emulator.url)
        monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", emulator.token)
        with UpstashChatMessageHistory("s1") as history:
            assert history.messages == [HumanMessage("x")]

    def test_without_a_place_it_says_what_to_give(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("UPSTASH_REDIS_REST_URL", raising=False)
        with pytest.raises(ConfigurationError, match="UPSTASH_REDIS_REST_URL"):
            UpstashChatMessageHistory("s1")

    def test_a_redis_url_is_sent_to_the_other_class(self, make: Make, url: str) -> None:
        with pytest.raises(ConfigurationError, match="RedisListChatMessageHistory"):
            UpstashChatMessageHistory("s1", url=url)

    def test_many_messages_are_one_request(self, make: Make, emulator: Emulator) -> None:
        history = make("s1", session_ttl=60, max_messages=30)
        history.add_messages([HumanMessage("x")])  # the server learns the script
        emulator.requests.clear()
        history.add_messages([HumanMessage(str(number)) for number in range(100)])
        assert [len(request.commands) for request in emulator.requests] == [1]
        assert [message.content for message in history.messages] == [str(number) for number in range(70, 100)]
        assert len(emulator.requests) == 2


class TestNode:
    def test_the_upstash_node_s_parameters(self, emulator: Emulator, bare: redis.Redis) -> None:
        inputs = {"baseURL": emulator.url, "sessionId": "s1", "sessionTTL": "60", "memoryKey": "history"}
        with UpstashChatMessageHistory.from_node(inputs, {"upstashRestToken": emulator.token}) as history:
            assert (history.session_id, history.memory_key) == ("s1", "history")
            history.add_messages([HumanMessage("hi")])
        assert 50 < bare.ttl("s1") <= 60

    def test_the_other_node_s_class_is_named(self, emulator: Emulator) -> None:
        credential = {"upstashRestToken": emulator.token}
        with pytest.raises(ConfigurationError, match="UpstashChatMessageHistory"):
            RedisListChatMessageHistory.from_node({"baseURL": emulator.url}, credential)

    def test_the_redis_node_s_parameters(self, url: str, bare: redis.Redis) -> None:
        inputs = {"sessionId": "", "sessionTTL": "", "windowSize": "1"}
        with RedisListChatMessageHistory.from_node(inputs, {"redisUrl": url}) as history:
            history.add_messages([HumanMessage("a"), HumanMessage("b")])
            assert history.messages == [HumanMessage("b")]
            assert bare.ttl(history.session_id) == -1
        assert bare.llen(history.session_id) == 2

    @pytest.mark.parametrize("value", ["abc", 0, -5])
    def test_a_ttl_that_is_none_is_refused_before_anything_is_sent(
        self, emulator: Emulator, value: Any
    ) -> None:
        with pytest.raises(ConfigurationError, match="sessionTTL"):
            UpstashChatMessageHistory.from_node(
                {"baseURL": emulator.url, "sessionTTL": value}, {"upstashRestToken": emulator.token}
            )
        assert emulator.requests == []


@pytest.mark.parametrize("kind", ["list", "upstash"], indirect=True)
def test_a_classic_buffer_memory_takes_it(make: Make) -> None:
    history = make("s1", memory_key="history")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both are deprecated, and still what older chains are made of
        memory = ConversationBufferMemory(
            chat_memory=history, memory_key=history.memory_key, return_messages=True
        )
        memory.save_context({"input": "hi"}, {"output": "yo"})
    assert memory.load_memory_variables({}) == {"history": [HumanMessage("hi"), AIMessage("yo")]}
    assert make("s1").messages == [HumanMessage("hi"), AIMessage("yo")]
