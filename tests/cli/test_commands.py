"""Lines that begin with a slash."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest

from langchain_agentmem.cli.chat.slash_commands import COMMANDS, take
from langchain_agentmem.errors import InvalidInputError


@pytest.mark.parametrize(
    ("line", "text"),
    [("/goal  see  Porto ", "see  Porto"), ("/GOAL x", "x"), ("/ goal x", "x")],
)
def test_a_command_is_a_name_and_the_rest(line: str, text: str) -> None:
    conversation = MagicMock(thread="t-1")
    assert take(conversation, line)
    conversation.memory.working.set_goal.assert_called_once_with("t-1", text)
    conversation.say.assert_not_called()


def test_quit_ends_the_chat() -> None:
    assert take(MagicMock(), "/quit") is False


@pytest.mark.parametrize(
    ("line", "hint"), [("/memorys", "did you mean /memories?"), ("/zzz", "/help lists"), ("/", "/help lists")]
)
def test_an_unknown_command_is_refused_with_a_hint(line: str, hint: str) -> None:
    with pytest.raises(InvalidInputError, match=hint.replace("?", r"\?")):
        take(MagicMock(), line)


@pytest.mark.parametrize(
    "line", ["/events x", "/events 0", "/events -1", f"/events {'9' * 5000}", "/forget maybe", "/forget"]
)
def test_a_command_that_cannot_be_used_like_this_does_nothing(line: str) -> None:
    conversation = MagicMock()
    with pytest.raises(InvalidInputError):
        take(conversation, line)
    conversation.memory.assert_not_called()


def test_forgetting_asks_first() -> None:
    conversation: Any = MagicMock(user="ada")
    assert take(conversation, "/forget", lambda question: False)
    conversation.memory.forget_user.assert_not_called()
    conversation.memory.forget_user.return_value = MagicMock(threads=["t"], memories=2, events=3)
    assert take(conversation, "/forget", lambda question: "ada" in question)
    conversation.memory.forget_user.assert_called_once_with("ada")


def test_help_lists_every_command() -> None:
    conversation: Any = MagicMock()
    take(conversation, "/help")
    usages = " ".join(row[0] for row in conversation.screen.table.call_args.args[2])
    assert all(f"/{name}" in usages for name in [*COMMANDS, "quit"])


@pytest.mark.parametrize(
    ("line", "said"),
    [("hello", ["hello"]), ("  hi ", ["hi"]), ("//etc/hosts", ["/etc/hosts"]), ("", []), ("  ", [])],
)
def test_other_lines_are_turns(line: str, said: list[str]) -> None:
    conversation: Any = MagicMock()
    assert take(conversation, line)
    assert [call.args[0] for call in conversation.say.call_args_list] == said
