"""Checks of what a caller passes, made before anything is sent."""

from __future__ import annotations

from math import isfinite
from types import EllipsisType
from typing import Any, TypeAlias, TypeVar, get_args

from langchain_agentmem.core.partitions import MAX_PARTITIONS
from langchain_agentmem.errors import ConfigurationError, InvalidInputError

MAX_SCOPE_BYTES = 4096
YEAR_10000 = 253_402_300_800  # epoch seconds; to most programs, what is beyond is no date
MAX_TTL_SECONDS = 2**31 - 1  # 68 years; Redis rejects longer ones, and EXPIRE would fail after the write
_MAX_WHOLE = 2**63 - 1
_EMBEDDING_METHODS = ("embed_query", "embed_documents")

Ttl: TypeAlias = int | EllipsisType | None
"""A TTL in seconds: `None` is none, `...` is the default that applies."""

DEFAULT: Any = ...
"""Stands for a default that depends on other options, until they are known. Of any type: nobody reads it."""

NOBODY = ("", "default")
"""Whom stored sessions and events name that are nobody's in particular; callers say `default`."""

T = TypeVar("T")


def utf8(name: str, value: Any) -> bytes:
    """Return the value's UTF-8 bytes.

    Raises:
        InvalidInputError: It is no string, or has a lone surrogate.
    """
    if not isinstance(value, str):
        raise InvalidInputError(f"{name} must be a string, not {type(value).__name__}.")
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"{name} is not valid Unicode: a lone surrogate at position {error.start}."
        ) from error


def validate_id(name: str, value: Any) -> str:
    """Return a user, namespace, kind, thread or session id: any non-empty string up to 4 KiB of UTF-8.

    Raises:
        InvalidInputError: It is none.
    """
    size = len(utf8(name, value))
    if size == 0:
        raise InvalidInputError(f"{name} is empty; every {name} must be a non-empty string.")
    if size > MAX_SCOPE_BYTES:
        raise InvalidInputError(f"{name} has {size} bytes; the limit is {MAX_SCOPE_BYTES}.")
    return str(value)


def partitions(value: Any) -> int | None:
    """Return a number of partitions; 0 is none, and `None` as many as fit the server.

    Raises:
        InvalidInputError: It is no such number.
    """
    if value is not None and not_negative("partitions", value) > MAX_PARTITIONS:
        raise InvalidInputError(f"partitions must be at most {MAX_PARTITIONS}, not {value}.")
    return None if value is None else int(value)


def bounded_text(name: str, value: Any, max_bytes: int) -> str:
    """Return a text that is not blank and has at most `max_bytes` bytes of UTF-8.

    Args:
        name: The parameter's name, for the error.
        value: The text.
        max_bytes: The limit.

    Raises:
        InvalidInputError: It is no such text.
    """
    size = len(utf8(name, value))
    if not value.strip():
        raise InvalidInputError(f"{name} is empty.")
    if size > max_bytes:
        raise InvalidInputError(
            f"{name} has {size} bytes; the limit is {max_bytes} (the setting max_text_bytes).",
            plain=f"The {name} has {size:,} bytes; the limit is {max_bytes:,} (AGENTMEM_MAX_TEXT_BYTES).",
        )
    return str(value)


def positive(name: str, value: Any) -> int:
    """Return a whole number above zero that the server can hold, or raise `InvalidInputError`."""
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise InvalidInputError(f"{name} must be a whole number above 0, not {value!r}.")
    if value > _MAX_WHOLE:  # not shown: Python refuses to, and hiredis crashes on it, from 4,300 digits on
        raise InvalidInputError(f"{name} must be at most {_MAX_WHOLE}.")
    return value


def not_negative(name: str, value: Any) -> int:
    """Return a whole number from zero on that the server can hold, or raise `InvalidInputError`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidInputError(f"{name} must be a whole number of at least 0, not {value!r}.")
    return positive(name, value) if value else 0


def epoch_seconds(name: str, value: Any) -> float:
    """Return a time in epoch seconds, a finite number, or raise `InvalidInputError`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise InvalidInputError(f"{name} must be a time in epoch seconds, not {value!r}.")
    return float(value)


def ttl(name: str, value: Any) -> int | None:
    """Return a TTL in seconds, a whole number above zero (68 years at most), or `None` for none.

    Raises:
        InvalidInputError: It is neither.
    """
    if value is None:
        return None
    if positive(name, value) > MAX_TTL_SECONDS:
        raise InvalidInputError(
            f"{name} is {value} seconds; the limit is {MAX_TTL_SECONDS}. None is no expiry."
        )
    return int(value)


def distance(name: str, value: Any) -> float:
    """Return a cosine distance, a number from 0 to 2, or raise `InvalidInputError`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise InvalidInputError(f"{name} must be a number from 0 to 2, not {value!r}.")
    if not 0 <= value <= 2:
        raise InvalidInputError(f"{name} must be from 0 to 2, not {value!r}.")
    return float(value)


def points(name: str, value: Any) -> float:
    """Return a score of full-text search, a number of at least 0, or raise `InvalidInputError`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        raise InvalidInputError(f"{name} must be a number of at least 0, not {value!r}.")
    return float(value)


def choice(name: str, value: T, choices: Any) -> T:
    """Return a value that a `Literal` type allows.

    Args:
        name: The parameter's name, for the error.
        value: The value.
        choices: The `Literal` type.

    Raises:
        ConfigurationError: It does not allow it.
    """
    if value not in get_args(choices):
        raise ConfigurationError(
            f"{name} must be {' or '.join(map(repr, get_args(choices)))}, not {value!r}."
        )
    return value


def embeddings(value: Any) -> None:
    """Refuse what is given as LangChain embeddings and embeds nothing.

    Raises:
        ConfigurationError: It is not `None`, and has not the methods of embeddings.
    """
    is_class = isinstance(value, type)
    if value is None or (
        not is_class and all(callable(getattr(value, name, None)) for name in _EMBEDDING_METHODS)
    ):
        return
    raise ConfigurationError(
        f"embeddings must be a LangChain Embeddings ({', '.join(_EMBEDDING_METHODS)}), "
        f"not {f'the class {value.__name__}' if is_class else type(value).__name__}."
    )


def reranker(value: T) -> T:
    """Return a LangChain document compressor, or `None` for none.

    Raises:
        InvalidInputError: It is neither.
    """
    if value is not None and not callable(getattr(value, "compress_documents", None)):
        raise InvalidInputError(
            f"reranker must be a LangChain BaseDocumentCompressor, not {type(value).__name__}."
        )
    return value


def given(value: T | EllipsisType, default: T) -> T:
    """Return the value, or the default where the caller wrote nothing (`...`)."""
    return default if value is ... else value


def fill(config: Any, **values: Any) -> None:
    """Set fields of a frozen dataclass that is being made."""
    for name, value in values.items():
        object.__setattr__(config, name, value)
