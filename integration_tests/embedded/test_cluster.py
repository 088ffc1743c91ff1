"""A private Redis Cluster is whole when it is ready, survives a server, and ends with its user."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.cluster import RedisCluster

from integration_tests import clusters
from integration_tests.clusters import SLOTS, client_of, clients_of_primaries, node_on, slots_of
from integration_tests.embedded.conftest import is_running
from integration_tests.waiting import wait_until
from langchain_agentmem import EmbeddedCluster
from langchain_agentmem.embedded import binaries
from langchain_agentmem.embedded import cluster as cluster_module
from langchain_agentmem.embedded.cluster_setup import ask_node
from langchain_agentmem.embedded.server_process import ARGUMENTS_OF_NODE
from langchain_agentmem.errors import ConfigurationError, EmbeddedRedisError

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere servers outlive their supervisor")

# Says what it has, and lives until its stdin closes.
_USER = """
import json, os, sys
from langchain_agentmem import EmbeddedCluster

cluster = EmbeddedCluster(primaries=1, replicas=1).start()
if "fork" in sys.argv:
    child = os.fork()
    if not child:
        cluster.close()
        os._exit(0)
    os.waitpid(child, 0)
pids = [node.pid for node in cluster.nodes]
print(json.dumps({"pids": pids, "data_dir": str(cluster.data_dir)}), flush=True)
sys.stdin.read()
"""


def redis_cluster(cluster: EmbeddedCluster) -> RedisCluster:
    port = next(node.port for node in cluster.nodes if node.role == "primary")
    return RedisCluster(host="127.0.0.1", port=port, password=cluster.password, protocol=2)


def pids_of(cluster: EmbeddedCluster) -> list[int]:
    return [node.pid for node in cluster.nodes if node.pid is not None]


def supervisor_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[1])


def without_servers(pids: list[int]) -> None:
    wait_until(lambda: not any(map(is_running, pids)))


@pytest.fixture
def parent() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="am-")).resolve()
    yield folder
    shutil.rmtree(folder)


class TestReady:
    def test_every_node_calls_it_ok_and_knows_all_others(self, cluster: EmbeddedCluster) -> None:
        for node in cluster.nodes:
            told = ask_node(node.port, cluster.password, "CLUSTER INFO").splitlines()
            assert {"cluster_state:ok", "cluster_known_nodes:6", "cluster_size:3"} <= set(told)
            assert "handshake" not in ask_node(node.port, cluster.password, "CLUSTER NODES")

    def test_every_slot_has_one_primary(self, cluster: EmbeddedCluster) -> None:
        slots = [slots_of(cluster, node.port) for node in cluster.nodes if node.role == "primary"]
        assert len(slots) == 3
        assert set().union(*slots) == set(range(SLOTS))
        assert sum(map(len, slots)) == SLOTS
        assert {len(each) for each in slots} <= {SLOTS // 3, SLOTS // 3 + 1}

    def test_every_primary_has_a_replica_with_its_data(
        self, cluster: EmbeddedCluster, cluster_url: str
    ) -> None:
        with redis_cluster(cluster) as client:
            for number in range(100):
                client.set(f"key-{number}", number)
        replicas = {node.primary_port: node.port for node in cluster.nodes if node.role == "replica"}
        assert set(replicas) == {node.port for node in cluster.nodes if node.role == "primary"}
        found = 0
        for primary, replica in replicas.items():
            assert primary is not None
            with client_of(cluster, primary) as client, client_of(cluster, replica) as copy:
                assert client.wait(1, 10_000) == 1
                keys = client.keys()
                found += len(keys)
                assert sorted(copy.keys()) == sorted(keys)
        assert found == 100

    def test_epochs_differ(self, cluster: EmbeddedCluster) -> None:
        port = cluster.nodes[0].port
        nodes = map(str.split, ask_node(port, cluster.password, "CLUSTER NODES").splitlines())
        epochs = [node[6] for node in nodes if "master" in node[2]]
        assert len(set(epochs)) == len(epochs) == 3

    @pytest.mark.parametrize("time", ["first", "second"])
    def test_a_test_begins_with_an_empty_cluster(
        self, cluster: EmbeddedCluster, cluster_url: str, primaries: list[redis.Redis], time: str
    ) -> None:
        with redis_cluster(cluster) as client:
            for number, primary in enumerate(primaries):
                assert primary.dbsize() == 0
                assert primary.script_exists(primary.script_load("return 7")[:-1] + "x") == [False]
                client.set(f"key-{number}", 1)
        assert cluster_url.startswith("redis+cluster://:")
        assert cluster_url.count("@127.0.0.1:") == 1
        assert cluster_url.count(",127.0.0.1:") == 5


class TestSearch:
    def test_an_index_with_a_hash_tag_is_in_its_slot_beside_its_documents(
        self, cluster: EmbeddedCluster, cluster_url: str, primaries: list[redis.Redis]
    ) -> None:
        index = "idx:{p17}"
        with redis_cluster(cluster) as client:
            create = (index, "ON", "HASH", "PREFIX", 1, "doc:{p17}:", "SCHEMA", "text", "TEXT")
            client.execute_command("FT.CREATE", *create)
            client.hset("doc:{p17}:1", "text", "a flat in Porto")
            client.json().set("json:{p17}:1", "$", {"a": 1})
            assert client.json().get("json:{p17}:1", "$.a") == [1]
            wait_until(lambda: client.execute_command("FT.SEARCH", index, "porto", "NOCONTENT")[0] == 1)
        owner = clusters.port_of_slot(cluster, clusters.slot_of_key(index))
        for primary in primaries:
            is_owner = primary.connection_pool.connection_kwargs["port"] == owner
            assert (index.encode() in primary.execute_command("FT._LIST")) == is_owner


class TestPrivacy:
    def test_it_asks_for_its_password_and_shows_it_nowhere(self, cluster: EmbeddedCluster) -> None:
        assert cluster.password not in repr(cluster)
        for node in cluster.nodes:
            for command in ("PING", "CLUSTER NODES", "CLUSTER RESET HARD"):
                with socket.create_connection((node.host, node.port)) as connection:
                    connection.sendall(f"{command}\r\n".encode())
                    assert connection.recv(100).startswith(b"-NOAUTH ")
        if sys.platform == "linux":
            for pid in pids_of(cluster):
                for each in (pid, supervisor_of(pid)):
                    assert cluster.password.encode() not in Path(f"/proc/{each}/cmdline").read_bytes()

    def test_its_servers_listen_on_this_machine_only(self, primaries: list[redis.Redis]) -> None:
        for primary in primaries:
            assert primary.config_get("bind") == {"bind": "127.0.0.1"}

    def test_a_server_that_has_read_only_a_part_of_its_configuration_listens_nowhere(
        self, cluster: EmbeddedCluster, parent: Path
    ) -> None:
        files = cluster._servers.files if cluster._servers else None
        assert files is not None
        (node,) = cluster._configs(replace(files, modules=()), [parent / "node-1"], clusters.free_ports(1))
        lines = node["config"].splitlines(keepends=True)
        assert lines[-1] == f"port {node['port']}\n"
        for count in range(1, len(lines)):
            done = subprocess.run(
                [files.server, *ARGUMENTS_OF_NODE],
                input="".join(lines[:count]).encode(),
                cwd=parent,
                stdout=subprocess.PIPE,
                timeout=10,
                check=False,
            )
            assert done.returncode == 1, lines[:count]
            assert b"not listen anywhere" in done.stdout

    def test_its_folder_is_for_the_user_only(self, cluster: EmbeddedCluster) -> None:
        assert cluster.data_dir is not None
        folders = [cluster.data_dir, *cluster.data_dir.glob("node-*")]
        assert len(folders) == 7
        assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
        assert stat.S_IMODE((cluster.data_dir / "cluster.json").stat().st_mode) == 0o600


class TestEnding:
    def user(self, *words: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        process = subprocess.Popen(
            [sys.executable, "-c", _USER, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        return process, json.loads(process.stdout.readline())

    def test_a_killed_user_leaves_no_server_and_no_folder(self) -> None:
        process, got = self.user()
        with process:
            assert all(map(is_running, got["pids"]))
            assert len(got["pids"]) == 2
            process.send_signal(signal.SIGKILL)
        without_servers(got["pids"])
        wait_until(lambda: not Path(got["data_dir"]).exists())

    def test_a_forked_child_can_let_go_of_it_alone(self) -> None:
        process, got = self.user("fork")
        with process:
            assert len(got["pids"]) == 2
            assert all(map(is_running, got["pids"]))
        without_servers(got["pids"])

    def test_after_close_nothing_is_left(self) -> None:
        cluster = EmbeddedCluster(primaries=1, replicas=0).start()
        pids, folder = pids_of(cluster), cluster.data_dir
        assert folder is not None
        cluster.close()
        assert not folder.exists()
        assert not any(map(is_running, pids))
        assert cluster.nodes == []
        cluster.close()

    @linux_only
    def test_a_killed_supervisor_takes_its_servers_along_and_start_begins_anew(self) -> None:
        with EmbeddedCluster(primaries=1, replicas=0) as cluster:
            (pid,), folder = pids_of(cluster), cluster.data_dir
            os.kill(supervisor_of(pid), signal.SIGKILL)
            without_servers([pid])
            assert [node.role for node in cluster.nodes] == ["down"]
            assert len(pids_of(cluster.start())) == 1
            assert folder is not None
            assert not folder.exists()

    @pytest.mark.parametrize(("number", "words"), [(signal.SIGINT, ["--json"]), (signal.SIGTERM, [])])
    def test_the_command_runs_one_until_it_is_told_to_end(
        self, number: signal.Signals, words: list[str], parent: Path
    ) -> None:
        command = [sys.executable, "-m", "langchain_agentmem.cli", "cluster", "--replicas", "0", *words]
        # What a server or its supervisor kept of these would keep a reader waiting; so files.
        with (parent / "said").open("w+") as said, (parent / "told").open("w+") as told:
            process = subprocess.Popen(command, stdout=said, stderr=told)
            with process:
                wait_until(lambda: "\n" in (parent / "said").read_text(), seconds=60)
                if not words:
                    wait_until(lambda: "Ctrl-C ends it." in (parent / "told").read_text())
                first = (parent / "said").read_text()
                shown = json.loads(first) if words else {"url": first.strip()}
                ports = [int(each.rpartition(":")[2]) for each in shown["url"].split(",")]
                for port in ports:
                    socket.create_connection(("127.0.0.1", port)).close()
                process.send_signal(number)
            assert process.returncode == 0
        assert (parent / "told").read_text().endswith("Ended.\n")
        assert (parent / "said").read_text() == first
        if words:
            assert [node["role"] for node in shown["nodes"]] == ["primary"] * 3
            without_servers([node["pid"] for node in shown["nodes"]])
        else:
            assert f"export AGENTMEM_URL='{shown['url']}'\n" in (parent / "told").read_text()
            for port in ports:
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", port))


class TestChanges:
    def test_a_killed_primary_is_replaced_and_comes_back_as_a_replica(self) -> None:
        with EmbeddedCluster() as cluster, redis_cluster(cluster) as client:
            for number in range(300):
                client.set(f"key-{number}", number)
            primary, *_ = ports = [node.port for node in cluster.nodes]
            replica = next(node.port for node in cluster.nodes if node.primary_port == primary)
            slots = slots_of(cluster, primary)
            with client_of(cluster, primary) as one:
                one.wait(1, 10_000)

            clusters.kill(cluster, primary)
            wait_until(lambda: node_on(cluster, replica).role == "primary", seconds=15)
            wait_until(lambda: slots_of(cluster, replica) == slots)

            clusters.restart(cluster, primary)
            wait_until(lambda: node_on(cluster, primary).primary_port == replica)
            wait_until(lambda: all("cluster_state:ok" in told for told in self.infos(cluster, ports)))
            assert [client.get(f"key-{number}") for number in range(300)] == [
                b"%d" % number for number in range(300)
            ]

    def infos(self, cluster: EmbeddedCluster, ports: list[int]) -> list[str]:
        return [ask_node(port, cluster.password, "CLUSTER INFO") for port in ports]

    def test_a_node_can_be_added_and_slots_moved_to_it(self) -> None:
        with EmbeddedCluster(primaries=2, replicas=0) as cluster, redis_cluster(cluster) as client:
            slot = clusters.slot_of_key("{tag}")
            source = clusters.port_of_slot(cluster, slot)
            for number in range(250):
                client.set(f"key-{number}:{{tag}}", number)
            target = clusters.add_node(cluster)
            assert [node.role for node in cluster.nodes] == ["primary"] * 3
            assert slots_of(cluster, target) == set()

            clusters.begin_to_move_slot(cluster, slot, source, target)
            clusters.move_keys(cluster, slot, source, target, count=50)
            with client_of(cluster, source) as one, client_of(cluster, target) as other:
                assert (one.dbsize(), other.dbsize()) == (200, 50)
            clusters.move_keys(cluster, slot, source, target)
            clusters.end_move_of_slot(cluster, slot, target)
            clusters.move_slots(cluster, range(slot + 1, slot + 3), source, target)

            assert slots_of(cluster, target) == {slot, slot + 1, slot + 2}
            assert {slot} & slots_of(cluster, source) == set()
            with clients_of_primaries(cluster) as primaries:
                assert [one.dbsize() for one in primaries if one.dbsize()] == [250]
            assert client.get("key-249:{tag}") == b"249"


class TestData:
    def test_a_folder_keeps_it_at_the_same_url_or_where_a_port_is_taken_at_another(
        self, parent: Path
    ) -> None:
        def held(cluster: EmbeddedCluster) -> list[object]:
            with redis_cluster(cluster) as client:
                return [client.get(f"key-{number}") for number in range(50)]

        with EmbeddedCluster(parent / "data", primaries=2) as cluster:
            url, port = cluster.url, cluster.nodes[0].port
            with redis_cluster(cluster) as client:
                for number in range(50):
                    client.set(f"key-{number}", number)
            values = held(cluster)
            with pytest.raises(ConfigurationError, match="another cluster uses this folder"):
                EmbeddedCluster(parent / "data", primaries=2).start()
        assert None not in values

        with EmbeddedCluster(parent / "data", primaries=2) as cluster:
            assert cluster.url == url
            assert held(cluster) == values

        with pytest.raises(ConfigurationError, match=r"primaries=2 and replicas=1: it can only"):
            EmbeddedCluster(parent / "data").start()

        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", port))
            other.listen()
            with EmbeddedCluster(parent / "data", primaries=2) as cluster:
                assert port not in {node.port for node in cluster.nodes}
                assert cluster.url.partition("@")[0] == url.partition("@")[0]
                assert held(cluster) == values

    def test_a_start_that_was_broken_off_begins_anew(self, parent: Path) -> None:
        (parent / "node-1").mkdir(mode=0o700)
        (parent / "node-1" / "nodes.conf").write_text("nonsense")
        with pytest.raises(ConfigurationError, match=r"a cluster without cluster\.json"):
            EmbeddedCluster(parent, primaries=1, replicas=0).start()
        assert (parent / "node-1" / "nodes.conf").read_text() == "nonsense"
        (parent / "cluster.json").write_text('{"whole": false}')
        (parent / "cluster.json").chmod(0o600)
        with EmbeddedCluster(parent, primaries=1, replicas=0) as cluster:
            assert [node.role for node in cluster.nodes] == ["primary"]


class TestPorts:
    def test_where_one_is_taken_meanwhile_others_are_used(
        self, cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        works = cluster._servers.files if cluster._servers else None
        monkeypatch.setattr(binaries, "find_candidates", lambda *, search: [works])
        free_ports, asked = cluster_module.free_ports, []
        (taken,) = free_ports(1)  # a port that a cluster's node can have, unlike many that the system picks
        with socket.socket() as other:
            other.bind(("127.0.0.1", taken))
            other.listen()

            def first_taken(count: int) -> list[int]:
                asked.append(count)
                return [taken] if len(asked) == 1 else free_ports(count)

            monkeypatch.setattr(cluster_module, "free_ports", first_taken)
            with EmbeddedCluster(primaries=1, replicas=0) as other_cluster:
                assert [node.role for node in other_cluster.nodes] == ["primary"]
                assert [node.port for node in other_cluster.nodes] != [taken]
        assert asked == [1, 1]

    def test_one_is_free_only_with_the_one_for_other_nodes(self) -> None:
        port, second = clusters.free_ports(2)
        assert second == port + 1
        assert cluster_module._is_free(port)
        for taken in (port, port + 10_000):
            with socket.socket() as other:
                other.bind(("127.0.0.1", taken))
                other.listen()
                assert not cluster_module._is_free(port)

    def test_the_first_one_can_be_chosen(self) -> None:
        first, *_ = clusters.free_ports(2)
        with EmbeddedCluster(primaries=1, replicas=1, port=first, password="a b"[::2] + "%@'/") as cluster:
            assert [node.port for node in cluster.nodes] == [first, first + 1]
            assert cluster.url.startswith("redis+cluster://:ab%25%40%27%2F@127.0.0.1:")
            with pytest.raises(EmbeddedRedisError, match=f"port {first}, or port {first + 10_000}"):
                EmbeddedCluster(port=first).start()
