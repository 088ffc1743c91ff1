"""`wrap`: the three tiers around a runnable, at one round trip before it and one after.

A turn reads the session and recalls in one round trip, runs the chain with an event handler
attached, and writes everything in one round trip. What a turn reads and writes is in `turn.py`; here
are the four ways to run the chain in between, which differ in nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import ConfigurableFieldSpec, Runnable, RunnableConfig
from langchain_core.runnables.base import RunnableLike, coerce_to_runnable

from langchain_agentmem.core.operations import Op, ok
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.turn import ChainTurn, WrapOptions, same_store
from langchain_agentmem.wrapping import (
    every_part,
    refuse_agent,
    refuse_callback,
    refuse_equal_keys,
    refuse_stream_mode,
)

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory

_CLEARING_UP: set[asyncio.Task[None]] = set()  # a loop by itself keeps its tasks only weakly


class MemoryChain(Runnable[Any, Any]):
    """A runnable that remembers; made by `AgentMemory.wrap`, which describes its parameters.

    Raises:
        InvalidInputError: A turn could not do what it is for: see `wrap`.
    """

    def __init__(self, memory: AgentMemory, runnable: RunnableLike[Any, Any], options: WrapOptions) -> None:
        self.name = "MemoryChain"
        self.memory = memory
        self.runnable: Runnable[Any, Any] = coerce_to_runnable(runnable)
        self.options = options
        keys = {"input_key": options.input_key, "history_key": options.history_key}
        if options.memories_key is not None:
            keys["memories_key"] = options.memories_key
        refuse_equal_keys(keys)
        refuse_agent(self.runnable, keys)
        if callable(options.remember):
            refuse_callback("remember", options.remember)
        if options.on_turn is not None:
            refuse_callback("on_turn", options.on_turn)
        if any(
            isinstance(part, MemoryChain) and same_store(part.memory, memory)
            for part in every_part(self.runnable)
        ):
            raise InvalidInputError(
                "This chain has a chain inside that the same memory is wrapped around already, so every turn "
                "would be stored twice. Wrap only the outer one, or call the inner one from a function, with "
                "a session of its own."
            )

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
        turn = self._turn(input, config, kwargs)
        try:
            output = self.runnable.invoke(self._begin(turn), turn.config, **kwargs)
        except BaseException as error:
            self._clear_up(turn, turn.abandon(error))
            raise
        self._end(turn, output)
        return output

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Async version of `invoke`."""
        turn = self._turn(input, config, kwargs)
        try:
            output = await self.runnable.ainvoke(await self._abegin(turn), turn.config, **kwargs)
        except BaseException as error:
            await self._aclear_up(turn, turn.abandon(error))
            raise
        await self._aend(turn, output)
        return output

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        """Run one turn, passing chunks on as they come; the turn is stored when the stream is exhausted."""
        turn = self._turn(input, config, kwargs, streams=True)
        try:
            for chunk in self.runnable.stream(self._begin(turn), turn.config, **kwargs):
                turn.take(chunk)
                yield chunk
        except BaseException as error:  # GeneratorExit too: nobody read the answer to its end
            self._clear_up(turn, turn.abandon(error))
            raise
        self._end(turn, turn.streamed)

    async def astream(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """Async version of `stream`."""
        turn = self._turn(input, config, kwargs, streams=True)
        try:
            async for chunk in self.runnable.astream(await self._abegin(turn), turn.config, **kwargs):
                turn.take(chunk)
                yield chunk
        except BaseException as error:
            await self._aclear_up(turn, turn.abandon(error))
            raise
        await self._aend(turn, turn.streamed)

    def _turn(
        self, value: Any, config: RunnableConfig | None, kwargs: dict[str, Any], *, streams: bool = False
    ) -> ChainTurn:
        refuse_stream_mode(self.runnable, kwargs, streams=streams)
        return ChainTurn(self.memory, self.options, value, config)

    # Around the chain. Each pair runs the same operation of the turn.

    def _begin(self, turn: ChainTurn) -> dict[str, Any]:
        with turn.failures.tolerating("recall"):
            if (embeddings := turn.embeddings) is not None:
                turn.embedded(embeddings.embed_query(turn.text))
        with turn.failures.tolerating("reading"):
            self.memory.transport.run(turn.read())
        return turn.chain_inputs()

    async def _abegin(self, turn: ChainTurn) -> dict[str, Any]:
        with turn.failures.tolerating("recall"):
            if (embeddings := turn.embeddings) is not None:
                turn.embedded(await embeddings.aembed_query(turn.text))
        with turn.failures.tolerating("reading"):
            await self.memory.transport.arun(turn.read())
        return turn.chain_inputs()

    def _end(self, turn: ChainTurn, output: Any) -> None:
        turn.finish(output)
        try:
            with turn.failures.tolerating("writing"), turn.delivering():
                ok(self.memory.transport.run(turn.write()))
        except BaseException as error:
            self._clear_up(turn, turn.take_back(error))
            raise
        turn.report()

    async def _aend(self, turn: ChainTurn, output: Any) -> None:
        turn.finish(output)
        try:
            with turn.failures.tolerating("writing"), turn.delivering():
                ok(await self.memory.transport.arun(turn.write()))
        except BaseException as error:
            await self._aclear_up(turn, turn.take_back(error))
            raise
        turn.report()

    # What is left to write when a turn has failed.

    def _clear_up(self, turn: ChainTurn, op: Op[None]) -> None:
        with turn.leaving():
            self.memory.transport.run(op)

    async def _aclear_up(self, turn: ChainTurn, op: Op[None]) -> None:
        async def clear_up() -> None:
            with turn.leaving():
                await self.memory.transport.arun(op)

        # In a task of its own: whoever has cancelled this one may do so again at each `await`.
        task = asyncio.create_task(clear_up())
        _CLEARING_UP.add(task)
        task.add_done_callback(_CLEARING_UP.discard)
        await asyncio.shield(task)
