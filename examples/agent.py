"""Give an agent of `create_agent` a memory: the conversation, what is known about the user, a log, and tools.

Without arguments, a script answers in place of a chat model, so the example needs no key. For a real one:
`python examples/agent.py --model openai:gpt-5-mini`, with the key that the provider wants.

Prints:
    alice, monday: I am allergic to peanuts.
    Noted.
    alice, monday: Please help me to plan a dinner.
    I have set that as our goal.
    alice, tuesday: Which foods am I allergic to?
    You told me that you are allergic to peanuts.
    bob, tuesday: Which foods am I allergic to?
    I do not know.
    the goal of monday: plan a dinner
    alice's turns on monday: 6 messages, … tokens in 3 calls of the model
"""

from __future__ import annotations

import argparse
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from langchain_agentmem import AgentMemory, EmbeddedRedis


class Script(BaseChatModel):
    """Stands in for a chat model: answers by a few rules, from what it is told in its system message."""

    @property
    def _llm_type(self) -> str:
        return "script"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        """Take any tools; the script knows which it calls."""
        return self

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        told, asked = messages[0].text, messages[-1].text
        answer = AIMessage("Noted.")
        if messages[-1].type == "tool":
            answer = AIMessage("I have set that as our goal.")
        elif "plan a dinner" in asked:
            call = {"name": "set_goal", "args": {"goal": "plan a dinner"}, "id": "call-1"}
            answer = AIMessage("", tool_calls=[call])
        elif asked.endswith("?"):
            known = "I am allergic to peanuts." in told
            answer = AIMessage("You told me that you are allergic to peanuts." if known else "I do not know.")
        words = sum(len(message.text.split()) for message in messages)
        answer.usage_metadata = {"input_tokens": words, "output_tokens": 5, "total_tokens": words + 5}
        return ChatResult(generations=[ChatGeneration(message=answer)])


def chat_model() -> BaseChatModel:
    """Return the model that the command line names, or the script."""
    parser = argparse.ArgumentParser(description="An agent with a memory.")
    parser.add_argument("--model", help="a chat model, such as openai:gpt-5-mini; else a script answers")
    name = parser.parse_args().model
    if name is None:
        return Script()
    from langchain.chat_models import init_chat_model

    model: BaseChatModel = init_chat_model(name)
    return model


# An ephemeral server, so that every run of this example starts empty. `AgentMemory()` alone keeps its data,
# in your private Redis.
with EmbeddedRedis() as server, AgentMemory(server.url) as memory:
    agent = create_agent(
        chat_model(),
        tools=memory.tools(),
        middleware=[memory.middleware()],
        system_prompt="You are a helpful assistant.",
    )
    for user, thread, text in (
        ("alice", "monday", "I am allergic to peanuts."),
        ("alice", "monday", "Please help me to plan a dinner."),
        ("alice", "tuesday", "Which foods am I allergic to?"),
        ("bob", "tuesday", "Which foods am I allergic to?"),
    ):
        print(f"{user}, {thread}: {text}")
        ids = {"thread_id": f"{user}-{thread}", "user_id": user}
        result = agent.invoke({"messages": text}, config={"configurable": ids})
        print(result["messages"][-1].text)

    session = memory.working.load("alice-monday")
    assert session is not None
    print("the goal of monday:", session.goal)
    usage = memory.usage("alice-monday")
    print(
        f"alice's turns on monday: {session.turn_count} messages, {usage.total_tokens} tokens "
        f"in {usage.model_calls} calls of the model"
    )
