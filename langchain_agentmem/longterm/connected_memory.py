"""Long-term memory with a connection and a model: its life, its index, and storing in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from langchain_agentmem.core import checks
from langchain_agentmem.core.operations import Op, T
from langchain_agentmem.errors import IndexMissingError
from langchain_agentmem.longterm.drafts import Batch
from langchain_agentmem.longterm.long_term_operations import LongTermOperations
from langchain_agentmem.longterm.memories import Memories, Progress
from langchain_agentmem.longterm.rebuilding import RebuiltIndex, rebuild
from langchain_agentmem.longterm.record import RememberResult

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings


class ConnectedMemory(LongTermOperations, Memories):
    """What `LongTermMemory` is built on: whatever is not about single memories."""

    def __init__(self, *, embeddings: Embeddings | None, **options: Any) -> None:
        checks.embeddings(embeddings)
        super().__init__(**options)
        self._embeddings = embeddings

    @property
    def embeddings(self) -> Embeddings:
        """What turns texts into vectors."""
        if self._embeddings is None:
            from langchain_agentmem.longterm.minilm import MiniLMEmbeddings

            self._embeddings = MiniLMEmbeddings()
        return self._embeddings

    def create_index(self) -> None:
        """Make the search index if it is not there. Only needed to have it early.

        A text is embedded to learn the vectors' length, unless the embeddings declare `dimensions`.

        Raises:
            IndexMismatchError: There is one of another shape.
            SearchUnavailableError: The server has no Search or JSON module.
        """
        dimensions = self._known_dimensions() or len(self.embeddings.embed_query("dimensions"))
        self.transport.run(self.index.ensure(dimensions))

    async def acreate_index(self) -> None:
        """Async version of `create_index`."""
        dimensions = self._known_dimensions() or len(await self.embeddings.aembed_query("dimensions"))
        await self.transport.arun(self.index.ensure(dimensions))

    def index_info(self) -> dict[str, Any]:
        """What the server says about the index: its fields, its documents, its memory. One round trip.

        Raises:
            IndexMissingError: There is none.
        """
        return self.transport.run(self.info_op())

    async def aindex_info(self) -> dict[str, Any]:
        """Async version of `index_info`."""
        return await self.transport.arun(self.info_op())

    def rebuild_index(self) -> RebuiltIndex:
        """Make the search index anew, over the memories that are there; none is deleted.

        For an index that another program made (such as the one of the Redis documentation's guide to agent
        memory), or with another `algorithm`. Searches wait until the index holds every memory. Where another
        program wrote users, namespaces, kinds or threads that the index cannot hold as they are, they are
        written as this package does, so that their memories are found: each memory in one atomic step.

        Raises:
            IndexMismatchError: The index is over another prefix, or another storage; nothing was changed.
            StoreTimeoutError: The server takes more than ten minutes; it goes on.
        """
        dimensions = self._declared_dimensions() or len(self.embeddings.embed_query("dimensions"))
        return self.transport.run(rebuild(self.store, self.index, dimensions))

    async def arebuild_index(self) -> RebuiltIndex:
        """Async version of `rebuild_index`."""
        dimensions = self._declared_dimensions() or len(await self.embeddings.aembed_query("dimensions"))
        return await self.transport.arun(rebuild(self.store, self.index, dimensions))

    def store_batches(
        self, batches: Sequence[Batch], threshold: float | None, on_progress: Progress | None = None
    ) -> list[RememberResult]:
        """Embed and store what is checked already; a threshold of `None` overwrites by id."""

        def store(batch: Batch) -> list[RememberResult]:
            embeddings = batch.embeddings
            if embeddings is None:
                embeddings = self.embeddings.embed_documents(batch.texts)
            return self.transport.run(self.store_op(batch.drafts, embeddings, threshold))

        return self._in_batches(batches, store, on_progress)

    async def astore_batches(
        self, batches: Sequence[Batch], threshold: float | None, on_progress: Progress | None = None
    ) -> list[RememberResult]:
        """Async version of `store_batches`."""

        async def store(batch: Batch) -> list[RememberResult]:
            embeddings = batch.embeddings
            if embeddings is None:
                embeddings = await self.embeddings.aembed_documents(batch.texts)
            return await self.transport.arun(self.store_op(batch.drafts, embeddings, threshold))

        return await self._ain_batches(batches, store, on_progress)

    def _known_dimensions(self) -> int | None:
        return self.index.dimensions or self._declared_dimensions()

    def _declared_dimensions(self) -> int | None:
        declared = getattr(self.embeddings, "dimensions", None)
        return declared if isinstance(declared, int) and declared > 0 else None

    def _indexed(self, operation: Callable[[], Op[T]]) -> T:
        """Run an operation that has no vector at hand, if need be after making the index."""
        try:
            return self.transport.run(self.index.using(None, operation))
        except IndexMissingError:
            self.create_index()
        return self.transport.run(operation())

    async def _aindexed(self, operation: Callable[[], Op[T]]) -> T:
        try:
            return await self.transport.arun(self.index.using(None, operation))
        except IndexMissingError:
            await self.acreate_index()
        return await self.transport.arun(operation())
