"""Forgetting a user is complete, touches nobody else, and can be repeated after any failure; a dry run tells."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableLambda

from integration_tests.conftest import Both, Counting
from integration_tests.waiting import wait_until
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory, EmbeddedRedis, Forgotten, LongTermMemory, WorkingMemory
from langchain_agentmem.core.operations import Op
from langchain_agentmem.core.removal import Removed
from langchain_agentmem.errors import StoreConnectionError, StoreError
from langchain_agentmem.longterm.redisearch.schema import IndexSettings

HELLO = [HumanMessage("hello")]


@pytest.fixture
async def memory(url: str) -> AsyncIterator[AgentMemory]:
    async with AgentMemory(url, embeddings=WordEmbeddings()) as memory:
        yield memory


def left_of(bare: redis.Redis, *prefixes: str) -> list[bytes]:
    """Return the keys that are there, but not those that hold the number of partitions, which is nobody's."""
    found = (key for prefix in prefixes or ("agent:",) for key in bare.scan_iter(f"{prefix}*"))
    return sorted(key for key in found if not key.endswith(b":partitions"))


READING = {
    b"hash": ("HGETALL",),
    b"ReJSON-RL": ("JSON.GET",),
    b"string": ("GET",),
    b"list": ("LRANGE", 0, -1),
    b"zset": ("ZRANGE", 0, -1, "WITHSCORES"),
    b"stream": ("XRANGE", "-", "+"),
}


def stored(bare: redis.Redis) -> dict[bytes, tuple[Any, Any]]:
    """Every key with what it holds, and when it expires."""
    keys = sorted(bare.keys())
    with bare.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.type(key)
        types = pipe.execute()
        for key, kind in zip(keys, types, strict=True):
            name, *rest = READING[kind]
            pipe.execute_command(name, key, *rest).expiretime(key)
        found = pipe.execute()
    return dict(zip(keys, zip(found[::2], found[1::2], strict=True), strict=True))


async def forgotten(
    both: Both, memory: AgentMemory, bare: redis.Redis, user: str = "alice", *, thorough: bool = False
) -> Forgotten:
    """Forget a user; before, a dry run says exactly what will be removed, and changes no key."""
    before = stored(bare)
    told = await both(memory).aforget_user(user, thorough=thorough, dry_run=True)
    assert stored(bare) == before
    gone: Forgotten = await both(memory).aforget_user(user, thorough=thorough)
    assert gone == told
    return gone


def store_raw(bare: redis.Redis, user: str, count: int, dimensions: int, prefix: str = "agent:mem:") -> None:
    """Documents as the package writes them, written past it."""
    with bare.pipeline(transaction=False) as pipe:
        for number in range(count):
            document = {
                "id": f"{user}{dimensions}x{number}",
                **{"user": user, "namespace": "default", "kind": "semantic", "source_thread": ""},
                **{"text": f"fact {number}", "hit_count": 0, "created_ts": 1.5},
                "embedding": [1.0, *[0.5] * (dimensions - 1)],
            }
            pipe.execute_command("JSON.SET", f"{prefix}{document['id']}", "$", json.dumps(document))
        pipe.execute()


def create_index(bare: redis.Redis, dimensions: int) -> None:
    settings = IndexSettings("agentmem:idx", "agent:mem:", "json", "hnsw", "float32")
    bare.execute_command(*settings.create(dimensions).args)


@pytest.mark.parametrize("dry_run", [False, True])
async def test_memories_are_forgotten_while_the_index_is_being_backfilled(
    memory: AgentMemory, bare: redis.Redis, both: Both, dry_run: bool
) -> None:
    memory.long_term.remember("it has used the index", user="alice")
    memory.long_term.drop_index()
    store_raw(bare, "alice", 6000, 64)
    store_raw(bare, "bob", 5, 64)
    memory.long_term.recall("fact", user="bob")  # makes it again, and knows it from then on
    bare.execute_command("FT.DROPINDEX", "agentmem:idx")
    create_index(bare, 64)  # by somebody else
    assert (await both(memory).aforget_user("alice", dry_run=dry_run)).memories == 6001
    assert len(left_of(bare, "agent:mem:")) == (6006 if dry_run else 5)


