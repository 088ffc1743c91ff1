"""Turns redis-py's errors into this package's own, in one place.

redis-py turns some code words (`OOM`, `NOAUTH`, `READONLY`, …) into classes and leaves others in the
message; module errors have no code word at all. So both are looked at.
"""

from __future__ import annotations

import asyncio
import re

import redis.exceptions as redis_errors
from redis.asyncio.sentinel import MasterNotFoundError as AsyncMasterNotFoundError
from redis.sentinel import MasterNotFoundError

from langchain_agentmem import errors

SEARCH_UNAVAILABLE = (
    "This Redis server has no Search or JSON module, which long-term memory needs. Use Redis 8 or newer, "
    'Redis Stack, or the embedded server (pip install "langchain-agentmem[embedded]", URL embedded://). '
    "Working memory and the event log work without it."
)

_CHECK_CREDENTIALS = "Check the user and password in the URL, or the token."
_BY_CLASS: tuple[tuple[type[Exception], type[errors.StoreError], str], ...] = (
    (redis_errors.BusyLoadingError, errors.StoreLoadingError, "Try again when it has finished."),
    (redis_errors.NoPermissionError, errors.StoreAuthenticationError, "The user's ACL does not allow it."),
    (redis_errors.AuthenticationError, errors.StoreAuthenticationError, _CHECK_CREDENTIALS),
    (
        redis_errors.AuthenticationWrongNumberOfArgsError,
        errors.StoreAuthenticationError,
        _CHECK_CREDENTIALS,
    ),
    (
        redis_errors.OutOfMemoryError,
        errors.StoreFullError,
        "Raise maxmemory, or let the server evict keys that expire (maxmemory-policy volatile-lfu).",
    ),
    (redis_errors.ReadOnlyError, errors.StoreError, "This is a replica: connect to the primary."),
)
_OTHER_TYPE = "Another program uses this key; delete it or choose another prefix."
_BY_WORDS: tuple[tuple[re.Pattern[str], type[errors.StoreError], str], ...] = (
    (re.compile("LOADING"), errors.StoreLoadingError, "Try again when it has finished."),
    (re.compile("WRONGTYPE|wrong Redis type"), errors.WrongKeyTypeError, _OTHER_TYPE),
    (re.compile("OOM "), errors.StoreFullError, "Raise maxmemory, or let the server evict."),
    (re.compile("WRONGPASS|NOAUTH"), errors.StoreAuthenticationError, _CHECK_CREDENTIALS),
    (re.compile("NOPERM"), errors.StoreAuthenticationError, "The user or token may not do it."),
    (
        re.compile(r"max (?:daily )?(?:monthly )?requests? limit exceeded", re.IGNORECASE),
        errors.StoreRateLimitError,
        "The database's plan allows no more.",
    ),
    (re.compile("^BUSY "), errors.StoreTimeoutError, "A script blocks the server."),
    (
        re.compile("unknown index name|no such index|index not found|SEARCH_INDEX_NOT_FOUND", re.IGNORECASE),
        errors.IndexMissingError,
        "Call create_index().",
    ),
)
LONGEST_QUOTE = 500  # characters of what a server said
# Redis before 6 answers HELLO with this, and the password stands among the arguments.
_ARGUMENTS = re.compile(r",? with args beginning with:.*", re.DOTALL)
_NO_MODULE = re.compile(r"unknown command '?(?:FT\.|JSON\.)|Unknown Redis command called", re.IGNORECASE)
_REASON = re.compile(r"\)>\)>\)> - (.*?)(?=, <redis|$)")  # behind each client


def answered(error: Exception) -> errors.StoreError:
    """Return the error for an error reply of the server."""
    ours = _of_reply(error, quoted(error))
    ours.__cause__ = error
    return ours


def _of_reply(error: Exception, said: str) -> errors.StoreError:
    if _NO_MODULE.search(said):
        return errors.SearchUnavailableError(SEARCH_UNAVAILABLE)
    for cls, kind, advice in _BY_CLASS:
        if isinstance(error, cls):
            return kind(f"The server answered: {said}. {advice}")
    for words, kind, advice in _BY_WORDS:
        if words.search(said):
            return kind(f"The server answered: {said}. {advice}")
    return errors.StoreError(f"The server answered: {said}.")


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
        return errors.StoreConnectionError(f"{where} answered, but not as Redis does.")
    if isinstance(
        error,
        redis_errors.AuthenticationError | redis_errors.BusyLoadingError | redis_errors.ResponseError,
    ):
        return answered(error)  # a refusal during the handshake
    if isinstance(error, redis_errors.TimeoutError | TimeoutError | asyncio.TimeoutError):
        return errors.StoreTimeoutError(f"No answer from {where} in time.")
    if isinstance(error, MasterNotFoundError | AsyncMasterNotFoundError):
        found, reasons = _without_settings(str(error))
        error.args = (f"{found} ({', '.join(reasons)})" if reasons else found,)
        if reasons and all("TimeoutError" in reason for reason in reasons):
            return errors.StoreTimeoutError(f"No answer from {where} in time.")
    said = quoted(error)
    if said == "Too many connections":
        return errors.StoreConnectionError(f"All connections to {where} are in use.")
    if said == "No connection available":  # a BlockingConnectionPool has waited for one
        return errors.StoreTimeoutError(f"All connections to {where} stayed in use.")
    if "max number of clients" in said:
        return errors.StoreConnectionError(f"{where} takes no more clients: {said}.")
    return errors.StoreConnectionError(
        f"No connection to {where}: {said}. Is the server running, and is the URL right?"
    )


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
    link: BaseException | None = error
    while link is not None and len(secret) > 3:
        if secret in str(link):
            link.args = (str(link).replace(secret, f"[{name}]"),)
        link = link.__cause__ or link.__context__


def _without_settings(said: str) -> tuple[str, list[str]]:
    """Return what the sentinels said, and why each did not answer.

    The settings of their clients are left out; redis-py 6 shows the passwords too.
    """
    found, *rest = said.split(" : ", 1)
    return found, _REASON.findall("".join(rest))
