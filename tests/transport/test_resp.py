"""Commands are packed as redis-py packs them, with hiredis and without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.connection import Encoder, PythonRespSerializer

from langchain_agentmem.core.operations import reads, writes
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.transport import resp

arguments = st.one_of(st.binary(), st.text(), st.integers(), st.floats())
PACKERS = [resp.pack_in_python, hiredis.pack_command]


@given(st.lists(arguments, max_size=6))
def test_every_packer_packs_what_redis_py_does(rest: list[Any]) -> None:
    args = ("SET", *rest)
    encoder = Encoder("utf-8", "strict", False)
    expected = b"".join(PythonRespSerializer(6000, encoder.encode).pack(*args))
    assert [pack(args) for pack in PACKERS] == [expected, expected]


def test_a_batch_is_packed_in_order() -> None:
    batch = [writes("SET", "k", "é", "EX", 5), reads("GET", b"k")]
    assert resp.pack(batch) == (
        b"*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\xc3\xa9\r\n$2\r\nEX\r\n$1\r\n5\r\n"
        b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
    )


@pytest.mark.parametrize("pack", PACKERS, ids=["python", "hiredis"])
@pytest.mark.parametrize("argument", ["\ud800", True, None, [1], 1j], ids=repr)
def test_what_cannot_be_sent_is_refused(
    pack: Callable[..., bytes], argument: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resp, "pack_command", pack)
    with pytest.raises(InvalidInputError, match="cannot be sent"):
        resp.pack([writes("SET", "k", argument)])
