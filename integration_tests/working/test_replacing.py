"""Messages that others replace: wherever they stand by then, as far as they are there, and counted once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
import redis
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from integration_tests.conftest import Counting
from langchain_agentmem.core.messages import mark_unanswered
from langchain_agentmem.transport.connections import SharedConnection
from langchain_agentmem.working.working_memory import WorkingMemory

Q1, Q2 = HumanMessage("what is it?"), HumanMessage("and how much,\n is it?")
A1, A2 = AIMessage("a book"), AIMessage("10 EUR")


@pytest.fixture(params=["hash", "list"])
def working(request: pytest.FixtureRequest, transport: SharedConnection) -> WorkingMemory:
    return WorkingMemory(transport=transport, storage=request.param)


def ahead(working: WorkingMemory, messages: Sequence[BaseMessage]) -> list[bytes]:
    """Store messages before they are answered; return their stored bytes."""
    stored = [mark_unanswered(working.encode(message, time.time())) for message in messages]
    working.transport.run(working.write_turns_op("t1", stored, user="alice"))
    return stored


def begin(working: WorkingMemory, asked: Sequence[BaseMessage]) -> list[bytes]:
    """Begin a turn; return what its messages are to replace: what was said before, and its own question."""
    again = working.transport.run(working.window_op("t1")).before(asked)[1]
    return [*again, *ahead(working, asked)]


def write(
    working: WorkingMemory, messages: Sequence[BaseMessage], replaces: list[bytes], **options: Any
) -> int | None:
    turns = [working.encode(message, time.time()) for message in messages]
    op = working.write_turns_op("t1", turns, user="alice", replaces=replaces, **options)
    return working.transport.run(op)


def test_two_interleaved_exchanges_end_up_whole_one_behind_the_other(working: WorkingMemory) -> None:
    first, second = ahead(working, [Q1]), ahead(working, [Q2])
    assert working.messages("t1") == [Q1, Q2]
    assert write(working, [Q1, A1], first) == 3
    assert working.messages("t1") == [Q2, Q1, A1]
    assert write(working, [Q2, A2], second) == 4
    assert working.messages("t1") == [Q1, A1, Q2, A2]
    state = working.load("t1")
    assert state is not None
    assert state.turn_count == 4
    assert not any(turn.unanswered for turn in state.recent_turns)


def test_messages_that_no_longer_stand_side_by_side_are_found(working: WorkingMemory) -> None:
    parts = [*ahead(working, [Q1]), *ahead(working, [Q2]), *ahead(working, [Q1, Q2])]
    assert write(working, [A1], [parts[0], parts[3]]) == 3
    # A list holds no times: equal messages are equal bytes, of which the newest are taken out.
    assert working.messages("t1") == [*([Q2, Q1] if working.list_prefix is None else [Q1, Q2]), A1]


@pytest.mark.parametrize("behind", [False, True], ids=["at the end", "further up"])
def test_those_that_are_there_are_taken_out(working: WorkingMemory, behind: bool) -> None:
    stored = ahead(working, [Q1, Q2])
    if behind:
        working.append("t1", [A2])
    missing = [*stored, mark_unanswered(working.encode(A1, 1.0))]
    before = working.load("t1")
    assert write(working, [A1], missing, only_replacing=True) is None
    assert working.load("t1") == before, "which holds for all of them, or none"
    assert write(working, [A1], missing) == 1 + behind
    assert working.messages("t1") == [*[A2] * behind, A1]
    assert write(working, [Q1], missing) == 2 + behind
    assert working.messages("t1") == [*[A2] * behind, A1, Q1]


@pytest.mark.parametrize("answered", [[0, 1], [1, 0], [0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]], ids=str)
@pytest.mark.parametrize("left", [0, 2], ids=["nothing before", "said before and left"])
def test_turns_at_once_that_say_the_same_leave_one_exchange_each(
    working: WorkingMemory, answered: list[int], left: int
) -> None:
    for _ in range(left):
        ahead(working, [Q1])
    claims = [begin(working, [Q1]) for _ in answered]
    for place in answered:
        write(working, [Q1, AIMessage(f"answer {place}")], claims[place])
    exchanges = [[Q1, AIMessage(f"answer {place}")] for place in answered]
    assert working.messages("t1") == [message for exchange in exchanges for message in exchange]
    state = working.load("t1")
    assert state is not None
    assert state.turn_count == 2 * len(answered)
    assert not any(turn.unanswered for turn in state.recent_turns)


@pytest.mark.parametrize("other", [Q1, Q2], ids=["the same", "something else"])
def test_a_turn_that_fails_beside_another_keeps_what_was_said(
    working: WorkingMemory, other: HumanMessage
) -> None:
    first, second = begin(working, [Q1]), begin(working, [other])
    write(working, [other, A2], second)
    turns = first[-1:]  # marked, as it is kept of a turn without an answer
    count = working.transport.run(working.write_turns_op("t1", turns, user="alice", replaces=first))
    state = working.load("t1")
    assert state is not None
    assert state.turn_count == count == 3
    assert [turn.message for turn in state.recent_turns] == [other, A2, Q1]
    assert [turn.unanswered for turn in state.recent_turns] == [False, False, True]


def test_a_question_that_has_left_the_window_is_appended_again_and_the_rest_is_taken_out(
    transport: SharedConnection,
) -> None:
    working = WorkingMemory(transport=transport, max_turns=2)
    begin(working, [Q1])
    claim = begin(working, [Q1])
    working.append("t1", [A2])  # which cuts off what was left before
    assert write(working, [Q1, A1], claim) == 4
    assert working.messages("t1") == [Q1, A1]


def test_what_says_the_same_is_replaced_once_and_the_newest_is(transport: SharedConnection) -> None:
    working = WorkingMemory(transport=transport, storage="list")  # which holds no times: the bytes are equal
    stored = ahead(working, [Q1])
    working.append("t1", [A1])
    ahead(working, [Q1])
    working.append("t1", [A2])
    assert write(working, [Q2], stored) == 4
    assert working.messages("t1") == [Q1, A1, A2, Q2]
    assert write(working, [Q2], stored * 2) == 4, "it stands once, and is to be taken out twice"
    assert write(working, [HumanMessage("x")], stored) == 5
    assert working.messages("t1") == [A1, A2, Q2, Q2, HumanMessage("x")]


@pytest.mark.parametrize("window", [1, 2, 3, 4, 5])
def test_the_window_is_kept_whatever_is_replaced(transport: SharedConnection, window: int) -> None:
    working = WorkingMemory(transport=transport, max_turns=window)
    first, second = ahead(working, [Q1]), ahead(working, [Q2])
    call = AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "1"}])
    exchange = [Q1, call, ToolMessage("r", tool_call_id="1"), A1]
    counted = write(working, exchange, first)
    whole = [Q2, *exchange]
    shown = working.messages("t1")
    assert shown == whole[-len(shown) :]
    assert not isinstance(shown[0], ToolMessage)
    assert counted == 5 + (window == 1), "what the window had cut off is appended, and counted, again"
    write(working, [Q2, A2], second)
    whole = [*exchange, Q2, A2]
    shown = working.messages("t1")
    assert shown == whole[-len(shown) :]
    assert len(shown) <= window


def test_other_programs_layouts_are_looked_through_too(
    transport: SharedConnection, bare: redis.Redis
) -> None:
    working = WorkingMemory(transport=transport)
    question = b'{"role": "user", "content": "hi", "ts": 1.0}'
    bare.hset("agent:session:t1", "recent_turns", b"[\n  %s,\n  %s\n]" % (question, question[:-4] + b"2.0}"))
    assert write(working, [Q1], [question]) == 2
    assert working.messages("t1") == [HumanMessage("hi"), Q1]


@pytest.mark.parametrize("ttl", [None, 500])
def test_a_list_that_is_replaced_whole_keeps_its_expiry(
    transport: SharedConnection, bare: redis.Redis, ttl: int | None
) -> None:
    working = WorkingMemory(transport=transport, storage="list", ttl_seconds=ttl)
    stored = ahead(working, [Q1, Q2])
    if ttl is None:
        bare.expire("t1", 500)
    write(working, [A1], stored[::-1])  # in another order, they do not stand at the end
    assert working.messages("t1") == [A1]
    assert 490 < bare.ttl("t1") <= 500


def test_it_is_one_round_trip(working: WorkingMemory, counting: Counting) -> None:
    stored = ahead(working, [Q1])
    working.append("t1", [Q2])
    before = counting.round_trips
    write(working, [Q1, A1], stored)
    assert counting.round_trips - before == 1
