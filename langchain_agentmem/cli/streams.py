"""Standard input and output as bytes, where there are any: a program may be run with either closed."""

from __future__ import annotations

import sys
from typing import BinaryIO

from langchain_agentmem.cli.failures import CommandError


def standard_input() -> BinaryIO:
    """Standard input.

    Raises:
        CommandError: It is closed.
    """
    if sys.stdin is None:
        raise CommandError("Standard input is closed: give it a file or a pipe.")
    return sys.stdin.buffer


def standard_output() -> BinaryIO:
    """Standard output; what was written as text is written before.

    Raises:
        CommandError: It is closed.
    """
    if sys.stdout is None:
        raise CommandError("Standard output is closed: give it a file or a pipe.")
    sys.stdout.flush()
    return sys.stdout.buffer
