"""Describe the API, by the models that check its requests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from langchain_agentmem.demo.models import ApiRequest

_REFUSALS = {
    "400": "The request is not usable",
    "401": "The token is missing or wrong",
    "403": "Another user's thread, or a request from another site",
    "409": "The store is not the demo's",
    "413": "The body is too long",
    "415": "The body is not JSON",
    "421": "The server is not known by that name",
    "502": "The model failed",
    "503": "Redis failed",
}


def document(paths: Iterable[tuple[str, str, type[ApiRequest], str]]) -> dict[str, Any]:
    """Return an OpenAPI document.

    Args:
        paths: For each, its method, its path, its request and a summary.
    """
    described: dict[str, Any] = {}
    for method, path, model, summary in paths:
        schema = model.model_json_schema()
        operation: dict[str, Any] = {"summary": summary, "responses": _responses()}
        if method == "GET":
            operation["parameters"] = [
                {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": one}
                for name, one in schema.get("properties", {}).items()
            ]
        else:
            operation["requestBody"] = {"required": True, "content": _json(schema)}
        described.setdefault(path, {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "langchain-agentmem demo", "version": "1"},
        "paths": described,
    }


def _responses() -> dict[str, Any]:
    failed = {
        "type": "object",
        "properties": {"error": {"type": "string"}},
        "required": ["error"],
        "additionalProperties": False,
    }
    answers = {"200": {"description": "Done", "content": _json({"type": "object"})}}
    return answers | {
        status: {"description": why, "content": _json(failed)} for status, why in _REFUSALS.items()
    }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
