"""Makes a cluster of servers that have started, by the commands that `redis-cli --cluster create` sends.

Unlike that, it waits until every node knows all others, and every replica has its primary's data.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from langchain_agentmem.embedded.protocol import ask
from langchain_agentmem.errors import EmbeddedRedisError

SLOTS = 16384
_PAUSE_SECONDS = 0.03


@dataclass(frozen=True)
class ClusterNode:
    """A server of a private cluster, as it was when it was asked.

    Attributes:
        host: The address it listens on.
        port: The port it listens on.
        pid: Its process id; `None` if it does not answer.
        role: What it is; `down` if it does not answer.
        primary_port: For a replica, the port of its primary.
    """

    host: str
    port: int
    pid: int | None
    role: Literal["primary", "replica", "down"]
    primary_port: int | None = None


def ask_node(port: int, password: str, command: str) -> str:
    """Return a node's answer to one command.

    Raises:
        EmbeddedRedisError: It answers with an error.
        OSError: It does not answer.
    """
    answer = ask(("127.0.0.1", port), password, command)
    if answer.startswith("-"):
        raise EmbeddedRedisError(f"the node on port {port} refuses {command}: {answer[1:].strip()}")
    return answer.strip()


def look_at(port: int, password: str) -> ClusterNode:
    """Return what a node is now."""
    try:
        fields = _fields(ask_node(port, password, "INFO"))
        primary = None if fields["role"] == "master" else int(fields["master_port"])
        role: Literal["primary", "replica"] = "primary" if primary is None else "replica"
        return ClusterNode("127.0.0.1", port, int(fields["process_id"]), role, primary)
    except (OSError, KeyError, ValueError, EmbeddedRedisError):
        return ClusterNode("127.0.0.1", port, None, "down")


def form(ports: Sequence[int], password: str, *, primaries: int, timeout_seconds: float) -> None:
    """Make one cluster of empty nodes; the first ones become its primaries, the others replicas in turn.

    Raises:
        EmbeddedRedisError: A node refuses it, or they do not meet in time.
        OSError: A node does not answer.
    """
    deadline = time.monotonic() + timeout_seconds
    for number, port in enumerate(ports):
        # Else two nodes of one epoch may have to settle it later, which is another change of the cluster.
        ask_node(port, password, f"CLUSTER SET-CONFIG-EPOCH {number + 1}")
    for number, port in enumerate(ports[:primaries]):
        first, end = SLOTS * number // primaries, SLOTS * (number + 1) // primaries
        ask_node(port, password, f"CLUSTER ADDSLOTSRANGE {first} {end - 1}")
    for number, port in enumerate(ports):
        for other in ports[number + 1 :]:
            ask_node(port, password, f"CLUSTER MEET 127.0.0.1 {other}")
    ids = [ask_node(port, password, "CLUSTER MYID") for port in ports]
    for number, port in enumerate(ports[primaries:]):
        primary = number % primaries
        _wait(partial(_knows, port, password, ids[primary]), deadline, port)
        ask_node(port, password, f"CLUSTER REPLICATE {ids[primary]}")


def _knows(port: int, password: str, node_id: str) -> bool:
    nodes = ask_node(port, password, "CLUSTER NODES").splitlines()
    return any(line.startswith(node_id) and "handshake" not in line for line in nodes)


def wait_until_ready(ports: Sequence[int], password: str, *, primaries: int, timeout_seconds: float) -> None:
    """Return when every node knows all nodes and calls the cluster ok, and every replica is in sync.

    Raises:
        EmbeddedRedisError: Not in time.
    """
    deadline = time.monotonic() + timeout_seconds
    for port in ports:
        _wait(partial(_is_ready, port, password, len(ports), primaries), deadline, port)


def _is_ready(port: int, password: str, nodes: int, primaries: int) -> bool:
    try:
        cluster = _fields(ask_node(port, password, "CLUSTER INFO"))
        known = [line.split() for line in ask_node(port, password, "CLUSTER NODES").splitlines()]
        replication = _fields(ask_node(port, password, "INFO replication"))
    except (OSError, EmbeddedRedisError):  # it is busy, or a replica that loads its primary's data
        return False
    flags = [set(node[2].split(",")) for node in known]
    agreed = len(known) == nodes and sum("slave" in each for each in flags) == nodes - primaries
    healthy = not any({"fail", "fail?", "handshake", "noaddr"} & each for each in flags)
    synced = replication.get("role") == "master" or replication.get("master_link_status") == "up"
    return agreed and healthy and synced and cluster.get("cluster_state") == "ok"


def _fields(text: str) -> dict[str, str]:
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def _wait(predicate: Callable[[], bool], deadline: float, port: int) -> None:
    while not predicate():
        if time.monotonic() > deadline:
            raise EmbeddedRedisError(
                "the private cluster is not ready within start_timeout_seconds: the server on port "
                f"{port} still waits for the others",
                plain="The private cluster did not start in time. Try again.",
            )
        time.sleep(_PAUSE_SECONDS)
