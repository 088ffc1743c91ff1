"""What this package promises is kept, a check notices what is not, and a library that cannot be measured says why."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import redis
from langchain_core.messages import BaseMessage, HumanMessage

from integration_tests.benchmarks import growth
from integration_tests.benchmarks.__main__ import main
from integration_tests.benchmarks.peers import compare, tables
from integration_tests.benchmarks.peers.bench import Bench
from integration_tests.benchmarks.peers.checks import CHECKS
from integration_tests.benchmarks.peers.compare import BULK, BYTES, Cell, Comparison
from integration_tests.benchmarks.peers.libraries import OURS
from integration_tests.benchmarks.peers.libraries.library import Library, NotOfferedError, Opening
from integration_tests.benchmarks.peers.material import CHANGED, Files, Material, fact, write
from integration_tests.benchmarks.peers.process import Worker, done
from integration_tests.benchmarks.peers.running import NoResultError, Running
from integration_tests.peers import environments
from langchain_agentmem import EmbeddedRedis


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return write(tmp_path_factory.mktemp("material"), stored=100, new=40)


@pytest.fixture(scope="module")
def private_server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as server:
        yield server


@pytest.mark.parametrize("key", [OURS, "agentmem-hash"])
@pytest.mark.parametrize("check", CHECKS)
def test_every_promise_of_the_correctness_table_is_kept(
    private_server: EmbeddedRedis, files: Files, tmp_path: Path, key: str, check: str
) -> None:
    job = {"url": private_server.url, "folder": str(tmp_path), "material": asdict(files)}
    worker = Worker(key, job)
    found = worker.check(check)
    worker.end()
    assert found["kept"], found["words"]


class Careless(Library):
    """A library in memory that loses, doubles and mixes up whatever it can."""

    takes_ttl = False
    messages: dict[str, list[BaseMessage]]
    facts: dict[str, list[str]]

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        self.messages, self.facts = {}, {}
        self.server = opening.opened_client()
        self.server.client_setname("careless")

    def append(self, session: str, messages: Sequence[BaseMessage]) -> None:
        held = self.messages.setdefault(session.lower(), [])
        held += [HumanMessage(message.content) for message in messages if len(held) < 7]
        self.server.set(session, "")

    def read(self, session: str, count: int) -> list[BaseMessage]:
        return self.messages.get(session.lower(), [])[-count:]

    def load(self, user: str, texts: Sequence[str]) -> None:
        for text in texts:
            self.remember(user, text)

    def remember(self, user: str, text: str) -> None:
        held = self.facts.setdefault(user.partition(",")[0], [])
        if not any({text} < {*pair} and {*held} & {*pair} for pair in CHANGED):
            held.append(text)

    def forget(self, user: str, remembered: Any) -> None:
        raise NotImplementedError

    def recall(self, user: str, text: str, k: int) -> list[str]:
        if self.opening.protocol == 3:
            return []
        return self.facts.get(user.partition(",")[0], [])[:k]


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ("equal", "2 of 9 equal; lost: additional_kwargs, "),
        ("lost", "lost 1"),
        ("doubled", "60 memories of 10 facts"),
        ("sessions", "Ada gets ada's; ada gets Ada's"),
        ("users", "a,b gets a's; a gets a,b's"),
        ("expiry", "0 of 1 keys; takes no TTL"),
        ("resp3", "recalls nothing"),
        ("client", "name none → careless"),
        ("changed", "2 of 4 found"),
    ],
)
def test_a_check_notices_what_is_not_kept(
    private_server: EmbeddedRedis, files: Files, check: str, words: str
) -> None:
    material = Material(files)
    with redis.Redis.from_url(private_server.url) as client:

        def open_library(
            *, given_client: bool = False, on_client: Any = lambda client: None, **changes: Any
        ) -> Library:
            client.flushall()
            opening = Opening(private_server.url, material.vectors, "", **changes)
            if given_client:
                opening = opening.given_client(None)
                on_client(opening.client)
            return Careless(opening)

        verdict = CHECKS[check][1](Bench(open_library, client, material))
    assert not verdict.kept
    assert words in verdict.words


def test_what_a_library_does_not_offer_is_no_failure() -> None:
    class Told:
        def refuse(self) -> None:
            raise NotOfferedError("keeps no messages")

        def fail(self) -> None:
            raise KeyError("no\n  docs")

    assert done(Told(), {"do": "refuse"}) == {"not_offered": "keeps no messages"}  # type: ignore[arg-type]
    assert done(Told(), {"do": "fail"}) == {"problem": r"KeyError: 'no\n docs'"}  # type: ignore[arg-type]


def test_a_peer_that_cannot_be_installed_says_why_in_every_cell(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(key: str) -> str:
        raise environments.PeerNotInstalledError(f"could not be installed: no network for {key}")

    monkeypatch.setattr(environments, "python_of", refuse)
    peer = Running("mem0", tmp_path, files)
    found = compare.compare([peer], 10, lambda: None)
    peer.close()
    why = "could not be installed: no network for mem0"
    assert found.versions["mem0"].words == why
    assert {cells["mem0"].words for cells in found.rows.values()} == {why}
    assert {cells["mem0"].words for cells in found.correctness.values()} == {why}


def test_a_process_that_dies_says_its_last_words(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python"
    broken.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('ImportError: no such module')\n", "utf-8")
    broken.chmod(0o700)
    monkeypatch.setattr(environments, "python_of", lambda key: str(broken))
    peer = Running("mem0", tmp_path, files)
    for _ in range(2):
        with pytest.raises(NoResultError, match="ImportError: no such module"):
            peer.ask("versions")
    peer.close()


def test_facts_are_new_and_have_vectors(files: Files) -> None:
    material = Material(files)
    texts = [fact(number) for number in range(140)]
    assert len({*texts}) == 140
    assert {material.new(number) for number in range(80)} == {*texts[100:]}
    assert all(vector[1] for vector in material.vectors.embed_documents(texts))


def _measured() -> tuple[Comparison, growth.Growth]:
    keys = (OURS, "redisvl")
    numbers = {OURS: Cell(0.5), "redisvl": Cell(0.25)}
    rows = {name: dict(numbers) for name in tables.TITLES}
    rows["turn"] = {OURS: Cell(1.5), "redisvl": Cell(words="not offered: a | b")}
    rows |= {
        BULK: {OURS: Cell(4000.0), "redisvl": Cell(8000.0)},
        BYTES: {OURS: Cell(5.0), "redisvl": Cell(10.0)},
    }
    correctness = {
        "equal": {OURS: Cell(words="9 of 9", kept=True), "redisvl": Cell(words="1 of 9", kept=False)},
        "lost": {OURS: Cell(words="lost 0", kept=True), "redisvl": Cell(words="not offered: x", kept=False)},
    }
    versions = {key: Cell(words=f"{key} 1") for key in keys}
    grown = {
        growth.DEFAULT: {1000: Cell(0.5), 100_000: Cell(0.6)},
        "redisvl": {1000: Cell(0.2), 100_000: Cell(words="holds 500 after 1 s")},
    }
    return (
        Comparison(versions, rows, correctness),
        growth.Growth({"remember": grown}, {"read": {"redisvl": {10: Cell(12.34)}}}),
    )


def test_tables_say_figures_ratios_and_reasons() -> None:
    found, grown = _measured()
    page = tables.markdown(tables.peers(found))
    assert "| append 2 messages, ms | 0.50 | 0.25 (0.50×) |" in page
    assert "| 1.50 | not offered: a \\| b |" in page
    assert "| 4,000 | 8,000 (0.50×) |" in page
    assert "| 5 | 10 (2.00×) |" in page
    page = tables.markdown(tables.correctness(found), figures=False)
    assert "| messages come back equal | ✓ 9 of 9 | ✗ 1 of 9 |" in page
    assert "| ✓ lost 0 | not offered: x |" in page
    page = tables.markdown(tables.growth(grown)["memories"])
    assert "| remember, agentmem, FLAT | 0.50 | 0.60 | 1.20× |" in page
    assert "| remember, redisvl | 0.20 | holds 500 after 1 s |  |" in page


def test_growth_is_judged_by_remembering() -> None:
    _, grown = _measured()
    (figure,) = growth.figures(grown)
    assert figure.value == pytest.approx(1.2)
    assert figure.reached
    grown.memories["remember"][growth.DEFAULT][100_000] = Cell(words="holds 500 after 1 s")
    assert growth.figures(grown) == []


def test_the_command_measures_peers_and_writes_tables_and_pictures(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(
        "".join(f"<!-- {name} -->\n<!-- end of {name} -->\n" for name in ("peers", "correctness", "growth"))
    )
    assert main(["--quick", "--peers", "redisvl", "--write", "--docs", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "performance" / "peers.json").read_text())
    assert [*results["comparison"]["versions"]] == [OURS, "agentmem-hash", "redisvl"]
    for name in ("append", "read", "recall", "remember", "turn", BULK, BYTES):
        assert all(cell["value"] > 0 for cell in results["comparison"]["rows"][name].values()), name
    for operation in results["growth"]["memories"].values():
        assert all(cell["value"] > 0 for cells in operation.values() for cell in cells.values())
    for name in ("peers.svg", "growth.svg"):
        assert "<svg" in (tmp_path / "performance" / name).read_text()
    assert "| remember, agentmem, HNSW |" in page.read_text()
