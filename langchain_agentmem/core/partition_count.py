"""The number of partitions that data was written with, stored once beside it.

A user's partition follows from the number, so that with another one nothing would be found. Whoever has data
in partitions names them to the transport, which lets no operation run before their number is known to fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from langchain_agentmem.core.keys import Keys, partition_count
from langchain_agentmem.core.operations import (
    Batch,
    Op,
    T,
    checked_first,
    ok,
    once_checked,
    reads,
    text,
    writes,
)
from langchain_agentmem.errors import ConfigurationError, StoreAuthenticationError, WrongKeyTypeError


class PartitionCount(NamedTuple):
    """The number of partitions of some data, as it is set here.

    Attributes:
        data: What is in them, as an error says it: `records of threads under 'agent:threads:'`.
        key: The key that holds the number, a String.
        partitions: In how many partitions the data is; 0 for none, and then no number is stored.
    """

    data: str
    key: str
    partitions: int

    def asking(self) -> Batch:
        """Return the commands that ask for the number; the last reply has it."""
        return [reads("GET", self.key)]

    def fixing(self) -> Batch:
        """Return the commands that store the number if there is none; the last reply has what is stored."""
        return [writes("SETNX", self.key, self.partitions), *self.asking()]

    def stored(self, replies: list[Any]) -> str | None:
        """Return the number that is stored, given the replies to `asking` or `fixing`; `None` if none is.

        Without partitions the key may be that of a user named `partitions`, whose record of threads it is.

        Raises:
            StoreError: The server refused to say, or to store it.
        """
        if not self.partitions and isinstance(replies[-1], WrongKeyTypeError):
            return None
        *_, stored = map(ok, replies)
        return None if stored is None else text(stored)

    def fits(self, replies: list[Any]) -> bool:
        """Return whether the number is stored, given the replies to `asking` or `fixing`.

        Raises:
            ConfigurationError: It is another one.
            StoreError: The server refused to say, or to store it.
        """
        found = self.stored(replies)
        if found is None:
            return False
        if found != str(self.partitions):
            here = self.partitions or None
            but = f"not in {here}" if here else "none are set"
            raise ConfigurationError(
                f"The {self.data} are in {found} partitions, and partitions is {here}. The number "
                f"is fixed for the life of the data: set partitions={found}, or copy the data into another "
                "number of partitions with `agentmem move`.",
                plain=f"The {self.data} are in {found} partitions, and {but}. Set AGENTMEM_PARTITIONS to "
                f"{found}, or copy everything into another number of partitions with agentmem move.",
            )
        return True


def of_memories(index_name: str, partitions: int) -> PartitionCount:
    """Return the count of long-term memory, given the name of its index without a hash tag."""
    return PartitionCount(f"memories of the index {index_name!r}", partition_count(index_name), partitions)


def of_threads(keys: Keys) -> PartitionCount:
    """Return the count of records of threads, given key names with partitions."""
    return _under(keys.threads_prefix, "records of threads", keys.partitions)


def of_all(keys: Keys, index_name: str) -> list[PartitionCount]:
    """Return the counts of whatever is in partitions.

    Args:
        keys: The key names.
        index_name: The search index of long-term memory, without a hash tag.
    """
    return [
        of_memories(index_name, keys.partitions),
        of_threads(keys),
        _under(keys.tasks_prefix, "tasks", keys.partitions),
        _under(keys.store_prefix, "items of the store", keys.partitions),
    ]


def _under(prefix: str, what: str, partitions: int) -> PartitionCount:
    return PartitionCount(f"{what} under {prefix!r}", f"{prefix}partitions", partitions)


def without_partitions(op: Op[T], counts: Sequence[PartitionCount]) -> Op[T]:
    """Return an operation that runs only if no data is in partitions, whose counts are 0.

    Asked is along with what reads first. It is for what must reach everything: other operations of a memory
    without partitions do not look.

    Raises:
        ConfigurationError: When it is run: some data is in partitions; nothing was done.
    """

    def check(replies: list[Any]) -> None:
        for one, reply in zip(counts, replies, strict=True):
            one.fits([reply])

    return once_checked(op, [command for one in counts for command in one.asking()], check)


class PartitionCounts:
    """Holds what operations of one transport have to know before they run.

    Args:
        known: What is known over the connection, for all objects that share it.
    """

    def __init__(self, known: dict[Any, Any]) -> None:
        self._known = known
        self._counts: tuple[PartitionCount, ...] = ()

    def add(self, *counts: PartitionCount) -> None:
        """Have these numbers known before the next operation."""
        self._counts = tuple(dict.fromkeys([*self._counts, *counts]))

    def ask_again(self) -> None:
        """Have them known anew before the next operation: data was lost, and the numbers may be, too."""
        for one in self._counts:
            self._known.pop(one.key, None)

    def checked(self, op: Op[T]) -> Op[T]:
        """Return an operation that runs only if all data has the number of partitions that is set here.

        What is not known over this connection yet is asked along with what only reads, and in a round trip of
        its own before a write, which fixes the number for data that is new. Several numbers are fixed only if
        none of them is another one; the first is fixed before the others, so that of two that begin at once
        with different numbers, one has all of them, and the other none.

        Raises:
            ConfigurationError: When it is run: some data has another number; nothing was done.
        """
        left = [one for one in self._counts if self._known.get(one.key) != one.partitions]
        if not left:
            return op
        asking = _Asking(left, self._known)
        return checked_first(op, asking.commands, asking.take)


class _Asking:
    """Which numbers one operation still has to know.

    Before a write all are asked, and then one of them is stored before the others: so whoever comes second,
    with another number, stores none.
    """

    def __init__(self, left: list[PartitionCount], known: dict[Any, Any]) -> None:
        self._left = left
        self._known = known
        self._sent: list[tuple[PartitionCount, Batch]] = []
        self._asked = self._stored = False

    def commands(self, only_reads: bool) -> Batch:
        """Return what to send along with what only reads, or next before a write; nothing if all is known."""
        if only_reads or (len(self._left) > 1 and not self._asked):
            self._asked = not only_reads
            self._sent = [(one, one.asking()) for one in self._left]
        else:
            some = self._left if self._stored else self._left[:1]
            self._stored = True
            self._sent = [(one, one.fixing()) for one in some]
        return [command for _, batch in self._sent for command in batch]

    def take(self, replies: list[Any]) -> None:
        """Note which are stored, and leave out those.

        Whose keys a user may not read, it may not use: the key is among those of the data.

        Raises:
            ConfigurationError: One is another than is set here.
        """
        at = 0
        for one, batch in self._sent:
            told = replies[at : at + len(batch)]
            at += len(batch)
            if _is_denied_key(told[-1]) or one.fits(told):
                self._known[one.key] = one.partitions
                self._left = [each for each in self._left if each != one]


def _is_denied_key(reply: Any) -> bool:
    """Return whether a user may not access the key, and not whether it may not run the command."""
    return isinstance(reply, StoreAuthenticationError) and " key" in str(reply.__cause__ or reply)
