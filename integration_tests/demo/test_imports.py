"""What a page's upload becomes, and how far it is."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import redis

from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory
from langchain_agentmem.demo.imports import import_file
from langchain_agentmem.errors import InvalidInputError, StoreConnectionError
from tests.importing.exports import CATS, MOVING, chatgpt, node, written, zipped


@pytest.fixture
async def memory(url: str) -> AsyncIterator[AgentMemory]:
    async with AgentMemory(url, embeddings=WordEmbeddings()) as memory:
        yield memory


async def steps(memory: AgentMemory, file: Any, **options: Any) -> list[dict[str, Any]]:
    return [step async for step in import_file(memory, file, **options)]


def long(count: int) -> dict[str, Any]:
    said = [f"I have item{n}." for n in range(count)]
    nodes = [node(str(n), str(n - 1) if n else "root", "user", [one], 1e9 + n) for n, one in enumerate(said)]
    return chatgpt("long", "Things", nodes)


async def test_an_export_goes_into_one_users_scope_and_a_second_run_adds_nothing(
    memory: AgentMemory, tmp_path: Path
) -> None:
    file = zipped(tmp_path / "export.zip", {"conversations.json": [MOVING, CATS, None]})
    *progress, report = await steps(memory, file, user="ada", namespace="mine")
    expected = {"format": "chatgpt", "conversations": 2, "messages": 8, "memories": 2}
    nothing = {"known": 0, "merged": 0, "skipped": 2}
    assert {name: report[name] for name in expected | nothing} == expected | nothing
    assert len(report["problems"]) == 1
    assert "Conversation 3" in report["problems"][0]
    assert progress[-1] == {"done": 12, "total": 12, "what": "messages", "messages": 8, "memories": 2}
    found = memory.long_term.list_memories(user="ada", namespace="mine")
    assert {one.source_thread for one in found} == {"ada/6740-aa", "ada/c-1"}
    again = (await steps(memory, file, user="ada", namespace="mine"))[-1]
    assert (again["messages"], again["memories"], again["known"], again["merged"]) == (0, 0, 8, 2)
    other = (await steps(memory, file, user="bob"))[-1]
    assert (other["messages"], other["memories"], len(other["problems"])) == (8, 2, 1)


async def test_lines_become_the_users_whoever_they_name(memory: AgentMemory) -> None:
    memory.working.append_turn("t", "user", "hers", user="eve")
    lines = [
        {"thread": "t", "user": "eve", "goal": "tea"},
        {"thread": "t", "user": "eve", "role": "user", "content": "hers"},
        {"text": "Eve likes tea", "user": "eve", "namespace": "hers"},
        {"action": "note"},
    ]
    file = io.BytesIO("".join(json.dumps(line) + "\n" for line in lines).encode())
    report = (await steps(memory, file, user="ada"))[-1]
    assert (report["format"], report["messages"], report["memories"]) == ("lines", 1, 1)
    assert report["problems"] == [
        "line 4: an event: what happened is not imported, only messages and memories"
    ]
    assert [one.text for one in memory.long_term.list_memories(user="ada")] == ["Eve likes tea"]
    assert [one.thread_id for one in memory.list_sessions(user="ada").sessions] == ["ada/t"]
    texts = (await steps(memory, io.BytesIO(b"[tea]\n"), user="ada", plain=True))[-1]
    assert texts["memories"] == 1


async def test_progress_rises_to_the_end_and_comes_seldom(memory: AgentMemory, tmp_path: Path) -> None:
    file = written(tmp_path / "conversations.json", [long(600)])
    began = asyncio.get_running_loop().time()
    *progress, report = await steps(memory, file, user="ada")
    assert report["memories"] == 600
    assert 0 < len(progress) <= 2 + 10 * (asyncio.get_running_loop().time() - began)
    done = [one["done"] for one in progress]
    assert done == sorted(done)
    assert all(abs(one["total"] - 1201) < 60 for one in progress)


async def test_who_leaves_ends_the_import(memory: AgentMemory, bare: redis.Redis, tmp_path: Path) -> None:
    file = written(tmp_path / "conversations.json", [long(2000)])
    async with aclosing(import_file(memory, file, user="ada")) as running:  # type: ignore[type-var]
        await anext(running)
    stored = bare.dbsize()
    started = asyncio.Event()

    async def follow() -> None:
        async for _ in import_file(memory, file, user="bob"):
            started.set()

    waiting = asyncio.create_task(follow())
    await started.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    cancelled = bare.dbsize()
    assert 0 < stored < cancelled < 2000
    assert {task.get_name() for task in asyncio.all_tasks()} == {asyncio.current_task().get_name()}  # type: ignore[union-attr]
    report = (await steps(memory, file, user="ada"))[-1]
    assert report["memories"] == 2000 - report["merged"]
    assert bare.dbsize() > cancelled


async def test_what_fails_is_raised(tmp_path: Path) -> None:
    file = written(tmp_path / "conversations.json", [MOVING])
    async with AgentMemory("redis://127.0.0.1:1", embeddings=WordEmbeddings()) as away:
        with pytest.raises(StoreConnectionError):
            await steps(away, file, user="ada")
        with pytest.raises(InvalidInputError, match="Expected is a list"):
            await steps(away, io.BytesIO(b"[]"), user="ada")
        with pytest.raises(InvalidInputError, match="user"):
            await steps(away, file, user="")


async def test_a_file_of_another_kind_keeps_nobody_waiting_and_its_problems_are_few(
    memory: AgentMemory,
) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    *_, report = await steps(memory, io.BytesIO(b"12:00:00 INFO started, listening\n" * 6400), user="ada")
    beside.cancel()
    assert turns > 100
    assert len(report["problems"]) == 1001
    assert report["problems"][-1] == "and 5,400 more lines"
