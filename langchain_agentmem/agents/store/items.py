"""The store's items and their records, as commands and the reading of their replies. No I/O, no LangGraph.

Each namespace has a record of its items by their expiry, and there is one of namespaces, so that what is
there is known without a search index and without a scan. The scripts that write items keep both.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from langchain_agentmem.agents.store.documents import (
    Namespace,
    StoredItem,
    decode,
    hexadecimal,
    namespace_of,
    namespace_text,
)
from langchain_agentmem.core import scripts
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.operations import Command, Op, call, ok
from langchain_agentmem.core.removal import Removed
from langchain_agentmem.core.scan import keys_under
from langchain_agentmem.errors import AgentMemoryError, StoreError

_HERE = __package__
_put, _read, _delete = (
    scripts.together((_HERE, "items"), (_HERE, name)) for name in ("put_item", "read_item", "delete_item")
)
_list = scripts.load(_HERE, "list_live")
_PAGE = 500  # items or namespaces per round trip

T = TypeVar("T")
Place = tuple[Namespace, str]


class StoreItems:
    """Reads and writes the items of a store; if that is in partitions, those of one.

    Args:
        keys: The key names, of one partition if there are any.
    """

    def __init__(self, keys: Keys) -> None:
        self.keys = keys

    def put_op(self, place: Place, item: bytes, indexed: bytes, *, ttl_ms: int, user: str | None) -> Op[None]:
        """Store an item atomically; it keeps when it was created. One round trip.

        One more if it belongs to a user, and none is given.

        Args:
            place: Its namespace and key.
            item: The item, as from `documents.encode`.
            indexed: What the index reads of it, as from `documents.indexed`.
            ttl_ms: Its TTL in milliseconds; 0 for none.
            user: Whose it is; `None` if that is not known.
        """

        def command(user: str | None) -> Command:
            return self._call(_put, place, user, ttl_ms, hexadecimal(user), item, indexed)

        owner = yield from call(command(user))
        if owner:
            yield from call(command(_user(owner)))

    def delete_op(self, place: Place, user: str | None) -> Op[None]:
        """Delete an item, if it is there. One round trip, or two, as `put_op`."""
        reply = yield from call(self._call(_delete, place, user, hexadecimal(user), ""))
        if not isinstance(reply, int):
            owner = _user(reply)
            yield from call(self._call(_delete, place, owner, hexadecimal(owner), ""))

    def read_op(self, place: Place, user: str | None, *, refresh: bool) -> Op[StoredItem | None]:
        """Return an item, or `None`; begin its TTL again if wanted. One round trip, or two, as `put_op`."""
        if not refresh:
            return _item((yield from call(self._peek(self.keys.item(*place)))))
        reply = yield from call(self._refreshed(place, user))
        if reply and len(reply) > 1:
            reply = yield from call(self._refreshed(place, _user(reply[1])))
        return _item(reply)

    def refresh_op(self, items: Iterable[tuple[StoredItem, str | None]]) -> Op[None]:
        """Begin the TTL of items again, those that have one. One round trip; none if there is no such item.

        Args:
            items: The items, each with its user, if known.
        """
        expiring = [
            self._refreshed((item.namespace, item.key), item.user or user)
            for item, user in items
            if item.ttl_ms
        ]
        for reply in (yield expiring) if expiring else ():
            ok(reply)

    def namespaces_op(self, user: str | None = None) -> Op[list[Namespace]]:
        """Return all namespaces that have items, or those of a user, in no order. One round trip."""
        record = self.keys.namespaces if user is None else self.keys.user_namespaces(user)
        return [namespace_of(one) for one in (yield from call(_live(record)))]

    def places_op(self, namespaces: Iterable[Namespace]) -> Op[list[Place]]:
        """Return the places of all items in some namespaces. One round trip per 500 namespaces."""
        found: list[Place] = []
        for page in pages(namespaces):
            replies = yield [_live(self.keys.namespace(one)) for one in page]
            for namespace, keys in zip(page, replies, strict=True):
                found += [(namespace, key.decode()) for key in ok(keys)]
        return found

    def items_op(self, places: Iterable[Place]) -> Op[list[StoredItem | AgentMemoryError]]:
        """Return the items that are at some places, or why one cannot be read; TTLs stay as they are.

        One round trip per 500 items.
        """
        return (yield from self.items_at([self.keys.item(*place) for place in places]))

    def items_at(self, keys: Iterable[str | bytes]) -> Op[list[StoredItem | AgentMemoryError]]:
        """Return the items at some keys, or why one cannot be read, as `items_op`."""
        found: list[StoredItem | AgentMemoryError] = []
        for page in pages(keys):
            for reply in (yield [self._peek(key) for key in page]):
                try:
                    item = _item(ok(reply))
                except AgentMemoryError as error:
                    found.append(error)
                else:
                    found += [item] if item is not None else []
        return found

    def of_user_op(self, user: str | None, *, thorough: bool) -> Op[list[StoredItem | AgentMemoryError]]:
        """Return the items of a user, or everybody's (`None`), or why one cannot be read.

        Args:
            user: Whose; what is known to be of another user is left out, and so is what is nobody's in a
                namespace where another user has items, too.
            thorough: Whether to SCAN the database, too, for what the user's record does not name.
        """
        namespaces = yield from self.namespaces_op(user)
        items = yield from self.items_op((yield from self.places_op(namespaces)))
        if user is not None:
            shared = _shared(items, user)
            items = [one for one in items if isinstance(one, AgentMemoryError) or _is_of(one, user, shared)]
        if not thorough:
            return items
        known = {
            self.keys.item(one.namespace, one.key).encode() for one in items if isinstance(one, StoredItem)
        }
        others = [key for key in (yield from keys_under(self.keys.items_prefix, None)) if key not in known]
        rest = yield from self.items_at(others)
        return [
            *items,
            *(one for one in rest if isinstance(one, StoredItem) and user in (None, one.user)),
        ]

    def export_op(self, user: str | None, *, thorough: bool) -> Op[list[dict[str, Any] | AgentMemoryError]]:
        """Return the items of a user, or everybody's (`None`), as lines of an export; see `of_user_op`."""
        items = yield from self.of_user_op(user, thorough=thorough)
        return [line_of(one) if isinstance(one, StoredItem) else one for one in items]

    def forget_op(self, user: str, *, thorough: bool, dry_run: bool) -> Op[Removed]:
        """Delete the items of a user's namespaces, or count them, except those known to be of others.

        Where another user has items in a namespace, those of nobody stay, too. Four round trips, and two per
        500 items beyond.

        Args:
            user: The user.
            thorough: Whether to SCAN the database, too, for what the user's record does not name.
            dry_run: Whether to count only.
        """
        removed = Removed(dry_run)
        namespaces = yield from self.namespaces_op(user)
        places = yield from self.places_op(namespaces)
        shared = _shared((yield from self.items_op(places)), user)
        if thorough:
            found = yield from self.of_user_op(user, thorough=True)
            places += [(one.namespace, one.key) for one in found if isinstance(one, StoredItem)]
        if not dry_run:  # empty ones leave the record by a deletion of nothing
            filled = {namespace for namespace, _ in places}
            places += [(namespace, "") for namespace in namespaces if namespace not in filled]
        for page in pages(dict.fromkeys(places)):
            replies = yield [
                removed.call(
                    _delete,
                    self._keys(place, user),
                    namespace_text(place[0]),
                    place[1],
                    hexadecimal(user),
                    "named" if place[0] in shared else "own",
                )
                for place in page
            ]
            names = [self.keys.item(*place) for place in page]
            removed.count += sum(int(gone) for _, gone in removed.answered(names, replies))
        return removed

    def _peek(self, key: str | bytes) -> Command:
        """Return the command that reads an item and leaves its TTL as it is."""
        return _read.call([key], "", "", "", "")._replace(read_only=True)

    def _refreshed(self, place: Place, user: str | None) -> Command:
        """Return the command that reads an item and begins its TTL again, which may be done twice."""
        return self._call(_read, place, user, hexadecimal(user), "refresh")._replace(read_only=True)

    def _call(self, script: scripts.Script, place: Place, user: str | None, *args: Any) -> Command:
        return script.call(self._keys(place, user), namespace_text(place[0]), place[1], *args)

    def _keys(self, place: Place, user: str | None) -> list[str]:
        keys = [self.keys.item(*place), self.keys.namespace(place[0]), self.keys.namespaces]
        return keys if user is None else [*keys, self.keys.user_namespaces(user)]


