"""`WorkingMemory`: the sessions of one key prefix, each a Hash (and a list, if asked) with a sliding life."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from langchain_core.messages import BaseMessage

from langchain_agentmem.core import keys, threads
from langchain_agentmem.core.checks import Ttl, epoch_seconds, given, positive, utf8, validate_id
from langchain_agentmem.core.checks import ttl as checked_ttl
from langchain_agentmem.core.keys import Keys, refuse_taken
from langchain_agentmem.core.messages import checked_messages, encode_entry, encode_turn, message_of
from langchain_agentmem.core.operations import Command, Op, gather, ok
from langchain_agentmem.core.removal import Removed
from langchain_agentmem.core.scan import keys_under
from langchain_agentmem.core.threads import NotedThread
from langchain_agentmem.errors import ConfigurationError, InvalidInputError
from langchain_agentmem.transport.connected import Connected
from langchain_agentmem.transport.connections import Transport
from langchain_agentmem.working import listing, operations
from langchain_agentmem.working.listing import SessionPage
from langchain_agentmem.working.operations import Owner
from langchain_agentmem.working.session import SessionState, Window

if TYPE_CHECKING:
    import redis
    import redis.asyncio

_PAGE = 500  # sessions that are looked at in one round trip


class WorkingMemory(Connected):
    """The conversations, by thread: a window of turns, a goal, a scratchpad.

    Every write is one atomic step on the server that also refreshes the time to live, so writers on
    the same thread never lose each other's turns. The constructor does no I/O.

    Args:
        url: A Redis URL, or `embedded://`; or hand in clients.
        client: A sync client of yours; it is neither changed nor closed.
        async_client: An async client of yours.
        transport: What another object of this package already connects with.
        ttl_seconds: How long an idle session lives; `None` for ever.
        max_turns: The window, in messages; `None` keeps all.
        key_prefix: What stands before the thread id in a key.
        storage: `hash` keeps the turns in the session's Hash, and `max_turns` of them. `list` keeps all of
            them in a list beside it, as the Flowise node and LangChain.js do, and reads `max_turns`.
        list_prefix: What stands before the thread id in the key of such a list.
        threads_prefix: What stands before the user in the key of a user's record of threads. If not given:
            `agent:threads:`, and with another `key_prefix`, `threads:` and that.
        threads_ttl_seconds: How long that record lives after a write at least; if not given, as long as the
            session. The events of a thread may outlive it.
        reserved_prefixes: What else other keys begin with: no list may be kept under such a key.
        token: The token of a REST database, for a URL of `https://`.
        socket_timeout_seconds: After this, a silent server is an error.

    Raises:
        ConfigurationError: The URL or a client is not usable.
        InvalidInputError: A number is not above zero.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        client: redis.Redis | None = None,
        async_client: redis.asyncio.Redis | None = None,
        transport: Transport | None = None,
        ttl_seconds: int | None = 3600,
        max_turns: int | None = 20,
        key_prefix: str = "agent:session:",
        storage: Literal["hash", "list"] = "hash",
        list_prefix: str = "",
        threads_prefix: str | None = None,
        threads_ttl_seconds: Ttl = ...,
        reserved_prefixes: Sequence[str] = (),
        token: str | None = None,
        socket_timeout_seconds: float = 5.0,
    ) -> None:
        if storage not in ("hash", "list"):
            raise ConfigurationError(f"storage must be 'hash' or 'list', not {storage!r}.")
        if storage == "list" and list_prefix == key_prefix:
            raise ConfigurationError("list_prefix and key_prefix must differ: a session has a key of each.")
        self.ttl_seconds = checked_ttl("ttl_seconds", ttl_seconds)
        self.max_turns = None if max_turns is None else positive("max_turns", max_turns)
        self.key_prefix = key_prefix
        self.list_prefix = list_prefix if storage == "list" else None
        self._keys = Keys(
            session_prefix=key_prefix, threads_prefix=threads_prefix or keys.threads_prefix(key_prefix)
        )
        self._threads_ttl = checked_ttl("threads_ttl_seconds", given(threads_ttl_seconds, self.ttl_seconds))
        self._reserved = (*self._keys.prefixes, *reserved_prefixes)
        self._connect(transport, url, client, async_client, socket_timeout_seconds, token)

    def new_thread_id(self) -> str:
        """A thread id nobody has: 32 random hexadecimal digits."""
        return uuid.uuid4().hex

    def key(self, thread_id: str) -> str:
        """The key of a thread's session."""
        return self._keys.session(thread_id)

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
        """Begin a session, or take one up again: its turns stay.

        One round trip. On an existing session, a user, agent or goal that is given replaces the
        stored one; a `ttl_seconds` that is given is the session's own from now on. The session of another
        user than the one that is given is refused, unless `check_owner` is false: it then changes hands.

        Raises:
            WrongOwnerError: The session belongs to another user; nothing was written.
        """
        return self.transport.run(self._start(thread_id, user, agent, goal, ttl_seconds, check_owner))

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
        return await self.transport.arun(self._start(thread_id, user, agent, goal, ttl_seconds, check_owner))

    def load(self, thread_id: str, *, user: str | None = None) -> SessionState | None:
        """The session, or `None` if there is none. One round trip; does not refresh its life.

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
        """Append a plain turn and return the session, in one round trip.

        Args:
            thread_id: The thread.
            role: `user`, `assistant` or `system` (`human` and `ai` mean the first two).
            content: The text.
            ts: Its time, epoch seconds; now, if not given. It does not change the order.
            user: Who writes; whose session it is, if this begins it.
            agent: Which agent's, if this begins it.
            check_owner: Whether a session that belongs to another user than the one given is refused.

        Raises:
            WrongOwnerError: The session belongs to another user; nothing was written.
        """
        return self.transport.run(self._append_turn(thread_id, role, content, ts, user, agent, check_owner))

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
            self._append_turn(thread_id, role, content, ts, user, agent, check_owner)
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
        """Append any number of messages, trim to the window, refresh: one atomic round trip.

        Args:
            thread_id: The thread.
            messages: LangChain messages, oldest first.
            user: Who writes; whose session it is, if this begins it.
            agent: Which agent's, if this begins it.
            check_owner: Whether a session that belongs to another user than the one given is refused.

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
        """The window as LangChain messages, oldest first; empty for an unknown thread. One round trip.

        Raises:
            WrongOwnerError: The session belongs to another user than `user`.
        """
        return self.transport.run(self.messages_op(thread_id, user))

    async def amessages(self, thread_id: str, *, user: str | None = None) -> list[BaseMessage]:
        """Async version of `messages`."""
        return await self.transport.arun(self.messages_op(thread_id, user))

    def set_goal(self, thread_id: str, text: str) -> SessionState:
        """Set what the session is for. One round trip; begins the session if there is none."""
        return self.transport.run(self._set("goal", thread_id, text))

    async def aset_goal(self, thread_id: str, text: str) -> SessionState:
        """Async version of `set_goal`."""
        return await self.transport.arun(self._set("goal", thread_id, text))

    def set_scratchpad(self, thread_id: str, text: str) -> SessionState:
        """Set the agent's notes. One round trip; begins the session if there is none."""
        return self.transport.run(self._set("scratchpad", thread_id, text))

    async def aset_scratchpad(self, thread_id: str, text: str) -> SessionState:
        """Async version of `set_scratchpad`."""
        return await self.transport.arun(self._set("scratchpad", thread_id, text))

    def delete(self, thread_id: str) -> bool:
        """Delete the session; whether there was one. One round trip."""
        return self.transport.run(self._delete(thread_id))

    async def adelete(self, thread_id: str) -> bool:
        """Async version of `delete`."""
        return await self.transport.arun(self._delete(thread_id))

    def list_threads(self, limit: int | None = 100) -> list[str]:
        """Thread ids, in no order; `None` for all of them.

        SCANs: a round trip a thousand keys of the database, and nothing is blocked meanwhile.
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
        return self.transport.run(self._forget_user(user, thorough))

    async def aforget_user(self, user: str, *, thorough: bool = False) -> list[str]:
        """Async version of `forget_user`."""
        return await self.transport.arun(self._forget_user(user, thorough))

    # The operations, checked before they are run; those without underscore also run beside others.

    def append_op(
        self,
        thread_id: str,
        messages: Sequence[BaseMessage],
        *,
        user: str = "default",
        agent: str = "default",
        check_owner: bool = True,
    ) -> Op[int]:
        """The operation of `append`."""
        now = time.time()
        turns = [self.encode(message, now) for message in checked_messages(messages)]
        owner = _checked(user, check_owner)
        return operations.append(
            thread_id, *self.write_commands(thread_id, user, agent, turns=turns, now=now, owner=owner)
        )

    @property
    def noted_ttl_seconds(self) -> int | None:
        """Return the TTL that a write without one of its own gives to the record of its user's threads.

        It is the longer of the session's and `threads_ttl_seconds`; `None` if the record does not expire.
        """
        return _longer(self.ttl_seconds, self._threads_ttl)

    def write_turns_op(
        self,
        thread_id: str,
        turns: Sequence[bytes],
        *,
        user: str,
        replaces: Sequence[bytes] = (),
        only_replacing: bool = False,
        check_owner: bool = False,
    ) -> Op[int | None]:
        """Append encoded turns, in place of the last ones if the session still ends with these.

        The operation is one round trip, and notes the thread in its user's record for `noted_ttl_seconds`,
        whatever becomes of the write. What cannot be written is refused here, not when the operation runs.

        Returns:
            The session's `turn_count`; `None` if nothing was written, for it was to be written only in
            place of what has changed meanwhile.

        Raises:
            InvalidInputError: An id is not valid, or no list may be kept under this one.
            WrongOwnerError: With `check_owner`, the session belongs to another user; nothing was written.
                Raised by the operation.
        """
        commands = self.write_commands(
            thread_id,
            user,
            turns=turns,
            replaces=replaces,
            only_replacing=only_replacing,
            owner=user if check_owner else "",
        )
        return operations.write(thread_id, *commands)

    def messages_op(self, thread_id: str, user: str | None = None) -> Op[list[BaseMessage]]:
        """The operation of `messages`."""
        return operations.messages(self.key(thread_id), self._listed(thread_id), _named(user))

    def window_op(self, thread_id: str, user: str | None = None) -> Op[Window]:
        """Read the turns as `messages` does, with what is stored of those that are unanswered."""
        return operations.window(self.key(thread_id), self._listed(thread_id), _named(user))

    def load_op(self, thread_id: str, user: str | None = None) -> Op[SessionState | None]:
        """The operation of `load`."""
        return operations.load(self.key(thread_id), thread_id, self._listed(thread_id), _named(user))

    def list_sessions_op(self, user: str, limit: int, cursor: str | None) -> Op[SessionPage]:
        """The operation of `list_sessions`."""
        return listing.sessions_of(
            self._keys, validate_id("user", user), positive("limit", limit), cursor, self.load_op
        )

    def recent_sessions_op(self, limit: int, user: str | None, thorough: bool) -> Op[list[SessionState]]:
        """Return the operation of `recent_sessions`."""
        if user is None or thorough:
            ids = yield from self.list_threads_op(None)
        else:
            page = yield from self.list_sessions_op(user, limit, None)
            ids = [summary.thread_id for summary in page.sessions]
        return (yield from listing.latest(ids, _named(user), positive("limit", limit), self.load_op))

    def list_threads_op(self, limit: int | None) -> Op[list[str]]:
        """The operation of `list_threads`."""
        return operations.list_threads(self.key_prefix, None if limit is None else positive("limit", limit))

    def every_thread_op(self, user: str, removed: Removed) -> Op[list[str]]:
        """The threads of all sessions, whoever wrote them. SCANs the database.

        A session of the user whose key holds no id is deleted at once.
        """
        raw = yield from keys_under(self.key_prefix, "hash")
        ids = {key: _id_in(key, self.key_prefix) for key in raw}
        odd = {key: Owner(None) for key, thread_id in ids.items() if thread_id is None}
        yield from operations.forget_sessions(odd, validate_id("user", user), removed)
        return [thread_id for thread_id in ids.values() if thread_id is not None]

    def threads_op(self, user: str) -> Op[list[NotedThread]]:
        """The threads in a user's record, those written to last first. One round trip per thousand."""
        return threads.every(self._keys, validate_id("user", user))

    def drop_threads_op(self, user: str, noted: Sequence[NotedThread]) -> Op[None]:
        """Take threads out of a user's record, except those written to meanwhile. One round trip."""
        return threads.drop(self._keys, validate_id("user", user), noted)

    def noted_op(self, user: str, thread_ids: Sequence[str]) -> Op[list[NotedThread]]:
        """Those of the threads that are in a user's record. One round trip."""
        return threads.as_noted(self._keys, validate_id("user", user), thread_ids)

    def owners_op(self, thread_ids: Sequence[str], removed: Removed) -> Op[dict[str, Owner]]:
        """Whose the sessions of these threads are; see `operations.owners`. One round trip."""
        of_sessions = [self.key(one) for one in thread_ids]
        found = yield from operations.owners(
            of_sessions, [self._list_key(one) for one in thread_ids], removed
        )
        return dict(zip(thread_ids, found, strict=True))

    def forget_op(self, user: str, sessions: Mapping[str, Owner], removed: Removed) -> Op[list[str]]:
        """Delete the user's sessions among these threads; the ids of those deleted. One round trip."""
        by_key = {self.key(one): owner for one, owner in sessions.items()}
        gone = yield from operations.forget_sessions(by_key, validate_id("user", user), removed)
        return [one for one, deleted in zip(sessions, gone, strict=True) if deleted]

    def encode(self, message: BaseMessage, ts: float) -> bytes:
        """A message as it is stored.

        Raises:
            MessageNotStorableError: It would not come back equal.
        """
        return encode_turn(message, ts) if self.list_prefix is None else encode_entry(message)

    def write_commands(
        self,
        thread_id: str,
        user: str = "default",
        agent: str = "default",
        *,
        turns: Sequence[bytes] = (),
        fields: Sequence[str | int] = (),
        now: float | None = None,
        ttl_seconds: Ttl = ...,
        replaces: Sequence[bytes] = (),
        only_replacing: bool = False,
        owner: str = "",
    ) -> tuple[Command, Command]:
        """The two commands of every write: note the thread in the user's record; write the session.

        Args:
            thread_id: The thread.
            user: Who writes.
            agent: Which agent.
            turns: Encoded turns to append.
            fields: Names and values of the Hash, alternating.
            now: Epoch seconds.
            ttl_seconds: How long the session lives, if that is among the fields.
            replaces: The stored bytes of the last turns, whose place the new ones take.
            only_replacing: Whether nothing is written unless the session ends with `replaces`.
            owner: The user whose session it must be, if it is anybody's; empty for anyone.
        """
        now = time.time() if now is None else now
        life = _longer(given(ttl_seconds, self.ttl_seconds), self._threads_ttl)
        note = threads.note(self._keys, user, thread_id, now=now, ttl_seconds=life)
        return note, operations.write_session(
            self.key(thread_id),
            thread_id,
            turns,
            now=now,
            ttl_seconds=self.ttl_seconds,
            window=self.max_turns,
            user=validate_id("user", user),
            agent=validate_id("agent", agent),
            fields=fields,
            listed=self._listed(thread_id),
            replaces=replaces,
            only_replacing=only_replacing,
            owner=owner,
        )

    def _start(
        self, thread_id: str, user: str, agent: str, goal: str, ttl_seconds: Ttl, check_owner: bool
    ) -> Op[SessionState]:
        utf8("goal", goal)
        new = {"user": user, "agent": agent, "goal": goal}
        plain = {"user": "default", "agent": "default", "goal": ""}
        fields: list[str | int] = []
        for name in (name for name in new if new[name] != plain[name]):
            fields += [name, new[name]]
        if ttl_seconds is not ...:
            fields += ["ttl_seconds", checked_ttl("ttl_seconds", ttl_seconds) or 0]
        owner = _checked(user, check_owner)
        commands = self.write_commands(
            thread_id, user, agent, fields=fields, ttl_seconds=ttl_seconds, owner=owner
        )
        life = _longer(given(ttl_seconds, self.ttl_seconds), self._threads_ttl)
        return self._started(thread_id, user, life, commands)

    def _started(
        self, thread_id: str, user: str, life: int | None, commands: tuple[Command, Command]
    ) -> Op[SessionState]:
        state = yield from self._write(thread_id, commands)
        lives_on = state.ttl_seconds is None or (life is not None and state.ttl_seconds > life)
        if life is not None and lives_on:  # a life of its own, from before: the user's record must outlive it
            now, ttl = state.last_active_ts, state.ttl_seconds
            (reply,) = yield [threads.note(self._keys, user, thread_id, now=now, ttl_seconds=ttl)]
            threads.noted(reply, thread_id)
        return state

    def _append_turn(
        self,
        thread_id: str,
        role: str,
        content: str,
        ts: float | None,
        user: str,
        agent: str,
        check_owner: bool,
    ) -> Op[SessionState]:
        now = time.time()
        turn = self.encode(message_of(role, content), now if ts is None else epoch_seconds("ts", ts))
        owner = _checked(user, check_owner)
        return self._write(
            thread_id, self.write_commands(thread_id, user, agent, turns=[turn], now=now, owner=owner)
        )

    def _set(self, name: str, thread_id: str, value: str) -> Op[SessionState]:
        utf8(name, value)
        return self._write(thread_id, self.write_commands(thread_id, fields=[name, value]))

    def _forget_user(self, user: str, thorough: bool) -> Op[list[str]]:
        removed, gone = Removed(), list[str]()
        ids = [one.thread_id for one in (yield from self.threads_op(user))]
        if thorough:
            ids = list(dict.fromkeys([*ids, *(yield from self.every_thread_op(user, removed))]))
        for at in range(0, len(ids), _PAGE):
            sessions = yield from self.owners_op(ids[at : at + _PAGE], removed)
            own = {one: owner for one, owner in sessions.items() if owner.user == user}
            gone += yield from self.forget_op(user, own, removed)
        removed.all()
        return gone

    def _write(self, thread_id: str, commands: tuple[Command, Command]) -> Op[SessionState]:
        return operations.write_and_load(
            self.key(thread_id), thread_id, *commands, listed=self._listed(thread_id)
        )

    def _delete(self, thread_id: str) -> Op[bool]:
        listed = self._listed(thread_id)
        of_list = [] if listed is None else [operations.delete(listed.key, "list")]
        deleted = yield from gather([operations.delete(self.key(thread_id), "hash"), *of_list])
        return True in {bool(ok(one)) for one in deleted}

    def _list_key(self, thread_id: str) -> str | None:
        try:
            listed = self._listed(thread_id)
        except InvalidInputError:  # no session can have it
            return None
        return None if listed is None else listed.key

    def _listed(self, thread_id: str) -> operations.Listed | None:
        if self.list_prefix is None:
            return None
        key = self.list_prefix + validate_id("thread_id", thread_id)
        refuse_taken("thread_id", key, self._reserved)
        return operations.Listed(key, self.max_turns)


def _named(user: str | None) -> str | None:
    return None if user is None else validate_id("user", user)


def _id_in(key: bytes, prefix: str) -> str | None:
    """The thread id in a session's key; `None` if no id can be what stands there."""
    try:
        return validate_id("thread_id", key[len(prefix.encode()) :].decode())
    except ValueError:
        return None


def _longer(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)


def _checked(user: str, check_owner: bool) -> str:
    """The user whose session it must be; empty if it may be anybody's, as for who gives no name."""
    return "" if user == "default" or not check_owner else user
