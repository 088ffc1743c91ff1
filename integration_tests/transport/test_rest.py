"""The drivers of the REST API against a real HTTP server: what is sent, and what failures become."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import upstash_redis
import upstash_redis.asyncio

from integration_tests.conftest import Both
from integration_tests.upstash.emulator import Emulator
from langchain_agentmem import EventLog, UpstashChatMessageHistory, WorkingMemory
from langchain_agentmem.core.operations import Op, asks, call, reads, writes
from langchain_agentmem.errors import (
    ConfigurationError,
    StoreAuthenticationError,
    StoreConnectionError,
    StoreError,
    StoreRateLimitError,
    StoreTimeoutError,
    WrongKeyTypeError,
)
from langchain_agentmem.transport.connections import SharedConnection, connect

Run = Callable[[SharedConnection, Op[Any]], Any]


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs an operation on a connection, and closes the connection's loop behind it."""

    def running(connection: SharedConnection, op: Op[Any]) -> Any:
        if request.param == "sync":
            return connection.run(op)
        return asyncio.run(connection.arun(op))  # type: ignore[arg-type]

    return running


@pytest.fixture
def connection(emulator: Emulator) -> Iterator[SharedConnection]:
    connection = SharedConnection(emulator.url, 1.0, emulator.token)
    yield connection
    connection.close()


def batch(*commands: tuple[Any, ...]) -> Op[list[Any]]:
    return (yield list(commands))


def test_a_batch_is_one_request(connection: SharedConnection, emulator: Emulator, run: Run) -> None:
    replies = run(
        connection,
        batch(writes("SET", "k", "v"), reads("GET", "k"), writes("LPUSH", "k", "x"), reads("GET", "none")),
    )
    assert replies[:2] == [b"OK", b"v"]
    assert isinstance(replies[2], WrongKeyTypeError)
    assert replies[3] is None
    (request,) = emulator.requests
    assert request.path == "/pipeline"


def test_bytes_that_are_no_utf8_are_read_as_they_are(
    connection: SharedConnection, bare: redis.Redis, run: Run
) -> None:
    bare.set("k", b"\xff\x00OK")
    assert run(connection, call(reads("GET", "k"))) == b"\xff\x00OK"


def test_a_script_that_the_server_does_not_know_is_sent_once_more(
    emulator: Emulator, run: Run, both: Both
) -> None:
    with WorkingMemory(emulator.url, token=emulator.token) as working:
        asyncio.run(both(working).aappend_turn("t", "user", "one"))
        first = len(emulator.requests)
        asyncio.run(both(working).aappend_turn("t", "user", "two"))
        assert (first, len(emulator.requests)) == (2, 3)
        assert [turn.content for turn in working.load("t").recent_turns] == ["one", "two"]  # type: ignore[union-attr]


def test_a_wrong_token_is_said_so(emulator: Emulator, run: Run) -> None:
    connection = SharedConnection(emulator.url, 1.0, "wrong-token")
    with pytest.raises(StoreAuthenticationError, match="refused the token") as caught:
        run(connection, call(reads("GET", "k")))
    assert "wrong-token" not in str(caught.value) + repr(connection)
    connection.close()


def test_requests_over_the_limit_are_sent_again_for_a_while(
    connection: SharedConnection, emulator: Emulator, run: Run, bare: redis.Redis
) -> None:
    emulator.answer_next(429, b'{"error":"ERR too many requests"}')
    assert run(connection, call(writes("INCR", "n"))) == 1
    assert bare.get("n") == b"1"


@pytest.mark.usefixtures("impatient")
def test_a_limit_that_stays_is_an_error(connection: SharedConnection, emulator: Emulator, run: Run) -> None:
    for _ in range(200):
        emulator.answer_next(429, b'{"error":"ERR too many requests"}')
    with pytest.raises(StoreRateLimitError, match="no more requests"):
        run(connection, call(writes("INCR", "n")))
    emulator.clear()


def test_a_loading_server_is_asked_again(connection: SharedConnection, emulator: Emulator, run: Run) -> None:
    emulator.answer_next(200, b'[{"error":"LOADING Redis is loading the dataset in memory"}]')
    assert run(connection, call(writes("INCR", "n"))) == 1


@pytest.mark.parametrize("before", [True, False], ids=["before it ran", "after it ran"])
def test_a_write_whose_answer_is_lost_is_not_repeated(
    connection: SharedConnection, emulator: Emulator, run: Run, bare: redis.Redis, before: bool
) -> None:
    emulator.hang_up_next(before=before)
    with pytest.raises(StoreConnectionError, match=r"127\.0\.0\.1"):
        run(connection, call(writes("INCR", "n")))
    assert bare.get("n") == (None if before else b"1")


def test_a_read_whose_answer_is_lost_is_repeated(
    connection: SharedConnection, emulator: Emulator, run: Run, bare: redis.Redis
) -> None:
    bare.hset("k", "f", "v")
    emulator.hang_up_next(before=False)
    assert run(connection, call(reads("HGET", "k", "f"))) == b"v"


def test_a_gateway_that_fails_repeats_reads_only(
    connection: SharedConnection, emulator: Emulator, run: Run, bare: redis.Redis
) -> None:
    emulator.answer_next(503, b"<html>Service unavailable</html>")
    assert run(connection, call(reads("HGET", "k", "f"))) is None
    emulator.answer_next(503, b"<html>Service unavailable</html>")
    with pytest.raises(StoreConnectionError, match="503"):
        run(connection, call(writes("INCR", "n")))
    assert bare.get("n") is None


