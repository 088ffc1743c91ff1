"""redisvl: `MessageHistory` for sessions, and `SemanticMessageHistory` for what is remembered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from redisvl.extensions.message_history import MessageHistory, SemanticMessageHistory
from redisvl.utils.vectorize import CustomTextVectorizer

from integration_tests.benchmarks.peers.libraries.library import Library, Opening

# By default it finds nothing farther than 0.3; what the benchmark asks for is 0.4 away, and ours finds up to 0.55.
_FARTHEST = 0.55
_ROLES = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool"}


class Opened(Library):
    """`MessageHistory` and `SemanticMessageHistory`, each with a session tag."""

    takes_ttl = False

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        self.client = opening.opened_client()
        self.messages = MessageHistory("messages", redis_client=self.client)
        self.facts = SemanticMessageHistory(
            "facts",
            redis_client=self.client,
            distance_threshold=_FARTHEST,
            vectorizer=CustomTextVectorizer(
                embed=opening.vectors.embed_query, embed_many=opening.vectors.embed_documents
            ),
        )

    def append(self, session: str, messages: Sequence[BaseMessage]) -> None:
        self.messages.add_messages([_stored(message) for message in messages], session_tag=session)

    def read(self, session: str, count: int) -> list[BaseMessage]:
        found: Any = self.messages.get_recent(top_k=count, session_tag=session)
        return [_message(one) for one in found]

    def clear(self, session: str) -> None:
        found: Any = self.messages.get_recent(top_k=5000, session_tag=session, raw=True)
        for one in found:
            self.messages.drop(one["entry_id"])

    def load(self, user: str, texts: Sequence[str]) -> None:
        self.facts.add_messages([{"role": "user", "content": text} for text in texts], session_tag=user)

    def remember(self, user: str, text: str) -> str:
        self.facts.add_message({"role": "user", "content": text}, session_tag=user)
        return user

    def forget(self, user: str, remembered: str) -> None:
        found: Any = self.facts.get_recent(top_k=1, session_tag=user, raw=True)
        self.facts.drop(found[0]["entry_id"])

    def recall(self, user: str, text: str, k: int) -> list[str]:
        found: Any = self.facts.get_relevant(text, top_k=k, session_tag=user)
        return [one["content"] for one in found]


def _stored(message: BaseMessage) -> dict[str, Any]:
    """Return a message with the members that a stored one can have."""
    if message.type not in _ROLES:
        raise ValueError(f"no role for a {type(message).__name__}")
    stored: dict[str, Any] = {"role": _ROLES[message.type], "content": message.content}
    if isinstance(message, ToolMessage):
        stored["tool_call_id"] = message.tool_call_id
    return stored


def _message(stored: dict[str, Any]) -> BaseMessage:
    if stored["role"] == "tool":
        return ToolMessage(stored["content"], tool_call_id=stored["tool_call_id"])
    made = {"user": HumanMessage, "assistant": AIMessage, "system": SystemMessage}[stored["role"]]
    return made(stored["content"])
