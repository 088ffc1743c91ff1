"""Recall and deduplication on the project's own data: no figure may fall below its floor.

`make eval` measures the same, and more. A floor is a little below what was measured last: what a change of ranking
costs here has to be gained elsewhere (docs/recall-quality.md), and is then lowered with a reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration_tests.evaluation import data, scores, systems
from integration_tests.evaluation.embedded import KeptEmbeddings
from integration_tests.evaluation.scores import Figures
from langchain_agentmem import EmbeddedRedis
from langchain_agentmem.longterm.minilm import MiniLMEmbeddings


@dataclass(frozen=True)
class Own:
    """What the project's own data gives."""

    modes: dict[str, dict[str, Figures]]
    merged: dict[str, list[bool]]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    given = data.own()
    embeddings = KeptEmbeddings(MiniLMEmbeddings(), Path(tmp_path_factory.mktemp("vectors")))
    embeddings.prepare(given.texts(), lambda done, of: None)
    asked = scores.requests(given)
    assert given.pairs is not None
    with EmbeddedRedis() as server, systems.open_memory(server.url, embeddings) as memory:
        systems.fill(memory, scores.scopes(given))
        modes = {
            mode: scores.grouped(asked, systems.answers(memory, asked, {"mode": mode}))
            for mode in memory.modes
        }
        yield Own(modes, systems.merged(memory, given.pairs))


def test_what_was_said_in_a_conversation_is_found(own: Own) -> None:
    found = own.modes["hybrid"]["chat"]
    assert found.recall[5] >= 0.68
    assert found.recall[10] >= 0.75
    assert found.recall[20] >= 0.80
    assert found.mrr >= 0.48


def test_nothing_is_recalled_from_another_conversation(own: Own) -> None:
    assert own.modes["hybrid"]["chat, not known"].answered <= 0.05
    assert own.modes["hybrid"]["chat, lower case, not known"].answered <= 0.05


def test_lower_case_finds_as_much(own: Own) -> None:
    hybrid = own.modes["hybrid"]
    assert hybrid["chat, lower case"].recall[5] >= hybrid["chat"].recall[5] - 0.03
    assert hybrid["facts, lower case"].recall[5] >= hybrid["facts"].recall[5] - 0.03


def test_short_facts_are_found(own: Own) -> None:
    hybrid = own.modes["hybrid"]
    assert hybrid["facts"].recall[5] >= 0.95
    assert hybrid["facts among chat"].recall[5] >= 0.92


def test_unrelated_questions_recall_no_fact(own: Own) -> None:
    assert own.modes["hybrid"]["facts, unrelated"].answered <= 0.05


def test_questions_about_oneself_seldom_recall_what_others_said_or_what_is_not_known(own: Own) -> None:
    assert own.modes["hybrid"]["facts, another's chat"].answered <= 0.15
    assert own.modes["hybrid"]["facts, never said"].answered <= 0.45


@pytest.mark.parametrize(
    "group", ["chat", "chat, lower case", "facts", "facts, lower case", "facts among chat"]
)
def test_hybrid_finds_more_than_either_of_its_halves(own: Own, group: str) -> None:
    hybrid = own.modes["hybrid"][group].recall[5]
    assert hybrid >= own.modes["vector"][group].recall[5] + 0.2
    assert hybrid >= own.modes["text"][group].recall[5]


def test_no_changed_fact_is_lost_and_most_restatements_are_merged(own: Own) -> None:
    assert not any(own.merged["different"])
    assert sum(own.merged["restated"]) >= 0.75 * len(own.merged["restated"])
