"""The write that skips what is said already: found by its digest, without a search.

A memory's id is the digest of what it says. One that has another id (the caller chose it, its text was
updated, the first version wrote it) names the digest in its member `same`, and the digest's pointer has its
id. So a known memory is found by two keys, in one atomic step that needs no index.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from langchain_agentmem.core.operations import Command, Op, call, gather, ok
from langchain_agentmem.errors import InvalidInputError, StoreError
from langchain_agentmem.longterm.redisearch import write_calls
from langchain_agentmem.longterm.redisearch.queries import Store
from langchain_agentmem.longterm.redisearch.write_calls import Entry, SlotsRefusedError
from langchain_agentmem.longterm.search_index import IndexKnowledge
from langchain_agentmem.longterm.types import MemoryRecord, RememberResult, Scope

_MAX_REPEATS = 50  # each because somebody else was faster


@dataclass(frozen=True, slots=True)
class SameWriter:
    """Stores memories unless one says the same.

    Attributes:
        store: Where they go.
        knowledge: Whether scripts may touch keys of several cluster slots, as far as known.
        digest: What all texts of a scope have in common that say the same.
        known: Memories that were just recalled.
        counts: Whether a duplicate is counted as seen again.
    """

    store: Store
    knowledge: IndexKnowledge
    digest: Callable[[Scope, str], str | None]
    known: Sequence[MemoryRecord] = ()
    counts: bool = True

    def remember(self, entries: Sequence[Entry]) -> Op[list[RememberResult]]:
        """Store memories in their order, each unless it is said already.

        One round trip for all of them; one or two more for what is said under another id, was superseded
        before, or supersedes another on a server whose scripts touch no several cluster slots. Each is one
        atomic step, and sees those before it.

        Raises:
            InvalidInputError: An id belongs to a memory of another scope; that one was left as it is.
            StoreError: The server refused one. Others may be stored.
        """
        if len(entries) == 1:
            return [(yield from self._remember(entries[0]))]
        last = {entry.draft.id: entry for entry in entries if entry.draft.overwrites}
        # Of one id twice the last one counts.
        ops = [
            _overwritten(entry)
            if entry.draft.overwrites and last[entry.draft.id] is not entry
            else self._remember(entry)
            for entry in entries
        ]
        return [ok(result) for result in (yield from gather(ops))]

    def _remember(self, entry: Entry) -> Op[RememberResult]:
        if self.knowledge.spans_slots or entry.draft.replaces is None:
            try:
                return (yield from self._store(entry))
            except SlotsRefusedError:
                if self.store.partitioned:
                    raise
                self.knowledge.spans_slots = False
        return (yield from self._in_steps(entry))

    def _in_steps(self, entry: Entry) -> Op[RememberResult]:
        """Store a memory, and then supersede another, where the two cannot be one step."""
        replaces = entry.draft.replaces
        if replaces is None:
            return (yield from self._store(entry))
        yield from write_calls.run(
            write_calls.supersede(self.store, entry.draft, entry.draft.id, only_looks=True)
        )
        result = yield from self._store(entry.replacing(None))
        if result.id == replaces:
            return result
        superseded = yield from write_calls.superseding(self.store, entry.draft, result.id)
        return replace(result, replaced=replaces if superseded else None)

    def _store(self, entry: Entry) -> Op[RememberResult]:
        if entry.draft.overwrites or not entry.digest:
            return (yield from self._overwrite(entry))
        result = yield from self._renew_known(entry)
        return (yield from self._unless_said(entry)) if result is None else result

    def _overwrite(self, entry: Entry) -> Op[RememberResult]:
        store, draft = self.store, entry.draft
        points = self.knowledge.spans_slots
        batch = [write_calls.overwrite(store, entry, points=points)]
        if not points and entry.digest not in ("", draft.id):
            ttl = write_calls.ttl_ms(draft.ttl_seconds)
            batch.append(write_calls.point(store, draft.scope, entry.digest, draft.id, ttl))
        stored, *pointed = yield batch
        try:
            superseded, lost = write_calls.done(stored)
        except InvalidInputError:  # the id is of another scope, whose memory never stands for this digest
            if pointed:
                yield write_calls.drop_pointers(store, entry.digest.encode(), draft.id)
            raise
        for reply in pointed:
            ok(reply)
        if lost:
            yield write_calls.drop_pointers(store, lost, draft.id)
        return RememberResult(draft.id, False, replaced=draft.replaces if superseded else None)

    def _renew_known(self, entry: Entry) -> Op[RememberResult | None]:
        """Count a memory that was just recalled and says the same under an id that is not the digest.

        One of the first version gets its digest so. One round trip; one more for that.
        """
        store, draft = self.store, entry.draft
        known = self._known(entry)
        if known is None:
            return None
        renew = write_calls.renew(store, entry, known.id, counts=self.counts, text=known.text)
        extended, reply = yield [write_calls.extend_pointer(store, entry, known.id), renew]
        renewed = write_calls.renewed(reply)
        if renewed is None:
            return None
        ok(extended)
        if renewed.adopted:
            scope, digest = draft.scope, entry.digest
            yield from call(write_calls.point(store, scope, digest, known.id, renewed.ttl_ms))
        return RememberResult(known.id, True, replaced=draft.replaces if renewed.superseded else None)

    def _known(self, entry: Entry) -> MemoryRecord | None:
        scope, digest = entry.draft.scope, entry.digest
        same = [
            record for record in self.known if record in scope and self.digest(scope, record.text) == digest
        ]
        return None if any(record.id == digest for record in same) else next(iter(same), None)

    def _unless_said(self, entry: Entry) -> Op[RememberResult]:
        store, draft = self.store, entry.draft
        fresh = vain = ""
        for _ in range(_MAX_REPEATS):
            if fresh and not self.knowledge.spans_slots:
                winner = yield from self._claim(entry, fresh, vain)
                if winner == fresh:
                    return RememberResult(fresh, False)
                fresh = ""
            command = write_calls.remember(store, entry, fresh=fresh, vain=vain, counts=self.counts)
            try:
                what, found, *rest = yield from write_calls.run(command)
            except SlotsRefusedError:
                if self.store.partitioned or draft.replaces is not None or not fresh:
                    raise
                self.knowledge.spans_slots = False
                continue
            memory_id = found.decode()
            if what in (0, 1):
                return RememberResult(memory_id, what == 1, replaced=draft.replaces if rest[0] else None)
            if what == 3:
                fresh = uuid.uuid4().hex
                continue
            renew = write_calls.renew(store, entry, memory_id, counts=self.counts)
            renewed = write_calls.renewed((yield from write_calls.run(renew)))
            if renewed is not None:
                return RememberResult(
                    memory_id, True, replaced=draft.replaces if renewed.superseded else None
                )
            vain = memory_id
        raise StoreError("Other writers keep changing what says the same as this text; try again.")

    def _claim(self, entry: Entry, fresh: str, vain: str) -> Op[str]:
        """Store a memory under a fresh id, then its pointer; take it back if another was faster.

        Returns:
            The id of the memory that stands for the digest now.
        """
        store, draft = self.store, entry.draft
        new = entry.under(fresh)
        ttl = write_calls.ttl_ms(draft.ttl_seconds)
        stored, pointed = yield [
            write_calls.overwrite(store, new, points=False),
            write_calls.point(store, draft.scope, entry.digest, fresh, ttl, vain=vain),
        ]
        write_calls.done(stored)
        winner = str(ok(pointed).decode())
        if winner != fresh:
            key = store.keys.memory(fresh)
            yield from write_calls.run(Command(("UNLINK", key), (key,)))
        return winner


def _overwritten(entry: Entry) -> Op[RememberResult]:
    """Return the result for a memory in whose place the same call stores another."""
    yield from ()
    return RememberResult(entry.draft.id, False)
