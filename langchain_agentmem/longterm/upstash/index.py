"""Upstash's search index over the memories: created when it is found missing, its schema verified."""

from __future__ import annotations

from typing import Any

from langchain_agentmem.core.operations import Command, Op, asks, call, ok, pairs, text
from langchain_agentmem.errors import IndexMismatchError, IndexMissingError, StoreError
from langchain_agentmem.longterm.search_index import SearchIndex, differences

FIELDS = {"text": "TEXT", "userId": "KEYWORD", "kind": "KEYWORD", "createdAt": "F64 FAST"}


class UpstashIndex(SearchIndex):
    """A search index of Upstash. No I/O of its own.

    Args:
        name: Its name.
        prefix: The key prefix of memories; the id follows it.
        sorts: Whether `createdAt` has to be FAST: a server sorts and scores by FAST fields only.
    """

    __slots__ = ("name", "prefix", "sorts")

    def __init__(self, name: str, prefix: str, *, sorts: bool) -> None:
        super().__init__(name)
        self.name = name
        self.prefix = prefix
        self.sorts = sorts

    @property
    def schema(self) -> dict[str, str]:
        """Return the schema the index has to have, in a line per part."""
        return {"storage": "JSON", "prefix": self.prefix, **FIELDS}

    def ensure(self) -> Op[None]:
        """Create the index if it is missing, and verify its schema. One round trip.

        Documents that are there already are indexed after it.

        Raises:
            IndexMismatchError: There is one with another schema.
        """
        fields = [part for name, kind in FIELDS.items() for part in (name, *kind.split())]
        create = Command(
            (
                *("SEARCH.CREATE", self.name, "ON", "JSON", "PREFIX", 1, self.prefix, "EXISTSOK"),
                *("SCHEMA", *fields),
            )
        )
        created, described = yield [create, self._asked()]
        if isinstance(described, Exception) or described is None:
            ok(created)
        # That it is refused because there is one already says nothing: further fields are fine.
        self._check(ok(described), created if isinstance(created, StoreError) else None)

    def explain(self, refusal: Any) -> Op[None]:
        """Raise why a query was refused: the index has another schema, or else the refusal itself."""
        if type(refusal) is StoreError:
            (described,) = yield [self._asked()]
            if described is not None and not isinstance(described, Exception):
                self._check(described, refusal)
        raise refusal

    def describe(self) -> Op[dict[str, Any]]:
        """Return what the server says about the index. One round trip.

        Raises:
            IndexMissingError: There is none.
        """
        described, count = yield [self._asked(), asks("SEARCH.COUNT", self.name, "{}")]
        if ok(described) is None:
            raise IndexMissingError(f"There is no search index {self.name!r}: call create_index().")
        return {
            "name": self.name,
            "documents": int(ok(count)),
            "schema": _schema(described),
            "mismatch": self._mismatch(described),
        }

    def drop(self) -> Op[None]:
        """Remove the index, if it is there; documents stay. One round trip."""
        yield from call(Command(("SEARCH.DROP", self.name)))

    def wait(self) -> Op[bool]:
        """Wait until everything written is found; return whether there is an index. One round trip."""
        return int((yield from call(asks("SEARCH.WAITINDEXING", self.name)))) == 1

    def _asked(self) -> Command:
        return asks("SEARCH.DESCRIBE", self.name)

    def _check(self, described: Any, refusal: StoreError | None) -> None:
        if described is not None and (mismatch := self._mismatch(described)):
            raise IndexMismatchError(mismatch) from refusal

    def _mismatch(self, described: Any) -> str | None:
        """Return how the schema differs from what is wanted, and what to do; `None` if it does not."""
        found, wanted = _schema(described), self.schema
        if not self.sorts and found.get("createdAt") == "F64":
            wanted["createdAt"] = "F64"
        differing = differences(found, wanted)
        if not differing:
            return None
        return "\n".join(
            [
                f"The search index {self.name!r} has another schema than long-term memory needs:",
                *differing.values(),
                "drop_index() keeps the documents, and create_index() then creates the right one; or use "
                "another index_name. If only createdAt is not FAST, recency_per_day=0 takes it as it is.",
            ]
        )


def _schema(described: Any) -> dict[str, str]:
    parts = {text(name): value for name, value in pairs(described)}
    return {
        "storage": text(parts["type"]).upper(),
        "prefix": ", ".join(map(text, parts["prefixes"])),
        **{text(name): " ".join(map(text, kind)) for name, *kind in parts["schema"]},
    }
