"""Record the events of a chain that calls a tool: what ran, in order, without secrets.

Prints:
    chain_start  assistant
    tool_start   weather    {"city":"Porto","api_key":"[redacted]"}
    tool_end     weather    sunny in Porto
    chain_end    assistant  It is sunny in Porto.
    note                    shown to the user
    5 events, 0 dropped
"""

from __future__ import annotations

from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool

from langchain_agentmem import AgentMemory, EmbeddedRedis


@tool
def weather(city: str, api_key: str) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"


def answer(question: str) -> str:
    """Stand in for an agent that decides to call a tool."""
    return f"It is {weather.invoke({'city': 'Porto', 'api_key': 'sk-1234567890'})}."


chain = RunnableLambda(answer).with_config(run_name="assistant")

# The event log needs no Search module and no embeddings.
with EmbeddedRedis(search=False) as server, AgentMemory(server.url) as memory:
    chain.invoke("How is the weather?", {"callbacks": [memory.callback("t1", user="alice")]})
    memory.events.record("t1", "note", "shown to the user", user="alice")
    for event in reversed(memory.events.recent("t1")):
        detail = event.detail if event.action != "chain_start" else ""
        print(f"{event.action:<12} {event.name:<10} {detail}".rstrip())
    print(f"{memory.events.length('t1')} events, {memory.events.dropped} dropped")
