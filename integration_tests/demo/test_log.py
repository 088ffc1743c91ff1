"""The event log in the real browser: by turns, live, with what is older; and its replay, step by step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from integration_tests.demo.clicking import event_ids, say, tab
from integration_tests.demo.conftest import Demo, Open
from integration_tests.demo.test_api import say as say_there
from langchain_agentmem import AgentMemory
from langchain_agentmem.embedded.server import EmbeddedRedis

MESSAGES = "#window :is(.user, .other)"


@pytest.fixture
def memory(own_server: EmbeddedRedis) -> Iterator[AgentMemory]:
    """Another program, on the store of the module's demo."""
    with AgentMemory(own_server.url) as memory:
        yield memory


def thread_of(page: Page) -> str:
    return page.locator("#thread").input_value()


def record(memory: AgentMemory, thread: str, *events: dict[str, Any]) -> None:
    memory.events.record_many([(thread, {"user": "alice", **event}) for event in events])


def run(action: str, run: str, parent: str = "", **more: Any) -> dict[str, Any]:
    return {"action": action, "run_id": run, "parent_run_id": parent, **more}


def actions(page: Page) -> list[str]:
    return page.locator("#events .event .action").all_text_contents()


def test_each_turn_is_a_group_newest_on_top_and_oldest_event_first(open_page: Open) -> None:
    page = open_page()
    say(page, "I live in Lisbon.")
    say(page, "Where do I live?")
    turns = page.locator("#events .turn")
    expect(turns).to_have_count(2)
    expect(turns.locator(".said")).to_have_text(["Where do I live?", "I live in Lisbon."])
    expect(turns.nth(1).locator(".event .action")).to_have_text(
        ["turn_start", "recall", "chain answer_from_memory", "remember"]
    )
    expect(turns.nth(1).locator(".sum")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d · [\d.]+ ms · 5 events$"))
    expect(turns.nth(0).locator("[data-tier=long_term] .hits button").first).to_have_text("I live in Lisbon.")


def test_what_happens_outside_of_turns_stands_between_them(open_page: Open) -> None:
    page = open_page()
    say(page, "hello", "skip")
    page.get_by_text("Goal and scratchpad").click()
    page.get_by_label("Goal").fill("ship it")
    page.get_by_label("Goal").press("Tab")
    between = page.locator("#events .between")
    expect(between.locator(".event[data-tier=working]")).to_contain_text("ship it")
    say(page, "thanks", "skip")
    kinds = page.locator("#events > li")
    expect(kinds).to_have_count(3)
    assert [re.sub(" .*", "", kinds.nth(at).get_attribute("class") or "") for at in range(3)] == [
        "turn",
        "between",
        "turn",
    ]


def test_runs_of_other_programs_are_nested_timed_and_red_where_they_fail(
    open_page: Open, memory: AgentMemory
) -> None:
    page = open_page()
    record(
        memory,
        thread_of(page),
        {"action": "turn_start", "detail": "What is the weather?"},
        run("chain_start", "a", name="agent"),
        run("llm_start", "b", "a", name="model"),
        run("llm_end", "b", "a", name="model", duration_seconds=0.25, detail="call the tool"),
        run("tool_start", "c", "a", name="weather", detail="Lisbon"),
        run("tool_error", "c", "a", name="weather", duration_seconds=0.01, detail="no network"),
        run("chain_end", "a", name="agent", duration_seconds=0.5, detail="I cannot say."),
        {"action": "order_placed", "detail": "by a shop"},
    )
    rows = page.locator("#events .turn .event")
    expect(rows.locator(".action")).to_have_text(
        ["turn_start", "chain agent", "llm model", "tool_error weather"]
    )
    depths = rows.evaluate_all("rows => rows.map((row) => row.style.getPropertyValue('--depth'))")
    assert depths == ["0", "0", "1", "1"]
    expect(rows.nth(2).locator(".took")).to_contain_text("250 ms")
    expect(rows.nth(3)).to_have_class(re.compile("bad"))
    expect(rows.nth(3)).to_contain_text("Lisbon")
    expect(rows.nth(3)).to_contain_text("no network")
    expect(page.locator("#events .turn")).to_have_class(re.compile("failed"))
    expect(page.locator("#events .between .action")).to_have_text("order_placed")
    assert len(event_ids(page)) == 8


@pytest.mark.parametrize("detail", ["0.412 a cat; a dog; 0.500 a fish", "a cat and a dog; a fish"])
def test_each_memory_of_a_recall_is_a_link(open_page: Open, memory: AgentMemory, detail: str) -> None:
    page = open_page()
    record(memory, thread_of(page), {"action": "recall", "detail": detail, "memory_ids": ["one", "two"]})
    links = page.locator("#events .hits [data-memory]")
    expect(links).to_have_count(2)
    expect(links.last).to_have_text("a fish")
    expect(links.last).to_have_attribute("data-memory", "two")


def test_a_long_detail_can_be_opened(open_page: Open, memory: AgentMemory) -> None:
    page = open_page()
    record(memory, thread_of(page), {"action": "note", "detail": "many words " * 60})
    detail = page.locator("#events .event").get_by_role("button", name="many words")
    expect(detail).to_have_attribute("aria-expanded", "false")
    before = detail.bounding_box()
    detail.press("Enter")
    expect(detail).to_have_attribute("aria-expanded", "true")
    after = detail.bounding_box()
    assert before is not None
    assert after is not None
    assert after["height"] > before["height"] * 2


def test_what_comes_live_leaves_focus_scroll_and_open_turns_alone(open_page: Open, served: Demo) -> None:
    page = open_page(viewport={"width": 1280, "height": 720})
    for number in range(6):
        say(page, f"Server number {number} is down.")
    turns = page.locator("#events .turn")
    expect(turns).to_have_count(6)
    turns.nth(3).locator("summary").click()
    open_turn = turns.nth(3).locator("details")
    was_open = open_turn.evaluate("one => one.open")
    said = turns.nth(3).locator(".said").text_content()
    page.locator("#log-events").evaluate("log => { log.scrollTop = 150 }")
    top = turns.nth(3).evaluate("one => one.getBoundingClientRect().top")
    with httpx.Client(base_url=served.url, timeout=30) as client:
        say_there(client, "Server number 7 is down.", thread=thread_of(page))
    expect(turns).to_have_count(7)
    same = turns.filter(has=page.locator(".said", has_text=str(said)))
    expect(same.locator("summary")).to_be_focused()
    assert same.locator("details").evaluate("one => one.open") == was_open
    assert abs(same.evaluate("one => one.getBoundingClientRect().top") - top) < 2


def test_older_events_are_read_in_pages_each_once(open_page: Open, memory: AgentMemory, served: Demo) -> None:
    for start in range(0, 900, 300):
        record(
            memory, "long", *({"action": "note", "detail": f"number {n}"} for n in range(start, start + 300))
        )
    page = open_page(f"{served.url}/?thread=long")
    rows = page.locator("#events .event")
    expect(rows).to_have_count(400)
    older = page.get_by_role("button", name="Older events")
    older.click()
    expect(rows).to_have_count(800)
    older.click()
    expect(rows).to_have_count(900)
    expect(older).to_be_hidden()
    ids = event_ids(page)
    assert len(ids) == len(set(ids)) == 900
    expect(rows.first).to_contain_text("number 0")
    record(memory, "long", {"action": "note", "detail": "one more"})
    expect(rows).to_have_count(901)
    asked = {"user": "bob", "thread": "long", "before": ids[-1]}
    with httpx.Client(base_url=served.url, timeout=30) as client:
        assert client.get("/log", params=asked).json() == {"events": [], "older": False}


def test_a_session_is_replayed_step_by_step(open_page: Open) -> None:
    page = open_page()
    say(page, "I live in Lisbon.")
    say(page, "Where do I live?")
    expect(page.locator("#events .turn")).to_have_count(2)
    expect(page.locator("#events .event")).to_have_count(7)
    expect(page.locator("#step-of")).to_have_text("live")
    url, written = page.url, []
    page.on("request", lambda one: written.append(one.url) if one.method == "POST" else None)
    slider = page.get_by_role("slider", name="Step")
    now = page.locator("#events [aria-current=step]")
    strip = page.locator("#replayed")

    slider.press("Home")
    expect(page.locator("#step-of")).to_have_text("1 of 9")
    expect(page.locator(MESSAGES)).to_contain_text(["You: I live in Lisbon."])
    expect(strip).to_contain_text("said: I live in Lisbon.")
    expect(now).to_contain_text("turn_start")
    expect(page.locator("#events .later")).to_have_count(6)
    for _ in range(3):
        page.get_by_role("button", name="Next step").click()
    expect(strip).to_contain_text("chain answer_from_memory ends after")
    expect(page.locator(MESSAGES)).to_have_count(2)
    slider.press("ArrowRight")
    expect(strip).to_contain_text("+1 memory: I live in Lisbon.")
    for _ in range(2):
        slider.press("ArrowRight")
    expect(now).to_contain_text("recall")
    expect(page.locator(MESSAGES)).to_have_count(3)
    expect(strip.get_by_role("button").first).to_have_text("I live in Lisbon.")
    expect(page.locator("#recalled .replayed .text").first).to_have_text("I live in Lisbon.")
    page.get_by_role("button", name="Step back").click()
    expect(page.locator("#step-of")).to_have_text("6 of 9")

    slider.press("Escape")
    expect(page.locator("#step-of")).to_have_text("live")
    expect(page.locator(MESSAGES)).to_have_count(4)
    expect(strip).to_have_count(0)
    expect(now).to_have_count(0)
    expect(page.locator("#changed")).to_be_visible()
    assert page.url == url
    assert [one for one in written if not one.endswith("/recall")] == []


def test_a_replay_plays_by_itself_and_ends_with_what_is_said(open_page: Open) -> None:
    page = open_page()
    say(page, "hello", "skip")
    expect(page.locator("#events .event")).to_have_count(3)
    page.get_by_role("button", name="Play").click()
    expect(page.locator("#step-of")).to_have_text("1 of 4")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.locator("#step-of")).to_have_text("4 of 4")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    say(page, "thanks", "skip")
    expect(page.locator("#step-of")).to_have_text("live")
    expect(page.locator(MESSAGES)).to_have_count(4)


