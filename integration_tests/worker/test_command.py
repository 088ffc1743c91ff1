"""`agentmem worker` as people run it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from integration_tests.cli.conftest import STUBS, Terminal, agentmem, environment, table
from integration_tests.cli.conftest import terminal as terminal
from integration_tests.waiting import wait_until
from integration_tests.worker.conftest import converse, enqueue, waiting
from langchain_agentmem import AgentMemory

_HERE = """
import time
from pathlib import Path
from langchain_agentmem import Add

def extract(exchange):
    words = exchange.messages[0].text
    if words == "poison":
        raise TimeoutError("no answer")
    Path("begun").touch()
    while words == "wait" and not Path("go on").exists():
        time.sleep(0.01)
    return [Add(words)]

class Sums:
    def up(self, summary, messages):
        return " ".join([summary, *(one.text for one in messages)])

sums = Sums()
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a module in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_app.py").write_text(_HERE)
    return tmp_path


@pytest.fixture
def memory(url: str) -> Iterator[AgentMemory]:
    """The memory that the processes open, whose embedding model is a stub there."""
    with AgentMemory(url, max_turns=2, summarise=lambda summary, messages: "") as memory:
        yield memory


EXTRACT = ("worker", "--extractor", "my_app:extract")


def test_once_it_does_what_is_there_and_tells_metrics_as_json(
    here: Path, memory: AgentMemory, url: str
) -> None:
    for number in range(2):
        converse(memory, f"fact {number}")
    done = agentmem(
        *EXTRACT, "--summarise", "my_app:sums.up", "--once", "--json", url=url, AGENTMEM_MAX_TURNS="2"
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    metrics = json.loads(line)
    assert (metrics["exchanges"], metrics["changes"]) == (2, {"stored": 1})  # merged: the first message's
    assert (metrics["folded_messages"], metrics["waiting"], metrics["failed"]) == (2, 0, 0)
    state = memory.working.load("t1")
    assert state is not None
    assert state.summary == "fact 0 So fact 0"
    told = agentmem(*EXTRACT, "--once", url=url).stdout
    assert "extracted  0 exchanges: nothing to remember" in told


def test_what_is_set_aside_is_listed_and_replayed(here: Path, memory: AgentMemory, url: str) -> None:
    enqueue(memory, "poison")
    enqueue(memory, "poison", thread="t2", user="bob")
    done = agentmem(*EXTRACT, "--once", "--attempts", "1", url=url)
    assert (done.returncode, "2 tasks; agentmem worker --failed lists them" in done.stdout) == (1, True)
    rows = table(agentmem("worker", "--failed", url=url).stdout)
    assert sorted((row["thread"], row["user"], row["attempts"], row["reason"]) for row in rows) == [
        ("t1", "alice", "1", "failed"),
        ("t2", "bob", "1", "failed"),
    ]
    assert "TimeoutError: no answer" in rows[0]["message"]
    listed = [
        json.loads(line) for line in agentmem("worker", "--failed", "--json", url=url).stdout.splitlines()
    ]
    assert [one["id"] for one in listed] == [row["id"] for row in rows]
    assert agentmem("worker", "--replay", rows[0]["id"], url=url).stdout == "replayed   1 task\n"
    assert waiting(memory) == (1, 1)
    again = agentmem("worker", "--replay", rows[0]["id"], url=url)
    assert (again.returncode, "Replayed 0 tasks; the other ids" in again.stderr) == (1, True)
    assert agentmem("worker", "--replay", "nothing", url=url).returncode == 2
    assert agentmem("worker", "--replay-all", "--json", url=url).stdout == '{"replayed":1}\n'
    assert waiting(memory) == (2, 0)
    assert "no tasks are set aside" in agentmem("worker", "--failed", url=url).stderr


@contextmanager
def started(*arguments: str, url: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", "from langchain_agentmem.cli import main; main()", *arguments],
        env=environment(url, stubs=True),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_sigterm_finishes_what_is_in_hand(here: Path, memory: AgentMemory, url: str) -> None:
    enqueue(memory, "wait")
    enqueue(memory, "not begun", thread="t2")
    arguments = (*EXTRACT, "--debounce", "0", "--concurrency", "1", "--json", "--metrics-every", "0.1")
    with started(*arguments, url=url, folder=here) as worker:
        wait_until((here / "begun").exists, 30)
        worker.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(0.5)
        (here / "go on").touch()
        out, err = worker.communicate(timeout=20)
        assert worker.returncode == 0, err
    metrics = json.loads(out)
    assert (metrics["exchanges"], metrics["waiting"]) == (1, 1)
    assert '"exchanges":1' in err
    assert waiting(memory) == (1, 0)


def test_a_second_signal_ends_it_at_once(here: Path, memory: AgentMemory, url: str) -> None:
    enqueue(memory, "wait")
    with started(*EXTRACT, "--debounce", "0", url=url, folder=here) as worker:
        wait_until((here / "begun").exists, 30)
        worker.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(0.3)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(10) == 130
    assert waiting(memory) == (1, 0)


def test_a_model_can_be_named(here: Path, memory: AgentMemory, url: str) -> None:
    enqueue(memory, "a fact")
    done = agentmem("worker", "--model", "stub:model", "--once", "--json", "--attempts", "1", url=url)
    assert json.loads(done.stdout)["failures"] == {"malformed": 1}  # for the stub answers no JSON
    unknown = agentmem("worker", "--model", "nobody", "--once", url=url)
    assert (unknown.returncode, "its provider is not known" in unknown.stderr) == (1, True)
    absent = {"PYTHONPATH": str(STUBS / "absent")}
    missing = agentmem("worker", "--model", "stub:model", "--once", url=url, stubs=False, **absent)
    assert (missing.returncode, "pip install langchain" in missing.stderr) == (1, True)


def test_a_terminal_shows_what_is_done(
    here: Path, memory: AgentMemory, url: str, terminal: Callable[..., Terminal]
) -> None:
    enqueue(memory, "a fact")
    shown = terminal("--extractor", "my_app:extract", "--debounce", "0", url=url, command="worker")
    shown.expect("of group agentmem")
    shown.expect("1 exchange, 1 change, 0 folded")
    shown.press("Ctrl-C")
    shown.expect("extracted")
    assert shown.end() == 0


def test_a_refused_url_is_wrong_usage(here: Path) -> None:
    done: Any = agentmem(*EXTRACT, "--redis", "nothing://x", url="redis://127.0.0.1:1")
    assert done.returncode == 2
