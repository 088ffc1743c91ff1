"""`memory.history` where LangChain takes a chat history: message histories, classic memories, trimmed windows."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from langchain_classic.memory import ConversationBufferMemory, ConversationBufferWindowMemory
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, SystemMessage, trim_messages
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import ConfigurableFieldSpec, RunnableLambda, RunnablePassthrough
from langchain_core.runnables.history import RunnableWithMessageHistory

from integration_tests.chain.conftest import Run, contents
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory
from langchain_agentmem.errors import WrongOwnerError

pytestmark = [
    pytest.mark.filterwarnings("ignore:RunnableWithMessageHistory is deprecated"),
    pytest.mark.filterwarnings("ignore:The class `Conversation"),
    pytest.mark.filterwarnings("ignore:Please see the migration guide"),
]
PROMPT = ChatPromptTemplate.from_messages([MessagesPlaceholder("chat_history"), ("human", "{input}")])


@pytest.fixture(params=["hash", "list"])
async def memory(url: str, request: pytest.FixtureRequest) -> AsyncIterator[AgentMemory]:
    async with AgentMemory(url, embeddings=WordEmbeddings(), session_storage=request.param) as memory:
        yield memory


def count_messages(value: Any) -> AIMessage:
    return AIMessage(f"{len(value.to_messages())} messages")


def with_history(memory: AgentMemory, answer: Any = count_messages, **options: Any) -> Any:
    return RunnableWithMessageHistory(
        PROMPT | RunnableLambda(answer),
        **{"get_session_history": memory.history, **options},
        input_messages_key="input",
        history_messages_key="chat_history",
    )


def session(session_id: str = "t1", **more: str) -> Any:
    return {"configurable": {"session_id": session_id, **more}}


async def test_a_runnable_with_message_history_remembers(memory: AgentMemory, run: Run) -> None:
    chain = with_history(memory)
    for number in (1, 3, 5):
        assert (await run(chain, {"input": "hi"}, session())).content == f"{number} messages"
    assert (await run(chain, {"input": "hi"}, session("t2"))).content == "1 messages"
    assert contents(memory) == ["hi", "1 messages", "hi", "3 messages", "hi", "5 messages"]


async def test_it_can_name_a_user_whose_session_others_do_not_get(url: str, run: Run) -> None:
    async with AgentMemory(url) as memory:
        chain = with_history(
            memory,
            get_session_history=lambda session_id, user_id: memory.history(session_id, user=user_id),
            history_factory_config=[
                ConfigurableFieldSpec(id="session_id", annotation=str),
                ConfigurableFieldSpec(id="user_id", annotation=str),
            ],
        )
        await run(chain, {"input": "hi"}, session(user_id="alice"))
        with pytest.raises(WrongOwnerError):
            await run(chain, {"input": "hi"}, session(user_id="bob"))
        assert contents(memory) == ["hi", "1 messages"]


async def test_a_trimmed_history_is_a_part_of_a_chain(memory: AgentMemory, run: Run) -> None:
    trim = trim_messages(max_tokens=2, token_counter=len, strategy="last", start_on="human")
    chain = RunnableWithMessageHistory(
        RunnablePassthrough.assign(chat_history=lambda value: trim.invoke(value["chat_history"]))
        | PROMPT
        | RunnableLambda(count_messages),
        memory.history,
        input_messages_key="input",
        history_messages_key="chat_history",
    )
    told = [(await run(chain, {"input": "hi"}, session())).content for _ in range(4)]
    assert told == ["1 messages", "3 messages", "3 messages", "3 messages"]
    assert len(contents(memory)) == 8


async def test_what_trimming_leaves_can_replace_the_history(memory: AgentMemory, run: Run) -> None:
    chain = with_history(memory)
    for _ in range(3):
        await run(chain, {"input": "hi"}, session())
    seen = memory.working.messages("t1")
    kept = trim_messages(seen, max_tokens=2, token_counter=len, strategy="last")
    await memory.working.areplace_messages("t1", [SystemMessage("They greet."), *kept], seen=seen)
    assert (await run(chain, {"input": "hi"}, session())).content == "4 messages"
    assert contents(memory) == ["They greet.", "hi", "5 messages", "hi", "4 messages"]


async def test_a_trimming_before_the_prompt_may_be_wrapped(memory: AgentMemory, run: Run) -> None:
    trim = trim_messages(max_tokens=2, token_counter=len, strategy="last", start_on="human")
    prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("chat_history"), ("human", "{input}")])
    shorten = RunnablePassthrough.assign(chat_history=lambda value: trim.invoke(value["chat_history"]))
    chain = memory.wrap(shorten | prompt | RunnableLambda(count_messages), memories_key=None, remember=None)
    told = [(await run(chain, {"input": "hi"}, session())).content for _ in range(3)]
    assert told == ["1 messages", "3 messages", "3 messages"]


async def test_a_remove_message_that_a_chain_adds_removes(memory: AgentMemory) -> None:
    history = memory.history("t1")
    history.add_messages([HumanMessage("hi", id="1"), AIMessage("yo", id="2")])
    await history.aadd_messages([RemoveMessage(id="1")])
    assert contents(memory) == ["yo"]
    state = memory.working.load("t1")
    assert state is not None
    assert state.turn_count == (2 if memory.settings.session_storage == "hash" else 1)


def classic(kind: Any, memory: AgentMemory, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and what older chains are made of
        return kind(chat_memory=memory.history("t1"), return_messages=True, **options)


async def test_a_classic_buffer_memory_keeps_its_conversation_there(memory: AgentMemory) -> None:
    buffer = classic(ConversationBufferMemory, memory)
    buffer.save_context({"input": "hi"}, {"output": "yo"})
    await buffer.asave_context({"input": "and?"}, {"output": "well"})
    said = [HumanMessage("hi"), AIMessage("yo"), HumanMessage("and?"), AIMessage("well")]
    assert buffer.load_memory_variables({}) == {"history": said}
    assert await classic(ConversationBufferMemory, memory).aload_memory_variables({}) == {"history": said}
    assert classic(ConversationBufferWindowMemory, memory, k=1).load_memory_variables({}) == {
        "history": said[2:]
    }
    await buffer.aclear()
    assert contents(memory) == []


async def test_a_classic_chain_answers_with_it(memory: AgentMemory) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from langchain_classic.chains import ConversationChain

        prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("history"), ("human", "{input}")])
        make = partial(ConversationChain, llm=FakeListChatModel(responses=["one", "two"]), prompt=prompt)
        chain = make(memory=classic(ConversationBufferMemory, memory))
        assert chain.invoke({"input": "a"})["response"] == "one"
        assert (await chain.ainvoke({"input": "b"}))["response"] == "two"
    assert contents(memory) == ["a", "one", "b", "two"]
