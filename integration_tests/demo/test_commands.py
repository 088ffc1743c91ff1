"""The commands of an exchange on the page: all of them, explained, and as redis-cli takes them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Page, expect

from integration_tests.demo.clicking import become, say, tab
from integration_tests.demo.conftest import Open
from integration_tests.redis_cli import redis_cli
from langchain_agentmem.embedded.server import EmbeddedRedis

QUESTION = "Which theme should my editor use?"
TEAL = "My favorite color is teal."

Shell = Callable[[str], str]


@pytest.fixture
def shell(own_server: EmbeddedRedis, tmp_path: Path) -> Shell:
    """Paste something into a shell whose redis-cli is connected with the demo's Redis."""
    binary = redis_cli()
    if binary is None:
        pytest.skip("no redis-cli that runs is on the PATH or beside the servers found")
    parts = urlsplit(own_server.url)
    wrapper = tmp_path / "redis-cli"
    wrapper.write_text(f'#!/bin/sh\nexec "{binary}" -s "{unquote(parts.path)}" "$@"\n')
    wrapper.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "REDISCLI_AUTH": unquote(parts.password or ""),
    }

    def pasted(text: str) -> str:
        """At the prompt of redis-cli, unless it calls that itself."""
        command = text if text.startswith("redis-cli ") else f"redis-cli <<'EOF'\n{text}\nEOF"
        told = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, check=True)
        assert told.stderr == b""
        return told.stdout.decode("utf-8", "replace")

    return pasted


def commands(open_page: Open, *said: str) -> Page:
    """The page after something was said, with the commands of the last exchange."""
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    tab(page, "Commands")
    for text in said:
        say(page, text)
    return page


def copied(page: Page) -> str:
    expect(page.locator(".toast.copied")).to_be_visible()
    return str(page.evaluate("navigator.clipboard.readText()"))


def test_an_exchange_is_two_round_trips_grouped_by_tier(open_page: Open) -> None:
    page = commands(open_page, QUESTION, TEAL)
    expect(page.locator(".summary")).to_contain_text(
        re.compile(r"2 round trips to Redis in .* ms: one reads everything, one writes everything\.")
    )
    read, write = page.locator(".trip").nth(0), page.locator(".trip").nth(1)
    expect(read.locator("h3")).to_have_text("Round trip 1: read")
    expect(write.locator("h3")).to_have_text("Round trip 2: write")
    expect(read.locator("h4")).to_have_text(["1Working memory", "2Long-term memory"])
    expect(write.locator("h4")).to_have_text(["1Working memory", "2Long-term memory", "3Event log"])
    searches = read.locator(".long_term .purpose")
    expect(searches.filter(has_text="share words")).to_have_count(1)
    expect(searches.filter(has_text="nearest in meaning")).to_have_count(1)
    expect(searches.filter(has_text="always given")).to_have_count(1)
    expect(write.locator("summary b")).to_have_text(
        ["EVALSHA note_thread", "EVALSHA write_session", "EVALSHA remember", "EVALSHA record_events"]
    )
    expect(write).to_contain_text("append 2 messages, trim to 20, renew the TTL of 1 h")
    expect(write).to_contain_text("XADD 4 events to the stream")
    steps = page.locator(".steps > li h3")
    expect(steps).to_have_text(
        ["Embed the words, once", "Round trip 1: read", "The chain answers", "Round trip 2: write"]
    )
    expect(page.locator(".legend li")).to_have_text(
        [re.compile(f"^{phase} .* ms$") for phase in ("embed", "read", "model", "write")]
    )
    expect(page.locator(".time-bar span")).to_have_count(4)


def test_every_command_is_explained(open_page: Open) -> None:
    page = open_page()
    tab(page, "Commands")
    for text in (QUESTION, TEAL, "Teal is my favorite color, by the way.", "Actually, it is orange now."):
        say(page, text)
        explained = page.locator(".command .purpose").all_text_contents()
        assert len(explained) >= 7, explained  # one more if the memories are counted anew
        assert all(explained), explained


