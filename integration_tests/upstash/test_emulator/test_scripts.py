"""Scripts: those that search are run by the emulator, and behave as the Redis runs the others."""

from __future__ import annotations

import hashlib
import json
import threading
from typing import Any

import httpx
import pytest
import redis
from upstash_redis import Redis

from integration_tests.upstash.emulator import Emulator
from integration_tests.upstash.test_emulator.memories import found, remember

# Nothing of it is searched; its source alone has it run by the emulator.
EMULATED = "-- SEARCH.\n"


def run(http: httpx.Client, script: str, *arguments: Any) -> dict[str, Any]:
    return http.post("/", json=["EVAL", script, *arguments]).json()


def test_one_script_searches_and_writes(client: Redis, memories: Any) -> None:
    remember(client, "1", text="likes tea", userId="u")
    memories.wait_indexing()
    script = """
        local hits = redis.call('SEARCH.QUERY', ARGV[1], ARGV[2], 'LIMIT', 5, 'NOCONTENT')
        redis.call('JSON.SET', KEYS[1], '$', ARGV[3])
        return {#hits, hits[1][1], type(hits[1][2])}
    """
    arguments = ["memories", json.dumps({"text": "tea", "userId": "u"}), json.dumps({"text": "likes coffee"})]
    assert client.eval(script, keys=["memory:2"], args=arguments) == [1, "memory:1", "string"]
    memories.wait_indexing()
    assert found(memories, filter={"text": "coffee"}) == ["2"]


def test_a_search_in_a_script_or_transaction_needs_nocontent(http: httpx.Client, memories: Any) -> None:
    query = ["SEARCH.QUERY", "memories", "{}"]
    answer = run(http, "return redis.call('SEARCH.QUERY', 'memories', '{}')", 0)
    assert "Inside MULTI or EVAL, the command requires NOCONTENT" in answer["error"]
    answers = http.post("/multi-exec", json=[["SET", "a", "1"], query, [*query, "NOCONTENT"]]).json()
    assert [list(answer) for answer in answers] == [["result"], ["error"], ["result"]]
    assert run(http, "return redis.call('SEARCH.QUERY', 'none', '{}', 'NOCONTENT')", 0) == {"result": None}


@pytest.mark.parametrize(
    "body",
    [
        "return {KEYS[1], ARGV[1], #KEYS, #ARGV}",
        "return 3.99",
        "return -3.99",
        "return true",
        "return false",
        "return nil",
        "return {1, 2, nil, 4}",
        "return {1, {true, false, {}}, 'x'}",
        "return {ok = 'FINE'}",
        "return {err = 'MYERR wrong'}",
        "return redis.error_reply('MYERR wrong')",
        "return redis.status_reply('OK')",
        "return redis.call('SET', KEYS[1], 'v')",
        "return redis.call('GET', KEYS[1])",
        "return redis.call('GET', KEYS[1]) == false",
        "redis.call('SET', KEYS[1], 1.5); return redis.call('GET', KEYS[1])",
        "redis.call('SET', KEYS[1], 2^53); return redis.call('GET', KEYS[1])",
        "return redis.call('SET', KEYS[1], 'v').ok",
        "return redis.pcall('INCR', KEYS[1], 'x').err ~= nil",
        "return pcall(redis.call, 'NOSUCH')",
        "redis.call('RPUSH', KEYS[1], 'a', 'b'); return redis.call('LRANGE', KEYS[1], 0, -1)",
        "return redis.sha1hex('x')",
        "return cjson.decode(ARGV[2]).list[2].name",
        "return cjson.decode(ARGV[2]).nothing == cjson.null",
        "return cjson.encode({1, 'a', true, cjson.null})",
        "return cjson.encode({})",
        "return tostring(os and os.execute) .. tostring(type(string.format))",
        "return ARGV[3]",
    ],
)
def test_a_script_replies_as_the_redis_has_it(http: httpx.Client, bare: redis.Redis, body: str) -> None:
    arguments = (1, "key", "value", '{"list": [1, {"name": "ž"}], "nothing": null}', "\x00é")
    there = run(http, body, *arguments)
    bare.flushall()
    assert run(http, EMULATED + body, *arguments) == there


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (
            "redis.call('SET', KEYS[1], 'x'); return redis.call('INCR', KEYS[1])",
            "ERR value is not an integer",
        ),
        ("return redis.call('RPUSH', KEYS[1], 1) + redis.call('GET', KEYS[1])", "WRONGTYPE "),
        ("return nil + 1", "ERR user_script:"),
        ("return return", "ERR Error compiling script"),
        ("forgotten = 1", "create global variable 'forgotten'"),
        ("return forgotten", "nonexistent global variable 'forgotten'"),
        ("return redis.call('FT.SEARCH', 'i', '*')", "ERR Command is not available: 'FT.SEARCH'"),
        ("return redis.call('BLPOP', KEYS[1], 1)", "ERR Command is not available"),
        ("return redis.call()", "ERR"),
        ("return redis.call('SEARCH.AGGREGATE', 'x')", "ERR not emulated"),
    ],
)
def test_a_failing_script_answers_its_error(http: httpx.Client, body: str, error: str) -> None:
    assert error in run(http, EMULATED + body, 1, "key")["error"]


def test_a_failing_call_stops_the_script(http: httpx.Client) -> None:
    run(http, EMULATED + "redis.call('INCR', 'a', 'b'); redis.call('SET', 'after', 1)", 0)
    assert http.post("/", json=["EXISTS", "after"]).json() == {"result": 0}


@pytest.mark.parametrize("script", ["return ARGV[1]", EMULATED + "return ARGV[1]"])
def test_a_script_is_known_by_its_digest_once_seen(
    http: httpx.Client, emulator: Emulator, script: str
) -> None:
    digest = hashlib.sha1(script.encode()).hexdigest()
    by_digest = ["EVALSHA", digest, 0, "x"]

    def run_it() -> dict[str, Any]:
        return http.post("/", json=by_digest).json()

    unknown = {"error": "NOSCRIPT No matching script. Please use EVAL."}
    assert run_it() == unknown
    assert http.post("/", json=["SCRIPT", "LOAD", script]).json() == {"result": digest}
    assert run_it() == {"result": "x"}
    assert http.post("/", json=["SCRIPT", "EXISTS", digest]).json() == {"result": [1]}
    http.post("/", json=["SCRIPT", "FLUSH"])
    assert run_it() == unknown
    run(http, script, 0, "y")
    assert run_it() == {"result": "x"}
    assert http.post("/multi-exec", json=[by_digest, ["SET", "a", "1"]]).json() == [
        {"result": "x"},
        {"result": "OK"},
    ]
    emulator.clear()
    assert run_it() == unknown
    assert http.post("/multi-exec", json=[["SET", "a", "2"], by_digest]).json() == [{"result": "OK"}, unknown]


def test_nothing_comes_between_the_calls_of_a_script(emulator: Emulator, http: httpx.Client) -> None:
    script = (
        EMULATED
        + """
        local value = tonumber(redis.call('GET', KEYS[1]) or 0)
        for _ = 1, 20 do redis.call('PING') end
        return redis.call('SET', KEYS[1], value + 1)
    """
    )

    def add() -> None:
        with httpx.Client(base_url=emulator.url, headers=http.headers, timeout=30) as client:
            for _ in range(10):
                client.post("/", json=["EVAL", script, 1, "counter"]).raise_for_status()

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert http.post("/", json=["GET", "counter"]).json() == {"result": "40"}
