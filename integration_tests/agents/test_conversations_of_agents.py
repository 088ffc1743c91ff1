"""Whole conversations with an agent and the real embeddings: what its model is told, and what is stored."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from langchain.agents import create_agent

from integration_tests.agents.scripted_model import ScriptedModel
from integration_tests.conversations import Line, each_conversation, mistakes, questions
from langchain_agentmem import AgentMemory, EmbeddedRedis, ExchangeReport

pytest.importorskip("tokenizers")


@pytest.fixture(scope="module")
def memory() -> Iterator[AgentMemory]:
    with EmbeddedRedis() as server, AgentMemory(server.url) as memory:
        yield memory


@each_conversation
def test_a_model_is_told_what_was_said_and_what_was_stated_is_stored(
    memory: AgentMemory, lines: list[Line]
) -> None:
    reports: list[ExchangeReport] = []
    model = ScriptedModel.of(lambda _: "ok")
    agent = create_agent(model, middleware=[memory.middleware(on_turn=reports.append)])
    found = []
    for line in lines:
        ids = {"thread_id": line["user"], "user_id": line["user"]}
        agent.invoke({"messages": line["say"]}, config={"configurable": ids})
        first = model.requests[-1][0]
        told = re.findall(r"^- [\d-]+: (.*)$", first.text, re.MULTILINE) if first.type == "system" else []
        found += mistakes(line, told, stored=reports[-1].remembered is not None, asked=questions(lines))
    assert found == []
    assert len(model.requests) == len(lines)
