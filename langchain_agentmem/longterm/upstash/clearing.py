"""The deletion of memories on Upstash, with the pointers that lead to them. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.operations import Op, call, text
from langchain_agentmem.core.removal import Removed
from langchain_agentmem.core.scan import keys_under, scan
from langchain_agentmem.core.scripts import load
from langchain_agentmem.longterm.upstash.queries import UpstashStore

_FORGET = load(__package__, "forget")


def delete(store: UpstashStore, memory_id: str, user: str | None) -> Op[bool]:
    """Delete a memory by its id; return whether it was there.

    One round trip; two if its id is not the digest of what it says.

    Args:
        store: Where it is.
        memory_id: Its id.
        user: Whose it has to be; `None` for anybody's.
    """
    return (yield from _forget(store.keys, [store.keys.upstash_memory(memory_id)], user, None)) == 1


def clear(store: UpstashStore, user: str | None, kind: str | None, *, dry_run: bool = False) -> Op[Removed]:
    """Delete memories, indexed or not; return how many.

    One round trip per page of about 1,000 keys of the whole database, and one or two if there is something on
    it.

    Args:
        store: Where they are.
        user: Whose; `None` for everybody's.
        kind: Of which kind; `None` for all.
        dry_run: Only count them.
    """
    removed = Removed(dry_run)

    def delete_page(keys: list[bytes]) -> Op[bool]:
        owners = [store.keys.upstash_same_user(text(key)) for key in keys]
        memories = [key for key, owner in zip(keys, owners, strict=True) if owner is None]
        # Those of a kind go with their memories.
        pointers = [
            key
            for key, owner in zip(keys, owners, strict=True)
            if owner is not None and kind is None and user in (None, owner)
        ]
        if dry_run:
            counting = removed.call(_FORGET, memories, user or "", kind or "", len(memories))
            removed.count += (yield from call(counting))[0] if memories else 0
        else:
            removed.count += yield from _forget(store.keys, memories, user, kind, pointers)
        return False

    # Of whatever type: servers name the type of a JSON document differently.
    yield from scan(store.prefix if user is None else store.keys.upstash_memories(user), None, delete_page)
    return removed


def ids(store: UpstashStore, user: str | None) -> Op[list[str]]:
    """Return the ids of a user's memories, or of everybody's, indexed or not.

    Ids of users of longer names may be among a user's.

    One round trip per page of about 1,000 keys of the whole database.
    """
    prefix = store.prefix if user is None else store.keys.upstash_memories(user)
    found = map(text, (yield from keys_under(prefix, None)))
    return [key[len(store.prefix) :] for key in found if store.keys.upstash_same_user(key) is None]


def _forget(
    keys: Keys,
    memories: Sequence[bytes | str],
    user: str | None,
    kind: str | None,
    pointers: Sequence[bytes | str] = (),
) -> Op[int]:
    """Delete what fits of some memories, and pointers that lead nowhere then; return how many memories."""
    if not (memories or pointers):
        return 0
    scope = (user or "", kind or "")
    removed, *rest = yield from call(_FORGET.call([*memories, *pointers], *scope, len(memories)))
    while rest:  # memories that stand for a digest by a pointer, which goes with them
        kept = [*zip(rest[::3], map(text, rest[1::3]), map(text, rest[2::3]), strict=True)]
        memories = [memories[int(at) - 1] for at, _, _ in kept]
        pointers = [keys.upstash_same(owner, same) for _, owner, same in kept]
        digests = [same for _, _, same in kept]
        more, *rest = yield from call(_FORGET.call([*memories, *pointers], *scope, len(memories), *digests))
        removed += more
    return int(removed)