def test_a_command_can_be_seen_whole(open_page: Open) -> None:
    page = commands(open_page, QUESTION)
    search = page.locator(".command").filter(has_text="nearest in meaning")
    expect(search.locator(".short")).to_contain_text("<384 floats>")
    search.locator("summary").click()
    expect(search.locator("pre")).to_have_text(re.compile(r"^FT\.SEARCH .*PARAMS 4 k 100 vector .*DIALECT"))


def test_a_copied_command_is_taken_by_redis_cli(open_page: Open, shell: Shell) -> None:
    page = commands(open_page, TEAL, QUESTION)
    page.get_by_title("Copy HMGET for redis-cli").first.click()
    assert copied(page).startswith("HMGET agent:session:")
    assert QUESTION in shell(copied(page))
    *_, by_words, by_meaning, _ = page.get_by_title("Copy FT.SEARCH for redis-cli").all()
    by_words.click()
    assert copied(page).startswith("FT.SEARCH ")
    assert "I use a dark theme in my editor." in shell(copied(page))
    by_meaning.click()
    expect(page.locator(".toast.copied")).to_have_count(1)
    assert copied(page).startswith("redis-cli <<'EOF'\nFT.SEARCH ")  # too long for a line at its prompt
    found = shell(copied(page))
    assert found.startswith("9\n")
    assert "I am allergic to peanuts." in found


def test_a_round_trip_can_be_copied_whole(open_page: Open, shell: Shell) -> None:
    page = commands(open_page, "I play the cello.")
    thread = page.locator("#thread").input_value()
    page.get_by_role("button", name="Copy all").nth(1).click()
    text = copied(page)
    assert len(text.splitlines()) == 6
    assert shell(f"LLEN agent:session:{thread}").startswith("WRONGTYPE")
    assert shell(f"HGET agent:session:{thread} turn_count") == "2\n"
    shell(text)
    assert shell(f"HGET agent:session:{thread} turn_count") == "4\n"


def test_a_tier_s_key_is_taken_by_redis_cli(open_page: Open, shell: Shell) -> None:
    page = commands(open_page, QUESTION)
    for tier, expected in (
        ("working", QUESTION),
        ("long_term", "I am allergic to peanuts."),
        ("events", "turn_start"),
    ):
        page.locator(f"#{tier}-stored button").click()
        expect(page.locator(".toast.copied code")).to_have_text(re.compile("^(HGETALL|FT.SEARCH|XREVRANGE)"))
        assert expected in shell(copied(page))


def test_a_thread_s_name_is_quoted_for_redis_cli(open_page: Open, served: object, shell: Shell) -> None:
    url = getattr(served, "url", "")
    page = open_page(
        f"{url}/?thread=my+%22first%22+th%5Cread", permissions=["clipboard-read", "clipboard-write"]
    )
    say(page, "I play the cello.")
    page.locator("#working-stored button").click()
    assert "I play the cello." in shell(copied(page))


def test_earlier_exchanges_can_be_looked_at_again(open_page: Open) -> None:
    page = commands(open_page, QUESTION, TEAL)
    question = page.locator(".walker q")
    expect(question).to_have_text(TEAL)
    expect(page.locator(".walker")).to_contain_text("2 of 2")
    expect(page.get_by_role("button", name="The next exchange")).to_be_disabled()
    page.get_by_role("button", name="The exchange before").click()
    expect(question).to_have_text(QUESTION)
    page.get_by_role("button", name="The next exchange").click()
    expect(question).to_have_text(TEAL)
    become(page, "bob")  # does not see what alice said
    expect(page.locator("#log-commands")).to_contain_text("Say something to see")
    expect(page.locator("#log-commands")).not_to_contain_text(TEAL)


def test_the_page_says_how_redis_cli_gets_there(open_page: Open) -> None:
    page = commands(open_page)
    expect(page.locator(".reaching code")).to_have_text(re.compile("^redis-cli -s /"))
