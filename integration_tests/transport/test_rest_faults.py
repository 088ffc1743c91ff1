"""Whatever a server or a proxy answers over HTTP: an error of the package's own, or a right answer, in time.

Afterwards the client is usable, and no message holds the token.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
import time
import traceback
import zlib
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integration_tests.conftest import BOTH, Both, Call
from integration_tests.transport.faulty_http import OK, FaultyServer, Script, response, says
from langchain_agentmem import EventLog, UpstashLongTermMemory, WorkingMemory
from langchain_agentmem.core.operations import Op, asks, call, writes
from langchain_agentmem.errors import AgentMemoryError, StoreConnectionError, StoreError, StoreTimeoutError
from langchain_agentmem.transport import rest_driver
from langchain_agentmem.transport.connections import SharedConnection

TOKEN = "tok-3n_secret.value"
SECONDS = 0.4  # what an answer may take where it never comes
PATIENT_SECONDS = 10.0  # where it comes at once, but the machine may be busy
WRITE = writes("INCR", "n")

Exchange = Callable[..., Any]


class Client:
    """A connection, used from this thread or from an event loop that lives as long."""

    def __init__(self, url: str, asynchronous: bool, seconds: float = SECONDS) -> None:
        self.connection = SharedConnection(url, seconds, TOKEN)
        self.seconds = seconds
        self._runner = asyncio.new_event_loop() if asynchronous else None
        self.both: Both = BOTH["async" if asynchronous else "sync"]

    def run(self, op: Op[Any]) -> Any:
        if self._runner is None:
            return self.connection.run(op)
        return self._runner.run_until_complete(self.connection.arun(op))

    def wait(self, call: Coroutine[Any, Any, Any]) -> Any:
        if self._runner is None:
            return asyncio.run(call)
        return self._runner.run_until_complete(call)

    def failure(self, op: Op[Any]) -> AgentMemoryError:
        """The error that an operation ends in, without the token anywhere, and in time."""
        began = time.monotonic()
        with pytest.raises(AgentMemoryError) as caught:
            self.run(op)
        assert time.monotonic() - began < self.seconds * 1.5 + 0.2
        shown = "".join(traceback.format_exception(caught.value))
        link: BaseException | None = caught.value
        while link is not None:
            shown += str(link) + repr(link)
            link = link.__cause__ or link.__context__
        assert TOKEN not in shown
        assert len(str(caught.value)) < 1000
        return caught.value

    def close(self) -> None:
        if self._runner is None:
            self.connection.close()
        else:
            self._runner.run_until_complete(self.connection.aclose())
            self._runner.close()


@pytest.fixture
def faulty() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def client(request: pytest.FixtureRequest, faulty: FaultyServer) -> Iterator[Client]:
    client = Client(faulty.url, request.param)
    yield client
    faulty.ended.set()
    client.close()


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def patient(request: pytest.FixtureRequest, faulty: FaultyServer) -> Iterator[Client]:
    client = Client(faulty.url, request.param, PATIENT_SECONDS)
    yield client
    faulty.ended.set()
    client.close()


HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
LEAKING = b"Bearer " + TOKEN.encode()
GARBAGE: dict[str, Script] = {
    "an HTML error page": says(response(HTML, b"Content-Type: text/html", status=b"502 Bad Gateway")),
    "HTML with a 200": says(response(HTML)),
    "an object with a 200": says(response(b'{"result":"OK"}')),
    "an object without an error": says(response(b"{}", status=b"400 Bad Request")),
    "an error with the token": says(response(b'{"error":"bad header %s"}' % LEAKING, status=b"400 Bad")),
    "a reply with the token": says(response(b'[{"error":"bad header %s"}]' % LEAKING)),
    "a bare string with the token": says(response(b'["%s"]' % LEAKING)),
    "the request, repeated": says(
        b"POST /pipeline HTTP/1.1\r\nAuthorization: " + LEAKING + b"\r\n\r\n", close=True
    ),
    "the token as a status line": says(LEAKING + b"\r\n\r\n", close=True),
    "a redirect": says(response(b"", b"Location: https://elsewhere/", status=b"301 Moved")),
    "a redirect to itself": says(response(b"", b"Location: /pipeline", status=b"307 Again")),
    "too few replies": says(response(b"[]")),
    "too many replies": says(response(b'[{"result":1},{"result":2}]')),
    "replies that are none": says(response(b"[[1]]")),
    "a null for the list": says(response(b"null")),
    "an empty body": says(response(b"")),
    "a truncated body": says(response(OK[:-3], length=len(OK)), close=True),
    "a length too large": says(response(OK, length=10_000), close=True),
    "a length too small": says(response(OK, length=7)),
    "a length that is no number": says(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n" + OK, close=True),
    "a negative length": says(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n" + OK, close=True),
    "two lengths": says(response(OK, b"Content-Length: 3"), close=True),
    "broken chunks": says(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + OK + b"\r\n0\r\n\r\n", close=True
    ),
    "deep nesting": says(response(b'[{"result":' + b"[" * 900 + b"]" * 900 + b"}]")),
    "deeper nesting": says(response(b"[" * 100_000 + b"]" * 100_000)),
    "a nested error": says(response(b'{"error":' + b"[" * 1000 + b"]" * 1000 + b"}", status=b"400 Bad")),
    "null bytes": says(response(b"\0" * 50)),
    "a null byte in a string": says(response(b'[{"result":"\0"}]')),
    "invalid UTF-8": says(response(b'[{"result":"\xff\xfe"}]')),
    "a lone surrogate": says(response(b'[{"result":"\\ud800"}]')),
    "no base64": says(response(b'[{"result":"no base64!"}]')),
    "no ASCII in base64": says(response('[{"result":"é"}]'.encode())),
    "a number without end": says(response(b'[{"result":' + b"9" * 10_000 + b"}]")),
    "an infinite number": says(response(b'[{"result":1e999}]')),
    "no number": says(response(b'[{"result":NaN}]')),
    "no gzip": says(response(b"not packed", b"Content-Encoding: gzip")),
    "a truncated gzip": says(response(gzip.compress(OK * 1000)[:30], b"Content-Encoding: gzip")),
    "another packing": says(response(b"\x8b\x04\x80", b"Content-Encoding: br")),
    "another protocol": says(b"-ERR unknown command 'POST'\r\n", close=True),
    "nothing": says(b"", close=True),
    "half a status line": says(b"HTTP/1.1 2", close=True),
    "a header that is none": says(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", close=True),
    "headers without end": says(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 40_000, close=True),
    "an upgrade": says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x00", close=True),
    "a very long error": says(response(b'[{"error":"' + b"x" * 1_000_000 + b'"}]')),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_an_error_of_the_packages_own(patient: Client, faulty: FaultyServer, name: str) -> None:
    faulty.scripts = [says(response(OK)), GARBAGE[name]]
    patient.run(call(WRITE))
    failure = patient.failure(call(WRITE))
    assert isinstance(failure, StoreError)
    assert not isinstance(failure, StoreTimeoutError)  # all of it comes at once
    assert len(faulty.requests) == 2  # a write is not sent again
    assert patient.run(call(WRITE)) == b"OK"
    assert len(faulty.requests) == 3


RIGHT: dict[str, tuple[Script, Any]] = {
    "packed": (says(response(gzip.compress(OK), b"Content-Encoding: gzip")), b"OK"),
    "packed otherwise": (says(response(zlib.compress(OK), b"Content-Encoding: deflate")), b"OK"),
    "in chunks": (
        says(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n"
            + OK[:8]
            + b"\r\nb\r\n"
            + OK[8:]
            + b"\r\n0\r\n\r\n"
        ),
        b"OK",
    ),
    "until the end": (says(b"HTTP/1.0 200 OK\r\n\r\n" + OK, close=True), b"OK"),
    "after a provisional one": (says(b"HTTP/1.1 100 Continue\r\n\r\n" + response(OK)), b"OK"),
    "a non-ASCII header": (says(response(OK, "X-Proxy: Zürich 你好".encode())), b"OK"),
    "a cookie that is no ASCII": (says(response(OK, b"Set-Cookie: s=\xe9\xff; Path=/")), b"OK"),
    "two tokens": (says(response(OK, b"Upstash-Sync-Token: a", b"Upstash-Sync-Token: b")), b"OK"),
    "a large integer": (says(response(b'[{"result":%d}]' % 2**63)), 2**63),
    "an integer beyond 64 bits": (
        says(response(b'[{"result":[%d,-%d]}]' % (10**30, 2**70))),
        [10**30, -(2**70)],
    ),
    "a large float": (says(response(b'[{"result":1e300}]')), 1e300),
    "some nesting": (
        says(response(b'[{"result":' + b"[" * 90 + b"]" * 90 + b"}]")),
        json.loads("[" * 90 + "]" * 90),
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_unusual_answers_are_right(patient: Client, faulty: FaultyServer, name: str) -> None:
    script, expected = RIGHT[name]
    faulty.scripts = [script]
    assert patient.run(call(WRITE)) == expected
    assert patient.run(call(WRITE)) == b"OK"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ([b"first"], b"first"),
        ([b"Z\xc3\xbcrich"], None),
        ([b"\xe9\xff"], None),
        ([b"two words"], None),
        ([b"x" * 5000], None),
        ([b""], None),
        ([b"one", b"two"], b"two"),
        ([b"one", b"Z\xc3\xbcrich"], b"one"),
    ],
)
def test_a_sync_token_is_repeated_only_if_it_can_be(
    patient: Client, faulty: FaultyServer, sent: list[bytes], kept: bytes | None
) -> None:
    faulty.scripts = [says(response(OK, *(b"Upstash-Sync-Token: " + one for one in sent)))]
    for _ in range(3):
        assert patient.run(call(WRITE)) == b"OK"
    for head in faulty.requests[1:]:
        tokens = [
            line[20:] for line in head.split(b"\r\n") if line.lower().startswith(b"upstash-sync-token: ")
        ]
        assert tokens == ([] if kept is None else [kept])


@pytest.mark.parametrize("pieces", ["head", "body", "chunks", "packed"])
def test_an_answer_that_drips_is_broken_off_in_time(
    client: Client, faulty: FaultyServer, pieces: str
) -> None:
    answers = {
        "head": response(OK, b"X-Filler: " + b"x" * 1000),
        "body": response(OK + b" " * 1000),
        "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 1000,
        "packed": response(gzip.compress(OK + bytes(range(256)) * 4), b"Content-Encoding: gzip"),
    }
    head, rest = answers[pieces].split(b"\r\n\r\n", 1)

    def script(near: socket.socket) -> object:
        if pieces == "head":
            return faulty.drip(answers["head"])(near)
        near.sendall(head + b"\r\n\r\n")
        return faulty.drip(rest)(near)

    client.run(call(asks("PING")))
    faulty.scripts = [script]
    error = client.failure(call(asks("PING")))  # a read: it is not sent again either
    assert isinstance(error, StoreTimeoutError)
    assert client.run(call(asks("PING"))) == b"OK"
    assert len(faulty.requests) == 3


def test_a_request_that_nobody_reads_is_broken_off_in_time(client: Client, faulty: FaultyServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        deaf_client = Client(f"http://127.0.0.1:{deaf.getsockname()[1]}", client._runner is not None)
        assert isinstance(deaf_client.failure(call(writes("ECHO", "x" * 200_000))), StoreTimeoutError)
        began = time.monotonic()
        with pytest.raises(StoreTimeoutError):
            deaf_client.run(call(writes("ECHO", "x" * 20_000_000)))
        assert time.monotonic() - began < 2
        deaf_client.close()


def test_a_large_answer_over_a_slow_line_is_not_cut(client: Client, faulty: FaultyServer) -> None:
    """At a portion of 256 KiB for each time-out, it takes as long as it takes."""
    body = b'[{"result":"' + b"A" * (1 << 20) + b'"}]'

    def slowly(near: socket.socket) -> bool:
        near.sendall(response(b"", length=len(body)))
        for start in range(0, len(body), 1 << 16):
            near.sendall(body[start : start + (1 << 16)])
            faulty.ended.wait(0.05)
        return False

    faulty.scripts = [slowly]
    began = time.monotonic()
    assert client.run(call(WRITE)) == b"\0" * (3 << 18)
    assert time.monotonic() - began > SECONDS * 1.5


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_a_packed_answer_that_grows_too_large_is_broken_off(faulty: FaultyServer, asynchronous: bool) -> None:
    unpacked = b"0" * (1 << 20)
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(unpacked) for _ in range(300)) + packer.flush()
    assert len(bomb) < 1 << 19
    faulty.scripts = [says(response(bomb, b"Content-Encoding: gzip"))]
    client = Client(faulty.url, asynchronous, seconds=30)
    with pytest.raises(StoreError, match="more than 256 MiB") as caught:
        client.run(call(asks("PING")))
    assert not isinstance(caught.value, StoreConnectionError)  # so it is not asked for again
    assert client.run(call(WRITE)) == b"OK"
    client.close()


def test_an_enormous_body_is_broken_off(
    client: Client, faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest_driver, "_LARGEST_ANSWER_BYTES", 1 << 20)

    def endless(near: socket.socket) -> bool:
        near.sendall(b"HTTP/1.1 200 OK\r\n\r\n[")
        while not faulty.ended.is_set():
            near.sendall(b" " * (1 << 16))
        return True

    faulty.scripts = [endless]
    with pytest.raises(StoreError, match="more than 1 MiB"):
        client.run(call(WRITE))
    assert client.run(call(WRITE)) == b"OK"


def test_reads_are_sent_again_when_the_answer_was_none(patient: Client, faulty: FaultyServer) -> None:
    faulty.scripts = [GARBAGE["HTML with a 200"], GARBAGE["a truncated body"], GARBAGE["nothing"]]
    assert patient.run(call(asks("PING"))) == b"OK"
    assert len(faulty.requests) == 4


WRONG = (
    b"null",
    b"5",
    b"1.5",
    b'"T0s="',
    b"[1]",
    b"[[],[]]",
    b'{"a":1}',
    b"true",
    b"[null,[null]]",
    b"1" * 30,
)


def test_replies_of_the_wrong_type_are_an_error_of_the_packages_own(
    patient: Client, faulty: FaultyServer
) -> None:
    working = WorkingMemory(transport=patient.connection, storage="hash")
    listed = WorkingMemory(transport=patient.connection, storage="list")
    events = EventLog(transport=patient.connection)
    memories = UpstashLongTermMemory(transport=patient.connection)
    both = patient.both
    calls: list[Call] = [
        lambda: both(working).aappend_turn("t", "user", "x"),
        lambda: both(working).aload("t"),
        lambda: both(working).amessages("t"),
        lambda: both(working).alist_threads(),
        lambda: both(listed).aappend_turn("t", "user", "x"),
        lambda: both(listed).aload("t"),
        lambda: both(listed).amessages("t"),
        lambda: both(listed).alist_threads(),
        lambda: both(working).aforget_user("alice"),
        lambda: both(events).arecord("t", "note"),
        lambda: both(events).arecent("t"),
        lambda: both(memories).aget("alice:x"),
        lambda: both(memories).aindex_info(),
    ]
    for result in WRONG:
        for make in calls:
            faulty.scripts = [says(response(b'[{"result":%s}]' % result))] * 5
            with suppress(AgentMemoryError):
                patient.wait(make())
    faulty.scripts = []
    assert patient.run(call(WRITE)) == b"OK"


def test_threads_have_an_end_each(faulty: FaultyServer) -> None:
    """A request that drips does not shorten, or extend, another's."""
    connection = SharedConnection(faulty.url, SECONDS, TOKEN)
    faulty.scripts = [faulty.drip(response(OK, b"X-Filler: " + b"x" * 1000))]
    failed: list[AgentMemoryError] = []

    def drips() -> None:
        try:
            connection.run(call(WRITE))
        except AgentMemoryError as error:
            failed.append(error)

    thread = threading.Thread(target=drips)
    thread.start()
    while not faulty.requests:
        time.sleep(0.001)
    began = time.monotonic()
    while thread.is_alive():
        assert connection.run(call(WRITE)) == b"OK"
    assert SECONDS * 0.5 < time.monotonic() - began < SECONDS * 1.5
    assert [type(error) for error in failed] == [StoreTimeoutError]
    connection.close()


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[FaultyServer, list[Client]]]:
    with FaultyServer() as server:
        clients = [Client(server.url, False, PATIENT_SECONDS), Client(server.url, True, PATIENT_SECONDS)]
        yield server, clients
        for client in clients:
            client.close()


json_texts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("T0s="),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["result", "error", "é"]), inner)
    ),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())
bodies = st.one_of(
    st.binary(max_size=60), json_texts, json_texts.map(lambda one: b'[{"result":' + one + b"}]")
)
headers = st.lists(
    st.tuples(
        st.sampled_from([b"Upstash-Sync-Token", b"Set-Cookie", b"Content-Encoding", b"Content-Type", b"X"]),
        st.binary(max_size=12).map(lambda one: one.translate(None, b"\r\n\0"))
        | st.sampled_from([b"gzip", b"a=b"]),
    ).map(b": ".join),
    max_size=3,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=bodies,
    more=headers,
    status=st.sampled_from([b"200 OK", b"204 No", b"301 M", b"400 B", b"401 U", b"500 I"]),
)
def test_any_answer_leaves_the_client_usable(
    both: tuple[FaultyServer, list[Client]], body: bytes, more: list[bytes], status: bytes
) -> None:
    server, clients = both
    for client in clients:
        server.scripts = [says(response(body, *more, status=status))]
        with suppress(AgentMemoryError):
            client.run(call(WRITE))
        server.scripts = []
        assert client.run(call(WRITE)) == b"OK"