@pytest.mark.parametrize("how", ["forget_user", "clear"])
async def test_memories_that_the_index_refused_are_forgotten(
    memory: AgentMemory, bare: redis.Redis, both: Both, how: str
) -> None:
    store_raw(bare, "alice", 5, 64)
    store_raw(bare, "bob", 5, 64)
    create_index(bare, 32)  # after a change of model
    store_raw(bare, "alice", 1, 32)
    wait_until(lambda: b"hash_indexing_failures" in b" ".join(map(bytes, _flat(bare))))
    long_term = LongTermMemory(transport=memory.transport, embeddings=WordEmbeddings(32))
    if how == "clear":
        assert await both(long_term).aclear(user="alice") == 6
    else:
        assert await both(long_term).aforget_user("alice") == 6
    assert len(left_of(bare, "agent:mem:")) == 5


def _flat(bare: redis.Redis) -> list[bytes]:
    info = bare.execute_command("FT.INFO", "agentmem:idx")
    items = info.items() if isinstance(info, dict) else zip(info[::2], info[1::2], strict=True)
    return [name if isinstance(name, bytes) else str(name).encode() for name, _ in items]


async def test_memories_are_forgotten_without_an_index(
    memory: AgentMemory, bare: redis.Redis, both: Both
) -> None:
    store_raw(bare, "alice", 3, 64)
    assert (await forgotten(both, memory, bare)).memories == 3
    assert left_of(bare) == []


async def test_what_does_not_say_whose_it_is_is_reported(
    memory: AgentMemory, bare: redis.Redis, both: Both
) -> None:
    bare.execute_command("JSON.SET", "agent:mem:x", "$", '{"text": "whose?", "user": 5}')
    bare.hset("agent:mem:y", "text", "whose?")
    bare.set("agent:mem:z", "no memory")
    gone = await forgotten(both, memory, bare)
    assert gone.unreached == ["2 documents under 'agent:mem:' do not say whose they are"]
    assert len(left_of(bare, "agent:mem:")) == 3


@pytest.mark.parametrize("expired", [False, True])
async def test_events_are_reached_though_the_session_has_expired(
    memory: AgentMemory, bare: redis.Redis, both: Both, expired: bool
) -> None:
    await both(memory.working).aappend("t1", HELLO, user="alice")
    await both(memory.events).arecord("t1", "note", "it names nobody")
    await both(memory.events).arecord("t1", "note", "it names her", user="alice")
    if expired:
        bare.delete("agent:session:t1")
    gone = await forgotten(both, memory, bare)
    assert (gone.threads, gone.events, gone.unreached) == ([] if expired else ["t1"], 2, [])
    assert left_of(bare) == []


