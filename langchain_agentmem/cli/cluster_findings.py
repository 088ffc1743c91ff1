"""What `agentmem doctor` looks at on a Redis Cluster: its nodes, and each of them as if it were alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from langchain_agentmem.cli.finding import Finding
from langchain_agentmem.cli.text import counted
from langchain_agentmem.core.operations import Op, asks, call, gather, ok
from langchain_agentmem.core.operations import text as string
from langchain_agentmem.core.partitions import SLOTS
from langchain_agentmem.transport.cluster_slots import NodeGoneError

_LOOKS = 3  # at each primary, if other nodes are primaries every time


class Node(NamedTuple):
    """Holds what the cluster says of a node.

    Attributes:
        id: Its id.
        address: Its host and port.
        primary: The id of the primary that it follows; empty if it is one.
        is_up: Whether it is not taken for dead.
        has_slots: Whether it has slots.
    """

    id: str
    address: str
    primary: str
    is_up: bool
    has_slots: bool


def nodes() -> Op[list[Node]]:
    """Return the nodes of the cluster, as one of them sees them. One round trip."""
    found = []
    for line in string((yield from call(asks("CLUSTER", "NODES")))).splitlines():
        node_id, address, flags, primary, _, _, _, _, *slots = line.split()
        flagged = set(flags.split(","))
        address = address.partition(",")[0].rpartition("@")[0]
        is_up = not flagged & {"fail", "fail?", "noaddr", "handshake"}
        found.append(Node(node_id, address, "" if primary == "-" else primary, is_up, bool(slots)))
    return found


def cluster() -> Op[Iterable[Finding]]:
    """Tell whether all slots are served, and whether each primary has a replica."""
    known, info = map(ok, (yield from gather([nodes(), call(asks("CLUSTER", "INFO"))])))
    about = dict(line.split(":", 1) for line in string(info).splitlines() if ":" in line)
    primaries = [one for one in known if one.has_slots]
    replicas = [one for one in known if one.primary and one.is_up]
    alone = [one.address for one in primaries if one.id not in {each.primary for each in replicas}]
    down = [one.address for one in known if not one.is_up]
    served = int(about.get("cluster_slots_ok", 0))
    says = f"{counted(len(primaries), 'primary')}, {counted(len(replicas), 'replica')}"
    brief = says
    if about.get("cluster_state") != "ok" or served < SLOTS:
        says += f"; {SLOTS - served:,} of its slots are not served, state {about.get('cluster_state', '?')}"
        says += f"; {', '.join(down)} cannot be reached: start what ended there" if down else ""
        return [Finding("cluster", "broken", f"{says}. CLUSTER NODES tells who had the slots")]
    if down:
        says += f"; {', '.join(down)} cannot be reached by the others: start it again, or remove it, "
        says += "on every node, with CLUSTER FORGET"
    if alone:
        says += f"; {', '.join(alone)} without a replica: when it ends, what it holds cannot be reached. "
        says += "Give it one: redis-cli --cluster add-node NEW:PORT NODE:PORT --cluster-slave"
    return [Finding("cluster", "warning" if down or alone else "ok", says, brief)]


def of_each(look: Callable[[str | None], Op[Iterable[Finding]]]) -> Op[Iterable[Finding]]:
    """Look at each primary; what is the same of all is told once.

    Args:
        look: Returns the operation that looks at the node with an address.
    """
    for _ in range(_LOOKS):
        addresses = [one.address for one in (yield from nodes()) if one.has_slots and one.is_up]
        answers = yield from gather([look(one) for one in addresses])
        if not any(isinstance(answer, NodeGoneError) for answer in answers):
            break  # else a replica has taken over meanwhile
    each = [list(ok(found)) for found in answers]
    if all(one == each[0] for one in each):
        return each[0] if each else []
    told = []
    for at, (address, found) in enumerate(zip(addresses, each, strict=True)):
        for one in found:
            says = f"{address}: {one.says}"
            told.append(replace(one, says=says, brief="" if at else one.brief))
    return told
