"""Changes of memories, all in one atomic step: one script, which finds out first what it has to be passed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from langchain_agentmem.core.keys import tag
from langchain_agentmem.core.operations import Argument, Command, Op, ok, text
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
from langchain_agentmem.longterm.drafts import Drafting
from langchain_agentmem.longterm.redisearch import inexact, near, write_calls
from langchain_agentmem.longterm.redisearch.document import changes as changed_members
from langchain_agentmem.longterm.redisearch.filters import condition
from langchain_agentmem.longterm.redisearch.index import IndexBackfillingError
from langchain_agentmem.longterm.redisearch.queries import Store, get
from langchain_agentmem.longterm.redisearch.write_calls import Entry, pointer
from langchain_agentmem.longterm.types import Refusal, Scope
from langchain_agentmem.tasks.task import Taking

_APPLY = together(
    *(("langchain_agentmem.longterm", "extend"), (__package__, "seen"), (__package__, "put")),
    *(
        (__package__, "look"),
        (__package__, "learn"),
        ("langchain_agentmem.tasks", "queues"),
        (__package__, "apply"),
    ),
)
_OUTCOMES: dict[str, Outcome] = {
    "new": "stored",
    "known": "merged",
    "updated": "updated",
    "deleted": "deleted",
}
_MAX_REPEATS = 50  # each because somebody else was faster


class RefusedInOneStepError(StoreError):
    """The server refuses a search in a script, or keys of several cluster slots. Seen only inside."""


@dataclass(slots=True)
class Applying:
    """Applies changes to a store.

    Attributes:
        store: Where the memories are.
        drafting: The rules for what is stored.
        checked: The changes.
        vectors: For each change its text's vector, of length one, in the index's number format; `None` for
            one without a text.
        threshold: Up to which cosine distance a memory is a duplicate; `None` if nearness makes none.
        kinds: The kinds of the memories that are named, as far as known; others are taken for `semantic`.
        ids: Other memories that may say what is added.
        digests: The digests of those that are deleted, as far as known.
        taking: Tasks that are taken off their queue in the same step; `None` for none.
    """

    store: Store
    drafting: Drafting
    checked: CheckedChanges
    vectors: Sequence[Any]
    threshold: float | None
    kinds: dict[str, str]
    ids: set[str] = field(default_factory=set)
    digests: set[str] = field(default_factory=set)
    taking: Taking | None = None

    def run(self) -> Op[list[ChangeResult] | None]:
        """Make the changes in one round trip; return `None` if a task was not there, and nothing was written.

        One more if a memory that is named is of another kind than is known, or one that was updated says what
        is added, or is deleted.

        Raises:
            RefusedInOneStepError: The server does not do it in one step; nothing was written.
            IndexBackfillingError: The index does not hold every memory yet; nothing was written.
            WrongKeyTypeError: A key holds something else; nothing was written.
        """
        for _ in range(_MAX_REPEATS):
            (reply,) = yield [self._command()]
            what, *rest = _done(self.store, reply)
            if what == b"stale":
                return None
            if what == b"done":
                yield from self._drop_lost(rest)
                return [_result(change, one) for change, one in zip(self.checked.changes, rest, strict=True)]
            yield from self._learn(*rest)
        raise StoreError("Other writers keep changing the memories that are to be changed; try again.")

    def _learn(self, kinds: Sequence[bytes], ids: Sequence[bytes], digests: Sequence[bytes]) -> Op[None]:
        """Take up what the script has to be passed. One round trip where a kind is no plain tag."""
        encoded = []
        for one, kind in zip(kinds[::2], kinds[1::2], strict=True):
            if kind.startswith(b"#"):
                encoded.append(text(one))
            else:
                self.kinds[text(one)] = text(kind)
        for record in (yield from get(self.store, encoded, self.checked.scope)) if encoded else ():
            if record is not None:
                self.kinds[record.id] = record.kind
        self.ids.update(map(text, ids))
        self.digests.update(map(text, digests))

    def _drop_lost(self, results: Sequence[Any]) -> Op[None]:
        """Delete the pointers to memories that stood for more digests than they can note."""
        drops = [
            command
            for what, one, *rest in results
            if what == b"updated"
            for command in write_calls.drop_pointers(self.store, rest[0], text(one))
        ]
        if drops:
            yield drops

    def _command(self) -> Command:
        memories = dict.fromkeys([*self.checked.ids, *self.ids])
        digests = dict.fromkeys(self.digests)
        calls: list[Argument] = []
        for change, vector in zip(self.checked.changes, self.vectors, strict=True):
            name, *arguments = self._arguments(change, vector, memories, digests)
            calls += (name, len(arguments), *arguments)
        store = self.store
        keys: list[Argument] = [store.keys.memory(one) for one in memories]
        keys += [pointer(store, one) for one in digests]
        if self.taking is not None:
            keys += self.taking.keys
            calls += ("take", len(self.taking.arguments), *self.taking.arguments)
        look: tuple[Argument, ...] = ("", "", "")
        if self.threshold is not None:
            keys += store.is_backfilling.keys
            look = (store.index_name, self.threshold + store.tolerance, store.search_timeout_ms)
        user, namespace, _ = self.checked.scope.tags()
        return _APPLY.call(
            keys,
            *(store.storage, user, namespace, store.keys.memory_prefix, len(memories), len(digests), *look),
            *digests,
            *calls,
        )

    def _arguments(
        self, change: Change, vector: Any, memories: dict[str, None], digests: dict[str, None]
    ) -> Iterator[Argument]:
        """Yield a change as the script takes it, and add the memories and digests it needs to those given."""
        if isinstance(change, Delete):
            yield from ("delete", change.id)
            return
        if isinstance(change, Update):
            kind = self.kinds.get(change.id, KIND)
            scope = Scope(self.checked.scope.user, self.checked.scope.namespace, kind)
            digest = self.drafting.digest(scope, change.text) or ""
            if digest:
                memories[digest] = digests[digest] = None
            yield from ("update", change.id, tag(kind), digest or "-", "" if change.if_text is None else "1")
            yield from (change.if_text or "", change.text)
            yield from changed_members(self.store.storage, text=change.text, embedding=vector, metadata=None)
            return
        kind = self.kinds.get(change.id, KIND) if isinstance(change, Supersede) else change.kind
        entry = Entry(self.drafting.changed_draft(self.checked, change, kind), vector)
        draft, fresh = entry.draft, uuid.uuid4().hex
        memories[draft.id] = memories[fresh] = None
        if entry.digest:
            digests[entry.digest] = None
        yield from ("add", tag(draft.kind), entry.ttl, draft.id, entry.digest, fresh, draft.replaces or "")
        yield from ("", "") if self.threshold is None else self._near(entry)
        yield from entry.document(self.store)

    def _near(self, entry: Entry) -> tuple[Argument, Argument]:
        if not self.store.knowledge.exact:
            inexact.check_scope(self.store.index_name, entry.draft.scope)
        return condition(entry.draft.scope), entry.embedding.tobytes()


def _done(store: Store, reply: Any) -> Any:
    if isinstance(reply, StoreError):
        if "BACKFILLING" in str(reply):
            raise IndexBackfillingError(str(reply)) from reply
        if near.is_refused(store, reply):
            raise RefusedInOneStepError(str(reply)) from reply
    return ok(reply)


def _result(change: Change, reply: Sequence[Any]) -> ChangeResult:
    what, memory_id, *rest = reply
    if what == b"refused":
        return ChangeResult("refused", text(memory_id), reason=cast("Refusal", text(rest[0])))
    replaced = change.id if isinstance(change, Supersede) and rest[0] else None
    return ChangeResult(_OUTCOMES[text(what)], text(memory_id), replaced)
