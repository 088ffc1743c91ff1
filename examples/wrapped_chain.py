"""Give a chain a memory: history, recalled facts and an event log, with one call of `wrap`.

This uses the default embeddings, all-MiniLM-L6-v2 on this machine. It needs no key and no server.

Prints:
    What you know about the user:
    - 20…: I am allergic to peanuts.
    Human: Which foods am I allergic to?
    recall 0.3… I am allergic to peanuts.
    answered in …
"""

from __future__ import annotations

from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import RunnableConfig, RunnableLambda

from langchain_agentmem import AgentMemory, EmbeddedRedis, ExchangeReport

prompt = ChatPromptTemplate.from_messages(
    [
        ("system", "What you know about the user:\n{memories}"),
        MessagesPlaceholder("chat_history"),
        ("human", "{input}"),
    ]
)
# Stands in for a chat model: it repeats its prompt. Replace it with a real one, for example
# `init_chat_model("openai:gpt-5-mini")` from `langchain.chat_models`.
model = RunnableLambda(lambda value: value.to_string().removeprefix("System: "))


def config(thread: str) -> RunnableConfig:
    """Return the ids of a call: the conversation, and the user."""
    return {"configurable": {"session_id": thread, "user_id": "alice"}}


# An ephemeral server, so that every run of this example starts empty. `AgentMemory()` alone keeps its data,
# in your private Redis.
with EmbeddedRedis() as server, AgentMemory(server.url) as memory:
    reports: list[ExchangeReport] = []
    chain = memory.wrap(prompt | model, on_exchange=reports.append)
    chain.invoke({"input": "I am allergic to peanuts."}, config("monday"))
    print(chain.invoke({"input": "Which foods am I allergic to?"}, config("tuesday")))
    for event in memory.events.recent("tuesday", count=100):
        if event.action == "recall":
            print(event.action, event.detail)
    print(f"answered in {reports[-1].chain_seconds:.4f} s")
