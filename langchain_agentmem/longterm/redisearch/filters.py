"""Search filters: the scope's, which is exact, and the user's, which may only narrow it.

redisvl builds both. A user's filter stands in parentheses beside the scope's; one whose own
parentheses or quotes do not match, and which could so end the group it stands in, is refused. (Rows
are checked against the scope again when they come back, so nothing rests on this alone.)
"""

from __future__ import annotations

import re
from functools import lru_cache, reduce
from itertools import product
from operator import and_
from typing import TYPE_CHECKING

from langchain_agentmem.core.checks import utf8
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.longterm.types import Scope

if TYPE_CHECKING:
    from redisvl.query.filter import FilterExpression as FilterExpression

_CLOSES = {")": "(", "]": "[", "}": "{"}
_RANGE = re.compile(r"\[\(?[\w.+-]+ \(?[\w.+-]+\]")  # [(5 +inf]: a parenthesis there opens no group
_VERBATIM = re.compile(r"w'(?:[^'\\]|\\.)*'", re.DOTALL)


@lru_cache(maxsize=1024)
def condition(scope: Scope) -> str:
    """Return the search condition for a scope."""
    from redisvl.query.filter import Tag

    named = zip(("user", "namespace", "kind"), scope.tags(), strict=True)
    conditions = [Tag(field) == value for field, value in named if value]
    if not conditions:
        return "*"
    rendered = str(reduce(and_, conditions))
    return rendered if rendered.startswith("(") else f"({rendered})"


def narrowed(scope: Scope, filter: FilterExpression) -> str:
    """Return the search condition for a scope, narrowed by a filter.

    Raises:
        InvalidInputError: The filter is not a redisvl `FilterExpression`, or does not stand alone.
    """
    scoped, own = condition(scope), _rendered(filter)
    if own == "*":
        return scoped
    return f"({own})" if scoped == "*" else f"({scoped} ({own}))"


def _rendered(filter: FilterExpression) -> str:
    from redisvl.query.filter import FilterExpression

    if not isinstance(filter, FilterExpression):
        raise InvalidInputError(
            f"filter must be a redisvl FilterExpression, such as Tag('source_thread') == 't1', "
            f"not {type(filter).__name__}."
        )
    try:
        text = str(filter)
    except (ValueError, TypeError) as error:
        raise InvalidInputError(f"filter cannot be rendered: {error}") from error
    utf8("filter", text)
    # Servers differ in what quotes hide, so it must be balanced in every reading.
    plain = _RANGE.sub("", text)
    for reading, escapes in product((plain, _VERBATIM.sub("", plain)), (True, False)):
        if not _balanced(reading, escapes_in_quotes=escapes):
            raise InvalidInputError(f"filter has brackets or quotes that do not match: {text}")
    return text.strip() or "*"


def _balanced(text: str, *, escapes_in_quotes: bool) -> bool:
    opened: list[str] = []
    quoted = False
    characters = iter(text)
    for character in characters:
        if character == "\\" and (escapes_in_quotes or not quoted):
            if next(characters, None) is None:
                return False
        elif character == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif character in "([{":
            opened.append(character)
        elif character in _CLOSES and (not opened or opened.pop() != _CLOSES[character]):
            return False
    return not opened and not quoted
