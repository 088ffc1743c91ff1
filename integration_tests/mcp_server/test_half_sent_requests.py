"""Connections that hold a server up: requests that never arrive whole, and too many at a time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from langchain_agentmem.mcp_server import http

HALVES = {
    "nothing": b"",
    "half of the headers": b"POST /mcp HTTP/1.1\r\nHost: x\r\n",
    "half of the body": b"POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
}
WHOLE = b"GET /mcp HTTP/1.1\r\nHost: x\r\n\r\n"
Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


async def app(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await PlainTextResponse("whole")(scope, receive, send)


@asynccontextmanager
async def serving() -> AsyncIterator[Connect]:
    web = http.web_server(app)
    writers = []
    with http.listen("127.0.0.1", 0, asks_for_tokens=False) as listener:
        address: tuple[str, int] = listener.getsockname()
        running = asyncio.create_task(web.serve(sockets=[listener]))

        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection(*address, family=socket.AF_INET)
            writers.append(writer)
            return reader, writer

        try:
            yield connect
        finally:
            for writer in writers:
                writer.close()
            web.stop()
            await running


async def answer(connected: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: bytes) -> bytes:
    reader, writer = connected
    writer.write(request)
    return await reader.readuntil(b"\r\n")


@pytest.mark.parametrize("sent", HALVES.values(), ids=HALVES)
async def test_a_request_that_does_not_arrive_whole_is_given_up(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(http, "_REQUEST_SECONDS", 0.5)
    async with serving() as connect:
        reader, writer = await connect()
        writer.write(sent)
        assert await asyncio.wait_for(reader.read(), 10) == b""


async def test_a_connection_that_is_used_again_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_REQUEST_SECONDS", 0.5)
    async with serving() as connect:
        connected = await connect()
        other, _ = await connect()  # waits meanwhile, and is given up
        while not other.at_eof():
            assert b"200" in await answer(connected, WHOLE)
            await connected[0].readuntil(b"whole")
            try:
                await asyncio.wait_for(other.read(1), 0.05)
            except asyncio.TimeoutError:
                continue
        assert b"200" in await answer(connected, WHOLE)


async def test_too_many_connections_are_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_MOST_CONNECTIONS", 3)
    async with serving() as connect:
        first = await connect()
        assert b"200" in await answer(first, WHOLE)
        await first[0].readuntil(b"whole")
        more = [await connect() for _ in range(2)]
        for _, writer in more:
            writer.write(HALVES["half of the headers"])
        assert b"503" in await answer(await connect(), WHOLE)
