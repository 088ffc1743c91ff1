"""The comparisons are of like with like, and the command runs. Times are not judged here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import pytest

from integration_tests.benchmarks import natural, reach
from integration_tests.benchmarks.measure import Compared, Figure, Measured, Row, Side, measure
from integration_tests.benchmarks.report import Results
from integration_tests.benchmarks.rows import ROWS
from integration_tests.benchmarks.targets import FLAT, HNSW, TARGETS
from integration_tests.benchmarks.time_spent import Spent, time_spent
from integration_tests.benchmarks.world import World, exchange
from langchain_agentmem import EmbeddedRedis

_ROOT = Path(__file__).parents[2]
_IMPORTS = ("import", "import-used")
_OF_FIGURES = {"conversations", "shell", "install", "growth"}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with EmbeddedRedis() as server:
        world = World(server.url, stored=100, new=40)
        yield world
        world.close()


@pytest.mark.parametrize("key", [key for key in ROWS if key not in _IMPORTS])
def test_every_side_of_a_row_does_the_same(world: World, key: str) -> None:
    row = ROWS[key](world)
    for number in range(3 if row.on_redis else 1):
        results = []
        for side in row.sides:
            result = side.run(number)
            results.append(side.result(result))
            side.undo(result)
        assert all(result == results[0] for result in results), [side.name for side in row.sides]
        assert results[0] is not None


@pytest.mark.parametrize("key", ["recall", "recall-hnsw"])
def test_recall_finds_five_and_a_new_fact_is_new(world: World, key: str) -> None:
    row = ROWS[key](world)
    for number in range(len(world.facts.new)):
        hits = row.ours.result(row.ours.run(number))
        assert len(hits) == 5
        assert all(0.2 < distance < 0.55 for _, distance in hits)


def test_a_turn_by_default_recalls_by_words_too(world: World) -> None:
    store = world.store(FLAT, world.natural_facts)
    found = [
        store.memory.long_term.recall(fact.text, user="bench", embedding=fact.embedding, explain=True)
        for fact in store.facts.new
    ]
    assert mean(any(record.matched_words for record in records) for records in found) > 0.25


def test_natural_sentences_are_different_and_always_the_same() -> None:
    for made in (natural.facts, natural.messages, natural.texts):
        assert len(set(made(400))) == 400
        assert made(400)[:50] == made(50)


def test_a_round_leaves_nothing_behind(world: World) -> None:
    for key in ("remember", "turn", "turn-hybrid", "wrap", "remember-many"):
        row = ROWS[key](world)
        before = world.client.dbsize()
        measure(row, 2)
        # Of what is not undone, a round only adds to sessions, events and the record of threads.
        assert world.client.dbsize() - before <= 4 * len(row.sides), key
        memories = [key for pattern in ("*:mem:*",) for key in world.client.keys(pattern)]
        measure(row, 2)
        assert sorted(world.client.keys("*:mem:*")) == sorted(memories), key


@pytest.mark.parametrize(
    ("key", "ours", "others"),
    [
        ("append", 1, [1, 1, 1]),
        ("read", 1, [1, 1]),
        ("recall", 1, [1, 1]),
        ("remember", 1, [2, 2]),
        ("turn", 2, [12, 20, 9, 7, 9]),
        ("turn-hybrid", 2, [12, 9]),
    ],
)
def test_round_trips_are_counted(world: World, key: str, ours: int, others: list[int]) -> None:
    measured = measure(ROWS[key](world), 1)
    assert measured.round_trips == ours
    assert [one.round_trips for one in measured.others] == others


@pytest.mark.filterwarnings("default")  # of langchain-community
def test_requests_and_bytes_to_upstash_are_counted(world: World) -> None:
    measured = measure(ROWS["upstash-turn"](world), 1)
    (theirs,) = measured.others
    assert (measured.round_trips, theirs.round_trips) == (2, 5)
    bodies = sum(len(str(message.content)) for message in exchange(1))
    assert bodies < (measured.sent_bytes or 0) < (theirs.sent_bytes or 0)
    assert world.rest_client.llen("turn") == world.rest_client.llen("message_store:turn") == 20


def _recording(ran: list[tuple[str, int]]) -> Row:
    def side(name: str) -> Side:
        def run(at: int) -> float:
            ran.append((name, at))
            return 1.0

        return Side(name, run, times_itself=True)

    return Row("", "", side("a"), [side("b"), side("c")])


def test_each_round_has_every_side_once_and_each_side_follows_each_other_one() -> None:
    ran: list[tuple[str, int]] = []
    measure(_recording(ran), 200)
    rounds = [ran[at : at + 3] for at in range(0, len(ran), 3)]
    assert all({name for name, _ in one} == {"a", "b", "c"} for one in rounds)
    assert [at for one in rounds for _, at in one] == [at for at in range(200) for _ in range(3)]
    first = Counter(one[0][0] for one in rounds)
    follows = Counter((one[at][0], one[at + 1][0]) for one in rounds for at in range(2))
    assert all(40 < first[name] < 95 for name in "abc"), first
    assert all(40 < follows[pair] < 95 for pair in follows)
    assert len(follows) == 6


def test_the_order_of_the_sides_is_that_of_the_seed() -> None:
    orders: list[list[tuple[str, int]]] = []
    for seed in (1, 1, 2):
        orders.append([])
        measure(_recording(orders[-1]), 20, seed=seed)
    assert orders[0] == orders[1] != orders[2]


def test_the_time_of_a_turn_is_split_into_the_servers_the_clients_and_the_rest(world: World) -> None:
    row = ROWS["turn"](world)
    ours, guide, strict = time_spent(world, row, 10)
    assert [ours.target, guide.target, strict.target] == ["", "turn-guide", "turn-strict"]
    for one in (ours, guide, strict):
        assert one.server > 0
        assert one.client > 0
        assert one.server + one.client + one.waiting >= one.total * 0.99
    assert "evalsha" in ours.commands  # and not what the scripts call
    assert "json.set" not in ours.commands
    assert {"hgetall", "ft.search", "json.set", "expire", "xadd", "hset", "ttl"} <= guide.commands.keys()
    assert "exec" not in guide.commands  # whose commands are counted themselves


def _measured(key: str, target: str, ratio: float, index: str = "") -> Measured:
    compared = Compared("the side", 1.0, ratio, ratio, ratio, 1, 1, target, TARGETS[target].reached(ratio))
    shown = Compared("another side", 1.0, 9.0, 9.0, 9.0, 1, 1)
    return Measured(key, "what", "ours", 1.0, 1, 1, 1, index, [compared, shown])


def test_every_target_is_judged_by_a_row_or_a_figure(world: World) -> None:
    judged = Counter(
        (side.target, row.index == HNSW)
        for key in ROWS
        if key != "upstash-turn"
        for row in [ROWS[key](world)]
        for side in row.judged
    )
    assert {target for target, _ in judged} == TARGETS.keys() - _OF_FIGURES
    assert set(judged.values()) == {1}  # by exactly one side with either index


def test_a_target_is_judged_by_the_side_that_it_names_on_the_default_index() -> None:
    rows = [
        _measured("turn", "turn-guide", 0.4, FLAT),
        _measured("turn-hnsw", "turn-guide", 0.6, HNSW),
        _measured("append", "append", 1.3),
    ]
    found = {
        line.name: line for line in reach.lines(rows, [Figure("shell", 1.2), Figure("conversations", 900)])
    }
    assert found["turn-guide"].cells()[2:] == ["0.40×", "0.60×", "≤ 0.45×", "reached"]
    assert found["append"].cells()[2:] == ["1.30×", "", "≤ 1.20×", "missed"]
    assert found["shell"].cells()[2:] == ["1.2 s", "", "≤ 1.5 s", "reached"]
    assert found["conversations"].cells()[2:] == ["900 turns/s", "", "≥ 1,000 turns/s", "missed"]
    assert found["install"].verdict == "not measured"
    assert len(reach.missed([*found.values()])) == 2


def test_of_what_is_missed_the_page_says_where_the_time_is() -> None:
    rows = [_measured("append", "append", 1.3), _measured("read", "read", 0.9)]
    spent = [
        Spent("append", "ours", "", 0.15, 0.06, 0.05, {"evalsha": 0.06}),
        Spent("append", "theirs", "append", 0.08, 0.01, 0.05, {"rpush": 0.01}),
        Spent("read", "ours", "", 0.2, 0.01, 0.15, {"hget": 0.01}),
    ]
    page = reach.markdown(reach.lines(rows, []), spent)
    assert "ours 0.15 ms, of which the server's commands 0.06, the client's CPU 0.05, waiting 0.04" in page
    assert "theirs 0.08 ms" in page
    assert "ours 0.20 ms" not in page


def test_what_is_measured_on_request_only_is_kept_from_the_last_run(tmp_path: Path) -> None:
    (tmp_path / "performance").mkdir()
    before = {"figures": [{"target": "install", "value": 400.0, "detail": "in 60 s", "index": ""}]}
    before["figures"].append({"target": "shell", "value": 1.0, "detail": "", "index": ""})
    (tmp_path / "performance" / "results.json").write_text(json.dumps(before))
    results = Results({}, 1)
    results.keep_from(tmp_path)
    assert results.figures == [Figure("install", 400.0, "in 60 s")]
    results = Results({}, 1, figures=[Figure("install", 300.0)])
    results.keep_from(tmp_path)
    assert results.figures == [Figure("install", 300.0)]


@pytest.mark.timeout(300)  # it loads the models of both sides, in processes of the command line too
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
    assert "<svg" in (tmp_path / "performance" / "reach.svg").read_text()
    page = (tmp_path / "performance.md").read_text()
    assert all(row["what"] in page for row in results["rows"])
    assert all(target.what in page for target in TARGETS.values())
