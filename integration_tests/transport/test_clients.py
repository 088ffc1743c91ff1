"""Any redis-py client gives the same results, and is left as the caller supplied it."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from typing import Any

import pytest
import redis
import redis.asyncio
from langchain_core.messages import AIMessage, HumanMessage
from redis._parsers import (
    _AsyncHiredisParser,
    _AsyncRESP2Parser,
    _AsyncRESP3Parser,
    _HiredisParser,
    _RESP2Parser,
    _RESP3Parser,
)

from integration_tests.transport.conftest import Server, loop_until
from langchain_agentmem.core.operations import Command, Op, asks, call, pairs, reads, writes
from langchain_agentmem.errors import ConfigurationError, StoreError, WrongKeyTypeError
from langchain_agentmem.transport.connections import CallerSuppliedClients
from langchain_agentmem.working.working_memory import WorkingMemory

TEXT = "grüße, 你好, 👋\n\0"
MESSAGES = [HumanMessage(TEXT), AIMessage(TEXT, name="é", additional_kwargs={"ключ": [TEXT]})]
PYTHON = {2: (_RESP2Parser, _AsyncRESP2Parser), 3: (_RESP3Parser, _AsyncRESP3Parser)}
HIREDIS = (_HiredisParser, _AsyncHiredisParser)

Runner = Callable[[Op[Any]], Any]


class Client:
    """One way of making a client, in both its kinds."""

    def __init__(self, protocol: int, parser: str, **options: Any) -> None:
        self.options = {"protocol": protocol, **options}
        self.parsers = PYTHON[protocol] if parser == "python" else HIREDIS

    def sync(self, url: str) -> redis.Redis:
        client: redis.Redis = redis.Redis.from_url(url, parser_class=self.parsers[0], **self.options)
        return client

    def asynchronous(self, url: str) -> redis.asyncio.Redis:
        client: redis.asyncio.Redis = redis.asyncio.Redis.from_url(
            url, parser_class=self.parsers[1], **self.options
        )
        return client

    async def use(self, url: str, asynchronous: bool, operation: Op[Any]) -> Any:
        if asynchronous:
            async with self.asynchronous(url) as client:
                return await CallerSuppliedClients(async_client=client).arun(operation)
        with self.sync(url) as client:
            return CallerSuppliedClients(client).run(operation)


def every_client() -> list[Any]:
    found = []
    for protocol in (2, 3):
        for parser in ("python", "hiredis"):
            for decode in (False, True):
                for encoding in ("utf-8", "latin-1"):
                    client = Client(protocol, parser, decode_responses=decode, encoding=encoding)
                    words = [f"resp{protocol}", parser, encoding, *(["decoding"] if decode else [])]
                    found.append(pytest.param(client, id="-".join(words)))
    return found


@pytest.fixture(params=every_client())
def client(request: pytest.FixtureRequest) -> Client:
    made: Client = request.param
    return made


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def asynchronous(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def commands(*batch: Command) -> Op[list[Any]]:
    return (yield batch)


def canonical(reply: Any) -> Any:
    """The same value for the same reply of RESP2 and RESP3, whose maps, numbers and truths differ in type."""
    if isinstance(reply, dict):
        return [canonical(part) for pair in reply.items() for part in pair]
    if isinstance(reply, list | set):
        return [canonical(part) for part in reply]
    if isinstance(reply, Exception):
        return type(reply), str(reply)
    return reply if isinstance(reply, bytes | None) else str(float(reply)).encode()


async def test_working_memory_reads_and_writes_the_same(
    client: Client, asynchronous: bool, url: str, bare: redis.Redis
) -> None:
    thread = f"t-{TEXT}"
    supplied: dict[str, Any] = (
        {"async_client": client.asynchronous(url)} if asynchronous else {"client": client.sync(url)}
    )
    working = WorkingMemory(**supplied)

    # A sync client runs in a thread.
    assert await working.aappend(thread, MESSAGES) == 2
    state = await working.aload(thread)
    assert state.messages == MESSAGES
    assert await working.amessages(thread) == MESSAGES
    assert (await working.aset_goal(thread, TEXT)).goal == TEXT
    assert await working.alist_threads() == [thread]
    assert bare.hget(f"agent:session:{thread}".encode(), "goal") == TEXT.encode()
    assert await working.adelete(thread)
    await (supplied["async_client"].aclose() if asynchronous else asyncio.to_thread(supplied["client"].close))


async def test_replies_are_undecoded_and_complete(client: Client, asynchronous: bool, url: str) -> None:
    batch: list[Command] = [
        writes("HSET", TEXT, TEXT, b"\xff\xfe", "n", 1.5),
        reads("HGETALL", TEXT),
        reads("HGET", TEXT, "missing"),
        writes("LPUSH", TEXT, "x"),
        writes("XADD", "s", "1-1", TEXT, TEXT),
        reads("XRANGE", "s", "-", "+"),
        reads("TTL", TEXT),
        writes("NONSENSE", TEXT),
        asks("PING"),
        reads("SMEMBERS", "nothing"),
    ]
    replies = await client.use(url, asynchronous, commands(*batch))
    assert replies[0] == 2
    text = TEXT.encode()
    assert dict(pairs(replies[1])) == {text: b"\xff\xfe", b"n": b"1.5"}
    assert replies[2] is None
    assert isinstance(replies[3], WrongKeyTypeError)
    assert replies[4:7] == [b"1-1", [[b"1-1", [text, text]]], -1]
    assert type(replies[7]) is StoreError
    assert replies[8:] == [b"PONG", []]


async def test_search_replies_hold_the_same_values(client: Client, asynchronous: bool, url: str) -> None:
    setup: list[Command] = [
        writes("FT.CREATE", "i", "PREFIX", 1, "d:", "SCHEMA", "grüße", "AS", "body", "TEXT"),
        writes("HSET", "d:1", "grüße", f"word {TEXT}"),
        asks("FT.SEARCH", "i", "word", "RETURN", 1, "body", "DIALECT", 2),
        asks("FT.INFO", "i"),
        asks("FT.SEARCH", "missing", "word"),
    ]
    replies = await client.use(url, asynchronous, commands(*setup))
    assert replies[:2] == [b"OK", 1]
    if isinstance(replies[2], dict):
        (row,) = replies[2][b"results"]
        found = {row[b"id"]: row[b"extra_attributes"]}
    else:
        found = {replies[2][1]: dict(pairs(replies[2][2]))}
    assert found == {b"d:1": {b"body": f"word {TEXT}".encode()}}
    info = dict(pairs(replies[3]))
    assert info[b"index_name"] == b"i"
    assert float(info[b"num_docs"]) == 1
    assert dict(pairs(info[b"index_definition"]))[b"prefixes"] == [b"d:"]
    assert type(replies[4]).__name__ == "IndexMissingError"


# Not the big numbers, which no command the package sends answers with: there the parsers differ.
TYPES = ("string", "integer", "double", "null", "array", "set", "map", "verbatim", "true", "false")


@pytest.mark.parametrize("protocol", [2, 3])
async def test_every_type_of_the_protocol_reads_the_same_with_either_parser(
    protocol: int, plain: Server
) -> None:
    batch: list[Command] = [writes("DEBUG", "PROTOCOL", kind) for kind in TYPES]
    batch += [writes("ECHO", "last")]
    seen = []
    for parser in ("python", "hiredis"):
        for decode in (False, True):
            for asynchronous in (False, True):
                client = Client(protocol, parser, decode_responses=decode)
                seen.append(canonical(await client.use(plain.url, asynchronous, commands(*batch))))
    assert seen[0][-1] == b"last"
    assert seen[1:] == seen[:-1]


@pytest.mark.parametrize("decode", [False, True], ids=["bytes", "decoding"])
async def test_an_encoding_that_is_not_even_ascii(asynchronous: bool, decode: bool, plain: Server) -> None:
    # RESP3's handshake cannot be decoded with it, by redis-py either.
    client = Client(2, "python", encoding="utf-16", decode_responses=decode)
    batch: list[Command] = [writes("SET", TEXT, TEXT), reads("GET", TEXT), reads("TTL", TEXT)]
    replies = await client.use(plain.url, asynchronous, commands(*batch))
    assert replies == [b"OK", TEXT.encode(), -1]
    with plain.client() as bare:
        assert bare.keys() == [TEXT.encode()]


async def test_a_client_with_a_cache_of_its_own_reads_what_was_written(plain: Server) -> None:
    from redis.cache import CacheConfig

    with plain.client(protocol=3, cache_config=CacheConfig(), decode_responses=True) as client:
        working = WorkingMemory(client=client)
        for number in range(3):
            working.append("t1", [HumanMessage(str(number))])
            assert [m.content for m in working.messages("t1")] == [str(n) for n in range(number + 1)]
            assert client.hget("agent:session:t1", "turn_count") == str(number + 1)


def settings_of(client: Any) -> tuple[Any, ...]:
    pool = client.connection_pool
    hidden = ("retry", "himport_registry", "event_dispatcher", "maint_notifications_pool_handler")
    kwargs = {name: value for name, value in pool.connection_kwargs.items() if name not in hidden}
    return copy.copy(kwargs), dict(client.response_callbacks), client.get_encoder().decode_responses


async def test_a_caller_supplied_client_is_neither_changed_nor_closed(url: str) -> None:
    with redis.Redis.from_url(url, decode_responses=True, encoding="latin-1") as client:
        async with redis.asyncio.Redis.from_url(url, decode_responses=True) as async_client:
            client.set("k", "v")
            ids = client.client_id(), await async_client.client_id()
            before = settings_of(client), settings_of(async_client)
            connections = client.connection_pool._available_connections[:]
            async_connections = async_client.connection_pool._available_connections[:]
            working = WorkingMemory(client=client, async_client=async_client)
            working.append("t1", MESSAGES)
            assert await working.amessages("t1") == MESSAGES
            working.close()
            await working.aclose()
            assert (settings_of(client), settings_of(async_client)) == before
            assert client.connection_pool._available_connections == connections
            assert async_client.connection_pool._available_connections == async_connections
            assert (client.client_id(), await async_client.client_id()) == ids
            assert client.get("k") == await async_client.get("k") == "v"
            assert working.messages("t1") == MESSAGES  # nothing of it was the package's to close


@pytest.mark.parametrize(
    "wrong",
    [
        {"client": redis.asyncio.Redis()},
        {"async_client": redis.Redis()},
        {"client": "redis://localhost"},
        {"client": redis.RedisCluster},
        {"client": object.__new__(redis.RedisCluster), "async_client": redis.asyncio.Redis()},
        {"client": redis.Redis(), "async_client": redis.Redis()},
        {"client": redis.Redis(), "url": "redis://localhost"},
    ],
    ids=["async", "sync", "url", "class", "cluster", "both", "url too"],
)
def test_what_is_no_client_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="client"):
        WorkingMemory(**wrong)


async def test_sync_calls_need_a_sync_client(url: str) -> None:
    async with redis.asyncio.Redis.from_url(url) as async_client:
        working = WorkingMemory(async_client=async_client)
        with pytest.raises(ConfigurationError, match="pass client= too"):
            working.messages("t1")
        assert await working.amessages("t1") == []


async def test_a_sync_client_serves_async_calls_without_blocking_the_loop(plain: Server) -> None:
    with plain.client() as client, plain.client() as other:
        supplied = CallerSuppliedClients(client)
        waiting = asyncio.create_task(supplied.arun(call(writes("BLPOP", "queue", 20))))
        # The loop goes on while the call waits; if it did not, nobody would push.
        await loop_until(lambda: other.info("clients")["blocked_clients"])
        other.rpush("queue", "x")
        assert await waiting == [b"queue", b"x"]


@pytest.mark.parametrize("interval", [0, 1], ids=["unchecked", "health checked"])
async def test_a_batch_of_more_than_the_socket_takes_at_once(
    asynchronous: bool, interval: int, plain: Server
) -> None:
    client = Client(3, "hiredis", health_check_interval=interval)
    large = TEXT.encode() * 200_000
    replies = await client.use(plain.url, asynchronous, commands(writes("ECHO", large), writes("ECHO", TEXT)))
    assert replies == [large, TEXT.encode()]
