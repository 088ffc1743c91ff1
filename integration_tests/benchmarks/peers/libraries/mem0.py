"""mem0: a `Memory` on its Redis store, without a language model."""

from __future__ import annotations

import os
from collections.abc import Sequence

from integration_tests.benchmarks.peers.libraries.library import Library, Opening

os.environ |= {"MEM0_TELEMETRY": "False", "OPENAI_API_KEY": "not used"}


class Opened(Library):
    """`Memory`, which stores texts as they are (`infer=False`)."""

    takes_client = takes_ttl = by_vectors = False

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        os.environ["MEM0_DIR"] = opening.folder
        from mem0 import Memory

        url = opening.url
        if opening.protocol:
            url += f"{'&' if '?' in url else '?'}protocol={opening.protocol}"
        dimensions = opening.vectors.dimensions
        self.memory = Memory.from_config(
            {
                "embedder": {"provider": "langchain", "config": {"model": opening.vectors}},
                "vector_store": {
                    "provider": "redis",
                    "config": {
                        "redis_url": url,
                        "collection_name": "bench",
                        "embedding_model_dims": dimensions,
                    },
                },
                "history_db_path": f"{opening.folder}/history.db",
            }
        )

    def load(self, user: str, texts: Sequence[str]) -> None:
        self.memory.add([{"role": "user", "content": text} for text in texts], user_id=user, infer=False)

    def remember(self, user: str, text: str) -> str:
        added = self.memory.add(text, user_id=user, infer=False)
        return str(added["results"][0]["id"])

    def forget(self, user: str, remembered: str) -> None:
        self.memory.delete(remembered)

    def recall(self, user: str, text: str, k: int) -> list[str]:
        return self.recall_by_default(user, text, k)

    def recall_by_default(self, user: str, text: str, k: int) -> list[str]:
        found = self.memory.search(text, filters={"user_id": user}, top_k=k)
        return [str(one["memory"]) for one in found["results"]]

    def close(self) -> None:
        self.memory.close()
