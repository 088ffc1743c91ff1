"""What a thread's models and tools have taken, also when the events that told it are gone."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integration_tests.conftest import ON_EVERY_BACKEND, Both, Counting
from langchain_agentmem import Usage
from langchain_agentmem.core.operations import gather
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.events import operations
from langchain_agentmem.events.event import Entry
from langchain_agentmem.events.event_log import EventLog
from langchain_agentmem.transport.connections import SharedConnection


@pytest.fixture
async def log(transport: SharedConnection) -> AsyncIterator[EventLog]:
    log = EventLog(transport=transport)
    yield log
    await log.aclose()


def answer(model: str = "m", user: str = "", ts: float = 5.0, **tokens: int) -> Entry:
    fields = {"action": "chat_model_end", "detail": "", "ts": f"{ts:.6f}", "model": model}
    return "t", fields | ({"user": user} if user else {}) | {name: str(n) for name, n in tokens.items()}


def note(action: str = "note", ts: float = 5.0) -> Entry:
    return "t", {"action": action, "detail": "", "ts": f"{ts:.6f}"}


def write(log: EventLog, *entries: Entry) -> None:
    log.transport.run(log.record_op(entries))


@ON_EVERY_BACKEND
class TestContract:
    async def test_tokens_and_calls_are_summed_up_by_model(self, log: EventLog, both: Both) -> None:
        await log.transport.arun(
            log.record_op(
                [
                    answer(
                        "a", ts=3.0, input_tokens=10, output_tokens=2, total_tokens=12, cache_read_tokens=4
                    ),
                    answer("b", input_tokens=1, output_tokens=5, total_tokens=6, reasoning_tokens=3),
                    answer("a", input_tokens=20, total_tokens=20, cache_creation_tokens=7),
                    *(note("tool_start"), note("tool_end"), note("tool_error"), note("chat_model_error")),
                ]
            )
        )
        usage = await both(log).ausage("t")
        assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (31, 7, 38)
        assert (usage.cache_read_tokens, usage.cache_creation_tokens, usage.reasoning_tokens) == (4, 7, 3)
        assert (usage.model_calls, usage.tool_calls, usage.since) == (4, 2, 3.0)
        assert usage.by_model == {
            "a": Usage(30, 2, 32, 4, 7, 0, 2, 0, since=3.0),
            "b": Usage(1, 5, 6, 0, 0, 3, 1, 0, since=5.0),
        }
        assert await both(log).ausage("another") == Usage()

    async def test_one_user_s_of_a_thread_of_several(self, log: EventLog, both: Both) -> None:
        entries = [answer(user="ada", input_tokens=1), answer(user="bob", input_tokens=2), answer()]
        await log.transport.arun(log.record_op(entries))
        assert (await both(log).ausage("t", user="bob")).input_tokens == 2
        assert (await both(log).ausage("t")).model_calls == 3

    @pytest.mark.parametrize("ids", [("", None), ("t", ""), ("t", 5)])
    async def test_what_is_no_id_is_refused(self, log: EventLog, both: Both, ids: Any) -> None:
        with pytest.raises(InvalidInputError):
            await both(log).ausage(ids[0], user=ids[1])

    async def test_the_sums_stay_when_the_events_are_gone(self, transport: SharedConnection) -> None:
        log = EventLog(transport=transport, max_len=50)
        for number in range(8):
            tokens = {"input_tokens": number, "total_tokens": 2}
            entries = [answer("ab"[one % 2], "ada", 100.0 + number, **tokens) for one in range(60)]
            await transport.arun(log.record_op([*entries, note("tool_end")]))
        assert await log.alength("t") < 250
        usage = await log.ausage("t", user="ada")
        assert (usage.input_tokens, usage.total_tokens, usage.model_calls) == (60 * 28, 960, 480)
        assert {model: one.model_calls for model, one in usage.by_model.items()} == {"a": 240, "b": 240}
        assert usage.since == 100.0
        assert (await log.ausage("t")).tool_calls == 8
        sums = [event for event in await log.aafter("t", "", 500) if event.action == "usage"]
        assert {(event.user, event.model) for event in sums} == {("ada", "a"), ("ada", "b"), ("", "")}
        assert all(event.ts >= 101 for event in sums)
        for event in sums:
            models, tools, tokens = (
                event.usage.get(name, 0) for name in ("model_calls", "tool_calls", "total_tokens")
            )
            said = f"{models} model calls, {tools} tool calls and {tokens} tokens of earlier events"
            assert event.detail == said


async def test_one_round_trip_per_thousand_events(counting: Counting, both: Both) -> None:
    log = EventLog(transport=counting.transport, max_len=5000)
    await log.transport.arun(log.record_op([answer(total_tokens=1)] * 2500))
    before = counting.round_trips
    assert (await both(log).ausage("t")).total_tokens == 2500
    assert counting.round_trips - before == 3


def test_events_that_go_while_they_are_counted_are_not_counted_twice(transport: SharedConnection) -> None:
    log = EventLog(transport=transport, max_len=1900)
    write(log, *[answer(total_tokens=1)] * 1999)
    op = operations.usage(log._keys, "t", None)
    batch = next(op)
    first = transport.run(gather([_send(batch)]))[0]
    write(log, answer(total_tokens=1))  # and so the oldest are deleted
    assert transport.run(_go_on(op, op.send(first))).total_tokens == 2000


def _send(batch: Any) -> Any:
    return (yield batch)


def _go_on(op: Any, batch: Any) -> Any:
    try:
        while True:
            batch = op.send((yield batch))
    except StopIteration as stop:
        return stop.value


def test_a_stream_without_models_and_tools_has_no_sums(transport: SharedConnection) -> None:
    log = EventLog(transport=transport, max_len=10)
    for _ in range(30):
        write(log, *[note()] * 10)
    assert {event.action for event in log.recent("t", 500)} == {"note"}
    assert log.length("t") <= 110


def test_so_many_users_that_their_sums_would_fill_the_stream_are_summed_up_together(
    transport: SharedConnection,
) -> None:
    log = EventLog(transport=transport, max_len=100)
    for number in range(600):
        write(log, answer(user=f"user {number}", total_tokens=1))
    assert log.usage("t").total_tokens == 600
    assert log.length("t") < 320


def test_forgetting_a_user_forgets_the_sums_of_the_user(transport: SharedConnection) -> None:
    log = EventLog(transport=transport, max_len=10)
    for _ in range(3):
        write(log, *[answer(user="ada", total_tokens=1), answer(user="bob", total_tokens=1)] * 60)
    log.forget_user("ada")
    assert (log.usage("t", user="ada"), log.usage("t").total_tokens) == (Usage(), 180)
    log.clear("t")
    assert log.usage("t") == Usage()


def test_writers_at_the_same_time_lose_no_count(url: str) -> None:
    with EventLog(url, max_len=30) as log:
        workers = [
            threading.Thread(target=lambda: [write(log, answer(total_tokens=1)) for _ in range(150)])
            for _ in range(4)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert log.usage("t").total_tokens == 600


odd = st.text(max_size=20) | st.sampled_from(["-1", "1e9", "nan", "0x10", "9" * 30, " 5", "٣"])


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.fixed_dictionaries(
            {"action": st.sampled_from(["chat_model_end", "tool_end", "usage", "note"])},
            optional={
                "model": st.sampled_from(["a", "b", "é\x00"]),
                "user": st.sampled_from(["ada", "1:", "\x00"]),
                "total_tokens": st.integers(0, 10**14).map(str) | odd,
                "tool_calls": st.integers(0, 9).map(str) | odd,
            },
        ),
        min_size=110,
        max_size=130,
    )
)
def test_whatever_was_written_the_sums_are_the_same_before_and_after(
    bare: redis.Redis, transport: SharedConnection, events: list[dict[str, str]]
) -> None:
    bare.flushdb()
    for fields in events:
        bare.xadd("agent:events:t", {**fields, "ts": "7"})
    log = EventLog(transport=transport, max_len=1)
    users = [None, "ada", "1:", "\x00"]
    before = [log.usage("t", user=user) for user in users]
    write(log, note())
    assert log.length("t") < 30
    assert [log.usage("t", user=user) for user in users] == before
