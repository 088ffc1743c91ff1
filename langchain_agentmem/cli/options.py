"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from langchain_agentmem.errors import InvalidInputError


def _scope(param: typer.CallbackParam, value: str | None) -> str | None:
    from langchain_agentmem.core.checks import scope

    try:
        return value if value is None else scope(param.name or "", value)
    except InvalidInputError as error:
        raise typer.BadParameter(str(error)) from error


def scope_option(name: str, help: str) -> Any:
    """An option that names a user, a namespace, a thread or a kind: any text but an empty one."""
    return typer.Option(f"--{name}", help=help, callback=_scope, show_default=False, metavar=name.upper())


Redis = Annotated[
    str | None,
    typer.Option(
        "--redis",
        metavar="URL",
        help="Where the memory is: redis://, rediss://, unix://, redis+sentinel://, https:// (Upstash; its "
        "token is UPSTASH_REDIS_REST_TOKEN), or embedded:// for a private Redis. Without it: AGENTMEM_URL, "
        "REDIS_URL, UPSTASH_REDIS_REST_URL, else embedded:// with this user's own durable folder.",
    ),
]
User = Annotated[str | None, scope_option("user", "Whose memories. Without it: your login name.")]
Owner = Annotated[str | None, scope_option("user", "Only this user's. Without it: everybody's.")]
Namespace = Annotated[str, scope_option("namespace", "Which of the user's memories. Without it: default.")]

AnyKind = Annotated[str | None, scope_option("kind", "Only memories of this kind.")]
AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", help="Every namespace of the user.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output; times are epoch seconds.")]
Thorough = Annotated[
    bool,
    typer.Option("--thorough", help="Look through the whole database, for what other programs wrote too."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def login_name() -> str:
    """The name of who runs this; `me`, if the system has none."""
    import getpass

    try:
        return getpass.getuser() or "me"
    except (KeyError, OSError, ImportError):  # a container whose user has no name
        return "me"
