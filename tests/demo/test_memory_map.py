"""The map of memories, with made-up vectors: it is stable, spread, and near what is alike."""

from __future__ import annotations

import math
import random
import time
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from langchain_agentmem.demo.memory_map import MemoryMap
from langchain_agentmem.longterm.types import MemoryRecord

Place = tuple[float, float]


def record(name: str, embedding: tuple[float, ...] | None, created_ts: float = 0.0) -> MemoryRecord:
    return MemoryRecord(
        name, f"text {name}", "alice", "default", "semantic", created_ts=created_ts, embedding=embedding
    )


def made(count: int, *, topics: int = 5, dimensions: int = 32, seed: int = 0) -> list[MemoryRecord]:
    """Memories of some topics in turn: those of one are alike, and unlike all others."""
    numbers = np.random.default_rng(seed)
    centres = np.eye(dimensions)[:topics]
    vectors = centres[np.arange(count) % topics] + numbers.normal(size=(count, dimensions)) * 0.1
    return [record(f"m{n}", tuple(vector.tolist()), float(n)) for n, vector in enumerate(vectors)]


def apart(one: Place, other: Place) -> float:
    return math.dist(one, other)


@pytest.mark.parametrize("count", [1, 2, 3, 10, 599, 600, 601, 1500])
def test_every_memory_has_a_place_of_its_own_on_the_map(count: int) -> None:
    placed = MemoryMap().place(made(count))
    assert len(placed) == len(set(placed.values())) == count
    assert all(0 <= number <= 1 for place in placed.values() for number in place)


@pytest.mark.parametrize("count", [2, 40, 700, 1000])
def test_memories_of_the_same_vector_are_not_on_each_other(count: int) -> None:
    placed = MemoryMap().place([record(f"m{n}", (1.0, 0.5, 0.0)) for n in range(count)])
    assert len(set(placed.values())) == count


@pytest.mark.parametrize("first", [1, 7, 590, 900])
def test_additions_and_deletions_move_nobody(first: int) -> None:
    records, made_map = made(1000), MemoryMap()
    before = made_map.place(records[:first])
    after = made_map.place(records)
    assert {name: after[name] for name in before} == before
    without = made_map.place(records[::3])
    assert without == {one.id: after[one.id] for one in records[::3]}
    assert made_map.place(records) == after, "what comes back is where it was"


def test_a_map_that_is_begun_anew_is_the_same() -> None:
    records = made(800)
    grown = MemoryMap()
    for count in (1, 3, 50, 610, 800):
        last = grown.place(records[:count])
    shuffled = random.Random(3).sample(records, len(records))
    assert MemoryMap().place(shuffled) == last


def test_a_memory_whose_text_has_changed_is_placed_anew_and_alone() -> None:
    records, made_map = made(30), MemoryMap()
    before = made_map.place(records)
    changed = [replace(records[0], embedding=records[1].embedding), *records[1:]]
    after = made_map.place(changed)
    assert apart(after["m0"], before["m1"]) < apart(before["m0"], before["m1"])
    assert {name: place for name, place in after.items() if name != "m0"} == {
        name: place for name, place in before.items() if name != "m0"
    }
    assert made_map.place(changed) == after


def test_equal_embeddings_are_no_change() -> None:
    records, made_map = made(20), MemoryMap()
    before = made_map.place(records)
    again = [replace(one, embedding=tuple(number for number in one.embedding or ())) for one in records]
    assert made_map.place(again) == before


@pytest.mark.parametrize("count", [25, 200, 1500])
def test_topics_are_apart(count: int) -> None:
    placed = list(MemoryMap().place(made(count)).values())[-200:]
    within = [apart(a, b) for (n, a), (m, b) in combinations(enumerate(placed), 2) if (n - m) % 5 == 0]
    between = [apart(a, b) for (n, a), (m, b) in combinations(enumerate(placed), 2) if (n - m) % 5]
    assert sum(within) / len(within) < 0.5 * sum(between) / len(between)


@pytest.mark.parametrize("count", [1, 2, 30, 1000])
def test_a_question_is_beside_what_it_resembles(count: int) -> None:
    records, made_map = made(count), MemoryMap()
    placed = made_map.place(records)
    numbers = np.random.default_rng(9)
    for one in records[:: max(1, count // 20)]:
        asked = np.array(one.embedding) + numbers.normal(size=32) * 0.01
        place = made_map.locate(asked.tolist())
        nearest = sorted(placed, key=lambda name: apart(placed[name], place))[:3]
        assert one.id in nearest
        assert place not in placed.values()
        assert all(0 <= number <= 1 for number in place)


def test_a_question_is_not_beside_what_is_gone() -> None:
    records, made_map = made(30), MemoryMap()
    placed = made_map.place(records)
    made_map.place(records[1:])
    place = made_map.locate(records[0].embedding or ())
    nearest = min(placed, key=lambda name: apart(placed[name], place))
    assert nearest in {one.id for one in records[5::5]}, "of the same topic"


def test_what_has_no_embedding_is_not_on_the_map_and_an_empty_map_has_a_middle() -> None:
    made_map = MemoryMap()
    assert made_map.place([]) == {}
    assert made_map.place([record("a", None)]) == {}
    assert made_map.locate([1.0, 0.0]) == (0.5, 0.5)


def test_vectors_of_zeros_and_any_scale_do_no_harm() -> None:
    vectors = [(0.0, 0.0), (1e-30, 0.0), (3e4, 4e4), (0.6, 0.8), (-1.0, 0.0)]
    made_map = MemoryMap()
    placed = made_map.place([record(str(n), vector) for n, vector in enumerate(vectors)])
    assert all(math.isfinite(number) for place in placed.values() for number in place)
    assert all(math.isfinite(number) for number in made_map.locate((0.0, 0.0)))


def test_vectors_of_another_model_begin_a_new_map() -> None:
    made_map = MemoryMap()
    made_map.place(made(10))
    assert made_map.place(made(10, dimensions=8)) == MemoryMap().place(made(10, dimensions=8))


def test_ten_thousand_memories_are_placed_quickly() -> None:
    records, made_map = made(10_000, topics=40, dimensions=384), MemoryMap()
    started = time.process_time()
    made_map.place(records)
    assert time.process_time() - started < 3  # 0.3 s on an idle machine
    more = [*records, record("new", records[0].embedding)]
    started = time.process_time()
    placed = made_map.place(more)
    assert time.process_time() - started < 0.3  # 0.01 s on an idle machine
    assert len(placed) == 10_001
