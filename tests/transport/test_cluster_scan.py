"""A scan over all nodes of a cluster whose slots move meanwhile, on nodes that are lists of keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from langchain_agentmem.core.operations import Command, asks, reads
from langchain_agentmem.core.partitions import key_slot
from langchain_agentmem.core.scan import keys_under
from langchain_agentmem.errors import StoreConnectionError, StoreError
from langchain_agentmem.transport.cluster_batch import ClusterBatch
from langchain_agentmem.transport.cluster_scan import Scans
from langchain_agentmem.transport.cluster_slots import SlotTable
from langchain_agentmem.transport.drivers import Retryable


class Outcome:
    def __init__(self, answers: list[Any], unsent: StoreConnectionError | None = None) -> None:
        self.answers = answers
        self.unsent = unsent
        self.lost = None


def ranges(slots: set[int]) -> list[tuple[int, int]]:
    firsts = sorted(slot for slot in slots if slot - 1 not in slots)
    lasts = sorted(slot for slot in slots if slot + 1 not in slots)
    return list(zip(firsts, lasts, strict=True))


class Node:
    """A primary that answers SCAN and CLUSTER NODES; a cursor of its own is a place in its keys."""

    def __init__(self, cluster: Cluster, port: int, slots: range) -> None:
        self.cluster = cluster
        self.name, self.id = f"h:{port}", f"id{port}"
        self.slots = set(slots)
        self.migrating: dict[int, Node] = {}
        self.is_replica = False
        self.keys: list[bytes | None] = []

    def answer(self, args: tuple[Any, ...]) -> Any:
        if args[0] == "SCAN":
            start, stop = int(args[1]), int(args[1]) + 2
            page = [key for key in self.keys[start:stop] if key is not None]
            return [b"%d" % (stop if stop < len(self.keys) else 0), page]
        return "\n".join(self._line(node) for node in self.cluster.nodes).encode()

    def _line(self, node: Node) -> str:
        flags = ("myself," if node is self else "") + ("slave" if node.is_replica else "master")
        slots = [f"{first}-{last}" for first, last in ranges(node.slots)]
        slots += [f"[{slot}->-{to.id}]" for slot, to in self.migrating.items() if node is self]
        return " ".join(
            [node.id, f"{node.name}@1,,shard-id=x", flags, "-", "0", "0", "1", "connected", *slots]
        )


class Cluster:
    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.nodes += [Node(self, 1, range(8192)), Node(self, 2, range(8192, 16384))]
        self.table = SlotTable(["h:1"])
        self.read()
        self.scans = Scans()
        self.pages = 0

    def read(self) -> None:
        owners: list[Any] = []
        for node in self.nodes:
            address = [b"h", int(node.name[2:]), node.id.encode()]
            owners += [[first, last, address] for first, last in ranges(node.slots)]
        self.table.take(owners, "h:1")

    def node(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    def put(self, *keys: bytes) -> None:
        for key in keys:
            next(node for node in self.nodes if key_slot(key) in node.slots).keys.append(key)

    def move_keys(self, source: Node, target: Node, *keys: bytes) -> None:
        for key in keys:
            source.keys[source.keys.index(key)] = None
            target.keys.insert(0, key)

    def scan(self, between: Callable[[int], None] = lambda page: None) -> set[bytes]:
        op = keys_under("", None)
        try:
            step: Any = next(op)
            while True:
                in_flight = ClusterBatch(step, self.table, self.scans)
                parts = in_flight.parts()
                outcomes = [(part, self.outcome(in_flight, part)) for part in parts]
                in_flight.take(outcomes)
                self.pages += 1
                between(self.pages)
                step = op.send(in_flight.result())
        except StopIteration as stop:
            return set(stop.value)

    def outcome(self, in_flight: ClusterBatch, part: Any) -> Any:
        return Outcome([self.node(part.node).answer(one.args) for one in in_flight.commands(part)])


KEYS = [b"k%d" % number for number in range(20)]
LOW = [key for key in KEYS if key_slot(key) < 8192]
HIGH = [key for key in KEYS if key_slot(key) >= 8192]


def filled() -> Cluster:
    cluster = Cluster()
    cluster.put(*KEYS)
    return cluster


def test_all_nodes_are_scanned_side_by_side() -> None:
    cluster = filled()
    assert cluster.scan() == set(KEYS)
    assert cluster.pages == max(-(-len(LOW) // 2), -(-len(HIGH) // 2))
    assert not cluster.scans._open


def test_a_cluster_without_keys() -> None:
    assert Cluster().scan() == set()


def test_a_key_that_moves_to_a_node_that_was_passed_there_is_not_missed() -> None:
    cluster = filled()
    source, target = cluster.nodes
    key = LOW[-1]
    slot = key_slot(key)

    def between(page: int) -> None:
        if page == 1:
            source.migrating[slot] = target
            cluster.move_keys(source, target, *[one for one in LOW if key_slot(one) == slot])
        if page == 2:  # it has ended before anybody looks
            source.migrating.clear()
            source.slots.discard(slot)
            target.slots.add(slot)

    assert cluster.scan(between) == set(KEYS)


def test_a_key_that_moves_while_its_slot_has_not_is_not_missed() -> None:
    cluster = filled()
    source, target = cluster.nodes
    key = LOW[-1]

    def between(page: int) -> None:
        if page == 1:
            source.migrating[key_slot(key)] = target  # and it stays so
            cluster.move_keys(source, target, key)

    assert cluster.scan(between) == set(KEYS)


def test_a_node_that_is_new_and_has_no_slot_yet_is_reached() -> None:
    cluster = filled()
    new = Node(cluster, 3, range(0))
    cluster.nodes.append(new)
    key = LOW[-1]
    cluster.nodes[0].migrating[key_slot(key)] = new
    cluster.move_keys(cluster.nodes[0], new, key)
    assert cluster.scan() == set(KEYS)


def test_where_the_slots_are_is_read_before_a_scan_begins_and_not_before_each_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The drivers read the table before a batch that finds it suspect: else a node that is new, and to which
    # nothing has been redirected yet, would not be scanned.
    monkeypatch.setattr("langchain_agentmem.transport.cluster_slots._REFRESH_SECONDS", 0.0)
    cluster = filled()
    ClusterBatch([reads("GET", "k")], cluster.table, cluster.scans)
    assert not cluster.table.is_due()
    ClusterBatch([reads("GET", "k"), asks("SCAN", 0)], cluster.table, cluster.scans)
    assert cluster.table.is_due()
    cluster.read()
    ClusterBatch([asks("SCAN", 7)], cluster.table, cluster.scans)
    assert not cluster.table.is_due()


def test_a_slot_that_moved_before_the_table_knew_is_reached() -> None:
    cluster = filled()
    source = cluster.nodes[0]
    new = Node(cluster, 3, range(0))
    cluster.nodes.append(new)
    key = LOW[0]
    slot = key_slot(key)
    cluster.move_keys(source, new, *[one for one in LOW if key_slot(one) == slot])
    source.slots.discard(slot)
    new.slots.add(slot)  # the table still says that the source has it
    assert cluster.scan() == set(KEYS)


def test_a_key_that_moves_with_a_slot_whose_move_is_then_given_up_is_not_missed() -> None:
    cluster = filled()
    source, target = cluster.nodes
    key = LOW[-1]
    source.migrating[key_slot(key)] = target

    def between(page: int) -> None:
        if page == 1:
            cluster.move_keys(source, target, key)
        if page == 2:
            source.migrating.clear()

    assert cluster.scan(between) == set(KEYS)


def test_a_key_that_two_nodes_return_is_there_once() -> None:
    cluster = filled()
    cluster.nodes[1].keys.insert(0, LOW[0])  # as if it had moved between the two answers
    op = keys_under("", None)
    step: Any = next(op)
    in_flight = ClusterBatch(step, cluster.table, cluster.scans)
    in_flight.take([(part, cluster.outcome(in_flight, part)) for part in in_flight.parts()])
    ((_, keys),) = in_flight.result()
    assert len(keys) == len(set(keys)) == 3


def test_a_replica_that_took_over_is_scanned_from_its_beginning() -> None:
    cluster = filled()
    old = cluster.nodes[0]
    new = Node(cluster, 3, range(0))
    cluster.nodes.append(new)

    def between(page: int) -> None:
        if page == 1:
            new.slots, old.slots = old.slots, set()
            new.keys, old.keys, old.is_replica = old.keys[::-1], [], True
            cluster.read()

    assert cluster.scan(between) == set(KEYS)


def test_slots_that_go_to_and_fro_do_not_keep_a_scan_from_its_end() -> None:
    cluster = filled()
    one, other = cluster.nodes
    one.migrating[1] = other
    other.migrating[16000] = one
    assert cluster.scan() == set(KEYS)
    assert cluster.pages < 200


def first_page(cluster: Cluster, command: Command) -> ClusterBatch:
    in_flight = ClusterBatch([command], cluster.table, cluster.scans)
    in_flight.parts()
    return in_flight


def test_a_cursor_of_another_driver_is_refused() -> None:
    in_flight = first_page(filled(), asks("SCAN", 77, "COUNT", 10))
    (reply,) = in_flight.result()
    assert isinstance(reply, StoreError)
    assert "of no scan" in str(reply)


def test_scans_that_nobody_ends_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("langchain_agentmem.transport.cluster_scan._MOST_SCANS", 3)
    cluster = filled()
    for _ in range(5):
        in_flight = ClusterBatch([asks("SCAN", 0)], cluster.table, cluster.scans)
        in_flight.take([(part, cluster.outcome(in_flight, part)) for part in in_flight.parts()])
        assert in_flight.result()[0][0] != 0
    assert len(cluster.scans._open) == 3


def test_a_node_that_does_not_answer_makes_the_scan_an_error() -> None:
    cluster = filled()
    in_flight = ClusterBatch([asks("SCAN", 0)], cluster.table, cluster.scans)
    parts = in_flight.parts()

    outcomes: list[Any] = [
        (parts[0], cluster.outcome(in_flight, parts[0])),
        (parts[1], Outcome([], StoreConnectionError("down"))),
    ]
    with pytest.raises(Retryable):
        in_flight.take(outcomes)
    with pytest.raises(StoreConnectionError, match="down"):
        in_flight.give_up()
