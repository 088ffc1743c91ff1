"""A scope: whose memories, in which namespace, of which kind."""

from __future__ import annotations

from dataclasses import dataclass

from langchain_agentmem.core.checks import scope
from langchain_agentmem.core.keys import tag
from langchain_agentmem.longterm.record import MemoryRecord


@dataclass(frozen=True, slots=True)
class Scope:
    """A user, a namespace and a kind; `None` stands for every one."""

    user: str | None
    namespace: str | None
    kind: str | None

    @classmethod
    def of_user(cls, user: str, namespace: str | None, kind: str | None) -> Scope:
        """A scope inside one user's memories.

        Raises:
            InvalidInputError: The user is missing or empty, or a name is not usable.
        """
        return cls.of_any(scope("user", user), namespace, kind)

    @classmethod
    def of_any(cls, user: str | None, namespace: str | None, kind: str | None) -> Scope:
        """A scope that may span users.

        Raises:
            InvalidInputError: A name is not usable.
        """
        return cls(_name("user", user), _name("namespace", namespace), _name("kind", kind))

    def tags(self) -> tuple[str, str, str]:
        """User, namespace and kind as the index holds them; empty for every one."""
        return _tag(self.user), _tag(self.namespace), _tag(self.kind)

    def __contains__(self, record: MemoryRecord) -> bool:
        return (
            self.user in (None, record.user)
            and self.namespace in (None, record.namespace)
            and self.kind in (None, record.kind)
        )


def _name(field: str, value: str | None) -> str | None:
    return None if value is None else scope(field, value)


def _tag(value: str | None) -> str:
    return "" if value is None else tag(value)