def test_what_comes_during_a_replay_does_not_move_it(open_page: Open, served: Demo) -> None:
    page = open_page()
    say(page, "I live in Lisbon.")
    expect(page.locator("#events .event")).to_have_count(4)
    page.get_by_role("slider", name="Step").press("Home")
    with httpx.Client(base_url=served.url, timeout=30) as client:
        say_there(client, "I have a dog.", thread=thread_of(page))
    expect(page.locator("#step-of")).to_have_text("1 of 10")
    expect(page.locator("#thread option").first).to_contain_text("I live in Lisbon.")
    expect(page.locator(MESSAGES)).to_have_count(1)
    page.get_by_role("button", name="Live", exact=True).click()
    expect(page.locator(MESSAGES)).to_have_count(4)


def test_a_conversation_that_has_expired_is_replayed_from_its_events(
    open_page: Open, memory: AgentMemory, served: Demo
) -> None:
    with httpx.Client(base_url=served.url, timeout=30) as client:
        answer = say_there(client, "I live in Lisbon.", thread="gone")["answer"]
    memory.working.delete("gone")
    page = open_page(f"{served.url}/?thread=gone")
    expect(page.locator("#window")).to_contain_text("has expired")
    page.get_by_role("slider", name="Step").press("Home")
    expect(page.locator(MESSAGES)).to_contain_text(["You: I live in Lisbon."])
    page.get_by_role("slider", name="Step").press("End")
    expect(page.locator(MESSAGES)).to_contain_text(["You: I live in Lisbon.", f"assistant: {answer}"])
    page.keyboard.press("Escape")
    expect(page.locator("#window")).to_contain_text("has expired")


def test_a_reset_is_told_in_the_thread_that_follows(open_page: Open) -> None:
    page = open_page()
    say(page, "I live in Lisbon.")
    page.get_by_role("button", name="Reset").click()
    page.get_by_role("button", name="Remove everything").click()
    told = page.locator("#events .event", has_text="forget")
    expect(told).to_have_text(re.compile(r"9 memories, 1 conversation, \d+ events$"))
    expect(page.locator("#events .event")).to_have_count(1)
    tab(page, "All")
    expect(page.locator("#memories tr")).to_have_count(8)
