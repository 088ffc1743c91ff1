"""`read_turn` and `write_turn`, for frameworks that wrap nothing, on a real server."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import signal
import subprocess
import sys
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from integration_tests.chain.conftest import actions, contents
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory, TurnContext, TurnResult
from langchain_agentmem.errors import InvalidInputError, MessageNotStorableError, WrongOwnerError

Twin = Callable[..., Awaitable[Any]]


@pytest.fixture(params=["", "a"], ids=["sync", "async"])
def call(request: pytest.FixtureRequest, memory: AgentMemory) -> Twin:
    """Call a method of the memory, or its async twin."""

    async def call(name: str, *args: Any, **options: Any) -> Any:
        result = getattr(memory, request.param + name)(*args, **options)
        return await result if inspect.isawaitable(result) else result

    return call


async def test_a_turn_is_two_round_trips_and_one_embedding(memory: AgentMemory, call: Twin) -> None:
    memory.working.start("t1", user="alice", goal="plan a trip")
    memory.long_term.remember("I am called Alice.", user="alice", kind="profile")
    memory.long_term.remember("I like trains.", user="alice")
    with memory.trace() as trace:
        context: TurnContext = await call("read_turn", "t1", user="alice", text="trains?", pinned=["profile"])
        asked, answer = HumanMessage("trains?"), AIMessage("By train, then.")
        result: TurnResult = await call("write_turn", context, [asked, answer], events=[{"action": "rated"}])
    assert len(trace.round_trips) == 2
    assert [len(one.texts) for one in trace.embeddings] == [1]
    assert context.goal == "plan a trip"
    assert [record.text for record in context.pinned] == ["I am called Alice."]
    assert [record.text for record in context.memories] == ["I like trains."]
    assert (result.turn_count, result.not_remembered) == (2, "question")
    assert contents(memory) == ["trains?", "By train, then."]
    assert actions(memory) == ["turn_start", "recall", "rated"]


async def test_what_is_stated_is_remembered_and_recalled_in_the_next_turn(call: Twin) -> None:
    said = HumanMessage("I live in Oslo.")
    context = await call("read_turn", "t1", user="alice", text=said.text, messages=[said])
    result = await call("write_turn", context, [said, AIMessage("Noted.")])
    assert result.remembered
    again = await call("read_turn", "t1", user="alice", text="Oslo?")
    assert again.history == [said, AIMessage("Noted.")]
    assert str(again.memories).endswith("I live in Oslo.")
    nobody = await call("read_turn", "t2", user="bob", text="Oslo?")
    assert (nobody.history, nobody.memories) == ([], [])
    with pytest.raises(WrongOwnerError):
        await call("read_turn", "t1", user="bob", text="Oslo?")


async def test_a_turn_that_is_written_is_freed_at_once(call: Twin) -> None:
    """Else each of thousands would keep its messages until the garbage collector comes, which takes long."""
    said, answer = HumanMessage("I live in Oslo."), AIMessage("Noted.")
    context = await call("read_turn", "t1", user="alice", text=said.text)
    await call("write_turn", context, [said, answer])
    turns, read = [], await call("read_turn", "t1", user="alice", text="Oslo?")
    gc.disable()
    try:
        turns.append(weakref.ref(read._turn))
        await call("write_turn", read, [HumanMessage("Oslo?"), answer])
        made = TurnContext("t1", "alice", text="Oslo?")
        await call("write_turn", made, [HumanMessage("Oslo?"), answer])
        assert [turn() for turn in turns] == [None]
        assert made._turn is None
    finally:
        gc.enable()
    for context in (read, made):
        with pytest.raises(InvalidInputError, match="written already"):
            await call("write_turn", context, [HumanMessage("Oslo?"), answer])


async def test_tool_calls_come_back_with_their_results(memory: AgentMemory, call: Twin) -> None:
    call_of_a_tool: Any = {"name": "weather", "args": {"city": "Oslo"}, "id": "c1", "type": "tool_call"}
    messages = [
        HumanMessage("And today?"),
        AIMessage("", tool_calls=[call_of_a_tool]),
        ToolMessage("rain", tool_call_id="c1"),
        AIMessage("Rain."),
    ]
    context = await call("read_turn", "t1", user="alice", text="And today?", store_input=True)
    await call("write_turn", context, messages)
    assert (await call("read_turn", "t1", user="alice", text="Why?")).history == messages


async def test_an_unanswered_question_is_kept_and_replaced_when_it_is_said_again(
    memory: AgentMemory, call: Twin
) -> None:
    asked = [HumanMessage("Where is Oslo?")]
    for _ in range(2):
        context = await call("read_turn", "t1", user="alice", text=asked[0].text, store_input=True)
        assert context.history == []
    assert contents(memory) == ["Where is Oslo?"] * 2
    await call("write_turn", context, asked, unanswered=True)
    assert contents(memory) == ["Where is Oslo?"]
    context = await call("read_turn", "t1", user="alice", text=asked[0].text)
    await call("write_turn", context, [*asked, AIMessage("In Norway.")])
    assert contents(memory) == ["Where is Oslo?", "In Norway."]


@pytest.mark.parametrize("reads_again", [False, True])
async def test_a_turn_that_cannot_be_written_whole_is_marked_until_it_is(
    memory: AgentMemory, call: Twin, monkeypatch: pytest.MonkeyPatch, reads_again: bool
) -> None:
    def fail(*args: Any, **more: Any) -> Any:
        raise OSError("the disk is full")

    said = [HumanMessage("I live in Oslo."), AIMessage("Noted.")]
    context = await call("read_turn", "t1", user="alice", text=said[0].text)
    with monkeypatch.context() as broken:
        broken.setattr(memory.long_term, "remember_op", fail)
        with pytest.raises(OSError, match="disk"):
            await call("write_turn", context, said)
    state = memory.working.load("t1")
    assert state is not None
    assert [turn.unanswered for turn in state.recent_turns] == [True, True]
    if reads_again:
        context = await call("read_turn", "t1", user="alice", text=said[0].text)
    result = await call("write_turn", context, said)
    assert (result.turn_count, len(result.remembered)) == (2, 1)
    assert contents(memory) == ["I live in Oslo.", "Noted."]
    with pytest.raises(InvalidInputError, match="written already"):
        await call("write_turn", context, said)


async def test_nothing_is_written_of_what_is_refused(memory: AgentMemory, call: Twin) -> None:
    for wrong in ({"user": ""}, {"text": None}, {"k": -1}, {"pinned": "profile"}, {"remember": 5}):
        with pytest.raises(InvalidInputError):
            await call("read_turn", "t1", **{"user": "alice", "text": "hi", "store_input": True, **wrong})
    context = await call("read_turn", "t1", user="alice", text="hi")
    for messages, error in (
        (["hi"], InvalidInputError),
        ([AIMessage("x", additional_kwargs={"a": {1}})], MessageNotStorableError),
    ):
        with pytest.raises(error):
            await call("write_turn", context, messages)
    assert contents(memory) == []


async def test_a_turn_is_written_once(memory: AgentMemory, call: Twin) -> None:
    said = [HumanMessage("I live in Oslo."), AIMessage("Noted.")]
    for number, context in enumerate(
        [
            await call("read_turn", "t1", user="alice", text=said[0].text, store_input=True),
            TurnContext("t1", "alice", text=said[0].text),
        ],
        start=1,
    ):
        await call("write_turn", context, said)
        for unanswered in (False, True):
            with pytest.raises(InvalidInputError, match="written already"):
                await call("write_turn", context, said, unanswered=unanswered, events=[{"action": "again"}])
        assert memory.working.messages("t1") == said * number
    assert "again" not in actions(memory)


async def test_of_a_turn_that_is_written_twice_at_once_one_is_refused(memory: AgentMemory) -> None:
    context = await memory.aread_turn("t1", user="alice", text="hi")
    said = [HumanMessage("hi"), AIMessage("yo")]
    first, second = await asyncio.gather(
        *(memory.awrite_turn(context, said) for _ in range(2)), return_exceptions=True
    )
    assert isinstance(first, TurnResult)
    assert isinstance(second, InvalidInputError)
    assert memory.working.messages("t1") == said


@pytest.mark.parametrize("messages", [[], [HumanMessage("I live in Oslo.")]], ids=["none", "the question"])
async def test_of_a_turn_without_an_answer_nothing_is_remembered(
    memory: AgentMemory, call: Twin, messages: list[Any]
) -> None:
    context = await call("read_turn", "t1", user="alice", text="I live in Oslo.", store_input=True)
    result = await call("write_turn", context, messages)
    assert (result.remembered, result.not_remembered) == ([], "unanswered")
    assert memory.long_term.list_memories(user="alice") == []
    state = memory.working.load("t1")
    assert state is not None
    assert [(turn.content, turn.unanswered) for turn in state.recent_turns] == [("I live in Oslo.", True)]


async def test_what_another_agent_says_as_a_human_message_leaves_a_turn_answered(
    memory: AgentMemory, call: Twin
) -> None:
    said = [HumanMessage("I live in Oslo."), AIMessage("Noted."), HumanMessage("Fine.", name="critic")]
    result = await call("write_turn", TurnContext("t1", "alice", text=said[0].text), said)
    assert len(result.remembered) == 1
    state = memory.working.load("t1")
    assert state is not None
    assert not any(turn.unanswered for turn in state.recent_turns)


async def test_turns_at_once_keep_every_message(memory: AgentMemory) -> None:
    async def turn(number: int) -> None:
        asked = HumanMessage(f"question {number}")
        context = await memory.aread_turn("t1", user="alice", text=asked.text, store_input=True)
        await memory.awrite_turn(context, [asked, AIMessage(f"answer {number}")])

    await asyncio.gather(*map(turn, range(8)))
    found = contents(memory)
    assert sorted(found) == sorted(
        f"{word} {number}" for word in ("question", "answer") for number in range(8)
    )
    assert all(found[at + 1] == found[at].replace("question", "answer") for at in range(0, 16, 2))
    state = memory.working.load("t1")
    assert state is not None
    assert state.turn_count == 16


async def test_what_is_said_twice_at_once_leaves_an_exchange_each(memory: AgentMemory, call: Twin) -> None:
    asked = HumanMessage("yes")
    contexts = [await call("read_turn", "t1", user="alice", text="yes", store_input=True) for _ in range(3)]
    counts = [
        (await call("write_turn", context, [asked, AIMessage(f"answer {number}")])).turn_count
        for number, context in enumerate(contexts)
    ]
    assert contents(memory) == ["yes", "answer 0", "yes", "answer 1", "yes", "answer 2"]
    assert counts[-1] == 6


KILLED = """
import os, signal, sys
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory
memory = AgentMemory(sys.argv[1], embeddings=WordEmbeddings())
memory.read_turn("t1", user="alice", text="My cat is ill.", store_input=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_said_to_a_process_that_is_killed_is_kept(url: str) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, url], cwd=os.getcwd(), check=False)
    assert ended.returncode == -signal.SIGKILL
    with AgentMemory(url, embeddings=WordEmbeddings()) as memory:
        state = memory.working.load("t1")
        assert state is not None
        assert [(turn.content, turn.unanswered) for turn in state.recent_turns] == [("My cat is ill.", True)]
        said = [HumanMessage("My cat is ill."), AIMessage("Poor cat.")]
        memory.write_turn(memory.read_turn("t1", user="alice", text="My cat is ill."), said)
        assert contents(memory) == ["My cat is ill.", "Poor cat."]
