"""Whatever a server answers that is no Redis: an error of the package's own, and a connection less."""

from __future__ import annotations

import socket
import time
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest
import redis.asyncio.retry
import redis.retry
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis.backoff import NoBackoff

from integration_tests.conftest import Both, Call
from integration_tests.listening import Listener
from integration_tests.transport.conftest import Open, Run
from integration_tests.transport.test_clients import HIREDIS, PYTHON
from integration_tests.transport.test_retries import stand_still
from integration_tests.words import WordEmbeddings
from langchain_agentmem import EventLog, LongTermMemory, WorkingMemory
from langchain_agentmem.core.operations import Op, call, reads, writes
from langchain_agentmem.errors import (
    AgentMemoryError,
    InvalidInputError,
    StoreError,
)
from langchain_agentmem.transport.connections import CallerSuppliedClients, Transport

SECONDS = 0.5
SECRET = "s3cr3tPassw0rd"
HELLO = b"%2\r\n$5\r\nproto\r\n:3\r\n$7\r\nversion\r\n$5\r\n8.0.0\r\n"


class FakeRedis(Listener):
    """Greets as Redis does, answers HGET with the key, and everything else with the bytes it was given.

    Attributes:
        answer: What is sent for a command; the connection is closed behind it if `hangs_up` is set.
        greeting: What is sent for HELLO and AUTH.
    """

    def __init__(self) -> None:
        self.honest()
        self.commands: list[list[bytes]] = []
        super().__init__()

    def honest(self) -> None:
        self.answer, self.hangs_up, self.greeting = b"+OK\r\n", False, b""

    def serve(self, near: socket.socket) -> None:
        with near.makefile("rb") as stream:
            while header := stream.readline():
                command = []
                for _ in range(int(header[1:])):
                    length = int(stream.readline()[1:])
                    command.append(stream.read(length + 2)[:-2])
                if not self._reply(near, command):
                    return

    def _reply(self, near: socket.socket, command: list[bytes]) -> bool:
        match command:
            case [b"HELLO", *_]:
                near.sendall(self.greeting or HELLO)
            case [b"AUTH", *_]:
                near.sendall(self.greeting or b"+OK\r\n")
            case [b"CLIENT" | b"SELECT", *_]:
                near.sendall(b"+OK\r\n")
            case [b"HGET", text, _]:  # a read, which a connection that ends meanwhile does not fail
                near.sendall(b"$%d\r\n%s\r\n" % (len(text), text))
            case _:
                self.commands.append(command)
                near.sendall(self.answer)
                return not self.hangs_up
        return True


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeRedis]:
    with FakeRedis() as fake:
        yield fake


KINDS = [(protocol, parser) for protocol in (2, 3) for parser in ("python", "hiredis")]


@pytest.fixture(params=KINDS, ids=[f"resp{protocol}-{parser}" for protocol, parser in KINDS])
async def transport(request: pytest.FixtureRequest, fake: FakeRedis) -> AsyncIterator[CallerSuppliedClients]:
    protocol, parser = request.param
    fake.honest()
    sync, asynchronous = PYTHON[protocol] if parser == "python" else HIREDIS
    options: dict[str, Any] = {"port": fake.port, "protocol": protocol, "socket_timeout": SECONDS}
    client = redis.Redis(retry=redis.retry.Retry(NoBackoff(), 0), **options)
    client.connection_pool.connection_kwargs["parser_class"] = sync
    async_client = redis.asyncio.Redis(retry=redis.asyncio.retry.Retry(NoBackoff(), 0), **options)
    async_client.connection_pool.connection_kwargs["parser_class"] = asynchronous
    yield CallerSuppliedClients(client, async_client)
    client.close()
    await async_client.aclose()


async def failure(run: Run, transport: Transport, op: Op[Any]) -> AgentMemoryError:
    start = time.monotonic()
    with pytest.raises(AgentMemoryError) as caught:
        await run(transport, op)
    assert time.monotonic() - start < SECONDS * 1.5 + 0.2
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    return caught.value


