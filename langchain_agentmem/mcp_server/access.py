"""Whose memory a request is about: the configuration's user, or that of the token it came with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from langchain_agentmem.core.checks import validate_id
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.mcp_server.sdk import AccessToken, ToolError, get_access_token

NOBODY = "default"


@dataclass(frozen=True, slots=True)
class Access:
    """Says what somebody may use.

    Attributes:
        user: Whose memories and sessions.
        namespace: The part of the user's memories.
        read_only: Whether nothing may be written.

    Raises:
        InvalidInputError: The user or the namespace is not one.
    """

    user: str
    namespace: str = "default"
    read_only: bool = False

    @classmethod
    def of_token(cls, user: str, namespace: str, *, read_only: bool) -> Access:
        """Return what a token grants that names a user.

        Raises:
            InvalidInputError: The user or the namespace is not one, or the user is `default`: what is stored
                without a user is under this name, so it is nobody's in particular.
        """
        if user == NOBODY:
            raise InvalidInputError(
                f"A token cannot name the user {NOBODY!r}: the conversations of nobody in particular are "
                "under this name. Choose another one."
            )
        return cls(user, namespace, read_only)

    def __post_init__(self) -> None:
        validate_id("user", self.user)
        validate_id("namespace", self.namespace)


class GrantedToken(AccessToken):
    """A token that was verified, and what it grants. It does not hold the token itself."""

    token: str = ""
    scopes: list[str] = []  # noqa: RUF012 - pydantic copies it
    access: Access

    @classmethod
    def of(
        cls, access: Access, *, client: str, expires_at: int | None = None, resource: str | None = None
    ) -> GrantedToken:
        """Return what a verified token grants.

        Args:
            access: What its bearer may use.
            client: Who presented it, for the SDK.
            expires_at: Until when it is valid, in epoch seconds; `None` if it does not expire.
            resource: The server it was issued for, if it says so.
        """
        return cls(
            client_id=client, expires_at=expires_at, resource=resource, subject=access.user, access=access
        )


class Verifier(Protocol):
    """Knows which tokens are valid, and what they grant."""

    async def verify_token(self, token: str) -> GrantedToken | None:
        """Return what a token grants; `None` if it is not valid."""
        ...


def of_request() -> Access:
    """Return what the token of the request that is being served grants.

    Raises:
        ToolError: It came without one; the server refuses such requests before.
    """
    token = get_access_token()
    if not isinstance(token, GrantedToken):
        raise ToolError("The request names no user: send the token that you were given.")
    return token.access


Whose = Callable[[], Access]
"""Returns whose memory the request that is being served is about."""
