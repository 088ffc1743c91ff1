"""Let a model tell what to remember of a conversation, and what of the memories is out of date.

Without arguments, a script answers in place of a chat model, so the example needs no key. For a real one:
`python examples/extraction.py --model openai:gpt-5-mini`, with the key that the provider wants.

Prints:
    alice: Hi! I'm Alice, and I have just moved to Oslo.
    + My name is Alice.
    + I live in Oslo.
    alice: What is the tallest tree?
    alice: Oslo was too cold for me. Since last week I live in Porto!
    + I have lived in Porto since November 2026. (in place of: I live in Oslo.)
    What is known now:
    I have lived in Porto since November 2026.
    My name is Alice.
"""

from __future__ import annotations

import argparse
import json

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableConfig
from scripted_chat_model import ScriptedChatModel
from tiny_embeddings import TinyEmbeddings

from langchain_agentmem import AgentMemory, EmbeddedRedis, ExchangeReport, model_extractor

CONVERSATION = [
    ("Hi! I'm Alice, and I have just moved to Oslo.", "Welcome, Alice!"),
    ("What is the tallest tree?", "A coast redwood called Hyperion."),
    ("Oslo was too cold for me. Since last week I live in Porto!", "Enjoy the sun!"),
]


def fact(text: str, replaces: str | None = None) -> dict[str, str | None]:
    """Return a fact as a model answers it."""
    return {"text": text, "kind": "profile", "replaces": replaces}


SCRIPT = [
    [fact("My name is Alice."), fact("I live in Oslo.")],
    [],
    [fact("I have lived in Porto since November 2026.", replaces="m1")],
]


def chat_model() -> BaseChatModel:
    """Return the model that the command line names, or the script."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", help="a chat model, such as openai:gpt-5-mini; else a script answers")
    name = parser.parse_args().model
    if name is None:
        return ScriptedChatModel(*(json.dumps({"facts": facts}) for facts in SCRIPT))
    from langchain.chat_models import init_chat_model

    model: BaseChatModel = init_chat_model(name, timeout=30)
    return model


def main() -> None:
    """Hold a conversation with a chain whose memory a model keeps."""
    extract, answers = model_extractor(chat_model()), iter(CONVERSATION)
    with EmbeddedRedis() as server, AgentMemory(server.url, embeddings=TinyEmbeddings()) as memory:

        def show(report: ExchangeReport) -> None:
            for result in report.changes:
                record = memory.long_term.get(result.id)
                old = None if result.replaced is None else memory.long_term.get(result.replaced)
                replaced = "" if old is None else f" (in place of: {old.text})"
                print(f"+ {record.text if record else result.id}{replaced}")

        chain = memory.wrap(lambda _: next(answers)[1], remember=extract, on_exchange=show)
        config = RunnableConfig(configurable={"session_id": "t1", "user_id": "alice"})
        for said, _ in CONVERSATION:
            print(f"alice: {said}")
            chain.invoke({"input": said}, config)
        print("What is known now:")
        for record in memory.long_term.list_memories(user="alice"):
            print(record.text)


if __name__ == "__main__":
    main()
