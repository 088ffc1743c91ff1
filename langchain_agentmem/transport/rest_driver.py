"""Runs operations over Upstash's REST API with httpx: one request a batch, sync and async.

The official client is not used for it: it raises the first error of a pipeline and drops the other replies,
has no time limit, and sends a write again whose answer got lost.
"""

from __future__ import annotations

from typing import Any

from langchain_agentmem.errors import (
    ConfigurationError,
    MissingDependencyError,
    StoreConnectionError,
    StoreError,
    StoreRateLimitError,
    StoreTimeoutError,
)
from langchain_agentmem.transport.drivers import AsyncDriver, Driver
from langchain_agentmem.transport.rest_api import RestDatabase, addressable, answers, body, without_token
from langchain_agentmem.transport.retries import NotRun, Sending

try:
    import httpx
except ImportError as error:
    raise MissingDependencyError(
        'A REST URL needs httpx: pip install "langchain-agentmem[upstash]".'
    ) from error

_SYNC_TOKEN = "Upstash-Sync-Token"
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class RestSource:
    """Makes drivers for one database."""

    def __init__(self, database: RestDatabase, timeout_seconds: float) -> None:
        self._database = database
        # A model may take longer to answer than httpx by itself keeps a connection: 5 s.
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=30)
        self._options: dict[str, Any] = {
            "headers": database.headers,
            "timeout": timeout_seconds,
            "limits": limits,
        }

    def driver(self) -> RestDriver:
        """A new driver on a client of its own."""
        return RestDriver(self._database, httpx.Client(**self._options))

    def async_driver(self) -> AsyncRestDriver:
        """A new async driver, for whichever event loop uses it first."""
        return AsyncRestDriver(self._database, httpx.AsyncClient(**self._options))

    def close(self) -> None:
        """Do nothing: there is nothing but drivers."""


class _Conversation:
    """What both drivers know: the database, and how far this client's writes have come in it."""

    def __init__(self, database: RestDatabase) -> None:
        self.database = database
        self._sync_token = ""  # with it, a read on any replica sees the writes that were answered before

    def request(self, sending: Sending) -> dict[str, Any]:
        """What to post."""
        headers = {_SYNC_TOKEN: self._sync_token} if self._sync_token else {}
        return {"url": self.database.url, "content": body(sending.left.values()), "headers": headers}

    def settle(self, sending: Sending, response: httpx.Response) -> None:
        """Take the answer; raise `NotRun` if some of the batch must be sent again."""
        self._sync_token = response.headers.get(_SYNC_TOKEN, self._sync_token)
        try:
            replies = answers(response.status_code, response.content, self.database)
        except StoreRateLimitError as error:
            raise NotRun(error) from error
        except StoreConnectionError as error:
            failed = sending.lost([], error)
            if failed is error:
                raise
            raise failed from error
        if len(replies) != len(sending.left):
            raise StoreError(f"{self.database.where} sent {len(replies)} replies for {len(sending.left)}.")
        sending.settle([addressable(*one) for one in zip(sending.left.values(), replies, strict=True)])

    def failure(self, sending: Sending, error: httpx.HTTPError | httpx.InvalidURL) -> Exception:
        """What to raise when there was no answer. No message holds a header, and so the token."""
        where = self.database.where
        if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError):
            return ConfigurationError(f"No request to {where} can be made. Check the URL and the token.")
        mapped: StoreConnectionError
        if isinstance(error, httpx.TimeoutException):
            mapped = StoreTimeoutError(f"No answer from {where} in time.")
        else:
            said = without_token(str(error).rstrip(". ") or type(error).__name__, self.database)
            mapped = StoreConnectionError(f"No connection to {where}: {said}. Is the URL right?")
        mapped.__cause__ = error
        return sending.unsent(mapped) if isinstance(error, _UNSENT) else sending.lost([], mapped)


class RestDriver(Driver):
    """Runs operations on a database behind a REST API, one request a batch."""

    def __init__(self, database: RestDatabase, client: httpx.Client) -> None:
        self._talk = _Conversation(database)
        self._client = client

    def _attempt(self, sending: Sending) -> None:
        request = self._talk.request(sending)
        try:
            response = self._client.post(**request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._talk.failure(sending, error) from error
        except RuntimeError as error:  # what httpx raises on a closed client
            raise ConfigurationError("This memory is closed; make a new one.") from error
        self._talk.settle(sending, response)

    def close(self) -> None:
        """Close the HTTP client."""
        self._client.close()


class AsyncRestDriver(AsyncDriver):
    """Async version of `RestDriver`, for one event loop."""

    def __init__(self, database: RestDatabase, client: httpx.AsyncClient) -> None:
        self._talk = _Conversation(database)
        self._client = client

    async def _attempt(self, sending: Sending) -> None:
        request = self._talk.request(sending)
        try:
            response = await self._client.post(**request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._talk.failure(sending, error) from error
        except RuntimeError as error:  # what httpx raises on a closed client
            raise ConfigurationError("This memory is closed; make a new one.") from error
        self._talk.settle(sending, response)

    async def aclose(self) -> None:
        """Close the HTTP client."""
        await self._client.aclose()
