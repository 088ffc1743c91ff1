"""Rows over Upstash's REST API: a history beside langchain-community's, both before the same emulation."""

from __future__ import annotations

import warnings
from typing import Any

from langchain_core.messages import BaseMessage

from integration_tests.benchmarks.measure import Row, Side
from integration_tests.benchmarks.world import TTL_SECONDS, WINDOW, World, conversation, exchange
from langchain_agentmem import UpstashChatMessageHistory

_SESSION = "turn"


def upstash_turn(world: World) -> Row:
    """An exchange appended to a list, and the list read."""
    theirs = _langchain_community_history(world)
    ours = UpstashChatMessageHistory(
        _SESSION, session_ttl=TTL_SECONDS, url=world.emulator.url, token=world.emulator.token
    )
    world.closing.callback(ours.close)

    def side(name: str, history: Any, key: str) -> Side:
        history.clear()
        history.add_messages(conversation())

        def run(at: int) -> list[BaseMessage]:
            history.add_messages(exchange(at))
            read: list[BaseMessage] = history.messages
            return read

        return Side(
            name,
            run,
            # Neither side trims: without this, both would get slower and slower.
            lambda _: world.rest_client.ltrim(key, 0, WINDOW - 1),
            result=lambda messages: [(message.type, message.content) for message in messages],
            traffic=world.rest_traffic,
        )

    return Row(
        "upstash-turn",
        f"a turn over REST: append a 2-message exchange, TTL {TTL_SECONDS} s, and read {WINDOW + 2} messages",
        side("UpstashChatMessageHistory", ours, _SESSION),
        [
            side(
                "langchain-community's UpstashRedisChatMessageHistory",
                theirs,
                theirs.key,
            )
        ],
        share=0.25,
    )


def _langchain_community_history(world: World) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that the package is no longer maintained
        from langchain_community.chat_message_histories import UpstashRedisChatMessageHistory

    history = UpstashRedisChatMessageHistory(
        _SESSION, world.emulator.url, world.emulator.token, ttl=TTL_SECONDS
    )
    world.closing.callback(history.redis_client.close)
    return history
