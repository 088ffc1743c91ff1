"""`agentmem demo --cluster`: its page shows a Redis Cluster of its own, which goes with it."""

from __future__ import annotations

import re
import socket

from playwright.sync_api import expect

from integration_tests.demo.clicking import recalled, row, say, tab
from integration_tests.demo.conftest import Demo, Open
from integration_tests.demo.test_life import life_of
from integration_tests.waiting import wait_until


def test_a_person_sees_the_memory_work_on_a_cluster_that_goes_with_the_demo(open_url: Open) -> None:
    demo = Demo(None, "--cluster", stubs=True)
    try:
        may = ["clipboard-read", "clipboard-write"]
        page = open_url(demo.url, requests_may_fail=True, permissions=may)
        say(page, "I moved to Porto last week.")
        tab(page, "All")
        expect(row(page, "I moved to Porto last week.")).to_have_count(1)
        life = life_of(page, "I moved to Porto last week.")
        expect(life.locator(".copyable code").nth(1)).to_have_text(re.compile(r"^agent:mem:\{p\d+\}:\w+$"))
        page.keyboard.press("Escape")
        say(page, "When did I move to Porto?")
        assert "I moved to Porto last week." in recalled(page)
        tab(page, "Commands")
        expect(page.locator(".trip h3")).to_have_text(["Round trip 1: read", "Round trip 2: write"])
        page.locator("#long_term-stored button").click()
        expect(page.locator(".toast.copied")).to_contain_text("FT.SEARCH agentmem:idx:{p")
        expect(page.locator("#place")).to_contain_text("redis+cluster://127.0.0.1:")
    finally:
        code = demo.end()
    assert "Traceback" not in demo.said
    assert (code, demo.said.rstrip().endswith("Ended.")) == (130, True)
    (port,) = re.findall(r"^memory  .*?127\.0\.0\.1:(\d+)", demo.said, re.M)
    wait_until(lambda: not _listens(int(port)))


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
