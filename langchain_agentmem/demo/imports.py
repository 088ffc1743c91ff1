"""Bringing your own on the page: a chat export or JSON lines, into one user's scope, with its progress."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from os import PathLike
from typing import IO, Any

from langchain_agentmem import AgentMemory, ChatExportLines, ImportReport, chat_export_lines

_SECONDS_BETWEEN = 0.1
_PROBLEMS_TOLD = 1_000  # lines that were refused: a file of another kind has as many as it has lines


async def import_file(
    memory: AgentMemory,
    path: str | PathLike[str] | IO[bytes],
    *,
    user: str,
    namespace: str = "default",
    plain: bool = False,
    max_unpacked_bytes: int = 256 * 1024**2,
) -> AsyncIterator[dict[str, Any]]:
    """Import a ChatGPT or Claude export, its zip, or JSON lines, and yield how far it is.

    All of it becomes the user's, whatever lines name; the ids of threads get the user and a slash in front,
    so that they are nobody else's. A second run adds nothing. What was stored stays if it is ended early:
    close the generator, or cancel the task that iterates over it.

    Args:
        memory: Where it is stored.
        path: The file, or the file itself, opened to read bytes.
        user: Whose it becomes.
        namespace: The namespace of the memories.
        plain: Whether each line is the text of a memory.
        max_unpacked_bytes: The most that a zip may hold unpacked.

    Yields:
        At most ten times a second `{"done", "total", "what", "messages", "memories"}`: how many lines are
        done of about how many (`None` if unknown), `what` most of them are, `messages` or `memories`, and how
        many of each are new. At last the report: `{"format", "conversations", "messages", "memories",
        "known", "merged", "skipped", "problems"}`: new messages and memories, messages that were `known`,
        memories that were there or `merged`, messages of the user that are no memories (`skipped`), and a
        sentence for each of the `problems`.

    Raises:
        InvalidInputError: The file is none of these; says what was expected.
        StoreError: The server failed; what was stored stays, and a second run goes on from there.
    """
    told: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
    with await asyncio.to_thread(
        chat_export_lines, path, plain=plain, max_unpacked_bytes=max_unpacked_bytes
    ) as lines:
        importing = asyncio.create_task(
            _import(memory, lines, told, user=user, namespace=namespace, plain=plain)
        )
        importing.add_done_callback(lambda _: told.put_nowait(None))
        try:
            while (progress := await told.get()) is not None:
                yield progress
            yield _described(importing.result(), lines)
        finally:
            importing.cancel()
            await asyncio.gather(importing, return_exceptions=True)


async def _import(
    memory: AgentMemory, lines: ChatExportLines, told: asyncio.Queue[dict[str, Any] | None], **options: Any
) -> ImportReport:
    last = -_SECONDS_BETWEEN

    def tell(report: ImportReport) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN:
            last = now
            told.put_nowait(_progress(report, lines))

    prefix = f"{options['user']}/"
    return await memory.aimport_lines(lines, thread_prefix=prefix, on_batch=tell, **options)


def _progress(report: ImportReport, lines: ChatExportLines) -> dict[str, Any]:
    done, fraction = report.lines, lines.fraction
    memories = report.new_memories + report.duplicate_memories
    messages = report.new_messages + report.duplicate_messages
    return {
        "done": done,
        "total": max(done, round(done / fraction)) if fraction else None,
        "what": "messages" if messages >= memories else "memories",
        "messages": report.new_messages,
        "memories": report.new_memories,
    }


def _left_out(report: ImportReport) -> list[str]:
    """Say how many memories something has replaced that this user does not have."""
    left = report.superseded_memories
    return [f"{left:,} left out: something that is not here has replaced them"] if left else []


def _described(report: ImportReport, lines: ChatExportLines) -> dict[str, Any]:
    refused = [f"{lines.place(one.line)}: {one.error}" for one in report.refused[:_PROBLEMS_TOLD]]
    if len(report.refused) > _PROBLEMS_TOLD:
        refused.append(f"and {len(report.refused) - _PROBLEMS_TOLD:,} more lines")
    return {
        "format": lines.format,
        "conversations": lines.conversations,
        "messages": report.new_messages,
        "memories": report.new_memories,
        "known": report.duplicate_messages,
        "merged": report.duplicate_memories,
        "skipped": lines.not_remembered.total(),
        "problems": [*lines.problems, *_left_out(report), *refused],
    }
