"""Working memory's operations: what is sent, and how the answer reads. No I/O.

Arguments are checked when an operation is made, before anything is sent.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from langchain_core.messages import BaseMessage

from langchain_agentmem.core import json, scripts, threads
from langchain_agentmem.core.checks import NOBODY, Ttl, epoch_seconds, given, positive, utf8, validate_id
from langchain_agentmem.core.checks import ttl as checked_ttl
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.messages import (
    checked_messages,
    decode_entry,
    decode_turn,
    encode_entry,
    encode_turn,
    message_of,
)
from langchain_agentmem.core.operations import Argument, Command, Op, call, gather, ok, reads, text, writes
from langchain_agentmem.core.removal import K, Removed
from langchain_agentmem.core.scan import keys_under, scan
from langchain_agentmem.core.threads import NotedThread
from langchain_agentmem.errors import ConfigurationError, InvalidInputError, StoreError
from langchain_agentmem.working import editing, folding, listing
from langchain_agentmem.working.config import SCRATCHPAD_BYTES, WorkingMemoryConfig
from langchain_agentmem.working.editing import Edit, Plan
from langchain_agentmem.working.folding import Waiting
from langchain_agentmem.working.listing import SessionPage
from langchain_agentmem.working.session import (
    FIELDS,
    SessionState,
    UnreadableEntry,
    Window,
    check_owner,
    counted,
    not_the_owner,
    read_list,
    read_state,
    stored_time,
    window_of_hash,
    window_of_list,
)

logger = logging.getLogger("langchain_agentmem")

_write = scripts.load(__package__, "write_session")
_forget = scripts.load(__package__, "forget_session")
_delete = scripts.load(__package__, "delete_typed")
_push = scripts.load(__package__, "push_messages")
_NOTES = ("user", "goal", "scratchpad", "summary")  # what is read beside a session's messages
_PAGE = 500  # sessions that are looked at in one round trip


class Owner(NamedTuple):
    """The owner of a session.

    Attributes:
        user: `None` if there is no session, empty if it cannot be told.
        list_key: The key of the list that holds its messages; `None` if none does.
    """

    user: str | None
    list_key: str | None = None


class SessionOperations:
    """The operations on sessions, which `WorkingMemory` runs. Others run them beside their own.

    Attributes:
        config: The options.
    """

    def __init__(self, config: WorkingMemoryConfig, *, on_cluster: bool = False) -> None:
        self.config = config
        self._keys = config.keys_on_cluster if on_cluster else config.keys

    @property
    def noted_ttl_seconds(self) -> int | None:
        """Return the TTL that a write without one of its own gives to the record of its user's threads.

        It is the longer of the session's and `threads_ttl_seconds`; `None` if the record does not expire.
        """
        return self._note_ttl(...)

    def key(self, thread_id: str) -> str:
        """Return the key of a thread's session."""
        return self._keys.session(thread_id)

    def encode(self, message: BaseMessage, ts: float) -> bytes:
        """Return a message as it is stored.

        Raises:
            MessageNotStorableError: It would not come back equal.
        """
        return encode_turn(message, ts) if self.config.storage == "hash" else encode_entry(message)

    def decode(self, stored: bytes) -> BaseMessage:
        """Return the message of what `encode` returned.

        Raises:
            ValueError, TypeError, KeyError: It is not one.
        """
        read = decode_turn if self.config.storage == "hash" else decode_entry
        return read(json.loads(stored))

    def said_at(self, stored: bytes) -> float | None:
        """Return when a message was said, given its stored bytes; `None` if they do not tell, as in a list.

        Raises:
            ValueError, TypeError, AttributeError: They are no message.
        """
        return stored_time(json.loads(stored).get("ts")) or None

    def write_commands(
        self,
        thread_id: str,
        user: str = "default",
        agent: str = "default",
        *,
        turns: Sequence[bytes] = (),
        fields: Sequence[Argument] = (),
        now: float | None = None,
        ttl_seconds: Ttl = ...,
        replaces: Sequence[bytes] = (),
        only_replacing: bool = False,
        edit: Edit | None = None,
        owner: str = "",
    ) -> tuple[Command, Command]:
        """Return the two commands of every write: note the thread in the user's record; write the session.

        Args:
            thread_id: The thread.
            user: Who writes.
            agent: Which agent.
            turns: Encoded messages to append.
            fields: Names and values of the Hash, alternating.
            now: Epoch seconds.
            ttl_seconds: The session's own TTL, if that is among the fields.
            replaces: The stored bytes of messages that the new ones replace, oldest first: those that still
                stand in the session, wherever, are taken out.
            only_replacing: Whether nothing is written if one of `replaces` is missing.
            edit: What is deleted, and what stands first; not with `replaces`.
            owner: The user whose session it must be, if it is anybody's; empty for anyone.
        """
        now = time.time() if now is None else now
        key, list_key = self.key(thread_id), self._list_key(thread_id)
        validate_id("user", user)
        note_ttl = self._note_ttl(ttl_seconds)
        gone, how = (replaces, int(only_replacing)) if edit is None else (edit.gone, 2 + edit.rewrites)
        return threads.note(self._keys, user, thread_id, now=now, ttl_seconds=note_ttl), _write.call(
            [key] if list_key is None else [key, list_key],
            *(now, self.config.ttl_seconds or 0, self.config.max_turns or 0, len(turns), b",\n".join(turns)),
            *(thread_id, user, validate_id("agent", agent)),
            *(owner, len(gone), b",\n".join(gone), how, b",\n".join(edit.first) if edit else b""),
            0 if self.config.summarise is None else self.config.max_waiting,
            b",\n".join(edit.unwanted) if edit else b"",
            *fields,
        )

    def start_op(
        self, thread_id: str, user: str, agent: str, goal: str, ttl_seconds: Ttl, check_owner: bool
    ) -> Op[SessionState]:
        """Return the operation of `start`."""
        utf8("goal", goal)
        new = {"user": user, "agent": agent, "goal": goal}
        plain = {"user": "default", "agent": "default", "goal": ""}
        fields: list[Argument] = []
        for name in (name for name in new if new[name] != plain[name]):
            fields += [name, new[name]]
        if ttl_seconds is not ...:
            fields += ["ttl_seconds", checked_ttl("ttl_seconds", ttl_seconds) or 0]
        commands = self.write_commands(
            thread_id,
            user,
            agent,
            fields=fields,
            ttl_seconds=ttl_seconds,
            owner=_owner(user, check_owner),
        )
        return self._start(thread_id, user, self._note_ttl(ttl_seconds), commands)

    def _start(
        self, thread_id: str, user: str, note_ttl: int | None, commands: tuple[Command, Command]
    ) -> Op[SessionState]:
        state = yield from self._write_and_load(thread_id, commands)
        stays = state.ttl_seconds is None or (note_ttl is not None and state.ttl_seconds > note_ttl)
        if note_ttl is not None and stays:  # it has a TTL of its own, which the user's record must outlive
            now, ttl = state.last_active_ts, state.ttl_seconds
            (reply,) = yield [threads.note(self._keys, user, thread_id, now=now, ttl_seconds=ttl)]
            threads.noted(reply, thread_id)
        return state

    def append_turn_op(
        self,
        thread_id: str,
        role: str,
        content: str,
        *,
        ts: float | None,
        user: str,
        agent: str,
        check_owner: bool,
    ) -> Op[SessionState]:
        """Return the operation of `append_turn`."""
        now = time.time()
        turn = self.encode(message_of(role, content), now if ts is None else epoch_seconds("ts", ts))
        owner = _owner(user, check_owner)
        commands = self.write_commands(thread_id, user, agent, turns=[turn], now=now, owner=owner)
        return self._write_and_load(thread_id, commands)

    def append_op(
        self,
        thread_id: str,
        messages: Sequence[BaseMessage],
        *,
        user: str = "default",
        agent: str = "default",
        check_owner: bool = True,
    ) -> Op[int]:
        """Return the operation of `append`."""
        now = time.time()
        owner = _owner(user, check_owner)
        if editing.has_removals(checked_messages(messages)):
            plan = editing.removing(messages, lambda message: self.encode(message, now))
            return _edited(self._edit(thread_id, plan, user, owner, agent), 0)
        turns = [self.encode(message, now) for message in messages]
        return _append(
            thread_id, *self.write_commands(thread_id, user, agent, turns=turns, now=now, owner=owner)
        )

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
        """Append encoded messages, in place of others, as far as these are still there.

        The messages to be replaced may stand anywhere in the session, as others may have been appended
        behind them. Those that are there are taken out, each once, and the new ones come last. What is taken
        out no longer counts; what has left the window still does.

        The operation is one round trip, and notes the thread in its user's record for `noted_ttl_seconds`,
        whatever becomes of the write. What cannot be written is refused here, not when the operation runs.

        Args:
            thread_id: The thread.
            turns: What `encode` made of the messages, oldest first.
            user: Who writes.
            replaces: The stored bytes of the messages to be replaced, oldest first.
            only_replacing: Whether nothing is written if one of them is missing.
            check_owner: Whether the session of another user is refused.

        Returns:
            The session's `turn_count`; `None` if nothing was written, because nothing was replaced.

        Raises:
            InvalidInputError: An id is not valid, or no list may be kept under this one.
            WrongOwnerError: The session belongs to another user; nothing was written. Raised when it runs.
        """
        return write(
            thread_id,
            *self.write_commands(
                thread_id,
                user,
                turns=turns,
                replaces=replaces,
                only_replacing=only_replacing,
                owner=user if check_owner else "",
            ),
        )

    def delete_messages_op(
        self, thread_id: str, messages: Sequence[BaseMessage | str], user: str | None
    ) -> Op[int]:
        """Return the operation of `delete_messages`."""
        return _edited(self._edit(thread_id, editing.deleting(messages), *_writer(user)), 1)

    def replace_messages_op(
        self,
        thread_id: str,
        messages: Sequence[BaseMessage],
        seen: Sequence[BaseMessage] | None,
        user: str | None,
    ) -> Op[int]:
        """Return the operation of `replace_messages`."""
        now = time.time()
        plan = editing.replacing(messages, seen, lambda message: self.encode(message, now))
        return _edited(self._edit(thread_id, plan, *_writer(user)), 0)

    def _edit(
        self, thread_id: str, plan: Plan, user: str | None, owner: str, agent: str = "default"
    ) -> Op[tuple[int, int]]:
        """Read the messages, and change them as planned; return `turn_count` and how many were deleted.

        Two round trips; two more for a session whose messages another program laid out, which are laid out
        anew first. Nothing is written if nothing is to be deleted or added.

        Args:
            thread_id: The thread.
            plan: Returns the change of the messages it gets.
            user: Who writes; `None` for whoever's session it is.
            owner: The user whose session it must be; empty for anyone.
            agent: Which agent, if this begins the session.
        """
        key, list_key = self.key(thread_id), self._list_key(thread_id)
        reading = [reads("HMGET", key, "user", "turn_count", "recent_turns", "waiting_turns")]
        reading += [] if list_key is None else [reads("LRANGE", list_key, 0, -1)]
        (stored_user, count, recent, left), *entries = map(ok, (yield reading))
        check_owner(stored_user, owner or None)
        user = user or text(stored_user or b"") or "default"
        stored = editing.of_list(entries[0]) if entries else editing.of_hash(recent)
        if stored is None:
            anew = self.write_commands(
                thread_id, user, agent, edit=Edit([], [], [], rewrites=True), owner=owner
            )
            noted, reply, rewritten = yield [*anew, reads("HGET", key, "recent_turns")]
            _written(reply)
            threads.noted(noted, thread_id)
            stored = editing.of_hash(ok(rewritten), rewritten=True) or []
        edit = plan(stored, [] if entries else editing.waiting(folding.waiting_lines(left)))
        if not (edit.gone or edit.unwanted or edit.added or edit.rewrites):
            return counted(count), 0
        commands = self.write_commands(thread_id, user, agent, turns=edit.added, edit=edit, owner=owner)
        noted, reply = yield commands
        threads.noted(noted, thread_id)
        result = _reply(reply)
        return (counted(count), 0) if result is None else (int(result[0]), int(result[1]))

    def add_note_op(
        self, thread_id: str, note: str, *, user: str, agent: str, check_owner: bool
    ) -> Op[SessionState]:
        """Return the operation of `add_note`."""
        line = " ".join(utf8("text", note).decode().splitlines()).strip()
        size = len(line.encode())
        if not line:
            raise InvalidInputError("text is empty.")
        if size > SCRATCHPAD_BYTES:
            raise InvalidInputError(f"text has {size} bytes; the limit of the notes is {SCRATCHPAD_BYTES}.")
        fields: list[Argument] = ["note_bytes", SCRATCHPAD_BYTES, "note", line]
        owner = _owner(user, check_owner)
        return self._write_and_load(
            thread_id, self.write_commands(thread_id, user, agent, fields=fields, owner=owner)
        )

    def set_op(
        self, name: str, thread_id: str, value: str, *, user: str = "default", check_owner: bool = True
    ) -> Op[SessionState]:
        """Return the operation that sets a field of a session's Hash to a text."""
        utf8(name, value)
        owner = _owner(user, check_owner)
        commands = self.write_commands(thread_id, user, fields=[name, value], owner=owner)
        return self._write_and_load(thread_id, commands)

    def load_op(self, thread_id: str, user: str | None = None) -> Op[SessionState | None]:
        """Return the operation of `load`."""
        return self._load(thread_id, self._reading(thread_id), _named(user))

    def window_op(self, thread_id: str, user: str | None = None) -> Op[Window]:
        """Read the messages, with what is stored of those that are unanswered, the goal and the notes."""
        key, list_key = self.key(thread_id), self._list_key(thread_id)
        return _window_with_notes(key, list_key, self.config.max_turns, _named(user))

    def messages_op(self, thread_id: str, user: str | None = None) -> Op[list[BaseMessage]]:
        """Return the operation of `messages`."""
        key, list_key = self.key(thread_id), self._list_key(thread_id)
        if list_key is not None:
            return _messages(_window_of_list(list_key, self.config.max_turns, key, _named(user)))
        return _messages(_window_of_hash(key, _named(user)))

    def list_sessions_op(self, user: str, limit: int, cursor: str | None) -> Op[SessionPage]:
        """Return the operation of `list_sessions`."""
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
        """Return the operation of `list_threads`."""
        return _list_threads(self._keys, None if limit is None else positive("limit", limit))

    def threads_op(self, user: str) -> Op[list[NotedThread]]:
        """Return the threads in a user's record, those written to last first. One round trip per thousand."""
        return threads.every(self._keys, validate_id("user", user))

    def noted_op(self, user: str, thread_ids: Sequence[str]) -> Op[list[NotedThread]]:
        """Return those of the threads that are in a user's record. One round trip."""
        return threads.as_noted(self._keys, validate_id("user", user), thread_ids)

    def drop_threads_op(self, user: str, noted: Sequence[NotedThread]) -> Op[None]:
        """Take threads out of a user's record, except those written to meanwhile. One round trip."""
        return threads.drop(self._keys, validate_id("user", user), noted)

    def waiting_op(self, thread_id: str) -> Op[Waiting]:
        """Return what waits to be folded into the summary. One round trip; of a list two, if anything does.

        Raises:
            ConfigurationError: There is no summariser.
        """
        config, list_key = self.config, self._list_key(thread_id)
        if config.summarise is None or config.max_turns is None:
            raise ConfigurationError(
                "Nobody sums up: give AgentMemory or WorkingMemory a summariser, such as "
                "summarise=model_summariser(model)."
            )
        if list_key is None:
            return folding.waiting_in_hash(self.key(thread_id))
        return folding.waiting_in_list(self.key(thread_id), list_key, config.max_turns, config.max_waiting)

    def export_op(self, thread_id: str) -> Op[SessionState | None]:
        """Return what `load` does, and of a list too what waits, up to `max_waiting`. Three round trips."""
        state = yield from self.load_op(thread_id)
        list_key = self._list_key(thread_id)
        if state is None or list_key is None or self.config.summarise is None:
            return state
        waiting = yield from self.waiting_op(thread_id)
        return replace(state, waiting=read_list(list_key, waiting.turns[::-1])[0])

    def fold_waiting_op(self, thread_id: str, waiting: Waiting) -> Op[int]:
        """Fold what `waiting_op` returned; return how many messages that were. The summariser, a round trip.

        Raises:
            SummaryError: The summariser failed; nothing was written. Raised when it runs.
        """
        list_key = self._list_key(thread_id)
        keys = [self.key(thread_id)] if list_key is None else [self.key(thread_id), list_key]
        assert self.config.summarise is not None  # or nothing could have been read
        return folding.fold(keys, waiting, self.config.summarise)

    def fold_op(self, thread_id: str, user: str | None = None) -> Op[int]:
        """Return the operation of `fold`."""
        return self._fold(thread_id, self.waiting_op(thread_id), _named(user))

    def _fold(self, thread_id: str, read: Op[Waiting], user: str | None) -> Op[int]:
        whose = call(reads("HGET", self.key(thread_id), "user"))
        waiting, *owner = map(ok, (yield from gather([read, *([] if user is None else [whose])])))
        check_owner(owner[0] if owner else None, user)
        return (yield from self.fold_waiting_op(thread_id, waiting))

    def drop_summary_op(self, thread_id: str) -> Op[None]:
        """Delete a session's summary, and what says how much of a list is in it. One round trip."""
        yield from call(writes("HDEL", self.key(thread_id), "summary", "folded_count", "folded_last"))

    def delete_op(self, thread_id: str) -> Op[bool]:
        """Return the operation of `delete`."""
        list_key = self._list_key(thread_id)
        of_list = [] if list_key is None else [delete(list_key, "list")]
        deleted = yield from gather([delete(self.key(thread_id), "hash"), *of_list])
        return True in {bool(ok(one)) for one in deleted}

    def forget_user_op(self, user: str, thorough: bool) -> Op[list[str]]:
        """Return the operation of `forget_user`."""
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

    def every_thread_op(self, user: str, removed: Removed) -> Op[list[str]]:
        """Return the threads of all sessions, whoever wrote them. SCANs the database.

        A session of the user whose key holds no id is deleted, or counted, at once.
        """
        raw = yield from keys_under(self._keys.sessions_prefix, "hash")
        ids = {key: _id_in(key, self._keys) for key in raw}
        odd = {key: Owner(None) for key, thread_id in ids.items() if thread_id is None}
        yield from _forget_sessions(odd, validate_id("user", user), removed)
        return [thread_id for thread_id in ids.values() if thread_id is not None]

    def owners_op(self, thread_ids: Sequence[str], removed: Removed) -> Op[dict[str, Owner]]:
        """Return whose the sessions of these threads are. One round trip.

        Args:
            thread_ids: The threads.
            removed: Where to note what cannot be told: a key of another type, a list without its Hash.
        """
        keys = [self.key(one) for one in thread_ids]
        lists = [self._possible_list_key(one) for one in thread_ids]
        return dict(zip(thread_ids, (yield from _owners(keys, lists, removed)), strict=True))

    def forget_op(self, user: str, sessions: Mapping[str, Owner], removed: Removed) -> Op[list[str]]:
        """Delete or count the user's sessions among these threads; return whose they are. One round trip.

        Args:
            user: The user.
            sessions: The threads, and what `owners_op` returned of each.
            removed: Where to count; in its dry run, nothing is deleted.
        """
        by_key = {self.key(one): owner for one, owner in sessions.items()}
        gone = yield from _forget_sessions(by_key, validate_id("user", user), removed)
        return [one for one, deleted in zip(sessions, gone, strict=True) if deleted]

    def _list_key(self, thread_id: str) -> str | None:
        return None if self.config.storage == "hash" else self._keys.messages(thread_id)

    def _possible_list_key(self, thread_id: str) -> str | None:
        try:
            return self._list_key(thread_id)
        except InvalidInputError:  # no session can have it
            return None

    def _note_ttl(self, ttl_seconds: Ttl) -> int | None:
        """Return the TTL of the record that notes a thread: it must outlive the session and its events."""
        session, record = given(ttl_seconds, self.config.ttl_seconds), self.config.threads_ttl_seconds
        return None if session is None or record is None else max(session, record)

    def _reading(self, thread_id: str) -> list[Command]:
        """Return the commands that read a whole session."""
        key, list_key = self.key(thread_id), self._list_key(thread_id)
        of_list: list[Command] = []
        if list_key is not None:
            of_list = [_newest(list_key, self.config.max_turns), reads("TTL", list_key)]
        return [reads("HMGET", key, *FIELDS), reads("TTL", key), *of_list]

    def _load(self, thread_id: str, reading: list[Command], user: str | None) -> Op[SessionState | None]:
        return self._state(thread_id, (yield reading), user)

    def _write_and_load(self, thread_id: str, commands: tuple[Command, Command]) -> Op[SessionState]:
        """Note the thread, write, and return the session after it. One round trip."""
        noted, reply, *replies = yield [*commands, *self._reading(thread_id)]
        _written(reply)
        threads.noted(noted, thread_id)
        state = self._state(thread_id, replies)
        if state is None:
            raise StoreError(f"The session {self.key(thread_id)!r} was deleted as soon as it was written.")
        return state

    def _state(self, thread_id: str, replies: Sequence[Any], user: str | None = None) -> SessionState | None:
        fields, ttl, *of_list = map(ok, replies)
        messages = None
        if of_list:
            entries, ttl_of_list = of_list
            list_key, most = self._keys.messages(thread_id), self.config.max_turns
            messages = read_list(list_key, entries, most) if entries else None
            ttl = min((one for one in (ttl, ttl_of_list) if one >= 0), default=-1)
        state = read_state(self.key(thread_id), thread_id, fields, ttl, messages)
        if state is not None:
            check_owner(state.user, user)
            _report(state.unreadable)
        return state


