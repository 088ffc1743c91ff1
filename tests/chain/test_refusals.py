"""What cannot be wrapped, because an exchange could not do what it is for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import (
    Runnable,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)

from langchain_agentmem.chain.refusals import every_part, refuse_agent, refuse_model, refuse_stream_mode
from langchain_agentmem.errors import InvalidInputError
from tests.chain.fake_memory import wrapping

OK: Runnable[Any, Any] = RunnableLambda(lambda _: "ok")
Around = Callable[[Runnable[Any, Any]], Runnable[Any, Any]]


class Pregel(RunnableLambda[Any, Any]):
    """Stands for a compiled graph, which is known by its class and module."""

    __module__ = "langgraph.pregel"
    stream_mode: Any = "updates"

    def __init__(self, *channels: str) -> None:
        super().__init__(lambda _: {"messages": []})
        self.channels = dict.fromkeys(channels)


class PregelProtocol(RunnableLambda[Any, Any]):
    """Stands for a graph that runs elsewhere, whose state cannot be seen."""

    __module__ = "langgraph.pregel.protocol"

    def __init__(self) -> None:
        super().__init__(lambda _: {"messages": []})


GETS_THE_INPUT: dict[str, Around] = {
    "itself": lambda inner: inner,
    "first of a sequence": lambda inner: inner | OK,
    "retried": lambda inner: inner.with_retry(),
    "with a config": lambda inner: inner.with_config(tags=["a"]),
    "with a fallback": lambda inner: inner.with_fallbacks([OK]),
    "a fallback": lambda inner: OK.with_fallbacks([inner]),
}
RUNS_INSIDE: dict[str, Around] = {
    **GETS_THE_INPUT,
    "last of a sequence": lambda inner: OK | inner,
    "beside another": lambda inner: RunnableParallel(a=OK, b=inner) | OK,
    "assigned": lambda inner: RunnablePassthrough.assign(a=inner) | OK,
    "a branch": lambda inner: RunnableBranch((lambda _: True, inner), OK),
    "the other branch": lambda inner: RunnableBranch((lambda _: True, OK), inner),
    "for each": lambda inner: inner.map(),
}


def each(ways: dict[str, Around]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("around", ways.values(), ids=list(ways))


@each(GETS_THE_INPUT)
@pytest.mark.parametrize("graph", [Pregel("messages"), Pregel("input", "memories")], ids=["agent", "other"])
def test_a_graph_without_a_place_for_the_history_is_refused(around: Around, graph: Pregel) -> None:
    with pytest.raises(InvalidInputError, match="an agent keeps its own messages"):
        refuse_agent(around(graph), wrapping().keys)


@each(GETS_THE_INPUT)
def test_a_graph_that_takes_all_is_a_chain(around: Around) -> None:
    refuse_agent(around(Pregel("input", "chat_history", "memories", "messages")), wrapping().keys)


def test_what_is_not_handed_on_needs_no_place() -> None:
    refuse_agent(Pregel("input", "chat_history"), wrapping(memories_key=None).keys)


def test_a_graph_behind_a_function_is_the_functions_affair() -> None:
    refuse_agent(OK | Pregel("messages"), wrapping().keys)


def test_a_graph_elsewhere_is_refused_if_it_takes_messages() -> None:
    with pytest.raises(InvalidInputError, match="an agent keeps its own messages"):
        refuse_agent(PregelProtocol(), wrapping(input_key="messages").keys)
    refuse_agent(PregelProtocol(), wrapping().keys)


@pytest.mark.parametrize("mode", ["updates", "messages", ["values"], ["values", "updates"]], ids=str)
@pytest.mark.parametrize("streams", [True, False])
def test_parts_that_are_no_answer_together_are_refused(mode: Any, streams: bool) -> None:
    for chain, given in ((OK, {"stream_mode": mode}), (OK.bind(stream_mode=mode) | OK, {})):
        with pytest.raises(InvalidInputError, match='stream_mode="values"'):
            refuse_stream_mode(chain, given, streams=streams)


def test_a_graphs_own_way_to_stream_matters_only_when_it_streams() -> None:
    with pytest.raises(InvalidInputError, match="stream_mode='updates'"):
        refuse_stream_mode(Pregel("input"), {}, streams=True)
    refuse_stream_mode(Pregel("input"), {}, streams=False)
    refuse_stream_mode(OK | Pregel("input"), {}, streams=True)


def test_whole_states_are_answers() -> None:
    refuse_stream_mode(Pregel("input"), {"stream_mode": "values"}, streams=True)
    refuse_stream_mode(Pregel("input").bind(stream_mode="values"), {}, streams=True)


@each(RUNS_INSIDE)
def test_every_part_is_found(around: Around) -> None:
    inner: Runnable[Any, Any] = RunnableLambda(lambda _: "inner")
    assert any(part is inner for part in every_part(around(inner)))


def test_what_a_function_calls_is_not_seen() -> None:
    def parts() -> Iterator[Runnable[Any, Any]]:
        return every_part(RunnableLambda(lambda said: OK.invoke(said)))

    assert len(list(parts())) == 1


@pytest.mark.parametrize("around", GETS_THE_INPUT.values(), ids=GETS_THE_INPUT)
def test_a_model_that_would_get_the_dict_is_refused_and_one_behind_a_prompt_is_not(around: Around) -> None:
    model = FakeListChatModel(responses=["ok"])
    with pytest.raises(InvalidInputError, match="put a prompt before it"):
        refuse_model(around(model))
    refuse_model(around(ChatPromptTemplate.from_template("{input}") | model))
