"""What every object with a connection has in common: it closes what it opened, and nothing else."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from typing_extensions import Self

from langchain_agentmem.errors import ConfigurationError
from langchain_agentmem.transport.connections import Transport, connect

if TYPE_CHECKING:
    import redis
    import redis.asyncio


class Connected:
    """An object that runs operations; a context manager, sync and async.

    Attributes:
        transport: What its operations run on.
    """

    transport: Transport
    _owned: bool

    def _connect(
        self,
        transport: Transport | None,
        url: str | None,
        client: redis.Redis | None,
        async_client: redis.asyncio.Redis | None,
        socket_timeout_seconds: float,
        token: str | None = None,
    ) -> None:
        if transport is not None and (url, client, async_client, token) != (None, None, None, None):
            raise ConfigurationError("Give a transport, a URL or clients, only one of them.")
        self._owned = transport is None
        self.transport = transport or connect(url, client, async_client, socket_timeout_seconds, token)

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