def write(thread_id: str, note: Command, command: Command) -> Op[int | None]:
    """Note the thread, then write. One round trip.

    Args:
        thread_id: The thread.
        note: The command that notes it in its user's record.
        command: The call of the script that writes the session.

    Returns:
        The session's `turn_count`, or `None` if nothing was replaced and so nothing written.

    Raises:
        WrongOwnerError: The session belongs to another user; nothing was written.
    """
    noted, reply = yield [note, command]
    turn_count = _written(reply)
    threads.noted(noted, thread_id)
    return turn_count


def _append(thread_id: str, note: Command, command: Command) -> Op[int]:
    return (yield from write(thread_id, note, command)) or 0


def _edited(edit: Op[tuple[int, int]], which: int) -> Op[int]:
    return (yield from edit)[which]


def _written(reply: Any) -> int | None:
    count = _reply(reply)
    if isinstance(count, list):
        count = count[0]
    return None if count is None else int(count)


def _reply(reply: Any) -> Any:
    if isinstance(reply, StoreError) and "OWNED" in str(reply):
        raise not_the_owner() from reply
    return ok(reply)


def _window_of_hash(key: str, user: str | None) -> Op[Window]:
    stored = yield from _owned(reads("HGET", key, "recent_turns"), key, user)
    return _reported(window_of_hash(key, stored))


