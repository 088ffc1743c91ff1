"""What is known about a search index over one connection, shared by all objects on it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class IndexKnowledge:
    """What is known about an index over one connection, by whoever asked first.

    Attributes:
        checked: Whether it was there, with the right schema and backfilled.
        dimensions: The length of its vectors then.
        searches_in_scripts: Whether the server allows a search inside a script, as far as known.
    """

    checked: bool = False
    dimensions: int | None = None
    searches_in_scripts: bool = True


class KnownIndex:
    """An index whose knowledge is shared by its identity: equal identities are the same index."""

    def __init__(self, identity: Hashable) -> None:
        self._identity = identity
        self.share({})

    def share(self, known: dict[Any, Any]) -> None:
        """Share what is known with all objects that keep their knowledge here: those of one connection."""
        self._known = known
        self._knowledge: IndexKnowledge = known.setdefault(self._identity, IndexKnowledge())

    @property
    def searches_in_scripts(self) -> bool:
        """Return whether the server allows a search inside a script, as far as known."""
        return self._knowledge.searches_in_scripts

    @searches_in_scripts.setter
    def searches_in_scripts(self, allowed: bool) -> None:
        self._knowledge.searches_in_scripts = allowed
