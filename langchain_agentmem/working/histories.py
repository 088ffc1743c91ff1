"""LangChain chat histories over a session Hash or a list. Adapters: the work is done in `operations`.

`BaseChatMessageHistory` is deprecated since langchain-core 1.6.4 and leaves in 2.0; nothing else in
this package depends on it.
"""

from __future__ import annotations

import logging
import uuid
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import BaseMessage
from typing_extensions import Self

from langchain_agentmem.core.checks import Ttl, positive, ttl, validate_id
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.messages import checked_messages, encode_entry
from langchain_agentmem.core.node_parameters import MEMORY_KEY, NodeParameters
from langchain_agentmem.core.operations import Op, call, gather, ok, reads
from langchain_agentmem.errors import ConfigurationError, StoreError, SummaryError
from langchain_agentmem.transport.connected import Connected
from langchain_agentmem.transport.connections import SOCKET_TIMEOUT_SECONDS, Transport
from langchain_agentmem.working import editing, operations
from langchain_agentmem.working.config import SummariseWhen, WorkingMemoryConfig
from langchain_agentmem.working.session import Window, check_owner
from langchain_agentmem.working.summaries import Summariser, is_summary_message, with_summary
from langchain_agentmem.working.working_memory import WorkingMemory

if TYPE_CHECKING:
    import redis
    import redis.asyncio
    import upstash_redis
    import upstash_redis.asyncio


logger = logging.getLogger("langchain_agentmem")


class _History(Connected, BaseChatMessageHistory):
    """The base of all histories: a session id, and three operations, run synchronously or not.

    Each operation takes another session's id too, as the Flowise nodes do.
    """

    def __init__(self, session_id: str | None, memory_key: str) -> None:
        self.session_id = validate_id("session_id", uuid.uuid4().hex if session_id is None else session_id)
        self.memory_key = memory_key

    @abstractmethod
    def _read(self, session_id: str) -> Op[list[BaseMessage]]: ...

    @abstractmethod
    def _append(self, session_id: str, messages: Sequence[BaseMessage]) -> Op[int]: ...

    @abstractmethod
    def _delete(self, session_id: str) -> Op[bool]: ...

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]  # a plain attribute in the base class
        """Return the stored messages, oldest first. One round trip per access.

        If the session has a summary of what has left its window, a system message with it comes first. It is
        not stored if it is added again.
        """
        return self.get_messages()

    def get_messages(self, session_id: str | None = None) -> list[BaseMessage]:
        """Return the messages of this session, or of another, oldest first. One round trip."""
        return self.transport.run(self._read(self._id(session_id)))

    async def aget_messages(self, session_id: str | None = None) -> list[BaseMessage]:
        """Async version of `get_messages`."""
        return await self.transport.arun(self._read(self._id(session_id)))

    def add_messages(self, messages: Sequence[BaseMessage], session_id: str | None = None) -> None:
        """Append messages, trim, extend the TTL. One atomic round trip, however many they are.

        A `RemoveMessage` removes what has its id, among the stored messages and those before it, in an atomic
        write and a round trip more; with langgraph's `REMOVE_ALL_MESSAGES` as its id, all of them. If there
        is no such message, it does nothing.

        Raises:
            MessageNotStorableError: A message would not come back equal; none was written.
        """
        if messages := _said(messages):
            self.transport.run(self._append(self._id(session_id), messages))

    async def aadd_messages(self, messages: Sequence[BaseMessage], session_id: str | None = None) -> None:
        """Async version of `add_messages`."""
        if messages := _said(messages):
            await self.transport.arun(self._append(self._id(session_id), messages))

    def clear(self, session_id: str | None = None) -> None:
        """Delete this session, or another. One round trip."""
        self.transport.run(self._delete(self._id(session_id)))

    async def aclear(self, session_id: str | None = None) -> None:
        """Async version of `clear`."""
        await self.transport.arun(self._delete(self._id(session_id)))

    def _id(self, session_id: str | None) -> str:
        return self.session_id if session_id is None else validate_id("session_id", session_id)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(session_id={self.session_id!r})"


def _said(messages: Sequence[BaseMessage]) -> Sequence[BaseMessage]:
    """Return the messages without a summary that was read from a history."""
    if not any(map(is_summary_message, checked_messages(messages))):
        return messages
    return [message for message in messages if not is_summary_message(message)]


def _with_summary(window: Op[Window]) -> Op[list[BaseMessage]]:
    found = yield from window
    return with_summary(found.summary, found.messages)


def _folded(working: WorkingMemory, session_id: str, append: Op[int]) -> Op[int]:
    """Append, then fold what has left the window, if that is to be done inline; a failure of it is logged."""
    count = yield from append
    if working.config.folds_inline:
        try:
            yield from working.fold_op(session_id)
        except (SummaryError, StoreError) as error:  # the messages are stored, and what waits waits on
            logger.warning("What has left the window of session %r is not summed up: %s", session_id, error)
    return count


