"""What the results of models and tools tell, in the forms that providers give them."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult

from langchain_agentmem.events.outcomes import of_model, of_start, of_tool


def chat(*messages: AIMessage, info: Any = None, llm_output: Any = None) -> LLMResult:
    made = [ChatGeneration(message=message, generation_info=info) for message in messages]
    return LLMResult(generations=[made], llm_output=llm_output)


def answer(text: str = "hi", **members: Any) -> AIMessage:
    return AIMessage(text, **members)


def usage(**details: Any) -> dict[str, Any]:
    return {"input_tokens": 30, "output_tokens": 5, "total_tokens": 35, **details}


TOTALS = {"input_tokens": "30", "output_tokens": "5", "total_tokens": "35"}


@pytest.mark.parametrize(
    ("told", "model", "reason"),
    [
        ({"model_name": "gpt-x", "finish_reason": "stop"}, "gpt-x", "stop"),
        ({"model": "claude-x", "stop_reason": "end_turn"}, "claude-x", "end_turn"),
        ({"model": "llama", "done_reason": "load"}, "llama", "load"),
        ({"finish_reason": None, "model_name": 5}, "asked-for", None),
    ],
)
def test_the_model_and_why_it_stopped_whatever_the_provider_calls_it(
    told: dict[str, Any], model: str, reason: str | None
) -> None:
    _, fields = of_model(chat(answer(response_metadata=told)), {"model": "asked-for"})
    assert (fields["model"], fields.get("finish_reason")) == (model, reason)


def test_what_a_completing_model_tells_stands_beside_its_answer() -> None:
    result = LLMResult(
        generations=[[Generation(text="hi", generation_info={"finish_reason": "length"})]],
        llm_output={
            "model_name": "old",
            "token_usage": {"prompt_tokens": 30, "completion_tokens": 5, "total_tokens": 35},
        },
    )
    detail, fields = of_model(result, {})
    assert fields == {**TOTALS, "model": "old", "finish_reason": "length"}
    assert detail == {"text": "hi", "usage": {"input_tokens": 30, "output_tokens": 5, "total_tokens": 35}}


@pytest.mark.parametrize(
    ("details", "told"),
    [
        ({"input_token_details": {"cache_read": 20, "cache_creation": 7}}, ("20", "7", None)),
        ({"input_token_details": {"flex_cache_read": 20}}, ("20", None, None)),
        (
            {"input_token_details": {"cache_creation": 0, "ephemeral_5m_input_tokens": 4}},
            (None, "4", None),
        ),
        ({"output_token_details": {"reasoning": 3, "audio": 2}}, (None, None, "3")),
        ({"input_token_details": None, "output_token_details": 5}, (None, None, None)),
    ],
)
def test_cached_and_reasoning_tokens(details: dict[str, Any], told: tuple[str | None, ...]) -> None:
    message = answer()
    message.usage_metadata = usage(**details)  # type: ignore[assignment]
    _, fields = of_model(chat(message), {})
    names = ("cache_read_tokens", "cache_creation_tokens", "reasoning_tokens")
    assert tuple(fields.get(name) for name in names) == told
    assert fields.items() >= TOTALS.items()


@pytest.mark.parametrize("odd", [-1, True, 1.5, "7", None, 10**20])
def test_a_count_that_is_none_is_left_out(odd: Any) -> None:
    message = answer()
    message.usage_metadata = usage(input_tokens=odd)  # type: ignore[assignment]
    _, fields = of_model(chat(message), {})
    assert fields == {"output_tokens": "5", "total_tokens": "35"}


def test_several_answers_of_one_call_count_its_usage_once() -> None:
    one, other = (answer(text, usage_metadata=usage()) for text in ("a", "b"))
    detail, fields = of_model(chat(one, other), {})
    assert fields == TOTALS
    assert [member["text"] for member in detail] == ["a", "b"]


def test_a_call_that_the_model_spelt_wrong_is_told_with_its_error() -> None:
    call = {"name": "look", "args": "{oops", "id": "c1", "error": "no JSON", "type": "invalid_tool_call"}
    detail, _ = of_model(chat(answer(invalid_tool_calls=[call])), {})
    assert detail["invalid_tool_calls"] == [{"error": "no JSON", "name": "look", "args": "{oops", "id": "c1"}]


@pytest.mark.parametrize(
    "metadata",
    [None, {}, {"langgraph_step": True}, {"langgraph_node": 5, "ls_model_name": ["m"]}, {"api_key": "x"}, 5],
)
def test_of_metadata_nothing_else_is_taken(metadata: Any) -> None:
    assert of_start(metadata, None) == {}


def test_names_that_are_no_names_are_not_taken() -> None:
    told = {"langgraph_node": "n" * 201, "langgraph_step": -1, "ls_provider": "password=hunter2 x"}
    assert of_start(told, "c1") == {"provider": "password=[redacted] x", "tool_call_id": "c1"}


def test_a_tool_that_answers_with_several_messages() -> None:
    answers = [ToolMessage("a", tool_call_id="c1"), ToolMessage("b", tool_call_id="c2", status="error")]
    assert of_tool(answers) == {"status": "error"}
    assert of_tool({"messages": answers[:1]}) == {"tool_call_id": "c1"}
    assert of_tool("text") == {}
