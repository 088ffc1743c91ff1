"""`Usage`: how many tokens a thread's models took, how often they and its tools were called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from langchain_agentmem.events.event import COUNTERS, Event

_CALLS = {
    **dict.fromkeys(("chat_model_end", "chat_model_error", "llm_end", "llm_error"), "model_calls"),
    **dict.fromkeys(("tool_end", "tool_error"), "tool_calls"),
}


@dataclass(frozen=True, slots=True)
class Usage:
    """Says what the models and tools of a thread have taken, as their events tell it.

    Attributes:
        input_tokens: The tokens that the models were given.
        output_tokens: The tokens that they answered with.
        total_tokens: Both.
        cache_read_tokens: Those of the input that the provider had cached.
        cache_creation_tokens: Those of the input that it has cached now.
        reasoning_tokens: Those of the output that were spent on reasoning.
        model_calls: How often a model has answered or failed.
        tool_calls: How often a tool has answered or failed.
        by_model: The same for each model, by its name; tools are of none.
        since: When the first of these events happened, in epoch seconds; `None` if there is none.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cache_read_tokens: int = 0
    cache_creation_tokens: int = 0
    reasoning_tokens: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    by_model: Mapping[str, Usage] = field(default_factory=dict, hash=False)
    since: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return its JSON form: every attribute under its name."""
        return {
            **{name: getattr(self, name) for name in COUNTERS},
            "by_model": {model: usage.to_dict() for model, usage in self.by_model.items()},
            "since": self.since,
        }


def usage_of(events: Iterable[Event], user: str | None = None) -> Usage:
    """Return what events count; with a user, those that name the user."""
    total = _Sum()
    by_model: dict[str, _Sum] = {}
    for event in events:
        if user not in (None, event.user):
            continue
        counters = Counter(event.usage)
        if call := _CALLS.get(event.action):
            counters[call] += 1
        if counters:
            total.add(event, counters)
            if event.model:
                by_model.setdefault(event.model, _Sum()).add(event, counters)
    return total.usage({model: one.usage({}) for model, one in by_model.items()})


class _Sum:
    def __init__(self) -> None:
        self._counters: Counter[str] = Counter()
        self._since: float | None = None

    def add(self, event: Event, counters: Counter[str]) -> None:
        self._counters += counters
        began = event.ts if event.since_ts is None else event.since_ts
        self._since = began if self._since is None else min(self._since, began)

    def usage(self, by_model: Mapping[str, Usage]) -> Usage:
        return Usage(**self._counters, by_model=by_model, since=self._since)
