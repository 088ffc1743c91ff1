"""`agentmem sessions` and `session`: the working memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_agentmem.cli import options
from langchain_agentmem.cli.connect import open_store
from langchain_agentmem.cli.console import CommandError, Screen, show_json
from langchain_agentmem.cli.ids import chosen_thread, shown_ids
from langchain_agentmem.cli.table import Cell, Column
from langchain_agentmem.cli.text import about, ago, counted, expiry, moment, one_line, span, when

if TYPE_CHECKING:
    from langchain_agentmem.working.listing import SessionSummary
    from langchain_agentmem.working.session import SessionState, Turn


def sessions(
    redis: options.Redis = None,
    user: options.User = None,
    all_users: Annotated[bool, typer.Option("--all-users", help="Everybody's.")] = False,
    limit: options.Limit = 20,
    thorough: options.Thorough = False,
    full_ids: options.FullIds = False,
    as_json: options.AsJson = False,
) -> None:
    """List a user's conversations, the last active first.

    With --all-users, everybody's: that looks at every key of the database.

    \b
      agentmem sessions --user alice --limit 5
      agentmem sessions --all-users --json
    """
    options.at_most_one(user=user, all_users=all_users)
    screen, owner = Screen(), None if all_users else user or options.login_name()
    with options.usage(), open_store(redis, screen) as memory:
        states = memory.working.recent_sessions(limit, user=owner, thorough=thorough)
    if as_json:
        return show_json([state.to_dict() for state in states])
    whose = "" if owner is None else f" of {one_line(owner, 60)}"
    others = "; everybody's: --all-users" if user is None and owner is not None else ""
    if states:
        screen.note(f"{counted(len(states), 'session')}{whose}{others}")
    columns, rows = session_table(screen, states, full_ids=full_ids, with_user=owner is None)
    return screen.table(columns, rows, empty=f"no sessions{whose}{others}")


def show_sessions(
    screen: Screen, states: Sequence[SessionState | SessionSummary], *, current: str | None = None
) -> None:
    """Print sessions as a table; the `current` thread has a mark, and need not be stored yet."""
    columns, rows = session_table(screen, states)
    if current is not None:
        marked = [
            ("*" if one.thread_id == current else "", *row) for one, row in zip(states, rows, strict=True)
        ]
        if all(one.thread_id != current for one in states):
            marked.insert(0, ("*", current, *[""] * (len(columns) - 1)))
        columns, rows = [Column("*"), *columns], marked
    screen.table(columns, rows, empty="no sessions")


def session_table(
    screen: Screen,
    states: Sequence[SessionState | SessionSummary],
    *,
    full_ids: bool = False,
    with_user: bool = True,
) -> tuple[list[Column], list[tuple[object, ...]]]:
    """Return the columns and rows of a list of sessions.

    Args:
        screen: Where they will be shown.
        states: The sessions.
        full_ids: Whether a terminal shows ids whole.
        with_user: Whether a terminal shows whose they are.
    """
    names = shown_ids(screen, (one.thread_id for one in states), full_ids)
    columns = [
        Column("thread", 80 if full_ids or screen.is_wide else 20),
        Column("user", 16),
        Column("messages", right=True),
        Column("active"),
        Column("expires"),
        Column("title"),
    ]
    rows: list[tuple[object, ...]] = [
        (
            Cell(names[one.thread_id], one.thread_id),
            Cell(one.user if with_user else "", one.user),
            Cell(f"{one.turn_count:,}", str(one.turn_count)),
            Cell(ago(one.last_active_ts), moment(one.last_active_ts)),
            Cell(about(one.ttl_seconds), expiry(one.ttl_seconds)),
            one.title,
        )
        for one in states
    ]
    return columns, rows


def session(
    thread: options.ThreadId,
    redis: options.Redis = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the session; events stay.")] = False,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Show a conversation, or delete it.

    Shown are its goal, its notes, its summary, its last messages and its TTL.

    \b
      agentmem session 4f0c9a12
      agentmem session 4f0c9a12 --json
      agentmem session 4f0c9a12 --delete --yes
    """
    screen = Screen()
    if delete:
        screen.must_confirm(yes)
    with options.usage(), open_store(redis, screen) as memory:
        state = memory.working.load(thread)
        if state is None and (whole := chosen_thread(memory, thread, whole=delete)) is not None:
            thread = whole
            state = memory.working.load(thread)
        if state is None:
            raise CommandError(
                f"There is no session {one_line(thread, 60)}; agentmem sessions --all-users lists them."
            )
        if delete:
            name = one_line(thread, 60)
            if not screen.confirmed(f"Delete the session {name}?", yes):
                return screen.facts([("kept", f"the session {name}")])
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
        ("begun", _dated(screen, state.created_ts)),
        ("active", _dated(screen, state.last_active_ts)),
        ("expires in", span(state.ttl_seconds)),
        ("messages", window),
    ]
    if state.waiting:
        facts.append(("to sum up", counted(len(state.waiting), "message")))
    if state.summary:
        facts.append(("summary", one_line(state.summary, 2000)))
    if state.unreadable:
        facts.append(("unreadable", counted(len(state.unreadable), "entry")))
    screen.facts(facts)
    columns = [Column("time"), Column("role", 24), Column("content")]
    rows = [
        (
            Cell(when(turn.ts), moment(turn.ts)),
            turn.role + (" (unanswered)" if turn.unanswered else ""),
            _content(turn),
        )
        for turn in state.recent_turns
    ]
    if rows:
        screen.line()
        screen.table(columns, rows, lines=0)


def _dated(screen: Screen, ts: float) -> str:
    return f"{when(ts)} ({ago(ts)})" if screen.is_terminal else moment(ts)


def _content(turn: Turn) -> str:
    if turn.content:
        return str(turn.message.text)
    return ", ".join(f"calls {call['name']}" for call in getattr(turn.message, "tool_calls", []))
