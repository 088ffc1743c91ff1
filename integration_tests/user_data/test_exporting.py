"""A user's data as plain dicts: all of it, nobody else's, and what cannot be read is reported."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableLambda

from integration_tests.conftest import Both
from integration_tests.upstash.emulator import Emulator
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory
from langchain_agentmem.errors import AgentMemoryError, InvalidInputError

CALLS = [
    HumanMessage("What is the time?"),
    AIMessage("", tool_calls=[{"name": "clock", "args": {"zone": "UTC"}, "id": "c1"}]),
    ToolMessage("12:00", tool_call_id="c1"),
]


@pytest.fixture
async def memory(url: str) -> AsyncIterator[AgentMemory]:
    async with AgentMemory(url, embeddings=WordEmbeddings()) as memory:
        yield memory


async def exported(memory: AgentMemory, both: Both, user: str, **arguments: Any) -> list[dict[str, Any]]:
    return [line async for line in both(memory).aexport_user(user, **arguments)]


async def test_every_tier_of_the_user_and_of_nobody_else(memory: AgentMemory, both: Both) -> None:
    chain = memory.wrap(RunnableLambda(lambda _: "ok"))
    for user in ("alice", "bob", "alice,bob"):
        ids = {"session_id": f"of {user}", "user_id": user, "namespace": "work"}
        chain.invoke(f"{user} likes tea", {"configurable": ids})
    memory.working.start("of alice", goal="tea")
    memory.working.append("of alice", CALLS, user="alice")
    memory.long_term.remember("a fact", user="alice", kind="semantic", metadata={"n": 1}, source_thread="x")
    memory.events.record("of bob", "note", "she was here", user="alice")
    memory.events.record("of bob", "note", "nobody said so")
    lines = await exported(memory, both, "alice")
    assert json.loads(json.dumps(lines)) == lines
    notes, *messages = [line for line in lines if "text" not in line and "action" not in line]
    whose = {"thread": "of alice", "user": "alice"}
    state = memory.working.load("of alice")
    assert state is not None
    times = {"created_ts": state.created_ts, "last_active_ts": state.last_active_ts}
    assert notes == whose | {"agent": "default", "goal": "tea", "scratchpad": ""} | times
    assert [line["role"] for line in messages] == ["user", "assistant", "user", "assistant", "tool"]
    assert messages[3]["tool_calls"][0]["args"] == {"zone": "UTC"}
    assert all(line.items() >= whose.items() for line in messages)
    memories = [line for line in lines if "text" in line]
    assert {line["text"] for line in memories} == {"alice likes tea", "a fact"}
    (fact,) = [line for line in memories if line["text"] == "a fact"]
    assert (fact["metadata"], fact["thread"], fact["kind"], fact["user"]) == (
        {"n": 1},
        "x",
        "semantic",
        "alice",
    )
    events = [line for line in lines if "action" in line]
    assert {line["thread"] for line in events} == {"of alice", "of bob"}
    assert [line["detail"] for line in events if line["thread"] == "of bob"] == ["she was here"]
    assert all(line["user"] in ("alice", "") for line in events)


async def test_tiers_and_a_thread_are_chosen(memory: AgentMemory, both: Both) -> None:
    for thread in ("t1", "t2"):
        memory.working.append(thread, CALLS, user="alice")
        memory.events.record(thread, "note", user="alice")
        memory.long_term.remember(f"fact of {thread}", user="alice", source_thread=thread)
    lines = await exported(memory, both, "alice", tiers=["events", "memories"], thread_id="t1")
    assert [line.get("action") or line["text"] for line in lines] == ["note", "fact of t1"]
    with pytest.raises(InvalidInputError, match="sessions, memories, events"):
        await exported(memory, both, "alice", tiers=["sessions", "all"])
    with pytest.raises(InvalidInputError, match="user"):
        await exported(memory, both, "")


async def test_pages_hold_everything(
    memory: AgentMemory, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langchain_agentmem.user_data._PAGE", 3)
    for number in range(7):
        memory.working.append(f"t{number}", [HumanMessage(str(number))], user="alice")
        memory.long_term.remember(f"x{number} y{number}", user="alice")
        for _ in range(7):
            memory.events.record(f"t{number}", "note", user="alice")
    lines = await exported(memory, both, "alice")
    assert sorted(line["content"] for line in lines if "content" in line) == list("0123456")
    assert len([line for line in lines if "text" in line]) == 7
    assert len({(line["thread"], line["id"]) for line in lines if "action" in line}) == 49


async def test_events_of_nobody_go_with_an_expired_thread_of_the_user_alone(
    memory: AgentMemory, bare: redis.Redis, both: Both
) -> None:
    for thread in ("hers", "shared"):
        memory.working.append(thread, CALLS, user="alice")
        memory.events.record(thread, "note", "of nobody")
        bare.delete(f"agent:session:{thread}")
    memory.events.record("shared", "note", "his", user="bob")
    assert [line["thread"] for line in await exported(memory, both, "alice")] == ["hers"]


async def test_what_cannot_be_read_is_reported_and_hides_nothing(
    memory: AgentMemory, bare: redis.Redis, both: Both, caplog: pytest.LogCaptureFixture
) -> None:
    memory.working.append("t1", CALLS, user="alice")
    turns = bare.hget("agent:session:t1", "recent_turns").replace(b'"role":"tool"', b'"role":"?"')
    bare.hset("agent:session:t1", "recent_turns", turns)
    memory.working.append("t2", CALLS, user="alice")
    bare.delete("agent:session:t2")
    bare.set("agent:session:t2", "another program's")
    memory.events.record("t3", "note", user="alice")
    bare.delete("agent:events:t3")
    bare.set("agent:events:t3", "another program's")
    found: list[AgentMemoryError] = []
    lines = await exported(memory, both, "alice", on_unreadable=found.append)
    assert len(lines) == 3
    assert sorted(str(error).split()[1] for error in found) == ["message", "server", "server"]
    with caplog.at_level(logging.WARNING, "langchain_agentmem"):
        assert await exported(memory, both, "alice") == lines
    assert caplog.text.count("Left out of an export") == 3


async def test_a_thorough_export_finds_what_other_programs_wrote(
    memory: AgentMemory, bare: redis.Redis, both: Both
) -> None:
    turns = '[{"role": "user", "content": "I am here", "ts": 1}]'
    bare.hset("agent:session:old", mapping={"user": "alice", "turn_count": 1, "recent_turns": turns})
    bare.xadd("agent:events:other", {"action": "a", "user": "alice"})
    assert await exported(memory, both, "alice") == []
    lines = await exported(memory, both, "alice", thorough=True)
    assert [line["thread"] for line in lines] == ["old", "old", "other"]


async def test_over_rest_too(emulator: Emulator, both: Both) -> None:
    async with AgentMemory(emulator.url, token=emulator.token) as memory:
        for user in ("alice", "alice:x"):
            await both(memory.working).aappend(f"of {user}", CALLS, user=user)
            await both(memory.events).arecord(f"of {user}", "note", user=user)
            await both(memory.long_term).aremember(f"{user} likes tea", user=user)
        lines = await exported(memory, both, "alice")  # at once: what is not indexed yet is exported too
        assert [line["text"] for line in lines if "text" in line] == ["alice likes tea"]
        assert {line["thread"] for line in lines if "text" not in line} == {"of alice"}
        gone = await both(memory).aforget_user("alice")
        assert (gone.threads, gone.memories, gone.events, gone.unreached) == (["of alice"], 1, 1, [])
        assert await exported(memory, both, "alice") == []
        assert len(await exported(memory, both, "alice:x")) == 6
