"""Recall on Upstash: what is found, in which order, and that nothing is where nothing is known."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
import redis
from langchain_core.documents import BaseDocumentCompressor, Document

from integration_tests.conftest import Both
from integration_tests.upstash.conftest import Make, stored_by_others
from integration_tests.upstash.emulator import Emulator
from langchain_agentmem.core.operations import Command
from langchain_agentmem.errors import IndexMismatchError
from langchain_agentmem.longterm.upstash.memory import UpstashLongTermMemory
from langchain_agentmem.transport.connections import SharedConnection

DAY_MS = 86_400_000
FACTS = [
    "My name is Ada and I live in Lisbon.",
    "I'm allergic to peanuts and shellfish.",
    "My husband is called Miguel; he works as a nurse.",
    "Our dog is a beagle called Biscuit.",
    "I work as a backend engineer at Novabank.",
    "The deadline for Lyra is in mid January.",
]


@pytest.fixture
def memory(make: Make) -> UpstashLongTermMemory:
    memory = make()
    memory.remember_many(FACTS, user="alice")
    memory.wait_indexing()
    return memory


@pytest.mark.parametrize(
    ("question", "fact"),
    [
        ("What am I allergic to?", 1),
        ("what am i allergic to", 1),
        ("Where do I live?", 0),
        ("What is my husband's name?", 2),
        ("When is the deadline for Lyra?", 5),
        ("What am I alergic to?", 1),  # misspelt
        ("Biscuit", 3),
    ],
)
async def test_the_memory_that_answers_comes_first(
    memory: UpstashLongTermMemory, both: Both, question: str, fact: int
) -> None:
    (first, *_) = await both(memory).arecall(question, user="alice")
    assert first.text == FACTS[fact]
    assert 0 < first.score < 1
    assert first.matched_words


@pytest.mark.parametrize(
    "text",
    [
        *("What's the capital of Mongolia?", "How do vaccines reach the market?", "What's my shoe size?"),
        *("Thanks, that's all!", "Hello!", "It rained all weekend.", "Tell me a joke."),
    ],
)
async def test_nothing_comes_where_nothing_is_known(
    memory: UpstashLongTermMemory, both: Both, text: str
) -> None:
    assert await both(memory).arecall(text, user="alice") == []


async def test_without_a_threshold_the_best_come_in_any_case(
    memory: UpstashLongTermMemory, both: Both
) -> None:
    statement = "The train slowly reached the coast in January after the deadline of noon"
    assert await both(memory).arecall(statement, user="alice") == []
    (best, *_) = await both(memory).arecall(statement, user="alice", distance_threshold=None)
    assert best.text == FACTS[5]


async def test_a_memory_is_found_by_what_was_said_before_it(make: Make, both: Both) -> None:
    memory = make()
    said = ["How was the concert in Madrid?", "Never again, it was far too loud.", "What a pity."]
    await both(memory).aremember_many(said, user="alice", source_thread="t1")
    await both(memory).aremember("Never again, I was sick for days.", user="alice")
    memory.wait_indexing()
    found = await both(memory).arecall("What happened at the concert in Madrid?", user="alice", explain=True)
    assert said[1] in [one.text for one in found]
    by_context = next(one for one in found if one.text == said[1])
    assert by_context.context == said[0]
    assert by_context.explanation["context"] > by_context.explanation["words"] == 0


async def test_a_rare_word_counts_more_than_a_common_one(make: Make, both: Both) -> None:
    memory = make()
    memory.remember_many([f"I bought tea number {n}" for n in range(30)], user="alice")
    memory.remember("I was given an oolong", user="alice")
    memory.wait_indexing()
    (first, *_) = await both(memory).arecall("Did I get oolong tea?", user="alice")
    assert first.text == "I was given an oolong"


async def test_a_question_is_seldom_the_answer(make: Make, both: Both) -> None:
    memory = make()
    memory.remember_many(
        ["Is the deadline of Orion in May?", "The deadline of Orion is in June"], user="alice"
    )
    memory.wait_indexing()
    (first, *_) = await both(memory).arecall("When is the deadline of Orion?", user="alice")
    assert first.text == "The deadline of Orion is in June"


async def test_contradicting_memories_come_newest_first(make: Make, bare: redis.Redis, both: Both) -> None:
    memory = make(recency_per_day=0)
    memory.create_index()
    now = time.time() * 1000
    said = ["I live in Lisbon", "Now I live in Porto"]
    for n, text in enumerate(said):
        stored_by_others(bare, f"alice:{n}", text=text, createdAt=now - (2 - n) * DAY_MS)
    memory.wait_indexing()
    found = await both(memory).arecall("Where do I live?", user="alice")
    assert [one.text for one in found] == said[::-1]


async def test_age_costs_what_it_is_said_to_cost(make: Make, bare: redis.Redis, both: Both) -> None:
    memory = make(recency_per_day=0.5)
    memory.create_index()
    now = time.time() * 1000
    for name, days, text in (("month", 30, "black tea"), ("today", 0, "hot tea"), ("week", 7, "old tea")):
        stored_by_others(bare, f"alice:{name}", text=text, createdAt=now - days * DAY_MS)
    memory.wait_indexing()
    found = await both(memory).arecall("tea", user="alice", explain=True)
    assert [one.id for one in found] == ["alice:today", "alice:week", "alice:month"]
    assert [one.explanation["recency"] for one in found] == [
        pytest.approx(-0.005 * days, abs=1e-3) for days in (0, 7, 30)
    ]
    plain = await both(make(recency_per_day=0)).arecall("tea", user="alice")
    assert len({one.score for one in plain}) == 1
    recent = await both(make(recency_per_day=0)).arecall("tea", user="alice", recency_weight=0.1)
    assert [one.id for one in recent] == ["alice:today", "alice:week", "alice:month"]


class Reversed(BaseDocumentCompressor):
    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> Sequence[Document]:
        scored = [
            Document(one.page_content, metadata={**one.metadata, "relevance_score": 0.5}) for one in documents
        ]
        return scored[::-1]


async def test_a_reranker_orders_the_candidates(memory: UpstashLongTermMemory, both: Both) -> None:
    plain = await both(memory).arecall("Who is called what?", user="alice", k=10)
    assert len(plain) > 1
    (last,) = await both(memory).arecall("Who is called what?", user="alice", k=1, reranker=Reversed())
    assert last.id == plain[-1].id
    assert last.score == 0.5


async def test_an_index_of_the_first_version_is_served(
    make: Make, transport: SharedConnection, emulator: Emulator, both: Both
) -> None:
    schema = "text TEXT userId KEYWORD kind KEYWORD createdAt F64 FAST".split()

    def create() -> Any:
        return (
            yield [
                Command(
                    ("SEARCH.CREATE", "memories", "ON", "JSON", "PREFIX", 1, "memory:", "SCHEMA", *schema)
                )
            ]
        )

    transport.run(create())
    memory = make()
    said = ["Which spices?", "Ginger, mostly"]
    await both(memory).aremember_many(said, user="alice", source_thread="t1")
    memory.wait_indexing()
    memory.index.knowledge.contexts = True  # as another process has it, which has stored nothing
    emulator.requests.clear()
    assert [one.text for one in await both(memory).arecall("spices", user="alice")] == said[:1]
    assert len(emulator.requests) == 3
    emulator.requests.clear()
    assert [one.text for one in await both(memory).arecall("spices", user="alice")] == said[:1]
    assert len(emulator.requests) == 1
    assert (await both(memory).aindex_info())["mismatch"] is None
    await both(memory).adrop_index()
    await both(memory).acreate_index()
    memory.wait_indexing()
    assert {one.text for one in await both(memory).arecall("spices", user="alice")} == {*said}


class TestLanguages:
    async def test_words_are_stemmed_in_the_language(self, make: Make, both: Both) -> None:
        german = make(language="german")
        await both(german).aremember("Meine Katzen fressen morgens.", user="alice")
        await both(german).aremember("Ich wohne in Köln.", user="alice")
        german.wait_indexing()
        (found,) = await both(german).arecall("Was frisst meine Katze?", user="alice")
        assert found.text == "Meine Katzen fressen morgens."
        assert (await both(german).aindex_info())["schema"]["language"] == "german"

    async def test_an_index_in_another_language_is_told(self, make: Make, both: Both) -> None:
        await both(make()).acreate_index()
        with pytest.raises(IndexMismatchError, match="language: is english, wanted spanish"):
            await both(make(language="spanish")).acreate_index()

    async def test_an_unknown_language_is_searched_by_its_words_as_they_are(
        self, make: Make, both: Both
    ) -> None:
        memory = make(language="klingon")
        await both(memory).aremember("tlhIngan maH taHjaj", user="alice")
        memory.wait_indexing()
        (found,) = await both(memory).arecall("tlhIngan", user="alice")
        assert found.text == "tlhIngan maH taHjaj"
        schema = (await both(memory).aindex_info())["schema"]
        assert schema["text"] == schema["context"] == "TEXT NOSTEM"
