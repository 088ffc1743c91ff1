"""A chat export or JSON lines, brought to the page: chosen or dropped, into a scope of its own."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from playwright.sync_api import Page, expect

from integration_tests.demo.clicking import row, say, tab
from integration_tests.demo.conftest import Open, StartDemo
from integration_tests.waiting import wait_until
from langchain_agentmem.demo.security import MAX_UPLOAD_BYTES
from tests.importing.exports import CATS, MOVING, chatgpt, claude, node, said, zipped

CLAUDE = claude(
    "c-1", "Trains", [said("m1", "human", "I take the train to Évora."), said("m2", "assistant", "Nice.")]
)


def choose(page: Page, file: Path) -> None:
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_label("File").set_input_files(file)


def start_import(page: Page) -> None:
    page.get_by_role("dialog").get_by_role("button", name="Import").click()


def drop(page: Page, name: str, content: bytes) -> None:
    """Drop a file on the page, as a browser tells it."""
    page.evaluate(
        """([name, content]) => {
            const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([bytes], name));
            for (const type of ["dragover", "drop"])
                document.querySelector("#window").dispatchEvent(
                    new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
        }""",
        [name, base64.b64encode(content).decode()],
    )


def many(count: int) -> list[dict[str, Any]]:
    """Conversations that take a while to import."""
    return [
        chatgpt(
            f"c{n}",
            f"Item {n}",
            [
                node(
                    f"{n}-{at}",
                    f"{n}-{at - 1}" if at else "root",
                    "user",
                    [f"I have item{n}-{at}."],
                    1e9 + at,
                )
                for at in range(50)
            ],
        )
        for n in range(count)
    ]


def test_a_chatgpt_export_becomes_a_user_of_its_own_and_is_shown(
    start: StartDemo, open_url: Open, tmp_path: Path
) -> None:
    page = open_url(start().url)
    say(page, "hello", "skip")
    export = zipped(tmp_path / "d41d8cd9.zip", {"chat.html": [], "conversations.json": [MOVING, CATS]})
    choose(page, export)
    expect(page.get_by_label("Whose it becomes")).to_have_value("chatgpt export")
    start_import(page)
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#toasts")).to_contain_text(
        "8 messages and 2 memories were imported for chatgpt export."
    )
    expect(page.get_by_label("User")).to_have_value("chatgpt export")
    expect(page.locator("#thread")).to_have_value("chatgpt export/c-1")
    expect(page.locator("#window .user").first).to_be_visible()
    tab(page, "All")
    expect(page.locator("#memories tr")).to_have_count(2)
    page.go_back()
    expect(page.get_by_label("User")).to_have_value("alice")
    expect(page.locator("#window")).to_contain_text("hello")


def test_a_claude_export_that_is_dropped_can_become_whoever_is_named_and_be_undone(
    start: StartDemo, open_url: Open, bare: redis.Redis
) -> None:
    page = open_url(start().url)
    before = sorted(bare.keys())
    drop(page, "conversations.json", json.dumps([CLAUDE]).encode())
    name = page.get_by_label("Whose it becomes")
    expect(name).to_have_value("claude export")
    name.fill("nora")
    start_import(page)
    expect(page.get_by_label("User")).to_have_value("nora")
    tab(page, "All")
    expect(row(page, "I take the train to Évora.")).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#memories tr")).to_have_count(0)
    expect(page.locator("#window")).to_contain_text("Nothing said yet")
    wait_until(lambda: sorted(bare.keys()) == before)


@pytest.mark.parametrize(
    ("name", "content", "memories"),
    [
        ("facts.txt", "I sing.\nI dance.\n\nI swim.\n", 3),
        ("facts.jsonl", '{"text": "I sing."}\n{"text": "I dance."}\n', 2),
    ],
)
def test_lines_become_memories(
    start: StartDemo, open_url: Open, name: str, content: str, memories: int
) -> None:
    page = open_url(start().url)
    drop(page, name, content.encode())
    expect(page.get_by_label("Whose it becomes")).to_have_value("facts")
    start_import(page)
    expect(page.get_by_label("User")).to_have_value("facts")
    tab(page, "All")
    expect(page.locator("#memories tr")).to_have_count(memories)


def test_an_import_into_a_user_who_has_something_adds_to_it_and_says_that_it_stays(
    start: StartDemo, open_url: Open
) -> None:
    page = open_url(start().url)
    drop(page, "more.txt", b"I sing.")
    page.get_by_label("Whose it becomes").fill("alice")
    page.get_by_label("Whose it becomes").press("Tab")
    expect(page.locator("#import-had")).to_contain_text("alice has 8 memories")
    start_import(page)
    tab(page, "All")
    expect(page.locator("#memories tr")).to_have_count(9)
    expect(page.locator("#toasts")).to_contain_text("1 memory")
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("photo.jpg", b"\xff\xd8\xff\xe0 no export", "Nothing in this file"),
        ("broken.zip", b"PK\x03\x04 broken", "zip"),
        ("empty.json", b"", "Nothing in this file"),
        ("other.json", b"[]", "No conversations"),
    ],
)
def test_what_cannot_be_imported_is_refused_in_plain_words(
    start: StartDemo, open_url: Open, bare: redis.Redis, name: str, content: bytes, reason: str
) -> None:
    page = open_url(start().url)
    before = sorted(bare.keys())
    drop(page, name, content)
    expect(page.get_by_label("Whose it becomes")).not_to_have_value("")
    start_import(page)
    failed = page.get_by_role("dialog").get_by_role("alert")
    expect(failed).to_be_visible()
    expect(failed).to_contain_text(reason)
    expect(failed).not_to_contain_text("Error")
    expect(page.get_by_role("dialog").get_by_role("button", name="Import")).to_be_enabled()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert sorted(bare.keys()) == before


def test_what_an_import_left_out_is_listed(start: StartDemo, open_url: Open) -> None:
    page = open_url(start().url)
    drop(page, "facts.jsonl", b'{"text": "I sing."}\n{"text": 7}\nno json\n')
    start_import(page)
    left_out = page.get_by_label("What was left out").get_by_role("listitem")
    expect(left_out).to_have_count(2)
    expect(left_out.first).to_contain_text("2")
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(page.get_by_label("User")).to_have_value("facts")


def test_an_import_shows_how_far_it_is_and_can_be_stopped(
    start: StartDemo, open_url: Open, bare: redis.Redis
) -> None:
    demo = start()
    page = open_url(demo.url)
    before = sorted(bare.keys())
    drop(page, "conversations.json", json.dumps(many(200)).encode())
    expect(page.get_by_label("Whose it becomes")).to_have_value("chatgpt export")
    start_import(page)
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.locator("#import-said")).to_contain_text("so far")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#toasts")).to_contain_text("Stopped.")
    expect(page.get_by_label("User")).to_have_value("alice")

    def memories() -> int:
        return int(httpx.get(f"{demo.url}/memories", params={"user": "chatgpt export"}).json()["total"])

    def stopped() -> bool:
        seen.append(memories())
        return seen[-3:] == [seen[-1]] * 3

    seen: list[int] = []
    wait_until(stopped)
    assert 0 < seen[-1] < 10_000
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)
    wait_until(lambda: sorted(bare.keys()) == before)


def test_uploads_are_guarded_as_every_request(start: StartDemo) -> None:
    demo = start("--token", "secret")
    ours = {"Authorization": "Bearer secret", "Content-Type": "application/octet-stream"}
    path = f"{demo.url}/import?user=nora&plain=true"

    def status(url: str = path, **headers: str) -> int:
        return httpx.post(url, content=b"I sing.", headers={**ours, **headers}).status_code

    assert status(Authorization="Bearer wrong") == 401
    assert status(Origin="https://elsewhere.example") == 403
    assert status(Host="elsewhere.example") == 421
    assert status(**{"Content-Type": "text/plain"}) == 415
    assert status(f"{demo.url}/recall") == 415
    assert status(f"{demo.url}/import?user=") == 400
    assert status() == 200


def test_a_file_that_is_too_large_is_refused_while_it_comes_and_leaves_nothing(
    start: StartDemo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    demo = start()
    piece = bytes(1 << 20)

    def content() -> Any:
        for _ in range(MAX_UPLOAD_BYTES // len(piece) + 1):
            yield piece

    headers = {"Content-Type": "application/octet-stream"}
    answer = httpx.post(f"{demo.url}/import?user=nora", content=content(), headers=headers, timeout=60)
    assert answer.status_code == 413
    assert "512 MB" in answer.json()["error"]
    assert [*tmp_path.iterdir()] == []
