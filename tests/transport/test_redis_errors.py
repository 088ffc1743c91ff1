"""What redis-py raises without a connection, in the package's own words."""

from __future__ import annotations

import pytest
import redis
from redis.asyncio.sentinel import MasterNotFoundError as AsyncMasterNotFoundError
from redis.exceptions import MaxConnectionsError
from redis.sentinel import MasterNotFoundError

from langchain_agentmem.errors import StoreAuthenticationError, StoreConnectionError, StoreTimeoutError
from langchain_agentmem.transport.redis_errors import unreachable


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (redis.TimeoutError("x"), StoreTimeoutError, "No answer from h:1 in time."),
        (TimeoutError(), StoreTimeoutError, "No answer from h:1 in time."),
        (redis.ConnectionError("x."), StoreConnectionError, "No connection to h:1: x. Is the server"),
        (OSError(), StoreConnectionError, "No connection to h:1: OSError. Is the server"),
        (MaxConnectionsError("Too many connections"), StoreConnectionError, "All connections to h:1 are in"),
        (redis.ConnectionError("No connection available."), StoreTimeoutError, "All connections to h:1 stay"),
        (redis.ConnectionError("max number of clients reached"), StoreConnectionError, "h:1 takes no more"),
        (
            redis.AuthenticationError("WRONGPASS x"),
            StoreAuthenticationError,
            "The server answered: WRONGPASS",
        ),
    ],
    ids=repr,
)
def test_no_connection(error: Exception, kind: type[Exception], message: str) -> None:
    seen = unreachable(error, "h:1")
    assert type(seen) is kind
    assert str(seen).startswith(message)
    assert seen.__cause__ is error


@pytest.mark.parametrize("kind", [MasterNotFoundError, AsyncMasterNotFoundError])
def test_settings_of_sentinel_clients_are_left_out(kind: type[Exception]) -> None:
    client = "<redis.client.Redis(<Pool(<Connection(password=s3cr3t,host=a,port=1)>)>)>"
    error = kind(
        f"No master found for 'm' : {client} - ConnectionError('Error 111.'), {client} - network:TimeoutError"
    )
    seen = unreachable(error, "the primary")
    assert "s3cr3t" not in f"{seen!r}{error!r}{error}"
    assert "No master found for 'm' (ConnectionError('Error 111.'), network:TimeoutError)" in str(seen)
