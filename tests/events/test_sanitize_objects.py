"""Objects of all kinds, such as a chain may be given: what their methods do must not reach the chain."""

from __future__ import annotations

import dataclasses
import enum
import itertools
import json
import time
import warnings
from collections import ChainMap, Counter, OrderedDict, UserList, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from unittest.mock import MagicMock, Mock

import numpy as np
import pytest
from langchain_core.messages import BaseMessage, HumanMessage
from pydantic import create_model

from langchain_agentmem.events.sanitize import describe

SECRET = "hunter2SECRETx9"


def fail(*_: Any) -> Any:
    raise RuntimeError("no")


class Refusing:
    """Raises whatever is asked of it."""

    __getattr__ = __str__ = __repr__ = __iter__ = __len__ = __bool__ = __eq__ = __getitem__ = fail  # type: ignore[assignment]
    __class__ = property(fail)  # type: ignore[assignment]
    __hash__ = object.__hash__


class RefusingText(str):
    __len__ = __getitem__ = __str__ = __eq__ = lower = startswith = encode = fail  # type: ignore[assignment]
    __hash__ = str.__hash__


class RefusingNumber(int):
    __int__ = __ge__ = __lt__ = __eq__ = __str__ = fail  # type: ignore[assignment]
    __hash__ = int.__hash__


class RefusingFloat(float):
    __float__ = __str__ = fail  # type: ignore[assignment]


class RefusingMeta(type):
    __name__ = property(fail)  # type: ignore[assignment]


class OfRefusingMeta(metaclass=RefusingMeta):
    __str__ = fail  # type: ignore[assignment]


class RefusingError(Exception):
    __str__ = fail  # type: ignore[assignment]


class EndlessMapping(Mapping[int, int]):
    def __len__(self) -> int:
        return 3

    def __getitem__(self, key: int) -> int:
        return key

    def __iter__(self) -> Iterator[int]:
        return itertools.count()


class EndlessList(list[int]):
    def __iter__(self) -> Iterator[int]:
        return itertools.count()

    def __len__(self) -> int:
        return 5


class ListOfLength(list[int]):
    length = 0

    def __len__(self) -> int:
        return self.length


class LongList(ListOfLength):
    length = 10**12


class NegativeList(ListOfLength):
    length = -1


class Query:
    """Does work as soon as it is looked into, like a query of an ORM or a table of a data frame."""

    looked = 0

    def __iter__(self) -> Iterator[int]:
        self.looked += 1
        return itertools.count()

    def __len__(self) -> int:
        self.looked += 1
        return 3

    __repr__ = __str__ = lambda self: f"{len(self)}"  # type: ignore[assignment]


class OwnEnum(enum.Enum):
    RED = 1

    @property
    def value(self) -> OwnEnum:
        return self


@dataclasses.dataclass
class Place:
    city: str = "Rome"
    mayor: str = "Ann"


class Unreadable(Place):
    mayor = property(fail, lambda *_: None)  # type: ignore[assignment]


def deep(levels: int) -> Any:
    value: Any = "end"
    for _ in range(levels):
        value = [value]
    return value


def wide() -> Any:
    value: list[Any] = []
    value.extend([value] * 50)
    return value


