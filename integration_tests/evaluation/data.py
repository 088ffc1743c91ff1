"""The data: conversations with questions, short facts with questions, pairs of texts. Files of the user's too."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OWN = Path(__file__).parents[2] / "tests" / "data"
UNANSWERABLE = "5"  # LoCoMo's category of questions without an answer in the conversation


@dataclass(frozen=True)
class Question:
    """A question, and the places of the texts that answer it."""

    text: str
    evidence: frozenset[int]
    category: str = ""


@dataclass(frozen=True)
class Conversation:
    """A conversation.

    Attributes:
        id: Its id; the user its texts are stored for.
        texts: Its messages, in order: "speaker: text".
        sessions: The session of each text.
        questions: What is asked about it.
    """

    id: str
    texts: list[str]
    sessions: list[str]
    questions: list[Question]


@dataclass(frozen=True)
class Facts:
    """What is known of one user.

    Attributes:
        texts: Short facts.
        questions: What is asked about them.
        unrelated: Texts that must recall nothing.
        unknown: Questions about the user that no fact answers; none in most files.
    """

    texts: list[str]
    questions: list[Question]
    unrelated: list[str]
    unknown: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Pair:
    """Two texts, the second said after the first."""

    category: str
    first: str
    then: str


@dataclass(frozen=True)
class Pairs:
    """Pairs that say different things, and pairs that say the same."""

    different: list[Pair]
    restated: list[Pair]


@dataclass(frozen=True)
class Data:
    """A set of data: any of the three kinds may be missing.

    Attributes:
        name: What the set is called in results.
        language: Of stemming and stop words; `None` for the package's default.
    """

    name: str
    conversations: list[Conversation] = field(default_factory=list)
    facts: Facts | None = None
    pairs: Pairs | None = None
    language: str | None = None

    def texts(self) -> Iterator[str]:
        """Yield everything that is embedded."""
        for conversation in self.conversations:
            yield from conversation.texts
            for question in conversation.questions:
                yield from (question.text, lower(question.text))
        if self.facts is not None:
            yield from self.facts.texts + self.facts.unrelated + self.facts.unknown
            for question in self.facts.questions:
                yield from (question.text, lower(question.text))
        if self.pairs is not None:
            for pair in self.pairs.different + self.pairs.restated:
                yield from (pair.first, pair.then)


def lower(question: str) -> str:
    """Return a question as it is typed in a hurry: in lower case, without the question mark."""
    return question.lower().rstrip("?")


def own() -> list[Data]:
    """Return the project's own data: in English, and short facts in other languages."""
    return [
        load(
            "own",
            conversations=OWN / "recall-chat.json",
            facts=OWN / "recall-facts.json",
            pairs=OWN / "dedup-pairs.json",
        ),
        *(load(name, facts=OWN / f"recall-{name}.json", language=name) for name in ("german", "spanish")),
    ]


def load(
    name: str,
    *,
    conversations: Path | None = None,
    facts: Path | None = None,
    pairs: Path | None = None,
    all_categories: bool = False,
    language: str | None = None,
) -> Data:
    """Return the data of files.

    Args:
        name: What the set is called in results.
        conversations: A file of LoCoMo's schema: a list of `{id, turns, qa}`.
        facts: A file of `{facts, questions, unrelated}`, and perhaps `unknown`.
        pairs: A file of `{different, restated}`.
        all_categories: Whether to include LoCoMo's unanswerable questions.
        language: Of stemming and stop words.
    """
    return Data(
        name,
        [] if conversations is None else [_conversation(one, all_categories) for one in _read(conversations)],
        None if facts is None else _facts(_read(facts)),
        None if pairs is None else _pairs(_read(pairs)),
        language,
    )


def _read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def _conversation(given: dict[str, Any], all_categories: bool) -> Conversation:
    turns = given["turns"]
    places = {turn["id"]: at for at, turn in enumerate(turns)}
    questions = []
    for asked in given["qa"]:
        evidence = _places(asked["evidence"], places)
        if evidence and (all_categories or str(asked.get("category")) != UNANSWERABLE):
            questions.append(Question(asked["question"], evidence, str(asked.get("category", ""))))
    return Conversation(
        str(given["id"]), [_text(turn) for turn in turns], [str(turn["session"]) for turn in turns], questions
    )


def _places(evidence: Sequence[str], places: dict[str, int]) -> frozenset[int]:
    """Return where the evidence is; a string may hold several ids, and some name no turn."""
    ids = (one for several in evidence for one in re.split(r"[;,\s]+", several))
    return frozenset(places[one] for one in ids if one in places)


def _text(turn: dict[str, Any]) -> str:
    picture = f" [picture: {turn['caption']}]" if turn.get("caption") else ""
    return f"{turn['speaker']}: {turn['text']}{picture}"


def _facts(given: dict[str, Any]) -> Facts:
    questions = [Question(one["question"], frozenset(one["evidence"])) for one in given["questions"]]
    return Facts(given["facts"], questions, given["unrelated"], given.get("unknown", []))


def _pairs(given: dict[str, Any]) -> Pairs:
    return Pairs(
        [Pair(**one) for one in given["different"]],
        [Pair(**one) for one in given["restated"]],
    )
