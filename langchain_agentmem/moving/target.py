"""What a move writes at its target, as operations without I/O: only where nobody else has written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from langchain_agentmem.agents.store.documents import Namespace, namespace_text
from langchain_agentmem.agents.store.items import StoreItems
from langchain_agentmem.core import scripts
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.operations import Command, Op, call
from langchain_agentmem.errors import StoreError
from langchain_agentmem.longterm.types import Storage, VectorType
from langchain_agentmem.moving import documents
from langchain_agentmem.moving.source import Taken
from langchain_agentmem.moving.units import Layout, Unit

_HERE = str(__package__)
_QUEUES = ("langchain_agentmem.tasks", "queues")
_ITEMS = ("langchain_agentmem.agents.store", "items")


def _script(name: str, *parts: tuple[str, str]) -> scripts.Script:
    return scripts.together(*parts, (_HERE, "moved"), (_HERE, name))


_bring, _bring_document, _drop_entry = (_script(name) for name in ("bring", "bring_document", "drop_entry"))
_bring_item = _script("bring_item", _ITEMS)
_bring_queue, _join_queue, _drop = (_script(name, _QUEUES) for name in ("bring_queue", "join_queue", "drop"))
_join_threads, _add_entries = (_script(name) for name in ("join_threads", "add_entries"))


class Destination(NamedTuple):
    """Holds where a unit goes.

    Attributes:
        key: Its key at the target.
        partition: In which partition of the target; `None` for none.
        place: Of an item, its namespace and key; of tasks, what, thread, user and namespace.
        user: Of an item, whose it is; empty if that is not known.
    """

    key: bytes
    partition: int | None
    place: tuple[Any, ...] = ()
    user: str = ""


class Outcome(NamedTuple):
    """Holds what became of a write.

    Attributes:
        written: Whether it was written.
        digest: Of what is at the target then.
    """

    written: bool
    digest: str


@dataclass(frozen=True)
class Target:
    """Writes units.

    Args:
        layout: The names of the keys at the target.
        storage: How memories are stored there; `None` to leave each as it is.
        vector_type: Of what numbers their vectors are there.
        source_vector_type: Of what numbers they are at the source.
    """

    layout: Layout
    storage: Storage | None
    vector_type: VectorType
    source_vector_type: VectorType

    @property
    def converts(self) -> bool:
        """Return whether memories may have to be written in another layout than they have."""
        return self.storage is not None or self.vector_type != self.source_vector_type

    def write(self, taken: Taken, to: Destination, expected: str) -> Command:
        """Return the command that writes a unit, where nothing is, or what was expected.

        Args:
            taken: The unit.
            to: Where it goes.
            expected: The digest of what may be there; empty for nothing.
        """
        unit, keys = taken.unit, self.layout.in_partition(to.partition)
        if unit.entry:
            entry = [unit.entry, len(taken.payload), *taken.payload]
            return _add_entries.call([to.key], "", *entry)
        common = (expected, taken.expiry)
        if unit.kind == "memory" and not isinstance(taken.payload, bytes | list | dict):
            raise StoreError(f"The key {unit.key!r} holds no memory.")
        if unit.kind == "memory" and self.converts:
            return _bring_document.call([to.key], *common, *self.converted(taken))
        if unit.kind == "item":
            namespace, key = to.place
            names: list[Any] = [to.key, keys.namespace(namespace), keys.namespaces]
            names += [keys.user_namespaces(to.user)] if to.user else []
            return _bring_item.call(names, *common, taken.payload, namespace_text(namespace), key)
        if unit.kind == "queue" and to.place:
            return _bring_queue.call(_queue(keys, to.key), *common, taken.payload, *to.place)
        return _bring.call([to.key], *common, taken.payload)

    def converted(self, taken: Taken) -> tuple[Any, ...]:
        """Return a memory as it is to be stored, for `bring_document`."""
        storage: Storage = "hash" if taken.type == "hash" else "json"
        members = documents.read(taken.payload, storage, self.source_vector_type)
        return documents.write(members, self.storage or storage, self.vector_type)

    def join_op(self, taken: Taken, to: Destination, members: Sequence[Any]) -> Op[str]:
        """Join threads, events or a queue with what is there; return the digest. One round trip."""
        keys = self.layout.in_partition(to.partition)
        if taken.unit.kind == "threads":
            command = _join_threads.call([to.key], taken.expiry, *members)
        elif taken.unit.kind == "events":
            command = _add_entries.call([to.key], taken.expiry, *members)
        else:
            command = _join_queue.call(_queue(keys, to.key), *to.place, *members)
        return str((yield from call(command)).decode())

    def drop_op(self, unit: Unit, key: bytes, partition: int | None, expected: str) -> Op[bool | None]:
        """Delete a unit that was brought; return whether it was there, `None` if somebody else changed it.

        One round trip.
        """
        if unit.entry:
            return bool((yield from call(_drop_entry.call([key], unit.entry, expected))))
        names: list[Any] = [key]
        if unit.kind == "queue":
            names = _queue(self.layout.in_partition(partition), key)
        reply = yield from call(_drop.call(names, expected))
        return bool(reply) if isinstance(reply, int) else None

    def drop_item_op(self, partition: int | None, namespace: Namespace, key: str, user: str) -> Op[None]:
        """Delete an item, and take it out of the records. One round trip."""
        items = StoreItems(self.layout.in_partition(partition))
        yield from items.delete_op((namespace, key), user or None)


def outcome(reply: Any, digest: str) -> Outcome:
    """Return what became of a write, given the reply to it, and the digest that it has if it is a copy.

    Raises:
        StoreError: The target cannot read what the source has written.
    """
    if isinstance(reply, Exception):
        if "payload version or checksum" in str(reply) or "Bad data format" in str(reply):
            raise StoreError(
                f"The target cannot read what the source holds: {reply}",
                plain="The target's Redis, or a module of it, is older than the source's, and cannot read "
                "its data. Use a newer one; or agentmem export and agentmem import.",
            ) from reply
        raise reply
    if isinstance(reply, bytes) and len(reply) == 16:
        found = reply.decode()
        return Outcome(False, found)
    if isinstance(reply, list):
        return Outcome(True, reply[1].decode())
    return Outcome(True, digest)


def _queue(keys: Keys, key: bytes) -> list[Any]:
    return [key, keys.tasks_signal(key.decode()), keys.tasks_stream]
