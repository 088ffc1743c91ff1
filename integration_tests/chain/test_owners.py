"""A session is its user's: another user's turn is refused, before the chain runs and in the writing step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableLambda

from integration_tests.chain.conftest import Run, config, contents
from integration_tests.conftest import BACKENDS, Both, Call, Counting, connection_to
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory
from langchain_agentmem.errors import WrongOwnerError
from langchain_agentmem.working.working_memory import WorkingMemory

SECRET = "the-owner-nobody-may-know"


@pytest.fixture(params=["hash", "list"])
async def memory(url: str, request: pytest.FixtureRequest) -> AsyncIterator[AgentMemory]:
    async with AgentMemory(url, embeddings=WordEmbeddings(), session_storage=request.param) as memory:
        yield memory


@pytest.mark.parametrize("on_error", ["raise", "continue"])
async def test_anothers_session_is_refused_before_the_chain_runs(
    memory: AgentMemory, bare: redis.Redis, run: Run, on_error: Any
) -> None:
    memory.settings = memory.settings.model_copy(update={"on_error": on_error})
    memory.working.append("t1", [HumanMessage("private")], user=SECRET)
    before = {key: bare.dump(key) for key in bare.scan_iter()}
    asked: list[Any] = []
    with pytest.raises(WrongOwnerError, match="check_owner=False") as caught:
        await run(memory.wrap(RunnableLambda(asked.append)), "I am here", config())
    assert isinstance(caught.value, PermissionError)
    assert SECRET not in str(caught.value)
    assert asked == []
    assert {key: bare.dump(key) for key in bare.scan_iter()} == before


async def test_its_own_user_and_whoever_may_go_on(memory: AgentMemory, run: Run) -> None:
    chain = memory.wrap(RunnableLambda(lambda inputs: f"{len(inputs['chat_history'])}"))
    assert await run(chain, "I am here", config()) == "0"
    assert await run(chain, "I am here", config()) == "2"
    shared = memory.wrap(RunnableLambda(lambda inputs: f"{len(inputs['chat_history'])}"), check_owner=False)
    assert await run(shared, "I am here", config(user="bob")) == "4"
    state = memory.working.load("t1")
    assert state is not None
    assert state.user == "alice"


async def test_a_session_of_nobody_in_particular_is_open(
    memory: AgentMemory, bare: redis.Redis, run: Run
) -> None:
    chain = memory.wrap(RunnableLambda(lambda inputs: f"{len(inputs['chat_history'])}"))
    memory.history("t1").add_messages([HumanMessage("I am here"), AIMessage("yo")])
    assert await run(chain, "more", config()) == "2"
    memory.working.append("t2", [HumanMessage("I am here")])
    bare.hdel("agent:session:t2", "user")
    assert await run(chain, "more", config("t2")) == "1"


async def test_a_chain_that_names_no_user_is_not_checked(memory: AgentMemory) -> None:
    memory.working.append("t1", [HumanMessage("I am here")], user="alice")
    chain = memory.wrap(RunnableLambda(lambda _: "ok"), memories_key=None, remember=None)
    assert chain.invoke("more", {"configurable": {"session_id": "t1"}}) == "ok"
    with pytest.raises(WrongOwnerError):
        chain.invoke("more", {"configurable": {"session_id": "t1", "user_id": "default"}})


@pytest.mark.parametrize("on_error", ["raise", "continue"])
async def test_a_session_that_another_began_meanwhile_is_left_alone(
    memory: AgentMemory, run: Run, on_error: Any
) -> None:
    memory.settings = memory.settings.model_copy(update={"on_error": on_error})

    def answer(_: Any) -> str:
        memory.working.append("t1", [HumanMessage("private")], user=SECRET)
        return "dear"

    with pytest.raises(WrongOwnerError, match="check_owner=False") as caught:
        await run(memory.wrap(RunnableLambda(answer)), "I am here", config())
    assert caught.value.output == "dear"
    assert SECRET not in str(caught.value)
    assert contents(memory) == ["private"]


async def test_nor_is_what_was_said_to_a_failing_chain_put_there(memory: AgentMemory, run: Run) -> None:
    def answer(_: Any) -> str:
        memory.working.append("t1", [HumanMessage("private")], user=SECRET)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run(memory.wrap(RunnableLambda(answer)), "I am here", config())
    assert contents(memory) == ["private"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("storage", ["hash", "list"])
@pytest.mark.parametrize("user", ["alice", "álice 😀", "default "])
async def test_reading_can_ask_for_the_user(
    request: pytest.FixtureRequest, url: str, both: Both, backend: str, storage: Any, user: str
) -> None:
    connection = connection_to(backend, request, url)
    working = WorkingMemory(transport=connection, storage=storage)
    await both(working).aappend("t1", [HumanMessage("I am here")], user=user)
    assert await both(working).amessages("t1", user=user) == [HumanMessage("I am here")]
    assert (await both(working).aload("t1", user=user)).user == user
    with pytest.raises(WrongOwnerError):
        await both(working).amessages("t1", user="bob")
    with pytest.raises(WrongOwnerError):
        await both(working).aload("t1", user="bob")
    assert await both(working).amessages("t2", user="bob") == []
    assert await both(working).aload("t2", user="bob") is None
    await connection.aclose()


async def test_the_check_costs_no_round_trip(memory: AgentMemory, run: Run) -> None:
    counting = Counting(memory.transport)
    chain = memory.wrap(RunnableLambda(lambda _: "ok"))
    await run(chain, "warm up", config())
    counting.round_trips = 0
    await run(chain, "I am here", config())
    assert counting.round_trips == 2


async def test_a_named_user_is_checked_wherever_it_is_named(url: str, bare: redis.Redis, both: Both) -> None:
    async with AgentMemory(url, embeddings=WordEmbeddings()) as memory:
        await both(memory.working).aappend("t1", [HumanMessage("private")], user=SECRET)
        before = bare.dump("agent:session:t1")
        history = memory.history("t1", user="bob")
        calls: list[Call] = [
            lambda: both(memory.working).aappend("t1", [HumanMessage("x")], user="bob"),
            lambda: both(memory.working).aappend_turn("t1", "user", "x", user="bob"),
            lambda: both(memory.working).astart("t1", user="bob"),
            lambda: both(history).aget_messages(),
            lambda: both(history).aadd_messages([HumanMessage("x")]),
            lambda: both(history).aclear(),
        ]
        for call in calls:
            with pytest.raises(WrongOwnerError) as caught:
                await call()
            assert SECRET not in str(caught.value)
        assert bare.dump("agent:session:t1") == before
        await both(memory.working).aappend("t1", [HumanMessage("x")], user="bob", check_owner=False)
        assert len(memory.history("t1", user=SECRET).messages) == len(memory.history("t1").messages) == 2
        assert (await both(memory.working).astart("t1", user="bob", check_owner=False)).user == "bob"
        await both(history).aclear()
        assert not bare.exists("agent:session:t1")
