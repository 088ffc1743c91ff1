"""`agentmem sessions` and `session`: the working memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_agentmem.cli import text
from langchain_agentmem.cli.console import Screen
from langchain_agentmem.cli.failures import CommandError
from langchain_agentmem.cli.options import AsJson, Owner, Redis, Thorough, Yes
from langchain_agentmem.cli.output import confirmed, moment, show_json

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory
    from langchain_agentmem.working.session import SessionState, Turn

SESSIONS_HELP = """List the conversations that were active last.

\b
  agentmem sessions
  agentmem sessions --user alice --limit 5 --json"""

SESSION_HELP = """Show a conversation: its goal, its notes, its last messages and how long it will live.

\b
  agentmem session 4f0c9a
  agentmem session 4f0c9a --json
  agentmem session 4f0c9a --delete --yes"""

_PAGE = 200  # how many sessions are read in a round trip


def each(memory: AgentMemory, threads: list[str] | None = None) -> Iterator[SessionState]:
    """The sessions, all or those of some threads, in no order; one that cannot be read raises."""
    from langchain_agentmem.core.operations import gather, ok

    ids = iter(memory.working.list_threads(limit=None) if threads is None else threads)
    while page := list(islice(ids, _PAGE)):
        for state in memory.transport.run(gather(memory.working.load_op(one) for one in page)):
            if ok(state) is not None:
                yield state


def sessions(
    redis: Redis = None,
    user: Owner = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 20,
    thorough: Thorough = False,
    as_json: AsJson = False,
) -> None:
    """Run `agentmem sessions`."""
    from langchain_agentmem.cli.connect import open_store

    screen = Screen()
    with open_store(redis, screen) as memory:
        threads = None if user is None or thorough else _recorded(memory, user, limit)
        states = sorted(
            (state for state in each(memory, threads) if user in (None, state.user)),
            key=lambda state: -state.last_active_ts,
        )[:limit]
    if as_json:
        return show_json([state.to_dict() for state in states])
    if not states:
        return screen.facts([("sessions", "none" if user is None else f"none of {text.one_line(user)}")])
    now = time.time()
    rows = [
        (
            text.one_line(state.thread_id, 60),
            text.one_line(state.user, 20),
            str(state.turn_count),
            f"{text.span(now - state.last_active_ts)} ago",
            _life(state),
            text.one_line(state.title, 60),
        )
        for state in states
    ]
    return screen.table("session", ("thread", "user", "messages", "active", "lives for", "title"), rows)


def _recorded(memory: AgentMemory, user: str, limit: int) -> list[str]:
    return [found.thread_id for found in memory.list_sessions(user=user, limit=limit).sessions]


def session(
    thread: Annotated[str, typer.Argument(metavar="ID", help="The conversation; see agentmem sessions.")],
    redis: Redis = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the session; events stay.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Run `agentmem session`."""
    from langchain_agentmem.cli.connect import open_store

    screen = Screen()
    if delete and not confirmed(screen, f"Delete the session {text.one_line(thread, 60)}?", yes):
        return screen.facts([("kept", f"the session {text.one_line(thread, 60)}")])
    with open_store(redis, screen) as memory:
        state = memory.working.load(thread)
        if state is None:
            raise CommandError(f"There is no session {thread}; agentmem sessions lists them.")
        if delete:
            memory.working.delete(thread)
            return show_json({"deleted": thread}) if as_json else screen.facts([("deleted", thread)])
    if as_json:
        from langchain_agentmem.user_data import turn_object

        turns = [turn_object(turn) for turn in state.recent_turns]
        return show_json({**state.to_dict(), "turns": turns, "unreadable": len(state.unreadable)})
    return _show(screen, state)


def _show(screen: Screen, state: SessionState) -> None:
    facts = [
        ("thread", text.one_line(state.thread_id)),
        ("user", text.one_line(state.user) or "none"),
        ("agent", text.one_line(state.agent) or "none"),
        ("goal", text.one_line(state.goal, 2000) or "none"),
        ("scratchpad", text.one_line(state.scratchpad, 2000) or "none"),
        ("begun", moment(state.created_ts)),
        ("active", moment(state.last_active_ts)),
        ("lives for", _life(state)),
        ("messages", f"{state.turn_count:,}, of which the window holds {len(state.recent_turns):,}"),
    ]
    if state.unreadable:
        facts.append(("unreadable", text.count(len(state.unreadable), "entry")))
    screen.facts(facts)
    rows = [
        (moment(turn.ts), _role(turn), text.one_line(_content(turn), 2000)) for turn in state.recent_turns
    ]
    if rows:
        screen.table("message", ("time", "role", "content"), rows)


def _role(turn: Turn) -> str:
    return text.one_line(turn.role, 20) + (" (unanswered)" if turn.unanswered else "")


def _content(turn: Turn) -> str:
    if turn.content:
        return str(turn.message.text)
    calls = getattr(turn.message, "tool_calls", [])
    return ", ".join(f"calls {call['name']}" for call in calls)


def _life(state: SessionState) -> str:
    return "for ever" if state.ttl_seconds is None else text.span(state.ttl_seconds)
