"""The comparisons are of like with like, and the command runs. Times are not judged here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration_tests.benchmarks.measure import Compared, Row, Side, judge, measure
from integration_tests.benchmarks.more_rows import ROWS
from integration_tests.benchmarks.world import World, exchange
from langchain_agentmem import EmbeddedRedis

_ROOT = Path(__file__).parents[2]
_IMPORTS = ("import", "import-used")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with EmbeddedRedis() as server:
        world = World(server.url, stored=100, new=40)
        yield world
        world.close()


@pytest.mark.filterwarnings("default")  # of langchain-redis
@pytest.mark.parametrize("key", [key for key in ROWS if key not in _IMPORTS])
def test_every_side_of_a_row_does_the_same(world: World, key: str) -> None:
    row = ROWS[key](world)
    for number in range(3):
        results = []
        for side in row.sides:
            result = side.run(number)
            results.append(side.result(result))
            side.undo(result)
        assert all(result == results[0] for result in results), [side.name for side in row.sides]
        assert results[0] is not None


def test_recall_finds_five_and_a_new_fact_is_new(world: World) -> None:
    row = ROWS["recall"](world)
    for number in range(len(world.facts.new)):
        hits = row.ours.result(row.ours.run(number))
        assert len(hits) == 5
        assert all(0.2 < distance < 0.55 for _, _, distance in hits)


def test_a_round_leaves_nothing_behind(world: World) -> None:
    for key in ("remember", "turn", "wrap", "remember-many"):
        row = ROWS[key](world)
        before = len(world.client.keys("agent:mem:*"))
        measure(row, 2)
        assert len(world.client.keys("agent:mem:*")) == before, key


@pytest.mark.parametrize(
    ("key", "ours", "others"),
    [
        ("append", 1, [1, 1, 1]),
        ("read", 1, [1, 1]),
        ("recall", 1, [1, 1]),
        ("remember", 1, [2, 2]),
        ("turn", 2, [9, 9]),
    ],
)
@pytest.mark.filterwarnings("default")
def test_round_trips_are_counted(world: World, key: str, ours: int, others: list[int]) -> None:
    measured = measure(ROWS[key](world), 1)
    assert measured.round_trips == ours
    assert [one.round_trips for one in measured.others][: len(others)] == others


@pytest.mark.filterwarnings("default")  # of langchain-community
def test_requests_and_bytes_to_upstash_are_counted(world: World) -> None:
    measured = measure(ROWS["upstash-turn"](world), 1)
    (theirs,) = measured.others
    assert (measured.round_trips, theirs.round_trips) == (2, 5)
    bodies = sum(len(str(message.content)) for message in exchange(1))
    assert bodies < (measured.sent_bytes or 0) < (theirs.sent_bytes or 0)
    assert world.rest_client.llen("turn") == world.rest_client.llen("message_store:turn") == 20


def test_sides_take_turns_and_each_begins_once() -> None:
    ran: list[tuple[str, int]] = []

    def side(name: str) -> Side:
        def run(at: int) -> float:
            ran.append((name, at))
            return 1.0

        return Side(name, run, times_itself=True)

    measure(Row("", "", side("a"), [side("b"), side("c")]), 3)
    assert ran == [
        *[("a", 0), ("b", 0), ("c", 0)],
        *[("b", 1), ("c", 1), ("a", 1)],
        *[("c", 2), ("a", 2), ("b", 2)],
    ]


def test_a_target_is_judged_by_the_strictest_side_that_reaches_it() -> None:
    def one(name: str, ratio: float, reach: float | None) -> Compared:
        return Compared(
            name, 1.0, ratio, ratio, ratio, 1, 1, reach, None if reach is None else ratio <= reach
        )

    def judged(*compared: Compared) -> list[str]:
        return [found.name for found in judge(compared) if found.judged]

    assert judged(one("said", 0.8, 0.9), one("strict", 0.85, 0.9)) == ["strict"]
    assert judged(one("said", 0.8, 0.9), one("strict", 1.0, 0.9)) == ["said"]
    assert judged(one("said", 1.0, 0.9), one("strict", 1.1, 0.9)) == ["said"]
    assert judged(one("said", 0.8, 0.9), one("shown", 0.1, None), one("other", 0.8, 0.7)) == ["said", "other"]


def test_the_quick_run_writes_data_plot_and_tables(tmp_path: Path) -> None:
    shutil.copy(_ROOT / "docs" / "performance.md", tmp_path / "performance.md")
    words = [
        sys.executable,
        "-m",
        "integration_tests.benchmarks",
        "--quick",
        "--write",
        "--docs",
        str(tmp_path),
    ]
    done = subprocess.run(words, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "performance" / "results.json").read_text())
    assert [row["key"] for row in results["rows"]] == list(ROWS)
    assert "<svg" in (tmp_path / "performance" / "ratios.svg").read_text()
    page = (tmp_path / "performance.md").read_text()
    assert all(row["what"] in page for row in results["rows"])
