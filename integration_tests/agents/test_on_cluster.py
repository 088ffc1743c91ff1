"""Agents with a memory on a real Redis Cluster: turns, interrupts, tools, usage, and a store beside them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from langchain.tools import ToolRuntime, tool

from integration_tests.agents.conftest import Agent, Run, astream, config, contents, invoke, look, said
from integration_tests.agents.scripted_model import calls
from integration_tests.agents.test_agent_events import TestARun as _ARun
from integration_tests.agents.test_interrupted import TestFailing as _Failing
from integration_tests.agents.test_interrupted import (  # noqa: F401 - they run here on a cluster
    elsewhere,
    test_a_turn_goes_on_in_another_process,
    test_another_user_cannot_resume_a_turn,
    test_two_who_resume_a_turn_store_each_message_once,
    test_what_follows_an_interrupt_that_nobody_answered_is_a_valid_request,
)
from integration_tests.agents.test_middleware import (  # noqa: F401
    test_a_turn_is_stored_and_the_next_one_has_it,
    test_beside_a_checkpointer_each_message_is_stored_once_and_not_loaded,
    test_beside_a_new_checkpointer_the_thread_is_loaded_only_if_asked_for,
    test_tool_calls_and_their_results_are_stored_and_loaded_in_pairs,
    test_two_round_trips_and_one_embedding_per_turn,
    test_what_the_user_stated_is_recalled_in_another_thread,
)
from integration_tests.agents.test_streams import (  # noqa: F401
    agent,
    test_the_output_has_no_private_state,
    test_the_stream_of_messages_has_the_new_ones_only,
)
from integration_tests.agents.test_tools import TestForWhom as _ForWhom
from integration_tests.agents.test_tools import TestInAnAgent as _InAnAgent
from integration_tests.agents.test_tools import TestWhatAModelIsTold as _WhatAModelIsTold
from integration_tests.agents.test_tools import (  # noqa: F401
    test_a_retriever_is_a_tool_too,
    use,
)
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory
from langchain_agentmem.errors import StoreError

pytestmark = pytest.mark.task_contexts

USERS = [f"user {number}" for number in range(12)]


@pytest.fixture
def url(cluster_url: str) -> str:
    return cluster_url


@pytest.fixture(params=["hash"])
async def memory(url: str, request: pytest.FixtureRequest) -> AsyncIterator[AgentMemory]:
    async with AgentMemory(url, embeddings=WordEmbeddings(), session_storage=request.param) as memory:
        yield memory


@pytest.fixture(params=[invoke, astream], ids=lambda function: function.__name__)
def run(request: pytest.FixtureRequest) -> Run:
    """Half of the ways: what differs on a cluster is sync or async, not how an agent is run."""
    function: Run = request.param
    return function


class TestTurnsThatFail:
    test_kept_with_the_error = _Failing.test_what_was_said_to_a_model_that_raises_is_kept_with_its_error
    test_of_tools_at_once_one_fails = _Failing.test_of_tools_that_run_at_once_the_one_that_failed_is_told
    test_run_on = _Failing.test_a_failed_turn_that_is_run_on_is_stored_whole
    test_dropped_if_asked_for = _Failing.test_nothing_is_kept_if_asked_for
    test_cancelled = _Failing.test_a_cancelled_turn_keeps_what_was_said


class TestTools:
    test_remember_and_recall = _WhatAModelIsTold.test_it_remembers_and_recalls_dated_with_ids
    test_replace = _WhatAModelIsTold.test_what_is_near_is_shown_and_can_be_replaced
    test_update = _WhatAModelIsTold.test_an_update_replaces_what_says_the_same_under_other_kinds
    test_forget = _WhatAModelIsTold.test_it_forgets_what_says_the_same_under_other_kinds
    test_goal_and_notes = _WhatAModelIsTold.test_goal_and_notes_are_the_threads
    test_scopes = _ForWhom.test_other_users_and_namespaces_are_out_of_reach
    test_side_by_side = _InAnAgent.test_tools_of_one_turn_run_side_by_side
    test_users_at_once = _InAnAgent.test_users_at_once_through_the_same_tools_never_mix


class TestUsage:
    test_it_is_what_models_and_tools_took = _ARun.test_usage_is_what_the_models_and_tools_took


@tool
def note(fact: str, runtime: ToolRuntime) -> str:
    """Note a fact in the store, and tell all that was noted."""
    assert runtime.store is not None
    namespace = ("users", runtime.config["configurable"]["user_id"])
    runtime.store.put(namespace, fact, {"text": fact})
    return ", ".join(one.value["text"] for one in runtime.store.search(namespace, query=fact))


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_users_on_all_nodes_are_served_at_once_and_never_mixed(
    memory: AgentMemory, primaries: list[redis.Redis], asynchronous: bool
) -> None:
    store = memory.store(user_of=lambda namespace: namespace[1] if len(namespace) > 1 else None)

    def agent_of(user: str) -> Agent:
        facts = [("note", {"fact": f"{user} has a bike"}), ("remember", {"text": f"{user} rides a bike"})]
        script = [calls(*facts), "noted", lambda messages: messages[0].text]
        return Agent(memory, *script, tools=[look, note, *memory.tools()], store=store)

    def asked(user: str, text: str, thread: str) -> tuple[Any, Any]:
        return said(text), config(f"{thread} of {user}", user)

    agents = {user: agent_of(user) for user in USERS}
    for text, thread in (("My bike is red", "first"), ("which bike is mine?", "second")):
        if asynchronous:
            runs = [agents[user].graph.ainvoke(*asked(user, text, thread)) for user in USERS]
            answers = await asyncio.gather(*runs)
        else:
            with ThreadPoolExecutor(4) as pool:
                calling = [
                    pool.submit(agents[user].graph.invoke, *asked(user, text, thread)) for user in USERS
                ]
            answers = [one.result() for one in calling]
        for user, answer in zip(USERS, answers, strict=True):
            told = " ".join(message.text for message in answer["messages"])
            assert f"{user} has a bike" in told if thread == "first" else f"{user} rides a bike" in told
            assert not [one for one in USERS if f"{one} has" in told.replace(f"{user} has", "")]
            assert not [one for one in USERS if f"{one} rides" in told.replace(f"{user} rides", "")]
    held = [sum(1 for _ in client.scan_iter("agent:mem:*")) for client in primaries]
    assert min(held) > 0
    assert {len(contents(memory, f"first of {user}")) for user in USERS} == {5}
    assert len(await store.asearch(("users",), query="bike", limit=50)) == len(USERS)
    gone = await memory.aforget_user(USERS[0])
    assert (len(gone.threads), gone.items, gone.unreached) == (2, 1, [])
    assert await store.asearch(("users", USERS[0])) == []
    left = {one.text for one in memory.long_term.list_memories(user=USERS[1])}
    assert left == {"My bike is red", f"{USERS[1]} rides a bike"}


@pytest.mark.usefixtures("impatient")
async def test_without_any_node_a_turn_is_an_error_or_goes_on_if_asked_for(once: Run) -> None:
    async with AgentMemory("redis+cluster://127.0.0.1:1,127.0.0.1:2", embeddings=WordEmbeddings()) as memory:
        failing = Agent(memory, "ok", options={"events": False})
        with pytest.raises(StoreError):
            await once(failing.graph, said("hi"), config())
        going_on = Agent(memory, "ok", options={"on_error": "continue", "events": False})
        answer = await once(going_on.graph, said("hi"), config())
        assert answer["messages"][-1].text == "ok"
        assert memory.failures >= 2
