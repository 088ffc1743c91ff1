"""The URL says what the page shows: a reload loses nothing, Back and Forward work, and looking writes nothing."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
import redis
from playwright.sync_api import Page, expect

from integration_tests.demo.clicking import become, recalled, row, say, slide, tab
from integration_tests.demo.conftest import Demo, Open
from langchain_agentmem.embedded.server import EmbeddedRedis

THEME = "I use a dark theme in my editor."
QUESTION = "Which theme should my editor use?"


def state(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def entries(page: Page) -> int:
    return int(page.evaluate("history.length"))


def reset(page: Page) -> None:
    page.get_by_role("button", name="Reset").click()
    page.get_by_role("button", name="Remove everything").click()
    expect(page.locator("#toasts")).to_contain_text("was removed")


def test_a_reload_loses_nothing(open_page: Open) -> None:
    page = open_page(color_scheme="light")
    say(page, QUESTION)
    with page.expect_response("**/recall"):
        page.locator("#mode").select_option("vector")
    slide(page, 0.42)
    tab(page, "Commands")
    page.get_by_role("button", name="Switch between light and dark").click()
    page.get_by_role("radio", name="semantic").check()
    expect(page).to_have_url(re.compile("threshold=0.42"))
    expect(page.locator("#recalled .hit .text")).to_have_text([THEME])
    before = (state(page), recalled(page))
    page.get_by_label("Your message").fill("half a thou")  # what it would recall shows a moment later
    page.reload()
    expect(page.locator("#live")).to_have_text("live")
    expect(page.locator("#query q")).to_have_text(QUESTION)
    expect(page.locator("#recalled .hit .text")).to_have_text([THEME])
    assert (state(page), recalled(page)) == before
    expect(page.locator("#mode")).to_have_value("vector")
    expect(page.get_by_label("Recall threshold")).to_have_value("0.42")
    expect(page.get_by_role("tab", name="Commands")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#window .user")).to_contain_text(QUESTION)
    expect(page.get_by_label("Your message")).to_have_value("half a thou")
    expect(page.get_by_role("radio", name="semantic")).to_be_checked()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#query q")).to_have_text("half a thou")
    page.reload()
    expect(page.locator("#query q")).to_have_text("half a thou")
    expect(page.get_by_label("Your message")).to_have_value("")


def test_a_reload_shows_what_the_last_exchange_has_changed_and_sent(open_page: Open) -> None:
    page = open_page()
    say(page, QUESTION)
    say(page, "My favorite color is teal.")
    tab(page, "Commands")
    expect(page.locator("#changed")).to_contain_text("+1 memory stored")
    expect(page.locator("#window-size")).to_contain_text("4 of 20 messages")
    shown = page.locator("#changed").inner_text()
    sent = page.locator("#log-commands .command .short").all_text_contents()
    assert len(sent) > 5
    page.reload()
    expect(page.locator("#changed")).to_contain_text("+1 memory stored")
    assert page.locator("#changed").inner_text() == shown
    expect(page.locator("#log-commands .command .short")).to_have_text(sent)
    page.get_by_role("button", name="New thread").click()
    expect(page.locator("#changed")).to_be_empty()
    page.reload()
    expect(page.locator("#window")).to_contain_text("Nothing said yet")
    expect(page.locator("#changed")).to_be_empty()


def test_after_a_reload_words_do_not_recall_what_they_became(open_page: Open) -> None:
    page = open_page()
    say(page, "My favorite color is teal.")
    expect(page.locator("#recalled .hit")).to_have_count(0)
    expect(page).to_have_url(re.compile("before="))
    page.reload()
    expect(page.locator("#query q")).to_have_text("My favorite color is teal.")
    expect(page.locator("#recalled")).to_contain_text("Nothing recalled")


def test_a_long_query_outlives_a_reload_though_the_url_stays_short(open_page: Open) -> None:
    page = open_page()
    long = "Which theme? " + "many words 🙂 " * 2_000
    say(page, long.strip(), "skip")
    assert len(page.url) < 8_000
    page.reload()
    expect(page.locator("#live")).to_have_text("live")
    expect(page.locator("#query q")).to_have_text(long.strip())


def test_back_and_forward_go_through_users_threads_namespaces_and_queries(open_page: Open) -> None:
    page = open_page()
    first = page.locator("#thread").input_value()
    at_first = entries(page)
    say(page, QUESTION)
    say(page, "Am I allergic?")
    say(page, "Am I allergic?")  # the same, so no step
    become(page, "bob")
    page.get_by_label("Namespace").fill("work")
    page.get_by_label("Namespace").press("Enter")
    expect(page).to_have_url(re.compile("namespace=work"))
    page.get_by_role("button", name="New thread").click()
    expect(page.locator("#live")).to_have_text("live")
    assert entries(page) == at_first + 5
    last = state(page)
    for _ in range(2):
        page.go_back()
    expect(page.get_by_label("Namespace")).to_have_value("default")
    expect(page.get_by_label("User")).to_have_value("bob")
    page.go_back()
    expect(page.get_by_label("User")).to_have_value("alice")
    expect(page.locator("#thread")).to_have_value(first)
    expect(page.locator("#window .user")).to_have_count(3)
    expect(page.locator("#query q")).to_have_text("Am I allergic?")
    page.go_back()
    expect(page.locator("#query q")).to_have_text(QUESTION)
    expect(page.locator("#recalled .hit .text")).to_have_text([THEME])
    page.go_back()
    expect(page.locator("#query q")).to_have_count(0)
    for _ in range(5):
        page.go_forward()
    expect(page.get_by_label("Namespace")).to_have_value("work")
    expect(page).to_have_url(re.compile(f"thread={last['thread']}"))
    assert state(page) == last
    assert entries(page) == at_first + 5
    expect(page.locator("#live")).to_have_text("live")


def test_a_link_shows_somebody_else_the_same(open_page: Open) -> None:
    page = open_page()
    say(page, QUESTION)
    slide(page, 0.5)
    expect(page).to_have_url(re.compile("threshold=0.5"))
    other = open_page(page.url)
    expect(other.locator("#query q")).to_have_text(QUESTION)
    expect(other.locator("#window .user")).to_contain_text(QUESTION)
    expect(other.get_by_label("Recall threshold")).to_have_value("0.5")
    expect(other.locator("#recalled .hit .text")).to_have_text(recalled(page))


@pytest.mark.parametrize(
    "odd",
    [
        "threshold=abc&mode=magic&view=nothing&log=nothing",
        "threshold=-1",
        "threshold=1e9",
        "threshold=NaN",
        "user=&namespace=",
        "user=%20&thread=",
        "nonsense=1&user=alice&user=bob",
        f"user={quote('🙂' * 900)}&namespace={quote('<b>x')}",
        "thread=" + quote("../../etc: *%00\"'<script>"),
        "before=no-such-memory&query=theme",
    ],
)
def test_odd_values_in_the_url_are_harmless(open_page: Open, served: Demo, odd: str) -> None:
    page = open_page(f"{served.url}/?{odd}")
    expect(page.get_by_role("tab", name="Recalled")).to_have_attribute("aria-selected", "true")
    assert 0 <= float(page.get_by_label("Recall threshold").input_value()) <= 1
    expect(page.locator("#problem")).to_be_hidden()
    say(page, "hello", "skip")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("name", ["user", "namespace", "thread"])
def test_a_value_that_is_too_long_is_left_out_and_that_is_said(
    open_page: Open, served: Demo, name: str
) -> None:
    page = open_page(f"{served.url}/?{name}={'x' * 5_000}")
    expect(page.locator("#toasts")).to_contain_text(name)
    expect(page.get_by_label("User")).to_have_value("alice")
    say(page, "hello", "skip")


def test_the_thread_of_another_user_becomes_a_new_one_and_that_is_said(open_page: Open, served: Demo) -> None:
    exchange = {"user": "carol", "thread": "hers", "text": "I sing.", "kind": "skip"}
    httpx.post(f"{served.url}/exchange", json=exchange, timeout=30).raise_for_status()
    page = open_page(f"{served.url}/?thread=hers", requests_may_fail=True)  # it is refused
    expect(page.locator("#toasts")).to_contain_text("another user")
    expect(page).not_to_have_url(re.compile("hers"))
    expect(page.locator("#window")).not_to_contain_text("I sing.")
    say(page, "hello", "skip")


def test_looking_writes_nothing(open_page: Open, served: Demo, own_server: EmbeddedRedis) -> None:
    def stored() -> dict[bytes, bytes]:
        return {key: bare.dump(key) for key in bare.scan_iter(count=1_000)}

    with redis.Redis.from_url(own_server.url) as bare:
        before = stored()
        page = open_page(f"{served.url}/?query=theme")
        for name in ("Map", "With and without", "All", "Recalled", "Commands", "Events"):
            tab(page, name)
        slide(page, 0.4)
        with page.expect_response("**/recall"):
            page.locator("#mode").select_option("vector")
        page.get_by_label("Your message").press_sequentially("half a thought")
        page.get_by_role("button", name="New thread").click()
        become(page, "bob")
        page.get_by_label("Namespace").fill("work")
        page.get_by_label("Namespace").press("Enter")
        expect(page).to_have_url(re.compile("namespace=work"))
        page.get_by_role("button", name="Reset").click()
        page.get_by_role("button", name="Keep everything").click()
        page.get_by_role("button", name="Import", exact=True).click()
        page.get_by_role("button", name="Cancel").click()
        page.go_back()
        expect(page.get_by_label("Namespace")).to_have_value("default")
        expect(page.locator("#live")).to_have_text("live")
        assert stored() == before


def test_reset_says_what_it_removes_and_from_whom_and_can_be_undone_from_another_thread(
    open_page: Open,
) -> None:
    page = open_page()
    say(page, "I live in Lisbon.")
    said_in = page.locator("#thread").input_value()
    page.get_by_role("button", name="Reset").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Remove everything of alice?")
    expect(dialog).to_contain_text("9 memories")
    expect(dialog).to_contain_text("1 conversation")
    expect(page.get_by_role("button", name="Keep everything")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.locator("#window .user")).to_contain_text("I live in Lisbon.")
    reset(page)
    tab(page, "All")
    expect(page.locator("#memories tr")).to_have_count(8)
    page.get_by_role("button", name="New thread").click()
    expect(page.get_by_label("Your message")).to_be_focused()
    undo = page.get_by_role("button", name="Undo")
    undo.focus()
    with page.expect_response("**/undo"):
        page.keyboard.press("Enter")
    expect(row(page, "I live in Lisbon.")).to_have_count(1)
    expect(page.locator("#thread")).to_have_value(said_in)
    expect(page.locator("#window .user")).to_contain_text("I live in Lisbon.")
    expect(undo).to_have_count(0)


def test_a_deletion_can_be_undone_from_another_thread_by_the_keyboard(open_page: Open) -> None:
    page = open_page()
    tab(page, "All")
    page.get_by_role("button", name=f"Delete: {THEME}").click()
    expect(page.locator("#memories tr")).to_have_count(7)
    page.get_by_role("button", name="New thread").click()
    expect(page.get_by_label("Your message")).to_be_focused()
    page.get_by_label("Your message").fill("typed")
    page.keyboard.press("Control+z")  # the box's own
    expect(page.locator("#memories tr")).to_have_count(7)
    page.get_by_role("button", name="New thread").focus()
    page.keyboard.press("Control+z")
    expect(row(page, THEME)).to_have_count(1)
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)
