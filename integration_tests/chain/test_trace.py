"""What `memory.trace` shows of exchanges, however they are run, and of nothing else."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda, RunnableParallel

from integration_tests.chain.conftest import Run, config
from integration_tests.conftest import connection_to
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory, Trace
from langchain_agentmem.chain.runnable import MemoryChain
from langchain_agentmem.errors import WrongKeyTypeError

CHAIN_READS = [("working", None), ("long_term", None)]
CHAIN_WRITES = [
    ("working", "note_thread"),
    ("working", "write_session"),
    ("events", "record_events"),
    ("long_term", "remember"),
]


@pytest.fixture
async def chain(memory: AgentMemory) -> MemoryChain:
    """A chain whose index is there, and whose user has a memory."""
    chain = wrapped(memory)
    chain.invoke({"input": "my favorite color is teal"}, config("warm up"))
    return chain


def wrapped(memory: AgentMemory) -> MemoryChain:
    return memory.wrap(RunnableLambda(lambda _: AIMessage("noted")))


def parts(trace: Trace) -> list[list[tuple[str | None, str | None]]]:
    """The tier and the script of each command, without repetitions, by round trip."""
    return [
        list(dict.fromkeys((command.tier, command.script) for command in trip.commands))
        for trip in trace.round_trips
    ]


async def test_an_exchange_is_two_round_trips_of_three_tiers(
    memory: AgentMemory, chain: MemoryChain, run: Run
) -> None:
    with memory.trace() as trace:
        await run(chain, {"input": "my favorite city is Lisbon"}, config())
    assert parts(trace) == [CHAIN_READS, CHAIN_WRITES]
    assert [embedding.texts for embedding in trace.embeddings] == [["my favorite city is Lisbon"]]
    assert not any(trip.failed for trip in trace.round_trips)
    vectors = [command for command in trace.round_trips[0].commands if "floats>" in command.short]
    assert [(command.name, command.reply) for command in vectors] == [
        ("FT.SEARCH", "1 result"),
        ("FT.SEARCH", "0 results"),  # the profile
    ]
    took = trace.round_trips[1].started_ts - trace.round_trips[0].started_ts
    assert 0 < trace.round_trips[0].seconds <= took
    await run(chain, {"input": "my favorite city is Lisbon"}, config())
    assert len(trace.round_trips) == 2


async def test_concurrent_exchanges_are_traced_apart(memory: AgentMemory, chain: MemoryChain) -> None:
    async def exchange(number: int) -> Trace:
        with memory.trace() as trace:
            for _ in range(number):
                await chain.ainvoke({"input": f"my lucky number is {number}"}, config(f"t{number}"))
        return trace

    traces = await asyncio.gather(*map(exchange, range(1, 5)))
    for number, trace in enumerate(traces, 1):
        assert len(trace.round_trips) == 2 * number
        texts = " ".join(command.text for trip in trace.round_trips for command in trip.commands)
        sessions = set(re.findall(r"agent:(?:session|events):(\w+)", texts))
        assert sessions == {f"t{number}"}


async def test_threads_and_parallel_runnables_started_inside_are_traced(
    memory: AgentMemory, chain: MemoryChain
) -> None:
    def other_thread() -> None:
        chain.invoke({"input": "not inside"}, config("t0"))

    begun = threading.Event()
    other = threading.Thread(target=lambda: (begun.wait(), other_thread()))
    other.start()
    both = RunnableParallel(
        one=RunnableLambda(lambda value: chain.invoke(value, config("t1"))),
        two=RunnableLambda(lambda value: chain.invoke(value, config("t2"))),
    )
    with memory.trace() as outer:
        begun.set()
        with memory.trace() as parallel:
            both.invoke({"input": "I like tea"})
        with memory.trace() as thread:
            await asyncio.to_thread(chain.invoke, {"input": "I like coffee"}, config("t3"))
        other.join()
    assert [len(trace.round_trips) for trace in (parallel, thread, outer)] == [4, 2, 6]


async def test_a_stream_is_traced_where_it_is_consumed(memory: AgentMemory, chain: MemoryChain) -> None:
    sync_stream = chain.stream({"input": "I like tea"}, config())
    async_stream = chain.astream({"input": "I like coffee"}, config())
    with memory.trace() as trace:
        for _ in sync_stream:
            assert len(trace.round_trips) == 1
        assert len(trace.round_trips) == 2
        async for _ in async_stream:
            assert len(trace.round_trips) == 3
    assert len(trace.round_trips) == 4


async def test_events_that_are_written_in_the_background_are_not_traced(memory: AgentMemory) -> None:
    memory.events.put("t1", "before", "")
    with memory.trace() as trace:
        memory.events.put("t1", "inside", "")
        memory.events.sink.flush()
        memory.events.recent("t1")
        memory.events.record("t1", "recorded", "")
    assert [[command.script or command.name for command in trip.commands] for trip in trace.round_trips] == [
        ["XREVRANGE"],
        ["record_events"],
    ]


async def test_a_refused_command_is_told(memory: AgentMemory, chain: MemoryChain, bare: redis.Redis) -> None:
    bare.set("agent:session:t1", "no Hash")
    with memory.trace() as trace, pytest.raises(WrongKeyTypeError):
        chain.invoke({"input": "I like tea"}, config())
    first = trace.round_trips[0]
    assert first.failed
    refused = [command for command in first.commands if command.failed]
    assert {command.tier for command in refused} == {"working"}
    assert all(command.reply.startswith("WrongKeyTypeError: ") for command in refused)
    assert any(not command.failed for command in first.commands)


async def test_another_memory_of_the_same_database_is_not_traced(
    memory: AgentMemory, chain: MemoryChain, url: str
) -> None:
    with AgentMemory(url, embeddings=WordEmbeddings()) as other, memory.trace() as trace:
        other.working.load("t1")
        with other.trace() as others:
            chain.invoke({"input": "I like tea"}, config())
            other.events.recent("t1")
    assert (len(trace.round_trips), len(others.round_trips)) == (2, 1)


@pytest.fixture(params=["upstash", "front"])
async def rest_memory(request: pytest.FixtureRequest, url: str) -> AsyncIterator[AgentMemory]:
    transport = connection_to(request.param, request, url)
    source = transport._key
    await transport.aclose()
    async with AgentMemory(source[0], token=source[2]) as memory:
        yield memory


async def test_over_rest_each_tier_is_traced_and_no_token_shown(rest_memory: AgentMemory) -> None:
    memory = rest_memory
    with memory.trace() as trace:
        await memory.working.aappend_turn("t1", "user", "I like tea", user="alice")
        memory.events.record("t1", "said", "tea")
        await memory.long_term.aget("a", user="alice")
    assert {command.tier for trip in trace.round_trips for command in trip.commands} == {
        "working",
        "events",
        "long_term",
    }
    token = memory.settings.token
    assert token is not None
    assert token.get_secret_value() not in repr(trace) + str(trace)


async def test_a_private_redis_is_traced_without_its_password(tmp_path: Any) -> None:
    with AgentMemory(f"embedded://{tmp_path}/data") as memory, memory.trace() as trace:
        memory.working.append_turn("t1", "user", "hello")
    scripts = [command.script for trip in trace.round_trips for command in trip.commands]
    assert scripts[:2] == ["note_thread", "write_session"]
    assert "AUTH" not in str(trace)
