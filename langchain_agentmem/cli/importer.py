"""Storing what is imported, so that the same lines are stored once, however often and whatever ends a run.

A message's mark is written into the session's Hash by the very step that appends it, so either both are
there or neither is; a mark lives and dies with its session. A memory's id is made of what it says and
whose it is, so that it is known by its id.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from langchain_agentmem.cli.failures import CommandError
from langchain_agentmem.cli.lines import Line, MemoryLine, MessageLine, NotesLine
from langchain_agentmem.core import json
from langchain_agentmem.core.operations import call, gather, ok, pairs, text
from langchain_agentmem.errors import InvalidInputError

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory
    from langchain_agentmem.longterm.documents import Draft
    from langchain_agentmem.longterm.long_term_memory import LongTermMemory

_MARKS = "import:"  # a field of the session's Hash, one a batch
_MARK_SIZE = 16


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the command's options say; an option goes before what a line says."""

    user: str | None
    namespace: str | None
    kind: str | None
    thread: str | None
    login: str


@dataclass(slots=True)
class Tally:
    """What became of the lines."""

    new_messages: int = 0
    known_messages: int = 0
    new_memories: int = 0
    known_memories: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)


class Importer:
    """Takes lines and stores them a batch at a time, in their order.

    Attributes:
        tally: What became of them so far.
    """

    def __init__(self, memory: AgentMemory, defaults: Defaults) -> None:
        self.tally = Tally()
        self._memory = memory
        self._defaults = defaults
        self._marks: dict[str, set[str]] = {}
        self._seen: Counter[tuple[str, bytes]] = Counter()
        self._source = b""

    def store(self, batch: Sequence[tuple[int, Line]]) -> None:
        """Store a batch; a line that cannot be stored is tallied, and does not keep the others.

        Raises:
            CommandError: A message's thread is not known, or belongs to somebody else.
        """
        messages: dict[str, list[tuple[int, MessageLine]]] = {}
        drafts: dict[str, Draft] = {}
        for number, line in batch:
            try:
                if isinstance(line, MemoryLine):
                    draft = self._draft(line)
                    self.tally.known_memories += draft.id in drafts
                    drafts.setdefault(draft.id, draft)
                elif isinstance(line, NotesLine):
                    self._note(line)
                else:
                    messages.setdefault(self._thread(number, line), []).append((number, line))
            except InvalidInputError as error:
                self.tally.bad.append((number, str(error)))
        for thread, lines in messages.items():
            self._append(thread, lines)
        if drafts:
            self._remember(list(drafts.values()))

    # Messages.

    def _thread(self, number: int, line: MessageLine) -> str:
        thread = self._defaults.thread or line.thread
        if thread is None:
            raise CommandError(f"line {number} is a message: say with --thread which conversation it is of")
        return thread

    def _owner(self, line: MessageLine | NotesLine | MemoryLine) -> str:
        return self._defaults.user or line.user or self._defaults.login

    def _note(self, line: NotesLine) -> None:
        thread, user = self._defaults.thread or line.thread, self._owner(line)
        self._known(thread, user)
        working = self._memory.working
        working.start(thread, user=user, agent=line.agent, goal=line.goal)
        if line.scratchpad:
            working.set_scratchpad(thread, line.scratchpad)

    def _append(self, thread: str, lines: Sequence[tuple[int, MessageLine]]) -> None:
        """Append what is not marked yet, with its marks, in one atomic step."""
        user = self._owner(lines[0][1])
        known = self._known(thread, user)
        working, now = self._memory.working, time.time()
        turns, marks = [], []
        for number, line in lines:
            mark = self._mark(thread, line)
            if mark in known:
                self.tally.known_messages += 1
                continue
            try:
                turns.append(working.encode(line.message, now if line.ts is None else line.ts))
            except InvalidInputError as error:
                self.tally.bad.append((number, str(error)))
            else:
                marks.append(mark)
        if not turns:
            return
        fields = [_MARKS + marks[0], "".join(marks)]
        command = working.write_command(thread, user, turns=turns, fields=fields, now=now)
        self._memory.transport.run(call(command))
        known.update(marks)
        self.tally.new_messages += len(turns)

    def _mark(self, thread: str, line: MessageLine) -> str:
        """What a message is known by: what it says, and the how manieth in this file that says so.

        Without a time, "yes" says nothing about itself; it is then known by the first message of its file
        too, so that the "yes" of another file is another message.
        """
        self._source = self._source or line.digest
        said = line.digest if line.ts is not None else line.digest + self._source
        self._seen[thread, said] += 1
        whole = said + str(self._seen[thread, said]).encode()
        return hashlib.sha256(whole).hexdigest()[:_MARK_SIZE]

    def _known(self, thread: str, user: str) -> set[str]:
        """The marks of a session, read once."""
        if thread not in self._marks:
            fields = self._memory.transport.run(call(("HGETALL", self._memory.working.key(thread))))
            stored = {text(name): value for name, value in pairs(fields)}
            owner = text(stored.get("user", ""))
            if owner not in ("", "default", user):
                raise CommandError(
                    f"The thread {thread} is {owner}'s: say --user {owner}, or another --thread."
                )
            marks = "".join(text(stored[name]) for name in stored if name.startswith(_MARKS))
            self._marks[thread] = {marks[at : at + _MARK_SIZE] for at in range(0, len(marks), _MARK_SIZE)}
        return self._marks[thread]

    # Memories.

    def _draft(self, line: MemoryLine) -> Draft:
        given = self._defaults
        scope = {
            "user": self._owner(line),
            "namespace": given.namespace or line.namespace or "default",
            "kind": given.kind or line.kind or "episodic",
        }
        said = (line.user or scope["user"], line.namespace or "default", line.kind or "episodic")
        # An exported memory keeps its id, if no option makes another one of it.
        kept = line.id if said == tuple(scope.values()) else None
        return self._memory.long_term.drafting.draft(
            line.text,
            **scope,
            source_thread=given.thread or line.thread or "",
            ttl_seconds=line.ttl_seconds,
            metadata=line.metadata,
            document_id=line.document_id,
            id=kept or _id_of(line.text, *scope.values()),
        )

    def _remember(self, drafts: list[Draft]) -> None:
        if self._memory.transport.rest:
            return self._remember_by_words(drafts)
        memory: Any = self._memory.long_term
        new = self._not_there(memory, drafts)
        if not new:
            return None
        embeddings = memory.embeddings.embed_documents([draft.text for draft in new])
        # Looked for first, rather than remembered again: a second run must not count as hearing it again.
        asked = (
            memory.recall_op(
                embedding=embedding,
                user=draft.user,
                namespace=draft.namespace,
                kind=draft.kind,
                k=1,
                distance_threshold=memory.dedup_threshold,
            )
            for draft, embedding in zip(new, embeddings, strict=True)
        )
        near = [ok(found) for found in self._memory.transport.run(gather(asked))]
        kept = [at for at, found in enumerate(near) if not found]
        self.tally.known_memories += len(new) - len(kept)
        stored = memory.store_op(
            [new[at] for at in kept], [embeddings[at] for at in kept], memory.dedup_threshold
        )
        self._count(self._memory.transport.run(stored))
        return None

    def _not_there(self, memory: LongTermMemory, drafts: list[Draft]) -> list[Draft]:
        """Those whose id is not there yet. One round trip, and no embedding."""
        found = self._memory.transport.run(gather(memory.get_op(draft.id, None) for draft in drafts))
        new = []
        for draft, reply in zip(drafts, found, strict=True):
            record = ok(reply)
            if record is None:
                new.append(draft)
            elif record in draft.scope:
                self.tally.known_memories += 1
            else:  # an exported id that is somebody else's here
                new.append(replace(draft, id=_id_of(draft.text, draft.user, draft.namespace, draft.kind)))
        return new

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
        self.tally.known_memories += known
        self.tally.new_memories += len(results) - known


def _id_of(said: str, *scope: str) -> str:
    """The id of a memory by what it says and whose it is."""
    return hashlib.sha256(json.dumps([*scope, said])).hexdigest()[:32]
