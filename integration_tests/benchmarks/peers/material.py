"""What every library is given: texts with their vectors, and messages. Made once a run, and read from files.

Imports nothing of the package: it runs in every library's process.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from integration_tests.peers.vectors import Vectors

DIMENSIONS = 384
TOPIC_SIZE = 25
# Vectors of one topic are about 0.4 apart: farther than what says the same, nearer than what has nothing to do with it.
_NOISE = (1 / 0.6 - 1) ** 0.5
# What changed, and how far all-MiniLM-L6-v2 has the two apart.
CHANGED = {
    ("I am allergic to peanuts.", "I am not allergic to peanuts."): 0.04,
    ("My phone number is 555-0134.", "My phone number is 555-0187."): 0.01,
}


_WORDS = tuple(
    line.split(", ")
    for line in (
        "Ada, Bo, Cleo, Dan, Edda, Femi, Gus, Hana, Ida, Jun, Kaya, Lev, Mina, Nils, Olga, Pia, Rui, Sara, Tom, Uma",
        "moved, booked, cancelled, missed, planned, praised, forgot, repeated, shortened, led, skipped, joined, "
        "hosted, recorded, postponed, prepared, paid for, invented, left, dreaded",
        "budget review, piano lesson, dentist's visit, sailing trip, garden party, chess evening, language course, "
        "staff meeting, birthday dinner, yoga class, book club, train ride, tax interview, choir practice, "
        "swimming lesson, car inspection, flat viewing, museum tour, job interview, hiking weekend",
        "in Oslo, at home, by the river, in Lisbon, at the office, on the coast, in Ghent, downtown, at the school, "
        "in Turin, near the station, in Quito, at the harbour, in Kyoto, upstairs, in Leeds, abroad, at the mill, "
        "in Accra, next door",
        "on Monday, in spring, last week, before noon, after work, in June, at Easter, next month, on Friday, "
        "at dawn, in autumn, twice, by surprise, on time, too late, in winter, with friends, alone, as usual, in March",
    )
)


@dataclass(frozen=True)
class Files:
    """Where the material is, and how much there is.

    Attributes:
        texts: The texts, JSON.
        vectors: Their vectors.
        stored: How many facts are to be stored, of those that the texts begin with.
    """

    texts: str
    vectors: str
    stored: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)


class Material:
    """Facts and messages.

    Args:
        files: What `write` returned.
    """

    def __init__(self, files: Files) -> None:
        self.stored = files.stored
        self.vectors = Vectors(Path(files.texts), Path(files.vectors))

    def new(self, number: int) -> str:
        """Return a fact that is not among the stored ones, about what some of them are about."""
        return fact(self.stored + number % (len(self.vectors) - self.stored - 2 * len(CHANGED)))


def fact(number: int) -> str:
    """Return the text of a fact; each word except “the” is in a twentieth of them, or in fewer."""
    drawn = random.Random(number)
    who, did, what, where, when = (drawn.choice(words) for words in _WORDS)
    return f"{who} {did} the {what} {where} {when}, {number}."


def exchange(number: int) -> list[BaseMessage]:
    """Return a user's message of about 80 characters and an answer of about 300."""
    said = f"Question {number}: could you schedule the budget review with finance for next week?"
    answer = (
        f"Answer {number}: the budget review is set for Tuesday at ten. " + "Finance has confirmed. " * 10
    )
    return [HumanMessage(said), AIMessage(answer)]


def conversation(messages: int) -> list[BaseMessage]:
    """Return a conversation of as many messages."""
    return [message for number in range(messages // 2) for message in exchange(number)]


def write(folder: Path, *, stored: int, new: int) -> Files:
    """Make facts, the same at every run, and write them.

    Args:
        folder: Where they are written.
        stored: How many there are to be stored, in topics of 25.
        new: How many more there are, in the same topics.
    """
    numbers = np.random.default_rng(17)
    topics = _directions(numbers, max(1, stored // TOPIC_SIZE))
    count = stored + new
    vectors = np.empty((count + 2 * len(CHANGED), DIMENSIONS), dtype=np.float32)
    about = np.concatenate([np.arange(stored) // TOPIC_SIZE, np.arange(new)]) % len(topics)
    vectors[:count] = _near(topics[about], _directions(numbers, count), _NOISE)
    for at, apart in enumerate(CHANGED.values()):
        first, aside = _directions(numbers, 2)
        place = count + 2 * at
        vectors[place], vectors[place + 1] = first, _near(first, aside, (1 / (1 - apart) ** 2 - 1) ** 0.5)
    texts = [fact(number) for number in range(count)] + [text for pair in CHANGED for text in pair]
    return _written(folder, texts, vectors, stored)


def _written(folder: Path, texts: Sequence[str], vectors: Any, stored: int) -> Files:
    files = folder / f"texts-{stored}.json", folder / f"vectors-{stored}.npy"
    files[0].write_text(json.dumps(texts), "utf-8")
    np.save(files[1], vectors)
    return Files(str(files[0]), str(files[1]), stored)


def _directions(numbers: np.random.Generator, count: int) -> Any:
    drawn = numbers.standard_normal((count, DIMENSIONS), dtype=np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def _near(towards: Any, aside: Any, share: float) -> Any:
    moved = towards + share * aside
    return moved / np.linalg.norm(moved, axis=-1, keepdims=True)