GARBAGE = {
    "no protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "no integer": b":one\r\n",
    "no length": b"$many\r\n",
    "a negative length": b"$-7\r\nabc\r\n",
    "a negative number of elements": b"*-7\r\n",
    "a length beyond all memory": b"$9223372036854775807\r\nabc\r\n",
    "a length of 30 digits": b"$" + b"9" * 30 + b"\r\n",
    "a list longer than any": b"*9223372036854775807\r\n:1\r\n",
    "a list of 30 digits": b"*" + b"9" * 30 + b"\r\n:1\r\n",
    "an integer of 5,000 digits": b":" + b"9" * 5_000 + b"\r\n",
    "deep nesting": b"*1\r\n" * 5_000 + b":1\r\n",
    "a line without end": b"+" + b"x" * 200_000,
    "a line of null bytes": b"\0" * 100 + b"\r\n",
    "an empty line": b"\r\n",
    "a float that is none": b",one\r\n",
    "a map of maps": b"%1\r\n%1\r\n:1\r\n:2\r\n:3\r\n",
    "a map of half a pair": b"%1\r\n:1\r\n",
    "a set of sets": b"~1\r\n~1\r\n:1\r\n",
    "a big number that is none": b"(one\r\n",
    "an attribute": b"|1\r\n:1\r\n:2\r\n:3\r\n",
    "a streamed string": b"$?\r\n;4\r\nabcd\r\n;0\r\n",
    "an error without end": b"!100\r\nERR",
    "a verbatim string without kind": b"=1\r\nx\r\n",
    "pushes only": b">2\r\n$4\r\npush\r\n:1\r\n" * 3,
    "an empty push": b">0\r\n",
    "a push that is none": b">1\r\n:1\r\n",
    "a push of a push": b">2\r\n>1\r\n:1\r\n:1\r\n",
    "a moving push that is none": b">2\r\n$6\r\nMOVING\r\n:1\r\n",
    "an invalidation that is none": b">1\r\n$10\r\ninvalidate\r\n",
    "invalid UTF-8 in an error": b"-ERR \xff\xfe\r\n",
    "an empty error": b"-\r\n",
    "a very long error": b"-ERR " + b"x" * 50_000 + b"\r\n",
}


UNFINISHED = ("a length beyond all memory", "a map of half a pair", "an error without end", "pushes only")


@pytest.mark.parametrize(
    ("name", "close"), [*((name, True) for name in GARBAGE), *((name, False) for name in UNFINISHED)]
)
async def test_garbage_is_an_error_of_the_packages_own(
    fake: FakeRedis, transport: CallerSuppliedClients, run: Run, name: str, close: bool
) -> None:
    await run(transport, call(reads("HGET", "first", "f")))
    fake.answer, fake.hangs_up = GARBAGE[name], close
    with suppress(AgentMemoryError):  # what one parser refuses, another makes something of
        start = time.monotonic()
        await run(transport, call(writes("INCR", "n")))
    assert time.monotonic() - start < SECONDS * 1.5 + 0.2
    fake.honest()
    stand_still()  # what comes behind the answer, and the end of the connection, has time to arrive
    assert await run(transport, call(reads("HGET", "mine", "f"))) == b"mine"
    assert await run(transport, call(reads("HGET", "mine too", "f"))) == b"mine too"


@pytest.mark.parametrize(
    "greeting",
    [
        b"+OK\r\n",
        b":3\r\n",
        b"*-1\r\n",
        b"$-1\r\n",
        b":one\r\n",
        b"$many\r\n",
        b"*1\r\n" * 5_000,
        b"*3\r\n$5\r\nproto\r\n:3\r\n:3\r\n",
        b"%1\r\n:1\r\n:2\r\n",
        b"%1\r\n%1\r\n:1\r\n:2\r\n:3\r\n",
        b"-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `default`, `s3cr3tPassw0rd`, \r\n",
        b"-ERR s3cr3tPassw0rd is no command\r\n",
        b"HTTP/1.1 400 Bad Request s3cr3tPassw0rd\r\n\r\n",
    ],
    ids=repr,
)
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.usefixtures("impatient")
async def test_a_handshake_that_is_none(
    fake: FakeRedis, connected: Open, run: Run, greeting: bytes, protocol: int
) -> None:
    fake.honest()
    fake.greeting = greeting
    transport = connected(f"redis://:{SECRET}@127.0.0.1:{fake.port}/0?protocol={protocol}", SECONDS)
    before, failed = len(fake.commands), []
    try:
        await run(transport, call(writes("INCR", "n")))
    except AgentMemoryError as error:
        failed.append(error)
    for error in failed:
        assert isinstance(error, StoreError)
        assert SECRET not in "".join(traceback.format_exception(error))
        assert len(fake.commands) == before  # nothing is sent to what has not greeted
    fake.honest()
    assert await run(transport, call(reads("HGET", "mine", "f"))) == b"mine"


