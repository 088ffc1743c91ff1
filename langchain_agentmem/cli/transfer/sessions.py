"""The messages and notes of an import.

A message's mark is written into the session's Hash by the very step that appends it, so either both are
there or neither is; a mark lives and dies with its session.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langchain_agentmem.cli.transfer.format import Defaults, MessageLine, NotesLine, Tally
from langchain_agentmem.core.messages import mark_unanswered
from langchain_agentmem.core.operations import call, pairs, reads, text
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.working.operations import write

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory

_MARKS = "import:"  # a field of the session's Hash, one a batch
_MARK_SIZE = 16
_NOBODY = ("", "default")


@dataclass(frozen=True, slots=True)
class Window:
    """What a session holds of the messages it was given."""

    thread: str
    kept: int
    messages: int


@dataclass(slots=True)
class _Session:
    """What is known of a session that lines are for."""

    owner: str
    marks: set[str]
    messages: int
    waiting: list[tuple[int, MessageLine]] = field(default_factory=list)


class ImportedSessions:
    """Takes messages and notes; messages are stored together, a session at a time."""

    def __init__(self, memory: AgentMemory, defaults: Defaults, tally: Tally) -> None:
        self._memory = memory
        self._defaults = defaults
        self._tally = tally
        self._sessions: dict[str, _Session] = {}
        self._seen: Counter[tuple[str, bytes]] = Counter()
        self._source = b""

    def take(self, number: int, line: MessageLine) -> None:
        """Take a message.

        Raises:
            InvalidInputError: Its thread is not known, or belongs to somebody else.
        """
        self._source = self._source or line.digest  # of a line that is refused too: it may be mended
        thread = self._defaults.thread or line.thread
        if thread is None:
            raise InvalidInputError("a message: say with --thread which conversation it is of")
        self._session(thread, self._owner(line)).waiting.append((number, line))

    def note(self, line: NotesLine) -> None:
        """Store what a session is for.

        Raises:
            InvalidInputError: It belongs to somebody else, or cannot be stored.
        """
        thread, user = self._defaults.thread or line.thread, self._owner(line)
        self._session(thread, user)
        working = self._memory.working
        working.start(thread, user=user, agent=line.agent, goal=line.goal)
        if line.scratchpad:
            working.set_scratchpad(thread, line.scratchpad)

    def store(self) -> None:
        """Store what was taken."""
        for thread, session in self._sessions.items():
            if session.waiting:
                waiting, session.waiting = session.waiting, []
                self._append(thread, session, waiting)

    def windows(self) -> list[Window]:
        """The sessions that do not hold all their messages."""
        working = self._memory.working
        most = working.max_turns
        if most is None or working.list_prefix is not None:  # a list keeps all
            return []
        found = ((thread, session.messages) for thread, session in self._sessions.items())
        return [Window(thread, most, messages) for thread, messages in found if messages > most]

    def _owner(self, line: MessageLine | NotesLine) -> str:
        return self._defaults.user or line.user or self._defaults.login

    def _append(self, thread: str, session: _Session, lines: Sequence[tuple[int, MessageLine]]) -> None:
        """Append what is not marked yet, with its marks, in one atomic step."""
        working, now = self._memory.working, time.time()
        turns, marks = [], []
        for number, line in lines:
            mark = self._mark(thread, line)
            if mark in session.marks:
                self._tally.known_messages += 1
                continue
            try:
                turn = working.encode(line.message, now if line.ts is None else line.ts)
                turns.append(mark_unanswered(turn) if line.unanswered else turn)
            except InvalidInputError as error:
                self._tally.bad.append((number, str(error)))
            else:
                marks.append(mark)
        if not turns:
            return
        fields = [_MARKS + marks[0], "".join(marks)]
        commands = working.write_commands(thread, session.owner, turns=turns, fields=fields, now=now)
        self._memory.transport.run(write(thread, *commands))
        session.marks.update(marks)
        session.messages += len(turns)
        self._tally.new_messages += len(turns)

    def _mark(self, thread: str, line: MessageLine) -> str:
        """What a message is known by: what it says, and the how manieth in this file that says so.

        Without a time, "yes" says nothing about itself; it is then known by the first message of its file
        too, so that the "yes" of another file is another message.
        """
        said = line.digest if line.ts is not None else line.digest + self._source
        self._seen[thread, said] += 1
        whole = said + str(self._seen[thread, said]).encode()
        return hashlib.sha256(whole).hexdigest()[:_MARK_SIZE]

    def _session(self, thread: str, user: str) -> _Session:
        """The session of a thread, read once, for a line of this user."""
        session = self._sessions.get(thread)
        if session is None:
            fields = self._memory.transport.run(call(reads("HGETALL", self._memory.working.key(thread))))
            stored = {text(name): value for name, value in pairs(fields)}
            marks = "".join(text(stored[name]) for name in stored if name.startswith(_MARKS))
            session = _Session(
                owner=text(stored.get("user", "")),
                marks={marks[at : at + _MARK_SIZE] for at in range(0, len(marks), _MARK_SIZE)},
                messages=_number(stored.get("turn_count")),
            )
            self._sessions[thread] = session
        if session.owner in _NOBODY:
            session.owner = user
        elif session.owner != user:
            raise InvalidInputError(
                f"the thread {thread} is {session.owner}'s, not {user}'s: "
                f"say --user {session.owner}, or another --thread"
            )
        return session


def _number(value: object) -> int:
    digits = text(value or b"0")
    return int(digits) if digits.isdecimal() else 0
