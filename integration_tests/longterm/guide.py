"""The program of the Redis documentation's guide to agent memory, as far as it makes an index and memories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import redis
from redis.commands.search.field import NumericField, TagField, TextField, VectorField
from redis.commands.search.index_definition import IndexDefinition, IndexType

from integration_tests.words import WordEmbeddings

WORDS = WordEmbeddings(256)


class Guide:
    """What the guide's program does, with plain redis-py."""

    def __init__(self, bare: redis.Redis, storage: str) -> None:
        self.bare = bare
        self.storage = storage

    def create_index(
        self,
        *,
        algorithm: str = "HNSW",
        prefix: str = "agent:mem:",
        filter: str | None = None,
        exact: bool = False,
        dim: int = 256,
        sortable: bool = True,
        without: tuple[str, ...] = (),
        **options: Any,
    ) -> None:
        """Create the index, `exact` as this package does; with options of redis-py's `create_index`."""

        def field(kind: Callable[..., Any], name: str, *args: Any, **options: Any) -> Any:
            if self.storage == "json":
                return kind(f"$.{name}", *args, as_name=name, **options)
            return kind(name, *args, **options)

        tags = ("user", "namespace", "kind", "source_thread")
        fields = [
            field(TextField, "text"),
            *(field(TagField, name, **({"case_sensitive": True} if exact else {})) for name in tags),
            *(field(NumericField, name, sortable=sortable) for name in ("created_ts", "hit_count")),
            field(
                VectorField, "embedding", algorithm,
                {"TYPE": "FLOAT32", "DIM": dim, "DISTANCE_METRIC": "COSINE"},
            ),
            field(TagField, "topic"),
        ]  # fmt: skip
        kind = IndexType.JSON if self.storage == "json" else IndexType.HASH
        definition = IndexDefinition(prefix=[prefix], filter=filter, index_type=kind)
        stopwords: dict[str, Any] = {"stopwords": []} if exact else {}
        fields = [one for one in fields if (one.as_name or one.name) not in without]
        self.bare.ft("agentmem:idx").create_index(fields, definition=definition, **stopwords, **options)

    def remember(self, id: str, text: str, user: str, **changes: Any) -> None:
        vector = WORDS.embed_query(text)
        document = {
            "id": id, "user": user, "namespace": "default", "kind": "episodic", "source_thread": "",
            "text": text, "embedding": vector, "created_ts": 1715990400.123, "hit_count": 3, **changes,
        }  # fmt: skip
        key = f"agent:mem:{id}"
        if self.storage == "json":
            self.bare.json().set(key, "$", document)
        else:
            packed = np.asarray(document["embedding"], np.float32).tobytes()
            self.bare.hset(key, mapping={**document, "embedding": packed})
        self.bare.expire(key, 5000)

    def fields(self) -> str:
        """The fields of the index."""
        return str(self.bare.ft("agentmem:idx").info()["attributes"])

    def documents(self) -> dict[bytes, Any]:
        read = self.bare.json().get if self.storage == "json" else self.bare.hgetall
        return {key: read(key.decode()) for key in self.bare.scan_iter("agent:mem:*")}

    def without(self, member: str) -> dict[bytes, Any]:
        """What is stored, except a member."""
        out = (member, member.encode())
        documents = self.documents().items()
        return {
            key: {name: value for name, value in document.items() if name not in out}
            for key, document in documents
        }
