"""The REST side of the emulator does what Upstash documents, seen through Upstash's own client and plain HTTP."""

from __future__ import annotations

import base64
import time
from typing import Any

import httpx
import pytest
import redis
from upstash_redis import Redis

from integration_tests.upstash.emulator import Emulator


@pytest.mark.parametrize("value", ["plain", "", "OK", "žluťoučký 🐎 日本語", 'quotes " and \\ \n lines'])
def test_a_value_comes_back_as_it_was_set(client: Redis, value: str) -> None:
    assert client.set("key", value) is True
    assert client.get("key") == value


def test_only_the_status_ok_is_sent_as_it_is(http: httpx.Client) -> None:
    headers = {"Upstash-Encoding": "base64"}
    commands = [
        ["SET", "a", "OK"],
        ["GET", "a"],
        ["RPUSH", "l", "x", 7],
        ["LRANGE", "l", 0, -1],
        ["GET", "no"],
    ]
    answers = http.post("/pipeline", json=commands, headers=headers).json()
    encoded = [base64.b64encode(text).decode() for text in (b"OK", b"x", b"7")]
    assert [answer["result"] for answer in answers] == ["OK", encoded[0], 2, encoded[1:], None]


def test_bytes_that_are_no_utf8_come_whole_in_base64_and_replaced_without(
    http: httpx.Client, bare: redis.Redis
) -> None:
    bare.set("key", b"a\xffb")
    assert http.post("/", json=["GET", "key"]).json() == {"result": "a\ufffdb"}
    answer = http.post("/", json=["GET", "key"], headers={"Upstash-Encoding": "base64"}).json()
    assert base64.b64decode(answer["result"]) == b"a\xffb"


def test_a_failing_command_of_a_pipeline_leaves_the_others_alone(http: httpx.Client) -> None:
    response = http.post("/pipeline", json=[["SET", "a", "x"], ["INCR", "a"], ["GET", "a"]])
    assert response.status_code == 200
    ok, error, value = response.json()
    assert (ok, value) == ({"result": "OK"}, {"result": "x"})
    assert error == {"error": "ERR value is not an integer or out of range"}


def test_a_failing_command_is_answered_with_400_and_its_whole_error(http: httpx.Client) -> None:
    http.post("/", json=["RPUSH", "list", "x"])
    response = http.post("/", json=["GET", "list"])
    assert response.status_code == 400
    assert response.json()["error"].startswith("WRONGTYPE ")


def test_a_transaction_is_discarded_whole_if_a_command_cannot_be_queued(
    http: httpx.Client, client: Redis
) -> None:
    transaction = client.multi()
    transaction.set("a", "1")
    transaction.incr("a")
    assert transaction.exec() == [True, 2]
    response = http.post("/multi-exec", json=[["SET", "a", "9"], ["NOSUCHCOMMAND"]])
    assert response.status_code == 400
    assert "error" in response.json()
    assert client.get("a") == "2"


def test_a_transaction_is_one_for_who_looks_at_the_redis_too(http: httpx.Client, bare: redis.Redis) -> None:
    http.post("/multi-exec", json=[["SET", "a", "1"], ["SET", "b", "1"]])
    assert bare.info("commandstats")["cmdstat_exec"]["calls"] >= 1
    answers = http.post("/multi-exec", json=[["SET", "a", "x"], ["INCR", "a"], ["SET", "b", "2"]]).json()
    assert [list(answer) for answer in answers] == [["result"], ["error"], ["result"]]


def test_a_wrong_token_is_refused_and_nothing_is_run(http: httpx.Client, emulator: Emulator) -> None:
    for authorization in ("Bearer wrong", "", f"Basic {emulator.token}"):
        response = http.post("/", json=["SET", "a", "1"], headers={"Authorization": authorization})
        assert response.status_code == 401
        assert response.json() == {"error": "WRONGPASS invalid or missing auth token"}
    assert http.post("/", json=["GET", "a"]).json() == {"result": None}


@pytest.mark.parametrize("path", ["/", "/pipeline", "/multi-exec"])
@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'"GET"', b"[[]]", b'[[["a"]]]', b'[["SET", "a", null]]', b"7"]
)
def test_a_malformed_body_is_answered_with_400(http: httpx.Client, path: str, body: bytes) -> None:
    response = http.post(path, content=body)
    assert response.status_code == 400
    assert list(response.json()) == ["error"]


@pytest.mark.parametrize(
    "command",
    [
        ["FT.SEARCH", "i", "*"],
        ["BLPOP", "a", 1],
        ["XREAD", "BLOCK", 1, "STREAMS", "s", "$"],
        ["MULTI"],
        ["SUBSCRIBE", "x"],
    ],
    ids=lambda command: command[0],
)
def test_what_upstash_refuses_over_rest_is_refused(http: httpx.Client, command: list[Any]) -> None:
    assert http.post("/", json=command).status_code == 400
    assert list(http.post("/pipeline", json=[command]).json()[0]) == ["error"]


def test_a_stream_may_be_called_block(http: httpx.Client) -> None:
    http.post("/", json=["XADD", "block", "*", "f", "v"])
    assert http.post("/", json=["XREAD", "STREAMS", "block", "0"]).status_code == 200


def test_requests_are_listed_and_sync_tokens_grow(http: httpx.Client, emulator: Emulator) -> None:
    tokens = []
    for _ in range(3):
        tokens.append(http.post("/pipeline", json=[["GET", "a"], ["GET", 1]]).headers["Upstash-Sync-Token"])
    counted = [
        base64.b64decode(token) for token in tokens
    ]  # base64 itself does not keep the order of numbers
    assert counted == sorted(set(counted))
    assert emulator.requests[-1].path == "/pipeline"
    assert emulator.requests[-1].commands == [["GET", "a"], ["GET", "1"]]
    assert emulator.requests[-1].size_bytes == len(b'[["GET","a"],["GET",1]]')
    emulator.clear()
    assert emulator.requests == []


# Faults


def test_a_given_answer_replaces_one_request(http: httpx.Client, emulator: Emulator) -> None:
    emulator.answer_next(429, {"error": "ERR max requests limit exceeded"}, headers={"Retry-After": "1"})
    response = http.post("/", json=["SET", "a", "1"])
    assert (response.status_code, response.headers["Retry-After"]) == (429, "1")
    emulator.answer_next(502, "<html>bad gateway</html>")
    assert http.post("/", json=["SET", "a", "1"]).text == "<html>bad gateway</html>"
    assert http.post("/", json=["GET", "a"]).json() == {"result": None}


def test_a_stalled_request_is_run_but_answered_late(
    http: httpx.Client, emulator: Emulator, bare: redis.Redis
) -> None:
    emulator.stall_next(30)
    with pytest.raises(httpx.ReadTimeout):
        http.post("/", json=["SET", "a", "1"], timeout=0.3)
    assert bare.get("a") == b"1"
    started = time.monotonic()
    emulator.stall_next(0.2)
    assert http.post("/", json=["GET", "a"]).json() == {"result": "1"}
    assert time.monotonic() - started >= 0.2


@pytest.mark.parametrize(("before", "value"), [(True, None), (False, b"1")])
def test_a_connection_is_hung_up_before_or_after_its_request_is_run(
    http: httpx.Client, emulator: Emulator, bare: redis.Redis, before: bool, value: bytes | None
) -> None:
    emulator.hang_up_next(before=before)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        http.post("/", json=["SET", "a", "1"])
    assert bare.get("a") == value
    assert http.post("/", json=["PING"]).json() == {"result": "PONG"}
