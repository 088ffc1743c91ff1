"""`--tokens FILE`: which bearer tokens are valid, and whose memory each one opens."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import re
import stat
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter, ValidationError

from langchain_agentmem.errors import AgentMemoryError, ConfigurationError
from langchain_agentmem.mcp_server.access import Access, GrantedToken

logger = logging.getLogger("langchain_agentmem.mcp")

_HASHED = re.compile(r"sha256\s*:", re.IGNORECASE)
_LEAST_CHARACTERS = 16  # what is shorter can be guessed
# Without an example: what stands after "token": is redacted before anybody sees it.
_FORMAT = 'It has to be a JSON list of objects that have a "token" (sha256: and its digest) and a "user"'


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    token: Annotated[str, StringConstraints(strip_whitespace=True, min_length=_LEAST_CHARACTERS)]
    user: str
    namespace: str | None = None
    read_only: bool = False

    @property
    def is_hashed(self) -> bool:
        """Return whether the entry holds the digest, and not the token itself."""
        return _HASHED.match(self.token) is not None

    def digest(self) -> bytes:
        """Return the SHA-256 of the token, whichever of the two the entry holds."""
        if not self.is_hashed:
            return hashlib.sha256(self.token.encode()).digest()
        digest = bytes.fromhex(_HASHED.sub("", self.token, count=1))
        if len(digest) != hashlib.sha256().digest_size:
            raise ValueError("it has the wrong length")
        return digest


_ENTRIES = TypeAdapter(list[_Entry])


class _Version(NamedTuple):
    """Holds what a file that was written again differs in."""

    inode: int
    size: int
    changed_ns: int


class TokensFile:
    """The tokens of a file, which is read again when it has changed, so that a token can be taken back.

    Args:
        path: A JSON list of objects with `token` (the token, or `sha256:` and its digest in hexadecimal),
            `user`, and perhaps `namespace` and `read_only`.
        namespace: The namespace of entries that name none.
        read_only: Whether nobody may write.

    Raises:
        ConfigurationError: The file cannot be read, or an entry is not usable.
    """

    def __init__(self, path: str | Path, *, namespace: str = "default", read_only: bool = False) -> None:
        self._path = Path(path)
        self._namespace = namespace
        self._read_only = read_only
        self._version = self._look()
        self._granted = self._read()
        if not self._granted:
            raise self._unusable(f"has no tokens, so nobody could connect. {_FORMAT}.")

    async def verify_token(self, token: str) -> GrantedToken | None:
        """Return what a token grants; `None` if the file does not have it.

        Every entry is compared with, in constant time, so that the time says nothing about what is there.
        """
        self._refresh()
        digest = hashlib.sha256(token.encode()).digest()
        found = [access for known, access in self._granted.items() if hmac.compare_digest(known, digest)]
        return GrantedToken.of(found[0], client=digest.hex()[:16]) if found else None

    def _refresh(self) -> None:
        """Read the file again if it has changed. A broken or missing one leaves what was known valid.

        One with an empty list is neither: whoever writes it takes back the last token.
        """
        try:
            version = self._look()
            if version == self._version:
                return
            self._version = version
            self._granted = self._read()
            if not self._granted:
                logger.warning("The file of tokens %s has none any more: nobody can connect.", self._path)
        except AgentMemoryError as error:
            logger.warning("The tokens stay as they were: %s", error)

    def _look(self) -> _Version:
        try:
            found = os.stat(self._path)
        except OSError as error:
            raise self._unusable(f"cannot be read: {error.strerror or error}.") from error
        return _Version(found.st_ino, found.st_size, found.st_mtime_ns)

    def _read(self) -> dict[bytes, Access]:
        """Return what each token grants, by its digest."""
        entries = self._entries()
        granted: dict[bytes, Access] = {}
        for number, entry in enumerate(entries, 1):
            try:
                digest = entry.digest()
            except ValueError as error:
                said = f"entry {number}: after sha256: stand the 64 hexadecimal digits of a SHA-256"
                raise self._unusable(f"cannot be used: {said}.") from error
            if digest in granted:
                raise self._unusable(f"cannot be used: entry {number} has the token of another entry.")
            try:
                granted[digest] = Access.of_token(
                    entry.user,
                    self._namespace if entry.namespace is None else entry.namespace,
                    read_only=entry.read_only or self._read_only,
                )
            except AgentMemoryError as error:
                raise self._unusable(f"cannot be used: entry {number}: {error.plain}") from error
        self._warn(secrets=any(not entry.is_hashed for entry in entries))
        return granted

    def _entries(self) -> list[_Entry]:
        """Return the entries of the file; an error shows nothing of them, as it would show tokens."""
        try:
            written = self._path.read_bytes().decode("utf-8-sig")
            entries = _ENTRIES.validate_json(written)
            json.loads(written, object_pairs_hook=_once_each)
        except OSError as error:
            raise self._unusable(f"cannot be read: {error.strerror or error}.") from error
        except UnicodeDecodeError:
            raise self._unusable("cannot be used: it is not UTF-8.") from None
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = f"entry {int(wrong['loc'][0]) + 1}: " if wrong["loc"] else ""
            name = ".".join(map(str, wrong["loc"][1:]))
            said = f"{where}{wrong['msg']}{f' ({name})' if name else ''}"
            raise self._unusable(f"cannot be used: {said}. {_FORMAT}.") from None
        except _TwiceError as error:
            raise self._unusable(f"cannot be used: an entry has {error} twice.") from None
        return entries

    def _warn(self, *, secrets: bool) -> None:
        """Warn if other users of the machine can read tokens, or give themselves one."""
        mode = os.stat(self._path).st_mode
        if os.name != "posix":
            return
        if secrets and mode & (stat.S_IRGRP | stat.S_IROTH):
            logger.warning(
                "Other users of this machine can read the tokens in %s: chmod 600 it, or write sha256: and "
                "their digests instead.",
                self._path,
            )
        if mode & stat.S_IWOTH:
            logger.warning("Everybody on this machine can write tokens into %s: chmod 600 it.", self._path)

    def _unusable(self, said: str) -> ConfigurationError:
        return ConfigurationError(f"The file of tokens {self._path} {said}")


class _TwiceError(Exception):
    pass


def _once_each(members: list[tuple[str, Any]]) -> None:
    """Refuse an object with two members of one name: readers of JSON differ in which of them counts."""
    names = [name for name, _ in members]
    if twice := [name for name in names if names.count(name) > 1]:
        raise _TwiceError(twice[0])
