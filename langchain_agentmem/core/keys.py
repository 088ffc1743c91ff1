"""Every key this package writes is built here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from langchain_agentmem.core.checks import validate_id
from langchain_agentmem.errors import InvalidInputError

# With a letter or digit: a lone underscore is a syntax error in a query.
_PLAIN_TAG = re.compile(r"(?=[_.@:\-]*[A-Za-z0-9])[A-Za-z0-9_.@:\-]{1,128}")
_GLOB = re.compile(r"([\\*?\[\]^-])")


@dataclass(frozen=True, slots=True)
class Keys:
    """The key names of the three tiers. Ids stand in a key byte for byte, unescaped."""

    session_prefix: str = "agent:session:"
    memory_prefix: str = "agent:mem:"
    events_prefix: str = "agent:events:"
    threads_prefix: str = "agent:threads:"

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What keys of this package begin with."""
        return (self.session_prefix, self.memory_prefix, self.events_prefix, self.threads_prefix)

    def session(self, thread_id: str) -> str:
        """The Hash of a thread's working memory."""
        return self.session_prefix + validate_id("thread_id", thread_id)

    def memory(self, memory_id: str) -> str:
        """The JSON document or Hash of one memory."""
        return self.memory_prefix + validate_id("id", memory_id)

    def events(self, thread_id: str) -> str:
        """The Stream of a thread's events."""
        return self.events_prefix + validate_id("thread_id", thread_id)

    def threads(self, user: str) -> str:
        """The sorted set of a user's threads."""
        return self.threads_prefix + validate_id("user", user)


def threads_prefix(session_prefix: str) -> str:
    """The prefix of records of threads where none is named: those of other sessions have another."""
    return "agent:threads:" if session_prefix == "agent:session:" else f"threads:{session_prefix}"


def refuse_taken(name: str, key: str, prefixes: Iterable[str]) -> None:
    """Refuse a list's key, of an id of this name, that begins as this package's other keys do.

    Raises:
        InvalidInputError: It does.
    """
    for prefix in prefixes:
        if key.startswith(prefix):
            raise InvalidInputError(
                f"{name} begins with {prefix!r}, where the memory keeps other things; choose another."
            )


def scope_lock(index_name: str, *tags: str) -> str:
    """The lock that writers to one scope of long-term memory take where a script cannot serve them."""
    return f"{index_name}:lock:{hashlib.sha256(' '.join(tags).encode()).hexdigest()}"


def never_written(index_name: str) -> str:
    """A key nobody writes: an operation waits by blocking on it."""
    return f"{index_name}:never"


def filling(index_name: str) -> str:
    """A key that is there while an index does not hold every memory yet."""
    return f"{index_name}:filling"


def glob(prefix: str) -> str:
    """A SCAN pattern for the keys that begin with exactly this prefix."""
    return _GLOB.sub(r"\\\1", prefix) + "*"


def tag(value: str) -> str:
    """A scope's value as the search index holds it: equal for equal values only.

    A TAG splits at commas, trims blanks and cannot escape every character. So plain values (up to
    128 ASCII letters, digits and `_.@:-`, not only signs) are indexed as they are, and any other as
    `#` and its SHA-256; no plain value has a `#`.
    """
    if _PLAIN_TAG.fullmatch(value):
        return value
    return "#" + hashlib.sha256(value.encode()).hexdigest()