def _window_of_list(list_key: str, most: int | None, key: str = "", user: str | None = None) -> Op[Window]:
    stored = yield from _owned(_newest(list_key, most), key, user)
    return _reported(window_of_list(list_key, stored, most))


def _window_with_notes(key: str, list_key: str | None, most: int | None, user: str | None) -> Op[Window]:
    described = reads("HMGET", key, *_NOTES, *(("recent_turns",) if list_key is None else ()))
    listed = [] if list_key is None else [_newest(list_key, most)]
    (owner, *notes), *lists = map(ok, (yield [described, *listed]))
    check_owner(owner, user)
    if list_key is None:
        window = window_of_hash(key, notes.pop())
    else:
        window = window_of_list(list_key, lists[0], most)
    goal, scratchpad, summary = (text(value or b"") for value in notes)
    return _reported(replace(window, goal=goal, scratchpad=scratchpad, summary=summary))


def _owned(command: Command, key: str, user: str | None) -> Op[Any]:
    """Send a command, and return its reply if the session of this key is not another user's."""
    of_session: list[Command] = [] if user is None else [reads("HGET", key, "user")]
    stored, *owners = map(ok, (yield [command, *of_session]))
    check_owner(owners[0] if owners else None, user)
    return stored


def _messages(window: Op[Window]) -> Op[list[BaseMessage]]:
    return (yield from window).messages


