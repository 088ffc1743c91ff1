"""A line of what `agentmem doctor` reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["ok", "warning", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A line of the report.

    Attributes:
        name: What was looked at.
        verdict: How it is.
        says: What was found, and what to do if something is wrong.
        brief: What the short report says of it, if anything.
    """

    name: str
    verdict: Verdict
    says: str
    brief: str = ""
