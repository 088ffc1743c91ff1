"""The life of a memory: what the API tells of it, and the dialog in the real browser."""

from __future__ import annotations

import re
from typing import Any

import httpx
from playwright.sync_api import Locator, Page, expect

from integration_tests.demo.clicking import row, say, tab
from integration_tests.demo.conftest import Demo, Open
from integration_tests.demo.test_api import QUESTION, THEME, drop, memories, recalled, state
from integration_tests.demo.test_api import say as say_there


def life(client: httpx.Client, id: str, user: str = "alice") -> Any:
    return client.get("/life", params={"user": user, "id": id}).raise_for_status().json()


def told(client: httpx.Client, id: str) -> list[tuple[str, str]]:
    return [(event["thread"], event["action"]) for event in life(client, id)["events"]]


def done(client: httpx.Client, path: str, id: str, **more: Any) -> Any:
    asked = {"user": "alice", "thread": "t1", "id": id, **more}
    return client.post(path, json=asked).raise_for_status().json()


def undo(client: httpx.Client, token: str) -> None:
    client.post("/undo", json={"user": "alice", "undo": token}).raise_for_status()


def test_it_is_told_from_the_first_mention_to_the_deletion(client: httpx.Client) -> None:
    id = say_there(client, "I live in Lisbon.")["fate"]["id"]
    say_there(client, "Where do I live?", thread="t2")
    say_there(client, "I live in Lisbon!", thread="t3")
    events = life(client, id)["events"]
    assert [(event["thread"], event["action"]) for event in events if event["thread"] != "t3"] == [
        ("t1", "remember"),
        ("t2", "recall"),
    ]
    assert [event["question"] for event in events if event["thread"] == "t2"] == ["Where do I live?"]
    (merged,) = (event for event in events if event["action"] == "merge")
    assert (merged["thread"], merged["detail"]) == ("t3", "I live in Lisbon!")
    drop(client, id)
    gone = life(client, id)
    assert gone["memory"] is None
    assert gone["events"][-1]["thread"] == "of alice"  # no session was ever begun there
    assert [event["action"] for event in gone["events"]].count("delete") == 1
    nothing = {"memory": None, "events": [], "replaced_by": None, "replaces": []}
    assert life(client, id, user="bob") == nothing


def test_a_deletion_and_its_undoing_are_part_of_it(client: httpx.Client) -> None:
    (theme,) = (one for one in memories(client) if one["text"] == THEME)
    undo(client, done(client, "/drop_memory", theme["id"])["undo"])
    assert told(client, theme["id"]) == [("t1", "delete"), ("t1", "restore")]
    assert life(client, theme["id"])["memory"]["text"] == THEME


def test_a_replacement_is_told_on_both_sides_and_can_be_undone(client: httpx.Client) -> None:
    fate = say_there(client, "I use a light theme in my editor.", kind="semantic")["fate"]
    old, new = fate["near"]["id"], fate["id"]
    before = {id: life(client, id)["memory"] for id in (old, new)}
    assert done(client, "/replace", old, by=old)["replaced"] is False
    answer = done(client, "/replace", old, by=new)
    assert answer["replaced"]
    assert told(client, old)[-1] == told(client, new)[-1] == ("t1", "replace")
    after = life(client, old)
    assert (after["memory"]["superseded_by"], after["replaced_by"]["id"]) == (new, new)
    assert [one["id"] for one in life(client, new)["replaces"]] == [old]
    assert done(client, "/replace", new, by=old)["replaced"] is False  # it is no longer what is known
    undo(client, answer["undo"])
    assert {id: life(client, id)["memory"] for id in (old, new)} == before
    recall = client.post("/recall", json={"user": "alice", "query": QUESTION}).json()
    assert set(recalled(recall)) == {THEME, "I use a light theme in my editor."}


def test_a_memory_can_be_kept_from_expiring(client: httpx.Client) -> None:
    id = say_there(client, "I live in Lisbon.")["fate"]["id"]
    ttl = life(client, id)["memory"]["ttl_seconds"]
    assert ttl > 600_000
    answer = done(client, "/keep_memory", id)
    assert life(client, id)["memory"]["ttl_seconds"] is None
    assert told(client, id)[-1] == ("t1", "keep")
    undo(client, answer["undo"])
    assert ttl - 60 < life(client, id)["memory"]["ttl_seconds"] <= ttl
    asked = {"user": "bob", "thread": "of bob", "id": id}
    assert client.post("/keep_memory", json=asked).json() == {"kept": False, "undo": None}


def test_a_long_memory_is_told_whole_and_how_much_of_it_is_found_by_meaning(client: httpx.Client) -> None:
    text = "My list of towns: " + "Lisbon, Porto and Faro; " * 100 + "no more"
    id = say_there(client, text, kind="semantic")["fate"]["id"]
    (listed,) = (one for one in memories(client) if one["id"] == id)
    assert (listed["truncated"], listed["cut"], len(listed["text"]) <= 1_000) == (True, True, True)
    memory = life(client, id)["memory"]
    assert (memory["text"], memory["truncated"], memory["cut"]) == (text, True, False)
    assert memory["max_tokens"] == 256
    assert not any(one["truncated"] for one in memories(client) if one["id"] != id)


