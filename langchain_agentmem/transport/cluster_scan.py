"""Scans a whole cluster: one SCAN over all primaries, side by side, with one cursor for them together.

What holds: a key that is there from the first page to the last is returned, once or more often, also when
its slot moves to another node meanwhile or a replica takes over. A node that has passed slots on since its
own scan began, or is passing them on, says so behind each of its pages; those that got them are then scanned
once more. Only where slots go to and fro all the while does that end, after `_MOST_PASSES`.

A cursor is of the driver that gave it. The driver keeps the state of the last 1,000 scans.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple

from langchain_agentmem.core.operations import Command, asks, text
from langchain_agentmem.errors import StoreError
from langchain_agentmem.fork_safe_lock import ForkSafeLock
from langchain_agentmem.transport.cluster_slots import NodeGoneError, SlotTable, slot_bits

_NODES = asks("CLUSTER", "NODES")
_MOST_PASSES = 10
_MOST_SCANS = 1_000


def is_scan(command: Command) -> bool:
    """Return whether a command is a SCAN of all the primaries."""
    return command.args[0] == "SCAN" and command.node is None


def begins(command: Command) -> bool:
    """Return whether a SCAN asks for its first page."""
    return int(command.args[1]) == 0


class _View(NamedTuple):
    """Holds how a node sees itself in the cluster.

    Attributes:
        slots: The slots that it has, as bits.
        leaving: The ids of the nodes that it is passing slots on to.
        is_replica: Whether it follows another node.
        others: Of each other node, its id, its address and its slots.
    """

    slots: int
    leaving: frozenset[str]
    is_replica: bool
    others: list[tuple[str, str, int]]

    @classmethod
    def read(cls, reply: Any) -> _View | None:
        """Read the reply to `CLUSTER NODES`; `None` if the node did not tell."""
        if not isinstance(reply, bytes | str):
            return None
        own: _View | None = None
        others = []
        for line in text(reply).splitlines():
            node_id, address, flags, _, _, _, _, _, *slots = line.split()
            bits, leaving = 0, []
            for one in slots:
                if one.startswith("["):
                    _, arrow, receiver = one.strip("[]").partition("->-")
                    leaving += [receiver] if arrow else []
                else:
                    first, _, last = one.partition("-")
                    bits |= slot_bits(int(first), int(last or first) + 1)
            others.append((node_id, address.partition(",")[0].rpartition("@")[0], bits))
            if "myself" in flags:
                own = cls(bits, frozenset(leaving), "slave" in flags, others)
        return own


class _NodeScan(NamedTuple):
    """Holds where the scan of one node is.

    Attributes:
        node: The node.
        cursor: Its own cursor.
        had: The slots that it had when its scan began, as bits.
        left_to: The ids of the nodes that it was then passing slots on to; `None` before its first page.
    """

    node: str
    cursor: int
    had: int
    left_to: frozenset[str] | None = None


class _Scan(NamedTuple):
    """Holds where a scan is: what is left of it, and how often each node was begun."""

    left: list[_NodeScan]
    passes: dict[str, int]

    def begin(self, node: str, table: SlotTable) -> None:
        """Scan a node from its beginning, once it was not scanned too often."""
        self.passes[node] = self.passes.get(node, 0) + 1
        had = table.slots_of(node)
        for place, one in enumerate(self.left):
            if one.node == node:  # what it has passed on since its scan began counts as before
                had |= one.had
                del self.left[place]
                break
        if self.passes[node] <= _MOST_PASSES:
            self.left.append(_NodeScan(node, 0, had))


class ScanPage:
    """Asks for a page of a scan, of each node whose scan is not at its end.

    Args:
        scan: Where the scan is.
        command: The SCAN that asks for the page.
        keep: Keeps where the scan is then, and returns a cursor; 0 at its end.
    """

    def __init__(self, scan: _Scan, command: Command, keep: Callable[[_Scan], int]) -> None:
        self._scan = scan
        self._command = command
        self._keep = keep

    def commands(self) -> Iterator[Command]:
        """Yield the commands to send, each with its node."""
        verb, _, *rest = self._command.args
        for one in self._scan.left:
            nodes = _NODES._replace(node=one.node)
            if one.left_to is None:
                yield nodes
            yield self._command._replace(args=(verb, one.cursor, *rest), node=one.node)
            yield nodes

    def fold(self, replies: Sequence[Any], table: SlotTable) -> Any:
        """Return the reply to the SCAN: a cursor, 0 at the end, and the keys; or the error of a node."""
        keys: list[bytes] = []
        going_on: list[_NodeScan] = []
        ended: list[tuple[_NodeScan, _View | None]] = []
        answers = iter(replies)
        gone = False
        for one in self._scan.left:
            before = None if one.left_to is not None else _View.read(next(answers))
            page, after = next(answers), _View.read(next(answers))
            if isinstance(page, NodeGoneError) or (after is not None and after.is_replica):
                gone = True
                continue
            if isinstance(page, Exception):
                return page
            keys += page[1]
            if before is not None:
                one = one._replace(had=one.had | before.slots)
            left_to = one.left_to or (frozenset() if before is None else before.leaving)
            one = one._replace(cursor=int(page[0]), left_to=left_to)
            if one.cursor:
                going_on.append(one)
            else:
                ended.append((one, after))
        scan = _Scan(going_on, self._scan.passes)
        receivers = {node for one, after in ended if after for node in _receivers(one, after, table)}
        for node in dict.fromkeys((*receivers, *(table.primaries if gone else ()))):
            scan.begin(node, table)
        return [self._keep(scan), list(dict.fromkeys(keys))]  # a key may have moved between two answers


def _receivers(scan: _NodeScan, view: _View, table: SlotTable) -> Iterator[str]:
    """Yield the nodes that have, or may have, keys which were on a node when its scan began."""
    passed_on = scan.had & ~view.slots
    for node_id, address, slots in view.others:
        if slots & passed_on or node_id in view.leaving or node_id in (scan.left_to or ()):
            node = table.named(node_id)
            if node is None:
                host, _, port = address.rpartition(":")
                node = table.address(host, int(port), scan.node)
                table.meet(node)
            if node != scan.node:
                yield node


class Scans:
    """Keeps where the scans of one driver are, by their cursors. Thread-safe."""

    def __init__(self) -> None:
        self._open: dict[int, _Scan] = {}
        self._cursors = count(1)
        self._lock = ForkSafeLock()

    def page(self, command: Command, table: SlotTable) -> ScanPage:
        """Return what asks for the page that a SCAN asks for.

        Raises:
            StoreError: Its cursor is not of this driver.
        """
        cursor = int(command.args[1])
        scan = self._open.get(cursor)
        if cursor == 0:
            scan = _Scan([], {})
            for node in table.primaries:
                scan.begin(node, table)
        elif scan is None:
            raise StoreError("The cursor is of no scan that goes on. Begin again.")

        def keep(then: _Scan) -> int:
            with self._lock.held():
                self._open.pop(cursor, None)
                if not then.left:
                    return 0
                while len(self._open) >= _MOST_SCANS:
                    self._open.pop(next(iter(self._open)))
                following = next(self._cursors)
                self._open[following] = then
                return following

        return ScanPage(scan, command, keep)
