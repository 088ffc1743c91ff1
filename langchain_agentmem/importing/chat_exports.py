"""Lines to import from what people bring: a ChatGPT or a Claude export, or its zip, or JSON lines."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from os import PathLike
from typing import IO, Any

from typing_extensions import Self

from langchain_agentmem.chain.noteworthy import noteworthy, occasion
from langchain_agentmem.core.checks import positive, validate_id
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.importing.conversations import Conversation, conversation, title_of
from langchain_agentmem.importing.export_files import Element, ExportFile, ExportFormat
from langchain_agentmem.importing.lines import RawLine
from langchain_agentmem.longterm.config import BaseLongTermMemoryConfig
from langchain_agentmem.longterm.drafts import CONTEXT_MESSAGES, context_of

_MOST_UNPACKED = 2 * 1024**3


def chat_export_lines(
    path: str | PathLike[str] | IO[bytes],
    *,
    kind: str = "semantic",
    plain: bool = False,
    max_text_bytes: int = BaseLongTermMemoryConfig.max_text_bytes,
    max_unpacked_bytes: int = _MOST_UNPACKED,
) -> ChatExportLines:
    """Return the lines that `AgentMemory.import_lines` takes, of a ChatGPT or Claude export or of JSON lines.

    The format is told from what the file holds, not from its name. Each conversation becomes a session with
    its title as the goal, its messages, and a memory for each message of the user that states something
    (`noteworthy`), as of the time it was said. Regenerated answers, system and tool messages are left out.
    JSON lines come as they are.

    One conversation is in memory at a time, so that a file may have any size. A conversation that cannot be
    read is noted in `problems`, and does not hide the others.

    Args:
        path: A conversations.json, the zip it came in, or a file of JSON lines; or such a file, opened to
            read bytes, which is left open.
        kind: The kind of the memories; `semantic` does not expire by default.
        plain: Whether each line is a text, as `import_lines(plain=True)` takes it, so that nothing is told
            from what the file holds.
        max_text_bytes: The longest text that becomes a memory; longer ones are in the conversation only.
        max_unpacked_bytes: The most that a zip may hold unpacked, in bytes: 2 GiB, if not given.

    Raises:
        InvalidInputError: The file is no such export, or its zip cannot be read or holds too much; says what
            was expected.
        OSError: The file cannot be opened.
    """
    validate_id("kind", kind)
    positive("max_text_bytes", max_text_bytes)
    file = ExportFile(
        path, plain=plain, max_unpacked_bytes=positive("max_unpacked_bytes", max_unpacked_bytes)
    )
    return ChatExportLines(file, kind=kind, max_text_bytes=max_text_bytes)


class ChatExportLines(Iterator[RawLine]):
    """The lines of an export, to be iterated over once, and what became of it so far.

    `chat_export_lines` returns it. Use it as a context manager to close the file if you may stop early; it is
    closed at the end.
    """

    def __init__(self, file: ExportFile, *, kind: str, max_text_bytes: int) -> None:
        self._conversations, self._not_remembered = 0, Counter[str]()
        self._file, self._kind, self._max_text_bytes = file, kind, max_text_bytes
        self._done, self._yielded = 0.0, 0
        self._threads: dict[str, list[bytes]] = {}  # by id, what was said in each conversation that has it
        self._begins: list[tuple[int, str]] = []  # the first line of each conversation, and its name
        self._lines: Iterator[RawLine] = (
            self._as_they_are() if self.format == "lines" else self._of_conversations()
        )

    @property
    def format(self) -> ExportFormat:
        """Return what the file is: `chatgpt`, `claude` or `lines`."""
        return self._file.format

    @property
    def conversations(self) -> int:
        """Return how many conversations of a chat export were read so far."""
        return self._conversations

    @property
    def not_remembered(self) -> Counter[str]:
        """Return how many messages of the user are no memories, by what they are.

        That is `question`, `request`, `greeting`, `thanks`, `farewell` or `small_talk`; `unusable` is one of
        more than `max_text_bytes`.
        """
        return self._not_remembered

    @property
    def problems(self) -> list[str]:
        """Return a sentence for each conversation, or part of the file, that could not be read so far."""
        return self._file.problems

    @property
    def fraction(self) -> float | None:
        """Return how much has been read, from 0 to 1; `None` if the size is not known."""
        return min(self._done / self._file.size, 1.0) if self._file.size else None

    def place(self, line: int) -> str:
        """Return where a line is from, for a person: the conversation of an export, else its number.

        Args:
            line: The line's number, from 1, as an `ImportReport` has it.
        """
        at = bisect_right(self._begins, line, key=lambda one: one[0])
        return f"line {line}" if at == 0 else self._begins[at - 1][1]

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> RawLine:
        try:
            line = next(self._lines)
        except BaseException:
            self.close()
            raise
        self._yielded += 1
        return line

    def close(self) -> None:
        """Close the file, if it was opened here. The lines end."""
        self._lines = iter(())
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _as_they_are(self) -> Iterator[bytes]:
        for line in self._file.lines():
            self._done += len(line)
            yield line

    def _of_conversations(self) -> Iterator[RawLine]:
        for element in self._file.elements():
            title = title_of(element.value)
            name = f"conversation {element.number}" + (f" “{title[:60]}”" if title else "")
            try:
                found = conversation(element.value)
            except InvalidInputError as error:
                self.problems.append(f"{name[:1].upper()}{name[1:]}: {error}")
                continue
            if found.messages and (thread := self._thread(found)):
                self._conversations += 1
                self._begins.append((self._yielded + 1, name))
                yield from self._at_a_time(element, [*self._of_conversation(found, thread)])
        self._done = self._file.size

    def _at_a_time(self, element: Element, lines: list[dict[str, Any]]) -> Iterator[RawLine]:
        """Yield the lines of an element; each stands for an equal part of its bytes."""
        for at, line in enumerate(lines, 1):
            self._done = element.begin + (element.end - element.begin) * at / len(lines)
            yield line

    def _thread(self, found: Conversation) -> str:
        """Return the thread of a conversation; empty if the same one came before, under the same id."""
        others, digest = self._threads.setdefault(found.id, []), found.digest
        if digest in others:
            return ""
        others.append(digest)
        return found.id if len(others) == 1 else f"{found.id}-{len(others)}"

    def _of_conversation(self, found: Conversation, thread: str) -> Iterator[dict[str, Any]]:
        times = {"created_ts": found.created_ts, "last_active_ts": found.last_active_ts}
        yield {"thread": thread, "goal": found.title, **_known(times)}
        said: list[str] = []
        for message in found.messages:
            line = {"thread": thread, "role": message.role, "content": message.content}
            yield line | _known({"ts": message.ts})
            if message.role == "user" and message.words and self._is_remembered(message.words):
                about = {"text": message.words, "kind": self._kind, "thread": thread}
                yield about | {"context": context_of(said)} | _known({"created_ts": message.ts})
            if message.words:
                said = [*said, message.words][-CONTEXT_MESSAGES:]

    def _is_remembered(self, words: str) -> bool:
        if noteworthy(words) is None:
            self._not_remembered[occasion(words) or "declined"] += 1
        elif len(words.encode()) > self._max_text_bytes:
            self._not_remembered["unusable"] += 1
        else:
            return True
        return False


def _known(times: dict[str, float | None]) -> dict[str, Any]:
    return {name: ts for name, ts in times.items() if ts is not None}
