"""The page in a real browser, with a server of its own: a model, a token, and a server that goes away."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from integration_tests.demo.clicking import say
from integration_tests.demo.conftest import StartDemo


def test_a_models_answer_comes_in_parts_and_its_failure_is_shown(browser: Browser, start: StartDemo) -> None:
    demo = start("--model", "stub:model")
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(demo.url)
        expect(page.locator("#live")).to_have_text("live")
        page.get_by_label("Your message").fill("slow")
        page.get_by_label("Your message").press("Enter")
        expect(page.locator("#window .waiting")).to_contain_text("answer")
        page.reload()
        expect(page.locator("#live")).to_have_text("live")
        page.get_by_label("Your message").fill("please fail")
        page.get_by_label("Your message").press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("The model failed")
        expect(page.get_by_label("Your message")).to_have_value("please fail")
        say(page, "hello")
        expect(page.get_by_role("alert")).to_be_hidden()
        expect(page.locator("#window")).to_contain_text("of the model, in parts")


def test_the_token_is_asked_for_and_travels_in_a_header_only(browser: Browser, start: StartDemo) -> None:
    demo = start("--token", "sécret", "--host", "0.0.0.0")
    with browser.new_context() as context:
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(demo.url)
        page.get_by_role("textbox", name="Token").fill("wrong")
        page.get_by_role("button", name="Open").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        page.get_by_role("textbox", name="Token").fill("sécret")
        page.get_by_role("button", name="Open").click()
        expect(page.locator("#live")).to_have_text("live")
        say(page, "hello")
        expect(page.locator("#events")).to_contain_text("turn_start")
        assert not [url for url in asked if "cret" in url]
    assert demo.end() == 130
    assert "cret" not in demo.said.replace("--token", "")


def test_the_page_goes_on_when_the_server_comes_back(browser: Browser, start: StartDemo) -> None:
    demo = start()
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(demo.url)
        expect(page.locator("#live")).to_have_text("live")
        say(page, "hello")
        expect(page.locator("#events")).to_contain_text("turn_start")
        port = int(demo.url.rpartition(":")[2])
        demo.end()
        expect(page.locator("#live")).to_have_text("offline")
        start("--no-reset", port=port)
        expect(page.locator("#live")).to_have_text("live", timeout=15_000)
        say(page, "still here?")
        expect(page.locator("#events")).to_contain_text("still here?")
        ids = page.locator("#events li").evaluate_all("rows => rows.map((row) => row.dataset.id)")
        assert len(ids) == len(set(ids)) == 8
