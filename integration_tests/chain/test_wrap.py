"""`AgentMemory.wrap` around real LangChain chains, in every way a runnable is run."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest
import redis
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompt_values import PromptValue
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import Runnable, RunnableLambda
from pydantic import BaseModel

from integration_tests.chain.conftest import Run, actions, ainvoke, config, contents, invoke
from integration_tests.conftest import Counting
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory, noteworthy
from langchain_agentmem.chain.options import ExchangeReport
from langchain_agentmem.errors import InvalidInputError, StoreConnectionError, WrongKeyTypeError

PROMPT = ChatPromptTemplate.from_messages(
    [("system", "Known:\n{memories}"), MessagesPlaceholder("chat_history"), ("human", "{input}")]
)
ECHO = RunnableLambda(lambda prompt: AIMessage(f"heard {prompt.to_messages()[-1].content}"))


async def test_a_turn_reads_recalls_answers_and_writes(memory: AgentMemory, run: Run) -> None:
    memory.long_term.remember("the editor theme is dark", user="alice", kind="semantic")
    reports: list[ExchangeReport] = []
    prompts: list[list[BaseMessage]] = []

    def answer(prompt: PromptValue) -> AIMessage:
        prompts.append(prompt.to_messages())
        return AIMessage("noted")

    chain = memory.wrap(PROMPT | RunnableLambda(answer), on_exchange=reports.append)
    assert (await run(chain, {"input": "the theme is dark"}, config())).content == "noted"
    assert (await run(chain, {"input": "and the font"}, config())).content == "noted"

    assert re.fullmatch(r"Known:\n- \d{4}-\d\d-\d\d: the editor theme is dark", prompts[0][0].text)
    assert [m.content for m in prompts[1][1:]] == ["the theme is dark", "noted", "and the font"]
    assert contents(memory) == ["the theme is dark", "noted", "and the font", "noted"]
    first = reports[0]
    assert [hit.text for hit in first.recalled] == ["the editor theme is dark"]
    assert first.remembered is not None
    assert (first.remembered.deduped, first.turn_count, first.failures) == (False, 2, [])
    stored = memory.long_term.get(first.remembered.id)
    assert stored is not None
    assert (stored.text, stored.kind, stored.source_thread, stored.user) == (
        "the theme is dark",
        "episodic",
        "t1",
        "alice",
    )
    assert stored.ttl_seconds == 604800
    assert actions(memory).count("chain_start") == actions(memory).count("chain_end") == 6
    assert {event.user for event in memory.events.recent("t1")} == {"alice"}


async def test_a_turn_is_two_round_trips_and_one_embedding(url: str, run: Run) -> None:
    embeddings = WordEmbeddings()
    async with AgentMemory(url, embeddings=embeddings) as memory:
        counting = Counting(memory.transport)
        chain = memory.wrap(PROMPT | ECHO)
        await run(chain, {"input": "warm up"}, config())
        counting.round_trips = embeddings.embedded = 0
        await run(chain, {"input": "a turn is an exchange"}, config())
        assert (counting.round_trips, embeddings.embedded) == (2, 1)
        assert len(memory.events.recent("t1", 100)) > 4


async def test_a_turn_searches_once_by_vector_and_once_by_words_before_the_answer(
    memory: AgentMemory, bare: redis.Redis, run: Run
) -> None:
    answered: list[int] = []
    chain = memory.wrap(PROMPT | RunnableLambda(lambda _: answered.append(len(trace.round_trips)) or "noted"))
    with memory.trace() as trace:
        await run(
            chain, {"input": "my favorite color is teal"}, config()
        )  # asks for the size of the scope besides
    answered.clear()
    bare.config_resetstat()
    with memory.trace() as trace:
        await run(chain, {"input": "my favorite city is Lisbon"}, config())
    searches = [
        [command.text for command in trip.commands if command.name.startswith("FT.")]
        for trip in trace.round_trips
    ]
    recalled, profile = searches[0][:2], searches[0][2:]
    assert ["KNN" in search for search in recalled] == [False, True]
    assert ["@kind:{profile}" in search for search in profile] == [True]
    assert answered == [len(trace.round_trips) - 1]
    assert not any(searches[1:])
    stats = bare.info("commandstats")  # it counts what scripts call too
    assert {name: stats[name]["calls"] for name in stats if "FT." in name.upper()} == {"cmdstat_FT.SEARCH": 3}


async def test_a_turn_does_not_recall_itself(memory: AgentMemory, run: Run) -> None:
    reports: list[ExchangeReport] = []
    chain = memory.wrap(PROMPT | ECHO, on_exchange=reports.append)
    await run(chain, {"input": "my favorite color is teal"}, config())
    await run(chain, {"input": "my favorite color is teal"}, config("t2"))
    assert reports[0].recalled == []
    assert [hit.text for hit in reports[1].recalled] == ["my favorite color is teal"]
    assert reports[1].remembered is not None
    assert reports[1].remembered.deduped is True


async def test_users_and_namespaces_do_not_see_each_others_memories(memory: AgentMemory, run: Run) -> None:
    reports: list[ExchangeReport] = []
    chain = memory.wrap(PROMPT | ECHO, on_exchange=reports.append)
    await run(chain, {"input": "my favorite color is teal"}, config())
    for other in (config("t2", "bob"), config("t3", "Alice"), config("t4", namespace="work")):
        await run(chain, {"input": "my favorite color is teal"}, other)
        assert reports[-1].recalled == []


async def test_streaming_stays_streaming(memory: AgentMemory) -> None:
    model = GenericFakeChatModel(messages=iter([AIMessage("one two three"), AIMessage("four five")]))
    chain = memory.wrap(PROMPT | model)
    seen = []
    for chunk in chain.stream({"input": "count"}, config()):
        assert contents(memory) == []  # not stored before the stream has ended
        seen.append(chunk.content)
    assert [word for word in seen if word] == ["one", " ", "two", " ", "three"]
    assert memory.working.messages("t1")[1].content == "one two three"
    assert type(memory.working.messages("t1")[1]) is AIMessage
    seen = [c.content async for c in chain.astream({"input": "more"}, config())]
    assert len([word for word in seen if word]) == 3
    assert contents(memory) == ["count", "one two three", "more", "four five"]


async def test_text_streams_are_added_up(memory: AgentMemory) -> None:
    model = GenericFakeChatModel(messages=iter([AIMessage("one two three")]))
    assert (
        "".join(memory.wrap(PROMPT | model | StrOutputParser()).stream({"input": "count"}, config()))
        == "one two three"
    )
    assert contents(memory) == ["count", "one two three"]


async def test_a_chain_that_raises_is_recorded(memory: AgentMemory, run: Run) -> None:
    def fail(_: Any) -> AIMessage:
        raise ZeroDivisionError("with api_key=sk-abcdefghijklmnopqrstuvwx")

    with pytest.raises(ZeroDivisionError):
        await run(memory.wrap(PROMPT | RunnableLambda(fail)), {"input": "I am here"}, config())
    assert contents(memory) == ["I am here"]
    assert memory.long_term.list_memories(user="alice") == []
    assert actions(memory)[-1] == "turn_error"
    assert "chain_error" in actions(memory)
    details = " ".join(event.detail for event in memory.events.recent("t1", 100))
    assert "ZeroDivisionError" in details
    assert "sk-abc" not in details


@pytest.mark.parametrize(
    "value",
    [
        "I am here",
        HumanMessage("I am here"),
        [HumanMessage("I am here")],
        {"input": "I am here"},
        {"input": HumanMessage("I am here")},
        {"input": [HumanMessage("I am here")]},
    ],
    ids=repr,
)
async def test_inputs_of_every_shape(memory: AgentMemory, value: Any) -> None:
    chain = memory.wrap(RunnableLambda(lambda inputs: f"{len(inputs['chat_history'])}"))
    assert chain.invoke(value, config()) == "0"
    assert chain.invoke(value, config()) == "2"
    assert contents(memory) == ["I am here", "0", "I am here", "2"]
    assert [hit.text for hit in memory.long_term.list_memories(user="alice")] == ["I am here"]


class Answer(BaseModel):
    text: str


CALLS = [
    AIMessage("", tool_calls=[{"name": "look", "args": {"at": 1}, "id": "c1"}]),
    ToolMessage("seen", tool_call_id="c1"),
    AIMessage("done"),
]


@pytest.mark.parametrize(
    ("output", "stored"),
    [
        ("text", [AIMessage("text")]),
        (AIMessage("m", id="1"), [AIMessage("m", id="1")]),
        (AIMessageChunk("c"), [AIMessage("c")]),
        (CALLS, CALLS),
        ({"messages": CALLS}, CALLS),
        ({"answer": "text", "sources": []}, [AIMessage("text")]),
        ({"score": 3}, [AIMessage('{"score": 3}')]),
        (Answer(text="é"), [AIMessage('{"text":"é"}')]),
        (7, [AIMessage("7")]),
    ],
    ids=repr,
)
async def test_outputs_of_every_shape(memory: AgentMemory, output: Any, stored: list[BaseMessage]) -> None:
    chain = memory.wrap(RunnableLambda(lambda _: output))
    assert chain.invoke("I am here", config()) == output
    assert memory.working.messages("t1")[1:] == stored


async def test_keys_have_the_names_they_are_given(memory: AgentMemory) -> None:
    chain = memory.wrap(
        RunnableLambda(lambda inputs: {"reply": f"{sorted(inputs)}", "answer": "no"}),
        input_key="question",
        history_key="past",
        memories_key="facts",
        output_key="reply",
    )
    expected = "['facts', 'other', 'past', 'question']"
    assert chain.invoke({"question": "what", "other": 1}, config())["reply"] == expected
    assert contents(memory) == ["what", expected]


@pytest.mark.parametrize(
    ("remember", "kinds"),
    [
        ({}, ["episodic"]),
        ({"remember": partial(noteworthy, kind="semantic")}, ["semantic"]),
        ({"remember": "episodic"}, ["episodic", "episodic"]),
        ({"remember": None}, []),
        ({"remember": lambda text: "semantic" if "always" in text else None}, ["semantic"]),
    ],
    ids=["default", "noteworthy", "all", "nothing", "chosen"],
)
async def test_what_is_remembered_is_a_choice(
    memory: AgentMemory, remember: dict[str, Any], kinds: list[str]
) -> None:
    chain = memory.wrap(ECHO_TEXT, **remember)
    chain.invoke("tabs always win", config())
    chain.invoke("good morning everybody", config())
    assert [hit.kind for hit in memory.long_term.list_memories(user="alice")] == kinds


ECHO_TEXT: Runnable[Any, str] = RunnableLambda(lambda inputs: "ok")


async def test_the_two_messages_before_it_are_the_context_of_a_memory(memory: AgentMemory, run: Run) -> None:
    reports: list[ExchangeReport] = []
    chain = memory.wrap(ECHO_TEXT, on_exchange=reports.append)
    for text in ("the editor theme is dark", "tabs always win", "spaces are wide"):
        await run(chain, text, config())
    ids = [report.remembered.id for report in reports if report.remembered is not None]
    contexts = [record.context for record in map(memory.long_term.get, ids) if record is not None]
    assert contexts == ["", "the editor theme is dark\nok", "tabs always win\nok"]


async def test_what_was_recalled_is_known_to_what_is_remembered(memory: AgentMemory, run: Run) -> None:
    old = memory.long_term.remember("the editor theme is dark", user="alice")
    reports: list[ExchangeReport] = []
    await run(memory.wrap(ECHO_TEXT, on_exchange=reports.append), "the editor theme is light", config())
    remembered = reports[0].remembered
    assert remembered is not None
    assert remembered.near is not None
    assert (remembered.deduped, remembered.near.id) == (False, old.id)
    assert remembered.existing_distance == reports[0].recalled[0].distance


async def test_recall_is_a_choice(memory: AgentMemory, url: str) -> None:
    embeddings = WordEmbeddings()
    async with AgentMemory(url, embeddings=embeddings) as other:
        chain = other.wrap(
            RunnableLambda(lambda inputs: f"{sorted(inputs)}"), memories_key=None, remember=None
        )
        assert chain.invoke("I am here", config()) == "['chat_history', 'input']"
    assert embeddings.embedded == 0


async def test_recall_options_reach_recall(memory: AgentMemory) -> None:
    for number in range(8):
        memory.long_term.remember(
            f"fact number {number}",
            user="alice",
            kind="semantic" if number % 2 else "episodic",
            embedding=WordEmbeddings().embed_query(f"fact number {number}"),
        )
    reports: list[ExchangeReport] = []
    memory.wrap(
        ECHO_TEXT, k=2, kind="semantic", distance_threshold=None, remember=None, on_exchange=reports.append
    ).invoke("fact number", config())
    assert [hit.kind for hit in reports[0].recalled] == ["semantic"] * 2
    memory.wrap(ECHO_TEXT, distance_threshold=0.0, remember=None, on_exchange=reports.append).invoke(
        "fact", config()
    )
    assert reports[1].recalled == []


@pytest.mark.parametrize(
    ("configurable", "named"),
    [
        ({}, "names no session_id: call"),
        ({"sessionId": "t1", "userId": "a", "__x": 1}, "names no session_id, only sessionId, userId: call"),
        ({"session_id": "t1"}, "names no user_id, only session_id: call"),
        ({"session_id": "t1", "user_id": None}, "names no user_id, only session_id: call"),
        ({"session_id": "", "user_id": "a"}, "session_id"),
        ({"session_id": "t1", "user_id": ""}, "user_id"),
        ({"session_id": "t1", "user_id": "a", "namespace": ""}, "namespace"),
    ],
)
async def test_a_turn_without_its_ids_is_refused(
    memory: AgentMemory, bare: redis.Redis, run: Run, configurable: dict[str, str], named: str
) -> None:
    asked = []
    with pytest.raises(InvalidInputError, match=named):
        await run(memory.wrap(RunnableLambda(asked.append)), "I am here", {"configurable": configurable})
    assert asked == []
    assert bare.dbsize() == 0


async def test_langgraphs_thread_id_names_the_session_too(memory: AgentMemory) -> None:
    memory.wrap(ECHO_TEXT).invoke("I am here", {"configurable": {"thread_id": "t7", "user_id": "alice"}})
    assert contents(memory, "t7") == ["I am here", "ok"]


async def test_a_missing_input_is_refused(memory: AgentMemory) -> None:
    with pytest.raises(InvalidInputError, match="input_key"):
        memory.wrap(ECHO_TEXT).invoke({"question": "I am here"}, config())


async def test_a_text_over_the_limit_does_not_stop_the_turn_and_is_reported(
    memory: AgentMemory, caplog: pytest.LogCaptureFixture
) -> None:
    reports: list[ExchangeReport] = []
    memory.wrap(ECHO_TEXT, on_exchange=reports.append).invoke("x" * 40_000, config())
    assert len(contents(memory)[0]) == 40_000
    assert reports[0].failures == [
        "memory: a text of over 32768 bytes (the setting max_text_bytes) is in the session, but neither "
        "looked up nor remembered in long-term memory"
    ]
    assert "32768 bytes" in caplog.text
    assert "failed" not in caplog.text
    assert "memory_error" in actions(memory)
    assert memory.long_term.list_memories(user="alice") == []


async def test_a_chain_that_returns_its_state_does_not_store_it_again(memory: AgentMemory) -> None:
    def answer(inputs: dict[str, Any]) -> dict[str, Any]:
        asked = HumanMessage(inputs["input"], id="given-by-a-graph")
        return {"messages": [*inputs["chat_history"], asked, *CALLS]}

    def answer_alone(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"messages": [HumanMessage(inputs["input"]), AIMessage("bye")]}

    for _ in range(2):
        memory.wrap(RunnableLambda(answer)).invoke("I am here", config())
    memory.wrap(RunnableLambda(answer_alone)).invoke("I am here", config())
    turn = ["I am here", "", "seen", "done"]
    assert contents(memory) == [*turn, *turn, "I am here", "bye"]


@pytest.mark.parametrize("text", ["", "   "])
async def test_a_text_that_cannot_be_remembered_does_not_stop_the_turn(
    memory: AgentMemory, text: str
) -> None:
    memory.wrap(ECHO_TEXT).invoke(text, config())
    assert contents(memory) == [text, "ok"]
    assert memory.long_term.list_memories(user="alice") == []


class TestFailures:
    async def test_an_answer_that_could_not_be_written_down_is_not_lost(
        self, memory: AgentMemory, bare: redis.Redis, run: Run
    ) -> None:
        def answer(_: Any) -> str:
            bare.set("agent:session:t1", "mine")
            return "dear"

        with pytest.raises(WrongKeyTypeError) as caught:
            await run(memory.wrap(RunnableLambda(answer)), "I am here", config())
        assert caught.value.output == "dear"

    async def test_history_that_fails_raises_before_the_chain_runs(
        self, memory: AgentMemory, bare: redis.Redis, run: Run
    ) -> None:
        bare.set("agent:session:t1", "mine")
        asked: list[Any] = []
        with pytest.raises(WrongKeyTypeError):
            await run(memory.wrap(RunnableLambda(asked.append)), "I am here", config())
        assert asked == []

    async def test_the_chain_goes_on_if_the_user_chose_so(
        self, url: str, bare: redis.Redis, run: Run, caplog: pytest.LogCaptureFixture
    ) -> None:
        bare.set("agent:session:t1", "mine")
        reports: list[ExchangeReport] = []
        async with AgentMemory(url, embeddings=WordEmbeddings(), on_error="continue") as memory:
            assert (
                await run(memory.wrap(ECHO_TEXT, on_exchange=reports.append), "hello, I am there", config())
                == "ok"
            )
            assert memory.failures == 2
            assert [failure.split(":")[0] for failure in reports[0].failures] == ["history", "append"]
            assert reports[0].remembered is not None
            assert "history failed in thread 't1' and the chain goes on" in caplog.text
            await memory.events.aclose()
            assert "memory_error" in actions(memory)
        assert bare.get("agent:session:t1") == b"mine"

    async def test_embeddings_that_fail_are_recall_that_fails(self, url: str, run: Run) -> None:
        class Broken(WordEmbeddings):
            def embed_query(self, text: str) -> list[float]:
                raise TimeoutError("the embedding service is down")

        async with AgentMemory(url, embeddings=Broken()) as memory:
            with pytest.raises(TimeoutError):
                await run(memory.wrap(ECHO_TEXT), "I am here", config())
        async with AgentMemory(url, embeddings=Broken(), on_error="continue") as memory:
            assert await run(memory.wrap(ECHO_TEXT), "I am here", config()) == "ok"
            assert contents(memory) == ["I am here", "ok"]
            assert memory.failures == 1

    async def test_events_that_cannot_be_written_do_not_matter(
        self, memory: AgentMemory, bare: redis.Redis, run: Run
    ) -> None:
        bare.set("agent:events:t1", "mine")
        assert await run(memory.wrap(ECHO_TEXT), "I am here", config()) == "ok"
        assert contents(memory) == ["I am here", "ok"]
        assert memory.events.dropped > 0
        assert bare.get("agent:events:t1") == b"mine"

    @pytest.mark.usefixtures("impatient")
    @pytest.mark.parametrize("run", [invoke, ainvoke])
    async def test_a_server_that_is_gone_raises(self, run: Run) -> None:
        async with AgentMemory("redis://127.0.0.1:1", embeddings=WordEmbeddings()) as memory:
            with pytest.raises(StoreConnectionError, match=r"127\.0\.0\.1:1"):
                await run(memory.wrap(ECHO_TEXT), "I am here", config())

    @pytest.mark.usefixtures("impatient")
    async def test_a_server_that_is_gone_is_passed_over_on_request(self) -> None:
        async with AgentMemory(
            "redis://127.0.0.1:1", embeddings=WordEmbeddings(), on_error="continue"
        ) as memory:
            assert memory.wrap(ECHO_TEXT).invoke("I am here", config()) == "ok"
            assert memory.failures == 2
            assert memory.events.dropped > 0


@pytest.mark.parametrize(
    "options", [{"remember": ""}, {"remember": 5}, {"k": 0}, {"k": "5"}, {"kind": ""}], ids=str
)
async def test_options_that_cannot_be_used_are_refused_at_once(memory: AgentMemory, options: Any) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(options))):
        memory.wrap(ECHO_TEXT, **options)
