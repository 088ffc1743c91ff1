"""The commands on Upstash's REST API, which needs no embedding model."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from integration_tests.cli.conftest import NO_MODEL, agentmem, table
from integration_tests.upstash.emulator import Emulator


@pytest.fixture
def command(emulator: Emulator) -> Any:
    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        more = {**NO_MODEL, "AGENTMEM_TOKEN": emulator.token}
        done = agentmem(*arguments, url=emulator.url, stdin=stdin, stubs=False, **more)
        assert done.returncode == 0, done.stderr
        return done

    return run


def test_the_commands_serve_an_upstash_database(command: Any) -> None:
    assert "stored as new memory" in command("remember", "Ana lives in Lisbon", "--user", "ada").stdout
    lines = [
        {"role": "user", "content": "hi", "ts": 5},
        {"role": "assistant", "content": "yo"},
        {"text": "The editor is dark", "kind": "semantic", "metadata": {"a": 1}},
    ]
    stdin = "".join(json.dumps(line) + "\n" for line in lines)
    for new in (1, 0):
        done = command("import", "-", "--user", "ada", "--thread", "t-1", "--json", stdin=stdin)
        assert json.loads(done.stdout) == {
            "messages": {"new": 2 * new, "known": 2 - 2 * new},
            "memories": {"new": new, "known": 1 - new},
            "superseded": 0,
            "merged": [],
            "windows": [],
            "bad_lines": [],
            "conversations": 0,
            "format": "lines",
            "not_remembered": {},
            "problems": [],
        }
    (found,) = json.loads(command("recall", "where in Lisbon", "--user", "ada", "--k", "1", "--json").stdout)
    assert found["text"] == "Ana lives in Lisbon"
    assert len(table(command("recall", "where in Lisbon", "--user", "ada", "--k", "1").stdout)) == 1
    assert len(table(command("memories", "--user", "ada").stdout)) == 2
    (session,) = table(command("sessions", "--user", "ada").stdout)
    assert (session["thread"], session["user"], session["messages"]) == ("t-1", "ada", "2")
    exported = [json.loads(line) for line in command("export", "--user", "ada").stdout.splitlines()]
    assert [line.get("content", line.get("text", "notes")) for line in exported[2:]] == ["notes", "hi", "yo"]
    assert {line["text"] for line in exported[:2]} == {"Ana lives in Lisbon", "The editor is dark"}
    assert table(command("events", "t-1").stdout) == []
    assert command("doctor").stdout.startswith("✓ Upstash, ")
    assert (
        json.loads(command("consolidate", "--user", "ada", "--apply", "--yes", "--json").stdout)["scanned"]
        == 2
    )
    gone = json.loads(command("forget", "ada", "--yes", "--json").stdout)
    assert (gone["threads"], gone["memories"]) == (["t-1"], 2)


def test_a_memory_is_named_by_how_its_id_begins_behind_its_user(command: Any) -> None:
    made = json.loads(command("remember", "Ana lives in Lisbon", "--user", "ada", "--json").stdout)["id"]
    begun = made[: len("ada:") + 8]
    assert command("update", begun, "Ana lives in Porto", "--user", "ada").stdout == f"updated    {made}\n"
    assert command("memories", "--delete", begun, "--user", "ada", "--yes").stdout == f"deleted    {made}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("recall", "x", "--mode", "vector"), "knows --mode text only."),
        (("recall", "x", "--threshold", "0.5"), "has no vectors, and so no --threshold."),
        (("remember", "x", "--near"), "has no vectors, and so no --near."),
        (("recall", "x", "--namespace", "work"), "memories have no --namespace"),
        (("remember", "x", "--namespace", "work"), "memories have no --namespace"),
        (("memories", "--namespace", "work"), "memories have no --namespace"),
    ],
)
def test_what_upstash_cannot_do_is_wrong_usage(
    emulator: Emulator, arguments: tuple[str, ...], said: str
) -> None:
    done = agentmem(*arguments, url=emulator.url, AGENTMEM_TOKEN=emulator.token)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr.splitlines()[-1]
