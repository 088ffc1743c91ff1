"""`wrap`: the three tiers around a runnable, at one round trip before it and one after.

An exchange reads the session and recalls in one round trip, runs the chain with an event handler attached,
and writes everything in one round trip. What it reads and writes is in `exchange.py`; here are the four ways
to run the chain in between, which differ in nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from langchain_core.runnables import ConfigurableFieldSpec, Runnable, RunnableConfig
from langchain_core.runnables.base import RunnableLike, coerce_to_runnable

from langchain_agentmem.chain.exchange import ChainExchange
from langchain_agentmem.chain.options import ChainMemory, WrapOptions
from langchain_agentmem.chain.refusals import every_part, refuse_agent, refuse_model, refuse_stream_mode
from langchain_agentmem.chain.turn import same_store
from langchain_agentmem.core.operations import ok
from langchain_agentmem.errors import InvalidInputError


class MemoryChain(Runnable[Any, Any]):
    """A runnable that remembers; made by `AgentMemory.wrap`, which describes its parameters.

    Raises:
        InvalidInputError: An exchange could not do what it is for: see `wrap`.
    """

    def __init__(self, memory: ChainMemory, runnable: RunnableLike[Any, Any], options: WrapOptions) -> None:
        self.name = "MemoryChain"
        self.memory = memory
        self.runnable: Runnable[Any, Any] = coerce_to_runnable(runnable)
        self.options = options
        refuse_model(self.runnable)
        refuse_agent(self.runnable, options.keys)
        if any(
            isinstance(part, MemoryChain) and same_store(part.memory, memory)
            for part in every_part(self.runnable)
        ):
            raise InvalidInputError(
                "This chain has a chain inside that the same memory is wrapped around already, so every "
                "exchange would be stored twice. Wrap only the outer one, or call the inner one from a "
                "function, with a session of its own."
            )

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """Return what `configurable` may hold: the ids that say whose memory this is."""
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
        """Run one exchange. `config["configurable"]` names `session_id` and `user_id`."""
        exchange = self._exchange(input, config, kwargs)
        try:
            output = self.runnable.invoke(self._begin(exchange), exchange.chain_config(), **kwargs)
        except BaseException as error:
            exchange.turn.clear_up(error, exchange.abandon(error))
            raise
        self._end(exchange, output)
        return output

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Async version of `invoke`."""
        exchange = self._exchange(input, config, kwargs)
        try:
            output = await self.runnable.ainvoke(
                await self._abegin(exchange), exchange.chain_config(), **kwargs
            )
        except BaseException as error:
            await exchange.turn.aclear_up(error, exchange.abandon(error))
            raise
        await self._aend(exchange, output)
        return output

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        """Run one exchange, passing chunks on as they come; it is stored when the stream is exhausted."""
        exchange = self._exchange(input, config, kwargs, streams=True)
        try:
            for chunk in self.runnable.stream(self._begin(exchange), exchange.chain_config(), **kwargs):
                exchange.take(chunk)
                yield chunk
        except BaseException as error:  # GeneratorExit too: nobody read the answer to its end
            exchange.turn.clear_up(error, exchange.abandon(error))
            raise
        self._end(exchange, exchange.streamed)

    async def astream(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """Async version of `stream`."""
        exchange = self._exchange(input, config, kwargs, streams=True)
        try:
            async for chunk in self.runnable.astream(
                await self._abegin(exchange), exchange.chain_config(), **kwargs
            ):
                exchange.take(chunk)
                yield chunk
        except BaseException as error:
            await exchange.turn.aclear_up(error, exchange.abandon(error))
            raise
        await self._aend(exchange, exchange.streamed)

    def _exchange(
        self, value: Any, config: RunnableConfig | None, kwargs: dict[str, Any], *, streams: bool = False
    ) -> ChainExchange:
        refuse_stream_mode(self.runnable, kwargs, streams=streams)
        return ChainExchange(self.memory, self.options, value, config)

    # Around the chain. Each pair runs the same operation of the exchange.

    def _begin(self, exchange: ChainExchange) -> dict[str, Any]:
        with exchange.failures.tolerating("reading"):
            self.memory.transport.run(exchange.read())
        return exchange.chain_inputs()

    async def _abegin(self, exchange: ChainExchange) -> dict[str, Any]:
        with exchange.failures.tolerating("reading"):
            await self.memory.transport.arun(exchange.read())
        return exchange.chain_inputs()

    def _end(self, exchange: ChainExchange, output: Any) -> None:
        exchange.finish(output)
        try:
            with exchange.failures.tolerating("writing"), exchange.delivering():
                ok(self.memory.transport.run(exchange.write()))
        except BaseException as error:
            exchange.turn.clear_up(error, exchange.turn.take_back(error))
            raise
        exchange.report()

    async def _aend(self, exchange: ChainExchange, output: Any) -> None:
        exchange.finish(output)
        try:
            with exchange.failures.tolerating("writing"), exchange.delivering():
                ok(await self.memory.transport.arun(exchange.write()))
        except BaseException as error:
            await exchange.turn.aclear_up(error, exchange.turn.take_back(error))
            raise
        exchange.report()
