"""What a line in a chat that begins with a slash does."""

from __future__ import annotations

import time
from collections.abc import Callable
from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from langchain_agentmem.cli import text
from langchain_agentmem.cli.events import row
from langchain_agentmem.cli.forget import removed
from langchain_agentmem.core.checks import validate_id
from langchain_agentmem.errors import InvalidInputError

if TYPE_CHECKING:
    from langchain_agentmem.cli.chat.conversation import Conversation

_LISTED = 50
_THREADS_LISTED = 10

Confirm: TypeAlias = Callable[[str], bool] | None


class Command(NamedTuple):
    """A command: how it is written, what it does, and the function that does it."""

    usage: str
    help: str
    run: Callable[[Conversation, str, Confirm], None]


def parse(line: str) -> tuple[str, str]:
    """The name, in lower case, and the rest of a command line."""
    name, _, rest = line.removeprefix("/").strip().partition(" ")
    return name.lower(), rest.strip()


def take(conversation: Conversation, line: str, confirm: Confirm = None) -> bool:
    """Take a line of a chat; return whether the chat goes on.

    Args:
        conversation: The chat.
        line: What is said, a command, or nothing.
        confirm: Asks a person; without it, a command has to say that it is meant.

    Raises:
        AgentMemoryError: The exchange or the command failed.
    """
    line = line.strip()
    if line.startswith("/") and not line.startswith("//"):
        return run(conversation, line, confirm)
    if line:
        conversation.say(line.removeprefix("/"))
    return True


def run(conversation: Conversation, line: str, confirm: Confirm = None) -> bool:
    """Run a command line; whether the chat goes on.

    Raises:
        InvalidInputError: There is no such command, or it cannot be used like this.
    """
    name, rest = parse(line)
    if name == "quit":
        return False
    if name not in COMMANDS:
        like = get_close_matches(name, [*COMMANDS, "quit"], 1)
        hint = f"did you mean /{like[0]}?" if like else "/help lists the commands."
        raise InvalidInputError(
            f"There is no /{text.one_line(name, 40)}; {hint} (To say a line that begins with a slash: //…)"
        )
    COMMANDS[name].run(conversation, rest, confirm)
    return True


def _goal(conversation: Conversation, rest: str, confirm: Confirm) -> None:
    _note(conversation, "goal", rest)


def _scratchpad(conversation: Conversation, rest: str, confirm: Confirm) -> None:
    _note(conversation, "scratchpad", rest)


def _note(conversation: Conversation, name: str, rest: str) -> None:
    """Set or show one of the session's notes."""
    working, thread = conversation.memory.working, conversation.thread
    if rest:
        working.start(thread, user=conversation.user)  # a setter alone would begin it as nobody's
        state = (working.set_goal if name == "goal" else working.set_scratchpad)(thread, rest)
    else:
        found = working.load(thread)
        if found is None:
            return conversation.screen.facts([(name, "none")])
        state = found
    return conversation.screen.facts([(name, text.one_line(getattr(state, name), 2000) or "none")])


def _thread(conversation: Conversation, rest: str, confirm: Confirm) -> None:
    if not rest:
        return _threads(conversation)
    state = conversation.switch(None if rest == "new" else validate_id("thread", rest))
    found = "new" if state is None else text.count(state.turn_count, "message")
    return conversation.screen.facts([("thread", f"{text.one_line(conversation.thread)} ({found})")])


def _threads(conversation: Conversation) -> None:
    """The user's threads that were active last. The current one need not be stored yet."""
    page = conversation.memory.list_sessions(user=conversation.user, limit=_THREADS_LISTED)
    now = time.time()
    rows = [
        (
            "*" if found.thread_id == conversation.thread else " ",
            text.one_line(found.thread_id, 40),
            str(found.turn_count),
            f"{text.span(now - found.last_active_ts)} ago",
            text.one_line(found.title, 60),
        )
        for found in page.sessions
    ]
    if not any(row[0] == "*" for row in rows):
        rows.insert(0, ("*", text.one_line(conversation.thread, 40), "", "", ""))
    conversation.screen.table("thread", ("", "thread", "messages", "active", "title"), rows, cut=True)


