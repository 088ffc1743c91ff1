"""Recall and deduplication on the project's own data: no figure may fall below its floor.

`make eval` measures the same, and more. A floor is a little below what was measured last: what a change of ranking
costs here has to be gained elsewhere (docs/recall-quality.md), and is then lowered with a reason.
"""

from __future__ import annotations

import pytest

from integration_tests.evaluation import data, scores, systems
from integration_tests.evaluation.data import Data
from integration_tests.evaluation.embedded import KeptEmbeddings
from integration_tests.evaluation.scores import Figures
from langchain_agentmem import EmbeddedRedis
from langchain_agentmem.embeddings.minilm import MiniLMEmbeddings

Modes = dict[str, dict[str, Figures]]


@pytest.fixture(scope="module")
def sets() -> dict[str, Data]:
    return {given.name: given for given in data.own()}


@pytest.fixture(scope="module")
def embeddings(sets: dict[str, Data], tmp_path_factory: pytest.TempPathFactory) -> KeptEmbeddings:
    made = KeptEmbeddings(MiniLMEmbeddings(), tmp_path_factory.mktemp("vectors"))
    made.prepare((text for given in sets.values() for text in given.texts()), lambda done, of: None)
    return made


@pytest.fixture(scope="module")
def modes(sets: dict[str, Data], embeddings: KeptEmbeddings) -> Modes:
    return measured(sets["own"], embeddings)


def measured(given: Data, embeddings: KeptEmbeddings) -> Modes:
    asked, options = scores.requests(given), {"language": given.language} if given.language else {}
    with EmbeddedRedis() as server, systems.open_memory(server.url, embeddings, **options) as memory:
        systems.fill(memory, scores.scopes(given))
        return {
            str(mode): scores.grouped(asked, systems.answers(memory, asked, {"mode": mode}))
            for mode in memory.modes
        }


def test_what_was_said_in_a_conversation_is_found(modes: Modes) -> None:
    found = modes["hybrid"]["chat"]
    assert found.recall[5] >= 0.68
    assert found.recall[10] >= 0.75
    assert found.recall[20] >= 0.80
    assert found.mrr >= 0.48


def test_nothing_is_recalled_from_another_conversation(modes: Modes) -> None:
    assert modes["hybrid"]["chat, not known"].answered <= 0.05
    assert modes["hybrid"]["chat, lower case, not known"].answered <= 0.05


def test_lower_case_finds_as_much(modes: Modes) -> None:
    hybrid = modes["hybrid"]
    assert hybrid["chat, lower case"].recall[5] >= hybrid["chat"].recall[5] - 0.03
    assert hybrid["facts, lower case"].recall[5] >= hybrid["facts"].recall[5] - 0.03


def test_short_facts_are_found(modes: Modes) -> None:
    hybrid = modes["hybrid"]
    assert hybrid["facts"].recall[5] >= 0.92
    assert hybrid["facts among chat"].recall[5] >= 0.92


def test_unrelated_questions_recall_no_fact(modes: Modes) -> None:
    assert modes["hybrid"]["facts, unrelated"].answered <= 0.05


def test_questions_about_oneself_seldom_recall_what_others_said_or_what_is_not_known(modes: Modes) -> None:
    assert modes["hybrid"]["facts, another's chat"].answered <= 0.15
    assert modes["hybrid"]["facts, never said"].answered <= 0.45


@pytest.mark.parametrize(
    "group", ["chat", "chat, lower case", "facts", "facts, lower case", "facts among chat"]
)
def test_hybrid_finds_more_than_either_of_its_halves(modes: Modes, group: str) -> None:
    hybrid = modes["hybrid"][group].recall[5]
    assert hybrid >= modes["vector"][group].recall[5] + 0.15
    assert hybrid >= modes["text"][group].recall[5] - 0.05  # which answers also what is not known


@pytest.mark.parametrize("language", ["german", "spanish"])
def test_short_facts_in_other_languages_are_found(
    sets: dict[str, Data], embeddings: KeptEmbeddings, language: str
) -> None:
    found = measured(sets[language], embeddings)
    assert found["hybrid"]["facts"].recall[5] >= 0.95
    assert found["hybrid"]["facts, unrelated"].answered <= 0.05


def test_no_changed_fact_is_lost_and_most_restatements_are_merged(
    sets: dict[str, Data], embeddings: KeptEmbeddings
) -> None:
    pairs = sets["own"].pairs
    assert pairs is not None
    with EmbeddedRedis() as server, systems.open_memory(server.url, embeddings) as memory:
        merged = systems.merged(memory, pairs)
    assert not any(merged["different"])
    assert sum(merged["restated"]) >= 0.75 * len(merged["restated"])
