"""When the server is away, or its Redis: one banner, nothing is lost or doubled, and the page heals by itself."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from playwright.sync_api import Page, Route, expect

from integration_tests.demo.clicking import say
from integration_tests.demo.conftest import Demo, Open, StartDemo
from integration_tests.waiting import wait_until
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory
from langchain_agentmem.embedded.binaries import find_candidates, make_runnable

SOON_MS = 30_000  # a hanging server is noticed within seven seconds, and asked again after at most eight


def port_of(demo: Demo) -> int:
    return int(demo.url.rpartition(":")[2])


def send(page: Page, text: str) -> None:
    page.get_by_label("Your message").fill(text)
    page.get_by_label("Your message").press("Enter")


def expect_away(page: Page, what: str = "does not answer") -> None:
    expect(page.locator("#away-what")).to_contain_text(
        re.compile(rf"{what}.*since \d+:\d\d"), timeout=SOON_MS
    )
    expect(page.locator("#away")).to_be_visible()
    expect(page.get_by_role("alert").filter(visible=True)).to_have_count(1)


def expect_healed(page: Page) -> None:
    expect(page.locator("#away")).to_be_hidden(timeout=SOON_MS)
    expect(page.locator("#live")).to_have_text("live", timeout=SOON_MS)
    expect(page.locator("#problem")).to_be_hidden()


def expect_said_once(page: Page, text: str) -> None:
    """It stands once in the conversation, with its answer."""
    expect(page.get_by_label("Your message")).to_have_value("")
    expect(page.locator("#send")).to_be_enabled()
    expect(page.locator("#window .user", has_text=text)).to_have_count(1)
    expect(page.locator("#window .unanswered")).to_have_count(0)
    expect(page.locator("#query q")).to_have_text(text)


def event_ids(page: Page) -> list[str]:
    rows = page.locator("#events [data-events]").evaluate_all("rows => rows.map((row) => row.dataset.events)")
    return sorted(id for row in rows for id in row.split())


def expect_each_event_once(page: Page) -> None:
    """What came live is what a page that is opened now shows."""
    expect(page.locator("#events [data-events]").first).to_be_attached()
    answers = "chain answer_from_memory"
    expect(page.locator("#events [data-events]", has_text=answers)).to_have_count(2)  # all of it has come
    live = event_ids(page)
    assert len(live) == len(set(live))
    page.reload()
    expect(page.locator("#live")).to_have_text("live")
    expect(page.locator("#events [data-events]", has_text=answers)).to_have_count(2)
    assert event_ids(page) == live


def test_a_server_that_is_killed_and_comes_back(start: StartDemo, open_url: Open, url: str) -> None:
    demo = start()
    page = open_url(demo.url, requests_may_fail=True)
    say(page, "hello", "skip")
    expect(page.locator("#events")).to_contain_text("hello")
    thread = page.locator("#thread").input_value()
    demo.end(signal.SIGKILL)
    expect_away(page)
    send(page, "Are you there?")
    expect(page.locator("#window .failed")).to_have_count(1)
    expect(page.locator("#window .failed")).to_contain_text("not sent")
    expect(page.get_by_label("Your message")).to_have_value("Are you there?")
    send(page, "Are you there?")
    expect(page.locator("#send")).to_be_enabled()
    expect(page.locator("#window li", has_text="Are you there?")).to_have_count(1)
    expect_away(page)
    with AgentMemory(url, embeddings=WordEmbeddings(384)) as memory:
        memory.events.record(thread, "meanwhile", user="alice")
        memory.working.set_goal(thread, "changed meanwhile")
    start(port=port_of(demo))
    expect_healed(page)
    expect(page.locator("#events")).to_contain_text("meanwhile")
    expect(page.locator("#goal")).to_have_value("changed meanwhile")
    expect(page.locator("#window .failed")).to_have_count(0)
    page.get_by_role("button", name="Send").click()
    expect_said_once(page, "Are you there?")
    expect_each_event_once(page)


def test_a_server_that_hangs_and_goes_on(start: StartDemo, open_url: Open) -> None:
    demo = start()
    page = open_url(demo.url, requests_may_fail=True)
    say(page, "hello", "skip")
    demo.process.send_signal(signal.SIGSTOP)
    try:
        send(page, "I live in Lisbon.")
        expect_away(page)
        expect(page.locator("#window .failed")).to_have_count(1, timeout=SOON_MS)
        expect(page.get_by_label("Your message")).to_have_value("I live in Lisbon.")
    finally:
        demo.process.send_signal(signal.SIGCONT)
    expect_healed(page)
    if page.get_by_label("Your message").input_value():
        page.get_by_label("Your message").press("Enter")
    expect_said_once(page, "I live in Lisbon.")
    expect_each_event_once(page)


def test_what_was_stored_though_its_answer_was_lost_is_not_sent_again(
    start: StartDemo, open_url: Open
) -> None:
    demo = start()
    page = open_url(demo.url, requests_may_fail=True)
    say(page, "hello", "skip")

    def lose(route: Route) -> None:
        route.fetch()  # the server stores it
        route.abort()

    page.route("**/exchange", lose)
    with page.expect_event("requestfailed"):
        send(page, "I live in Lisbon.")
    expect(page.get_by_label("Your message")).to_have_value("", timeout=SOON_MS)
    expect(page.locator("#window-size")).to_contain_text("4 of 20")
    expect(page.locator("#window .user", has_text="Lisbon")).to_have_count(1)
    expect(page.locator("#problem")).to_be_hidden()
    expect(page.locator("#window .failed")).to_have_count(0)


def test_a_page_that_is_opened_while_redis_is_away_fills_when_it_is_back(
    own_redis: OwnRedis, start_on: StartOn, open_url: Open
) -> None:
    demo = start_on(own_redis.url)
    own_redis.kill()
    page = open_url(demo.url, live=False, requests_may_fail=True)
    expect_away(page, "lost its Redis")
    own_redis.run()
    expect_healed(page)
    expect(page.locator("#window")).to_contain_text("Nothing said yet", timeout=SOON_MS)
    say(page, "hello", "skip")


def test_redis_that_is_killed_and_comes_back_under_the_server(
    own_redis: OwnRedis, start_on: StartOn, open_url: Open
) -> None:
    demo = start_on(own_redis.url)
    page = open_url(demo.url, requests_may_fail=True)
    say(page, "hello", "skip")
    own_redis.kill()
    expect_away(page, "lost its Redis")
    send(page, "I live in Lisbon.")
    expect(page.locator("#window .failed")).to_have_count(1, timeout=SOON_MS)
    expect(page.locator("#send")).to_be_enabled()
    expect_away(page, "lost its Redis")
    own_redis.run()
    expect_healed(page)
    page.get_by_label("Your message").press("Enter")
    expect_said_once(page, "I live in Lisbon.")
    expect(page.locator("#window")).to_contain_text("hello")


def test_somebody_who_does_not_wait_can_have_it_tried_now(start: StartDemo, open_url: Open) -> None:
    demo = start()
    page = open_url(demo.url, requests_may_fail=True)
    demo.end(signal.SIGKILL)
    expect(page.locator("#away-next")).to_contain_text(re.compile("in [78] s"), timeout=SOON_MS)
    with page.expect_request("**/state*", timeout=5_000):  # and not in seven seconds
        page.get_by_role("button", name="Try now").click()
    start(port=port_of(demo))
    expect_healed(page)


class OwnRedis:
    """A Redis that can be killed, and run again with what it had."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        chosen = make_runnable(find_candidates(search=True)[0])
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        options += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        for module in chosen.modules:
            options += ["--loadmodule", str(module)]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen([chosen.server, *options], stdout=quiet, stderr=quiet)
        wait_until(self._answers, 20)

    def _answers(self) -> bool:
        with redis.Redis.from_url(self.url) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:  # or it still loads
                return False

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()


StartOn = StartDemo


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    server = OwnRedis(tmp_path)
    server.run()
    yield server
    server.kill()


@pytest.fixture
def start_on() -> Iterator[StartOn]:
    """Starts a demo on a Redis."""
    running: list[Demo] = []

    def start_one(store: str) -> Demo:
        running.append(Demo(store, stubs=True))
        return running[-1]

    yield start_one
    for demo in running:
        demo.end()
