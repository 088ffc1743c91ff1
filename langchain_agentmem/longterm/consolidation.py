"""What a consolidation is given and returns: who judges memories, what is judged, and what became of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from langchain_agentmem.asking import aask, ask
from langchain_agentmem.core.operations import Effect
from langchain_agentmem.core.redaction import shorten
from langchain_agentmem.errors import ExtractionError
from langchain_agentmem.longterm.types import MemoryRecord

MAX_PAIRS = 1000  # that a result lists
PAIR_TEXT = 200  # characters of a text in a result

Because: TypeAlias = Literal["same", "near", "paraphrase", "contradiction"]
Step: TypeAlias = tuple[str, str, Because]  # the id of a memory that stays, that of the other one, and why


@dataclass(frozen=True, slots=True)
class Judgement:
    """Holds what a group of memories says, as a consolidator tells it, by their ids.

    Attributes:
        same: Lists of memories that say the same in other words.
        contradicting: Lists of memories of which only one can be true now. The one said last is taken to be.
    """

    same: Sequence[Sequence[str]] = ()
    contradicting: Sequence[Sequence[str]] = ()


class Consolidator(Protocol):
    """A function from memories of one scope that are near each other to a judgement, sync or async.

    A sync one is run in a thread where code is async; if it has an `acall`, that is awaited instead. An async
    one runs in an event loop of its own where code is sync.
    """

    def __call__(self, memories: Sequence[MemoryRecord], /) -> Judgement | Awaitable[Judgement]:
        """Return what the memories, oldest first, say of each other."""


@dataclass(frozen=True, slots=True)
class ConsolidatedPair:
    """Two memories that became one, or would.

    Attributes:
        kept: The id of the memory that stays.
        other: The id of the one that was merged into it, or that it supersedes now.
        because: Why: the two say the `same`, are `near` (only by `dedup="near"`), or a consolidator found a
            `paraphrase` or a `contradiction`. The first two are merged, and the others superseded.
        kept_text: How the text of the one that stays begins.
        other_text: How the text of the other one begins.
        namespace: The namespace of both.
        kind: The kind of both.
    """

    kept: str
    other: str
    because: Because
    kept_text: str
    other_text: str
    namespace: str
    kind: str

    @classmethod
    def of(cls, kept: MemoryRecord, other: MemoryRecord, because: Because) -> ConsolidatedPair:
        """Return the pair of two memories, with texts that are cut."""
        return cls(
            *(kept.id, other.id, because, _cut(kept.text), _cut(other.text)),
            namespace=kept.namespace,
            kind=kept.kind,
        )


def _cut(text: str) -> str:
    return text if len(text) <= PAIR_TEXT else text[: PAIR_TEXT - 1] + "…"


@dataclass(slots=True)
class Consolidated:
    """The result of `consolidate`.

    Attributes:
        dry_run: Whether this only says what would be done.
        scanned: How many memories were looked at, without those that are superseded.
        merged: How many were merged into another one, and are gone.
        superseded: How many another one supersedes now, as a consolidator found.
        skipped: How many stay because somebody changed one of the two meanwhile. The next run finds them.
        unreadable: How many documents are no memories. They were left as they are.
        asked: How many groups the consolidator was asked about.
        refused: How many of its answers could not be used. The next run asks again.
        pairs: The first 1,000 pairs.
    """

    dry_run: bool
    scanned: int = 0
    merged: int = 0
    superseded: int = 0
    skipped: int = 0
    unreadable: int = 0
    asked: int = 0
    refused: int = 0
    pairs: list[ConsolidatedPair] = field(default_factory=list)


class Judge(Effect):
    """The effect of asking a consolidator about a group; the result is its judgement.

    Whatever it raises becomes an `ExtractionError`.

    Args:
        consolidator: Who judges.
        memories: The group, oldest first.
    """

    __slots__ = ("consolidator", "memories")

    def __init__(self, consolidator: Consolidator, memories: Sequence[MemoryRecord]) -> None:
        self.consolidator = consolidator
        self.memories = memories

    @property
    def group(self) -> Hashable:
        """Return this: each group is judged by itself."""
        return id(self)

    def merge(self, others: Sequence[Judge]) -> tuple[Judge, Callable[[Any], list[Any]]]:
        """Return this: no two are of the same group."""
        return self, lambda judgement: [judgement]

    def run(self) -> Any:
        """Ask the consolidator.

        Raises:
            ExtractionError: It failed.
        """
        try:
            return ask(self.consolidator, self.memories)
        except ExtractionError:
            raise
        except Exception as error:
            raise _failed(error) from error

    async def arun(self) -> Any:
        """Async version of `run`."""
        try:
            return await aask(self.consolidator, self.memories)
        except ExtractionError:
            raise
        except Exception as error:
            raise _failed(error) from error


def _failed(error: Exception) -> ExtractionError:
    said = shorten(" ".join(str(error).split()), PAIR_TEXT)
    return ExtractionError(f"The consolidator raised {type(error).__name__}: {said}", reason="failed")


def refused(what: str, *, unknown: bool = False) -> ExtractionError:
    """Return the error for a judgement that cannot be used; `unknown` if it names another memory."""
    return ExtractionError(
        f"The consolidator's answer cannot be used: it has {what}.",
        reason="unknown_id" if unknown else "malformed",
    )


def resolved(judgement: Any, group: Sequence[MemoryRecord], said: Mapping[str, float]) -> list[Step]:
    """Return what a judgement means: the memory that stays, the other one, and why; in the order to do it.

    Of those that say the same, the oldest stays. Of those that contradict each other, the one that was said
    last does, also if it was said in other words.

    Args:
        judgement: What a consolidator returned.
        group: The memories it was shown.
        said: When each was said last.

    Raises:
        ExtractionError: It is no judgement, names a memory that is not in the group, or contradicts itself.
    """
    if not isinstance(judgement, Judgement):
        raise refused(f"a {type(judgement).__name__} in place of a Judgement")
    shown = {record.id: record for record in group}
    same, contradicting = (_checked(lists, shown) for lists in (judgement.same, judgement.contradicting))
    stays = _representatives(same, shown)
    last = {one: max(said[other] for other in shown if stays[other] == one) for one in set(stays.values())}
    steps: list[Step] = [(stays[one], one, "paraphrase") for one in shown if stays[one] != one]
    newer: dict[str, str] = {}
    for ids in contradicting:
        versions = sorted({stays[one] for one in ids}, key=lambda one: (last[one], one))
        if len(versions) < 2:
            raise refused("memories that say the same and contradict each other")
        *old, new = versions
        newer |= {one: new for one in old if one not in newer}
    # What supersedes others does so before it is superseded itself.
    order = sorted(newer, key=lambda one: (last[newer[one]], newer[one]))
    steps += [(newer[one], one, "contradiction") for one in order]
    return steps


def _checked(lists: Any, shown: Mapping[str, MemoryRecord]) -> list[list[str]]:
    """Return lists of ids, each of two or more memories that were shown."""
    if not _is_list(lists) or not all(map(_is_list, lists)):
        raise refused("no lists of ids")
    for one in (one for ids in lists for one in ids):
        if not isinstance(one, str) or one not in shown:
            raise refused("a memory that was not shown", unknown=True)
    return [ids for ids in (list(dict.fromkeys(ids)) for ids in lists) if len(ids) > 1]


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _representatives(same: list[list[str]], shown: Mapping[str, MemoryRecord]) -> dict[str, str]:
    """Return the memory that stays for each: the oldest of those that say the same."""
    groups = {one: {one} for one in shown}
    for ids in same:
        joined = set().union(*(groups[one] for one in ids))
        groups |= dict.fromkeys(joined, joined)
    return {
        one: min(group, key=lambda other: (shown[other].created_ts, other)) for one, group in groups.items()
    }