def line_of(item: StoredItem) -> dict[str, Any]:
    """Return an item as an export has it."""
    ttl = {"ttl_minutes": item.ttl_ms / 60_000} if item.ttl_ms else {}
    user = {"user": item.user} if item.user else {}
    return {
        "namespace": list(item.namespace),
        "key": item.key,
        "value": item.value,
        **user,
        "created_ts": item.created_us / 1e6,
        "updated_ts": item.updated_us / 1e6,
        **ttl,
    }


def _shared(items: Iterable[StoredItem | AgentMemoryError], user: str) -> set[Namespace]:
    """Return the namespaces where others than a user have items."""
    return {one.namespace for one in items if isinstance(one, StoredItem) and one.user not in ("", user)}


def _is_of(item: StoredItem, user: str, shared: Container[Namespace]) -> bool:
    return item.user == user or (not item.user and item.namespace not in shared)


def pages(things: Iterable[T]) -> Iterator[list[T]]:
    """Yield things by the number that is dealt with in one round trip."""
    rest = iter(things)
    while page := list(islice(rest, _PAGE)):
        yield page


def _live(record: str) -> Command:
    return _list.call([record])._replace(read_only=True)


def _item(reply: Sequence[bytes] | None) -> StoredItem | None:
    return decode(reply[0]) if reply else None


def _user(digits: bytes) -> str:
    try:
        return bytes.fromhex(digits.decode()).decode()
    except ValueError as error:
        raise StoreError("An item of the store has a user that cannot be read.") from error
