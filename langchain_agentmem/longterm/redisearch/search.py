"""The checks of a recall, made before anything is sent."""

from __future__ import annotations

from typing import get_args

from langchain_agentmem.core import checks
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.longterm.config import LongTermMemoryConfig
from langchain_agentmem.longterm.redisearch.filters import narrowed
from langchain_agentmem.longterm.types import Mode, RecallOptions, Scope, Search


def checked_search(config: LongTermMemoryConfig, scope: Scope, options: RecallOptions) -> Search:
    """Return a recall, checked.

    Args:
        config: Has the defaults.
        scope: Whose memories, in which namespace, of which kind.
        options: The options of `recall`.

    Raises:
        InvalidInputError: Something about it is not usable.
    """
    mode = options.get("mode") or "hybrid"
    if mode not in get_args(Mode):
        raise InvalidInputError(f"mode must be one of {', '.join(get_args(Mode))}, not {mode!r}.")
    given, filter = options.get("distance_threshold", ...), options.get("filter")
    threshold = config.recall_threshold if mode == "vector" else None
    if given is not ... and given is not None:
        if mode == "text":
            raise InvalidInputError(
                "distance_threshold must be left out with mode='text', which has no distances.",
                plain="Mode text finds by words, so there is no distance to ask for: give no threshold.",
            )
        threshold = checks.distance("distance_threshold", given)
    elif given is None:
        threshold = None
    return Search(
        scope=scope,
        k=checks.positive("k", options.get("k", 5)),
        mode=mode,
        condition="" if filter is None else narrowed(scope, filter),
        distance_threshold=threshold,
        gated=given is not None,
        recency_weight=checks.points("recency_weight", options.get("recency_weight", 0.0)),
        reranker=checks.reranker(options.get("reranker")),
        explain=bool(options.get("explain", False)),
    )
