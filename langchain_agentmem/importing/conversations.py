"""The conversations of ChatGPT and Claude exports: what was said and seen in each, in order. Pure functions.

Of regenerated answers and edited questions only the branch that was shown last counts. Left out are system
and tool messages, what a model thought or sent to a tool, and whatever was hidden from the conversation. A
picture or a file becomes a word in brackets.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from math import isfinite
from typing import Any, Literal, TypeAlias

from langchain_agentmem.core import json
from langchain_agentmem.core.checks import MAX_SCOPE_BYTES, YEAR_10000
from langchain_agentmem.errors import InvalidInputError

Origin: TypeAlias = Literal["chatgpt", "claude"]

_UNTITLED = ("", "New chat", "Untitled")
_THOUGHTS = ("thoughts", "reasoning_recap", "user_editable_context", "model_editable_context")
_CITATION = re.compile("\ue200[^\ue200\ue201]*\ue201")  # links of a web search, unreadable without the page
_FRACTION = re.compile(r"\.(\d+)")
_ROOM = 1024  # bytes for what is put before or behind an id


@dataclass(frozen=True, slots=True)
class Said:
    """A message that was seen.

    Attributes:
        role: `user` or `assistant`.
        words: What was written or spoken; empty if only a picture or a file was sent.
        content: The same, and a word in brackets for each picture and file.
        ts: When, in epoch seconds; `None` if nothing in its conversation tells.
    """

    role: str
    words: str
    content: str
    ts: float | None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation of an export.

    Attributes:
        id: Its id; one made of how it begins, if it has none.
        title: Its title; empty if nobody gave it one.
        created_ts: When it began, in epoch seconds; `None` if unknown.
        last_active_ts: When something was last said in it, in epoch seconds; `None` if unknown.
        messages: What was seen, in order.
    """

    id: str
    title: str
    created_ts: float | None
    last_active_ts: float | None
    messages: list[Said]

    @property
    def digest(self) -> bytes:
        """Return what is the same only for conversations in which the same was said."""
        return hashlib.sha256(json.dumps([[one.role, one.content, one.ts] for one in self.messages])).digest()


def origin_of(element: Any) -> Origin | None:
    """Return whose conversation an element of an export is; `None` if it is none."""
    if not isinstance(element, dict):
        return None
    return "chatgpt" if "mapping" in element else "claude" if "chat_messages" in element else None


def title_of(element: Any) -> str:
    """Return the title of a conversation, however broken it is; empty if it has none."""
    found = _dict(element)
    title = " ".join((_text(found.get("title")) or _text(found.get("name"))).split())
    return "" if title in _UNTITLED else title


def conversation(element: Any) -> Conversation:
    """Return the conversation that an element of an export holds.

    Raises:
        InvalidInputError: It holds none; says what was expected.
    """
    origin = origin_of(element)
    if origin == "chatgpt":
        return _conversation(element, origin, ("conversation_id", "id"), "update_time", _of_chatgpt(element))
    if origin == "claude":
        return _conversation(element, origin, ("uuid",), "updated_at", _of_claude(element))
    raise InvalidInputError(
        'no conversation: expected an object with "mapping" (ChatGPT) or "chat_messages" (Claude), '
        f"not {described(element)}"
    )


def described(element: Any) -> str:
    """Return what something is that should be a conversation, without its contents."""
    if isinstance(element, dict):
        return f"an object with {', '.join(map(repr, [*element][:5])) or 'nothing in it'}"
    return type(element).__name__


def _conversation(
    element: dict[str, Any], origin: Origin, ids: tuple[str, ...], updated: str, messages: list[Said]
) -> Conversation:
    created = _time(element.get("create_time" if origin == "chatgpt" else "created_at"))
    timed, before = [], created
    for one in messages:  # those without a time have that of what was said before
        before = before if one.ts is None else one.ts
        timed.append(Said(one.role, one.words, one.content, before))
    known = [one.ts for one in timed if one.ts is not None]
    last = max(known, default=None) if known else _time(element.get(updated))
    found = (_id(element.get(name)) for name in ids)
    title = title_of(element)
    return Conversation(
        id=next(filter(None, found), "") or _made_id(origin, title, created, timed),
        title=title,
        created_ts=created if created is not None else min(known, default=None),
        last_active_ts=last,
        messages=timed,
    )


def _made_id(origin: Origin, title: str, created: float | None, messages: list[Said]) -> str:
    first = messages[0].content if messages else ""
    return f"{origin}-{hashlib.sha256(json.dumps([title, created, first])).hexdigest()[:32]}"


def _of_chatgpt(element: dict[str, Any]) -> list[Said]:
    mapping = element["mapping"]
    if not isinstance(mapping, dict):
        raise InvalidInputError(
            f'no conversation: its "mapping" is {type(mapping).__name__}, and no object of messages'
        )
    return [
        said for node in _shown(element, mapping) if (said := _chatgpt_message(_dict(node.get("message"))))
    ]


