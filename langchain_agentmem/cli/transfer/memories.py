"""The memories of an import.

A memory's id is the exported one, or else made of what it says and whose it is, so that a second run knows
it by its id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_agentmem.cli.transfer.format import Defaults, MemoryLine, Tally
from langchain_agentmem.core import json
from langchain_agentmem.core.operations import gather, ok
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
from langchain_agentmem.longterm.redisearch.vectors import vector
from langchain_agentmem.longterm.types import Draft, WriteBatch

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory


class ImportedMemories:
    """Takes memories, and stores those that are not known; none is counted as heard again."""

    def __init__(self, memory: AgentMemory, defaults: Defaults, tally: Tally) -> None:
        self._memory = memory
        self._defaults = defaults
        self._tally = tally
        self._waiting: dict[str, Draft] = {}
        self._exported: set[str] = set()

    def take(self, line: MemoryLine) -> None:
        """Take a memory.

        Raises:
            InvalidInputError: It cannot be stored.
        """
        given = self._defaults
        scope = {
            "user": given.user or line.user or given.login,
            "namespace": given.namespace or line.namespace or "default",
            "kind": given.kind or line.kind or "episodic",
        }
        said = (line.user or scope["user"], line.namespace or "default", line.kind or "episodic")
        # An exported memory keeps its id, if no option makes another one of it.
        kept = line.id if said == tuple(scope.values()) else None
        draft = self._memory.long_term.drafting.draft(
            line.text,
            **scope,
            source_thread=given.thread or line.thread or "",
            ttl_seconds=line.ttl_seconds,
            metadata=line.metadata,
            document_id=line.document_id,
            id=kept,
        )
        if kept is None:
            draft = replace(draft, id=_id_of(line.text, *scope.values()))
        self._tally.known_memories += draft.id in self._waiting
        self._waiting.setdefault(draft.id, draft)
        if kept is not None:
            self._exported.add(draft.id)

    def store(self) -> None:
        """Store what was taken."""
        drafts, exported = list(self._waiting.values()), self._exported
        self._waiting, self._exported = {}, set()
        if not drafts:
            return
        memory = self._memory.long_term
        if not isinstance(memory, LongTermMemory):
            return self._remember_by_words(drafts)
        new = self._not_there(memory, drafts)
        if not new:
            return
        embeddings = memory.embeddings.embed_documents([draft.text for draft in new])
        entries: list[tuple[Draft, Sequence[float]]] = list(zip(new, embeddings, strict=True))
        # What the exported store held apart stays apart: no look for what is nearly the same.
        self._store(memory, [entry for entry in entries if entry[0].id in exported], deduplicate=False)
        others = [entry for entry in entries if entry[0].id not in exported]
        self._store(memory, self._unknown(memory, others), deduplicate=True)

    def _not_there(self, memory: LongTermMemory, drafts: list[Draft]) -> list[Draft]:
        """Those whose id is not there yet. One round trip, and no embedding."""
        found = self._memory.transport.run(gather(memory.get_op(draft.id, None) for draft in drafts))
        new = []
        for draft, reply in zip(drafts, found, strict=True):
            record = ok(reply)
            if record is None:
                new.append(draft)
            elif record in draft.scope:
                self._tally.known_memories += 1
            else:  # an exported id that is somebody else's here
                made = _id_of(draft.text, draft.user, draft.namespace, draft.kind)
                new.append(replace(draft, id=made, replaces=False))
        return new

    def _unknown(
        self, memory: LongTermMemory, entries: list[tuple[Draft, Sequence[float]]]
    ) -> list[tuple[Draft, Sequence[float]]]:
        """Those that nothing nearly the same is stored of, nor stands before them in this batch.

        Looked for, rather than left to the storing, which would count it as heard again.
        """
        asked = (
            memory.recall_op(
                draft.text,
                embedding=embedding,
                user=draft.user,
                namespace=draft.namespace,
                kind=draft.kind,
                k=1,
                distance_threshold=memory.dedup_threshold,
            )
            for draft, embedding in entries
        )
        near = [ok(found) for found in self._memory.transport.run(gather(asked))] if entries else []
        most = memory.dedup_threshold + memory.store.tolerance
        unit = partial(vector, vector_type=memory.index.settings.vector_type)
        unknown: list[tuple[Draft, Sequence[float]]] = []
        for (draft, embedding), found in zip(entries, near, strict=True):
            before = [unit(other) for one, other in unknown if one.scope == draft.scope]
            if found or (before and _nearest(unit(embedding), before) <= most):
                self._tally.known_memories += 1
            else:
                unknown.append((draft, embedding))
        return unknown

    def _store(
        self, memory: LongTermMemory, entries: list[tuple[Draft, Sequence[float]]], *, deduplicate: bool
    ) -> None:
        if entries:
            drafts, embeddings = zip(*entries, strict=True)
            self._count(
                self._memory.transport.run(
                    memory.store_op(WriteBatch(drafts, embeddings), deduplicate=deduplicate)
                )
            )

    def _remember_by_words(self, drafts: list[Draft]) -> None:
        for draft in drafts:
            metadata = None if draft.metadata is None else json.loads(draft.metadata)
            result = self._memory.long_term.remember(
                draft.text,
                user=draft.user,
                namespace=draft.namespace,
                kind=draft.kind,
                source_thread=draft.source_thread,
                ttl_seconds=draft.ttl_seconds,
                metadata=metadata,
            )
            self._count([result])

    def _count(self, results: Sequence[Any]) -> None:
        known = sum(result.deduped for result in results)
        self._tally.known_memories += known
        self._tally.new_memories += len(results) - known


def _nearest(embedding: Any, others: Any) -> float:
    """The cosine distance to the nearest of the others; all are of length one."""
    import numpy as np

    return float(1 - np.max(np.asarray(others, np.float64) @ np.asarray(embedding, np.float64)))


def _id_of(said: str, *scope: str) -> str:
    """The id of a memory by what it says and whose it is."""
    return hashlib.sha256(json.dumps([*scope, said])).hexdigest()[:32]
