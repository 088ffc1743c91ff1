"""Turns redis-py's errors into this package's own, in one place.

redis-py turns some code words (`OOM`, `NOAUTH`, `READONLY`, …) into classes and leaves others in the
message; module errors have no code word at all. So both are looked at.

The message quotes the server, for who writes a program; what is `plain` says the same to who uses it.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Iterator
from typing import NamedTuple

import redis.exceptions as redis_errors
from redis.asyncio.sentinel import MasterNotFoundError as AsyncMasterNotFoundError
from redis.sentinel import MasterNotFoundError

from langchain_agentmem import errors
from langchain_agentmem.transport.connection_limit import HOW_TO_RAISE

SEARCH_UNAVAILABLE = (
    "This Redis server has no Search or JSON module, which long-term memory needs. Use Redis 8 or newer, "
    'Redis Stack, or the embedded server (pip install "langchain-agentmem[embedded]", URL embedded://). '
    "Working memory and the event log work without it."
)


class _Refusal(NamedTuple):
    """Says what a refusal of the server is recognized by, and what becomes of it.

    Args:
        words: What the server says: a regular expression.
        kind: The class of the error.
        advice: What stands behind the server's words in its message.
        plain: What is said to people instead of the message.
        raised: redis-py's own classes for it, if there are any. Of several refusals with one class, the one
            with these words is meant, or else the last.
    """

    words: str
    kind: type[errors.StoreError]
    advice: str
    plain: str
    raised: tuple[type[Exception], ...] = ()


_AUTHENTICATION = (redis_errors.AuthenticationError, redis_errors.AuthenticationWrongNumberOfArgsError)
_CHECK_CREDENTIALS = "Check the user and password in the URL, or the token."
_EVICT = "let it evict keys that expire (maxmemory-policy volatile-lfu)"
_PREFIXES = "AGENTMEM_SESSION_PREFIX, AGENTMEM_MEMORY_PREFIX or AGENTMEM_EVENTS_PREFIX"
_BY_CLUSTER = "Connect by redis+cluster://{where}, or rediss+cluster:// with TLS."
_A_NODE = f"The server is a node of a Redis Cluster. {_BY_CLUSTER}"
_REFUSALS = (
    _Refusal(
        "LOADING",
        errors.StoreLoadingError,
        "Try again when it has finished.",
        "The server is still loading its data from disk. Try again in a moment.",
        (redis_errors.BusyLoadingError,),
    ),
    _Refusal(
        "ACL failure in script",
        errors.StoreAuthenticationError,
        "The user's ACL does not allow it. The script has stopped there, and what it wrote before stays.",
        "The user of the URL lacks a permission on the server{command}. Have the server's ACL grant it.",
    ),
    _Refusal(
        "NOPERM",
        errors.StoreAuthenticationError,
        "The user's ACL does not allow it.",
        "The user of the URL lacks a permission on the server{command}. Have the server's ACL grant it.",
        (redis_errors.NoPermissionError,),
    ),
    _Refusal(
        "NOAUTH|HELLO must be called|Authentication required",
        errors.StoreAuthenticationError,
        _CHECK_CREDENTIALS,
        "The server asks for a password. In the URL, it stands before the host: between a colon and an @.",
        _AUTHENTICATION,
    ),
    _Refusal(
        "without any password configured",
        errors.StoreAuthenticationError,
        _CHECK_CREDENTIALS,
        "The URL has a password, but the server has none. Leave it out of the URL.",
        _AUTHENTICATION,
    ),
    _Refusal(
        "WRONGPASS",
        errors.StoreAuthenticationError,
        _CHECK_CREDENTIALS,
        f"The server does not accept this user or password. {_CHECK_CREDENTIALS}",
        _AUTHENTICATION,
    ),
    _Refusal(
        "OOM ",
        errors.StoreFullError,
        "Raise maxmemory, or let the server evict keys that expire (maxmemory-policy volatile-lfu).",
        f"The server is full: it has reached its maxmemory. Raise that, or {_EVICT}.",
        (redis_errors.OutOfMemoryError,),
    ),
    _Refusal(
        "READONLY",
        errors.StoreError,
        "This is a replica: connect to the primary.",
        "The server is a replica, which takes no writes. Connect to the primary, or by redis+sentinel://, "
        "which follows it.",
        (redis_errors.ReadOnlyError,),
    ),
    _Refusal(
        "WRONGTYPE|wrong Redis type",
        errors.WrongKeyTypeError,
        "Another program uses this key; delete it or choose another prefix.",
        "A key of the memory holds another program's data, which stays as it is. Delete the key, or choose "
        f"another prefix ({_PREFIXES}).",
    ),
    _Refusal(
        r"max (?:daily )?(?:monthly )?requests? limit exceeded",
        errors.StoreRateLimitError,
        "The database's plan allows no more.",
        "The plan of the database allows no more requests for now. Try again later, or take a larger plan.",
    ),
    _Refusal(
        "^BUSY ",
        errors.StoreTimeoutError,
        "A script blocks the server.",
        "A script of another program keeps the server busy. Try again later.",
    ),
    _Refusal(
        "(?i:unknown index name|no such index|index not found|SEARCH_INDEX_NOT_FOUND)",
        errors.IndexMissingError,
        "Call create_index().",
        "There is no search index. The first memory that is stored makes it.",
    ),
    _Refusal(
        "(?i:DB index is out of range)",
        errors.StoreError,
        "The URL names a database that the server does not have.",
        "The server has no database of this number. Take a smaller one, at the end of the URL: "
        "redis://host:6379/0.",
    ),
    _Refusal(
        "on db != 0",
        errors.StoreError,
        "Search works in database 0 only.",
        "Memories need database 0, the only one that the server's Search works in. Leave the number at the "
        "end of the URL out.",
    ),
    _Refusal(
        "MISCONF",
        errors.StoreError,
        "Look into the server's log.",
        "The server takes no writes, because it cannot save its data. Often its disk is full: see its log.",
    ),
    _Refusal(
        "NOREPLICAS|MASTERDOWN|Link with MASTER is down",
        errors.StoreError,
        "Look at the server's replication.",
        "The server and its replicas have lost each other, and it serves nobody meanwhile. Try again later.",
        (redis_errors.MasterDownError,),
    ),
    _Refusal(
        "^(?:MOVED|ASK|CLUSTERDOWN|CROSSSLOT) |SELECT is not allowed in cluster mode",
        errors.ClusterNodeError,
        f"That is how a node of a Redis Cluster answers. {_BY_CLUSTER}",
        _A_NODE,
        (redis_errors.AskError, redis_errors.ClusterDownError, redis_errors.ClusterCrossSlotError),
    ),
    _Refusal(
        "protected mode",
        errors.StoreError,
        "Give it a password.",
        "The server takes connections from its own machine only (protected mode). Set a password on it, and "
        "put that into the URL.",
    ),
)
LONGEST_QUOTE = 500  # characters of what a server said
# Redis before 6 answers HELLO with this, and the password stands among the arguments.
_ARGUMENTS = re.compile(r",? with args beginning with:.*", re.DOTALL)
_NO_MODULE = re.compile(r"unknown command '?(?:FT\.|JSON\.)|Unknown Redis command called", re.IGNORECASE)
_COMMAND = re.compile(r"run the '([A-Za-z.|]+)' command")
_REASON = re.compile(r"\)>\)>\)> - (.*?)(?=, <redis|$)")  # behind each client


def answered(error: Exception, where: str = "host:port") -> errors.StoreError:
    """Return the error for an error reply of the server; `where` holds no secret."""
    ours = _of_reply(error, quoted(error), where)
    ours.__cause__ = error
    return ours


def _of_reply(error: Exception, said: str, where: str) -> errors.StoreError:
    if _NO_MODULE.search(said):
        plain = SEARCH_UNAVAILABLE.replace(
            ' (pip install "langchain-agentmem[embedded]", URL embedded://)', ""
        )
        return errors.SearchUnavailableError(SEARCH_UNAVAILABLE, plain=plain)
    of_class = [one for one in _REFUSALS if isinstance(error, one.raised)]
    last = of_class[-1] if of_class else None
    meant = next((one for one in of_class or _REFUSALS if re.search(one.words, said)), last)
    if meant is None:
        return errors.StoreError(f"The server answered: {said}.")
    command = _COMMAND.search(said)
    named = f" (to use the command {command[1].upper()})" if command else ""
    plain = meant.plain.replace("{command}", named).replace("{where}", where)
    advice = meant.advice.replace("{where}", where)
    return meant.kind(f"The server answered: {said}. {advice}", plain=plain)


def cluster_node(where: str) -> errors.ClusterNodeError:
    """Return the error for a server that says it is a node of a Redis Cluster; `where` holds no secret."""
    return errors.ClusterNodeError(_A_NODE.replace("{where}", where))


def unreachable(error: Exception, where: str) -> errors.StoreError:
    """Return the error for a connection that could not be made, or broke; `where` holds no secret."""
    ours = _of_connection(error, where)
    ours.__cause__ = error
    return ours


def _of_connection(error: Exception, where: str) -> errors.StoreError:
    if isinstance(error, redis_errors.InvalidResponse) or not isinstance(
        error, redis_errors.RedisError | OSError | asyncio.TimeoutError
    ):
        # Neither is quoted: it may hold whatever the server sent.
        return errors.StoreConnectionError(
            f"{where} answered, but not as Redis does.",
            plain=f"{where} answered, but not as Redis does. Check the host and the port in the URL.",
        )
    if isinstance(
        error,
        redis_errors.AuthenticationError | redis_errors.BusyLoadingError | redis_errors.ResponseError,
    ):
        return answered(error, where)  # a refusal during the handshake
    if isinstance(error, redis_errors.TimeoutError | TimeoutError | asyncio.TimeoutError):
        return _timeout(where)
    if isinstance(error, MasterNotFoundError | AsyncMasterNotFoundError):
        found, reasons = _without_settings(str(error))
        error.args = (f"{found} ({', '.join(reasons)})" if reasons else found,)
        if reasons and all("TimeoutError" in reason for reason in reasons):
            return _timeout(where)
    said = quoted(error)
    if said == "Too many connections":
        return errors.StoreConnectionError(f"All connections to {where} are in use. {HOW_TO_RAISE}")
    if said == "No connection available":  # a BlockingConnectionPool has waited for one
        return errors.StoreTimeoutError(f"All connections to {where} stayed in use. {HOW_TO_RAISE}")
    if "max number of clients" in said:
        plain = f"{where} takes no more clients. End some of them, or raise the server's maxclients."
        return errors.StoreConnectionError(f"{where} takes no more clients: {said}.", plain=plain)
    asked = "Is the server running, and is the URL right?"
    return errors.StoreConnectionError(
        f"No connection to {where}: {said}. {asked}",
        plain=f"No connection to {where}: {reason_of(error)}. {asked}",
    )


def _timeout(where: str) -> errors.StoreTimeoutError:
    said = f"No answer from {where} in time."
    advice = (
        "Is it Redis that listens there, and with TLS if the URL begins with rediss://? A slow server gets"
    )
    return errors.StoreTimeoutError(
        said, plain=f"{said} {advice} more time by AGENTMEM_SOCKET_TIMEOUT_SECONDS (5)."
    )


_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (
        ssl.SSLCertVerificationError,
        "its TLS certificate is not trusted (ssl_ca_certs= in the URL names others)",
    ),
    (ssl.SSLError, "it does not speak TLS as the URL asks for"),
    (socket.gaierror, "there is no host of this name"),
    (ConnectionRefusedError, "nothing listens there"),
    (FileNotFoundError, "there is no such socket"),
    (PermissionError, "you may not open it"),
    (
        ConnectionResetError,
        "it closes the connection; perhaps it speaks TLS, for which the URL needs rediss://",
    ),
    (MasterNotFoundError, "the Sentinels know no such primary"),
    (AsyncMasterNotFoundError, "the Sentinels know no such primary"),
)


def reason_of(error: BaseException) -> str:
    """Return why there is no connection, in plain words."""
    for link in _chain(error):
        for kind, reason in _REASONS:
            if isinstance(link, kind):
                return reason
    if "closed by server" in str(error).lower():
        return "it closes the connection; perhaps it speaks TLS, for which the URL needs rediss://"
    return "the network does not lead there"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and what it came of."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def underlying(error: Exception) -> Exception:
    """Return what redis-py's async connections have wrapped in a `ConnectionError` as they connected."""
    cause = error.__cause__
    return cause if isinstance(cause, Exception) and error.args == (cause,) else error


def quoted(error: Exception) -> str:
    """Return what the error says, at most a few lines of it, without arguments of commands."""
    said = _ARGUMENTS.sub("", str(error)).rstrip(". ") or type(error).__name__
    return said if len(said) <= LONGEST_QUOTE else said[:LONGEST_QUOTE] + "…"


def hide(error: BaseException, secret: str, name: str) -> None:
    """Take a secret out of the messages of an error, and of those that it came of.

    One that is as short as a syllable is left: to take it out of every word would give it away.

    Args:
        error: Changed in place, with its causes and contexts.
        secret: What no message may hold.
        name: What stands there instead, in brackets.
    """
    for link in _chain(error) if len(secret) > 3 else ():
        if secret in str(link):
            link.args = (str(link).replace(secret, f"[{name}]"),)


def _without_settings(said: str) -> tuple[str, list[str]]:
    """Return what the sentinels said, and why each did not answer.

    The settings of their clients are left out; redis-py 6 shows the passwords too.
    """
    found, *rest = said.split(" : ", 1)
    return found, _REASON.findall("".join(rest))