def _shown(element: dict[str, Any], mapping: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the nodes of the branch that is shown, from its root on."""
    at = element.get("current_node")
    if not isinstance(at, str) or at not in mapping:
        at = _last_leaf(mapping)
    path: dict[str, dict[str, Any]] = {}
    while isinstance(at, str) and at in mapping and at not in path:  # a circle ends where it began
        path[at] = _dict(mapping[at])
        at = path[at].get("parent")
    return [*path.values()][::-1]


def _last_leaf(mapping: dict[str, Any]) -> str | None:
    """Return the node without children that was written last."""
    parents = {parent for node in mapping.values() if isinstance(parent := _dict(node).get("parent"), str)}
    leaves = [one for one in mapping if one not in parents]
    written = {one: _time(_dict(_dict(mapping[one]).get("message")).get("create_time")) for one in leaves}
    return max(leaves, key=lambda one: written[one] or 0, default=None)


def _chatgpt_message(message: dict[str, Any]) -> Said | None:
    role = _dict(message.get("author")).get("role")
    about, content = _dict(message.get("metadata")), _dict(message.get("content"))
    hidden = about.get("is_visually_hidden_from_conversation") or about.get("is_user_system_message")
    to_a_tool = message.get("recipient") not in (None, "", "all")
    kind = content.get("content_type")
    if role not in ("user", "assistant") or hidden or to_a_tool or message.get("weight") == 0:
        return None
    if kind in _THOUGHTS:
        return None
    words, sent = list[str](), list[str]()
    if kind == "code":
        code = _text(content.get("text"))
        words += [f"```{_language(content)}\n{code}\n```"] if code.strip() else []
    for part in _list(content.get("parts")):
        if isinstance(part, str):
            words.append(part if role == "user" else _CITATION.sub("", part))
            continue
        of = _text(_dict(part).get("content_type"))
        if of == "audio_transcription":
            words.append(_text(_dict(part).get("text")))
        elif of.startswith("image"):
            sent.append("[image]")
    for attached in _list(about.get("attachments")):
        if not _text(_dict(attached).get("mime_type")).startswith("image/"):
            sent.append(_sent(_dict(attached).get("name")))
    return _said(role, "\n".join(map(_text, words)), sent, _time(message.get("create_time")))


def _language(content: dict[str, Any]) -> str:
    language = _text(content.get("language"))
    return "" if language == "unknown" else language


def _of_claude(element: dict[str, Any]) -> list[Said]:
    messages = element["chat_messages"]
    if not isinstance(messages, list):
        raise InvalidInputError(
            f'no conversation: its "chat_messages" is {type(messages).__name__}, and no list of messages'
        )
    shown = _last_branch(element, [one for one in messages if isinstance(one, dict)])
    return [said for one in shown if (said := _claude_message(one))]


def _last_branch(element: dict[str, Any], messages: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Return the messages of the branch that is shown; all of them if they do not name their parents."""
    by_id = {_text(one.get("uuid")): one for one in messages}
    parents = [one.get("parent_message_uuid") for one in messages]
    if not all(isinstance(one, str) for one in parents) or len(by_id) < len(messages):
        return messages
    at: Any = element.get("current_leaf_message_uuid")
    if not isinstance(at, str) or at not in by_id:
        at = next(reversed(by_id), None)
    path: dict[str, dict[str, Any]] = {}
    while isinstance(at, str) and at in by_id and at not in path:
        path[at] = by_id[at]
        at = by_id[at].get("parent_message_uuid")
    return [*path.values()][::-1]


def _claude_message(message: dict[str, Any]) -> Said | None:
    role = {"human": "user", "assistant": "assistant"}.get(_text(message.get("sender")))
    if role is None:
        return None
    blocks = [_dict(one) for one in _list(message.get("content"))]
    # The text stands in for blocks that older programs cannot show, so the blocks go first.
    texts = [_text(one.get("text")) for one in blocks if one.get("type") == "text"]
    words = "\n\n".join(filter(str.strip, texts)) or ("" if blocks else _text(message.get("text")))
    sent = ["[image]" for one in blocks if one.get("type") == "image"]
    for name in ("attachments", "files"):
        sent += [_sent(_dict(one).get("file_name")) for one in _list(message.get(name))]
    return _said(role, words, list(dict.fromkeys(sent)), _time(message.get("created_at")))


def _said(role: str, words: str, sent: list[str], ts: float | None) -> Said | None:
    words = words.strip()
    content = "\n".join(filter(None, [words, *sent]))
    return Said(role, words, content, ts) if content else None


def _sent(name: Any) -> str:
    named = " ".join(_text(name).split())
    return f"[file: {named}]" if named else "[file]"


def _time(value: Any) -> float | None:
    """Return a time in epoch seconds, of a number of them or of ISO 8601; `None` if it is neither."""
    if isinstance(value, str):
        # Python 3.10 reads neither a Z nor a fraction of other than 3 or 6 digits.
        plain = _FRACTION.sub(lambda found: f".{found[1][:6]:0<6}", value.strip().replace("Z", "+00:00"))
        try:
            read = datetime.fromisoformat(plain)
            value = (read if read.tzinfo else read.replace(tzinfo=timezone.utc)).timestamp()
        except (ValueError, OverflowError):
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value < YEAR_10000 and isfinite(value) else None


def _id(value: Any) -> str:
    """Return an id that a thread can have; empty if this is none."""
    found = _text(value).strip()
    return found if len(found.encode()) <= MAX_SCOPE_BYTES - _ROOM else ""


def _text(value: Any) -> str:
    """Return a string as it can be stored: half a character, which some exports have, becomes `?`."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> Iterator[Any]:
    yield from value if isinstance(value, list) else ()
