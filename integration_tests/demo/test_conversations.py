"""Whole conversations with the real model, by the page's server and on the page: what is recalled, stored, answered."""

from __future__ import annotations

import re

import httpx
from playwright.sync_api import expect

from integration_tests.conversations import (
    CONVERSATIONS,
    Line,
    each_conversation,
    ill_said,
    mistakes,
    questions,
)
from integration_tests.demo.clicking import become, recalled, say
from integration_tests.demo.conftest import Demo, Open


@each_conversation
def test_the_page_answers_with_what_was_said(served: Demo, lines: list[Line]) -> None:
    found = []
    with httpx.Client(base_url=served.url, timeout=30) as client:
        for user in {line["user"] for line in lines} | {"alice"}:
            client.post("/reset", json={"user": user}).raise_for_status()
        for line in lines:
            asked = {"user": line["user"], "thread": line["user"], "text": line["say"]}
            happened = client.post("/exchange", json=asked).raise_for_status().json()
            recalled = [one["text"] for one in happened["recall"]["memories"] if one["recalled"]]
            stored = happened["fate"]["what"] == "stored"
            found += mistakes(line, recalled, stored=stored, asked=questions(lines))
            found += ill_said(line, happened["answer"])
    assert found == []


def test_a_person_sees_it_on_the_page(open_page: Open) -> None:
    lines = CONVERSATIONS["a nurse who moves"]
    page, found, user = open_page(), [], "alice"
    for line in lines:
        if line["user"] != user:
            user = line["user"]
            become(page, user)
        say(page, line["say"])
        expect(page.locator("#changed .chip").first).to_have_text(re.compile(r"^1\+2 messages$"))
        stored = "+1 memory" in page.locator("#changed").inner_text()
        found += mistakes(line, recalled(page), stored=stored, asked=questions(lines))
        found += ill_said(line, page.locator("#window .other .said").last.inner_text())
    assert found == []
