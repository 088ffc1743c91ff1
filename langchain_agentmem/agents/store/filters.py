"""Filters of a search, as LangGraph's `InMemoryStore` reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import ge, gt, le, lt
from typing import Any

from langchain_agentmem.agents.store.documents import StoredItem, equal
from langchain_agentmem.errors import InvalidInputError

_ORDERS: dict[str, Callable[[float, float], bool]] = {"$gt": gt, "$gte": ge, "$lt": lt, "$lte": le}
_OPERATORS = ("$eq", "$ne", *_ORDERS)


class ItemFilter:
    """The conditions that items have to meet, by the names of their value's members.

    A condition is a value that the member equals; a dict of conditions for the members of a nested dict; a
    list of conditions, one per element; or a dict of operators: `$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte`.
    The last four compare as numbers. A member that is not there, or is null, is neither greater nor less than
    anything.

    Args:
        conditions: The conditions; `None` for none.

    Raises:
        InvalidInputError: They are none: an operator is not known, or compares with what is no number.
    """

    def __init__(self, conditions: Mapping[str, Any] | None) -> None:
        if conditions is not None and not isinstance(conditions, Mapping):
            raise InvalidInputError(f"filter must be a dict, not {type(conditions).__name__}.")
        self._conditions = dict(conditions or {})
        for name, condition in self._conditions.items():
            if not isinstance(name, str):
                raise InvalidInputError(f"filter has the name {name!r}, which is no string.")
            if name.startswith("$"):
                raise InvalidInputError(f"filter has {name!r} where the name of a member belongs.")
            _check(condition)
        tags = {name: _tag(name, condition) for name, condition in self._conditions.items()}
        self.tags = [tag for tag in tags.values() if tag is not None]
        """The tags in the index that each item that meets the filter has; others may have them too."""

    def __bool__(self) -> bool:
        return bool(self._conditions)

    def meets(self, item: StoredItem) -> bool:
        """Return whether an item meets all conditions.

        Raises:
            InvalidInputError: A member that is to be compared as a number is none.
        """
        try:
            return all(_meets(item.value.get(name), one) for name, one in self._conditions.items())
        except _NoNumber as error:
            raise InvalidInputError(
                f"The item {item.key!r} in {item.namespace} has {error} where the filter compares numbers."
            ) from error


class _NoNumber(Exception):  # noqa: N818 - a signal, never seen outside
    pass


def _tag(name: str, condition: Any) -> str | None:
    if isinstance(condition, Mapping):
        return equal(name, condition["$eq"]) if condition.keys() == {"$eq"} else None
    return equal(name, condition)


def _check(condition: Any) -> None:
    if isinstance(condition, list | tuple):
        for one in condition:
            _check(one)
    if not isinstance(condition, Mapping):
        return
    for name in condition:
        if not isinstance(name, str):
            raise InvalidInputError(f"filter has the name {name!r}, which is no string.")
    if not _has_operators(condition):
        for one in condition.values():
            _check(one)
        return
    for name, operand in condition.items():
        if name not in _OPERATORS:
            raise InvalidInputError(f"filter has {name!r}; the operators are {', '.join(_OPERATORS)}.")
        if name in _ORDERS:
            try:
                _number(operand)
            except _NoNumber as error:
                raise InvalidInputError(
                    f"filter compares by {name} with {error}, which is no number."
                ) from error


def _has_operators(condition: Mapping[str, Any]) -> bool:
    return any(name.startswith("$") for name in condition)


def _meets(value: Any, condition: Any) -> bool:
    if isinstance(condition, Mapping):
        if _has_operators(condition):
            return all(_compares(value, name, operand) for name, operand in condition.items())
        return isinstance(value, dict) and all(
            _meets(value.get(name), one) for name, one in condition.items()
        )
    if isinstance(condition, list | tuple):
        return (
            isinstance(value, list)
            and len(value) == len(condition)
            and all(_meets(one, wanted) for one, wanted in zip(value, condition, strict=True))
        )
    return bool(value == condition)


def _compares(value: Any, operator: str, operand: Any) -> bool:
    if operator in _ORDERS:
        return value is not None and _ORDERS[operator](_number(value), _number(operand))
    return bool(value == operand) is (operator == "$eq")


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise _NoNumber(repr(value)[:80]) from error