@pytest.mark.parametrize("status", [200, 301, 400, 502])
def test_a_token_that_a_proxy_repeats_is_not_shown(
    connection: SharedConnection, emulator: Emulator, run: Run, status: int
) -> None:
    said = {"error": f"bad header Bearer {emulator.token}"}
    emulator.answer_next(status, [said] if status == 200 else said)
    with pytest.raises(StoreError) as caught:
        run(connection, call(writes("INCR", "n")))
    error: BaseException | None = caught.value
    seen = []
    while error is not None:
        assert emulator.token not in str(error)
        assert error not in seen, "an error that is its own cause"
        seen.append(error)
        error = error.__cause__


def test_a_driver_that_is_closed_meanwhile_says_so(emulator: Emulator) -> None:
    connection = SharedConnection(emulator.url, 1.0, emulator.token)
    connection.run(call(asks("PING")))
    driver = connection._open().make_for_threads()
    connection.close()
    with pytest.raises(ConfigurationError, match="closed"):
        driver.run(call(asks("PING")))


def test_a_late_answer_is_an_error_in_time(emulator: Emulator, run: Run, bare: redis.Redis) -> None:
    connection = SharedConnection(emulator.url, 0.3, emulator.token)
    emulator.stall_next(1.0)
    with pytest.raises(StoreTimeoutError, match="in time"):
        run(connection, call(writes("INCR", "n")))
    connection.close()


def test_a_server_that_is_not_there_is_an_error_within_seconds(run: Run) -> None:
    connection = SharedConnection("http://127.0.0.1:9", 1.0, "token")
    with pytest.raises(StoreConnectionError, match=r"127\.0\.0\.1:9"):
        run(connection, call(reads("GET", "k")))
    connection.close()


def test_another_number_of_replies_is_an_error(
    connection: SharedConnection, emulator: Emulator, run: Run
) -> None:
    emulator.answer_next(200, b'[{"result":1},{"result":2}]')
    with pytest.raises(StoreError, match="2 replies for 1"):
        run(connection, call(reads("GET", "k")))


def test_all_objects_of_a_url_and_token_share_one_connection(emulator: Emulator) -> None:
    from langchain_agentmem.transport import connections

    first = SharedConnection(emulator.url, 5.0, emulator.token)
    second = UpstashChatMessageHistory("s", url=emulator.url, token=emulator.token)
    other = SharedConnection(emulator.url, 5.0, "other")
    keys = [key for key in connections._shared if key[0] == emulator.url and key[1] == 5.0]
    assert len(keys) == 2
    second.close()
    assert first.run(call(asks("PING"))) == b"PONG"
    first.close()
    other.close()
    assert not [key for key in connections._shared if key[0] == emulator.url and key[1] == 5.0]
    with pytest.raises(ConfigurationError, match="closed"):
        first.run(call(asks("PING")))


async def test_official_clients_give_their_address_and_stay_untouched(emulator: Emulator) -> None:
    client = upstash_redis.Redis(emulator.url, emulator.token)
    async_client = upstash_redis.asyncio.Redis(emulator.url, emulator.token)
    before = (dict(vars(client)), dict(client._headers))
    for given in (
        {"client": client},
        {"async_client": async_client},
        {"client": client, "async_client": async_client},
    ):
        with WorkingMemory(**given) as working:  # type: ignore[arg-type]
            working.append_turn("t", "user", "sync")
            await working.aappend_turn("t", "user", "async")
    assert (dict(vars(client)), dict(client._headers)) == before
    assert client.hget("agent:session:t", "turn_count") == "6"
    assert await async_client.exists("agent:session:t") == 1
    client.close()
    await async_client.close()


async def test_clients_of_different_databases_are_refused(emulator: Emulator) -> None:
    client = upstash_redis.Redis(emulator.url, emulator.token)
    other = upstash_redis.asyncio.Redis(emulator.url, "other")
    with pytest.raises(ConfigurationError, match="same database"):
        connect(None, client, other, 5.0)
    with pytest.raises(ConfigurationError, match="same database"):
        connect(None, client, redis.asyncio.Redis(), 5.0)
    client.close()
    await other.close()


def test_the_token_is_in_no_log(emulator: Emulator, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    connection = SharedConnection(emulator.url, 1.0, emulator.token)
    run(connection, call(writes("SET", "k", "v")))
    emulator.hang_up_next()
    with pytest.raises(StoreConnectionError) as caught:
        run(connection, call(writes("INCR", "n")))
    connection.close()
    assert emulator.token not in caplog.text
    assert emulator.token not in repr(caught.value) + repr(caught.value.__cause__)


def test_a_log_over_rest_keeps_its_order_and_closes(emulator: Emulator, bare: redis.Redis) -> None:
    with EventLog(emulator.url, token=emulator.token) as log:
        for number in range(50):
            log.put("t", "note", str(number))
    assert [fields[b"detail"] for _, fields in bare.xrange("agent:events:t")] == [
        str(number).encode() for number in range(50)
    ]
    assert len(emulator.requests) < 50


def test_nothing_is_sent_by_a_constructor(emulator: Emulator, tmp_path: Path) -> None:
    WorkingMemory(emulator.url, token=emulator.token).close()
    UpstashChatMessageHistory(url=emulator.url, token=emulator.token).close()
    assert emulator.requests == []
