"""`agentmem move`: what it says, its exit codes, and that no password is shown."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import redis
from typer.testing import CliRunner, Result

from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory, EmbeddedRedis
from langchain_agentmem.cli.app import app


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch, url: str) -> Iterator[str]:
    with EmbeddedRedis() as server:
        monkeypatch.setenv("OLD_URL", url)
        monkeypatch.setenv("NEW_URL", server.url)
        yield server.url


def run(*args: str) -> Result:
    return CliRunner().invoke(app, ["move", *args])


def test_it_tells_what_it_moved_and_shows_no_password(url: str, target: str) -> None:
    with AgentMemory(url, embeddings=WordEmbeddings()) as memory:
        memory.working.append_turn("t", "user", "Hello.", user="alice")
        memory.long_term.remember("I have a boat.", user="alice")
    counted = run("env:OLD_URL", "env:NEW_URL", "--dry-run")
    assert counted.exit_code == 0
    assert "1 conversation, 1 record of conversations, 1 memory" in counted.stdout
    moved = run("env:OLD_URL", "env:NEW_URL")
    assert moved.exit_code == 0
    assert "3 compared, none differ" in moved.stdout
    again = run("env:OLD_URL", "env:NEW_URL", "--json")
    report = json.loads(again.stdout)
    assert (report["ok"], report["resumed"], report["changed"], report["found"]["memory"]) == (
        True,
        True,
        0,
        1,
    )
    for result in (counted, moved, again):
        assert not {one.split(":")[2].split("@")[0] for one in (url, target)} & {*result.output.split()}
        assert "@" not in result.output


def test_what_differs_is_named_and_the_exit_code_is_1(url: str, target: str) -> None:
    with AgentMemory(url, embeddings=WordEmbeddings()) as memory:
        memory.working.append_turn("t", "user", "Hello.", user="alice")
    assert run("env:OLD_URL", "env:NEW_URL").exit_code == 0
    with redis.Redis.from_url(target) as client:
        client.hset("agent:session:t", "goal", "another")
    result = run("env:OLD_URL", "env:NEW_URL")
    assert result.exit_code == 1
    said = " ".join(result.output.split())
    assert "agent:session:t: it has another content" in said
    assert "Run the same command again: it brings what differs once more" in said
    with_others = run("env:NEW_URL", "env:OLD_URL")
    assert with_others.exit_code == 1
    assert "The target is not empty. Use --into" in with_others.output.replace("\n", " ")


def test_what_is_missing_comes_with_the_run_that_the_message_asks_for(url: str, target: str) -> None:
    with AgentMemory(url, embeddings=WordEmbeddings()) as memory:
        memory.working.append_turn("t", "user", "Hello.", user="alice")
    assert run("env:OLD_URL", "env:NEW_URL").exit_code == 0
    with redis.Redis.from_url(target) as client:
        client.delete("agent:session:t")
        result = run("env:OLD_URL", "env:NEW_URL")
        assert result.exit_code == 1
        said = " ".join(result.output.split())
        assert "1 differ" in said
        assert "agent:session:t: it is missing at the target" in said
        assert "Run the same command again" in said
        result = run("env:OLD_URL", "env:NEW_URL")
        assert result.exit_code == 0
        assert "none differ" in result.output
        assert "Run the same" not in result.output
        assert client.exists("agent:session:t")


def test_what_only_the_target_has_is_counted(url: str, target: str) -> None:
    with AgentMemory(url, embeddings=WordEmbeddings()) as memory:
        memory.working.append_turn("t", "user", "Hello.", user="alice")
    assert "more than FROM" not in run("env:OLD_URL", "env:NEW_URL").output
    with AgentMemory(target, embeddings=WordEmbeddings()) as memory:
        memory.events.record("t", "paid")
    result = run("env:OLD_URL", "env:NEW_URL")
    assert result.exit_code == 0
    assert "TO has 1 event stream more than FROM" in " ".join(result.output.split())
    assert "more than FROM" not in run("env:OLD_URL", "env:NEW_URL", "--into").output


def test_what_cannot_be_moved_is_named_with_what_to_do(url: str, target: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.set("agent:mem:odd", "of another program")
        client.set("agent:events:odd", "of another program")
    result = run("env:OLD_URL", "env:NEW_URL", "--partitions", "4")
    said = " ".join(result.output.split())
    assert result.exit_code == 1
    assert "not moved: agent:mem:odd" in said
    assert "Delete those keys at FROM, or mend them, and run the same command again." in said


@pytest.mark.parametrize("source", ["env:NO_SUCH_VARIABLE", "foo://x", "redis://h:port"])
def test_a_url_that_is_not_understood_is_wrong_usage(source: str, target: str) -> None:
    assert run(source, "env:NEW_URL").exit_code == 2
