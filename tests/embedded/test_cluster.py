"""What of a private cluster needs no server: its arguments, its configuration, what nodes know of ports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from langchain_agentmem import EmbeddedCluster
from langchain_agentmem.embedded.cluster import _tell_ports
from langchain_agentmem.embedded.launch import render_node_config
from langchain_agentmem.errors import ConfigurationError

IDS = ["a" * 40, "b" * 40]
REST = "master - 0 0 1 connected 0-8191"


@pytest.mark.parametrize(
    "how",
    [
        {"primaries": 0},
        {"replicas": -1},
        {"primaries": 26, "replicas": 3},
        {"port": 0},
        {"port": 55_534},
        {"password": ""},
        {"password": "two words"},
        {"password": "a\nport 1"},
        {"password": "schön"},
        {"node_timeout_ms": 0},
        {"start_timeout_seconds": 0},
        {"data_dir": ""},
        {"options": {"port": "1"}},
        {"options": {"Cluster-Enabled": "no"}},
        {"options": {"masterauth": "x"}},
        {"options": {"maxmemory": "1gb\nbind 0.0.0.0"}},
    ],
)
def test_what_cannot_be_right_is_refused_before_anything_starts(how: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        EmbeddedCluster(**how)


def test_one_that_is_not_started_has_no_nodes_and_does_not_show_its_password() -> None:
    cluster = EmbeddedCluster(password="very-secret")
    assert cluster.nodes == []
    assert cluster.data_dir is None
    assert repr(cluster) == "EmbeddedCluster(ephemeral, primaries=3, replicas=1, started=False)"
    cluster.close()


def test_a_node_listens_by_the_last_line_of_its_configuration_only() -> None:
    lines = render_node_config(
        Path("/data"),
        7000,
        'se"cret',
        node_timeout_ms=500,
        durable=True,
        modules=[Path("/m/redisearch.so")],
        options={"maxmemory": "1gb", "cluster-require-full-coverage": "no"},
    ).splitlines()
    assert lines[:2] == ["port 0", 'requirepass "se\\x22cret"']
    assert lines[-1] == "port 7000"
    assert {
        'masterauth "se\\x22cret"',
        "cluster-enabled yes",
        "cluster-node-timeout 500",
        "appendonly yes",
        'loadmodule "/m/redisearch.so"',
        "maxmemory 1gb",
        "cluster-require-full-coverage no",
    } <= set(lines)


class TestPortsOfAFolder:
    def folders(self, tmp_path: Path, *texts: str) -> list[Path]:
        folders = [tmp_path / f"node-{number}" for number in range(len(texts))]
        for folder, text in zip(folders, texts, strict=True):
            folder.mkdir()
            (folder / "nodes.conf").write_text(text)
        return folders

    def test_every_node_is_told_those_of_all_and_nothing_else_changes(self, tmp_path: Path) -> None:
        def known(ports: list[int], own: int, second_field: str = ",,tls-port=0,shard-id=7001") -> str:
            flags = ["myself,master" if number == own else "master" for number in range(2)]
            lines = [
                f"{node} 127.0.0.1:{port}@{port + 10_000}{second_field} {flag} - 0 0 1 connected 7001"
                for node, port, flag in zip(IDS, ports, flags, strict=True)
            ]
            forgotten = f"{'c' * 40} 127.0.0.1:7001@17001,, slave,fail {IDS[0]} 0 0 1 connected"
            return "\n".join([*lines, forgotten, "vars currentEpoch 7001 lastVoteEpoch 0", ""])

        # The second one was told of other ports already, by a start that was broken off.
        folders = self.folders(tmp_path, known([7000, 7001], 0), known([7001, 7002], 1))
        _tell_ports(folders, [7002, 7001])
        for own, folder in enumerate(folders):
            assert (folder / "nodes.conf").read_text() == known([7002, 7001], own)

    @pytest.mark.parametrize("second", ["", "nonsense", f"{IDS[0]} 127.0.0.1:1@10001 myself,{REST}\n"])
    def test_nodes_that_are_not_all_there_are_refused(self, tmp_path: Path, second: str) -> None:
        first = f"{IDS[0]} 127.0.0.1:7000@17000 myself,{REST}\n"
        folders = self.folders(tmp_path, first, second)
        with pytest.raises(ConfigurationError, match="incomplete"):
            _tell_ports(folders, [1, 2])
        assert (folders[0] / "nodes.conf").read_text() == first
