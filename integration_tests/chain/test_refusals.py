"""What `wrap` refuses, because a turn could not do what it is for."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import (
    Runnable,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)

from integration_tests.chain.conftest import Run, config, contents
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory
from langchain_agentmem.errors import InvalidInputError

OK: Runnable[Any, Any] = RunnableLambda(lambda _: "ok")


@pytest.mark.parametrize("remember", [True, False, 7])
def test_what_names_no_kind_is_refused(url: str, remember: Any) -> None:
    expected = f"a function from the text to one of the last two, not {type(remember).__name__}"
    memory = AgentMemory(url, embeddings=WordEmbeddings())
    with memory, pytest.raises(InvalidInputError, match=expected):
        memory.wrap(OK, remember=remember)


class PregelProtocol(Runnable[Any, Any]):
    """Stands for LangGraph's base class, which need not be installed: the same name, in the same package."""

    __module__ = "langgraph.pregel.protocol"

    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        return {"messages": [AIMessage("ok")]}


class Graph(PregelProtocol):
    """A compiled graph, with the state that it has and the way in which it streams by itself."""

    __module__ = "langgraph.graph.state"

    def __init__(self, *state: str, stream_mode: str = "updates") -> None:
        self.channels = dict.fromkeys(["__start__", *state])
        self.stream_mode = stream_mode

    def stream(self, input: Any, config: Any = None, *, stream_mode: Any = None, **kwargs: Any) -> Any:
        yield self.invoke(input) if stream_mode == "values" else {"node": {"messages": []}}


def bound(runnable: Runnable[Any, Any], **options: Any) -> Runnable[Any, Any]:
    return runnable.bind(**options)


AROUND = [
    lambda inner: inner,
    lambda inner: inner | OK,
    lambda inner: OK | inner,
    lambda inner: inner.with_retry(),
    lambda inner: inner.with_config(configurable={"session_id": "its own, until a call names another"}),
    lambda inner: OK.with_fallbacks([inner]),
    lambda inner: RunnableParallel(a=OK, b=inner) | OK,
    lambda inner: RunnablePassthrough.assign(a=inner) | OK,
    lambda inner: RunnableBranch((lambda _: True, inner), OK),
    lambda inner: inner.map(),
]


class TestNested:
    @pytest.mark.parametrize("around", AROUND)
    async def test_a_chain_that_is_wrapped_already_is_refused(self, memory: AgentMemory, around: Any) -> None:
        with pytest.raises(InvalidInputError, match="stored twice"):
            memory.wrap(around(memory.wrap(OK)))

    async def test_through_another_memory_too(self, memory: AgentMemory, url: str) -> None:
        async with AgentMemory(url, session_prefix="other:", embeddings=WordEmbeddings()) as other:
            outer = other.wrap(memory.wrap(OK))
            assert outer.invoke("hi", config()) == "ok"
            assert contents(memory) == contents(other) == ["hi", "ok"]
            with pytest.raises(InvalidInputError, match="stored twice"):
                memory.wrap(outer)

    async def test_two_memories_of_one_store_are_one(self, memory: AgentMemory, url: str, run: Run) -> None:
        async with AgentMemory(url, embeddings=WordEmbeddings()) as twin:
            with pytest.raises(InvalidInputError, match="stored twice"):
                memory.wrap(twin.wrap(OK))
            inner = twin.wrap(OK)
            with pytest.raises(InvalidInputError, match="inside another one"):
                await run(memory.wrap(RunnableLambda(lambda _: inner.invoke("hi", config()))), "hi", config())

    async def test_one_inside_a_function_is_refused_when_it_runs(self, memory: AgentMemory, run: Run) -> None:
        asked: list[Any] = []
        inner = memory.wrap(RunnableLambda(asked.append))
        for calling in (lambda said: inner.invoke("hi", config()), lambda said: inner):
            with pytest.raises(InvalidInputError, match="inside another one"):
                await run(memory.wrap(RunnableLambda(calling)), "hi", config())
        assert asked == []
        assert contents(memory) == ["hi"]

    async def test_beside_others_at_once_too(self, memory: AgentMemory, run: Run) -> None:
        inner = memory.wrap(OK)
        both = RunnableParallel(a=lambda said: inner.invoke("a", config()), b=OK)
        with pytest.raises(InvalidInputError, match="inside another one"):
            await run(memory.wrap(both), "hi", config())

    async def test_one_with_a_session_of_its_own_may_be_inside(self, memory: AgentMemory, run: Run) -> None:
        inner = memory.wrap(RunnableLambda(lambda _: "from inside"))
        agents = (
            RunnableLambda(lambda said: inner.invoke(said["input"], config("sub"))),
            RunnableParallel(
                answer=lambda said: inner.invoke(said["input"], config("sub")),
                other=lambda said: inner.invoke("beside", config("beside")),
            ),
        )
        for agent in agents:
            await run(memory.wrap(agent), {"input": "hi"}, config())
            assert contents(memory, "sub")[-2:] == ["hi", "from inside"]
        assert contents(memory)[-2:] == ["hi", "from inside"]

    async def test_a_turn_that_is_over_is_not_around_anything(self, memory: AgentMemory) -> None:
        later: list[Any] = []
        memory.wrap(RunnableLambda(lambda said, config: later.append(config) or "ok")).invoke("hi", config())
        assert memory.wrap(OK).invoke("ho", {**later[0], **config()}) == "ok"

    async def test_turns_that_alternate_are_not_nested(self, memory: AgentMemory) -> None:
        chain = memory.wrap(OK)
        first: Any = chain.stream("a", config())
        assert next(first) == "ok"
        assert chain.invoke("b", config()) == "ok"
        assert list(first) == []
        assert contents(memory) == ["b", "ok", "a", "ok"]


