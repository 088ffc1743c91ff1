"""Agent memory for LangChain on Redis: working memory, long-term memory and an event log.

Begin with `AgentMemory`::

    from langchain_agentmem import AgentMemory

    with AgentMemory() as memory:
        chain = memory.wrap(prompt | model)
        chain.invoke({"input": "Hi!"}, {"configurable": {"session_id": "t1", "user_id": "alice"}})

Its tiers are `memory.working`, `memory.long_term` and `memory.events`. You can also use the classes of each
tier alone. Errors are in `langchain_agentmem.errors`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory
    from langchain_agentmem.chain.noteworthy import noteworthy
    from langchain_agentmem.chain.options import ExchangeReport
    from langchain_agentmem.chain.runnable import MemoryChain
    from langchain_agentmem.embedded.server import EmbeddedRedis
    from langchain_agentmem.embeddings.minilm import MiniLMEmbeddings
    from langchain_agentmem.embeddings.sentence_transformer import SentenceTransformerEmbeddings
    from langchain_agentmem.events.callbacks import AsyncEventLogHandler, EventLogHandler
    from langchain_agentmem.events.event import Event
    from langchain_agentmem.events.event_log import EventLog
    from langchain_agentmem.importing.report import ImportReport, MergedLine
    from langchain_agentmem.longterm.long_term_memory import BaseLongTermMemory
    from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
    from langchain_agentmem.longterm.redisearch.vector_store import MemoryVectorStore
    from langchain_agentmem.longterm.retriever import MemoryRetriever
    from langchain_agentmem.longterm.types import (
        MemoryRecord,
        NearMemory,
        RebuiltIndex,
        RememberResult,
    )
    from langchain_agentmem.longterm.upstash.memory import UpstashLongTermMemory
    from langchain_agentmem.settings import AgentMemorySettings
    from langchain_agentmem.user_data import Forgotten
    from langchain_agentmem.working.histories import (
        RedisHashChatMessageHistory,
        RedisListChatMessageHistory,
        UpstashChatMessageHistory,
    )
    from langchain_agentmem.working.listing import SessionPage, SessionSummary
    from langchain_agentmem.working.session import SessionState, Turn
    from langchain_agentmem.working.working_memory import WorkingMemory

__version__ = "0.1.0"

# Each name loads on first use, so that importing the package costs next to nothing.
_MODULES = {
    "AgentMemory": "agent_memory",
    "AgentMemorySettings": "settings",
    "AsyncEventLogHandler": "events.callbacks",
    "BaseLongTermMemory": "longterm.long_term_memory",
    "EmbeddedRedis": "embedded.server",
    "Event": "events.event",
    "EventLog": "events.event_log",
    "EventLogHandler": "events.callbacks",
    "ExchangeReport": "chain.options",
    "Forgotten": "user_data",
    "ImportReport": "importing.report",
    "LongTermMemory": "longterm.redisearch.memory",
    "MemoryChain": "chain.runnable",
    "MemoryRecord": "longterm.types",
    "MemoryRetriever": "longterm.retriever",
    "MemoryVectorStore": "longterm.redisearch.vector_store",
    "MergedLine": "importing.report",
    "MiniLMEmbeddings": "embeddings.minilm",
    "NearMemory": "longterm.types",
    "RebuiltIndex": "longterm.types",
    "RedisHashChatMessageHistory": "working.histories",
    "RedisListChatMessageHistory": "working.histories",
    "RememberResult": "longterm.types",
    "SentenceTransformerEmbeddings": "embeddings.sentence_transformer",
    "SessionPage": "working.listing",
    "SessionState": "working.session",
    "SessionSummary": "working.listing",
    "Turn": "working.session",
    "UpstashChatMessageHistory": "working.histories",
    "UpstashLongTermMemory": "longterm.upstash.memory",
    "WorkingMemory": "working.working_memory",
    "noteworthy": "chain.noteworthy",
}

__all__ = [
    "AgentMemory",
    "AgentMemorySettings",
    "AsyncEventLogHandler",
    "BaseLongTermMemory",
    "EmbeddedRedis",
    "Event",
    "EventLog",
    "EventLogHandler",
    "ExchangeReport",
    "Forgotten",
    "ImportReport",
    "LongTermMemory",
    "MemoryChain",
    "MemoryRecord",
    "MemoryRetriever",
    "MemoryVectorStore",
    "MergedLine",
    "MiniLMEmbeddings",
    "NearMemory",
    "RebuiltIndex",
    "RedisHashChatMessageHistory",
    "RedisListChatMessageHistory",
    "RememberResult",
    "SentenceTransformerEmbeddings",
    "SessionPage",
    "SessionState",
    "SessionSummary",
    "Turn",
    "UpstashChatMessageHistory",
    "UpstashLongTermMemory",
    "WorkingMemory",
    "noteworthy",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
