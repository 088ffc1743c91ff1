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
from playwright.sync_api import Browser, sync_playwright

from integration_tests.cli.conftest import environment
from langchain_agentmem.embedded.server import EmbeddedRedis


class Demo:
    """A running `agentmem demo`.

    Attributes:
        url: Where the page is.
        process: Serves it.
    """

    def __init__(self, store: str, *arguments: str, stubs: bool, port: int = 0) -> None:
        command = [sys.executable, "-m", "langchain_agentmem.cli", "demo", "--port", str(port)]
        self.process = subprocess.Popen(
            [*command, "--redis", store, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(store, stubs=stubs),
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
    """A Redis of the module's own, because a store is served by one demo at a time."""
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture(scope="module")
def served(own_server: EmbeddedRedis) -> Iterator[Demo]:
    """A demo with the real model, for a whole module."""
    demo = Demo(own_server.url, stubs=False)
    try:
        yield demo
    finally:
        demo.end()
        assert "Traceback" not in demo.said, demo.said


@pytest.fixture
def client(served: Demo) -> Iterator[httpx.Client]:
    """Talks to it, after a reset."""
    with httpx.Client(base_url=served.url, timeout=30) as client:
        client.post("/reset", json={}).raise_for_status()
        yield client


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
