"""The page in a real browser, with a server of its own: a model, a token, and a server that goes away."""

from __future__ import annotations

import redis
from playwright.sync_api import Browser, expect

from integration_tests.demo.clicking import event_ids, say, tab
from integration_tests.demo.conftest import StartDemo
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory


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
        expect(page.locator("#window li", has_text="please fail").locator(".unanswered")).to_be_visible()
        say(page, "hello")
        expect(page.get_by_role("alert")).to_be_hidden()
        expect(page.locator("#window")).to_contain_text("of the model, in parts")
        expect(page.locator("#window li", has_text="hello").locator(".unanswered")).to_have_count(0)


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


def test_the_page_goes_on_when_the_server_comes_back(browser: Browser, start: StartDemo, url: str) -> None:
    demo = start()
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(demo.url)
        expect(page.locator("#live")).to_have_text("live")
        say(page, "hello")
        expect(page.locator("#events")).to_contain_text("turn_start")
        port = int(demo.url.rpartition(":")[2])
        thread = page.locator("#thread").input_value()
        demo.end()
        expect(page.locator("#live")).to_have_text("offline")
        with AgentMemory(url, embeddings=WordEmbeddings(384)) as memory:
            memory.working.set_goal(thread, "changed meanwhile")
        start(port=port)
        expect(page.locator("#live")).to_have_text("live", timeout=15_000)
        expect(page.get_by_label("Goal")).to_have_value("changed meanwhile")
        say(page, "still here?")
        expect(page.locator("#events")).to_contain_text("still here?")
        ids = event_ids(page)
        assert len(ids) == len(set(ids)) == 8


def test_what_expires_goes_from_the_page(browser: Browser, start: StartDemo, bare: redis.Redis) -> None:
    demo = start("--session-ttl-seconds", "3")
    first, second, *_ = sorted(key for key in bare.scan_iter(_type="ReJSON-RL"))
    bare.expire(first, 90)
    bare.expire(second, 3)
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(demo.url)
        expect(page.locator("#live")).to_have_text("live")
        page.get_by_text("Goal and scratchpad").click()
        page.get_by_label("Goal").fill("ship it")
        page.get_by_label("Goal").press("Tab")
        tab(page, "All")
        expect(page.locator("#ttl")).to_contain_text("expires in")
        ttl = page.locator(f"tr[data-id='{first.decode().rpartition(':')[2]}'] .ttl")
        before = ttl.text_content()
        expect(page.locator("#memories tr")).to_have_count(7)
        expect(page.get_by_label("Goal")).to_have_value("")
        expect(page.locator("#ttl")).to_have_text("no session yet")
        expect(ttl).not_to_have_text(before)
        expect(ttl).to_contain_text("1 min")
