"""Writes docs/reference.md between its markers, from the code: `python docs/generate_reference.py`.

A test compares the page with `rendered()`, so that it cannot go stale.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr

import langchain_agentmem
from langchain_agentmem import AgentMemorySettings, errors

PAGE = Path(__file__).with_name("reference.md")
PACKAGE = "langchain_agentmem."
# What tiers and chains share between them, and what LangChain calls: nothing that a user calls.
_INTERNAL = re.compile(
    r".*_op|write_batches|id_of|check_\w+|drafting|draft|query|search|vector|buffer|count_dropped|put|encode|write_commands|with_sessions|noted_ttl_seconds|on_\w+|run_inline|model_\w+"
)
# Defaults that are made, not stated.
_DEFAULTS = {
    "url": "`REDIS_URL`, `UPSTASH_REDIS_REST_URL`, else `embedded://`",
    "token": "`UPSTASH_REDIS_REST_TOKEN` on Upstash, else `None`",
    "session_storage": '`"hash"`; `"list"` on Upstash',
    "session_ttl_seconds": "`3600`; `None` in a list",
    "threads_prefix": '`"agent:threads:"`',
    "memory_prefix": '`"agent:mem:"`; `"memory:"` on Upstash',
    "store_prefix": '`"agent:store:"`',
    "tasks_prefix": '`"agent:tasks:"`',
    "index_name": '`"agentmem:idx"`; `"memories"` on Upstash',
}


def rendered(page: str) -> str:
    """The page with everything between its markers written anew."""
    for name, write in (("settings", _settings), ("names", _names), ("errors", _errors)):
        begin, end = f"<!-- {name}: generated -->\n", f"<!-- end of {name} -->"
        before, found, rest = page.partition(begin)
        _, ended, after = rest.partition(end)
        if not (found and ended):
            raise ValueError(f"{PAGE.name} has no markers for {name}")
        page = "".join((before, begin, "\n", "\n".join(write()).rstrip(), "\n\n", end, after))
    return page


def _settings() -> Iterator[str]:
    yield from ("| setting | type | default | environment | |", "|---|---|---|---|---|")
    for name, field in AgentMemorySettings.model_fields.items():
        default = f"`{_literal(field.default)}`" if field.default_factory is None else _DEFAULTS[name]
        description = field.description
        kind, variable = _type(field.annotation), f"AGENTMEM_{name.upper()}"
        yield f"| `{name}` | {kind} | {default} | `{variable}` | {description} |"


def _names() -> Iterator[str]:
    for name in sorted([*langchain_agentmem.__all__, *langchain_agentmem._OF_AGENTS]):
        cls = getattr(langchain_agentmem, name)
        yield f"### {name}\n"
        fields = _fields(cls)
        if not fields and cls is not AgentMemorySettings:
            yield f"```text\n{_constructor(name, cls)}\n```\n"
        yield f"{_summary(cls)}\n"
        if fields:
            yield from ("| field | |", "|---|---|")
            yield from (f"| `{_cell(field)}` | {said} |" for field, said in fields)
            yield ""
        members = list(_members(cls)) if inspect.isclass(cls) else []
        if members:
            yield from ("| member | |", "|---|---|")
            yield from (_row(cls, attribute, value) for attribute, value in members)
            yield ""


def _errors() -> Iterator[str]:
    drawing = (errors.__doc__ or "").partition("::\n\n")[2].partition("\n\n")[0]
    yield f"```text\n{inspect.cleandoc(drawing)}\n```"


def _fields(cls: Any) -> list[tuple[str, str]]:
    """The fields of a dataclass or a pydantic model, and what its docstring says of them."""
    said = _attributes(cls)
    if dataclasses.is_dataclass(cls):
        return [
            (_parameter(f.name, f.type, _default(f.default, f.default_factory)), said.get(f.name, ""))
            for f in dataclasses.fields(cls)
            if f.name[0] != "_"
        ]
    if not hasattr(cls, "model_fields") or cls is AgentMemorySettings:
        return []
    found = []
    for name, annotation in inspect.get_annotations(cls).items():
        field = cls.model_fields[name]
        default = (
            inspect.Parameter.empty if field.is_required() else field.get_default(call_default_factory=True)
        )
        found.append((_parameter(name, annotation, default), said.get(name, "")))
    return found


def _default(value: Any, factory: Any) -> Any:
    if factory is not dataclasses.MISSING:
        return factory()
    return inspect.Parameter.empty if value is dataclasses.MISSING else value


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """Public members that this package defines, in their order; those of a twin are left out."""
    found: dict[str, Any] = {}
    for base in cls.__mro__:  # what is the class's own comes first
        if base.__module__.startswith(PACKAGE):
            found = {**found, **{n: v for n, v in vars(base).items() if n[0] != "_" and n not in found}}
    for name, value in found.items():
        plain = getattr(value, "__func__", value)
        documented = inspect.isfunction(plain) or (hasattr(plain, "__get__") and plain.__doc__)
        slot = inspect.ismemberdescriptor(plain)
        twin = name[0] == "a" and name[1:] in found
        if documented and not (slot or twin or _INTERNAL.fullmatch(name)):
            yield name, plain


def _row(cls: type, name: str, member: Any) -> str:
    call = name
    if inspect.isfunction(member):
        parameters = [
            _parameter(p.name, p.annotation, p.default, p.kind)
            for p in _without_self(inspect.signature(member))
        ]
        returned = inspect.signature(member).return_annotation
        call = f"{name}({', '.join(_with_star(member, parameters))}) -> {_annotation(returned)}"
    twin = f" *Async: `a{name}`.*" if hasattr(cls, f"a{name}") else ""
    return f"| `{_cell(call)}` | {_summary(member)}{twin} |"


def _constructor(name: str, cls: type) -> str:
    called = cls.__call__ if getattr(cls, "_is_protocol", False) else cls  # a protocol is not made, but met
    parameters = [
        _parameter(p.name, p.annotation, p.default, p.kind) for p in _without_self(inspect.signature(called))
    ]
    parameters = _with_star(called, parameters)
    whole = f"{name}({', '.join(parameters)})"
    return whole if len(whole) <= 100 else "\n".join([f"{name}(", *(f"    {p}," for p in parameters), ")"])


def _without_self(signature: inspect.Signature) -> list[inspect.Parameter]:
    return [p for p in signature.parameters.values() if p.name not in ("self", "cls")]


def _with_star(function: Any, parameters: list[str]) -> list[str]:
    kinds = [p.kind for p in _without_self(inspect.signature(function))]
    if inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
        at = kinds.index(inspect.Parameter.KEYWORD_ONLY)
        return [*parameters[:at], "*", *parameters[at:]]
    return parameters


def _parameter(name: str, annotation: Any, default: Any, kind: Any = None) -> str:
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}.get(kind, "")
    shown = f"{stars}{name}: {_annotation(annotation)}"
    return shown if default is inspect.Parameter.empty else f"{shown} = {_literal(default)}"


def _annotation(annotation: Any) -> str:
    """An annotation, which is a string in this package, in words that a user knows."""
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    return text.replace("EllipsisType", "...").replace("Ttl", "int | ... | None")


def _literal(value: Any) -> str:
    if inspect.isfunction(value):
        return value.__name__
    return "..." if value is ... else repr(value).replace("'", '"')


def _type(annotation: Any) -> str:
    """The type of a setting, in words."""
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(annotation))
    arguments = get_args(annotation)
    if NoneType in arguments:
        others = [one for one in arguments if one is not NoneType]
        return f"{' or '.join(map(_type, others))}, or `None`"
    if get_origin(annotation) is Callable:
        return "a function"
    if get_origin(annotation) is dict:
        return "a time to live for each kind"
    bare = arguments[0] if arguments else annotation
    return {str: "text", SecretStr: "text", int: "whole number", float: "number", bool: "`True` or `False`"}[
        bare
    ]


def _summary(described: Any) -> str:
    return " ".join((inspect.getdoc(described) or "").partition("\n\n")[0].split())


def _attributes(cls: type) -> dict[str, str]:
    """The attributes in a docstring, and what it says of them."""
    said: dict[str, str] = {}
    name = ""
    for line in (inspect.getdoc(cls) or "").partition("Attributes:\n")[2].splitlines():
        if begins := re.match(r" {4}(\w+): (.*)", line):
            name, said[begins[1]] = begins[1], begins[2]
        elif line.startswith("        ") and name:
            said[name] += " " + line.strip()
        else:
            break
    return said


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text("utf-8")), "utf-8")
