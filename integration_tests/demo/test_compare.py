"""The same question with and without memory, side by side, in a real browser."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Page, expect

from integration_tests.demo.clicking import become, say, tab
from integration_tests.demo.conftest import Open

QUESTION = "Which theme should my editor use?"
THEME = "I use a dark theme in my editor."
KNOWN = "You use a dark theme in your editor"
UNKNOWN = "I don't know that yet."


def with_model(page: Page, answer: Any) -> None:
    """Let the page believe that a model answers, and answer for it."""

    def about(route: Any) -> None:
        told = route.fetch().json()
        route.fulfill(json={**told, "model": "openai:some"})

    page.route("**/about*", about)
    page.route("**/answers", answer)
    page.reload()
    expect(page.locator("#live")).to_have_text("live")


def test_both_answers_stand_side_by_side_with_the_memories_that_are_used(open_page: Open) -> None:
    page = open_page()
    say(page, QUESTION)
    tab(page, "With and without")
    expect(page.locator(".answer.with")).to_contain_text(KNOWN)
    expect(page.locator(".answer.without")).to_have_text(UNKNOWN)
    expect(
        page.get_by_role("list", name="The memories that are used").get_by_role("listitem")
    ).to_contain_text([THEME])
    expect(page.locator(".answer mark")).to_have_text(["dark"])
    tops = page.locator(".answers section").evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect().top)"
    )
    assert len(set(tops)) == 1
    page.set_viewport_size({"width": 390, "height": 844})
    tops = page.locator(".answers section").evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect().top)"
    )
    assert len(set(tops)) == 2


def test_the_answers_follow_the_slider(open_page: Open) -> None:
    page = open_page()
    say(page, QUESTION)
    tab(page, "With and without")
    expect(page.locator(".answer.with")).to_contain_text("dark theme")
    page.get_by_label("Recall threshold").fill("0.2")
    expect(page.locator(".answer.with")).to_have_text(UNKNOWN)
    expect(page.locator(".verdict")).to_contain_text("Nothing is recalled")
    page.get_by_label("Recall threshold").fill("0.6")
    expect(page.locator(".answer.with")).to_contain_text("dark theme")
    page.get_by_label("Mode").select_option("vector")
    page.get_by_label("Recall threshold").fill("0.1")
    expect(page.locator(".answer.with")).to_have_text(UNKNOWN)
    page.get_by_label("Mode").select_option("text")
    expect(page.locator(".answer.with")).to_contain_text("dark theme")


def test_before_any_question_one_is_suggested(open_page: Open) -> None:
    page = open_page()
    tab(page, "With and without")
    page.locator("#view-compare").get_by_role("button", name=QUESTION).click()
    expect(page.locator(".answer.with")).to_contain_text(KNOWN)
    expect(page.locator("#window .user")).to_have_count(0)  # nothing was said


def test_the_answers_are_of_the_user_who_asks(open_page: Open) -> None:
    page = open_page()
    say(page, QUESTION)
    tab(page, "With and without")
    expect(page.locator(".answer.with")).to_contain_text(KNOWN)
    become(page, "bob")
    expect(page.locator(".answer")).to_have_count(0)
    say(page, QUESTION)
    expect(page.locator(".answer.with")).to_have_text(UNKNOWN)


def test_a_memory_that_is_added_changes_the_answer(open_page: Open) -> None:
    page = open_page()
    tab(page, "With and without")
    say(page, "What is my dog called?")
    expect(page.locator(".answer.with")).to_have_text(UNKNOWN)
    say(page, "My dog is called Biscuit.")
    say(page, "What is my dog called?")
    expect(page.locator(".answer.with")).to_contain_text("Your dog is called Biscuit")


def test_a_model_is_asked_when_the_slider_is_let_go(open_page: Open) -> None:
    page = open_page()
    say(page, QUESTION)
    asked: list[Any] = []

    def answer(route: Any) -> None:
        asked.append(json.loads(route.request.post_data))
        route.continue_()

    with_model(page, answer)
    tab(page, "With and without")
    expect(page.locator(".answer.with")).to_contain_text(KNOWN)
    assert len(asked) == 1
    box = page.get_by_label("Recall threshold").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] - 8, y)
    page.mouse.down()
    for step in (0.8, 0.5, 0.15):
        with page.expect_response("**/recall"):
            page.mouse.move(box["x"] + box["width"] * step, y)
    expect(page.locator(".verdict")).to_contain_text("when you let the slider go")
    expect(page.locator(".answers")).to_have_attribute("aria-busy", "true")
    assert len(asked) == 1
    page.mouse.up()
    expect(page.locator(".answer.with")).to_have_text(UNKNOWN)
    assert len(asked) == 2


def test_a_model_that_fails_is_told_in_place_and_can_be_asked_again(open_page: Open) -> None:
    page = open_page(requests_may_fail=True)
    say(page, QUESTION)
    failing = [True]

    def answer(route: Any) -> None:
        if failing[0]:
            route.fulfill(status=502, json={"error": "The model failed: no key"})
        else:
            route.continue_()

    with_model(page, answer)
    tab(page, "With and without")
    expect(page.locator("#view-compare").get_by_role("alert")).to_have_text("The model failed: no key")
    expect(page.locator("#problem")).to_be_hidden()
    failing[0] = False
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".answer.with")).to_contain_text(KNOWN)
