"""LangChain.js and this package on one list: each reads what the other writes.

The other side is the real `UpstashRedisChatMessageHistory`, over a real REST server, on the same Redis.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from integration_tests.upstash.node import (
    JavaScriptHistory,
    RestFront,
    install,
    javascript_missing,
    require_javascript,
)
from langchain_agentmem import AgentMemory
from langchain_agentmem.embedded.server import EmbeddedRedis
from langchain_agentmem.working.histories import RedisListChatMessageHistory, UpstashChatMessageHistory

History = RedisListChatMessageHistory | UpstashChatMessageHistory
HistoryOf = Callable[..., History]
JavaScriptOf = Callable[..., JavaScriptHistory]

ODD = "😀👩‍👩‍👧 שלום עליכם\n\t\"quoted\" 'single' \\ \b\f\x01\x1b\x7f \u2028 </script> e\u0301 é 漢字"
CALL = {
    "name": "look",
    "args": {"at": ["é", 1.5, None], "deep": {"b": True}},
    "id": "c1",
    "type": "tool_call",
}
USAGE = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
IMAGE = [
    {"type": "text", "text": "see"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
]

# What JavaScript is told to write, and the message that this is in Python.
PLAIN: list[tuple[dict[str, Any], BaseMessage]] = [
    ({"type": "system", "content": "be kind"}, SystemMessage("be kind")),
    ({"type": "human", "content": "hi"}, HumanMessage("hi")),
    ({"type": "ai", "content": "yo"}, AIMessage("yo")),
    ({"type": "ai", "content": "", "tool_calls": [CALL]}, AIMessage("", tool_calls=[CALL])),
    (
        {"type": "tool", "content": "r", "tool_call_id": "c1", "name": "t"},
        ToolMessage("r", tool_call_id="c1", name="t"),
    ),
    ({"type": "tool", "content": "r", "tool_call_id": "c1"}, ToolMessage("r", tool_call_id="c1")),
    ({"type": "human", "content": ""}, HumanMessage("")),
    ({"type": "human", "content": IMAGE}, HumanMessage(IMAGE)),
    ({"type": "human", "content": ODD}, HumanMessage(ODD)),
    ({"type": "ai", "content": ODD}, AIMessage(ODD)),
    (
        {"type": "tool", "content": ODD, "tool_call_id": "שלום", "name": "t"},
        ToolMessage(ODD, tool_call_id="שלום", name="t"),
    ),
]
# Members that both know, but write in another order.
RICH: list[tuple[dict[str, Any], BaseMessage]] = [
    ({"type": "generic", "content": "no", "role": "critic"}, ChatMessage("no", role="critic")),
    ({"type": "human", "content": "x", "id": "m1", "name": "bob"}, HumanMessage("x", id="m1", name="bob")),
    (
        {"type": "ai", "content": "x", "id": "m2", "name": "eve", "usage_metadata": USAGE},
        AIMessage("x", id="m2", name="eve", usage_metadata=USAGE),
    ),
    (
        {"type": "tool", "content": "x", "tool_call_id": "c", "status": "error", "artifact": {"raw": [1]}},
        ToolMessage("x", tool_call_id="c", status="error", artifact={"raw": [1]}),
    ),
    (
        {"type": "ai", "content": "x", "response_metadata": {"model": "m"}, "additional_kwargs": {"k": [1]}},
        AIMessage("x", response_metadata={"model": "m"}, additional_kwargs={"k": [1]}),
    ),
]


@pytest.fixture
def javascript_of(front: RestFront, url: str) -> JavaScriptOf:
    def javascript(session_id: str = "s1", session_ttl: int | None = None) -> JavaScriptHistory:
        return JavaScriptHistory(front, session_id, session_ttl)

    return javascript


def on_redis(session_id: str, url: str, front: RestFront, **options: Any) -> RedisListChatMessageHistory:
    return RedisListChatMessageHistory(session_id, url=url, **options)


def over_rest(session_id: str, url: str, front: RestFront, **options: Any) -> UpstashChatMessageHistory:
    # This server answers without base64, and says nothing of it.
    rest_url = f"{front.url}?rest_encoding=none"
    return UpstashChatMessageHistory(session_id, url=rest_url, token=front.token, **options)


@pytest.fixture(params=[on_redis, over_rest])
def history_of(request: pytest.FixtureRequest, url: str, front: RestFront) -> Iterator[HistoryOf]:
    with ExitStack() as opened:

        def history(session_id: str = "s1", **options: Any) -> History:
            made: RedisListChatMessageHistory = request.param(session_id, url, front, **options)
            opened.callback(made.close)
            return made

        yield history


def test_python_reads_what_javascript_writes(history_of: HistoryOf, javascript_of: JavaScriptOf) -> None:
    javascript_of().write(*[fields for fields, _ in PLAIN + RICH])
    assert history_of().messages == [message for _, message in PLAIN + RICH]


def test_javascript_reads_what_python_writes(history_of: HistoryOf, javascript_of: JavaScriptOf) -> None:
    history_of().add_messages([message for _, message in PLAIN + RICH])
    seen = javascript_of().read()
    assert len(seen) == len(PLAIN + RICH)
    for (fields, _), message in zip(PLAIN + RICH, seen, strict=True):
        assert {"type": message["type"], **message["data"]} == {
            **({"tool_calls": [], "invalid_tool_calls": []} if fields["type"] == "ai" else {}),
            "additional_kwargs": {},
            "response_metadata": {},
            **fields,
        }


def test_javascript_reads_a_chunk_as_a_whole_message(
    history_of: HistoryOf, javascript_of: JavaScriptOf
) -> None:
    args = '{"at": "x"}'
    chunk = AIMessageChunk(
        "yo", id="run-1", tool_call_chunks=[{"name": "look", "args": args, "id": "c1", "index": 0}]
    )
    history_of().add_messages([AIMessageChunk("a") + AIMessageChunk("b"), chunk])
    first, second = javascript_of().read()
    assert (first["type"], first["data"]["content"]) == ("ai", "ab")
    assert (second["type"], second["data"]["content"], second["data"]["id"]) == ("ai", "yo", "run-1")
    assert second["data"]["tool_calls"] == [
        {"name": "look", "args": {"at": "x"}, "id": "c1", "type": "tool_call"}
    ]


def test_javascript_and_python_store_the_same_bytes(
    history_of: HistoryOf, javascript_of: JavaScriptOf, bare: redis.Redis
) -> None:
    javascript_of("js").write(*[fields for fields, _ in PLAIN])
    history_of("py").add_messages([message for _, message in PLAIN])
    assert bare.lrange("py", 0, -1) == bare.lrange("js", 0, -1)
    assert bare.llen("js") == len(PLAIN)
    assert bare.lindex("js", -1) == (
        b'{"type":"system","data":{"content":"be kind","additional_kwargs":{},"response_metadata":{}}}'
    )


def test_both_append_to_one_conversation(history_of: HistoryOf, javascript_of: JavaScriptOf) -> None:
    history, javascript = history_of(), javascript_of()
    contents = []
    for turn in ("1", "2"):
        javascript.write({"type": "human", "content": f"javascript {turn}"})
        history.add_messages([AIMessage(f"python {turn}"), HumanMessage(f"more {turn}")])
        contents += [f"javascript {turn}", f"python {turn}", f"more {turn}"]
        assert [message.content for message in history.messages] == contents
        assert [message["data"]["content"] for message in javascript.read()] == contents


def test_the_window_of_python_keeps_the_newest_of_both(
    history_of: HistoryOf, javascript_of: JavaScriptOf
) -> None:
    javascript_of().write({"type": "human", "content": "1"}, {"type": "ai", "content": "2"})
    history_of(max_messages=2).add_messages([HumanMessage("3")])
    assert [message["data"]["content"] for message in javascript_of().read()] == ["2", "3"]


def test_what_one_clears_is_gone_for_the_other(
    history_of: HistoryOf, javascript_of: JavaScriptOf, bare: redis.Redis
) -> None:
    history, javascript = history_of(), javascript_of()
    javascript_of("other").write({"type": "human", "content": "stays"})
    javascript.write({"type": "human", "content": "a"})
    history.clear()
    assert javascript.read() == []
    history.add_messages([HumanMessage("b")])
    javascript.clear()
    assert history.messages == []
    assert bare.keys("*") == [b"other"]


def test_the_expiry_of_javascript_is_kept_and_slides_on(
    history_of: HistoryOf, javascript_of: JavaScriptOf, bare: redis.Redis
) -> None:
    javascript = javascript_of("s1", 100)
    javascript.write({"type": "human", "content": "a"})
    assert 90 < bare.ttl("s1") <= 100
    bare.expire("s1", 50)
    history_of().add_messages([AIMessage("b")])
    assert 40 < bare.ttl("s1") <= 50, "a history without a session_ttl leaves it as it is"
    history_of(session_ttl=200).add_messages([AIMessage("c")])
    assert 190 < bare.ttl("s1") <= 200
    javascript.write({"type": "human", "content": "d"})
    assert 90 < bare.ttl("s1") <= 100
    assert [message.content for message in history_of().messages] == ["a", "b", "c", "d"]


def test_javascript_reads_what_nobody_has_answered(
    javascript_of: JavaScriptOf, url: str, bare: redis.Redis
) -> None:
    def fail(_: object) -> str:
        raise ZeroDivisionError

    javascript = javascript_of()
    said = {"type": "human", "data": {"content": "hi", "additional_kwargs": {}, "response_metadata": {}}}
    with AgentMemory(url, session_storage="list") as memory:
        options: dict[str, Any] = {"memories_key": None, "remember": None}
        with pytest.raises(ZeroDivisionError):
            memory.wrap(fail, **options).invoke("hi", {"configurable": {"session_id": "s1"}})
        assert json.loads(bare.lindex("s1", 0) or b"") == {**said, "unanswered": True}
        assert javascript.read() == [said]
        memory.wrap(lambda _: "yo", **options).invoke("hi", {"configurable": {"session_id": "s1"}})
    assert [message["data"]["content"] for message in javascript.read()] == ["hi", "yo"]


def test_processes_that_ask_at_once_install_once(tmp_path: Path) -> None:
    require_javascript()
    names = {"name": "whole", "dependencies": {"part": "file:part"}}
    packages = {
        "": names,
        "node_modules/part": {"resolved": "part", "link": True},
        "part": {"version": "1.0.0"},
    }
    lock = {"name": "whole", "lockfileVersion": 3, "requires": True, "packages": packages}
    folder, npm = tmp_path / "folder", tmp_path / "npm"
    (folder / "part").mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps(names))
    (folder / "part" / "package.json").write_text('{"name": "part", "version": "1.0.0"}')
    (folder / "package-lock.json").write_text(json.dumps(lock))
    npm.write_text(f'#!/bin/sh\necho called >> {tmp_path}/calls\nexec {shutil.which("npm")} "$@"\n')
    npm.chmod(0o755)
    asking = "import pathlib, sys; from integration_tests.upstash.node import install; "
    asking += "sys.exit(install(sys.argv[1], pathlib.Path(sys.argv[2])))"
    command = [sys.executable, "-c", asking, str(npm), str(folder)]
    processes = [subprocess.Popen(command, cwd=Path(__file__).parents[2]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert (tmp_path / "calls").read_text() == "called\n"
    assert (folder / "node_modules" / "part" / "package.json").exists()
    (folder / "package-lock.json").write_text("{}")
    assert "cannot be installed" in (install(str(npm), folder) or "")


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_missing_javascript_fails_where_ci_is_set_and_skips_elsewhere(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", ci)
    javascript_missing.cache_clear()
    # Both are caught: a skip that escapes would skip this test, and not fail it.
    with pytest.raises((pytest.fail.Exception, pytest.skip.Exception), match="no node on the PATH") as raised:
        require_javascript()
    javascript_missing.cache_clear()
    assert raised.type is outcome


def test_a_front_whose_redis_does_not_answer_says_so(server: EmbeddedRedis) -> None:
    require_javascript()
    refused = server.url.replace("unix://:", "unix://:wrong")
    with pytest.raises(RuntimeError, match=r"WRONGPASS|NOAUTH"), RestFront(refused):
        pass
