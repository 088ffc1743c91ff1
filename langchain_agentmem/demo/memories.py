"""The long-term memory on the page: lists, recalls with what just misses, and the map."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from types import EllipsisType
from typing import TYPE_CHECKING, Any, cast

from langchain_core.runnables import Runnable

from langchain_agentmem import AgentMemory, MemoryRecord, RecalledMemories
from langchain_agentmem.demo.maps import Maps
from langchain_agentmem.demo.models import (
    NEAREST,
    AnswersRequest,
    ExchangeRequest,
    MemoriesRequest,
    MemoryRequest,
    RecallRequest,
    ScopeRequest,
    map_answer,
    memory_answer,
    nearest_answer,
    trace_answer,
)
from langchain_agentmem.errors import InvalidInputError

if TYPE_CHECKING:
    from redisvl.query.filter import FilterExpression

    from langchain_agentmem import LongTermMemory

_TICK_SECONDS = 0.01  # to which `created_ts` is told
_MAPPED_WITH_TEXTS = 2_000  # more would be megabytes; the texts of more are told one by one


class Memories:
    """The long-term memory, for any user and namespace.

    Args:
        memory: What is shown.
        answering: Returns what answers, given whether what is said will be remembered.
    """

    def __init__(
        self,
        memory: AgentMemory,
        answering: Callable[[bool], Runnable[Any, Any]],
    ) -> None:
        self._memory = memory
        self._long_term = memory.long_term
        self._answering = answering
        self._maps = Maps(memory.long_term)

    def stored(self, user: str) -> dict[str, str]:
        """Return the key that a user's memories have, and the index that searches them."""
        store = cast("LongTermMemory", self._long_term).parts.of(user).store
        return {"key": f"{store.keys.memory_prefix}<id>", "index": store.index_name}

    async def page(self, asked: MemoriesRequest) -> dict[str, Any]:
        """Return a page of the memories in scope that have all the words, and how many have them.

        The number takes as long as the page; it is `None` if it was not asked for, unless the page tells it.
        """
        scope: dict[str, Any] = {
            "user": asked.user,
            "namespace": asked.namespace,
            "include_superseded": asked.superseded,
        }
        contains = asked.contains or None
        page = await self._long_term.alist_memories(
            **scope, contains=contains, sort=asked.sort, offset=asked.offset, limit=asked.limit
        )
        total: int | None = asked.offset + len(page)
        if len(page) == asked.limit or not page:  # else this is the last page
            total = None
        if total is None and asked.count:
            total = await self._long_term.acount_memories(**scope, contains=contains)
        return {
            "memories": [memory_answer(one, self._long_term.is_truncated(one.text)) for one in page],
            "total": total,
            "max_tokens": getattr(self._long_term.embeddings, "max_tokens", None),
        }

    async def recall(
        self, asked: RecallRequest, recalled: list[MemoryRecord] | None = None
    ) -> dict[str, Any]:
        """Return what is recalled for a query, what just misses, and where the query is on the map.

        Args:
            asked: The query; with `before`, as things were before that memory.
            recalled: What was recalled already.
        """
        told, _ = await self._recall(asked, recalled)
        return told

    async def _recall(
        self, asked: RecallRequest, recalled: list[MemoryRecord] | None
    ) -> tuple[dict[str, Any], list[MemoryRecord]]:
        threshold = self.threshold(asked)
        with self._memory.trace() as trace:
            vector, older = await asyncio.gather(self._embed(asked.query), self._before(asked))
            searches = [self._whatever_is_near(asked, vector, older)]
            if recalled is None:
                searches.append(self._ranked(asked, asked.mode, vector, threshold, older))
            nearest, *ranked = await asyncio.gather(*searches)
        recalled = ranked[0] if recalled is None else recalled
        explained = {record.id: record for record in nearest}
        ids = {record.id for record in recalled}
        shown = [explained.get(record.id, record) for record in recalled]
        shown += [record for record in nearest if record.id not in ids]
        told = {
            "query": asked.query,
            "mode": asked.mode or self._long_term.modes[0],
            "threshold": None if threshold is ... else threshold,
            "memories": nearest_answer(shown[:NEAREST], ids),
            "at": await self._maps.locate(asked.user, asked.namespace, vector),
            "trace": trace_answer(trace),
        }
        return told, recalled

    async def _before(self, asked: RecallRequest) -> FilterExpression | None:
        """Return the filter for what was there before the memory that was asked for."""
        if asked.before is None:
            return None
        return _older_than(await self._long_term.aget(asked.before, user=asked.user))

    async def _embed(self, text: str) -> list[float]:
        embeddings = self._long_term.embeddings
        if embeddings is None:  # the demo is not opened without
            raise InvalidInputError("There is no embedding model.")
        return await embeddings.aembed_query(text)

    async def _whatever_is_near(
        self, asked: RecallRequest, vector: list[float], older: FilterExpression | None
    ) -> list[MemoryRecord]:
        """Recall without a gate or a threshold, and then the nearest that have no rank, without a score."""
        modes = [asked.mode or self._long_term.modes[0]]
        modes += ["vector"] if modes == ["hybrid"] else []
        ranked, *nearest = await asyncio.gather(
            *(self._ranked(asked, mode, vector, None, older) for mode in modes)
        )
        ids = {record.id for record in ranked}
        unranked = (record for found in nearest for record in found if record.id not in ids)
        return [*ranked, *(replace(record, score=None, explanation=None) for record in unranked)]

    async def _ranked(
        self,
        asked: RecallRequest,
        mode: Any,
        vector: list[float],
        threshold: float | EllipsisType | None,
        older: FilterExpression | None,
    ) -> list[MemoryRecord]:
        """Recall with a threshold, and with the parts of each rank."""
        return await self._long_term.arecall(
            asked.query,
            embedding=None if mode == "text" else vector,
            user=asked.user,
            namespace=asked.namespace,
            mode=mode,
            k=NEAREST,
            distance_threshold=threshold,
            filter=older,
            explain=True,
        )

    def threshold(self, asked: ExchangeRequest | RecallRequest) -> float | EllipsisType:
        """Return the distance up to which is recalled; `...` for what the mode does by itself."""
        if asked.mode == "text" or asked.threshold is None:
            return self._memory.settings.recall_threshold if asked.mode == "vector" else ...
        return asked.threshold

    async def answers(self, asked: AnswersRequest) -> dict[str, Any]:
        """Return what is recalled for a question, and its answer with these memories and without any."""
        recall, records = await self._recall(asked, None)
        inputs = {"input": asked.query, "goal": "", "scratchpad": "", "chat_history": []}
        answering = self._answering(False)
        both = await asyncio.gather(
            *(
                answering.ainvoke({**inputs, "memories": RecalledMemories(memories)})
                for memories in (records, [])
            )
        )
        with_memory, without = (str(getattr(one, "text", one)) for one in both)
        return {"recall": recall, "with": with_memory, "without": without}

    async def map(self, asked: ScopeRequest) -> dict[str, Any]:
        """Return the memories in scope as points of a map, newest first, each in 0 to 1.

        Their texts and dates are among them if they are not too many.
        """
        placed = await self._maps.place(asked.user, asked.namespace)
        told = len(placed) <= _MAPPED_WITH_TEXTS
        return {"points": [map_answer(record, x, y, told=told) for record, x, y in placed]}

    async def one(self, asked: MemoryRequest) -> dict[str, Any]:
        """Return a memory; `None` if the user has none of that id."""
        record = await self._long_term.aget(asked.id, user=asked.user)
        return {"memory": None if record is None else memory_answer(record)}


def _older_than(memory: MemoryRecord | None) -> FilterExpression | None:
    """Return the filter for what is older than a memory.

    An exchange does not recall itself, and would be the measure of everything else.
    """
    if memory is None:
        return None
    from redisvl.query.filter import Num

    return Num("created_ts") < memory.created_ts - _TICK_SECONDS
