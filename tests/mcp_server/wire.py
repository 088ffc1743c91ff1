"""A client that speaks the protocol itself, in this process: the same for every version of the SDK."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from langchain_agentmem.mcp_server.sdk import Server


class RefusedError(Exception):
    """The server answered with an error of the protocol."""


class Client:
    """A connected client; `about` is what the server said about itself."""

    def __init__(self) -> None:
        self.about: dict[str, Any] = {}
        self._lines = asyncio.Queue[str | None]()
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def request(self, method: str, **params: Any) -> dict[str, Any]:
        number = len(self._waiting)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        self._say({"id": number, "method": method, "params": params})
        answer = await asyncio.wait_for(self._waiting[number], 10)
        if "error" in answer:
            raise RefusedError(answer["error"]["message"])
        result: dict[str, Any] = answer["result"]
        return result

    async def call(self, tool: str, **arguments: Any) -> Any:
        """What a tool returned, structured."""
        result = await self.request("tools/call", name=tool, arguments=arguments)
        assert not result.get("isError"), result
        return result["structuredContent"]

    async def refusal(self, tool: str, **arguments: Any) -> str:
        """What a tool said why it failed."""
        result = await self.request("tools/call", name=tool, arguments=arguments)
        assert result["isError"], result
        (said,) = result["content"]
        return str(said["text"])

    async def tools(self) -> dict[str, dict[str, Any]]:
        return {tool["name"]: tool for tool in (await self.request("tools/list"))["tools"]}

    async def resource(self, uri: str) -> str:
        (read,) = (await self.request("resources/read", uri=uri))["contents"]
        return str(read["text"])

    def _say(self, message: dict[str, Any]) -> None:
        self._lines.put_nowait(json.dumps({"jsonrpc": "2.0", **message}))

    def __aiter__(self) -> Client:
        return self

    async def __anext__(self) -> str:
        if (line := await self._lines.get()) is None:
            raise StopAsyncIteration
        return line

    async def write(self, line: str) -> None:
        answer = json.loads(line)
        if answer.get("id") in self._waiting:
            self._waiting[answer["id"]].set_result(answer)

    async def flush(self) -> None: ...


@asynccontextmanager
async def connected(server: Server) -> AsyncIterator[Client]:
    """A client of a server, in this process."""
    client = Client()
    serving = asyncio.create_task(server.run_over(client, client))
    info = {"name": "test", "version": "1"}
    client.about = await client.request(
        "initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=info
    )
    client._say({"method": "notifications/initialized"})
    yield client
    client._lines.put_nowait(None)
    await asyncio.wait_for(serving, 10)
