"""What matters of the results of models, tools and retrievers: a detail, and the fields of the event."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from langchain_core.messages import ToolMessage

from langchain_agentmem.events.event import MAX_NAME_BYTES, TOKENS, Fields
from langchain_agentmem.events.sanitize import describe
from langchain_agentmem.events.told import messages_in

_DOCUMENTS, _DOCUMENT_BYTES = 3, 200
_FINISHED = ("finish_reason", "stop_reason", "done_reason")
_MOST_TOKENS = 10**15


def of_model(result: Any, asked: Fields) -> tuple[Any, Fields]:
    """Return the detail and the fields of a model's end.

    Args:
        result: The `LLMResult`.
        asked: What the start told: `model` and `provider`, as far as known.
    """
    generations = [one for batch in result.generations for one in batch]
    details = [_generation(one) for one in generations]
    tokens = _tokens(generations, result.llm_output)
    if tokens and details:  # of all generations: providers do not tell it for each
        details[-1]["usage"] = tokens
    fields = {**asked, **{name: str(value) for name, value in tokens.items()}}
    told = [_told(one) for one in generations] + [_mapping(result.llm_output)]
    for name, members in {
        "model": ("model_name", "model"),
        "provider": ("model_provider",),
        "finish_reason": _FINISHED,
    }.items():
        if found := _first(told, members):
            fields[name] = found
    return details[0] if len(details) == 1 else details, fields


def of_retriever(documents: Any) -> Any:
    """Return how many documents a retriever found, and how the first ones begin."""
    texts = [describe(document.page_content, _DOCUMENT_BYTES) for document in documents[:_DOCUMENTS]]
    return {"documents": len(documents), "texts": texts}


def of_tool(output: Any) -> Fields:
    """Return the fields of a tool's end: its call's id, and `status` if the answer says that it failed."""
    found = [message for message in messages_in(output) if isinstance(message, ToolMessage)]
    fields = {"status": "error"} if any(message.status == "error" for message in found) else {}
    if len(found) == 1 and (call_id := call_id_of(found[0].tool_call_id)):
        fields["tool_call_id"] = call_id
    return fields


def of_start(metadata: Any, tool_call_id: Any) -> Fields:
    """Return the fields that come with a run's start. Other metadata may hold credentials, and is not read.

    Args:
        metadata: What LangChain, LangGraph and the caller say about the run.
        tool_call_id: The id of the tool call that it runs, if it does.
    """
    fields: Fields = {}
    if type(metadata) is dict:
        for name, member in _OF_METADATA.items():
            if (value := metadata.get(member)) and (text := label(value)):
                fields[name] = text
        step = metadata.get("langgraph_step")
        if type(step) is int and 0 <= step < _MOST_TOKENS:
            fields["step"] = str(step)
    if call_id := call_id_of(tool_call_id):
        fields["tool_call_id"] = call_id
    return fields


_OF_METADATA = {"node": "langgraph_node", "model": "ls_model_name", "provider": "ls_provider"}


def label(value: Any) -> str:
    """Return a short text as it is shown; empty if it is none."""
    return _label(value) if type(value) is str and len(value) <= MAX_NAME_BYTES else ""


@lru_cache(maxsize=1024)  # the same few recur
def _label(value: str) -> str:
    return describe(value, MAX_NAME_BYTES)


def call_id_of(value: Any) -> str:
    """Return the id of a tool call; empty if it is none."""
    return describe(value, MAX_NAME_BYTES) if type(value) is str else ""


def _generation(generation: Any) -> dict[str, Any]:
    message = getattr(generation, "message", None)
    described = {
        "text": str(generation.text),
        "tool_calls": [
            {"name": call["name"], "args": call["args"], "id": call.get("id")}
            for call in getattr(message, "tool_calls", ())
        ],
        "invalid_tool_calls": [
            {"error": call.get("error"), **{name: call.get(name) for name in ("name", "args", "id")}}
            for call in getattr(message, "invalid_tool_calls", ())
        ],
    }
    return {name: value for name, value in described.items() if value or name == "text"}


def _told(generation: Any) -> dict[str, Any]:
    """Return what a provider says about its answer."""
    message = getattr(generation, "message", None)
    return {
        **_mapping(getattr(generation, "generation_info", None)),
        **_mapping(getattr(message, "response_metadata", None)),
    }


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _first(told: list[dict[str, Any]], names: tuple[str, ...]) -> str:
    return next((text for one in told for name in names if (text := label(one.get(name)))), "")


def _tokens(generations: list[Any], llm_output: Any) -> dict[str, int]:
    """Return the tokens of a call by the names of `TOKENS`, those that are not 0."""
    found = (getattr(getattr(one, "message", None), "usage_metadata", None) for one in generations)
    usage = next((one for one in found if one), None)
    if usage is None:
        older = _mapping(_mapping(llm_output).get("token_usage") or _mapping(llm_output).get("usage"))
        usage = {
            "input_tokens": older.get("input_tokens") or older.get("prompt_tokens"),
            "output_tokens": older.get("output_tokens") or older.get("completion_tokens"),
            "total_tokens": older.get("total_tokens"),
        }
    of_input = _mapping(usage.get("input_token_details"))
    of_output = _mapping(usage.get("output_token_details"))
    tokens = {name: _number(usage.get(name)) for name in TOKENS[:3]}
    tokens["total_tokens"] = tokens["total_tokens"] or tokens["input_tokens"] + tokens["output_tokens"]
    # Providers put a tier or a time before or in place of these names: `flex_cache_read`.
    tokens["cache_read_tokens"] = _sum(of_input, "cache_read")
    tokens["cache_creation_tokens"] = _sum(of_input, "cache_creation", "input_tokens")
    tokens["reasoning_tokens"] = _sum(of_output, "reasoning")
    return {name: count for name, count in tokens.items() if count}


def _sum(details: Mapping[str, Any], *endings: str) -> int:
    return sum(_number(count) for name, count in details.items() if str(name).endswith(endings))


def _number(count: Any) -> int:
    return count if type(count) is int and 0 <= count < _MOST_TOKENS else 0
