"""What `agentmem export` writes, and that it comes back equal."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from integration_tests.cli.conftest import agentmem
from langchain_agentmem.agent_memory import AgentMemory
from langchain_agentmem.embedded.server import EmbeddedRedis


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def other() -> Iterator[str]:
    with EmbeddedRedis() as server:
        yield server.url


def fill(url: str) -> None:
    with AgentMemory(url, max_turns=None, embeddings=None) as memory:
        call = {"name": "look", "args": {"at": [1, {"x": None}]}, "id": "c1", "type": "tool_call"}
        memory.working.append(
            "t-1",
            [
                SystemMessage("be\nkind"),
                HumanMessage([{"type": "text", "text": "ünö"}], id="m1"),
                AIMessage("", tool_calls=[call]),
                ToolMessage("r", tool_call_id="c1", artifact=Document("d", metadata={"n": 2**70})),
            ],
            user="ada",
        )
        memory.working.set_goal("t-1", "see it")
        memory.working.set_scratchpad("t-1", "notes")
        memory.working.append("t 2", [HumanMessage("yes"), HumanMessage("yes")], user="böb")
        vector = [0.0] * 384
        for number, (said, user, kind) in enumerate(
            [("a, b", "ada", "episodic"), ("c\nd", "ada", "semantic"), ("e", "böb", "my kind")]
        ):
            vector[number] = 1.0
            memory.long_term.remember(
                said,
                user=user,
                kind=kind,
                namespace="n s",
                source_thread="t-1",
                embedding=vector,
                metadata={"n": [number, 1.5, None]},
            )


def stored(url: str) -> tuple[Any, ...]:
    with AgentMemory(url) as memory:
        sessions = {
            thread: (
                *(state.user, state.agent, state.goal, state.scratchpad, state.recent_turns),
                *(state.turn_count, state.created_ts, state.last_active_ts, state.own_ttl_seconds),
            )
            for thread in memory.working.list_threads()
            if (state := memory.working.load(thread)) is not None
        }
        memories = {
            one.id: (
                one.text,
                one.user,
                one.namespace,
                one.kind,
                one.source_thread,
                one.metadata,
                one.ttl_seconds is None,
                *(one.created_ts, one.updated_ts, one.hit_count, one.context),
            )
            for user in ("ada", "böb")
            for one in memory.long_term.list_memories(user=user, namespace=None)
        }
    return sessions, memories


def test_what_is_exported_comes_back_equal(url: str, other: str, tmp_path: Path) -> None:
    fill(url)
    file = tmp_path / "all.jsonl"
    assert agentmem("export", "--output", str(file), url=url).stdout == ""
    done = agentmem("import", "-", "--json", url=other, stdin=file.read_bytes())
    assert told(done) == {
        "messages": {"new": 6, "known": 0},
        "memories": {"new": 3, "known": 0},
        "superseded": 0,
        "merged": [],
        "windows": [],
        "bad_lines": [],
        "format": "lines",
        "conversations": 0,
        "not_remembered": {},
        "problems": [],
    }, done.stderr
    assert stored(other) == stored(url)
    assert len(stored(url)[1]) == 3

    # Back into where it came from: memories are known by their ids, messages as long as the window has them.
    back = told(agentmem("import", str(file), "--json", url=url, AGENTMEM_MAX_TURNS="none"))
    assert (back["memories"], back["messages"]) == ({"new": 0, "known": 3}, {"new": 0, "known": 6})
    # To somebody else of the same store: other memories, for their ids are taken.
    to_carl = ("import", str(file), "--user", "carl", "--thread", "t-3", "--json")
    assert told(agentmem(*to_carl, url=url))["memories"] == {"new": 3, "known": 0}
    assert told(agentmem(*to_carl, url=url))["memories"] == {"new": 0, "known": 3}
    edited = file.read_bytes().replace(b'"ada"', b'"dan"').replace(b'"t-1"', b'"t-4"')
    for new in (2, 0):
        of_dan = told(agentmem("import", "-", "--json", url=url, stdin=edited))
        assert of_dan["memories"] == {"new": new, "known": 3 - new}


def test_what_nobody_has_answered_is_marked_after_an_import_too(url: str, other: str) -> None:
    config: Any = {"configurable": {"session_id": "t-1", "user_id": "ada"}}
    with AgentMemory(url) as memory:
        unanswered = memory.wrap(lambda _: 1 / 0, memories_key=None, remember=None)
        with pytest.raises(ZeroDivisionError):
            unanswered.invoke("Are you there?", config)
    exported = agentmem("export", "--what", "sessions", url=url).stdout
    assert '"unanswered":true' in exported
    agentmem("import", "-", url=other, stdin=exported.encode())
    assert stored(other) == stored(url)
    with AgentMemory(other) as memory:
        memory.wrap(lambda _: "yes", memories_key=None, remember=None).invoke("Are you there?", config)
        assert [message.content for message in memory.working.messages("t-1")] == ["Are you there?", "yes"]


def test_what_is_exported_can_be_chosen(url: str) -> None:
    fill(url)
    with AgentMemory(url) as memory:
        memory.events.record("t-1", "looked", user="ada")
        memory.events.record("t-1", "came", user="böb")
        store = memory.store(index=False, user_of=lambda namespace: namespace[0])
        store.put(("ada",), "k", {"n": 2**70})
        store.put(("böb",), "k", {})

    def exported(*arguments: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in agentmem("export", *arguments, url=url).stdout.splitlines()]

    assert {line["user"] for line in exported()} == {"ada", "böb"}
    assert {line["user"] for line in exported("--user", "ada")} == {"ada"}
    assert [line.get("content") for line in exported("--thread", "t 2")] == [None, "yes", "yes"]
    assert {line["text"] for line in exported("--what", "memories")} == {"a, b", "c\nd", "e"}
    events = exported("--what", "events", "--user", "ada")
    assert [(one["thread"], one["action"]) for one in events] == [("t-1", "looked")]
    assert [one["value"] for one in exported("--what", "store", "--user", "ada")] == [{"n": 2**70}]
    assert {one["namespace"][0] for one in exported("--what", "store")} == {"ada", "böb"}


def test_a_file_is_replaced_by_a_whole_export_only(url: str, bare: redis.Redis, tmp_path: Path) -> None:
    fill(url)
    file, link = tmp_path / "all.jsonl", tmp_path / "link"
    file.write_text("older")
    file.chmod(0o640)
    link.symlink_to(file)
    whole = agentmem("export", "--what", "sessions", url=url).stdout
    bare.execute_command("ACL", "SETUSER", "bob", "on", "nopass", "~agent:mem:*", "+@all")
    bob = re.sub(r"//[^@]*@", "//bob:x@", url)  # may read memories, but no session
    failed = agentmem("export", "--output", str(file), url=bob)
    bare.acl_deluser("bob")
    assert (failed.returncode, file.read_text()) == (1, "older")
    assert agentmem("export", "--what", "sessions", "--output", str(link), url=url).returncode == 0
    assert sorted(file.read_text().splitlines()) == sorted(whole.splitlines())
    assert (link.is_symlink(), file.stat().st_mode & 0o777) == (True, 0o640)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["all.jsonl", "link"]
    assert agentmem("export", "--what", "sessions", "--output", "-", url=url).stdout.count(
        "\n"
    ) == whole.count("\n")


def test_a_new_file_is_for_its_owner_only_and_nothing_in_its_place_is_written_to(
    url: str, tmp_path: Path
) -> None:
    fill(url)
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    file, theirs = shared / "all.jsonl", tmp_path / "theirs"
    theirs.write_text("untouched")
    exporting = subprocess.Popen(
        [sys.executable, "-c", PLANT, str(file), str(theirs), url], stdout=subprocess.PIPE, text=True
    )
    with exporting:
        assert exporting.wait(60) == 0
    assert theirs.read_text() == "untouched"
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(file.read_text().splitlines()) == 3 + 2 + 6


# Puts links where a part of the export would have a name that can be foreseen, and then exports.
PLANT = """
import os, sys
from langchain_agentmem.cli import main
file, theirs, url = sys.argv[1:]
folder, name = os.path.split(file)
for foreseen in (f".{name}.{os.getpid()}.part", f"{name}.part", f".{name}.part", f"{name}.tmp"):
    os.symlink(theirs, os.path.join(folder, foreseen))
