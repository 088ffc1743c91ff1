"""Every error that this package raises.

::

    AgentMemoryError
    ├── ConfigurationError          (ValueError)       a setting, URL or client is wrong, or closed
    │   └── MissingDependencyError  (ImportError)      an extra has to be installed
    ├── InvalidInputError           (ValueError)       an argument cannot be used
    │   ├── EmbeddingError                             a vector of the wrong length, all zeros, or not finite
    │   └── MessageNotStorableError                    JSON cannot hold the message unchanged
    ├── WrongOwnerError             (PermissionError)  the session belongs to another user
    ├── ExchangeNotStoredError                         a chain has answered, and storing the exchange failed
    ├── ExtractionError                                a model did not tell what to remember
    ├── SummaryError                                   a summariser failed, and what waits for it waits on
    ├── StoreError                                     the server refused, or did not answer
    │   ├── StoreConnectionError    (ConnectionError)  not reachable, or the connection broke
    │   │   └── StoreTimeoutError   (TimeoutError)     no answer in time
    │   ├── StoreAuthenticationError                   wrong or missing credentials
    │   ├── StoreRateLimitError                        the service takes no more requests for now
    │   ├── StoreLoadingError                          the server is still reading its data from disk
    │   ├── StoreFullError                             `maxmemory` is reached, and nothing may be evicted
    │   ├── WrongKeyTypeError                          the key holds a value of another type
    │   ├── ClusterNodeError                           the server is a node of a Redis Cluster
    │   ├── SearchUnavailableError                     the server has no Search or no JSON module
    │   ├── IndexMissingError                          the search index does not exist
    │   └── IndexMismatchError                         the search index has another schema
    └── EmbeddedRedisError                             the private Redis could not be started

An error of the server that has no class of its own is a plain `StoreError`. The exception of a lower level is
always the `__cause__`. No message contains a password or a token.

A message is for who writes a program: it may quote the server, and name an argument or a method. `plain` is
for who uses one, and is what the command line shows.
"""

from __future__ import annotations

from typing import Any, Literal

__all__ = [
    "AgentMemoryError",
    "ClusterNodeError",
    "ConfigurationError",
    "EmbeddedRedisError",
    "EmbeddingError",
    "ExchangeNotStoredError",
    "ExtractionError",
    "IndexMismatchError",
    "IndexMissingError",
    "InvalidInputError",
    "MessageNotStorableError",
    "MissingDependencyError",
    "SearchUnavailableError",
    "StoreAuthenticationError",
    "StoreConnectionError",
    "StoreError",
    "StoreFullError",
    "StoreLoadingError",
    "StoreRateLimitError",
    "StoreTimeoutError",
    "SummaryError",
    "WrongKeyTypeError",
    "WrongOwnerError",
]


class AgentMemoryError(Exception):
    """The base class of every error of this package.

    Args:
        args: The message.
        plain: What to say to people, if that is something else.

    Attributes:
        output: The answer of a wrapped chain, if only storing the exchange failed; else `None`.
    """

    output: Any = None
    _plain = ""

    def __init__(self, *args: object, plain: str = "") -> None:
        super().__init__(*args)
        if plain:
            self._plain = plain

    @property
    def plain(self) -> str:
        """Return what to say to people who use a program, and cannot change its code.

        It quotes no server, and names no argument, method or class. Where there is nothing else to say, it is
        the message.
        """
        return self._plain or str(self)


class ConfigurationError(AgentMemoryError, ValueError):
    """A setting, URL or client is wrong, or a closed memory was used; the message names it."""


class MissingDependencyError(ConfigurationError, ImportError):
    """Something optional is not installed; the message names the extra to install."""


class InvalidInputError(AgentMemoryError, ValueError):
    """An argument cannot be used; nothing was written."""


class EmbeddingError(InvalidInputError):
    """A vector has the wrong length, is all zeros, or is not finite."""


class MessageNotStorableError(InvalidInputError):
    """A message contains a value that JSON cannot hold unchanged; the error says where."""


class WrongOwnerError(AgentMemoryError, PermissionError):
    """The session belongs to another user; nothing of it was returned, and nothing was written."""


class ExchangeNotStoredError(AgentMemoryError):
    """A chain has answered, and a foreign error kept its exchange from being stored.

    The foreign error is the `__cause__`, the answer is `output`.
    """


class ExtractionError(AgentMemoryError):
    """An extractor did not tell what to remember, or a consolidator what says the same.

    Nothing was changed, and it can be tried again.

    Args:
        args: The message.
        reason: What happened.

    Attributes:
        reason: `failed` (the model or the function raised, as on a time-out: see the `__cause__`), `refused`
            (the model declined), `malformed` (its answer cannot be read), or `unknown_id` (it names a memory
            that it was not shown).
    """

    def __init__(
        self,
        *args: object,
        reason: Literal["failed", "refused", "malformed", "unknown_id"] = "failed",
        plain: str = "",
    ) -> None:
        super().__init__(*args, plain=plain)
        self.reason = reason


class SummaryError(AgentMemoryError):
    """A summariser raised, or returned no text; nothing was written, and what is to be summed up waits on."""


class StoreError(AgentMemoryError):
    """The server answered with an error, or did not answer."""


class StoreConnectionError(StoreError, ConnectionError):
    """The server cannot be reached, or the connection broke before the answer came."""


class StoreTimeoutError(StoreConnectionError, TimeoutError):
    """The server did not answer in time; nobody knows whether it acted."""


class StoreAuthenticationError(StoreError):
    """The server refused the credentials."""


class StoreRateLimitError(StoreError):
    """A hosted database takes no more requests, for now or for today; the command did not run."""


class StoreLoadingError(StoreError):
    """The server is still reading its data from disk; the command did not run."""


class StoreFullError(StoreError):
    """The server has reached `maxmemory` and may not evict; the command did not run."""


class WrongKeyTypeError(StoreError):
    """The key holds a value of another type; it was left as it is."""


class ClusterNodeError(StoreError):
    """The server is a node of a Redis Cluster: it needs a redis+cluster:// URL. The command did not run."""


class SearchUnavailableError(StoreError):
    """The server lacks the Search or the JSON module that long-term memory needs."""


class IndexMissingError(StoreError):
    """The search index does not exist."""


class IndexMismatchError(StoreError):
    """The search index on the server has another schema than the settings and embeddings need."""


class EmbeddedRedisError(AgentMemoryError):
    """The private Redis could not be started or kept; the message quotes what each candidate said."""
