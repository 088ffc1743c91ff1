"""The number of partitions that data was written with, stored once beside it.

A user's partition follows from the number, so that with another one nothing would be found. Long-term memory
asks for it with the first operation of each connection.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from langchain_agentmem.core.keys import partition_count
from langchain_agentmem.core.operations import Batch, Command, Op, T, ok, once_checked, reads, text
from langchain_agentmem.errors import ConfigurationError


@dataclass(frozen=True)
class PartitionCount:
    """The number of partitions, as it is set here.

    Attributes:
        index_name: The search index of long-term memory, without a hash tag: it names the data.
        partitions: In how many partitions the data is; 0 for none, and then nothing is asked.
        known: What is known over a connection.
    """

    index_name: str
    partitions: int
    known: dict[Any, Any] = field(repr=False)

    @property
    def key(self) -> str:
        """Return the key that holds the number, a String."""
        return partition_count(self.index_name)

    def checked(self, op: Op[T], *, writes: bool) -> Op[T]:
        """Return an operation that runs only if the data has this number of partitions.

        Unless that is known over this connection, it is asked with the operation's first round trip, or in
        one of its own before an operation that begins with a write.

        Args:
            op: The operation.
            writes: Whether it may write, and so fixes the number for data that is new.

        Raises:
            ConfigurationError: When it is run: the data has another number; nothing was done.
        """
        if not self.partitions or self.known.get(self.key) == self.partitions:
            return op
        return once_checked(op, self.asking(writes=writes), lambda replies: self.check(replies, wrote=writes))

    def asking(self, *, writes: bool) -> Batch:
        """Return the command that asks for the number; what writes stores it if there is none."""
        if writes:
            return [Command(("SET", self.key, self.partitions, "NX", "GET"), (self.key,))]
        return [reads("GET", self.key)]

    def check(self, replies: list[Any], *, wrote: bool) -> None:
        """Note the number in the reply to `asking`, if it is there.

        Raises:
            ConfigurationError: The data has another one.
        """
        (reply,) = replies
        found = text(ok(reply)) if reply is not None else str(self.partitions) if wrote else None
        if found is None:
            return  # nothing was written yet: whoever comes next asks again
        if found != str(self.partitions):
            says = (
                f"The data of the index {self.index_name!r} is in {found} partitions, and partitions is "
                f"{self.partitions}. The number is fixed for the life of the data: set partitions={found}, "
            )
            raise ConfigurationError(
                f"{says}or copy the data into another number of partitions with `agentmem move`.",
                plain=f"The memories are in {found} partitions, and not in {self.partitions}. Set "
                f"AGENTMEM_PARTITIONS to {found}, or copy everything into another number of partitions with "
                "agentmem move.",
            )
        self.known[self.key] = self.partitions
