"""How a text that came from elsewhere is shown to a model, so that it cannot leave its frame."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

_TAG = re.compile(r"<(?=[/!?A-Za-z|])")


def without_tags(text: str) -> str:
    """Return a text that can begin and end no tag."""
    return _TAG.sub("&lt;", text)


def framed(tag: str, lines: Iterable[dict[str, str]]) -> str:
    """Return lines of JSON between tags, in which no text can end its line; nothing if there are none."""
    written = [_json(line) for line in lines]
    return "\n".join([f"<{tag}>", *written, f"</{tag}>"]) if written else ""


def _json(line: dict[str, str]) -> str:
    # `<` would let a text close its frame. U+2028, U+2029 and U+0085 end a line to some readers.
    text = json.dumps(line, ensure_ascii=False).replace("<", "\\u003c")
    for char in "\u0085\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text.encode("utf-8", "replace").decode()  # a lone surrogate is no text for a model
