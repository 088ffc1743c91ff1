"""What an exchange talks to, without a server: a store that names each command, and a memory on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from langchain_agentmem.chain.exchange import ChainExchange
from langchain_agentmem.chain.options import WrapOptions
from langchain_agentmem.core.operations import Argument, Command, Op, call, reads, writes
from langchain_agentmem.events.background import EventBuffer
from langchain_agentmem.events.event_log import EventLog
from langchain_agentmem.longterm.long_term_memory import BaseLongTermMemory
from langchain_agentmem.longterm.types import MemoryRecord, RememberResult
from langchain_agentmem.settings import AgentMemorySettings
from langchain_agentmem.transport.drivers import InFlightBatch
from langchain_agentmem.working.working_memory import WorkingMemory
from tests.embedding_model import RecordingEmbeddings
from tests.fake_transport import FakeTransport

KNOWN = MemoryRecord("m1", "tea is hot", "alice", "default", "episodic", distance=0.25)
CONFIG: Any = {"configurable": {"session_id": "t1", "user_id": "alice"}}


class Store(FakeTransport):
    """Answer each command by what it is for.

    Attributes:
        steps: What each round trip was for, in order: `history` and `recall`; `note` (a thread in its user's
            record), `append`, `events` and `remember`.
        replies: What is answered; an exception is a refusal. `history` are the messages; the session has an
            `owner`, a `goal`, a `scratchpad` and a `summary` besides.
        breaks: What a whole round trip ends with, by its place; it is recorded, and nothing is answered.
    """

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[list[str]] = []
        self.replies: dict[str, Any] = {
            "history": None,
            "owner": None,
            "goal": None,
            "scratchpad": None,
            "summary": None,
            "recall": [],
            "note": 1,
            "append": 2,
            "events": [b"1-0"] * 100,
            "remember": RememberResult("m2", False, None),
        }
        self.breaks: dict[int, Exception] = {}

    def answer(self, sending: InFlightBatch) -> None:
        batch = list(sending.left.values())
        self.sent.append(batch)
        self.steps.append([_step(command) for command in batch])
        if error := self.breaks.get(len(self.steps) - 1):
            raise error
        sending.settle(list(map(self._reply, self.steps[-1])))

    def _reply(self, step: str) -> Any:
        reply = self.replies[step]
        return self._session(reply) if step == "history" and not isinstance(reply, Exception) else reply

    def _session(self, messages: Any) -> list[Any]:
        """Return what a session is read as, in the order of the fields that are asked for."""
        return [self.replies[name] for name in ("owner", "goal", "scratchpad", "summary")] + [messages]

    def of(self, step: str) -> list[tuple[Argument, ...]]:
        """Return the arguments of every command that was for this."""
        return [
            command.args
            for batch, steps in zip(self.sent, self.steps, strict=True)
            for command, name in zip(batch, steps, strict=True)
            if name == step
        ]

    def argv(self, step: str, number: int) -> list[Argument]:
        """Return ARGV[number] of every call of the script that was for this."""
        return [args[2 + int(args[2]) + number] for args in self.of(step)]

    @property
    def appended(self) -> list[tuple[list[tuple[str, bool]], list[tuple[str, bool]]]]:
        """Return the messages of every append, and those that they replace; each with whether unanswered."""
        return [
            (contents(messages), contents(replaces))
            for messages, replaces in zip(self.argv("append", 5), self.argv("append", 11), strict=True)
        ]

    def told(self, field: str) -> list[str]:
        """Return what stands in this field of the events that were sent."""
        return [str(value) for args in self.of("events") for name, value in pairwise(args) if name == field]

    @property
    def actions(self) -> list[str]:
        """Return the actions of the events that were sent."""
        return self.told("action")


def contents(stored: Argument) -> list[tuple[str, bool]]:
    """Return the texts of stored messages, one per line or as a list, each with whether it is unanswered."""
    assert isinstance(stored, bytes)
    messages = json.loads(b"[%s]" % stored if not stored.startswith(b"[") else stored)
    return [(message["content"], message.get("unanswered", False)) for message in messages]


def _step(command: Command) -> str:
    name, key = command.args[0], str(command.keys[0])
    if name == "HMGET":
        return "history"
    for prefix, step in (
        ("agent:threads:", "note"),
        ("agent:session:", "append"),
        ("agent:events:", "events"),
    ):
        if key.startswith(prefix):
            return step
    return str(name).lower()


class LongTerm:
    """Recall and remember with a command each, noting what they were asked for.

    Attributes:
        recalled: The text and the options of each recall.
        remembered: The text and the options of each memory.
    """

    def __init__(self, embeddings: RecordingEmbeddings | None) -> None:
        self.embeddings = embeddings
        self.recalled: list[tuple[str, dict[str, Any]]] = []
        self.remembered: list[tuple[str, dict[str, Any]]] = []

    def check_embedding(self, embedding: Sequence[float]) -> Sequence[float]:
        """Take any vector."""
        return embedding

    def recall_op(self, query: str, **options: Any) -> Op[list[MemoryRecord]]:
        self.recalled.append((query, options))
        return call(reads("RECALL", "agent:mem:", query))

    def remember_op(self, text: str, **options: Any) -> Op[RememberResult]:
        self.remembered.append((text, options))
        return call(writes("REMEMBER", "agent:mem:", text))


class Memory:
    """A `ChainMemory` on a `Store`."""

    def __init__(self, *, embeddings: RecordingEmbeddings | None = None, **settings: Any) -> None:
        self.settings = AgentMemorySettings(url="redis://nowhere", **settings)
        self.session_id: str | None = None
        self.failures = 0
        self.store = Store()
        self.transport = self.store
        self.working = WorkingMemory(transport=self.store, **vars(self.settings.working))
        self.embeddings = embeddings or RecordingEmbeddings()
        self.facts = LongTerm(self.embeddings)
        self.long_term: BaseLongTermMemory = self.facts  # type: ignore[assignment]  # what a chain uses of it
        self.events = EventLog(transport=self.store, **vars(self.settings.events))
        self.aside = EventBuffer()  # in place of a thread that would write them at some time
        self.events.sink = self.aside  # type: ignore[assignment]

    def exchange(self, value: Any = "hi", config: Any = CONFIG, **options: Any) -> ChainExchange:
        return ChainExchange(self, wrapping(**options), value, config)


def wrapping(**options: Any) -> WrapOptions:
    """Return the options of a chain that is wrapped without any, and these."""
    usual: dict[str, Any] = {
        "input_key": "input",
        "history_key": "chat_history",
        "memories_key": "memories",
        "output_key": None,
        "remember": "episodic",
        "recall": {},
        "on_exchange": None,
        "on_abandon": "keep_input",
        "check_owner": True,
    }
    return WrapOptions(**{**usual, **options})


def stored(*texts: str, role: str = "user", unanswered: bool = False) -> bytes:
    """Return what a session holds: messages of one role."""
    mark = ',"unanswered":true' if unanswered else ""
    lines = [f'{{"role":"{role}","content":"{text}","ts":1.0{mark}}}' for text in texts]
    return ("[ \n" + ",\n".join(lines) + "\n]").encode()
