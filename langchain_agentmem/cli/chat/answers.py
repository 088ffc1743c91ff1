"""What chat and page answer without a model: what was recalled, told back with its date, and small talk.

What was recalled is told in the second person where that is sure, and quoted word for word otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone, tzinfo

from langchain_agentmem import MemoryRecord, canonical_text, contradicting_memories, noteworthy, speech_acts
from langchain_agentmem.cli.chat import small_talk
from langchain_agentmem.cli.chat.changes import changes
from langchain_agentmem.cli.chat.second_person import second_person

_BEST = 3  # how many memories an answer tells
_OF_ALL = 6  # and how many, if the question is what is known at all
_FAR = 0.75  # the cosine distance beyond which none is told that shares no word with the question
_OF_THE_BEST = 0.6  # the share of the best one's score that each after the first has


def answer(
    text: str, memories: Sequence[MemoryRecord], *, will_remember: bool = True, now: datetime | None = None
) -> str:
    """Return an answer: small talk is returned, a statement acknowledged, a question answered from memory.

    Args:
        text: What was said.
        memories: What it recalled, the most relevant first, of those that contradict each other the newest.
        will_remember: Whether what was stated is remembered.
        now: When it was said, by which "today" is told; by default the time of this machine. Its time zone
            is that of the dates.
    """
    now = now or datetime.now(timezone.utc).astimezone()
    acts = speech_acts(text)
    done = frozenset[str]().union(*acts)
    told = [record for record in memories if noteworthy(record.text)]  # an older question tells nothing
    said = []
    if "greets" in done:
        said.append(small_talk.greeting(text))
    if "thanks" in done:
        said.append("You're welcome.")
    if "states" in done:
        said.append(_acknowledged(text, told, now, will_remember=will_remember))
    if "requests" in done and small_talk.is_to_be_forgotten(text):
        said.append(small_talk.CANNOT_DELETE)
        done -= {"requests"}
    elif "states" not in done and (of_itself := small_talk.about_itself(text, has_told=bool(told))):
        said.append(of_itself)
        done -= {"asks", "requests"}
    if told and done & {"asks", "requests"}:
        named = small_talk.names_first(text, told)
        said.append(_listed(told, now) if _are_all(memories) else _told(_best(named), now))
    elif "requests" in done:
        said.append(small_talk.NO_MODEL)
    elif "asks" in done and "states" not in done:
        said.append("I don't know that yet.")
    elif {"asks"} in acts and "asks" in done:
        said.append("I can't answer the question yet.")
    if "leaves" in done:
        said.append("Goodbye!")
    return " ".join(said) or small_talk.reply(text)


def _acknowledged(text: str, told: list[MemoryRecord], now: datetime, *, will_remember: bool) -> str:
    form = canonical_text(text)
    for record in told:
        if canonical_text(record.text) == form:
            return f"I knew that; you told me{_on(_day(record, now.tzinfo), now.date())}."
    if not will_remember:
        return "All right, but I won't remember it."
    noted = f"{small_talk.sympathy(text)} Noted.".strip()
    for record in told:
        if changes(text, record.text):
            when = _on(_day(record, now.tzinfo), now.date())
            when = when if when == " today" else when and f",{when}"
            return f"{noted} Earlier{when}, you told me: “{record.text}”"
    return noted


def _best(told: list[MemoryRecord]) -> list[MemoryRecord]:
    """Return the first, and of the next those that are not far from it in score, nor from the question."""
    first, *others = told[:_BEST]
    enough = _OF_THE_BEST * max(record.score or 0.0 for record in told)
    near = [record for record in others if record.matched_words or (record.distance or 0.0) <= _FAR]
    return [first, *(record for record in near if record.score is None or record.score >= enough)]


def _are_all(memories: Sequence[MemoryRecord]) -> bool:
    """Return whether memories were recalled because all are, for a question about whatever is known."""
    return all(record.distance is None and not record.matched_words for record in memories)


def _listed(told: list[MemoryRecord], now: datetime) -> str:
    """Return memories that answer each by itself, on a line each: they have no subject in common.

    If they are too many, the semantic ones go first.
    """
    if len(told) > _OF_ALL:
        told = sorted(told, key=lambda record: record.kind != "semantic")[:_OF_ALL]
    return "\n".join(_told_alone(record, now) for record in told)


def _told(told: list[MemoryRecord], now: datetime) -> str:
    """Return what somebody told, each on a line of its own with its day: first what was said of the same.

    What was before something else is quoted: no rule tells whether "I live" has become "you lived".
    """
    first, *others = told
    tz, today = now.tzinfo, now.date()
    day = _day(first, tz)
    changed = [
        record
        for record in contradicting_memories(first, others)
        if day is not None and _day(record, tz) is not None and record.created_ts < first.created_ts
    ]
    lines = [_told_alone(first, now)]
    for record in [*changed, *(other for other in others if other not in changed)]:
        before, day = day, _day(record, tz)
        when = "" if day == before else _on(day, today)
        phrase = "" if record in changed else _rephrased(record, day, today)
        if phrase:
            phrase = phrase[0].lower() + phrase[1:] if phrase.startswith("You") else phrase
            lines.append(f"Also, {phrase}; you told me{when}." if when else f"Also, {phrase.rstrip('.')}.")
        else:
            lead = "Before that" if record in changed else "Also"
            lines.append(f"{lead}{when and ','}{when}: “{record.text}”")
    return "\n".join(lines)


def _told_alone(record: MemoryRecord, now: datetime) -> str:
    """Return what somebody told, and when."""
    day, today = _day(record, now.tzinfo), now.date()
    phrase, when = _rephrased(record, day, today), _on(day, today)
    return f"{phrase}; you told me{when}." if phrase else f"You told me{when}: “{record.text}”"


def _rephrased(record: MemoryRecord, day: date | None, today: date) -> str:
    """Return a memory in the second person; nothing if that is not sure, or its day is not known."""
    return "" if day is None else second_person(record.text, days=max((today - day).days, 0)) or ""


def _day(record: MemoryRecord, tz: tzinfo | None) -> date | None:
    """Return the day on which a memory was stored; `None` if no date is known, whoever wrote it."""
    try:
        return datetime.fromtimestamp(record.created_ts, tz).date() if record.created_ts > 0 else None
    except (OverflowError, ValueError, OSError):
        return None


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
