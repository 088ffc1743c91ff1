"""What tests do to the nodes of a private cluster: look into them, kill and restart them, add one, move slots."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import redis
from redis.crc import key_slot

from integration_tests.waiting import wait_until
from langchain_agentmem.embedded.cluster import EmbeddedCluster
from langchain_agentmem.embedded.cluster import free_ports as free_ports
from langchain_agentmem.embedded.cluster_setup import ClusterNode, ask_node
from langchain_agentmem.errors import EmbeddedRedisError

SLOTS = 16384


def client_of(cluster: EmbeddedCluster, port: int, **how: Any) -> redis.Redis:
    """A plain client of one node."""
    return redis.Redis(host="127.0.0.1", port=port, password=cluster.password, **how)


@contextmanager
def clients_of_primaries(cluster: EmbeddedCluster) -> Iterator[list[redis.Redis]]:
    """A plain client of each node that is a primary now, in the order of their ports."""
    with ExitStack() as stack:
        ports = [node.port for node in cluster.nodes if node.role == "primary"]
        yield [stack.enter_context(client_of(cluster, port)) for port in ports]


def node_on(cluster: EmbeddedCluster, port: int) -> ClusterNode:
    """What the node on this port is now."""
    return next(node for node in cluster.nodes if node.port == port)


def ask(cluster: EmbeddedCluster, port: int, command: str) -> str:
    """Send a command to a node, as soon as it has loaded its data, and return what it answers."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return ask_node(port, cluster.password, command)
        except EmbeddedRedisError as error:
            if "LOADING" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def ids_of(cluster: EmbeddedCluster) -> dict[int, str]:
    """The id of each node that answers, by its port."""
    ports = [node.port for node in cluster.nodes if node.role != "down"]
    return {port: ask(cluster, port, "CLUSTER MYID") for port in ports}


def slots_of(cluster: EmbeddedCluster, port: int) -> set[int]:
    """The slots that a node says are its own."""
    (own,) = (line.split() for line in ask(cluster, port, "CLUSTER NODES").splitlines() if "myself" in line)
    slots: set[int] = set()
    for each in own[8:]:
        if not each.startswith("["):  # one that is on its way to another node
            first, _, last = each.partition("-")
            slots |= set(range(int(first), int(last or first) + 1))
    return slots


def slot_of_key(key: str) -> int:
    """The slot of a key, by its hash tag if it has one."""
    slot: int = key_slot(key.encode())
    return slot


def port_of_slot(cluster: EmbeddedCluster, slot: int) -> int:
    """The port of the primary that has this slot."""
    return next(
        node.port for node in cluster.nodes if node.role == "primary" and slot in slots_of(cluster, node.port)
    )


def signal_node(cluster: EmbeddedCluster, port: int, number: signal.Signals) -> None:
    """Send a signal to a node: SIGSTOP and SIGCONT pause it."""
    pid = node_on(cluster, port).pid
    assert pid is not None, f"the node on port {port} does not answer"
    os.kill(pid, number)


def kill(cluster: EmbeddedCluster, port: int) -> None:
    """Kill a node by SIGKILL; return when nobody listens on its port."""
    signal_node(cluster, port, signal.SIGKILL)
    wait_until(lambda: node_on(cluster, port).role == "down")


def restart(cluster: EmbeddedCluster, port: int) -> None:
    """Start a node that was killed, with what it knew of the cluster; return when it answers.

    An ephemeral one has no data: kill a primary and wait for its replica first.
    """
    _start(cluster, cluster._ports.index(port), port)


def add_node(cluster: EmbeddedCluster) -> int:
    """Start another node, a primary without slots, and return its port when all nodes know it."""
    (port,) = free_ports(1)
    _start(cluster, len(cluster._ports), port)
    known = [node.port for node in cluster.nodes if node.role != "down"]
    cluster._ports.append(port)
    for other in known:
        ask(cluster, other, f"CLUSTER MEET 127.0.0.1 {port}")
    own_id = ask(cluster, port, "CLUSTER MYID")
    # A new node calls the cluster ok as soon as it knows who has which slot.
    wait_until(
        lambda: (
            all(_knows(cluster, other, own_id) for other in known)
            and "cluster_state:ok" in ask(cluster, port, "CLUSTER INFO")
        ),
        seconds=30,
    )
    return port


def _knows(cluster: EmbeddedCluster, port: int, node_id: str) -> bool:
    lines = ask(cluster, port, "CLUSTER NODES").splitlines()
    return any(line.startswith(node_id) and "handshake" not in line for line in lines)


def _start(cluster: EmbeddedCluster, number: int, port: int) -> None:
    servers = cluster._servers
    assert servers is not None, "the cluster is not started"
    assert servers.files is not None
    configs = cluster._configs(servers.files, [servers.folder / f"node-{number + 1}"], [port])
    assert servers.start(servers.files, cluster.password, configs) is None


def begin_to_move_slot(cluster: EmbeddedCluster, slot: int, source: int, target: int) -> None:
    """Say that a slot moves from one primary to another; what is there stays until `move_keys`."""
    ids = ids_of(cluster)
    ask(cluster, target, f"CLUSTER SETSLOT {slot} IMPORTING {ids[source]}")
    ask(cluster, source, f"CLUSTER SETSLOT {slot} MIGRATING {ids[target]}")


def move_keys(
    cluster: EmbeddedCluster, slot: int, source: int, target: int, *, count: int | None = None
) -> None:
    """Move keys of a slot that is on its way: so many, or all."""
    with client_of(cluster, source) as client:
        while keys := client.execute_command("CLUSTER", "GETKEYSINSLOT", slot, min(count or 100, 100)):
            words = ("MIGRATE", "127.0.0.1", target, "", 0, 10_000, "AUTH", cluster.password, "KEYS", *keys)
            client.execute_command(*words)
            if count is not None:
                return


def end_move_of_slot(cluster: EmbeddedCluster, slot: int, target: int) -> None:
    """Say that the slot is at its new primary, to it first and then to the others."""
    own_id = ids_of(cluster)[target]
    others = [node.port for node in cluster.nodes if node.role == "primary" and node.port != target]
    for port in (target, *others):
        try:
            ask(cluster, port, f"CLUSTER SETSLOT {slot} NODE {own_id}")
        except EmbeddedRedisError as error:
            # A primary that has lost its last slot becomes a replica of the one that has got it, and loads its data.
            if "only with masters" not in str(error):
                raise


def move_slots(cluster: EmbeddedCluster, slots: range, source: int, target: int) -> None:
    """Move slots with all their keys from one primary to another."""
    for slot in slots:
        begin_to_move_slot(cluster, slot, source, target)
        move_keys(cluster, slot, source, target)
        end_move_of_slot(cluster, slot, target)
