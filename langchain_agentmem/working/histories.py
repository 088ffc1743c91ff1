"""LangChain chat histories over a session Hash or a list. Adapters: the work is done in `operations`.

`BaseChatMessageHistory` is deprecated since langchain-core 1.6.4 and leaves in 2.0; nothing else in
this package depends on it.
"""

from __future__ import annotations

import uuid
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import BaseMessage

from langchain_agentmem.core.checks import Ttl, given, positive, scope
from langchain_agentmem.core.checks import ttl as checked_ttl
from langchain_agentmem.core.messages import checked_messages, encode_entry
from langchain_agentmem.core.operations import Op
from langchain_agentmem.transport.connected import Connected
from langchain_agentmem.transport.connections import Transport
from langchain_agentmem.working import operations
from langchain_agentmem.working.working_memory import WorkingMemory

if TYPE_CHECKING:
    import redis
    import redis.asyncio


class _RedisHistory(Connected, BaseChatMessageHistory):
    """What both histories share: a session id, and three operations run synchronously or not."""

    session_id: str
    memory_key: str

    @abstractmethod
    def _read(self) -> Op[list[BaseMessage]]: ...

    @abstractmethod
    def _append(self, messages: Sequence[BaseMessage]) -> Op[int]: ...

    @abstractmethod
    def _delete(self) -> Op[bool]: ...

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]  # a plain attribute in the base class
        """The stored messages, oldest first. One round trip at every access."""
        return self.transport.run(self._read())

    async def aget_messages(self) -> list[BaseMessage]:
        """Async version of `messages`."""
        return await self.transport.arun(self._read())

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Append messages, trim and refresh: one atomic round trip, however many they are.

        Raises:
            MessageNotStorableError: A message would not come back equal; none was written.
        """
        if messages:
            self.transport.run(self._append(messages))

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Async version of `add_messages`."""
        if messages:
            await self.transport.arun(self._append(messages))

    def clear(self) -> None:
        """Delete the session."""
        self.transport.run(self._delete())

    async def aclear(self) -> None:
        """Async version of `clear`."""
        await self.transport.arun(self._delete())

    def __repr__(self) -> str:
        return f"{type(self).__name__}(session_id={self.session_id!r})"


class RedisHashChatMessageHistory(_RedisHistory):
    """A chat history in the session Hash of `WorkingMemory`.

    Args:
        session_id: The thread; a random one if not given, readable as `.session_id`.
        session_ttl: Seconds an idle session lives, refreshed by every write; `None` for ever.
        memory_key: The chain's variable for the history; it is no part of the key.
        max_messages: The window; `None` keeps all.
        key_prefix: What stands before the session id in the key.
        user: Whose session it is, if this history begins it.
        url: A Redis URL, or `embedded://`; or hand in clients.
        client: A sync client of yours; it is neither changed nor closed.
        async_client: An async client of yours.
        transport: What another object of this package already connects with.
        socket_timeout_seconds: After this, a silent server is an error.
    """

    def __init__(
        self,
        session_id: str | None = None,
        session_ttl: Ttl = ...,
        memory_key: str = "chat_history",
        max_messages: int | None = 20,
        key_prefix: str = "agent:session:",
        *,
        user: str = "default",
        url: str | None = None,
        client: redis.Redis | None = None,
        async_client: redis.asyncio.Redis | None = None,
        transport: Transport | None = None,
        socket_timeout_seconds: float = 5.0,
    ) -> None:
        self.session_id = scope("session_id", uuid.uuid4().hex if session_id is None else session_id)
        self.memory_key = memory_key
        self._user = scope("user", user)
        self._working = WorkingMemory(
            url,
            client=client,
            async_client=async_client,
            transport=transport,
            ttl_seconds=given(session_ttl, 3600),
            max_turns=max_messages,
            key_prefix=key_prefix,
            socket_timeout_seconds=socket_timeout_seconds,
        )
        self.transport, self._owned = self._working.transport, transport is None

    def _read(self) -> Op[list[BaseMessage]]:
        return self._working.messages_op(self.session_id)

    def _append(self, messages: Sequence[BaseMessage]) -> Op[int]:
        return self._working.append_op(self.session_id, messages, user=self._user)

    def _delete(self) -> Op[bool]:
        return operations.delete(self._working.key(self.session_id), "hash")


class RedisListChatMessageHistory(_RedisHistory):
    """A chat history in a bare list, newest first, as the Flowise node and LangChain.js keep it.

    The key is the session id with nothing before it, unless `key_prefix` says otherwise
    (`message_store:` reads what langchain-community wrote). Chunks are stored as whole messages,
    because JavaScript cannot read chunks.

    Args:
        session_id: The session; a random one if not given, readable as `.session_id`.
        session_ttl: Seconds the list lives after a write; `None` never sets an expiry.
        memory_key: The chain's variable for the history; it is no part of the key.
        max_messages: How many messages are kept; `None` keeps all.
        key_prefix: What stands before the session id in the key.
        url: A Redis URL, or `embedded://`; or hand in clients.
        client: A sync client of yours; it is neither changed nor closed.
        async_client: An async client of yours.
        transport: What another object of this package already connects with.
        socket_timeout_seconds: After this, a silent server is an error.
    """

    def __init__(
        self,
        session_id: str | None = None,
        session_ttl: int | None = None,
        memory_key: str = "chat_history",
        max_messages: int | None = None,
        key_prefix: str = "",
        *,
        url: str | None = None,
        client: redis.Redis | None = None,
        async_client: redis.asyncio.Redis | None = None,
        transport: Transport | None = None,
        socket_timeout_seconds: float = 5.0,
    ) -> None:
        self.session_id = scope("session_id", uuid.uuid4().hex if session_id is None else session_id)
        self.memory_key = memory_key
        self._key = key_prefix + self.session_id
        self._ttl_seconds = checked_ttl("session_ttl", session_ttl)
        self._max_messages = None if max_messages is None else positive("max_messages", max_messages)
        self._connect(transport, url, client, async_client, socket_timeout_seconds)

    def _read(self) -> Op[list[BaseMessage]]:
        return operations.list_messages(self._key)

    def _append(self, messages: Sequence[BaseMessage]) -> Op[int]:
        entries = [encode_entry(message) for message in checked_messages(messages)]
        return operations.push_messages(self._key, entries, self._ttl_seconds, self._max_messages)

    def _delete(self) -> Op[bool]:
        return operations.delete(self._key, "list")
