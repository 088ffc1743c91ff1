"""Runs operations over Upstash's REST API with httpx: one request per batch, sync and async.

The official client is not used for it: it raises the first error of a pipeline and drops the other replies,
has no time limit, and sends a write again whose answer got lost.

A request has a time limit as a whole, and its answer a largest size. Whatever arrives, the next request
begins afresh: an answer that was not understood takes its connection with it, and of the headers only the
last sync token that can be sent back is kept.
"""

from __future__ import annotations

import asyncio
import re
from http.cookiejar import CookieJar, DefaultCookiePolicy
from time import monotonic
from typing import Any

from langchain_agentmem.errors import (
    ConfigurationError,
    MissingDependencyError,
    StoreConnectionError,
    StoreError,
    StoreRateLimitError,
    StoreTimeoutError,
)
from langchain_agentmem.transport.drivers import AsyncDriver, Driver, InFlightBatch
from langchain_agentmem.transport.redis_errors import hide, reason_of
from langchain_agentmem.transport.rest_api import (
    RestDatabase,
    addressable,
    answers,
    body,
    token_of,
    without_token,
)
from langchain_agentmem.transport.time_limits import extend, timeout

try:
    import httpx

    from langchain_agentmem.transport.rest_streams import End, keeping_to
except ImportError as error:
    raise MissingDependencyError(
        'A REST URL needs httpx: pip install "langchain-agentmem[upstash]".'
    ) from error

_SYNC_TOKEN = "Upstash-Sync-Token"
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_PORTION_BYTES = 1 << 18  # for each, sent or received, a request gets its time once more: lines may be slow
_LARGEST_ANSWER_BYTES = 1 << 28  # unpacked; the longest list of memories is smaller


class RestSource:
    """Makes drivers for one database."""

    def __init__(self, database: RestDatabase, timeout_seconds: float) -> None:
        self._database = database
        self._timeout_seconds = timeout_seconds
        # A model may take longer to answer than httpx by itself keeps a connection: 5 s.
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=30)
        self._options: dict[str, Any] = {
            "headers": database.headers,
            "timeout": timeout_seconds,
            "limits": limits,
        }

    def driver(self) -> RestDriver:
        """Return a new driver on a client of its own."""
        end = End()
        return RestDriver(self._conversation(), keeping_to(end, cookies=_no_cookies(), **self._options), end)

    def async_driver(self) -> AsyncRestDriver:
        """Return a new async driver, for whichever event loop uses it first."""
        client = httpx.AsyncClient(cookies=_no_cookies(), **self._options)
        return AsyncRestDriver(self._conversation(), client)

    def close(self) -> None:
        """Do nothing: there is nothing but drivers."""

    def _conversation(self) -> _Conversation:
        return _Conversation(self._database, self._timeout_seconds)


