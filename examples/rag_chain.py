"""Use a user's memories as a retriever: in a RAG chain, and as a tool that a model can call.

Prints:
    Known: Alice is allergic to peanuts. | Asked: allergic to?
    recall_memories ['query']
    Alice lives in Porto.
    []
"""

from __future__ import annotations

from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_core.tools import create_retriever_tool
from tiny_embeddings import TinyEmbeddings

from langchain_agentmem import AgentMemory, EmbeddedRedis

prompt = ChatPromptTemplate.from_template("Known: {memories} | Asked: {question}")
model = RunnableLambda(lambda value: value.to_messages()[0].content)  # stands in for a chat model


def joined(documents):
    """Join documents to one text."""
    return " ".join(document.page_content for document in documents)


with EmbeddedRedis() as server, AgentMemory(server.url, embeddings=TinyEmbeddings()) as memory:
    memory.long_term.remember("Alice is allergic to peanuts.", user="alice", kind="semantic")
    memory.long_term.remember("Alice lives in Porto.", user="alice", kind="semantic")

    retriever = memory.retriever(user="alice", k=1, distance_threshold=0.8)
    chain = {"memories": retriever | joined, "question": RunnablePassthrough()} | prompt | model
    print(chain.invoke("allergic to?"))

    tool = create_retriever_tool(retriever, "recall_memories", "What is known about the user.")
    print(tool.name, list(tool.args))
    print(tool.invoke({"query": "lives where?"}))

    # The user is fixed when the retriever is made: no question finds another user's memories.
    print(memory.retriever(user="bob", distance_threshold=None).invoke("Where does Alice live?"))
