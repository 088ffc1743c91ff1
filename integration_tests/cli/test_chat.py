"""`agentmem chat` as a process: pipes, a terminal, models, failures. With a model that loads at once."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest
import redis

from integration_tests.cli.conftest import Terminal, environment, run
from langchain_agentmem.embedded.server import EmbeddedRedis


def test_a_piped_line_that_fails_ends_the_run(url: str, bare: redis.Redis) -> None:
    done = run("--user", "ada", url=url, stdin="one fact\n/memorys\nthree\n")
    assert done.returncode == 1
    assert "error: line 2: There is no /memorys; did you mean /memories?" in done.stderr
    assert done.stdout.count("+1 memory") == 1
    assert len(list(bare.scan_iter("agent:mem:*"))) == 1

    done = run(url=url, stdin=b"\xef\xbb\xbfone\r\ntwo \xff\n")
    assert done.returncode == 1
    assert "error: line 2 of the input is not UTF-8 (at byte 5)" in done.stderr
    asked = run("--user", "ada", "--verbose", url=url, stdin="is there one fact").stdout
    assert re.search("^You told me (to|yester)day: “one fact”$", asked, re.M)
    assert "memory     not remembered (nothing to remember: a question)" in asked
    assert "I knew that; you told me" in run("--user", "ada", url=url, stdin="One fact.").stdout


def test_options_choose_whose_where_and_whether(url: str, bare: redis.Redis) -> None:
    done = run(
        *("--user", "ada", "--namespace", "work", "--thread", "t-1", "--kind", "semantic"),
        *("--recall-threshold", "0.01", "--redis", url, "--verbose"),
        url="redis://localhost:1",
        stdin="one two\nthree four five\n/memories\n/forget\n",
    )
    assert done.returncode == 1  # nobody can confirm
    assert "write /forget yes" in done.stderr
    assert "user ada · namespace work · thread t-1 · no model" in done.stderr
    assert done.stdout.count("nothing within 0.01") == 2
    assert re.search(r"\twork\tsemantic\t1\t\S+\tnever\tthree four five$", done.stdout, re.M)
    assert bare.hget("agent:session:t-1", "user") == b"ada"

    done = run("--user", "bob", "--thread", "t-1", url=url, stdin="hi\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: The thread t-1 is another user's" in done.stderr
    assert "loading" not in done.stderr

    done = run(
        "--user", "ada", "--namespace", "work", "--kind", "skip", url=url, stdin="one two\n/forget yes\n"
    )
    assert "changed    not remembered (--kind skip) · " in done.stdout
    assert "nothing is remembered (--kind skip)" in done.stderr
    assert "forgot     2 conversations, 2 memories, 14 events of ada" in done.stdout


def test_nobody_reads_the_output_to_its_end(url: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "langchain_agentmem.cli", "chat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(url, stubs=True),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(b"one\n")
    process.stdin.flush()
    assert process.stdout.readline()  # each turn is shown when it is done, not when the pipe is full
    process.stdout.close()
    process.stdin.write(b"two\nthree\n")
    process.stdin.close()
    with process:
        said = process.stderr.read().decode()
    assert process.returncode == 141
    assert said.rstrip().endswith("/quit ends."), said


def test_a_model_answers_in_parts_and_its_failure_is_the_turns(
    url: str, bare: redis.Redis, terminal: Callable[..., Terminal]
) -> None:
    chat = terminal("--user", "ada", "--model", "stub:model", url=url)
    chat.expect("you › ")
    chat.send("I am there")
    assert "answer 0 of the model, in parts" in chat.expect("you › ")
    chat.send("please fail")
    said = chat.expect("you › ")
    assert "error: stub:model: RuntimeError: Incorrect API key" in said
    assert "abcdefghijklmnop" not in said
    assert "What you said is kept; say it again to try again." in said
    chat.send("be slow")
    chat.expect("answer")
    chat.press("Ctrl-C")
    chat.expect("the exchange is abandoned")
    chat.expect("you › ")
    chat.send("/events 3")
    assert "turn_error" in chat.expect("you › ")
    assert len(list(bare.scan_iter("agent:mem:*"))) == 1  # nothing of the two that failed
    assert chat.end(pressing="Ctrl-C") == 130
    assert "Traceback" not in chat.screen


def test_a_terminal_without_colours_gets_none(url: str, terminal: Callable[..., Terminal]) -> None:
    chat = terminal("--user", "ada", url=url, NO_COLOR="1")
    chat.expect("you › ")
    chat.raw, chat._seen = "", 0  # the spinner before it had to move the cursor
    chat.send("hello [bold]there[/bold]")
    shown = chat.expect("you › ")
    assert "+1 memory" in shown
    assert not any(code in chat.raw for code in ("\x1b[1m", "\x1b[2m", "\x1b[3", "\x1b[0m"))
    chat.send("/quit")
    assert chat.end() == 0


def test_ctrl_c_in_a_pipe_is_no_traceback(url: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "langchain_agentmem.cli", "chat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(url, stubs=True),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(b"one\n")
    process.stdin.flush()
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    with process:
        said = process.stderr.read().decode()
    assert process.returncode == 130
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("redis://:hunter2@localhost:port", "error: The Redis URL has a malformed host or port"),
        ("redis://:hunter2@127.0.0.1:1/0", "error: No connection to 127.0.0.1:1"),
        ("unix://:hunter2@{socket}", "error: The server does not accept this user or password."),
        ("embedded:///dev/null/x", "error: "),
    ],
)
def test_a_server_that_cannot_be_used_is_one_line(server: EmbeddedRedis, given: str, said: str) -> None:
    socket = server.url.rpartition("@")[2].partition("?")[0]
    done = run(url=given.format(socket=socket), stdin="hello\n")
    assert done.returncode == 1
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith(said)
    assert "hunter2" not in done.stderr
    assert "loading" not in done.stderr  # the model is not waited for


def test_a_server_without_search_is_told() -> None:
    with EmbeddedRedis(search=False) as server:
        done = run(url=server.url, stdin="hello\n")
    assert done.returncode == 1
    assert "error: This Redis server has no Search or JSON module" in done.stderr


@pytest.mark.parametrize(
    ("model", "stubs", "said"),
    [
        ("no-such", True, "error: --model no-such is not usable: its provider is not known. Name both"),
        (
            "openai:gpt-5-mini",
            False,
            "error: --model needs langchain and the provider's package: pip install",
        ),
    ],
)
def test_a_model_that_cannot_be_used_is_told_at_once(url: str, model: str, stubs: bool, said: str) -> None:
    more = {} if stubs else {"PYTHONPATH": str(_without_langchain())}
    done = run("--model", model, url=url, stdin="hello\n", stubs=stubs, **more)
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]
    assert "loading" not in done.stderr


def _without_langchain() -> str:
    from integration_tests.cli.conftest import STUBS

    return str(STUBS / "absent")
