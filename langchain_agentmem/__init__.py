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
    from langchain_agentmem.agents.store.store import MemoryStore as MemoryStore
    from langchain_agentmem.chain.noteworthy import noteworthy, speech_acts
    from langchain_agentmem.chain.options import ExchangeReport, RecalledMemories
    from langchain_agentmem.chain.runnable import MemoryChain
    from langchain_agentmem.chain.turn_context import TurnContext, TurnResult
    from langchain_agentmem.core.redaction import redact_secrets
    from langchain_agentmem.embedded.cluster import EmbeddedCluster
    from langchain_agentmem.embedded.cluster_setup import ClusterNode
    from langchain_agentmem.embedded.server import EmbeddedRedis
    from langchain_agentmem.embeddings.minilm import MiniLMEmbeddings
    from langchain_agentmem.embeddings.sentence_transformer import SentenceTransformerEmbeddings
    from langchain_agentmem.events.callbacks import AsyncEventLogHandler, EventLogHandler
    from langchain_agentmem.events.event import Event
    from langchain_agentmem.events.event_log import EventLog
    from langchain_agentmem.events.usage import Usage
    from langchain_agentmem.extraction.consolidator import model_consolidator
    from langchain_agentmem.extraction.extractor import Exchange, Extractor
    from langchain_agentmem.extraction.model_extractor import model_extractor
    from langchain_agentmem.importing.chat_exports import ChatExportLines, chat_export_lines
    from langchain_agentmem.importing.report import ImportReport, MergedLine
    from langchain_agentmem.longterm.changes import Add, ChangeResult, Delete, Supersede, Update
    from langchain_agentmem.longterm.consolidation import (
        Consolidated,
        ConsolidatedPair,
        Consolidator,
        Judgement,
    )
    from langchain_agentmem.longterm.long_term_memory import BaseLongTermMemory
    from langchain_agentmem.longterm.newest_first import contradicting_memories
    from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
    from langchain_agentmem.longterm.redisearch.vector_store import MemoryVectorStore
    from langchain_agentmem.longterm.retriever import MemoryRetriever
    from langchain_agentmem.longterm.same_fact import canonical_text
    from langchain_agentmem.longterm.types import (
        MemoryRecord,
        NearMemory,
        RebuiltIndex,
        RememberResult,
    )
    from langchain_agentmem.longterm.upstash.memory import UpstashLongTermMemory
    from langchain_agentmem.settings import AgentMemorySettings
    from langchain_agentmem.tasks.background_tasks import BackgroundTasks
    from langchain_agentmem.tasks.entries import FailedTask
    from langchain_agentmem.transport.trace import RoundTrip, Trace, TracedCommand, TracedEmbedding
    from langchain_agentmem.user_data import Forgotten
    from langchain_agentmem.worker.memory_worker import MemoryWorker
    from langchain_agentmem.worker.metrics import WorkerMetrics
    from langchain_agentmem.working.histories import (
        RedisHashChatMessageHistory,
        RedisListChatMessageHistory,
        UpstashChatMessageHistory,
    )
    from langchain_agentmem.working.listing import SessionPage, SessionSummary
    from langchain_agentmem.working.model_summariser import model_summariser
    from langchain_agentmem.working.session import SessionState, Turn
    from langchain_agentmem.working.working_memory import WorkingMemory

__version__ = "0.1.0"

