"""What a user of an ACL may do: the rights that docs/how-to/cluster.md names are enough, and needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from integration_tests.clusters import client_of
from integration_tests.moving.conftest import contents
from integration_tests.words import WordEmbeddings
from integration_tests.worker.conftest import Facts, converse, memory_of, texts, waiting
from langchain_agentmem import AgentMemory, EmbeddedCluster, MemoryWorker, move_memory
from langchain_agentmem.errors import ClusterNodeError, StoreAuthenticationError

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "cluster.md"
USERS = [f"user {number}" for number in range(6)]
Grant = Callable[[list[str]], str]


def documented() -> list[str]:
    """The rights on the page."""
    (rule,) = re.findall(r"^ACL SETUSER agentmem on >PASSWORD ((?:[^`]|\n)*?)```", PAGE.read_text(), re.M)
    return str(rule).split()


@pytest.fixture
def grant(cluster: EmbeddedCluster, cluster_url: str) -> Iterator[Grant]:
    """Makes a user with rights on every node, and returns the URL of the cluster for it."""

    def on_all_nodes(*words: str) -> None:
        for node in cluster.nodes:
            with client_of(cluster, node.port) as client:
                client.execute_command("ACL", *words)

    def grant(rights: list[str]) -> str:
        on_all_nodes("SETUSER", "agentmem", "reset", "on", ">user-secret", *rights)
        return cluster_url.replace(f"//:{cluster.password}@", "//agentmem:user-secret@")

    yield grant
    on_all_nodes("DELUSER", "agentmem")


def test_a_user_with_these_rights_uses_everything(grant: Grant) -> None:
    url = grant(documented())
    assert "agentmem:user-secret" in url
    with memory_of(url, recall_from_replicas=True) as memory:
        store = memory.store(
            index={"dims": 64, "embed": WordEmbeddings(64)}, user_of=lambda namespace: namespace[0]
        )
        for user in USERS:
            thread = f"thread of {user}"
            converse(memory, f"fact of {user}", thread=thread, user=user)
            memory.events.record(thread, "note", user=user)
            old = memory.long_term.remember(f"I am {user}.", user=user, kind="semantic")
            assert memory.long_term.remember(f"I am {user}.", user=user, kind="semantic").deduped
            new = memory.long_term.remember(f"I am still {user}.", user=user, replaces=old.id)
            memory.long_term.update(new.id, "I have a boat.", user=user)
            memory.long_term.recall("Who has a boat?", user=user)
            store.put((user, "notes"), "k", {"text": "tea"}, ttl=5)
            store.put((user, "notes"), "gone", {"text": "tea"})
            store.delete((user, "notes"), "gone")
            assert [item.key for item in store.search((user,), query="tea")] == ["k"]
        assert MemoryWorker(memory, extractor=Facts()).run(once=True).exchanges == len(USERS)
        failing = MemoryWorker(memory, extractor=Facts(failing="poison"), max_attempts=1)
        converse(memory, "poison", user=USERS[0])
        assert failing.run(once=True).set_aside == 1
        assert memory.tasks.replay() == 1
        assert MemoryWorker(memory, extractor=Facts()).run(once=True).exchanges == 1
        assert waiting(memory) == (0, 0)
        assert "fact of user 1" in texts(memory, USERS[1])
        assert len(memory.working.list_threads()) == len(USERS) + 1
        assert memory.long_term.consolidate(user=USERS[1], dry_run=True) is not None
        for user in USERS:
            assert {line["user"] for line in memory.export_user(user)} == {user}
            gone = memory.forget_user(user, thorough=user == USERS[0])
            assert (gone.unreached, gone.items, gone.events > 0) == ([], 1, True)
        memory.long_term.rebuild_index()
        memory.long_term.clear()
        memory.long_term.drop_index()


def test_a_single_server_needs_them_without_those_of_a_cluster_and_a_move_one_more(
    grant: Grant, url: str, bare: redis.Redis
) -> None:
    of_a_cluster = documented()
    line = next(one.split() for one in PAGE.read_text().splitlines() if one.startswith("+cluster|slots"))
    rights = [right for right in of_a_cluster if right not in line]
    assert len(rights) == len(of_a_cluster) - len(line)
    bare.execute_command("ACL", "SETUSER", "alone", "reset", "on", ">user-secret", *rights)
    try:
        of_its_own = re.sub(r"//[^@/]*@", "//alone:user-secret@", url)
        assert "alone:" in of_its_own
        with memory_of(of_its_own) as memory:
            converse(memory, "a fact", user="alice")
            memory.long_term.remember("I have a boat.", user="alice", kind="semantic")
            assert memory.long_term.recall("Who has a boat?", user="alice")
            assert MemoryWorker(memory, extractor=Facts()).run(once=True).exchanges == 1
            assert memory.working.list_threads() == ["t1"]
            target = grant(of_a_cluster)
            with pytest.raises(StoreAuthenticationError, match="restore"):
                move_memory(of_its_own, target)
            moved = move_memory(of_its_own, grant([*of_a_cluster, "+restore"]))
            assert (moved.ok, moved.found["memory"], moved.found["session"]) == (True, 2, 1)
            assert memory.forget_user("alice", thorough=True).unreached == []
    finally:
        bare.execute_command("ACL", "DELUSER", "alone")


def calls(memory: AgentMemory) -> dict[str, Callable[[], Any]]:
    """What is tried without some of the rights, each of which writes."""
    store = memory.store(index=False, user_of=lambda namespace: namespace[0])
    return {
        "append": lambda: memory.working.append_turn("t1", "user", "One more.", user="alice"),
        "record": lambda: memory.events.record("t1", "paid", user="alice"),
        "remember": lambda: memory.long_term.remember("I work in Rome.", user="alice", kind="semantic"),
        "delete_memory": lambda: memory.long_term.delete_memory("boat", user="alice"),
        "put": lambda: store.put(("alice",), "k", {"n": 2}),
        "delete": lambda: store.delete(("alice",), "k"),
    }


def without(*words: str) -> list[str]:
    return [right for right in documented() if not right.startswith(words)]


def test_a_user_without_the_indexes_uses_the_other_tiers(grant: Grant) -> None:
    with memory_of(grant(without("~agentmem:"))) as memory:
        for user in USERS:
            memory.working.append_turn(f"thread of {user}", "user", "Hello.", user=user)
            memory.events.record(f"thread of {user}", "note", user=user)
            assert len(memory.working.list_sessions(user=user).sessions) == 1
        with pytest.raises(StoreAuthenticationError):
            memory.long_term.remember("I have a boat.", user="alice")


EVERYTHING = {"append", "record", "remember", "delete_memory", "put", "delete"}


@pytest.mark.parametrize(
    ("rights", "named", "refused"),
    [
        (without("~agent:"), "", EVERYTHING),
        (without("+eval"), "EVALSHA", EVERYTHING),
        (without("+json."), "JSON.", {"remember", "delete_memory"}),
        (without("+ft."), "FT.", {"remember"}),
        (without("+@write", "+json.set", "+json.del", "+json.num"), "", EVERYTHING),
        (without("+cluster|slots"), "CLUSTER|SLOTS", EVERYTHING),
    ],
    ids=["keys", "scripts", "JSON", "search", "writes", "slots"],
)
def test_without_one_of_them_the_error_names_it_and_nothing_is_written(
    grant: Grant,
    cluster_url: str,
    primaries: list[redis.Redis],
    rights: list[str],
    named: str,
    refused: set[str],
) -> None:
    with memory_of(cluster_url) as memory:
        memory.working.append_turn("t1", "user", "Hello.", user="alice")
        memory.long_term.remember("I have a boat.", user="alice", kind="semantic", id="boat")
        memory.store(index=False, user_of=lambda namespace: namespace[0]).put(("alice",), "k", {"n": 1})
    with memory_of(grant(rights)) as memory:
        for name, call in calls(memory).items():
            if name not in refused:
                continue
            before = [contents(client) for client in primaries]
            with pytest.raises(StoreAuthenticationError) as caught:
                call()
            assert "lacks a permission" in caught.value.plain
            assert named in caught.value.plain
            assert "user-secret" not in f"{caught.value}{caught.value.plain}"
            assert [contents(client) for client in primaries] == before, name


def test_with_them_a_node_alone_is_not_taken_for_all_of_the_cluster(
    grant: Grant, cluster: EmbeddedCluster
) -> None:
    grant(documented())
    with memory_of(f"redis://agentmem:user-secret@127.0.0.1:{cluster.nodes[0].port}") as memory:
        for _ in range(2):
            with pytest.raises(ClusterNodeError, match=r"redis\+cluster://"):
                memory.working.list_threads()
