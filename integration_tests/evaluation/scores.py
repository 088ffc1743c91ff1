"""What is asked of every system, and how answers are counted. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

from integration_tests.evaluation.data import UNANSWERABLE, Conversation, Data, Question, lower

K = 20  # how many memories every question asks for
FACTS, MIXED = "facts", "facts among chat"


@dataclass(frozen=True)
class Scope:
    """One user's memories.

    Attributes:
        name: The user.
        texts: The memories, in order.
        sessions: The session of each; empty for memories that were not said in one.
    """

    name: str
    texts: list[str]
    sessions: list[str]


@dataclass(frozen=True)
class Request:
    """A question to one user's memories.

    Attributes:
        group: Which figure it counts for.
        scope: The user.
        text: The question.
        evidence: The places of what answers it; empty if nothing must be recalled.
        part: What the group's figures are divided by: a conversation's id.
        category: What they are divided by besides.
    """

    group: str
    scope: str
    text: str
    evidence: frozenset[int] = frozenset()
    part: str = ""
    category: str = ""


def scopes(data: Data) -> list[Scope]:
    """Return whose memories are stored: each conversation's, the facts', and the facts among all conversations."""
    made = [Scope(one.id, one.texts, one.sessions) for one in data.conversations]
    if data.facts is not None:
        facts = data.facts.texts
        made.append(Scope(FACTS, facts, [""] * len(facts)))
        if data.conversations:
            chat = [text for one in data.conversations for text in one.texts]
            sessions = [f"{one.id} {session}" for one in data.conversations for session in one.sessions]
            made.append(Scope(MIXED, facts + chat, [""] * len(facts) + sessions))
    return made


def requests(data: Data) -> list[Request]:
    """Return everything that is asked."""
    return [*_of_conversations(data.conversations), *_of_facts(data)]


def _of_conversations(conversations: Sequence[Conversation]) -> Iterator[Request]:
    for at, one in enumerate(conversations):
        other = conversations[(at + 1) % len(conversations)].id
        for asked in one.questions:
            if asked.category == UNANSWERABLE:
                yield Request(
                    "chat, unanswerable", one.id, asked.text, asked.evidence, one.id, asked.category
                )
                continue
            typed = lower(asked.text)
            yield Request("chat", one.id, asked.text, asked.evidence, one.id, asked.category)
            yield Request("chat, lower case", one.id, typed, asked.evidence, one.id, asked.category)
            if other != one.id:
                yield Request("chat, not known", other, asked.text)
                yield Request("chat, lower case, not known", other, typed)


def _of_facts(data: Data) -> Iterator[Request]:
    if data.facts is None:
        return

    def asked(
        group: str, scope: str, questions: Sequence[Question], typed: bool = False
    ) -> Iterator[Request]:
        for one in questions:
            yield Request(group, scope, lower(one.text) if typed else one.text, one.evidence)

    yield from asked("facts", FACTS, data.facts.questions)
    yield from asked("facts, lower case", FACTS, data.facts.questions, typed=True)
    if data.conversations:
        yield from asked("facts among chat", MIXED, data.facts.questions)
        for one in data.facts.questions:  # about oneself, where only others are known
            yield Request("facts, another's chat", data.conversations[0].id, one.text)
    yield from (Request("facts, unrelated", FACTS, text) for text in data.facts.unrelated)
    yield from (Request("facts, never said", FACTS, text) for text in data.facts.unknown)


@dataclass(frozen=True)
class Figures:
    """The figures of a group of questions.

    Attributes:
        questions: How many there are.
        answered: The share for which anything was recalled. Where nothing must be: the false recalls.
        recall: For 1, 5, 10 and 20: the share of a question's evidence among the first so many, on average.
        mrr: One divided by the rank of the first evidence, 0 if it is not among the first 20, on average.
    """

    questions: int
    answered: float
    recall: dict[int, float]
    mrr: float

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form, rounded to 4 digits."""
        given = asdict(self)
        recall = {str(k): round(value, 4) for k, value in self.recall.items()}
        return given | {"answered": round(self.answered, 4), "recall": recall, "mrr": round(self.mrr, 4)}


def figures(asked: Sequence[tuple[Request, Sequence[int]]]) -> Figures:
    """Return the figures of requests and what was recalled for each, best first."""
    recall = {
        k: fmean(
            len(one.evidence & set(found[:k])) / len(one.evidence) if one.evidence else 0.0
            for one, found in asked
        )
        for k in (1, 5, 10, K)
    }
    return Figures(
        len(asked),
        fmean(bool(found) for _, found in asked),
        recall,
        fmean(_reciprocal(*one) for one in asked),
    )


def _reciprocal(request: Request, found: Sequence[int]) -> float:
    return next((1 / rank for rank, at in enumerate(found, 1) if at in request.evidence), 0.0)


def grouped(
    asked: Sequence[Request], found: Sequence[Sequence[int]], by: str = "group", within: str | None = None
) -> dict[str, Figures]:
    """Return figures by an attribute of the requests; by group, also those of all categories of questions.

    Args:
        asked: The requests.
        found: What was recalled for each.
        by: The attribute: `group`, `part` or `category`.
        within: Of this group only.
    """
    parts: dict[str, list[tuple[Request, Sequence[int]]]] = {}
    for request, places in zip(asked, found, strict=True):
        if within in (None, request.group):
            parts.setdefault(getattr(request, by), []).append((request, places))
    if by == "group" and "chat, unanswerable" in parts:
        parts["chat, all categories"] = parts["chat"] + parts["chat, unanswerable"]
    return {name: figures(part) for name, part in parts.items()}
