"""Every error this package raises on its own account.

::

    AgentMemoryError
    ├── ConfigurationError          (ValueError)       a setting, URL or parameter is wrong
    │   └── MissingDependencyError  (ImportError)      an extra has to be installed first
    ├── InvalidInputError           (ValueError)       refused before anything was sent
    │   ├── EmbeddingError                             a vector of the wrong length, or not finite
    │   └── MessageNotStorableError                    JSON cannot carry the message unchanged
    ├── WrongOwnerError             (PermissionError)  the session is another user's
    ├── ExchangeNotStoredError                         a chain has answered, and something else failed after
    ├── StoreError                                     the server refused, or did not answer
    │   ├── StoreConnectionError    (ConnectionError)  not reachable, or the connection broke
    │   │   └── StoreTimeoutError   (TimeoutError)     no answer in time
    │   ├── StoreAuthenticationError                   wrong or missing credentials
    │   ├── StoreRateLimitError                        the service takes no more requests for now
    │   ├── StoreLoadingError                          the server still reads its data from disk
    │   ├── StoreFullError                             `maxmemory` is reached and nothing may be evicted
    │   ├── WrongKeyTypeError                          the key holds something of another type
    │   ├── SearchUnavailableError                     the server has no Search (or no JSON) module
    │   ├── IndexMissingError                          the search index is not there
    │   └── IndexMismatchError                         the search index has another shape
    └── EmbeddedRedisError                             the private Redis could not be started

`StoreError` itself is raised for any other answer that is an error. A lower-level exception is
always the `__cause__`; no message carries a password or a token.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "AgentMemoryError",
    "ConfigurationError",
    "EmbeddedRedisError",
    "EmbeddingError",
    "ExchangeNotStoredError",
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
    "WrongKeyTypeError",
    "WrongOwnerError",
]


class AgentMemoryError(Exception):
    """The root of every error this package raises.

    Attributes:
        output: What a wrapped chain had answered, if only writing the turn down failed; else `None`.
    """

    output: Any = None


class ConfigurationError(AgentMemoryError, ValueError):
    """A setting, URL or parameter is wrong; the message names it."""


class MissingDependencyError(ConfigurationError, ImportError):
    """Something optional is not installed; the message says which extra brings it."""


class InvalidInputError(AgentMemoryError, ValueError):
    """A value was refused before anything was sent."""


class EmbeddingError(InvalidInputError):
    """A vector has the wrong length, is all zeros, or is not finite."""


class MessageNotStorableError(InvalidInputError):
    """A message holds a value that JSON cannot carry unchanged; the message says where."""


class WrongOwnerError(AgentMemoryError, PermissionError):
    """The session belongs to another user; nothing of it was handed out, and nothing was written."""


class ExchangeNotStoredError(AgentMemoryError):
    """A chain has answered, and its exchange could not be stored for a reason that is not this package's own.

    The reason is the `__cause__`, the answer is `output`.
    """


class StoreError(AgentMemoryError):
    """The server answered with an error, or did not answer."""


class StoreConnectionError(StoreError, ConnectionError):
    """The server cannot be reached, or the connection broke before the answer came."""


class StoreTimeoutError(StoreConnectionError, TimeoutError):
    """The server did not answer in time; whether it acted is not known."""


class StoreAuthenticationError(StoreError):
    """The server refused the credentials."""


class StoreRateLimitError(StoreError):
    """A hosted database takes no more requests for now, or for today; the command was not run."""


class StoreLoadingError(StoreError):
    """The server is still reading its data from disk; the command was not run."""


class StoreFullError(StoreError):
    """The server is at `maxmemory` and may not evict; the command was not run."""


class WrongKeyTypeError(StoreError):
    """The key holds a value of another type; it was left as it is."""


class SearchUnavailableError(StoreError):
    """The server lacks the Search or the JSON module that long-term memory needs."""


class IndexMissingError(StoreError):
    """The search index does not exist."""


class IndexMismatchError(StoreError):
    """The search index on the server has another shape than the settings ask for."""


class EmbeddedRedisError(AgentMemoryError):
    """The private Redis could not be started; the message holds what each candidate said."""
