"""Whole conversations with a wrapped chain and the real model: what is recalled, and what is stored."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from langchain_core.runnables import RunnableLambda

from integration_tests.conversations import Line, each_conversation, mistakes, questions
from langchain_agentmem import AgentMemory, EmbeddedRedis, ExchangeReport


@pytest.fixture(scope="module")
def memory() -> Iterator[AgentMemory]:
    with EmbeddedRedis() as server, AgentMemory(server.url) as memory:
        yield memory


@each_conversation
def test_a_chain_recalls_what_was_said_and_stores_what_was_stated(
    memory: AgentMemory, lines: list[Line]
) -> None:
    reports: list[ExchangeReport] = []
    chain = memory.wrap(RunnableLambda(lambda _: "ok"), on_exchange=reports.append)
    found = []
    for line in lines:
        chain.invoke(line["say"], {"configurable": {"session_id": line["user"], "user_id": line["user"]}})
        report = reports[-1]
        texts = [record.text for record in report.recalled]
        found += mistakes(line, texts, stored=report.remembered is not None, asked=questions(lines))
    assert found == []
