"""`wrap` around what LangGraph and LangChain's `create_agent` really make."""

from __future__ import annotations

from typing import Any, TypedDict

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from integration_tests.chain.conftest import config, contents
from langchain_agentmem import AgentMemory
from langchain_agentmem.errors import InvalidInputError

graphs = pytest.importorskip("langgraph.graph")
agents = pytest.importorskip("langchain.agents")


class State(TypedDict, total=False):
    input: str
    chat_history: list[Any]
    memories: Any
    output: str


def graph(answer: Any, **options: Any) -> Any:
    builder = graphs.StateGraph(State)
    builder.add_node("answer", answer)
    builder.add_edge(graphs.START, "answer")
    builder.add_edge("answer", graphs.END)
    return builder.compile(**options)


@pytest.mark.parametrize(
    "keys", [{}, {"input_key": "messages"}, {"input_key": "messages", "memories_key": None}]
)
def test_an_agent_is_refused_and_pointed_to_a_middleware(memory: AgentMemory, keys: dict[str, Any]) -> None:
    agent = agents.create_agent(GenericFakeChatModel(messages=iter([AIMessage("hi")])), tools=[])
    with pytest.raises(InvalidInputError, match=r"memory\.middleware"):
        memory.wrap(agent, **keys)


def test_a_graph_that_has_the_names_remembers(memory: AgentMemory) -> None:
    def answer(state: State) -> State:
        return {"output": f"{state['input']} after {len(state['chat_history'])}"}

    chain = memory.wrap(graph(answer))
    assert chain.invoke({"input": "a"}, config())["output"] == "a after 0"
    assert [*chain.stream({"input": "b"}, config(), stream_mode="values")][-1]["output"] == "b after 2"
    with pytest.raises(InvalidInputError, match='stream_mode="values"'):
        next(chain.stream({"input": "c"}, config()))
    assert contents(memory) == ["a", "a after 0", "b", "b after 2"]


def test_a_graph_that_waits_for_somebody_has_not_answered(memory: AgentMemory) -> None:
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.types import interrupt

    chain = memory.wrap(graph(lambda _: {"output": interrupt("ok?")}, checkpointer=InMemorySaver()))
    given = config()
    given["configurable"]["thread_id"] = "t1"
    assert "__interrupt__" in chain.invoke({"input": "do it"}, given)
    state = memory.working.load("t1")
    assert state is not None
    assert [(turn.content, turn.unanswered) for turn in state.recent_turns] == [("do it", True)]
