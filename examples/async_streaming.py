"""Stream a chain asynchronously: chunks come as they are made, and the exchange is stored at the end.

Prints:
    I | have | heard | you.
    ['Hello!', 'I have heard you.']
    kept from a stream that was left: [('Hello?', True)]
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from langchain_core.runnables import RunnableConfig, RunnableGenerator
from tiny_embeddings import TinyEmbeddings

from langchain_agentmem import AgentMemory, EmbeddedRedis


async def words(inputs: AsyncIterator[dict[str, object]]) -> AsyncIterator[str]:
    """Stand in for a chat model that streams."""
    async for _ in inputs:
        for word in ("I", " have", " heard", " you."):
            await asyncio.sleep(0.01)
            yield word


def config(thread: str) -> RunnableConfig:
    """Return the ids of a call: the conversation, and the user."""
    return {"configurable": {"session_id": thread, "user_id": "alice"}}


async def main(url: str) -> None:
    """Run two exchanges."""
    async with AgentMemory(url, embeddings=TinyEmbeddings()) as memory:
        chain = memory.wrap(RunnableGenerator(words))

        print(" |".join([chunk async for chunk in chain.astream({"input": "Hello!"}, config("t1"))]))
        print([message.content for message in await memory.working.amessages("t1")])

        stream = chain.astream({"input": "Hello?"}, config("t2"))
        await anext(stream)
        await stream.aclose()  # nobody read the answer, so what the user said is kept without one
        state = await memory.working.aload("t2")
        kept = [(turn.content, turn.unanswered) for turn in state.recent_turns]
        print("kept from a stream that was left:", kept)


with EmbeddedRedis() as server:
    asyncio.run(main(server.url))
