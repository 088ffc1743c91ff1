"""One demo a store: who serves it says so in the store, and another is told where the first one is."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from langchain_agentmem.agent_memory import AgentMemory
from langchain_agentmem.core.operations import Op, call, ok, reads, text, writes
from langchain_agentmem.errors import AgentMemoryError
from langchain_agentmem.transport.connections import Transport

_LIFE_SECONDS = 8  # how long a claim outlives a demo that was killed
_RENEWED_SECONDS = 2
_LOOK_SECONDS = 0.25


class StoreInUseError(AgentMemoryError):
    """Another demo serves this store."""


def claim_key(memory_prefix: str) -> str:
    """Where the demo that serves a store says so."""
    return f"agentmem:demo:running:{memory_prefix}"


@asynccontextmanager
async def claimed(memory: AgentMemory, address: str, waiting: Callable[[], None]) -> AsyncIterator[None]:
    """Have a store to oneself, among demos.

    Args:
        memory: The store.
        address: Where this demo's page is.
        waiting: Called if another demo is running, or did until just now; which one shows within seconds.

    Raises:
        StoreInUseError: Another demo serves the store.
    """
    transport, key = memory.transport, claim_key(memory.settings.memory_prefix)
    claim = f"{uuid.uuid4().hex} {address}"
    await _take(transport, key, claim, waiting)
    renewing = asyncio.create_task(_renew(transport, key, claim))
    try:
        yield
    finally:
        renewing.cancel()
        try:
            await asyncio.wait([renewing])
        finally:
            with suppress(AgentMemoryError):  # it expires by itself
                if await transport.arun(call(reads("GET", key))) == claim.encode():
                    await transport.arun(call(writes("DEL", key)))


async def look(memory: AgentMemory, address: str, waiting: Callable[[], None]) -> None:
    """Look, before anything that takes long, whether another demo serves a store; else as `claimed`."""
    async with AgentMemory(settings=memory.settings) as own, claimed(own, address, waiting):
        pass


async def _take(transport: Transport, key: str, claim: str, waiting: Callable[[], None]) -> None:
    """Take the claim, once that of a demo which was killed has expired."""
    known, left = b"", 0
    while (await transport.arun(call(writes("SET", key, claim, "NX", "EX", _LIFE_SECONDS)))) is None:
        holder, life = await transport.arun(_looked(key))
        if holder is None:
            continue
        if known and (holder != known or life > left):  # it is renewed, so somebody is there
            where = text(holder).partition(" ")[2]
            raise StoreInUseError(
                f"Another demo serves this store, at {where}: open that page, end that demo, or give this "
                "one a store of its own: --redis embedded:///path/to/folder."
            )
        if not known:
            waiting()
        known, left = holder, life
        await asyncio.sleep(_LOOK_SECONDS)


def _looked(key: str) -> Op[tuple[bytes | None, int]]:
    holder, life = yield [reads("GET", key), reads("PTTL", key)]
    return ok(holder), int(ok(life))


async def _renew(transport: Transport, key: str, claim: str) -> None:
    """Renew the claim as long as this runs; take it again if it was lost, as after a flush."""
    while True:
        await asyncio.sleep(_RENEWED_SECONDS)
        with suppress(AgentMemoryError):  # a store that is away for a while
            holder = await transport.arun(call(reads("GET", key)))
            if holder == claim.encode():
                await transport.arun(call(writes("EXPIRE", key, _LIFE_SECONDS)))
            elif holder is None:
                await transport.arun(call(writes("SET", key, claim, "NX", "EX", _LIFE_SECONDS)))
