"""How long a recall takes: against a plain search in the same run, and with more and more memories."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from statistics import median
from typing import Any

import numpy as np
import redis

from integration_tests.evaluation.embedded import KeptEmbeddings
from integration_tests.evaluation.systems import Advance, open_memory, ways
from langchain_agentmem import EmbeddedRedis, LongTermMemory
from langchain_agentmem.core.keys import tag
from langchain_agentmem.core.operations import Effect, Op, T
from langchain_agentmem.longterm.redisearch import recall

STORED = 5_000
SIZES = (1_000, 10_000, 100_000)
SHARE, FIXED = 0.05, 500  # of the memories, one user's: a share of them, or always as many
PLAIN = "FT.SEARCH, KNN 5"
_THREAD = 20  # memories per thread
_NOISE = 0.02  # what a text's vector is moved by when it is stored again, per dimension


@dataclass(frozen=True)
class Timing:
    """The times of one way of recalling, in milliseconds: medians.

    Attributes:
        name: The way.
        milliseconds: Of a whole `recall` whose question is embedded already.
        ratio: Against the plain search, in the same run.
        client: Of what the client does besides waiting for replies: preparing, ranking, making records.
        ranking: Of the ranking alone.
        round_trips: How many there were.
    """

    name: str
    milliseconds: float
    ratio: float
    client: float
    ranking: float
    round_trips: float


def measure(
    embeddings: KeptEmbeddings,
    texts: Sequence[str],
    questions: Sequence[str],
    *,
    stored: int = STORED,
    rounds: int = 400,
    advance: Advance = lambda: None,
) -> list[Timing]:
    """Return the times of every way to recall from memories of one user, the plain search first.

    Args:
        embeddings: They know every text.
        texts: What is stored, again and again until there are enough.
        questions: What is asked, in turn.
        stored: How many memories there are.
        rounds: How often each way is timed; the ways take turns.
        advance: Called after every round, and after every thread that is stored.
    """
    with EmbeddedRedis() as server, redis.Redis.from_url(server.url) as client:
        memory = open_memory(server.url, embeddings)
        _store(memory, "user", _again(embeddings, texts), stored, advance)
        return _times(memory, client, embeddings, "user", questions, rounds, advance)


def growth(
    embeddings: KeptEmbeddings,
    texts: Sequence[str],
    questions: Sequence[str],
    *,
    sizes: Sequence[int] = SIZES,
    rounds: int = 200,
    advance: Advance = lambda: None,
) -> dict[int, dict[str, list[Timing]]]:
    """Return times with more and more memories in the index, by size and by whose memories are recalled.

    Of `sizes` memories a user `share` has a twentieth, a user `fixed` 500, and others the rest.
    """
    measured: dict[int, dict[str, list[Timing]]] = {}
    with EmbeddedRedis() as server, redis.Redis.from_url(server.url) as client:
        memory, source = open_memory(server.url, embeddings), _again(embeddings, texts)
        held = {"share": 0, "fixed": 0, "others": 0}
        for size in sizes:
            wanted = {"share": int(size * SHARE), "fixed": min(FIXED, size // 2)}
            wanted["others"] = size - sum(wanted.values())
            for user, count in wanted.items():
                _store(memory, user, source, count - held[user], advance)
                held[user] = count
            measured[size] = {
                user: _times(memory, client, embeddings, user, questions, rounds, advance)
                for user in ("share", "fixed")
            }
    return measured


def _again(embeddings: KeptEmbeddings, texts: Sequence[str]) -> Iterator[tuple[str, list[float]]]:
    """Yield the texts and their vectors without end, each time around with a little noise on the vectors."""
    numbers = np.random.default_rng(7)
    for at, text in enumerate(cycle(texts)):
        vector = np.array(embeddings.embed_query(text))
        if at >= len(texts):
            vector = vector + numbers.normal(scale=_NOISE, size=len(vector))
        yield text, vector.tolist()


def _store(
    memory: LongTermMemory, user: str, source: Iterator[tuple[str, list[float]]], count: int, advance: Advance
) -> None:
    for at in range(0, count, _THREAD):
        part = [*islice(source, min(_THREAD, count - at))]
        memory.remember_many(
            [text for text, _ in part],
            user=user,
            source_thread=f"{user} {time.monotonic_ns()}",
            embeddings=[vector for _, vector in part],
            ids=[f"{user}-{time.monotonic_ns()}-{number}" for number in range(len(part))],
        )
        advance()


class _Stopwatch:
    """Measures ways of recalling: how long they take, and how long of it they wait and rank."""

    def __init__(self) -> None:
        self.waited: list[float] = []
        self.ranked = 0.0
        self._rank: Callable[..., Any] = recall.rank

    def _timed(self, op: Op[T]) -> Op[T]:
        """Note how long each round trip takes; the embedding is looked up, and no round trip."""
        answer = None
        try:
            while True:
                step = op.send(answer)
                began = time.perf_counter()
                answer = yield step
                if not isinstance(step, Effect):
                    self.waited.append(time.perf_counter() - began)
        except StopIteration as stop:
            result: T = stop.value
            return result

    def _timed_rank(self, *args: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return self._rank(*args, **options)
        finally:
            self.ranked += time.perf_counter() - began

    @contextmanager
    def watching(self, memory: LongTermMemory) -> Iterator[None]:
        """Watch a memory."""
        own, run = vars(memory.transport), memory.transport._run
        own["_run"] = lambda op: run(self._timed(op))
        recall.rank = self._timed_rank
        try:
            yield
        finally:
            del own["_run"]
            recall.rank = self._rank

    def time(self, run: Callable[[], object]) -> tuple[float, float, float, int]:
        """Return the seconds of a run, those on the client, those of ranking, and the round trips."""
        self.waited.clear()
        self.ranked = 0.0
        began = time.perf_counter()
        run()
        took = time.perf_counter() - began
        return took, took - sum(self.waited), self.ranked, len(self.waited)


def _times(
    memory: LongTermMemory,
    client: redis.Redis,
    embeddings: KeptEmbeddings,
    user: str,
    questions: Sequence[str],
    rounds: int,
    advance: Advance,
) -> list[Timing]:
    sides: dict[str, Callable[[str], object]] = {
        PLAIN: lambda text: _plain(memory, client, user, embeddings, text)
    }
    for name, options in ways(memory).items():
        sides[name] = lambda text, options=options: memory.recall(text, user=user, **options)  # type: ignore[misc]
    watch, order = _Stopwatch(), random.Random(7)
    taken: dict[str, list[tuple[float, float, float, int]]] = {name: [] for name in sides}
    with watch.watching(memory):
        for number in range(rounds):
            text = questions[number % len(questions)]
            # In random order: what runs after a large search finds other caches.
            for name in order.sample([*sides], len(sides)):
                taken[name].append(watch.time(lambda name=name: sides[name](text)))  # type: ignore[misc]  # noqa: B023
            advance()
    plain = median(took for took, *_ in taken[PLAIN])
    timings = []
    for name, each in taken.items():
        took, client_took, ranked, trips = map(median, zip(*each, strict=True))
        if name == PLAIN:
            client_took, ranked, trips = 0.0, 0.0, 1
        timings.append(Timing(name, 1000 * took, took / plain, 1000 * client_took, 1000 * ranked, trips))
    return timings


def _plain(
    memory: LongTermMemory, client: redis.Redis, user: str, embeddings: KeptEmbeddings, text: str
) -> Any:
    """Search as one would without this package: the 5 nearest of a user, their texts and distances."""
    vector = np.array(embeddings.embed_query(text), dtype=np.float32).tobytes()
    return client.execute_command(
        "FT.SEARCH",
        memory.config.index_name,
        f"(@user:{{{tag(user)}}} @namespace:{{default}})=>[KNN 5 @embedding $vector AS distance]",
        *("PARAMS", 2, "vector", vector, "SORTBY", "distance", "LIMIT", 0, 5),
        *("RETURN", 2, "text", "distance", "DIALECT", 2),
    )
