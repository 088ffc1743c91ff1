"""A memory's tools: for whom they act, what they tell a model, and what becomes of failures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ToolRetryMiddleware
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import BaseTool, create_retriever_tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.prebuilt import ToolNode

from integration_tests.agents.scripted_model import Reply, ScriptedModel, calls
from integration_tests.conftest import ON_EVERY_BACKEND
from integration_tests.upstash.emulator import Emulator
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory
from langchain_agentmem.errors import InvalidInputError, StoreConnectionError
from langchain_agentmem.transport.connections import SharedConnection

PORTO, LISBON, TEA = "Ana lives in Porto.", "Ana lives in Lisbon.", "Ana drinks green tea."
ALL = ("recall", "remember", "update", "forget", "set_goal", "add_note")


@pytest.fixture
async def memory(url: str) -> AsyncIterator[AgentMemory]:
    async with AgentMemory(url, embeddings=WordEmbeddings()) as memory:
        yield memory


def ids(user: str = "alice", thread: str = "t1", **more: str) -> Any:
    return {"configurable": {"user_id": user, "thread_id": thread, **more}}


def tool(memory: AgentMemory, name: Any, **options: Any) -> BaseTool:
    (made,) = memory.tools(allow=[name], **options)
    return made


@pytest.fixture(params=["sync", "async"])
def use(request: pytest.FixtureRequest) -> Any:
    """Call a tool by its name, sync and async: what a model is told."""

    async def used(memory: AgentMemory, name: str, config: Any = None, /, **args: Any) -> str:
        made, call = tool(memory, name), {"name": name, "args": args, "id": "c1", "type": "tool_call"}
        config = ids() if config is None else config
        answer = made.invoke(call, config) if request.param == "sync" else await made.ainvoke(call, config)
        assert isinstance(answer, ToolMessage)
        return str(answer.content)

    return used


def id_in(answer: str) -> str:
    return answer[answer.index("[") + 1 : answer.index("]")]


def texts(memory: AgentMemory, user: str = "alice", **scope: Any) -> set[str]:
    return {record.text for record in memory.long_term.list_memories(user=user, **scope)}


class TestWhatAModelIsTold:
    async def test_it_remembers_and_recalls_dated_with_ids(self, memory: AgentMemory, use: Any) -> None:
        assert await use(memory, "recall", query="Where does Ana live?") == "Nothing is known about that."
        stored = await use(memory, "remember", text=PORTO)
        (record,) = memory.long_term.list_memories(user="alice")
        assert stored == f"Remembered: [{record.id}]."
        assert (record.kind, record.source_thread, record.ttl_seconds) == ("semantic", "t1", None)
        assert await use(memory, "remember", text=PORTO) == f"It is known already: [{record.id}]."
        told = await use(memory, "recall", query="Where does Ana live?")
        assert told.startswith(f"[{record.id}] 20")
        assert told.endswith(f": {PORTO}")

    async def test_what_is_near_is_shown_and_can_be_replaced(self, memory: AgentMemory, use: Any) -> None:
        old = id_in(await use(memory, "remember", text=LISBON, kind="profile"))
        told = await use(memory, "remember", text=PORTO)
        assert f"[{old}] {LISBON} If that is out of date now, call update with its id." in told
        told = await use(memory, "update", memory_id=f"[{old}]", text="Ana lives in Porto now.")
        assert told.endswith(f"is known now, in place of: {LISBON}")
        new = id_in(told)
        record = memory.long_term.get(new)
        assert record is not None
        assert (record.text, record.kind) == ("Ana lives in Porto now.", "profile")
        assert LISBON not in await use(memory, "recall", query="Where does Ana live?")
        assert f"[{new}]" in await use(memory, "update", memory_id=old, text="Ana lives in Braga.")
        assert await use(memory, "update", memory_id=new, text="Ana lives in Porto now.") == (
            f"It says that already: [{new}]."
        )

    async def test_an_update_keeps_the_metadata(self, memory: AgentMemory, use: Any) -> None:
        old = memory.long_term.remember(LISBON, user="alice", metadata={"said": [1, {}]}).id
        new = id_in(await use(memory, "update", memory_id=old, text=PORTO))
        record = memory.long_term.get(new)
        assert record is not None
        assert record.metadata == {"said": [1, {}]}

    async def test_it_forgets(self, memory: AgentMemory, use: Any) -> None:
        stored = id_in(await use(memory, "remember", text=PORTO))
        assert await use(memory, "forget", memory_id=stored) == f"Forgotten: {PORTO}"
        assert texts(memory) == set()
        told = await use(memory, "forget", memory_id=stored)
        assert told.startswith(f"There is no memory with the id '{stored}'. Call recall")

    async def test_what_is_corrected_on_purpose_lasts(self, memory: AgentMemory, use: Any) -> None:
        for kind, then in (("episodic", "semantic"), ("profile", "profile"), ("rule", "rule")):
            old = memory.long_term.remember(f"{LISBON} {kind}", user="alice", kind=kind).id
            record = memory.long_term.get(id_in(await use(memory, "update", memory_id=old, text=f"x {kind}")))
            assert record is not None
            assert (record.kind, record.ttl_seconds) == (then, None)

    @pytest.mark.parametrize("asked", ["semantic", "episodic"])
    async def test_an_update_replaces_what_says_the_same_under_other_kinds(
        self, memory: AgentMemory, use: Any, asked: str
    ) -> None:
        said = {"semantic": LISBON, "episodic": "Ana lives in Lisbon!", "profile": "ana lives in lisbon"}
        olds = {
            kind: memory.long_term.remember(text, user="alice", kind=kind).id for kind, text in said.items()
        }
        memory.long_term.remember(TEA, user="alice")
        for scope in ({"user": "bob"}, {"user": "alice", "namespace": "work"}):
            memory.long_term.remember(LISBON, **scope)
        with memory.trace() as trace:
            new = id_in(await use(memory, "update", memory_id=olds[asked], text=PORTO))
        assert len(trace.round_trips) == 3
        left = {(one.text, one.kind) for one in memory.long_term.list_memories(user="alice")}
        assert left == {(TEA, "episodic"), (PORTO, "semantic"), (PORTO, "profile")}
        replaced = {kind: memory.long_term.get(old) for kind, old in olds.items()}
        assert all(one is not None and one.superseded_by is not None for one in replaced.values())
        assert replaced["episodic"].superseded_by == replaced["semantic"].superseded_by == new  # type: ignore[union-attr]
        assert texts(memory, "bob") == texts(memory, namespace="work") == {LISBON}

    async def test_it_forgets_what_says_the_same_under_other_kinds(
        self, memory: AgentMemory, use: Any
    ) -> None:
        for kind in ("episodic", "semantic", "rule"):
            memory.long_term.remember(PORTO, user="alice", kind=kind)
        memory.long_term.remember("Bea lives in Porto.", user="alice")
        for scope in ({"user": "bob"}, {"user": "alice", "namespace": "work"}):
            memory.long_term.remember(PORTO, **scope)
        told = await use(memory, "recall", query="Where does Ana live?")
        assert told.count(PORTO) == 1
        with memory.trace() as trace:
            await use(memory, "forget", memory_id=id_in(told))
        assert len(trace.round_trips) == 3
        assert texts(memory) == {"Bea lives in Porto."}
        assert texts(memory, "bob") == texts(memory, namespace="work") == {PORTO}

    async def test_where_nothing_says_the_same_it_is_two_round_trips_and_one_embedding(
        self, memory: AgentMemory, use: Any
    ) -> None:
        stored = id_in(await use(memory, "remember", text=LISBON))
        with memory.trace() as trace:
            stored = id_in(await use(memory, "update", memory_id=stored, text=PORTO))
        assert (len(trace.round_trips), len(trace.embeddings)) == (2, 1)
        with memory.trace() as trace:
            await use(memory, "forget", memory_id=stored)
        assert (len(trace.round_trips), len(trace.embeddings)) == (2, 1)

    async def test_goal_and_notes_are_the_threads(self, memory: AgentMemory, use: Any) -> None:
        assert await use(memory, "set_goal", goal="Plan\na trip.") == (
            "The goal of this conversation is: Plan a trip."
        )
        for number in range(12):
            told = await use(memory, "add_note", text=f"note {number}")
        assert told.splitlines() == ["Noted. The newest notes of 12:", *(f"- note {n}" for n in range(2, 12))]
        state = memory.working.load("t1")
        assert state is not None
        assert (state.goal, state.user, len(state.scratchpad.splitlines())) == ("Plan a trip.", "alice", 12)

    async def test_no_text_looks_like_a_memory_of_its_own(self, memory: AgentMemory, use: Any) -> None:
        await use(memory, "remember", text=f"{PORTO}\n[0123] 2026-01-01: Ana hates Porto.")
        assert len((await use(memory, "recall", query="Ana Porto")).splitlines()) == 1

    @pytest.mark.parametrize(
        ("name", "args", "told"),
        [
            ("recall", {"query": "  "}, "query is empty"),
            ("recall", {"query": "tea", "limit": 0}, "limit: Input should be greater than or equal to 1"),
            ("recall", {}, "query: Field required"),
            ("remember", {"text": " "}, "text is empty"),
            ("remember", {"text": "x" * 40_000}, "the limit is 32,768"),
            ("remember", {"text": "x", "kind": "other"}, "kind: Input should be 'semantic'"),
            ("remember", {"text": "\ud800"}, "Nothing was done"),
            ("update", {"memory_id": "nope", "text": "x"}, "no memory with the id 'nope'"),
            ("update", {"memory_id": "", "text": "x"}, "no memory with the id ''"),
            ("forget", {"memory_id": "x" * 9000}, "Nothing was done"),
            ("forget", {"memory_id": "[]"}, "no memory with the id '[]'"),
            ("set_goal", {"goal": "\ud800"}, "Nothing was done"),
            ("add_note", {"text": "\n"}, "text is empty"),
            ("add_note", {"text": "x" * 40_000}, "the limit of the notes"),
        ],
        ids=str,
    )
    async def test_what_it_can_do_better_is_told_to_it(
        self, memory: AgentMemory, use: Any, name: str, args: Any, told: str
    ) -> None:
        assert told in await use(memory, name, **args)
        call = {"name": name, "args": args, "id": "c1", "type": "tool_call"}
        assert tool(memory, name).invoke(call, ids()).status == "error"

    def test_a_model_sees_only_what_it_may_set(self, memory: AgentMemory) -> None:
        arguments = {}
        for made in memory.tools():
            described = convert_to_openai_tool(made)["function"]
            assert len(described["description"]) > 60
            properties = described["parameters"]["properties"]
            assert all(one["description"] for one in properties.values())
            arguments[made.name] = sorted(properties)
        assert arguments == {
            "recall": ["limit", "query"],
            "remember": ["kind", "text"],
            "update": ["memory_id", "text"],
            "forget": ["memory_id"],
            "set_goal": ["goal"],
            "add_note": ["text"],
        }

    def test_only_what_is_allowed_is_there(self, memory: AgentMemory) -> None:
        assert [made.name for made in memory.tools()] == list(ALL)
        assert [made.name for made in memory.tools(allow=["forget", "recall", "forget"])] == [
            "forget",
            "recall",
        ]
        for wrong in ([], "recall", ["recall", "drop"]):
            with pytest.raises(InvalidInputError, match="allow must be a list of recall, "):
                memory.tools(allow=wrong)  # type: ignore[arg-type]
        with pytest.raises(InvalidInputError, match="user"):
            memory.tools(user="")


FORGED: list[dict[str, Any]] = [
    {"user_id": "bob", "user": "bob", "namespace": "work", "thread_id": "t2"},
    {"config": ids("bob", "t2")},
    {"runtime": {"context": {"user_id": "bob"}, "config": ids("bob", "t2"), "state": {}}},
    {"configurable": {"user_id": "bob"}, "ids": ["t2", "bob", "work"], "memory": None, "run_manager": 1},
]


class TestForWhom:
    async def test_other_users_and_namespaces_are_out_of_reach(self, memory: AgentMemory, use: Any) -> None:
        stored = id_in(await use(memory, "remember", text=PORTO))
        for other in (ids("bob"), ids("alice", namespace="work")):
            assert await use(memory, "recall", other, query=PORTO) == "Nothing is known about that."
            for name, args in (("update", {"text": LISBON}), ("forget", {})):
                assert "There is no memory" in await use(memory, name, other, memory_id=stored, **args)
        assert texts(memory) == {PORTO}

    async def test_another_users_thread_is_left_alone(self, memory: AgentMemory, use: Any) -> None:
        memory.working.start("t1", user="alice", goal="hers")
        for name, args in (("set_goal", {"goal": "his"}), ("add_note", {"text": "his"})):
            assert "belongs to another user" in await use(memory, name, ids("bob"), **args)
        state = memory.working.load("t1")
        assert state is not None
        assert (state.goal, state.scratchpad) == ("hers", "")

    @pytest.mark.parametrize("forged", FORGED, ids=lambda forged: "-".join(forged))
    async def test_no_argument_of_a_model_says_who_it_is(
        self, memory: AgentMemory, use: Any, forged: dict[str, Any]
    ) -> None:
        await use(memory, "remember", text=PORTO, **forged)
        await use(memory, "add_note", text="mine", **forged)
        assert (texts(memory), texts(memory, "bob"), texts(memory, namespace="work")) == (
            {PORTO},
            set(),
            set(),
        )
        assert memory.working.load("t2") is None
        state = memory.working.load("t1")
        assert state is not None
        assert (state.user, state.scratchpad) == ("alice", "mine")

    @pytest.mark.parametrize("forged", FORGED, ids=lambda forged: "-".join(forged))
    @pytest.mark.parametrize("fixed", [False, True])
    async def test_nor_in_an_agent(self, memory: AgentMemory, forged: dict[str, Any], fixed: bool) -> None:
        model = ScriptedModel.of(calls(("remember", {"text": PORTO, **forged})), "done")
        agent: Any = create_agent(model, memory.tools(user="alice" if fixed else None))
        agent.invoke({"messages": [HumanMessage("hi")]}, ids("carl" if fixed else "alice"))
        assert (texts(memory), texts(memory, "bob"), texts(memory, "carl")) == ({PORTO}, set(), set())

    async def test_without_a_user_it_is_refused_before_anything_happens(
        self, memory: AgentMemory, use: Any
    ) -> None:
        for config in ({}, {"configurable": {"thread_id": "t1"}}, {"configurable": {"user_id": None}}):
            with pytest.raises(InvalidInputError, match=r"names no user_id.*memory\.tools\(user="):
                await use(memory, "recall", config, query="x")
        with pytest.raises(InvalidInputError, match="user_id is empty"):
            await use(memory, "recall", ids(""), query="x")

    async def test_without_a_thread_there_is_long_term_memory_only(
        self, memory: AgentMemory, use: Any
    ) -> None:
        alone = {"configurable": {"user_id": "alice"}}
        assert "Remembered" in await use(memory, "remember", alone, text=PORTO)
        assert PORTO in await use(memory, "recall", alone, query=PORTO)
        assert "Use remember instead" in await use(memory, "add_note", alone, text="x")
        memory.session_id = "node"
        assert "Noted" in await use(memory, "add_note", alone, text="x")


@dataclass
class Context:
    user_id: str
    thread_id: str


class Typed(TypedDict):
    user_id: str
    session_id: str


def remember_and_recall(memory: AgentMemory, *more: Reply, **options: Any) -> Any:
    model = ScriptedModel.of(
        calls(("remember", {"text": PORTO}), ("add_note", {"text": "lives in Porto"})), *more, "done"
    )
    return create_agent(model, memory.tools(), **options)


class TestInAnAgent:
    @pytest.mark.parametrize(
        ("schema", "context"),
        [
            (Context, Context("alice", "t1")),
            (Typed, {"user_id": "alice", "session_id": "t1"}),
            (dict, {"user_id": "alice", "thread_id": "t1"}),
            (None, None),
        ],
        ids=["dataclass", "TypedDict", "dict", "config"],
    )
    @pytest.mark.parametrize("asynchronous", [False, True])
    async def test_ids_come_from_the_run(
        self, memory: AgentMemory, schema: Any, context: Any, asynchronous: bool
    ) -> None:
        agent: Any = remember_and_recall(memory, context_schema=schema)
        config = {"configurable": {"user_id": "bob", "thread_id": "t2"}} if context else ids()
        said = {"messages": [HumanMessage("I live in Porto.")]}
        options = {"context": context} if context else {}
        if asynchronous:
            answer = await agent.ainvoke(said, config, **options)
        else:
            answer = agent.invoke(said, config, **options)
        results = [message for message in answer["messages"] if isinstance(message, ToolMessage)]
        assert [result.status for result in results] == ["success", "success"]
        assert [result.tool_call_id for result in results] == ["c1", "c2"]
        assert (texts(memory), texts(memory, "bob")) == ({PORTO}, set())
        assert memory.working.load("t2") is None
        state = memory.working.load("t1")
        assert state is not None
        assert (state.user, state.scratchpad) == ("alice", "lives in Porto")

    @pytest.mark.parametrize("asynchronous", [False, True])
    async def test_tools_of_one_turn_run_side_by_side(self, memory: AgentMemory, asynchronous: bool) -> None:
        made = [("add_note", {"text": f"note {number}"}) for number in range(8)]
        made += [("remember", {"text": PORTO})] * 4
        model = ScriptedModel.of(calls(*made), calls(("recall", {"query": "Where does Ana live?"})), "done")
        agent: Any = create_agent(model, memory.tools())
        said = {"messages": [HumanMessage("hi")]}
        answer = await agent.ainvoke(said, ids()) if asynchronous else agent.invoke(said, ids())
        assert PORTO in str(answer["messages"][-2].content)
        state = memory.working.load("t1")
        assert state is not None
        assert sorted(state.scratchpad.splitlines()) == [f"note {number}" for number in range(8)]
        assert [record.hit_count for record in memory.long_term.list_memories(user="alice")] == [3]

    @pytest.mark.parametrize("asynchronous", [False, True])
    async def test_users_at_once_through_the_same_tools_never_mix(
        self, memory: AgentMemory, asynchronous: bool
    ) -> None:
        tools = memory.tools()
        users = [f"user {number}" for number in range(20)]

        def agent(user: str) -> Any:
            script = [
                calls(("remember", {"text": f"The name is {user}."}), ("add_note", {"text": user})),
                calls(("recall", {"query": "What is the name?"})),
                "done",
            ]
            return create_agent(ScriptedModel.of(*script), tools)

        said = {"messages": [HumanMessage("hi")]}
        if asynchronous:
            runs = [agent(user).ainvoke(said, ids(user, f"t {user}")) for user in users]
            answers = await asyncio.gather(*runs)
        else:
            with ThreadPoolExecutor(8) as threads:
                answers = list(
                    threads.map(lambda user: agent(user).invoke(said, ids(user, f"t {user}")), users)
                )
        for user, answer in zip(users, answers, strict=True):
            told = str(answer["messages"][-2].content)
            assert told.endswith(f": The name is {user}.")
            assert len(told.splitlines()) == 1
            state = memory.working.load(f"t {user}")
            assert state is not None
            assert (state.user, state.scratchpad) == (user, user)

    async def test_what_a_model_calls_wrongly_it_calls_again(self, memory: AgentMemory) -> None:
        def better(messages: list[Any]) -> Any:
            assert "no memory with the id 'made up'" in messages[-2].content
            assert "text: Field required" in messages[-1].content
            return calls(("remember", {"text": PORTO}), first=3)

        model = ScriptedModel.of(
            calls(("forget", {"memory_id": "made up"}), ("remember", {})), better, "done"
        )
        agent: Any = create_agent(model, memory.tools())
        agent.invoke({"messages": [HumanMessage("hi")]}, ids())
        assert texts(memory) == {PORTO}

    async def test_a_tool_node_alone_runs_them(self, memory: AgentMemory) -> None:
        from langgraph.graph import MessagesState, StateGraph

        graph = StateGraph(MessagesState)
        graph.add_node("tools", ToolNode(memory.tools()))
        graph.set_entry_point("tools")
        compiled: Any = graph.compile()
        await compiled.ainvoke({"messages": [calls(("remember", {"text": TEA}))]}, ids())
        assert texts(memory) == {TEA}


class TestFailures:
    @pytest.fixture
    def broken(self, memory: AgentMemory, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        left, run, arun = [0], memory.transport.run, memory.transport.arun

        def fail(op: Any) -> None:
            if op.__name__ not in ("_recall", "_remember"):  # such as what writes events in the background
                return
            left[0] -= 1
            if left[0] >= 0:
                raise StoreConnectionError("the server is gone")

        def failing(op: Any) -> Any:
            fail(op)
            return run(op)

        async def afailing(op: Any) -> Any:
            fail(op)
            return await arun(op)

        monkeypatch.setattr(memory.transport, "run", failing)
        monkeypatch.setattr(memory.transport, "arun", afailing)
        return left

    async def test_a_store_that_fails_raises(self, memory: AgentMemory, use: Any, broken: list[int]) -> None:
        broken[0] = 1
        with pytest.raises(StoreConnectionError):
            await use(memory, "remember", text=PORTO)

    async def test_so_that_it_can_be_tried_again(self, memory: AgentMemory, broken: list[int]) -> None:
        broken[0] = 1
        retry = ToolRetryMiddleware(max_retries=1, initial_delay=0.01)
        agent: Any = remember_and_recall(memory, middleware=[retry])
        agent.invoke({"messages": [HumanMessage("hi")]}, ids())
        assert texts(memory) == {PORTO}

    async def test_or_is_told_to_the_model_and_counted(
        self, memory: AgentMemory, use: Any, broken: list[int], caplog: pytest.LogCaptureFixture
    ) -> None:
        memory.settings = memory.settings.model_copy(update={"on_error": "continue"})
        for config in (ids(), {"configurable": {"user_id": "alice"}}):
            broken[0] = 1
            told = await use(memory, "recall", config, query="x")
            assert told.startswith("The memory does not answer at the moment")
        assert memory.failures == 2
        assert caplog.text.count("the server is gone") == 2
        broken[0] = 0
        assert memory.events.sink.flush(5)
        (event,) = memory.events.recent("t1")
        assert (event.action, event.detail) == ("memory_error", "recall: the server is gone")

    async def test_embeddings_that_fail_are_no_fault_of_the_model(
        self, memory: AgentMemory, use: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(self: Any, text: Any) -> Any:
            raise OSError("no such model")

        stored = id_in(await use(memory, "remember", text=PORTO))
        monkeypatch.setattr(WordEmbeddings, "embed_query", fail)
        monkeypatch.setattr(WordEmbeddings, "embed_documents", fail)
        with pytest.raises(OSError, match="no such model"):
            await use(memory, "recall", query="Where?")
        with pytest.raises(OSError, match="no such model"):  # for others may say the same
            await use(memory, "forget", memory_id=stored)
        assert texts(memory) == set()


@ON_EVERY_BACKEND
async def test_notes_and_goals_work_over_rest(transport: SharedConnection, use: Any) -> None:
    memory = AgentMemory("redis://unused")
    memory.transport = transport
    await use(memory, "set_goal", goal="a trip")
    await use(memory, "add_note", text="first")
    state = memory.working.load("t1")
    assert state is not None
    assert (state.goal, state.scratchpad, state.user) == ("a trip", "first", "alice")


async def test_on_upstash_ids_do_not_name_the_user(emulator: Emulator, use: Any) -> None:
    async with AgentMemory(emulator.url, token=emulator.token) as memory:
        stored = await use(memory, "remember", text=LISBON)
        assert "alice" not in stored
        told = await use(memory, "update", memory_id=id_in(stored), text=PORTO)
        assert "alice" not in told
        assert (await use(memory, "forget", memory_id=id_in(told))) == f"Forgotten: {PORTO}"
        assert "There is no memory" in await use(memory, "forget", ids("bob"), memory_id=id_in(stored))


async def test_on_upstash_what_says_the_same_goes_with_it_once_it_is_indexed(
    emulator: Emulator, use: Any
) -> None:
    async with AgentMemory(emulator.url, token=emulator.token) as memory:
        for text, kind in ((LISBON, "semantic"), ("Ana lives in Lisbon!", "episodic"), (TEA, "semantic")):
            memory.long_term.remember(text, user="alice", kind=kind)
        memory.long_term.wait_indexing()  # type: ignore[attr-defined]
        stored = id_in(await use(memory, "recall", query="Where does Ana live?"))
        told = await use(memory, "update", memory_id=stored, text=PORTO)
        memory.long_term.wait_indexing()  # type: ignore[attr-defined]
        assert texts(memory) == {PORTO, TEA}
        memory.long_term.remember(PORTO, user="alice")
        memory.long_term.wait_indexing()  # type: ignore[attr-defined]
        await use(memory, "forget", memory_id=id_in(told))
        assert texts(memory) == {TEA}


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_retriever_is_a_tool_too(memory: AgentMemory, asynchronous: bool) -> None:
    memory.long_term.remember(PORTO, user="alice")
    memory.long_term.remember("Bob lives in Braga.", user="bob")
    search = create_retriever_tool(
        memory.retriever(user="alice"), "search_memories", "Search what is known about the user."
    )
    model = ScriptedModel.of(calls(("search_memories", {"query": "Who lives where?"})), "done")
    agent: Any = create_agent(model, [search])
    said = {"messages": [HumanMessage("hi")]}
    answer = await agent.ainvoke(said) if asynchronous else agent.invoke(said)
    assert answer["messages"][-2].content == PORTO
