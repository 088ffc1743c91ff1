"""Changes of a private cluster under load: a primary is killed and comes back, slots move, a node comes and goes."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from random import Random

from integration_tests.clusters import (
    SLOTS,
    add_node,
    ask,
    clients_of_primaries,
    ids_of,
    kill,
    move_slots,
    node_on,
    restart,
    slots_of,
)
from integration_tests.waiting import wait_until
from langchain_agentmem.embedded.cluster import EmbeddedCluster
from langchain_agentmem.errors import EmbeddedRedisError

_SECONDS = 60.0  # that a change of the cluster may take, on a busy machine
_CUTS = 60
_OTHERS = 12  # slots that move besides


class ClusterChanges:
    """Changes a cluster, one thing after the other, each of them until all is well again.

    Args:
        cluster: A cluster with a replica of each primary.
        slots: Those that matter, some of which are in every move.
        random: Draws which.

    Attributes:
        counts: What was done, by name.
    """

    def __init__(self, cluster: EmbeddedCluster, slots: Sequence[int], random: Random) -> None:
        self._cluster = cluster
        self._slots = set(slots)
        self._random = random
        names = ("kills", "connections cut", "slots moved", "nodes added and removed")
        self.counts: Counter[str] = Counter(dict.fromkeys(names, 0))

    def kill_a_primary(self) -> None:
        """Kill a primary, wait until its replica has taken over, and bring it back as that one's replica.

        Just before, the replica had all that the primary had a moment ago: what is lost is what the primary
        acknowledged in its last milliseconds.
        """
        cluster = self._cluster
        port = self._random.choice(self._primaries(with_replica=True))
        self.wait_until_copied()
        kill(cluster, port)
        wait_until(lambda: self._has_all_slots(), _SECONDS)
        restart(cluster, port)
        wait_until(lambda: node_on(cluster, port).role == "replica", _SECONDS)
        self.wait_until_copied()
        self.counts["kills"] += 1

    def move_some_slots(self) -> None:
        """Move slots with their keys from one primary to another."""
        source, target = self._random.sample(self._primaries(), 2)
        self._move(self._some_slots(source), source, target)

    def add_and_remove_a_node(self) -> None:
        """Add a primary, move slots to it, move them to another one, and remove it."""
        cluster = self._cluster
        source, heir = self._random.sample(self._primaries(), 2)
        port = add_node(cluster)
        node_id = ids_of(cluster)[port]
        self._move(self._some_slots(source), source, port)
        self._move(sorted(slots_of(cluster, port)), port, heir)
        self._remove(port, node_id)
        self.counts["nodes added and removed"] += 1

    def cut_connections(self) -> None:
        """Have the primaries close the connections of all clients, many times in a row.

        A write that a primary does in the same moment is done, and its answer is lost.
        """
        with clients_of_primaries(self._cluster) as clients:
            for client in self._random.choices(clients, k=_CUTS):
                self.counts["connections cut"] += int(client.client_kill_filter(_type="normal", skipme=True))

    def wait_until_copied(self) -> None:
        """Return when every primary that has a replica has told it all that it has just done."""
        ports = self._primaries(with_replica=True)
        for port, done in [(port, self._replication(port)["master_repl_offset"]) for port in ports]:
            wait_until(lambda: self._copied(port) >= int(done), _SECONDS)  # noqa: B023

    def wait_until_well(self) -> None:
        """Return when all slots are served, and each primary has a replica that has everything."""
        cluster = self._cluster
        wait_until(self._has_all_slots, _SECONDS)
        wait_until(lambda: all(node.role != "down" for node in cluster.nodes), _SECONDS)
        wait_until(lambda: len(self._primaries(with_replica=True)) == len(self._primaries()), _SECONDS)
        self.wait_until_copied()

    def _primaries(self, *, with_replica: bool = False) -> list[int]:
        """The ports of primaries with slots; if asked for, only of those that have a replica."""
        cluster = self._cluster
        ports = [
            node.port for node in cluster.nodes if node.role == "primary" and slots_of(cluster, node.port)
        ]
        return [port for port in ports if self._copied(port) >= 0] if with_replica else ports

    def _copied(self, port: int) -> int:
        """How far the replica of a primary is; -1 if it has none."""
        replica = self._replication(port).get("slave0", "")
        said = dict(part.split("=", 1) for part in replica.split(",") if "=" in part)
        return int(said["offset"]) if said.get("state") == "online" else -1

    def _replication(self, port: int) -> dict[str, str]:
        said = ask(self._cluster, port, "INFO")
        return dict(line.strip().split(":", 1) for line in said.splitlines() if ":" in line)

    def _has_all_slots(self) -> bool:
        cluster = self._cluster
        if any(
            "cluster_state:ok" not in self._state(node.port) for node in cluster.nodes if node.role != "down"
        ):
            return False
        return sum(len(slots_of(cluster, port)) for port in self._primaries()) == SLOTS

    def _state(self, port: int) -> str:
        """What a node says of the cluster; nothing if it does not answer."""
        try:
            return ask(self._cluster, port, "CLUSTER INFO")
        except (EmbeddedRedisError, OSError):
            return ""

    def _some_slots(self, source: int) -> list[int]:
        owned = slots_of(self._cluster, source)
        mattering = sorted(owned & self._slots)
        chosen = set(self._random.sample(mattering, min(3, len(mattering))))
        return sorted(chosen | set(self._random.sample(sorted(owned), _OTHERS)))

    def _move(self, slots: Sequence[int], source: int, target: int) -> None:
        move_slots(self._cluster, slots, source, target)
        self.counts["slots moved"] += len(slots)

    def _remove(self, port: int, node_id: str) -> None:
        """Remove a node without slots; by now it is a replica, and may be loading its primary's data."""
        cluster = self._cluster
        number = cluster._ports.index(port)
        assert number == len(cluster._ports) - 1, "only the node that was added last can be removed"
        for node in cluster.nodes:
            if node.port != port and node.role != "down":
                ask(cluster, node.port, f"CLUSTER FORGET {node_id}")
        kill(cluster, port)
        cluster._ports.remove(port)
        servers = cluster._servers
        assert servers is not None
        shutil.rmtree(servers.folder / f"node-{number + 1}")  # the next node of this number begins anew
