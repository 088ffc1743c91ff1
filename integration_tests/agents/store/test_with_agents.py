"""The store where LangGraph's users have one: in an agent's tools, in graphs, and under langmem's tools."""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.tools import ToolRuntime, tool
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.func import entrypoint
from langgraph.store.base import BaseStore
from langgraph.store.base.batch import AsyncBatchedBaseStore

from integration_tests.conftest import Both
from langchain_agentmem import AgentMemory, MemoryStore

if sys.version_info < (3, 11):
    pytest.skip("langmem imports typing.NotRequired", allow_module_level=True)
with warnings.catch_warnings():  # it imports from where LangGraph no longer wants it
    warnings.simplefilter("ignore")
    from langmem import create_manage_memory_tool, create_search_memory_tool


class Scripted(FakeMessagesListChatModel):
    """Answers from a list; it takes any tools."""

    def bind_tools(self, tools: Sequence[Any], **options: Any) -> Any:
        return self


def calling(name: str, **args: Any) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": args, "id": f"c-{name}"}])


@tool
def save(fact: str, runtime: ToolRuntime) -> str:
    """Save a fact."""
    assert isinstance(runtime.store, MemoryStore)
    user = runtime.config["configurable"]["user_id"]
    runtime.store.put(("users", user), "fact", {"text": fact})
    return "saved"


@tool
async def look_up(query: str, runtime: ToolRuntime) -> str:
    """Look a fact up."""
    assert isinstance(runtime.store, MemoryStore)
    user = runtime.config["configurable"]["user_id"]
    found = await runtime.store.asearch(("users", user), query=query)
    return ", ".join(one.value["text"] for one in found)


@tool
def look_up_now(query: str, runtime: ToolRuntime) -> str:
    """Look a fact up, without waiting for anything else."""
    assert runtime.store is not None
    user = runtime.config["configurable"]["user_id"]
    return ", ".join(one.value["text"] for one in runtime.store.search(("users", user), query=query))


async def test_the_tools_of_an_agent_share_it(memory: AgentMemory) -> None:
    store = memory.store(user_of=lambda namespace: namespace[1])

    async def said_by_tools(user: str, *answers: AIMessage, in_sync: bool = False) -> list[str]:
        agent = create_agent(
            Scripted(responses=[*answers, AIMessage("done")]), [save, look_up, look_up_now], store=store
        )
        request: Any = {"messages": [HumanMessage("go")]}
        config: Any = {"configurable": {"user_id": user}}
        result = agent.invoke(request, config) if in_sync else await agent.ainvoke(request, config)
        return [str(one.content) for one in result["messages"] if isinstance(one, ToolMessage)]

    for user in ("alice", "bob"):
        assert await said_by_tools(user, calling("save", fact=f"{user} likes tea")) == ["saved"]
    assert await said_by_tools("alice", calling("look_up", query="tea")) == ["alice likes tea"]
    assert await said_by_tools("bob", calling("look_up_now", query="tea")) == ["bob likes tea"]
    assert await said_by_tools("bob", calling("look_up_now", query="tea"), in_sync=True) == ["bob likes tea"]
    assert memory.forget_user("alice").items == 1
    assert await said_by_tools("alice", calling("look_up", query="tea")) == [""]


async def test_langmems_tools_create_find_update_and_delete(memory: AgentMemory, both: Both) -> None:
    store = memory.store(index={"fields": ["content"]})
    namespace = ("memories", "{langgraph_user_id}")
    manage = create_manage_memory_tool(namespace, store=store)
    search = create_search_memory_tool(namespace, store=store)
    alice: Any = {"configurable": {"langgraph_user_id": "alice"}}
    bob: Any = {"configurable": {"langgraph_user_id": "bob"}}
    said = await both(manage).ainvoke({"content": "likes tea", "action": "create"}, alice)
    (item,) = store.search(("memories", "alice"))
    assert item.key in said
    assert "likes tea" in await both(search).ainvoke({"query": "tea"}, alice)
    assert await both(search).ainvoke({"query": "tea"}, bob) == "[]"
    await both(manage).ainvoke({"content": "likes milk", "action": "update", "id": item.key}, alice)
    (changed,) = store.search(("memories", "alice"), query="milk")
    assert (changed.key, changed.value["content"]) == (item.key, "likes milk")
    assert changed.created_at == item.created_at
    await both(manage).ainvoke({"action": "delete", "id": item.key}, alice)
    assert store.search(("memories",)) == []


async def test_a_graph_gets_it(memory: AgentMemory) -> None:
    store = memory.store(index=False)

    @entrypoint(store=store)
    async def workflow(number: int, *, store: BaseStore) -> int:
        await store.aput(("numbers",), str(number), {"n": number})
        return len(await store.asearch(("numbers",)))

    assert [await workflow.ainvoke(number) for number in range(3)] == [1, 2, 3]


async def test_langgraphs_own_batching_can_stand_before_it(memory: AgentMemory) -> None:
    store = memory.store(index=False)

    class Batched(AsyncBatchedBaseStore):
        def batch(self, ops: Any) -> Any:
            return store.batch(ops)

        async def abatch(self, ops: Any) -> Any:
            return await store.abatch(ops)

    batched = Batched()
    await asyncio.gather(*(batched.aput(("a",), str(n), {"n": n}) for n in range(100)))
    assert len(await batched.asearch(("a",), limit=200)) == 100


def test_one_store_serves_many_event_loops_and_threads(memory: AgentMemory) -> None:
    store = memory.store()

    async def one(user: str) -> list[Any]:
        await store.aput(("users", user), "k", {"of": user})
        return [each.value for each in await store.asearch(("users", user), query=user)]

    for user in ("alice", "bob", "carol"):
        assert asyncio.run(one(user)) == [{"of": user}]
    assert len(store.search(("users",))) == 3


@pytest.mark.parametrize("name", ["get", "put", "search", "delete", "list_namespaces"])
def test_it_is_a_store_of_langgraph(memory: AgentMemory, name: str) -> None:
    store = memory.store()
    assert isinstance(store, BaseStore)
    assert getattr(MemoryStore, name) is getattr(BaseStore, name)
    assert store.supports_ttl
