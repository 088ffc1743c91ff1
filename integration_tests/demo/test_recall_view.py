"""The list of what is recalled, in a real browser: what the slider means, what matched, and why nothing is found."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from integration_tests.demo.clicking import become, recalled, say, slide, tab
from integration_tests.demo.conftest import Open

QUESTION = "Which theme should my editor use?"
THEME = "I use a dark theme in my editor."


def test_the_words_that_matched_are_marked_in_the_text(open_page: Open) -> None:
    page = open_page()
    say(page, QUESTION)
    assert recalled(page) == [THEME]
    expect(page.locator("#recalled .hit mark")).to_have_text(["use", "theme", "editor"])


def test_what_a_question_about_everything_recalls_is_not_said_to_be_found_by_its_meaning(
    open_page: Open,
) -> None:
    page = open_page()
    say(page, "What do you know about me?")
    expect(page.locator("#recalled .hit summary").first).to_have_text("one of all: newest first")
    expect(page.locator("#recalled")).not_to_contain_text("found by its meaning")


def test_markup_in_a_text_that_matched_stays_text(open_page: Open) -> None:
    page = open_page()
    text = "The <b>zoo</b> <img src=x onerror=alert(1)> is shut on Mondays."
    say(page, text)
    say(page, "When is the zoo shut?")
    assert text in recalled(page)
    expect(page.locator("#recalled .hit mark").first).to_be_attached()
    expect(page.locator("#recalled img, #recalled b")).to_have_count(0)


def test_what_the_slider_does_is_told_for_each_mode(open_page: Open) -> None:
    page = open_page()
    means = page.locator("#means")
    expect(means).to_have_text("By meaning and words. Slide left to limit the distance, too.")
    slide_to = page.get_by_label("Recall threshold")
    slide_to.fill("0.4")
    expect(means).to_have_text("By meaning and words. What is farther away is left out.")
    page.get_by_label("Mode").select_option("vector")
    expect(means).to_have_text("By meaning alone. What is nearer than the threshold is recalled.")
    page.get_by_label("Mode").select_option("text")
    expect(means).to_have_text("By words alone. Words have no distance to limit.")


def test_why_nothing_is_recalled_is_told(open_page: Open) -> None:
    page = open_page()
    list = page.locator("#recalled")
    expect(list).to_contain_text("why it is found, shows here")
    say(page, "What is the capital of Mongolia?")
    expect(list).to_contain_text("Nothing recalled: no memory seems to be about this.")
    say(page, QUESTION)
    slide(page, 0.2)
    expect(list).to_contain_text(
        re.compile(r"Nothing recalled within 0\.20: the nearest memory is 0\.3\d away\.")
    )
    slide(page, 1)
    become(page, "bob")
    say(page, QUESTION)
    expect(list).to_contain_text("Nothing recalled: nothing is known of bob yet.")


def test_the_list_is_live_while_a_message_is_typed(open_page: Open) -> None:
    page = open_page()
    say(page, "What is the capital of Mongolia?")
    page.get_by_label("Your message").fill(QUESTION)
    expect(page.locator("#recalled .hit .text")).to_have_text([THEME])
    tab(page, "With and without")
    expect(page.locator("#query q")).to_have_text("What is the capital of Mongolia?")
    tab(page, "Recalled")
    expect(page.locator("#recalled .hit .text")).to_have_text([THEME])
    page.get_by_label("Your message").fill("")
    expect(page.locator("#recalled .hit")).to_have_count(0)
    expect(page.locator("#query q")).to_have_text("What is the capital of Mongolia?")


def test_no_two_distances_are_drawn_on_each_other(open_page: Open) -> None:
    page = open_page()
    say(page, QUESTION)
    expect(page.locator("#chart .dot")).to_have_count(8)
    at = "all => all.map((one) => [+one.getAttribute('cx'), +one.getAttribute('cy')])"
    dots = page.locator("#chart .dot circle").evaluate_all(at)
    pairs = [(one, other) for number, one in enumerate(dots) for other in dots[:number]]
    assert all((x - u) ** 2 + (y - v) ** 2 > 15**2 for (x, y), (u, v) in pairs)


def test_the_parts_of_a_rank_open_and_stay_short(open_page: Open) -> None:
    page = open_page()
    say(page, QUESTION)
    why = page.locator("#recalled .hit details")
    why.locator("summary").click()
    expect(why.locator("dl")).to_contain_text(re.compile(r"meaning\s*0\.\d{3}\s*words\s*\+0\.\d{3}"))
    expect(why.locator("[title='how alike they are']")).to_be_visible()
