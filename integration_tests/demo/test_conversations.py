"""Whole conversations with the real model: what `wrap`, chat and page recall, answer, and store of them.

In `tests/data/conversations.json`, each turn names the words that must be among what is recalled, in the order of
their first mention (`[]`: nothing is recalled), and whether the text becomes a memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
from langchain_core.runnables import RunnableLambda

from integration_tests.demo.conftest import Demo
from langchain_agentmem import AgentMemory, EmbeddedRedis, ExchangeReport
from langchain_agentmem.cli.chat.conversation import Conversation
from langchain_agentmem.cli.chat.models import offline
from langchain_agentmem.cli.console import Screen

Turn: TypeAlias = dict[str, Any]

DATA = Path(__file__).parents[2] / "tests/data/conversations.json"
CONVERSATIONS: dict[str, list[Turn]] = json.loads(DATA.read_text("utf-8"))

pytestmark = pytest.mark.parametrize("turns", CONVERSATIONS.values(), ids=[*CONVERSATIONS])


@pytest.fixture(scope="module")
def real(own_server: EmbeddedRedis) -> Iterator[AgentMemory]:
    """A memory with the model loaded once, under prefixes that the demo on the same server does not use."""
    prefixes = {name: f"own:{name}:" for name in ("session_prefix", "memory_prefix", "events_prefix")}
    with AgentMemory(own_server.url, index_name="own", threads_prefix="own:threads:", **prefixes) as memory:
        yield memory


@pytest.fixture
def memory(real: AgentMemory, turns: list[Turn]) -> AgentMemory:
    for turn in turns:
        real.forget_user(turn["user"])
    return real


def mistakes(turn: Turn, given: str, *, stored: bool) -> list[str]:
    """What is wrong with a turn, so that a test tells all of a conversation at once."""
    found = []
    words = turn.get("recalled")
    at = [given.find(word) for word in words or ()]
    if words == [] and given:
        found.append(f"recalled {given!r}, and not nothing")
    if min(at, default=0) < 0 or at != sorted(at):
        found.append(f"not {words} in this order in {given!r}")
    if stored != turn["stored"]:
        found.append(f"{'stored' if stored else 'not stored'}")
    return [f"{turn['say']} -> {mistake}" for mistake in found]


def test_a_chain_recalls_what_was_said_and_stores_what_was_stated(
    memory: AgentMemory, turns: list[Turn]
) -> None:
    reports: list[ExchangeReport] = []
    chain = memory.wrap(RunnableLambda(lambda _: "ok"), on_exchange=reports.append)
    found = []
    for turn in turns:
        chain.invoke(turn["say"], {"configurable": {"session_id": turn["user"], "user_id": turn["user"]}})
        texts = [record.text for record in reports[-1].recalled]
        found += mistakes(turn, "\n".join(texts), stored=reports[-1].remembered is not None)
        assert not any(text == asked["say"] for text in texts for asked in turns if not asked["stored"])
    assert found == []


def test_a_chat_answers_with_it(
    memory: AgentMemory, turns: list[Turn], capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    talks = {
        user: Conversation(
            memory, Screen(), user, "default", "episodic", answering=offline(will_remember=True), model=None
        )
        for user in dict.fromkeys(turn["user"] for turn in turns)
    }
    for user in talks:
        talks[user].switch(None)
    for turn in turns:
        talks[turn["user"]].say(turn["say"])
        answer, _, facts = capsys.readouterr().out.partition("recalled ")
        found += mistakes(turn, quoted(answer), stored="stored as new memory" in facts)
        found += ill_mannered(turn, answer)
    assert found == []


def test_the_page_answers_with_it(served: Demo, turns: list[Turn]) -> None:
    found = []
    with httpx.Client(base_url=served.url, timeout=30) as client:
        client.post("/reset", json={}).raise_for_status()
        for turn in turns:
            asked = {"user": turn["user"], "thread": turn["user"], "text": turn["say"]}
            happened = client.post("/exchange", json=asked).raise_for_status().json()
            recalled = [one["text"] for one in happened["recall"]["memories"] if one["recalled"]]
            found += mistakes(turn, "\n".join(recalled), stored=happened["fate"]["what"] == "stored")
            found += ill_mannered(turn, happened["answer"])
            if turn.get("recalled") != []:
                found += mistakes(turn, quoted(happened["answer"]), stored=turn["stored"])
    assert found == []


def quoted(answer: str) -> str:
    return "\n".join(re.findall("“(.*?)”", answer))


def ill_mannered(turn: Turn, answer: str) -> list[str]:
    """What is unknown is said to be so, to a question and to nothing else."""
    asked = not turn["stored"] and turn["say"].endswith("?")
    unknown = asked and turn["recalled"] == []
    wrong = ("don't know" in answer) != unknown or not answer
    return [f"{turn['say']} -> {answer}"] if wrong and (asked or turn["stored"]) else []
