"""Exact answers from an index that does not tell all scopes apart: that of the Redis documentation's guide.

Its tags ignore case, and split values at commas and trim them, so that a search for the memories of `ada` may
find those of `Ada`. Each memory says whose it is, so the server also counts how many of a scope's matches are
its own; if others are among them, searches are repeated among the keys of its own. The nearest, their order
and every count are then those of an exact index.

What cannot be answered exactly is refused. Searches by values that a tag cannot hold would miss what the
other program wrote. Filters would match other values too, and with stop words some crash RediSearch 2.10.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_agentmem.core.operations import Argument, Command, pairs, reads
from langchain_agentmem.errors import IndexMismatchError
from langchain_agentmem.longterm.types import Scope

REBUILD = (
    "rebuild_index() of the long-term memory, or agentmem doctor --rebuild-index, recreates the index and "
    "leaves the memories where they are."
)
LIMITS = (
    "It is another program's: its tags ignore case, or it has stop words. So searches also look whose "
    "memories they find, which takes longer. They refuse filter=, and users, namespaces and kinds with other "
    f"characters than ASCII letters, digits and _.@:-. {REBUILD}"
)
OTHERWISE = (
    "Use the settings (storage, memory_prefix, vector_type) and the model it was created with, or another "
    "index_name together with another memory_prefix, or remove it with drop_index()."
)
_PLAINLY = {
    OTHERWISE: "Set AGENTMEM_STORAGE, AGENTMEM_MEMORY_PREFIX and AGENTMEM_VECTOR_TYPE to what it was created "
    "with, or another AGENTMEM_INDEX_NAME together with another AGENTMEM_MEMORY_PREFIX.",
    REBUILD: "agentmem doctor --rebuild-index recreates the index and leaves the memories where they are.",
    "They refuse filter=, and users": "They refuse users",
    "Or use another index_name together with another memory_prefix": "Or set another AGENTMEM_INDEX_NAME "
    "together with another AGENTMEM_MEMORY_PREFIX",
}
COUNTED: tuple[Argument, ...] = ("GROUPBY", 0, "REDUCE", "COUNT", 0, "AS", "number")
_SCOPED = ("user", "namespace", "kind")


class InexactIndexError(IndexMismatchError):
    """The index cannot answer this exactly."""

    def __init__(self, index_name: str, cause: str) -> None:
        says = (
            f"The search index {index_name!r} is another program's, and cannot be searched {cause}. {REBUILD}"
        )
        super().__init__(says, plain=plainly(says))


def plainly(says: str) -> str:
    """Return what is said of an index, with the advice for who uses a program in place of a programmer's."""
    for advice, plain in _PLAINLY.items():
        says = says.replace(advice, plain)
    return says


def check_scope(index_name: str, scope: Scope) -> None:
    """Refuse a scope whose memories the index may miss.

    Raises:
        InexactIndexError: A value of it is indexed as a digest, which other programs do not write.
    """
    for name, tag in zip(_SCOPED, scope.tags(), strict=True):
        if tag.startswith("#"):
            raise InexactIndexError(
                index_name, f"by a {name} with other characters than ASCII letters, digits and _.@:-"
            )


def check_filter(index_name: str, condition: str) -> None:
    """Refuse a filter.

    Args:
        index_name: The index.
        condition: The search condition that has the filter; empty if there is none.

    Raises:
        InexactIndexError: There is one.
    """
    if condition:
        raise InexactIndexError(
            index_name,
            "with filter=: its tags ignore case, or it has stop words, with which some crash the server",
        )


def count_own(index_name: str, condition: str, scope: Scope, timeout_ms: int) -> Command:
    """Return the command that counts the memories of a scope alone.

    Args:
        index_name: The index.
        condition: The scope's search condition, which may match others'.
        scope: The scope, of plain values.
        timeout_ms: How long it may take, in milliseconds.
    """
    tail = ("TIMEOUT", timeout_ms, "DIALECT", 2)
    return reads("FT.AGGREGATE", index_name, condition, *only_own(scope), *COUNTED, *tail)


def only_own(scope: Scope) -> tuple[Argument, ...]:
    """Return the steps of an aggregation that leave the memories of a scope of plain values alone."""
    wanted = _wanted(scope)
    names = [f"@{name}" for name in wanted]
    is_own = " && ".join(f"@{name}=='{value}'" for name, value in wanted.items())
    return ("LOAD", len(names), *names, "FILTER", is_own)


def counted(reply: Any) -> int:
    """Return the number in the reply to an aggregation that ends with `COUNTED`."""
    return sum(int(value) for row in aggregated(reply) for value in row.values())


def aggregated(reply: Any) -> list[dict[bytes, bytes]]:
    """Return the rows of an aggregation, of either protocol."""
    rows = [row[b"extra_attributes"] for row in reply[b"results"]] if isinstance(reply, dict) else reply[1:]
    return [dict(pairs(row)) for row in rows]


def list_owners(index_name: str, condition: str, k: int, timeout_ms: int) -> Command:
    """Return the search for who owns the memories that a condition matches.

    Args:
        index_name: The index.
        condition: The search condition.
        k: How many at most.
        timeout_ms: How long it may take, in milliseconds.
    """
    return reads(
        *("FT.SEARCH", index_name, condition, "LIMIT", 0, k, "RETURN", len(_SCOPED), *_SCOPED),
        *("TIMEOUT", timeout_ms, "DIALECT", 2),
    )


def is_own(fields: Mapping[bytes, bytes] | None, scope: Scope) -> bool:
    """Return whether a row of a search is of a memory of a scope of plain values."""
    wanted = _wanted(scope)
    return fields is not None and all(fields.get(name.encode()) == wanted[name].encode() for name in wanted)


def among(search: Command, keys: Sequence[bytes]) -> Command:
    """Return a search that finds only documents at some keys."""
    verb, index_name, condition, *rest = search.args
    return search._replace(args=(verb, index_name, condition, "INKEYS", len(keys), *keys, *rest))


def _wanted(scope: Scope) -> dict[str, str]:
    return {name: tag for name, tag in zip(_SCOPED, scope.tags(), strict=True) if tag}