def list_messages(key: str, max_messages: int | None) -> Op[list[BaseMessage]]:
    """Return the messages of a list, oldest first; with `max_messages`, only so many of the newest."""
    return _messages(_window_of_list(key, max_messages))


def push_messages(
    key: str, entries: Sequence[bytes], ttl_seconds: int | None, max_messages: int | None
) -> Op[int]:
    """Put entries in front of a list, and trim it; return its length. One atomic round trip.

    Args:
        key: The list.
        entries: Encoded messages, oldest first.
        ttl_seconds: Its TTL from now on; `None` leaves it as it is.
        max_messages: How many messages are kept; `None` for all.
    """
    return (yield from _pushed(key, [], entries, ttl_seconds, max_messages))


def edit_list(key: str, plan: Plan, ttl_seconds: int | None, max_messages: int | None) -> Op[int]:
    """Delete messages of a list and append others as planned; return its length. Two round trips.

    The write is atomic, and deletes nothing that others appended meanwhile.

    Args:
        key: The list.
        plan: Returns the change of the messages it gets.
        ttl_seconds: As in `push_messages`.
        max_messages: As in `push_messages`.
    """
    entries: list[bytes] = yield from call(reads("LRANGE", key, 0, -1))
    edit = plan(editing.of_list(entries), [])
    if not (edit.gone or edit.added):
        return len(entries)
    return (yield from _pushed(key, edit.gone, edit.added, ttl_seconds, max_messages))


