"""How a wrapped chain ranks the memories that it recalls, as told, and what it gives them to be found by."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda

from integration_tests.chain.conftest import Run, config
from langchain_agentmem import AgentMemory
from langchain_agentmem.errors import InvalidInputError

OK = RunnableLambda(lambda _: "ok")
CONFIG: Any = {"configurable": {"session_id": "t1", "user_id": "alice"}}


@pytest.mark.parametrize("mode", ["vector", None])
def test_memories_on_redis_are_ranked_by_their_vectors(memory: AgentMemory, mode: Any) -> None:
    memory.long_term.remember("the cat sleeps", user="alice")
    reports: list[Any] = []
    memory.wrap(OK, mode=mode, distance_threshold=None, on_exchange=reports.append).invoke("the cat", CONFIG)
    assert [record.text for record in reports[0].recalled] == ["the cat sleeps"]
    assert reports[0].failures == []


async def test_the_two_messages_before_it_are_the_context_of_what_is_remembered(
    memory: AgentMemory, run: Run
) -> None:
    chain = memory.wrap(OK, remember="episodic", distance_threshold=None)
    for said in ("A zebra  was\nthere", "It was asleep", "Then it rained"):
        await run(chain, {"input": said}, CONFIG)
    await run(chain, {"input": "Elsewhere"}, config("t2"))
    listed = await memory.long_term.alist_memories(user="alice")
    assert {one.text: one.context for one in listed} == {
        "A zebra  was\nthere": "",
        "It was asleep": "A zebra was there\nok",
        "Then it rained": "It was asleep\nok",
        "Elsewhere": "",
    }
    found = await memory.long_term.arecall("zebra", user="alice", mode="text")
    assert [one.text for one in found] == ["A zebra  was\nthere", "It was asleep"]


async def test_a_question_that_was_not_remembered_is_context_too(memory: AgentMemory) -> None:
    chain = memory.wrap(RunnableLambda(lambda _: "How many pets do you have?"))
    for said in ("What do you want to know?", "I have two of them"):
        await chain.ainvoke({"input": said}, CONFIG)
    (only,) = await memory.long_term.alist_memories(user="alice")
    assert (only.text, only.context) == (
        "I have two of them",
        "What do you want to know?\nHow many pets do you have?",
    )
    (found,) = await memory.long_term.arecall("pets", user="alice", mode="text")
    assert (found.id, found.matched_words) == (only.id, [])


@pytest.mark.parametrize("mode", ["bm25", "words", 5])
def test_another_ranking_is_refused_at_once(memory: AgentMemory, mode: Any) -> None:
    with pytest.raises(InvalidInputError, match="mode must be one of hybrid, vector, text, not"):
        memory.wrap(OK, mode=mode)


def test_vectors_are_refused_on_upstash() -> None:
    with AgentMemory("https://example.invalid", token="t") as upstash:
        assert upstash.wrap(OK, mode="text").options.recall["mode"] == "text"
        with pytest.raises(InvalidInputError, match="mode must be 'text', not 'vector'"):
            upstash.wrap(OK, mode="vector")
