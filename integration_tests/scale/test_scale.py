"""The command measures, goes on where it was, and writes the page; the arithmetic behind it. Times are not judged."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from integration_tests.scale import growth, room, targets
from integration_tests.scale.__main__ import main
from integration_tests.scale.at_once import AtOnce, converse, jain
from integration_tests.scale.growth import Measured, Phase, Results, phases
from integration_tests.scale.page import Folder
from integration_tests.scale.people import MEMORIES, GivenVectors
from integration_tests.scale.plan import Assumptions, Unit, plan
from integration_tests.scale.worlds import OPERATIONS, Place, opened

_DOCS = Path(__file__).parents[2] / "docs"
_UNIT = Unit(5_000, 3_500, 6_000, 8_000, 0.001, 0.003, "")


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    shutil.copy(_DOCS / "scale.md", tmp_path)
    return tmp_path


def test_the_command_measures_writes_the_page_and_goes_on_where_it_was(
    docs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(sizes: str) -> str:
        words = ["--docs", str(docs), "--sizes", sizes, "--on", "standalone", "--rounds", "2", "--burst", "2"]
        assert main([*words, "--conversations", "5", "--seconds", "0.3"]) == 0
        return " ".join(capsys.readouterr().out.split())

    run("200,400")
    found = Folder(docs).results("up-to-400")
    assert found is not None
    assert {(one.operation, one.memories) for one in found.measured} == {
        (name, size) for name in OPERATIONS for size in (200, 400)
    }
    assert all(0 < one.p50 <= one.p99 and one.client > 0 and one.server > 0 for one in found.measured)
    assert {one.vector_type for one in found.footprints} == {"float32", "float16"}
    assert all(one.long_term > 0 and one.sessions > 0 and one.events > 0 for one in found.footprints)
    page = (docs / "scale.md").read_text()
    assert "| a turn: `read_turn` and `write_turn` | standalone |" in page
    assert "| 100,000,000 | 10,000,000,000 |" in page
    assert "<svg" in (docs / "images" / "scale-growth.svg").read_text()
    again = run("200,400")
    assert "up-to-400 is measured already" in again
    assert "conversations are measured already" in again


def test_a_world_that_does_not_fit_is_left_out_and_the_page_says_so(
    docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = room.needed_bytes(Place("standalone", 200), "float32")
    monkeypatch.setattr(room, "free_bytes", lambda: room._RESERVE + needed + 1)
    options = {"operations": ["append"], "rounds": 1, "burst": 1, "seed": 1}
    places = (Place("standalone", 400), Place("standalone", 200))
    results = growth.run(Phase("up-to-400", places), options)
    assert {one.memories for one in results.measured} == {200}
    assert [*results.left_out] == ["400 on standalone"]
    folder = Folder(docs)
    folder.keep(results)
    folder.write_page()
    assert "400 on standalone: not measured, it needs about" in (docs / "scale.md").read_text()


def test_a_world_with_16_bit_vectors_is_taken_if_only_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place("2", 1_000_000)
    monkeypatch.setattr(room, "free_bytes", lambda: room._RESERVE + room.needed_bytes(place, "float16"))
    assert room.Room().take(place) == ("float16", "")


def test_users_keep_their_share_while_they_are_measured() -> None:
    with opened(Place("standalone", 300), "float32") as world:
        world.fill(lambda count: None)
        (client,) = world.servers.clients
        before = {key for key in client.scan_iter() if key.startswith(b"agent:mem:")}
        growth.measure([world], {"operations": [*OPERATIONS], "rounds": 2, "burst": 3, "seed": 1})
        assert {key for key in client.scan_iter() if key.startswith(b"agent:mem:")} == before
        assert len(before) == 300
        assert all(
            world.memory.long_term.count_memories(user=f"user-{user:07}") == MEMORIES for user in range(3)
        )


def test_a_large_world_is_measured_beside_small_ones_of_its_kind_and_alone() -> None:
    found = phases([1_000_000, 1_000, 100_000], ["standalone", "3"])
    assert [phase.name for phase in found] == ["up-to-100000", "1000000-on-standalone", "1000000-on-3"]
    assert set(found[0].places) == {
        Place(on, size) for on in ("standalone", "3") for size in (1_000, 100_000)
    }
    assert found[2].places == (Place("3", 1_000), Place("standalone", 1_000), Place("3", 1_000_000))


def test_ratios_are_of_times_of_one_run() -> None:
    one = Measured("turn", "standalone", 1_000, 10, 2.0, 3.0, 1.0, 1.0)
    slow = replace(one, memories=100_000, p50=4.0)
    cluster = replace(slow, on="3", p50=5.0)
    together = Results("a", {}, {}, measured=[one, slow, cluster])
    apart = [replace(together, measured=[each]) for each in (one, slow, cluster)]
    ratios = {line.name: (line.value, line.reached) for line in targets.lines([together], [])}
    assert ratios == {"turn-standalone-100000": (2.0, False), "cluster-100000": (1.25, True)}
    assert targets.lines(apart, []) == []


def test_turns_per_second_are_judged_where_there_are_many_conversations() -> None:
    few = AtOnce(100, "hybrid", "usual", 1.0, 1200.0, 1, 1, 1, 1, 1, 0, {})
    many = replace(few, conversations=1000, turns_per_second=900.0)
    (line,) = targets.lines([], [few, many, replace(many, mode="vector")])
    assert line.reached is False


@pytest.mark.parametrize(
    ("users", "primaries", "vectors", "partitions"),
    [(10_000, 1, "float32", None), (1_000_000, 13, "float16", 256), (100_000_000, 302, "float16", 4096)],
)
def test_servers_are_planned_for_the_data_or_the_cpu(
    users: int, primaries: int, vectors: str, partitions: int | None
) -> None:
    found = plan(users, _UNIT, Assumptions())
    assert (found.primaries, found.vector_type, found.partitions) == (primaries, vectors, partitions)
    assert found.servers == 2 * primaries
    assert found.bottleneck == "memory"
    assert found.by_memory <= primaries
    busy = plan(users, replace(_UNIT, server=1.0), Assumptions())
    assert busy.bottleneck == "the server's CPU"
    assert busy.primaries >= busy.by_cpu == pytest.approx(users * 20 * 3 / 86_400 / 0.6)


def test_fairness_is_1_if_all_finished_as_many_and_less_if_one_has_everything() -> None:
    assert jain([7, 7, 7, 7]) == 1
    assert jain([9, 0, 0, 0]) == 0.25


def test_conversations_at_once_finish_turns_and_each_is_stored_whole() -> None:
    from langchain_agentmem import AgentMemory, EmbeddedRedis

    class Same(GivenVectors):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [[1.0, 0.0] for _ in texts]

        def embed_query(self, text: str) -> list[float]:
            return [1.0, 0.0]

    with EmbeddedRedis() as server, AgentMemory(server.url, embeddings=Same(), max_turns=None) as memory:
        times, finished = asyncio.run(converse(memory, 10, 0.3, "c", "vector"))
        stored = [len(memory.working.messages(f"c:{number}")) for number in range(10)]
    assert len(times) == sum(finished) > 0
    assert stored == [2 * (2 + count + 1) for count in finished]


def test_results_survive_their_file(docs: Path) -> None:
    folder = Folder(docs)
    results = Results("x", {"machine": "m"}, {"rounds": 1}, [], [Measured("turn", "1", 1, 1, 1, 1, 1, 1)], {})
    folder.keep(results)
    assert folder.results("x") == results
    assert json.loads((docs / "scale" / "x.json").read_text())["phase"] == "x"
