"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

import typer

from langchain_agentmem.cli.console import Screen
from langchain_agentmem.errors import InvalidInputError


def _checked_id(param: typer.CallbackParam, value: str | None) -> str | None:
    from langchain_agentmem.core.checks import validate_id

    try:
        return value if value is None else validate_id(param.name or "", value)
    except InvalidInputError as error:
        raise typer.BadParameter(str(error)) from error


def warned_of(variable: str) -> Callable[[typer.Context, typer.CallbackParam, str | None], str | None]:
    """Return what warns of a secret on the command line, which may stand in the `variable` instead."""

    def warn(ctx: typer.Context, param: typer.CallbackParam, value: str | None) -> str | None:
        source = ctx.get_parameter_source(param.name or "")
        if value and source is not None and source.name == "COMMANDLINE" and _is_secret(param.name, value):
            Screen().aside(
                f"warning: Other users of this machine can read what stands in --{param.name}, as in every "
                f"command line. Set {variable} instead.",
                "yellow",
            )
        return value

    return warn


def _is_secret(name: str | None, value: str) -> bool:
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
    return typer.Option(
        f"--{name}", help=help, callback=_checked_id, show_default=False, metavar=name.upper()
    )


Redis = Annotated[
    str | None,
    typer.Option(
        "--redis",
        metavar="URL",
        callback=warned_of("AGENTMEM_URL"),
        help="Where the memory is: redis://, rediss://, unix://, redis+sentinel://, https:// (Upstash; its "
        "token is UPSTASH_REDIS_REST_TOKEN), or embedded:// for a private Redis. Without it: AGENTMEM_URL, "
        "REDIS_URL, UPSTASH_REDIS_REST_URL, else embedded:// with this user's own durable folder. Set one of "
        "them for a URL with a password: other users of the machine can read a command line.",
    ),
]
ThreadId = Annotated[str, typer.Argument(metavar="ID", help="The conversation; see agentmem sessions.")]
User = Annotated[str | None, id_option("user", "Whose memories. Without it: your login name.")]
Owner = Annotated[str | None, id_option("user", "Only this user's. Without it: everybody's.")]
Namespace = Annotated[str, id_option("namespace", "Which of the user's memories. Without it: default.")]

Limit = Annotated[int, typer.Option("--limit", min=1, help="How many at most.")]
Model = Annotated[
    str | None, typer.Option("--model", metavar="PROVIDER:NAME", help="The model that answers.")
]
AnyKind = Annotated[str | None, id_option("kind", "Only memories of this kind.")]
AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", help="Every namespace of the user.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output; times are epoch seconds.")]
Thorough = Annotated[
    bool,
    typer.Option("--thorough", help="Look through the whole database, for what other programs wrote too."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def threshold_option(name: str = "--recall-threshold", most: float = 2, help: str = "") -> Any:
    """Declare an option that takes a distance."""
    recalled = "The farthest that is recalled. Without it: any; by mode vector, AGENTMEM_RECALL_THRESHOLD, "
    recalled += "else 0.55."
    return typer.Option(name, metavar="DISTANCE", min=0, max=most, help=help or recalled)


def _json_object(value: str) -> dict[str, Any]:
    """Return the value of an option that takes a JSON object; anything else is wrong usage."""
    from langchain_agentmem.core import json

    try:
        found = json.loads(value)
    except ValueError as error:
        raise typer.BadParameter(f"no JSON: {error}") from error
    if not isinstance(found, dict):
        raise typer.BadParameter('it takes a JSON object, such as {"source": "mail"}.')
    return found


Metadata = Annotated[
    dict[str, Any] | None,
    typer.Option("--metadata", metavar="JSON", parser=_json_object, help="A JSON object to keep with it."),
]


def login_name() -> str:
    """Return the name of who runs this; `me`, if the system has none."""
    import getpass

    try:
        return getpass.getuser() or "me"
    except (KeyError, OSError, ImportError):  # a container whose user has no name
        return "me"
