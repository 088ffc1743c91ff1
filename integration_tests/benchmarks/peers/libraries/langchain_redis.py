"""langchain-redis: a history per session, and a vector store of documents with a tag for their user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_redis import RedisChatMessageHistory, RedisConfig, RedisVectorStore
from redisvl.query.filter import Tag

from integration_tests.benchmarks.peers.libraries.library import TTL_SECONDS, HistoryLibrary, Opening


class Opened(HistoryLibrary):
    """`RedisChatMessageHistory` and `RedisVectorStore`."""

    protocol = 2  # with redis-py's default, a second session cannot be opened

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        self.client = opening.opened_client(protocol=self.protocol)
        config = RedisConfig(
            index_name="memories",
            redis_client=self.client,
            metadata_schema=[{"type": "tag", "name": "user"}],
        )
        self.store = RedisVectorStore(opening.vectors, config=config, ttl=TTL_SECONDS)

    def new_history(self, session: str) -> RedisChatMessageHistory:
        return RedisChatMessageHistory(session, redis_client=self.client, ttl=TTL_SECONDS)

    def load(self, user: str, texts: Sequence[str]) -> None:
        self.store.add_texts(texts, [{"user": user} for _ in texts])

    def remember(self, user: str, text: str) -> Any:
        return self.store.add_texts([text], [{"user": user}])

    def remember_as(self, user: str, text: str, key: str) -> None:
        self.store.add_texts([text], [{"user": user}], keys=[key])

    def forget(self, user: str, remembered: Any) -> None:
        self.store.delete(remembered)

    def recall(self, user: str, text: str, k: int) -> list[str]:
        found = self.store.similarity_search(text, k=k, filter=Tag("user") == user)
        return [one.page_content for one in found]
