"""`agentmem demo` as a process: how it starts, what it refuses, how it ends."""

from __future__ import annotations

import signal
import socket
import threading

import httpx
import pytest

from integration_tests.cli.conftest import agentmem
from integration_tests.demo.conftest import StartDemo
from integration_tests.waiting import wait_until


def refused(url: str, *arguments: str) -> tuple[int, str]:
    done = agentmem("demo", "--redis", url, *arguments, url=url)
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_a_port_in_use_is_an_error_that_says_so(url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = refused(url, "--port", str(port))
    assert code == 1
    assert f"Port {port} is in use. Is a demo running already? Open http://127.0.0.1:{port}, or " in said
    assert "--port" in said


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_others_are_let_in_with_a_token_only(url: str, host: str) -> None:
    code, said = refused(url, "--host", host, "--port", "0")
    assert (code, "it needs a token for the page to ask for: give --token" in " ".join(said.split())) == (
        1,
        True,
    )


def test_what_cannot_be_is_refused(url: str) -> None:
    assert refused(url, "--recall-threshold", "1.01", "--port", "0")[0] == 2
    assert refused(url, "--session-ttl-seconds", str(2**31), "--port", "0")[0] == 2
    assert refused(url, "--token", "", "--port", "0")[0] == 2
    assert refused("https://eu1.upstash.io", "--port", "0")[0] == 1
    assert refused("redis://127.0.0.1:1", "--port", "0")[0] == 1
    assert refused(url, "--host", "no such host", "--port", "0")[0] == 1


def test_options_reach_the_memory(start: StartDemo) -> None:
    demo = start("--session-ttl-seconds", "60", "--dedup-threshold", "0.1", "--recall-threshold", "0.4")
    with httpx.Client(base_url=demo.url, timeout=30) as client:
        about = client.get("/about").json()
        assert (about["session_ttl_seconds"], about["recall_threshold"]) == (60, 0.4)
        asked = {"user": "alice", "thread": "t"}
        session = client.post("/working", json={**asked, "goal": "ship it"}).json()["session"]
        assert 55 < session["ttl_seconds"] <= 60


@pytest.mark.parametrize("with_a_model_that_hangs", [False, True])
def test_ctrl_c_ends_it_at_once_with_readers_connected(
    start: StartDemo, with_a_model_that_hangs: bool
) -> None:
    demo = start("--model", "stub:model")
    connected = threading.Event()

    def read(method: str, path: str, **asked: object) -> None:
        with (
            httpx.Client(base_url=demo.url, timeout=30) as client,
            client.stream(method, path, headers={"accept": "text/event-stream"}, **asked) as answer,
        ):
            for number, _ in enumerate(answer.iter_lines()):
                if number >= 6 or path == "/events":  # the model hangs after its third part
                    connected.set()

    if with_a_model_that_hangs:
        exchange = {"user": "alice", "thread": "t", "text": "slow"}
        reader = threading.Thread(target=read, args=("POST", "/exchange"), kwargs={"json": exchange})
    else:
        asked = {"user": "alice", "thread": "t"}
        reader = threading.Thread(target=read, args=("GET", "/events"), kwargs={"params": asked})
    reader.start()
    assert connected.wait(10)
    ended: list[int] = []
    ending = threading.Thread(target=lambda: ended.append(demo.end(signal.SIGINT)))
    ending.start()
    wait_until(lambda: ended, seconds=8)
    ending.join()
    reader.join()
    assert ended == [130]
    assert "Traceback" not in demo.said
    assert "Ended. What it holds stays in " in demo.said