PIECES = [
    *(
        b"+OK\r\n",
        b"-ERR no\r\n",
        b":1\r\n",
        b":x\r\n",
        b"$3\r\nabc\r\n",
        b"$-1\r\n",
        b"$9\r\n",
        b"*2\r\n",
        b"*0\r\n",
    ),
    *(
        b"%1\r\n",
        b"~1\r\n",
        b">2\r\n",
        b"_\r\n",
        b"#t\r\n",
        b",1.5\r\n",
        b",x\r\n",
        b"(123\r\n",
        b"!3\r\nERR\r\n",
    ),
    *(
        b"=7\r\ntxt:abc\r\n",
        b"|1\r\n",
        b"-LOADING wait\r\n",
        b"-NOAUTH no\r\n",
        b"-MOVED 1 a:1\r\n",
        b"\r\n",
        b"\0",
    ),
]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    answer=st.one_of(
        st.binary(min_size=1, max_size=30), st.lists(st.sampled_from(PIECES), min_size=1).map(b"".join)
    )
)
@example(answer=b"+\r\n\x00")  # with redis-py 6, what is left over stays in the pooled connection
@pytest.mark.usefixtures("impatient")
def test_any_bytes_leave_the_client_usable(fake: FakeRedis, answer: bytes) -> None:
    with redis.Redis(
        port=fake.port, socket_timeout=SECONDS, retry=redis.retry.Retry(NoBackoff(), 0)
    ) as client:
        transport = CallerSuppliedClients(client)
        fake.answer, fake.hangs_up = answer, True
        with suppress(AgentMemoryError):
            transport.run(call(writes("INCR", "n")))
        fake.honest()
        stand_still()
        assert transport.run(call(reads("HGET", "mine", "f"))) == b"mine"


WRONG = (
    b"_\r\n",
    b":5\r\n",
    b"+OK\r\n",
    b"*1\r\n:1\r\n",
    b"*2\r\n*0\r\n*0\r\n",
    b"%1\r\n:1\r\n:2\r\n",
    b",1.5\r\n",
    b"#t\r\n",
)


@pytest.mark.parametrize("answer", WRONG, ids=repr)
async def test_replies_of_the_wrong_type_are_an_error_of_the_packages_own(
    fake: FakeRedis, connected: Open, both: Both, answer: bytes
) -> None:
    fake.honest()
    transport = connected(f"redis://127.0.0.1:{fake.port}?protocol=3", 1.0)
    working, events = WorkingMemory(transport=transport), EventLog(transport=transport)
    memories = LongTermMemory(transport=transport, embeddings=WordEmbeddings(4))
    calls: list[Call] = [
        lambda: both(working).aappend_turn("t", "user", "x"),
        lambda: both(working).aload("t"),
        lambda: both(working).amessages("t"),
        lambda: both(working).aset_goal("t", "x"),
        lambda: both(working).alist_threads(),
        lambda: both(working).aforget_user("alice"),
        lambda: both(events).arecord("t", "note"),
        lambda: both(events).arecent("t"),
        lambda: both(memories).aget("x"),
        lambda: both(memories).aindex_info(),
        lambda: both(memories).arecall("tea", user="alice"),
    ]
    for make in calls:
        fake.answer = answer
        with suppress(AgentMemoryError):
            await make()
    fake.honest()
    assert await both(transport).arun(call(reads("HGET", "mine", "f"))) == b"mine"


async def test_an_argument_that_cannot_be_sent(
    fake: FakeRedis, transport: CallerSuppliedClients, run: Run
) -> None:
    fake.honest()
    before = len(fake.commands)
    for argument in ("a lone \ud800", object()):
        error = await failure(run, transport, call(writes("INCR", argument)))  # type: ignore[arg-type]
        assert type(error) is InvalidInputError
    assert len(fake.commands) == before
    assert await run(transport, call(reads("HGET", "mine", "f"))) == b"mine"