async def test_a_second_call_finishes_what_a_first_began(
    memory: AgentMemory, bare: redis.Redis, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    await both(memory.working).aappend("t1", HELLO, user="alice")
    await both(memory.events).arecord("t1", "note", "it names nobody")

    def broken(*_: Any, **__: Any) -> Op[None]:
        yield from ()
        raise StoreConnectionError("cut")

    with monkeypatch.context() as patched:
        patched.setattr(memory.events, "forget_op", broken)
        gone = await both(memory).aforget_user("alice")
        assert gone.unreached == ["cut"]
        assert left_of(bare, "agent:threads:") == [b"agent:threads:alice"]
    assert (await both(memory).aforget_user("alice")).events == 1
    assert left_of(bare) == []


async def test_a_key_of_another_type_hides_nothing_else(
    memory: AgentMemory, bare: redis.Redis, both: Both
) -> None:
    for thread in ("a", "b", "c", "d"):
        await both(memory.working).aappend(thread, HELLO, user="alice")
        await both(memory.events).arecord(thread, "note", user="alice")
    for key in ("agent:session:b", "agent:events:c"):
        bare.delete(key)
        bare.set(key, "another program's")
    gone = await forgotten(both, memory, bare)
    assert (sorted(gone.threads), gone.events, len(gone.unreached)) == (["a", "c", "d"], 3, 2)
    assert all("holds another program's data" in sentence for sentence in gone.unreached)
    bare.delete("agent:session:b", "agent:events:c")
    bare.xadd("agent:events:c", {"action": "note"})  # as it was, past the record
    again = await forgotten(both, memory, bare)
    assert (again.events, again.unreached) == (1, [])
    assert left_of(bare) == []


async def test_what_others_own_stays(memory: AgentMemory, bare: redis.Redis, both: Both) -> None:
    await both(memory.working).aappend("bobs", HELLO, user="bob")
    await both(memory.working).aappend("bobs", HELLO, user="alice", check_owner=False)
    for user in ("alice", "bob", ""):
        await both(memory.events).arecord("bobs", "note", user=user)
        await both(memory.events).arecord("nobodys", "note", user=user)
    gone = await forgotten(both, memory, bare)
    assert (gone.threads, gone.events) == ([], 2)
    assert len(await both(memory.working).amessages("bobs")) == 2
    for thread in ("bobs", "nobodys"):
        assert {event.user for event in await both(memory.events).arecent(thread)} == {"bob", ""}
    assert left_of(bare, "agent:threads:") == [b"agent:threads:bob"]


async def test_what_the_record_does_not_name_is_found_by_a_thorough_search(
    memory: AgentMemory, bare: redis.Redis, both: Both
) -> None:
    bare.hset("agent:session:old", mapping={"user": "alice", "turn_count": 1, "recent_turns": "[]"})
    bare.hset("agent:session:bobs", mapping={"user": "bob", "turn_count": 1, "recent_turns": "[]"})
    for thread in ("old", "bobs", "other"):
        bare.xadd(f"agent:events:{thread}", {"action": "a", "user": "alice"})
        bare.xadd(f"agent:events:{thread}", {"action": "a"})
    assert (await forgotten(both, memory, bare)).threads == []
    gone = await forgotten(both, memory, bare, thorough=True)
    assert (gone.threads, gone.events, gone.unreached) == (["old"], 4, [])
    assert left_of(bare) == [b"agent:events:bobs", b"agent:events:other", b"agent:session:bobs"]


async def test_a_thread_leaves_the_record_of_those_without_a_name_too(
    memory: AgentMemory, bare: redis.Redis, both: Both
) -> None:
    await both(memory.working).aappend("t1", HELLO, user="alice")
    await both(memory.working).aappend("t1", HELLO)
    await both(memory.working).aappend("t2", HELLO)
    await forgotten(both, memory, bare)
    assert left_of(bare) == [b"agent:session:t2", b"agent:threads:default"]
    assert bare.zrangebyscore("agent:threads:default", 0, "+inf") == [b"t2"]


async def test_nothing_is_scanned_where_the_index_is_sound(
    memory: AgentMemory, bare: redis.Redis, both: Both
) -> None:
    chain = memory.wrap(RunnableLambda(lambda _: "ok"))
    for number in range(3):
        ids = {"session_id": f"t{number}", "user_id": "alice"}
        chain.invoke(f"fact {number}", {"configurable": ids})
    before = bare.info("commandstats").get("cmdstat_scan", {}).get("calls", 0)
    gone = await forgotten(both, memory, bare)
    assert (len(gone.threads), gone.memories) == (3, 3)
    assert bare.info("commandstats").get("cmdstat_scan", {}).get("calls", 0) == before
    assert left_of(bare) == []


async def test_a_thread_that_is_written_to_meanwhile_stays_in_the_record(
    memory: AgentMemory, bare: redis.Redis, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    await both(memory.working).aappend("t1", HELLO, user="alice")
    forget = memory.working.forget_op

    def slowly(user: str, threads: Any, removed: Removed) -> Op[list[str]]:
        gone = yield from forget(user, threads, removed)
        memory.working.append("t1", HELLO, user="alice")
        return gone

    monkeypatch.setattr(memory.working, "forget_op", slowly)
    await both(memory).aforget_user("alice")
    assert [one.thread_id for one in (await both(memory).alist_sessions(user="alice")).sessions] == ["t1"]


async def test_a_tier_says_what_it_could_not_reach(
    memory: AgentMemory, bare: redis.Redis, both: Both
) -> None:
    for thread in ("a", "b"):
        await both(memory.working).aappend(thread, HELLO, user="alice")
        await both(memory.events).arecord(thread, "note", user="alice")
    for tier in ("session", "events"):
        bare.delete(f"agent:{tier}:a")
        bare.set(f"agent:{tier}:a", "another program's")
    for tier in (memory.working, memory.events):
        with pytest.raises(StoreError, match="1 deleted, but 1 not reached"):
            await both(tier).aforget_user("alice")
    assert len(left_of(bare, "agent:session:", "agent:events:")) == 2


async def test_a_session_kept_as_a_list_is_forgotten_by_a_client_of_either_storage(
    url: str, memory: AgentMemory, bare: redis.Redis, both: Both
) -> None:
    async with AgentMemory(url, embeddings=WordEmbeddings(), session_storage="list") as lists:
        for thread in ("t1", "t2"):
            await both(lists.working).aappend(thread, HELLO, user="alice")
        assert sorted((await forgotten(both, memory, bare)).threads) == ["t1", "t2"]
    assert bare.keys() == []


async def test_a_list_that_has_lost_its_hash_is_reported_until_it_is_gone(
    url: str, bare: redis.Redis, both: Both
) -> None:
    async with AgentMemory(url, embeddings=WordEmbeddings(), session_storage="list") as lists:
        await both(lists.working).aappend("t1", HELLO, user="alice")
        bare.delete("agent:session:t1")
        for _ in range(2):
            gone = await forgotten(both, lists, bare)
            assert gone.unreached == ["'t1': a list of messages that does not say whose it is"]
        bare.delete("t1")
        assert (await forgotten(both, lists, bare)).unreached == []
    assert bare.keys() == []


async def test_what_names_nobody_is_forgotten_after_a_real_expiry(
    url: str, bare: redis.Redis, both: Both
) -> None:
    async with AgentMemory(url, embeddings=WordEmbeddings(), session_ttl_seconds=1) as memory:
        await both(memory.working).aappend("t1", HELLO, user="alice")
        await both(memory.events).arecord("t1", "note", "it names nobody")
        wait_until(lambda: not bare.exists("agent:session:t1"))
        assert (await forgotten(both, memory, bare)).events == 1
    assert left_of(bare) == []


@pytest.mark.parametrize("events_ttl_seconds", [None, 3600])
async def test_the_events_of_an_exchange_are_forgotten_after_a_real_expiry(
    url: str, bare: redis.Redis, both: Both, events_ttl_seconds: int | None
) -> None:
    options: dict[str, Any] = {"session_ttl_seconds": 1, "events_ttl_seconds": events_ttl_seconds}
    async with AgentMemory(url, embeddings=WordEmbeddings(), **options) as memory:
        chain = memory.wrap(RunnableLambda(lambda _: "ok"), remember=None)
        await both(chain).ainvoke("hello", {"configurable": {"session_id": "t1", "user_id": "alice"}})
        # Only what the exchange itself noted can name the thread then.
        wait_until(lambda: not bare.exists("agent:session:t1"))
        assert bare.ttl("agent:threads:alice") == pytest.approx(bare.ttl("agent:events:t1"), abs=1)
        gone = await forgotten(both, memory, bare)
        assert (gone.threads, gone.events) == ([], 4)
    assert left_of(bare) == []


@pytest.mark.parametrize("user", ["alice", "default"])
async def test_what_is_written_meanwhile_is_found_by_the_next_call_whatever_the_clocks_say(
    memory: AgentMemory, bare: redis.Redis, both: Both, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    await both(memory.working).aappend("t1", HELLO, user=user)
    forget = memory.working.forget_op

    def slowly(*arguments: Any) -> Op[list[str]]:
        gone = yield from forget(*arguments)
        memory.events.record_many([("t1", {"action": "note", "user": user, "ts": 5.0})])  # a clock that lags
        return gone

    with monkeypatch.context() as patched:
        patched.setattr(memory.working, "forget_op", slowly)
        await both(memory).aforget_user(user)
    assert (await both(memory).aforget_user(user)).events == 1
    assert left_of(bare) == []


async def test_events_from_before_1970_are_found(memory: AgentMemory, bare: redis.Redis, both: Both) -> None:
    await both(memory.events).arecord_many([("t1", {"action": "note", "user": "alice", "ts": -3600.0})])
    assert (await forgotten(both, memory, bare)).events == 1
    assert left_of(bare) == []


async def test_odd_members_and_keys_hide_nothing_else(
    memory: AgentMemory, bare: redis.Redis, both: Both
) -> None:
    await both(memory.working).aappend("t1", HELLO, user="alice")
    bare.zadd("agent:threads:alice", {"x" * 5000: 5, b"\xff": 6, "": 7})
    for key in (b"agent:session:", b"agent:session:\xff", b"agent:session:" + b"y" * 5000):
        bare.hset(key, mapping={"user": "alice", "turn_count": 1})
    bare.hset(b"agent:session:\xfe", mapping={"user": "bob", "turn_count": 1})
    assert len((await both(memory).alist_sessions(user="alice")).sessions) == 1
    assert list(memory.export_user("alice"))
    gone = await forgotten(both, memory, bare, thorough=True)
    assert (gone.threads, gone.unreached) == (["t1"], [])
    assert left_of(bare, "agent:session:") == [b"agent:session:\xfe"]


async def test_a_life_that_no_key_can_have_is_for_ever(
    memory: AgentMemory, bare: redis.Redis, both: Both, caplog: pytest.LogCaptureFixture
) -> None:
    bare.zadd("agent:threads:alice", {"": -1e30})
    await both(WorkingMemory(transport=memory.transport)).aappend("t1", HELLO, user="alice")
    assert bare.ttl("agent:threads:alice") == -1
    assert caplog.text == ""


async def test_a_record_of_another_type_costs_no_message_and_is_reported(
    memory: AgentMemory, bare: redis.Redis, both: Both, caplog: pytest.LogCaptureFixture
) -> None:
    bare.set("agent:threads:alice", "another program's")
    chain = memory.wrap(RunnableLambda(lambda _: "ok")).with_retry(stop_after_attempt=3)
    assert chain.invoke("hello", {"configurable": {"session_id": "t1", "user_id": "alice"}}) == "ok"
    assert (await both(memory.working).aappend_turn("t1", "user", "again", user="alice")).turn_count == 3
    assert caplog.text.count("Thread 't1' could not be noted") >= 2
    gone = await forgotten(both, memory, bare, thorough=True)
    assert (gone.threads, len(gone.unreached)) == (["t1"], 1)
    assert left_of(bare) == [b"agent:threads:alice"]


async def test_without_search_hashes_are_found_by_a_thorough_search(both: Both) -> None:
    with EmbeddedRedis(search=False) as server:
        async with AgentMemory(server.url, embeddings=WordEmbeddings(), storage="hash") as memory:
            with redis.Redis.from_url(server.url) as client:
                client.hset(
                    "agent:mem:1", mapping={"user": "alice", "namespace": "default", "kind": "semantic"}
                )
                gone = await forgotten(both, memory, client)
                assert (gone.memories, gone.unreached) == (0, [])
                assert (await forgotten(both, memory, client, thorough=True)).memories == 1
                assert client.keys() == []


async def test_round_trips_do_not_grow_with_the_threads(url: str, both: Both) -> None:
    async with AgentMemory(url, embeddings=WordEmbeddings()) as memory:
        for number in range(200):
            memory.working.append(f"t{number}", HELLO, user="alice")
            memory.events.record(f"t{number}", "note", user="alice")
        memory.long_term.remember("a fact", user="alice")
        for dry_run in (True, False):
            counting = Counting(memory.transport)
            gone = await both(memory).aforget_user("alice", dry_run=dry_run)
            assert (len(gone.threads), gone.memories, gone.events) == (200, 1, 200)
            assert counting.round_trips <= 6


async def test_a_dry_run_counts_every_page_of_memories_and_nobody_elses(
    memory: AgentMemory, bare: redis.Redis, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langchain_agentmem.longterm.redisearch.clearing._PAGE", 3)
    texts = [f"fact {number}" for number in range(10)]
    for user in ("alice", "alice2", "Alice", "alice,bob"):
        memory.long_term.remember_many(texts, user=user)
    assert (await both(memory).aforget_user("Alice ", dry_run=True)).memories == 0
    assert (await forgotten(both, memory, bare)).memories == 10
    assert len(left_of(bare, "agent:mem:")) == 30
