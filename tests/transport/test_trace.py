"""What a trace notes of operations, whose tier a command is of, and what is not traced."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from langchain_agentmem import AgentMemory
from langchain_agentmem.core.embed import Embed
from langchain_agentmem.core.keys import Keys, tier_prefixes
from langchain_agentmem.core.operations import Batch, Command, Op, asks, reads, writes
from langchain_agentmem.core.rerank import Rerank
from langchain_agentmem.core.scan import keys_under
from langchain_agentmem.errors import StoreConnectionError, StoreError
from langchain_agentmem.transport.trace import Trace, _recorders, traced, tracing
from tests.embedding_model import RecordingEmbeddings
from tests.fake_transport import FakeTransport
from tests.strategies import scopes

KEYS = Keys()
TIERS = tier_prefixes(KEYS, "agentmem:idx", lists=False)
SET: Batch = [writes("SET", "agent:mem:a", "v"), asks("PING")]


def sends(*batches: Batch) -> Op[list[Any]]:
    replies = []
    for batch in batches:
        replies.append((yield batch))
    return replies


def test_a_trace_has_each_round_trip_with_its_commands_replies_and_times() -> None:
    transport = FakeTransport([b"OK", b"PONG"], [None])
    with tracing(transport, TIERS) as trace:
        transport.run(sends(SET, [reads("GET", "agent:events:t1")]))
    first, second = trace.round_trips
    assert [(one.text, one.tier, one.reply, one.failed) for one in first.commands] == [
        ("SET agent:mem:a v", "long_term", "OK", False),
        ("PING", None, "PONG", False),
    ]
    assert [(one.name, one.tier, one.reply) for one in second.commands] == [("GET", "events", "nil")]
    assert first.started_ts <= second.started_ts
    assert (first.failed, second.failed) == (False, False)
    assert trace.redis_seconds == first.seconds + second.seconds > 0
    assert (trace.embeddings, trace.embedding_seconds) == ([], 0)


def test_a_refused_command_has_failed_and_the_others_have_not() -> None:
    transport = FakeTransport([b"OK", StoreError("no")])
    with tracing(transport) as trace:
        transport.run(sends(SET))
    (trip,) = trace.round_trips
    assert trip.failed
    assert [(one.failed, one.reply) for one in trip.commands] == [(False, "OK"), (True, "StoreError: no")]


def test_a_trace_is_printed_line_by_line() -> None:
    transport = FakeTransport([b"OK", b"PONG"])
    with tracing(transport, TIERS) as trace:
        transport.run(sends(SET))
    trace.round_trips[0] = replace(trace.round_trips[0], seconds=0.0012)
    assert str(trace).splitlines() == [
        "round trip 1: 1.2 ms",
        "  long_term  SET agent:mem:a v  -> OK",
        "  -          PING  -> PONG",
        "embedding: 0.0 ms",
    ]
    assert repr(trace.round_trips[0].commands[1]) == "TracedCommand('PING')"


def test_an_embedding_is_no_round_trip_and_other_effects_are_neither() -> None:
    class NoReranker:
        def compress_documents(self, documents: Any, query: str) -> Any:
            return documents

    def op() -> Op[None]:
        yield Embed(RecordingEmbeddings(), ["tea", "coffee"])
        yield Rerank(NoReranker(), "tea", ["tea"])  # type: ignore[arg-type]

    transport = FakeTransport()
    with tracing(transport) as trace:
        transport.run(op())
    (embedding,) = trace.embeddings
    assert (embedding.texts, embedding.vectors) == (["tea", "coffee"], [[3.0], [6.0]])
    assert trace.embedding_seconds == embedding.seconds
    assert trace.round_trips == []


def test_without_a_trace_an_operation_runs_as_it_is() -> None:
    transport, other = FakeTransport(), FakeTransport()
    op = sends(SET)
    assert traced(op, transport) is op
    with tracing(other):
        assert traced(op, transport) is op
    op.close()


def test_only_the_own_transport_is_traced_and_each_trace_sees_what_is_inside_it() -> None:
    one, other = (FakeTransport(*[[b"OK", b"PONG"]] * 3) for _ in range(2))
    with tracing(one) as outer, tracing(other) as others:
        one.run(sends(SET))
        with tracing(one) as inner:
            one.run(sends(SET))
            other.run(sends(SET))
        one.run(sends(SET))
    assert [len(trace.round_trips) for trace in (outer, inner, others)] == [3, 1, 1]


def test_a_block_that_is_left_by_an_error_ends_the_trace() -> None:
    transport = FakeTransport([b"OK", b"PONG"])
    with pytest.raises(ValueError, match="left"), tracing(transport) as trace:
        raise ValueError("left")
    transport.run(sends(SET))
    assert trace.round_trips == []


async def test_tasks_do_not_see_each_other() -> None:
    transport = FakeTransport(*[[b"OK", b"PONG"]] * 5)
    others_turn = asyncio.Event()

    async def first() -> Trace:
        with tracing(transport) as trace:
            await transport.arun(sends(SET))
            others_turn.set()
            await asyncio.sleep(0)
            await transport.arun(sends(SET))
        return trace

    async def second() -> Trace:
        await others_turn.wait()
        with tracing(transport) as trace:
            await asyncio.gather(transport.arun(sends(SET)), asyncio.to_thread(transport.run, sends(SET)))
        return trace

    traces = await asyncio.gather(first(), second())
    await transport.arun(sends(SET))
    assert [len(trace.round_trips) for trace in traces] == [2, 2]


async def test_what_a_task_does_after_the_block_is_not_traced() -> None:
    transport = FakeTransport(*[[b"OK", b"PONG"]] * 3)
    begun, ended = asyncio.Event(), asyncio.Event()

    class Patient(RecordingEmbeddings):
        async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
            begun.set()
            await ended.wait()
            return [[0.0] for _ in texts]

    def op() -> Op[None]:
        yield SET
        yield Embed(Patient(), ["tea"])
        yield SET

    async def task() -> None:
        await transport.arun(op())
        await transport.arun(sends(SET))

    with tracing(transport) as trace:
        running = asyncio.create_task(task())
        await begun.wait()
    ended.set()
    await running
    assert (len(transport.sent), len(trace.round_trips), trace.embeddings) == (3, 1, [])


def test_a_trace_is_not_kept_after_its_block() -> None:
    transport = FakeTransport([b"OK", b"PONG"])
    with tracing(transport) as trace:
        transport.run(sends(SET))
    kept = weakref.ref(trace)
    del trace
    gc.collect()
    assert kept() is None


def test_a_generator_may_trace_and_be_closed_in_another_context() -> None:
    transport = FakeTransport(*[[b"OK", b"PONG"]] * 2)

    def parts() -> Iterator[Trace]:
        with tracing(transport) as trace:
            yield trace
            transport.run(sends(SET))
            yield trace

    generator = parts()
    trace = next(generator)
    next(generator)
    contextvars.Context().run(generator.close)  # type: ignore[attr-defined]
    transport.run(sends(SET))
    assert len(trace.round_trips) == 1


async def test_an_async_generator_may_trace_and_be_closed_by_another_task() -> None:
    transport = FakeTransport([b"OK", b"PONG"])

    async def parts() -> AsyncIterator[Trace]:
        with tracing(transport) as trace:
            await transport.arun(sends(SET))
            yield trace

    generator = parts()
    trace = await anext(generator)
    await asyncio.create_task(generator.aclose())  # type: ignore[attr-defined]
    assert len(trace.round_trips) == 1


def test_a_batch_without_an_answer_has_failed_as_a_whole() -> None:
    class Away(FakeTransport):
        def answer(self, in_flight: Any) -> None:
            raise StoreConnectionError("away")

    transport = Away()
    with tracing(transport) as trace, pytest.raises(StoreConnectionError):
        transport.run(sends(SET))
    (trip,) = trace.round_trips
    assert trip.failed
    assert [(one.failed, one.reply) for one in trip.commands] == [(True, "no answer")] * 2


# Tiers -----------------------------------------------------------------------------------------------


def tier(command: Command, tiers: Any = TIERS) -> Any:
    transport = FakeTransport([b"OK"])
    with tracing(transport, tiers) as trace:
        transport.run(sends([command]))
    return trace.round_trips[0].commands[0].tier


@given(scopes)
def test_the_key_of_a_command_tells_its_tier(name: str) -> None:
    assert tier(reads("HGETALL", KEYS.session(name))) == "working"
    assert tier(reads("ZCARD", KEYS.threads(name).encode())) == "working"
    assert tier(reads("JSON.GET", KEYS.memory(name))) == "long_term"
    assert tier(reads("GET", KEYS.same(KEYS.memory("0" * 32)))) == "long_term"
    assert tier(reads("XLEN", KEYS.events(name))) == "events"
    assert tier(reads("JSON.GET", KEYS.item((name,), name))) == "store"
    assert tier(reads("ZCARD", KEYS.user_namespaces(name))) == "store"


def test_searches_and_the_keys_of_an_index_are_of_long_term_memory() -> None:
    assert tier(asks("FT.SEARCH", "agentmem:idx", "*")) == "long_term"
    assert tier(asks("SEARCH.QUERY", "memories", "{}")) == "long_term"
    assert tier(reads("EXISTS", "agentmem:idx:filling")) == "long_term"


def test_the_store_has_an_index_of_its_own() -> None:
    assert tier(asks("FT.SEARCH", "agentmem:store", "*")) == "store"
    assert tier(reads("EXISTS", "agentmem:store:filling")) == "store"


def test_what_is_no_tiers_is_none() -> None:
    assert tier(reads("GET", "other")) is None
    assert tier(asks("PING")) is None


def test_a_scan_is_of_the_tier_whose_keys_it_looks_for() -> None:
    for prefix, expected in (("agent:session:", "working"), ("agent:events:", "events"), ("x", None)):
        transport = FakeTransport([[b"0", []]])
        with tracing(transport, TIERS) as trace:
            transport.run(keys_under(prefix, None))
        assert trace.round_trips[0].commands[0].tier == expected


def test_a_list_of_messages_is_of_working_memory_whatever_its_prefix() -> None:
    lists = tier_prefixes(KEYS, "memories", lists=True)
    assert tier(reads("LRANGE", "t1", 0, -1), lists) == "working"
    assert tier(reads("GET", "memories:lock:a"), lists) == "long_term"
    assert tier(reads("XLEN", KEYS.events("t1")), lists) == "events"


def test_a_memory_knows_its_own_prefixes_and_number_format() -> None:
    with AgentMemory(
        "redis://localhost:1",
        session_prefix="s:",
        memory_prefix="m:",
        events_prefix="e:",
        tasks_prefix="t:",
        vector_type="float16",
    ) as memory:
        memory.transport = FakeTransport([b"OK"] * 5)  # type: ignore[assignment]
        with memory.trace() as trace:
            memory.transport.run(
                sends(
                    [reads("GET", key) for key in ("s:a", "m:a", "e:a", "t:a")]
                    + [writes("SET", "k", b"\0\0" * 384)]
                )
            )
    commands = trace.round_trips[0].commands
    assert [one.tier for one in commands] == ["working", "long_term", "events", "tasks", None]
    assert commands[-1].short == "SET k <384 floats>"


async def test_traces_that_ended_elsewhere_do_not_add_up() -> None:
    async def traced_there() -> AsyncIterator[None]:
        with tracing(object()):
            yield

    for _ in range(10):
        generator = traced_there()
        await anext(generator)
        await asyncio.create_task(generator.aclose())  # type: ignore[attr-defined]
    assert len(_recorders.get()) == 1
