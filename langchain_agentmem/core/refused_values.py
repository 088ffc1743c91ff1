"""Says in plain words why a setting was refused: pydantic's own words are for programmers, and long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

_WHOLE, _NUMBER = "must be a whole number", "must be a number"
_BY_TYPE: Mapping[str, str] = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float", "int_parsing_size"), _WHOLE),
    **dict.fromkeys(("float_parsing", "float_type", "finite_number"), _NUMBER),
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "literal_error": "must be {expected}",
    "string_too_short": "must not be empty",
    "string_type": "must be a text",
    "dict_type": 'must be a JSON object, such as {{"episodic": 604800}}',
    "value_error": "{error}",
}
_CONSEQUENCES = ("default_factory_not_called", "callable_type")
"""What only follows from another error, or names a second way that the environment has not."""


def sentences(
    error: ValidationError, fields: Mapping[str, FieldInfo], name_of: Callable[[str], str]
) -> Iterable[str]:
    """Yield why each setting was refused, without its value, which may be a secret.

    Args:
        error: What pydantic raised.
        fields: The settings.
        name_of: Returns how whoever gave a setting calls it, by its field.
    """
    for item in error.errors(include_input=False, include_url=False):
        if item["type"] not in _CONSEQUENCES:
            yield _sentence(item, fields, name_of)


def _sentence(item: ErrorDetails, fields: Mapping[str, FieldInfo], name_of: Callable[[str], str]) -> str:
    says = _BY_TYPE.get(item["type"], item["msg"]).format_map(item.get("ctx", {}))
    if not item["loc"]:
        return says
    field, *members = map(str, item["loc"])
    name = name_of(field)
    if field not in fields:
        return f"{name} {says}"
    annotation: Any = fields[field].annotation
    if members and get_origin(annotation) is dict:  # else it is a way to read the value, of several
        name, annotation = f"{name}: {members[0]}", get_args(annotation)[1]
    nothing = ", or none" if type(None) in get_args(annotation) else ""
    return f"{name} {says}{nothing}"
