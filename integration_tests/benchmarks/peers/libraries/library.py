"""What is asked of a library, and how it says that it has no such thing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import redis
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import BaseMessage

from integration_tests.peers.vectors import Vectors

TTL_SECONDS = 3600
MESSAGES = "keeps no messages"


class NotOfferedError(Exception):
    """The library has no such thing; the message says what it has instead."""


@dataclass(frozen=True)
class Opening:
    """How a library is opened.

    Attributes:
        url: A Redis of its own.
        vectors: The vector of every text.
        folder: Where it may write.
        client: A client of the caller's; `None` for one of its own making.
        protocol: The client's protocol; `None` for the one that the library works with.
        window: How many messages a session keeps; `None` for all.
        options: What else a library may be told.
    """

    url: str
    vectors: Vectors
    folder: str
    client: redis.Redis | None = None
    protocol: int | None = None
    window: int | None = 20
    options: dict[str, str] = field(default_factory=dict)

    def opened_client(self, *, protocol: int | None = None) -> redis.Redis:
        """Return the caller's client, or a new one with the protocol that is asked for, or with this one."""
        if self.client is not None:
            return self.client
        chosen = self.protocol or protocol
        return redis.Redis.from_url(self.url, **({"protocol": chosen} if chosen else {}))

    def given_client(self, protocol: int | None) -> Opening:
        """Return the same with a client of the caller's."""
        return replace(self, client=replace(self, client=None).opened_client(protocol=protocol))


class Library(ABC):
    """A library on an empty Redis.

    Whatever a subclass does not define, the library does not offer. Everything expires after `TTL_SECONDS`, where
    it can.

    Args:
        opening: How it is opened.

    Attributes:
        protocol: The protocol of the client that it is measured with; `None` for redis-py's default.
        takes_client: Whether a client of the caller's can be given.
        takes_ttl: Whether it can let things expire.
        by_vectors: Whether `recall` compares vectors alone.
    """

    protocol: int | None = None
    takes_client = takes_ttl = by_vectors = True

    def __init__(self, opening: Opening) -> None:
        self.opening = opening

    def append(self, session: str, messages: Sequence[BaseMessage]) -> None:
        """Append messages to a session."""
        raise NotOfferedError(MESSAGES)

    def read(self, session: str, count: int) -> list[BaseMessage]:
        """Return a session's newest `count` messages, oldest first."""
        raise NotOfferedError(MESSAGES)

    def clear(self, session: str) -> None:
        """Delete a session's messages."""
        raise NotOfferedError(MESSAGES)

    @abstractmethod
    def load(self, user: str, texts: Sequence[str]) -> None:
        """Remember many texts, in as few calls as the library allows."""

    @abstractmethod
    def remember(self, user: str, text: str) -> Any:
        """Remember a text, and return what `forget` takes."""

    def remember_as(self, user: str, text: str, key: str) -> None:
        """Remember a text under a key that the caller chooses."""
        raise NotOfferedError("chooses keys itself")

    @abstractmethod
    def forget(self, user: str, remembered: Any) -> None:
        """Delete a memory."""

    @abstractmethod
    def recall(self, user: str, text: str, k: int) -> list[str]:
        """Return the texts of the `k` memories of a user that are nearest to a text, by vectors if it can."""

    def recall_by_default(self, user: str, text: str, k: int) -> list[str]:
        """Return what the library recalls when nothing is said about how, if that is not by vectors."""
        raise NotOfferedError("recalls by vectors alone")

    def turn(
        self, session: str, user: str, messages: Sequence[BaseMessage], text: str, k: int
    ) -> tuple[list[BaseMessage], list[str], Any]:
        """Read 20 messages, recall, append, remember; return the messages, the texts, and what was remembered."""
        read, recalled = self.read(session, 20), self.recall(user, text, k)
        self.append(session, messages)
        return read, recalled, self.remember(user, text)

    def close(self) -> None:  # noqa: B027 - most libraries have nothing to close
        """Close what the library opened."""


class HistoryLibrary(Library):
    """A library that keeps messages in chat histories of LangChain's kind."""

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        self._histories: dict[str, BaseChatMessageHistory] = {}

    @abstractmethod
    def new_history(self, session: str) -> BaseChatMessageHistory:
        """Return a session's history; it is asked for once per session."""

    def history(self, session: str) -> BaseChatMessageHistory:
        """Return a session's history."""
        if session not in self._histories:
            self._histories[session] = self.new_history(session)
        return self._histories[session]

    def append(self, session: str, messages: Sequence[BaseMessage]) -> None:
        """Append messages to a session."""
        self.history(session).add_messages(messages)

    def read(self, session: str, count: int) -> list[BaseMessage]:
        """Return a session's newest `count` messages, oldest first."""
        return self.history(session).messages[-count:]

    def clear(self, session: str) -> None:
        """Delete a session's messages."""
        self.history(session).clear()
