"""Reading a long JSON list an element at a time, so that the list itself is never in memory."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import IO, Any

from langchain_agentmem.errors import InvalidInputError

MOST_CHARACTERS = 64 * 1024**2  # of one element
_CHUNK = 1024**2  # bytes that are read at once, and twice what is there if that is not enough
_NEAR = 16  # characters from the end within which an error may come of what is still to be read
_BLANKS = re.compile(r"\s*")
_BETWEEN = re.compile(r"[\s,]*")
_JSON = json.JSONDecoder()


class JsonList:
    """The elements of a JSON list in a file, to be iterated over once.

    Args:
        stream: The file, opened to read bytes: UTF-8, with or without a byte order mark.
        most: The most characters that an element may have.

    Attributes:
        bytes_read: Where the elements that were yielded end in the file.
    """

    def __init__(self, stream: IO[bytes], *, most: int = MOST_CHARACTERS) -> None:
        self.bytes_read = 0
        self._stream, self._most = stream, most
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._text, self._at, self._ended = "", 0, False

    def __iter__(self) -> Iterator[Any]:
        """Yield the elements in their order.

        Raises:
            InvalidInputError: The file is no list, breaks off, or has something in it that is no JSON or too
                large; the elements before that have been yielded.
        """
        if self._skip(_BLANKS) != "[":
            raise InvalidInputError("the file is no JSON list")
        self._go_on(self._at + 1)
        while (first := self._skip(_BETWEEN)) != "]":
            if not first:
                raise InvalidInputError("the file breaks off; download or copy it again")
            element, end = self._element()
            self._go_on(end)
            yield element

    def _element(self) -> tuple[Any, int]:
        """Return the element that comes next, and where in the text it ends; read on as it takes."""
        while True:
            try:
                return _JSON.raw_decode(self._text, self._at)
            except RecursionError as error:
                raise InvalidInputError("what follows is nested too deeply") from error
            except json.JSONDecodeError as error:
                near = 0 if self._ended else _NEAR
                may_go_on = error.pos >= len(self._text.rstrip()) - near or error.msg.startswith("Unterm")
                if not may_go_on or self._ended:
                    said = "the file breaks off" if may_go_on else f"what follows is no JSON ({error.msg})"
                    raise InvalidInputError(f"{said}; download or copy it again") from error
            except ValueError as error:  # a number with too many digits
                raise InvalidInputError(f"what follows is no JSON ({error})") from error
            there = len(self._text) - self._at
            if there > self._most:
                raise InvalidInputError(f"what follows has more than {self._most:,} characters")
            self._read(max(_CHUNK, there))

    def _skip(self, between: re.Pattern[str]) -> str:
        """Go past what stands between elements; return the next character, or nothing at the end."""
        while True:
            found = between.match(self._text, self._at)
            self._go_on(found.end() if found else self._at)
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]
            self._read(_CHUNK)

    def _go_on(self, at: int) -> None:
        self.bytes_read += len(self._text[self._at : at].encode())
        self._at = at

    def _read(self, size: int) -> None:
        read = self._stream.read(size)
        self._ended = not read
        self._text = self._text[self._at :] + self._decoder.decode(read, final=self._ended)
        self._at = 0
