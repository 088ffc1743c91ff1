"""Which messages of an agent's state are new, and what of a window any model takes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

pytest.importorskip("langchain.agents")

from langchain_agentmem.agents.messages import (
    after_history,
    in_order_of_calls,
    loadable,
    new_messages,
    not_stored,
    storable,
    unknown,
    without_open_calls,
)
from langchain_agentmem.agents.turn_state import LiveTurn, TurnState, live_of
from langchain_agentmem.core.messages import encode_turn
from langchain_agentmem.errors import MessageNotStorableError
from langchain_agentmem.longterm.types import MemoryRecord


def calling(*ids: str, text: str = "") -> AIMessage:
    return AIMessage(text, tool_calls=[{"name": "look", "args": {}, "id": id} for id in ids])


IDS = st.sampled_from(["c1", "c2", "c3"])
MESSAGES = st.lists(
    st.one_of(
        st.builds(HumanMessage, st.sampled_from("abc")),
        st.builds(AIMessage, st.sampled_from("abc")),
        st.lists(IDS, min_size=1, max_size=3, unique=True).map(lambda ids: calling(*ids)),
        IDS.map(lambda id: ToolMessage("r", tool_call_id=id)),
    ),
    max_size=12,
)


def is_paired(messages: list[BaseMessage], *, orphans: bool = False) -> bool:
    """Whether each call is followed by all its results, and each result stands behind its call."""
    open_calls: set[str | None] = set()
    asked: set[str | None] = set()
    for message in messages:
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in asked and not orphans:
                return False
            open_calls.discard(message.tool_call_id)
            continue
        if open_calls:
            return False
        asked = {call["id"] for call in message.tool_calls} if isinstance(message, AIMessage) else set()
        open_calls = set(asked)
    return not open_calls


@given(MESSAGES)
def test_what_is_loaded_is_paired_and_begins_with_the_user(history: list[BaseMessage]) -> None:
    loaded = loadable(history)
    assert is_paired(loaded)
    assert all(any(one is kept for one in history) for kept in loaded)
    if any(isinstance(message, HumanMessage) for message in history):
        assert isinstance(loaded[0], HumanMessage)
    said = [message for message in history if isinstance(message, HumanMessage)]
    assert [message for message in loaded if isinstance(message, HumanMessage)] == said


@given(MESSAGES)
def test_open_calls_get_a_result_and_nothing_is_lost(messages: list[BaseMessage]) -> None:
    mended = without_open_calls(messages)
    if mended is None:
        assert is_paired(messages, orphans=True)
        return
    assert is_paired(mended, orphans=True)
    assert [one for one in mended if any(one is other for other in messages)] == messages
    added = [one for one in mended if not any(one is other for other in messages)]
    assert all(isinstance(one, ToolMessage) and one.status == "error" and one.id for one in added)


@given(MESSAGES)
def test_results_stand_in_the_order_of_their_calls(messages: list[BaseMessage]) -> None:
    ordered = in_order_of_calls(messages)
    assert sorted(map(id, ordered)) == sorted(map(id, messages))
    assert is_paired(ordered) == is_paired(messages)


def test_results_of_parallel_calls_are_put_in_order() -> None:
    results = [ToolMessage("r", tool_call_id=id) for id in ("c1", "c2")]
    call = calling("c1", "c2")
    assert in_order_of_calls([call, *results[::-1]]) == [call, *results]


def turn(**members: Any) -> TurnState:
    return TurnState("t1", "alice", "default", **members)


def test_new_is_what_follows_the_last_message_that_is_stored() -> None:
    state = [HumanMessage("a", id="1"), AIMessage("b", id="2"), HumanMessage("c", id="3")]
    assert new_messages(state, None) == (state[:2], state[2:])
    assert new_messages(state, turn(last="2", closed=True)) == ([], state[2:])
    assert new_messages(state, turn(last="gone", closed=True)) == ([], state[2:])


def test_what_a_turn_that_was_left_had_answered_is_not_new() -> None:
    state = [HumanMessage("a", id="1"), calling("c1"), HumanMessage("c", id="3")]
    assert new_messages(state, turn(asked=["1"], last="1")) == ([], state[2:])


def test_system_messages_and_summaries_are_not_new() -> None:
    summary = HumanMessage("so far", additional_kwargs={"lc_source": "summarization"})
    question = HumanMessage("a")
    assert new_messages([SystemMessage("s"), summary, question], None) == ([], [question])


def test_a_conversation_that_the_caller_passes_is_known_by_ids_or_by_its_last_message() -> None:
    stored = [HumanMessage("a", id="1"), AIMessage("b", id="2")]
    assert unknown(stored, stored) == ([], True)
    assert unknown([HumanMessage("a"), AIMessage("b")], stored) == ([], True)
    more = AIMessage("from elsewhere")
    assert unknown([*stored, more], stored) == ([more], True)
    assert unknown([more], stored) == ([more], False)
    assert unknown([more], []) == ([more], False)


def test_of_a_turn_that_is_run_twice_only_what_is_new_is_stored() -> None:
    question, call = HumanMessage("q", id="1"), calling("c1")
    call.id = "2"
    result = ToolMessage("r", tool_call_id="c1", id="3")
    window = [question, call, result, AIMessage("a", id="4")]
    again = ToolMessage("r", tool_call_id="c1", id="5")  # it would stand without its call
    answer = AIMessage("b", id="6")
    assert not_stored([question, call, again, answer], window) == [answer]
    assert not_stored([question, call, again, answer], []) == [question, call, again, answer]
    other = calling("c1")
    assert not_stored([call, other, again], window) == [other, again]


def test_a_message_that_says_something_else_under_the_same_id_is_new() -> None:
    assert not_stored([HumanMessage("b", id="1")], [HumanMessage("a", id="1")]) == [HumanMessage("b", id="1")]
    assert not_stored([HumanMessage("a")], [HumanMessage("a")]) == [HumanMessage("a")]


def test_of_what_stands_beside_the_content_only_what_is_no_json_is_left_out() -> None:
    def encode(message: BaseMessage) -> bytes:
        return encode_turn(message, 0.0)

    whole = ToolMessage("r", tool_call_id="c1", id="1", artifact={"n": [1]})
    assert storable(whole, encode) == (encode(whole), [])
    mixed = ToolMessage(
        "r",
        tool_call_id="c1",
        artifact={"n": 1},
        additional_kwargs={"a": (1,), "b": 2},
        response_metadata={"c": object(), "d": None},
    )
    stored, left_out = storable(mixed, encode)
    assert left_out == ["additional_kwargs['a']", "response_metadata['c']"]
    kept = {"additional_kwargs": {"b": 2}, "response_metadata": {"d": None}}
    assert stored == encode(ToolMessage("r", tool_call_id="c1", artifact={"n": 1}, **kept))
    assert mixed.additional_kwargs["a"] == (1,)
    with pytest.raises(MessageNotStorableError):
        storable(AIMessage([{"type": "text", "text": "a", "at": (1, 2)}]), encode)


def test_history_follows_the_systems_messages_and_has_ids() -> None:
    system, question = SystemMessage("s"), HumanMessage("q")
    merged = after_history([HumanMessage("a"), AIMessage("b", id="2")], [system, question])
    assert [message.content for message in merged] == ["s", "a", "b", "q"]
    assert all(message.id for message in merged[1:3])


def test_a_state_keeps_what_a_resumed_turn_needs() -> None:
    memory = MemoryRecord("m1", "My cat is Tom", "alice", "default", "profile", created_ts=12.5)
    before = turn(text="q", memories=[memory], pinned=[memory], goal="g", asked=["1"], replaces=['{"ä":1}'])
    live = LiveTurn()
    update = before.update(live)
    assert "Tom" not in str(update)
    assert update["agentmem_live"] == {}
    assert TurnState.of(update) == before
    assert live_of(update) is live
    assert TurnState.of({}) is None
