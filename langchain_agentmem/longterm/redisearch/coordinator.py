"""Whether searches on a cluster are made by the node that is asked, as partitions need it.

Each partition has an index in its own slot, on one node, which searches that by itself. Where a coordinator
spreads every search over all nodes, as in some clusters of Redis 8, an index is over all of them instead.
"""

from __future__ import annotations

from typing import Any

from langchain_agentmem.core.operations import Op, T, asks, ok, once_checked
from langchain_agentmem.errors import SearchUnavailableError

_CHECKED = "searches are made by one node"
_ASKING = asks("COMMAND", "INFO", "FT.SEARCH", "SEARCH.CLUSTERINFO")
_SAYS = (
    "This Redis Cluster has a coordinator that spreads every search over all nodes, which long-term memory "
    "and a store with vectors do not support: they need Search that runs on each node by itself. Use another "
    "server for them; working memory, the event log and memory.store(index=False) work on this cluster."
)


def without_coordinator(op: Op[T], known: dict[Any, Any]) -> Op[T]:
    """Return an operation that runs only if the cluster's searches are made by the node that is asked.

    Args:
        op: The operation.
        known: What is known over the connection; asked is once.

    Raises:
        SearchUnavailableError: When it is run: they are made by a coordinator; nothing was done.
    """
    if known.get(_CHECKED):
        return op

    def check(replies: list[Any]) -> None:
        if has_coordinator(ok(replies[0])):
            raise SearchUnavailableError(_SAYS)
        known[_CHECKED] = True

    return once_checked(op, [_ASKING], check)


def has_coordinator(reply: Any) -> bool:
    """Return whether a cluster has a coordinator of searches, by its reply to `COMMAND INFO`.

    The key of a search made by one node is the name of the index, which says where it goes. A server without
    Search has neither command: it says so itself.
    """
    search, cluster_info = reply
    return cluster_info is not None or (search is not None and int(search[3]) == 0)
