"""The SDK's own clients of `agentmem mcp`, over both transports."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from integration_tests.cli.conftest import environment

COMMAND = ("-m", "langchain_agentmem.cli", "mcp")


class Client:
    """A connected client, whose answers are the protocol's own JSON."""

    def __init__(self, session: ClientSession) -> None:
        self.session = session

    async def result(self, tool: str, **arguments: Any) -> dict[str, Any]:
        answer = await self.session.call_tool(tool, arguments)
        return answer.model_dump(by_alias=True, mode="json")

    async def call(self, tool: str, **arguments: Any) -> Any:
        """What a tool returned, structured."""
        result = await self.result(tool, **arguments)
        assert not result["isError"], result
        return result["structuredContent"]

    async def refusal(self, tool: str, **arguments: Any) -> str:
        """What a tool said why it failed."""
        result = await self.result(tool, **arguments)
        assert result["isError"], result
        return str(result["content"][0]["text"])

    async def remember(self, *texts: str) -> list[str]:
        return [one["id"] for one in (await self.call("remember", texts=list(texts)))["results"]]

    async def recall(self, query: str) -> list[str]:
        return [one["text"] for one in (await self.call("recall", query=query))["memories"]]

    async def tools(self) -> set[str]:
        return {tool.name for tool in (await self.session.list_tools()).tools}

    async def resource(self, uri: str) -> str:
        read: Any = await self.session.read_resource(uri)  # type: ignore[arg-type]
        return str(read.contents[0].text)


@asynccontextmanager
async def over_stdio(url: str, *arguments: str, stubs: bool = True, **more: str) -> AsyncIterator[Client]:
    """A client that starts a server of its own."""
    env = environment(url, stubs=stubs, **more)
    started = StdioServerParameters(command=sys.executable, args=[*COMMAND, *arguments], env=env)
    async with stdio_client(started) as streams, ClientSession(*streams) as session:
        await session.initialize()
        yield Client(session)


@asynccontextmanager
async def over_http(url: str, token: str | None = None) -> AsyncIterator[Client]:
    """A client of a running server."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with create_mcp_http_client(headers=headers) as http:  # noqa: SIM117
        async with streamable_http_client(url, http_client=http) as streams:
            async with ClientSession(*streams[:2]) as session:
                await session.initialize()
                yield Client(session)


class Serving:
    """A running `agentmem mcp --transport http`.

    Attributes:
        url: Where clients connect; empty if it ended before.
    """

    def __init__(self, store: str, *arguments: str, stubs: bool = True) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *COMMAND, "--transport", "http", "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(store, stubs=stubs),
        )
        assert self.process.stdout is not None
        self._said: list[str] = []
        self._listening = threading.Thread(target=self._said.extend, args=(self.process.stderr,))
        self._listening.start()
        self.url = self.process.stdout.readline().strip()

    @property
    def said(self) -> str:
        """What it told, besides the URL."""
        return "".join(self._said)

    def end(self, how: signal.Signals = signal.SIGINT) -> int:
        """End it with a signal; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            code = self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self._listening.join()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        return code
