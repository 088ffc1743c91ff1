"""Bounds a sync HTTP request as a whole, however many waits it has.

httpx bounds each wait of a request, and has no means to bound all of them; async requests are broken off
by the event loop instead. httpcore, on which httpx stands, takes a network backend of one's own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from time import monotonic
from typing import Any

import httpcore
import httpx

_SLICE = 1 << 16  # as much is sent between two looks at the clock


class End(threading.local):
    """Holds when the request of this thread has to be over, in `time.monotonic`."""

    at = float("inf")

    def left(self, timeout: float | None) -> float:
        """Return the seconds that the next wait may take; raise `httpcore.ReadTimeout` if none are left."""
        left = self.at - monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("The time for the request is over.")
        return left if timeout is None else min(left, timeout)


def keeping_to(end: End, **options: Any) -> httpx.Client:
    """Return an HTTP client whose every wait is over by the end of its thread's request."""
    client = httpx.Client(**options)
    # httpx passes no backend on, so it is put into its pools: its own, and those for proxies.
    for transport in (client._transport, *client._mounts.values()):
        pool: Any = getattr(transport, "_pool", None)
        if pool is not None:
            pool._network_backend = _Backend(pool._network_backend, end)
    return client


class _Backend(httpcore.NetworkBackend):
    def __init__(self, backend: httpcore.NetworkBackend, end: End) -> None:
        self._backend, self._end = backend, end

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        timeout = self._end.left(timeout)
        stream = self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        return _Stream(stream, self._end)

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(self._end.left(seconds))


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, end: End) -> None:
        self._stream, self._end = stream, end

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._end.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _SLICE):
            self._stream.write(buffer[start : start + _SLICE], self._end.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        timeout = self._end.left(timeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout), self._end)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
