"""What makes two texts the same memory: equal forms in the same scope, which have the same digest.

A digest is found without a search: it is the id of the memory, unless the caller chose that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from langchain_agentmem.core import json
from langchain_agentmem.core.checks import utf8
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.longterm.same_fact import canonical_text
from langchain_agentmem.longterm.types import Dedup, Scope

_DIGITS = 32


def digest(rule: Dedup, scope: Scope, text: str) -> str | None:
    """Return 32 hexadecimal digits that all texts of a scope have in common which say the same.

    Args:
        rule: `same` compares canonical forms, `exact` texts, a function what it returns.
        scope: A user, a namespace and a kind.
        text: The memory.

    Returns:
        `None` if the rule compares otherwise (`near`), or not at all (`None`).

    Raises:
        InvalidInputError: The function failed, or returned no text.
    """
    if rule is None or rule == "near":
        return None
    name, form = ("key", _key(rule, text)) if callable(rule) else (rule, _FORMS[rule](text))
    said = json.dumps([name, scope.user, scope.namespace, scope.kind, form])
    return hashlib.sha256(said).hexdigest()[:_DIGITS]


def _exact(text: str) -> str:
    return text


_FORMS: dict[str, Callable[[str], str]] = {"same": canonical_text, "exact": _exact}


def _key(rule: Callable[[str], str], text: str) -> str:
    try:
        key = rule(text)
    except Exception as error:
        raise InvalidInputError(
            f"The function given as dedup failed: {type(error).__name__}: {error}"
        ) from error
    utf8("what the function given as dedup returns", key)
    return key
