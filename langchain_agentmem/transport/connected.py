"""Gives every object that has a connection its way to close what it opened, and nothing else."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any, ClassVar

from typing_extensions import Self

from langchain_agentmem.core.redaction import clean
from langchain_agentmem.errors import ConfigurationError
from langchain_agentmem.transport.connections import Transport, connect
from langchain_agentmem.transport.urls import environment_token, is_rest


class Connected:
    """Runs operations on a transport; a context manager, sync and async.

    Attributes:
        transport: Runs its operations; shared by objects of one URL, or the caller's.
    """

    transport: Transport
    _owned: bool
    _on_redis: ClassVar[str]

    def _connect(
        self,
        transport: Transport | None,
        url: str | None,
        client: Any,
        async_client: Any,
        socket_timeout_seconds: float,
        token: str | None = None,
    ) -> None:
        """Take the transport, or make one.

        Args:
            transport: One that somebody else closes; nothing else may be given then.
            url: A URL, as for `AgentMemory`.
            client: A caller-supplied sync client.
            async_client: A caller-supplied async client.
            socket_timeout_seconds: How long a connection, and each answer, may take; above 0.
            token: The token of a REST API.

        Raises:
            ConfigurationError: These do not go together, or the URL is not understood.
        """
        if transport is not None and (url, client, async_client, token) != (None, None, None, None):
            raise ConfigurationError("Give a transport, a URL or clients, only one of them.")
        self._owned = transport is None
        self.transport = transport or connect(url, client, async_client, socket_timeout_seconds, token)

    def _connect_rest(
        self,
        transport: Transport | None,
        url: str | None,
        client: Any,
        async_client: Any,
        socket_timeout_seconds: float,
        token: str | None,
    ) -> None:
        """Take the transport, or make one, to a REST API; the environment names it if nothing else does.

        Raises:
            ConfigurationError: As `_connect`; or what was given is no REST API.
        """
        if transport is client is async_client is None:
            url = url or os.environ.get("UPSTASH_REDIS_REST_URL")
            if not url:
                raise ConfigurationError(
                    clean(
                        "{} needs url= and token=, or UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN in "
                        "the environment.",
                        type(self).__name__,
                    )
                )
            token = token or (environment_token(url) if is_rest(url) else None)
        self._connect(transport, url, client, async_client, socket_timeout_seconds, token)
        if not self.transport.rest:
            self.close()
            raise ConfigurationError(
                f"{type(self).__name__} is for Upstash's REST API (https://…). "
                f"On Redis, use {self._on_redis}."
            )

    def close(self) -> None:
        """Close the connection, if this object opened it."""
        if self._owned:
            self.transport.close()

    async def aclose(self) -> None:
        """Async version of `close`."""
        if self._owned:
            await self.transport.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
