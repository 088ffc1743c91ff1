"""`agentmem chat`: its options, and where the lines come from: a person at a terminal, or a pipe."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_agentmem import __version__
from langchain_agentmem.cli import INTERRUPTED, options
from langchain_agentmem.cli.connect import open_memory
from langchain_agentmem.cli.console import CommandError, Screen, message
from langchain_agentmem.errors import AgentMemoryError

try:
    import readline  # `input` edits lines with it, and keeps a history of this session only
except ImportError:  # Windows
    readline = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from langchain_agentmem.cli.chat.conversation import Conversation


def chat(
    redis: options.Redis = None,
    user: options.User = None,
    namespace: options.Namespace = "default",
    thread: Annotated[
        str | None, options.id_option("thread", "The conversation to go on with. Without it: a new one.")
    ] = None,
    kind: Annotated[
        str,
        options.id_option(
            "kind",
            "The kind that what you state is remembered as: episodic (a week, the default), semantic (never "
            "expires), your own, or skip to remember nothing. Questions, greetings and thanks never are.",
        ),
    ] = "episodic",
    model: options.Model = None,
    recall_threshold: Annotated[float | None, options.threshold_option()] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show all of each exchange, as /why does, instead of a line.")
    ] = False,
) -> None:
    """Talk to a memory, and see what it does.

    Each line is an exchange: what fits is recalled, an answer is given, and what you state is remembered, or
    merged into an existing memory. Below each answer stands what changed; /why explains it. Lines that begin
    with a slash are commands: /help lists them, and Tab completes them.

    \b
      agentmem chat                                 nothing to set up
      agentmem chat --user alice                    someone else's memory
      agentmem chat --redis redis://localhost:6379  a server of yours
      agentmem chat --model openai:gpt-5-mini       a real model answers; any
                                                    that init_chat_model knows
      printf '%s\\n' 'I live in Lisbon.' 'Where do I live?' | agentmem chat

    Without --model, what was recalled answers a question. With it: pip install langchain
    langchain-openai (or another provider's package), and set the provider's key, such as OPENAI_API_KEY.

    A piped line that fails ends the run: exit code 1. 0: every exchange worked. 2: wrong usage. 130: Ctrl-C.
    """
    from langchain_agentmem.cli.chat import models
    from langchain_agentmem.cli.chat.conversation import Conversation, load_own

    screen, talker = Screen(), user or options.login_name()
    answering = models.prepare(model, screen, will_remember=kind != "skip")
    # Shown as an error of the exchange, which is the point of looking; the chat goes on by itself.
    with open_memory(
        redis,
        screen,
        check=lambda memory: load_own(memory, thread, talker),
        on_error="raise",
    ) as memory:
        conversation = Conversation(
            memory,
            screen,
            user=talker,
            namespace=namespace,
            kind=None if kind == "skip" else kind,
            answering=answering,
            model=model,
            recall_threshold=recall_threshold,
            verbose=verbose,
        )
        conversation.switch(thread)
        screen.ready()
        conversation.introduce(f"agentmem {__version__}")
        interactive = sys.stdin is not None and sys.stdin.isatty()
        (_talk if interactive else _read)(conversation, screen)


def _talk(conversation: Conversation, screen: Screen) -> None:
    """Take line after line from a person; only the person ends it."""
    from langchain_agentmem.cli.chat.slash_commands import complete, take

    if readline is not None:
        readline.set_completer(complete)
        readline.set_completer_delims(" ")
        is_libedit = "libedit" in (readline.__doc__ or "")
        readline.parse_and_bind("bind ^I rl_complete" if is_libedit else "tab: complete")
    colored = screen.out.is_lively and not os.environ.get("NO_COLOR")
    # readline has to know which characters take no room: those between \x01 and \x02.
    prompt = "\x01\x1b[1;36m\x02you › \x01\x1b[0m\x02" if colored else "you › "
    while True:
        try:
            line = input(prompt)
        except EOFError:
            screen.line()
            return conversation.part()
        except KeyboardInterrupt:
            screen.line()
            conversation.part()
            raise typer.Exit(INTERRUPTED) from None
        except UnicodeDecodeError:
            screen.aside("error: that line is not UTF-8", "red")
            continue
        try:
            if not take(conversation, line, screen.confirm):
                return conversation.part()
        except AgentMemoryError as error:
            screen.aside(message(error), "red")
        except KeyboardInterrupt:
            screen.aside("\nthe exchange is abandoned", "yellow")
        screen.line()


def _read(conversation: Conversation, screen: Screen) -> None:
    """Take the lines of standard input; the first that fails ends it."""
    from langchain_agentmem.cli.chat.slash_commands import take

    for number, raw in enumerate(() if sys.stdin is None else sys.stdin.buffer, 1):
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            says = f"line {number} of the input is not UTF-8 (at byte {error.start + 1})"
            raise CommandError(says) from None
        try:
            if not take(conversation, line):
                return
        except AgentMemoryError as error:
            raise CommandError(f"line {number}: {error}") from error
        if line.strip():
            screen.line()
