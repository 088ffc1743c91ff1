"""`WorkingMemory`: the sessions of one key prefix, each a Hash (and a list, if asked) with a sliding TTL."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from langchain_core.messages import BaseMessage

from langchain_agentmem.core.checks import Ttl, given
from langchain_agentmem.core.partition_count import of_threads
from langchain_agentmem.errors import ConfigurationError
from langchain_agentmem.transport.connected import Connected
from langchain_agentmem.transport.connections import SOCKET_TIMEOUT_SECONDS, Transport
from langchain_agentmem.working.config import WorkingMemoryConfig
from langchain_agentmem.working.listing import SessionPage
from langchain_agentmem.working.operations import SessionOperations
from langchain_agentmem.working.session import SessionState
from langchain_agentmem.working.summaries import Summariser

if TYPE_CHECKING:
    import redis
    import redis.asyncio


class WorkingMemory(SessionOperations, Connected):
    """The conversations, by thread: a window of messages, a goal, a scratchpad.

    Every write is one atomic step on the server that also extends the TTL, so writers on the same thread
    never lose each other's messages. The constructor does no I/O.

    Args:
        url: A Redis URL, or `embedded://`; or pass clients.
        client: A caller-supplied sync client; it is neither changed nor closed.
        async_client: A caller-supplied async client.
        transport: What another object of this package already connects with.
        ttl_seconds: The TTL of an idle session, extended by every write; `None` for none. If not given:
            3600, and none in a list.
        max_turns: The window, in messages; `None` for all.
        key_prefix: What stands before the thread id in a key.
        storage: `hash` keeps the messages in the session's Hash, and `max_turns` of them. `list` keeps all of
            them in a list beside it, as the Flowise node and LangChain.js do, and reads `max_turns`.
        list_prefix: What stands before the thread id in the key of such a list.
        threads_prefix: What stands before the user in the key of a user's record of threads. If not given:
            `agent:threads:`, and with another `key_prefix`, `threads:` and that.
        threads_ttl_seconds: The least TTL of that record after a write; if not given, that of the session.
            The events of a thread may outlive it.
        reserved_prefixes: What else other keys begin with: no list may be kept under such a key.
        summarise: Who folds what leaves the window into the session's summary: a function, sync or async, of
            the summary so far and the messages that leave, such as `model_summariser(model)`. Without one,
            what leaves is dropped.
        summarise_when: `inline` folds each time a wrapped chain, the middleware or a chat history has stored
            something, and the answer waits for that. With `background` it is folded when `fold` is called.
        max_waiting: How many messages wait at most to be folded; beyond that the oldest are dropped, and
            counted in the session's `dropped_count`. A list keeps them: so many are folded at once.
        partitions: In how many partitions the records of threads are. If not given: 256 on a cluster, else
            none. Everything that uses one key prefix needs the same number.
        token: The token of a REST database, for a URL of `https://`.
        socket_timeout_seconds: After this, a silent server is an error.

    Attributes:
        config: The options, checked.

    Raises:
        ConfigurationError: The URL, a client, the storage or the summariser is not usable.
        InvalidInputError: A number is not above zero.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        client: redis.Redis | redis.RedisCluster | None = None,
        async_client: redis.asyncio.Redis | redis.asyncio.RedisCluster | None = None,
        transport: Transport | None = None,
        ttl_seconds: Ttl = WorkingMemoryConfig.ttl_seconds,
        max_turns: int | None = WorkingMemoryConfig.max_turns,
        key_prefix: str = WorkingMemoryConfig.key_prefix,
        storage: Literal["hash", "list"] = WorkingMemoryConfig.storage,
        list_prefix: str = WorkingMemoryConfig.list_prefix,
        threads_prefix: str | None = WorkingMemoryConfig.threads_prefix,
        threads_ttl_seconds: Ttl = WorkingMemoryConfig.threads_ttl_seconds,
        reserved_prefixes: Sequence[str] = WorkingMemoryConfig.reserved_prefixes,
        summarise: Summariser | None = WorkingMemoryConfig.summarise,
        summarise_when: Literal["inline", "background"] = WorkingMemoryConfig.summarise_when,
        max_waiting: int = WorkingMemoryConfig.max_waiting,
        partitions: int | None = WorkingMemoryConfig.partitions,
        token: str | None = None,
        socket_timeout_seconds: float = SOCKET_TIMEOUT_SECONDS,
    ) -> None:
        config = WorkingMemoryConfig(
            ttl_seconds=given(ttl_seconds, WorkingMemoryConfig.ttl_seconds),
            max_turns=max_turns,
            key_prefix=key_prefix,
            storage=storage,
            list_prefix=list_prefix,
            threads_prefix=threads_prefix,
            threads_ttl_seconds=given(threads_ttl_seconds, WorkingMemoryConfig.threads_ttl_seconds),
            reserved_prefixes=reserved_prefixes,
            summarise=summarise,
            summarise_when=summarise_when,
            max_waiting=max_waiting,
            partitions=partitions,
        )
        self._connect(transport, url, client, async_client, socket_timeout_seconds, token)
        try:
            on_cluster = self.transport.cluster
            super().__init__(config.on(cluster=on_cluster), on_cluster=on_cluster)
            if self._keys.partitions:
                self.transport.partition_counts.add(of_threads(self._keys))
        except ConfigurationError:
            self.close()
            raise

    @property
    def ttl_seconds(self) -> int | None:
        """Return the TTL of an idle session; `None` for none."""
        return self.config.ttl_seconds

    @property
    def max_turns(self) -> int | None:
        """Return the window, in messages; `None` for all."""
        return self.config.max_turns

    @property
    def key_prefix(self) -> str:
        """Return what the key of a session begins with."""
        return self.config.key_prefix

    @property
    def list_prefix(self) -> str | None:
        """Return what the key of a session's list begins with; `None` if it has none."""
        return self.config.list_prefix if self.config.storage == "list" else None

    def new_thread_id(self) -> str:
        """Return a thread id that nobody has: 32 random hexadecimal digits."""
        return uuid.uuid4().hex

    def start(
        self,
        thread_id: str,
        user: str = "default",
        agent: str = "default",
        goal: str = "",
        ttl_seconds: Ttl = ...,
        *,
        check_owner: bool = True,
    ) -> SessionState:
        """Begin a session, or resume one: its messages stay. One round trip.

        In an existing session, a user, agent or goal that is given replaces the stored one.

        Args:
            thread_id: The thread.
            user: Whose session it is; `default` is nobody in particular.
            agent: Which agent's.
            goal: What the session is for.
            ttl_seconds: The session's own TTL from now on; `None` for none. If not given, it has that of this
                object.
            check_owner: Whether a session of another user is refused. If not, it becomes this user's.

        Returns:
            The session, with its window.

        Raises:
            InvalidInputError: An argument is not usable; nothing was sent.
            WrongOwnerError: The session belongs to another user; nothing was written.
        """
        return self.transport.run(self.start_op(thread_id, user, agent, goal, ttl_seconds, check_owner))

    async def astart(
        self,
        thread_id: str,
        user: str = "default",
        agent: str = "default",
        goal: str = "",
        ttl_seconds: Ttl = ...,
        *,
        check_owner: bool = True,
    ) -> SessionState:
        """Async version of `start`."""
        return await self.transport.arun(
            self.start_op(thread_id, user, agent, goal, ttl_seconds, check_owner)
        )

    def load(self, thread_id: str, *, user: str | None = None) -> SessionState | None:
        """Return the session, or `None` if there is none. One round trip; does not extend its TTL.

        Raises:
            WrongOwnerError: It belongs to another user than `user`.
        """
        return self.transport.run(self.load_op(thread_id, user))

    async def aload(self, thread_id: str, *, user: str | None = None) -> SessionState | None:
        """Async version of `load`."""
        return await self.transport.arun(self.load_op(thread_id, user))

    def append_turn(
        self,
        thread_id: str,
        role: str,
        content: str,
        *,
        ts: float | None = None,
        user: str = "default",
        agent: str = "default",
        check_owner: bool = True,
    ) -> SessionState:
        """Append a plain message and return the session. One atomic round trip.

        Args:
            thread_id: The thread.
            role: `user`, `assistant` or `system` (`human` and `ai` mean the first two).
            content: The text.
            ts: Its time, in epoch seconds; now, if not given. It does not change the order.
            user: Who writes; whose session it is, if this begins it. `default` is nobody in particular.
            agent: Which agent's, if this begins it.
            check_owner: Whether the session of another user than the one given is refused.

        Returns:
            The session after it.

        Raises:
            InvalidInputError: An argument is not usable; nothing was sent.
            MessageNotStorableError: The text would not come back equal; nothing was sent.
            WrongOwnerError: The session belongs to another user; nothing was written.
        """
        return self.transport.run(
            self.append_turn_op(
                thread_id, role, content, ts=ts, user=user, agent=agent, check_owner=check_owner
            )
        )

    async def aappend_turn(
        self,
        thread_id: str,
        role: str,
        content: str,
        *,
        ts: float | None = None,
        user: str = "default",
        agent: str = "default",
        check_owner: bool = True,
    ) -> SessionState:
        """Async version of `append_turn`."""
        return await self.transport.arun(
            self.append_turn_op(
                thread_id, role, content, ts=ts, user=user, agent=agent, check_owner=check_owner
            )
        )

    def append(
        self,
        thread_id: str,
        messages: Sequence[BaseMessage],
        *,
        user: str = "default",
        agent: str = "default",
        check_owner: bool = True,
    ) -> int:
        """Append any number of messages, trim to the window, extend the TTL. One atomic round trip.

        A `RemoveMessage` removes what has its id, among the stored messages and those before it, in an atomic
        write and a round trip more; with langgraph's `REMOVE_ALL_MESSAGES` as its id, all of them. If there
        is no such message, it does nothing.

        Args:
            thread_id: The thread.
            messages: LangChain messages, oldest first.
            user: Who writes; whose session it is, if this begins it. `default` is nobody in particular.
            agent: Which agent's, if this begins it.
            check_owner: Whether the session of another user than the one given is refused.

        Returns:
            The session's `turn_count`: how many messages it ever got.

        Raises:
            WrongOwnerError: The session belongs to another user; nothing was written.
            MessageNotStorableError: A message would not come back equal; none was written.
        """
        return self.transport.run(
            self.append_op(thread_id, messages, user=user, agent=agent, check_owner=check_owner)
        )

    async def aappend(
        self,
        thread_id: str,
        messages: Sequence[BaseMessage],
        *,
        user: str = "default",
        agent: str = "default",
        check_owner: bool = True,
    ) -> int:
        """Async version of `append`."""
        return await self.transport.arun(
            self.append_op(thread_id, messages, user=user, agent=agent, check_owner=check_owner)
        )

    def messages(self, thread_id: str, *, user: str | None = None) -> list[BaseMessage]:
        """Return the window, oldest first; empty for an unknown thread. One round trip.

        Raises:
            WrongOwnerError: The session belongs to another user than `user`.
        """
        return self.transport.run(self.messages_op(thread_id, user))

    async def amessages(self, thread_id: str, *, user: str | None = None) -> list[BaseMessage]:
        """Async version of `messages`."""
        return await self.transport.arun(self.messages_op(thread_id, user))

    def set_goal(
        self, thread_id: str, text: str, *, user: str = "default", check_owner: bool = True
    ) -> SessionState:
        """Set what the session is for. One round trip; begins the session if there is none.

        Args:
            thread_id: The thread.
            text: What it is from now on; empty for nothing.
            user: Who writes; whose session it is, if this begins it. `default` is nobody in particular.
            check_owner: Whether the session of another user than the one given is refused.

        Returns:
            The session after it.

        Raises:
            InvalidInputError: An argument is not usable; nothing was sent.
            WrongOwnerError: The session belongs to another user; nothing was written.
        """
        return self.transport.run(self.set_op("goal", thread_id, text, user=user, check_owner=check_owner))

    async def aset_goal(
        self, thread_id: str, text: str, *, user: str = "default", check_owner: bool = True
    ) -> SessionState:
        """Async version of `set_goal`."""
        return await self.transport.arun(
            self.set_op("goal", thread_id, text, user=user, check_owner=check_owner)
        )

    def set_scratchpad(
        self, thread_id: str, text: str, *, user: str = "default", check_owner: bool = True
    ) -> SessionState:
        """Set the agent's notes. One round trip; begins the session if there is none.

        Args:
            thread_id: The thread.
            text: What it is from now on; empty for nothing.
            user: Who writes; whose session it is, if this begins it. `default` is nobody in particular.
            check_owner: Whether the session of another user than the one given is refused.

        Returns:
            The session after it.

        Raises:
            InvalidInputError: An argument is not usable; nothing was sent.
            WrongOwnerError: The session belongs to another user; nothing was written.
        """
        return self.transport.run(
            self.set_op("scratchpad", thread_id, text, user=user, check_owner=check_owner)
        )

    async def aset_scratchpad(
        self, thread_id: str, text: str, *, user: str = "default", check_owner: bool = True
    ) -> SessionState:
        """Async version of `set_scratchpad`."""
        return await self.transport.arun(
            self.set_op("scratchpad", thread_id, text, user=user, check_owner=check_owner)
        )

    def add_note(
        self,
        thread_id: str,
        text: str,
        *,
        user: str = "default",
        agent: str = "default",
        check_owner: bool = True,
    ) -> SessionState:
        """Add a line to the agent's notes, in `scratchpad`. One atomic round trip.

        Notes that are added at the same time are all kept. They have 32,768 bytes together: beyond that, the
        oldest lines are dropped. Begins the session if there is none.

        Args:
            thread_id: The thread.
            text: The note; its line breaks become spaces.
            user: Who writes; whose session it is, if this begins it. `default` is nobody in particular.
            agent: Which agent's, if this begins it.
            check_owner: Whether the session of another user than the one given is refused.

        Returns:
            The session after it.

        Raises:
            InvalidInputError: The note is empty or too long, or an id is not valid; nothing was sent.
            WrongOwnerError: The session belongs to another user; nothing was written.
        """
        return self.transport.run(
            self.add_note_op(thread_id, text, user=user, agent=agent, check_owner=check_owner)
        )

    async def aadd_note(
        self,
        thread_id: str,
        text: str,
        *,
        user: str = "default",
        agent: str = "default",
        check_owner: bool = True,
    ) -> SessionState:
        """Async version of `add_note`."""
        return await self.transport.arun(
            self.add_note_op(thread_id, text, user=user, agent=agent, check_owner=check_owner)
        )

    def delete_messages(
        self, thread_id: str, messages: Sequence[BaseMessage | str], *, user: str | None = None
    ) -> int:
        """Delete messages of the session; goal, notes and `turn_count` stay. Two round trips.

        What others append meanwhile stays, and what is not there is no error. The write is atomic, and
        extends the TTL; nothing is written if there is nothing to delete.

        Args:
            thread_id: The thread.
            messages: Ids of messages, or messages. A message without an id is deleted by being equal; of
                equal ones, the newest is.
            user: Whose session it must be, if it is anybody's; `None` for whoever's it is.

        Returns:
            How many were deleted.

        Raises:
            InvalidInputError: An argument is not usable; nothing was sent.
            WrongOwnerError: The session belongs to another user; nothing was written.
        """
        return self.transport.run(self.delete_messages_op(thread_id, messages, user))

    async def adelete_messages(
        self, thread_id: str, messages: Sequence[BaseMessage | str], *, user: str | None = None
    ) -> int:
        """Async version of `delete_messages`."""
        return await self.transport.arun(self.delete_messages_op(thread_id, messages, user))

    def replace_messages(
        self,
        thread_id: str,
        messages: Sequence[BaseMessage],
        *,
        seen: Sequence[BaseMessage] | None = None,
        user: str | None = None,
    ) -> int:
        """Replace the messages of the session, as by a summary or by a part of them. Two round trips.

        Goal, notes and `turn_count` stay. Messages that are kept keep their times. What others append
        meanwhile stays, behind the new messages. The write is atomic, and extends the TTL.

        Args:
            thread_id: The thread.
            messages: What takes their place, oldest first.
            seen: The messages that these were made from, as they were read: what was appended since stays
                too. If not given, everything is replaced that is there when this begins.
            user: Whose session it must be, if it is anybody's; `None` for whoever's it is.

        Returns:
            The session's `turn_count`, which deleted messages stay counted in.

        Raises:
            InvalidInputError: An argument is not usable; nothing was sent.
            MessageNotStorableError: A message would not come back equal; nothing was sent.
            WrongOwnerError: The session belongs to another user; nothing was written.
        """
        return self.transport.run(self.replace_messages_op(thread_id, messages, seen, user))

    async def areplace_messages(
        self,
        thread_id: str,
        messages: Sequence[BaseMessage],
        *,
        seen: Sequence[BaseMessage] | None = None,
        user: str | None = None,
    ) -> int:
        """Async version of `replace_messages`."""
        return await self.transport.arun(self.replace_messages_op(thread_id, messages, seen, user))

    def fold(self, thread_id: str, *, user: str | None = None) -> int:
        """Fold what has left the session's window into its summary. Two round trips and the summariser.

        The summary is written only if nobody has changed meanwhile what it was made of, so of several that
        fold the same messages one does. Whatever ends in between, what waits waits on. Extends no TTL.

        Args:
            thread_id: The thread.
            user: Whose session it must be, if it is anybody's; `None` for whoever's it is.

        Returns:
            How many messages were folded; 0 if none waits, or another one has just folded them. Of a list at
            most `max_waiting`: call it again for more.

        Raises:
            ConfigurationError: There is no summariser.
            SummaryError: The summariser failed; nothing was written.
            WrongOwnerError: The session belongs to another user; nothing was read or written.
        """
        return self.transport.run(self.fold_op(thread_id, user))

    async def afold(self, thread_id: str, *, user: str | None = None) -> int:
        """Async version of `fold`."""
        return await self.transport.arun(self.fold_op(thread_id, user))

    def delete(self, thread_id: str) -> bool:
        """Delete the session; return whether there was one. One round trip."""
        return self.transport.run(self.delete_op(thread_id))

    async def adelete(self, thread_id: str) -> bool:
        """Async version of `delete`."""
        return await self.transport.arun(self.delete_op(thread_id))

    def list_threads(self, limit: int | None = 100) -> list[str]:
        """Return the ids of threads that have a session, in no order.

        SCANs the database: a round trip per 1,000 keys of it, and nothing is blocked meanwhile.

        Args:
            limit: How many at most; `None` for all.

        Raises:
            InvalidInputError: The limit is not above zero.
        """
        return self.transport.run(self.list_threads_op(limit))

    async def alist_threads(self, limit: int | None = 100) -> list[str]:
        """Async version of `list_threads`."""
        return await self.transport.arun(self.list_threads_op(limit))

    def list_sessions(self, *, user: str, limit: int = 20, cursor: str | None = None) -> SessionPage:
        """Return a user's sessions without their messages, those active last first.

        Reads the user's record of threads, so it finds only what this package wrote for the user, and looks
        at nobody else's. Two round trips; more if many of the user's sessions have expired.

        Args:
            user: Whose sessions.
            limit: How many at most.
            cursor: The `cursor` of the page before; `None` for the first page.

        Raises:
            InvalidInputError: An argument is not usable.
        """
        return self.transport.run(self.list_sessions_op(user, limit, cursor))

    async def alist_sessions(self, *, user: str, limit: int = 20, cursor: str | None = None) -> SessionPage:
        """Async version of `list_sessions`."""
        return await self.transport.arun(self.list_sessions_op(user, limit, cursor))

    def recent_sessions(
        self, limit: int = 20, *, user: str | None = None, thorough: bool = False
    ) -> list[SessionState]:
        """Return the sessions that were active last, latest first, with their messages.

        With a user, from the user's record of threads: three round trips. For everybody's, or if `thorough`,
        the database is looked through with SCAN: a round trip per 1,000 keys and one per 200 sessions.

        Args:
            limit: How many at most.
            user: Whose; `None` for everybody's.
            thorough: Also look for sessions that the record does not name, as other programs wrote them.

        Raises:
            InvalidInputError: An argument is not usable.
        """
        return self.transport.run(self.recent_sessions_op(limit, user, thorough))

    async def arecent_sessions(
        self, limit: int = 20, *, user: str | None = None, thorough: bool = False
    ) -> list[SessionState]:
        """Async version of `recent_sessions`."""
        return await self.transport.arun(self.recent_sessions_op(limit, user, thorough))

    def forget_user(self, user: str, *, thorough: bool = False) -> list[str]:
        """Delete every session of a user.

        The user's record of threads stays, for the events: `AgentMemory.forget_user` removes it last.

        Args:
            user: The user.
            thorough: Also look at every other session under the prefix, which an older version or another
                program may have written. SCANs the database.

        Returns:
            The ids of the threads whose sessions were deleted.

        Raises:
            StoreError: A session could not be deleted; the others were. Call it again.
        """
        return self.transport.run(self.forget_user_op(user, thorough))

    async def aforget_user(self, user: str, *, thorough: bool = False) -> list[str]:
        """Async version of `forget_user`."""
        return await self.transport.arun(self.forget_user_op(user, thorough))
