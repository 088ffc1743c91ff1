"""What leaves a session's window is folded into its summary: all of it, once, whoever folds and whatever fails."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, RemoveMessage, ToolMessage

from integration_tests.conftest import Both, Counting
from langchain_agentmem.core.operations import gather, ok
from langchain_agentmem.errors import ConfigurationError, SummaryError, WrongOwnerError
from langchain_agentmem.transport.connections import SharedConnection
from langchain_agentmem.working.histories import RedisListChatMessageHistory
from langchain_agentmem.working.working_memory import WorkingMemory

WINDOW = 4


def listing(summary: str, messages: Sequence[BaseMessage]) -> str:
    """Sum up by saying all of it."""
    return " ".join([*summary.split(), *(str(message.content) for message in messages)])


def said(*contents: str) -> list[BaseMessage]:
    return [HumanMessage(content) for content in contents]


def calling(*names: str) -> list[BaseMessage]:
    """A call of several tools, and their results."""
    calls = [{"name": name, "args": {}, "id": f"id-{name}"} for name in names]
    results = [ToolMessage(f"result-{name}", tool_call_id=f"id-{name}") for name in names]
    return [AIMessage("call", tool_calls=calls), *results]


@pytest.fixture(params=["hash", "list"])
def storage(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def working(storage: Any, transport: SharedConnection) -> WorkingMemory:
    return summing_up(transport, storage)


def summing_up(transport: Any, storage: Any, summarise: Any = listing, **options: Any) -> WorkingMemory:
    options = {"max_turns": WINDOW, "ttl_seconds": 3600} | options
    return WorkingMemory(transport=transport, storage=storage, summarise=summarise, **options)


def summary_of(working: WorkingMemory) -> list[str]:
    state = working.load("t1")
    return [] if state is None else state.summary.split()


def waiting_in(working: WorkingMemory) -> list[str]:
    waiting = working.transport.run(working.waiting_op("t1"))
    return [str(message.content) for message in waiting.messages if message is not None]


def window_of(working: WorkingMemory) -> list[str]:
    return [str(message.content) for message in working.messages("t1")]


class TestFolding:
    async def test_what_has_left_the_window_goes_into_the_summary(
        self, working: WorkingMemory, both: Both
    ) -> None:
        assert await both(working).afold("t1") == 0
        working.append("t1", said("1", "2", "3", "4"))
        assert await both(working).afold("t1") == 0
        working.append("t1", said("5", "6"))
        assert waiting_in(working) == ["1", "2"]
        assert await both(working).afold("t1") == 2
        assert (summary_of(working), waiting_in(working)) == (["1", "2"], [])
        assert window_of(working) == ["3", "4", "5", "6"]
        for one in ("7", "8", "9"):
            working.append("t1", said(one))
        assert await both(working).afold("t1") == 3
        state = working.load("t1")
        assert state is not None
        assert (state.summary, state.folded_count, state.turn_count) == ("1 2 3 4 5", 5, 9)
        assert await both(working).afold("t1") == 0

    async def test_it_takes_a_round_trip_to_read_and_one_to_write(
        self, working: WorkingMemory, counting: Counting, both: Both, storage: str
    ) -> None:
        working.append("t1", said(*"123456"))
        counting.round_trips = 0
        assert await both(working).afold("t1") == 2
        assert counting.round_trips == (2 if storage == "hash" else 3)
        counting.round_trips = 0
        assert await both(working).afold("t1") == 0
        assert counting.round_trips == 1

    async def test_an_async_summariser_is_awaited(
        self, transport: SharedConnection, storage: Any, both: Both
    ) -> None:
        async def asking(summary: str, messages: Sequence[BaseMessage]) -> str:
            return listing(summary, messages)

        working = summing_up(transport, storage, asking)
        working.append("t1", said(*"123456"))
        assert await both(working).afold("t1") == 2
        assert summary_of(working) == ["1", "2"]

    async def test_a_summariser_that_fails_loses_nothing(
        self, transport: SharedConnection, storage: Any, both: Both
    ) -> None:
        outcomes: list[Any] = [OSError("no key sk-abcdefghijklmnopqrstuvwx"), None, "  ", "all of it"]

        def failing(summary: str, messages: Sequence[BaseMessage]) -> Any:
            outcome = outcomes.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        working = summing_up(transport, storage, failing)
        working.append("t1", said(*"123456"))
        for reason in ("OSError: no key", "returned NoneType", "empty text"):
            with pytest.raises(SummaryError, match=reason) as raised:
                await both(working).afold("t1")
            assert "abcdefghijklmnop" not in str(raised.value)
            assert (summary_of(working), waiting_in(working)) == ([], ["1", "2"])
        assert await both(working).afold("t1") == 2
        assert summary_of(working) == ["all", "of", "it"]

    def test_a_summary_is_bounded(self, transport: SharedConnection, storage: Any) -> None:
        working = summing_up(transport, storage, lambda summary, messages: "é" * 10_000)
        working.append("t1", said(*"123456"))
        assert working.fold("t1") == 2
        (whole,) = summary_of(working)
        assert whole.endswith("é…")
        assert 8_188 <= len(whole.encode()) <= 8_192

    def test_a_call_and_its_results_leave_together(self, working: WorkingMemory) -> None:
        working.append("t1", [*said("1"), *calling("a", "b", "c")])
        assert waiting_in(working) == ["1"]
        working.append("t1", said("2"))
        assert waiting_in(working) == ["1", "call", "result-a", "result-b", "result-c"]
        assert window_of(working) == ["2"]
        assert working.fold("t1") == 5
        working.append("t1", said(*"345"))
        assert waiting_in(working) == []
        working.append("t1", said("6"))
        assert waiting_in(working) == ["2"]

    def test_of_two_that_fold_the_same_messages_one_does(self, transport: Any, storage: Any) -> None:
        folded = []

        def overtaken(summary: str, messages: Sequence[BaseMessage]) -> str:
            other = summing_up(transport, storage)
            other.append("t1", said("7"))
            folded.append(other.fold("t1"))
            return "mine"

        working = summing_up(transport, storage, overtaken)
        working.append("t1", said(*"123456"))
        assert working.fold("t1") == 0
        assert folded == [3]
        assert summary_of(working) == ["1", "2", "3"]

    def test_what_leaves_while_others_are_folded_waits(self, transport: Any, storage: Any) -> None:
        def appending(summary: str, messages: Sequence[BaseMessage]) -> str:
            working.append("t1", said("7", "8"))
            return listing(summary, messages)

        working = summing_up(transport, storage, appending)
        working.append("t1", said(*"123456"))
        assert working.fold("t1") == 2
        assert (summary_of(working), waiting_in(working)) == (["1", "2"], ["3", "4"])
        assert window_of(working) == ["5", "6", "7", "8"]

    @pytest.mark.parametrize("again", [False, True], ids=["gone", "begun anew"])
    def test_a_session_that_is_deleted_meanwhile_gets_no_summary(
        self, transport: Any, storage: Any, again: bool, bare: redis.Redis
    ) -> None:
        def deleting(summary: str, messages: Sequence[BaseMessage]) -> str:
            working.delete("t1")
            if again:
                working.append("t1", said("other", *"23456"))
            return "of the one before"

        working = summing_up(transport, storage, deleting)
        working.append("t1", said(*"123456"))
        assert working.fold("t1") == 0
        assert summary_of(working) == []
        assert bare.exists("agent:session:t1") == again

    def test_a_summary_that_is_set_meanwhile_stays(self, transport: Any, storage: Any) -> None:
        def setting(summary: str, messages: Sequence[BaseMessage]) -> str:
            transport.run(working.set_op("summary", "t1", "by hand"))
            return "by a model"

        working = summing_up(transport, storage, setting)
        working.append("t1", said(*"123456"))
        assert working.fold("t1") == 0
        assert summary_of(working) == ["by", "hand"]
        assert waiting_in(working) == ["1", "2"]

    @pytest.mark.parametrize("changed", ["waiting", "count"])
    def test_what_was_changed_meanwhile_is_not_folded(
        self, transport: Any, storage: Any, bare: redis.Redis, changed: str
    ) -> None:
        """Also if its length is the same, as when a message was taken out and another one left the window."""
        if storage == "list":
            pytest.skip("what waits in a list is compared by its entries")
        key = "agent:session:t1"

        def changing(summary: str, messages: Sequence[BaseMessage]) -> str:
            if changed == "count":
                bare.hset(key, "folded_count", 7)
            else:
                left = bare.hget(key, "waiting_turns") or b""
                bare.hset(key, "waiting_turns", bytes(left).replace(b'"1"', b'"9"'))
            return "by a model"

        working = summing_up(transport, storage, changing)
        working.append("t1", said(*"123456"))
        assert working.fold("t1") == 0
        assert summary_of(working) == []
        assert waiting_in(working) == (["9", "2"] if changed == "waiting" else ["1", "2"])

    def test_folding_extends_no_ttl_and_is_no_activity(
        self, working: WorkingMemory, bare: redis.Redis
    ) -> None:
        working.append("t1", said(*"123456"))
        bare.expire("agent:session:t1", 50)
        before = bare.hget("agent:session:t1", "last_active_ts")
        assert working.fold("t1") == 2
        assert 0 < bare.ttl("agent:session:t1") <= 50
        assert bare.hget("agent:session:t1", "last_active_ts") == before

    async def test_the_session_of_another_user_is_not_folded(
        self, working: WorkingMemory, both: Both
    ) -> None:
        working.append("t1", said(*"123456"), user="alice")
        with pytest.raises(WrongOwnerError):
            await both(working).afold("t1", user="bob")
        assert summary_of(working) == []
        assert await both(working).afold("t1", user="alice") == 2

    def test_an_entry_that_cannot_be_read_leaves_with_the_others_and_is_reported(
        self, working: WorkingMemory, storage: str, bare: redis.Redis, caplog: pytest.LogCaptureFixture
    ) -> None:
        working.append("t1", said("1"))
        if storage == "hash":
            stored = bare.hget("agent:session:t1", "recent_turns")
            assert isinstance(stored, bytes)
            bare.hset("agent:session:t1", "recent_turns", stored[:-2] + b',\n"odd"\n]')
        else:
            bare.lpush("t1", '"odd"')
        working.append("t1", said(*"3456"))
        assert working.fold("t1") == 2
        assert summary_of(working) == ["1"]
        assert "cannot be read, and is not summed up" in caplog.text


class TestWithoutASummariser:
    def test_what_leaves_is_dropped_and_nothing_is_stored_for_it(
        self, storage: Any, transport: Any, bare: redis.Redis
    ) -> None:
        working = summing_up(transport, storage, None)
        working.append("t1", said(*"123456"))
        fields = bare.hkeys("agent:session:t1")
        assert not {b"waiting_turns", b"folded_count", b"dropped_count"} & {*fields}
        with pytest.raises(ConfigurationError, match="Nobody sums up"):
            working.fold("t1")

    def test_what_waits_already_is_kept(self, working: WorkingMemory, storage: Any, transport: Any) -> None:
        working.append("t1", said(*"123456"))
        summing_up(transport, storage, None).append("t1", said("7"))
        assert waiting_in(working)[:2] == ["1", "2"]


class TestTheBound:
    def test_a_hash_drops_the_oldest_beyond_it_and_counts_them(
        self, transport: SharedConnection, bare: redis.Redis
    ) -> None:
        working = summing_up(transport, "hash", max_waiting=4)
        working.append("t1", [*said("1"), *calling("a", "b"), *said("2", "3")])
        working.append("t1", said(*"4567"))
        state = working.load("t1")
        assert state is not None
        # Of the call and its results none stays, although two of them would fit.
        assert [turn.content for turn in state.waiting] == ["2", "3"]
        assert state.dropped_count == 4
        assert working.fold("t1") == 2
        working.append("t1", said(*"89"))
        assert [turn.content for turn in (working.load("t1") or state).waiting] == ["4", "5"]
        assert json.loads(bare.hget("agent:session:t1", "waiting_turns") or b"")[0]["content"] == "4"

    def test_a_list_keeps_all_and_folds_so_many_at_once(self, transport: SharedConnection) -> None:
        working = summing_up(transport, "list", max_waiting=3)
        working.append("t1", [*said("1", "2"), *calling("a", "b"), *said(*"3456789")])
        assert waiting_in(working) == ["1", "2"]  # with the call and its results they are too many
        assert [working.fold("t1") for _ in range(4)] == [2, 3, 3, 0]
        assert summary_of(working) == ["1", "2", "call", "result-a", "result-b", "3", "4", "5"]

    def test_a_call_with_more_results_than_the_bound_is_folded_whole(
        self, transport: SharedConnection
    ) -> None:
        working = summing_up(transport, "list", max_waiting=2)
        working.append("t1", [*calling("a", "b", "c"), *said(*"12345")])
        assert working.fold("t1") == 4
        assert summary_of(working) == ["call", "result-a", "result-b", "result-c"]


class TestEditing:
    def test_what_is_deleted_is_not_summed_up(self, working: WorkingMemory) -> None:
        working.append("t1", [HumanMessage(one, id=one) for one in "123456"])
        assert working.delete_messages("t1", ["2", "5"]) == 2
        working.append("t1", said(*"789"))
        assert working.fold("t1") == 3
        assert summary_of(working) == ["1", "3", "4"]
        assert window_of(working) == ["6", "7", "8", "9"]

    def test_what_is_deleted_while_it_is_summed_up_is_not_in_the_summary(
        self, transport: Any, storage: Any
    ) -> None:
        def deleting(summary: str, messages: Sequence[BaseMessage]) -> str:
            working.delete_messages("t1", ["2"])
            return listing(summary, messages)

        working = summing_up(transport, storage, deleting)
        working.append("t1", [HumanMessage(one, id=one) for one in "123456"])
        assert working.fold("t1") == 0
        assert summary_of(working) == []

    def test_removing_all_removes_what_waits(self, working: WorkingMemory) -> None:
        working.append("t1", said(*"123456"))
        working.append("t1", [RemoveMessage("__remove_all__"), HumanMessage("new")])
        assert (window_of(working), waiting_in(working)) == (["new"], [])
        working.append("t1", said(*"2345"))
        assert working.fold("t1") == 1
        assert summary_of(working) == ["new"]

    def test_replacing_the_window_lets_wait_what_waits(self, transport: SharedConnection) -> None:
        working = summing_up(transport, "hash")
        working.append("t1", said(*"123456"))
        working.replace_messages("t1", said("new"))
        assert (window_of(working), waiting_in(working)) == (["new"], ["1", "2"])

    def test_of_a_list_it_is_known_what_is_in_the_summary_after_it_changed(
        self, transport: SharedConnection
    ) -> None:
        working = summing_up(transport, "list")
        working.append("t1", [HumanMessage(one, id=one) for one in "12345678"])
        assert working.fold("t1") == 4
        working.delete_messages("t1", ["2", "6"])  # one that is in the summary, and one that is not
        working.append("t1", said("9"))
        assert waiting_in(working) == []
        working.append("t1", said("10"))
        assert waiting_in(working) == ["5"]
        working.replace_messages("t1", [HumanMessage(one, id=one) for one in "13457"])
        working.append("t1", said("11", "12", "13"))
        assert waiting_in(working) == ["5"]
        assert working.fold("t1") == 1
        assert summary_of(working) == ["1", "2", "3", "4", "5"]

    def test_a_list_that_others_delete_begins_anew(
        self, transport: SharedConnection, bare: redis.Redis
    ) -> None:
        working = summing_up(transport, "list")
        working.append("t1", said(*"123456"))
        assert working.fold("t1") == 2
        bare.delete("t1")
        history = RedisListChatMessageHistory("t1", client=bare)
        history.add_messages(said(*"abcdefg"))
        assert working.fold("t1") == 3
        assert summary_of(working) == ["1", "2", "a", "b", "c"]

    def test_a_list_without_a_session_has_no_summary(
        self, transport: SharedConnection, bare: redis.Redis
    ) -> None:
        RedisListChatMessageHistory("t1", client=bare).add_messages(said(*"123456"))
        working = summing_up(transport, "list")
        assert working.fold("t1") == 0
        assert not bare.exists("agent:session:t1")
        working.start("t1")
        assert working.fold("t1") == 2


STEPS = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 6)),
    st.tuples(st.just("call"), st.integers(1, 4)),
    st.tuples(st.sampled_from(["fold", "fail", "overtake", "delete"]), st.integers(0, 30)),
)


@pytest.mark.parametrize("transport", ["redis"], indirect=True)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=25), window=st.integers(1, 6))
def test_whatever_happens_each_message_is_in_one_place_and_in_order(
    storage: Any, transport: SharedConnection, steps: list[tuple[str, int]], window: int
) -> None:
    number, expected, plain, acts = 0, list[str](), set[str](), list[Any]()

    def summarise(summary: str, messages: Sequence[BaseMessage]) -> str:
        calls = {call["id"] for one in messages if isinstance(one, AIMessage) for call in one.tool_calls}
        assert calls == {one.tool_call_id for one in messages if isinstance(one, ToolMessage)}
        if acts:
            acts.pop()()
        return " ".join([*summary.split(), *(one.id or "" for one in messages)])

    def fail() -> None:
        raise OSError("not now")

    working = WorkingMemory(
        transport=transport, storage=storage, summarise=summarise, max_turns=window, ttl_seconds=None
    )
    working.delete("t1")

    def append(count: int, *, calls: bool) -> None:
        nonlocal number
        new: list[BaseMessage] = [HumanMessage("same", id=str(number + n)) for n in range(count)]
        if calls:
            ids = [str(number + n) for n in range(1, count)]
            new[0] = AIMessage(
                "", id=str(number), tool_calls=[{"name": "f", "args": {}, "id": one} for one in ids]
            )
            new[1:] = [ToolMessage("same", tool_call_id=one, id=one) for one in ids]
        else:
            plain.update(one.id or "" for one in new)
        number += count
        expected.extend(one.id or "" for one in new)
        working.append("t1", new)

    for step, size in steps:
        if step in ("append", "call"):
            append(size, calls=step == "call")
        elif step == "delete":
            # Not a call without its results, which then are of no use to anybody.
            if {f"{size}"} & plain & {*expected} and working.delete_messages("t1", [f"{size}"]):
                expected.remove(f"{size}")
                if f"{size}" in summary_of(working):  # a list has it still, and its summary tells it
                    expected.insert(summary_of(working).index(f"{size}"), f"{size}")
        elif step == "fail":
            acts[:] = [fail]
            with suppress(SummaryError):
                working.fold("t1")
            acts.clear()
        else:
            acts[:] = [lambda: working.fold("t1")] if step == "overtake" else []
            working.fold("t1")
            acts.clear()
    state = working.load("t1")
    if state is not None:
        window_ids = [turn.message.id for turn in state.recent_turns]
        waiting = transport.run(working.waiting_op("t1"))
        ids = [one.id if one is not None else "unreadable" for one in waiting.messages]
        assert [*state.summary.split(), *ids, *window_ids] == expected


def test_several_sessions_are_read_in_one_round_trip(working: WorkingMemory, counting: Counting) -> None:
    """So a turn can read what waits along with its own write."""
    for thread in ("t1", "t2"):
        working.append(thread, said("1", "2"))
    counting.round_trips = 0
    read = working.transport.run(gather([working.waiting_op(one) for one in ("t1", "t2")]))
    assert [ok(one).turns for one in read] == [[], []]
    assert counting.round_trips == 1