def test_what_changes_a_memory_is_an_event_once(client: httpx.Client) -> None:
    id = say_there(client, "I live in Lisbon.")["fate"]["id"]
    say_there(client, "I live in Lisbon!")
    client.post("/working", json={"user": "alice", "thread": "t1", "goal": "move"}).raise_for_status()
    other = say_there(client, "I live in Porto.")["fate"]["id"]
    done(client, "/replace", id, by=other)
    done(client, "/drop_memory", other)
    wanted = {"remember", "merge", "goal", "replace", "delete"}
    found = [event for event in reversed(state(client)["events"]) if event["action"] in wanted]
    assert [(event["action"], event["memory_ids"]) for event in found] == [
        ("remember", [id]),
        ("merge", [id]),
        ("goal", []),
        ("remember", [other]),
        ("replace", [other, id]),
        ("delete", [other]),
    ]


def test_a_reset_is_an_event_of_the_thread_that_is_entered_next(client: httpx.Client) -> None:
    say_there(client, "I live in Lisbon.")
    asked = {"user": "alice", "thread": "next"}
    token = client.post("/reset", json=asked).json()["undo"]
    (event,) = state(client, thread="next")["events"]
    assert event["action"] == "forget"
    assert event["detail"].startswith("9 memories, 1 conversation, ")
    undo(client, token)
    assert state(client, thread="next")["events"][0]["action"] == "restore"


def life_of(page: Page, text: str) -> Locator:
    """Opens the life of a memory in the table, which has to be shown."""
    row(page, text).locator(".text").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.locator("#life blockquote")).to_have_text(text)
    return page.locator("#life")


def test_a_memory_opens_its_life_wherever_it_is_shown(open_page: Open) -> None:
    page = open_page()
    say(page, "I live in Lisbon.")
    say(page, "Where do I live?")
    shown = page.locator("#recalled .hit .text", has_text="I live in Lisbon.")
    shown.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#life blockquote")).to_have_text("I live in Lisbon.")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    shown.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    page.locator("#events .hits").get_by_role("button", name="I live in Lisbon.").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.mouse.click(5, 5)  # beside it
    expect(page.get_by_role("dialog")).to_be_hidden()
    tab(page, "All")
    life_of(page, "I live in Lisbon.")


def test_it_says_when_and_where_what_happened(open_page: Open) -> None:
    page = open_page()
    first = page.locator("#thread").input_value()
    say(page, "I live in Lisbon.")
    page.get_by_role("button", name="New thread").click()
    expect(page.locator("#thread")).not_to_have_value(first)
    expect(page.locator("#live")).to_have_text("live")
    say(page, "Where do I live?")
    say(page, "I live in Lisbon!")
    tab(page, "All")
    life = life_of(page, "I live in Lisbon.")
    told = life.locator(".timeline > li")
    expect(told.nth(0)).to_have_text(re.compile("stored in thread .*: I live in Lisbon\\.$"))
    expect(told.nth(1)).to_contain_text("recalled for Where do I live? in this thread")
    expect(life.locator("li.said")).to_contain_text("said again in this thread: I live in Lisbon!")
    expect(told.last).to_have_text(re.compile(r"expires in 6 d 23 h, "))
    id = page.locator("#memories tr", has_text="I live in Lisbon.").get_attribute("data-id")
    expect(life.locator(".facts")).to_contain_text(f"id {id}")
    expect(life.locator(".facts")).to_contain_text(f"Redis JSON agent:mem:{id}")
    told.nth(0).get_by_role("button", name="thread").click()
    expect(page.locator("#thread")).to_have_value(first)
    expect(page.locator("#window .user")).to_have_count(1)
    page.go_back()
    expect(page.locator("#window .user")).to_have_count(2)


def test_it_is_kept_replaced_and_deleted_there_and_each_can_be_undone(open_page: Open) -> None:
    page = open_page()
    say(page, "I use a light theme in my editor.")
    tab(page, "All")
    life = life_of(page, "I use a light theme in my editor.")
    life.get_by_role("button", name="Keep forever").click()
    expect(life).to_contain_text("expires never")
    life.get_by_role("button", name="Undo").click()
    expect(life).to_contain_text("expires in 6 d 23 h")

    page.keyboard.press("Escape")
    life = life_of(page, THEME)
    life.get_by_role("button", name="Replaced by …").click()
    life.get_by_role("list", name="Which one says it now?").get_by_role("button").first.click()
    expect(life).to_contain_text("replaced by I use a light theme in my editor.")
    expect(row(page, THEME)).to_have_count(0)
    life.get_by_role("button", name="I use a light theme in my editor.").click()
    expect(life).to_contain_text(f"replaces {THEME}")
    life.get_by_role("button", name="Undo").click()
    expect(row(page, THEME)).to_have_count(1)
    expect(life).to_contain_text("brought back")

    life.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(row(page, "light theme")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(row(page, "light theme")).to_have_count(1)


def test_many_recalls_are_folded(open_page: Open, served: Demo) -> None:
    page = open_page()
    thread = page.locator("#thread").input_value()
    with httpx.Client(base_url=served.url, timeout=30) as client:
        for _ in range(9):
            say_there(client, QUESTION, thread=thread)
    tab(page, "All")
    life = life_of(page, THEME)
    expect(life.get_by_text("recalled 7 more times")).to_be_visible()
    expect(page.locator("#life > .timeline > li.recalled")).to_have_count(2)
    life.get_by_text("recalled 7 more times").click()
    expect(life.locator(".timeline .timeline li")).to_have_count(7)
