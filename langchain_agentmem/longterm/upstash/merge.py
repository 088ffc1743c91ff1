"""The making of one memory of several that say the same: what a consolidation asks of Upstash. No I/O."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

import orjson

from langchain_agentmem.core.operations import Command, Op, ok, reads
from langchain_agentmem.core.scripts import together
from langchain_agentmem.errors import WrongKeyTypeError
from langchain_agentmem.longterm.consolidate import Merge, ReadMemories, Stored, member_text
from langchain_agentmem.longterm.types import Scope, UnreadableDocument, report_unreadable
from langchain_agentmem.longterm.upstash import clearing
from langchain_agentmem.longterm.upstash.document import decode, document_of, memory_id
from langchain_agentmem.longterm.upstash.queries import UpstashStore

_MERGE = together(
    *(("langchain_agentmem.longterm", "extend"), (__package__, "seen")),
    *(("langchain_agentmem.longterm", "outlive"), (__package__, "merge")),
)


@dataclass(frozen=True, slots=True)
class UpstashMerging:
    """The operations of a consolidation on Upstash, where memories have no neighbours.

    Attributes:
        store: Where the memories are.
    """

    store: UpstashStore

    def ids(self, scope: Scope) -> Op[list[str]]:
        """Return the ids of a user's memories, as `clearing.ids` does."""
        return clearing.ids(self.store, scope.user)

    def read(self, ids: Sequence[str]) -> Op[tuple[ReadMemories, int]]:
        """Return memories, `None` for each that is none, and how many documents are none. One round trip."""
        if not ids:
            return [], 0
        keys = [self.store.keys.upstash_memory(one) for one in ids]
        replies = yield [reads("JSON.GET", key, path) for key in keys for path in ("$", "$.metadata")]
        found: ReadMemories = []
        unreadable = 0
        for one, key, document, metadata in zip(ids, keys, replies[::2], replies[1::2], strict=True):
            try:
                found.append(None if ok(document) is None else _stored(one, document, ok(metadata)))
            except (UnreadableDocument, WrongKeyTypeError) as error:
                report_unreadable(key, error)
                found.append(None)
                unreadable += 1
        return found, unreadable

    def superseded_by(self, ids: Sequence[str]) -> Op[list[str | None]]:
        """Return which memory superseded each; `None` if none did. One round trip."""
        replies = yield [
            reads("JSON.GET", self.store.keys.upstash_memory(one), "$.supersededBy") for one in ids
        ]
        return [member_text(one) or None if isinstance(one, bytes) else None for one in replies]

    def merge(self, merges: Sequence[Merge]) -> Op[list[bool]]:
        """Make memories one, each pair in one atomic step. One round trip."""
        replies = yield [self._merge(one) for one in merges]
        return [bool(ok(one)) for one in replies]

    def _merge(self, merge: Merge) -> Command:
        keys, user = self.store.keys, merge.kept.record.user
        kept, other = merge.kept, merge.other
        pointed = ["".join(one.pointed) for one in (kept, other)]
        return _MERGE.call(
            [
                *(keys.upstash_memory(one.record.id) for one in (kept, other)),
                *(keys.upstash_same(user, one or merge.digest) for one in (merge.digest, *pointed)),
                *(keys.upstash_memory(one) for one in merge.superseded),
            ],
            *(user, kept.record.kind, kept.record.text, other.record.text, kept.metadata, other.metadata),
            orjson.dumps(merge.metadata) if merge.metadata else "",
            *(other.record.hit_count, merge.digest),
            "1" if kept.record.id == memory_id(user, merge.digest) else "",
            *pointed,
            len(self.store.prefix.encode()),
        )

    def near(self, stored: Stored, most: float, size: int | None, without: Container[str]) -> Op[list[str]]:
        """Return none: there are no vectors to tell."""
        yield from ()
        return []

    def note_judged(self, judged: Sequence[Stored]) -> Op[None]:
        """Do nothing: no memories are judged."""
        yield from ()


def _stored(one: str, document: bytes, metadata: bytes | None) -> Stored:
    whole = document_of(document)
    same = whole.get("same") if isinstance(whole, dict) else None
    return Stored(
        decode(one, whole),
        "" if metadata is None else member_text(metadata),
        (same,) if isinstance(same, str) and same else (),
    )
