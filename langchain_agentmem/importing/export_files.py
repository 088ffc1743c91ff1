"""The file of a chat export: what it is, and the conversations in it, also in the zip they come in."""

from __future__ import annotations

import lzma
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain, islice
from os import PathLike
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, TypeAlias, cast

from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.importing.conversations import described, origin_of
from langchain_agentmem.importing.json_lists import JsonList

ExportFormat: TypeAlias = Literal["chatgpt", "claude", "lines"]

_ZIPS = (b"PK\x03\x04", b"PK\x05\x06")  # the second one is empty
# What Python raises of a zip that is damaged, encrypted, or packed in a way it does not know.
_UNREADABLE_ZIP = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    *(RuntimeError, NotImplementedError, ValueError, OverflowError),
)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_EXPECTED = (
    'Expected is a list of conversations, each with "mapping" (ChatGPT) or "chat_messages" (Claude), '
    "the zip that holds it as conversations.json, or JSON lines."
)
_LOOKED_AT = 100  # elements, of which one has to be a conversation


class Element(NamedTuple):
    """Holds something in the list of conversations, and where it begins and ends, in bytes of all files."""

    number: int
    value: Any
    begin: int
    end: int


class ExportFile:
    """A file that is a chat export, the zip of one, or JSON lines, open for reading.

    Args:
        path: Where it is; or the file itself, opened to read bytes, which is left open.
        plain: Whether it is known to be lines.
        max_unpacked_bytes: The most bytes that a zip may hold unpacked.

    Attributes:
        format: What it is: `chatgpt`, `claude` or `lines`.
        size: Its bytes, unpacked; 0 if unknown.
        problems: A sentence for each part of it that could not be read so far.

    Raises:
        InvalidInputError: It is none of these; says what was expected.
        OSError: It cannot be opened.
    """

    def __init__(
        self, path: str | PathLike[str] | IO[bytes], *, plain: bool, max_unpacked_bytes: int
    ) -> None:
        self.format: ExportFormat = "lines"
        self.size = 0
        self.problems: list[str] = []
        self._max_unpacked, self._open = max_unpacked_bytes, ExitStack()
        with ExitStack() as failing:
            failing.push(self._open)
            self._find_out(path, plain)
            failing.pop_all()

    def close(self) -> None:
        """Close the file, if it was opened here."""
        self._open.close()

    def lines(self) -> Iterator[bytes]:
        """Yield its lines, if that is its format."""
        yield from self._stream

    def elements(self) -> Iterator[Element]:
        """Yield what stands in its lists of conversations, if it is a chat export."""
        yield from self._found

    def _find_out(self, path: str | PathLike[str] | IO[bytes], plain: bool) -> None:
        if isinstance(path, str | PathLike):
            self._stream: IO[bytes] = self._open.enter_context(Path(path).open("rb"))  # noqa: SIM115 - closed by close()
        else:
            self._stream = path
        begins = b"" if plain else _beginning(self._stream)
        if begins.startswith(_ZIPS):
            files = self._unpacked()
        elif begins.removeprefix(_BYTE_ORDER_MARK).lstrip()[:1] == b"[":
            files = [("The file", _size(self._stream), self._stream)]
        else:
            self.size = _size(self._stream)
            return
        self.size = sum(size for _, size, _ in files)
        elements = self._elements(files)
        before: list[Element] = []
        for element in islice(elements, _LOOKED_AT):
            before.append(element)
            if (origin := origin_of(element.value)) is not None:
                self.format = origin
                self._found = chain(before, elements)
                return
        said = f" {self.problems[0]}." if self.problems else ""
        if before:
            said = f" The first thing in it is {described(before[0].value)}."
        raise InvalidInputError(f"No conversations of ChatGPT or Claude were found.{said} {_EXPECTED}")

    def _unpacked(self) -> list[tuple[str, int, Any]]:
        """Return the files of conversations that the zip holds: name, size unpacked, entry."""
        if not _is_seekable(self._stream):  # a pipe
            whole = self._open.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed by close()
            shutil.copyfileobj(self._stream, whole)
            self._stream = whole
        try:
            self._zip = self._open.enter_context(zipfile.ZipFile(self._stream))
        except _UNREADABLE_ZIP as error:
            raise InvalidInputError(f"The zip cannot be read: {error}. {_EXPECTED}") from error
        found = sorted((one for one in self._zip.infolist() if _holds_conversations(one)), key=_by_number)
        if not found:
            raise InvalidInputError(f"The zip holds no conversations.json. {_EXPECTED}")
        unpacked = sum(one.file_size for one in found)
        if unpacked > self._max_unpacked:
            raise InvalidInputError(
                f"The zip's conversations have {unpacked:,} bytes unpacked; the limit is "
                f"{self._max_unpacked:,} (max_unpacked_bytes). Unpack it and import its "
                "conversations.json if you trust it."
            )
        return [(one.filename, one.file_size, one) for one in found]

    def _elements(self, files: list[tuple[str, int, Any]]) -> Iterator[Element]:
        """Yield the elements of all files; where one cannot be read, go on with the next."""
        number, before = 0, 0
        for name, size, source in files:
            try:
                with ExitStack() as closing:
                    stream = source
                    if isinstance(source, zipfile.ZipInfo):
                        stream = closing.enter_context(self._zip.open(source))
                    elements, end = JsonList(stream), 0
                    for value in elements:
                        number, begin, end = number + 1, end, elements.bytes_read
                        yield Element(number, value, before + begin, before + end)
            except InvalidInputError as error:
                self.problems.append(f"{name}, behind conversation {number}: {error}")
            except _UNREADABLE_ZIP as error:
                if not isinstance(source, zipfile.ZipInfo):
                    raise
                self.problems.append(f"{name}, behind conversation {number}: it cannot be unpacked: {error}")
            before += size


def _beginning(stream: IO[bytes]) -> bytes:
    """Return what a file begins with, and leave it there; of a pipe, as much as has come."""
    if _is_seekable(stream):
        begins = stream.read(4096)
        stream.seek(-len(begins), 1)
        return begins
    peek = getattr(stream, "peek", None)
    return b"" if peek is None else cast(bytes, peek(1))


def _is_seekable(stream: IO[bytes]) -> bool:
    try:
        return stream.seekable()
    except AttributeError:  # a SpooledTemporaryFile of Python 3.10
        return True


def _size(stream: IO[bytes]) -> int:
    """Return how many bytes are left to read; 0 if nobody knows."""
    if not _is_seekable(stream):
        return 0
    at = stream.tell()
    size = stream.seek(0, 2) - at
    stream.seek(at)
    return size


def _holds_conversations(entry: zipfile.ZipInfo) -> bool:
    name = entry.filename.rpartition("/")[2]
    part = name.removeprefix("conversations").removesuffix(".json").removeprefix("-")
    known = name.startswith("conversations") and name.endswith(".json")
    return known and (part == "" or part.isdecimal())


def _by_number(entry: zipfile.ZipInfo) -> tuple[int, str]:
    return len(entry.filename), entry.filename
