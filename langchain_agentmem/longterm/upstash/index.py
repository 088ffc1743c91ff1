"""Upstash's search index over the memories: created when it is found missing, its schema verified."""

from __future__ import annotations

from typing import Any

from langchain_agentmem.core.operations import Command, Op, asks, call, ok, pairs, text
from langchain_agentmem.errors import IndexMismatchError, IndexMissingError, StoreError
from langchain_agentmem.longterm.search_index import SearchIndex, differences

LANGUAGES = frozenset(
    """english arabic danish dutch finnish french german greek hungarian italian norwegian portuguese
    romanian russian spanish swedish tamil turkish""".split()
)

_ADVICE = (
    "drop_index() keeps the documents, and create_index() then creates the right one; or use another "
    "index_name. If only createdAt is not FAST, recency_per_day=0 takes it as it is."
)


class UpstashIndex(SearchIndex):
    """A search index of Upstash. No I/O of its own.

    Args:
        name: Its name.
        prefix: The key prefix of memories; the id follows it.
        sorts: Whether `createdAt` has to be FAST: a server sorts and scores by FAST fields only.
        language: The language its words are stemmed in; in one that Upstash does not know, they are not.
    """

    __slots__ = ("language", "name", "prefix", "sorts")

    def __init__(self, name: str, prefix: str, *, sorts: bool, language: str = "english") -> None:
        super().__init__((name, prefix, language))
        self.name = name
        self.prefix = prefix
        self.sorts = sorts
        self.language = language

    @property
    def fields(self) -> dict[str, str]:
        """Return the fields it is created with, and their types."""
        words = "TEXT" if self.language in LANGUAGES else "TEXT NOSTEM"
        return {
            "text": words,
            "context": words,
            "userId": "KEYWORD",
            "kind": "KEYWORD",
            "createdAt": "F64 FAST",
        }

    @property
    def schema(self) -> dict[str, str]:
        """Return the schema it has to have, in a line per part. It may do without contexts."""
        language = self.language if self.language in LANGUAGES else "english"
        parts = {"storage": "JSON", "prefix": self.prefix, "language": language, **self.fields}
        del parts["context"]
        return parts

    def ready(self) -> Op[None]:
        """Create the index if it is missing, once per connection; then send nothing. One round trip.

        One more if an index is there that was created with other fields.

        Raises:
            IndexMismatchError: It has another schema.
        """
        if not self.knowledge.checked:
            (created,) = yield [self._creation()]
            if isinstance(created, Exception):
                (described,) = yield [self._asked()]
                self._take(created, described)
            self.knowledge.checked = True

    def ensure(self) -> Op[None]:
        """Create the index if it is missing, and verify its schema. One round trip.

        Documents that are there already are indexed after it.

        Raises:
            IndexMismatchError: There is one with another schema.
        """
        created, described = yield [self._creation(), self._asked()]
        self._take(created, described)
        self.knowledge.checked = True

    def explain(self, refusal: Any, *, named_contexts: bool = False) -> Op[None]:
        """Raise why a query was refused: the index has another schema, or else the refusal itself.

        Nothing is raised if the query named contexts, and the index holds none: it is fine without them.
        """
        if type(refusal) is StoreError:
            (described,) = yield [self._asked()]
            if described is not None and not isinstance(described, Exception):
                self._check(described, refusal)
                if named_contexts and not self.knowledge.contexts:
                    return
        raise refusal

    def describe(self) -> Op[dict[str, Any]]:
        """Return what the server says about the index. One round trip.

        Raises:
            IndexMissingError: There is none.
        """
        described, count = yield [self._asked(), asks("SEARCH.COUNT", self.name, "{}")]
        if ok(described) is None:
            raise IndexMissingError(
                f"There is no search index {self.name!r}: call create_index().",
                plain=f"There is no search index {self.name} yet. The first memory that is stored makes it.",
            )
        return {
            "name": self.name,
            "documents": int(ok(count)),
            "schema": _schema(described),
            "mismatch": self._mismatch(described),
        }

    def drop(self) -> Op[None]:
        """Remove the index, if it is there; documents stay. One round trip."""
        self.knowledge.checked, self.knowledge.contexts = False, True
        yield from call(Command(("SEARCH.DROP", self.name)))

    def wait(self) -> Op[bool]:
        """Wait until everything written is found; return whether there is an index. One round trip."""
        return int((yield from call(asks("SEARCH.WAITINDEXING", self.name)))) == 1

    def _creation(self) -> Command:
        fields = [part for name, kind in self.fields.items() for part in (name, *kind.split())]
        known = self.language in LANGUAGES and self.language != "english"
        language = ("LANGUAGE", self.language) if known else ()
        return Command(
            (
                *("SEARCH.CREATE", self.name, "ON", "JSON", "PREFIX", 1, self.prefix, *language, "EXISTSOK"),
                *("SCHEMA", *fields),
            )
        )

    def _asked(self) -> Command:
        return asks("SEARCH.DESCRIBE", self.name)

    def _take(self, created: Any, described: Any) -> None:
        """Verify an index that was there, or was just created."""
        if isinstance(described, Exception) or described is None:
            ok(created)
        # That it is refused because there is one already says nothing: other fields may be fine.
        self._check(ok(described), created if isinstance(created, StoreError) else None)

    def _check(self, described: Any, refusal: StoreError | None) -> None:
        if described is None:
            return
        self.knowledge.contexts = _schema(described).get("context", "").startswith("TEXT")
        if mismatch := self._mismatch(described):
            plain = mismatch.replace(_ADVICE, "Set another AGENTMEM_INDEX_NAME.")
            raise IndexMismatchError(mismatch, plain=plain) from refusal

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
                _ADVICE,
            ]
        )


def _schema(described: Any) -> dict[str, str]:
    parts = {text(name): value for name, value in pairs(described)}
    return {
        "storage": text(parts["type"]).upper(),
        "prefix": ", ".join(map(text, parts["prefixes"])),
        "language": text(parts.get("language", "english")),
        **{text(name): " ".join(map(text, kind)) for name, *kind in parts["schema"]},
    }
