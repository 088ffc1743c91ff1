"""What redis-py raises without a connection, in the package's own words."""

from __future__ import annotations

import re
import ssl

import pytest
import redis
from redis.asyncio.sentinel import MasterNotFoundError as AsyncMasterNotFoundError
from redis.exceptions import MaxConnectionsError
from redis.sentinel import MasterNotFoundError

from langchain_agentmem.errors import StoreAuthenticationError, StoreConnectionError, StoreTimeoutError
from langchain_agentmem.transport.redis_errors import answered, unreachable


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


@pytest.mark.parametrize(
    ("error", "plain"),
    [
        (redis.AuthenticationError("invalid username-password pair or user is disabled."), "does not accept this"),
        (redis.AuthenticationError("HELLO must be called with the client already"), "asks for a password"),
        (redis.AuthenticationError("AUTH <password> called without any password configured"), "the server has none"),
        (redis.ResponseError("WRONGPASS invalid or missing auth token"), "or the token."),
        (redis.exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), "is full"),
        (redis.ResponseError("OOM command not allowed"), "Raise that, or let it evict"),
        (redis.ReadOnlyError("You can't write against a read only replica."), "Connect to the primary"),
        (redis.BusyLoadingError("Redis is loading the dataset in memory"), "Try again in a moment"),
        (redis.exceptions.NoPermissionError("User bob has no permissions to run the 'evalsha' command"), "(to use the command EVALSHA)"),
        (redis.ResponseError("ACL failure in script: User bob has no permissions to run the 'json.set' command script: f0"), "(to use the command JSON.SET)"),
        (redis.exceptions.NoPermissionError("No permissions to access a key"), "lacks a permission on the server. Have"),
        (redis.ResponseError("WRONGTYPE Operation against a key"), "AGENTMEM_SESSION_PREFIX"),
        (redis.ResponseError("DB index is out of range"), "no database of this number"),
        (redis.ResponseError("Cannot create index on db != 0"), "Memories need database 0"),
        (redis.ResponseError("MISCONF Redis is configured to save RDB snapshots"), "cannot save its data"),
        (redis.ResponseError("MOVED 3999 127.0.0.1:6381"), "redis+cluster://"),
        (redis.exceptions.MovedError("3999 127.0.0.1:6381"), "redis+cluster://"),
        (redis.exceptions.ClusterDownError("The cluster is down"), "a node of a Redis Cluster"),
        (redis.exceptions.ClusterCrossSlotError("Keys in request don't hash to the same slot"), "a Redis Cluster"),
        (redis.exceptions.MasterDownError("Link with MASTER is down"), "have lost each other"),
        (redis.ResponseError("DENIED Redis is running in protected mode because"), "Set a password on it"),
        (redis.ResponseError("unknown command 'FT.INFO', with args beginning with: 'x'"), "no Search or JSON module"),
        (redis.ResponseError("agentmem:idx: no such index"), "first memory that is stored makes it"),
    ],
)  # fmt: skip
def test_what_the_server_refuses_is_said_in_plain_words(error: Exception, plain: str) -> None:
    seen = answered(error)
    assert plain in seen.plain
    assert str(error).split(",")[0] not in seen.plain
    assert not re.search(r"\w\(|\w=", seen.plain), "no method and no keyword"


def test_what_is_not_known_is_quoted_rather_than_kept_back() -> None:
    assert (
        answered(redis.ResponseError("ERR it is Tuesday")).plain == "The server answered: ERR it is Tuesday."
    )


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "nothing listens there"),
        (FileNotFoundError(2, "No such file"), "there is no such socket"),
        (ConnectionResetError(104, "reset"), "it closes the connection"),
        (ssl.SSLError("wrong version number"), "it does not speak TLS"),
        (OSError(101, "Network is unreachable"), "the network does not lead there"),
    ],
    ids=repr,
)
def test_why_there_is_no_connection_is_said_in_plain_words(cause: Exception, reason: str) -> None:
    error = redis.ConnectionError(f"Error {cause} connecting to h:1.")
    error.__cause__ = cause
    seen = unreachable(error, "h:1").plain
    assert seen.startswith(f"No connection to h:1: {reason}")
    assert "Error" not in seen
