"""`agentmem import` as a process: exact, also when killed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from integration_tests.cli.conftest import NO_MODEL, Terminal, agentmem, environment
from integration_tests.waiting import wait_until
from langchain_agentmem.agent_memory import AgentMemory

EVERY_TURN = {"AGENTMEM_MAX_TURNS": "none"}


def written(path: Path, lines: list[Any]) -> str:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return str(path)


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def contents(url: str, thread: str) -> list[Any]:
    with AgentMemory(url) as memory:
        return [message.content for message in memory.working.messages(thread)]


def kill_when(started: Callable[[], object], *arguments: str, url: str) -> None:
    """Run an import and kill it in the middle."""
    process = subprocess.Popen(
        [sys.executable, "-m", "langchain_agentmem.cli", "import", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(url, stubs=True, **EVERY_TURN),
    )
    try:
        wait_until(lambda: process.poll() is not None or started(), 60)
        assert process.poll() is None, "it was over before it could be killed"
    finally:
        process.kill()
        process.wait()


def test_messages_of_a_killed_import_are_there_once_and_in_order(
    url: str, bare: redis.Redis, tmp_path: Path
) -> None:
    said = [str(number % 7) for number in range(3000)]  # the same words again and again
    file = written(
        tmp_path / "f.jsonl",
        [{"role": ("user", "assistant")[n % 2], "content": c} for n, c in enumerate(said)],
    )
    arguments = (file, "--thread", "t", "--user", "ada", "--batch-size", "3")
    done = 0
    for limit in (30, 600, 1200):
        kill_when(
            lambda limit=limit: int(bare.hget("agent:session:t", "turn_count") or 0) > limit,
            *arguments,
            url=url,
        )
        done = int(bare.hget("agent:session:t", "turn_count") or 0)
        assert limit < done < 3000
    last = agentmem("import", *arguments, "--json", url=url, **EVERY_TURN)
    assert told(last)["messages"] == {"new": 3000 - done, "known": done}
    assert contents(url, "t") == said
    assert bare.hget("agent:session:t", "turn_count") == b"3000"
    again = agentmem("import", *arguments, "--json", url=url, **EVERY_TURN)
    assert told(again)["messages"] == {"new": 0, "known": 3000}
    assert len(contents(url, "t")) == 3000


def test_memories_of_a_killed_import_are_there_once(url: str, bare: redis.Redis, tmp_path: Path) -> None:
    texts = [f"a{n} b{n} c{n} d{n} e{n}" for n in range(400)]
    file = written(tmp_path / "f.jsonl", texts + texts[:50])
    arguments = (file, "--user", "ada", "--batch-size", "2")
    kill_when(lambda: len(list(bare.scan_iter("agent:mem:*"))) > 50, *arguments, url=url)
    assert told(agentmem("import", *arguments, "--json", url=url))["memories"]["new"] > 0
    with AgentMemory(url) as memory:
        first = memory.long_term.list_memories(user="ada", limit=1000)
    stored = [record.text for record in first]
    assert len(stored) == len(set(stored))
    # Known by their ids: nothing has to be embedded.
    known = agentmem("import", *arguments, "--json", url=url, stubs=False, **NO_MODEL)
    assert told(known)["memories"] == {"new": 0, "known": 450}
    with AgentMemory(url) as memory:
        again = memory.long_term.list_memories(user="ada", limit=1000)
    assert [(one.id, one.hit_count, one.created_ts) for one in again] == [
        (one.id, one.hit_count, one.created_ts) for one in first
    ]


def test_a_restated_memory_is_left_as_it_is(url: str) -> None:
    lines = (
        '"Ana lives in Lisbon"\n"ana lives in lisbon"\n{"text": "Ana lives in Lisbon", "kind": "semantic"}\n'
    )
    arguments = ("import", "-", "--user", "ada", "--batch-size", "1")
    done = agentmem(*arguments, "--json", url=url, stdin=lines)
    assert told(done)["memories"] == {"new": 2, "known": 1}
    (merged,) = told(done)["merged"]
    assert (merged["line"], merged["into_line"], merged["into_text"]) == (2, 1, "Ana lives in Lisbon")
    line = "merged     line 2 “ana lives in lisbon” says the same as line 1"
    assert line in agentmem(*arguments, url=url, stdin=lines).stdout.splitlines()
    with AgentMemory(url) as memory:
        found = memory.long_term.list_memories(user="ada")
    assert sorted((one.kind, one.hit_count) for one in found) == [("episodic", 0), ("semantic", 0)]


def test_bad_lines_are_told_with_their_numbers_and_the_rest_goes_on(url: str, tmp_path: Path) -> None:
    good = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two", "ts": 5}, "a memory"]
    bad = [
        b"{not json",
        b"[1]",
        b'{"role": "tool", "content": "x"}',
        b'{"text": "x", "weight": 1}',
        b'{"action": "x"}',
        b'"\xff"',
        b'{"text": ""}',
        b'{"role": "user", "content": "x", "ts": "noon"}',
    ]
    file = tmp_path / "f.jsonl"
    lines = [json.dumps(good[0]).encode(), *bad, b"", *(json.dumps(line).encode() for line in good[1:])]
    file.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(lines))
    done = agentmem("import", str(file), "--user", "ada", "--thread", "t", "--json", url=url)
    assert done.returncode == 1
    assert [one["line"] for one in told(done)["bad_lines"]] == list(range(2, 10))
    assert [line.partition(":")[0] for line in done.stderr.splitlines() if line.startswith("line ")] == [
        f"line {number}" for number in range(2, 10)
    ]
    assert "line 5: unknown: weight; what belongs to a memory goes into" in done.stderr
    assert contents(url, "t") == ["one", "two"]
    with AgentMemory(url) as memory:
        assert [one.text for one in memory.long_term.list_memories(user="ada")] == ["a memory"]

    # The bad line is mended: only that one is new.
    file.write_bytes(file.read_bytes().replace(b"[1]", b'{"role": "user", "content": "mended"}'))
    mended = told(agentmem("import", str(file), "--user", "ada", "--thread", "t", "--json", url=url))
    assert mended["messages"] == {"new": 1, "known": 2}
    assert contents(url, "t") == ["one", "two", "mended"]


def test_messages_keep_their_thread_user_and_time(url: str) -> None:
    lines = [{"role": "user", "content": "hi", "ts": 12.5}, {"role": "system", "content": "yo"}]
    stdin = "".join(json.dumps(line) + "\n" for line in lines)
    done = agentmem("import", "-", url=url, stdin=stdin)
    assert done.returncode == 1
    assert "line 1: a message: say with --thread" in done.stderr
    assert agentmem("import", "-", "--thread", "t", "--user", "ada", url=url, stdin=stdin).returncode == 0
    with AgentMemory(url) as memory:
        state = memory.working.load("t")
    assert state is not None
    assert (state.user, state.recent_turns[0].ts, state.ttl_seconds is None) == ("ada", 12.5, False)
    done = agentmem("import", "-", "--thread", "t", "--user", "bob", url=url, stdin=stdin)
    assert (done.returncode, "line 1: the thread t is ada's, not bob's" in done.stderr) == (1, True)
    assert contents(url, "t") == ["hi", "yo"]


def test_lines_that_have_no_thread_or_anothers_do_not_keep_the_rest(url: str, bare: redis.Redis) -> None:
    with AgentMemory(url) as memory:
        memory.working.append_turn("adas", "user", "mine", user="ada")
    bare.set("agent:session:odd", "no session")
    lines: list[Any] = [
        "alpha one",
        {"role": "user", "content": "x"},
        {"role": "user", "content": "x", "thread": "adas", "user": "bob"},
        {"thread": "adas", "user": "bob", "goal": "take it"},
        {"role": "user", "content": "x", "thread": "odd", "user": "bob"},
        {"role": "user", "content": "one", "thread": "new", "user": "bob"},
        {"role": "user", "content": "two", "thread": "new", "user": "carl"},
        {"role": "user", "content": "three", "thread": "new", "user": "bob"},
        "beta two",
    ]
    stdin = "".join(json.dumps(line) + "\n" for line in lines)
    for size, new in (("64", 2), ("1", 0)):
        done = agentmem("import", "-", "--batch-size", size, "--json", url=url, stdin=stdin)
        found = told(done)
        assert done.returncode == 1
        assert [bad["line"] for bad in found["bad_lines"]] == [2, 3, 4, 5, 7]
        assert found["memories"] == {"new": new, "known": 2 - new}
        assert found["messages"] == {"new": new, "known": 2 - new}
    assert "the thread new is bob's, not carl's" in found["bad_lines"][-1]["error"]
    assert (contents(url, "adas"), contents(url, "new")) == (["mine"], ["one", "three"])
    assert bare.hget("agent:session:new", "user") == b"bob"


def test_what_a_window_does_not_keep_is_told(url: str, tmp_path: Path) -> None:
    lines = [{"role": "user", "content": str(n), "thread": "long"} for n in range(100)]
    file = written(tmp_path / "f.jsonl", [*lines, {"role": "user", "content": "x", "thread": "short"}])
    said = [
        "window     long: 80 of 100 messages are cut off",
        "window     a conversation keeps its last 20 messages; AGENTMEM_MAX_TURNS=none keeps all",
    ]
    for _ in range(2):  # the second time, all of them are known
        assert agentmem("import", file, url=url).stdout.splitlines()[-2:] == said
    windows = told(agentmem("import", file, "--json", url=url))["windows"]
    assert windows == [{"thread": "long", "kept": 20, "messages": 100}]
    assert len(contents(url, "long")) == 20
    for more in (EVERY_TURN, {"AGENTMEM_SESSION_STORAGE": "list"}):
        assert told(agentmem("import", file, "--json", url=url, **more))["windows"] == []


def test_the_same_word_in_another_file_is_another_message(url: str, tmp_path: Path) -> None:
    one = written(tmp_path / "1", [{"role": "user", "content": c} for c in ("is it?", "yes")])
    two = written(tmp_path / "2", [{"role": "user", "content": c} for c in ("really?", "yes", "yes")])
    for _ in range(2):
        for file in (one, two):
            assert agentmem("import", file, "--thread", "t", "--user", "ada", url=url).returncode == 0
    assert contents(url, "t") == ["is it?", "yes", "really?", "yes", "yes"]


def test_a_file_of_texts_needs_no_json(url: str, tmp_path: Path) -> None:
    file = tmp_path / "facts.txt"
    file.write_text('Ana lives in Lisbon\n\n"quoted" and more\n{"text": 1}\n', "utf-8")
    done = agentmem("import", str(file), "--user", "ada", "--kind", "semantic", url=url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["memories   3 new"]
    with AgentMemory(url) as memory:
        texts = {one.text for one in memory.long_term.list_memories(user="ada", kind="semantic")}
    assert texts == {"Ana lives in Lisbon", '"quoted" and more', '{"text": 1}'}


def test_many_merged_lines_are_named_in_part_unless_all_are_wanted(url: str) -> None:
    known = json.loads(agentmem("remember", "I like tea 0.", "--user", "ada", "--json", url=url).stdout)["id"]
    texts = [f"I like tea {n}" for n in range(25)] + [f"i like tea {n}." for n in range(25)]
    arguments = ("import", "-", "--user", "ada")
    stdin = "".join(json.dumps(said) + "\n" for said in texts)
    shown = agentmem(*arguments, url=url, stdin=stdin).stdout
    assert shown.count("merged     line ") == 20
    assert f"merged     line 1 “I like tea 0” says the same as the memory {known} “I like tea 0.”" in shown
    assert "and        6 lines more, likewise (--verbose names each)" in shown
    assert agentmem(*arguments, "--verbose", url=url, stdin=stdin).stdout.count("merged     line ") == 26
    kept = agentmem(*arguments, "--keep-all", url=url, stdin=stdin).stdout
    assert "memories   26 new, 24 duplicate" in kept
    assert "merged" not in kept


def test_near_texts_of_one_batch_are_stored_once_and_not_counted_as_hits(url: str) -> None:
    texts = ["I like tea", "i like TEA", "I like tea very", "I like coffee", "my dog is old"]
    with AgentMemory(url, embeddings=None) as memory:
        assert memory.long_term.dedup_threshold == 0.20
    stdin = "".join(json.dumps(said) + "\n" for said in texts)
    stdin += json.dumps({"text": "i LIKE tea", "kind": "semantic"}) + "\n"
    nearness = {"AGENTMEM_DEDUP": "near"}
    done = agentmem("import", "-", "--user", "ada", "--json", url=url, stdin=stdin, **nearness)
    assert told(done)["memories"] == {"new": 4, "known": 2}
    with AgentMemory(url) as memory:
        found = {one.text: one.hit_count for one in memory.long_term.list_memories(user="ada")}
    assert found == {"I like tea": 0, "I like coffee": 0, "my dog is old": 0, "i LIKE tea": 0}


def test_a_terminal_sees_how_far_it_is(url: str, tmp_path: Path, terminal: Callable[..., Terminal]) -> None:
    file = written(tmp_path / "f.jsonl", [{"role": "user", "content": str(n)} for n in range(500)])
    shown = terminal(file, "--thread", "t", "--batch-size", "5", url=url, command="import")
    shown.expect("lines, ")
    shown.expect(" a second")
    shown.expect("messages   500 new")
    assert shown.end() == 0
