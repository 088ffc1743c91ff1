"""The table of all memories in the real browser: searched, sorted, in pages, and only asked for when it is shown."""

from __future__ import annotations

import re

import httpx
from playwright.sync_api import Browser, Page, expect

from integration_tests.demo.clicking import row, say, tab
from integration_tests.demo.conftest import Demo, Open, StartDemo
from integration_tests.demo.test_api import say as say_there
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory

MANY = 10_000


def texts(page: Page) -> list[str]:
    return page.locator("#memories .text").all_text_contents()


def asked(page: Page) -> list[str]:
    """What is asked of the list from now on."""
    found: list[str] = []
    page.on("request", lambda request: found.append(request.url) if "/memories?" in request.url else None)
    return found


def remember(demo: Demo, *said: str, kind: str = "semantic") -> None:
    lines = [{"user": "alice", "thread": "t", "text": text, "kind": kind} for text in said]
    with httpx.Client(base_url=demo.url, timeout=30) as client:
        for line in lines:
            client.post("/exchange", json=line).raise_for_status()


def test_ten_thousand_are_searched_sorted_and_read_in_pages(
    browser: Browser, start: StartDemo, url: str
) -> None:
    vectors = [[float((number >> bit) & 1) for bit in range(384)] for number in range(1, MANY + 1)]
    with AgentMemory(url, embeddings=WordEmbeddings(384)) as memory:
        memory.long_term.remember_many(
            [f"note number{n:05}" for n in range(MANY)],
            user="alice",
            kind="semantic",
            embeddings=vectors,
            batch_size=500,
        )
    demo = start()
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{demo.url}/?view=all")
        count = page.locator("#memory-count")
        expect(count).to_have_text("1–50 of 10,000 memories")
        expect(page.get_by_role("button", name="Page before")).to_be_disabled()
        page.get_by_role("button", name="Next page").click()
        expect(count).to_have_text("51–100 of 10,000 memories")
        expect(page.locator("#memories tr")).to_have_count(50)
        page.get_by_role("button", name="Told").click()
        expect(count).to_have_text("1–50 of 10,000 memories")
        expect(page.locator("#memories .text").first).to_have_text(re.compile("note number00"))
        page.get_by_label("Search by words").press_sequentially("number0123")
        expect(count).to_have_text("10 memories found")
        assert sorted(texts(page)) == [f"note number0123{n}" for n in range(10)]
        expect(page.get_by_role("button", name="Next page")).to_be_hidden()
        page.get_by_label("Search by words").fill("number")
        expect(count).to_have_text("1–50 of 10,000 memories found")
        page.goto(f"{demo.url}/?view=all&page=999999")
        expect(count).to_have_text("9,951–10,000 of 10,000 memories")
        expect(page.get_by_role("button", name="Next page")).to_be_disabled()


def test_headers_sort_and_say_so(open_page: Open, served: Demo) -> None:
    remember(served, "I live in Lisbon.", "I have a dog.", "I live in Lisbon!")
    page = open_page(f"{served.url}/?view=all")
    told, seen = (page.get_by_role("columnheader", name=name) for name in ("Told", "Said"))
    expect(page.locator("#memories .text").first).to_have_text("I have a dog.")
    expect(told).to_have_attribute("aria-sort", "descending")
    told.get_by_role("button").click()
    expect(told).to_have_attribute("aria-sort", "ascending")
    expect(page.locator("#memories .text").last).to_have_text("I have a dog.")
    seen.get_by_role("button").press("Enter")
    expect(seen).to_have_attribute("aria-sort", "descending")
    expect(told).not_to_have_attribute("aria-sort", re.compile(".*"))
    expect(page.locator("#memories .text").first).to_have_text("I live in Lisbon.")
    expect(page.locator("#memories .seen").first).to_have_text("2×")


def test_search_and_sort_survive_what_others_do_and_a_reload(open_page: Open, served: Demo) -> None:
    page = open_page(f"{served.url}/?view=all")
    page.get_by_role("button", name="Told").click()
    page.get_by_label("Search by words").press_sequentially("edit")
    expect(page.locator("#memory-count")).to_have_text("1 memory found")
    page.locator("#memories .text").focus()
    remember(served, "My editor is Helix.", "I have a dog.")
    expect(page.locator("#memory-count")).to_have_text("2 memories found")
    assert texts(page) == ["I use a dark theme in my editor.", "My editor is Helix."]
    expect(page.locator("#memories .text").first).to_be_focused()  # rows that stay are left alone
    page.reload()
    expect(page.get_by_label("Search by words")).to_have_value("edit")
    expect(page.locator("#memory-count")).to_have_text("2 memories found")
    assert texts(page) == ["I use a dark theme in my editor.", "My editor is Helix."]
    page.get_by_label("Search by words").fill("zebra")
    expect(page.locator("#no-memories")).to_have_text("No memory has all of these words.")
    page.get_by_label("User").fill("bob")
    page.get_by_label("User").press("Enter")
    expect(page.get_by_label("Search by words")).to_have_value("")
    expect(page.locator("#no-memories")).to_have_text("Nothing is remembered here yet.")


