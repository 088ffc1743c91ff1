"""The commands on Upstash's REST API, which needs no embedding model."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from integration_tests.cli.conftest import NO_MODEL, agentmem
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
        }
    (found,) = json.loads(command("recall", "where in Lisbon", "--user", "ada", "--k", "1", "--json").stdout)
    assert found["text"] == "Ana lives in Lisbon"
    assert "recalled   1 memory\n" in command("recall", "where in Lisbon", "--user", "ada", "--k", "1").stdout
    assert command("memories", "--user", "ada").stdout.count("\n") == 2
    assert command("sessions").stdout.startswith("session    t-1  ada  2  ")
    exported = [json.loads(line) for line in command("export", "--user", "ada").stdout.splitlines()]
    assert [line.get("content", line.get("text", "notes")) for line in exported[2:]] == ["notes", "hi", "yo"]
    assert {line["text"] for line in exported[:2]} == {"Ana lives in Lisbon", "The editor is dark"}
    assert command("events", "t-1").stdout == "events     none in this thread\n"
    assert "✓ server      Upstash over REST" in command("doctor").stdout
    gone = json.loads(command("forget", "ada", "--yes", "--json").stdout)
    assert (gone["threads"], gone["memories"]) == (["t-1"], 2)
