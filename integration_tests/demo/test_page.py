"""The page in a real browser: the guide's walk-through by clicking and typing, and what must hold around it."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from integration_tests.demo.clicking import become, event_ids, recalled, row, say, slide, tab
from integration_tests.demo.conftest import Demo, Open

QUESTION = "Which theme should my editor use?"
THEME = "I use a dark theme in my editor."
EVIL = "<img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script> & 'quotes'"


def test_the_walk_through(open_page: Open) -> None:
    page = open_page()
    tab(page, "All")
    expect(page.locator("#memories tr")).to_have_count(8)
    tab(page, "Recalled")

    say(page, QUESTION)
    assert recalled(page) == [THEME]
    assert float(page.locator("#recalled .hit .score").text_content().split()[0]) >= 0.5
    why = page.locator("#recalled .hit details")
    expect(why.locator("summary")).to_have_text("shares theme · editor · use")
    expect(why.locator("dl")).to_be_hidden()
    why.locator("summary").click()
    expect(why.locator("dl")).to_contain_text("meaning")
    expect(page.locator("#threshold-value")).to_have_text("any distance")
    expect(page.locator("#recalled .miss")).to_have_count(7)
    expect(page.locator("#chart .dot")).to_have_count(8)
    expect(page.locator("#chart .in")).to_have_count(1)
    expect(page.locator("#window")).to_contain_text("You use a dark theme in your editor; you told me ")

    expect(page.locator("#changed")).to_contain_text("question")

    slide(page, 0.30)
    expect(page.locator("#recalled .hit")).to_have_count(0)
    expect(page.locator("#recalled")).to_contain_text("Nothing recalled within 0.30")
    slide(page, 0.70)
    expect(page.locator("#recalled .hit")).to_have_count(1)
    assert recalled(page) == [THEME]
    slide(page, 1)
    expect(page.locator("#threshold-value")).to_have_text("any distance")

    say(page, "My favorite color is teal.")
    assert recalled(page) == []
    expect(page.locator("#changed")).to_contain_text("stored")
    tab(page, "All")
    expect(row(page, "My favorite color is teal.")).to_have_count(1)

    expect(row(page, THEME).locator(".seen")).to_have_text("1×")
    say(page, "I use a light theme in my editor.")
    expect(page.locator("#changed")).to_contain_text("stored")
    expect(page.locator("#changed")).to_contain_text(THEME)
    say(page, "I currently use a dark theme in my editor!", "semantic")
    expect(page.locator("#changed")).to_contain_text("the same as")
    expect(row(page, THEME).locator(".seen")).to_have_text("2×")

    become(page, "bob")
    expect(page.locator("#memories tr")).to_have_count(0)
    tab(page, "Recalled")
    say(page, QUESTION)
    expect(page.locator("#recalled")).to_contain_text("Nothing recalled")
    expect(page.locator("#recalled .miss")).to_have_count(0)


def test_on_the_way_to_another_user_nothing_is_asked_of_the_thread_that_is_left(open_page: Open) -> None:
    page = open_page()
    thread = page.locator("#thread").input_value()
    asked: list[str] = []
    held: list[Any] = []
    page.on("request", lambda request: asked.append(request.url))
    page.route("**/state?user=bob*", lambda route: held.append(route))
    say(page, QUESTION)  # its events ask for a refresh, in a moment
    page.get_by_label("User").fill("bob")
    page.get_by_label("User").press("Enter")
    page.wait_for_timeout(700)  # longer than a refresh waits
    assert held
    assert not [url for url in asked if "user=bob" in url and thread in url]
    for route in held:
        route.continue_()
    expect(page.locator("#window")).to_contain_text("Nothing said yet")
    expect(page.locator("#live")).to_have_text("live")


def test_each_mode_shows_what_ranks(open_page: Open) -> None:
    page = open_page()
    say(page, QUESTION)
    mode = page.get_by_label("Mode")
    assert mode.input_value() == "hybrid"
    expect(page.locator("#chart .limit")).to_have_count(0)
    with page.expect_response("**/recall"):
        mode.select_option("vector")
    expect(page.locator("#recalled .hit .distance")).to_have_text(re.compile(r"^0\.[34]\d\d"))
    expect(page.locator("#threshold-value")).to_have_text("0.55")
    expect(page.locator("#recalled")).to_contain_text("Beyond the threshold: not recalled")
    expect(page.locator("#chart .limit")).to_have_count(1)
    with page.expect_response("**/recall"):
        mode.select_option("text")
    expect(page.get_by_label("Recall threshold")).to_be_disabled()
    expect(page.locator("#recalled .hit summary")).to_have_text("shares theme · editor · use")
    assert recalled(page) == [THEME]
    with page.expect_response("**/recall"):
        mode.select_option("hybrid")
    expect(page.get_by_label("Recall threshold")).to_be_enabled()
    expect(page.locator("#threshold-value")).to_have_text("any distance")


def test_an_exchange_renews_the_session(open_page: Open) -> None:
    page = open_page()
    say(page, "hello")
    expect(page.locator("#ttl")).to_have_text(re.compile(r"expires in 59 min \d+ s|expires in 1 h"))
    before = page.locator("#ttl").text_content()
    expect(page.locator("#ttl")).not_to_have_text(before)  # it counts down
    expect(page.locator("#window-size")).to_have_text("2 of 20 messages")


def test_two_browsers_do_not_disturb_each_other(open_page: Open) -> None:
    one, other = open_page(), open_page()
    become(other, "bob")
    say(one, "I live in Lisbon.")
    say(other, "I live in Oslo.")
    expect(one.locator("#window")).not_to_contain_text("Oslo")
    expect(one.locator("#events")).not_to_contain_text("Oslo")
    expect(other.locator("#window")).not_to_contain_text("Lisbon")
    tab(one, "All")
    expect(row(one, "Lisbon.")).to_have_count(1)
    assert one.get_by_label("User").input_value() == "alice"
    one.reload()
    expect(one.locator("#window")).to_contain_text("I live in Lisbon.")
    other.reload()
    expect(other.locator("#window")).to_contain_text("I live in Oslo.")


def test_events_come_live_from_elsewhere_too(open_page: Open, served: Demo) -> None:
    page = open_page()
    thread = page.locator("#thread").input_value()
    asked = {"user": "alice", "thread": thread, "text": "said somewhere else", "kind": "skip"}
    httpx.post(f"{served.url}/exchange", json=asked, timeout=30).raise_for_status()
    expect(page.locator("#events .turn").filter(has_text="turn_start")).to_contain_text("said somewhere else")
    ids = event_ids(page)
    assert len(ids) == len(set(ids))
    assert ids == sorted(ids)


def test_an_exchange_from_elsewhere_in_the_thread_shows_in_every_tier(open_page: Open, served: Demo) -> None:
    page = open_page()
    asked = {"user": "alice", "thread": page.locator("#thread").input_value(), "text": "The zoo is shut."}
    httpx.post(f"{served.url}/exchange", json=asked, timeout=30).raise_for_status()
    expect(page.locator("#window .user")).to_contain_text("The zoo is shut.")
    tab(page, "All")
    expect(row(page, "The zoo is shut.")).to_have_count(1)
    expect(page.locator("#window-size")).to_have_text("2 of 20 messages")


def test_whatever_is_written_is_shown_as_text(open_page: Open) -> None:
    page = open_page(viewport={"width": 360, "height": 740})
    title = page.title()
    page.get_by_text("Goal and scratchpad").click()
    page.get_by_label("Goal").fill(EVIL)
    page.get_by_label("Goal").press("Tab")
    say(page, EVIL)
    tab(page, "All")
    expect(row(page, "onerror").locator(".text")).to_have_text(EVIL)
    expect(page.locator("#window .user")).to_contain_text(EVIL)
    expect(page.locator("#events")).to_contain_text(EVIL[:40])
    expect(page.locator("#thread option").first).to_contain_text("<img src=x")
    row(page, "onerror").locator(".text").click()
    expect(page.locator("#life blockquote")).to_have_text(EVIL)
    page.keyboard.press("Escape")
    tab(page, "Recalled")
    slide(page, 0.9)
    expect(page.locator("main img, main script")).to_have_count(0)
    assert page.title() == title
    assert fits(page)


def fits(page: Page) -> bool:
    """Whether nothing scrolls sideways."""
    return page.evaluate(
        "[document.documentElement, ...document.querySelectorAll('#window, .panel, .log')]"
        ".every((one) => one.scrollWidth <= one.clientWidth)"
    )


@pytest.mark.parametrize("width", [320, 360, 700, 701, 1000, 1440])
def test_the_page_fits_every_width(open_page: Open, width: int) -> None:
    page = open_page(viewport={"width": width, "height": 740})
    say(page, "x" * 300)
    assert fits(page)
    lefts = page.locator(".panel").evaluate_all("all => all.map((one) => one.getBoundingClientRect().left)")
    assert (len(set(lefts)) == 1) == (width <= 700)


def luminance(page: Page, selector: str, property: str) -> float:
    expect(page.locator(selector).first).to_be_attached()
    # In one step: a table that is shown anew replaces its rows.
    color = page.evaluate(f"at => getComputedStyle(document.querySelector(at)).{property}", selector)
    channels = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(page: Page, text: str, ground: str) -> float:
    pair = sorted([luminance(page, text, "color"), luminance(page, ground, "backgroundColor")])
    return (pair[1] + 0.05) / (pair[0] + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_can_both_be_read(open_page: Open, scheme: Any) -> None:
    page = open_page(color_scheme=scheme, reduced_motion="reduce")
    say(page, QUESTION)
    assert (luminance(page, "body", "backgroundColor") > 0.5) == (scheme == "light")
    for text, ground in (
        ("#recalled .hit .text", ".panel"),
        ("#recalled .miss .text", ".panel"),
        (".kind.semantic", ".kind.semantic"),
        (".kind.episodic", ".kind.episodic"),
        ("#place", "body"),
        ("#send", "#send"),
        ("#window .user", "#window .user"),
        (".log .detail", ".panel"),
        ("#threshold-value", ".panel"),
    ):
        assert contrast(page, text, ground) >= 4.5, (text, contrast(page, text, ground))


def test_the_theme_can_be_switched_and_is_kept(open_page: Open) -> None:
    page = open_page(color_scheme="light")
    page.get_by_role("button", name="Switch between light and dark").click()
    assert luminance(page, "body", "backgroundColor") < 0.1
    page.reload()
    assert luminance(page, "body", "backgroundColor") < 0.1


def test_everything_can_be_done_with_the_keyboard(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("heading", name="agentmem").click()  # on a first visit, the message has the focus
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")  # the link past the controls
    expect(page.get_by_label("Your message")).to_be_focused()
    page.keyboard.type("first line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    page.keyboard.press("Enter")
    expect(page.locator("#window .user")).to_contain_text("first line\nsecond line")
    expect(page.locator("#send")).to_be_enabled()
    expect(page.get_by_label("Your message")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="semantic")).to_be_checked()
    wanted = {"send", "threshold", "mode", "tab-recalled", "log-events", "theme", "reset", "user"}
    reached: set[str] = set()
    for _ in range(120):
        if wanted <= reached:
            break
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.title"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or page.evaluate("document.activeElement === document.body")
    assert wanted <= reached
    page.get_by_label("Recall threshold").focus()
    with page.expect_response("**/recall"):
        page.keyboard.press("ArrowLeft")
    expect(page.locator("#threshold-value")).to_have_text("0.99")


def test_goal_scratchpad_threads_and_reset(open_page: Open) -> None:
    page = open_page()
    page.get_by_text("Goal and scratchpad").click()
    page.get_by_label("Goal").fill("ship it")
    with page.expect_response("**/working"):
        page.get_by_label("Scratchpad").fill("half done")
    with page.expect_response("**/working"):
        page.get_by_label("Scratchpad").blur()
    say(page, "hello")
    expect(page.get_by_label("Goal")).to_have_value("ship it")
    first = page.locator("#thread").input_value()
    page.get_by_role("button", name="New thread").click()
    expect(page.locator("#thread")).not_to_have_value(first)
    expect(page.locator("#window")).to_contain_text("Nothing said yet")
    expect(page.get_by_label("Goal")).to_have_value("")
    page.locator("#thread").select_option(first)
    expect(page.locator("#window .user")).to_contain_text("hello")
    expect(page.get_by_label("Scratchpad")).to_have_value("half done")
    expect(page.locator("#events")).to_contain_text("turn_start")
    tab(page, "All")
    page.get_by_role("button", name=f"Delete: {THEME}").click()
    expect(page.locator("#memories tr")).to_have_count(7)
    page.get_by_role("button", name="Reset").click()
    page.get_by_role("button", name="Keep everything").click()
    page.locator("#thread").select_option(first)
    expect(page.locator("#window .user")).to_contain_text("hello")
    page.get_by_role("button", name="Reset").click()
    page.get_by_role("button", name="Remove everything").click()
    expect(page.locator("#thread")).not_to_have_value(first)
    expect(row(page, THEME)).to_have_count(1)
    expect(page.locator("#thread option")).to_have_count(1)


def test_a_namespace_has_its_own_memories_and_the_same_thread(open_page: Open) -> None:
    page = open_page()
    thread = page.locator("#thread").input_value()
    page.get_by_label("Namespace").fill("work")
    page.get_by_label("Namespace").press("Enter")
    tab(page, "All")
    expect(page.locator("#memories tr")).to_have_count(0)
    say(page, "The standup is at ten.")
    expect(page.locator("#memories tr")).to_have_count(1)
    assert page.locator("#thread").input_value() == thread


def test_the_chart_s_limit_is_the_slider_s_from_the_start(open_page: Open) -> None:
    page = open_page()
    page.get_by_label("Mode").select_option("vector")
    limit = page.locator("#chart .limit")
    before = limit.get_attribute("x1")
    page.get_by_label("Recall threshold").fill("0.56")
    page.get_by_label("Recall threshold").fill("0.55")
    expect(limit).to_have_attribute("x1", str(before))


def test_a_long_conversation_scrolls_inside_its_panel(open_page: Open) -> None:
    page = open_page()
    page.set_viewport_size({"width": 1280, "height": 900})
    for number in range(3):
        say(page, f"{number} " + "many words " * 60, "skip")
    empty = page.evaluate(
        "document.documentElement.scrollHeight - Math.max(innerHeight, ...[...document.querySelectorAll('section')]"
        ".map((panel) => panel.getBoundingClientRect().bottom + scrollY))"
    )
    assert empty < 60
