"""`agentmem demo` as a process: how it starts, what it refuses, how it ends."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading

import httpx
import pytest
import redis

from integration_tests.cli.conftest import agentmem
from integration_tests.demo.conftest import StartDemo
from integration_tests.waiting import wait_until
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory
from langchain_agentmem.demo import claim
from langchain_agentmem.demo.claim import StoreInUseError, claim_key, claimed
from langchain_agentmem.transport.connections import RoundTrip

CLAIM = claim_key("agent:mem:")


def refused(url: str, *arguments: str) -> tuple[int, str]:
    done = agentmem("demo", "--redis", url, *arguments, url=url)
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_a_port_in_use_is_an_error_that_says_so(url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = refused(url, "--port", str(port))
    assert code == 1
    assert f"cannot bind to 127.0.0.1:{port}" in said
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
        about = client.get("/state", params={"user": "alice", "thread": "t"}).json()["about"]
        assert (about["session_ttl_seconds"], about["dedup_threshold"], about["recall_threshold"]) == (
            60,
            0.1,
            0.4,
        )
        thread = client.post("/new_thread", json={"user": "alice"}).json()["thread"]
        session = client.get("/state", params={"user": "alice", "thread": thread}).json()["session"]
        assert 55 < session["ttl_seconds"] <= 60


def test_a_store_of_somebody_else_is_left_as_it_is_until_reset_is_given(
    start: StartDemo, url: str, bare: redis.Redis
) -> None:
    with AgentMemory(url, embeddings=WordEmbeddings(384)) as memory:
        memory.long_term.remember("I sing.", user="carol")
    before = sorted(bare.keys())
    demo = start()
    wait_until(lambda: "nothing was changed" in demo.said)
    assert httpx.post(f"{demo.url}/reset", json={}).status_code == 409
    demo.end()
    assert sorted(bare.keys()) == before
    demo = start("--reset")
    wait_until(lambda: "sample memories" in demo.said)
    state = httpx.get(f"{demo.url}/state", params={"user": "carol", "thread": "t"}).json()
    assert state["memories"] == []


def memories(url: str) -> int:
    return len(httpx.get(f"{url}/state", params={"user": "alice", "thread": "t"}).json()["memories"])


def say(url: str, words: str) -> None:
    exchange = {"user": "alice", "thread": "t", "text": words}
    httpx.post(f"{url}/exchange", json=exchange).raise_for_status()


def test_a_restart_keeps_what_is_there_until_reset_is_given(start: StartDemo) -> None:
    demo = start()
    say(demo.url, "something entirely new")
    assert memories(demo.url) == 9
    demo.end()
    demo = start()
    wait_until(lambda: "kept as the last demo left it" in demo.said)
    assert memories(demo.url) == 9
    session = httpx.get(f"{demo.url}/state", params={"user": "alice", "thread": "t"}).json()["session"]
    assert session["turns"][0]["content"] == "something entirely new"
    demo.end()
    demo = start("--reset")
    wait_until(lambda: "emptied" in demo.said)
    assert memories(demo.url) == 8


@pytest.mark.parametrize("arguments", [(), ("--reset",)])
def test_a_second_demo_of_the_same_store_is_told_where_the_first_is(
    start: StartDemo, url: str, arguments: tuple[str, ...]
) -> None:
    demo = start()
    say(demo.url, "something entirely new")
    code, said = refused(url, "--port", "0", *arguments)
    assert code == 1
    assert f"Another demo serves this store, at {demo.url}" in " ".join(said.split())
    assert "loading" not in said  # the model is not waited for
    assert memories(demo.url) == 9


def test_after_a_demo_that_was_killed_the_next_one_goes_on(start: StartDemo, bare: redis.Redis) -> None:
    demo = start()
    say(demo.url, "something entirely new")
    demo.end(signal.SIGKILL)
    assert bare.pexpire(CLAIM, 1000)  # as if some seconds had passed
    assert memories(start().url) == 9


async def test_a_claim_that_nobody_renews_is_waited_for(url: str, bare: redis.Redis) -> None:
    bare.set(CLAIM, "somebody http://127.0.0.1:1", px=600)
    waited: list[str] = []
    async with AgentMemory(url) as memory, claimed(memory, "http://127.0.0.1:2", lambda: waited.append("")):
        assert waited == [""]
        assert str(bare.get(CLAIM)).endswith(" http://127.0.0.1:2'")
        with pytest.raises(StoreInUseError, match=r"http://127\.0\.0\.1:2: open"):
            async with claimed(memory, "http://127.0.0.1:3", lambda: None):
                pass
    assert not bare.exists(CLAIM)


async def test_a_claim_that_another_took_is_neither_extended_nor_deleted(
    url: str, bare: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "_EXTEND_SECONDS", 0.01)
    async with AgentMemory(url) as memory:
        calls = 0

        def count(trip: RoundTrip) -> None:
            nonlocal calls
            calls += 1

        async with claimed(memory, "http://127.0.0.1:2", lambda: None):
            bare.set(CLAIM, "another http://127.0.0.1:1", ex=100)
            memory.transport.observer = count
            await asyncio.to_thread(wait_until, lambda: calls >= 3)
            assert bare.get(CLAIM) == b"another http://127.0.0.1:1"
            assert bare.ttl(CLAIM) > 90
    assert bare.get(CLAIM) == b"another http://127.0.0.1:1"


async def test_a_claim_is_extended_while_it_is_held(
    url: str, bare: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "_EXTEND_SECONDS", 0.01)
    async with AgentMemory(url) as memory, claimed(memory, "http://127.0.0.1:2", lambda: None):
        assert bare.pexpire(CLAIM, 2000)
        await asyncio.to_thread(wait_until, lambda: bare.ttl(CLAIM) > 5)


async def test_a_store_of_other_prefixes_is_another_one(url: str) -> None:
    with AgentMemory(url) as memory, AgentMemory(url, memory_prefix="x:", index_name="x:idx") as other:
        async with claimed(memory, "a", lambda: None), claimed(other, "b", lambda: None):
            pass


def test_a_claim_is_given_back_at_the_end_and_taken_again_after_a_flush(
    start: StartDemo, bare: redis.Redis
) -> None:
    demo = start()
    bare.delete(CLAIM)
    wait_until(lambda: bare.exists(CLAIM))
    assert 0 < bare.ttl(CLAIM) <= 8
    demo.end()
    assert not bare.exists(CLAIM)


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
