"""Short ways to the index the tests use."""

from __future__ import annotations

import json
from typing import Any

from upstash_redis import Redis

SCHEMA: dict[str, Any] = {
    "text": "TEXT",
    "userId": "KEYWORD",
    "createdAt": {"type": "F64", "fast": True},
    "plain": "F64",
}


def create(client: Redis, **options: Any) -> Any:
    return client.search.create_index(
        **{"name": "memories", "schema": SCHEMA, "data_type": "JSON", "prefixes": "memory:", **options}
    )


def remember(client: Redis, key: str, **document: Any) -> None:
    client.execute(["JSON.SET", f"memory:{key}", "$", json.dumps(document)])


def found(index: Any, **query: Any) -> list[str]:
    return [hit.key.removeprefix("memory:") for hit in index.query(**query)]
