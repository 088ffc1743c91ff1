"""One demo per store: who serves it says so in the store, and another is told where the first one is."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from langchain_agentmem.agent_memory import AgentMemory
from langchain_agentmem.core.operations import Op, call, ok, reads, text, writes
from langchain_agentmem.core.scripts import load
from langchain_agentmem.errors import AgentMemoryError
from langchain_agentmem.transport.connections import Transport

_TTL_SECONDS = 8  # how long a claim outlives a demo that was killed
_EXTEND_SECONDS = 2
_LOOK_SECONDS = 0.25
_EXTEND = load(__package__, "extend_claim")
_RELEASE = load(__package__, "release_claim")


class StoreInUseError(AgentMemoryError):
    """Another demo serves this store."""


def claim_key(memory_prefix: str) -> str:
    """Return the key by which the demo that serves a store says so."""
    return f"agentmem:demo:running:{memory_prefix}"


@asynccontextmanager
async def claimed(memory: AgentMemory, address: str, waiting: Callable[[], None]) -> AsyncIterator[None]:
    """Claim a store for this demo alone, until the end of the context.

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
    extending = asyncio.create_task(_extend(transport, key, claim))
    try:
        yield
    finally:
        extending.cancel()
        try:
            await asyncio.wait([extending])
        finally:
            with suppress(AgentMemoryError):  # it expires by itself
                await transport.arun(call(_RELEASE.call([key], claim)))


async def look(memory: AgentMemory, address: str, waiting: Callable[[], None]) -> None:
    """Check, before anything that takes long, that no other demo serves a store; raises as `claimed`."""
    async with AgentMemory(settings=memory.settings) as own, claimed(own, address, waiting):
        pass


async def _take(transport: Transport, key: str, claim: str, waiting: Callable[[], None]) -> None:
    """Take the claim, once that of a demo which was killed has expired."""
    seen, left = b"", 0
    while (await transport.arun(call(writes("SET", key, claim, "NX", "EX", _TTL_SECONDS)))) is None:
        holder, ttl = await transport.arun(_looked(key))
        if holder is None:
            continue
        if seen and (holder != seen or ttl > left):  # it is extended, so somebody serves the store
            where = text(holder).partition(" ")[2]
            raise StoreInUseError(
                f"Another demo serves this store, at {where}: open that page, end that demo, or give this "
                "one a store of its own: --redis embedded:///path/to/folder."
            )
        if not seen:
            waiting()
        seen, left = holder, ttl
        await asyncio.sleep(_LOOK_SECONDS)


def _looked(key: str) -> Op[tuple[bytes | None, int]]:
    holder, ttl = yield [reads("GET", key), reads("PTTL", key)]
    return ok(holder), int(ok(ttl))


async def _extend(transport: Transport, key: str, claim: str) -> None:
    """Extend the claim as long as this runs; take it again if it was lost, as after a flush."""
    while True:
        await asyncio.sleep(_EXTEND_SECONDS)
        with suppress(AgentMemoryError):  # a store that is away for a while
            await transport.arun(call(_EXTEND.call([key], claim, _TTL_SECONDS)))