@pytest.mark.parametrize(
    ("make", "described"),
    [
        (lambda: Refusing(), "<Refusing>"),
        (lambda: [1, Refusing()], '[1,"<Refusing>"]'),
        (
            lambda: {"name": Refusing(), "tokens": Refusing(), "a": 1},
            '{"name":"<Refusing>","tokens":"<Refusing>","a":1}',
        ),
        (lambda: {Refusing(): 1, "a": 2}, '{"<Refusing>":1,"a":2}'),
        (lambda: RefusingText("text"), "text"),
        (lambda: {RefusingText("key"): RefusingText("text")}, '{"key":"text"}'),
        (lambda: RefusingNumber(3), "3"),
        (lambda: RefusingFloat(1.5), "1.5"),
        (lambda: OfRefusingMeta(), "<OfRefusingMeta>"),
        (lambda: RefusingError(), "<RefusingError>"),
        (lambda: OwnEnum.RED, "<OwnEnum>"),
        (lambda: NegativeList([1]), "<NegativeList>"),
        (lambda: LongList([1]), '[{"…":"999,999,999,999 earlier items"},1]'),
        (lambda: ListOfLength([1, 2]), "[1,2]"),
        (lambda: Unreadable(), '{"city":"Rome","mayor":"RuntimeError: no"}'),
        (lambda: deep(100_000), "[" * 12 + '"<list>"' + "]" * 12),
        (lambda: 10**5000, "<int>"),
        (lambda: {10**5000: 1, (1, 2): 3, None: 4}, '{"<int>":1,"(1, 2)":3,"None":4}'),
        (lambda: b"x" * 10_000_000, "<10,000,000 bytes>"),
        (lambda: memoryview(b"abc"), "<3 bytes>"),
        (lambda: 1j, "1j"),
        (lambda: range(3), "[0,1,2]"),
        (lambda: frozenset({1}), "[1]"),
        (lambda: deque([1, 2]), "[1,2]"),
        (lambda: {"a": 1}.values(), "[1]"),
        (lambda: defaultdict(list, {1: [2]}), '{"1":[2]}'),
        (lambda: OrderedDict(a=1), '{"a":1}'),
        (lambda: ChainMap({"a": 1}), '{"a":1}'),
        (lambda: Counter("aab"), '{"a":2,"b":1}'),
        (lambda: UserList([1]), "<UserList>"),
        (lambda: np.zeros((1000, 1000)), "<ndarray>"),
        (
            lambda: {"score": np.float64(1.5), "n": np.int64(2), "s": np.str_("x")},
            '{"score":1.5,"n":"2","s":"x"}',
        ),
        (lambda: np.float32(0.5), "0.5"),
        (lambda: [np.bool_(True)], '["True"]'),
        (lambda: {"input": np.zeros(3)}, '{"input":"<ndarray>"}'),
        (lambda: MagicMock(), "<MagicMock>"),
        (lambda: Mock(spec=BaseMessage), "<Mock>"),
    ],
)
def test_an_odd_object_is_told_as_far_as_it_can_be(make: Callable[[], Any], described: str) -> None:
    value = make()  # not a parameter: pytest itself could not tell what it is
    assert describe(value, 2000) == described
    for limit in (1, 3, 5, 20, 50):
        assert len(describe(value, limit).encode()) <= limit


@pytest.mark.parametrize(
    "value", [EndlessMapping(), EndlessList([1]), wide()], ids=["mapping", "list", "wide"]
)
def test_what_has_no_end_is_cut(value: Any) -> None:
    for limit in (5, 50, 500, 5000):
        began = time.perf_counter()
        described = describe(value, limit)
        assert time.perf_counter() - began < 1
        assert len(described.encode()) <= limit
        json.loads(described)


def test_nothing_is_consumed() -> None:
    def numbers() -> Iterator[int]:
        yield from (1, 2)

    generator, mapped, iterator, query = numbers(), map(str, [1]), iter([1]), Query()
    described = describe({"input": generator, "b": [mapped, iterator], "c": query}, 2000)
    assert described == '{"input":"<generator>","b":["<map>","<list_iterator>"],"c":"<Query>"}'
    assert [describe(value, 5) for value in (generator, mapped, iterator, query)]
    assert ([*generator], [*mapped], [*iterator], query.looked) == ([1, 2], ["1"], [1], 0)


def test_models_of_pydantic_1_are_told_without_secrets() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it does not know the newest versions of Python
        v1 = pytest.importorskip("pydantic.v1")

        class Account(v1.BaseModel):  # type: ignore[misc, name-defined]
            api_key: str = SECRET
            note: v1.SecretStr = v1.SecretStr(SECRET)  # type: ignore[name-defined]
            city: str = "Rome"

        described = describe(Account(), 2000)
    assert described == '{"api_key":"[redacted]","note":"**********","city":"Rome"}'


def test_of_a_model_of_many_fields_it_is_said_how_many_are_left_out() -> None:
    fields: dict[str, Any] = {f"field{number}": (int, number) for number in range(50)}
    for limit in (120, 300):
        described = json.loads(describe(create_model("Large", **fields)(), limit))
        assert described.pop("…") == f"{50 - len(described)} more"
        assert described["field0"] == 0


def test_an_image_in_a_message_takes_no_room() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    described = json.loads(describe([HumanMessage([{"type": "text", "text": "b" * 1800}, image])], 2000))
    text, shown = described[0]["content"]
    assert text["text"] == "b" * 1800
    assert shown["image_url"]["url"] == "data:image/png;base64,…(100,022 characters)"
