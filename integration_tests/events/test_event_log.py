"""The event log's contract on a real server, sync and async."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis
import redis.asyncio
from hypothesis import HealthCheck, given, settings
from tenacity import stop_after_delay

from integration_tests.conftest import ON_CLUSTERS_TOO, Both, Call, Counting
from langchain_agentmem.errors import ConfigurationError, InvalidInputError, StoreError, WrongKeyTypeError
from langchain_agentmem.events.event_log import EventLog
from langchain_agentmem.transport.connections import SharedConnection
from langchain_agentmem.transport.drivers import PACE
from tests.strategies import scopes


@pytest.fixture
async def log(transport: SharedConnection) -> AsyncIterator[EventLog]:
    log = EventLog(transport=transport)
    yield log
    await log.aclose()


@ON_CLUSTERS_TOO
class TestContract:
    async def test_events_come_back_newest_first(self, log: EventLog, both: Both) -> None:
        before = time.time()
        first = await both(log).arecord("t", "tool_start", "a", name="search", run_id="r", user="bob")
        second = await both(log).arecord("t", "tool_end", "b", parent_run_id="p", duration_seconds=0.25)
        newest, oldest = await both(log).arecent("t")
        assert (oldest.id, newest.id) == (first, second)
        assert (oldest.action, oldest.detail, oldest.name) == ("tool_start", "a", "search")
        assert (oldest.run_id, oldest.user, oldest.duration_seconds) == ("r", "bob", None)
        assert (newest.parent_run_id, newest.duration_seconds, newest.user) == ("p", 0.25, "")
        assert before - 0.001 <= oldest.ts <= newest.ts <= time.time() + 0.001
        assert [event.id for event in await both(log).arecent("t", 1)] == [second]

    async def test_the_stream_holds_what_the_design_says(
        self, log: EventLog, both: Both, bare: redis.Redis
    ) -> None:
        await both(log).arecord("t", "note", "hello")
        ((_, fields),) = bare.xrange("agent:events:t")
        assert list(fields) == [b"action", b"detail", b"ts"]
        assert (fields[b"action"], fields[b"detail"]) == (b"note", b"hello")

    async def test_following_a_thread(self, log: EventLog, both: Both) -> None:
        ids = await both(log).arecord_many([("t", {"action": str(i)}) for i in range(5)])
        seen: list[str] = []
        last = ""
        while page := await both(log).aafter("t", last, 2):
            assert len(page) <= 2
            last = page[-1].id
            seen += [event.id for event in page]
        assert seen == ids
        assert await both(log).aafter("t", last) == []

    async def test_length_and_clear(self, log: EventLog, both: Both, bare: redis.Redis) -> None:
        await both(log).arecord_many([("t", {"action": "a"}), ("t", {"action": "b"}), ("u", {"action": "c"})])
        assert await both(log).alength("t") == 2
        assert await both(log).aclear("t") == 2
        assert (await both(log).alength("t"), await both(log).alength("u")) == (0, 1)
        assert (await both(log).aclear("t"), await both(log).arecent("t")) == (0, [])
        assert bare.keys() == [b"agent:events:u"]

    async def test_a_long_detail_is_cut(self, log: EventLog, both: Both) -> None:
        await both(log).arecord("t", "a", "é" * 5000)
        (event,) = await both(log).arecent("t")
        assert len(event.detail.encode()) <= 2000
        assert event.detail.endswith("é…")

    async def test_a_lone_surrogate_does_not_lose_the_event(self, log: EventLog, both: Both) -> None:
        await both(log).arecord("t", "a", "x\ud83dy", name="\udfff")
        (event,) = await both(log).arecent("t")
        assert (event.detail, event.name) == ("x\ufffdy", "\ufffd")

    @pytest.mark.parametrize("thread_id", ["", None, 5, "x" * 4097, "\ud800"])
    async def test_what_is_no_thread_is_refused(
        self, log: EventLog, both: Both, bare: redis.Redis, thread_id: Any
    ) -> None:
        calls: list[Call] = [
            lambda: both(log).arecord(thread_id, "a"),
            lambda: both(log).arecent(thread_id),
            lambda: both(log).aafter(thread_id),
            lambda: both(log).alength(thread_id),
            lambda: both(log).aclear(thread_id),
        ]
        for call in calls:
            with pytest.raises(InvalidInputError, match="thread_id"):
                await call()
        with pytest.raises(InvalidInputError):
            await both(log).arecord_many([("good", {"action": "a"}), (thread_id, {"action": "a"})])
        assert bare.keys() == []

    @pytest.mark.parametrize("count", [0, -1, 1.5, None, True])
    async def test_what_is_no_count_is_refused(self, log: EventLog, both: Both, count: Any) -> None:
        with pytest.raises(InvalidInputError, match="count"):
            await both(log).arecent("t", count)

    async def test_a_key_of_another_type_is_left_alone(
        self, log: EventLog, both: Both, bare: redis.Redis
    ) -> None:
        bare.set("agent:events:t", "mine")
        calls: list[Call] = [
            lambda: both(log).arecord("t", "a"),
            lambda: both(log).arecent("t"),
            lambda: both(log).aafter("t"),
            lambda: both(log).alength("t"),
            lambda: both(log).aclear("t"),
        ]
        for call in calls:
            with pytest.raises(WrongKeyTypeError):
                await call()
        with pytest.raises(WrongKeyTypeError):
            await both(log).arecord_many([("t", {"action": "a"}), ("u", {"action": "b"})])
        assert bare.get("agent:events:t") == b"mine"
        assert [event.action for event in await both(log).arecent("u")] == ["b"]

    async def test_any_number_of_events_is_one_round_trip(self, counting: Counting, both: Both) -> None:
        log = EventLog(transport=counting.transport, max_len=5000)
        await both(log).arecord("first", "action")  # on a cluster, it asks how many partitions there are
        counting.round_trips = 0
        events = [(f"t{i % 3}", {"action": str(i)}) for i in range(100)]
        ids = await both(log).arecord_many(events)
        assert counting.round_trips == 1
        assert len({(thread, ident) for (thread, _), ident in zip(events, ids, strict=True)}) == 100
        assert [e.action for e in await both(log).arecent("t0", 99)] == [str(i) for i in range(99, -1, -3)]
        assert counting.round_trips == 2
        many = await both(log).arecord_many([("big", {"action": str(i)}) for i in range(1700)])
        assert counting.round_trips == 3
        found = await both(log).aafter("big", "", 2000)
        assert [(event.id, event.action) for event in found] == [(id_, str(i)) for i, id_ in enumerate(many)]
        assert counting.round_trips == 4
        assert await both(log).arecord_many([]) == []
        assert counting.round_trips == 4

    async def test_the_stream_is_bounded(self, transport: SharedConnection, both: Both) -> None:
        log = EventLog(transport=transport, max_len=200)
        for _ in range(10):
            await both(log).arecord_many([("t", {"action": str(i)}) for i in range(100)])
        assert 200 <= await both(log).alength("t") <= 300  # trimmed a node of 100 entries at a time

    async def test_every_write_renews_the_life(
        self, transport: SharedConnection, both: Both, bare: redis.Redis
    ) -> None:
        log = EventLog(transport=transport, ttl_seconds=100)
        await both(log).arecord("t", "a")
        assert bare.ttl("agent:events:t") == 100
        bare.expire("agent:events:t", 5)
        await both(log).arecord("t", "b")
        assert bare.ttl("agent:events:t") == 100
        await both(EventLog(transport=transport)).arecord("u", "a")
        assert bare.ttl("agent:events:u") == -1

    async def test_forgetting_a_user(self, log: EventLog, both: Both, bare: redis.Redis) -> None:
        events = [
            *[("mixed", {"action": "a", "user": user}) for user in ("bob", "Bob", "bob ", "bobby", "")],
            *[("only", {"action": "a", "user": "bob"})] * 2500,
            *[(f"many{i}", {"action": "a", "user": "bob"}) for i in range(50)],
            *[("whole", {"action": "a", "user": "ann"})] * 3,
            ("named", {"action": "user", "detail": "bob", "name": "bob"}),
        ]
        await both(EventLog(transport=log.transport, max_len=10_000)).arecord_many(events)
        bare.hset("agent:events:no-stream", "user", "bob")
        assert await both(log).aforget_user("bob", ["whole", "absent"]) == 1 + 2500 + 50 + 3
        assert {event.user for event in await both(log).arecent("mixed")} == {"Bob", "bob ", "bobby", ""}
        assert set(bare.keys("agent:events:*")) == {
            b"agent:events:mixed",
            b"agent:events:named",
            b"agent:events:no-stream",
        }
        assert await both(log).aforget_user("bob") == 0
        with pytest.raises(InvalidInputError, match="user"):
            await both(log).aforget_user("")

    async def test_forgetting_stays_within_the_prefix(
        self, transport: SharedConnection, both: Both, bare: redis.Redis
    ) -> None:
        ours = EventLog(transport=transport, key_prefix="a[b]*:")
        others = EventLog(transport=transport, key_prefix="ab:x:")
        for log in (ours, others):
            await both(log).arecord("t", "a", user="bob")
        bare.xadd("a[b]*:é" if transport.rest else b"a[b]*:\xff", {"user": "bob"})  # JSON carries UTF-8 only
        assert await both(ours).aforget_user("bob", thorough=True) == 2
        assert bare.keys("a[^g]*") == [b"ab:x:t"]

    @pytest.mark.parametrize("ts", ["nan", "inf", "-1", "1e300", "soon", ""])
    async def test_an_odd_time_is_that_of_the_entry(
        self, log: EventLog, both: Both, bare: redis.Redis, ts: str
    ) -> None:
        bare.xadd(
            "agent:events:t", {"action": "x", "ts": ts, "duration_seconds": "inf"}, id="1715990400100-0"
        )
        (event,) = await both(log).arecent("t")
        assert (event.ts, event.duration_seconds) == (1715990400.1, None)

    async def test_events_of_another_writer_are_read(
        self, log: EventLog, both: Both, bare: redis.Redis
    ) -> None:
        bare.xadd(
            "agent:events:t", {"action": "tool_call", "detail": "x", "ts": "1715990400.1", "mood": "ok"}
        )
        (event,) = await both(log).arecent("t")
        assert (event.action, event.ts, event.fields) == ("tool_call", 1715990400.1, {"mood": "ok"})


@given(thread_id=scopes, other=scopes, user=scopes)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_thread_and_a_user_match_themselves_alone(url: str, thread_id: str, other: str, user: str) -> None:
    with EventLog(url) as log:
        log.record(thread_id, "a", user=user)
        assert log.recent(thread_id)[0].user == user
        assert log.length(other) == (other == thread_id)
        assert log.forget_user(other) == (other == user)
        assert log.clear(thread_id) == (other != user)


def test_writers_at_the_same_time_keep_their_own_order(url: str) -> None:
    with EventLog(url, max_len=10_000) as log:

        def write(name: str) -> None:
            for start in range(0, 200, 10):
                log.record_many([("t", {"action": f"{name}{start + i}"}) for i in range(10)])

        writers = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        actions = [event.action for event in log.after("t", "", 10_000)]
    assert len(actions) == 800
    for name in "abcd":
        assert [action for action in actions if action[0] == name] == [f"{name}{i}" for i in range(200)]


def test_no_stream_is_ever_without_its_time_to_live(url: str, bare: redis.Redis) -> None:
    lives: set[int] = set()
    done = threading.Event()

    def watch() -> None:
        with redis.Redis.from_url(url) as client:
            while not done.is_set():
                lives.update(client.ttl(f"agent:events:{i}") for i in range(20))

    watcher = threading.Thread(target=watch)
    watcher.start()
    with EventLog(url, ttl_seconds=50) as log:
        for _ in range(30):
            for i in range(20):
                log.record(str(i), "a")
            bare.flushdb()
    done.set()
    watcher.join()
    assert -1 not in lives
    assert 50 in lives


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("decode", [False, True])
async def test_any_client_gives_the_same(url: str, protocol: int, decode: bool) -> None:
    options = {"protocol": protocol, "decode_responses": decode}
    with redis.Redis.from_url(url, **options) as client:
        log = EventLog(client=client)
        log.record("t", "a", "détail")
        assert [(e.action, e.detail) for e in log.recent("t")] == [("a", "détail")]
        assert log.forget_user("x") == 0
        log.close()
        assert client.ping()
    async with redis.asyncio.Redis.from_url(url, **options) as aclient:
        alog = EventLog(async_client=aclient)
        await alog.arecord("t", "b")
        assert [e.action for e in await alog.arecent("t")] == ["b", "a"]
        await alog.aclose()
        assert await aclient.ping()


async def test_only_what_was_opened_is_closed(url: str, transport: SharedConnection) -> None:
    EventLog(transport=transport).close()
    async with EventLog(transport=transport) as log:
        await log.arecord("t", "a")
    assert (await transport.arun(log.record_op([("t", {"action": "b"})])))[0]
    own = EventLog(url)
    await own.aclose()
    await own.aclose()
    with pytest.raises(ConfigurationError, match="closed"):
        own.length("t")


@pytest.mark.parametrize(
    "options",
    [
        *({"max_len": n} for n in (0, -1, 1.5, None)),
        *({"ttl_seconds": n} for n in (0, -1, True)),
        {"max_detail_bytes": 0},
        {"key_prefix": None},
    ],
)
def test_settings_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(options))):
        EventLog("redis://nowhere", **options)


def test_a_transport_and_a_url_are_one_too_many(transport: SharedConnection) -> None:
    with pytest.raises(ConfigurationError, match="only one"):
        EventLog("redis://nowhere", transport=transport)


def test_recording_raises_when_the_server_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACE, "stop", stop_after_delay(0.1))
    with EventLog("unix:///nowhere/at/all.sock") as log, pytest.raises(StoreError):
        asyncio.run(log.arecord("t", "a"))
