"""Lines that begin with a slash."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock, call

import pytest

from langchain_agentmem.cli.chat.slash_commands import COMMANDS, complete, take
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.user_data import Forgotten


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
    "line",
    ["/events x", "/events 0", "/events -1", f"/events {'9' * 5000}", "/forget maybe", "/forget", "/delete"],
)
def test_a_command_that_cannot_be_used_like_this_does_nothing(line: str) -> None:
    conversation = MagicMock()
    with pytest.raises(InvalidInputError):
        take(conversation, line)
    conversation.memory.assert_not_called()


def test_forgetting_asks_first() -> None:
    conversation: Any = MagicMock(user="ada")
    conversation.memory.forget_user.return_value = Forgotten(["t"], 2, 3, 4, 1)
    asked: list[str] = []
    assert take(conversation, "/forget", lambda question: bool(asked.append(question)))
    conversation.memory.forget_user.assert_called_once_with("ada", dry_run=True)
    assert asked == ["1 conversation, 2 memories, 3 events, 4 items, 1 task of ada. Remove them?"]
    assert take(conversation, "/forget", lambda question: "ada" in question)
    assert conversation.memory.forget_user.call_args_list[2:] == [call("ada")]
    assert [one.args[0] for one in conversation.record.call_args_list] == ["forget"]


def test_what_a_command_does_to_the_memory_is_recorded() -> None:
    conversation: Any = MagicMock(thread="t-1", user="ada")
    conversation.find.return_value = MagicMock(id="m1", text="I live in Porto.")
    assert take(conversation, "/delete m")
    conversation.memory.long_term.delete_memory.assert_called_once_with("m1", user="ada")
    conversation.record.assert_called_once_with("delete", "I live in Porto.", memory_ids=["m1"])
    assert take(conversation, "/goal find a flat")
    conversation.record.assert_called_with("goal", "find a flat")


def test_there_is_nothing_to_explain_before_the_first_exchange() -> None:
    with pytest.raises(InvalidInputError, match="say something, then /why"):
        take(MagicMock(last=None), "/why")


def test_commands_are_completed() -> None:
    def completed(begun: str) -> list[str | None]:
        return [complete(begun, state) for state in range(3)]

    assert completed("/me") == ["/memories ", None, None]
    assert completed("/th") == ["/thread ", None, None]
    assert completed("/q") == ["/quit ", None, None]
    assert completed("me") == [None, None, None]
    assert completed("/") == [f"/{name} " for name in [*COMMANDS][:3]]


def test_help_lists_every_command() -> None:
    conversation: Any = MagicMock()
    take(conversation, "/help")
    usages = " ".join(row[0] for row in conversation.screen.table.call_args.args[1])
    assert all(f"/{name}" in usages for name in [*COMMANDS, "quit"])


@pytest.mark.parametrize(
    ("line", "said"),
    [("hello", ["hello"]), ("  hi ", ["hi"]), ("//etc/hosts", ["/etc/hosts"]), ("", []), ("  ", [])],
)
def test_other_lines_are_turns(line: str, said: list[str]) -> None:
    conversation: Any = MagicMock()
    assert take(conversation, line)
    assert [call.args[0] for call in conversation.say.call_args_list] == said
