"""`agentmem sessions`, `session`, `events`, `doctor` and `redis` as processes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
import redis
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from rich.cells import cell_len

from integration_tests.cli.conftest import NO_MODEL, Terminal, agentmem, environment, table
from langchain_agentmem.agent_memory import AgentMemory
from langchain_agentmem.embedded.server import EmbeddedRedis


@pytest.fixture
def filled(url: str) -> str:
    with AgentMemory(url) as memory:
        call = {"name": "look", "args": {}, "id": "c1"}
        messages = [
            HumanMessage("find\x1b[2J it"),
            AIMessage("", tool_calls=[call]),
            ToolMessage("r", tool_call_id="c1"),
        ]
        memory.working.append("t-1", messages, user="ada")
        memory.working.set_goal("t-1", "find it")
        memory.working.append_turn("t-2", "user", "hi", user="bob")
        memory.events.record("t-1", "looked", "for it", name="look", duration_seconds=0.25)
    return url


def test_sessions_are_listed_the_latest_first(filled: str) -> None:
    listed = json.loads(agentmem("sessions", "--all-users", "--json", url=filled).stdout)
    assert [(one["thread_id"], one["user"], one["turn_count"]) for one in listed] == [
        ("t-2", "bob", 1),
        ("t-1", "ada", 3),
    ]
    (ada,) = table(agentmem("sessions", "--user", "ada", url=filled).stdout)
    assert (ada["thread"], ada["user"], ada["messages"], ada["title"]) == ("t-1", "ada", "3", "find it")
    assert len(table(agentmem("sessions", "--all-users", "--limit", "1", url=filled).stdout)) == 1


def test_without_a_user_the_login_name_s_are_meant_and_that_is_said(
    filled: str, terminal: Callable[..., Terminal]
) -> None:
    for command, nothing in (
        (("sessions",), "no sessions of bob; everybody's: --all-users"),
        (("memories",), "no memories of bob; another user: --user NAME"),
        (("recall", "it"), "nothing known of bob about that; another user: --user NAME"),
    ):
        done = agentmem(*command, url=filled, LOGNAME="bob")
        if command == ("sessions",):
            assert [row["thread"] for row in table(done.stdout)] == ["t-2"]
            done = agentmem(*command, url=filled, LOGNAME="eve")
            nothing = nothing.replace("bob", "eve")
        assert (done.returncode, table(done.stdout)) == (0, [])
        assert nothing in done.stderr.splitlines()
        named = agentmem(*command, "--user", "eve", url=filled)
        assert named.stderr.splitlines()[-1] == nothing.partition(";")[0].replace("bob", "eve")
    assert (
        "user       bob; another user: --user NAME"
        in agentmem("remember", "I like tea", url=filled, LOGNAME="bob").stdout
    )
    shown = terminal("--user", "ada", url=filled, command="sessions")
    assert shown.end() == 0
    assert "1 session of ada\n" in shown.screen
    shown = terminal(url=filled, command="memories", LOGNAME="bob")
    assert shown.end() == 0
    assert "1 memory of bob; another user: --user NAME\n" in shown.screen


@pytest.mark.parametrize("command", ["sessions", "memories", "events t-1", "session t-1"])
def test_what_is_done_soon_says_nothing_beside_its_output(filled: str, command: str) -> None:
    with AgentMemory(filled) as memory:
        memory.long_term.remember("one", user="ada", embedding=[1.0] * 384)
    user = () if " " in command else ("--user", "ada")
    began = time.monotonic()
    done = agentmem(*command.split(), *user, url=filled)
    assert done.stderr == "" or time.monotonic() - began > 0.5
    assert done.returncode == 0


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_on_a_terminal_every_row_fits(filled: str, terminal: Callable[..., Terminal], columns: int) -> None:
    with AgentMemory(filled) as memory:
        made = memory.working.new_thread_id()
        memory.working.append_turn(made, "user", "私は東京に住んでいます。" * 20, user="ada")
        memory.working.append_turn("a/thread/of a long name/" * 4, "user", "שלום " * 40, user="a" * 40)
        memory.events.record(made, "looked", "for it " * 60, name="look", duration_seconds=0.25)
        for text in ("私は東京に住んでいます。" * 20, "אני גר בתל אביב " * 20, "one"):
            memory.long_term.remember(text, user="ada", namespace="n" * 50, embedding=[1.0] * 384)
    for arguments in (
        ("sessions", "--all-users"),
        ("memories", "--user", "ada"),
        ("events", made),
        ("session", made),
    ):
        shown = terminal(*arguments[1:], url=filled, command=arguments[0], columns=columns, NO_COLOR="1")
        assert shown.end() == 0
        lines = shown.screen.splitlines()
        assert max(map(cell_len, lines)) <= columns, shown.screen
        if arguments[0] == "sessions":
            assert f"  {made[:8]}" in shown.screen
            assert (made in shown.screen) == (columns == 120)


def test_a_conversation_is_named_by_how_its_id_begins(
    filled: str, bare: redis.Redis, terminal: Callable[..., Terminal]
) -> None:
    ids = ["0f343b0931126a20f133d67c2b018a3b", "0f343b09aaaaaaaaaaaaaaaaaaaaaaaa", "note-10"]
    with AgentMemory(filled) as memory:
        for one in ids:
            memory.working.append_turn(one, "user", f"this is {one}", user="ada")
            memory.events.record(one, "noted", one)
        memory.working.append_turn("0f343b0931", "user", "exact", user="bob")
    for given, whole in ((ids[0][:11], ids[0]), ("0f343b09a", ids[1]), ("note", "note-10")):
        assert json.loads(agentmem("session", given, "--json", url=filled).stdout)["thread_id"] == whole
        assert table(agentmem("events", given, url=filled).stdout)[0]["detail"] == whole
    exact = json.loads(agentmem("session", "0f343b0931", "--json", url=filled).stdout)
    assert exact["thread_id"] == "0f343b0931"
    for command in ("session", "events"):
        several = agentmem(command, "0f343b09", url=filled)
        assert (several.returncode, several.stdout) == (1, "")
        assert several.stderr.splitlines()[-4:] == [
            "error: The ids of several threads begin with 0f343b09:",
            *(f"  {one}" for one in ("0f343b0931", *ids[:2])),
        ]
    refused = agentmem("session", "note-1", "--delete", "--yes", url=filled)
    assert (refused.returncode, "There is no session note-1" in refused.stderr) == (1, True)
    asked = terminal("0f343b09aa", "--delete", url=filled, command="session")
    asked.expect(f"Delete the session {ids[1]}? [yes/no] ")
    asked.send("yes")
    asked.expect(f"deleted    {ids[1]}")
    assert asked.end() == 0
    assert [bare.exists(f"agent:session:{one}") for one in ids] == [1, 0, 1]


def test_a_session_shows_its_state_its_window_and_its_life(filled: str, bare: redis.Redis) -> None:
    shown = agentmem("session", "t-1", url=filled).stdout
    for words in ("goal       find it", "messages   3, of which the window holds 3"):
        assert words in shown
    assert re.search(
        r"^expires in (1 h|59 min .*)$", shown, re.M
    )  # one that is read within the second has it all
    messages = table(shown[shown.index("time\t") :])
    assert [(row["role"], row["content"]) for row in messages] == [
        *(("user", "find[2J it"), ("assistant", "calls look"), ("tool", "r")),
    ]
    assert "\x1b" not in shown
    session = json.loads(agentmem("session", "t-1", "--json", url=filled).stdout)
    assert [turn["role"] for turn in session["turns"]] == ["user", "assistant", "tool"]
    assert session["turns"][1]["tool_calls"][0]["name"] == "look"
    assert 3000 < session["ttl_seconds"] <= 3600
    bare.hset("agent:session:t-1", "summary", "They look\nfor it.")
    assert "summary    They look for it.\n" in agentmem("session", "t-1", url=filled).stdout
    assert agentmem("session", "t-1", "--delete", "--yes", url=filled).returncode == 0
    assert not bare.exists("agent:session:t-1")


def test_a_session_shows_what_nobody_answered(url: str) -> None:
    with AgentMemory(url) as memory:
        unanswered = memory.wrap(lambda _: 1 / 0, memories_key=None, remember=None)
        with pytest.raises(ZeroDivisionError):
            unanswered.invoke("Are you there?", {"configurable": {"session_id": "t-1", "user_id": "ada"}})
        memory.working.append_turn("t-1", "user", "Hello?")
    asked, again = agentmem("session", "t-1", url=url).stdout.splitlines()[-2:]
    assert asked.endswith("\tuser (unanswered)\tAre you there?")
    assert again.endswith("\tuser\tHello?")
    turns = json.loads(agentmem("session", "t-1", "--json", url=url).stdout)["turns"]
    assert [turn.get("unanswered", False) for turn in turns] == [True, False]


@pytest.mark.parametrize(
    "arguments",
    [
        ("sessions",),
        ("sessions", "--all-users"),
        ("session", "t-1"),
        ("events", "t-1"),
        ("memories",),
        ("recall", "x", "--mode", "text"),
        ("forget", "ada", "--yes"),
        ("export",),
        ("doctor",),
    ],
)
def test_what_needs_no_model_loads_none(filled: str, arguments: tuple[str, ...]) -> None:
    done = agentmem(*arguments, url=filled, stubs=False, **NO_MODEL)
    assert done.returncode == 0, done.stderr
    loads = agentmem("recall", "x", url=filled, stubs=False, **NO_MODEL)
    assert (loads.returncode, loads.stdout) == (1, "")


def test_events_are_shown_oldest_first(filled: str) -> None:
    with AgentMemory(filled) as memory:
        memory.events.record("t-1", "found")
    looked, found = table(agentmem("events", "t-1", url=filled).stdout)
    assert (looked["action"], found["action"]) == ("looked", "found")
    assert (looked["name"], looked["took"], looked["detail"]) == ("look", "0.25 s", "for it")
    (last,) = json.loads(agentmem("events", "t-1", "--count", "1", "--json", url=filled).stdout)
    assert (last["action"], last["detail"]) == ("found", "")
    none = agentmem("events", "none", url=filled)
    assert (none.returncode, table(none.stdout)) == (0, [])
    assert none.stderr.splitlines()[-1] == "no events in the thread none"


def test_following_shows_events_that_are_written_later(filled: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "langchain_agentmem.cli", "events", "t-1", "--follow", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(filled, stubs=True),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(process.stdout.readline())["action"] == "looked"
    with AgentMemory(filled) as memory:
        for action in ("later", "last"):
            memory.events.record("t-1", action)
            assert json.loads(process.stdout.readline())["action"] == action
    process.send_signal(signal.SIGINT)
    with process:
        said = process.stderr.read().decode()
        assert process.stdout.read() == b""
    assert process.returncode == 130
    assert "Traceback" not in said


def test_following_on_a_terminal_begins_before_the_first_event(
    url: str, terminal: Callable[..., Terminal]
) -> None:
    shown = terminal("t-9", "--follow", url=url, command="events")
    with AgentMemory(url) as memory:
        memory.events.record("t-9", "begun")
    heading = shown.expect("begun").splitlines()[-2]
    with AgentMemory(url) as memory:
        memory.events.record("t-9", "ended", name="it", duration_seconds=0.25)
    row = shown.expect("250 ms").splitlines()[-1]
    assert heading.split() == ["time", "action", "name", "took", "detail"]
    assert heading.index("took") + len("took") == len(row)
    assert shown.screen.count("action") == 1
    assert shown.end(pressing="Ctrl-C") == 130


def test_times_that_are_none_do_not_keep_the_rest_from_being_shown(filled: str, bare: redis.Redis) -> None:
    bare.hset("agent:session:t-2", "last_active_ts", "inf")
    (thread,) = (key for key in bare.scan_iter("agent:events:*"))
    _, entry = bare.xrevrange(thread, count=1)[0]
    bare.xadd(thread, {**entry, b"ts": b"1e300"})
    listed = agentmem("sessions", "--all-users", url=filled)
    assert (listed.returncode, len(table(listed.stdout))) == (0, 2)
    assert agentmem("session", "t-2", url=filled).returncode == 0
    shown = agentmem("events", "t-1", url=filled)
    assert (shown.returncode, shown.stdout.count("looked")) == (0, 2), shown.stderr
    for command in (("sessions", "--json"), ("events", "t-1", "--json"), ("export",)):
        assert agentmem(*command, url=filled).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "closed"),
    [
        (("import", "-"), "<&-"),
        (("remember", "-"), "<&-"),
        (("export",), ">&-"),
        (("session", "t-1", "--json"), ">&-"),
        (("sessions", "--json"), ">&-"),
    ],
)
def test_a_closed_stream_is_an_error_of_one_line(
    filled: str, arguments: tuple[str, ...], closed: str
) -> None:
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "langchain_agentmem.cli", *arguments],
        capture_output=True,
        text=True,
        env=environment(filled, stubs=True),
        timeout=90,
    )
    said = done.stderr.splitlines()
    which = "input" if closed == "<&-" else "output"
    assert (done.returncode, said[-1]) == (1, f"error: Standard {which} is closed: give it a file or a pipe.")
    assert "Traceback" not in done.stderr


def checks(done: subprocess.CompletedProcess[str]) -> dict[str, tuple[str, str]]:
    found = json.loads(done.stdout)
    assert found["ok"] == (done.returncode == 0)
    return {check["name"]: (check["verdict"], check["says"]) for check in found["checks"]}


def test_the_doctor_finds_a_fit_server_fit(filled: str) -> None:
    assert agentmem("remember", "x y z", "--user", "ada", url=filled).returncode == 0
    done = agentmem("doctor", "--json", url=filled)
    found = checks(done)
    assert done.returncode == 0
    assert found["modules"][0] == "ok"
    assert "search " in found["modules"][1]
    assert "agentmem:idx, 1 document, $.embedding VECTOR FLAT FLOAT32 COSINE DIM 384" in found["index"][1]
    assert found["working"][1].startswith("2 keys, ")
    assert found["long-term"][1].startswith("1 key, 1")
    assert "the worst of 21" in found["latency"][1]
    assert found["persistence"][0] == "warning"  # an ephemeral one has none
    assert found["embeddings"] == ("ok", "all-MiniLM-L6-v2, its weights as published")
    shown = agentmem("doctor", url=filled).stdout.splitlines()
    assert shown[0].startswith("! persistence none: a restart forgets everything. To keep memories, set ")
    assert any(line.startswith("✓ modules") for line in shown[1:])


def test_the_doctor_is_short_when_all_is_well(
    url: str, bare: redis.Redis, terminal: Callable[..., Terminal]
) -> None:
    bare.config_set("appendonly", "yes")
    try:
        with AgentMemory(url) as memory:
            memory.working.append_turn("t-1", "user", "hi", user="ada")
        version = bare.info()["redis_version"]
        done = agentmem("doctor", url=url)
        first, second, third = done.stdout.splitlines()
        assert (done.returncode, first) == (0, f"✓ Redis {version}, {url_without_password(url)}: fine.")
        assert second.startswith("  Search, 0 memories, 1 conversation, 0 event logs, ")
        assert max(map(len, (second, third))) < 80
        assert "✓ persistence append-only" in agentmem("doctor", "--verbose", url=url).stdout
        shown = terminal("--verbose", url=url, command="doctor", COLUMNS="80")
        assert shown.end() == 0
        assert max(map(len, shown.screen.splitlines())) <= 80
    finally:
        bare.config_set("appendonly", "no")


def url_without_password(url: str) -> str:
    return re.sub(r"//[^@]*@", "//", url).partition("?")[0]


def test_the_doctor_tells_of_partitions_that_are_not_set(url: str) -> None:
    with AgentMemory(url, embeddings=None, partitions=16) as memory:
        memory.working.append_turn("t-1", "user", "hi", user="ada")
    done = agentmem("doctor", "--json", url=url)
    verdict, says = checks(done)["partitions"]
    assert (done.returncode, verdict) == (1, "broken")
    assert "are in 16 partitions, and none are set. Set AGENTMEM_PARTITIONS to 16" in says
    assert "partitions" not in checks(agentmem("doctor", "--json", url=url, AGENTMEM_PARTITIONS="16"))


def test_the_doctor_says_what_is_missing_and_what_is_better() -> None:
    options = {"maxmemory": "200mb", "save": "3600 1"}
    with EmbeddedRedis(search=False, options=options) as server:
        done = agentmem("doctor", "--json", url=server.url)
        found = checks(done)
        assert done.returncode == 1
        assert found["modules"] == (
            "broken",
            "without Search and JSON, which long-term memory needs: use Redis 8, Redis Stack, or embedded://",
        )
        assert found["index"][0] == "broken"
        assert found["eviction"][0] == "warning"
        assert "a full server refuses every write. Volatile-lfu is recommended" in found["eviction"][1]
        assert found["persistence"] == ("ok", "snapshots (RDB), save 3600 1")
        with redis.Redis.from_url(server.url) as client:
            client.config_set("maxmemory-policy", "allkeys-lfu")
        assert checks(agentmem("doctor", "--json", url=server.url))["eviction"][0] == "ok"
        first, second, *_ = agentmem("doctor", url=server.url).stdout.splitlines()
        assert first.startswith("✗ modules")
        assert second.startswith("✗ index")


def test_the_doctor_sees_an_index_of_another_shape(filled: str) -> None:
    assert agentmem("remember", "x y z", url=filled).returncode == 0
    done = agentmem("doctor", "--json", url=filled, AGENTMEM_VECTOR_TYPE="float16")
    verdict, says = checks(done)["index"]
    assert (done.returncode, verdict) == (1, "broken")
    assert "is $.embedding VECTOR FLAT FLOAT32 COSINE, wanted $.embedding VECTOR FLAT FLOAT16" in says


def test_the_doctor_rebuilds_an_index_of_another_program_when_it_is_told_to(
    filled: str, bare: redis.Redis, terminal: Callable[..., Terminal]
) -> None:
    assert agentmem("remember", "x y z", "--user", "ada", url=filled).returncode == 0
    bare.execute_command("FT.DROPINDEX", "agentmem:idx")
    schema = "$.text AS text TEXT $.user AS user TAG $.namespace AS namespace TAG $.kind AS kind TAG "
    schema += (
        "$.source_thread AS source_thread TAG $.created_ts AS created_ts NUMERIC SORTABLE $.hit_count AS "
    )
    schema += "hit_count NUMERIC SORTABLE $.embedding AS embedding VECTOR FLAT 6 TYPE FLOAT32 DIM 384 "
    schema += "DISTANCE_METRIC COSINE"
    create = "FT.CREATE agentmem:idx ON JSON PREFIX 1 agent:mem: SCHEMA"
    bare.execute_command(*create.split(), *schema.split())
    (key,) = bare.scan_iter("agent:mem:*")
    bare.json().set(key.decode(), "$.user", "Ada Lovelace")
    done = agentmem("doctor", "--json", url=filled)
    verdict, says = checks(done)["index"]
    assert (done.returncode, verdict) == (0, "warning")
    assert "$.embedding VECTOR FLAT FLOAT32 COSINE DIM 384" in says
    assert "It is another program's" in says
    assert "agentmem doctor --rebuild-index" in says
    assert agentmem("doctor", "--rebuild-index", url=filled).returncode == 2, "nobody is there to ask"
    asked = terminal("--rebuild-index", url=filled, command="doctor")
    asked.expect("anew? Memories stay; searches wait for it. [yes/no]")
    asked.send("no")
    assert asked.end() == 0
    assert checks(agentmem("doctor", "--json", url=filled))["index"][0] == "warning", "it is as before"
    done = agentmem("doctor", "--rebuild-index", "--yes", "--json", url=filled)
    assert json.loads(done.stdout)["rebuilt"] == {
        "documents": 1, "failures": 0, "unreadable": 0, "rewritten": 1, "digested": 1,
    }  # fmt: skip
    assert checks(done)["index"][0] == "ok"
    ada = ("--user", "Ada Lovelace", "--mode", "vector")
    found = agentmem("recall", "x y z", *ada, "--json", url=filled)
    assert "x y z" in found.stdout
    shown = agentmem("doctor", "--rebuild-index", "--yes", url=filled).stdout
    assert "rebuilt: the index holds 1 document\n" in shown


@pytest.fixture
def limited(filled: str, bare: redis.Redis) -> Iterator[Callable[[str], str]]:
    """Makes the URL of a user without permission for some commands."""

    def url_without(refused: str) -> str:
        bare.execute_command("ACL", "SETUSER", "bob", "on", ">secret", "~*", "&*", "+@all", *refused.split())
        return re.sub(r"//[^@]*@", "//bob:secret@", filled)

    yield url_without
    bare.acl_deluser("bob")


def test_what_the_doctor_may_not_look_at_is_unknown(limited: Callable[[str], str]) -> None:
    done = agentmem("doctor", "--json", url=limited("-info -scan -ft.info -config -memory|usage"))
    found = checks(done)
    assert done.returncode == 0, done.stderr
    refused = ("server", "replication", "eviction", "persistence", "index", "working", "long-term", "events")
    for name in refused:
        verdict, says = found[name]
        assert (verdict, says[:9]) == ("warning", "unknown: "), name
        assert "lacks a permission on the server" in says
    assert (found["modules"][0], found["latency"][0]) == ("ok", "ok")
    sized = checks(agentmem("doctor", "--json", url=limited("reset on >secret ~* &* +@all -memory|usage")))
    assert "unknown size" in sized["working"][1]
    assert sized["server"][0] == "ok"


def test_the_doctor_finds_a_replica_unfit() -> None:
    with EmbeddedRedis() as server, redis.Redis.from_url(server.url) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        done = agentmem("doctor", "--json", url=server.url)
        verdict, says = checks(done)["replication"]
        assert (done.returncode, verdict) == (1, "broken")
        assert "a replica of 127.0.0.1:1, to which its link is down" in says
        assert "Connect to the primary" in says


def test_the_doctor_cannot_look_at_what_does_not_answer() -> None:
    done = agentmem("doctor", url="redis://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: No connection to 127.0.0.1:1" in done.stderr


@pytest.mark.parametrize("port", [False, True])
def test_the_private_redis_runs_until_ctrl_c(
    tmp_path_factory: pytest.TempPathFactory, free_port: int, port: bool
) -> None:
    folder = tmp_path_factory.mktemp("r") / "d"
    arguments = ["--port", str(free_port)] if port else []
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "langchain_agentmem.cli",
            "redis",
            "--data-dir",
            str(folder),
            "--json",
            *arguments,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment("", stubs=False),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    url = json.loads(process.stdout.readline())["url"]
    assert url.endswith(f"@127.0.0.1:{free_port}/0") == port
    with redis.Redis.from_url(url) as client:
        assert client.ping()
    if port:
        with redis.Redis(port=free_port) as stranger, pytest.raises(redis.exceptions.AuthenticationError):
            stranger.ping()
    process.send_signal(signal.SIGINT)
    with process:
        said = process.stderr.read().decode()
    assert (process.returncode, "Traceback" in said) == (0, False)
    assert said.endswith(f"The data stays in {folder}.\n")
