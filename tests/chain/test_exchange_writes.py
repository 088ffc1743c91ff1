"""What an exchange sends when it is written: its thread is noted once in its user's record, before all else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda

from langchain_agentmem.agent_memory import AgentMemory
from langchain_agentmem.chain.exchange import ChainExchange
from langchain_agentmem.core.operations import Batch
from langchain_agentmem.errors import InvalidInputError
from tests.fake_transport import FakeTransport

RECORD, SESSION, EVENTS = "agent:threads:alice", "agent:session:t", "agent:events:t"


def answered(exchange: ChainExchange) -> Batch:
    exchange.finish("hello yourself")
    return next(exchange.write())  # type: ignore[return-value]  # no effect: nothing is to be remembered


def left(exchange: ChainExchange) -> Batch:
    exchange.turn.was_read = True
    exchange.chain_inputs()
    return next(exchange.abandon(GeneratorExit()))  # type: ignore[return-value]


End = Callable[[ChainExchange], Batch]
ENDS = pytest.mark.parametrize("end", [answered, left])


def begin(
    said: Any = "hello", thread: str = "t", on_abandon: Any = "keep_input", **options: Any
) -> ChainExchange:
    memory = AgentMemory("redis://127.0.0.1:1", **options)
    memory.transport.close()
    memory.transport = FakeTransport()
    chain = memory.wrap(RunnableLambda(str), memories_key=None, remember=None, on_abandon=on_abandon)
    return ChainExchange(
        memory, chain.options, said, {"configurable": {"session_id": thread, "user_id": "alice"}}
    )


def notes(batch: Batch) -> Iterator[tuple[Any, Any]]:
    """Yield the places of the notes, and how long what they note lives."""
    for at, command in enumerate(batch):
        if command.keys == (RECORD,):
            yield at, command.args[-1]


@ENDS
@pytest.mark.parametrize(
    ("session", "events", "noted"),
    [(60, 30, 60), (60, 90, 90), (60, None, ""), (None, 90, ""), (None, None, "")],
)
def test_the_thread_is_noted_once_and_first_for_as_long_as_anything_lives(
    end: End, session: int | None, events: int | None, noted: Any
) -> None:
    batch = end(begin(session_ttl_seconds=session, events_ttl_seconds=events))
    assert [command.keys for command in batch] == [(RECORD,), (SESSION,), (EVENTS,)]
    assert list(notes(batch)) == [(0, noted)]


@ENDS
def test_events_that_outlive_what_the_append_notes_are_noted_too(end: End) -> None:
    exchange = begin(session_ttl_seconds=60, events_ttl_seconds=60)
    log = exchange.memory.events
    log.config = replace(log.config, ttl_seconds=61)
    assert [ttl for _, ttl in notes(end(exchange))] == [60, 61]


def test_events_are_noted_where_nothing_is_appended() -> None:
    batch = left(begin(on_abandon="drop"))
    assert [command.keys for command in batch] == [(RECORD,), (EVENTS,)]


@ENDS
def test_events_are_noted_where_the_append_cannot_be_made(end: End) -> None:
    exchange = begin(thread="agent:mem:x", session_storage="list", session_list_prefix="")
    batch = end(exchange)
    assert [command.keys for command in batch] == [(RECORD,), ("agent:events:agent:mem:x",)]


def test_an_append_that_cannot_be_made_is_raised_once_the_events_are_written() -> None:
    exchange = begin(thread="agent:mem:x", session_storage="list")
    exchange.finish("hello yourself")
    op = exchange.write()
    next(op)
    with pytest.raises(StopIteration) as stop:
        op.send([1, [b"1-0"]])
    assert isinstance(stop.value.value, InvalidInputError)
    assert exchange.memory.events.dropped == 0