def test_what_is_replaced_is_shown_on_request_with_what_replaces_it(open_page: Open, served: Demo) -> None:
    old, new = "I live in Lisbon.", "I live in Porto."
    with httpx.Client(base_url=served.url, timeout=30) as client:
        ids = [say_there(client, text)["fate"]["id"] for text in (old, new)]
        replace = {"user": "alice", "thread": "t1", "id": ids[0], "by": ids[1]}
        assert client.post("/replace", json=replace).json()["replaced"]
    page = open_page(f"{served.url}/?view=all")
    expect(row(page, new)).to_have_count(1)
    expect(row(page, old)).to_have_count(0)
    page.get_by_label("Show replaced").check()
    expect(row(page, old)).to_have_class(re.compile("replaced"))
    expect(row(page, old).locator(".words")).to_have_css("text-decoration-line", "line-through")
    row(page, old).get_by_role("button", name="replaced by another").click()
    expect(page.locator("#life blockquote")).to_have_text(new)


def test_a_long_text_is_clamped_opens_and_says_how_much_of_it_is_found(open_page: Open, served: Demo) -> None:
    long = "My towns are " + "Lisbon and Porto and " * 20 + "Faro."
    longer = "My list of towns is " + "Lisbon, Porto and Faro; " * 100
    hebrew = "אני גר בליסבון."
    remember(served, long, longer, hebrew)
    page = open_page(f"{served.url}/?view=all")
    said = row(page, "My towns are")
    height = said.bounding_box()
    assert height is not None
    said.get_by_role("button", name="show all").click()
    expect(said.get_by_role("button", name="show less")).to_have_attribute("aria-expanded", "true")
    opened = said.bounding_box()
    assert opened is not None
    assert opened["height"] > height["height"] * 1.5
    expect(said.locator(".truncated")).to_have_count(0)
    expect(row(page, "I am allergic").get_by_role("button", name="show all")).to_be_hidden()
    cut = row(page, "My list of towns")
    expect(cut).to_contain_text("only its first 256 tokens are searchable by meaning")
    cut.get_by_role("button", name="show all").click()
    expect(page.locator("#life blockquote")).to_have_text(longer.strip())
    expect(page.locator("#life")).to_contain_text("only the first 256 tokens of it are searchable by meaning")
    expect(row(page, hebrew).locator(".words")).to_have_attribute("dir", "auto")
    assert row(page, hebrew).locator(".words").evaluate("one => getComputedStyle(one).direction") == "rtl"


def test_a_list_that_is_not_shown_is_not_asked_for(open_page: Open) -> None:
    page = open_page()
    requests = asked(page)
    with page.expect_response("**/recall"):  # as the page hears of the new memory
        say(page, "I have a dog.")
    assert requests == []
    tab(page, "All")
    expect(row(page, "I have a dog.")).to_have_count(1)


def test_a_list_that_is_shown_again_unchanged_is_not_asked_for(open_page: Open, served: Demo) -> None:
    page = open_page()
    requests = asked(page)
    for _ in range(2):
        tab(page, "All")
        expect(page.locator("#memories tr")).to_have_count(8)
        tab(page, "Recalled")
    assert len(requests) == 1


def test_a_deletion_moves_the_focus_on_and_can_be_undone(open_page: Open, served: Demo) -> None:
    page = open_page(f"{served.url}/?view=all")
    expect(page.locator("#memories tr")).to_have_count(8)
    first, second, *_ = texts(page)
    page.get_by_role("button", name=f"Delete: {first}").press("Enter")
    expect(row(page, first)).to_have_count(0)
    expect(page.get_by_role("button", name=f"Delete: {second}")).to_be_focused()
    deleted = page.locator("#events .between .event", has_text="delete")
    expect(deleted.get_by_role("button")).to_have_text(first)
    page.get_by_role("button", name="Undo").click()
    expect(row(page, first)).to_have_count(1)
    expect(page.locator("#memory-count")).to_have_text("8 memories")
    assert first in texts(page)
    expect(page.locator("#events .between")).to_contain_text("restore")
