"""Answer at once, and let a worker extract what to remember, and sum up, in the background.

Without arguments, scripts answer in place of a chat model, so the example needs no key. For a real one:
`python examples/worker.py --model openai:gpt-5-mini`, with the key that the provider wants.

Prints:
    alice: Hi! I'm Alice, and I have just moved to Porto.
    alice: I have two cats, Mia and Leo.
    alice: What is the tallest tree?
    known when the chain has answered: 0
    extracted from 3 exchanges, folded 4 messages
    I have two cats, Mia and Leo.
    I live in Porto.
    My name is Alice.
    summary: Alice has moved to Porto. She has two cats.
"""

from __future__ import annotations

import argparse
import json

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableLambda
from scripted_chat_model import ScriptedChatModel
from tiny_embeddings import TinyEmbeddings

from langchain_agentmem import AgentMemory, EmbeddedRedis, MemoryWorker, model_extractor, model_summariser

SAID = (
    "Hi! I'm Alice, and I have just moved to Porto.",
    "I have two cats, Mia and Leo.",
    "What is the tallest tree?",
)
FACTS = [
    {"text": "My name is Alice.", "kind": "profile", "replaces": None},
    {"text": "I live in Porto.", "kind": "profile", "replaces": None},
    {"text": "I have two cats, Mia and Leo.", "kind": "semantic", "replaces": None},
]


def chat_models() -> tuple[BaseChatModel, BaseChatModel]:
    """Return who extracts and who sums up: the model that the command line names, or scripts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", help="a chat model, such as openai:gpt-5-mini; else scripts answer")
    name = parser.parse_args().model
    if name is None:
        summary = "Alice has moved to Porto. She has two cats."
        return ScriptedChatModel(json.dumps({"facts": FACTS})), ScriptedChatModel(summary)
    from langchain.chat_models import init_chat_model

    model: BaseChatModel = init_chat_model(name, timeout=30)
    return model, model


def main() -> None:
    """Talk, then let a worker do what is left."""
    extracting, summing_up = chat_models()
    with (
        EmbeddedRedis() as server,
        AgentMemory(
            server.url,
            embeddings=TinyEmbeddings(),
            max_turns=2,
            summarise=model_summariser(summing_up),
            summarise_when="background",
        ) as memory,
    ):
        chain = memory.wrap(RunnableLambda(lambda inputs: "I see."), remember_when="background")
        for words in SAID:
            print("alice:", words)
            chain.invoke({"input": words}, {"configurable": {"session_id": "t1", "user_id": "alice"}})
        print("known when the chain has answered:", memory.long_term.count_memories(user="alice"))

        # In another process, without once=True: until it is stopped. Or: agentmem worker --model …
        worker = MemoryWorker(memory, extractor=model_extractor(extracting))
        metrics = worker.run(once=True)
        print(f"extracted from {metrics.exchanges} exchanges, folded {metrics.folded_messages} messages")
        for record in sorted(memory.long_term.list_memories(user="alice"), key=lambda one: one.text):
            print(record.text)
        session = memory.working.load("t1")
        assert session is not None
        print("summary:", session.summary)


if __name__ == "__main__":
    main()
