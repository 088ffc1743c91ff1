"""The number of partitions that data was written with, stored once beside it.

A user's partition follows from the number, so that with another one nothing would be found. Whoever has data
in partitions names them to the transport, which lets no operation run before their number is known to fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from langchain_agentmem.core.keys import Keys, partition_count
from langchain_agentmem.core.operations import Batch, Effect, Op, T, ok, once_checked, reads, text, writes
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

    def fits(self, replies: list[Any]) -> bool:
        """Return whether the number is stored, given the replies to `asking` or `fixing`.

        Without partitions the key may be that of a user named `partitions`, whose record of threads it is.

        Raises:
            ConfigurationError: It is another one.
            StoreError: The server refused to say, or to store it.
        """
        if not self.partitions and isinstance(replies[-1], WrongKeyTypeError):
            return False
        *_, stored = map(ok, replies)
        if stored is None:
            return False
        found = text(stored)
        if found != str(self.partitions):
            here = self.partitions or None
            raise ConfigurationError(
                f"The {self.data} are in {found} partitions, and partitions is {here}. The number "
                f"is fixed for the life of the data: set partitions={found}, or copy the data into another "
                "number of partitions with `agentmem move`.",
                plain=f"The {self.data} are in {found} partitions, and not in {here or 'none'}. Set "
                f"AGENTMEM_PARTITIONS to {found}, or copy everything into another number of partitions with "
                "agentmem move.",
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
    """What operations of one transport have to know before they run.

    Args:
        known: What is known over the connection, for all objects that share it.
    """

    def __init__(self, known: dict[Any, Any]) -> None:
        self._known = known
        self._open: tuple[PartitionCount, ...] = ()

    def add(self, *counts: PartitionCount) -> None:
        """Have these numbers known before the next operation."""
        self._open = tuple(dict.fromkeys([*self._open, *counts]))

    def checked(self, op: Op[T]) -> Op[T]:
        """Return an operation that runs only if all data has the number of partitions that is set here.

        What is not known over this connection yet is asked along with what only reads, and in a round trip of
        its own before a write, which fixes the number for data that is new. Several numbers are fixed only if
        none of them is another one; the first is fixed before the others, so that of two that begin at once
        with different numbers, one has all of them, and the other none.

        Raises:
            ConfigurationError: When it is run: some data has another number; nothing was done.
        """
        if self._open:
            self._open = tuple(one for one in self._open if self._known.get(one.key) != one.partitions)
        return self._asking_first(op, list(self._open)) if self._open else op

    def _asking_first(self, op: Op[T], left: list[PartitionCount]) -> Op[T]:
        try:
            step = next(op)
            while True:
                if left and not isinstance(step, Effect):
                    along = step if all(command.read_only for command in step) else []
                    if along or len(left) > 1:
                        batches = [one.asking() for one in left]
                        replies = yield [*(command for batch in batches for command in batch), *along]
                        left = self._left(left, batches, replies)
                        if along:
                            step = op.send(replies[-len(along) :])
                            continue
                    for some in filter(None, (left[:1], left[1:])):
                        batches = [one.fixing() for one in some]
                        replies = yield [command for batch in batches for command in batch]
                        self._left(some, batches, replies)
                    left = []
                try:
                    answer = yield step
                except Exception as error:  # noqa: BLE001 - raised in the operation
                    step = op.throw(error)
                else:
                    step = op.send(answer)
        except StopIteration as stop:
            result_of_op: T = stop.value
            return result_of_op
        finally:
            op.close()

    def _left(
        self, asked: list[PartitionCount], batches: list[Batch], replies: list[Any]
    ) -> list[PartitionCount]:
        """Note which numbers are stored, and return the others, whose data is not there yet.

        What a user may not ask about, it may not use either: the key is among those of the data.
        """
        left, at = [], 0
        for one, batch in zip(asked, batches, strict=True):
            told = replies[at : at + len(batch)]
            if isinstance(told[-1], StoreAuthenticationError) or one.fits(told):
                self._known[one.key] = one.partitions
            else:
                left.append(one)
            at += len(batch)
        return left
