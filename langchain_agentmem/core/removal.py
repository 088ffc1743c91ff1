"""The result of deleting many keys: how many are gone, and what the server refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from langchain_agentmem.core.operations import text
from langchain_agentmem.errors import StoreError

K = TypeVar("K", bytes, str)


@dataclass(slots=True)
class Removed:
    """A deletion so far.

    Attributes:
        count: How many things were deleted.
        unreached: A sentence for each key that could not be dealt with.
    """

    count: int = 0
    unreached: list[str] = field(default_factory=list)

    def answered(self, keys: Iterable[K], replies: Iterable[Any]) -> Iterator[tuple[K, Any]]:
        """Yield the keys that were dealt with, with their replies; note the others as unreached."""
        for key, reply in zip(keys, replies, strict=True):
            if isinstance(reply, Exception):
                self.unreached.append(f"{text(key)!r}: {reply}")
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
