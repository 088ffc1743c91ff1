"""Long-term memory with its default embeddings, the real model."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import pytest

from integration_tests.conftest import Both
from integration_tests.longterm.conftest import Make
from langchain_agentmem import Judgement, MemoryRecord

if find_spec("onnxruntime") is None:
    pytest.skip("the extra local is not installed", allow_module_level=True)


async def test_it_is_the_default_of_long_term_memory(make: Make) -> None:
    memory = make(embeddings=None)
    first = memory.remember("I prefer window seats on long flights", user="alice")
    again = await make(embeddings=None, dedup="near").aremember(
        "I prefer a window seat on long flights", user="alice"
    )
    assert (again.id, again.deduped) == (first.id, True)
    memory.remember("My sister's name is Clara", user="alice", kind="semantic")
    (found,) = await memory.arecall("which seat does the user like on a long flight?", user="alice")
    assert found.id == first.id
    assert memory.index_info()["dimensions"] == 384


async def test_by_meaning_what_is_known_is_answered_and_nothing_else(make: Make, both: Both) -> None:
    memory = make(embeddings=None)
    facts = ["I live in Lisbon", "My sister is a nurse", "I am allergic to peanuts"]
    await both(memory).aremember_many(facts, user="alice")
    about: dict[str, Any] = {"user": "alice"}
    for question, answer in {
        "Where is my home?": facts[0],
        "What does my sibling do for a living?": facts[1],
        "Which nuts can't I eat?": facts[2],
    }.items():
        (best, *_) = await both(memory).arecall(question, **about)
        assert best.text == answer
    for question in ("How far away is the moon?", "What is the boiling point of tungsten?", "Thanks a lot!"):
        assert await both(memory).arecall(question, **about) == []
        assert await both(memory).arecall(question, **about, distance_threshold=None) != []


PARAPHRASES = [
    ("I live in Lisbon.", "My home is in Lisbon."),
    ("I'm allergic to peanuts.", "Peanuts make me ill, I have an allergy."),
    ("I have a dog named Rex.", "My dog is called Rex."),
    ("I work as a nurse.", "My job is nursing."),
    ("My birthday is on 3 May.", "I was born on May 3rd."),
    ("I prefer short answers.", "Please keep replies brief."),
    ("My sister Anna lives in Rome.", "Anna, my sister, has her home in Rome."),
    ("I'm vegetarian.", "I don't eat meat."),
]
CHANGES = [
    ("I live in Lisbon.", "I moved to Porto."),
    ("I live in Lisbon.", "I live in Porto."),
    ("I work as a nurse.", "I'm a teacher now."),
    ("I drink coffee every morning.", "I stopped drinking coffee."),
    ("I have a dog named Rex.", "My dog Rex died last year."),
    ("I'm single.", "I got married to Tom."),
    ("I'm vegetarian.", "I eat meat again."),
    ("My phone number is 555 1234.", "My new number is 555 9876."),
]


def test_what_a_consolidator_should_see_together_is_near_enough(make: Make) -> None:
    memory = make(embeddings=None)
    asked: list[int] = []

    def judge(memories: Sequence[MemoryRecord]) -> Judgement:
        asked.append(len(memories))
        return Judgement()

    for number, pair in enumerate([*PARAPHRASES, *CHANGES]):
        memory.remember_many(pair, user=str(number))
        memory.consolidate(user=str(number), consolidator=judge)
        asked += [] if len(asked) > number else [0]
        del asked[number + 1 :]
    assert asked.count(2) >= len(PARAPHRASES) + len(CHANGES) - 2
    assert set(asked[: len(PARAPHRASES)]) == {2}
