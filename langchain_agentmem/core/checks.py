"""Checks of what a caller hands in, made before anything is sent."""

from __future__ import annotations

from math import isfinite
from types import EllipsisType
from typing import Any, TypeAlias, TypeVar

from langchain_agentmem.errors import ConfigurationError, InvalidInputError

MAX_SCOPE_BYTES = 4096
YEAR_10000 = 253_402_300_800  # epoch seconds; what is beyond is no date to most programs
MAX_TTL_SECONDS = 2**31 - 1  # 68 years; what a server refuses, it must not refuse half-way through a write
_EMBEDDING_METHODS = ("embed_query", "embed_documents")

Ttl: TypeAlias = int | EllipsisType | None
"""Seconds to live: `None` is for ever, `...` is the default that applies."""

T = TypeVar("T")


def utf8(name: str, value: Any) -> bytes:
    """The value's UTF-8 bytes; `InvalidInputError` if it is not a string that has any."""
    if not isinstance(value, str):
        raise InvalidInputError(f"{name} must be a string, not {type(value).__name__}.")
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"{name} is not valid Unicode: a lone surrogate at position {error.start}."
        ) from error


def validate_id(name: str, value: Any) -> str:
    """A user, namespace, kind, thread or session id: any non-empty string up to 4 KiB of UTF-8."""
    size = len(utf8(name, value))
    if size == 0:
        raise InvalidInputError(f"{name} is empty; every {name} must be a non-empty string.")
    if size > MAX_SCOPE_BYTES:
        raise InvalidInputError(f"{name} has {size} bytes; the limit is {MAX_SCOPE_BYTES}.")
    return str(value)


def bounded_text(name: str, value: Any, max_bytes: int) -> str:
    """A text that is not blank and has at most `max_bytes` bytes of UTF-8."""
    size = len(utf8(name, value))
    if not value.strip():
        raise InvalidInputError(f"{name} is empty.")
    if size > max_bytes:
        raise InvalidInputError(
            f"{name} has {size} bytes; the limit is {max_bytes} (the setting max_text_bytes)."
        )
    return str(value)


def positive(name: str, value: Any) -> int:
    """A whole number above zero."""
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise InvalidInputError(f"{name} must be a whole number above 0, not {value!r}.")
    return value


def epoch_seconds(name: str, value: Any) -> float:
    """A time in seconds since 1970: a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise InvalidInputError(f"{name} must be a time in epoch seconds, not {value!r}.")
    return float(value)


def ttl(name: str, value: Any) -> int | None:
    """Seconds to live: a whole number above zero (68 years at most), or `None` for ever."""
    if value is None:
        return None
    if positive(name, value) > MAX_TTL_SECONDS:
        raise InvalidInputError(
            f"{name} is {value} seconds; the limit is {MAX_TTL_SECONDS}. None is for ever."
        )
    return int(value)


def embeddings(value: Any) -> None:
    """Refuse, with a `ConfigurationError`, what is given as LangChain embeddings and embeds nothing."""
    is_class = isinstance(value, type)
    if value is None or (
        not is_class and all(callable(getattr(value, name, None)) for name in _EMBEDDING_METHODS)
    ):
        return
    raise ConfigurationError(
        f"embeddings must be a LangChain Embeddings ({', '.join(_EMBEDDING_METHODS)}), "
        f"not {f'the class {value.__name__}' if is_class else type(value).__name__}."
    )


def given(value: T | EllipsisType, default: T) -> T:
    """The value, or the default where the caller wrote nothing (`...`)."""
    return default if value is ... else value
