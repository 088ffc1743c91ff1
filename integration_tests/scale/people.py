"""Made-up users with a fixed share each: their memories, their conversations, and what they say next."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random

import numpy as np
from langchain_core.embeddings import Embeddings
from langchain_core.messages import BaseMessage
from numpy.typing import NDArray

from integration_tests.benchmarks import natural
from integration_tests.benchmarks.world import DIMENSIONS, WINDOW, exchange

MEMORIES, SESSIONS, MESSAGES = 100, 10, WINDOW
"""Of each user: memories, conversations, and messages in each of these."""
_TOPICS = 4
_NOISE = (1 / 0.6 - 1) ** 0.5  # those of one topic are about 0.4 apart, as in `MadeUpFacts`
_SENTENCES = 20_000

Vectors = NDArray[np.float32]


class GivenVectors(Embeddings):
    """Returns the vectors that it was given, without a model."""

    def __init__(self) -> None:
        self._known: dict[str, list[float]] = {}

    def give(self, text: str, vector: list[float]) -> None:
        """Take the vector of the text that comes next; those before are forgotten."""
        self._known = {text: vector}

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a text."""
        return self._known[text]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of texts."""
        return [self._known[text] for text in texts]


@dataclass(frozen=True)
class Said:
    """What a user says: nobody has said it before.

    Attributes:
        user: Who.
        thread: In which conversation.
        text: What; it is a statement, so that it is remembered.
        vector: Its embedding, near some of the user's memories.
    """

    user: str
    thread: str
    text: str
    vector: list[float]


def user_name(number: int) -> str:
    """Return the name of a user."""
    return f"user-{number:07}"


def thread_name(user: int, number: int) -> str:
    """Return the name of one of a user's conversations."""
    return f"{user_name(user)}:{number}"


def memories_of(user: int) -> tuple[list[str], Vectors]:
    """Return what a user's memories say, and their vectors: the same at every call."""
    sentences = _sentences()
    texts = [sentences[(user * MEMORIES + at) % _SENTENCES] for at in range(MEMORIES)]
    topics = _topics(user)[np.arange(MEMORIES) % _TOPICS]
    return texts, _near(topics, np.random.default_rng([user, 1]))


def conversation() -> list[BaseMessage]:
    """Return the messages of one conversation."""
    return [message for number in range(MESSAGES // 2) for message in exchange(number)]


def saying(users: int, number: int, random: Random) -> Said:
    """Return what one of so many users says: it shares words and meaning with one of the user's memories."""
    user, at = random.randrange(users), random.randrange(MEMORIES)
    text = _sentences()[(user * MEMORIES + at) % _SENTENCES]
    numbers = np.random.default_rng([user, 2, number])
    vector = _near(_topics(user)[[at % _TOPICS]], numbers)[0]
    said = f"Yesterday I heard that {text[0].lower()}{text[1:]}"
    return Said(user_name(user), thread_name(user, random.randrange(SESSIONS)), said, vector.tolist())


def _topics(user: int) -> Vectors:
    return np.random.default_rng([user, 0]).standard_normal((_TOPICS, DIMENSIONS), dtype=np.float32)


def _near(topics: Vectors, numbers: np.random.Generator) -> Vectors:
    """Return a unit vector near each topic."""
    near = topics + np.float32(_NOISE) * numbers.standard_normal(topics.shape, dtype=np.float32)
    found: Vectors = near / np.linalg.norm(near, axis=1, keepdims=True)
    return found


@cache
def _sentences() -> list[str]:
    return natural.facts(_SENTENCES)
