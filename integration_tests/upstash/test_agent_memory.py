"""`AgentMemory` on Upstash's REST API, and made from a Flowise node's parameters."""

from __future__ import annotations

import asyncio
import re
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import upstash_redis
from langchain_classic.chains import LLMChain
from langchain_classic.memory import ConversationBufferMemory
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import Runnable, RunnableLambda

from integration_tests.conftest import Both
from integration_tests.upstash.emulator import Emulator
from integration_tests.words import WordEmbeddings
from langchain_agentmem import (
    AgentMemory,
    AgentMemorySettings,
    MemoryVectorStore,
    UpstashChatMessageHistory,
    UpstashLongTermMemory,
)
from langchain_agentmem.chain.options import ExchangeReport
from langchain_agentmem.errors import (
    ConfigurationError,
    InvalidInputError,
    StoreAuthenticationError,
    StoreRateLimitError,
)

PROMPT = ChatPromptTemplate.from_messages(
    [("system", "Known:\n{memories}"), MessagesPlaceholder("chat_history"), ("human", "{input}")]
)


def spoken(prompt: Any) -> AIMessage:
    return AIMessage(f"{len(prompt.to_messages())} messages: {prompt.to_messages()[0].content}")


CHAIN: Runnable[Any, Any] = PROMPT | RunnableLambda(spoken)


def ids(thread: str = "t1", user: str = "alice", **more: str) -> Any:
    return {"configurable": {"session_id": thread, "user_id": user, **more}}


@pytest.fixture
def memory(emulator: Emulator) -> Iterator[AgentMemory]:
    with AgentMemory(emulator.url, token=emulator.token) as memory:
        yield memory


@pytest.fixture
def warm(memory: AgentMemory, emulator: Emulator) -> AgentMemory:
    """A memory whose scripts the server knows, and whose index is there."""
    memory.wrap(CHAIN).invoke({"input": "I am warming up"}, ids("warm", "nobody"))
    emulator.requests.clear()
    return memory


async def test_a_turn_is_two_requests(warm: AgentMemory, emulator: Emulator, both: Both) -> None:
    reports: list[ExchangeReport] = []
    chain = warm.wrap(CHAIN, on_exchange=reports.append)
    await both(chain).ainvoke({"input": "I am allergic to peanuts."}, ids())
    assert len(emulator.requests) == 2
    warm.long_term.wait_indexing()  # type: ignore[union-attr]
    emulator.requests.clear()
    answer = await both(chain).ainvoke({"input": "Am I allergic to something?"}, ids())
    assert len(emulator.requests) == 2
    expected = r"4 messages: Known:\n- \d{4}-\d\d-\d\d: I am allergic to peanuts\."
    assert re.fullmatch(expected, answer.content)
    assert [hit.text for hit in reports[1].recalled] == ["I am allergic to peanuts."]
    assert reports[1].recalled[0].distance is None
    assert (reports[1].turn_count, reports[1].failures) == (4, [])


async def test_the_three_tiers_hold_the_turn(warm: AgentMemory, bare: redis.Redis, both: Both) -> None:
    await both(warm.wrap(CHAIN)).ainvoke({"input": "I live in Porto."}, ids())
    assert bare.type("t1") == b"list"
    assert isinstance(warm.history("t1"), UpstashChatMessageHistory)
    assert warm.history("t1").messages[0] == HumanMessage("I live in Porto.")
    assert isinstance(warm.long_term, UpstashLongTermMemory)
    (stored,) = await both(_settled(warm)).alist_memories(user="alice")
    assert (stored.text, stored.kind, stored.source_thread) == ("I live in Porto.", "episodic", "t1")
    assert 604_000 < stored.ttl_seconds <= 604_800
    actions = [event.action for event in warm.events.recent("t1")]
    assert actions[-2:] == ["recall", "turn_start"]


def _settled(memory: AgentMemory) -> Any:
    memory.long_term.wait_indexing()  # type: ignore[union-attr]
    return memory.long_term


async def test_users_see_only_their_own(warm: AgentMemory, both: Both) -> None:
    chain = warm.wrap(CHAIN)
    await both(chain).ainvoke({"input": "My favourite colour is teal."}, ids(user="alice"))
    _settled(warm)
    answer = await both(chain).ainvoke({"input": "What is my favourite colour?"}, ids("t2", "bob"))
    assert "teal" not in answer.content


async def test_a_user_is_forgotten_in_every_tier(warm: AgentMemory, bare: redis.Redis, both: Both) -> None:
    chain = warm.wrap(CHAIN)
    await both(chain).ainvoke({"input": "I live in Porto."}, ids("t1", "alice"))
    await both(chain).ainvoke({"input": "I live in Lyon."}, ids("t2", "bob"))
    told = await both(warm).aforget_user("alice", dry_run=True)
    gone = await both(warm).aforget_user("alice")  # at once: what is not indexed yet is forgotten too
    assert gone == told
    assert (gone.threads, gone.memories) == (["t1"], 1)
    assert gone.events > 0
    assert not [key for key in bare.scan_iter() if b"t1" in key or b"alice" in key]
    assert bare.exists("t2", "agent:session:t2", "agent:events:t2") == 3


