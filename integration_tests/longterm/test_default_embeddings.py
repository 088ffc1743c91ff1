"""Long-term memory with its default embeddings, the real model."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

from integration_tests.conftest import Both
from integration_tests.longterm.conftest import Make

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
