"""Commands as lines: read back by redis-cli's own rules, and shortened for people."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from langchain_agentmem.core.scripts import Script
from langchain_agentmem.errors import StoreError
from langchain_agentmem.transport.command_text import line, reply_text, short_line

_BLANKS = b" \t\n\v\f\r"
_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}
VECTOR = struct.pack("<384f", *(one / 384 for one in range(384)))


def split(typed: bytes) -> list[bytes]:
    """Split a line as `sdssplitargs` does, with which redis-cli reads it. Neither has unbalanced quotes."""
    found: list[bytes] = []
    at = 0
    while True:
        while at < len(typed) and typed[at : at + 1] in (bytes([one]) for one in _BLANKS):
            at += 1
        if at >= len(typed):
            return found
        word, quote = b"", b""
        while at < len(typed):
            one = typed[at : at + 1]
            if quote == b'"' and one == b"\\" and typed[at + 1 : at + 2] == b"x":
                word += bytes([int(typed[at + 2 : at + 4], 16)])
                at += 3
            elif quote == b'"' and one == b"\\":
                at += 1
                word += _LETTERS.get(typed[at : at + 1], typed[at : at + 1])
            elif quote == b"'" and typed[at : at + 2] == b"\\'":
                at += 1
                word += b"'"
            elif quote and one == quote:
                assert typed[at + 1 : at + 2] in (b"", b" "), "a closing quote ends a word"
                quote = b""
            elif quote:
                word += one
            elif one in b" \n\r\t\0":
                break
            elif one in b"\"'":
                quote = one
            else:
                word += one
            at += 1
        assert not quote, "unbalanced"
        found.append(word)


def test_the_rules_are_those_of_redis_cli() -> None:
    assert split(rb"""GET  a"b\x00\"\n"  'it\'s \n' """) == [b"GET", b'ab\x00"\n', rb"it's \n"]


ARGUMENTS = st.lists(st.one_of(st.text(), st.binary(), st.integers(), st.floats()), min_size=1)


@given(ARGUMENTS)
@example(["SET", "", '"', "'", "\\", "\\x41", "a b", "#", "\x00", "\x85", "são João", "👨‍👩‍👧", "\u202e"])
@example([b"\xff\xfe", b"caf\xc3", VECTOR, "\n", "\\n", '\\"'])
def test_a_line_is_read_back_byte_for_byte(args: list[Any]) -> None:
    written = line(args)
    assert "\n" not in written
    assert split(written.encode()) == [
        one if isinstance(one, bytes) else str(one).encode("utf-8", "surrogatepass") for one in args
    ]


def test_plain_words_and_readable_text_stand_as_they_are() -> None:
    args = (
        "SET",
        "agent:mem:{a}",
        "lives in Porto – “são João”",
        3600,
        0.5,
        b"\x00\xffa",
        "2026-11-29",
        "it's",
    )
    assert line(args) == (
        'SET agent:mem:{a} "lives in Porto – “são João”" 3600 0.5 "\\x00\\xffa" 2026-11-29 "it\'s"'
    )


def test_what_cannot_be_sent_can_be_shown() -> None:
    assert line(["SET", "k", "\ud800"]) == 'SET k "\\xed\\xa0\\x80"'


@given(ARGUMENTS, st.sampled_from((2, 4)))
def test_a_short_line_is_one_line_of_about_300_characters(args: list[Any], vector_bytes: int) -> None:
    short = short_line(args, vector_bytes)
    assert "\n" not in short
    assert len(short) <= 310


@given(ARGUMENTS)
def test_a_command_without_vectors_and_long_values_is_not_shortened(args: list[Any]) -> None:
    whole = line(args)
    if len(whole) < 100 and not any(isinstance(one, bytes) for one in args):
        assert short_line(args, 4) == whole


@pytest.mark.parametrize(("vector_bytes", "shown"), [(4, "<384 floats>"), (2, "<768 floats>")])
def test_a_vector_is_told_by_its_length(vector_bytes: int, shown: str) -> None:
    assert short_line(["FT.SEARCH", "idx", "*", "vector", VECTOR], vector_bytes) == (
        f"FT.SEARCH idx * vector {shown}"
    )


def test_a_vector_in_json_is_told_by_its_length() -> None:
    numbers = ",".join(["0.25", "-1e-05", "3"] * 5)
    assert short_line(["JSON.SET", "k", "$", f'{{"t":[1,2],"e":[{numbers}]}}'], 4) == (
        'JSON.SET k $ "{\\"t\\":[1,2],\\"e\\":<15 floats>}"'
    )


def test_json_and_text_with_joined_emoji_are_no_vectors() -> None:
    text = '{"content":"👨‍👩‍👧 says\\thi"}'.encode()
    text += b" " * (-len(text) % 4)
    assert "floats" not in short_line(["RPUSH", "k", text], 4)


def test_a_script_has_its_name_and_what_is_long_is_cut() -> None:
    command = Script("return 1 -- named", name="write_session").call(["agent:session:t1"], "x" * 500, "tail")
    assert short_line(command.args, 4) == f'EVALSHA <write_session.lua> 1 agent:session:t1 "{"x" * 99}…" tail'
    assert line(command.args).startswith(f"EVALSHA {command.args[1]} 1 agent:session:t1 xxx")


def test_a_script_without_a_name_is_shown_by_its_digest() -> None:
    command = Script("return 2 -- nameless").call(["k"])
    assert short_line(command.args, 4) == line(command.args)


@pytest.mark.parametrize(
    ("name", "reply", "said"),
    [
        ("SET", b"OK", "OK"),
        ("GET", None, "nil"),
        ("GET", b"teal", "teal"),
        ("GET", b"x" * 41, "41 bytes"),
        ("GET", b"\xff", "1 byte"),
        ("GET", b"a\nb", "3 bytes"),
        ("EXISTS", 1, "1"),
        ("HGETALL", [b"user", b"alice", b"agent", b"default"], "2 fields"),
        ("HGETALL", {b"user": b"alice"}, "1 field"),
        ("LRANGE", [], "0 items"),
        ("XREVRANGE", [[b"1-0", []]], "1 entry"),
        ("XRANGE", [1, 2], "2 entries"),
        ("FT.SEARCH", [2, b"a", [b"text", b"t"], b"b", None], "2 results"),
        ("FT.SEARCH", [7, b"a"], "1 result"),
        ("FT.SEARCH", [7], "7 counted"),
        ("FT.SEARCH", [0], "0 results"),
        ("FT.SEARCH", {b"total_results": 3, b"results": [{}]}, "1 result"),
        ("FT.SEARCH", {b"total_results": 3, b"results": []}, "3 counted"),
        ("SEARCH.QUERY", [{}, {}], "2 results"),
        ("EVALSHA", StoreError("refused"), "StoreError: refused"),
        ("EVALSHA", StoreError("x" * 300), f"StoreError: {'x' * 199}…"),
    ],
)
def test_a_reply_is_told_in_a_few_words(name: str, reply: Any, said: str) -> None:
    assert reply_text(name, reply) == said


ATOMS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.binary())
REPLIES = st.recursive(
    ATOMS,
    lambda some: st.one_of(st.lists(some), st.sets(ATOMS), st.dictionaries(ATOMS, some)),
    max_leaves=8,
)


@given(st.sampled_from(("HGETALL", "FT.SEARCH", "SEARCH.QUERY", "GET")), REPLIES)
@example("FT.SEARCH", {b"results": 1, b"total_results": None})
def test_whatever_a_server_answers_is_told(name: str, reply: Any) -> None:
    assert len(reply_text(name, reply)) < 400
