"""What is said if the extra `agents` is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from langchain_agentmem.errors import MissingDependencyError

_OF_THE_EXTRA = ("langchain", "langgraph")


@contextmanager
def extra_needed(by: str) -> Iterator[None]:
    """Let imports in the block fail with what to install.

    Args:
        by: What needs them.

    Raises:
        MissingDependencyError: A package of the extra is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _OF_THE_EXTRA:
            raise
        raise MissingDependencyError(
            f'{by} needs {error.name}: pip install "langchain-agentmem[agents]"'
        ) from error
