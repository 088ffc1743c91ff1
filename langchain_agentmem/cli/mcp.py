"""`agentmem mcp`: its options, and what an MCP server is made from."""

from __future__ import annotations

import asyncio
import logging
import sys
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langchain_agentmem.cli import options
from langchain_agentmem.cli.connect import open_memory, whereabouts
from langchain_agentmem.cli.console import Screen

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory
    from langchain_agentmem.mcp_server.access import Verifier
    from langchain_agentmem.mcp_server.sdk import Server

_HOST, _PORT = "127.0.0.1", 8087


class _Brief(logging.Formatter):
    """Shows the first line of what other libraries log: the SDK quotes messages of clients behind it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a line, without secrets; of this package, all of it."""
        from langchain_agentmem.core.redaction import redact_secrets

        said = redact_secrets(super().format(record))
        return said if record.name.startswith("langchain_agentmem") else said.partition("\n")[0]


class Transport(str, Enum):
    """Says how clients reach the server."""

    stdio = "stdio"
    http = "http"


def mcp(
    redis: options.Redis = None,
    user: options.User = None,
    namespace: options.Namespace = "default",
    transport: Annotated[
        Transport,
        typer.Option("--transport", help="stdio: a client starts it. http: clients connect to its URL."),
    ] = Transport.stdio,
    host: Annotated[
        str | None,
        typer.Option("--host", help=f"With http: the address to listen on; by default, {_HOST}."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help=f"With http: by default, {_PORT}; 0 takes a free one."),
    ] = None,
    tokens: Annotated[
        Path | None,
        typer.Option("--tokens", metavar="FILE", help="With http: which tokens are valid, and for whom."),
    ] = None,
    jwks: Annotated[
        str | None,
        typer.Option("--jwks", metavar="URL", help="With http: the keys that verify tokens (JWTs)."),
    ] = None,
    issuer: Annotated[
        str | None, typer.Option("--issuer", metavar="URL", help="With --jwks: who has to have issued them.")
    ] = None,
    audience: Annotated[
        str | None, typer.Option("--audience", help="With --jwks: whom they have to be for: this server.")
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Offer no tools that write.")] = False,
) -> None:
    """Serve the memory to MCP clients, such as Claude or Cursor.

    A client that is configured to run it starts it, and ends it. With --transport http, it runs until Ctrl-C,
    for the user of --user on this machine; with --tokens or --jwks, for whomever a client's token names.

    \b
      agentmem mcp --user alice
      agentmem mcp --transport http --port 8087
      agentmem mcp --transport http --host 0.0.0.0 --tokens tokens.json
    """
    _check(transport, user, tokens, jwks, http={"host": host, "port": port}, jwt=(issuer, audience))
    # Before the SDK, which would set it up in its own way.
    logs = logging.StreamHandler(sys.stderr)
    logs.setFormatter(_Brief("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[logs])
    import_module("langchain_agentmem.mcp_server.sdk")  # says which extra is missing
    screen = Screen()
    about = {"namespace": namespace, "read_only": read_only}
    if transport is Transport.stdio:
        _over_stdio(redis, user or options.login_name(), screen, about)
    else:
        verifier = _verifier(tokens, jwks, issuer, audience, about)
        owner = None if verifier else user or options.login_name()
        oauth = {"issuer": issuer, "resource_url": audience} if _is_url(audience) and _is_url(issuer) else {}
        served = {"user": owner, "verifier": verifier, **oauth, **about}
        _over_http(redis, host or _HOST, _PORT if port is None else port, screen, served)


def _check(
    transport: Transport,
    user: str | None,
    tokens: Path | None,
    jwks: str | None,
    *,
    http: dict[str, Any],
    jwt: tuple[str | None, str | None],
) -> None:
    """Refuse options that do not go together.

    Args:
        transport: How clients reach the server.
        user: The one user.
        tokens: The file of tokens.
        jwks: The URL of keys.
        http: The other options of HTTP, by name.
        jwt: What `--jwks` needs besides: the issuer and the audience.
    """
    options.at_most_one(user=user, tokens=tokens, jwks=jwks)
    if transport is Transport.stdio:
        for name, value in {**http, "tokens": tokens, "jwks": jwks}.items():
            if value is not None:
                raise typer.BadParameter(f"--{name} goes with --transport http.")
    if jwks is not None and not all(jwt):
        raise typer.BadParameter(
            "--jwks needs --issuer and --audience: else tokens for any other service would do."
        )
    if jwks is None and any(jwt):
        raise typer.BadParameter("--issuer and --audience go with --jwks.")


def _verifier(
    tokens: Path | None, jwks: str | None, issuer: str | None, audience: str | None, about: dict[str, Any]
) -> Verifier | None:
    """Return what knows the valid tokens, ready to use; `None` if none are asked for."""
    if tokens is not None:
        from langchain_agentmem.mcp_server.tokens import TokensFile

        return TokensFile(tokens, **about)
    if jwks is not None:
        from langchain_agentmem.mcp_server.jwks import JwksVerifier

        verifier = JwksVerifier(jwks, issuer=issuer or "", audience=audience or "", **about)
        verifier.fetch()
        return verifier
    return None


def _over_stdio(redis: str | None, user: str, screen: Screen, about: dict[str, Any]) -> None:
    from langchain_agentmem.mcp_server.stdio import claimed_streams, serve_stdio

    with claimed_streams() as pipes, _opened(redis, screen, about) as memory:
        asyncio.run(serve_stdio(_server(memory, user=user, **about), memory, pipes))


def _over_http(redis: str | None, host: str, port: int, screen: Screen, served: dict[str, Any]) -> None:
    from langchain_agentmem.mcp_server.http import listen, serve_http

    asks_for_tokens = served["verifier"] is not None
    with listen(host, port, asks_for_tokens=asks_for_tokens) as listener:
        with _opened(redis, screen, served) as memory:

            def serving(url: str) -> None:
                whose = "of whomever a token names" if asks_for_tokens else f"of {served['user']}"
                screen.aside(f"memory  {whereabouts(memory)}, {whose}")
                screen.line(url)
                screen.aside("Ctrl-C ends it.")

            server = _server(memory, **served)
            asyncio.run(
                serve_http(server, memory, listener, asks_for_tokens=asks_for_tokens, serving=serving)
            )
        screen.aside("Ended.")


def _opened(redis: str | None, screen: Screen, about: dict[str, Any]) -> Any:
    """Open the memory; what the server's kind cannot do is wrong usage."""

    def check(memory: AgentMemory) -> None:
        options.check_supported(memory, namespace=about["namespace"])

    return open_memory(redis, screen, check=check)


def _server(memory: AgentMemory, **served: Any) -> Server:
    from langchain_agentmem.mcp_server.server import build_server

    return build_server(memory, **served)


def _is_url(value: str | None) -> bool:
    return value is not None and value.startswith(("https://", "http://"))
