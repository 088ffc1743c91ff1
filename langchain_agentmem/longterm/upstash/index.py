"""Upstash's search index over the memories: made when it is found missing, never of another shape."""

from __future__ import annotations

from typing import Any

from langchain_agentmem.core.operations import Command, Op, asks, call, ok, pairs, text
from langchain_agentmem.errors import IndexMismatchError, IndexMissingError, StoreError
from langchain_agentmem.longterm.knowledge import KnownIndex

FIELDS = {"text": "TEXT", "userId": "KEYWORD", "kind": "KEYWORD", "createdAt": "F64 FAST"}


class UpstashIndex(KnownIndex):
    """An index by its name, and what is known about the server so far. No I/O of its own.

    Attributes:
        name: Its name.
        prefix: What stands before the id in a key.
        sorts: Whether `createdAt` has to be FAST: a server sorts and scores by FAST fields only.
    """

    def __init__(self, name: str, prefix: str, *, sorts: bool) -> None:
        super().__init__(name)
        self.name = name
        self.prefix = prefix
        self.sorts = sorts

    @property
    def shape(self) -> dict[str, str]:
        """What the index has to look like, a line a part."""
        return {"storage": "JSON", "prefix": self.prefix, **FIELDS}

    def ensure(self) -> Op[None]:
        """Make the index if it is not there. One round trip; documents are indexed after it.

        Raises:
            IndexMismatchError: There is one of another shape.
        """
        schema = [part for name, kind in FIELDS.items() for part in (name, *kind.split())]
        create = Command(
            (
                *("SEARCH.CREATE", self.name, "ON", "JSON", "PREFIX", 1, self.prefix, "EXISTSOK"),
                *("SCHEMA", *schema),
            )
        )
        made, described = yield [create, self._describe()]
        if isinstance(described, Exception) or described is None:
            ok(made)
        # That it is refused because there is one already says nothing: further fields are fine.
        self._check(ok(described), made if isinstance(made, StoreError) else None)

    def explain(self, refusal: Any) -> Op[None]:
        """Raise what a refused query comes of: another shape of the index, or else the refusal itself."""
        if type(refusal) is StoreError:
            (described,) = yield [self._describe()]
            if described is not None and not isinstance(described, Exception):
                self._check(described, refusal)
        raise refusal

    def info(self) -> Op[dict[str, Any]]:
        """The index on the server. One round trip.

        Raises:
            IndexMissingError: There is none.
        """
        described, count = yield [self._describe(), asks("SEARCH.COUNT", self.name, "{}")]
        if ok(described) is None:
            raise IndexMissingError(f"There is no search index {self.name!r}: call create_index().")
        return {"name": self.name, "documents": int(ok(count)), "shape": _shape(described)}

    def drop(self) -> Op[None]:
        """Remove the index, if it is there; documents stay. One round trip."""
        yield from call(Command(("SEARCH.DROP", self.name)))

    def wait(self) -> Op[bool]:
        """Wait until everything written is found. One round trip; whether there is an index."""
        return int((yield from call(asks("SEARCH.WAITINDEXING", self.name)))) == 1

    def _describe(self) -> Command:
        return asks("SEARCH.DESCRIBE", self.name)

    def _check(self, described: Any, refusal: StoreError | None) -> None:
        if described is None:
            return
        found, wanted = _shape(described), self.shape
        if not self.sorts and found.get("createdAt") == "F64":
            wanted["createdAt"] = "F64"
        differing = [
            f"  {part}: is {found.get(part) or 'missing'}, wanted {line}"
            for part, line in wanted.items()
            if found.get(part) != line
        ]
        if differing:
            lines = [
                f"The search index {self.name!r} has another shape than long-term memory needs:",
                *differing,
                "drop_index() keeps the documents, and create_index() then makes the right one; or use "
                "another index_name. If only createdAt is not FAST, recency_per_day=0 takes it as it is.",
            ]
            raise IndexMismatchError("\n".join(lines)) from refusal


def _shape(described: Any) -> dict[str, str]:
    parts = {text(name): value for name, value in pairs(described)}
    return {
        "storage": text(parts["type"]).upper(),
        "prefix": ", ".join(map(text, parts["prefixes"])),
        **{text(name): " ".join(map(text, kind)) for name, *kind in parts["schema"]},
    }