sys.argv = ["agentmem", "export", "--output", file, "--redis", url]
main()
"""


def test_a_file_that_cannot_be_opened_is_named(url: str, tmp_path: Path) -> None:
    done = agentmem("import", str(tmp_path), url=url)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, f"error: {tmp_path}: Is a directory")
    done = agentmem("export", "--output", str(tmp_path), url=url)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, f"error: {tmp_path}: Is a directory")
    done = agentmem("export", "--output", str(tmp_path / "no" / "f"), url=url)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"error: {tmp_path}/no/f: No such file or directory"


def test_what_cannot_be_exported_is_told_and_the_rest_goes_on(url: str, bare: redis.Redis) -> None:
    fill(url)
    bare.json().set("agent:mem:odd", "$", {"text": 5})
    done = agentmem("export", url=url)
    assert done.returncode == 1
    assert "no memory" in done.stderr
    assert len(done.stdout.splitlines()) == 3 + 2 + 6


def test_near_memories_that_were_held_apart_come_back_apart(url: str, other: str) -> None:
    texts = ("I like tea", "I like tea.", "I really like tea", "i like tea")
    apart = "".join(json.dumps({"text": said, "id": f"id {at}"}) + "\n" for at, said in enumerate(texts))
    done = agentmem("import", "-", "--user", "ada", "--json", url=url, stdin=apart)
    assert told(done)["memories"] == {"new": 4, "known": 0}
    exported = agentmem("export", "--user", "ada", url=url).stdout
    for size, new in (("64", 4), ("1", 0)):
        done = agentmem("import", "-", "--batch-size", size, "--json", url=other, stdin=exported)
        assert told(done)["memories"] == {"new": new, "known": 4 - new}
    assert stored(other) == stored(url)
    with AgentMemory(other) as memory:
        found = memory.long_term.list_memories(user="ada")
    assert sorted((one.text, one.hit_count) for one in found) == sorted((said, 0) for said in texts)
