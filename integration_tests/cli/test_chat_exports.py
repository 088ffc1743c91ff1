"""`agentmem import` of what ChatGPT and Claude export, and what ending a command says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from integration_tests.cli.conftest import NO_MODEL, Terminal, agentmem
from integration_tests.waiting import wait_until
from langchain_agentmem.agent_memory import AgentMemory
from tests.importing.exports import CATS, MOVING, NOVEMBER_20, PICTURES, chatgpt, node, written, zipped


def test_a_zip_of_chatgpt_becomes_conversations_and_memories_once(url: str, tmp_path: Path) -> None:
    file = str(zipped(tmp_path / "export.zip", {"conversations.json": [MOVING, PICTURES]}))
    first = agentmem("import", file, "--user", "ada", url=url)
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines() == [
        "read       a ChatGPT export: 2 conversations",
        "messages   8 new",
        "memories   4 new",
        "left out   1 of your messages are no memories: questions, thanks and the like",
        "expiry     conversations expire 1 h after their last use; AGENTMEM_SESSION_TTL_SECONDS=none keeps "
        "them. Memories stay.",
    ]
    again = json.loads(agentmem("import", file, "--user", "ada", "--json", url=url, **NO_MODEL).stdout)
    assert (again["messages"], again["memories"]) == ({"new": 0, "known": 8}, {"new": 0, "known": 4})
    assert (again["format"], again["conversations"], again["not_remembered"]) == (
        "chatgpt",
        2,
        {"question": 1},
    )
    with AgentMemory(url) as memory:
        sessions = memory.list_sessions(user="ada").sessions
        assert [(one.title, one.created_ts) for one in sessions] == [
            ("My car looks like this. [image] [file: log book.pdf]", NOVEMBER_20),
            ("Moving to Porto", NOVEMBER_20),
        ]
        assert sessions[1].last_active_ts == NOVEMBER_20 + 6
        porto = next(one for one in memory.long_term.list_memories(user="ada") if "Porto" in one.text)
    assert (porto.kind, porto.created_ts, porto.source_thread) == ("semantic", NOVEMBER_20, "6740-aa")
    assert porto.ttl_seconds is None


def test_a_newer_export_adds_what_was_said_since(url: str, tmp_path: Path) -> None:
    nodes = [
        *list(MOVING["mapping"].values())[1:],
        node("u3", "a2", "user", ["My sister is called Eva."], 1.8e9),
    ]
    agentmem("import", str(written(tmp_path / "old.json", [MOVING])), "--user", "ada", url=url)
    newer = written(tmp_path / "new.json", [PICTURES, chatgpt("6740-aa", "Moving to Porto", nodes)])
    found = json.loads(agentmem("import", str(newer), "--user", "ada", "--json", url=url).stdout)
    assert (found["messages"], found["memories"]) == ({"new": 5, "known": 4}, {"new": 4, "known": 1})


def test_of_a_long_conversation_the_window_is_told_once_and_not_what_is_said_again(
    url: str, tmp_path: Path
) -> None:
    said = ["I like tea.", "i like tea"] * 15
    nodes = [
        node(str(n), str(n - 1) if n else "root", "user", [text], 1e9 + n) for n, text in enumerate(said)
    ]
    file = str(written(tmp_path / "conversations.json", [chatgpt("x", "Tea", nodes)]))
    done = agentmem("import", file, "--user", "ada", url=url, AGENTMEM_SESSION_TTL_SECONDS="none")
    assert done.stdout.splitlines() == [
        "read       a ChatGPT export: 1 conversation",
        "messages   30 new",
        "memories   1 new, 29 duplicate",
        "window     a conversation keeps its last 20 messages; AGENTMEM_MAX_TURNS=none keeps all",
        "window     1 conversation longer than that (--json names each)",
    ]
    assert agentmem("import", file, "--user", "ada", "--verbose", url=url).stdout.count("merged") == 29


def test_what_cannot_be_imported_is_told_by_its_conversation(url: str, tmp_path: Path) -> None:
    with AgentMemory(url) as memory:
        memory.working.append_turn("c-1", "user", "mine", user="bob")
    file = str(written(tmp_path / "conversations.json", [{"title": "odd", "mapping": 5}, MOVING, CATS]))
    done = agentmem("import", file, "--user", "ada", url=url)
    assert done.returncode == 1
    assert "Conversation 1 “odd”: no conversation" in done.stderr
    assert "conversation 3 “Cats”: the thread c-1 is bob's, not ada's" in done.stderr
    assert done.stdout.splitlines()[-1] == "refused    1 part of the export, as told above"
    assert "messages   4 new" in done.stdout


@pytest.mark.parametrize(
    ("name", "content", "code", "said"),
    [
        ("a.json", b"[]", 1, "No conversations of ChatGPT or Claude were found."),
        ("a.zip", b"PK\x03\x04", 1, "The zip cannot be read"),
        ("a.json", json.dumps([MOVING]).encode(), 2, "a ChatGPT export has conversations of its own"),
    ],
)
def test_a_wrong_file_is_told_before_anything_is_opened(
    tmp_path: Path, name: str, content: bytes, code: int, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    done = agentmem("import", str(tmp_path / name), "--thread", "t", url="redis://127.0.0.1:1")
    assert done.returncode == code
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert "connecting" not in done.stderr


def test_an_import_that_is_ended_says_what_it_did_and_goes_on(
    url: str, tmp_path: Path, terminal: Callable[..., Terminal]
) -> None:
    lines: list[Any] = [{"role": "user", "content": str(n)} for n in range(20_000)]
    file = tmp_path / "f.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    shown = terminal(str(file), "--thread", "t", "--batch-size", "1", url=url, command="import")
    shown.expect(" a second")
    shown.press("Ctrl-C")
    shown.expect("Stopped after ")
    shown.expect(" messages.")
    shown.expect("Run the same command again to go on: nothing is stored twice.")
    assert shown.end() == 130
    with AgentMemory(url) as memory:
        state = memory.working.load("t")
    assert state is not None
    done = json.loads(agentmem("import", str(file), "--thread", "t", "--json", url=url).stdout)
    assert done["messages"]["new"] == 20_000 - state.turn_count


def test_an_export_says_what_it_wrote_and_one_that_is_ended_leaves_the_older(
    url: str, bare: redis.Redis, tmp_path: Path, terminal: Callable[..., Terminal]
) -> None:
    with AgentMemory(url, max_turns=None, embeddings=None) as memory:
        memory.working.append_turn("t", "user", "tea", user="ada")
        lines = [
            {"thread": f"t{n}", "role": "user", "content": "x" * 500, "user": "ada"} for n in range(3000)
        ]
        memory.import_lines(lines, batch_size=500)
    file = tmp_path / "all.jsonl"
    done = agentmem("export", "--user", "ada", "--thread", "t", "--output", str(file), url=url)
    assert done.stderr.splitlines()[-1] == f"wrote 2 lines (1 conversation, 1 message) to {file}"
    shown = terminal("--user", "ada", "--output", str(file), url=url, command="export")
    wait_until(lambda: list(tmp_path.glob(".agentmem-*")), 60)
    bare.client_pause(3000)
    shown.press("Ctrl-C")
    shown.expect("Stopped: ")
    shown.expect("the unfinished file is removed.")
    assert shown.end() == 130
    assert file.read_text().count("\n") == 2
    assert [one.name for one in tmp_path.iterdir()] == ["all.jsonl"]
