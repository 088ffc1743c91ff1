"""The scripts that write memories: their calls, and the reading of their replies."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from langchain_agentmem.core.operations import Argument, Command, Op, ok
from langchain_agentmem.core.scripts import load, together
from langchain_agentmem.errors import InvalidInputError, StoreError
from langchain_agentmem.longterm.redisearch.document import encode
from langchain_agentmem.longterm.redisearch.queries import Store
from langchain_agentmem.longterm.types import Draft, Scope

_SEEN = (("langchain_agentmem.longterm", "extend"), (__package__, "seen"))
_PUT = (*_SEEN, (__package__, "put"))
_REMEMBER = together(*_PUT, (__package__, "learn"), (__package__, "remember"))
_REMEMBER_NEAR = together(*_PUT, (__package__, "look"), (__package__, "remember_near"))
_STORE = together(*_PUT, (__package__, "store"))
_RENEW = together(*_PUT, (__package__, "renew"))
_POINT = together(*_PUT, (__package__, "point"))
_SUPERSEDE = together(*_PUT, (__package__, "supersede"))
_RELEASE = load(__package__, "release")
_DIGEST = re.compile(rb"\b[0-9a-f]{32}\b")
# What servers answer that let no script touch keys of several cluster slots.
_SEVERAL_SLOTS = re.compile("non local key|undeclared key|CROSSSLOT|same slot", re.IGNORECASE)


class SlotsRefusedError(StoreError):
    """The server lets no script touch keys of several cluster slots. Seen only inside."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A memory to be stored, with its embedding: an array of length one, in the index's number format."""

    draft: Draft
    embedding: Any

    @property
    def ttl(self) -> str:
        """Return the TTL as scripts take it: seconds, or empty for no expiry."""
        return "" if self.draft.ttl_seconds is None else str(self.draft.ttl_seconds)

    @property
    def digest(self) -> str:
        """Return what all texts have in common that say the same; empty if nothing compares by that."""
        return self.draft.digest or ""

    def under(self, memory_id: str) -> Entry:
        """Return the same under another id."""
        return replace(self, draft=replace(self.draft, id=memory_id))

    def replacing(self, memory_id: str | None) -> Entry:
        """Return the same, which supersedes another memory, or none."""
        return replace(self, draft=replace(self.draft, replaces=memory_id))

    def document(self, store: Store) -> tuple[Argument, ...]:
        """Return it as `put.lua` takes it."""
        document = encode(self.draft, self.embedding, store.storage)
        if store.storage == "json" and self.draft.restored.created_ts is None:
            return (document[0][1:],)  # type: ignore[index]
        return document


@dataclass(frozen=True, slots=True)
class Renewed:
    """The fate of a memory that was seen again.

    Attributes:
        superseded: Whether it supersedes what it was to.
        ttl_ms: The TTL it has left, as scripts take it: in milliseconds, empty for no expiry.
        adopted: Whether it got the digest.
    """

    superseded: bool
    ttl_ms: str
    adopted: bool


def pointer(store: Store, digest: str) -> str:
    """Return the key of the pointer of a digest."""
    return store.keys.same(store.keys.memory(digest))


def remember(store: Store, entry: Entry, *, fresh: str, vain: str, counts: bool) -> Command:
    """Return the call that stores a memory unless one says the same. `put.lua` and others say the rest.

    Args:
        store: Where it goes.
        entry: The memory.
        fresh: The id it gets where its digest is the id of another; empty to learn whether that is so.
        vain: An id that the pointer led to in vain; empty for none.
        counts: Whether a duplicate is counted.
    """
    keys = [store.keys.memory(entry.digest), pointer(store, entry.digest)]
    keys += [store.keys.memory(one) for one in (fresh, entry.draft.replaces) if one]
    return _REMEMBER.call(
        keys,
        *(store.storage, *entry.draft.scope.tags(), entry.ttl, entry.digest, fresh, "1" if counts else ""),
        *(vain, entry.draft.replaces or ""),
        *entry.document(store),
    )


def remember_near(
    store: Store, entry: Entry, look: tuple[Argument, ...], is_backfilling: Argument
) -> Command:
    """Return the call that stores a memory unless one is near.

    Args:
        store: Where it goes.
        entry: The memory.
        look: The index, the condition, the vector and the distance.
        is_backfilling: The key that is there while the index does not hold every memory.
    """
    draft = entry.draft
    return _REMEMBER_NEAR.call(
        [store.keys.memory(draft.id), is_backfilling, *_replaced(store, draft)],
        *(store.storage, *draft.scope.tags(), entry.ttl, *look, store.search_timeout_ms),
        *(store.keys.memory_prefix, draft.replaces or ""),
        *entry.document(store),
    )


