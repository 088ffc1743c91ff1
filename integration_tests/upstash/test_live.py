"""A walk through every tier over REST: on the emulation, and with `--upstash-live` on a real database.

Everything has a prefix of its own, and is deleted at the end: the database may be somebody's.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableLambda

from integration_tests.conftest import Both
from langchain_agentmem import AgentMemory, UpstashLongTermMemory
from langchain_agentmem.core.operations import call, reads

CONVERSATION: list[BaseMessage] = [
    HumanMessage("wie spät ist es? 🕰"),
    AIMessage("", tool_calls=[{"name": "clock", "args": {"zone": ["é", 1.5, None]}, "id": "c1"}]),
    ToolMessage("12:00", tool_call_id="c1", name="clock"),
]


@pytest.fixture(params=["emulation", "live"])
def memory(request: pytest.FixtureRequest) -> Iterator[AgentMemory]:
    if request.param == "emulation":
        emulator = request.getfixturevalue("emulator")
        url, token = emulator.url, emulator.token
    elif not request.config.getoption("--upstash-live"):
        pytest.skip("needs --upstash-live")
    elif not {"UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"} <= os.environ.keys():
        pytest.fail("--upstash-live needs UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN", pytrace=False)
    else:
        url, token = os.environ["UPSTASH_REDIS_REST_URL"], os.environ["UPSTASH_REDIS_REST_TOKEN"]
    own = f"agentmem-test:{uuid.uuid4().hex}:"
    with AgentMemory(
        url,
        token=token,
        session_prefix=f"{own}session:",
        session_list_prefix=f"{own}list:",
        memory_prefix=f"{own}memory:",
        events_prefix=f"{own}events:",
        index_name=f"{own}index",
        session_ttl_seconds=600,
        events_ttl_seconds=600,
        socket_timeout_seconds=15.0,
    ) as memory:
        yield memory
        for thread in ("t1", "t2"):
            memory.working.delete(thread)
            memory.events.clear(thread)
        memory.long_term.drop_index(delete_documents=True)


def long_term(memory: AgentMemory) -> UpstashLongTermMemory:
    assert isinstance(memory.long_term, UpstashLongTermMemory)
    return memory.long_term


async def test_a_conversation(memory: AgentMemory, both: Both) -> None:
    history = memory.history("t1")
    await both(history).aadd_messages(CONVERSATION)
    assert await both(history).aget_messages() == CONVERSATION
    key = f"{memory.settings.session_list_prefix}t1"
    assert 500 < memory.transport.run(call(reads("TTL", key))) <= 600
    await both(memory.working).aappend("t1", [HumanMessage("more")], user="alice")
    state = await both(memory.working).aset_goal("t1", "be on time")
    assert (state.goal, state.messages) == ("be on time", [*CONVERSATION, HumanMessage("more")])
    await both(history).aclear()
    assert await both(history).aget_messages() == []


async def test_what_is_known_about_a_user(memory: AgentMemory, both: Both) -> None:
    facts = long_term(memory)
    await both(facts).acreate_index()
    learnt = await both(facts).aremember("I am allergic to peanuts.", user="alice", kind="semantic")
    again = await both(facts).aremember("i am  allergic to peanuts", user="alice", kind="semantic")
    assert (learnt.deduped, again.deduped, again.id) == (False, True, learnt.id)
    await both(facts).aremember("I am allergic to cats.", user="bob", ttl_seconds=600)
    assert facts.wait_indexing()
    (found,) = await both(facts).arecall("Which allergies to peanuts?", user="alice")
    assert (found.text, found.user, found.kind) == ("I am allergic to peanuts.", "alice", "semantic")
    assert [hit.hit_count for hit in await both(facts).alist_memories(user="alice")] == [1]
    assert await both(facts).aforget_user("alice") == 1
    assert await both(facts).aget(learnt.id) is None
    assert [hit.user for hit in await both(facts).alist_memories(user="bob")] == ["bob"]


async def test_an_event_log(memory: AgentMemory, both: Both) -> None:
    ids = await both(memory.events).arecord_many([("t1", {"action": str(number)}) for number in range(3)])
    assert [event.id for event in await both(memory.events).arecent("t1")] == ids[::-1]
    assert [event.id for event in await both(memory.events).aafter("t1", ids[0])] == ids[1:]


async def test_a_chain_that_remembers(memory: AgentMemory, both: Both) -> None:
    chain = memory.wrap(RunnableLambda(lambda inputs: f"known: {inputs['memories']}"))
    await both(chain).ainvoke({"input": "I live in Porto."}, _ids("t1"))
    assert long_term(memory).wait_indexing()
    answer = await both(chain).ainvoke({"input": "Do I live in Porto?"}, _ids("t2"))
    assert re.fullmatch(r"known: - \d{4}-\d\d-\d\d: I live in Porto\.", answer)
    gone = await both(memory).aforget_user("alice")
    assert (sorted(gone.threads), gone.memories >= 1) == (["t1", "t2"], True)


def _ids(thread: str) -> dict[str, dict[str, str]]:
    return {"configurable": {"session_id": thread, "user_id": "alice"}}