class RedisHashChatMessageHistory(_History):
    """A chat history in the session Hash of `WorkingMemory`.

    Defaults are those of `WorkingMemory`.

    Args:
        session_id: The thread; a random one if not given, readable as `.session_id`.
        session_ttl: The TTL of an idle session in seconds, extended by every write; `None` for none.
        memory_key: The chain's variable for the history; it is no part of the key.
        max_messages: The window: how many messages are kept; `None` for all.
        key_prefix: What stands before the session id in the key.
        threads_prefix: What stands before the user in the key of a user's record of threads; as in
            `WorkingMemory`, if not given.
        threads_ttl_seconds: The least TTL of that record after a write.
        user: Who reads and writes; whose session it is, if this history begins it. A session of another
            user is refused with `WrongOwnerError`, except to `default`, who is nobody in particular.
        summarise: Who folds what leaves the window into the session's summary, as in `WorkingMemory`; so are
            `summarise_when`, `max_waiting` and `partitions`.
        url: A Redis URL, or `embedded://`; or pass clients.
        client: A caller-supplied sync client; it is neither changed nor closed.
        async_client: A caller-supplied async client.
        transport: What another object of this package already connects with.
        socket_timeout_seconds: After this, a silent server is an error.

    Raises:
        ConfigurationError: The URL or a client is not usable.
        InvalidInputError: The session id or the user is not one, or a number is not above zero.
    """

    def __init__(
        self,
        session_id: str | None = None,
        session_ttl: Ttl = WorkingMemoryConfig.ttl_seconds,
        memory_key: str = MEMORY_KEY,
        max_messages: int | None = WorkingMemoryConfig.max_turns,
        key_prefix: str = WorkingMemoryConfig.key_prefix,
        *,
        threads_prefix: str | None = WorkingMemoryConfig.threads_prefix,
        threads_ttl_seconds: Ttl = WorkingMemoryConfig.threads_ttl_seconds,
        user: str = "default",
        summarise: Summariser | None = WorkingMemoryConfig.summarise,
        summarise_when: SummariseWhen = WorkingMemoryConfig.summarise_when,
        max_waiting: int = WorkingMemoryConfig.max_waiting,
        partitions: int | None = WorkingMemoryConfig.partitions,
        url: str | None = None,
        client: redis.Redis | redis.RedisCluster | None = None,
        async_client: redis.asyncio.Redis | redis.asyncio.RedisCluster | None = None,
        transport: Transport | None = None,
        socket_timeout_seconds: float = SOCKET_TIMEOUT_SECONDS,
    ) -> None:
        super().__init__(session_id, memory_key)
        self._user = validate_id("user", user)
        self._working = WorkingMemory(
            url,
            client=client,
            async_client=async_client,
            transport=transport,
            ttl_seconds=session_ttl if session_ttl is ... else ttl("session_ttl", session_ttl),
            max_turns=None if max_messages is None else positive("max_messages", max_messages),
            key_prefix=key_prefix,
            threads_prefix=threads_prefix,
            threads_ttl_seconds=threads_ttl_seconds,
            summarise=summarise,
            summarise_when=summarise_when,
            max_waiting=max_waiting,
            partitions=partitions,
            socket_timeout_seconds=socket_timeout_seconds,
        )
        self.transport, self._owned = self._working.transport, transport is None

    def _read(self, session_id: str) -> Op[list[BaseMessage]]:
        user = None if self._user == "default" else self._user
        return _with_summary(self._working.window_op(session_id, user))

    def _append(self, session_id: str, messages: Sequence[BaseMessage]) -> Op[int]:
        append = self._working.append_op(session_id, messages, user=self._user)
        return _folded(self._working, session_id, append)

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
        trim: bool,
    ) -> None:
        super().__init__(session_id, memory_key)
        self._working: WorkingMemory | None = None
        self._keys = Keys(list_prefix=key_prefix)
        self._ttl_seconds = ttl("session_ttl", session_ttl)
        self._max_messages = None if max_messages is None else positive("max_messages", max_messages)
        self._trim = trim

    @classmethod
    def from_node(cls, inputs: Mapping[str, Any], credential: Mapping[str, Any] | None = None) -> Self:
        """Return a history from the parameters of a Flowise node, under the node's own names.

        Numbers may be texts, and what is blank is unset: without a session id there is a random one, without
        a TTL a session does not expire. `windowSize` limits what is read; nothing is deleted.

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
            node.max_messages,
            trim=False,
            **options,
        )

    def with_sessions(self, working: WorkingMemory) -> Self:
        """Return this history as one of these sessions, whose Hashes hold the summaries of their lists."""
        self._working = working
        return self

    def _key(self, session_id: str) -> str:
        return self._keys.messages(session_id, "session_id")

    def _read(self, session_id: str) -> Op[list[BaseMessage]]:
        if self._working is not None:
            return _with_summary(self._working.window_op(session_id))
        return operations.list_messages(self._key(session_id), self._max_messages)

    def _append(self, session_id: str, messages: Sequence[BaseMessage]) -> Op[int]:
        key, kept = self._key(session_id), self._max_messages if self._trim else None
        if editing.has_removals(checked_messages(messages)):
            plan = editing.removing(messages, encode_entry)
            return operations.edit_list(key, plan, self._ttl_seconds, kept)
        entries = [encode_entry(message) for message in messages]
        push = operations.push_messages(key, entries, self._ttl_seconds, kept)
        return push if self._working is None else _folded(self._working, session_id, push)

    def _delete(self, session_id: str) -> Op[bool]:
        delete = operations.delete(self._key(session_id), "list")
        drop = [] if self._working is None else [self._working.drop_summary_op(session_id)]
        deleted, *_ = map(ok, (yield from gather([delete, *drop])))
        return bool(deleted)


class RedisListChatMessageHistory(_ListHistory):
    """A chat history in a bare list, newest first, as the Flowise node and LangChain.js keep it.

    The key is the session id with nothing before it, unless `key_prefix` says otherwise
    (`message_store:` reads what langchain-community wrote). Chunks are stored as whole messages,
    because JavaScript cannot read chunks. An operation is one round trip.

    Args:
        session_id: The session; a random one if not given, readable as `.session_id`.
        session_ttl: The TTL of the list in seconds, extended by every write; `None` sets none.
        memory_key: The chain's variable for the history; it is no part of the key.
        max_messages: The window: how many of the newest messages are read, and kept; `None` for all.
        key_prefix: What stands before the session id in the key.
        trim: Whether a write deletes what is older than the window. If not, all is kept.
        url: A Redis URL, or `embedded://`; or pass clients.
        client: A caller-supplied sync client; it is neither changed nor closed.
        async_client: A caller-supplied async client.
        transport: What another object of this package already connects with.
        socket_timeout_seconds: After this, a silent server is an error.

    Raises:
        ConfigurationError: The URL or a client is not usable.
        InvalidInputError: The session id is not one, or a number is not above zero.
    """

    def __init__(
        self,
        session_id: str | None = None,
        session_ttl: int | None = None,
        memory_key: str = MEMORY_KEY,
        max_messages: int | None = None,
        key_prefix: str = WorkingMemoryConfig.list_prefix,
        *,
        trim: bool = True,
        url: str | None = None,
        client: redis.Redis | redis.RedisCluster | None = None,
        async_client: redis.asyncio.Redis | redis.asyncio.RedisCluster | None = None,
        transport: Transport | None = None,
        socket_timeout_seconds: float = SOCKET_TIMEOUT_SECONDS,
    ) -> None:
        super().__init__(session_id, session_ttl, memory_key, max_messages, key_prefix, trim)
        self._connect(transport, url, client, async_client, socket_timeout_seconds)


class UpstashChatMessageHistory(_ListHistory):
    """A chat history in a list on Upstash, over its REST API: the sessions of the Flowise node.

    Byte for byte what `UpstashRedisChatMessageHistory` of LangChain.js stores, so that both sides read
    and write the same sessions. The key is the session id with nothing before it, unless `key_prefix`
    says otherwise (`message_store:` reads what langchain-community wrote). An operation is one request.

    Args:
        session_id: The session; a random one if not given, readable as `.session_id`.
        session_ttl: The TTL of the list in seconds, extended by every write; `None` sets none.
        memory_key: The chain's variable for the history; it is no part of the key.
        max_messages: The window: how many of the newest messages are read, and kept; `None` for all.
        key_prefix: What stands before the session id in the key.
        trim: Whether a write deletes what is older than the window. If not, all is kept.
        url: The REST URL, `https://….upstash.io`; if nothing is given, `UPSTASH_REDIS_REST_URL`.
        token: Its token; if nothing is given, `UPSTASH_REDIS_REST_TOKEN`.
        client: A caller-supplied `upstash_redis.Redis`, whose address and token are taken.
        async_client: A caller-supplied `upstash_redis.asyncio.Redis`.
        transport: What another object of this package already connects with.
        socket_timeout_seconds: After this, a silent server is an error.

    Raises:
        ConfigurationError: The URL, the token or a client is missing or not usable.
        InvalidInputError: The session id is not one, or a number is not above zero.
    """

    _on_redis = "RedisListChatMessageHistory"

    def __init__(
        self,
        session_id: str | None = None,
        session_ttl: int | None = None,
        memory_key: str = MEMORY_KEY,
        max_messages: int | None = None,
        key_prefix: str = WorkingMemoryConfig.list_prefix,
        *,
        trim: bool = True,
        url: str | None = None,
        token: str | None = None,
        client: upstash_redis.Redis | None = None,
        async_client: upstash_redis.asyncio.Redis | None = None,
        transport: Transport | None = None,
        socket_timeout_seconds: float = SOCKET_TIMEOUT_SECONDS,
    ) -> None:
        super().__init__(session_id, session_ttl, memory_key, max_messages, key_prefix, trim)
        self._connect_rest(transport, url, client, async_client, socket_timeout_seconds, token)
