"""The options of the event log: their defaults, which stand here alone, and their checks."""

from __future__ import annotations

from dataclasses import dataclass, replace

from langchain_agentmem.core import checks
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.partitions import partitions_on
from langchain_agentmem.events.event import MAX_DETAIL_BYTES


@dataclass(frozen=True, kw_only=True)
class EventLogConfig:
    """The options of an `EventLog`, checked.

    Attributes:
        max_len: About how many events a thread keeps.
        ttl_seconds: The TTL of a thread's events, extended by each one; `None` for none.
        max_detail_bytes: How many bytes of UTF-8 a detail may have; longer ones are cut.
        key_prefix: What the key of a thread's stream begins with.
        threads_prefix: What the key of a user's record of threads begins with.
        partitions: In how many partitions those records are; `None` for as many as fit the server.

    Raises:
        InvalidInputError: A number is not above zero, or a prefix is no text.
    """

    max_len: int = 1000
    ttl_seconds: int | None = None
    max_detail_bytes: int = MAX_DETAIL_BYTES
    key_prefix: str = Keys.events_prefix
    threads_prefix: str = Keys.threads_prefix
    partitions: int | None = None

    def __post_init__(self) -> None:
        checks.positive("max_len", self.max_len)
        checks.ttl("ttl_seconds", self.ttl_seconds)
        checks.positive("max_detail_bytes", self.max_detail_bytes)
        checks.utf8("key_prefix", self.key_prefix)
        checks.partitions(self.partitions)
        checks.utf8("threads_prefix", self.threads_prefix)

    def on(self, *, cluster: bool) -> EventLogConfig:
        """Return the same options with as many partitions as there are on a server."""
        return replace(self, partitions=partitions_on(self.partitions, cluster=cluster))

    @property
    def keys(self) -> Keys:
        """Return the key names that follow from the prefixes."""
        return Keys(
            events_prefix=self.key_prefix,
            threads_prefix=self.threads_prefix,
            partitions=self.partitions or 0,
        )
