"""A walk through `agentmem chat` with the real model: three sessions on one durable folder."""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integration_tests.cli.conftest import Terminal, run
from langchain_agentmem.embedded.server import EmbeddedRedis

FIRST_SESSION = """\
My cat is called Miso.

my cat is called Miso
My cat is called Tofu.
/goal find [bold]a vet[/bold]
/memories
/user bob
What is the name of my cat?
//memories is no command here
/thread
"""


@pytest.fixture
def folder() -> Iterator[EmbeddedRedis]:
    """A durable private Redis, held open so that killing it is the only way it ends."""
    path = Path(tempfile.mkdtemp(prefix="am-"))
    with EmbeddedRedis(path / "data") as server:
        yield server
    shutil.rmtree(path, ignore_errors=True)


def blocks(output: str) -> list[str]:
    return output.strip().split("\n\n")


@pytest.mark.timeout(300)  # the model is loaded twice, and that takes 5 to 30 s
def test_what_one_session_is_told_the_next_recalls(
    folder: EmbeddedRedis, terminal: Callable[..., Terminal]
) -> None:
    url = f"embedded://{folder.data_dir}"

    first = run("--user", "ada", "--verbose", url=url, stdin=FIRST_SESSION, stubs=False)
    assert first.returncode == 0, first.stderr
    assert "\x1b" not in first.stdout + first.stderr
    told, again, changed, goal, memories, _, bobs, literal, threads = blocks(first.stdout)
    assert told.startswith("Noted.\n")
    assert "recalled   nothing\n" in told
    assert "memory     stored as new memory" in told
    assert "events     turn_start · recall · chain_end answer_from_memory" in told
    assert again.startswith("I knew that; you told me ")
    assert "memory     says the same as “My cat is called Miso.” (duplicates 1)" in again
    assert re.match("Noted. Earlier.* you told me: “My cat is called Miso.”\n", changed)
    assert re.search(r"stored as new memory \(near, not merged: 0\.\d{3}  “My cat is called Miso\.”", changed)
    assert goal == "goal       find [bold]a vet[/bold]"
    assert re.search(r"\tepisodic\t2\t\S+\t\S+\tMy cat is called Miso\.$", memories)
    assert memories.count("\n") == 2
    assert "I don't know that yet.\nrecalled   nothing\n" in bobs
    assert "memory     stored as new memory" in literal
    assert "What is the name of my cat?" in threads  # bob's own thread, by its title
    assert "find [bold]a vet[/bold]" not in threads  # ada's goal
    assert "\n*\t" in threads
    for words in ("ready: ", "user ada · "):
        assert words in first.stderr

    second = terminal("--user", "ada", url=url, stubs=False)
    shown = second.expect("you › ")
    assert "Loading weights" not in shown
    second.send("What is the name of my cat?")
    turn = second.expect("you › ")
    told_when = "(today|yesterday)"  # newest first
    assert re.search(
        f"Your cat is called Tofu; you told me {told_when}.\n.?Before that: “My cat is called Miso.”", turn
    )
    assert "not remembered (a question) · 2 recalled" in turn
    second.send("/why")
    turn = second.expect("you › ")
    assert "2 memories" in turn
    assert "█" in turn
    assert "not remembered (nothing to remember: a question)" in turn
    assert "\x1b[" in second.raw

    assert folder.pid is not None
    os.kill(folder.pid, signal.SIGKILL)
    second.send("My dog is called Tofu.")
    second.expect("+1 memory")
    second.send("/nothing")
    second.expect("error: There is no /nothing; /help lists the commands.")
    second.send("/forget")
    second.expect("2 conversations, 3 memories, ")
    second.expect(" events of ada. Remove them? [yes/no] ")
    second.send("yes")
    assert "forgot     2 conversations, 3 memories, " in second.expect("you › ")
    second.send("What is the name of my cat?")
    second.expect("not remembered (a question) · 0 recalled")
    second.expect("you › ")
    second.press("Ctrl-D")
    assert second.end() == 0
