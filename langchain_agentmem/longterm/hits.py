"""What a ranking is given, and what it returns."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from math import exp
from typing import Any, NamedTuple


class Candidate(NamedTuple):
    """A memory that a search has brought.

    Attributes:
        key: What it is known by; hashable.
        text: The memory.
        context: The messages before it, one per line.
        similarity: The cosine of the angle to the question's vector; `None` if only words found it.
        created_ts: When it was stored, in seconds since 1970.
        members: What the search has read of it, from which the record of a winner is made.
    """

    key: Any
    text: str
    context: str
    similarity: float | None
    created_ts: float = 0.0
    members: Any = None


@dataclass(slots=True)
class Hit:
    """A candidate's rank, and what it is made of.

    Attributes:
        key: The candidate's.
        similarity: The candidate's: `None` if only words found it.
        meaning: The similarity; its upper bound if only words found it.
        words: What shared words add, with those of the context.
        context: How much of `words` the messages around it add.
        speaker: What being said by somebody named adds, or by somebody else takes.
        asks: What being a question takes.
        recency: What being recent adds.
        shared: The shared words, as the question has them.
    """

    key: Hashable
    similarity: float | None
    meaning: float
    words: float = 0.0
    context: float = 0.0
    speaker: float = 0.0
    asks: float = 0.0
    recency: float = 0.0
    shared: list[str] = field(default_factory=list)

    @property
    def total(self) -> float:
        """Return the sum of the parts."""
        return self.meaning + self.words + self.speaker + self.asks + self.recency

    @property
    def score(self) -> float:
        """Return the sum, brought between 0 and 1."""
        return 1 - exp(-max(0.0, self.total))
