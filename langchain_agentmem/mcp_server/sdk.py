"""The MCP SDK: what is used of it, and what differs between its versions 1 and 2.

Version 2 renamed `FastMCP` to `MCPServer`, takes the options of HTTP when the app is made, and decodes what
stands in a resource's URI. Both call a server's `list_tools`, `call_tool` and `read_resource`, which are
overridden here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pydantic import ValidationError

from langchain_agentmem import __version__
from langchain_agentmem.errors import MissingDependencyError

try:
    from mcp.server.auth.middleware.auth_context import get_access_token
    from mcp.server.auth.provider import AccessToken
    from mcp.server.stdio import stdio_server
    from mcp.server.transport_security import TransportSecuritySettings

    IS_V1 = find_spec("mcp.server.mcpserver") is None
    _OPTIONS: dict[str, Any] = {"log_level": "WARNING"}
    if TYPE_CHECKING or IS_V1:
        from mcp.server.fastmcp import FastMCP as SdkServer
        from mcp.server.fastmcp.exceptions import ResourceError, ToolError
        from mcp.shared.exceptions import McpError
        from mcp.types import INTERNAL_ERROR, ErrorData

        def _for_the_client(message: str) -> Exception:
            return McpError(ErrorData(code=INTERNAL_ERROR, message=message))
    else:
        from mcp.server.mcpserver import MCPServer as SdkServer
        from mcp.server.mcpserver.exceptions import ResourceError, ToolError
        from mcp.server.mcpserver.resources import ResourceSecurity
        from mcp.shared.exceptions import MCPError
        from mcp.types import INTERNAL_ERROR

        # The id of a session is no path of a file.
        _OPTIONS["resource_security"] = ResourceSecurity(exempt_params={"session_id"})

        def _for_the_client(message: str) -> Exception:
            return MCPError(code=INTERNAL_ERROR, message=message)
except ImportError as error:
    raise MissingDependencyError(
        'The MCP server needs the package mcp: pip install "langchain-agentmem[mcp]"'
    ) from error

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = [
    "AccessToken",
    "PromptError",
    "ResourceError",
    "Server",
    "ToolError",
    "get_access_token",
    "uri_parameter",
]

_HTTP = {
    # A request is served by itself, with its own token: nothing is kept for clients that went away.
    "stateless_http": True,
    "json_response": True,
    # The guard in http.py looks at Host and Origin, with a token and without.
    "transport_security": TransportSecuritySettings(enable_dns_rebinding_protection=False),
}


class PromptError(Exception):
    """A prompt cannot be made; the message is for the client."""


class Server(SdkServer[Any]):
    """The SDK's server, which refuses to write for those that may only read, and says errors plainly.

    Args:
        may_write: Returns whether whoever asks may write.
        **options: Those of the SDK's server that both versions have.
    """

    def __init__(self, *, may_write: Callable[[], bool], **options: Any) -> None:
        self._may_write = may_write
        self._writing = set[str]()
        super().__init__("agentmem", **_OPTIONS, **options)
        self._sdk_server: Any = getattr(self, "_mcp_server" if IS_V1 else "_lowlevel_server")
        self._sdk_server.version = __version__

    def add(self, tool: Callable[..., Any], *, title: str, description: str, **hints: bool) -> None:
        """Add a tool.

        Args:
            tool: The function.
            title: What people see.
            description: What a model reads.
            hints: `readOnlyHint`, `destructiveHint` and `idempotentHint`, as the protocol calls them.
        """
        from mcp.types import ToolAnnotations

        if not hints["readOnlyHint"]:
            self._writing.add(tool.__name__)
        told = ToolAnnotations.model_validate({"title": title, "openWorldHint": False, **hints})
        self.add_tool(tool, title=title, description=description, annotations=told)

    async def list_tools(self) -> list[Any]:
        """Return the tools that whoever asks may use."""
        tools = await super().list_tools()
        return tools if self._may_write() else [tool for tool in tools if tool.name not in self._writing]

    async def call_tool(self, name: str, arguments: dict[str, Any], *context: Any) -> Any:
        """Run a tool.

        Raises:
            ToolError: Whoever asks may not use it, or it failed; the message says what to do.
        """
        if name in self._writing and not self._may_write():
            raise ToolError(f"This connection may only read the memory, so {name} is not available.")
        try:
            return await super().call_tool(name, arguments, *context)
        except ToolError as error:
            cause = error.__cause__
            if isinstance(cause, ValidationError):
                raise ToolError(f"{name}: {_in_words(cause)}") from error
            if isinstance(cause, ToolError):  # without what the SDK puts before it
                raise cause from None
            raise

    async def read_resource(self, uri: Any, *context: Any) -> Any:
        """Return a resource.

        Raises:
            ResourceError: It could not be read; the message says what to do.
        """
        try:
            return await super().read_resource(uri, *context)
        except (ResourceError, ValueError) as error:
            ours = next((one for one in _causes(error) if isinstance(one, ResourceError)), error)
            raise ours from None

    async def get_prompt(self, name: str, arguments: dict[str, Any] | None = None, *context: Any) -> Any:
        """Return a prompt.

        Raises:
            Exception: It could not be made: the SDK's own, with a message that says what to do.
        """
        try:
            return await super().get_prompt(name, arguments, *context)
        except ValueError as error:
            ours = next((one for one in _causes(error) if isinstance(one, PromptError)), error)
            raise _for_the_client(str(ours)) from None

    async def run_over(self, stdin: Any, stdout: Any) -> None:
        """Serve one client until its stream of lines ends.

        Args:
            stdin: An async iterator of lines.
            stdout: Has the async methods `write`, for a line, and `flush`.
        """
        async with stdio_server(stdin, stdout) as (reading, writing):
            options = self._sdk_server.create_initialization_options()
            await self._sdk_server.run(reading, writing, options)

    def http_app(self) -> Starlette:
        """Return the app that serves clients over streamable HTTP, under `/mcp`."""
        if not IS_V1:
            app: Starlette = self.streamable_http_app(**_HTTP)
            return app
        for name, value in _HTTP.items():
            setattr(self.settings, name, value)
        return self.streamable_http_app()


def uri_parameter(value: str) -> str:
    """Return what a URI names, decoded."""
    return unquote(value) if IS_V1 else value


def _in_words(error: ValidationError) -> str:
    """Return what is wrong with a tool's arguments, without their values."""
    items = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in items) + "."


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield what an error was raised because of, the first cause first."""
    if error is not None:
        yield from _causes(error.__cause__ or error.__context__)
        yield error
