"""A chain with memory: history, recalled facts and an event log, from one call of `wrap`.

Uses the default embeddings, all-MiniLM-L6-v2 on this machine. No key, no server.

Prints:
    What you know about the user:
    - I am allergic to peanuts.
    Human: Which foods am I allergic to?
    recall 0.3… I am allergic to peanuts.
    answered in …
"""

from __future__ import annotations

from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import RunnableConfig, RunnableLambda

from langchain_agentmem import AgentMemory, EmbeddedRedis

prompt = ChatPromptTemplate.from_messages(
    [
        ("system", "What you know about the user:\n{memories}"),
        MessagesPlaceholder("chat_history"),
        ("human", "{input}"),
    ]
)
# Stands for a chat model: it answers with what it was told. Put a real one in its place, for example
# `init_chat_model("openai:gpt-5-mini")` from `langchain.chat_models`.
model = RunnableLambda(lambda told: told.to_string().removeprefix("System: "))


def config(thread: str) -> RunnableConfig:
    """Says whose memory it is, and which conversation."""
    return {"configurable": {"session_id": thread, "user_id": "alice"}}


# An ephemeral server, so that every run of this example begins anew. `AgentMemory()` alone keeps what
# it is told, in a private Redis of yours.
with EmbeddedRedis() as server, AgentMemory(server.url) as memory:
    chain = memory.wrap(prompt | model, on_exchange=lambda turn: turns.append(turn))
    turns = []
    chain.invoke({"input": "I am allergic to peanuts."}, config("monday"))
    print(chain.invoke({"input": "Which foods am I allergic to?"}, config("tuesday")))
    for event in memory.events.recent("tuesday", count=100):
        if event.action == "recall":
            print(event.action, event.detail)
    print(f"answered in {turns[-1].chain_seconds:.4f} s")
