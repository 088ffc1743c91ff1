"""The commands on a real Redis Cluster, most of them by the same tests as on a single server."""

from __future__ import annotations

import json

import pytest

from integration_tests.cli.conftest import NO_MODEL, agentmem, table
from integration_tests.cli.test_chat import (  # noqa: F401 - they run here on a cluster
    test_options_choose_whose_where_and_whether,
)
from integration_tests.cli.test_chat_exports import (  # noqa: F401
    test_a_zip_of_chatgpt_becomes_conversations_and_memories_once,
)
from integration_tests.cli.test_consolidate import (  # noqa: F401
    ids,
    test_a_model_judges_what_is_near,
    test_it_tells_what_would_be_done_and_does_it_if_asked,
)
from integration_tests.cli.test_export import (  # noqa: F401
    other,
    test_what_is_exported_comes_back_equal,
)
from integration_tests.cli.test_import_export import (  # noqa: F401
    test_messages_keep_their_thread_user_and_time,
)
from integration_tests.cli.test_looking import (  # noqa: F401
    checks,
    filled,
    test_a_session_shows_its_state_its_window_and_its_life,
    test_events_are_shown_oldest_first,
    test_following_shows_events_that_are_written_later,
    test_sessions_are_listed_the_latest_first,
)
from integration_tests.cli.test_memory_commands import (  # noqa: F401
    test_forgetting_without_a_question,
    test_what_is_remembered_is_recalled_and_listed_and_deleted,
    test_what_would_be_forgotten_is_told_and_stays,
)
from integration_tests.clusters import ask, kill
from integration_tests.waiting import wait_until
from langchain_agentmem import AgentMemory, EmbeddedCluster

USERS = [f"user {number}" for number in range(12)]


@pytest.fixture
def url(cluster_url: str) -> str:
    return cluster_url


def node_alone(cluster: EmbeddedCluster) -> str:
    """The URL of one node, as if it were a single server."""
    return f"redis://:{cluster.password}@127.0.0.1:{cluster.nodes[0].port}"


def test_users_on_all_nodes_are_listed_exported_changed_and_forgotten(url: str) -> None:
    with AgentMemory(url, embeddings=None) as memory:
        for user in USERS:
            memory.working.append_turn(f"thread of {user}", "user", f"I am {user}.", user=user)
            memory.events.record(f"thread of {user}", "noted", f"note of {user}", user=user)
            memory.long_term.remember(f"{user} likes tea", user=user, embedding=[1.0] * 384)
    rows = table(agentmem("sessions", "--all-users", "--limit", "50", url=url).stdout)
    assert sorted(row["user"] for row in rows) == sorted(USERS)
    exported = [json.loads(line) for line in agentmem("export", url=url, **NO_MODEL).stdout.splitlines()]
    assert {line["user"] for line in exported if "text" in line} == {*USERS}
    assert sum("content" in line for line in exported) == len(USERS)
    done = json.loads(agentmem("forget", USERS[0], "--yes", "--thorough", "--json", url=url).stdout)
    assert (done["threads"], done["memories"], done["events"]) == ([f"thread of {USERS[0]}"], 1, 1)
    assert done["unreached"] == []
    known = next(line["id"] for line in exported if "text" in line and line["user"] == USERS[1])
    changed = agentmem("update", known[:8], "I like milk", "--user", USERS[1], url=url)
    assert (changed.returncode, "error" in changed.stderr) == (0, False)
    for user in USERS[:2]:
        listed = json.loads(agentmem("memories", "--user", user, "--json", url=url).stdout)
        assert [one["text"] for one in listed] == ["I like milk"] * (user != USERS[0])


def test_the_doctor_finds_a_fit_cluster_fit(url: str) -> None:
    done = agentmem("remember", "x y z", "--user", "ada", url=url)
    assert done.returncode == 0, done.stderr
    done = agentmem("doctor", "--json", url=url)
    found = checks(done)
    assert done.returncode == 0
    assert found["cluster"] == ("ok", "3 primaries, 3 replicas")
    assert "1 document" in found["index"][1]
    assert found["long-term"][1].startswith("1 key, ")
    named = [one["name"] for one in json.loads(done.stdout)["checks"]]
    assert {name for name in named if named.count(name) > 1} == {"server"}


@pytest.mark.usefixtures("url")
def test_a_node_alone_is_refused_with_the_url_to_use(cluster: EmbeddedCluster) -> None:
    alone = node_alone(cluster)
    told = f"Connect by redis+cluster://127.0.0.1:{cluster.nodes[0].port}, or rediss+cluster:// with TLS."
    doctor = agentmem("doctor", url=alone)
    assert (doctor.returncode, doctor.stdout.count("is a node of a Redis Cluster")) == (1, 1)
    for arguments in (("sessions", "--user", "ada"), ("remember", "x", "--user", "ada"), ("export",)):
        done = agentmem(*arguments, url=alone)
        assert (done.returncode, done.stdout) == (1, "")
        assert told in done.stderr
        assert cluster.password not in done.stderr
    assert told in doctor.stdout


def wait_until_all_say(cluster: EmbeddedCluster, ports: list[int], command: str, words: str) -> None:
    wait_until(lambda: all(words in ask(cluster, port, command) for port in ports), seconds=30)


def test_the_doctor_names_a_replica_that_was_killed() -> None:
    with EmbeddedCluster() as cluster:
        killed = next(node.port for node in cluster.nodes if node.role == "replica")
        kill(cluster, killed)
        primaries = [node.port for node in cluster.nodes if node.role == "primary"]
        wait_until_all_say(cluster, primaries, "CLUSTER NODES", " slave,fail ")
        done = agentmem("doctor", "--json", url=cluster.url)
        verdict, says = checks(done)["cluster"]
        assert (done.returncode, verdict) == (0, "warning")
        assert says.startswith(f"3 primaries, 2 replicas; 127.0.0.1:{killed} cannot be reached by the others")
        assert says.count("without a replica") == 1


def test_the_doctor_tells_of_slots_that_nobody_serves() -> None:
    with EmbeddedCluster(replicas=0) as cluster:
        done = agentmem("remember", "x y z", "--user", "ada", url=cluster.url)
        assert done.returncode == 0, done.stderr
        killed, *others = [node.port for node in cluster.nodes]
        kill(cluster, killed)
        wait_until_all_say(cluster, others, "CLUSTER INFO", "cluster_state:fail")
        done = agentmem("doctor", "--json", url=cluster.url)
        verdict, says = checks(done)["cluster"]
        assert (done.returncode, verdict) == (1, "broken")
        assert f"slots are not served, state fail; 127.0.0.1:{killed} cannot be reached" in says
