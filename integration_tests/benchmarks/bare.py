"""The other sides: the same work written with redis-py alone.

Where redis-py's usual way spends time on something it need not (`json`, `Query` and `Result` objects),
there is a stricter twin beside it, with `orjson` and plain commands. Whole turns are in `guide`.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson
import redis
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    message_to_dict,
    messages_from_dict,
)
from redis.commands.search.query import Query

from integration_tests.benchmarks.world import EPISODIC_SECONDS, TTL_SECONDS, USER, WINDOW
from langchain_agentmem.longterm.redisearch.document import FIELDS

INDEX = "agentmem:idx"
PREFIX = "agent:mem:"
_SCOPE = f"(@user:{{{USER}}} @namespace:{{default}})"
_KIND_SCOPE = f"(@user:{{{USER}}} @namespace:{{default}} @kind:{{episodic}})"
_KNN = "=>[KNN {k} @embedding $vector AS distance]"
_ROLES = {"human": "user", "ai": "assistant"}
_CLASSES: dict[str, type[BaseMessage]] = {"user": HumanMessage, "assistant": AIMessage}

Dumps = Callable[[Any], "str | bytes"]
Loads = Callable[[bytes], Any]


class Hit(NamedTuple):
    """A recalled memory."""

    id: str
    text: str
    distance: float


def turn_of(message: BaseMessage, now: float) -> dict[str, Any]:
    """The JSON object that a session holds of a message."""
    return {"role": _ROLES[message.type], "content": message.content, "ts": now}


def append(
    client: redis.Redis, key: str, messages: Sequence[BaseMessage], dumps: Dumps, *, transaction: bool
) -> None:
    """RPUSH, LTRIM and EXPIRE in one pipeline."""
    now = time.time()
    pipeline = client.pipeline(transaction=transaction)
    pipeline.rpush(key, *[dumps(turn_of(message, now)) for message in messages])
    pipeline.ltrim(key, -WINDOW, -1)
    pipeline.expire(key, TTL_SECONDS)
    pipeline.execute()


def turns(client: redis.Redis, key: str) -> list[BaseMessage]:
    """What `append` keeps."""
    return [message_of(json.loads(turn)) for turn in client.lrange(key, 0, -1)]


def fill(client: redis.Redis, key: str, messages: Sequence[BaseMessage]) -> None:
    """The list that `read` reads."""
    client.delete(key)
    client.rpush(key, *[json.dumps(message_to_dict(message)) for message in messages])
    client.expire(key, TTL_SECONDS)


def read(client: redis.Redis, key: str, loads: Loads) -> list[BaseMessage]:
    """LRANGE and `messages_from_dict`."""
    return messages_from_dict([loads(entry) for entry in client.lrange(key, 0, -1)])


def message_of(turn: dict[str, Any]) -> BaseMessage:
    """The message that a session's JSON object stands for."""
    return _CLASSES[turn["role"]](content=turn["content"])


class Memories:
    """Long-term memory with redis-py's own search and JSON methods."""

    def __init__(self, client: redis.Redis, index: str = INDEX, prefix: str = PREFIX) -> None:
        self.client = client
        self.index, self.prefix = index, prefix

    def recall(self, embedding: Sequence[float]) -> list[Hit]:
        """The 5 nearest with all their fields, in one search."""
        query = Query(_SCOPE + _KNN.format(k=5)).sort_by("distance").paging(0, 5).dialect(2)
        for name in FIELDS:
            query.return_field(f"$.{name}", as_field=name)
        query.return_field("distance")
        found = self.client.ft(self.index).search(query, query_params={"vector": self.packed(embedding)})
        hits = [Hit(row.id, row.text, float(row.distance)) for row in found.docs]
        return [hit for hit in hits if hit.distance <= 0.55]

    def is_known(self, embedding: Sequence[float]) -> bool:
        """Whether there is a memory within the dedup threshold."""
        query = Query(_KIND_SCOPE + _KNN.format(k=1)).sort_by("distance").paging(0, 1).dialect(2)
        query.return_field("distance")
        found = self.client.ft(self.index).search(query, query_params={"vector": self.packed(embedding)})
        return bool(found.docs) and float(found.docs[0].distance) <= 0.2

    def write(self, client: Any, text: str, embedding: Sequence[float], thread: str = "") -> str:
        """JSON.SET alone, on the client or in a pipeline; the key."""
        document = document_of(text, thread)
        key = self.prefix + str(document["id"])
        client.json().set(key, "$", {**document, "embedding": embedding})
        return key

    def remember(self, text: str, embedding: Sequence[float], thread: str = "") -> str:
        """KNN in one round trip; JSON.SET and EXPIRE in another."""
        assert not self.is_known(embedding)
        pipeline = self.client.pipeline(transaction=False)
        key = self.write(pipeline, text, embedding, thread)
        pipeline.expire(key, EPISODIC_SECONDS)
        pipeline.execute()
        return key

    @staticmethod
    def packed(embedding: Sequence[float]) -> bytes:
        """The bytes a search takes."""
        return np.array(embedding, dtype=np.float32).tobytes()


class StrictMemories(Memories):
    """The same with plain commands and orjson, and as few bytes as float32 needs."""

    def recall(self, embedding: Sequence[float]) -> list[Hit]:
        """As in `Memories`."""
        fields = [part for name in FIELDS for part in (f"$.{name}", "AS", name)]
        found: Any = self.client.execute_command(
            *(
                "FT.SEARCH",
                self.index,
                _SCOPE + _KNN.format(k=5),
                "PARAMS",
                2,
                "vector",
                self.packed(embedding),
            ),
            *("SORTBY", "distance", "LIMIT", 0, 5, "RETURN", len(fields) + 1, *fields, "distance"),
            *("DIALECT", 2),
        )
        rows = [(row[b"id"].decode(), row[b"extra_attributes"]) for row in found[b"results"]]
        hits = [Hit(key, row[b"text"].decode(), float(row[b"distance"])) for key, row in rows]
        return [hit for hit in hits if hit.distance <= 0.55]

    def is_known(self, embedding: Sequence[float]) -> bool:
        """As in `Memories`."""
        found: Any = self.client.execute_command(
            *("FT.SEARCH", self.index, _KIND_SCOPE + _KNN.format(k=1)),
            *("PARAMS", 2, "vector", self.packed(embedding), "SORTBY", "distance", "LIMIT", 0, 1),
            *("RETURN", 1, "distance", "DIALECT", 2),
        )
        rows = found[b"results"]
        return bool(rows) and float(rows[0][b"extra_attributes"][b"distance"]) <= 0.2

    def write(self, client: Any, text: str, embedding: Sequence[float], thread: str = "") -> str:
        """As in `Memories`."""
        document = document_of(text, thread)
        key = self.prefix + str(document["id"])
        document["embedding"] = np.array(embedding, dtype=np.float32)
        client.execute_command(
            "JSON.SET", key, "$", orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
        )
        return key


def document_of(text: str, thread: str, **members: Any) -> dict[str, Any]:
    """A memory as JSON, without its embedding."""
    return {
        "id": uuid.uuid4().hex,
        "user": USER,
        "namespace": "default",
        "kind": "episodic",
        "source_thread": thread,
        "text": text,
        "created_ts": time.time(),
        "hit_count": 0,
        **members,
    }
