"""A cluster that changes under load: primaries are killed, connections cut, slots move, nodes come and go."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from langchain_core.messages import HumanMessage

from integration_tests.cluster_changes import ClusterChanges
from integration_tests.soak.trial import Clock, Figures, Ledger, Places, side_by_side
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory, EmbeddedCluster
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.operations import Command, Effect, Op, T
from langchain_agentmem.core.partitions import key_slot, tags
from langchain_agentmem.errors import StoreError

LAG = "lost before a replica had it"
SLOWEST = "slowest call ms"
_WRITERS, _LEARNERS = "abcdef", 6
_USERS, _KNOWN = 12, 5
_PARTITIONS = 16
_DIMENSIONS = 32
_WAIT_MILLISECONDS = 100
_NODE_TIMEOUT_MS = 2000


def changing_clusters(clock: Clock, random: Random) -> Figures:
    """Change a cluster under six writers and six learners.

    No acknowledged turn or memory that a replica had is lost, none is doubled, and no recall is empty. What
    only the primary had when it was killed may be lost: that is counted.
    """
    with EmbeddedCluster(node_timeout_ms=_NODE_TIMEOUT_MS) as cluster:
        load = _Load(cluster.url)
        slots = [key_slot(tag) for tag in tags(_PARTITIONS)]
        changes = ClusterChanges(cluster, slots, random)

        def change() -> None:
            steps = [
                changes.cut_connections,
                changes.move_some_slots,
                changes.kill_a_primary,
                changes.add_and_remove_a_node,
            ]
            try:
                for at in itertools.count():
                    if at >= len(steps) and clock.is_over():
                        return
                    (steps[at] if at < len(steps) else random.choice(steps))()
                    clock.is_over()
            finally:
                load.ended.set()

        with load.memory:
            load.begin()
            changes.wait_until_copied()
            side_by_side(change, *load.works())
            changes.wait_until_well()
        with AgentMemory(cluster.url, embeddings=load.embeddings, **load.settings) as memory:
            figures = load.compare(memory)
    return Figures(dict(changes.counts) | figures.counts, figures.broken)


class _Load:
    """What writes and learns, and the account of it.

    Attributes:
        ended: Set when it is to end.
        memory: What it writes to.
    """

    def __init__(self, url: str) -> None:
        self.ended = threading.Event()
        self.embeddings = WordEmbeddings(_DIMENSIONS)
        self.settings: dict[str, Any] = {"max_turns": None, "partitions": _PARTITIONS}
        self.memory = AgentMemory(url, embeddings=self.embeddings, **self.settings)
        self._keys = Keys(partitions=_PARTITIONS)
        self._lock = threading.Lock()
        self._turns = Ledger()
        self._alone: list[tuple[str, str]] = []  # turns that no replica was seen to have
        self._facts: dict[str, dict[str, bool]] = {}  # of each user: whether a replica was seen to have it
        self._counts: Counter[str] = Counter(recalls=0, refused=0)
        self._empty = 0
        self._slowest = 0.0

    def begin(self) -> None:
        """Let each user know a few things, so that nobody recalls nothing."""
        for at in range(_USERS):
            user, texts = f"user {at}", [_fact(number) for number in range(-_KNOWN, 0)]
            self.memory.long_term.remember_many(texts, user=user)
            self._facts[user] = dict.fromkeys(texts, True)

    def works(self) -> list[Any]:
        """Return what is to run side by side."""
        half = len(_WRITERS) // 2
        writers = [lambda name=name: self._write(name) for name in _WRITERS[:half]]
        async_writers = [lambda name=name: asyncio.run(self._awrite(name)) for name in _WRITERS[half:]]
        return [*writers, *async_writers, *[self._learn] * _LEARNERS]

    def _write(self, writer: str) -> None:
        places, run = Places(writer), self.memory.transport.run
        while not self.ended.is_set():
            place = places.next()
            with self._turns.sending(place, writer) as entry, self._timed():
                self._note(place, entry, run(self._append(place, writer, entry)))

    async def _awrite(self, writer: str) -> None:
        places, run = Places(writer), self.memory.transport.arun
        while not self.ended.is_set():
            place = places.next()
            with self._turns.sending(place, writer) as entry, self._timed():
                self._note(place, entry, await run(self._append(place, writer, entry)))

    def _append(self, place: str, writer: str, entry: str) -> Op[tuple[int, bool]]:
        working = self.memory.working
        return _copied(working.append_op(place, [HumanMessage(entry)], user=writer), working.key(place))

    def _note(self, place: str, entry: str, outcome: tuple[int, bool]) -> None:
        """Take it for unknown whether an entry is there that only the primary is known to have."""
        if not outcome[1]:
            self._alone.append((place, entry))
            raise StoreError("no replica has it yet")

    def _learn(self) -> None:
        """Learn what the others learn, at about the same time, and recall."""
        for number in itertools.count():
            for at in range(_USERS):
                if self.ended.is_set():
                    return
                user, text = f"user {at}", _fact(number)
                vector = self.embeddings.embed_query(text)
                op = self.memory.long_term.remember_op(text, user=user, embedding=vector)
                found = self._tried(lambda: self.memory.transport.run(_copied(op, self._key(user))))  # noqa: B023
                if found is not None:
                    with self._lock:
                        facts, (result, copied) = self._facts[user], found
                        facts[text] = facts.get(text, False) or (copied and not result.deduped)
                how: Any = {} if number % 2 else {"mode": "vector", "distance_threshold": None}
                recalled = self._tried(
                    lambda: self.memory.long_term.recall(
                        text,  # noqa: B023
                        user=user,  # noqa: B023
                        embedding=vector,  # noqa: B023
                        **how,  # noqa: B023
                    )
                )
                if recalled is not None:
                    self._counts["recalls"] += 1
                    self._empty += not recalled

    def _key(self, user: str) -> str:
        """Some key in the slot of a user's memories."""
        return self._keys.of(user).memory("any")

    def _tried(self, what: Any) -> Any:
        try:
            with self._timed():
                return what()
        except StoreError:
            self._counts["refused"] += 1
            return None

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self._slowest = max(self._slowest, time.monotonic() - began)

    def compare(self, memory: AgentMemory) -> Figures:
        """Return the figures, given what is stored in the end."""
        figures = self._turns.compare(
            lambda place: [str(one.content) for one in memory.working.messages(place)]
        )
        stored = {
            place: {str(one.content) for one in memory.working.messages(place)} for place, _ in self._alone
        }
        lag = sum(entry not in stored[place] for place, entry in self._alone)
        memories = duplicates = lost = 0
        for user, facts in self._facts.items():
            texts = _texts(memory, user)
            memories += len(texts)
            duplicates += len(texts) - len(set(texts))
            missing = [sure for text, sure in facts.items() if text not in texts]
            lost += sum(missing)
            lag += len(missing) - sum(missing)
        counts = figures.counts | {"memories": memories, **self._counts, LAG: lag}
        broken = {"memories lost": lost, "duplicates": duplicates, "empty recalls": self._empty}
        return Figures(counts | {SLOWEST: round(self._slowest * 1000)}, figures.broken | broken)


def _copied(op: Op[T], key: str) -> Op[tuple[T, bool]]:
    """Run an operation; return its result, and whether a replica has what it wrote last.

    A WAIT goes to the same node on the same connection, right behind each batch.
    """
    wait = Command(("WAIT", 1, _WAIT_MILLISECONDS), (key,))
    try:
        step = next(op)
        while True:
            if isinstance(step, Effect):
                step = op.send((yield step))
                continue
            *replies, copies = yield [*step, wait]
            copied = isinstance(copies, int) and copies > 0
            step = op.send(replies)
    except StopIteration as stop:
        return stop.value, copied


def _fact(number: int) -> str:
    return f"The code of locker {number} is {number * 7919 % 100_003}."


def _texts(memory: AgentMemory, user: str) -> list[str]:
    return [one.text for one in memory.long_term.list_memories(user=user, limit=100_000)]
