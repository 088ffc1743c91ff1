"""Counting: which expected facts were extracted, and what else was."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from langchain_core.embeddings import Embeddings

from integration_tests.evaluation.extraction.dialogues import Dialogue, ExpectedFact, known_id
from integration_tests.evaluation.extraction.extractors import Extracted, Outcome
from langchain_agentmem import canonical_text

# Of the dialogues' own sentences, those that say the same are as near as 0.51 by all-MiniLM-L6-v2, and those
# that say something else as near as 0.97. So the words that a fact needs decide, and nearness only keeps out
# what has them and is about something else.
THRESHOLD = 0.5


@dataclass
class Counts:
    """What was counted over some dialogues.

    Attributes:
        expected: Facts that are expected.
        extracted: Sentences that were extracted.
        matched: Pairs of both that say the same.
        contradictions: Expected facts that contradict a known memory.
        resolved: Those that were extracted, and supersede that memory.
        superseded_wrongly: Known memories that were superseded, and are not contradicted.
        empty: Dialogues of which nothing should come.
        ignored: Those of which nothing came.
        small_talk: Of the empty ones, those that are small talk.
        small_talk_ignored: Those of which nothing came.
        leaked: Dialogues of which something came that never should: a secret, what a text demanded.
        failures: Dialogues for which the extractor had no answer, by reason; what is expected of them is not
            found.
        seconds: How long each took.
    """

    expected: int = 0
    extracted: int = 0
    matched: int = 0
    contradictions: int = 0
    resolved: int = 0
    superseded_wrongly: int = 0
    empty: int = 0
    ignored: int = 0
    small_talk: int = 0
    small_talk_ignored: int = 0
    leaked: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    @property
    def precision(self) -> float:
        """The share of what was extracted that was expected; 1 if nothing was extracted."""
        return self.matched / self.extracted if self.extracted else 1.0

    @property
    def recall(self) -> float:
        """The share of what was expected that was extracted; 1 if nothing was expected."""
        return self.matched / self.expected if self.expected else 1.0


@dataclass(frozen=True)
class Misses:
    """What was not found of a dialogue, and what else was."""

    missing: list[str]
    needless: list[str]


class Scorer:
    """Compares what was extracted with what is expected.

    Args:
        embeddings: What tells how near two sentences are.
        threshold: How near, in cosine similarity, a sentence must be to one that says the fact.
    """

    def __init__(self, embeddings: Embeddings, *, threshold: float = THRESHOLD) -> None:
        self._embeddings = embeddings
        self._threshold = threshold
        self._vectors: dict[str, list[float]] = {}

    def counts(self, dialogues: Sequence[Dialogue], outcomes: Mapping[str, Outcome]) -> Counts:
        """What is counted over dialogues."""
        total = Counts()
        for dialogue in dialogues:
            self._count(dialogue, outcomes[dialogue.id], total)
        return total

    def misses(self, dialogue: Dialogue, outcome: Outcome) -> Misses:
        """What is missing, and what is needless."""
        pairs = self.matched(dialogue.facts, outcome.extracted)
        return Misses(
            [fact.texts[0] for at, fact in enumerate(dialogue.facts) if at not in pairs],
            [one.text for at, one in enumerate(outcome.extracted) if at not in pairs.values()],
        )

    def _count(self, dialogue: Dialogue, outcome: Outcome, total: Counts) -> None:
        facts, extracted = dialogue.facts, outcome.extracted
        pairs = self.matched(facts, extracted)
        total.expected += len(facts)
        total.extracted += len(extracted)
        total.matched += len(pairs)
        contradicted = {
            at: known_id(fact.replaces) for at, fact in enumerate(facts) if fact.replaces is not None
        }
        total.contradictions += len(contradicted)
        total.resolved += sum(
            at in pairs and extracted[pairs[at]].replaces == id for at, id in contradicted.items()
        )
        total.superseded_wrongly += sum(
            one.replaces is not None and one.replaces not in contradicted.values() for one in extracted
        )
        ignored = not extracted and outcome.failure is None
        if not facts:
            total.empty += 1
            total.ignored += ignored
        if "small_talk" in dialogue.tags:
            total.small_talk += 1
            total.small_talk_ignored += ignored
        said = " ".join(one.text for one in extracted).casefold()
        total.leaked += any(one.casefold() in said for one in dialogue.never)
        if outcome.reason is not None:
            total.failures[outcome.reason] += 1
        total.seconds.append(outcome.seconds)

    def matched(self, facts: Sequence[ExpectedFact], extracted: Sequence[Extracted]) -> dict[int, int]:
        """The place of the sentence that says a fact, by the place of the fact; each sentence says one at most."""
        nearness = {
            (at, other): self._nearness(facts[at], extracted[other].text)
            for at, other in product(range(len(facts)), range(len(extracted)))
        }
        pairs: dict[int, int] = {}
        for (at, other), near in sorted(nearness.items(), key=lambda one: -one[1]):
            if near >= self._threshold and at not in pairs and other not in pairs.values():
                pairs[at] = other
        return pairs

    def _nearness(self, fact: ExpectedFact, text: str) -> float:
        """How near a sentence is to one that says the fact: 1 if it says the same, below 0 if it cannot."""
        form = canonical_text(text)
        if any(form == canonical_text(one) for one in fact.texts):
            return 1.0
        if not fact.has_words(text):
            return -1.0
        return max(_cosine(self._vector(text), self._vector(one)) for one in fact.texts)

    def _vector(self, text: str) -> list[float]:
        if text not in self._vectors:
            self._vectors[text] = self._embeddings.embed_query(text)
        return self._vectors[text]


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return product / (math.hypot(*one) * math.hypot(*other))
