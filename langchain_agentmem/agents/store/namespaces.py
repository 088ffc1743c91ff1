"""Which namespaces a listing is about, as LangGraph's `InMemoryStore` decides it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from langchain_agentmem.agents.store.documents import Namespace
from langchain_agentmem.core.checks import not_negative, positive
from langchain_agentmem.errors import InvalidInputError

if TYPE_CHECKING:
    from langgraph.store.base import ListNamespacesOp, MatchCondition


def listed(op: ListNamespacesOp, namespaces: Iterable[Namespace]) -> list[Namespace]:
    """Return the namespaces that an operation lists, sorted, each once.

    Args:
        op: The operation.
        namespaces: All that there are.

    Raises:
        InvalidInputError: It cannot be done.
    """
    found = {one for one in namespaces if all(_matches(one, each) for each in op.match_conditions or ())}
    if op.max_depth is not None:
        depth = positive("max_depth", op.max_depth)
        found = {one[:depth] for one in found}
    offset, limit = not_negative("offset", op.offset), not_negative("limit", op.limit)
    return sorted(found)[offset : offset + limit]


def literal_prefix(op: ListNamespacesOp) -> Namespace:
    """Return the labels with which all namespaces begin that an operation lists, as far as it names them."""
    longest: Namespace = ()
    for condition in op.match_conditions or ():
        if condition.match_type == "prefix":
            path = tuple(condition.path)
            named = path[: path.index("*")] if "*" in path else path
            longest = max(longest, named, key=len)
    return longest


def _matches(namespace: Namespace, condition: MatchCondition) -> bool:
    path = condition.path
    if condition.match_type not in ("prefix", "suffix"):
        raise InvalidInputError(f"A namespace matches by prefix or suffix, not by {condition.match_type!r}.")
    if len(path) > len(namespace):
        return False
    part = (
        namespace[: len(path)]
        if condition.match_type == "prefix"
        else namespace[len(namespace) - len(path) :]
    )
    return all(wanted in ("*", label) for label, wanted in zip(part, path, strict=True))
