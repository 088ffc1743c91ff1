"""The memories of an import: each line becomes a memory once, or is merged into what says the same.

A memory has the exported id, or that of what it says. Where texts are not compared by what they say, it is
made of the text, so that a second run knows it all the same.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from langchain_agentmem.core import json
from langchain_agentmem.core.operations import Op, gather, ok
from langchain_agentmem.importing.lines import ImportOptions, MemoryLine
from langchain_agentmem.importing.report import ImportReport, MergedLine
from langchain_agentmem.longterm.drafts import CONTEXT_MESSAGES, context_of
from langchain_agentmem.longterm.long_term_memory import BaseLongTermMemory
from langchain_agentmem.longterm.types import Draft, MemoryRecord

_Key: TypeAlias = tuple[int, str]
"""A partition, and an id in it."""


@dataclass(frozen=True, slots=True)
class _Taken:
    """A line that was taken.

    Attributes:
        line: Its number.
        key: What lines have in common that are one memory.
        draft: The memory that it becomes.
        ids: Under which ids it may be there: its own, and one that an import stores it under which keeps all,
            or does not.
        otherwise: The same without its exported id, which may be taken; `None` if it has none.
    """

    line: int
    key: _Key
    draft: Draft
    ids: list[str]
    otherwise: Draft | None = None


class ImportedMemories:
    """The memories of an import: those that are not there are stored, and duplicates are left as they are.

    Args:
        long_term: Where memories are stored.
        options: Options that override what lines say.
        report: Counts what becomes of the memories.
    """

    def __init__(self, long_term: BaseLongTermMemory, options: ImportOptions, report: ImportReport) -> None:
        self._long_term, self._options, self._report = long_term, options, report
        self._waiting: list[_Taken] = []
        self._repeats: list[_Taken] = []
        self._lines: dict[_Key, int] = {}  # by key, the first line
        self._holders: dict[_Key, _Key] = {}  # by key, that of the memory that holds it, if that is another
        self._said = Counter[str]()
        self._thread: tuple[str, str] | None = None
        self._before = deque[str](maxlen=CONTEXT_MESSAGES)

    def take(self, number: int, line: MemoryLine) -> None:
        """Take a memory.

        Args:
            number: The line's number.
            line: The memory.

        Raises:
            InvalidInputError: It cannot be stored.
        """
        taken = self._taken(number, line)
        if taken.key in self._lines:
            self._repeats.append(taken)
        else:
            self._lines[taken.key] = number
            self._waiting.append(taken)

    def _taken(self, number: int, line: MemoryLine) -> _Taken:
        options, drafting = self._options, self._long_term.drafting
        scope: dict[str, Any] = {
            "user": options.owner(line),
            "namespace": options.namespace or line.namespace or "default",
            "kind": options.kind or line.kind or "episodic",
        }
        self._long_term.check_supported(namespace=scope["namespace"])
        thread = options.thread(line) or ""
        about: dict[str, Any] = {
            **scope,
            "source_thread": thread,
            "ttl_seconds": line.ttl_seconds,
            "metadata": line.metadata,
            "document_id": line.document_id,
            "context": self._context(line, scope["user"], thread),
        }
        draft = drafting.draft(line.text, **about, deduplicate=not options.keep_all)
        draft = replace(draft, restored=line.restored)
        self._before.append(line.text)
        said = (line.user or scope["user"], line.namespace or "default", line.kind or "episodic")
        # An exported memory keeps its id, if no option makes another one of it.
        if line.id is not None and self._long_term.supports_chosen_ids and said == tuple(scope.values()):
            kept = replace(drafting.draft(line.text, **about, id=line.id), restored=line.restored)
            if line.restored.superseded_by is not None:  # what is said again is no duplicate of it
                kept = replace(kept, digest=None)
            return _Taken(number, self._key(kept, line.id), kept, [line.id], otherwise=draft)
        return self._named(number, draft)

    def _context(self, line: MemoryLine, user: str, thread: str) -> str:
        """Return what was said before: as exported, or the memories before it in a row of one thread."""
        if (user, thread) != self._thread:
            self._thread = (user, thread)
            self._before.clear()
        if line.context is not None:
            return line.context
        # What was exported without a context had none, and an export has an order of its own.
        return context_of([*self._before]) if thread and line.id is None else ""

    def _named(self, number: int, draft: Draft) -> _Taken:
        """Return a memory without an exported id, under that of what it says, or one made of its text."""
        named = replace(draft, id=_id_of(draft))
        if not self._options.keep_all and draft.digest is not None:
            return self._under(number, draft, also=named.id)
        if draft.by_nearness:
            return self._under(number, named)
        self._said[named.id] += 1
        if self._said[named.id] > 1:  # the same text again is a memory of its own, in a second run too
            return self._under(number, replace(draft, id=_id_of(draft, self._said[named.id])))
        return self._under(number, named, also=self._long_term.drafting.digest(draft.scope, draft.text))

    def _under(self, number: int, draft: Draft, also: str | None = None) -> _Taken:
        drafts = [draft] if also is None else [draft, replace(draft, id=also)]
        ids = [self._long_term.id_of(one) for one in drafts]
        return _Taken(number, self._key(draft, ids[0]), draft, ids)

    def _key(self, draft: Draft, memory_id: str) -> _Key:
        return self._long_term.partition_of(draft.scope.user), memory_id

    def store_op(self) -> Op[None]:
        """Store what was taken.

        A round trip to look at ids, one more if exported ids are taken, what `add_op` costs, and one to read
        the texts that something was merged into.
        """
        waiting, self._waiting = self._waiting, []
        repeats, self._repeats = self._repeats, []
        texts: dict[_Key, str] = {}  # of memories that hold something of these
        new = yield from self._missing(waiting, texts)
        kept = sorted((one for one in new if not self._is_left_out(one)), key=lambda one: one.line)
        results = (yield from self._long_term.add_op([one.draft for one in kept])) if kept else []
        stored: set[int] = {one.line for one in new if self._is_left_out(one)}
        self._report.superseded_memories += len(stored)
        for one, result in zip(kept, results, strict=True):
            self._hold(one, result.id)
            if not result.deduped:
                texts[self._key(one.draft, result.id)] = one.draft.text
                stored.add(one.line)
                self._report.new_memories += 1
        duplicates = [one for one in waiting if one.line not in stored] + repeats
        self._report.duplicate_memories += len(duplicates)
        yield from self._tell_merged(sorted(duplicates, key=lambda one: one.line), texts)

    def _missing(self, taken: list[_Taken], texts: dict[_Key, str]) -> Op[list[_Taken]]:
        """Return those that are not there yet. No embedding.

        Args:
            taken: What may be there.
            texts: Gets the texts of the memories that are.
        """
        look = self._long_term.get_beside_op
        looks = [look(each, one.draft.scope.user) for one in taken for each in one.ids]
        found = iter((yield from gather(looks)))
        new, others = [], []
        for one in taken:
            records = [ok(next(found)) for _ in one.ids]
            if one.otherwise is not None and records[0] is not None and records[0] not in one.draft.scope:
                named = self._named(one.line, one.otherwise)  # the exported id is somebody else's here
                others.append(replace(named, key=one.key))
                continue
            known = next((record for record in records if record and self._is_known(one, record)), None)
            if known is None:
                new.append(one)
            else:
                self._hold(one, known.id)
                texts[self._key(one.draft, known.id)] = known.text
        return new + ((yield from self._missing(others, texts)) if others else [])

    def _is_known(self, taken: _Taken, record: MemoryRecord) -> bool:
        """Return whether what has one of its ids is the memory that was taken."""
        draft, is_own = taken.draft, record.id == taken.ids[0]
        if record not in draft.scope:
            return False
        if is_own and (draft.overwrites or draft.digest is None):
            return True  # it has the exported id, or that of this text: whatever became of it
        if record.superseded_by is not None:  # what is said again is stored again
            return False
        return record.text == draft.text or (
            is_own and self._long_term.drafting.digest(draft.scope, record.text) == draft.digest
        )

    def _is_left_out(self, taken: _Taken) -> bool:
        """Return whether something has replaced what was taken, and it cannot be kept as such.

        It is kept under its exported id, which is what links it to the other.
        """
        return taken.draft.restored.superseded_by is not None and taken.otherwise is None

    def _hold(self, taken: _Taken, memory_id: str) -> None:
        key = self._key(taken.draft, memory_id)
        if key != taken.key:
            self._holders[taken.key] = key

    def _tell_merged(self, duplicates: Iterable[_Taken], texts: dict[_Key, str]) -> Op[None]:
        """Report into what lines were merged, except those that are there word for word."""
        held = [(one, self._holders.get(one.key, one.key)) for one in duplicates]
        users = {holder: one.draft.scope.user for one, holder in held if holder not in texts}
        look = self._long_term.get_beside_op
        looks = [look(memory_id, user) for (_, memory_id), user in users.items()]
        records = (yield from gather(looks)) if looks else []
        read = zip(users, records, strict=True)
        texts |= {holder: one.text for holder, one in read if isinstance(one, MemoryRecord)}
        for one, holder in held:
            first = self._lines[one.key]
            into = self._lines.get(holder) if first == one.line else first
            into = None if into == one.line else into
            text = texts.get(holder, "")
            if into is not None or (text != one.draft.text and not self._is_another_version(one, text)):
                self._report.merged.append(MergedLine(one.line, one.draft.text, into, holder[1], text))

    def _is_another_version(self, taken: _Taken, text: str) -> bool:
        """Return whether the memory with the exported id says something else by now, or did so before."""
        digest = self._long_term.drafting.digest
        scope = taken.draft.scope
        return taken.otherwise is not None and digest(scope, text) != digest(scope, taken.draft.text)


def _id_of(draft: Draft, occurrence: int = 1) -> str:
    """Return an id made of a memory's text and whose it is; one more for each further time in an import."""
    said: list[Any] = [draft.user, draft.namespace, draft.kind, draft.text]
    said += [occurrence] if occurrence > 1 else []
    return hashlib.sha256(json.dumps(said)).hexdigest()[:32]