def _user(conversation: Conversation, rest: str, confirm: Confirm) -> None:
    if rest:
        conversation.user = validate_id("user", rest)
        conversation.switch(None)  # or two users would share a conversation
    conversation.screen.facts(
        [("user", text.one_line(conversation.user)), ("thread", text.one_line(conversation.thread))]
    )


def _memories(conversation: Conversation, rest: str, confirm: Confirm) -> None:
    records = conversation.memory.long_term.list_memories(
        user=conversation.user, namespace=conversation.namespace, limit=_LISTED + 1
    )
    if not records:
        return conversation.screen.facts([("memories", f"none of {text.one_line(conversation.user)}")])
    rows = [
        (
            record.id[:8],
            text.one_line(record.kind, 20),
            str(record.hit_count),
            "for ever" if record.ttl_seconds is None else text.span(record.ttl_seconds),
            text.one_line(record.text),
        )
        for record in records[:_LISTED]
    ]
    conversation.screen.table("memories", ("id", "kind", "hits", "lives for", "text"), rows)
    if len(records) > _LISTED:
        conversation.screen.facts([("memories", f"the newest {_LISTED}, of more")])
    return None


def _events(conversation: Conversation, rest: str, confirm: Confirm) -> None:
    try:
        number = int(rest or 20)
    except ValueError:
        number = 0
    if not 0 < number <= 10_000:
        raise InvalidInputError(f"/events takes a number from 1 to 10000, not {text.one_line(rest, 40)}.")
    events = conversation.memory.events.recent(conversation.thread, number)
    if not events:
        return conversation.screen.facts([("events", "none in this thread")])
    rows = [row(event) for event in reversed(events)]
    return conversation.screen.table("event", ("time", "action", "name", "took", "detail"), rows, cut=True)


def _forget(conversation: Conversation, rest: str, confirm: Confirm) -> None:
    user = text.one_line(conversation.user, 60)
    if rest not in ("", "yes"):
        raise InvalidInputError("/forget takes no argument but yes.")
    if not rest:
        if confirm is None:
            raise InvalidInputError("Nobody is there to confirm it: write /forget yes.")
        if not confirm(f"Remove everything of {user}, in every thread and namespace?"):
            return conversation.screen.facts([("kept", f"everything of {user}")])
    gone = conversation.memory.forget_user(conversation.user)
    conversation.switch(None)
    facts = [("forgot", f"{user}: {removed(gone)}"), ("thread", f"{conversation.thread} (new)")]
    facts += [("not reached", text.one_line(sentence)) for sentence in gone.unreached]
    return conversation.screen.facts(facts)


def _help(conversation: Conversation, rest: str, confirm: Confirm) -> None:
    rows = [(command.usage, command.help) for command in COMMANDS.values()]
    rows += [("/quit", "End the chat; so does Ctrl-D."), ("//…", "Say a line that begins with a slash.")]
    conversation.screen.table("help", ("command", ""), rows)


COMMANDS = {
    "goal": Command("/goal [TEXT]", "Set what this conversation is for, or show it.", _goal),
    "scratchpad": Command("/scratchpad [TEXT]", "Set the agent's notes, or show them.", _scratchpad),
    "thread": Command("/thread [ID|new]", "Go on with another thread, or list your latest.", _thread),
    "user": Command("/user [NAME]", "Become another user, in a new thread, or show who you are.", _user),
    "memories": Command("/memories", "What is remembered about you.", _memories),
    "events": Command("/events [N]", "The last events of this thread: 20, or N.", _events),
    "forget": Command("/forget [yes]", "Remove everything of this user, after a question.", _forget),
    "help": Command("/help", "This list.", _help),
}
