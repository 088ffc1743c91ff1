"""A redis-py client that counts what it sends, and can be made to seem far away."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import redis


class Traffic(NamedTuple):
    """What went out so far."""

    round_trips: int
    sent_bytes: int


class CountedConnection(redis.UnixDomainSocketConnection):
    """A connection that counts its writes: whatever is written at once is one round trip.

    Attributes:
        writes: How many there were, on all connections.
        sent_bytes: How many bytes they were.
        distance_seconds: How far away the server is made to seem: a wait at every write.
    """

    writes = 0
    sent_bytes = 0
    distance_seconds = 0.0

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        CountedConnection.writes += 1
        CountedConnection.sent_bytes += sum(map(len, [command] if isinstance(command, bytes) else command))
        if CountedConnection.distance_seconds:
            time.sleep(CountedConnection.distance_seconds)
        super().send_packed_command(command, check_health)


def redis_traffic() -> Traffic:
    """What went out on the connections to Redis."""
    return Traffic(CountedConnection.writes, CountedConnection.sent_bytes)


def open_client(url: str, **options: Any) -> redis.Redis:
    """A redis-py client as it comes, but for the counting."""
    pool = redis.ConnectionPool.from_url(url, **options)
    pool.connection_class = CountedConnection
    return redis.Redis(connection_pool=pool)
