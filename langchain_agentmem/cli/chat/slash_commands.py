"""The slash commands of a chat."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from langchain_agentmem.cli import forget
from langchain_agentmem.cli.events import show_events
from langchain_agentmem.cli.memories import show_memories
from langchain_agentmem.cli.sessions import show_sessions
from langchain_agentmem.cli.table import Column
from langchain_agentmem.cli.text import counted, one_line
from langchain_agentmem.errors import InvalidInputError

if TYPE_CHECKING:
    from langchain_agentmem.cli.chat.conversation import Conversation

_LISTED = 50
_THREADS_LISTED = 10

Confirm: TypeAlias = Callable[[str], bool] | None
Run: TypeAlias = "Callable[[Conversation, str, Confirm], None]"


class Command(NamedTuple):
    """A slash command: its usage, its help, and the function that runs it."""

    usage: str
    help: str
    run: Run


def take(conversation: Conversation, line: str, confirm: Confirm = None) -> bool:
    """Take a line of a chat; return whether the chat goes on.

    Args:
        conversation: The chat.
        line: What is said, a command, or nothing.
        confirm: Asks a person; without it, a command has to say that it is meant.

    Raises:
        AgentMemoryError: The exchange or the command failed.
        InvalidInputError: There is no such command, or it cannot be used like this.
    """
    line = line.strip()
    if not line.startswith("/") or line.startswith("//"):
        if line:
            conversation.say(line.removeprefix("/"))
        return True
    name, _, rest = line.removeprefix("/").strip().partition(" ")
    name = name.lower()
    if name == "quit":
        return False
    if name not in COMMANDS:
        like = get_close_matches(name, [*COMMANDS, "quit"], 1)
        hint = f"did you mean /{like[0]}?" if like else "/help lists the commands."
        raise InvalidInputError(
            f"There is no /{one_line(name, 40)}; {hint} (To say a line that begins with a slash: //…)"
        )
    COMMANDS[name].run(conversation, rest.strip(), confirm)
    return True


def _note(name: Literal["goal", "scratchpad"]) -> Run:
    """Return the command that sets or shows one of the session's notes."""

    def run(conversation: Conversation, rest: str, confirm: Confirm) -> None:
        working, thread = conversation.memory.working, conversation.thread
        if rest:
            working.start(thread, user=conversation.user)  # a setter alone would begin it as nobody's
            (working.set_goal if name == "goal" else working.set_scratchpad)(thread, rest)
            conversation.record(name, rest)
        note = rest or getattr(working.load(thread), name, "")
        conversation.screen.facts([(name, one_line(note, 2000) or "none")])

    return run


def _thread(conversation: Conversation, rest: str, confirm: Confirm) -> None:
    if not rest:
        page = conversation.memory.list_sessions(user=conversation.user, limit=_THREADS_LISTED)
        return show_sessions(conversation.screen, page.sessions, current=conversation.thread)
    state = conversation.switch(None if rest == "new" else rest)
    found = "new" if state is None else counted(state.turn_count, "message")
    return conversation.screen.facts([("thread", f"{one_line(conversation.thread)} ({found})")])


def _user(conversation: Conversation, rest: str, confirm: Confirm) -> None:
    if rest:
        conversation.memory.list_sessions(user=rest, limit=1)  # refuses what cannot be a user
        conversation.user = rest
        conversation.switch(None)  # or two users would share a conversation
    shown = ("user", conversation.user), ("thread", conversation.thread)
    conversation.screen.facts([(label, one_line(value)) for label, value in shown])


def _memories(conversation: Conversation, rest: str, confirm: Confirm) -> None:
    user, namespace = conversation.user, conversation.namespace
    found = conversation.memory.long_term.list_memories(user=user, namespace=namespace, limit=_LISTED + 1)
    show_memories(conversation.screen, user, found[:_LISTED])
    if len(found) > _LISTED:
        conversation.screen.facts([("memories", f"the newest {_LISTED}, of more")])


