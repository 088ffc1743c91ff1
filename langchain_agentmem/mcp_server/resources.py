"""What a client can attach to a chat: the user's profile, memories and conversations, and a prompt."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from langchain_agentmem.mcp_server.access import Whose
from langchain_agentmem.mcp_server.memory_block import memory_block
from langchain_agentmem.mcp_server.sdk import PromptError, ResourceError, Server, uri_parameter
from langchain_agentmem.mcp_server.tools import Tools, reported

_JSON = "application/json"
_NEWEST = 100


class Resources:
    """The resources over one memory; what a docstring says is what clients show.

    Args:
        tools: The tools over it.
        whose: Returns whose memory a request is about.
    """

    def __init__(self, tools: Tools, whose: Whose) -> None:
        self._tools = tools
        self._whose = whose

    async def profile(self) -> str:
        """Return what is essential about the user: the memories of kind profile, as a text."""
        return memory_block(await self._tools.profile(self._whose()), ())

    async def memories(self) -> str:
        """Return the user's newest memories."""
        return (await self._tools.list_memories(limit=_NEWEST)).model_dump_json(indent=2)

    async def sessions(self) -> str:
        """Return the user's conversations, those active last first."""
        return (await self._tools.list_sessions(limit=_NEWEST)).model_dump_json(indent=2)

    async def session(self, session_id: str) -> str:
        """Return a conversation of the user with its messages; the id in the URI is percent-encoded."""
        return (await self._tools.get_session(uri_parameter(session_id))).model_dump_json(indent=2)

    async def remembered(
        self, query: Annotated[str, Field(description="What the conversation is about.")]
    ) -> str:
        """Begin with what is known about the user, and about a topic."""
        return await self._tools.memory_prompt(query)


def add_resources(server: Server, resources: Resources, *, shows_server: bool) -> None:
    """Add the resources, and the prompt, to a server.

    Args:
        server: The server.
        resources: The resources.
        shows_server: Whether clients may know what is wrong with the store.
    """
    for uri, read, title, mime_type in (
        ("agentmem://profile", resources.profile, "Profile", "text/plain"),
        ("agentmem://memories", resources.memories, "Memories", _JSON),
        ("agentmem://sessions", resources.sessions, "Conversations", _JSON),
        ("agentmem://sessions/{session_id}", resources.session, "A conversation", _JSON),
    ):
        server.resource(uri, title=title, description=_said(read), mime_type=mime_type)(
            reported(read, ResourceError, shows_server=shows_server)
        )
    prompt = reported(resources.remembered, PromptError, shows_server=shows_server)
    server.prompt("remembered", title="What is remembered", description=_said(resources.remembered))(prompt)


def _said(read: object) -> str:
    """Return a docstring as a client shows it."""
    return " ".join((read.__doc__ or "").split())
