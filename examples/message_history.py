"""Use only the history, in a chain that is built with `RunnableWithMessageHistory`.

LangChain has deprecated that class. For new chains, use `memory.wrap`, which does the same and more.

Prints:
    Hello, 1 message so far.
    Hello, 3 messages so far.
    ['human', 'ai', 'human', 'ai']
    expires within 60 s: True
"""

from __future__ import annotations

import warnings

from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.runnables.history import RunnableWithMessageHistory

from langchain_agentmem import AgentMemory, EmbeddedRedis

warnings.filterwarnings("ignore", message="RunnableWithMessageHistory is deprecated")

prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("chat_history"), ("human", "{input}")])


@RunnableLambda
def model(value):
    """Stand in for a chat model."""
    count = len(value.to_messages())
    return f"Hello, {count} message{'s' * (count > 1)} so far."


# Histories need no Search module and no embeddings.
with EmbeddedRedis(search=False) as server, AgentMemory(server.url, session_ttl_seconds=60) as memory:
    chain = RunnableWithMessageHistory(
        prompt | model,
        memory.history,  # takes a session id, and returns its history
        input_messages_key="input",
        history_messages_key="chat_history",
    )
    config: RunnableConfig = {"configurable": {"session_id": "t1"}}
    print(chain.invoke({"input": "Hi!"}, config))
    print(chain.invoke({"input": "Hi again!"}, config))
    print([message.type for message in memory.history("t1").messages])
    state = memory.working.load("t1")
    print("expires within 60 s:", state is not None and (state.ttl_seconds or 61) <= 60)
