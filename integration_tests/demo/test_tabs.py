"""Every open page hears of every change, by another page, another demo, or the command line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from integration_tests.cli.conftest import agentmem
from integration_tests.demo.clicking import row, say, tab
from integration_tests.demo.conftest import Open, StartDemo
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory

THEME = "I use a dark theme in my editor."
SOON_MS = 10_000  # it takes three seconds, if the machine has nothing else to do


@pytest.fixture
def pair(start: StartDemo, open_url: Open) -> tuple[Page, Page]:
    """Two pages of one user, in two threads; the second one lists the memories."""
    demo = start("--allow-reset")
    one, other = open_url(demo.url), open_url(demo.url)
    tab(other, "All")
    expect(other.locator("#memories tr")).to_have_count(8)
    return one, other


@pytest.fixture
def memory(url: str) -> Iterator[AgentMemory]:
    with AgentMemory(url, embeddings=WordEmbeddings(384)) as memory:
        yield memory


def test_what_one_page_says_deletes_and_restores_the_other_one_shows(pair: tuple[Page, Page]) -> None:
    one, other = pair
    say(one, "I live in Lisbon.")
    expect(row(other, "I live in Lisbon.")).to_have_count(1)
    expect(other.locator("#thread option", has_text="I live in Lisbon.")).to_have_count(1)
    tab(one, "All")
    one.get_by_role("button", name=f"Delete: {THEME}").click()
    expect(row(other, THEME)).to_have_count(0)
    one.get_by_role("button", name="Undo").click()
    expect(row(other, THEME)).to_have_count(1)


def test_a_goal_shows_on_the_other_page_of_the_thread(pair: tuple[Page, Page]) -> None:
    one, other = pair
    say(one, "hello", "skip")
    thread = one.locator("#thread").input_value()
    expect(other.locator(f"#thread option[value='{thread}']")).to_have_count(1)
    other.locator("#thread").select_option(thread)
    expect(other.locator("#window .user")).to_contain_text("hello")
    one.get_by_text("Goal and scratchpad").click()
    one.get_by_label("Goal").fill("ship it")
    one.get_by_label("Goal").press("Tab")
    expect(other.locator("#goal")).to_have_value("ship it")


def test_after_a_reset_the_other_page_of_the_thread_is_empty(pair: tuple[Page, Page]) -> None:
    one, other = pair
    say(one, "hello", "skip")
    thread = one.locator("#thread").input_value()
    expect(other.locator(f"#thread option[value='{thread}']")).to_have_count(1)
    other.locator("#thread").select_option(thread)
    expect(other.locator("#events")).to_contain_text("hello")
    one.get_by_role("button", name="Reset").click()
    one.get_by_role("button", name="Remove everything").click()
    expect(other.locator("#window")).to_contain_text("Nothing said yet")
    expect(other.locator("#events")).to_contain_text("Nothing happened yet")
    expect(other.locator("#ttl")).to_have_text("no session yet")
    one.get_by_role("button", name="Undo").click()
    expect(other.locator("#window .user")).to_contain_text("hello")


def test_another_demo_on_the_store_is_heard(
    pair: tuple[Page, Page], start: StartDemo, open_url: Open
) -> None:
    _, other = pair
    page = open_url(start().url)
    say(page, "I live in Lisbon.")
    expect(row(other, "I live in Lisbon.")).to_have_count(1, timeout=SOON_MS)
    expect(other.locator("#thread option", has_text="I live in Lisbon.")).to_have_count(1)


def test_the_command_line_is_heard(pair: tuple[Page, Page], url: str) -> None:
    one, other = pair
    agentmem("remember", "I live in Lisbon.", "--user", "alice", url=url)
    expect(row(other, "I live in Lisbon.")).to_have_count(1, timeout=SOON_MS)
    say(one, "hello", "skip")
    agentmem("forget", "alice", "--yes", url=url)
    expect(other.locator("#memories tr")).to_have_count(0, timeout=SOON_MS)
    expect(one.locator("#window")).to_contain_text("Nothing said yet", timeout=SOON_MS)


def test_other_programs_changes_of_old_things_are_heard(pair: tuple[Page, Page], memory: AgentMemory) -> None:
    one, other = pair
    say(one, "hello", "skip")
    first = one.locator("#thread").input_value()
    memory.long_term.remember(THEME, user="alice", kind="semantic")  # neither new nor another number
    expect(row(other, THEME).locator(".seen")).to_have_text("2×", timeout=SOON_MS)
    record = next(one for one in memory.long_term.list_memories(user="alice") if one.text == THEME)
    memory.long_term.update(record.id, user="alice", text="I use a light theme in my editor.")
    expect(row(other, "light theme")).to_have_count(1, timeout=SOON_MS)
    memory.working.append_turn("newer", "user", "something else", user="alice")
    expect(other.locator("#thread option", has_text="something else")).to_have_count(1, timeout=SOON_MS)
    memory.working.set_goal(first, "an older session")
    expect(other.locator("#thread option", has_text="an older session")).to_have_count(1, timeout=SOON_MS)
    memory.working.delete(first)
    expect(other.locator(f"#thread option[value='{first}']")).to_have_count(0, timeout=SOON_MS)


def test_a_page_that_nobody_sees_catches_up_when_it_is_seen(pair: tuple[Page, Page]) -> None:
    one, other = pair
    hide = """hidden => {
        Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
    }"""
    other.evaluate(hide, True)
    expect(other.locator("#live")).to_have_text("offline")
    say(one, "I live in Lisbon.")
    expect(row(other, "I live in Lisbon.")).to_have_count(0)
    other.evaluate(hide, False)
    expect(other.locator("#live")).to_have_text("live")
    expect(row(other, "I live in Lisbon.")).to_have_count(1)
