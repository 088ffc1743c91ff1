"""`agentmem recall`, `remember`, `memories` and `forget` as processes, with a model that loads at once."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import redis
from rich.cells import cell_len

from integration_tests.cli.conftest import NO_MODEL, Terminal, agentmem, table
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
    (found,) = table(done.stdout)
    assert re.fullmatch(r"0\.\d{3}", found["score"])
    assert re.match(r"\d{4}-\d\d-\d\dT", found["learnt"])
    assert (found["id"], found["kind"], found["matched"], found["text"]) == (
        *(merged["id"], "semantic", "ana, lives", "Ana lives in Lisbon"),
    )
    assert "\x1b" not in done.stdout + done.stderr
    done = agentmem("recall", "where Ana lives in", "--user", "ada", "--threshold", "0.01", url=url)
    assert table(done.stdout) == []
    assert "nothing known of ada about that within 0.01" in done.stderr
    assert agentmem("recall", "Ana", "--user", "bob", "--json", url=url).stdout == "[]\n"

    (listed,) = json.loads(agentmem("memories", "--user", "ada", "--json", url=url).stdout)
    assert (listed["id"], listed["hit_count"], listed["ttl_seconds"]) == (merged["id"], 1, None)
    (row,) = table(agentmem("memories", "--user", "ada", url=url).stdout)
    assert (row["id"], row["namespace"], row["kind"]) == (merged["id"], "default", "semantic")
    assert (row["seen"], row["expires"], row["text"]) == ("2", "never", "Ana lives in Lisbon")

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

    assert table(recall("--mode", "vector"))[0]["distance"] == "0.000"
    assert len(table(recall("--threshold", "0.01"))) == 1
    assert "old" not in recall("--mode", "text")
    found = json.loads(recall("--explain", "--json"))
    question = next(one for one in found if one["text"].endswith("?"))
    assert question["explanation"]["question"] < 0 < question["explanation"]["words"]
    assert {"ana", "lisbon"} <= set(question["matched_words"])
    assert all(one["explanation"] is None for one in json.loads(recall("--json")))
    first = table(recall("--explain"))[0]
    assert (first["score"], first["text"]) == (f"{found[0]['score']:.3f}", found[0]["text"])
    for name in ("meaning", "words", "context", "speaker", "question", "recency"):
        assert first[name] == f"{found[0]['explanation'][name]:.3f}"


@pytest.mark.parametrize("columns", [60, 80])
def test_what_is_recalled_is_drawn_on_a_terminal(
    url: str, terminal: Callable[..., Terminal], columns: int
) -> None:
    with AgentMemory(url) as memory:
        for text in ("Ana lives in Lisbon " + "and walks a lot " * 8, "Ana lives in 東京" + "です。" * 30):
            memory.long_term.remember(text, user="ada", embedding=[1.0] * 384)
    shown = terminal(
        *("where Ana lives in", "--user", "ada", "--mode", "text", "--explain"),
        url=url, command="recall", columns=columns, NO_COLOR="1",
    )  # fmt: skip
    assert shown.end() == 0
    caption, *lines = shown.screen.splitlines()
    assert caption.strip() == "2 memories of ada"
    assert max(map(cell_len, lines)) <= columns
    drawn = [line for line in lines if "█" in line]
    assert [re.match(r"  [█░]{10} 0\.\d{3}  Ana lives", line) is not None for line in drawn] == [True] * 2
    hanging = [line for line in lines[: lines.index("")] if line not in drawn]
    assert all(line.startswith(" " * 20 + line.strip()[0]) for line in hanging)
    assert " ".join(map(str.strip, hanging)).count("· [ana, lives]") == 2
    parts = " ".join(lines[lines.index("") :]).replace(" · ", " ").split()
    assert parts[:8] == ["id", "score", "meaning", "words", "context", "speaker", "question", "recency"]
    assert len(parts) == 24


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
    assert {row["id"]: row["replaced by"] for row in table(every)}[lisbon] == braga

    assert told("update", kept["id"], "Ana lives in Aveiro", "--metadata", '{"from": "mail"}') == {
        "updated": kept["id"]
    }
    updated = next(one for one in told("memories") if one["id"] == kept["id"])
    assert (updated["text"], updated["metadata"]) == ("Ana lives in Aveiro", {"from": "mail"})
    for owner, memory_id in (("bob", kept["id"]), ("bob", kept["id"][:8]), ("ada", "x")):
        done = agentmem("update", memory_id, "mine", "--user", owner, url=url)
        assert (done.returncode, f"error: {owner} has no memory {memory_id}" in done.stderr) == (1, True)
    done = agentmem("update", lisbon, "mine", "--user", "ada", url=url)
    assert (done.returncode, f"error: Another memory has replaced {lisbon}" in done.stderr) == (1, True)


def test_a_memory_is_named_by_how_its_id_begins_and_nobody_else_s_is_reached(
    url: str, bare: redis.Redis, terminal: Callable[..., Terminal]
) -> None:
    mine = ["0f343b0931126a20f133d67c2b018a3b", "0f343b09aaaaaaaaaaaaaaaaaaaaaaaa", "note-10", "0f343b0931"]
    with AgentMemory(url) as memory:
        for one, user in [*((one, "ada") for one in mine), ("0f343b0931" + "f" * 22, "bob")]:
            memory.long_term.remember(f"this is {one}", user=user, id=one, embedding=[1.0] * 384)

    def ada(*arguments: str) -> subprocess.CompletedProcess[str]:
        return agentmem(*arguments, "--user", "ada", url=url)

    several = ada("update", "0f343b09", "changed")
    assert (several.returncode, several.stdout) == (1, "")
    assert several.stderr.splitlines()[-3:] == [
        "error: The ids of several memories begin with 0f343b09:",
        *(f"  {one}  this is {one}" for one in mine[:2]),
    ]
    assert ada("update", "0f343b0931", "exact").stdout == "updated    0f343b0931\n"
    # Bob's begins like this, too.
    assert ada("update", "0f343b09311", "begun like it").stdout == f"updated    {mine[0]}\n"
    nobodys = ada("memories", "--delete", "0f343b0931f", "--yes")
    assert (nobodys.returncode, nobodys.stdout) == (1, "")
    for command in (("memories", "--delete", "note-1", "--yes"), ("update", "note-1", "x")):
        done = ada(*command)
        assert (done.returncode, "ada has no memory note-1" in done.stderr) == (1, True)
    replaced = ada("remember", "anew", "--replaces", "0f343b09a")
    assert (replaced.returncode, f"replaced   {mine[1]}\n" in replaced.stdout) == (0, True)
    elsewhere = ada("remember", "anew", "--replaces", "0f343b09311", "--namespace", "work")
    assert (elsewhere.returncode, "replaced   nothing: 0f343b09311 is not there" in elsewhere.stdout) == (
        1,
        True,
    )
    asked = terminal("--delete", "0f343b0931126", "--user", "ada", url=url, command="memories")
    asked.expect(f"Delete the memory {mine[0]} “begun like it”? [yes/no] ")
    asked.send("yes")
    asked.expect(f"deleted    {mine[0]}")
    assert asked.end() == 0
    assert bare.exists(f"agent:mem:0f343b0931{'f' * 22}") == 1
    assert bare.exists(f"agent:mem:{mine[0]}") == 0


def test_a_document_that_is_no_memory_can_be_deleted_by_its_owner(url: str, bare: redis.Redis) -> None:
    bare.json().set("agent:mem:odd", "$", {"user": "ada", "text": 5})
    others = agentmem("memories", "--delete", "odd", "--user", "bob", "--yes", url=url)
    assert (others.returncode, "bob has no memory odd" in others.stderr) == (1, True)
    done = agentmem("memories", "--delete", "odd", "--user", "ada", "--yes", url=url)
    assert (done.returncode, done.stdout) == (0, "deleted    odd\n")
    assert not bare.exists("agent:mem:odd")


def test_memories_are_searched_sorted_and_paged(url: str, terminal: Callable[..., Terminal]) -> None:
    with AgentMemory(url) as memory:
        for number in range(5):
            memory.long_term.remember(
                f"fact {number} of Porto", user="ada", id=f"m{number}", embedding=[1.0] * 384
            )

    def ids(*arguments: str) -> list[str]:
        done = agentmem("memories", "--user", "ada", *arguments, url=url)
        assert (done.returncode, done.stderr) == (0, "") or not table(done.stdout)
        return [row["id"] for row in table(done.stdout)]

    everything = ids()
    assert ids("--sort", "oldest") == everything[::-1]
    assert ids("--limit", "2") + ids("--limit", "2", "--offset", "2") + ids("--offset", "4") == everything
    assert ids("--contains", "porto 3") == ["m3"]
    assert ids("--contains", "lisbon") == []
    seen = agentmem("remember", "fact 2 of porto", "--user", "ada", "--keep", url=url)
    assert seen.returncode == 0
    for arguments, said in (
        (("--limit", "2"), "1 to 2 of 6 memories of ada; next: --offset 2\n"),
        (("--limit", "2", "--offset", "2"), "3 to 4 of 6 memories of ada; next: --offset 4\n"),
        (("--limit", "2", "--offset", "4"), "5 to 6 of 6 memories of ada\n"),
        (("--limit", "6"), "6 memories of ada\n"),
        (("--contains", "porto 3"), "1 memory of ada\n"),
        (("--contains", "lisbon"), "no memories of ada that contain “lisbon”\n"),
        (("--offset", "6"), "no memories of ada from 6 on\n"),
    ):
        shown = terminal("--user", "ada", *arguments, url=url, command="memories")
        assert shown.end() == 0
        assert f"  {said}" in shown.screen
    listed = json.loads(
        agentmem("memories", "--user", "ada", "--sort", "most_seen", "--json", url=url).stdout
    )
    assert len(listed) == 6


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
        (("memories", "--delete", "nobody", "--user", "ada", "--yes"), "error: ada has no memory nobody"),
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
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.splitlines()[-1] == "Error: Invalid value for TEXT: the text is empty."


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
        assert done.stderr.splitlines()[-1] == "error: Nobody is there to confirm it: add --yes."
    for answer in ("No", "n"):
        asked = terminal("ada", url=url, command="forget")
        asked.expect("1 conversation, 1 event of ada. Remove them? [yes/no] ")
        asked.send(answer)
        asked.expect("kept       everything of ada")
        assert asked.end() == 0
    with AgentMemory(url) as memory:
        memory.long_term.remember("a text", user="ada", id="x", embedding=[1.0] * 384)
    for command, arguments, name in (
        ("session", ("t-1", "--delete"), "session t-1"),
        ("memories", ("--delete", "x", "--user", "ada"), "memory x “a text”"),
    ):
        asked = terminal(*arguments, url=url, command=command)
        asked.expect(f"Delete the {name}? [yes/no] ")
        asked.press("Ctrl-D")
        asked.expect(f"kept       the {name}")
        assert asked.end() == 0
    assert agentmem("memories", "--delete", "x", "--user", "ada", "--yes", url=url).returncode == 0
    assert bare.exists("agent:session:t-1", "agent:events:t-1") == 2

    asked = terminal("ada", url=url, command="forget")
    for answer in ("", "sure"):  # neither is a yes or a no
        asked.expect("[yes/no] ")
        asked.send(answer)
    asked.expect("[yes/no] ")
    asked.send("Y")
    asked.expect("forgot     1 conversation, 1 event of ada")
    assert asked.end() == 0
    left = sorted(key for key in bare.scan_iter() if key.startswith(b"agent:"))
    assert left == [b"agent:session:t-2", b"agent:threads:bob"]


def test_forgetting_without_a_question(url: str) -> None:
    _fill(url)
    done = agentmem("forget", "ada", "--yes", "--json", url=url)
    forgot: dict[str, Any] = {"user": "ada", "threads": ["t-1"], "memories": 0, "events": 1}
    forgot |= {"items": 0, "tasks": 0, "unreached": []}
    assert json.loads(done.stdout) == forgot


def test_what_would_be_forgotten_is_told_and_stays(url: str, bare: redis.Redis) -> None:
    _fill(url)
    before = sorted(bare.scan_iter())
    done = agentmem("forget", "ada", "--dry-run", url=url)
    assert (done.returncode, done.stdout) == (0, "found      1 conversation, 1 event of ada\n")
    done = agentmem("forget", "ada", "--dry-run", "--json", url=url)
    assert json.loads(done.stdout)["threads"] == ["t-1"]
    assert sorted(bare.scan_iter()) == before


def test_nobody_is_asked_where_there_is_nothing_to_forget(url: str, bare: redis.Redis) -> None:
    _fill(url)
    done = agentmem("forget", "eve", url=url)  # without a terminal, and without --yes
    assert (done.returncode, done.stdout) == (0, "forgot     nothing: there is nothing of eve\n")
    done = agentmem("forget", "eve", "--json", url=url)
    assert json.loads(done.stdout) == {
        "user": "eve",
        "threads": [],
        "memories": 0,
        "events": 0,
        "items": 0,
        "tasks": 0,
        "unreached": [],
    }
    bare.delete("agent:session:t-2")  # it has expired
    assert agentmem("forget", "bob", url=url).returncode == 0
    assert not bare.exists("agent:threads:bob")


def test_nobody_in_particular_cannot_be_forgotten() -> None:
    done = agentmem("forget", "", "--yes", url="redis://127.0.0.1:1")
    assert (done.returncode, "Invalid value for USER" in done.stderr) == (2, True)


def test_forgetting_says_what_it_could_not_reach(url: str, bare: redis.Redis) -> None:
    _fill(url)
    bare.delete("agent:session:t-1")
    bare.set("agent:session:t-1", "another program's")
    done = agentmem("forget", "ada", "--yes", url=url)
    assert (done.returncode, done.stdout) == (1, "forgot     nothing of ada\n")
    assert "not reached: 'agent:session:t-1': A key of the memory holds another program's data" in done.stderr
    bare.delete("agent:session:t-1")
    bare.hset("agent:session:old", mapping={"user": "ada", "turn_count": 1})
    again = agentmem("forget", "ada", "--yes", "--thorough", "--json", url=url)
    assert (again.returncode, json.loads(again.stdout)["threads"]) == (0, ["old"])
