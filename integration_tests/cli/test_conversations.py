"""Whole conversations with `agentmem chat` in a pipe and the real model: what is recalled, stored and answered."""

from __future__ import annotations

import re
from collections.abc import Callable

from integration_tests.cli.conftest import Terminal, run
from integration_tests.conversations import Line, each_conversation, ill_said, mistakes, questions
from langchain_agentmem import AgentMemory


@each_conversation
def test_a_chat_answers_with_what_was_said(url: str, lines: list[Line]) -> None:
    typed, user = [], lines[0]["user"]
    for line in lines:
        typed += [f"/user {line['user']}"] * (line["user"] != user) + [line["say"]]
        user = line["user"]
    done = run("--verbose", "--user", lines[0]["user"], url=url, stdin="\n".join(typed), stubs=False)
    assert done.returncode == 0, done.stderr
    shown = [block for block in done.stdout.strip().split("\n\n") if not block.startswith("user ")]
    found = []
    for line, block in zip(lines, shown, strict=True):
        answer, _, facts = block.partition("\nrecalled ")
        recalled = re.findall(r"^recalled +\d\.\d+ .*$", f"recalled {facts}", re.M)
        stored = "\nmemory     stored as new memory" in facts
        found += mistakes(line, recalled, stored=stored, asked=questions(lines)) + ill_said(line, answer)
    assert found == []


def test_a_line_after_each_answer_says_what_changed(url: str) -> None:
    said = "I live in Lisbon.\nWhere do I live?\nI live in Porto.\nok\n/replace\nWhere do I live?\nI live in porto\n/events 40\n"
    done = run("--user", "ada", url=url, stdin=said, stubs=False)
    first, asked, changed, _, replaced, again, same, events = done.stdout.strip().split("\n\n")
    counts = r"\d+ recalled · \d events · \d+(?:\.\d)? ms$"
    assert re.match(r"Noted\.\nchanged    \+1 memory · 0 recalled · 5 events · ", first)
    assert re.search(rf"^changed    not remembered \(a question\) · {counts}", asked, re.M)
    assert re.match("Noted. Earlier (today, you|, yesterday|, on) ?.*“I live in Lisbon.”\n", changed)
    assert re.search("^near       “I live in Lisbon.” · /replace if it is out of date$", changed, re.M)
    assert replaced == "replaces   “I live in Lisbon.”"
    assert "Lisbon" not in again
    assert re.search(rf"^changed    the same as “I live in Porto.” · {counts}", same, re.M)
    assert re.search(r"\tremember\t.*\tI live in Lisbon\.$", events, re.M)
    assert re.search(r"\treplace\t.*\tI live in Lisbon\.$", events, re.M)
    assert re.search(r"\tmerge\t.*\tI live in porto$", events, re.M)


def test_a_memory_is_replaced_or_deleted_by_its_id(url: str) -> None:
    first = run("--user", "ada", url=url, stdin="/replace\n")
    assert (first.returncode, first.stdout) == (1, "")
    assert "Nothing was stated in this thread: say what is true now, then /replace." in first.stderr
    run("--user", "ada", url=url, stdin="I have a red car.")
    with AgentMemory(url) as memory:
        (old,) = memory.long_term.list_memories(user="ada")
        said = f"we sold it all\n/replace {old.id[:12]}\n/events 1\n/delete {old.id[:6]}x\n"
        done = run("--user", "ada", url=url, stdin=said)
        assert "replaces   “I have a red car.”" in done.stdout
        assert "No memory of yours has an id that begins with " in done.stderr
        assert (
            f"{old.id[:3]} is too short"
            in run("--user", "ada", url=url, stdin=f"/delete {old.id[:3]}").stderr
        )
        (new,) = memory.long_term.list_memories(user="ada")
        assert new.text == "we sold it all"
        superseded = memory.long_term.get(old.id, user="ada")
        assert superseded is not None
        assert superseded.superseded_by == new.id
        thread = new.source_thread
        done = run("--user", "ada", "--thread", thread, url=url, stdin=f"/delete {new.id[:12]}\n")
        assert done.stdout.startswith("deleted    “we sold it all”")
        assert memory.long_term.list_memories(user="ada") == []
        deleted, replaced = memory.events.recent(thread, 2)
        assert (deleted.action, deleted.detail, deleted.user) == ("delete", "we sold it all", "ada")
        assert deleted.memory_ids == (new.id,)
        assert (replaced.action, replaced.memory_ids) == ("replace", (new.id, old.id))


def test_a_person_who_leaves_is_told_how_to_go_on(url: str, terminal: Callable[..., Terminal]) -> None:
    chat = terminal("--user", "ada", url=url)
    chat.expect("you › ")
    chat.send("penguins")
    chat.expect("+1 memory · 0 recalled · 5 events · ")
    chat.expect("you › ")
    chat.send("/mem\t")
    assert "penguins" in chat.expect("you › ")
    assert chat.end(pressing="Ctrl-D") == 0
    assert re.search(r"To go on with it: agentmem chat --thread [0-9a-f]{32} --user ada", chat.screen)