def overwrite(store: Store, entry: Entry, *, points: bool) -> Command:
    """Return the call that stores a memory in any case; with `points`, and its pointer in the same step."""
    draft = entry.draft
    digest = entry.digest if points and entry.digest != draft.id else ""
    keys: list[Argument] = [store.keys.memory(draft.id)]
    keys += [store.keys.memory(digest), pointer(store, digest)] if digest else []
    return _STORE.call(
        [*keys, *_replaced(store, draft)],
        *(store.storage, *draft.scope.tags(), entry.ttl, draft.id, digest, draft.replaces or ""),
        entry.digest,
        *entry.document(store),
    )


def renew(store: Store, entry: Entry, memory_id: str, *, counts: bool = True, text: str = "") -> Command:
    """Return the call that counts a memory as seen again, if it still says what a new one does.

    Args:
        store: Where it is.
        entry: The new one, with what it supersedes.
        memory_id: The memory.
        counts: Whether it is counted.
        text: The memory's text, if it may lack the digest, and gets it.
    """
    draft = entry.draft
    return _RENEW.call(
        [store.keys.memory(memory_id), *_replaced(store, draft)],
        *(store.storage, *draft.scope.tags(), entry.ttl, memory_id, entry.digest, "1" if counts else ""),
        *(draft.replaces or "", text),
    )


def adopt(store: Store, scope: Scope, memory_id: str, digest: str, text: str) -> Command:
    """Return the call that gives a memory its digest, if its text is still this one."""
    return _RENEW.call(
        [store.keys.memory(memory_id)],
        *(store.storage, *scope.tags(), "", memory_id, digest, "", "", text),
    )


def point(store: Store, scope: Scope, digest: str, memory_id: str, ttl_ms: str, *, vain: str = "") -> Command:
    """Return the call that lets the pointer of a digest lead to a memory, unless another stands for it."""
    return _point(store, scope, digest, memory_id, ttl_ms, vain, "")


def extend_pointer(store: Store, entry: Entry, memory_id: str) -> Command:
    """Return the call that extends the TTL of the pointer to a memory, if it leads there."""
    draft = entry.draft
    return _point(store, draft.scope, entry.digest, memory_id, ttl_ms(draft.ttl_seconds), "", "1")


def _point(
    store: Store, scope: Scope, digest: str, memory_id: str, ttl: str, vain: str, extends: str
) -> Command:
    keys = [store.keys.memory(digest), pointer(store, digest)]
    return _POINT.call(keys, store.storage, *scope.tags(), digest, memory_id, ttl, vain, extends)


def supersede(store: Store, draft: Draft, memory_id: str, *, only_looks: bool = False) -> Command:
    """Return the call that links what a memory supersedes to the one that holds it now."""
    user, namespace, _ = draft.scope.tags()
    return _SUPERSEDE.call(
        _replaced(store, draft), store.storage, user, namespace, memory_id, "1" if only_looks else ""
    )


def release(key: Argument, value: str) -> Command:
    """Return the call that deletes a key if it still holds a value."""
    return _RELEASE.call([key], value)


def drop_pointers(store: Store, digests: bytes, memory_id: str) -> list[Command]:
    """Return the calls that delete the pointers of some digests, those that lead to a memory.

    Args:
        store: Where they are.
        digests: The digests as a script returns them, with a blank between.
        memory_id: The memory.
    """
    return [release(pointer(store, one.decode()), memory_id) for one in _DIGEST.findall(digests)]


def run(command: Command) -> Op[Any]:
    """Send a call, and return its reply.

    Raises:
        InvalidInputError: An id belongs to a memory of another scope; nothing was written.
        SlotsRefusedError: It touches keys of several cluster slots; nothing was written.
    """
    (reply,) = yield [command]
    return done(reply)


def done(reply: Any) -> Any:
    """Return the reply of a script that writes, or raise what it was refused with."""
    if isinstance(reply, StoreError):
        said = str(reply)
        if "TAKEN" in said:
            raise InvalidInputError(
                "The id belongs to a memory of another user, namespace or kind."
            ) from reply
        if "FOREIGN" in said:
            raise InvalidInputError(
                "The id in replaces belongs to a memory of another user or namespace."
            ) from reply
        if _SEVERAL_SLOTS.search(said):
            raise SlotsRefusedError(said) from reply
    return ok(reply)


def renewed(reply: Any) -> Renewed | None:
    """Return what `renew` did; `None` if there is no such memory."""
    found, *rest = done(reply)
    if not found:
        return None
    superseded, ttl, adopted = rest
    return Renewed(bool(superseded), "" if ttl < 0 else str(ttl), bool(adopted))


def ttl_ms(seconds: int | None) -> str:
    """Return a TTL as `point` takes it."""
    return "" if seconds is None else str(seconds * 1000)


def superseding(store: Store, draft: Draft, memory_id: str) -> Op[bool]:
    """Supersede what a draft replaces, in a round trip of its own; return whether that is so now."""
    return bool((yield from run(supersede(store, draft, memory_id))))


def _replaced(store: Store, draft: Draft) -> list[Argument]:
    return [] if draft.replaces is None else [store.keys.memory(draft.replaces)]
