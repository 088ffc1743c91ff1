"""Whole turns without this package: a tier at a time, and as the Redis documentation's guide to agent memory does it.

The guide's code is written anew here, command for command: its index, what it reads beside what it needs
(the TTL of a session, and of each memory that is found), and what it writes in MULTI.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import redis
from langchain_core.messages import BaseMessage
from redis.commands.search.field import NumericField, TagField, TextField, VectorField
from redis.commands.search.index_definition import IndexDefinition, IndexType
from redis.commands.search.query import Query

from integration_tests.benchmarks.bare import (
    Dumps,
    Hit,
    Loads,
    Memories,
    StrictMemories,
    document_of,
    message_of,
    turn_of,
)
from integration_tests.benchmarks.world import DIMENSIONS, EPISODIC_SECONDS, TTL_SECONDS, USER, WINDOW, Fact

_FIELDS = ("user", "namespace", "kind", "source_thread", "text", "created_ts", "hit_count")


class GuideMemories(Memories):
    """Long-term memory as the guide has it: an HNSW index, and a TTL asked for with every memory that is found."""

    def create_index(self) -> None:
        """Create the guide's index."""
        vector = {"TYPE": "FLOAT32", "DIM": DIMENSIONS, "DISTANCE_METRIC": "COSINE"}
        self.client.ft(self.index).create_index(
            [
                TextField("$.text", as_name="text"),
                *(TagField(f"$.{name}", as_name=name) for name in _FIELDS[:4]),
                *(NumericField(f"$.{name}", as_name=name, sortable=True) for name in _FIELDS[5:]),
                VectorField("$.embedding", "HNSW", vector, as_name="embedding"),
            ],
            definition=IndexDefinition(prefix=[self.prefix], index_type=IndexType.JSON),
        )

    def fill(self, facts: Iterable[Fact]) -> None:
        """Create the index, and store facts."""
        self.create_index()
        strict = StrictMemories(self.client, self.index, self.prefix)
        pipeline = self.client.pipeline(transaction=False)
        for fact in facts:
            pipeline.expire(strict.write(pipeline, fact.text, fact.embedding), EPISODIC_SECONDS)
        pipeline.execute()

    def recall(self, embedding: Sequence[float]) -> list[Hit]:
        """The 5 nearest, and when each of them ends."""
        hits = self._nearest(embedding, f"(@user:{{{USER}}} @namespace:{{default}})", 5)
        return [hit for hit in hits if hit.distance <= 0.55]

    def is_known(self, embedding: Sequence[float]) -> bool:
        """Whether the nearest memory is within the dedup threshold."""
        scope = f"(@user:{{{USER}}} @namespace:{{default}} @kind:{{episodic}})"
        return any(hit.distance <= 0.2 for hit in self._nearest(embedding, scope, 1))

    def _nearest(self, embedding: Sequence[float], scope: str, k: int) -> list[Hit]:
        query = Query(f"{scope}=>[KNN {k} @embedding $vec AS distance]").sort_by("distance")
        query.return_fields(*_FIELDS, "distance").paging(0, k).dialect(2)
        found = self.client.ft(self.index).search(query, query_params={"vec": self.packed(embedding)})
        hits = []
        for row in found.docs:
            self.client.ttl(row.id)
            hits.append(Hit(row.id, row.text, float(row.distance)))
        return hits

    def remember(self, text: str, embedding: Sequence[float], thread: str = "") -> str:
        """KNN, its memory's TTL, then JSON.SET and EXPIRE in MULTI."""
        assert not self.is_known(embedding)
        document = document_of(text, thread, id=uuid.uuid4().hex[:12])
        document["embedding"] = np.asarray(embedding, dtype=np.float32).tolist()
        key = self.prefix + str(document["id"])
        pipeline = self.client.pipeline(transaction=True)
        pipeline.json().set(key, "$", document)
        pipeline.expire(key, EPISODIC_SECONDS)
        pipeline.execute()
        return key


