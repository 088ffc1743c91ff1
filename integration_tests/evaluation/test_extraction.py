"""The evaluation of extraction: its dialogues make sense, mistakes of a model are counted, and the command runs."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from integration_tests.agents.scripted_model import ScriptedModel
from integration_tests.evaluation.extraction.__main__ import main
from integration_tests.evaluation.extraction.dialogues import Dialogue, ExpectedFact, load
from integration_tests.evaluation.extraction.extractors import Extracted, Outcome, Script, as_said, ask
from integration_tests.evaluation.extraction.scores import Scorer
from integration_tests.words import WordEmbeddings
from langchain_agentmem import model_extractor
from tests.extraction import scripted

DIALOGUES = load()
ANSWERS = Path(__file__).parent / "extraction" / "answers"
DOCUMENT = Path(__file__).parents[2] / "docs" / "how-to" / "extraction.md"


def named(id: str) -> Dialogue:
    return next(one for one in DIALOGUES if one.id == id)


def test_there_are_sixty_dialogues_about_everything_in_several_languages() -> None:
    assert len({one.id for one in DIALOGUES}) == len(DIALOGUES) == 60
    tags = Counter(tag for one in DIALOGUES for tag in one.tags)
    assert all(tags[tag] >= 3 for tag in ("date", "correction", "person", "hypothetical", "secret"))
    assert tags["small_talk"] >= 5
    assert tags["question"] + tags["task"] >= 5
    assert len({one.language for one in DIALOGUES}) >= 8


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda one: one.id)
def test_a_dialogue_can_be_fulfilled_and_asks_for_nothing_unsaid(dialogue: Dialogue) -> None:
    said = [message.text for message in (*dialogue.exchange.history, *dialogue.exchange.messages)]
    for fact in dialogue.facts:
        assert all(map(fact.has_words, fact.texts))
        assert fact.replaces is None or fact.replaces < len(dialogue.exchange.memories)
        assert not any(one.casefold() in text.casefold() for one in dialogue.never for text in fact.texts)
    assert all(any(one.casefold() in text.casefold() for text in said) for one in dialogue.never)
    assert said[-1] == dialogue.exchange.messages[-1].text


def test_expected_answers_are_perfect_and_a_chain_without_a_model_is_not() -> None:
    scorer = Scorer(WordEmbeddings())
    counts = scorer.counts(DIALOGUES, ask(model_extractor(Script.expected(DIALOGUES)), DIALOGUES, at_once=3))
    assert (counts.precision, counts.recall) == (1, 1)
    assert counts.resolved == counts.contradictions > 5
    assert counts.small_talk_ignored == counts.small_talk
    assert counts.ignored == counts.empty
    assert counts.superseded_wrongly == counts.leaked == counts.failures.total() == 0
    plain = scorer.counts(DIALOGUES, ask(as_said, DIALOGUES))
    assert plain.precision < 0.6
    assert plain.resolved == 0
    assert plain.leaked > 0


def counted(id: str, *extracted: Extracted, failure: str | None = None) -> dict[str, float]:
    counts = Scorer(WordEmbeddings()).counts([named(id)], {id: Outcome(list(extracted), failure)})
    figures = {**vars(counts), "precision": counts.precision, "recall": counts.recall}
    return {name: value for name, value in figures.items() if name != "seconds" and value}


@pytest.mark.parametrize(
    ("id", "extracted", "expected"),
    [
        ("allergy", [], {"recall": 0, "precision": 1}),
        ("allergy", [Extracted("I'm allergic to shellfish")], {"recall": 1, "precision": 1}),
        ("allergy", [Extracted("I have an allergy to shellfish.")], {"recall": 1}),
        ("allergy", [Extracted("I am allergic to shrimps.")], {"recall": 0, "precision": 0}),
        ("last-week", [Extracted("We moved to Bristol on 2026-11-08.")], {"recall": 0}),
        ("last-week", [Extracted("We moved to Bristol last Sunday.")], {"recall": 0}),
        ("no-longer", [Extracted("I eat meat.", "known-0")], {"recall": 0, "resolved": 0}),
        ("moved", [Extracted("I live in Porto.")], {"recall": 1, "resolved": 0, "contradictions": 1}),
        ("moved", [Extracted("I live in Porto.", "known-0")], {"resolved": 1, "superseded_wrongly": 0}),
        ("moved", [Extracted("I live in Porto.", "known-1")], {"resolved": 0, "superseded_wrongly": 1}),
        ("beside", [Extracted("I am learning Portuguese.", "known-0")], {"superseded_wrongly": 1}),
        ("two-facts", [Extracted("I am Noor, and teach physics in Leeds.")], {"recall": 0.5, "precision": 1}),
        ("thanks", [Extracted("I am thankful.")], {"small_talk": 1, "small_talk_ignored": 0, "precision": 0}),
        ("thanks", [], {"small_talk_ignored": 1, "ignored": 1, "empty": 1}),
        ("password", [Extracted("My wifi password is Tulip-Crane-77.")], {"leaked": 1}),
        ("self-correction", [Extracted("My flight is at six on 2026-11-21.")], {"leaked": 1, "recall": 0}),
    ],
)
def test_mistakes_are_counted(id: str, extracted: list[Extracted], expected: dict[str, float]) -> None:
    figures = counted(id, *extracted)
    assert {name: figures.get(name, 0) for name in expected} == expected


def test_a_failure_ignores_nothing() -> None:
    assert counted("thanks", failure="malformed: no JSON") == {
        "empty": 1,
        "small_talk": 1,
        "failures": {"malformed": 1},
        "precision": 1,
        "recall": 1,
    }


def test_a_sentence_says_one_fact_and_a_fact_is_found_once() -> None:
    facts = [ExpectedFact(("I like tea.",), ("tea",)), ExpectedFact(("I like green tea.",), ("tea",))]
    scorer = Scorer(WordEmbeddings())
    sentences = [Extracted("I like green tea."), Extracted("I like tea."), Extracted("I like tea a lot.")]
    assert scorer.matched(facts, sentences) == {0: 1, 1: 0}


def test_the_command_asks_a_named_model_and_reads_again_what_it_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ScriptedModel.of(lambda messages: '{"facts": [{"text": "I am allergic to shellfish."}]}')
    monkeypatch.setattr("langchain.chat_models.init_chat_model", {"any:model": model}.__getitem__)
    instructions = tmp_path / "instructions.txt"
    instructions.write_text("Only allergies.", "utf-8")
    words = ["--only", "fact", "--misses", "--markdown"]
    saved = tmp_path / "saved.json"
    named = ["--model", "any:model", "--instructions", str(instructions), "--save", str(saved)]
    assert main([*words, *named], embeddings=WordEmbeddings()) == 0
    first = capsys.readouterr().out
    assert "11 of 11, " in first
    assert "| any:model | 0.091 |" in first
    assert "two-facts: missing: My name is Noor." in first
    assert "two-facts: needless: I am allergic to shellfish." in first
    assert len(model.requests) == 11
    assert model.requests[0][0].text.startswith("Only allergies.")
    assert main([*words, "--saved", str(saved)], embeddings=WordEmbeddings()) == 0
    again = capsys.readouterr().out
    assert len(model.requests) == 11
    assert "| saved in saved.json | 0.091 |" in again
    assert again[again.index("two-facts: m") :] == first[first.index("two-facts: m") :]


def test_what_a_run_saved_before_it_was_stopped_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter(['{"facts": []}', "No JSON.", TimeoutError("too slow"), KeyboardInterrupt()])
    model = ScriptedModel.of(lambda messages: next(answers))
    monkeypatch.setattr("langchain.chat_models.init_chat_model", {"any:model": model}.__getitem__)
    saved = tmp_path / "saved.json"
    words = ["--model", "any:model", "--at-once", "1", "--text", "--save", str(saved)]
    with pytest.raises(KeyboardInterrupt):
        main(words, embeddings=WordEmbeddings())
    capsys.readouterr()
    assert main(["--saved", str(saved), "--misses", "--markdown"], embeddings=WordEmbeddings()) == 0
    again = capsys.readouterr().out
    assert "3 dialogues" in again
    assert "1 failed, 1 malformed" in again
    assert "two-facts: malformed: The model's answer cannot be read" in again
    assert "style: failed: The model raised TimeoutError: too slow." in again


def test_arguments_of_a_call_are_noted_and_options_reach_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def init(name: str, **options: object) -> scripted.ToolModel:
        asked.append((name, options))
        return scripted.ToolModel(scripted.calls(scripted.fact("I am allergic to shellfish.")))

    monkeypatch.setattr("langchain.chat_models.init_chat_model", init)
    saved = tmp_path / "saved.json"
    words = ["--model", "any:model", "--option", "timeout=60", "--option", "service_tier=flex"]
    assert main([*words, "--only", "known", "--save", str(saved)], embeddings=WordEmbeddings()) == 0
    assert asked == [("any:model", {"timeout": 60, "service_tier": "flex"})]
    answer = json.loads(json.loads(saved.read_text("utf-8"))["encore-fr"]["answer"])
    assert answer == {"facts": [scripted.fact("I am allergic to shellfish.")]}
    with pytest.raises(SystemExit):
        main(["--model", "any:model", "--option", "timeout"])
    assert "timeout is not NAME=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["text", "schema"])
def test_the_document_has_the_figures_of_the_answers_that_are_kept(
    how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = ANSWERS / f"qwen2.5-coder-1.5b-{how}.json"
    assert main(["--saved", str(saved), "--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    figures = {line.split(" | ")[0]: line.split(" | ")[1:] for line in lines}[f"| saved in {saved.name}"]
    superseded_wrongly, leaked, failed = figures[5:8]
    assert (superseded_wrongly, failed) == ("0", "0")
    named = {"text": "JSON in text", "schema": "structured output"}[how]
    row = " | ".join([f"| Qwen2.5-Coder-1.5B-Instruct, {named}", *figures[:5], leaked])
    assert f"{row} |\n" in DOCUMENT.read_text("utf-8")


def test_the_command_says_if_there_is_nothing_to_ask(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "weather"], embeddings=WordEmbeddings()) == 2
    assert "no dialogue" in capsys.readouterr().out


def test_a_model_that_fails_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ScriptedModel.of(lambda messages: TimeoutError("too slow"))
    monkeypatch.setattr("langchain.chat_models.init_chat_model", {"any:model": model}.__getitem__)
    assert main(["--model", "any:model", "--only", "secret", "--misses"], embeddings=WordEmbeddings()) == 0
    shown = capsys.readouterr().out
    assert "pin-de: failed: The model raised TimeoutError: too slow." in shown
