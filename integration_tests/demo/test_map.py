"""The map of memories in a real browser: what is recalled is joined to the question, and nothing moves."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from integration_tests.demo.clicking import become, recalled, say, tab
from integration_tests.demo.conftest import Demo, Open

QUESTION = "Which theme should my editor use?"
THEME = "I use a dark theme in my editor."
TEAL = "My favorite color is teal."


@pytest.fixture
def mapped(open_page: Open) -> Page:
    """The page with the map of the samples, at rest at once."""
    page = open_page(reduced_motion="reduce")
    tab(page, "Map")
    expect(page.locator("#map-count")).to_have_text("8 memories")
    return page


def spots(page: Page) -> dict[str, str]:
    """Where the memories near the question are drawn, by their ids."""
    drawn = "all => all.map((one) => [one.dataset.id, one.getAttribute('transform')])"
    return dict(page.locator("#map .spot").evaluate_all(drawn))


def ids(page: Page, what: str) -> set[str]:
    return set(page.locator(f"#map {what}").evaluate_all("all => all.map((one) => one.dataset.id)"))


def places(served: Demo, user: str = "alice") -> dict[str, tuple[float, float]]:
    answer = httpx.get(f"{served.url}/map", params={"user": user}, timeout=30).raise_for_status()
    return {point["id"]: (point["x"], point["y"]) for point in answer.json()["points"]}


def test_those_that_are_recalled_are_joined_to_the_question_and_no_others(mapped: Page) -> None:
    say(mapped, "What did I do with Redis, and what do I write at work?")
    expect(mapped.locator("#map .query-point")).to_be_visible()
    expect(mapped.locator("#map .join").first).to_be_attached()
    hits = mapped.locator("#recalled .hit").evaluate_all("all => all.map((one) => one.dataset.id)")
    assert len(hits) >= 2
    assert ids(mapped, ".join") == ids(mapped, ".spot.in") == set(hits)
    assert len(spots(mapped)) == 8
    assert ids(mapped, ".name.in") == set(hits)
    expect(mapped.get_by_role("group", name=re.compile(f"recalls {len(hits)} of them"))).to_be_visible()


def test_no_memory_moves_when_another_one_is_added(mapped: Page, served: Demo) -> None:
    say(mapped, QUESTION)
    expect(mapped.locator("#map .spot")).to_have_count(8)
    drawn, placed = spots(mapped), places(served)
    for number, text in enumerate((TEAL, "I use a light theme in my editor.", "Noor lives in Porto."), 9):
        say(mapped, text)
        expect(mapped.locator("#map-count")).to_have_text(f"{number} memories")
        say(mapped, QUESTION)
        now = spots(mapped)
        assert {id: now[id] for id in drawn.keys() & now.keys()} == {
            id: drawn[id] for id in drawn.keys() & now.keys()
        }
        after = places(served)
        assert {id: after[id] for id in placed} == placed
    mapped.reload()
    expect(mapped.locator("#map .spot")).to_have_count(8)
    assert places(served) == after


def test_the_question_moves_while_it_is_typed_and_nothing_is_stored(mapped: Page, served: Demo) -> None:
    box = mapped.get_by_label("Your message")
    with mapped.expect_response("**/recall"):
        box.fill(QUESTION)
    expect(mapped.locator("#map .join")).to_have_count(1)
    expect(mapped.locator("#query")).to_have_text(re.compile("not sent yet"))
    first, place = ids(mapped, ".join"), mapped.locator("#map .query-point").get_attribute("transform")
    box.fill("Where do our services run?")
    expect(mapped.locator("#map .query-point")).not_to_have_attribute("transform", str(place))
    expect(mapped.locator("#query q")).to_have_text("Where do our services run?")
    assert ids(mapped, ".join") != first
    box.fill("")
    expect(mapped.locator("#map .join")).to_have_count(0)
    expect(mapped.locator("#map .query-point")).to_be_hidden()
    threads = httpx.get(f"{served.url}/threads", params={"user": "alice"}, timeout=30).json()["threads"]
    assert threads == []
    assert len(places(served)) == 8


def test_an_empty_box_returns_to_what_was_said_last(mapped: Page) -> None:
    say(mapped, QUESTION)
    expect(mapped.locator("#map .join")).to_have_count(1)
    joined = ids(mapped, ".join")
    box = mapped.get_by_label("Your message")
    box.press_sequentially("Where do our services run?")
    expect(mapped.locator("#query q")).to_have_text("Where do our services run?")
    box.fill("")
    expect(mapped.locator("#query q")).to_have_text(QUESTION)
    assert ids(mapped, ".join") == joined


def test_an_answer_that_comes_late_does_not_replace_a_newer_one(mapped: Page) -> None:
    held: list[Any] = []
    mapped.route("**/recall", lambda route: held.append(route) if not held else route.continue_())
    box = mapped.get_by_label("Your message")
    with mapped.expect_request("**/recall"):
        box.fill("Where do our services run?")
    with mapped.expect_response("**/recall"):
        box.fill(QUESTION)
    expect(mapped.locator("#query q")).to_have_text(QUESTION)
    joined = ids(mapped, ".join")
    assert held[0].request.failure is not None  # it was given up
    assert ids(mapped, ".join") == joined


def test_mode_and_threshold_change_the_joins_at_once(mapped: Page) -> None:
    say(mapped, QUESTION)
    expect(mapped.locator("#map .join")).to_have_count(1)
    mapped.get_by_label("Recall threshold").fill("0.2")
    expect(mapped.locator("#map .join")).to_have_count(0)
    expect(mapped.locator("#map .spot.in")).to_have_count(0)
    mapped.get_by_label("Recall threshold").fill("0.9")
    expect(mapped.locator("#map .join")).to_have_count(1)
    mapped.get_by_label("Mode").select_option("vector")
    mapped.get_by_label("Recall threshold").fill("1")
    expect(mapped.locator("#map .join").nth(3)).to_be_attached()
    assert ids(mapped, ".join") == ids(mapped, ".spot.in")


def test_a_point_tells_its_text_its_date_its_score_and_the_parts_of_it(mapped: Page) -> None:
    say(mapped, QUESTION)
    expect(mapped.locator("#map .join")).to_have_count(1)
    expect(mapped.locator("#map-tip")).to_be_hidden()
    mapped.locator("#map .spot.in").hover(force=True)
    tip = mapped.locator("#map-tip")
    expect(tip).to_be_visible()
    expect(tip.locator(".tip-text")).to_have_text(THEME)
    expect(tip).to_contain_text(re.compile(r"semantic.*\d{4}.*score 0\.\d{3}.*distance 0\.\d{3}.*Recalled"))
    expect(tip.locator("dl")).to_contain_text(re.compile(r"meaning\s*0\.\d+"))
    mapped.mouse.move(5, 5)
    expect(tip).to_be_hidden()


def test_a_click_on_a_point_opens_the_life_of_the_memory(mapped: Page) -> None:
    say(mapped, QUESTION)
    expect(mapped.locator("#map .join")).to_have_count(1)
    mapped.locator("#map .spot.in").click(force=True)
    expect(mapped.get_by_role("dialog", name="The life of a memory")).to_contain_text(THEME)


def test_the_keyboard_goes_from_memory_to_memory(mapped: Page) -> None:
    say(mapped, QUESTION)
    expect(mapped.locator("#map .join")).to_have_count(1)
    cursor = mapped.locator("#map-cursor")
    cursor.focus()
    expect(mapped.locator("#map-tip .tip-text")).to_have_text(THEME)
    expect(cursor).to_have_attribute("aria-label", THEME)
    seen = {THEME}
    for key in ["ArrowUp"] * 4 + ["ArrowRight"] * 4 + ["ArrowDown"] * 4 + ["ArrowLeft"] * 4:
        mapped.keyboard.press(key)
        seen.add(str(mapped.locator("#map-tip .tip-text").text_content()))
    assert len(seen) >= 4
    mapped.keyboard.press("Home")
    expect(mapped.locator("#map-said")).to_have_text(f"{THEME}, semantic, recalled")
    mapped.keyboard.press("Enter")
    expect(mapped.get_by_role("dialog", name="The life of a memory")).to_contain_text(THEME)


def test_what_is_replaced_stays_where_it_was_and_is_hollow(mapped: Page, served: Demo) -> None:
    say(mapped, "I use a light theme in my editor.", "semantic")
    expect(mapped.locator("#map-count")).to_have_text("9 memories")
    before = places(served)
    with httpx.Client(base_url=served.url, timeout=30) as client:
        found = client.get("/memories", params={"user": "alice"}).json()["memories"]
        texts = {memory["text"]: memory["id"] for memory in found}
        asked = {
            "user": "alice",
            "thread": "t",
            "id": texts[THEME],
            "by": texts["I use a light theme in my editor."],
        }
        assert client.post("/replace", json=asked).json()["replaced"]
    expect(mapped.locator("#map-legend [data-has=replaced]")).to_be_visible()
    assert places(served) == before


def test_a_question_that_was_asked_before_there_was_a_map_finds_its_place(open_page: Open) -> None:
    page = open_page(reduced_motion="reduce")
    become(page, "carol")
    say(page, "I live in Porto.")
    say(page, "Where do I live?")
    tab(page, "Map")
    expect(page.locator("#map .join")).to_have_count(1)
    expect(page.locator("#map .query-point")).to_be_visible()


def test_a_user_of_whom_nothing_is_known_is_told_so(mapped: Page) -> None:
    become(mapped, "bob")
    expect(mapped.locator("#map-empty")).to_have_text(re.compile("Nothing is known of bob yet"))
    expect(mapped.locator("#map-cursor")).to_be_hidden()
    say(mapped, "I live in Porto.")
    expect(mapped.locator("#map-count")).to_have_text("1 memory")
    expect(mapped.locator("#map-empty")).to_be_hidden()
    say(mapped, "Where do I live?")
    expect(mapped.locator("#map .join")).to_have_count(1)
    assert recalled(mapped) == ["I live in Porto."]


def test_the_map_can_be_enlarged(mapped: Page) -> None:
    say(mapped, QUESTION)
    expect(mapped.locator("#map .spot")).to_have_count(8)
    before = spots(mapped)
    mapped.get_by_role("button", name="Zoom in").click()
    assert spots(mapped) != before
    mapped.get_by_role("button", name="Zoom out").click()
    assert spots(mapped) == before


def test_the_map_follows_its_theme_and_its_size(mapped: Page) -> None:
    pixels = "() => document.querySelector('#map canvas').toDataURL()"
    light = mapped.evaluate(pixels)
    mapped.get_by_role("button", name="Switch between light and dark").click()
    assert mapped.evaluate(pixels) != light
    mapped.set_viewport_size({"width": 390, "height": 844})
    canvas, frame = mapped.locator("#map canvas"), mapped.locator("#map")
    expect(canvas).to_have_attribute("width", str(round(frame.evaluate("one => one.clientWidth"))))


def test_the_first_question_stands_on_the_map_before_it_is_sent(open_page: Open, served: Demo) -> None:
    page = open_page(f"{served.url}/?view=map", reduced_motion="reduce")
    expect(page.get_by_label("Your message")).to_have_value(QUESTION)
    expect(page.locator("#map .join")).to_have_count(1, timeout=15_000)
