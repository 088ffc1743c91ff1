"""Keep the gist of what leaves a conversation's window: a chain with a small one, and a model that sums up.

Without arguments, a script answers in place of a chat model, so the example needs no key. For a real one:
`python examples/summary.py --model openai:gpt-5-mini`, with the key that the provider wants.

Prints:
    I am Alice, and I am planning a trip to Porto.
    Noted.
    I go by train, on May 4.
    Noted.
    Who am I, and where am I going?
    You are Alice, and are going to Porto.
    the window: 2 messages of 6
    the summary: Alice plans a trip to Porto. She goes by train on May 4.
"""

from __future__ import annotations

import argparse
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder

from langchain_agentmem import AgentMemory, EmbeddedRedis, model_summariser


class Script(BaseChatModel):
    """Stands in for a chat model: sums up and answers by a few rules, from what it is told."""

    @property
    def _llm_type(self) -> str:
        return "script"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        told, asked = "\n".join(message.text for message in messages), messages[-1].text
        if "The new summary:" in asked:
            answer = "Alice plans a trip to Porto."
            answer += " She goes by train on May 4." if "May 4" in asked else ""
        elif asked.endswith("?"):
            known = "Alice plans a trip to Porto." in told
            answer = "You are Alice, and are going to Porto." if known else "I do not know."
        else:
            answer = "Noted."
        return ChatResult(generations=[ChatGeneration(message=AIMessage(answer))])


def chat_model() -> BaseChatModel:
    """Return the model that the command line names, or the script."""
    parser = argparse.ArgumentParser(description="A chain with a summary.")
    parser.add_argument("--model", help="a chat model, such as openai:gpt-5-mini; else a script answers")
    name = parser.parse_args().model
    if name is None:
        return Script()
    from langchain.chat_models import init_chat_model

    model: BaseChatModel = init_chat_model(name)
    return model


model = chat_model()
prompt = ChatPromptTemplate.from_messages(
    [("system", "You are a travel agent."), MessagesPlaceholder("chat_history"), ("human", "{input}")]
)
# An ephemeral server, so that every run of this example starts empty.
with (
    EmbeddedRedis(search=False) as server,
    AgentMemory(server.url, max_turns=2, summarise=model_summariser(model)) as memory,
):
    # Only the conversation: nothing is recalled or remembered beyond it.
    chain = memory.wrap(prompt | model, memories_key=None, remember=None)
    for text in (
        "I am Alice, and I am planning a trip to Porto.",
        "I go by train, on May 4.",
        "Who am I, and where am I going?",
    ):
        print(text)
        answer = chain.invoke({"input": text}, config={"configurable": {"session_id": "t1"}})
        print(answer.text)

    session = memory.working.load("t1")
    assert session is not None
    print(f"the window: {len(session.recent_turns)} messages of {session.turn_count}")
    print("the summary:", session.summary)
