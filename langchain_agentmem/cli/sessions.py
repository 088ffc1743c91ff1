"""`agentmem sessions` and `session`: the working memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_agentmem.cli import options
from langchain_agentmem.cli.connect import open_store
from langchain_agentmem.cli.console import CommandError, Screen, counted, moment, one_line, show_json, span

if TYPE_CHECKING:
    from langchain_agentmem.working.listing import SessionSummary
    from langchain_agentmem.working.session import SessionState, Turn


def sessions(
    redis: options.Redis = None,
    user: options.Owner = None,
    limit: options.Limit = 20,
    thorough: options.Thorough = False,
    as_json: options.AsJson = False,
) -> None:
    """List the conversations that were active last.

    \b
      agentmem sessions
      agentmem sessions --user alice --limit 5 --json
    """
    screen = Screen()
    with open_store(redis, screen) as memory:
        states = memory.working.recent_sessions(limit, user=user, thorough=thorough)
    if as_json:
        return show_json([state.to_dict() for state in states])
    if not states:
        return screen.facts([("sessions", "none" if user is None else f"none of {one_line(user)}")])
    return show_sessions(screen, states)


def show_sessions(
    screen: Screen, states: Sequence[SessionState | SessionSummary], *, current: str | None = None
) -> None:
    """Print sessions as a table; the `current` thread has a mark, and need not be stored yet."""
    columns = {"thread": 60, "user": 20, "messages": 20, "active": 30, "expires in": 20, "title": 60}
    rows: list[tuple[object, ...]] = [
        (s.thread_id, s.user, s.turn_count, _ago(s.last_active_ts), span(s.ttl_seconds), s.title)
        for s in states
    ]
    if current is None:
        return screen.table("session", columns, rows)
    if all(state.thread_id != current for state in states):
        rows.insert(0, (current, *[""] * 5))
    marked = [("*" if row[0] == current else " ", *row) for row in rows]
    return screen.table("thread", {"": 1, **columns}, marked)


def _ago(ts: float) -> str:
    return f"{span(time.time() - ts)} ago"


def session(
    thread: options.ThreadId,
    redis: options.Redis = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the session; events stay.")] = False,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Show a conversation, or delete it.

    Shown are its goal, its notes, its last messages and its TTL.

    \b
      agentmem session 4f0c9a
      agentmem session 4f0c9a --json
      agentmem session 4f0c9a --delete --yes
    """
    screen, name = Screen(), one_line(thread, 60)
    if delete and not screen.confirmed(f"Delete the session {name}?", yes):
        return screen.facts([("kept", f"the session {name}")])
    with open_store(redis, screen) as memory:
        state = memory.working.load(thread)
        if state is None:
            raise CommandError(f"There is no session {thread}; agentmem sessions lists them.")
        if delete:
            memory.working.delete(thread)
            return show_json({"deleted": thread}) if as_json else screen.facts([("deleted", thread)])
    if as_json:
        turns = [turn.to_dict() for turn in state.recent_turns]
        return show_json({**state.to_dict(), "turns": turns, "unreadable": len(state.unreadable)})
    return _show(screen, state)


def _show(screen: Screen, state: SessionState) -> None:
    named = ("thread_id", "user", "agent", "goal", "scratchpad")
    facts = [(name.removesuffix("_id"), one_line(getattr(state, name), 2000) or "none") for name in named]
    window = f"{state.turn_count:,}, of which the window holds {len(state.recent_turns):,}"
    facts += [
        ("begun", moment(state.created_ts)),
        ("active", moment(state.last_active_ts)),
        ("expires in", span(state.ttl_seconds)),
        ("messages", window),
    ]
    if state.unreadable:
        facts.append(("unreadable", counted(len(state.unreadable), "entry")))
    screen.facts(facts)
    columns = {"time": 30, "role": 40, "content": 2000}
    rows = [
        (moment(turn.ts), turn.role + (" (unanswered)" if turn.unanswered else ""), _content(turn))
        for turn in state.recent_turns
    ]
    if rows:
        screen.table("message", columns, rows)


def _content(turn: Turn) -> str:
    if turn.content:
        return str(turn.message.text)
    return ", ".join(f"calls {call['name']}" for call in getattr(turn.message, "tool_calls", []))
