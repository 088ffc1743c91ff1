"""The store's items in partitions: which one a namespace is in, what is done in all of them. No LangGraph.

Items are in the partition of the user whose namespace it is, if it is known to be anybody's, else in that of
their whole namespace. Whatever is about one item, or about one user, is done in one partition.
"""

from __future__ import annotations

from typing import Any

from langchain_agentmem.agents.store.documents import Namespace, StoredItem
from langchain_agentmem.agents.store.items import StoreItems, line_of
from langchain_agentmem.core.keys import Keys, path_digest
from langchain_agentmem.core.lazy import cached_property
from langchain_agentmem.core.operations import Op, gather, ok
from langchain_agentmem.core.partitions import partition_of
from langchain_agentmem.core.removal import Removed
from langchain_agentmem.core.scan import keys_under
from langchain_agentmem.errors import AgentMemoryError


class ItemPartitions:
    """The items of a store, in each of its partitions; in one place if it has none.

    Args:
        keys: The key names.
    """

    def __init__(self, keys: Keys) -> None:
        self.keys = keys

    @cached_property
    def every(self) -> tuple[StoreItems, ...]:
        """Return the items of each partition."""
        return tuple(map(StoreItems, self.keys.every()))

    def at(self, namespace: Namespace, user: str | None) -> StoreItems:
        """Return the items of the partition of a namespace.

        Args:
            namespace: The namespace.
            user: Whose it is; `None` if nobody's.
        """
        return self._named(path_digest(namespace) if user is None else user)

    def _named(self, what: str) -> StoreItems:
        return self.every[partition_of(what, self.keys.partitions) if self.keys.partitions else 0]

    def beneath(self, prefix: Namespace) -> Op[list[StoreItems]]:
        """Return the items of the partitions that have namespaces which begin so. One round trip."""
        depth = len(prefix)
        found = yield from gather([items.namespaces_op() for items in self.every])
        return [
            items
            for items, namespaces in zip(self.every, map(ok, found), strict=True)
            if any(one[:depth] == prefix for one in namespaces)
        ]

    def namespaces_op(self) -> Op[list[Namespace]]:
        """Return all namespaces that have items, in no order. One round trip."""
        found = yield from gather([items.namespaces_op() for items in self.every])
        return [one for namespaces in map(ok, found) for one in namespaces]

    def forget_op(self, user: str, *, thorough: bool, dry_run: bool) -> Op[Removed]:
        """Delete the items of a user's namespaces, or count them, as `StoreItems.forget_op`."""
        return self._named(user).forget_op(user, thorough=thorough, dry_run=dry_run)

    def export_op(self, user: str | None, *, thorough: bool) -> Op[list[dict[str, Any] | AgentMemoryError]]:
        """Return the items of a user, or everybody's (`None`), as lines of an export."""
        if user is not None or not self.keys.partitions:
            one = self.every[0] if user is None else self._named(user)
            return (yield from one.export_op(user, thorough=thorough))
        found = yield from gather([one.of_user_op(None, thorough=False) for one in self.every])
        items = [item for of_partition in map(ok, found) for item in of_partition]
        if thorough:  # one scan, of all partitions
            known = {
                one.keys.item(item.namespace, item.key).encode()
                for one, of_partition in zip(self.every, map(ok, found), strict=True)
                for item in of_partition
                if isinstance(item, StoredItem)
            }
            places = tuple(one.keys.items_prefix.encode() for one in self.every)
            under = yield from keys_under(self.keys.store_prefix + "{", None)
            others = [key for key in under if key not in known and key.startswith(places)]
            items += yield from self.every[0].items_at(others)
        return [line_of(one) if isinstance(one, StoredItem) else one for one in items]
