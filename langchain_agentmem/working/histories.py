"""LangChain chat histories over a session Hash or a list. Adapters: the work is done in `operations`.

`BaseChatMessageHistory` is deprecated since langchain-core 1.6.4 and leaves in 2.0; nothing else in
this package depends on it.
"""

from __future__ import annotations

import uuid
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import BaseMessage
from typing_extensions import Self

from langchain_agentmem.core.checks import Ttl, given, positive, validate_id
from langchain_agentmem.core.checks import ttl as checked_ttl
from langchain_agentmem.core.keys import Keys, refuse_taken
from langchain_agentmem.core.messages import checked_messages, encode_entry
from langchain_agentmem.core.node_parameters import NodeParameters
from langchain_agentmem.core.operations import Op, call, reads
from langchain_agentmem.errors import ConfigurationError
from langchain_agentmem.transport.connected import Connected
from langchain_agentmem.transport.connections import Transport
from langchain_agentmem.working import operations
from langchain_agentmem.working.session import check_owner
from langchain_agentmem.working.working_memory import WorkingMemory

if TYPE_CHECKING:
    import redis
    import redis.asyncio
    import upstash_redis
    import upstash_redis.asyncio


class _History(Connected, BaseChatMessageHistory):
    """What all histories share: a session id, and three operations run synchronously or not.

    Each operation takes another session's id too, as the Flowise nodes do.
    """

    session_id: str
    memory_key: str

    @abstractmethod
    def _read(self, session_id: str) -> Op[list[BaseMessage]]: ...

    @abstractmethod
    def _append(self, session_id: str, messages: Sequence[BaseMessage]) -> Op[int]: ...

    @abstractmethod
    def _delete(self, session_id: str) -> Op[bool]: ...

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]  # a plain attribute in the base class
        """The stored messages, oldest first. One round trip at every access."""
        return self.get_messages()

    def get_messages(self, session_id: str | None = None) -> list[BaseMessage]:
        """The messages of this session, or of another, oldest first. One round trip."""
        return self.transport.run(self._read(self._id(session_id)))

    async def aget_messages(self, session_id: str | None = None) -> list[BaseMessage]:
        """Async version of `get_messages`."""
        return await self.transport.arun(self._read(self._id(session_id)))

    def add_messages(self, messages: Sequence[BaseMessage], session_id: str | None = None) -> None:
        """Append messages, trim and refresh: one atomic round trip, however many they are.

        Raises:
            MessageNotStorableError: A message would not come back equal; none was written.
        """
        if messages:
            self.transport.run(self._append(self._id(session_id), messages))

    async def aadd_messages(self, messages: Sequence[BaseMessage], session_id: str | None = None) -> None:
        """Async version of `add_messages`."""
        if messages:
            await self.transport.arun(self._append(self._id(session_id), messages))

    def clear(self, session_id: str | None = None) -> None:
        """Delete this session, or another."""
        self.transport.run(self._delete(self._id(session_id)))

    async def aclear(self, session_id: str | None = None) -> None:
        """Async version of `clear`."""
        await self.transport.arun(self._delete(self._id(session_id)))

    def _id(self, session_id: str | None) -> str:
        return self.session_id if session_id is None else validate_id("session_id", session_id)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(session_id={self.session_id!r})"


