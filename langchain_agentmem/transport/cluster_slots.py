"""Knows which node of a Redis Cluster has which slot, and so which command goes where. No I/O.

The table is read from `CLUSTER SLOTS` by the drivers, from whichever node answers. It may be out of date at
any time: then a node answers MOVED, and is believed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import choice
from time import monotonic
from typing import Any, NamedTuple

from langchain_agentmem.core.operations import Command, asks, text
from langchain_agentmem.core.partitions import SLOTS, key_slot
from langchain_agentmem.errors import StoreConnectionError

READ_TABLE = asks("CLUSTER", "SLOTS")
_REFRESH_SECONDS = 0.1  # the table is read at most this often
_REPLICAS_SECONDS = 1.0  # a replica that was not there is looked for at most this often
_NO_HOST = (None, b"", b"?")  # the node does not know its own address: it is where it was asked


class NodeGoneError(StoreConnectionError):
    """The node that a command was meant for is no primary of the cluster (any more)."""


def slot_of(command: Command) -> int | None:
    """Return the slot of a command's first key; `None` if it has no keys."""
    return key_slot(command.keys[0]) if command.keys else None


def slot_bits(first: int, stop: int) -> int:
    """Return a range of slots as bits, without the last."""
    return (1 << stop) - (1 << first)


def split_address(node: str) -> tuple[str, int]:
    """Return the host and the port of a node's name."""
    host, _, port = node.rpartition(":")
    return host, int(port)


class _Range(NamedTuple):
    """Holds who has a range of slots.

    Attributes:
        slots: The first slot and the one behind the last.
        primary: Its node.
        primary_id: That node's id in the cluster.
        replicas: The nodes that follow it.
    """

    slots: slice
    primary: str
    primary_id: str
    replicas: list[str]


class SlotTable:
    """Knows the nodes of a cluster. Nodes are named `host:port`. Thread-safe.

    Args:
        seeds: Nodes to ask first.
        remap: Makes another address of each that the cluster names; `None` to use them as they are.

    Attributes:
        primaries: The nodes that have slots; empty until the table was read.
    """

    def __init__(
        self,
        seeds: Sequence[str],
        remap: Callable[[tuple[str, int]], tuple[str, int]] | None = None,
    ) -> None:
        self.primaries: tuple[str, ...] = ()
        self._seeds = tuple(seeds)
        self._remap = remap
        self._owners: list[str | None] = [None] * SLOTS
        self._by_id: dict[str, str] = {}
        self._masks: dict[str, int] = {}
        self._met: set[str] = set()
        self._to_ask = list(dict.fromkeys(seeds))
        self._doubted: set[str] = set()
        self._replicas: dict[str, list[str]] = {}
        self._suspect = True
        self._read_at = -_REFRESH_SECONDS

    def is_due(self) -> bool:
        """Return whether the table is to be read: it may be wrong, and was not read just now."""
        return not self.primaries or (self._suspect and monotonic() - self._read_at >= _REFRESH_SECONDS)

    def missed(self) -> None:
        """Take note that no node has told: the table of before is used for now."""
        self._read_at = monotonic()

    def suspect(self) -> None:
        """Have the table read before the next batch."""
        self._suspect = True

    def doubt(self, node: str) -> None:
        """Take note that a node does not answer: it is asked last, until another has told more."""
        self._suspect = True
        self._doubted.add(node)
        self._met.discard(node)

    def to_ask(self) -> list[str]:
        """Return the nodes to ask for the table, in order."""
        return sorted(self._to_ask, key=self._doubted.__contains__)

    def owner(self, slot: int | None) -> str:
        """Return the node of a slot, or any node, if nobody is known to have the slot, or it is `None`."""
        found = None if slot is None else self._owners[slot]
        return found or next((node for node in self.primaries if node not in self._doubted), self.to_ask()[0])

    def replica(self, slot: int) -> str | None:
        """Return a replica of the node of a slot, any of several; `None` if none is known to answer."""
        replicas = self._replicas.get(self._owners[slot] or "", ())
        there = [node for node in replicas if node not in self._doubted]
        if not there and monotonic() - self._read_at >= _REPLICAS_SECONDS:
            self._suspect = True
        return choice(there) if there else None

    def named(self, node_id: str) -> str | None:
        """Return the primary with an id of the cluster's."""
        return self._by_id.get(node_id)

    def slots_of(self, node: str) -> int:
        """Return the slots that a primary had when the table was read, as bits."""
        return self._masks.get(node, 0)

    def meet(self, node: str) -> None:
        """Take note of a node that is given its first slots, and is in the table only when it has one."""
        self._met.add(node)

    def names(self, node: str) -> bool:
        """Return whether a node has a place in the cluster, as far as it is known."""
        return node in self._to_ask or node in self._met

    def has(self, node: str) -> bool:
        """Return whether a node is a primary, as far as it is known."""
        return node in self.primaries or node in self._met

    def address(self, host: str, port: int, asked: str) -> str:
        """Return the name of a node at an address that another node has told."""
        if host in ("", "?"):  # as `_NO_HOST`, in a redirection
            host = split_address(asked)[0]
        if self._remap is not None:
            host, port = self._remap((host, port))
        return f"{host}:{port}"

    def move(self, slot: int | None, node: str) -> None:
        """Take note of where a slot is, of which a node has answered MOVED."""
        if slot is not None:
            self._owners[slot] = node

    def take(self, reply: Any, asked: str) -> None:
        """Take the reply to `READ_TABLE`, of the node that was asked."""
        owners: list[str | None] = [None] * SLOTS
        masks: dict[str, int] = {}
        ranges = list(self._ranges(reply, asked))
        for one in ranges:
            owners[one.slots] = [one.primary] * (one.slots.stop - one.slots.start)
            masks[one.primary] = masks.get(one.primary, 0) | slot_bits(one.slots.start, one.slots.stop)
        primaries = tuple(dict.fromkeys(one.primary for one in ranges))
        replicas = [node for one in ranges for node in one.replicas]
        self._by_id = {one.primary_id: one.primary for one in ranges}
        self._owners, self._masks, self.primaries = owners, masks, primaries
        self._replicas = {one.primary: one.replicas for one in ranges}
        self._to_ask = list(dict.fromkeys((asked, *primaries, *replicas, *self._seeds)))
        self._doubted = set()
        self._suspect, self._read_at = False, monotonic()

    def _ranges(self, reply: Any, asked: str) -> Iterator[_Range]:
        for first, last, primary, *replicas in reply:
            yield _Range(
                slice(int(first), int(last) + 1),
                self._told(primary, asked),
                text(primary[2]) if len(primary) > 2 else "",
                [self._told(one, asked) for one in replicas],
            )

    def _told(self, node: Sequence[Any], asked: str) -> str:
        return self.address("" if node[0] in _NO_HOST else text(node[0]), int(node[1]), asked)
