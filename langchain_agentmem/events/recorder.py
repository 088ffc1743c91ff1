"""What handlers, sync and async, have in common: it makes events of callbacks' arguments."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from langchain_agentmem.core.checks import validate_id
from langchain_agentmem.events.description import describe, describe_end
from langchain_agentmem.events.event import event_fields
from langchain_agentmem.events.sinks import Sink

_MAX_RUNS = 10_000  # runs under way; an end that never comes must not take memory for ever
_HIDDEN = "langsmith:hidden"  # how LangChain marks runs that only it is interested in
_MODELS = ("chat_model", "llm")
_DOCUMENTS, _DOCUMENT_BYTES = 3, 200


class _Run(NamedTuple):
    kind: str
    name: str
    began: float


class Recorder:
    """Puts an event into a sink for every callback. Thread-safe; nothing it is called for raises.

    Args:
        sink: Where events go.
        thread_id: The thread they belong to.
        user: Whose they are.
        max_detail_bytes: Longer details are cut.
    """

    def __init__(self, sink: Sink, thread_id: str, user: str, max_detail_bytes: int) -> None:
        self.sink = sink
        self.thread_id = validate_id("thread_id", thread_id)
        self.user = validate_id("user", user) if user else ""
        self._max_detail_bytes = max_detail_bytes
        self._runs: OrderedDict[str, _Run] = OrderedDict()

    def start(self, kind: str, serialized: Any, given: Any, run: Mapping[str, Any]) -> None:
        """A run begins."""
        self._guard(self._start, kind, serialized, given, run)

    def end(self, kind: str, outcome: Any, run: Mapping[str, Any]) -> None:
        """A run ends."""
        self._guard(self._end, kind, "end", outcome, run)

    def fail(self, kind: str, error: BaseException, run: Mapping[str, Any]) -> None:
        """An exception ends a run."""
        self._guard(self._end, kind, "error", error, run)

    def note(self, action: str, name: str, detail: Any, run: Mapping[str, Any]) -> None:
        """Something happens within a run."""
        self._guard(self._put, action, name, detail, run)

    def agent_action(self, action: Any, run: Mapping[str, Any]) -> None:
        """An agent decides to use a tool."""
        self._guard(self._agent_action, action, run)

    def agent_finish(self, finish: Any, run: Mapping[str, Any]) -> None:
        """An agent is done."""
        self._guard(self._agent_finish, finish, run)

    def retry(self, state: Any, run: Mapping[str, Any]) -> None:
        """A run is tried again."""
        self._guard(self._retry, state, run)

    def _guard(self, step: Any, *args: Any) -> None:
        try:
            tags = args[-1].get("tags")
            if not (isinstance(tags, list) and _HIDDEN in tags):
                step(*args)
        except Exception as error:  # noqa: BLE001 - the log must not break the chain it looks at
            self.sink.losses.add(1, f"An event could not be made ({type(error).__name__}).")

    def _start(self, kind: str, serialized: Any, given: Any, run: Mapping[str, Any]) -> None:
        name, run_id = _name(serialized, run), run.get("run_id")
        if run_id is not None:
            self._runs[str(run_id)] = _Run(kind, name, time.monotonic())
        if len(self._runs) > _MAX_RUNS:
            self._runs.popitem(last=False)
        given = _only(given) if kind in _MODELS else "" if _unknown(given) else given
        tell = describe_end if kind == "llm" and issubclass(type(given), str) else describe
        self._put(f"{kind}_start", name, given, run, tell=tell)

    def _end(self, kind: str, how: str, outcome: Any, run: Mapping[str, Any]) -> None:
        known = self._runs.pop(str(run.get("run_id")), None)
        took = None if known is None else time.monotonic() - known.began
        kind, name = (kind, _name(None, run)) if known is None else (known.kind, known.name)
        if how == "end":
            outcome = _shaped(partial(_outcome, kind), outcome, outcome)
        self._put(f"{kind}_{how}", name, outcome, run, took)

    def _agent_action(self, action: Any, run: Mapping[str, Any]) -> None:
        detail = _shaped(lambda action: {"tool": action.tool, "input": action.tool_input}, action, action)
        self._put("agent_action", _shaped(lambda detail: detail["tool"], detail, ""), detail, run)

    def _agent_finish(self, finish: Any, run: Mapping[str, Any]) -> None:
        self._put("agent_finish", "", _shaped(lambda finish: finish.return_values, finish, finish), run)

    def _retry(self, state: Any, run: Mapping[str, Any]) -> None:
        known = self._runs.get(str(run.get("run_id")))
        self._put("retry", "" if known is None else known.name, _shaped(_attempt, state, state), run)

    def _put(
        self,
        action: str,
        name: str,
        detail: Any,
        run: Mapping[str, Any],
        took: float | None = None,
        tell: Callable[[Any, int], str] = describe,
    ) -> None:
        fields = event_fields(
            action,
            tell(detail, self._max_detail_bytes),
            name=describe(name, 200),
            run_id=run.get("run_id") or "",
            parent_run_id=run.get("parent_run_id") or "",
            duration_seconds=took,
            user=self.user,
            max_detail_bytes=self._max_detail_bytes,
        )
        self.sink.put(self.thread_id, fields)


def _unknown(given: Any) -> bool:
    """Whether it is what LangChain says of a stream, whose input it does not know yet."""
    only = given.get("input") if type(given) is dict and len(given) == 1 else None
    return type(only) is str and not only


def _shaped(shape: Callable[[Any], Any], value: Any, otherwise: Any) -> Any:
    """What matters of a value; something else, if the value has not the form that LangChain gives it."""
    try:
        return shape(value)
    except Exception:  # noqa: BLE001 - an odd value must not cost the event
        return otherwise


def _attempt(state: Any) -> dict[str, Any]:
    outcome = getattr(state, "outcome", None)
    error = outcome.exception() if outcome is not None and outcome.done() else None
    return {"attempt": getattr(state, "attempt_number", None), "error": error}


def _outcome(kind: str, outcome: Any) -> Any:
    """What matters of what a run gave."""
    if kind in _MODELS:
        return _only([_generation(one, outcome) for batch in outcome.generations for one in batch])
    return _found(outcome) if kind == "retriever" else outcome


def _generation(generation: Any, result: Any) -> dict[str, Any]:
    message = getattr(generation, "message", None)
    usage = getattr(message, "usage_metadata", None) or (result.llm_output or {}).get("token_usage")
    described = {
        "text": str(generation.text),
        "tool_calls": [
            {"name": call["name"], "args": call["args"]} for call in getattr(message, "tool_calls", ())
        ],
        "usage": {name: value for name, value in (usage or {}).items() if isinstance(value, int)},
    }
    return {name: value for name, value in described.items() if value or name == "text"}


def _found(documents: Sequence[Any]) -> dict[str, Any]:
    texts = [describe(document.page_content, _DOCUMENT_BYTES) for document in documents[:_DOCUMENTS]]
    return {"documents": len(documents), "texts": texts}


def _only(items: Any) -> Any:
    """The one item of a list, or all of them."""
    return items[0] if type(items) is list and len(items) == 1 else items


def _name(serialized: Any, run: Mapping[str, Any]) -> str:
    name: str = _shaped(lambda serialized: str(run.get("name") or _class(serialized)), serialized, "")
    return name


def _class(serialized: Any) -> Any:
    known = serialized if isinstance(serialized, Mapping) else {}
    path = known.get("id") or [""]
    return known.get("name") or (path[-1] if isinstance(path, list | tuple) else path)
