"""`wrap`: the three tiers around a runnable, at one round trip before it and one after.

A turn reads the session and recalls in one round trip, runs the chain with an event handler
attached, and writes everything in one round trip. What a turn reads and writes is in `turn.py`; here
are the four ways to run the chain in between, which differ in nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import ConfigurableFieldSpec, Runnable, RunnableConfig
from langchain_core.runnables.base import RunnableLike, coerce_to_runnable

from langchain_agentmem.errors import AgentMemoryError
from langchain_agentmem.turn import ChainTurn, WrapOptions

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory


class MemoryChain(Runnable[Any, Any]):
    """A runnable that remembers; made by `AgentMemory.wrap`, which describes its parameters."""

    def __init__(self, memory: AgentMemory, runnable: RunnableLike[Any, Any], options: WrapOptions) -> None:
        self.name = "MemoryChain"
        self.memory = memory
        self.runnable: Runnable[Any, Any] = coerce_to_runnable(runnable)
        self.options = options

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """What `configurable` may hold: the ids that say whose memory this is."""
        return [
            *self.runnable.config_specs,
            ConfigurableFieldSpec(id="session_id", annotation=str, name="Session", description="The thread."),
            ConfigurableFieldSpec(id="user_id", annotation=str, name="User", description="Whose memories."),
            ConfigurableFieldSpec(
                id="namespace",
                annotation=str,
                name="Namespace",
                description="Which of them.",
                default="default",
            ),
        ]

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Run one turn. `config["configurable"]` names `session_id` and `user_id`."""
        turn = ChainTurn(self.memory, self.options, input, config)
        inputs = self._begin(turn)
        try:
            output = self.runnable.invoke(inputs, turn.config, **kwargs)
        except BaseException as error:
            self._abandon(turn, error)
            raise
        self._end(turn, output)
        return output

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Async version of `invoke`."""
        turn = ChainTurn(self.memory, self.options, input, config)
        inputs = await self._abegin(turn)
        try:
            output = await self.runnable.ainvoke(inputs, turn.config, **kwargs)
        except BaseException as error:
            await self._aabandon(turn, error)
            raise
        await self._aend(turn, output)
        return output

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        """Run one turn, passing chunks on as they come; the turn is stored when the stream is exhausted."""
        turn = ChainTurn(self.memory, self.options, input, config)
        inputs = self._begin(turn)
        try:
            for chunk in self.runnable.stream(inputs, turn.config, **kwargs):
                turn.take(chunk)
                yield chunk
        except BaseException as error:  # GeneratorExit too: nobody read the answer to its end
            self._abandon(turn, error)
            raise
        self._end(turn, turn.streamed)

    async def astream(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """Async version of `stream`."""
        turn = ChainTurn(self.memory, self.options, input, config)
        inputs = await self._abegin(turn)
        try:
            async for chunk in self.runnable.astream(inputs, turn.config, **kwargs):
                turn.take(chunk)
                yield chunk
        except BaseException as error:
            await self._aabandon(turn, error)
            raise
        await self._aend(turn, turn.streamed)

    # Around the chain. Each pair runs the same operation of the turn.

    def _begin(self, turn: ChainTurn) -> dict[str, Any]:
        with turn.tolerating("recall"):
            if (embeddings := turn.embeddings) is not None:
                turn.embedding = embeddings.embed_query(turn.text)
        with turn.tolerating("reading"):
            self.memory.transport.run(turn.read())
        return turn.chain_inputs()

    async def _abegin(self, turn: ChainTurn) -> dict[str, Any]:
        with turn.tolerating("recall"):
            if (embeddings := turn.embeddings) is not None:
                turn.embedding = await embeddings.aembed_query(turn.text)
        with turn.tolerating("reading"):
            await self.memory.transport.arun(turn.read())
        return turn.chain_inputs()

    def _end(self, turn: ChainTurn, output: Any) -> None:
        turn.finish(output)
        with turn.tolerating("writing"), turn.counting_lost_events():
            self.memory.transport.run(turn.write())
        turn.report()

    async def _aend(self, turn: ChainTurn, output: Any) -> None:
        turn.finish(output)
        with turn.tolerating("writing"), turn.counting_lost_events():
            await self.memory.transport.arun(turn.write())
        turn.report()

    # The chain's own error is the one to raise, whatever becomes of its events.

    def _abandon(self, turn: ChainTurn, error: BaseException) -> None:
        with suppress(AgentMemoryError), turn.counting_lost_events():
            self.memory.transport.run(turn.write_failure(error))

    async def _aabandon(self, turn: ChainTurn, error: BaseException) -> None:
        with suppress(AgentMemoryError), turn.counting_lost_events():
            await self.memory.transport.arun(turn.write_failure(error))
