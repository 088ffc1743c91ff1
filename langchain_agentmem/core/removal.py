"""The result of deleting many keys: how many are gone, and what the server refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from langchain_agentmem.core.operations import Argument, Command, text
from langchain_agentmem.core.scripts import Script
from langchain_agentmem.errors import AgentMemoryError, StoreError

K = TypeVar("K", bytes, str)


@dataclass(slots=True)
class Removed:
    """A deletion so far.

    Attributes:
        dry_run: Whether things are only counted, and none is deleted.
        count: How many things were deleted; in a dry run, how many would be.
        unreached: A sentence for each key that could not be dealt with.
    """

    dry_run: bool = False
    count: int = 0
    unreached: list[str] = field(default_factory=list)

    def call(self, script: Script, keys: Sequence[Argument], *args: Argument) -> Command:
        """Return the call of a script that deletes; in a dry run, its last argument has it only count."""
        command = script.call(keys, *args, *(["count"] if self.dry_run else []))
        return command._replace(read_only=self.dry_run)

    def answered(self, keys: Iterable[K], replies: Iterable[Any]) -> Iterator[tuple[K, Any]]:
        """Yield the keys that were dealt with, with their replies; note the others as unreached."""
        for key, reply in zip(keys, replies, strict=True):
            if isinstance(reply, Exception):
                said = reply.plain if isinstance(reply, AgentMemoryError) else reply
                self.unreached.append(f"{text(key)!r}: {said}")
            else:
                yield key, reply

    def all(self) -> int:
        """Return the count.

        Raises:
            StoreError: Something was not reached.
        """
        if self.unreached:
            raise StoreError(
                f"{self.count} deleted, but {len(self.unreached)} not reached: {'; '.join(self.unreached)}"
            )
        return self.count
