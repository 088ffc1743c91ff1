"""Describes Upstash's REST API: where a database is, how a batch is written and its answer read. No I/O.

A batch is always one POST to `/pipeline`, of which every command has a reply of its own. What has to be
atomic is a script in it: a command is atomic wherever it stands.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlunsplit

import orjson
from redis.exceptions import NoScriptError, ResponseError

from langchain_agentmem.core.operations import Argument, Command
from langchain_agentmem.core.redaction import clean
from langchain_agentmem.errors import (
    ConfigurationError,
    InvalidInputError,
    StoreAuthenticationError,
    StoreConnectionError,
    StoreError,
    StoreRateLimitError,
)
from langchain_agentmem.transport.redis_errors import LONGEST_QUOTE, answered

_CONSOLE = "Both stand in the Upstash console, under REST API."
_VARIABLE = "the environment variable AGENTMEM_TOKEN, or UPSTASH_REDIS_REST_TOKEN,"
_OPTION = "rest_encoding"
_DEEPEST = 128  # lists in lists; the recursion limit of Python itself differs between its versions
_INTEGERS_END = 2.0**63  # orjson reads larger integers as floats


@dataclass(frozen=True, slots=True)
class RestDatabase:
    """Names a database behind a REST API.

    Attributes:
        url: Where batches are posted.
        where: The host, for messages.
        headers: What authenticates a request; kept out of the representation.
        base64: Whether strings in answers are base64, so that they arrive byte for byte.
    """

    url: str
    where: str
    headers: dict[str, str] = field(repr=False)
    base64: bool = True


def database(parts: SplitResult, token: str | None) -> RestDatabase:
    """Return the database of an `https://` URL and a token.

    Raises:
        ConfigurationError: One of them is missing or malformed. No message repeats the token.
    """
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(
            clean("A REST URL holds no password: give the token as token=."),
            plain=f"A REST URL holds no password: {_VARIABLE} has the token.",
        )
    host = parts.hostname
    try:
        port = parts.port
        (host or "").encode("idna")
    except ValueError:  # of which a UnicodeError is one
        host = port = None
    if not host or re.search(r"[\s<>\"'\\]", parts.netloc):
        raise ConfigurationError(f"The REST URL is malformed: https://name.upstash.io is one. {_CONSOLE}")
    if token is not None and not isinstance(token, str):
        raise ConfigurationError(f"token must be a string, not {type(token).__name__}.")
    if token is None or not token.strip():
        raise ConfigurationError(
            clean(
                "A REST URL needs a token: token=, or AGENTMEM_TOKEN or UPSTASH_REDIS_REST_TOKEN in the "
                "environment. {}",
                _CONSOLE,
            ),
            plain=f"A REST URL needs a token: {_VARIABLE}. {_CONSOLE}",
        )
    token = token.strip()
    if not re.fullmatch(r"[!-~]+", token):
        raise ConfigurationError(f"The token is malformed: it has blanks or no ASCII letters. {_CONSOLE}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    encoding = options.pop(_OPTION, "base64")
    if options or encoding not in ("base64", "none"):
        raise ConfigurationError(f"A REST URL has one option, {_OPTION}, which is base64 or none.")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    if encoding == "base64":
        headers["Upstash-Encoding"] = "base64"
    return RestDatabase(
        url=urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + "/pipeline", "", "")),
        where=host if port is None else f"{host}:{port}",
        headers=headers,
        base64=encoding == "base64",
    )


def address_of(client: Any) -> tuple[str, str] | None:
    """Return the URL and token of an `upstash_redis` client, sync or async; `None` for any other object."""
    if type(client).__module__.partition(".")[0] != "upstash_redis":
        return None
    headers = client._headers  # kept there for other libraries, as its source says
    token = headers["Authorization"].removeprefix("Bearer ")
    return client._url + ("" if "Upstash-Encoding" in headers else f"?{_OPTION}=none"), token


def body(commands: Iterable[Command]) -> bytes:
    """Return the body of the request for a batch.

    Raises:
        InvalidInputError: An argument is not UTF-8, which JSON cannot carry.
    """
    try:
        return orjson.dumps([[_argument(one) for one in command.args] for command in commands])
    except (UnicodeDecodeError, orjson.JSONEncodeError) as error:
        raise InvalidInputError(f"A REST API takes UTF-8 only: {error}.") from error


def _argument(value: Argument) -> str:
    if isinstance(value, bytes):
        return value.decode()
    return value if isinstance(value, str) else repr(value)  # large integers are no JSON numbers everywhere


def without_token(said: str, database: RestDatabase) -> str:
    """Return what was said, at most a few lines, without the token: some gateways repeat the headers."""
    said = said.replace(token_of(database), "[token]")
    return said if len(said) <= LONGEST_QUOTE else said[:LONGEST_QUOTE] + "…"


def token_of(database: RestDatabase) -> str:
    """Return the token, which no message may hold."""
    return database.headers["Authorization"].removeprefix("Bearer ")


def answers(status: int, content: bytes | bytearray, database: RestDatabase) -> list[Any]:
    """Return the replies to a batch, one per command; errors are among them.

    Args:
        status: The HTTP status.
        content: The body, unpacked.
        database: Who answered, and in which encoding.

    Raises:
        StoreRateLimitError: Too many requests; nothing of the batch was run.
        StoreAuthenticationError: The token was refused.
        StoreConnectionError: What answered is not the API, or not able to.
        StoreError: The batch was refused as a whole.
    """
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise _refused(status, "", database.where) from error
    try:
        if status == 200 and isinstance(answer, list):
            try:
                return [_reply(one, database) for one in answer]
            except _InexactError:
                return [_reply(one, database, exact=True) for one in json.loads(content)]
        said = _said(answer["error"]) if isinstance(answer, dict) and "error" in answer else ""
    except (RecursionError, orjson.JSONEncodeError) as error:
        raise StoreError(f"An answer of {database.where} is nested too deeply.") from error
    raise _refused(status, without_token(said, database), database.where)


def addressable(command: Command, reply: Any) -> Any:
    """Return a reply to `SCAN` without the keys that are not UTF-8: REST cannot name them."""
    match command.args[0], reply:
        case "SCAN", [cursor, [*keys]] if all(isinstance(key, bytes) for key in keys):
            return [cursor, [key for key in keys if key.decode("utf-8", "ignore").encode() == key]]
    return reply


def _refused(status: int, said: str, where: str) -> StoreError:
    """Return the error for a request that was refused as a whole."""
    if status == 401:
        return StoreAuthenticationError(f"{where} refused the token (HTTP 401). {_CONSOLE}")
    if status == 429:
        return StoreRateLimitError(f"{where} takes no more requests for now (HTTP 429). Try again later.")
    if said and status < 500:
        return _error(said)
    return StoreConnectionError(
        f"{where} answered HTTP {status}{': ' + said if said else ', and not as a REST API of Redis does'}. "
        "Is the URL right?",
        plain=f"{where} answered, but not as a REST API of Redis does (HTTP {status}). Is the URL right?",
    )


def _reply(answer: Any, database: RestDatabase, exact: bool = False) -> Any:
    if not isinstance(answer, dict) or answer.get("error") is not None:
        said = _said(answer["error"]) if isinstance(answer, dict) else "no reply"
        return _error(without_token(said, database))
    return _decoded(answer.get("result"), database.base64, exact)


def _said(error: Any) -> str:
    """Return what an error says; a gateway may send more than a text."""
    return error if isinstance(error, str) else orjson.dumps(error).decode()


def _error(said: str) -> StoreError:
    return answered(NoScriptError(said) if "NOSCRIPT" in said else ResponseError(said))


class _InexactError(Exception):
    """Signals that orjson has read an integer as a float, because it is so large."""


def _decoded(value: Any, encoded: bool, exact: bool, depth: int = 0) -> Any:
    """Return a reply as Redis has it: strings are bytes, also nested.

    Raises:
        RecursionError: It is nested too deeply.
    """
    if depth > _DEEPEST:
        raise RecursionError
    if isinstance(value, str):
        if not encoded or value == "OK":
            return value.encode()
        try:
            return base64.b64decode(value, validate=True)
        except ValueError as error:
            raise StoreError(
                f"An answer is not in base64, as was asked for: put ?{_OPTION}=none behind the URL."
            ) from error
    if isinstance(value, list):
        return [_decoded(one, encoded, exact, depth + 1) for one in value]
    if isinstance(value, dict):
        return {
            _decoded(key, encoded, exact): _decoded(one, encoded, exact, depth + 1)
            for key, one in value.items()
        }
    if isinstance(value, float) and abs(value) >= _INTEGERS_END and not exact:
        raise _InexactError
    return value