class RedisHashChatMessageHistory(_History):
    """A chat history in the session Hash of `WorkingMemory`.

    Args:
        session_id: The thread; a random one if not given, readable as `.session_id`.
        session_ttl: Seconds an idle session lives, refreshed by every write; `None` for ever.
        memory_key: The chain's variable for the history; it is no part of the key.
        max_messages: The window; `None` keeps all.
        key_prefix: What stands before the session id in the key.
        threads_prefix: What stands before the user in the key of a user's record of threads; as in
            `WorkingMemory`, if not given.
        threads_ttl_seconds: How long that record lives after a write at least.
        user: Who reads and writes; whose session it is, if this history begins it. If a user is named, a
            session of another user is refused with `WrongOwnerError`.
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
        threads_prefix: str | None = None,
        threads_ttl_seconds: Ttl = ...,
        user: str = "default",
        url: str | None = None,
        client: redis.Redis | None = None,
        async_client: redis.asyncio.Redis | None = None,
        transport: Transport | None = None,
        socket_timeout_seconds: float = 5.0,
    ) -> None:
        self.session_id = validate_id("session_id", uuid.uuid4().hex if session_id is None else session_id)
        self.memory_key = memory_key
        self._user = validate_id("user", user)
        self._working = WorkingMemory(
            url,
            client=client,
            async_client=async_client,
            transport=transport,
            ttl_seconds=given(session_ttl, 3600),
            max_turns=max_messages,
            key_prefix=key_prefix,
            threads_prefix=threads_prefix,
            threads_ttl_seconds=threads_ttl_seconds,
            socket_timeout_seconds=socket_timeout_seconds,
        )
        self.transport, self._owned = self._working.transport, transport is None

    def _read(self, session_id: str) -> Op[list[BaseMessage]]:
        return self._working.messages_op(session_id, None if self._user == "default" else self._user)

    def _append(self, session_id: str, messages: Sequence[BaseMessage]) -> Op[int]:
        return self._working.append_op(session_id, messages, user=self._user)

    def _delete(self, session_id: str) -> Op[bool]:
        key = self._working.key(session_id)
        if self._user != "default":
            check_owner((yield from call(reads("HGET", key, "user"))), self._user)
        return (yield from operations.delete(key, "hash"))


class _ListHistory(_History):
    """A history in a list, newest first, whatever it is connected by."""

    def __init__(
        self,
        session_id: str | None,
        session_ttl: int | None,
        memory_key: str,
        max_messages: int | None,
        key_prefix: str,
        window: int | None,
    ) -> None:
        self.session_id = validate_id("session_id", uuid.uuid4().hex if session_id is None else session_id)
        self.memory_key = memory_key
        self._key_prefix = key_prefix
        self._ttl_seconds = checked_ttl("session_ttl", session_ttl)
        self._max_messages = None if max_messages is None else positive("max_messages", max_messages)
        self._window = None if window is None else positive("window", window)

    @classmethod
    def from_node(cls, inputs: Mapping[str, Any], credential: Mapping[str, Any] | None = None) -> Self:
        """A history from the parameters of a Flowise node, under the node's own names.

        Numbers may be texts, and what is blank is unset: no session id makes a random one, no TTL keeps
        a session for ever. `windowSize` limits what is read; nothing is deleted.

        Args:
            inputs: `baseURL`, `sessionId`, `sessionTTL`, `memoryKey`, `windowSize`.
            credential: `upstashRestToken`; or `redisUrl`; or `redisCacheHost` and, as needed,
                `redisCachePort`, `redisCacheUser`, `redisCachePwd`, `redisCacheSslEnabled`.

        Raises:
            ConfigurationError: A name is unknown, or a value is not usable.
        """
        node = NodeParameters.read(inputs, credential)
        if node.token is not None and cls is RedisListChatMessageHistory:
            raise ConfigurationError(
                "These are the parameters of the Upstash node: use UpstashChatMessageHistory.from_node."
            )
        options: dict[str, Any] = {"url": node.url} | ({"token": node.token} if node.token else {})
        return cls(
            node.session_id,
            node.session_ttl,
            node.memory_key,
            window=node.window,
            **options,
        )

    def _key(self, session_id: str) -> str:
        key = self._key_prefix + session_id
        refuse_taken("session_id", key, Keys().prefixes)
        return key

    def _read(self, session_id: str) -> Op[list[BaseMessage]]:
        return operations.list_messages(operations.Listed(self._key(session_id), self._window))

    def _append(self, session_id: str, messages: Sequence[BaseMessage]) -> Op[int]:
        entries = [encode_entry(message) for message in checked_messages(messages)]
        key = self._key(session_id)
        return operations.push_messages(key, entries, self._ttl_seconds, self._max_messages)

    def _delete(self, session_id: str) -> Op[bool]:
        return operations.delete(self._key(session_id), "list")


class RedisListChatMessageHistory(_ListHistory):
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
        window: How many of the newest messages are read; `None` reads all.
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
        window: int | None = None,
        url: str | None = None,
        client: redis.Redis | None = None,
        async_client: redis.asyncio.Redis | None = None,
        transport: Transport | None = None,
        socket_timeout_seconds: float = 5.0,
    ) -> None:
        super().__init__(session_id, session_ttl, memory_key, max_messages, key_prefix, window)
        self._connect(transport, url, client, async_client, socket_timeout_seconds)


class UpstashChatMessageHistory(_ListHistory):
    """A chat history in a list on Upstash, over its REST API: the sessions of the Flowise node.

    Byte for byte what `UpstashRedisChatMessageHistory` of LangChain.js stores, so that both sides read
    and write the same sessions. The key is the session id with nothing before it, unless `key_prefix`
    says otherwise (`message_store:` reads what langchain-community wrote). An operation is one request.

    Args:
        session_id: The session; a random one if not given, readable as `.session_id`.
        session_ttl: Seconds the list lives after a write; `None` never sets an expiry.
        memory_key: The chain's variable for the history; it is no part of the key.
        max_messages: How many messages are kept; `None` keeps all.
        key_prefix: What stands before the session id in the key.
        window: How many of the newest messages are read; `None` reads all.
        url: The REST URL, `https://….upstash.io`; if nothing is given, `UPSTASH_REDIS_REST_URL`.
        token: Its token; if nothing is given, `UPSTASH_REDIS_REST_TOKEN`.
        client: An `upstash_redis.Redis` of yours, whose address and token are taken.
        async_client: An `upstash_redis.asyncio.Redis` of yours.
        transport: What another object of this package already connects with.
        socket_timeout_seconds: After this, a silent server is an error.

    Raises:
        ConfigurationError: The URL, the token or a client is missing or not usable.
    """

    _on_redis = "RedisListChatMessageHistory"

    def __init__(
        self,
        session_id: str | None = None,
        session_ttl: int | None = None,
        memory_key: str = "chat_history",
        max_messages: int | None = None,
        key_prefix: str = "",
        *,
        window: int | None = None,
        url: str | None = None,
        token: str | None = None,
        client: upstash_redis.Redis | None = None,
        async_client: upstash_redis.asyncio.Redis | None = None,
        transport: Transport | None = None,
        socket_timeout_seconds: float = 5.0,
    ) -> None:
        super().__init__(session_id, session_ttl, memory_key, max_messages, key_prefix, window)
        self._connect_rest(transport, url, client, async_client, socket_timeout_seconds, token)
