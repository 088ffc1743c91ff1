"""What the page shows is what the public API returns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from integration_tests.demo.clicking import say, tab
from integration_tests.demo.conftest import Open, StartDemo
from integration_tests.waiting import wait_until
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory
from langchain_agentmem.embedded.server import EmbeddedRedis

QUESTION = "Which theme should my editor use?"


@pytest.fixture
def memory(url: str) -> Iterator[AgentMemory]:
    with AgentMemory(url, embeddings=WordEmbeddings(384)) as memory:
        yield memory


@pytest.fixture
def page(start: StartDemo, open_url: Open, memory: AgentMemory) -> Page:
    """A page of a thread with a goal, a few exchanges, and memories of several kinds."""
    page = open_url(start().url)
    say(page, "I live in Lisbon.")
    say(page, "I use a dark theme in my editor.", "semantic")
    memory.long_term.remember("I sing.", user="alice", kind="hobby", ttl_seconds=7_000)
    memory.long_term.remember("I work from home.", user="alice", namespace="work")
    page.get_by_text("Goal and scratchpad").click()
    page.get_by_label("Goal").fill("choose colors")
    with page.expect_response("**/working"):
        page.get_by_label("Goal").press("Tab")
    say(page, QUESTION, "skip")
    return page


def get(page: Page, path: str, **parameters: Any) -> dict[str, Any]:
    origin = re.match("https?://[^/]+", page.url)[0]  # type: ignore[index]
    found = httpx.get(f"{origin}{path}", params=parameters).raise_for_status().json()
    assert isinstance(found, dict)
    return found


def test_the_memories(page: Page, memory: AgentMemory) -> None:
    listed = memory.long_term.list_memories(user="alice", namespace="default")
    tab(page, "All")
    expect(page.locator("#memories tr")).to_have_count(len(listed))
    shown = page.locator("#memories tr").evaluate_all("rows => rows.map((row) => row.dataset.id)")
    assert shown == [one.id for one in listed]
    assert page.locator("#memories .text").all_text_contents() == [one.text for one in listed]
    assert page.locator("#memories .seen").all_text_contents() == [f"{one.hit_count + 1}×" for one in listed]
    answer = get(page, "/memories", user="alice")
    assert answer["total"] == memory.long_term.count_memories(user="alice", namespace="default")
    for row, record in zip(answer["memories"], listed, strict=True):
        told = record.to_dict()
        assert {name: told[name] for name in row if name in told and name != "ttl_seconds"} == {
            name: value for name, value in row.items() if name in told and name != "ttl_seconds"
        }
        assert (row["ttl_seconds"] is None) == (record.ttl_seconds is None)


def test_the_session_and_its_events(page: Page, memory: AgentMemory) -> None:
    thread = page.locator("#thread").input_value()
    session = memory.working.load(thread)
    assert session is not None
    said = [(turn.role, str(turn.message.text), turn.ts, turn.unanswered) for turn in session.recent_turns]
    bubbles = page.locator("#window > li:not(#after)")
    expect(bubbles).to_have_count(len(said))
    for bubble, (_, text, *_) in zip(bubbles.all_text_contents(), said, strict=True):
        assert text in bubble
    expect(page.locator("#goal")).to_have_value(session.goal)
    answer = get(page, "/state", user="alice", thread=thread)
    turns = answer["session"]["turns"]
    assert [(one["role"], one["content"], one["ts"], one["unanswered"]) for one in turns] == said
    events = memory.events.recent(thread, 400)
    assert [(one["id"], one["action"], one["detail"], one["memory_ids"]) for one in answer["events"]] == [
        (one.id, one.action, one.detail, [*one.memory_ids]) for one in events
    ]
    rows = page.locator("#events [data-events]").evaluate_all("rows => rows.map((row) => row.dataset.events)")
    assert sorted(id for row in rows for id in row.split()) == sorted(one.id for one in events)
    listed = memory.list_sessions(user="alice").sessions
    threads = page.locator("#thread option").evaluate_all("all => all.map((one) => one.value)")
    assert threads == [one.thread_id for one in listed]


def test_what_is_recalled(open_page: Open, own_server: EmbeddedRedis) -> None:
    page = open_page()
    say(page, QUESTION, "skip")
    with AgentMemory(own_server.url) as memory:
        for mode in memory.long_term.modes[1:] + memory.long_term.modes[:1]:
            with page.expect_response("**/recall"):
                page.locator("#mode").select_option(mode)
            found = memory.long_term.recall(QUESTION, user="alice", mode=mode, k=8)
            assert found
            expect(page.locator("#recalled .hit")).to_have_count(len(found))
            expect(page.locator("#recalled .hit .text")).to_have_text([one.text for one in found])
            shown = page.locator("#recalled .hit").locator(".distance" if mode == "vector" else ".score")
            expected = [one.distance if mode == "vector" else one.score for one in found]

            def is_shown(shown: Locator = shown, expected: list[float | None] = expected) -> bool:
                scores = [float(score.split()[0]) for score in shown.all_text_contents()]
                return scores == pytest.approx(expected, abs=0.0006)

            wait_until(is_shown)  # the answer is drawn after it has come
