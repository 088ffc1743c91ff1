"""The consolidation of a user's memories: what says the same is found and made one, however it is stored.

Held in memory is a digest of each memory, and the texts of a page.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

import orjson

from langchain_agentmem.core import json
from langchain_agentmem.core.operations import Op, gather, ok
from langchain_agentmem.errors import ExtractionError
from langchain_agentmem.longterm.consolidation import (
    MAX_PAIRS,
    Because,
    Consolidated,
    ConsolidatedPair,
    Consolidator,
    Judge,
    resolved,
)
from langchain_agentmem.longterm.types import MemoryRecord, Scope

logger = logging.getLogger("langchain_agentmem.longterm")

T = TypeVar("T")

GROUP = 8  # memories that a consolidator is shown at once; more are seldom about one thing
_PAGE = 500
_ANCHORS = 20  # whose neighbours are looked for in one round trip
_MAX_FAILURES = 5  # in a row: whoever judges is not there

ReadMemories: TypeAlias = "list[Stored | None]"


@dataclass(frozen=True, slots=True)
class Stored:
    """A memory as it is stored.

    Attributes:
        record: The memory.
        metadata: Its metadata as stored; empty for none.
        pointed: The digests whose pointers may lead to it.
        judged: What says that it was judged among its neighbours: the mark of what it said then.
    """

    record: MemoryRecord
    metadata: str = ""
    pointed: tuple[str, ...] = ()
    judged: str = ""

    @property
    def scope(self) -> Scope:
        """Return the scope the memory is in."""
        return Scope(self.record.user, self.record.namespace, self.record.kind)

    @property
    def mark(self) -> str:
        """Return what stands for all that it says: another one after its text has changed."""
        return hashlib.sha256(self.record.text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Merge:
    """The making of one memory of two, if both are still as they were read.

    Attributes:
        kept: The memory that stays.
        other: The other one.
        because: Why. What is the `same` or `near` is merged: the other memory is deleted, and counted in the
            one that stays. A `paraphrase` is counted, too, and superseded. What it contradicts is superseded.
        metadata: The metadata that the one that stays gets, as JSON text: its own, and what only the other
            one has; empty to leave it.
        digest: What both say; empty if nothing compares by it.
        superseded: The ids of the memories that the other one supersedes.
    """

    kept: Stored
    other: Stored
    because: Because
    metadata: str = ""
    digest: str = ""
    superseded: tuple[str, ...] = ()

    @property
    def deletes(self) -> bool:
        """Return whether the other memory is deleted, rather than superseded."""
        return self.because in ("same", "near")

    @property
    def counts(self) -> bool:
        """Return whether the other memory is counted in the one that stays."""
        return self.because != "contradiction"

    @property
    def kept_after(self) -> Stored:
        """Return the memory that stays, as it is stored afterwards."""
        if not self.metadata:
            return self.kept
        record = replace(self.kept.record, metadata=json.loads(self.metadata))
        return replace(self.kept, record=record, metadata=self.metadata)


class MergeStore(Protocol):
    """The operations of a store that a consolidation is made of."""

    def ids(self, scope: Scope) -> Op[list[str]]:
        """Return the ids of a user's memories; others' may be among them."""
        ...

    def read(self, ids: Sequence[str]) -> Op[tuple[ReadMemories, int]]:
        """Return memories by their ids, `None` for each that is none; and how many documents are none."""
        ...

    def superseded_by(self, ids: Sequence[str]) -> Op[list[str | None]]:
        """Return which memory superseded each; `None` if none did."""
        ...

    def merge(self, merges: Sequence[Merge]) -> Op[list[bool]]:
        """Make memories one, each pair in one atomic step; `False` where somebody has changed one."""
        ...

    def near(self, stored: Stored, most: float, size: int | None, without: Container[str]) -> Op[list[str]]:
        """Return the ids of the memories of the scope that are nearest to one, nearest first.

        Args:
            stored: The memory.
            most: Up to which cosine distance.
            size: How many at most; `None` for all.
            without: Those to leave out.
        """
        ...

    def note_judged(self, judged: Sequence[Stored]) -> Op[None]:
        """Note that memories have been judged, as they read."""
        ...


class _Seen(NamedTuple):
    created_ts: float
    hit_count: int
    digest: bytes
    judged: bool


@dataclass(slots=True)
class Consolidation:
    """A consolidation of a user's memories.

    Attributes:
        store: Where they are.
        scope: Whose, in which namespace.
        digest: What all texts of a scope have in common that say the same; `None` if nothing does.
        digests: Whether stored memories are found by that.
        dry_run: Whether nothing is written.
        threshold: Up to which cosine distance memories are duplicates; `None` if nearness makes none.
        consolidator: Who judges what is near each other; `None` for nobody.
        within: Up to which cosine distance memories are judged together.
        tell: Told how many steps are done, and how many there are.
        result: What has become of the memories so far.
        seen: The memories, by id.
        gone: Those that are no longer there, or are superseded.
        followed: The memories that each supersedes.
        said: When the duplicates of a memory were said last.
    """

    store: MergeStore
    scope: Scope
    digest: Callable[[Scope, str], str | None]
    digests: bool
    dry_run: bool
    threshold: float | None
    consolidator: Consolidator | None
    within: float
    tell: Callable[[int, int], None]
    result: Consolidated = field(init=False)
    seen: dict[str, _Seen] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    followed: dict[str, list[str]] | None = None
    said: dict[str, float] = field(default_factory=dict)
    together: dict[str, set[str]] = field(default_factory=dict)

    def run(self) -> Op[Consolidated]:
        """Make one of what says the same."""
        self.result = Consolidated(self.dry_run)
        ids = yield from self.store.ids(self.scope)
        passes = 1 + (self.threshold is not None) + (self.consolidator is not None)
        total = passes * len(ids)
        for done, page in _pages(ids, _PAGE):
            yield from self._scan(page)
            if done < total:
                self.tell(done, total)
        yield from self._merge_same(ids)
        if self.threshold is not None:
            yield from self._merge_near(ids, self.threshold, total)
        if self.consolidator is not None:
            yield from self._judge_near(self.consolidator, ids, total)
        self.tell(total, total)
        return self.result

    def _scan(self, ids: Sequence[str]) -> Op[None]:
        """Note what the memories of a page say. One round trip."""
        page, unreadable = yield from self.store.read(ids)
        self.result.unreadable += unreadable
        for one in page:
            if one is None or not self._is_live(one):
                continue
            said = self.digest(one.scope, one.record.text)
            self.seen[one.record.id] = _Seen(
                one.record.created_ts,
                one.record.hit_count,
                b"" if said is None else bytes.fromhex(said),
                one.judged == one.mark,
            )
        self.result.scanned = len(self.seen)

    def _is_live(self, stored: Stored) -> bool:
        """Return whether it is a memory to be consolidated; documents of a vector store are none."""
        record = stored.record
        return record in self.scope and record.superseded_by is None and record.document_id is None

    def _oldest_first(self, ids: Sequence[str]) -> list[str]:
        return sorted(ids, key=lambda one: (self.seen[one].created_ts, one))

    def _merge_same(self, ids: Sequence[str]) -> Op[None]:
        """Merge what has the same digest: four round trips per 500 pairs."""
        groups: dict[bytes, list[str]] = {}
        for one, seen in self.seen.items():
            if seen.digest:
                groups.setdefault(seen.digest, []).append(one)
        pairs = [
            (kept, other)
            for group in groups.values()
            if len(group) > 1
            for kept, *others in [self._oldest_first(group)]
            for other in others
        ]
        del groups
        for _, page in _pages(pairs, _PAGE):
            yield from self._merge(ids, page, "same")

    def _merge(self, ids: Sequence[str], pairs: Sequence[tuple[str, str]], because: Because) -> Op[bool]:
        """Make memories one, pair by pair; return whether all were as they had been read."""
        yield from self._follow(ids)
        there = yield from self._read(dict.fromkeys(one for pair in pairs for one in pair))
        merges: list[Merge] = []
        for kept, other in pairs:
            merge = self._planned(there.get(kept), there.get(other), because)
            if merge is None:
                self.result.skipped += 1
                continue
            merges.append(merge)
            there[kept] = merge.kept_after
        return (yield from self._make(merges)) and len(merges) == len(pairs)

    def _read(self, ids: Sequence[str] | dict[str, None]) -> Op[dict[str, Stored]]:
        """Return those of some memories that are there, and in the scope, by id. One round trip."""
        found, _ = yield from self.store.read(list(ids))
        return {one.record.id: one for one in found if one is not None and self._is_live(one)}

    def _planned(self, kept: Stored | None, other: Stored | None, because: Because) -> Merge | None:
        """Return how a pair becomes one; `None` if one of them is not as it was."""
        if kept is None or other is None or kept.scope != other.scope:
            return None
        merge = Merge(kept, other, because)
        if not merge.deletes:
            return replace(merge, metadata=_metadata(kept, other)) if merge.counts else merge
        digests = [self.digest(one.scope, one.record.text) for one in (kept, other)]
        before = self.seen[other.record.id]
        # What has been seen since the links were read may supersede others that are not known here.
        if other.record.hit_count != before.hit_count or (because == "same" and digests[0] != digests[1]):
            return None
        return replace(
            merge,
            metadata=_metadata(kept, other),
            digest=(digests[0] or "") if self.digests and because == "same" else "",
            superseded=tuple((self.followed or {}).get(other.record.id, ())),
        )

    def _follow(self, ids: Sequence[str]) -> Op[None]:
        """Note which memories each supersedes, once, after all were read. A round trip per 500 memories."""
        if self.followed is not None or self.dry_run:
            return
        self.followed = {}
        for _, page in _pages(ids, _PAGE):
            for old, new in zip(page, (yield from self.store.superseded_by(page)), strict=True):
                if new is not None:
                    self.followed.setdefault(new, []).append(old)

    def _make(self, merges: Sequence[Merge]) -> Op[bool]:
        """Make memories one, or only note that they would be; return whether all were."""
        if not merges:
            return True
        made = [True] * len(merges) if self.dry_run else (yield from self.store.merge(merges))
        for merge, is_made in zip(merges, made, strict=True):
            if not is_made:
                self.result.skipped += 1
                continue
            self._note(merge)
        return all(made)

    def _note(self, merge: Merge) -> None:
        kept, other, result = merge.kept.record, merge.other.record, self.result
        if merge.deletes:
            result.merged += 1
        else:
            result.superseded += 1
        self.gone.add(other.id)
        if len(result.pairs) < MAX_PAIRS:
            result.pairs.append(ConsolidatedPair.of(kept, other, merge.because))
        if merge.counts:
            if not self.dry_run:
                seen = self.seen[kept.id]
                self.seen[kept.id] = seen._replace(hit_count=seen.hit_count + other.hit_count + 1)
            self.said[kept.id] = max(self._said(kept), self._said(other))
        if merge.deletes and self.followed:
            moved = self.followed.pop(other.id, [])
            if moved:
                self.followed.setdefault(kept.id, []).extend(moved)

    def _said(self, record: MemoryRecord) -> float:
        """Return when it was said last, also by a duplicate that was merged into it now."""
        return max(record.created_ts, record.updated_ts or 0.0, self.said.get(record.id, 0.0))

    def _merge_near(self, ids: Sequence[str], threshold: float, total: int) -> Op[None]:
        """Merge what is within a distance of an older memory that stays."""
        anchors = self._oldest_first([one for one in self.seen if one not in self.gone])
        for done, page in _pages(anchors, _ANCHORS):
            for stored, near in (yield from self._near(page, threshold, None)):
                kept = stored.record.id
                others = [one for one in near if one in self.seen and one not in self.gone]
                if kept not in self.gone and others:
                    pairs = [(kept, one) for one in self._oldest_first(others)]
                    yield from self._merge(ids, pairs, "near")
            self.tell(len(ids) + done, total)

    def _near(
        self, anchors: Sequence[str], most: float, size: int | None
    ) -> Op[list[tuple[Stored, list[str]]]]:
        """Return memories, as they read now, with those nearest to each: three round trips."""
        there = [*(yield from self._read(anchors)).values()]
        found = yield from gather(self.store.near(one, most, size, self.gone) for one in there)
        return [*zip(there, map(ok, found), strict=True)]

    def _judge_near(self, consolidator: Consolidator, ids: Sequence[str], total: int) -> Op[None]:
        """Have memories judged that have not been, each with those near it."""
        waiting = self._oldest_first([one for one, seen in self.seen.items() if not seen.judged])
        before = total - len(ids)
        failures = 0
        for done, page in _pages(waiting, _ANCHORS):
            judged = []
            anchors = [one for one in page if one not in self.gone]
            for stored, others in (yield from self._near(anchors, self.within, GROUP - 1)):
                outcome = yield from self._judge(consolidator, stored.record.id, others)
                failures = 0 if outcome is not None else failures + 1
                judged += [stored] if outcome else []
                if failures == _MAX_FAILURES:
                    break
            judged = [one for one in judged if one.record.id not in self.gone]
            if judged and not self.dry_run:
                yield from self.store.note_judged(judged)
            if failures == _MAX_FAILURES:
                logger.warning("The consolidator failed %d times in a row, and is asked no more.", failures)
                return
            self.tell(before + done, total)

    def _judge(self, consolidator: Consolidator, anchor: str, near: Sequence[str]) -> Op[bool | None]:
        """Have a memory judged with those near it, until all of them have been judged with it.

        Returns:
            Whether it has been; `None` if the answer could not be used.
        """
        while True:
            others = [one for one in near if one in self.seen and one not in self.gone]
            known = self.together.setdefault(anchor, set())
            if anchor in self.gone or known.issuperset(others):
                return True
            there = yield from self._read([anchor, *others])
            known.update(others)
            if anchor not in there or len(there) == 1:
                return anchor in there
            group = sorted((one.record for one in there.values()), key=lambda one: (one.created_ts, one.id))
            self.result.asked += 1
            try:
                judgement = yield Judge(consolidator, group)
                steps = resolved(judgement, group, {one.id: self._said(one) for one in group})
            except ExtractionError as error:
                self.result.refused += 1
                logger.warning("A consolidator's answer is not used (%s): %s", error.reason, error)
                return None
            for one in there:
                self.together.setdefault(one, set()).update(there)
            if not (yield from self._supersede(there, steps)):
                return False
            if not steps or len(others) < GROUP - 1:
                return True
            found = yield from self._near([anchor], self.within, GROUP - 1)
            near = found[0][1] if found else []

    def _supersede(self, there: dict[str, Stored], steps: Sequence[tuple[str, str, Because]]) -> Op[bool]:
        merges = []
        for kept, other, because in steps:
            merge = self._planned(there[kept], there[other], because)
            if merge is None:
                return False
            merges.append(merge)
            there[kept] = merge.kept_after
        return (yield from self._make(merges))


def member_text(reply: bytes) -> str:
    """Return the text in the reply to a read of a JSON member, as `merge.lua` compares it.

    Empty if there is none, or null; of anything else than a text, the reply.
    """
    try:
        value = (orjson.loads(reply) or [None])[0]
    except ValueError:
        value = ...
    if value is None:
        return ""
    return value if isinstance(value, str) else reply.decode()


def _metadata(kept: Stored, other: Stored) -> str:
    """Return the metadata of a memory with what only another one has; empty if there is nothing to add."""
    missing = {
        name: value for name, value in other.record.metadata.items() if name not in kept.record.metadata
    }
    if not missing:
        return ""
    return json.dumps({**kept.record.metadata, **missing}).decode()


def _pages(items: Sequence[T], size: int) -> Iterator[tuple[int, Sequence[T]]]:
    """Yield the items in pages, each with how many come before its end."""
    for start in range(0, len(items), size):
        yield min(start + size, len(items)), items[start : start + size]
