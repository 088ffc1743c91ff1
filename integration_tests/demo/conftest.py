"""The demo as people run it: a process of its own, on an ephemeral Redis."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
import redis
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from integration_tests.cli.conftest import environment
from langchain_agentmem.embedded.server import EmbeddedRedis


class Demo:
    """A running `agentmem demo`.

    Attributes:
        url: Where the page is.
        process: Serves it.
    """

    def __init__(self, store: str | None, *arguments: str, stubs: bool, port: int = 0) -> None:
        command = [sys.executable, "-m", "langchain_agentmem.cli", "demo", "--port", str(port)]
        where = [] if store is None else ["--redis", store]
        self.process = subprocess.Popen(
            [*command, *where, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(store or "redis://127.0.0.1:1", stubs=stubs),
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._said: list[str] = []
        self._listening = threading.Thread(target=self._said.extend, args=(self.process.stderr,))
        self._listening.start()
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            self.end()
            raise AssertionError(self.said)

    @property
    def said(self) -> str:
        """What it told, besides the URL."""
        return "".join(self._said)

    def end(self, how: signal.Signals = signal.SIGINT) -> int:
        """Interrupt it; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            code = self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self._listening.join()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        return code


StartDemo = Callable[..., Demo]


@pytest.fixture
def start(url: str) -> Iterator[StartDemo]:
    """Starts a demo on this test's own database, with a model that loads at once."""
    with ExitStack() as running:

        def start_one(*arguments: str, **how: Any) -> Demo:
            demo = Demo(url, *arguments, stubs=True, **how)
            running.callback(demo.end)
            return demo

        yield start_one


@pytest.fixture(scope="module")
def own_server() -> Iterator[EmbeddedRedis]:
    """A Redis of the module's own."""
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture(scope="module")
def served(own_server: EmbeddedRedis) -> Iterator[Demo]:
    """A demo with the real model, for a whole module."""
    demo = Demo(own_server.url, "--allow-reset", stubs=False)
    try:
        yield demo
    finally:
        demo.end()
        assert "Traceback" not in demo.said, demo.said


@pytest.fixture
def samples_only(own_server: EmbeddedRedis, served: Demo) -> None:
    """The store of the module's demo has the samples, and nothing else."""
    with redis.Redis.from_url(own_server.url) as bare:
        users = {key.decode().removeprefix("agent:threads:") for key in bare.scan_iter("agent:threads:*")}
    with httpx.Client(base_url=served.url, timeout=30) as client:
        for user in sorted({"alice", "bob", "carol"} | users):
            client.post("/reset", json={"user": user}).raise_for_status()


@pytest.fixture
def client(served: Demo, samples_only: None) -> Iterator[httpx.Client]:
    """Talks to it."""
    with httpx.Client(base_url=served.url, timeout=30) as client:
        yield client


Open = Callable[..., Page]


@pytest.fixture
def open_url(browser: Browser) -> Iterator[Open]:
    """Opens a page in a browser of its own; fails on a script's error, and on a request's unless it may fail."""
    errors: list[str] = []
    with ExitStack() as opened:

        def open_one(url: str, live: bool = True, requests_may_fail: bool = False, **how: Any) -> Page:
            def console(told: ConsoleMessage) -> None:
                failed_request = told.text.startswith("Failed to load resource")
                if told.type == "error" and not (failed_request and requests_may_fail):
                    errors.append(told.text)

            context = opened.enter_context(browser.new_context(**how))
            page = context.new_page()
            page.set_default_timeout(15_000)
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", console)
            page.goto(url)
            if live:
                expect(page.locator("#live")).to_have_text("live")
            return page

        yield open_one
    assert errors == []


@pytest.fixture
def open_page(open_url: Open, served: Demo, samples_only: None) -> Open:
    """Opens the page of the module's demo, on a store with the samples only."""

    def open_one(url: str = served.url, **how: Any) -> Page:
        return open_url(url, **how)

    return open_one


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        reason = "chromium is not on the PATH (Debian: apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}, and CI must run these tests")
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