def _no_cookies() -> CookieJar:
    """Return a jar that takes none: the API has none, and a proxy's may not be fit to be sent back."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))


class _Conversation:
    """Holds what both drivers know: the database, and the last sync token."""

    def __init__(self, database: RestDatabase, timeout_seconds: float) -> None:
        self.database = database
        self._timeout_seconds = timeout_seconds
        self._sync_token = ""  # with it, a read on any replica sees the writes that were answered before

    def request(self, in_flight: InFlightBatch) -> dict[str, Any]:
        """Return what to post, for what is left of the batch."""
        headers = {_SYNC_TOKEN: self._sync_token} if self._sync_token else {}
        return {"url": self.database.url, "content": body(in_flight.left.values()), "headers": headers}

    def seconds(self, request: dict[str, Any], response: httpx.Response | None = None) -> float:
        """Return how long the request may take in all, after what has come of its answer."""
        moved = len(request["content"]) + (0 if response is None else response.num_bytes_downloaded)
        return self._timeout_seconds * (1 + moved // _PORTION_BYTES)

    def add(self, chunk: bytes, content: bytearray) -> None:
        """Add a chunk to an answer's content; `StoreError` for too much of it."""
        content += chunk
        if len(content) > _LARGEST_ANSWER_BYTES:
            raise StoreError(
                f"{self.database.where} sends an answer of more than {_LARGEST_ANSWER_BYTES >> 20} MiB."
            )

    def outcome(self, response: httpx.Response, content: bytearray) -> list[Any] | StoreError:
        """Return the replies, or why there are none."""
        for token in response.headers.get_list(_SYNC_TOKEN):
            if re.fullmatch(r"[!-~]{1,1024}", token):
                self._sync_token = token
        try:
            return answers(response.status_code, content, self.database)
        except StoreError as error:
            return error

    def settle(self, in_flight: InFlightBatch, outcome: list[Any] | StoreError) -> None:
        """Take the outcome.

        Raises:
            Retryable: Some of the batch must be sent again.
            StoreError: There was no answer, or none that fits the batch.
        """
        if isinstance(outcome, StoreRateLimitError):
            raise in_flight.retryable(outcome) from outcome
        if isinstance(outcome, StoreConnectionError):
            failed = in_flight.lost([], outcome)
            if failed is not outcome:
                raise failed from outcome
        if isinstance(outcome, StoreError):
            raise outcome
        if len(outcome) != len(in_flight.left):
            raise StoreError(f"{self.database.where} sent {len(outcome)} replies for {len(in_flight.left)}.")
        in_flight.settle([addressable(*one) for one in zip(in_flight.left.values(), outcome, strict=True)])

    def failure(self, in_flight: InFlightBatch, error: Exception, closed: bool) -> Exception:
        """Return what to raise when there was no answer. No message holds a header, and so the token."""
        if closed and isinstance(error, RuntimeError):
            return ConfigurationError("This memory is closed; make a new one.")
        where = self.database.where
        hide(error, token_of(self.database), "token")
        if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError):
            return ConfigurationError(f"No request to {where} can be made. Check the URL and the token.")
        mapped: StoreConnectionError
        if isinstance(error, httpx.TimeoutException | asyncio.TimeoutError):
            mapped = StoreTimeoutError(f"No answer from {where} in time.")
        else:
            said = without_token(str(error).rstrip(". ") or type(error).__name__, self.database)
            mapped = StoreConnectionError(
                f"No connection to {where}: {said}. Is the URL right?",
                plain=f"No connection to {where}: {reason_of(error)}. Is the URL right?",
            )
        mapped.__cause__ = error
        return in_flight.unsent(mapped) if isinstance(error, _UNSENT) else in_flight.lost([], mapped)


class RestDriver(Driver):
    """Runs operations on a database behind a REST API, one request per batch.

    Args:
        talk: The database and its last sync token.
        client: The client, which keeps to `end`.
        end: When the request of the current thread has to be over.
    """

    def __init__(self, talk: _Conversation, client: httpx.Client, end: End) -> None:
        self._talk = talk
        self._client = client
        self._end = end

    def _attempt(self, in_flight: InFlightBatch) -> None:
        request, content = self._talk.request(in_flight), bytearray()
        began = monotonic()
        self._end.at = began + self._talk.seconds(request)
        try:
            with self._client.stream("POST", **request) as response:
                for chunk in response.iter_bytes():
                    self._talk.add(chunk, content)
                    self._end.at = began + self._talk.seconds(request, response)
                outcome = self._talk.outcome(response, content)
                if isinstance(outcome, StoreConnectionError):
                    response.extensions["network_stream"].close()  # what else it holds is no answer either
        except StoreError:
            raise
        except Exception as error:
            raise self._talk.failure(in_flight, error, self._client.is_closed) from error
        self._talk.settle(in_flight, outcome)

    def close(self) -> None:
        """Close the HTTP client."""
        self._client.close()


class AsyncRestDriver(AsyncDriver):
    """Async version of `RestDriver`, for one event loop."""

    def __init__(self, talk: _Conversation, client: httpx.AsyncClient) -> None:
        self._talk = talk
        self._client = client

    async def _attempt(self, in_flight: InFlightBatch) -> None:
        request, content = self._talk.request(in_flight), bytearray()
        began = asyncio.get_running_loop().time()
        try:
            async with (
                timeout(self._talk.seconds(request)) as limit,
                self._client.stream("POST", **request) as response,
            ):
                async for chunk in response.aiter_bytes():
                    self._talk.add(chunk, content)
                    extend(limit, began + self._talk.seconds(request, response))
                outcome = self._talk.outcome(response, content)
                if isinstance(outcome, StoreConnectionError):
                    await response.extensions["network_stream"].aclose()
        except StoreError:
            raise
        except Exception as error:
            raise self._talk.failure(in_flight, error, self._client.is_closed) from error
        self._talk.settle(in_flight, outcome)

    async def aclose(self) -> None:
        """Async version of `RestDriver.close`."""
        await self._client.aclose()
