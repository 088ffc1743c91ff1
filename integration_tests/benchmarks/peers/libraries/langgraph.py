"""langgraph-checkpoint-redis: a `RedisStore` with a namespace per user."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from langgraph.store.base import PutOp
from langgraph.store.redis import RedisStore

from integration_tests.benchmarks.peers.libraries.library import TTL_SECONDS, Library, Opening


class Opened(Library):
    """`RedisStore`, with a random key for each item, as LangGraph's documentation has it."""

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        index: Any = {"dims": opening.vectors.dimensions, "embed": opening.vectors, "fields": ["text"]}
        self.client = opening.opened_client()
        self.store = RedisStore(self.client, index=index, ttl={"default_ttl": TTL_SECONDS / 60})
        self.store.setup()

    def load(self, user: str, texts: Sequence[str]) -> None:
        space, minutes = ("memories", user), TTL_SECONDS / 60  # `put` has a default TTL, a `PutOp` has none
        self.store.batch([PutOp(space, uuid.uuid4().hex, {"text": text}, ttl=minutes) for text in texts])

    def remember(self, user: str, text: str) -> str:
        key = uuid.uuid4().hex
        self.store.put(("memories", user), key, {"text": text})
        return key

    def remember_as(self, user: str, text: str, key: str) -> None:
        self.store.put(("memories", user), key, {"text": text})

    def forget(self, user: str, remembered: str) -> None:
        self.store.delete(("memories", user), remembered)

    def recall(self, user: str, text: str, k: int) -> list[str]:
        found = self.store.search(("memories", user), query=text, limit=k)
        return [str(one.value["text"]) for one in found]
