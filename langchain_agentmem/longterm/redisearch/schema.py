"""The schema of the search index: what it has to be, and whether that of the server's index is.

redisvl holds the schema and writes its arguments; what `FT.INFO` answers is reduced to the same few
words per field (`VECTOR HNSW FLOAT32 COSINE DIM 384`), so that the two can be compared and shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from langchain_agentmem.core.keys import tag
from langchain_agentmem.core.operations import Argument, Command, pairs, text, writes
from langchain_agentmem.errors import IndexMismatchError
from langchain_agentmem.longterm.redisearch.inexact import OTHERWISE, REBUILD, plainly
from langchain_agentmem.longterm.redisearch.languages import STEMMED, language_arguments
from langchain_agentmem.longterm.search_index import differences
from langchain_agentmem.longterm.types import Algorithm, Storage, VectorType
from langchain_agentmem.longterm.words import STOP_WORDS

if TYPE_CHECKING:
    from redisvl.schema import IndexSchema

# What is not left to the server. HNSW: how many a search looks at besides the k nearest; with the default of
# 10 the nearest of many thousand is sometimes missed, and 100 cost a tenth of a millisecond. FLAT: for how
# many vectors memory is allocated at a time; 256 of 384 numbers take 0.4 MB, the default of 1,024 takes 1.5.
# Searches of 50,000 take 4 % longer for it (with 64, 12 to 18 %).
OPTIONS: dict[Algorithm, dict[str, int]] = {"flat": {"block_size": 256}, "hnsw": {"ef_runtime": 100}}
CONTEXT = "context"  # not in indexes of the first version, which are served without it
_FLAGS = {
    "CASESENSITIVE", "INDEXEMPTY", "INDEXMISSING", "NOINDEX", "NOSTEM", "SORTABLE", "UNF", "WITHSUFFIXTRIE",
}  # fmt: skip
_EXACT = " CASESENSITIVE"
_SHOWN_FLAGS = ("CASESENSITIVE", "SORTABLE", "NOINDEX")
_ALGORITHM = re.compile(r"\bVECTOR \S+")  # FLAT, HNSW, SVS-VAMANA, and what servers will have
_PLACE = ("storage", "prefix")  # which documents an index is over
_TAGS = ("user", "namespace", "kind", "source_thread")
_OPTIONAL = (CONTEXT, "source_thread", "hit_count")  # what no search without a filter needs
_SERVERS_OWN = "the server's own"
_SERVERS_STOP_WORDS = frozenset(
    """a is the an and are as at be but by for if in into it no not of on or such that their then there these
    they this to was will with""".split()
)
_REBUILD = f"Its documents fit: {REBUILD} Or use another index_name together with another memory_prefix."


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """The options of an index that the user chooses. Its dimensions come from the embeddings."""

    name: str
    prefix: str
    storage: Storage
    algorithm: Algorithm
    vector_type: VectorType
    language: str = "english"

    def redisvl_schema(self, dimensions: int) -> IndexSchema:
        """Return the schema as redisvl holds it."""
        from redisvl.schema import IndexSchema

        tags = [{"name": name, "type": "tag", "attrs": {"case_sensitive": True}} for name in _TAGS]
        words = {"no_stem": self.language not in STEMMED}
        numbers = [
            {"name": name, "type": "numeric", "attrs": {"sortable": True}}
            for name in ("created_ts", "hit_count")
        ]
        vector: dict[str, Any] = {
            "algorithm": self.algorithm,
            "dims": dimensions,
            "datatype": self.vector_type,
            "distance_metric": "cosine",
            **OPTIONS[self.algorithm],
        }
        return IndexSchema.from_dict(
            {
                "index": {
                    "name": self.name,
                    "prefix": self.prefix,
                    "storage_type": self.storage,
                    "stopwords": [],  # with stop words, some queries crash RediSearch 2.10
                },
                "fields": [
                    *({"name": name, "type": "text", "attrs": words} for name in ("text", CONTEXT)),
                    *tags,
                    *numbers,
                    {"name": "embedding", "type": "vector", "attrs": vector},
                ],
            }
        )

    def create(self, dimensions: int) -> Command:
        """Return the command that creates the index."""
        schema = self.redisvl_schema(dimensions)
        fields: list[Argument] = [
            part.value if isinstance(part, Enum) else part
            for field in schema.redis_fields
            for part in field.redis_args()
        ]
        stopwords = schema.index.stopwords or []
        return writes(
            *("FT.CREATE", self.name, "ON", self.storage.upper(), "PREFIX", 1, self.prefix),
            *language_arguments(self.language),
            *("STOPWORDS", len(stopwords), *stopwords, "SCHEMA", *fields),
        )

    def advice(self, *, fits: bool) -> str:
        """Return what to do about an index with another schema.

        Args:
            fits: Whether the index is over the right documents, and its vectors are of the right kind.
        """
        return _REBUILD if fits else OTHERWISE

    def schema(self, dimensions: int | None) -> dict[str, str]:
        """Return the schema the index has to have, in a line per part."""
        kinds = {
            **dict.fromkeys(("text", CONTEXT), "TEXT"),
            **dict.fromkeys(_TAGS, f"TAG{_EXACT}"),
            **dict.fromkeys(("created_ts", "hit_count"), "NUMERIC SORTABLE"),
            "embedding": f"VECTOR {self.algorithm.upper()} {self.vector_type.upper()} COSINE"
            + (f" DIM {dimensions}" if dimensions else ""),
        }
        if self.storage == "json":
            kinds = {name: f"$.{name} {kind}" for name, kind in kinds.items()}
        return {
            "storage": self.storage.upper(),
            "prefix": self.prefix,
            "language": self.language if self.language in STEMMED else "english",
            "stop words": "none",
            **kinds,
        }


@dataclass(frozen=True, slots=True)
class IndexState:
    """The state of an index, as `FT.INFO` reports it.

    Attributes:
        schema: Its storage, prefix, language, stop words and fields, in a line each.
        dimensions: The length of its vectors; `None` if it has none.
        documents: How many documents it holds.
        failures: How many it could not take.
        indexing: Whether it is still being backfilled.
        memory_mb: How much memory it takes, in megabytes.
    """

    schema: dict[str, str]
    dimensions: int | None
    documents: int
    failures: int
    indexing: bool
    memory_mb: float

    @classmethod
    def read(cls, reply: Any) -> IndexState:
        """Read the answer of `FT.INFO`, from either protocol."""
        info = {text(name): value for name, value in pairs(reply)}
        definition = {text(name): value for name, value in pairs(info["index_definition"])}
        schema = {
            "storage": text(definition["key_type"]),
            "prefix": ", ".join(text(prefix) for prefix in definition["prefixes"]) + _filter(definition),
            "language": text(definition.get("default_language", "english")),
            "stop words": _stop_words(info),
        }
        dimensions = None
        for attribute in info["attributes"]:
            members, flags = _attribute(attribute)
            schema[members["attribute"]] = _described(members, flags)
            if members["type"] == "VECTOR" and members["attribute"] == "embedding":
                dimensions = int(members["dim"])
        return cls(
            schema=schema,
            dimensions=dimensions,
            documents=int(info.get("num_docs", 0)),
            failures=int(info.get("hash_indexing_failures", 0)),
            indexing=bool(int(info.get("indexing", 0))),
            memory_mb=float(info.get("total_index_memory_sz_mb", 0)),
        )

    @property
    def is_exact(self) -> bool:
        """Return whether it tells all scopes apart, and has no stop words."""
        tags = [self.schema.get(name, "") for name in _TAGS]
        return self.schema["stop words"] == "none" and all(tag.endswith(_EXACT) for tag in tags)

    def check(self, settings: IndexSettings, dimensions: int | None) -> None:
        """Compare with what is wanted; further fields, and any algorithm, serve as well.

        So does the index of another program, as far as it can answer exactly (`inexact`).

        Raises:
            IndexMismatchError: Says what differs, how it is and how it was wanted, and what to do.
        """
        _refuse(self.mismatch(settings, dimensions))

    def mismatch(self, settings: IndexSettings, dimensions: int | None) -> str | None:
        """Return what `check` would say; `None` if the index serves."""
        wanted = settings.schema(dimensions)
        found = {part: self._served(part, line, settings) for part, line in wanted.items()}
        if dimensions is None:
            found["embedding"] = found["embedding"].partition(" DIM ")[0]
        return _told(settings, found, wanted)

    def check_place(self, settings: IndexSettings) -> None:
        """Compare only which documents the index is over.

        Raises:
            IndexMismatchError: They are other ones.
        """
        wanted = settings.schema(None)
        _refuse(_told(settings, self.schema, {part: wanted[part] for part in _PLACE}))

    def _served(self, part: str, wanted: str, settings: IndexSettings) -> str:
        """Return a part of the schema: as it is wanted if it serves as well."""
        found = self.schema.get(part, "")
        if part == "embedding":  # any algorithm answers the same searches
            return _ALGORITHM.sub(f"VECTOR {settings.algorithm.upper()}", found)
        serves = (
            (not found and part in _OPTIONAL)
            or wanted in (f"{found}{_EXACT}", f"{found} SORTABLE")
            or (
                part == "stop words"
                and _stop_words_of(found) <= STOP_WORDS.get(settings.language, frozenset())
            )
        )
        return wanted if serves else found


def _told(settings: IndexSettings, found: dict[str, str], wanted: dict[str, str]) -> str | None:
    differing = differences(found, wanted)
    if not differing:
        return None
    fits = not differing.keys() & {*_PLACE, "embedding"}
    return "\n".join(
        [
            f"The search index {settings.name!r} has another schema than these settings and "
            "embeddings ask for:",
            *differing.values(),
            settings.advice(fits=fits),
        ]
    )


def _refuse(mismatch: str | None) -> None:
    if mismatch is not None:
        raise IndexMismatchError(mismatch, plain=plainly(mismatch))


def _filter(definition: dict[str, Any]) -> str:
    """Return the condition that documents have to meet to be in an index, if there is one."""
    condition = text(definition.get("filter") or "")
    return f" FILTER {condition}" if condition else ""


def _stop_words(info: dict[str, Any]) -> str:
    if "stopwords_list" not in info:
        return _SERVERS_OWN
    return " ".join(sorted(text(word) for word in info["stopwords_list"])) or "none"


def _stop_words_of(line: str) -> frozenset[str]:
    if line == _SERVERS_OWN:
        return _SERVERS_STOP_WORDS
    return frozenset() if line == "none" else frozenset(line.split())


def _attribute(reply: Any) -> tuple[dict[str, str], set[str]]:
    """Return a field's members and flags; RESP2 has the flags bare between the members."""
    if isinstance(reply, dict):
        members = {text(name): value for name, value in reply.items()}
        flags = {text(flag) for flag in members.pop("flags", [])}
        return {name: text(value) for name, value in members.items()}, flags
    parts: Iterator[str] = iter([text(part) for part in reply])
    found: dict[str, str] = {}
    bare: set[str] = set()
    for part in parts:
        if part in _FLAGS:
            bare.add(part)
        else:
            found[part] = next(parts, "")
    return found, bare


def _described(members: dict[str, str], flags: set[str]) -> str:
    path = f"{members['identifier']} " if members["identifier"] != members["attribute"] else ""
    if members["type"] == "VECTOR":
        words = [members[part] for part in ("algorithm", "data_type", "distance_metric")]
        return f"{path}VECTOR {' '.join(words)} DIM {members['dim']}"
    separator = members.get("SEPARATOR") or ","
    splits = [f"SEPARATOR {separator}"] if separator == "#" or f"a{separator}" == tag(f"a{separator}") else []
    return " ".join([f"{path}{members['type']}", *splits, *(flag for flag in _SHOWN_FLAGS if flag in flags)])
