"""The runs under way that a handler sees: what each is, where it is, and what runs around it."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from langchain_agentmem.events.event import MAX_NAME_BYTES, Fields, cut
from langchain_agentmem.events.outcomes import of_start
from langchain_agentmem.events.told import Told

MAX_RUNS = 10_000  # bounds memory if ends are lost
_NODE_TAG = "graph:step:"  # how LangGraph marks the run of a node


@dataclass(slots=True)
class Run:
    """A run that has started and not ended; times are on the monotonic clock.

    Attributes:
        kind: What runs: `chain`, `chat_model`, `llm`, `tool` or `retriever`.
        name: Its name.
        began: When it started; `None` if its start was not seen.
        told: What the events of its root run have told.
        parent: The id of the run around it, as it is recorded.
        is_root: Whether no run around it is known.
        is_node: Whether it is the node of a graph, whose start is not recorded.
        fields: Fields that go into its end as well.
        first_token: When a streaming model's first token came; `None` before.
    """

    kind: str
    name: str
    began: float | None
    told: Told
    parent: str
    is_root: bool = True
    is_node: bool = False
    fields: Fields = field(default_factory=dict)
    first_token: float | None = None


class Runs:
    """Keeps the runs under way by their ids. Thread-safe."""

    def __init__(self) -> None:
        self._runs: OrderedDict[Any, Run] = OrderedDict()

    def __len__(self) -> int:
        return len(self._runs)

    def get(self, run_id: Any) -> Run | None:
        """Return a run that is under way."""
        return self._runs.get(_key(run_id))

    def begin(self, kind: str, name: str, run: Mapping[str, Any]) -> Run:
        """Return a run that starts.

        Args:
            kind: What runs.
            name: Its name.
            run: What LangChain passes to every callback.
        """
        parent_id, run_id = run.get("parent_run_id"), run.get("run_id")
        around = None if parent_id is None else self.get(parent_id)
        started = Run(
            kind,
            name,
            time.monotonic(),
            told=Told() if around is None else around.told,
            # What runs in a node belongs to its graph: the node's start is not recorded.
            parent=around.parent if around is not None and around.is_node else run_id_of(parent_id),
            is_root=around is None,
            is_node=kind == "chain" and around is not None and _is_node(run),
            fields=of_start(run.get("metadata"), run.get("tool_call_id")),
        )
        if run_id is not None:
            self._runs[_key(run_id)] = started
        if len(self._runs) > MAX_RUNS:
            self._runs.popitem(last=False)
        return started

    def end(self, kind: str, name: Callable[[Any, Mapping[str, Any]], str], run: Mapping[str, Any]) -> Run:
        """Return a run that ends, and forget it; of one whose start was not seen, what can be known.

        Args:
            kind: What runs.
            name: Makes its name, from nothing and `run`.
            run: What LangChain passes to every callback.
        """
        ended = self._runs.pop(_key(run.get("run_id")), None)
        if ended is not None:
            return ended
        return Run(kind, name(None, run), None, Told(), run_id_of(run.get("parent_run_id")))


def run_id_of(run_id: Any) -> str:
    """Return a run's id as it is recorded."""
    return str(run_id) if type(run_id) is UUID else cut(str(run_id or ""), MAX_NAME_BYTES)


def _key(run_id: Any) -> Any:
    return run_id if type(run_id) is UUID else str(run_id)


def _is_node(run: Mapping[str, Any]) -> bool:
    tags = run.get("tags")
    return type(tags) is list and any(type(tag) is str and tag.startswith(_NODE_TAG) for tag in tags)