def _why(conversation: Conversation, rest: str, confirm: Confirm) -> None:
    if conversation.last is None:
        raise InvalidInputError("Nothing has been said in this thread yet: say something, then /why.")
    conversation.last.explain(conversation.screen)


def _replace(conversation: Conversation, rest: str, confirm: Confirm) -> None:
    conversation.screen.facts([("replaces", f"“{one_line(conversation.replace_near(rest))}”")])


def _delete(conversation: Conversation, rest: str, confirm: Confirm) -> None:
    if not rest:
        raise InvalidInputError("/delete takes the id of a memory; /memories lists them.")
    gone = conversation.find(rest)
    conversation.memory.long_term.delete_memory(gone.id, user=conversation.user)
    conversation.record("delete", gone.text, memory_ids=[gone.id])
    conversation.screen.facts([("deleted", f"“{one_line(gone.text)}”")])


def _events(conversation: Conversation, rest: str, confirm: Confirm) -> None:
    try:
        number = int(rest or 20)
    except ValueError:
        number = 0
    if not 0 < number <= 10_000:
        raise InvalidInputError(f"/events takes a number from 1 to 10000, not {one_line(rest, 40)}.")
    show_events(conversation.screen, conversation.memory.events.recent(conversation.thread, number)[::-1])


def _forget(conversation: Conversation, rest: str, confirm: Confirm) -> None:
    user = conversation.user
    if rest not in ("", "yes"):
        raise InvalidInputError("/forget takes no argument but yes.")
    if not rest:
        if confirm is None:
            raise InvalidInputError("Nobody is there to confirm it: write /forget yes.")
        found = conversation.memory.forget_user(user, dry_run=True)
        if not confirm(forget.question(user, found)):
            return conversation.screen.facts([forget.kept(user)])
    gone = conversation.memory.forget_user(user)
    conversation.switch(None)
    label, removed = forget.forgotten(user, gone)
    # In the new thread, and as nobody's event: nothing that names whom it was about may stay.
    conversation.record("forget", removed.rpartition(" of ")[0], user="")
    facts = [(label, removed), ("thread", f"{conversation.thread} (new)")]
    facts += [("not reached", one_line(sentence)) for sentence in gone.unreached]
    return conversation.screen.facts(facts)


def _help(conversation: Conversation, rest: str, confirm: Confirm) -> None:
    rows = [(command.usage, command.help) for command in COMMANDS.values()]
    rows += [("/quit", "End the chat; so does Ctrl-D."), ("//…", "Say a line that begins with a slash.")]
    conversation.screen.table([Column("command", 40), Column("what it does")], rows)


COMMANDS = {
    "goal": Command("/goal [TEXT]", "Set what this conversation is for, or show it.", _note("goal")),
    "scratchpad": Command("/scratchpad [TEXT]", "Set the agent's notes, or show them.", _note("scratchpad")),
    "thread": Command("/thread [ID|new]", "Go on with another thread, or list your latest.", _thread),
    "user": Command("/user [NAME]", "Become another user, in a new thread, or show who you are.", _user),
    "memories": Command("/memories", "What is remembered about you.", _memories),
    "why": Command(
        "/why", "What the last exchange recalled, stored and recorded, and how long it took.", _why
    ),
    "replace": Command(
        "/replace [ID]",
        "What you stated last replaces the memory near it, or the one with this id.",
        _replace,
    ),
    "delete": Command("/delete ID", "Delete a memory; the beginning of its id will do.", _delete),
    "events": Command("/events [N]", "The last events of this thread: 20, or N.", _events),
    "forget": Command("/forget [yes]", "Remove everything of this user, after a question.", _forget),
    "help": Command("/help", "This list.", _help),
}


def complete(begun: str, state: int) -> str | None:
    """Return the command number `state` that begins so, as readline asks for it; `None` behind the last."""
    names = [
        f"/{name} " for name in [*COMMANDS, "quit"] if begun.startswith("/") and f"/{name}".startswith(begun)
    ]
    return names[state] if state < len(names) else None
