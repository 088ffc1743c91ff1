"""What is to be reached: each target once, in the order of the page's first table."""

from __future__ import annotations

from dataclasses import dataclass

FLAT, HNSW = "FLAT", "HNSW"


@dataclass(frozen=True)
class Target:
    """A limit: of our time as a multiple of another side's, or of a number that is judged by itself.

    Attributes:
        what: What is measured.
        against: What it is compared with, or what it was before.
        limit: The most it may be; the least if `at_least`.
        unit: What the limit is in; `×` for a ratio.
        at_least: Whether more is better.
    """

    what: str
    against: str
    limit: float
    unit: str = "×"
    at_least: bool = False

    def reached(self, value: float) -> bool:
        """Return whether a value is within the limit."""
        return value >= self.limit if self.at_least else value <= self.limit

    def show(self, value: float) -> str:
        """Return a value with its unit."""
        if self.unit == "×":
            return f"{value:.2f}×"
        return f"{value:,.1f} {self.unit}" if value < 10 else f"{value:,.0f} {self.unit}"

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.show(self.limit)}"


_GUIDE = "the guide's own code, on HNSW as it has it"
_SAME_INDEX = "`execute_command` and orjson, same index"

TARGETS: dict[str, Target] = {
    "turn-guide": Target('a whole turn, vector given, `mode="vector"`', _GUIDE, 0.45),
    "turn-strict": Target(
        'a whole turn, vector given, `mode="vector"`', f"each command its own call, {_SAME_INDEX}", 0.85
    ),
    "turn-hybrid": Target("a whole turn, vector given, default settings (hybrid)", _GUIDE, 0.80),
    "turn-embedded": Target(
        "a whole turn with the sentence embedded, default settings",
        "the guide's own code with sentence-transformers, on HNSW",
        0.40,
    ),
    "append": Target("append 2 messages", "RPUSH, LTRIM, EXPIRE in a pipeline, json", 1.20),
    "recall": Target(
        'recall 5 of 1,000, vector given, `mode="vector"`', "`execute_command`, same index", 1.20
    ),
    "remember": Target("remember a new fact", f"KNN, then JSON.SET and EXPIRE by {_SAME_INDEX}", 1.0),
    "conversations": Target(
        "200 conversations at once through `wrap(…).ainvoke`, vectors given, one process",
        "640 turns/s before",
        1000,
        "turns/s",
        at_least=True,
    ),
    "embed-one": Target("embed one sentence", "sentence-transformers, same process", 0.45),
    "embed-many": Target("embed 512 sentences", "sentence-transformers, same process", 0.90),
    "shell": Target('`agentmem recall "…"` from the shell, private Redis running', "10 s before", 1.5, "s"),
    "install": Target("install `[all]` and the weights in an empty environment", "1.8 GB before", 450, "MB"),
    "growth": Target("remember at 100,000 memories", "remember at 1,000", 1.5),
    "read": Target("read 20 messages", "LRANGE and `messages_from_dict`, json", 1.0),
    "import": Target("`import langchain_agentmem`", "`import langchain_core.messages, redis`", 1.3),
}
