"""The first minute on the page: what it is, what to say, and what each exchange has changed."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from integration_tests.demo.clicking import answered, become, recalled, say, tab
from integration_tests.demo.conftest import Demo, Open

QUESTION = "Which theme should my editor use?"
TEAL = "My favorite color is teal."
ORANGE = "Actually, my favorite color is orange now."


def box(page: Page) -> Locator:
    return page.get_by_label("Your message")


def take_next(page: Page, text: str) -> None:
    """Click the suggestion that is offered after an exchange, which has this text."""
    expect(page.locator("#next .suggestion span")).to_have_text(text)
    page.locator("#next .suggestion").click()
    answered(page, text)


def selected(page: Page) -> str:
    return str(page.evaluate("getSelection().toString()"))


def is_seen(page: Page, *locators: str) -> None:
    """All of it is wholly inside what the window shows, without scrolling the page."""
    page.evaluate("scrollTo(0, 0)")
    for locator in locators:
        expect(page.locator(locator).last).to_be_in_viewport(ratio=0.99)


def test_on_a_first_visit_a_question_waits_for_enter(open_page: Open) -> None:
    page = open_page()
    expect(box(page)).to_be_focused()
    expect(box(page)).to_have_value(QUESTION)
    assert selected(page) == QUESTION
    page.reload()
    expect(page.locator("#live")).to_have_text("live")
    assert selected(page) == QUESTION
    page.keyboard.press("Enter")
    answered(page, QUESTION)
    assert recalled(page) == ["I use a dark theme in my editor."]
    page.get_by_role("button", name="New thread").click()
    expect(page.locator("#window")).to_contain_text("Nothing said yet")
    expect(page.locator("#live")).to_have_text("live")
    expect(box(page)).to_have_value("")
    page.reload()
    expect(page.locator("#live")).to_have_text("live")
    expect(box(page)).to_have_value("")


def test_typing_replaces_the_question_for_good(open_page: Open, served: Demo) -> None:
    page = open_page()
    page.keyboard.type("Hi")
    expect(box(page)).to_have_value("Hi")
    box(page).fill("")
    page.goto(served.url)
    expect(page.locator("#live")).to_have_text("live")
    expect(box(page)).to_have_value("")


def test_suggestions_lead_through_what_it_does(open_page: Open) -> None:
    page = open_page()
    changed = page.locator("#changed")
    suggestions = page.locator("#window .empty .suggestion")
    expect(suggestions).to_have_count(4)
    suggestions.first.click()
    answered(page, QUESTION)
    expect(page.locator("#window .user .said")).to_have_text(QUESTION)
    expect(changed).to_contain_text("not remembered: a question")
    expect(changed).to_contain_text("1 memory recalled")

    take_next(page, TEAL)
    expect(changed.locator(".chip")).to_have_text(
        [
            "1+2 messages",
            "20 memories recalled",
            "2+1 memory stored",
            "3+5 events",
            re.compile("^2 round trips · .* ms$"),
        ]
    )
    take_next(page, "Teal is my favorite color, by the way.")
    expect(changed).to_contain_text(f"the same as {TEAL} (seen again 1×)")

    take_next(page, ORANGE)
    expect(changed.locator(".near")).to_contain_text(f"near {TEAL}")

    take_next(page, "What is my favorite color?")
    assert recalled(page)[:2] == [ORANGE, TEAL]
    thread = page.locator("#thread").input_value()
    take_next(page, "Which color do I like best?")
    expect(page.locator("#thread")).not_to_have_value(thread)
    expect(page.locator("#window .user")).to_have_count(1)
    expect(page.locator("#window .other")).to_contain_text("Your favorite color is orange now")
    expect(page.locator("#next")).to_be_empty()


def test_who_has_no_samples_is_not_asked_for_them(open_page: Open, served: Demo) -> None:
    page = open_page(f"{served.url}/?user=bob")
    expect(box(page)).to_have_value(TEAL)
    expect(page.locator("#window .empty .suggestion span")).to_have_text(
        [TEAL, "What is my favorite color?", "Teal is my favorite color, by the way.", ORANGE]
    )
    become(page, "alice")
    expect(page.locator("#window .empty .suggestion span").first).to_have_text(QUESTION)
    expect(box(page)).to_have_value(QUESTION)


def test_words_of_one_s_own_can_be_said_again(open_page: Open) -> None:
    page = open_page()
    say(page, "I play the cello.")
    take_next(page, "I play the cello.")
    expect(page.locator("#changed")).to_contain_text("the same as I play the cello. (seen again 1×)")
    expect(page.locator("#next .suggestion span")).to_have_text(QUESTION)


def test_what_is_near_can_be_replaced(open_page: Open) -> None:
    page = open_page()
    say(page, TEAL)
    say(page, ORANGE)
    page.get_by_role("button", name="Replace it").click()
    expect(page.locator("#changed .near")).to_have_text(f"replaces {TEAL}")
    say(page, "What is my favorite color?")
    assert recalled(page) == [ORANGE]
    expect(page.locator("#changed .near")).to_have_count(0)


@pytest.mark.parametrize(
    ("said", "kind", "because"),
    [
        ("Hello!", "episodic", "a greeting"),
        ("Thanks!", "episodic", "thanks"),
        ("Goodbye!", "episodic", "a goodbye"),
        ("ok", "episodic", "small talk"),
        ("Tell me a joke.", "episodic", "a request"),
        ("I live in Lisbon.", "skip", "you chose “skip”"),
    ],
)
def test_why_something_is_not_remembered(open_page: Open, said: str, kind: str, because: str) -> None:
    page = open_page()
    say(page, said, kind)
    expect(page.locator("#changed")).to_contain_text(f"not remembered: {because}")


def test_what_changed_leads_to_where_it_is_shown(open_page: Open) -> None:
    page = open_page()
    tab(page, "All")
    tab(page, "Commands")
    say(page, QUESTION)
    chip = page.locator("#changed .chip")
    chip.filter(has_text="recalled").click()
    expect(page.locator("#view-recalled")).to_be_visible()
    chip.filter(has_text="events").click()
    expect(page.locator("#log-events")).to_be_visible()
    chip.filter(has_text="round trips").click()
    expect(page.locator("#log-commands")).to_be_visible()
    chip.filter(has_text="messages").click()
    expect(page.locator("#window .user").last).to_be_in_viewport()


def test_each_tier_says_what_it_is_and_where(open_page: Open) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    thread = page.locator("#thread").input_value()
    for tier, type, key, command in (
        ("working", "Hash", f"agent:session:{thread}", f"HGETALL agent:session:{thread}"),
        (
            "long_term",
            "JSON",
            "agent:mem:<id>",
            'FT.SEARCH agentmem:idx "@user:{alice} @namespace:{default}" RETURN 3 user kind text',
        ),
        ("events", "Stream", f"agent:events:{thread}", f"XREVRANGE agent:events:{thread} + - COUNT 10"),
    ):
        shown = page.locator(f"#{tier}-stored button")
        expect(shown).to_contain_text(type)
        expect(shown).to_have_attribute("title", re.compile(re.escape(key)))
        shown.click()
        expect(page.locator(".toast.copied")).to_contain_text(command)
        assert page.evaluate("navigator.clipboard.readText()") == command
    expect(page.locator(".panel .about")).to_have_count(3)
    expect(page.locator("#place")).to_contain_text("no model: answers are made of memories only")


def test_everything_is_seen_at_1280_by_720(open_page: Open) -> None:
    page = open_page(viewport={"width": 1280, "height": 720})
    is_seen(
        page, "#window .empty .suggestion", "#send", "#say", "#kinds", "#place", ".about", ".invitation > p"
    )
    say(page, TEAL)
    say(page, ORANGE)
    is_seen(page, "#send", "#kinds", "#changed", "#changed .near button", "#next .suggestion")
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")


def test_on_a_phone_the_result_follows_the_bubble(open_page: Open) -> None:
    page = open_page(viewport={"width": 390, "height": 844})
    say(page, QUESTION)
    is_seen(page, "#send", "#say", "#changed", "#next .suggestion")
    bubble, result = page.locator("#window .other").bounding_box(), page.locator("#changed").bounding_box()
    assert bubble is not None
    assert result is not None
    assert 0 <= result["y"] - bubble["y"] - bubble["height"] < 20
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def streamed(*events: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    body = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events)
    return {"content_type": "text/event-stream", "body": body}


def test_while_the_answer_is_awaited_its_bubble_has_dots(open_page: Open) -> None:
    page = open_page()
    held: list[Any] = []
    page.route("**/exchange", lambda route: held.append(route))
    box(page).fill(QUESTION)
    box(page).press("Enter")
    expect(page.locator("#window .other .said")).to_have_text("…")
    expect(page.locator("#send")).to_be_disabled()
    held.pop().continue_()
    answered(page, QUESTION)
    expect(page.locator("#window .dots")).to_have_count(0)
    expect(page.locator("#window .other")).to_have_count(1)


def test_what_fails_leaves_no_bubble_and_no_text_is_lost(open_page: Open) -> None:
    page = open_page()
    failure = streamed(("error", {"status": 502, "error": "The model failed."}))
    held: list[Any] = []
    page.route("**/state*", lambda route: held.append(route))  # a server that is away tells nothing else
    page.route("**/exchange", lambda route: route.fulfill(**failure))
    box(page).fill(QUESTION)
    box(page).press("Enter")
    expect(page.locator("#problem")).to_have_text("The model failed.")
    expect(box(page)).to_have_value(QUESTION)
    expect(page.locator("#window .user, #window .other")).to_have_count(0)
    for route in held:
        route.continue_()
    page.unroute_all()
    box(page).press("Enter")
    answered(page, QUESTION)
    expect(page.locator("#problem")).to_be_hidden()


def test_bubbles_hold_code_long_words_and_any_direction(open_page: Open) -> None:
    page = open_page(viewport={"width": 360, "height": 740})
    say(page, "```python\nprint('<b>')" + " + 1" * 60 + "\n```\nand `x = 1`")
    said = page.locator("#window .user .said").last
    expect(said.locator("pre code")).to_contain_text("print('<b>')")
    expect(said.locator("> code")).to_have_text("x = 1")
    say(page, "مرحبا، أنا أسكن في لشبونة.")
    expect(page.locator("#window .user .said").last).to_have_css("direction", "rtl")
    say(page, "w" * 300)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("(list => list.scrollWidth <= list.clientWidth)(document.getElementById('window'))")
    bubble = page.locator("#window .user").last
    bubble.hover()
    expect(bubble.locator("time")).to_have_css("opacity", "1")


def test_a_change_elsewhere_does_not_scroll_away_from_who_reads(open_page: Open) -> None:
    page = open_page()
    for number in range(3):
        say(page, f"{number} " + "many words " * 60, "skip")
    window = page.locator("#window")
    expect(window.locator("time")).to_have_count(6)  # drawn as it is stored
    window.evaluate("list => list.scrollTop = 0")
    page.get_by_text("Goal and scratchpad").click()
    page.get_by_label("Goal").fill("ship it")
    with page.expect_response("**/state*"):
        page.get_by_label("Goal").blur()
    expect(page.locator("#events")).to_contain_text("goal")
    assert window.evaluate("list => list.scrollTop") == 0
