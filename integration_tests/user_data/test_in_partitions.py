"""What is per user, in partitions: forgotten, exported, listed, and used by commands and the MCP server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import partial

import pytest
import redis

from integration_tests.cli.conftest import agentmem
from integration_tests.conftest import forget_what_is_known
from integration_tests.mcp_server.clients import over_stdio
from integration_tests.user_data.test_exporting import (  # noqa: F401 - they run here on partitions
    test_every_tier_of_the_user_and_of_nobody_else,
    test_tiers_and_a_thread_are_chosen,
)
from integration_tests.user_data.test_forgetting import (  # noqa: F401
    test_a_thread_that_is_written_to_meanwhile_stays_in_the_record,
    test_events_are_reached_though_the_session_has_expired,
    test_what_the_record_does_not_name_is_found_by_a_thorough_search,
)
from integration_tests.user_data.test_importing import (  # noqa: F401
    test_lines_are_stored_once_however_often_they_are_imported,
)
from integration_tests.words import WordEmbeddings
from integration_tests.worker.conftest import Facts, enqueue
from langchain_agentmem import (
    AgentMemory,
    EventLog,
    MemoryWorker,
    RedisHashChatMessageHistory,
    WorkingMemory,
)
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.errors import ConfigurationError
from tests.twins import Both

KEYS = Keys(partitions=16)


@pytest.fixture
async def memory(url: str) -> AsyncIterator[AgentMemory]:
    async with AgentMemory(url, embeddings=WordEmbeddings(), partitions=16) as memory:
        yield memory


async def test_threads_are_noted_in_their_users_partition_by_whatever_writes(
    url: str, both: Both, bare: redis.Redis
) -> None:
    users = [f"user {number}" for number in range(20)]
    async with WorkingMemory(url, partitions=16) as working, EventLog(url, partitions=16) as events:
        for user in users:
            await both(working).aappend_turn(f"{user}'s first", "user", "Hello.", user=user)
            await both(events).arecord(f"{user}'s second", "note", user=user)
            history = RedisHashChatMessageHistory(f"{user}'s third", user=user, url=url, partitions=16)
            history.add_user_message("Hello.")
            history.close()
            record = KEYS.of(user).threads(user)
            assert set(bare.zrangebyscore(record, 0, "+inf")) == {
                f"{user}'s {which}".encode() for which in ("first", "second", "third")
            }
            page = await both(working).alist_sessions(user=user, limit=1)
            rest = await both(working).alist_sessions(user=user, cursor=page.cursor)
            listed = [one.thread_id for one in (*page.sessions, *rest.sessions)]
            assert listed == [f"{user}'s third", f"{user}'s first"]
        assert len(await both(working).alist_threads()) == 40
        others = {key for key in bare.keys("agent:threads:*") if b"{" not in key}
        assert others == {b"agent:threads:partitions"}


async def test_whoever_comes_with_another_number_is_refused_by_every_tier(
    memory: AgentMemory, url: str, bare: redis.Redis, both: Both
) -> None:
    await both(memory.working).aappend_turn("t", "user", "Hello.", user="ada")
    forget_what_is_known(url)
    before = {key: bare.dump(key) for key in bare.scan_iter()}
    async with AgentMemory(url, embeddings=WordEmbeddings(), partitions=8) as other:
        store = other.store(index=False)
        context = partial(both(other).aread_turn, "t", user="ada", text="Hello?")
        for call in (
            lambda: both(other.working).aappend_turn("t", "user", "Hello.", user="ada"),
            lambda: both(other.working).alist_sessions(user="ada"),
            lambda: both(other.working).aload("t"),
            lambda: both(other.events).arecord("t", "note", user="ada"),
            lambda: both(other.long_term).arecall("tea", user="ada"),
            lambda: both(store).aput(("ada",), "k", {}),
            lambda: both(store).aget(("ada",), "k"),
            lambda: both(store).asearch(("ada",)),
            lambda: both(other.tasks).awaiting(),
            lambda: both(other).aforget_user("ada"),
            context,
        ):
            with pytest.raises(ConfigurationError, match=r"are in 16 partitions, and partitions is 8\."):
                await call()
    async with AgentMemory(url, embeddings=WordEmbeddings()) as plain:
        for dry_run in (True, False):
            with pytest.raises(ConfigurationError, match=r"are in 16 partitions, and partitions is None\."):
                await both(plain).aforget_user("ada", dry_run=dry_run)
    async with WorkingMemory(url, partitions=8) as working, EventLog(url, partitions=8) as events:
        for call in (
            lambda: both(working).aappend_turn("t", "user", "Hello.", user="ada"),
            lambda: both(events).arecord("t", "note", user="ada"),
        ):
            with pytest.raises(
                ConfigurationError, match="records of threads under 'agent:threads:' are in 16"
            ):
                await call()
    assert {key: bare.dump(key) for key in bare.scan_iter()} == before


def test_a_worker_and_commands_say_so_in_one_sentence(memory: AgentMemory, url: str) -> None:
    memory.working.append_turn("t", "user", "Hello.", user="ada")
    for words in (
        ("sessions", "--user", "ada"),
        ("forget", "ada", "--yes"),
        ("worker", "--failed"),
        ("doctor",),
    ):
        done = agentmem(*words, url=url, AGENTMEM_PARTITIONS="8")
        assert done.returncode, words
        assert "are in 16 partitions, and not in 8. Set AGENTMEM_PARTITIONS to 16" in done.stderr, done
        assert "Traceback" not in done.stderr


def test_the_commands_see_all_partitions(url: str) -> None:
    people = {"ada", "bob", "eve"}
    with AgentMemory(url, partitions=16) as memory:
        for user in sorted(people):
            memory.working.append_turn(f"thread of {user}", "user", "Hello.", user=user)
            memory.store(index=False, user_of=lambda namespace: namespace[0]).put((user,), "k", {})
    agentmem("remember", "Ada likes tea", "--user", "ada", url=url, AGENTMEM_PARTITIONS="16")
    assert (
        "Ada likes tea"
        in agentmem("recall", "tea", "--user", "ada", url=url, AGENTMEM_PARTITIONS="16").stdout
    )
    everybody = agentmem("sessions", "--all-users", url=url, AGENTMEM_PARTITIONS="16").stdout
    assert all(f"thread of {user}" in everybody for user in people)
    assert agentmem("forget", "ada", "--yes", url=url, AGENTMEM_PARTITIONS="16").returncode == 0
    options = [option for what in ("memories", "sessions", "store") for option in ("--what", what)]
    exported = [
        json.loads(line)
        for line in agentmem("export", *options, url=url, AGENTMEM_PARTITIONS="16").stdout.splitlines()
    ]
    assert sorted(line["user"] for line in exported) == ["bob"] * 3 + ["eve"] * 3


def test_failed_tasks_are_listed_and_replayed_by_commands(memory: AgentMemory, url: str) -> None:
    for user in ("ada", "bob"):
        enqueue(memory, "poison", thread=f"thread of {user}", user=user)
    MemoryWorker(memory, extractor=Facts(failing="poison"), max_attempts=1).run(once=True)
    failed = [
        json.loads(line)
        for line in agentmem(
            "worker", "--failed", "--json", url=url, AGENTMEM_PARTITIONS="16"
        ).stdout.splitlines()
    ]
    assert {one["user"] for one in failed} == {"ada", "bob"}
    assert {f"{{{one['id'].partition(':')[0]}}}" in KEYS.of(one["user"]).tasks_prefix for one in failed} == {
        True
    }
    done = agentmem("worker", "--replay", failed[0]["id"], url=url, AGENTMEM_PARTITIONS="16")
    assert (done.returncode, "1 task" in done.stdout) == (0, True)
    assert memory.tasks.waiting() == (1, 1)


async def test_the_mcp_server_remembers_in_the_users_partition(url: str, bare: redis.Redis) -> None:
    async with over_stdio(url, "--user", "ada", AGENTMEM_PARTITIONS="16") as client:
        await client.remember("Ana lives in Lisbon")
        assert await client.recall("who lives in Lisbon") == ["Ana lives in Lisbon"]
    assert len(bare.keys(f"{KEYS.of('ada').memory_prefix}*")) == 1