@pytest.mark.parametrize(
    "options",
    [
        {"input_key": "chat_history"},
        {"history_key": "input"},
        {"memories_key": "input"},
        {"history_key": "memories"},
        {"input_key": "x", "history_key": "x", "memories_key": None},
    ],
    ids=str,
)
async def test_names_that_would_overwrite_each_other_are_refused(memory: AgentMemory, options: Any) -> None:
    with pytest.raises(InvalidInputError, match="overwrite"):
        memory.wrap(OK, **options)


async def test_a_way_to_abandon_that_is_none_is_refused(memory: AgentMemory) -> None:
    with pytest.raises(InvalidInputError, match="keep_input, keep_partial, drop"):
        memory.wrap(OK, on_abandon="keep")  # type: ignore[arg-type]


class TestGraphs:
    @pytest.mark.parametrize("around", [AROUND[0], AROUND[1], AROUND[3], AROUND[4]])
    @pytest.mark.parametrize("options", [{"input_key": "messages"}, {}], ids=str)
    async def test_an_agent_is_refused(self, memory: AgentMemory, around: Any, options: Any) -> None:
        with pytest.raises(InvalidInputError, match="agent"):
            memory.wrap(around(Graph("messages")), **options)

    async def test_so_is_one_that_runs_elsewhere(self, memory: AgentMemory) -> None:
        with pytest.raises(InvalidInputError, match="agent"):
            memory.wrap(PregelProtocol(), input_key="messages")

    async def test_a_graph_whose_state_takes_all_is_a_chain(self, memory: AgentMemory, run: Run) -> None:
        graph = Graph("input", "chat_history", "memories", "messages", stream_mode="values")
        graph_chain = memory.wrap(bound(graph, stream_mode="values"))
        assert (await run(graph_chain, "hi", config()))["messages"] == [AIMessage("ok")]
        assert contents(memory) == ["hi", "ok"]

    async def test_an_agent_behind_a_function_is_the_functions_affair(self, memory: AgentMemory) -> None:
        chain = memory.wrap(RunnableLambda(lambda said: {"messages": [said["input"]]}) | Graph("messages"))
        chain.invoke("hi", config())
        assert contents(memory) == ["hi", "ok"]

    @pytest.mark.parametrize("mode", ["updates", "messages", "custom", ["values"], ["values", "updates"]])
    async def test_a_stream_that_is_no_answer_is_refused_before_it_begins(
        self, memory: AgentMemory, mode: Any
    ) -> None:
        graph = Graph("input", "chat_history", "memories")
        for chain, more in (
            (memory.wrap(graph), {"stream_mode": mode}),
            (memory.wrap(bound(graph, stream_mode=mode)), {}),
            (memory.wrap(OK), {"stream_mode": mode}),
        ):
            with pytest.raises(InvalidInputError, match="stream_mode"):
                list(chain.stream("hi", config(), **more))
            with pytest.raises(InvalidInputError, match="stream_mode"):
                [chunk async for chunk in chain.astream("hi", config(), **more)]
        with pytest.raises(InvalidInputError, match="stream_mode"):
            memory.wrap(graph).invoke("hi", config(), stream_mode=mode)
        assert contents(memory) == []

    async def test_so_is_the_way_in_which_a_graph_streams_by_itself(self, memory: AgentMemory) -> None:
        chain = memory.wrap(Graph("input", "chat_history", "memories"))
        with pytest.raises(InvalidInputError, match='stream_mode="values"'):
            list(chain.stream("hi", config()))
        assert list(chain.stream("hi", config(), stream_mode="values")) == [{"messages": [AIMessage("ok")]}]
        assert contents(memory) == ["hi", "ok"]
