"""An answer that a model has given reaches the caller, whatever fails after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableLambda

from integration_tests.chain.conftest import Run, actions, config, contents
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory
from langchain_agentmem.chain.options import ExchangeReport
from langchain_agentmem.errors import (
    AgentMemoryError,
    EmbeddingError,
    ExchangeNotStoredError,
    InvalidInputError,
    MessageNotStorableError,
)


class Model:
    """Stands for a model that is paid for: how often it was asked, and what it was given."""

    def __init__(self, answer: Any = "dear") -> None:
        self.asked: list[Any] = []
        self.answer = answer
        self.runnable: RunnableLambda[Any, Any] = RunnableLambda(self._answer)

    def _answer(self, inputs: Any) -> Any:
        self.asked.append(inputs)
        return self.answer


@pytest.fixture
async def lenient(url: str) -> AsyncIterator[AgentMemory]:
    async with AgentMemory(url, embeddings=WordEmbeddings(), on_error="continue") as memory:
        yield memory


def turns(memory: AgentMemory) -> list[tuple[Any, bool]]:
    state = memory.working.load("t1")
    return [] if state is None else [(turn.content, turn.unanswered) for turn in state.recent_turns]


def fail(*_: Any, **__: Any) -> Any:
    raise ZeroDivisionError("a callback of yours")


class TestEmbeddings:
    async def test_arrays_of_numpy_are_embeddings(self, url: str, run: Run) -> None:
        class Arrays(WordEmbeddings):
            def embed_query(self, text: str) -> Any:
                return np.array(super().embed_query(text), dtype=np.float32)

        reports: list[ExchangeReport] = []
        async with AgentMemory(url, embeddings=Arrays()) as memory:
            chain = memory.wrap(Model().runnable, on_exchange=reports.append)
            for thread in ("t1", "t2"):
                assert await run(chain, "the theme is dark", config(thread)) == "dear"
        assert [record.text for record in reports[1].recalled] == ["the theme is dark"]
        assert reports[1].remembered is not None
        assert reports[1].remembered.deduped is True

    @pytest.mark.parametrize(
        "made",
        [[], None, "text", [[1.0, 2.0]], np.zeros(64), [float("nan")] * 64, object(), [1.0] * 3],
        ids=["empty", "none", "text", "nested", "zeros", "nan", "object", "short"],
    )
    async def test_embeddings_that_are_none_are_recall_that_fails(
        self, url: str, run: Run, made: Any
    ) -> None:
        class Odd(WordEmbeddings):
            def embed_query(self, text: str) -> Any:
                return super().embed_query(text) if text in ("warm", "dimensions") else made

        model, reports = Model(), list[ExchangeReport]()
        async with AgentMemory(url, embeddings=Odd()) as memory:
            memory.wrap(model.runnable).invoke("warm", config("other"))
            with pytest.raises((EmbeddingError, InvalidInputError)):
                await run(memory.wrap(model.runnable), "I am here", config())
            assert len(model.asked) == 1
            assert turns(memory) == [("I am here", True)]
        async with AgentMemory(url, embeddings=Odd(), on_error="continue") as memory:
            memory.wrap(model.runnable).invoke("warm", config("other"))
            chain = memory.wrap(model.runnable, on_exchange=reports.append)
            assert await run(chain, "I am here", config()) == "dear"
            assert turns(memory) == [("I am here", False), ("dear", False)]
            assert [failure.split(":")[0] for failure in reports[0].failures] == ["recall"]
            assert memory.failures == 1


class TestLoneSurrogates:
    async def test_the_user_gets_an_answer_and_the_turn_is_stored(
        self, memory: AgentMemory, run: Run
    ) -> None:
        reports: list[ExchangeReport] = []
        chain = memory.wrap(Model().runnable, on_exchange=reports.append)
        assert await run(chain, {"input": "hi \ud800"}, config()) == "dear"
        assert contents(memory) == ["hi \ud800", "dear"]
        assert (reports[0].recalled, reports[0].remembered) == ([], None)
        assert len(reports[0].failures) == 1
        assert "lone surrogate" in reports[0].failures[0]

    async def test_an_answer_may_have_one(self, memory: AgentMemory, run: Run) -> None:
        assert await run(memory.wrap(Model("ho \udfff").runnable), "I am here", config()) == "ho \udfff"
        assert contents(memory) == ["I am here", "ho \udfff"]

    async def test_what_is_said_after_one_is_remembered(self, memory: AgentMemory, run: Run) -> None:
        chain = memory.wrap(Model("ho \udfff").runnable)
        for text in ("I am here", "I play the violin"):
            assert await run(chain, text, config()) == "ho \udfff"
        found = memory.long_term.list_memories(user="alice")
        assert [(one.text, one.context) for one in found] == [
            ("I play the violin", "I am here\nho ?"),
            ("I am here", ""),
        ]


class TestCallbacks:
    @pytest.mark.parametrize("remember", [fail, lambda text: True, lambda text: "", lambda text: "\ud800"])
    async def test_a_choice_that_fails_remembers_nothing(
        self, memory: AgentMemory, run: Run, remember: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        reports: list[ExchangeReport] = []
        chain = memory.wrap(Model().runnable, remember=remember, on_exchange=reports.append)
        assert await run(chain, "I am here", config()) == "dear"
        assert turns(memory) == [("I am here", False), ("dear", False)]
        assert memory.long_term.list_memories(user="alice") == []
        assert [failure.split(":")[0] for failure in reports[0].failures] == ["remember"]
        assert memory.failures == 1
        assert "remember failed in thread 't1'" in caplog.text

    async def test_a_report_that_fails_costs_nothing(
        self, memory: AgentMemory, run: Run, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert await run(memory.wrap(Model().runnable, on_exchange=fail), "I am here", config()) == "dear"
        assert turns(memory) == [("I am here", False), ("dear", False)]
        assert memory.failures == 1
        assert "ZeroDivisionError: a callback of yours" in caplog.text

    async def test_what_ends_the_program_ends_it(self, memory: AgentMemory) -> None:
        def stop(_: Any) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            memory.wrap(Model().runnable, on_exchange=stop).invoke("I am here", config())
        assert turns(memory) == [("I am here", False), ("dear", False)]

    async def test_an_error_without_words_is_passed_over_too(self, memory: AgentMemory) -> None:
        class MuteError(Exception):
            def __str__(self) -> str:
                raise ZeroDivisionError

        def fail_mutely(_: Any) -> None:
            raise MuteError

        assert memory.wrap(Model().runnable, on_exchange=fail_mutely).invoke("I am here", config()) == "dear"
        assert memory.failures == 1

    async def test_what_would_have_to_be_awaited_is_refused_at_once(self, memory: AgentMemory) -> None:
        async def later(_: Any) -> None:
            return None

        class Later:
            async def __call__(self, _: Any) -> None:
                return None

        for callback in (later, partial(later), Later()):
            with pytest.raises(InvalidInputError, match="on_exchange"):
                memory.wrap(Model().runnable, on_exchange=callback)
        with pytest.raises(InvalidInputError, match="on_exchange"):
            memory.wrap(Model().runnable, on_exchange=5)  # type: ignore[arg-type]

    def test_what_recall_would_refuse_is_refused_before_any_exchange(self, lenient: AgentMemory) -> None:
        for options in ({"filter": object()}, {"k": 0}, {"kind": ""}, {"distance_threshold": -1.0}):
            with pytest.raises(InvalidInputError, match=next(iter(options))):
                lenient.wrap(Model().runnable, **options)


class TestWhatCannotBeStored:
    ODD = AIMessage("dear", additional_kwargs={"a": {1}})

    async def test_an_input_that_cannot_be_stored_is_refused_before_the_model_is_asked(
        self, memory: AgentMemory, run: Run
    ) -> None:
        model = Model()
        with pytest.raises(MessageNotStorableError):
            await run(
                memory.wrap(model.runnable), HumanMessage("I am here", additional_kwargs={"a": {1}}), config()
            )
        assert model.asked == []

    async def test_or_the_chain_goes_on_without_storing_it(self, lenient: AgentMemory, run: Run) -> None:
        reports: list[ExchangeReport] = []
        chain = lenient.wrap(Model().runnable, on_exchange=reports.append)
        odd = HumanMessage("I am here", additional_kwargs={"a": {1}})
        assert await run(chain, odd, config()) == "dear"
        assert turns(lenient) == []
        assert [failure.split(":")[0] for failure in reports[0].failures] == ["append"]
        assert lenient.failures == 1

    async def test_an_answer_that_cannot_be_stored_is_on_the_error_and_the_question_is_kept(
        self, memory: AgentMemory, run: Run
    ) -> None:
        with pytest.raises(MessageNotStorableError) as caught:
            await run(memory.wrap(Model(self.ODD).runnable), "I am here", config())
        assert caught.value.output == self.ODD
        assert turns(memory) == [("I am here", True)]
        assert memory.long_term.list_memories(user="alice") == []
        assert "chain_end" in actions(memory)

    async def test_or_it_is_returned(self, lenient: AgentMemory, run: Run) -> None:
        reports: list[ExchangeReport] = []
        chain = lenient.wrap(Model(self.ODD).runnable, on_exchange=reports.append)
        assert await run(chain, "I am here", config()) == self.ODD
        assert turns(lenient) == [("I am here", True)]
        assert len(reports[0].failures) == 1
        assert reports[0].turn_count == 1

    async def test_an_answer_without_json_is_on_the_error_too(self, memory: AgentMemory, run: Run) -> None:
        circular: dict[str, Any] = {}
        circular["again"] = circular
        with pytest.raises(ExchangeNotStoredError, match="Circular") as caught:
            await run(memory.wrap(Model(circular).runnable), "I am here", config())
        assert caught.value.output is circular
        assert isinstance(caught.value.__cause__, ValueError)
        assert turns(memory) == [("I am here", True)]

    async def test_a_foreign_error_while_remembering_leaves_the_answer_on_the_error(
        self, memory: AgentMemory, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(memory.long_term, "remember_op", fail)
        with pytest.raises(ExchangeNotStoredError, match="ZeroDivisionError") as caught:
            await run(memory.wrap(Model().runnable), "I am here", config())
        assert caught.value.output == "dear"
        assert isinstance(caught.value.__cause__, ZeroDivisionError)

    async def test_or_costs_nothing_but_the_memory(
        self, lenient: AgentMemory, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lenient.long_term, "remember_op", fail)
        assert await run(lenient.wrap(Model().runnable), "I am here", config()) == "dear"
        assert turns(lenient) == [("I am here", False), ("dear", False)]
        assert lenient.failures == 1


class TestWhatIsNoAnswer:
    async def test_none_is_no_message(self, memory: AgentMemory, run: Run) -> None:
        if run.__name__ in ("stream", "astream"):
            pytest.skip("what streams nothing is not None")
        assert await run(memory.wrap(Model(None).runnable), "I am here", config()) is None
        assert turns(memory) == [("I am here", False)]
        assert [record.text for record in memory.long_term.list_memories(user="alice")] == ["I am here"]
        assert await run(memory.wrap(Model({"answer": None}).runnable), "ho", config()) == {"answer": None}
        assert turns(memory) == [("I am here", False), ("ho", False)]

    @pytest.mark.parametrize(
        "made", [iter("ab"), (x for x in "ab"), map(str, [1])], ids=lambda o: type(o).__name__
    )
    async def test_what_would_have_to_be_consumed_is_refused(self, memory: AgentMemory, made: Any) -> None:
        for output in (made, {"answer": made}):
            with pytest.raises(InvalidInputError, match=type(made).__name__) as caught:
                memory.wrap(Model(output).runnable).invoke("I am here", config())
            assert caught.value.output is output
            assert turns(memory) == [("I am here", True)]
        assert len(list(made)) > 0

    async def test_a_generator_function_is_a_stream(self, memory: AgentMemory) -> None:
        def speak(_: Any) -> Iterator[str]:
            yield from ("one ", "two")

        assert memory.wrap(speak).invoke("I am here", config()) == "one two"
        assert turns(memory) == [("I am here", False), ("one two", False)]

    async def test_messages_deep_inside_are_refused_with_the_member_to_name(
        self, memory: AgentMemory
    ) -> None:
        output = {"agent": {"messages": [AIMessage("dear")]}}
        with pytest.raises(InvalidInputError, match="output_key") as caught:
            memory.wrap(Model(output).runnable).invoke("I am here", config())
        assert caught.value.output == output
        assert turns(memory) == [("I am here", True)]

    async def test_who_says_nothing_takes_nothing_away(self, memory: AgentMemory, run: Run) -> None:
        with pytest.raises(ZeroDivisionError):
            await run(memory.wrap(RunnableLambda(fail)), "I am here", config())
        seen: list[Any] = []
        chain = memory.wrap(RunnableLambda(lambda inputs: seen.append(inputs["chat_history"]) or "dear"))
        assert await run(chain, {"input": None}, config()) == "dear"
        assert seen == [[HumanMessage("I am here")]]
        assert turns(memory) == [("I am here", True), ("dear", False)]

    async def test_what_is_dropped_leaves_all_as_it_was(self, memory: AgentMemory, run: Run) -> None:
        with pytest.raises(ZeroDivisionError):
            await run(memory.wrap(RunnableLambda(fail)), "I am here", config())
        waiting = memory.wrap(Model({"__interrupt__": ["may I?"]}).runnable, on_abandon="drop")
        await run(waiting, "I am here", config())
        assert turns(memory) == [("I am here", True)]

    @pytest.mark.parametrize(
        "state", [{"messages": [HumanMessage("I am here"), AIMessage("half")]}, {}], ids=str
    )
    async def test_a_graph_that_waits_for_somebody_has_not_answered(
        self, memory: AgentMemory, run: Run, state: dict[str, list[BaseMessage]]
    ) -> None:
        output = {**state, "__interrupt__": ["may I?"]}
        assert await run(memory.wrap(Model(output).runnable), "I am here", config()) == output
        assert turns(memory) == [("I am here", True)]
        assert memory.long_term.list_memories(user="alice") == []
        await run(memory.wrap(Model().runnable), "I am here", config())
        assert turns(memory) == [("I am here", False), ("dear", False)]


async def test_a_write_that_is_cancelled_leaves_the_exchange_unanswered(memory: AgentMemory) -> None:
    writing, arun = asyncio.Event(), memory.transport.arun

    async def hanging(op: Any) -> Any:
        if op.__qualname__.endswith(".write"):
            next(op)
            writing.set()
            await asyncio.Event().wait()
        return await arun(op)

    memory.transport.arun = hanging  # type: ignore[method-assign]
    task = asyncio.create_task(memory.wrap(Model().runnable).ainvoke("I am here", config()))
    await writing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert turns(memory) == [("I am here", True), ("dear", True)]


def test_every_error_of_a_turn_can_carry_an_answer() -> None:
    assert AgentMemoryError("x").output is None


class TestWhatIsSaid:
    """What stands in the input in LangChain's short forms is a message, and what is none is refused."""

    @pytest.mark.parametrize(
        ("said", "stored"),
        [
            (("human", "Hi"), ["Hi"]),
            ([("system", "Be kind"), ("user", "Hi")], ["Be kind", "Hi"]),
            ([HumanMessage("a"), "b"], ["a", "b"]),
            ([], []),
        ],
    )
    async def test_short_forms_are_messages(
        self, memory: AgentMemory, run: Run, said: Any, stored: list[str]
    ) -> None:
        assert await run(memory.wrap(RunnableLambda(lambda _: "ok")), {"input": said}, config()) == "ok"
        assert contents(memory) == [*stored, "ok"]

    async def test_a_list_of_something_else_beside_messages_is_refused(
        self, memory: AgentMemory, run: Run
    ) -> None:
        with pytest.raises(InvalidInputError, match="something else"):
            await run(
                memory.wrap(RunnableLambda(lambda _: "ok")), {"input": [HumanMessage("a"), 5]}, config()
            )

    async def test_an_answer_that_is_all_there_is_is_stored_each_time(
        self, memory: AgentMemory, run: Run
    ) -> None:
        for _ in range(3):
            await run(memory.wrap(RunnableLambda(lambda _: "ok")), {"input": None}, config())
        assert contents(memory) == ["ok", "ok", "ok"]

    async def test_an_answer_that_cannot_even_be_looked_at_is_on_the_error(
        self, memory: AgentMemory, run: Run
    ) -> None:
        class Odd(dict[str, Any]):
            def get(self, *_: Any) -> Any:
                raise OSError("odd")

        answer = Odd(output="ok")
        with pytest.raises(ExchangeNotStoredError) as caught:
            memory.wrap(RunnableLambda(lambda _: answer)).invoke({"input": "Hi"}, config())
        assert caught.value.output is answer
        assert contents(memory) == ["Hi"]
