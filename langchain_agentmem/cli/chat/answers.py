"""What chat and page answer without a model: what was recalled, word for word and with its date.

Nothing is rephrased, because no small rule turns every text into the second person.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone

from langchain_agentmem.chain.noteworthy import noteworthy, speech_acts
from langchain_agentmem.chain.options import day_of
from langchain_agentmem.longterm.newest_first import contradicting
from langchain_agentmem.longterm.same_fact import canonical
from langchain_agentmem.longterm.types import MemoryRecord

_BEST = 3  # how many memories an answer quotes
_OF_THE_BEST = 0.6  # the share of the best one's score that each after the first has


def answer(
    text: str, memories: Sequence[MemoryRecord], *, will_remember: bool = True, now: datetime | None = None
) -> str:
    """Return an answer: a greeting is greeted, a statement acknowledged, a question answered by quotations.

    Args:
        text: What was said.
        memories: What it recalled, the most relevant first, of those that contradict each other the newest.
        will_remember: Whether what was stated is remembered.
        now: When it was said, by which "today" is told; by default the time of this machine. Its time zone
            is that of the dates.
    """
    now = now or datetime.now(timezone.utc).astimezone()
    sentences = speech_acts(text)
    done = frozenset[str]().union(*sentences)
    told = [record for record in memories if noteworthy(record.text)]  # an older question tells nothing
    said = []
    if "greets" in done:
        said.append("Hello!")
    if "thanks" in done:
        said.append("You're welcome.")
    if "states" in done:
        said.append(_acknowledged(text, told, now, will_remember=will_remember))
    if "asks" in done and told:
        said.append(_quoted(_best(told), now))
    elif "asks" in done and "states" not in done:
        said.append("I don't know that yet.")
    elif {"asks"} in sentences:
        said.append("I can't answer the question yet.")
    if "leaves" in done:
        said.append("Goodbye!")
    return " ".join(said) or "All right."


def _acknowledged(text: str, told: list[MemoryRecord], now: datetime, *, will_remember: bool) -> str:
    form = canonical(text)
    for record in told:
        if canonical(record.text) == form:
            return f"I knew that: you told me{_on(day_of(record, tz=now.tzinfo), now.date())}."
    return "Noted." if will_remember else "All right, but I won't remember it."


def _best(told: list[MemoryRecord]) -> list[MemoryRecord]:
    """Return the first, and of the next those whose score is not far from the best."""
    first, *others = told[:_BEST]
    enough = _OF_THE_BEST * max(record.score or 0.0 for record in told)
    return [first, *(record for record in others if record.score is None or record.score >= enough)]


def _quoted(told: list[MemoryRecord], now: datetime) -> str:
    """Return what somebody told, each on a line of its own with its day: first what was said of the same."""
    first, *others = told
    tz, today = now.tzinfo, now.date()
    day = day_of(first, tz=tz)
    changed = [
        record
        for record in contradicting(first, others)
        if day is not None and day_of(record, tz=tz) is not None and record.created_ts < first.created_ts
    ]
    lines = [f"You told me{_on(day, today)}: “{first.text}”"]
    for record in [*changed, *(other for other in others if other not in changed)]:
        before, day = day, day_of(record, tz=tz)
        when = "" if day == before else _on(day, today)
        lead = "Before that" if record in changed else "Also"
        lines.append(f"{lead}{when and ','}{when}: “{record.text}”")
    return "\n".join(lines)


def _on(day: date | None, today: date) -> str:
    """Return " on 20 November" as it is said today; nothing if the day is not known."""
    if day is None:
        return ""
    if day == today:
        return " today"
    if day == today - timedelta(days=1):
        return " yesterday"
    year = "" if day.year == today.year else f" {day.year}"
    return f" on {day.day} {_MONTHS[day.month - 1]}{year}"


# Not by `strftime`, whose names are those of the locale.
_MONTHS = ("January February March April May June July August September October November December").split()