def _pushed(
    key: str, gone: Sequence[bytes], entries: Sequence[bytes], ttl_seconds: int | None, most: int | None
) -> Op[int]:
    command = _push.call([key], ttl_seconds or 0, most or 0, len(gone), *gone, *entries)
    length: int = yield from call(command)
    return length


def delete(key: str, kind: str) -> Op[bool]:
    """Delete a key of this Redis type; return whether it was there. One round trip."""
    return bool((yield from call(_delete.call([key], kind))))


def _newest(list_key: str, most: int | None) -> Command:
    """Return the command that reads a list's window, newest first."""
    return reads("LRANGE", list_key, 0, -1 if most is None else most - 1)


def _list_threads(of: Keys, limit: int | None) -> Op[list[str]]:
    found: list[str] = []

    def visit(keys: list[bytes]) -> Op[bool]:
        yield from ()
        found.extend(of.thread_of(key.decode("utf-8", "replace")) for key in keys)
        return limit is not None and len(found) >= limit

    yield from scan(of.sessions_prefix, "hash", visit)
    return found[:limit]


def _owners(keys: Sequence[str], lists: Sequence[str | None], removed: Removed) -> Op[list[Owner]]:
    reading: list[Command] = [reads("HMGET", key, "user", "turn_count", "list") for key in keys]
    replies = (yield [*reading, *(reads("TYPE", key) for key in lists if key is not None)]) if keys else []
    answered = dict(removed.answered(keys, replies[: len(keys)]))
    types = iter(replies[len(keys) :])
    found: list[Owner] = []
    for key, list_key in zip(keys, lists, strict=True):
        there = list_key is not None and ok(next(types)) == b"list"
        user, count, named = answered.get(key, (b"", b"", None))
        if user is count is None and there:
            removed.unreached.append(f"{list_key!r}: a list of messages that does not say whose it is")
            user = b""
        held = text(named) if named else list_key
        found.append(Owner(None if user is count is None else text(user or ""), held))
    return found


