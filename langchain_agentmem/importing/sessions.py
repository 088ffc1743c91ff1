"""The messages and notes of an import.

A message's mark is written into the session's Hash by the very step that appends it, so either both are
there or neither is; a mark expires with its session. A message that came otherwise has no mark: it is known
by its members and its time, as an export has them, as long as the window holds it.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from langchain_agentmem.core.checks import NOBODY, Ttl, utf8
from langchain_agentmem.core.messages import mark_unanswered
from langchain_agentmem.core.operations import Argument, Op, call, gather, ok, pairs, reads, text
from langchain_agentmem.errors import InvalidInputError, WrongKeyTypeError
from langchain_agentmem.importing.lines import ImportOptions, MessageLine, NotesLine, message_digest
from langchain_agentmem.importing.report import ImportReport, TrimmedSession
from langchain_agentmem.working.operations import write
from langchain_agentmem.working.session import stored_entries, stored_time
from langchain_agentmem.working.working_memory import WorkingMemory

_MARKS = "import:"  # a field of the session's Hash, one per write
_MARK_SIZE = 16
_CUT_OFF = "cut_off_messages"


@dataclass(slots=True)
class _Session:
    """A session of an import: what was read of it, and what is to be written to it.

    Attributes:
        owner: Whose it is; empty if that is not known.
        is_new: Whether it was not there.
        last_active_ts: When it was last written to before the import.
        marks: Those of the messages that imports have stored.
        window: How often its window, or what has left it and waits to be summed up, holds each message.
        held: How many messages they held before the import.
        given: How many messages the import has for it.
        appended: How many of them were appended.
        turns: Those to be appended next, with their `new_marks`.
        notes: The fields to be set; `None` for none.
        active_ts: As of when it is written to; `None` for now.
        ttl_seconds: Its own TTL, if the import sets one.
    """

    owner: str = ""
    is_new: bool = True
    last_active_ts: float = 0.0
    marks: set[str] = field(default_factory=set)
    window: Counter[bytes] = field(default_factory=Counter)
    held: int = 0
    given: int = 0
    appended: int = 0
    turns: list[bytes] = field(default_factory=list)
    new_marks: list[str] = field(default_factory=list)
    notes: dict[str, Argument] | None = None
    active_ts: float | None = None
    ttl_seconds: Ttl = ...

    @property
    def most_held(self) -> int:
        """Return how many messages its window would hold now, were it long enough for those of the import."""
        return max(self.given, self.held + self.appended)


class ImportedSessions:
    """The messages and notes of an import; what a batch has of a session is stored in one atomic step.

    Args:
        working: Where sessions are stored.
        options: Options that override what lines say.
        report: Counts what becomes of the messages.
    """

    def __init__(self, working: WorkingMemory, options: ImportOptions, report: ImportReport) -> None:
        self._working, self._options, self._report = working, options, report
        self._sessions: dict[str, _Session | WrongKeyTypeError] = {}
        self._seen: Counter[tuple[str, bytes]] = Counter()
        self._source = b""

    def look_op(self, lines: Iterable[MessageLine | NotesLine]) -> Op[None]:
        """Read the sessions that lines are for and that are not known yet. One round trip."""
        threads = [self._options.thread(line) for line in lines]
        new = [one for one in dict.fromkeys(threads) if one is not None and one not in self._sessions]
        found = yield from gather(call(reads("HGETALL", self._working.key(one))) for one in new)
        for thread, fields in zip(new, found, strict=True):
            wrong = isinstance(fields, WrongKeyTypeError)
            self._sessions[thread] = fields if wrong else _read(dict(pairs(ok(fields))))

    def take(self, line: MessageLine | NotesLine) -> None:
        """Take a line, whose session has been looked at.

        Raises:
            InvalidInputError: Its thread is not known, belongs to somebody else, or it cannot be stored.
            WrongKeyTypeError: Something else is stored where the session would be.
        """
        if isinstance(line, MessageLine):
            self._source = self._source or line.digest  # of a line that is refused too: it may be mended
        thread = self._options.thread(line)
        if thread is None:
            raise InvalidInputError("a message: say with --thread (thread_id=) which conversation it is of")
        session = self._session(thread, self._options.owner(line))
        if isinstance(line, NotesLine):
            return _note(session, line)
        session.given += 1
        mark, occurrence = self._mark(thread, line)
        if mark in session.marks or (line.ts is not None and occurrence <= session.window[line.digest]):
            self._report.duplicate_messages += 1
            return
        turn = self._working.encode(line.message, time.time() if line.ts is None else line.ts)
        session.turns.append(mark_unanswered(turn) if line.unanswered else turn)
        session.new_marks.append(mark)

    def store_op(self) -> Op[None]:
        """Store what was taken, with its marks. One round trip."""
        taken = [
            (thread, session)
            for thread, session in self._sessions.items()
            if isinstance(session, _Session) and (session.turns or session.notes is not None)
        ]
        for reply in (yield from gather(self._write(*one) for one in taken)):
            ok(reply)

    def trimmed(self) -> list[TrimmedSession]:
        """Return the sessions that do not hold all their messages."""
        most, config = self._working.max_turns, self._working.config
        if most is None or self._working.list_prefix is not None:  # a list keeps all
            return []
        if config.summarise is not None:  # what has left the window waits
            most += config.max_waiting
        return [
            TrimmedSession(thread, most, session.most_held)
            for thread, session in self._sessions.items()
            if isinstance(session, _Session) and session.most_held > most
        ]

    def _session(self, thread: str, user: str) -> _Session:
        session = self._sessions[thread]
        if isinstance(session, WrongKeyTypeError):
            raise session
        if session.owner in NOBODY:
            session.owner = user
        elif session.owner != user:
            raise InvalidInputError(
                f"the thread {thread} is {session.owner}'s, not {user}'s: "
                f"say --user {session.owner} (user=), or another --thread (thread_id=)"
            )
        return session

    def _write(self, thread: str, session: _Session) -> Op[None]:
        """Append what is not marked yet, with its marks and the notes, in one atomic step."""
        turns, marks, fields = session.turns, session.new_marks, session.notes or {}
        session.turns, session.new_marks, session.notes = [], [], None
        agent = str(fields.get("agent", "default"))
        cut_off = fields.pop(_CUT_OFF, 0)
        if session.is_new and cut_off:  # they count, although nobody has them
            fields["turn_count"] = int(cut_off) + len(turns)
        session.is_new = False
        if marks:
            fields[_MARKS + marks[0]] = "".join(marks)
        flat = [part for item in fields.items() for part in item]
        commands = self._working.write_commands(
            thread,
            session.owner,
            agent,
            turns=turns,
            fields=flat,
            now=session.active_ts,
            ttl_seconds=session.ttl_seconds,
        )
        yield from write(thread, *commands)
        session.marks.update(marks)
        session.appended += len(turns)
        self._report.new_messages += len(turns)

    def _mark(self, thread: str, line: MessageLine) -> tuple[str, int]:
        """Return what a message is known by: its content's hash, and which time this is in this import.

        Without a time, "yes" says nothing about itself; it is then known by the first message of its file
        too, so that the "yes" of another file is another message.
        """
        said = line.digest if line.ts is not None else line.digest + self._source
        self._seen[thread, said] += 1
        occurrence = self._seen[thread, said]
        return hashlib.sha256(said + str(occurrence).encode()).hexdigest()[:_MARK_SIZE], occurrence


def _note(session: _Session, line: NotesLine) -> None:
    """Let a session get notes.

    Raises:
        InvalidInputError: One is no text.
    """
    said = {"goal": line.goal, "scratchpad": line.scratchpad, "summary": line.summary}
    for name, value in said.items():
        utf8(name, value)
    about = {"user": session.owner, "agent": line.agent}
    notes: dict[str, Argument] = {name: value for name, value in about.items() if value != "default"}
    notes |= {name: value for name, value in said.items() if value}
    if session.is_new and line.created_ts is not None:
        notes["created_ts"] = line.created_ts
    if session.is_new:
        notes[_CUT_OFF] = line.cut_off_messages
    if line.last_active_ts is not None:  # an import is no activity
        session.active_ts = max(line.last_active_ts, session.last_active_ts)
    if line.ttl_seconds is not ...:
        session.ttl_seconds = line.ttl_seconds
        notes["ttl_seconds"] = line.ttl_seconds or 0
    session.notes = (session.notes or {}) | notes


def _read(fields: dict[bytes, bytes]) -> _Session:
    stored = {text(name): text(value) for name, value in fields.items()}
    marks = "".join(value for name, value in stored.items() if name.startswith(_MARKS))
    window = _digests(fields.get(b"recent_turns")) + _digests(fields.get(b"waiting_turns"))
    return _Session(
        owner=stored.get("user", ""),
        is_new="thread_id" not in stored,
        last_active_ts=stored_time(stored.get("last_active_ts")),
        marks={marks[at : at + _MARK_SIZE] for at in range(0, len(marks), _MARK_SIZE)},
        window=window,
        held=window.total(),
    )


def _digests(window: bytes | None) -> Counter[bytes]:
    """Return how often a window holds each message."""
    found = Counter[bytes]()
    for entry in stored_entries(window):
        with suppress(TypeError, ValueError, RecursionError):  # another program's
            found[message_digest(entry)] += 1
    return found
