"""ChatGPT and Claude exports as they are published, written here."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

NOVEMBER_20 = 1763632800.0  # 2025-11-20, 10:00 UTC


def node(
    id: str,
    parent: str | None,
    role: str,
    parts: list[Any],
    ts: float | None = None,
    kind: str = "text",
    **more: Any,
) -> dict[str, Any]:
    """A node of a ChatGPT conversation's mapping."""
    content: dict[str, Any] = {"content_type": kind, "parts": parts}
    content |= more.pop("content", {})
    message: dict[str, Any] = {
        "id": id,
        "author": {"role": role, "name": None, "metadata": {}},
        "create_time": ts,
        "update_time": None,
        "content": content,
        "status": "finished_successfully",
        "end_turn": True,
        "weight": 1.0,
        "metadata": {},
        "recipient": "all",
        "channel": None,
    }
    return {"id": id, "message": message | more, "parent": parent, "children": []}


def chatgpt(id: str, title: Any, nodes: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A ChatGPT conversation; shown is the branch of the last node."""
    root = {"id": "root", "message": None, "parent": None, "children": []}
    mapping = {one["id"]: one for one in [root, *nodes]}
    for one in nodes:
        if one["parent"] in mapping:
            mapping[one["parent"]]["children"].append(one["id"])
    return {
        "title": title,
        "create_time": NOVEMBER_20,
        "update_time": NOVEMBER_20 + 60,
        "mapping": mapping,
        "moderation_results": [],
        "current_node": nodes[-1]["id"] if nodes else "root",
        "conversation_id": id,
        "id": id,
        "is_archived": False,
    } | more


def claude(uuid: str, name: str, messages: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A Claude conversation."""
    return {
        "uuid": uuid,
        "name": name,
        "created_at": "2025-11-20T10:00:00.000000Z",
        "updated_at": "2025-11-20T10:01:00.123456Z",
        "account": {"uuid": "0a0a"},
        "chat_messages": messages,
    } | more


def said(uuid: str, sender: str, text: str, created_at: str | None = None, **more: Any) -> dict[str, Any]:
    """A message of a Claude conversation."""
    return {
        "uuid": uuid,
        "text": text,
        "content": [{"type": "text", "text": text, "citations": []}],
        "sender": sender,
        "created_at": created_at,
        "updated_at": created_at,
        "attachments": [],
        "files": [],
    } | more


MOVING = chatgpt(
    "6740-aa",
    "Moving to Porto",
    [
        node(
            "sys",
            "root",
            "system",
            [""],
            weight=0.0,
            metadata={"is_visually_hidden_from_conversation": True},
        ),
        node("u1", "sys", "user", ["I live in Porto now, and I have two cats."], NOVEMBER_20),
        node("a1-old", "u1", "assistant", ["First answer."], NOVEMBER_20 + 1),
        node("t1", "u1", "assistant", [], NOVEMBER_20 + 2, "code", recipient="browser", content={"text": "search('x')"}),
        node("t2", "t1", "tool", ["results"], NOVEMBER_20 + 3),
        node("h1", "t2", "assistant", [], NOVEMBER_20 + 3, "thoughts", content={"thoughts": [{"content": "hm"}]}),
        node("a1", "h1", "assistant", ["Porto is lovely\ue200cite\ue202turn0search0\ue201."], NOVEMBER_20 + 4),
        node("u2", "a1", "user", ["What is the capital of Portugal?"], NOVEMBER_20 + 5),
        node("a2", "u2", "assistant", ["Lisbon."], NOVEMBER_20 + 6),
    ],
)  # fmt: skip
PICTURES = chatgpt(
    "6740-bb",
    None,
    [
        node(
            "u1",
            "root",
            "user",
            [
                {"content_type": "image_asset_pointer", "asset_pointer": "file-service://x"},
                "My car looks like this.",
            ],
            NOVEMBER_20 + 100,
            "multimodal_text",
            metadata={
                "attachments": [
                    {"name": "car.jpg", "mime_type": "image/jpeg"},
                    {"name": "log book.pdf", "mime_type": "application/pdf"},
                ]
            },
        ),
        node("a1", "u1", "assistant", [], None, "code", content={"language": "python", "text": "print(1)"}),
        node("u2", "a1", "user", ["أعيش في القاهرة"], NOVEMBER_20 + 120),
        node("u3", "u2", "user", [{"content_type": "audio_transcription", "text": "I drive a Fiat."}], None, "multimodal_text"),
    ],
)  # fmt: skip
CATS = claude(
    "c-1",
    "Cats",
    [
        said("m1", "human", "My cat is called Miso.", "2025-11-20T10:00:00.5Z"),
        said(
            "m2",
            "assistant",
            "This block is not supported on your current device yet.",
            "2025-11-20T10:00:05.000000Z",
            content=[
                {"type": "thinking", "thinking": "hm"},
                {"type": "text", "text": "A good name."},
                {"type": "tool_use", "name": "x", "input": {}},
                {"type": "text", "text": "Very."},
            ],
        ),
        said("m3", "human", "", None, attachments=[{"file_name": "cat.txt", "extracted_content": "x"}]),
        said("m4", "human", "thanks!", "2025-11-20T10:00:20.000000Z"),
    ],
)


def written(path: Path, value: Any) -> Path:
    """A file with a value as JSON."""
    path.write_text(json.dumps(value), "utf-8")
    return path


def zipped(path: Path, files: dict[str, Any]) -> Path:
    """A zip of JSON files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in files.items():
            archive.writestr(name, value if isinstance(value, bytes | str) else json.dumps(value))
    return path
