"""A user's sessions as a list: in order, page by page, with titles, and nobody else's."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from langchain_core.messages import AIMessage, HumanMessage

from integration_tests.conftest import ON_EVERY_BACKEND, Both, Counting
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.events.event_log import EventLog
from langchain_agentmem.transport.connections import SharedConnection
from langchain_agentmem.working.working_memory import WorkingMemory
from tests.strategies import scopes


async def pages(working: WorkingMemory, both: Both, user: str, limit: int) -> list[list[str]]:
    found: list[list[str]] = []
    cursor: str | None = None
    while True:
        page = await both(working).alist_sessions(user=user, limit=limit, cursor=cursor)
        found.append([one.thread_id for one in page.sessions])
        if page.cursor is None:
            return found
        cursor = page.cursor


@ON_EVERY_BACKEND
@pytest.mark.parametrize("storage", ["hash", "list"])
async def test_those_active_last_come_first(transport: SharedConnection, both: Both, storage: Any) -> None:
    working = WorkingMemory(transport=transport, storage=storage)
    for thread in ("a", "b", "c"):
        await both(working).aappend_turn(thread, "user", f"  The {thread}\nof\tit ", user="alice")
    await both(working).aappend_turn("bobs", "user", "his", user="bob")
    await both(working).aappend_turn("a", "assistant", "yes", user="alice")
    page = await both(working).alist_sessions(user="alice")
    assert [one.thread_id for one in page.sessions] == ["a", "c", "b"]
    assert page.cursor is None
    first = page.sessions[0]
    assert (first.user, first.title, first.goal, first.turn_count) == ("alice", "The a of it", "", 2)
    assert first.created_ts < first.last_active_ts
    assert await pages(working, both, "bob", 5) == [["bobs"]]
    assert await pages(working, both, "nobody", 5) == [[]]


@ON_EVERY_BACKEND
async def test_recent_sessions_are_whole_and_of_everybody_or_one(
    transport: SharedConnection, bare: redis.Redis, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langchain_agentmem.working.listing._PAGE", 2)
    working = WorkingMemory(transport=transport)
    for thread, user in (("a", "alice"), ("b", "bob"), ("c", "alice"), ("d", "bob"), ("a", "alice")):
        await both(working).aappend_turn(thread, "user", f"in {thread}", user=user)
    recent = await both(working).arecent_sessions(3)
    assert [one.thread_id for one in recent] == ["a", "d", "c"]
    assert [message.content for message in recent[0].messages] == ["in a", "in a"]
    bare.hset("agent:session:other", mapping={"user": "alice", "last_active_ts": 1})
    assert [one.thread_id for one in await both(working).arecent_sessions(user="alice")] == ["a", "c"]
    thorough = await both(working).arecent_sessions(user="alice", thorough=True)
    assert [one.thread_id for one in thorough] == ["a", "c", "other"]
    for wrong in ({"limit": 0}, {"user": ""}):
        with pytest.raises(InvalidInputError, match=next(iter(wrong))):
            await both(working).arecent_sessions(**wrong)


@ON_EVERY_BACKEND
async def test_pages_name_each_session_once(
    transport: SharedConnection, bare: redis.Redis, both: Both
) -> None:
    working = WorkingMemory(transport=transport)
    threads = [f"t{number:02}" for number in range(50)]
    for thread in threads:
        await both(working).astart(thread, user="alice")
    key = Keys().threads("alice")
    bare.zadd(key, dict.fromkeys(threads[:45], 1000.5))  # at the same time
    for limit in (1, 7, 50, 100):
        found = await pages(working, both, "alice", limit)
        assert sorted(thread for page in found for thread in page) == threads
        assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)
        assert found[-1]
    assert (await pages(working, both, "alice", 5))[0] == ["t49", "t48", "t47", "t46", "t45"]


async def test_a_title_is_the_goal_or_what_was_said_first(transport: SharedConnection, both: Both) -> None:
    working = WorkingMemory(transport=transport)
    await both(working).aappend("t1", [AIMessage("Welcome"), HumanMessage("x" * 81), HumanMessage("later")])
    await both(working).astart("t2", goal="book\na trip")
    await both(working).astart("t3")
    await both(working).aappend(
        "t4", [HumanMessage([{"type": "text", "text": "what is"}, {"type": "image_url"}])]
    )
    page = await both(working).alist_sessions(user="default")
    assert {one.thread_id: one.title for one in page.sessions} == {
        "t1": "x" * 79 + "…",
        "t2": "book a trip",
        "t3": "",
        "t4": "what is",
    }
    assert (await both(working).aload("t2")).title == "book a trip"


async def test_expired_and_foreign_sessions_take_no_place(
    transport: SharedConnection, bare: redis.Redis, both: Both, caplog: pytest.LogCaptureFixture
) -> None:
    working = WorkingMemory(transport=transport)
    for number in range(60):
        await both(working).astart(f"t{number:02}", user="alice")
    await both(working).astart("bobs", user="bob")
    await both(working).aappend("bobs", [HumanMessage("from her")], user="alice", check_owner=False)
    for number in range(10, 60):
        bare.delete(f"agent:session:t{number:02}")
    bare.delete("agent:session:t09")
    bare.set("agent:session:t09", "another program's")
    with caplog.at_level(logging.WARNING, "langchain_agentmem"):
        assert await pages(working, both, "alice", 4) == [
            ["t08", "t07", "t06", "t05"],
            ["t04", "t03", "t02", "t01"],
            ["t00"],
        ]
    assert "The session of thread 't09' cannot be read" in caplog.text


async def test_a_thread_that_no_list_can_have_hides_nothing_else(
    transport: SharedConnection, both: Both
) -> None:
    working = WorkingMemory(transport=transport, storage="list")
    await both(working).aappend_turn("t1", "user", "x", user="alice")
    await both(EventLog(transport=transport)).arecord("agent:session:x", "note", user="alice")
    assert await pages(working, both, "alice", 5) == [["t1"]]


async def test_pages_grow_where_sessions_have_expired(
    counting: Counting, bare: redis.Redis, both: Both
) -> None:
    working = WorkingMemory(transport=counting.transport)
    await both(working).astart("alive", user="alice")
    bare.zadd(Keys().threads("alice"), {f"expired{number}": 2e9 + number for number in range(2000)})
    before = counting.round_trips
    page = await both(working).alist_sessions(user="alice", limit=1)
    assert [one.thread_id for one in page.sessions] == ["alive"]
    assert counting.round_trips - before <= 20


async def test_odd_members_of_another_writer_do_no_harm(
    transport: SharedConnection, bare: redis.Redis, both: Both
) -> None:
    working = WorkingMemory(transport=transport)
    for thread in ("a", "b", "c"):
        await both(working).astart(thread, user="alice")
    bare.zadd(Keys().threads("alice"), {"c": float("inf"), "b": 1e300, b"\xff\xfe": 5, b"\xff": 1e300})
    found = [page for page in await pages(working, both, "alice", 1) if page]
    assert found == [["c"], ["b"], ["a"]]
    assert await both(working).aforget_user("alice") == ["c", "b", "a"]


async def test_a_page_costs_two_round_trips(counting: Counting, both: Both) -> None:
    working = WorkingMemory(transport=counting.transport)
    for number in range(5):
        await both(working).astart(f"t{number}", user="alice")
    before = counting.round_trips
    await both(working).alist_sessions(user="alice", limit=3)
    assert counting.round_trips == before + 2


@pytest.mark.parametrize("cursor", ["", "x", "1", "1:", ":t", "nan:t", "-1:t", "1..2:t", 5, "\ud800:t"])
async def test_what_is_no_cursor_is_refused(transport: SharedConnection, both: Both, cursor: Any) -> None:
    with pytest.raises(InvalidInputError, match="cursor"):
        await both(WorkingMemory(transport=transport)).alist_sessions(user="alice", cursor=cursor)
    with pytest.raises(InvalidInputError, match="user"):
        await both(WorkingMemory(transport=transport)).alist_sessions(user="")
    with pytest.raises(InvalidInputError, match="limit"):
        await both(WorkingMemory(transport=transport)).alist_sessions(user="alice", limit=0)


@given(first=scopes, second=scopes, thread=scopes)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_user_matches_itself_alone(url: str, first: str, second: str, thread: str) -> None:
    with WorkingMemory(url) as working:
        working.start(thread, user=first)
        for user in (first, second):
            found = [one.thread_id for one in working.list_sessions(user=user).sessions]
            assert found == ([thread] if user == first else [])
        assert working.forget_user(second) == ([thread] if second == first else [])
        working.forget_user(first)


class TestTheRecordLivesAsLongAsWhatItNames:
    """However lives are mixed, the record goes when the last thing it names does, and not before."""

    async def life(self, bare: redis.Redis) -> int:
        return int(bare.ttl(Keys().threads("alice")))

    async def test_of_sessions(self, transport: SharedConnection, bare: redis.Redis, both: Both) -> None:
        working = WorkingMemory(transport=transport, ttl_seconds=100)
        await both(working).aappend("t1", [HumanMessage("x")], user="alice")
        assert await self.life(bare) == 100
        await both(working).astart("t2", user="alice", ttl_seconds=5000)
        bare.expire(Keys().threads("alice"), 10)
        await both(working).aappend("t2", [HumanMessage("x")], user="alice")  # which lives 5,000 s more
        assert await self.life(bare) == bare.ttl("agent:session:t2") == 5000
        await both(working).astart("t3", user="alice", ttl_seconds=None)
        await both(working).aappend("t1", [HumanMessage("x")], user="alice")
        assert await self.life(bare) == -1

    async def test_of_a_session_that_changes_hands(
        self, transport: SharedConnection, bare: redis.Redis, both: Both
    ) -> None:
        working = WorkingMemory(transport=transport, ttl_seconds=100)
        await both(working).astart("t1", ttl_seconds=None)
        await both(working).astart("t1", user="alice")
        assert await self.life(bare) == -1
        await both(working).astart("t2", ttl_seconds=5000)
        await both(working).astart("t2", user="bob")
        assert int(bare.ttl(Keys().threads("bob"))) == 5000

    async def test_of_whatever_else_there_is(
        self, transport: SharedConnection, bare: redis.Redis, both: Both
    ) -> None:
        working = WorkingMemory(transport=transport, ttl_seconds=100, threads_ttl_seconds=700)
        await both(working).astart("t1", user="alice")
        assert await self.life(bare) == 700

    async def test_of_events(self, transport: SharedConnection, bare: redis.Redis, both: Both) -> None:
        await both(EventLog(transport=transport, ttl_seconds=70)).arecord("t1", "note", user="alice")
        assert await self.life(bare) == 70
        await both(EventLog(transport=transport)).arecord("t1", "note", user="alice")
        assert await self.life(bare) == -1
        await both(EventLog(transport=transport)).arecord("t1", "note")
        assert bare.keys("agent:threads:*") == [b"agent:threads:alice"]


def test_sessions_elsewhere_have_records_elsewhere(url: str, bare: redis.Redis) -> None:
    with WorkingMemory(url, key_prefix="mine:") as mine, WorkingMemory(url) as working:
        mine.start("t1", user="alice")
        working.start("t2", user="alice")
        assert [one.thread_id for one in mine.list_sessions(user="alice").sessions] == ["t1"]
        assert [one.thread_id for one in working.list_sessions(user="alice").sessions] == ["t2"]
    assert bare.exists("threads:mine:alice", "agent:threads:alice") == 2
