"""The evaluation counts right, reads its files as they are meant, and the command runs with everything there is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.documents.compressor import BaseDocumentCompressor

from integration_tests.evaluation import ablation, data, rerankers, scores
from integration_tests.evaluation.__main__ import main
from integration_tests.evaluation.embedded import KeptEmbeddings
from integration_tests.evaluation.scores import Request
from integration_tests.peers import environments
from integration_tests.words import WordEmbeddings
from langchain_agentmem.longterm import parts
from langchain_agentmem.longterm.redisearch import recall

_TURN = {"session": 1, "date": "", "caption": None}
_CHAT: list[dict[str, Any]] = [
    {
        "id": "a",
        "turns": [
            _TURN | {"id": "D1:1", "speaker": "Ida", "text": "Where did you put the ladder?"},
            _TURN | {"id": "D1:2", "speaker": "Bo", "text": "Behind the barn.", "caption": "a red barn"},
            _TURN | {"id": "D2:1", "session": 2, "speaker": "Ida", "text": "The goat ate my hat."},
        ],
        "qa": [
            {"question": "Where is the ladder?", "category": 4, "evidence": ["D1:2"]},
            {"question": "What do they mention?", "category": 1, "evidence": ["D1:1; D2:1", "D9:9"]},
            {"question": "What did the horse eat?", "category": 5, "evidence": ["D2:1"]},
            {"question": "Who else is there?", "category": 4, "evidence": ["D"]},
        ],
    },
    {
        "id": "b",
        "turns": [_TURN | {"id": "D1:1", "speaker": "Al", "text": "I collect spoons."}],
        "qa": [{"question": "What does Al collect?", "category": 4, "evidence": ["D1:1"]}],
    },
]
_FACTS = {
    "facts": ["I live in Oslo.", "I play the harp."],
    "questions": [{"question": "Where do I live?", "evidence": [0]}],
    "unrelated": ["Who wrote Ulysses?"],
}
_PAIRS = {
    "different": [{"category": "number", "first": "I have two cats.", "then": "I have ten cats."}],
    "restated": [{"category": "surface", "first": "I like tea.", "then": "i like tea"}],
}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    made = {}
    for name, content in {"locomo": _CHAT, "personal": _FACTS, "dedup": _PAIRS}.items():
        made[name] = tmp_path / f"{name}.json"
        made[name].write_text(json.dumps(content), "utf-8")
    return made


def test_conversations_are_read_with_their_usable_questions(files: dict[str, Path]) -> None:
    read = data.load("given", conversations=files["locomo"]).conversations[0]
    assert read.texts[1] == "Bo: Behind the barn. [picture: a red barn]"
    assert read.sessions == ["1", "1", "2"]
    assert [(one.text, one.evidence) for one in read.questions] == [
        ("Where is the ladder?", {1}),
        ("What do they mention?", {0, 2}),
    ]
    every = data.load("given", conversations=files["locomo"], all_categories=True).conversations[0]
    assert [one.category for one in every.questions] == ["4", "1", "5"]


def test_what_is_asked_of_whom(files: dict[str, Path]) -> None:
    read = data.load("given", conversations=files["locomo"], facts=files["personal"])
    asked = scores.requests(read)
    assert {scope.name: len(scope.texts) for scope in scores.scopes(read)} == {
        "a": 3,
        "b": 1,
        "facts": 2,
        "facts among chat": 6,
    }
    assert Request("chat, lower case", "b", "what does al collect", frozenset({0}), "b", "4") in asked
    assert Request("chat, not known", "a", "What does Al collect?") in asked
    assert Request("facts among chat", "facts among chat", "Where do I live?", frozenset({0})) in asked
    assert Request("facts, unrelated", "facts", "Who wrote Ulysses?") in asked


def test_a_single_conversation_is_not_asked_about_itself_as_another(files: dict[str, Path]) -> None:
    files["locomo"].write_text(json.dumps(_CHAT[:1]), "utf-8")
    read = data.load("given", conversations=files["locomo"])
    assert {one.group for one in scores.requests(read)} == {"chat", "chat, lower case"}


def test_figures_are_shares_of_the_evidence_averaged_over_questions() -> None:
    def asked(evidence: set[int], found: list[int]) -> tuple[Request, list[int]]:
        return Request("chat", "a", "", frozenset(evidence)), found

    got = scores.figures([asked({1, 2}, [9, 1, 7, 7, 7, 2]), asked({3}, []), asked({4}, [4])])
    assert got.questions == 3
    assert got.answered == pytest.approx(2 / 3)
    assert got.recall == pytest.approx({1: 1 / 3, 5: 0.5, 10: 2 / 3, 20: 2 / 3})
    assert got.mrr == pytest.approx(0.5)


def test_figures_are_grouped_by_any_attribute() -> None:
    asked = [
        Request("chat", "a", "", frozenset({1}), "a", "4"),
        Request("chat", "b", "", frozenset({1}), "b", "4"),
        Request("facts", "f", "", frozenset({1})),
    ]
    found = [[1], [2], [1]]
    assert {name: one.recall[1] for name, one in scores.grouped(asked, found).items()} == {
        "chat": 0.5,
        "facts": 1,
    }
    asked.append(Request("chat, unanswerable", "a", "", frozenset({3}), "a", "5"))
    found.append([3])
    assert scores.grouped(asked, found)["chat, all categories"].recall[1] == pytest.approx(2 / 3)
    parts = scores.grouped(asked, found, "part", within="chat")
    assert {name: one.recall[1] for name, one in parts.items()} == {"a": 1, "b": 0}


def test_vectors_are_kept(tmp_path: Path) -> None:
    model = WordEmbeddings()
    first = KeptEmbeddings(model, tmp_path, name="words")
    first.prepare(["one", "two", "one"], lambda done, of: None)
    again = KeptEmbeddings(model, tmp_path, name="words")
    again.prepare(["two", "one"], lambda done, of: None)
    assert model.embedded == 2
    assert again.embed_query("two") == pytest.approx(first.embed_query("two"))


class Backwards(BaseDocumentCompressor):
    """Turns the order around."""

    def compress_documents(self, documents: Any, query: str, callbacks: Any = None) -> list[Document]:
        return [*reversed(documents)]


def test_a_reranker_is_named_by_its_import_path() -> None:
    assert isinstance(rerankers.named(f"{__name__}:Backwards"), Backwards)
    with pytest.raises(TypeError, match="no BaseDocumentCompressor"):
        rerankers.named("integration_tests.words:WordEmbeddings")


def test_the_command_measures_shows_and_writes(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "recall-quality.md"
    begin, end = (
        "<!-- given: questions about conversations -->",
        "<!-- end of given: questions about conversations -->",
    )
    page.write_text(f"{begin}\n{end}\n<!-- machine -->\n<!-- end of machine -->\n", "utf-8")
    words = [word for name, path in files.items() for word in (f"--{name}", str(path))]
    words += ["--embeddings", "integration_tests.words:WordEmbeddings", "--rerank", f"{__name__}:Backwards"]
    words += ["--peers", "redisvl,langchain-redis", "--no-latency", "--write", "--docs", str(tmp_path)]
    words += ["--all-categories", "--change", "parts._WORD=0,ranking._CUTOFF=0.1"]
    words += ["--cache", str(tmp_path / "cache"), "--misses", str(tmp_path / "misses.json")]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "given: deduplication" in shown
    assert "did not run" not in shown
    assert "parts._WORD=0,ranking._CUTOFF=0.1" in shown
    results = json.loads((tmp_path / "recall-quality" / "results.json").read_text())["data"]["given"]
    assert [name.partition(" ")[0] for name in results["systems"]] == [
        *("redisvl", "langchain-redis", "vector,", "text", "vector", "hybrid", "hybrid,")
    ]
    assert results["systems"]["vector, no threshold"]["chat"]["recall"]["20"] == 1
    assert results["deduplication"]["same"] == {
        "different": {"pairs": 1, "merged": 0},
        "restated": {"pairs": 1, "merged": 1},
    }
    assert "| hybrid |" in page.read_text()
    for name in ("recall-at-k.svg", "false-recalls.svg"):
        assert "<svg" in (tmp_path / "recall-quality" / name).read_text()
    assert len([*(tmp_path / "cache" / "peers" / "results").iterdir()]) == 2
    misses = json.loads((tmp_path / "misses.json").read_text())
    assert {"system", "group", "question", "evidence", "recalled"} == {*misses[0]}


def test_constants_of_the_ranking_are_changed_and_restored() -> None:
    for change in ablation.CHANGES.values():
        ablation.parsed(",".join(f"{name}={value}" for name, value in change.items()))
    before = parts._WORD, recall.WORDED
    with ablation.changed({"parts._WORD": 0, "recall.WORDED": 7}):
        assert (parts._WORD, recall.WORDED) == (0, 7)
        assert isinstance(recall.WORDED, int)
    assert before == (parts._WORD, recall.WORDED)
    with pytest.raises(ValueError, match=r"no constant of the ranking: parts\._NONE, none\._WORD"):
        ablation.parsed("parts._WORD=1,parts._NONE=2,none._WORD=3")


def test_a_peer_that_cannot_be_installed_is_reported(
    files: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(*_: object) -> str:
        raise environments.PeerNotInstalledError("could not be installed: no network")

    monkeypatch.setattr(environments, "python_of", refuse)
    words = ["--personal", str(files["personal"]), "--embeddings", "integration_tests.words:WordEmbeddings"]
    words += ["--peers", "mem0", "--no-latency", "--cache", str(tmp_path / "cache")]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "mem0, infer=False did not run: could not be installed: no network" in shown
    assert "mem0, infer=False: not run" in shown
