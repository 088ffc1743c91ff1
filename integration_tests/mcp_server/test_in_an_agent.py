"""The MCP server's tools in an agent of LangChain, by way of langchain-mcp-adapters."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from integration_tests.cli.conftest import environment
from integration_tests.mcp_server.clients import COMMAND
from integration_tests.mcp_server.conftest import StartServer

pytest.importorskip("langchain_mcp_adapters", reason="it does not take every version of the SDK")

from langchain.agents import create_agent
from langchain_mcp_adapters.client import MultiServerMCPClient


class Scripted(GenericFakeChatModel):
    """Answers from a script, whatever tools it has."""

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> Scripted:
        return self


def calls(name: str, **arguments: Any) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": name, "type": "tool_call"}])


async def told(connection: dict[str, Any], *script: AIMessage | str) -> list[BaseMessage]:
    """The messages of an agent that has the server's tools, and a model with this script."""
    tools = await MultiServerMCPClient({"memory": connection}).get_tools()  # type: ignore[dict-item]
    agent = create_agent(Scripted(messages=iter(script)), tools)
    answered = await agent.ainvoke({"messages": [("human", "Where do I live?")]})
    messages: list[BaseMessage] = answered["messages"]
    return messages


def result_of(messages: list[BaseMessage], tool: str) -> Any:
    (found,) = [one for one in messages if isinstance(one, ToolMessage) and one.name == tool]
    return json.loads(found.text)


async def test_an_agent_remembers_and_recalls_over_stdio(url: str) -> None:
    connection = {
        "transport": "stdio",
        "command": sys.executable,
        "args": [*COMMAND, "--user", "ada"],
        "env": environment(url, stubs=True),
    }
    messages = await told(
        connection,
        calls("remember", texts=["Ana lives in Lisbon"]),
        calls("recall", query="where does Ana live"),
        "In Lisbon.",
    )
    assert result_of(messages, "remember")["results"][0]["already_known"] is False
    assert [one["text"] for one in result_of(messages, "recall")["memories"]] == ["Ana lives in Lisbon"]
    assert messages[-1].text == "In Lisbon."


async def test_agents_of_two_users_over_http(start: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(json.dumps([{"token": f"long-token-of-{user}", "user": user} for user in ("ada", "bob")]))
    path.chmod(0o600)
    serving = start("--tokens", str(path))

    def connection(user: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer long-token-of-{user}"}
        return {"transport": "streamable_http", "url": serving.url, "headers": headers}

    await told(connection("ada"), calls("remember", texts=["Ana lives in Lisbon"]), "Noted.")
    asked = calls("recall", query="where does Ana live", user="ada")
    assert result_of(await told(connection("bob"), asked, "I don't know."), "recall")["memories"] == []
    (found,) = result_of(await told(connection("ada"), asked, "In Lisbon."), "recall")["memories"]
    assert found["text"] == "Ana lives in Lisbon"
