"""`AgentMemory` as a whole: where it connects, what it makes, whom it forgets, what it closes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
import redis
import redis.asyncio
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableLambda

from integration_tests.conftest import Both, Call
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory, AgentMemorySettings
from langchain_agentmem.embedded.server import EmbeddedRedis
from langchain_agentmem.errors import (
    ConfigurationError,
    InvalidInputError,
    SearchUnavailableError,
    StoreError,
)

CONFIG: Any = {"configurable": {"session_id": "t1", "user_id": "alice"}}


def test_the_constructor_does_no_io() -> None:
    with AgentMemory("redis://127.0.0.1:1") as memory:
        assert memory.working.max_turns == 20


def test_the_url_comes_from_the_environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    with AgentMemory() as memory:
        memory.working.start("t1")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("AGENTMEM_URL", url)
    with AgentMemory() as memory:
        assert memory.working.load("t1") is not None


def test_handed_clients_go_before_the_environment(
    url: str, bare: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTMEM_URL", "redis://127.0.0.1:1")
    with AgentMemory(client=bare) as memory:
        memory.working.start("t1")
    assert bare.ping()
    with pytest.raises(ConfigurationError, match="not both"):
        AgentMemory(url, client=bare)


def test_settings_reach_every_tier(url: str, bare: redis.Redis) -> None:
    options: dict[str, Any] = {
        "session_ttl_seconds": 100,
        "max_turns": 2,
        "session_prefix": "s:",
        "memory_prefix": "m:",
        "events_prefix": "e:",
        "threads_prefix": "u:",
        "index_name": "i",
        "ttl_by_kind": {"episodic": 50},
        "storage": "hash",
        "algorithm": "hnsw",
        "vector_type": "float16",
        "events_ttl_seconds": 30,
    }
    with AgentMemory(url, embeddings=WordEmbeddings(), **options) as memory:
        memory.wrap(RunnableLambda(lambda _: "ok")).invoke("hello, I am here", CONFIG)
        assert memory.history("t1").messages == memory.working.messages("t1")
    kinds = {key.decode().split(":")[0] + ":": key for key in bare.keys("*")}
    assert set(kinds) == {"s:", "m:", "e:", "u:"}
    assert bare.type(kinds["m:"]) == b"hash"
    for prefix, most in (("s:", 100), ("m:", 50), ("e:", 30), ("u:", 100)):
        assert most - 5 < bare.ttl(kinds[prefix]) <= most
    assert bare.execute_command("FT._LIST") in ([b"i"], {b"i"})


@pytest.mark.parametrize(("given", "kind"), [("openai", "str"), (WordEmbeddings, "the class WordEmbeddings")])
def test_what_embeds_nothing_is_no_embeddings(given: Any, kind: str) -> None:
    expected = rf"must be a LangChain Embeddings \(embed_query, embed_documents\), not {kind}\."
    with pytest.raises(ConfigurationError, match=expected):
        AgentMemory(embeddings=given)


async def test_forgetting_a_user_empties_every_tier(url: str, bare: redis.Redis, both: Both) -> None:
    async with AgentMemory(url, embeddings=WordEmbeddings()) as memory:
        chain = memory.wrap(RunnableLambda(lambda _: "ok"))
        for user in ("alice", "bob", "alice,bob"):
            for thread in range(2):
                for namespace in ("default", "work"):
                    config: Any = {
                        "configurable": {
                            "session_id": f"{user}-{thread}",
                            "user_id": user,
                            "namespace": namespace,
                        }
                    }
                    chain.invoke(f"fact {thread} of {namespace}", config)
        memory.events.record("shared", "note", "a", user="alice")
        memory.events.record("shared", "note", "b", user="bob")
        before = bare.dbsize()
        gone = await both(memory).aforget_user("alice")
        assert sorted(gone.threads) == ["alice-0", "alice-1"]
        assert gone.memories == 4
        assert gone.events > 4
        assert gone.unreached == []
        assert bare.dbsize() == before - 2 - 4 - 2 - 1  # sessions, memories, streams, the record of threads
        assert [event.detail for event in memory.events.recent("shared")] == ["b"]
        assert len(memory.long_term.list_memories(user="bob", namespace=None)) == 4
        everything = b" ".join(bare.dump(key) or b"" for key in bare.keys("*"))
        assert b"alice-0" not in everything
        with pytest.raises(InvalidInputError, match="user"):
            await both(memory).aforget_user("")
        again = await both(memory).aforget_user("alice")
        assert (again.threads, again.memories, again.events) == ([], 0, 0)


async def test_without_search_tiers_one_and_three_work(both: Both) -> None:
    with EmbeddedRedis(search=False) as server:
        async with AgentMemory(server.url, embeddings=WordEmbeddings()) as memory:
            await both(memory.working).aappend("t1", [HumanMessage("hi")])
            await both(memory.events).arecord("t1", "note", "x")
            assert len(await both(memory.working).amessages("t1")) == 1
            assert await both(memory.events).alength("t1") == 1
            calls: list[Call] = [
                lambda: both(memory.long_term).aremember("x", user="alice"),
                lambda: both(memory.long_term).arecall("x", user="alice"),
                lambda: both(memory.long_term).alist_memories(user="alice"),
            ]
            for call in calls:
                with pytest.raises(SearchUnavailableError, match="Redis 8 or newer"):
                    await call()
            with pytest.raises(SearchUnavailableError):
                memory.wrap(RunnableLambda(lambda _: "ok")).invoke("hi", CONFIG)
            chain = memory.wrap(RunnableLambda(lambda _: "ok"), memories_key=None, remember=None)
            assert chain.invoke("hi", CONFIG) == "ok"
            assert (await both(memory).aforget_user("alice")).memories == 0


def test_loops_one_after_the_other(url: str) -> None:
    memory = AgentMemory(url, embeddings=WordEmbeddings())
    chain = memory.wrap(RunnableLambda(lambda _: "ok"))

    async def turn() -> None:
        await chain.ainvoke("hello, I am here", CONFIG)
        if len(await memory.working.amessages("t1")) == 6:
            await memory.aclose()

    asyncio.run(turn())
    chain.invoke("hello, I am here", CONFIG)
    asyncio.run(turn())


@pytest.mark.parametrize(
    "options",
    [{"user": ""}, {"user": "a", "k": 0}, {"user": "a", "mode": "words"}, {"user": "a", "kind": ""}],
    ids=str,
)
def test_a_retriever_that_could_not_work_is_refused_at_once(url: str, options: dict[str, Any]) -> None:
    with AgentMemory(url) as memory, pytest.raises(InvalidInputError):
        memory.retriever(**options)


def test_a_closed_memory_says_so(url: str) -> None:
    memory = AgentMemory(url)
    memory.close()
    memory.close()
    with pytest.raises(ConfigurationError, match="closed"):
        memory.working.load("t1")


@pytest.mark.usefixtures("impatient")
def test_no_secret_is_shown() -> None:
    with AgentMemory("redis://me:hunter2@127.0.0.1:1/0") as memory:
        shown = f"{memory!r} {memory.settings!r} {memory.settings} {memory.working!r} {memory.transport!r}"
        with pytest.raises(Exception, match=r"127\.0\.0\.1:1") as caught:
            memory.working.load("t1")
    assert "hunter2" not in shown + str(caught.value) + repr(caught.value.__cause__)
    with pytest.raises(ConfigurationError, match="token") as refused:
        AgentMemory("redis://127.0.0.1:1", token="s3cr3t")
    assert "s3cr3t" not in str(refused.value)


def test_a_memory_outlives_the_process(tmp_path: Any) -> None:
    code = (
        "import sys\n"
        "from langchain_agentmem import AgentMemory\n"
        "with AgentMemory(sys.argv[1]) as memory:\n"
        "    state = memory.working.append_turn('t1', 'user', sys.argv[2])\n"
        "    print([turn.content for turn in state.recent_turns])\n"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code, f"embedded://{tmp_path}/data", word],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for word in ("one", "two")
    ]
    assert said == ["['one']", "['one', 'two']"]


async def test_an_async_client_alone_is_enough_for_all_three_tiers(url: str) -> None:
    async with redis.asyncio.Redis.from_url(url) as client:
        memory = AgentMemory(async_client=client, embeddings=WordEmbeddings())
        chain = memory.wrap(RunnableLambda(lambda _: "ok"))
        await chain.ainvoke("hello, I am here", CONFIG)
        handler = memory.acallback("t2")
        await RunnableLambda(lambda _: "ok").ainvoke("x", {"callbacks": [handler]})
        assert [event.action for event in await memory.events.arecent("t2")] == ["chain_end", "chain_start"]
        assert len(await memory.working.amessages("t1")) == 2
        assert len(await memory.long_term.alist_memories(user="alice")) == 1
        assert memory.events.dropped == 0
        await memory.aclose()


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
async def test_a_server_killed_in_a_chat_comes_back_with_what_was_acknowledged(
    tmp_path: Any, asynchronous: bool
) -> None:
    with EmbeddedRedis(tmp_path / "data", options={"appendfsync": "always"}) as server:
        async with AgentMemory(server.url, embeddings=WordEmbeddings()) as memory:

            def answer(inputs: dict[str, Any]) -> str:
                if inputs["input"] in ("turn 3", "turn 6"):
                    os.kill(server.pid, signal.SIGKILL)
                return "ok"

            chain = memory.wrap(RunnableLambda(answer))
            acknowledged = []
            for number in range(10):
                try:
                    said = {"input": f"turn {number}"}
                    await (
                        chain.ainvoke(said, CONFIG)
                        if asynchronous
                        else asyncio.to_thread(chain.invoke, said, CONFIG)
                    )
                except StoreError:
                    continue
                acknowledged.append(f"turn {number}")
            kept = [message.content for message in memory.working.messages("t1")][::2]
            assert len(acknowledged) >= 8
            assert [turn for turn in kept if turn in acknowledged] == acknowledged
            assert len(kept) == len(set(kept))


def test_an_embedded_url_carries_directives_of_the_server(tmp_path: Any) -> None:
    with AgentMemory(f"embedded://{tmp_path}/data?appendfsync=always&maxmemory=64mb") as memory:
        memory.working.start("t1")
        with EmbeddedRedis(tmp_path / "data") as server, redis.Redis.from_url(server.url) as client:
            found: Any = client.config_get("appendfsync", "maxmemory")
    assert found == {"appendfsync": "always", "maxmemory": str(64 * 2**20)}


class TestSettings:
    @pytest.mark.parametrize(
        "options",
        [
            {"session_ttl_seconds": 0},
            {"session_ttl_seconds": -5},
            {"session_ttl_seconds": "abc"},
            {"max_turns": 0},
            {"dedup_threshold": 3},
            {"recall_threshold": -1},
            {"ttl_by_kind": {"episodic": -1}},
            {"storage": "xml"},
            {"algorithm": "x"},
            {"vector_type": "float8"},
            {"events_max_len": 0},
            {"socket_timeout_seconds": 0},
            {"on_error": "ignore"},
            {"session_prefix": ""},
            {"session_prefix": "agent:"},
            {"memory_prefix": "agent:session:x"},
            {"nonsense": 1},
        ],
        ids=str,
    )
    def test_what_is_not_usable_is_refused_by_name(self, options: dict[str, Any]) -> None:
        name = next(iter(options))
        with pytest.raises(ConfigurationError, match="prefix" if "prefix" in name else name):
            AgentMemory("redis://localhost", **options)

    def test_the_environment_sets_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AGENTMEM_MAX_TURNS", "7")
        monkeypatch.setenv("AGENTMEM_SESSION_TTL_SECONDS", "none")
        monkeypatch.setenv("AGENTMEM_TTL_BY_KIND", '{"fact": 60, "rule": null}')
        monkeypatch.setenv("AGENTMEM_STORAGE", "")
        settings = AgentMemorySettings.load(max_text_bytes=10)
        assert (settings.max_turns, settings.session_ttl_seconds, settings.storage) == (7, None, "json")
        assert settings.ttl_by_kind == {"fact": 60, "rule": None}
        assert settings.max_text_bytes == 10

    def test_a_secret_url_is_not_in_the_error(self) -> None:
        with pytest.raises(ConfigurationError) as caught:
            AgentMemory("redis://me:hunter2@localhost:notaport")
        assert "hunter2" not in str(caught.value)
        with pytest.raises(ConfigurationError) as caught:
            AgentMemory(url=["redis://me:hunter2@localhost"])  # type: ignore[arg-type]
        assert "hunter2" not in str(caught.value)

    def test_ready_settings_are_taken(self, url: str) -> None:
        settings = AgentMemorySettings.load(max_turns=3)
        with AgentMemory(url, settings=settings) as memory:
            assert memory.working.max_turns == 3
        with pytest.raises(ConfigurationError, match="not both"):
            AgentMemory(url, settings=settings, max_turns=4)
