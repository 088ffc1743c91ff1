"""The map of memories with the real model and a real server."""

from __future__ import annotations

import math
from importlib.util import find_spec

import numpy as np
import pytest

from integration_tests.demo.invented import memories
from integration_tests.demo.measure_map import USERS, embedded, measure
from langchain_agentmem import AgentMemory, MiniLMEmbeddings
from langchain_agentmem.demo.memory_map import MemoryMap

if find_spec("onnxruntime") is None:
    pytest.skip("the extra local is not installed", allow_module_level=True)
pytestmark = [pytest.mark.xdist_group("minilm")]


def test_a_recalled_memory_is_beside_its_question_and_stays_where_it_is(url: str) -> None:
    made = memories("everyday", 60)
    embeddings = MiniLMEmbeddings()
    with AgentMemory(url, embeddings=embeddings) as memory:
        long_term = memory.long_term
        long_term.remember_many([said for said, _, _ in made[:50]], user="alice", kind="semantic")
        page_map = MemoryMap()
        before = page_map.place(long_term.list_memories(user="alice", include_embeddings=True))
        long_term.remember_many([said for said, _, _ in made[50:]], user="alice", kind="semantic")
        listed = long_term.list_memories(user="alice", include_embeddings=True)
        placed = page_map.place(listed)
        assert {name: placed[name] for name in before} == before
        assert MemoryMap().place(listed) == placed, "after a restart"
        beside = 0
        for _, question, _ in made[:20]:
            best, *_ = long_term.recall(question, user="alice", mode="vector", distance_threshold=None)
            asked = page_map.locate(embeddings.embed_query(question))
            nearest = sorted(placed, key=lambda name: math.dist(placed[name], asked))[:3]
            beside += best.id in nearest
        assert beside >= 19


@pytest.mark.parametrize("user", USERS)
def test_what_is_near_on_the_map_is_near_in_meaning(user: str) -> None:
    vectors, questions = embedded(user, 120, MiniLMEmbeddings().embed_documents)
    found = measure(np.array(vectors), questions)
    assert found.trustworthiness > max(0.85, found.components)
    assert found.recalled > 0.95
