"""This package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import BaseMessage

from integration_tests.benchmarks.peers.libraries.library import TTL_SECONDS, HistoryLibrary, Opening
from langchain_agentmem import AgentMemory
from langchain_agentmem.core.operations import gather, ok


class Opened(HistoryLibrary):
    """An `AgentMemory` with its default settings."""

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        self._own = None if opening.client is not None else opening.opened_client()
        self.memory = AgentMemory(
            client=opening.client or self._own,
            embeddings=opening.vectors,
            max_turns=opening.window,
            session_ttl_seconds=TTL_SECONDS,
            events_ttl_seconds=TTL_SECONDS,
            ttl_by_kind={"episodic": TTL_SECONDS, "semantic": None},
            **opening.options,
        )

    def new_history(self, session: str) -> BaseChatMessageHistory:
        return self.memory.history(session)

    def load(self, user: str, texts: Sequence[str]) -> None:
        self.memory.long_term.remember_many(texts, user=user)

    def remember(self, user: str, text: str) -> str:
        return self.memory.long_term.remember(text, user=user).id

    def forget(self, user: str, remembered: str) -> None:
        self.memory.long_term.delete_memory(remembered)

    def recall(self, user: str, text: str, k: int) -> list[str]:
        return [one.text for one in self.memory.long_term.recall(text, user=user, k=k, mode="vector")]

    def recall_by_default(self, user: str, text: str, k: int) -> list[str]:
        return [one.text for one in self.memory.long_term.recall(text, user=user, k=k)]

    def turn(
        self, session: str, user: str, messages: Sequence[BaseMessage], text: str, k: int
    ) -> tuple[list[BaseMessage], list[str], Any]:
        """Run the operations that a wrapped chain runs around its model, gathered as it gathers them."""
        working, long_term, run = self.memory.working, self.memory.long_term, self.memory.transport.run
        embedding = self.opening.vectors.embed_query(text)  # a wrapped chain embeds a question once
        recall = long_term.recall_op(text, user=user, k=k, mode="vector", embedding=embedding)
        read, recalled = map(ok, run(gather([working.messages_op(session), recall])))
        remember = long_term.remember_op(text, user=user, embedding=embedding, source_thread=session)
        _, kept = map(ok, run(gather([working.append_op(session, messages), remember])))
        return read, [one.text for one in recalled], kept.id

    def close(self) -> None:
        self.memory.close()
        if self._own is not None:
            self._own.close()
