"""`agentmem recall`, `remember`, `memories` and `forget` as processes, with a model that loads at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import redis

from integration_tests.cli.conftest import NO_MODEL, Terminal, agentmem
from langchain_agentmem.agent_memory import AgentMemory


def test_what_is_remembered_is_recalled_and_listed_and_deleted(url: str, bare: redis.Redis) -> None:
    done = agentmem("remember", "Ana lives in Lisbon", "--user", "ada", "--kind", "semantic", url=url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("memory     stored as new memory (")
    done = agentmem(
        "remember", "ana lives in lisbon", "--user", "ada", "--kind", "semantic", "--json", url=url
    )
    merged = json.loads(done.stdout)
    assert merged["deduped"] is True

    done = agentmem("recall", "where Ana lives in", "--user", "ada", url=url)
    assert "recalled   1 memory\n" in done.stdout
    assert re.search(
        r"0\.\d{3}  semantic  \d{4}-\d\d-\d\d  \[ana, lives\]  Ana lives in Lisbon\n$", done.stdout
    )
    assert "\x1b" not in done.stdout + done.stderr
    assert (
        "recalled   nothing within 0.01"
        in agentmem("recall", "where Ana lives in", "--user", "ada", "--threshold", "0.01", url=url).stdout
    )
    assert agentmem("recall", "Ana", "--user", "bob", "--json", url=url).stdout == "[]\n"

    (listed,) = json.loads(agentmem("memories", "--user", "ada", "--json", url=url).stdout)
    assert (listed["id"], listed["hit_count"], listed["ttl_seconds"]) == (merged["id"], 1, None)
    assert "semantic  1  2" in agentmem("memories", "--user", "ada", url=url).stdout

    others = agentmem("memories", "--user", "bob", "--delete", merged["id"], "--yes", url=url)
    assert (others.returncode, others.stderr.splitlines()[-1][:24]) == (1, "error: bob has no memory")
    assert agentmem("memories", "--user", "ada", "--delete", merged["id"], "--yes", url=url).returncode == 0
    assert list(bare.scan_iter("agent:mem:*")) == []


def test_how_memories_are_ranked_can_be_chosen_and_explained(url: str) -> None:
    for text in ("Ana lives in Lisbon", "Does Ana live in Lisbon?", "my dog is old"):
        assert agentmem("remember", text, "--user", "ada", url=url).returncode == 0

    def recall(*arguments: str) -> str:
        done = agentmem("recall", "Ana lives in Lisbon", "--user", "ada", *arguments, url=url)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert re.match(
        r"recalled   \d memor(y|ies) within 0.55\nrecalled   0.000  episodic", recall("--mode", "vector")
    )
    assert "recalled   1 memory within 0.01\n" in recall("--threshold", "0.01")
    assert "old" not in recall("--mode", "text")
    found = json.loads(recall("--explain", "--json"))
    question = next(one for one in found if one["text"].endswith("?"))
    assert question["explanation"]["question"] < 0 < question["explanation"]["words"]
    assert {"ana", "lisbon"} <= set(question["matched_words"])
    assert all(one["explanation"] is None for one in json.loads(recall("--json")))
    head, first, *_ = recall("--explain").splitlines()
    assert head == f"recalled   {len(found)} memories"
    shown = [f"score {found[0]['score']:.3f}"]
    shown += [f"{name} {found[0]['explanation'][name]:.3f}" for name in ("meaning", "words", "context")]
    assert first.startswith(f"recalled   {'  '.join(shown)}  ")
    assert first.endswith(found[0]["text"])


def test_what_changed_replaces_what_was_known_and_is_kept(url: str) -> None:
    def told(*arguments: str) -> Any:
        done = agentmem(*arguments, "--user", "ada", "--json", url=url)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    lisbon = told("remember", "Ana lives in Lisbon")["id"]
    near = told("remember", "Ana lives in Porto", "--near")["near"]
    assert (near["id"], near["text"]) == (lisbon, "Ana lives in Lisbon")
    shown = agentmem("remember", "Ana lives in Faro", "--user", "ada", "--near", url=url).stdout
    assert re.search(r"^near       0\.\d{3}  “Ana lives in (Lisbon|Porto)” \(\w{32}\)$", shown, re.M)
    said = agentmem("remember", "ana lives in lisbon", "--user", "ada", url=url).stdout
    assert said == f"memory     says the same as “Ana lives in Lisbon” ({lisbon})\n"
    kept = told("remember", "ana lives in lisbon", "--keep")
    assert (kept["deduped"], kept["id"] != lisbon) == (False, True)

    said = agentmem("remember", "Ana lives in Braga", "--user", "ada", "--replaces", lisbon, url=url).stdout
    assert f"replaced   {lisbon}\n" in said
    tavira = ("remember", "Ana lives in Tavira", "--user", "ada", "--replaces")
    for options in ((), ("--json",)):
        done = agentmem(*tavira, "x", *options, url=url)
        assert done.returncode == 1  # it is stored, and nothing is replaced
        assert ('"replaced":null' if options else "replaced   nothing: x is not there\n") in done.stdout
    itself = next(one["id"] for one in told("memories") if one["text"].endswith("Tavira"))
    done = agentmem(*tavira, itself, url=url)
    assert (done.returncode, f"replaced   nothing: {itself} says the same\n" in done.stdout) == (0, True)
    assert lisbon not in agentmem("memories", "--user", "ada", url=url).stdout
    every = agentmem("memories", "--user", "ada", "--all", url=url).stdout
    braga = next(one["id"] for one in told("memories") if one["text"].endswith("Braga"))
    assert f"memory     {lisbon}  {braga}  default" in every

    assert told("update", kept["id"], "Ana lives in Aveiro", "--metadata", '{"from": "mail"}') == {
        "updated": kept["id"]
    }
    updated = next(one for one in told("memories") if one["id"] == kept["id"])
    assert (updated["text"], updated["metadata"]) == ("Ana lives in Aveiro", {"from": "mail"})
    for owner, memory_id in (("bob", kept["id"]), ("ada", lisbon), ("ada", "x")):
        done = agentmem("update", memory_id, "mine", "--user", owner, url=url)
        assert (done.returncode, f"error: {owner} has no memory {memory_id}" in done.stderr) == (1, True)


def test_everything_about_a_memory_can_be_said(url: str) -> None:
    done = agentmem(
        *("remember", "-", "--user", "ada", "--namespace", "work", "--ttl", "500", "--thread", "t-1"),
        *("--metadata", '{"from": ["mail", 1]}'),
        url=url,
        stdin="one two ünö\n",
    )
    assert done.returncode == 0, done.stderr
    with AgentMemory(url) as memory:
        (record,) = memory.long_term.list_memories(user="ada", namespace="work")
    assert (record.text, record.source_thread) == ("one two ünö", "t-1")
    assert record.metadata == {"from": ["mail", 1]}
    assert 490 <= (record.ttl_seconds or 0) <= 500
    assert agentmem("recall", "one two ünö", "--user", "ada", "--json", url=url).stdout == "[]\n"
    everywhere = agentmem("recall", "one two ünö", "--user", "ada", "--all-namespaces", "--json", url=url)
    assert [one["namespace"] for one in json.loads(everywhere.stdout)] == ["work"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("remember", " "), "error: text is empty."),
        (("session", "nobody"), "error: There is no session nobody"),
    ],
)
def test_what_cannot_be_done_is_one_line(url: str, arguments: tuple[str, ...], said: str) -> None:
    done = agentmem(*arguments, url=url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith(said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("remember", "x", "--metadata", "[1]"), "takes a JSON object"),
        (("remember", "x", "--metadata", "{"), "no JSON"),
        (("sessions", "--redis", "red://x"), "The URL begins with red://"),
        (("recall", "x", "--redis", "redis://:hunter2@host:port"), "malformed host or port"),
    ],
)
def test_a_value_that_is_not_understood_is_wrong_usage(arguments: tuple[str, ...], said: str) -> None:
    done = agentmem(*arguments, url="redis://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr.splitlines()[-1]
    assert "hunter2" not in done.stderr


def test_a_setting_that_is_not_understood_is_no_wrong_usage() -> None:
    done = agentmem("sessions", "--redis", "redis://127.0.0.1:1", url="", AGENTMEM_MAX_TURNS="many")
    assert (done.returncode, done.stdout) == (1, "")
    assert "max_turns" in done.stderr.lower()


def test_an_empty_text_is_refused_before_anything_is_loaded() -> None:
    for arguments in (("remember", ""), ("remember", "-"), ("update", "id", " "), ("recall", " ")):
        done = agentmem(*arguments, url="redis://127.0.0.1:1", stdin="\n", stubs=False, **NO_MODEL)
        empty = "query" if arguments[0] == "recall" else "text"
        assert (done.returncode, done.stderr) == (1, f"error: {empty} is empty.\n")


def _fill(url: str) -> None:
    with AgentMemory(url) as memory:
        memory.working.append_turn("t-1", "user", "hi", user="ada")
        memory.working.append_turn("t-2", "user", "hi", user="bob")
        memory.events.record("t-1", "greeted")


def test_nobody_is_forgotten_unless_somebody_agrees(
    url: str, bare: redis.Redis, terminal: Callable[..., Terminal]
) -> None:
    _fill(url)
    for arguments in (("forget", "ada"), ("session", "t-1", "--delete"), ("memories", "--delete", "x")):
        done = agentmem(*arguments, url=url)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "error: Nobody is there to confirm it: add --yes.\n"
    for answer in ("No", "n"):
        asked = terminal("ada", url=url, command="forget")
        asked.expect("Remove everything of ada, in every thread and namespace? [yes/no] ")
        asked.send(answer)
        asked.expect("kept       everything of ada")
        assert asked.end() == 0
    for arguments in (("session", "t-1", "--delete"), ("memories", "--delete", "x")):
        asked = terminal(*arguments[1:], url=url, command=arguments[0])
        asked.expect("[yes/no] ")
        asked.press("Ctrl-D")
        asked.expect(f"kept       the {'session t-1' if arguments[0] == 'session' else 'memory x'}")
        assert asked.end() == 0
    assert bare.exists("agent:session:t-1", "agent:events:t-1") == 2

    asked = terminal("ada", url=url, command="forget")
    for answer in ("", "sure"):  # neither is a yes or a no
        asked.expect("[yes/no] ")
        asked.send(answer)
    asked.expect("[yes/no] ")
    asked.send("Y")
    asked.expect("forgot     ada: 1 thread, 0 memories, 1 event")
    assert asked.end() == 0
    left = sorted(key for key in bare.scan_iter() if key.startswith(b"agent:"))
    assert left == [b"agent:session:t-2", b"agent:threads:bob"]


def test_forgetting_without_a_question(url: str) -> None:
    _fill(url)
    done = agentmem("forget", "ada", "--yes", "--json", url=url)
    forgot = {"user": "ada", "threads": ["t-1"], "memories": 0, "events": 1, "unreached": []}
    assert json.loads(done.stdout) == forgot


def test_forgetting_says_what_it_could_not_reach(url: str, bare: redis.Redis) -> None:
    _fill(url)
    bare.delete("agent:session:t-1")
    bare.set("agent:session:t-1", "another program's")
    done = agentmem("forget", "ada", "--yes", url=url)
    assert (done.returncode, "0 threads" in done.stdout) == (1, True)
    assert "not reached: 'agent:session:t-1': The server answered: WRONGTYPE" in done.stderr
    bare.delete("agent:session:t-1")
    bare.hset("agent:session:old", mapping={"user": "ada", "turn_count": 1})
    again = agentmem("forget", "ada", "--yes", "--thorough", "--json", url=url)
    assert (again.returncode, json.loads(again.stdout)["threads"]) == (0, ["old"])
