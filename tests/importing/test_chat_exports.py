"""ChatGPT and Claude exports, as the lines of an import."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_agentmem import ChatExportLines, chat_export_lines
from langchain_agentmem.errors import AgentMemoryError, InvalidInputError
from langchain_agentmem.importing import json_lists
from langchain_agentmem.importing.lines import Line, MemoryLine, MessageLine, NotesLine, parse
from tests.importing.exports import (
    CATS,
    MOVING,
    NOVEMBER_20,
    PICTURES,
    chatgpt,
    claude,
    node,
    said,
    written,
    zipped,
)


def read(export: Any) -> tuple[ChatExportLines, list[Any]]:
    """The lines of an export, and the export at its end."""
    whole = export if isinstance(export, bytes) else json.dumps(export).encode()
    lines = chat_export_lines(io.BytesIO(whole))
    return lines, list(lines)


def talk(lines: list[Any]) -> list[tuple[str, str]]:
    return [(one["role"], one["content"]) for one in lines if "role" in one]


def test_a_chatgpt_conversation_is_its_notes_its_messages_and_what_the_user_stated() -> None:
    lines, found = read([MOVING])
    thread = {"thread": "6740-aa"}
    assert found == [
        thread | {"goal": "Moving to Porto", "created_ts": NOVEMBER_20, "last_active_ts": NOVEMBER_20 + 6},
        thread | {"role": "user", "content": "I live in Porto now, and I have two cats.", "ts": NOVEMBER_20},
        thread
        | {
            "text": "I live in Porto now, and I have two cats.",
            "kind": "semantic",
            "context": "",
            "created_ts": NOVEMBER_20,
        },
        thread | {"role": "assistant", "content": "Porto is lovely.", "ts": NOVEMBER_20 + 4},
        thread | {"role": "user", "content": "What is the capital of Portugal?", "ts": NOVEMBER_20 + 5},
        thread | {"role": "assistant", "content": "Lisbon.", "ts": NOVEMBER_20 + 6},
    ]
    assert (lines.format, lines.conversations, lines.problems) == ("chatgpt", 1, [])
    assert lines.not_remembered == {"question": 1}
    assert lines.fraction == 1.0


def test_pictures_files_code_and_speech_are_said_in_words() -> None:
    _, found = read([PICTURES])
    assert talk(found) == [
        ("user", "My car looks like this.\n[image]\n[file: log book.pdf]"),
        ("assistant", "```python\nprint(1)\n```"),
        ("user", "أعيش في القاهرة"),
        ("user", "I drive a Fiat."),
    ]
    assert found[0]["goal"] == ""
    remembered = [(one["text"], one["created_ts"], one["context"]) for one in found if "text" in one]
    code = "```python print(1) ```"
    assert remembered == [
        ("My car looks like this.", NOVEMBER_20 + 100, ""),
        ("أعيش في القاهرة", NOVEMBER_20 + 120, f"My car looks like this.\n{code}"),
        ("I drive a Fiat.", NOVEMBER_20 + 120, f"{code}\nأعيش في القاهرة"),  # as what was said before it
    ]


def test_a_claude_conversation_is_read_by_its_blocks() -> None:
    lines, found = read([CATS])
    assert talk(found) == [
        ("user", "My cat is called Miso."),
        ("assistant", "A good name.\n\nVery."),
        ("user", "[file: cat.txt]"),
        ("user", "thanks!"),
    ]
    assert [one["ts"] - NOVEMBER_20 for one in found if "role" in one] == [0.5, 5, 5, 20]
    assert (found[0]["goal"], found[0]["created_ts"]) == ("Cats", NOVEMBER_20)
    assert [one["text"] for one in found if "text" in one] == ["My cat is called Miso."]
    assert (lines.format, lines.not_remembered) == ("claude", {"thanks": 1})


def test_an_older_claude_message_has_only_a_text() -> None:
    older = said("m1", "human", "I like tea.")
    del older["content"]
    assert talk(read([claude("c", "", [older])])[1]) == [("user", "I like tea.")]


def test_of_claudes_branches_the_last_is_read() -> None:
    def at(uuid: str, parent: str, text: str) -> dict[str, Any]:
        return said(uuid, "human", text, parent_message_uuid=parent)

    messages = [at("1", "none", "one"), at("2", "1", "two"), at("3", "1", "three"), at("4", "3", "four")]
    assert [text for _, text in talk(read([claude("c", "", messages)])[1])] == ["one", "three", "four"]
    shown = claude("c", "", messages, current_leaf_message_uuid="2")
    assert [text for _, text in talk(read([shown])[1])] == ["one", "two"]


def test_without_a_current_node_the_branch_written_last_is_read() -> None:
    nodes = [
        node("u", "root", "user", ["I like tea."], 5),
        node("a", "u", "assistant", ["late"], 9),
        node("b", "u", "assistant", ["early"], 7),
    ]
    for missing in (None, "gone", 5, {}):
        _, found = read([chatgpt("x", "", nodes, current_node=missing)])
        assert talk(found) == [("user", "I like tea."), ("assistant", "late")]


def test_a_circle_of_nodes_ends() -> None:
    found = read(
        [chatgpt("x", "", [node("a", "b", "user", ["A cat."]), node("b", "a", "user", ["A dog."])])]
    )[1]
    assert talk(found) == [("user", "A cat."), ("user", "A dog.")]


def test_a_conversation_without_any_time_names_none() -> None:
    lines, found = read([chatgpt("x", "", [node("u", "root", "user", ["I like tea."])], create_time=None)])
    assert found == [
        {"thread": "x", "goal": "", "last_active_ts": NOVEMBER_20 + 60},
        {"thread": "x", "role": "user", "content": "I like tea."},
        {"text": "I like tea.", "kind": "semantic", "thread": "x", "context": ""},
    ]
    assert all(parse(line) is not None for line in found)
    assert lines.conversations == 1


@pytest.mark.parametrize(
    "ts", ["noon", True, float("nan"), float("inf"), -1, 1e300, 10**400, [], "2025-99-01"]
)
def test_a_time_that_is_none_is_left_out(ts: Any) -> None:
    whole = json.dumps(
        [chatgpt("x", "", [node("u", "root", "user", ["Tea."], ts)], create_time=ts, update_time=ts)]
    )
    _, found = read(whole.encode())
    assert found[:2] == [{"thread": "x", "goal": ""}, {"thread": "x", "role": "user", "content": "Tea."}]


def test_threads_are_unique_and_the_same_in_every_export() -> None:
    other, unnamed = copy.deepcopy(MOVING), copy.deepcopy(PICTURES)
    other["mapping"]["u1"]["message"]["content"]["parts"] = ["I live in Rome."]
    del unnamed["conversation_id"], unnamed["id"]
    lines, found = read(
        [MOVING, other, MOVING, unnamed, chatgpt("x" * 5000, "", [node("u", "root", "user", ["Tea."])])]
    )
    threads = [*dict.fromkeys(one["thread"] for one in found)]
    assert threads[:2] == ["6740-aa", "6740-aa-2"]
    assert [one.partition("-")[0] for one in threads[2:]] == ["chatgpt", "chatgpt"]
    assert (lines.conversations, len(threads)) == (4, 4)
    assert read([unnamed])[1][0]["thread"] == threads[2]


def test_half_a_character_does_not_hide_a_conversation() -> None:
    _, found = read(
        json.dumps(
            [chatgpt("x\ud83d", "t\ud83d", [node("u", "root", "user", ["I like \ud83d tea."])])]
        ).encode()
    )
    assert talk(found) == [("user", "I like ? tea.")]
    assert (found[0]["thread"], found[0]["goal"]) == ("x?", "t?")


def test_a_text_too_long_for_a_memory_is_in_its_conversation_only() -> None:
    export = json.dumps([claude("c", "", [said("1", "human", "I have a long story. " * 20)])]).encode()
    lines = chat_export_lines(io.BytesIO(export), max_text_bytes=100, kind="mine")
    assert [("role" in one, "text" in one) for one in list(lines)[1:]] == [(True, False)]
    assert lines.not_remembered == {"unusable": 1}


def test_a_broken_conversation_does_not_hide_the_others() -> None:
    broken = [None, 5, {"title": "odd"}, {"title": "Old", "mapping": []}, {"name": "Me", "chat_messages": {}}]
    lines, found = read([*broken, MOVING, chatgpt("y", "empty", []), CATS])
    assert {one["thread"] for one in found} == {"6740-aa", "c-1"}
    assert (lines.format, lines.conversations) == ("chatgpt", 2)
    assert [one.partition(":")[0] for one in lines.problems] == [
        *("Conversation 1", "Conversation 2", "Conversation 3 “odd”", "Conversation 4 “Old”"),
        "Conversation 5 “Me”",
    ]
    assert "not an object with 'title'" in lines.problems[2]
    assert '"mapping" is list' in lines.problems[3]


def test_a_line_is_told_by_its_conversation() -> None:
    lines, found = read([MOVING, CATS])
    first = next(at for at, one in enumerate(found, 1) if one["thread"] == "c-1")
    assert lines.place(1) == lines.place(first - 1) == "conversation 1 “Moving to Porto”"
    assert lines.place(first) == lines.place(len(found)) == "conversation 2 “Cats”"
    assert chat_export_lines(io.BytesIO(b'"tea"\n')).place(3) == "line 3"


@pytest.mark.parametrize("cut", [-1, -30])
def test_what_breaks_off_is_read_up_to_there(cut: int) -> None:
    lines, found = read(json.dumps([MOVING, CATS]).encode()[:cut])
    assert lines.conversations == (2 if cut == -1 else 1)
    assert found
    assert "breaks off" in lines.problems[0]


def test_a_long_export_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lists, "_CHUNK", 7)
    many = [MOVING | {"id": str(n), "conversation_id": str(n)} for n in range(20)]
    lines = chat_export_lines(
        io.BytesIO(b"\xef\xbb\xbf \n" + json.dumps(many, indent=1, ensure_ascii=False).encode())
    )
    fractions = [lines.fraction for _ in lines]
    assert lines.conversations == 20
    assert fractions == sorted(fractions)
    assert fractions[0] is not None
    assert fractions[0] < 0.2


def test_a_conversation_may_not_be_endless() -> None:
    elements = json_lists.JsonList(io.BytesIO(b'["a", "' + b"x" * 5_000_000), most=1_000_000)
    found = iter(elements)
    assert next(found) == "a"
    with pytest.raises(InvalidInputError, match="more than 1,000,000 characters"):
        next(found)


def test_a_zip_is_read_wherever_its_conversations_are(tmp_path: Path) -> None:
    path = zipped(
        tmp_path / "export.zip",
        {
            "user.json": {},
            "My export/conversations-010.json": [CATS],
            "My export/conversations-000.json": [MOVING],
            "My export/conversations-001.json": b"[{",
            "__MACOSX/My export/._conversations.json": b"\0",
            "chat.html": "<html>",
        },
    )
    with chat_export_lines(path) as lines:
        assert [*dict.fromkeys(one["thread"] for one in lines)] == ["6740-aa", "c-1"]  # type: ignore[index]
    assert lines.problems == [
        "My export/conversations-001.json, behind conversation 1: the file breaks off; download or copy it again"
    ]
    assert lines.fraction == 1.0


def test_a_zip_from_a_pipe_is_read_too(tmp_path: Path) -> None:
    path = zipped(tmp_path / "export.zip", {"conversations.json": [MOVING]})
    reading, writing = os.pipe()
    with open(writing, "wb") as sent:
        sent.write(path.read_bytes())
    with open(reading, "rb") as pipe, chat_export_lines(pipe) as lines:
        assert lines.format == "chatgpt"
        assert len(list(lines)) == 6


def test_a_zip_that_holds_too_much_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "bomb.zip", {"conversations.json": b"[" + b" " * 10_000_000})
    assert path.stat().st_size < 20_000
    with pytest.raises(InvalidInputError, match="10,000,001 bytes unpacked; the limit is 1,000,000"):
        chat_export_lines(path, max_unpacked_bytes=1_000_000)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "holds no conversations.json"),
        ({"conversations.txt": "x", "myconversations.json": "[]"}, "holds no conversations.json"),
        ({"conversations.json": "[]"}, "No conversations"),
        ({"conversations.json": "{}"}, "no JSON list"),
        ({"conversations.json": "[1, 2]"}, "The first thing in it is int"),
        ({"conversations.json": '[{"a": 1, "b": 2}]'}, "an object with 'a', 'b'"),
        ({"conversations.json": '[{"a": 1 "b": 2}]'}, "no JSON"),
        ({"conversations.json": "[" * 200_000}, "nested too deeply"),
        ({"conversations.json": "[" + "1" * 5000 + "]"}, "behind conversation 0"),
    ],
)
def test_what_is_no_export_is_an_error_that_says_what_was_expected(
    tmp_path: Path, files: dict[str, str], said: str
) -> None:
    with pytest.raises(
        InvalidInputError, match='Expected is a list of conversations, each with "mapping"'
    ) as raised:
        chat_export_lines(zipped(tmp_path / "export.zip", files))
    assert said in str(raised.value)


def test_a_damaged_zip_is_an_error(tmp_path: Path) -> None:
    path = zipped(tmp_path / "export.zip", {"conversations.json": [MOVING] * 50})
    whole = path.read_bytes()
    path.write_bytes(whole[:200])
    with pytest.raises(InvalidInputError, match="The zip cannot be read"):
        chat_export_lines(path)
    path.write_bytes(whole[:100] + bytes(60) + whole[160:])
    with pytest.raises(InvalidInputError, match="cannot be unpacked"):
        chat_export_lines(path)


def test_an_encrypted_zip_is_an_error(tmp_path: Path) -> None:
    path = zipped(tmp_path / "export.zip", {"conversations.json": [MOVING]})
    whole = bytearray(path.read_bytes())
    whole[6] |= 1
    whole[whole.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(whole)
    with pytest.raises(InvalidInputError, match="encrypted"):
        chat_export_lines(path)


def test_json_lines_come_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b'\xef\xbb\xbf"tea"\nno JSON\n')
    for source in (str(path), path, io.BytesIO(path.read_bytes())):
        lines = chat_export_lines(source)
        assert list(lines) == [b'\xef\xbb\xbf"tea"\n', b"no JSON\n"]
        assert (lines.format, lines.fraction, lines.conversations) == ("lines", 1.0, 0)
    assert list(chat_export_lines(io.BytesIO())) == []


def test_lines_of_a_pipe_are_read_as_they_come() -> None:
    reading, writing = os.pipe()
    with open(writing, "wb", buffering=0) as sent, open(reading, "rb") as pipe:
        sent.write(b'"one"\n')
        lines = chat_export_lines(pipe)
        assert (next(lines), lines.format, lines.fraction) == (b'"one"\n', "lines", None)
        sent.write(b'"two"\n')
        assert next(lines) == b'"two"\n'


def test_an_export_that_was_uploaded_is_read() -> None:
    with tempfile.SpooledTemporaryFile() as uploaded:
        uploaded.write(json.dumps([MOVING]).encode())
        uploaded.seek(0)
        assert chat_export_lines(uploaded).format == "chatgpt"


def test_a_file_that_is_not_read_to_its_end_is_closed(tmp_path: Path) -> None:
    lines = chat_export_lines(written(tmp_path / "conversations.json", [MOVING]))
    next(lines)
    lines.close()
    assert list(lines) == []
    with pytest.raises(FileNotFoundError):
        chat_export_lines(tmp_path / "none")
    for wrong in ({"kind": ""}, {"max_text_bytes": 0}, {"max_unpacked_bytes": "many"}):
        with pytest.raises(InvalidInputError, match=next(iter(wrong))):
            chat_export_lines(tmp_path / "none", **wrong)  # type: ignore[arg-type]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def damaged(draw: st.DrawFn) -> Any:
    """An export with anything in the place of some of its values."""
    export = copy.deepcopy([draw(st.sampled_from([MOVING, PICTURES, CATS])), MOVING])
    for _ in range(draw(st.integers(1, 4))):
        at: Any = export
        while True:
            key = draw(st.sampled_from([*at] if isinstance(at, dict) else range(len(at))))
            if not isinstance(at[key], dict | list) or not at[key] or draw(st.booleans()):
                break
            at = at[key]
        if draw(st.booleans()) or isinstance(at, list):
            at[key] = draw(anything)
        else:
            del at[key]
        if not export[0] or not isinstance(export[0], dict):
            break
    return export


def importable(line: Any) -> Line:
    found = parse(line)
    assert isinstance(found, MessageLine | MemoryLine | NotesLine)
    return found


@given(damaged())
def test_whatever_is_damaged_only_our_errors_come_and_every_line_can_be_imported(export: Any) -> None:
    try:
        lines, found = read(json.dumps(export).encode())
    except AgentMemoryError:
        return
    for line in found:
        importable(line)
    assert lines.conversations + len(lines.problems) <= 2


@given(st.binary(max_size=40), st.sampled_from([b"", b"[", b"PK\x03\x04", b'[{"mapping": {']))
def test_whatever_the_bytes_are_only_our_errors_come(rest: bytes, begins: bytes) -> None:
    with contextlib.suppress(InvalidInputError):
        read(begins + rest)


@given(st.binary(min_size=1, max_size=6), st.integers(0, 10_000))
def test_whatever_is_damaged_in_a_zip_only_our_errors_come(bytes_: bytes, at: int) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", json.dumps([MOVING, PICTURES]))
    whole = packed.getvalue()
    at %= len(whole)
    with contextlib.suppress(InvalidInputError):
        read(whole[:at] + bytes_ + whole[at + len(bytes_) :])
