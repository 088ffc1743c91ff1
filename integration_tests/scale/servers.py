"""The servers that are measured: one alone, or a cluster of so many primaries; their CPU time and memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import redis

from integration_tests.transport.conftest import Server
from langchain_agentmem import EmbeddedCluster, EmbeddedRedis
from langchain_agentmem.embedded.binaries import find_candidates, make_runnable

STANDALONE = "standalone"
_NODE_TIMEOUT_MS = 15_000  # Redis's own default: where servers share few cores, one may only be late


class Servers:
    """One Redis, or the primaries of a cluster.

    Attributes:
        url: What `AgentMemory` connects to.
        clients: A client of each primary.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.clients = [client for client in _clients(url) if client.info("replication")["role"] == "master"]
        self._pids = [int(client.info("server")["process_id"]) for client in self.clients]

    def cpu_seconds(self) -> float:
        """Return the CPU time that all primaries have had, with all their threads."""
        return sum(map(_cpu_seconds, self._pids))

    def used_bytes(self) -> int:
        """Return the memory that the primaries' data, indexes and buffers take."""
        return self._summed("used_memory")

    def resident_bytes(self) -> int:
        """Return the memory that the system has given to the primaries."""
        return self._summed("used_memory_rss")

    def _summed(self, name: str) -> int:
        return sum(int(client.info("memory")[name]) for client in self.clients)

    def close(self) -> None:
        """Close the clients."""
        for client in self.clients:
            client.close()


def _clients(url: str) -> list[redis.Redis]:
    """Return a client of each server that a URL names."""
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    found = []
    for one in hosts.split(","):
        host, _, port = one.partition(":")
        names: dict[str, Any] = {"username": unquote(user) or None, "password": unquote(password) or None}
        found.append(redis.Redis(host=host, port=int(port or 6379), **names))
    return found


def _cpu_seconds(pid: int) -> float:
    """Return a process's CPU time to the nanosecond; its children's, such as a collector's, are not in it."""
    threads = Path("/proc", str(pid), "task").glob("*/schedstat")
    return sum(int(one.read_text().split()[0]) for one in threads) / 1e9


@contextmanager
def started(on: str) -> Iterator[Servers]:
    """Start `standalone`, or a cluster of so many primaries; both listen on TCP, and keep nothing on disk."""
    with ExitStack() as stack:
        if on == STANDALONE:
            with EmbeddedRedis():
                pass  # one that runs here is found out, and is the first from then on
            found = make_runnable(find_candidates(search=True)[0])
            modules = [word for module in found.modules for word in ("--loadmodule", str(module))]
            url = stack.enter_context(closing(Server(found.server, *modules))).url
        else:
            cluster = EmbeddedCluster(primaries=int(on), replicas=0, node_timeout_ms=_NODE_TIMEOUT_MS)
            url = stack.enter_context(cluster).url
        yield stack.enter_context(closing(Servers(url)))
