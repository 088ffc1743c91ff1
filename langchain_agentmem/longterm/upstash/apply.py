"""Changes of memories on Upstash, all in one atomic step: one script, which says what it has to be passed."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import orjson

from langchain_agentmem.core.operations import Argument, Command, Op, call, text
from langchain_agentmem.core.scripts import together
from langchain_agentmem.errors import StoreError
from langchain_agentmem.longterm.changes import (
    KIND,
    Change,
    ChangeResult,
    CheckedChanges,
    Delete,
    Outcome,
    Supersede,
    Update,
)
from langchain_agentmem.longterm.digest import digest
from langchain_agentmem.longterm.drafts import Drafting
from langchain_agentmem.longterm.types import Refusal, Scope
from langchain_agentmem.longterm.upstash.document import NAMESPACE, encode, memory_id
from langchain_agentmem.longterm.upstash.queries import UpstashStore
from langchain_agentmem.tasks.task import Taking

_APPLY = together(
    *(("langchain_agentmem.longterm", "extend"), (__package__, "seen")),
    *("local function remember_one(KEYS, ARGV)\n", (__package__, "same"), (__package__, "remember"), "end\n"),
    *("local function update_one(KEYS, ARGV)\n", (__package__, "update"), "end\n"),
    *("local function forget_one(KEYS, ARGV)\n", (__package__, "forget"), "end\n"),
    *(("langchain_agentmem.tasks", "queues"), (__package__, "apply")),
)
_OUTCOMES: dict[object, Outcome] = {0: "stored", 1: "merged", b"updated": "updated", b"deleted": "deleted"}
_MAX_REPEATS = 50  # each because somebody else was faster


@dataclass(slots=True)
class Applying:
    """Applies changes to a store.

    Attributes:
        store: Where the memories are.
        drafting: The rules for what is stored.
        checked: The changes.
        kinds: The kinds of the memories that are named, as far as known; others are taken for `semantic`.
        found: The keys of other memories that may say what is added.
        digests: The digests that named memories stand for by a pointer, as far as known.
        taking: Tasks that are taken off their queue in the same step; `None` for none.
    """

    store: UpstashStore
    drafting: Drafting
    checked: CheckedChanges
    kinds: dict[str, str]
    found: set[str] = field(default_factory=set)
    digests: set[str] = field(default_factory=set)
    taking: Taking | None = None

    def run(self) -> Op[list[ChangeResult] | None]:
        """Make the changes in one round trip; return `None` if a task was not there, and nothing was written.

        One more if a memory that is named is of another kind than is known, or one that was updated is named,
        or says what is added.

        Raises:
            WrongKeyTypeError: A key holds something else; nothing was written.
        """
        for _ in range(_MAX_REPEATS):
            what, *rest = yield from call(self._command())
            if what == b"stale":
                return None
            if what == b"done":
                return [self._result(*pair) for pair in zip(self.checked.changes, rest, strict=True)]
            kinds, found, digests = ([text(one) for one in part] for part in rest)
            self.kinds.update(
                (self._id(key), kind) for key, kind in zip(kinds[::2], kinds[1::2], strict=True)
            )
            self.found.update(found)
            self.digests.update(digests)
        raise StoreError("Other writers keep changing the memories that are to be changed; try again.")

    def _id(self, key: str) -> str:
        return key[len(self.store.prefix) :]

    def _result(self, change: Change, reply: Sequence[Any]) -> ChangeResult:
        what, key, *rest = reply
        if what == b"refused":
            return ChangeResult("refused", self._id(text(key)), reason=cast("Refusal", text(rest[0])))
        replaced = change.id if isinstance(change, Supersede) and rest[0] else None
        return ChangeResult(_OUTCOMES[what], self._id(text(key)), replaced)

    def _command(self) -> Command:
        memories = _Places(self.store.keys.upstash_memory(one) for one in self.checked.ids)
        digests = dict.fromkeys(self.digests)
        calls: list[Argument] = []
        for change in self.checked.changes:
            name, *arguments = self._arguments(change, memories, digests)
            calls += (name, len(arguments), *arguments)
        for key in self.found:
            memories.place(key)
        user = str(self.checked.scope.user)
        pointers = [self.store.keys.upstash_same(user, one) for one in digests]
        taken: tuple[str, ...] = ()
        if self.taking is not None:
            taken = self.taking.keys
            calls += ("take", len(self.taking.arguments), *self.taking.arguments)
        header = (user, len(memories), len(digests), len(self.store.prefix.encode()))
        return _APPLY.call([*memories, *pointers, *taken], *header, *digests, *calls)

    def _arguments(self, change: Change, memories: _Places, digests: dict[str, None]) -> Iterator[Argument]:
        """Yield a change as the script takes it, and add the memories and digests it needs to those given."""
        keys, user = self.store.keys, str(self.checked.scope.user)
        if isinstance(change, Delete):
            yield from ("delete", memories.place(keys.upstash_memory(change.id)))
            return
        if isinstance(change, Update):
            kind = self.kinds.get(change.id, KIND)
            same = digest(self.store.rule, Scope(user, NAMESPACE, kind), change.text) or ""
            if same:
                digests[same] = None
            yield from ("update", kind, memories.place(keys.upstash_memory(change.id)), same)
            yield from ("1" if change.id == memory_id(user, same) else "", orjson.dumps(change.text))
            yield from (int(time.time() * 1000), "" if change.if_text is None else "1")
            yield from (change.if_text or "", change.text)
            return
        kind = self.kinds.get(change.id, KIND) if isinstance(change, Supersede) else change.kind
        draft = self.drafting.changed_draft(self.checked, change, kind)
        same = digest(self.store.rule, draft.scope, draft.text) or ""
        name = same or draft.id
        digests[name] = None
        old = 0 if draft.replaces is None else memories.place(keys.upstash_memory(draft.replaces))
        yield from ("add", kind, memories.place(keys.upstash_memory(memory_id(user, name))))
        yield from (memories.place(keys.upstash_memory(memory_id(user, uuid.uuid4().hex))), old, name)
        yield from ("" if draft.ttl_seconds is None else str(draft.ttl_seconds), encode(draft, time.time()))
        yield from (same, "count")


class _Places(dict[str, int]):
    """Keys, each with its place among them, from 1."""

    def __init__(self, keys: Iterator[str]) -> None:
        super().__init__()
        for key in keys:
            self.place(key)

    def place(self, key: str) -> int:
        """Return the place of a key, which is added if it is new."""
        return self.setdefault(key, len(self) + 1)
