"""The memories of an import.

A memory's id is the exported one, or else made of what it says and whose it is, so that a second run knows
it by its id.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from langchain_agentmem.core import json
from langchain_agentmem.core.operations import Op, gather, ok
from langchain_agentmem.importing.lines import ImportOptions, MemoryLine
from langchain_agentmem.importing.report import ImportReport
from langchain_agentmem.longterm.long_term_memory import BaseLongTermMemory
from langchain_agentmem.longterm.types import Draft


class ImportedMemories:
    """The memories of an import: those that are not there are stored, and duplicates are left as they are.

    Args:
        long_term: Where memories are stored.
        options: Options that override what lines say.
        report: Counts what becomes of the memories.
    """

    def __init__(self, long_term: BaseLongTermMemory, options: ImportOptions, report: ImportReport) -> None:
        self._long_term, self._options, self._report = long_term, options, report
        self._waiting: dict[str, Draft] = {}

    def take(self, line: MemoryLine) -> None:
        """Take a memory.

        Raises:
            InvalidInputError: It cannot be stored.
        """
        options = self._options
        scope: dict[str, Any] = {
            "user": options.owner(line),
            "namespace": options.namespace or line.namespace or "default",
            "kind": options.kind or line.kind or "episodic",
        }
        self._long_term.check_supported(namespace=scope["namespace"])
        said = (line.user or scope["user"], line.namespace or "default", line.kind or "episodic")
        # An exported memory keeps its id, if no option makes another one of it.
        kept = line.id if said == tuple(scope.values()) else None
        draft = self._long_term.drafting.draft(
            line.text,
            **scope,
            source_thread=options.thread_id or line.thread or "",
            ttl_seconds=line.ttl_seconds,
            metadata=line.metadata,
            document_id=line.document_id,
            id=kept,
        )
        draft = draft if draft.overwrites else _named_by_content(draft)
        self._report.duplicate_memories += draft.id in self._waiting
        self._waiting.setdefault(draft.id, draft)

    def store_op(self) -> Op[None]:
        """Store what was taken. A round trip to look at ids, and what `add_op` costs."""
        drafts, self._waiting = list(self._waiting.values()), {}
        new = (yield from self._missing(drafts)) if self._long_term.supports_chosen_ids else drafts
        results = (yield from self._long_term.add_op(new)) if new else []
        stored = sum(not result.deduped for result in results)
        self._report.new_memories += stored
        self._report.duplicate_memories += len(drafts) - stored

    def _missing(self, drafts: list[Draft]) -> Op[list[Draft]]:
        """Return those whose id is not there yet. One round trip, and no embedding."""
        found = yield from gather(self._long_term.get_op(draft.id, None) for draft in drafts)
        new = []
        for draft, reply in zip(drafts, found, strict=True):
            record = ok(reply)
            if record is None:
                new.append(draft)
            elif record not in draft.scope:  # an exported id that is somebody else's here
                new.append(_named_by_content(draft))
        return new


def _named_by_content(draft: Draft) -> Draft:
    """Return the memory under an id made of what it says and whose it is; it replaces nothing."""
    said = json.dumps([draft.user, draft.namespace, draft.kind, draft.text])
    return replace(draft, id=hashlib.sha256(said).hexdigest()[:32], overwrites=False)