def _forget_sessions(sessions: Mapping[K, Owner], user: str, removed: Removed) -> Op[list[bool]]:
    """Delete or count the user's sessions among these keys; return of each whether it is. One round trip."""
    commands = [
        removed.call(_forget, [key] if owner.list_key is None else [key, owner.list_key], user)
        for key, owner in sessions.items()
    ]
    replies = (yield commands) if commands else []
    gone = {key for key, reply in removed.answered(sessions, replies) if reply}
    removed.count += len(gone)
    return [key in gone for key in sessions]


def _id_in(key: bytes, of: Keys) -> str | None:
    """Return the thread id in a session's key; `None` if no id can be what stands there."""
    try:
        return validate_id("thread_id", of.thread_of(key.decode()))
    except ValueError:
        return None


def _named(user: str | None) -> str | None:
    return None if user is None else validate_id("user", user)


def _writer(user: str | None) -> tuple[str | None, str]:
    """Return who writes, and whose session it must be: whoever's it is, if nobody is named."""
    return _named(user), "" if user is None else _owner(user, True)


def _owner(user: str, check_owner: bool) -> str:
    """Return the user whose session it must be; empty if it may be anybody's, as for who gives no name."""
    return user if check_owner and user not in NOBODY else ""


def _reported(window: Window) -> Window:
    _report(window.unreadable)
    return window


def _report(unreadable: list[UnreadableEntry]) -> None:
    for entry in unreadable:
        logger.warning(
            "An entry in %r at position %d cannot be read and is left in place: %s",
            entry.key,
            entry.position,
            entry.reason,
        )