class Turned(NamedTuple):
    """What a turn read, and the key of what it remembered."""

    history: list[BaseMessage]
    recalled: list[Hit]
    key: str


class TierByTier:
    """A turn, one tier at a time.

    Args:
        client: The client.
        thread: The thread.
        memories: How long-term memory is read and written.
        pipelined: Whether commands of a tier that need no answer of each other go together.
        dumps: What writes JSON.
        loads: What reads it.
    """

    _transaction = False

    def __init__(
        self,
        client: redis.Redis,
        thread: str,
        memories: Memories,
        *,
        pipelined: bool = False,
        dumps: Dumps = json.dumps,
        loads: Loads = json.loads,
    ) -> None:
        self.client = client
        self.thread = thread
        self.session = f"agent:session:{thread}"
        self.memories = memories
        self._pipelined = pipelined
        self._dumps, self._loads = dumps, loads

    def start(self, messages: Sequence[BaseMessage]) -> None:
        """Begin the session with these messages."""
        now = time.time()
        self._save({"thread_id": self.thread, "user": USER, "agent": "default", "created_ts": now}, messages)

    def turn(self, messages: Sequence[BaseMessage], embedding: Sequence[float]) -> Turned:
        """Session read, recall, append, remember, event; each command is its own call."""
        history = [message_of(turn) for turn in self._load()["recent_turns"]]
        recalled = self.memories.recall(embedding)
        self._save(self._load(), messages)
        text = str(messages[0].content)
        key = self._remember(text, embedding)
        event = {"action": "turn", "detail": text, "ts": f"{time.time():.6f}"}
        self.client.xadd(f"agent:events:{self.thread}", event, maxlen=1000, approximate=True)
        return Turned(history, recalled, key)

    def _load(self) -> dict[str, Any]:
        state = {name.decode(): value.decode() for name, value in self.client.hgetall(self.session).items()}
        return {**state, "recent_turns": self._loads(state["recent_turns"])}

    def _save(self, state: dict[str, Any], messages: Sequence[BaseMessage]) -> None:
        now = time.time()
        kept = [*state.get("recent_turns", []), *(turn_of(message, now) for message in messages)][-WINDOW:]
        fields = {
            "goal": "",
            "scratchpad": "",
            **state,
            "turn_count": int(state.get("turn_count", 0)) + len(messages),
            "last_active_ts": now,
            "recent_turns": self._dumps(kept),
        }
        if self._pipelined:
            pipeline = self.client.pipeline(transaction=self._transaction)
            pipeline.hset(self.session, mapping=fields)
            pipeline.expire(self.session, TTL_SECONDS)
            pipeline.execute()
            return
        self.client.hset(self.session, mapping=fields)
        self.client.expire(self.session, TTL_SECONDS)

    def _remember(self, text: str, embedding: Sequence[float]) -> str:
        if self._pipelined:
            return self.memories.remember(text, embedding, self.thread)
        assert not self.memories.is_known(embedding)
        key = self.memories.write(self.client, text, embedding, self.thread)
        self.client.expire(key, EPISODIC_SECONDS)
        return key


class GuideTurns(TierByTier):
    """The turn as the guide's own code runs it: a message at a time, TTL read too, session writes in MULTI."""

    _transaction = True

    def turn(self, messages: Sequence[BaseMessage], embedding: Sequence[float]) -> Turned:
        """As in `TierByTier`."""
        history = [message_of(turn) for turn in self._load()["recent_turns"]]
        recalled = self.memories.recall(embedding)
        for message in messages:
            self._save(self._load(), [message])
        text = str(messages[0].content)
        key = self.memories.remember(text, embedding, self.thread)
        event = {"action": "turn", "detail": text, "ts": f"{time.time():.6f}"}
        self.client.xadd(f"agent:events:{self.thread}", event, maxlen=1000, approximate=True)
        return Turned(history, recalled, key)

    def _load(self) -> dict[str, Any]:
        state = super()._load()
        self.client.ttl(self.session)
        return state
