"""The dialogues: what is said, what is known before, and the facts that should come of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langchain_agentmem import Exchange, MemoryRecord

PATH = Path(__file__).parents[3] / "tests" / "data" / "extraction-dialogues.json"
_REPLY_SECONDS = 4.0  # between two messages


@dataclass(frozen=True)
class ExpectedFact:
    """A fact that should be extracted.

    Attributes:
        texts: Sentences that say it, each as good as the others.
        must: What a sentence has to contain to say it; of texts with `|` between, one is enough.
        replaces: The place of the known memory that it contradicts; `None` if it contradicts none.
    """

    texts: tuple[str, ...]
    must: tuple[str, ...]
    replaces: int | None = None

    def has_words(self, text: str) -> bool:
        """Whether a sentence contains what it has to."""
        folded = text.casefold()
        return all(any(one.casefold() in folded for one in words.split("|")) for words in self.must)


@dataclass(frozen=True)
class Dialogue:
    """A short dialogue.

    Attributes:
        id: Its name.
        language: The language that the user speaks.
        tags: What it is about: `date`, `correction`, `small_talk`, ….
        exchange: What an extractor is given; the ids of known memories are `known-0`, `known-1`, ….
        facts: What should come of it; for many, nothing.
        never: What no sentence may contain, in whatever case.
    """

    id: str
    language: str
    tags: tuple[str, ...]
    exchange: Exchange
    facts: tuple[ExpectedFact, ...]
    never: tuple[str, ...] = field(default=())


def load(path: Path = PATH) -> list[Dialogue]:
    """The dialogues of a file."""
    return [_dialogue(one) for one in json.loads(path.read_text("utf-8"))]


def known_id(place: int) -> str:
    """The id of a known memory."""
    return f"known-{place}"


def _dialogue(read: dict[str, Any]) -> Dialogue:
    begin = _epoch(read["at"])
    said = _messages(read["exchange"])
    exchange = Exchange(
        "alice",
        said,
        [begin + at * _REPLY_SECONDS for at in range(len(said))],
        memories=[_known(place, one) for place, one in enumerate(read.get("known", ()))],
        history=_messages(read.get("history", ())),
        thread_id=read["id"],
    )
    facts = tuple(
        ExpectedFact(tuple(one["any"]), tuple(one["must"]), one.get("replaces")) for one in read["facts"]
    )
    tags, never = tuple(read["tags"]), tuple(read.get("never", ()))
    return Dialogue(read["id"], read["language"], tags, exchange, facts, never)


def _known(place: int, one: dict[str, str]) -> MemoryRecord:
    return MemoryRecord(
        known_id(place), one["text"], "alice", "default", "semantic", created_ts=_epoch(one["since"])
    )


def _epoch(moment: str) -> float:
    return datetime.fromisoformat(moment).replace(tzinfo=timezone.utc).timestamp()


def _messages(said: Sequence[Sequence[str]]) -> list[BaseMessage]:
    return [HumanMessage(text) if who == "user" else AIMessage(text) for who, text in said]
