"""Loads Lua scripts: one `.lua` file each, read once, called by digest.

A script's file opens with a header that names its KEYS, ARGV and result. Calls are `EVALSHA`; a
driver that is answered `NOSCRIPT` repeats the call with the source (`with_source`), which is
harmless, because a script that was not found did not run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from langchain_agentmem.core.operations import Argument, Command

BY_DIGEST = ("EVALSHA", "EVALSHA_RO")

_sources: dict[str, str] = {}
_names: dict[str, str] = {}


class Script:
    """Makes calls of a server-side script.

    Args:
        source: The Lua text.
        name: The name of its file, without `.lua`, for those who look at what is sent.
        read_only: Whether it only reads; it is then sent as `EVALSHA_RO` and may be repeated.
    """

    def __init__(self, source: str, *, name: str = "", read_only: bool = False) -> None:
        self.digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
        self._verb = "EVALSHA_RO" if read_only else "EVALSHA"
        self._read_only = read_only
        _sources[self.digest] = source
        _names[self.digest] = name

    def call(self, keys: Sequence[Argument], *args: Argument) -> Command:
        """Return the command that runs the script on these keys."""
        return Command((self._verb, self.digest, len(keys), *keys, *args), tuple(keys), self._read_only)


@cache
def load(package: str, name: str, *, read_only: bool = False) -> Script:
    """Return the script in a file beside the modules of a package; read once.

    Args:
        package: The package's full name.
        name: The file's name, without `.lua`.
        read_only: Whether the script only reads.
    """
    return Script(_source(package, name), name=name, read_only=read_only)


def together(*parts: tuple[str, str] | str) -> Script:
    """Return a script of several files, each named by package and file: functions first, their user last.

    It has the name of the last one. What is a string stands between them as it is, so that a whole script can
    be made a function.
    """
    source = "".join(part if isinstance(part, str) else _source(*part) for part in parts)
    return Script(source, name=parts[-1][1])


def _source(package: str, name: str) -> str:
    return files(package).joinpath(f"{name}.lua").read_text("utf-8")


def is_by_digest(command: Command) -> bool:
    """Return whether a command calls a script that the server has to know already."""
    return command.args[0] in BY_DIGEST


def name_of(digest: str) -> str | None:
    """Return the name of the script with a digest; `None` if it has none, or there is no such script."""
    return _names.get(digest) or None


def with_source(command: Command) -> Command:
    """Return the same script call with its whole source in place of the digest."""
    verb, digest, *rest = command.args
    return command._replace(args=(str(verb).replace("SHA", ""), _sources[str(digest)], *rest))
