"""The options of working memory: their defaults, which stand here alone, and their checks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from langchain_agentmem.core import checks, keys
from langchain_agentmem.core.checks import DEFAULT, fill, given
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.partitions import partitions_on
from langchain_agentmem.errors import ConfigurationError
from langchain_agentmem.working.summaries import Summariser

SCRATCHPAD_BYTES = 32_768
"""How many bytes of notes `add_note` keeps: the newest lines. A prompt has them all, in every request."""

SessionStorage: TypeAlias = Literal["hash", "list"]
SummariseWhen: TypeAlias = Literal["inline", "background"]


def default_ttl_seconds(storage: SessionStorage | None) -> int | None:
    """Return the TTL of an idle session where none is given: an hour in a Hash, and none in a list."""
    return None if storage == "list" else 3600


@dataclass(frozen=True, kw_only=True)
class WorkingMemoryConfig:
    """The options of a `WorkingMemory`, checked; TTLs that are not given are filled in.

    Attributes:
        ttl_seconds: The TTL of an idle session; `None` for none. If not given: 3600, and none in a list.
        max_turns: The window, in messages; `None` for all.
        key_prefix: What the key of a session begins with.
        storage: What holds the messages: the session's Hash, or a list beside it.
        list_prefix: What the key of such a list begins with.
        threads_prefix: What the key of a user's record of threads begins with; if `None`,
            `agent:threads:`, and with another `key_prefix`, `threads:` and that.
        threads_ttl_seconds: The least TTL of that record after a write. If not given: that of a session.
        reserved_prefixes: What keys of other tiers begin with; no list may have such a key.
        summarise: Who folds what leaves the window into the summary; if `None`, it is dropped.
        summarise_when: Whether a turn folds once it is written, or that is left to who calls `fold`.
        max_waiting: How many messages wait at most to be folded. Beyond that the oldest are dropped, except
            of a list, which keeps them: so many are then folded at once.
        partitions: In how many partitions records of threads are; `None` for as many as fit the server.

    Raises:
        ConfigurationError: There is no such storage, or the two prefixes are the same; or nothing leaves the
            window that could be summed up.
        InvalidInputError: A number is not above zero.
    """

    ttl_seconds: int | None = DEFAULT
    max_turns: int | None = 20
    key_prefix: str = Keys.session_prefix
    storage: SessionStorage = "hash"
    list_prefix: str = Keys.list_prefix
    threads_prefix: str | None = None
    threads_ttl_seconds: int | None = DEFAULT
    reserved_prefixes: Sequence[str] = ()
    summarise: Summariser | None = None
    summarise_when: SummariseWhen = "inline"
    max_waiting: int = 200
    partitions: int | None = None

    def __post_init__(self) -> None:
        checks.choice("storage", self.storage, SessionStorage)
        if self.storage == "list" and self.list_prefix == self.key_prefix:
            raise ConfigurationError("list_prefix and key_prefix must differ: a session has a key of each.")
        if self.max_turns is not None:
            checks.positive("max_turns", self.max_turns)
        checks.choice("summarise_when", self.summarise_when, SummariseWhen)
        checks.positive("max_waiting", self.max_waiting)
        checks.partitions(self.partitions)
        if self.summarise is not None:
            if not callable(self.summarise):
                raise ConfigurationError(
                    "summarise must be a function of the summary so far and the messages that leave, such as "
                    f"model_summariser(model), not {type(self.summarise).__name__}."
                )
            if self.max_turns is None:
                raise ConfigurationError(
                    "summarise= sums up what leaves the window, and with max_turns=None nothing does. Give "
                    "max_turns a number, such as 20."
                )
        ttl = checks.ttl("ttl_seconds", given(self.ttl_seconds, default_ttl_seconds(self.storage)))
        of_record = checks.ttl("threads_ttl_seconds", given(self.threads_ttl_seconds, ttl))
        fill(self, ttl_seconds=ttl, threads_ttl_seconds=of_record)

    def on(self, *, cluster: bool) -> WorkingMemoryConfig:
        """Return the same options with as many partitions as there are on a server."""
        return replace(self, partitions=partitions_on(self.partitions, cluster=cluster))

    @property
    def folds_inline(self) -> bool:
        """Return whether a turn folds what has left the window, once it is written."""
        return self.summarise is not None and self.summarise_when == "inline"

    @property
    def keys(self) -> Keys:
        """Return the key names that follow from the prefixes."""
        return Keys(
            session_prefix=self.key_prefix,
            threads_prefix=self.threads_prefix or keys.threads_prefix(self.key_prefix),
            list_prefix=self.list_prefix,
            reserved=tuple(self.reserved_prefixes),
            partitions=self.partitions or 0,
        )

    @property
    def keys_on_cluster(self) -> Keys:
        """Return the key names on a Redis Cluster, where the two keys of a session have to share a slot.

        Raises:
            ConfigurationError: The prefixes keep them from that.
        """
        if self.storage == "hash":
            return self.keys
        if set("{}") & {*self.key_prefix, *self.list_prefix}:
            raise ConfigurationError(
                "On a Redis Cluster, key_prefix and list_prefix of sessions in lists have no braces."
            )
        return dataclasses.replace(self.keys, beside_list=True)
