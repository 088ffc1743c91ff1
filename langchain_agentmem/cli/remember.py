"""`agentmem remember` and `update`: what is stored, and changed, in a user's long-term memory."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_agentmem.cli import options
from langchain_agentmem.cli.connect import open_memory
from langchain_agentmem.cli.console import CommandError, Screen, show_json
from langchain_agentmem.cli.ids import chosen_memory, shown_id
from langchain_agentmem.cli.memories import own
from langchain_agentmem.cli.text import one_line

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory
    from langchain_agentmem.longterm.types import MemoryRecord, NearMemory, RememberResult


def remember(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to remember; - reads standard input.")],
    redis: options.Redis = None,
    user: options.User = None,
    namespace: options.Namespace = "default",
    kind: Annotated[
        str,
        options.id_option("kind", "episodic (a week, the default), semantic (never expires), or your own."),
    ] = "episodic",
    ttl: options.Ttl = None,
    thread: Annotated[str | None, options.id_option("thread", "The conversation it was learnt in.")] = None,
    metadata: options.Metadata = None,
    replaces: Annotated[
        str | None, options.memory_option("--replaces", "What is out of date now: kept, but not recalled.")
    ] = None,
    near: Annotated[
        bool, typer.Option("--near", help="Name the nearest memory that says something else.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Store it even if a memory says the same.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Remember a text, unless a memory says the same.

    If the memory that it --replaces is not there, it is remembered all the same, and the exit code is 1.

    \b
      agentmem remember "I live in Lisbon." --user alice --kind semantic
      agentmem remember "I live in Porto." --user alice --replaces 0f343b09
      echo "Met Ana at the station." | agentmem remember - --near
      agentmem remember "Prefers tea." --metadata '{"source": "mail"}'
    """
    said, owner, screen = options.given_text(text), user or options.login_name(), Screen()
    old = replaces

    def look_first(memory: AgentMemory) -> None:
        nonlocal old
        options.check_supported(memory, near=near, namespace=namespace)
        if replaces is not None:
            found = chosen_memory(memory, replaces, user=owner, namespace=namespace)
            old = replaces if found is None else found.id

    with options.usage(), open_memory(redis, screen, check=look_first) as memory:
        result = memory.long_term.remember(
            said,
            user=owner,
            namespace=namespace,
            kind=kind,
            source_thread=thread or "",
            ttl_seconds=... if ttl is None else ttl,
            metadata=metadata,
            replaces=old,
            near=near,
            deduplicate=not keep,
        )
        same = memory.long_term.get(result.id) if result.deduped and not as_json else None
    itself = result.id == old  # which says it already
    if as_json:
        show_json(asdict(result))
    else:
        facts = [("memory", f"{fate(result, same)} ({shown_id(screen, result.id)})")]
        if user is None:
            facts.append(("user", f"{owner}{options.another(user)}"))
        if old is not None:
            gone = f"nothing: {one_line(old, 60)} {'says the same' if itself else 'is not there'}"
            facts.append(("replaced", gone if result.replaced is None else shown_id(screen, result.replaced)))
        if near:
            found = result.near
            facts.append(("near", "nothing" if found is None else nearest(found, shown_id(screen, found.id))))
        screen.facts(facts)
    if old is not None and result.replaced is None and not itself:
        raise typer.Exit(1)


def fate(result: RememberResult, same: MemoryRecord | None) -> str:
    """Return what became of a text; `same` is the memory that says the same, if it is known."""
    if not result.deduped:
        return "stored as new memory"
    said = "an existing memory" if same is None else f"“{one_line(same.text, 80)}”"
    return f"says the same as {said}"


def nearest(near: NearMemory, name: str = "") -> str:
    """Return the nearest memory that says something else; `name` is how its id is shown, if not whole."""
    return f"{near.distance:.3f}  “{one_line(near.text, 80)}” ({name or near.id})"


def update(
    memory_id: options.MemoryId,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Its new text; - reads standard input.")],
    redis: options.Redis = None,
    user: options.User = None,
    ttl: options.Ttl = None,
    metadata: options.Metadata = None,
    as_json: options.AsJson = False,
) -> None:
    """Change the text of a memory.

    To keep the old text, and what replaces it: agentmem remember TEXT --replaces ID.

    \b
      agentmem update 0f343b09 "I live in Porto." --user alice
    """
    said, screen, owner = options.given_text(text), Screen(), user or options.login_name()
    found: list[str] = []

    def find(memory: AgentMemory) -> None:
        found.append(own(memory, memory_id, owner, user).id)

    with options.usage(), open_memory(redis, screen, check=find) as memory:
        changed = memory.long_term.update(
            found[0], said, user=owner, metadata=metadata, ttl_seconds=... if ttl is None else ttl
        )
    if not changed:
        raise CommandError(f"Another memory has replaced {found[0]}: agentmem memories --all shows which.")
    return show_json({"updated": found[0]}) if as_json else screen.facts([("updated", found[0])])