# Each name loads on first use, so that importing the package costs next to nothing.
_MODULES = {
    "Add": "longterm.changes",
    "AgentMemory": "agent_memory",
    "AgentMemorySettings": "settings",
    "AsyncEventLogHandler": "events.callbacks",
    "BackgroundTasks": "tasks.background_tasks",
    "BaseLongTermMemory": "longterm.long_term_memory",
    "ChangeResult": "longterm.changes",
    "ChatExportLines": "importing.chat_exports",
    "ClusterNode": "embedded.cluster_setup",
    "Consolidated": "longterm.consolidation",
    "ConsolidatedPair": "longterm.consolidation",
    "Consolidator": "longterm.consolidation",
    "Delete": "longterm.changes",
    "EmbeddedCluster": "embedded.cluster",
    "EmbeddedRedis": "embedded.server",
    "Event": "events.event",
    "EventLog": "events.event_log",
    "EventLogHandler": "events.callbacks",
    "Exchange": "extraction.extractor",
    "ExchangeReport": "chain.options",
    "Extractor": "extraction.extractor",
    "FailedTask": "tasks.entries",
    "Forgotten": "user_data",
    "ImportReport": "importing.report",
    "Judgement": "longterm.consolidation",
    "LongTermMemory": "longterm.redisearch.memory",
    "MemoryChain": "chain.runnable",
    "MemoryRecord": "longterm.types",
    "MemoryRetriever": "longterm.retriever",
    "MemoryVectorStore": "longterm.redisearch.vector_store",
    "MemoryWorker": "worker.memory_worker",
    "MergedLine": "importing.report",
    "MiniLMEmbeddings": "embeddings.minilm",
    "NearMemory": "longterm.types",
    "RebuiltIndex": "longterm.types",
    "RecalledMemories": "chain.options",
    "RedisHashChatMessageHistory": "working.histories",
    "RedisListChatMessageHistory": "working.histories",
    "RememberResult": "longterm.types",
    "RoundTrip": "transport.trace",
    "SentenceTransformerEmbeddings": "embeddings.sentence_transformer",
    "SessionPage": "working.listing",
    "SessionState": "working.session",
    "SessionSummary": "working.listing",
    "Supersede": "longterm.changes",
    "Trace": "transport.trace",
    "TracedCommand": "transport.trace",
    "TracedEmbedding": "transport.trace",
    "Turn": "working.session",
    "TurnContext": "chain.turn_context",
    "TurnResult": "chain.turn_context",
    "Update": "longterm.changes",
    "UpstashChatMessageHistory": "working.histories",
    "UpstashLongTermMemory": "longterm.upstash.memory",
    "Usage": "events.usage",
    "WorkerMetrics": "worker.metrics",
    "WorkingMemory": "working.working_memory",
    "canonical_text": "longterm.same_fact",
    "chat_export_lines": "importing.chat_exports",
    "contradicting_memories": "longterm.newest_first",
    "model_consolidator": "extraction.consolidator",
    "model_extractor": "extraction.model_extractor",
    "model_summariser": "working.model_summariser",
    "noteworthy": "chain.noteworthy",
    "redact_secrets": "core.redaction",
    "speech_acts": "chain.noteworthy",
}

# Those that need an extra are no part of `import *`, which would otherwise fail without it.
_OF_AGENTS = {"MemoryStore": "agents.store.store"}

__all__ = [
    "Add",
    "AgentMemory",
    "AgentMemorySettings",
    "AsyncEventLogHandler",
    "BackgroundTasks",
    "BaseLongTermMemory",
    "ChangeResult",
    "ChatExportLines",
    "ClusterNode",
    "Consolidated",
    "ConsolidatedPair",
    "Consolidator",
    "Delete",
    "EmbeddedCluster",
    "EmbeddedRedis",
    "Event",
    "EventLog",
    "EventLogHandler",
    "Exchange",
    "ExchangeReport",
    "Extractor",
    "FailedTask",
    "Forgotten",
    "ImportReport",
    "Judgement",
    "LongTermMemory",
    "MemoryChain",
    "MemoryRecord",
    "MemoryRetriever",
    "MemoryVectorStore",
    "MemoryWorker",
    "MergedLine",
    "MiniLMEmbeddings",
    "NearMemory",
    "RebuiltIndex",
    "RecalledMemories",
    "RedisHashChatMessageHistory",
    "RedisListChatMessageHistory",
    "RememberResult",
    "RoundTrip",
    "SentenceTransformerEmbeddings",
    "SessionPage",
    "SessionState",
    "SessionSummary",
    "Supersede",
    "Trace",
    "TracedCommand",
    "TracedEmbedding",
    "Turn",
    "TurnContext",
    "TurnResult",
    "Update",
    "UpstashChatMessageHistory",
    "UpstashLongTermMemory",
    "Usage",
    "WorkerMetrics",
    "WorkingMemory",
    "canonical_text",
    "chat_export_lines",
    "contradicting_memories",
    "model_consolidator",
    "model_extractor",
    "model_summariser",
    "noteworthy",
    "redact_secrets",
    "speech_acts",
]


def __getattr__(name: str) -> Any:
    if name in _OF_AGENTS:
        from langchain_agentmem.agents.extra import extra_needed

        with extra_needed(name):
            value = getattr(import_module(f"{__name__}.{_OF_AGENTS[name]}"), name)
    elif name in _MODULES:
        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_OF_AGENTS])