async def test_a_namespace_is_refused_where_the_data_has_none(
    warm: AgentMemory, bare: redis.Redis, both: Both
) -> None:
    with pytest.raises(InvalidInputError, match="namespace"):
        await both(warm.wrap(CHAIN)).ainvoke({"input": "x"}, ids(namespace="work"))
    assert not bare.exists("t1")


async def test_a_chain_goes_on_without_a_memory_that_fails(
    emulator: Emulator, bare: redis.Redis, both: Both
) -> None:
    with AgentMemory(emulator.url, token="wrong", on_error="continue") as memory:
        answer = await both(memory.wrap(CHAIN)).ainvoke({"input": "x"}, ids())
        assert answer.content.startswith("2 messages")
        assert memory.failures > 0
    with (
        AgentMemory(emulator.url, token="wrong") as memory,
        pytest.raises(StoreAuthenticationError, match="refused the token"),
    ):
        await both(memory.wrap(CHAIN)).ainvoke({"input": "x"}, ids())


async def test_the_token_is_nowhere(
    warm: AgentMemory, emulator: Emulator, bare: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    await warm.wrap(CHAIN).ainvoke({"input": "hello"}, ids())
    shown = repr(warm) + repr(warm.settings) + repr(warm.history("t1")) + repr(warm.transport) + caplog.text
    assert emulator.token not in shown
    stored = b"".join(b"".join(fields.values()) for _, fields in bare.xrange("agent:events:t1"))
    assert emulator.token.encode() not in stored


def test_the_environment_names_the_database(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("UPSTASH_REDIS_REST_URL", emulator.url)
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", emulator.token)
    with AgentMemory() as memory:
        memory.working.append_turn("t1", "user", "I am here")
        assert memory.settings.session_storage == "list"
    assert emulator.requests


def test_a_handed_client_says_where_and_not_the_environment(
    emulator: Emulator, url: str, bare: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_URL", emulator.url)
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", emulator.token)
    monkeypatch.setenv("AGENTMEM_TOKEN", emulator.token)
    with AgentMemory(client=bare) as memory:
        assert (memory.settings.session_storage, memory.settings.memory_prefix) == ("hash", "agent:mem:")
        assert memory.settings.session_ttl_seconds == 3600
    client = upstash_redis.Redis(emulator.url, emulator.token)
    with AgentMemory(client=client, settings=AgentMemorySettings(url=url, max_turns=3)) as memory:  # type: ignore[arg-type]
        assert (memory.settings.session_storage, memory.settings.max_turns) == ("list", 3)
    client.close()


def test_a_token_is_not_sent_to_another_host(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_URL", emulator.url)
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", emulator.token)
    with pytest.raises(ConfigurationError, match="needs a token"):
        AgentMemory("https://other.example")
    with pytest.raises(ConfigurationError, match="needs a token"):
        UpstashChatMessageHistory("s", url="https://other.example")
    settings = AgentMemorySettings(url=emulator.url, token=emulator.token)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="needs a token"):
        AgentMemory("https://other.example", settings=settings)
    with AgentMemory(emulator.url, settings=settings) as memory:
        assert memory.working.messages("nobody") == []


async def test_an_official_client_is_enough(emulator: Emulator, both: Both) -> None:
    client = upstash_redis.Redis(emulator.url, emulator.token)
    with AgentMemory(client=client) as memory:
        await both(memory.wrap(CHAIN)).ainvoke({"input": "I am here"}, ids())
        assert isinstance(memory.long_term, UpstashLongTermMemory)
    assert client.llen("t1") == 2
    with pytest.raises(ConfigurationError, match="not both"):
        AgentMemory(client=client, token="x")
    client.close()


def test_what_has_no_use_on_upstash_is_refused(memory: AgentMemory, emulator: Emulator) -> None:
    with pytest.raises(ConfigurationError, match="by their words"):
        AgentMemory(emulator.url, token=emulator.token, embeddings=WordEmbeddings())
    store: Any = memory.long_term
    with pytest.raises(ConfigurationError, match="no vectors"):
        MemoryVectorStore(store, user="alice")


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("https://x.upstash.io", {}, "token"),
        ("https://", {"token": "x"}, "malformed"),
        (" ", {"token": "x"}, "https://"),
        ("redis://h", {"token": "x"}, "https://"),
    ],
)
def test_what_cannot_be_connected_to_is_said_at_once(
    url: str, options: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UPSTASH_REDIS_REST_TOKEN", raising=False)
    with pytest.raises(ConfigurationError, match=said):
        AgentMemory(url, **options)


def test_a_rate_limit_leaves_what_was_stored(
    warm: AgentMemory, emulator: Emulator, bare: redis.Redis
) -> None:
    warm.history("t1").add_messages([HumanMessage("kept")])
    for _ in range(200):
        emulator.answer_next(429, b'{"error":"ERR max requests limit exceeded"}')
    with pytest.raises(StoreRateLimitError):
        warm.history("t1").add_messages([HumanMessage("lost")])
    emulator.clear()
    assert [m.content for m in warm.history("t1").messages] == ["kept"]


class TestNode:
    @pytest.fixture(params=["upstash", "redis"])
    def node(self, request: pytest.FixtureRequest, emulator: Emulator, url: str) -> tuple[Any, Any]:
        """A node's inputs and credential."""
        if request.param == "upstash":
            return {"baseURL": emulator.url}, {"upstashRestToken": emulator.token}
        return {}, {"redisUrl": url}

    def test_a_chain_finds_the_node_s_session(self, node: tuple[Any, Any], bare: redis.Redis) -> None:
        inputs, credential = node
        bare.lpush("flow-7", '{"type":"human","data":{"content":"from JavaScript","additional_kwargs":{}}}')
        named = {**inputs, "sessionId": "flow-7", "sessionTTL": "60", "memoryKey": "history"}
        with AgentMemory.from_node(named, credential) as memory:
            prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("history"), ("human", "{input}")])
            chain = memory.wrap(prompt | RunnableLambda(spoken), memories_key=None, remember=None)
            assert chain.invoke({"input": "I am here"}).content.startswith("2 messages")
            assert chain.invoke(
                {"input": "I am here"}, {"configurable": {"session_id": "other"}}
            ).content.startswith("1")
        assert bare.llen("flow-7") == 3
        assert 50 < bare.ttl("flow-7") <= 60
        assert bare.llen("other") == 2

    def test_the_three_operations_of_the_node(self, node: tuple[Any, Any], bare: redis.Redis) -> None:
        inputs, credential = node
        with AgentMemory.from_node({**inputs, "sessionId": "s1"}, credential) as memory:
            history = memory.history()
            history.add_messages([HumanMessage("mine")])
            history.add_messages([HumanMessage("yours")], session_id="s2")  # type: ignore[call-arg]
            assert [m.content for m in history.get_messages("s2")] == ["yours"]  # type: ignore[attr-defined]
            history.clear()
            assert bare.keys() == [b"s2"]
            assert bare.ttl("s2") == -1

    def test_a_session_is_made_up_and_readable(self, node: tuple[Any, Any], bare: redis.Redis) -> None:
        inputs, credential = node
        with AgentMemory.from_node({**inputs, "sessionId": ""}, credential) as memory:
            memory.history().add_messages([HumanMessage("x")])
            assert bare.keys() == [(memory.session_id or "").encode()]

    def test_a_window_limits_what_is_read(self, node: tuple[Any, Any], bare: redis.Redis) -> None:
        inputs, credential = node
        with AgentMemory.from_node({**inputs, "sessionId": "s1", "windowSize": "2"}, credential) as memory:
            memory.history().add_messages([HumanMessage(str(number)) for number in range(5)])
            assert [m.content for m in memory.history().messages] == ["3", "4"]
            assert [m.content for m in memory.working.messages("s1")] == ["3", "4"]
        assert bare.llen("s1") == 5

    def test_a_classic_chain_uses_the_memory_key(self, node: tuple[Any, Any]) -> None:
        inputs, credential = node
        named = {**inputs, "sessionId": "s1", "memoryKey": "talk"}
        with AgentMemory.from_node(named, credential) as memory, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated, and what such chains are made of
            buffer = ConversationBufferMemory(
                chat_memory=memory.history(), memory_key=memory.settings.memory_key, return_messages=True
            )
            prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("talk"), ("human", "{input}")])
            chain = LLMChain(llm=FakeListChatModel(responses=["one", "two"]), prompt=prompt, memory=buffer)
            assert chain.invoke({"input": "a"})["text"] == "one"
            assert chain.invoke({"input": "b"})["text"] == "two"
            assert [m.content for m in memory.history("s1").messages] == ["a", "one", "b", "two"]

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"sessionTTL": "abc"}, "sessionTTL"),
            ({"sessionTTL": 0}, "sessionTTL"),
            ({"sessionTTL": "-5"}, "sessionTTL"),
            ({"sessionid": "x"}, "Known are baseURL, sessionId, sessionTTL"),
        ],
    )
    def test_a_wrong_parameter_is_refused_before_anything_is_sent(
        self, node: tuple[Any, Any], emulator: Emulator, wrong: dict[str, Any], said: str
    ) -> None:
        inputs, credential = node
        with pytest.raises(ConfigurationError, match=said):
            AgentMemory.from_node({**inputs, **wrong}, credential)
        assert emulator.requests == []

    def test_further_settings_are_taken(self, node: tuple[Any, Any]) -> None:
        inputs, credential = node
        with AgentMemory.from_node(inputs, credential, on_error="continue") as memory:
            assert memory.settings.on_error == "continue"


def test_loops_one_after_another_each_have_their_connection(memory: AgentMemory) -> None:
    for number in range(3):
        asyncio.run(memory.working.aappend_turn("t1", "user", str(number)))
    assert [m.content for m in memory.working.messages("t1")] == ["0", "1", "2"]
