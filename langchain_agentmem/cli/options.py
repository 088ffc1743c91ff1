"""Options that several commands have."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qsl, urlsplit

import typer

from langchain_agentmem.cli.console import CommandError, Screen, message, standard
from langchain_agentmem.errors import InvalidInputError

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory


def _checked_id(value: str | None) -> str | None:
    return value if value is None else checked_id(value)


def checked_id(value: str, name: str | None = None) -> str:
    """Return a name or an id that was given; one that no backend can hold is wrong usage.

    Args:
        value: The id.
        name: The parameter it stands for, where it is not a callback that checks it.
    """
    from langchain_agentmem.core.checks import MAX_SCOPE_BYTES

    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise typer.BadParameter("it is not valid Unicode.", param_hint=name) from error
    if size == 0:
        raise typer.BadParameter("it is empty.", param_hint=name)
    if size > MAX_SCOPE_BYTES:
        raise typer.BadParameter(f"it has {size:,} bytes; the limit is {MAX_SCOPE_BYTES:,}.", param_hint=name)
    return value


def warned_of(variable: str) -> Callable[[typer.Context, typer.CallbackParam, str | None], str | None]:
    """Return what warns of a secret on the command line, which may stand in the `variable` instead."""

    def warn(ctx: typer.Context, param: typer.CallbackParam, value: str | None) -> str | None:
        source = ctx.get_parameter_source(param.name or "")
        if value and source is not None and source.name == "COMMANDLINE" and is_secret(param.name, value):
            Screen().aside(
                f"warning: Other users of this machine can read what stands in --{param.name}, as in every "
                f"command line. Set {variable} instead.",
                "yellow",
            )
        return value

    return warn


def is_secret(name: str | None, value: str) -> bool:
    """Return whether an option holds a secret: a token, or a URL with a password."""
    from langchain_agentmem.core.redaction import is_secret_name

    if is_secret_name(name or ""):
        return True
    try:
        parts = urlsplit(value)
    except ValueError:  # whoever opens it says what is wrong
        return False
    named = parse_qsl(parts.query)
    return bool(parts.password) or any(is_secret_name(option) for option, _ in named)


def id_option(name: str, help: str) -> Any:
    """Declare an option that names a user, a namespace, a thread or a kind: any text except an empty one."""
    metavar = {"user": "NAME", "namespace": "NAME", "thread": "ID"}.get(name, name.upper())
    return typer.Option(f"--{name}", help=help, callback=_checked_id, show_default=False, metavar=metavar)


def memory_option(flag: str, help: str) -> Any:
    """Declare an option that takes the id of a memory, or how it begins."""
    return typer.Option(flag, metavar="ID", callback=_checked_id, help=help)


# What these mean at length stands once, in `agentmem help options`.
Redis = Annotated[
    str | None,
    typer.Option("--redis", metavar="URL", callback=warned_of("AGENTMEM_URL"), help="Where the memory is."),
]
ThreadId = Annotated[
    str, typer.Argument(metavar="ID", callback=_checked_id, help="The conversation, or how its id begins.")
]
MemoryId = Annotated[
    str, typer.Argument(metavar="ID", callback=_checked_id, help="The memory, or how its id begins.")
]
User = Annotated[str | None, id_option("user", "Whose; by default, your login name's.")]
Owner = Annotated[str | None, id_option("user", "Only this user's; by default, everybody's.")]
Namespace = Annotated[str, id_option("namespace", "Which part of the user's memories; by default, default.")]

_MOST = 1_000_000  # what a server returns at most
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, max=_MOST, help="How many at most.")]
Model = Annotated[
    str | None, typer.Option("--model", metavar="PROVIDER:NAME", help="The model that answers.")
]
AnyKind = Annotated[str | None, id_option("kind", "Only of this kind.")]
AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", help="In every namespace of the user.")]
FullIds = Annotated[bool, typer.Option("--full-ids", help="Do not shorten ids.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Thorough = Annotated[
    bool,
    typer.Option("--thorough", help="Look through the whole database, for what other programs wrote too."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def threshold_option(name: str = "--recall-threshold", most: float = 2, help: str = "") -> Any:
    """Declare an option that takes a distance."""
    recalled = "The farthest that is recalled. Without it: any; by mode vector, AGENTMEM_RECALL_THRESHOLD, "
    recalled += "else 0.55."
    return typer.Option(name, metavar="DISTANCE", min=0, max=most, callback=_a_number, help=help or recalled)


def _a_number(value: float | None) -> float | None:
    if value is not None and math.isnan(value):  # which is in every range
        raise typer.BadParameter("it is not a number.")
    return value


def count_option(name: str, help: str, least: int = 1) -> Any:
    """Declare an option that takes how many, `least` or more."""
    return typer.Option(name, metavar="N", min=least, max=_MOST, help=help)


def words_option(name: str, help: str) -> Any:
    """Declare an option that takes words to look for."""
    return typer.Option(name, metavar="WORDS", callback=_checked_id, help=help)


def _json_object(value: str) -> dict[str, Any]:
    """Return the value of an option that takes a JSON object; anything else is wrong usage."""
    from langchain_agentmem.core import json
    from langchain_agentmem.longterm.drafts import encode_metadata

    try:
        found = json.loads(value)
    except RecursionError as error:
        raise typer.BadParameter("it is nested too deeply.") from error
    except ValueError as error:
        raise typer.BadParameter(f"no JSON: {error}") from error
    if not isinstance(found, dict):
        raise typer.BadParameter('it takes a JSON object, such as {"source": "mail"}.')
    try:
        encode_metadata(found)
    except InvalidInputError as error:
        raise typer.BadParameter("it has a number or a text that JSON cannot hold unchanged.") from error
    return found


Metadata = Annotated[
    dict[str, Any] | None,
    typer.Option("--metadata", metavar="JSON", parser=_json_object, help="A JSON object to keep with it."),
]
Ttl = Annotated[
    int | None,
    typer.Option("--ttl", metavar="SECONDS", min=1, max=2**31 - 1, help="When it expires, from now."),
]


def given_text(value: str, name: str = "TEXT") -> str:
    """Return a text that was given, `-` for standard input; one that cannot be stored is wrong usage.

    It is looked at before a server is asked for anything.

    Args:
        value: The argument.
        name: What the help calls it.

    Raises:
        CommandError: Standard input is closed, or not UTF-8.
    """
    from langchain_agentmem.settings import AgentMemorySettings

    text = _from_standard_input() if value == "-" else value
    if not text.strip():
        raise typer.BadParameter("the text is empty.", param_hint=name)
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise typer.BadParameter("the text is not valid Unicode.", param_hint=name) from error
    # Of whichever server: that its URL is usable is not looked at here.
    limit = AgentMemorySettings.load(url="redis://localhost").max_text_bytes
    if size > limit:
        raise typer.BadParameter(
            f"the text has {size:,} bytes; the limit is {limit:,} (AGENTMEM_MAX_TEXT_BYTES).", param_hint=name
        )
    return text


def _from_standard_input() -> str:
    try:
        return standard("input").read().decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise CommandError(f"The input is not UTF-8 (at byte {error.start + 1}).") from error


def check_supported(
    memory: AgentMemory,
    *,
    mode: str | None = None,
    threshold: float | None = None,
    near: bool = False,
    namespace: str | None = None,
) -> None:
    """Refuse what the server's search cannot do, as wrong usage.

    Args:
        memory: Where it is asked for.
        mode: How memories are to be ranked.
        threshold: Up to which distance.
        near: Whether the nearest memory is to be named.
        namespace: Which one is named.
    """
    store = memory.long_term
    if mode is not None and mode not in store.modes:
        raise typer.BadParameter(f"Upstash's search knows --mode {' and '.join(store.modes)} only.")
    if (threshold is not None or near) and not store.supports_vectors:
        name = "--near" if near else "--threshold"
        raise typer.BadParameter(f"Upstash's search has no vectors, and so no {name}.")
    if namespace not in (None, "default") and not store.supports_namespaces:
        raise typer.BadParameter(
            "On Upstash, memories have no --namespace: use a --user of your own making, such as work/alice."
        )


@contextmanager
def usage() -> Iterator[None]:
    """Turn what only the memory itself can refuse, such as a mode that Upstash lacks, into wrong usage."""
    try:
        yield
    except InvalidInputError as error:
        raise typer.BadParameter(message(error).removeprefix("error: ")) from error


def at_most_one(**options: object) -> None:
    """Refuse options that contradict each other: at most one of them may be given."""
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value not in (None, False)]
    if len(given) > 1:
        raise typer.BadParameter(f"{given[0]} and {given[1]} contradict each other.")


def another(user: str | None) -> str:
    """Return how to name another user, where none was named; nothing where one was."""
    return "" if user is not None else "; another user: --user NAME"


def login_name() -> str:
    """Return the name of who runs this; `me`, if the system has none."""
    import getpass

    try:
        return getpass.getuser() or "me"
    except (KeyError, OSError, ImportError):  # a container whose user has no name
        return "me"
