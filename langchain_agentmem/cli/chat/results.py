"""What is shown of an exchange: a line of what changed, and all of it for `/why` and `--verbose`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from langchain_agentmem.cli.console import Screen
from langchain_agentmem.cli.recall import recalled
from langchain_agentmem.cli.remember import fate, nearest
from langchain_agentmem.cli.text import counted, milliseconds, one_line

if TYPE_CHECKING:
    from langchain_agentmem import Event, ExchangeReport, MemoryRecord

_EVENTS_SHOWN = 6
_OCCASIONS = {
    "question": "a question",
    "request": "a request",
    "greeting": "a greeting",
    "thanks": "thanks",
    "farewell": "a farewell",
    "small_talk": "small talk",
}


@dataclass(frozen=True)
class Result:
    """An exchange that is over.

    Attributes:
        report: What the chain reports of it.
        events: What it recorded, oldest first.
        same: The memory that says the same as what was said, if one does.
        model: The name of the model that answered; `None` for the memory itself.
        within: Up to which distance was recalled; `None` for any.
    """

    report: ExchangeReport
    events: Sequence[Event]
    same: MemoryRecord | None
    model: str | None
    within: float | None

    def show(self, screen: Screen) -> None:
        """Print what changed in a line, and the near memory that may be out of date in another."""
        facts = [("changed", self._changed())]
        near = self.report.remembered and self.report.remembered.near
        if near:
            facts.append(("near", f"“{one_line(near.text, 40)}” · /replace if it is out of date"))
        if not screen.is_terminal:
            return screen.facts(facts)
        for label, fact in facts:
            screen.line(f"  {fact if label == 'changed' else f'{label} {fact}'}", "dim")
        return None

    def explain(self, screen: Screen) -> None:
        """Print all of it: each memory that was recalled, what became of the text, events and times."""
        report = self.report
        read, answer, write = map(
            milliseconds, (report.read_seconds, report.chain_seconds, report.write_seconds)
        )
        screen.facts(
            [
                *recalled(screen, report.recalled, within=self.within),
                ("memory", self._fate()),
                ("events", summary(self.events)),
                ("time", f"{read} to embed and recall, {answer} to answer, {write} to write"),
            ]
        )

    def _changed(self) -> str:
        report = self.report
        if report.remembered is None:
            became = f"not remembered ({self._reason()})"
        elif self.same is not None:
            became = f"the same as “{one_line(self.same.text, 30)}”"
        else:
            became = "says what a memory says" if report.remembered.deduped else "+1 memory"
        own = milliseconds(report.read_seconds + report.write_seconds)
        took = own if self.model is None else f"{own} · model {milliseconds(report.chain_seconds)}"
        counts = f"{len(report.recalled)} recalled · {counted(len(self.events), 'event')}"
        return f"{became} · {counts} · {took}"

    def _fate(self) -> str:
        remembered = self.report.remembered
        if remembered is None:
            said = self._reason()
            about_nothing = "nothing to remember: " if self.report.not_remembered in _OCCASIONS else ""
            return f"not remembered ({about_nothing}{said})"
        if remembered.deduped:
            times = "" if self.same is None else f" (duplicates {self.same.hit_count})"
            return fate(remembered, self.same) + times
        near = "" if remembered.near is None else f" (near, not merged: {nearest(remembered.near)})"
        return fate(remembered, None) + near

    def _reason(self) -> str:
        reason = self.report.not_remembered or ""
        others = {"off": "--kind skip", "unusable": f"too long: {len(self.report.text.encode()):,} bytes"}
        return _OCCASIONS.get(reason) or others.get(reason, "it failed")


def summary(events: Sequence[Event]) -> str:
    """Return an exchange's events in a line: what began and ended is one of them, with how long it took."""
    ended = {event.run_id for event in events if event.duration_seconds is not None}
    told = [event for event in events if event.duration_seconds is not None or event.run_id not in ended]
    parts = [
        " ".join(filter(None, (event.action, event.name, milliseconds(event.duration_seconds))))
        for event in told[:_EVENTS_SHOWN]
    ]
    if len(told) > _EVENTS_SHOWN:
        parts.append(f"and {len(told) - _EVENTS_SHOWN} more (/events)")
    return one_line(" · ".join(parts)) or "none"
