"""The table of targets: what is to be reached, what is, and where the time of what is missed goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from integration_tests.benchmarks.measure import Figure, Measured
from integration_tests.benchmarks.targets import HNSW, TARGETS, Target
from integration_tests.benchmarks.time_spent import Spent


@dataclass(frozen=True)
class Line:
    """A target with what was measured.

    Attributes:
        name: Its name in `TARGETS`.
        target: The target.
        value: What is judged: with the default index, where an index matters; `None` if it was not measured.
        on_hnsw: The same with HNSW, which is shown only; `None` where it makes no difference.
        row: The key of the row it comes from; empty if it comes from none.
        detail: What the value is made of.
    """

    name: str
    target: Target
    value: float | None = None
    on_hnsw: float | None = None
    row: str = ""
    detail: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; `None` if it was not measured."""
        return None if self.value is None else self.target.reached(self.value)

    @property
    def verdict(self) -> str:
        """The same as a word."""
        return {None: "not measured", True: "reached", False: "missed"}[self.reached]

    def cells(self) -> list[str]:
        """What the table shows of it."""
        measured = ["" if one is None else self.target.show(one) for one in (self.value, self.on_hnsw)]
        return [self.target.what, self.target.against, *measured, str(self.target), self.verdict]


@dataclass
class _Found:
    """What was measured for a target, by algorithm."""

    values: dict[bool, float] = field(default_factory=dict)
    row: str = ""
    detail: str = ""


def lines(rows: Sequence[Measured], figures: Sequence[Figure]) -> list[Line]:
    """Return a line per target, in their order."""
    found = {name: _Found() for name in TARGETS}
    for row in rows:
        for one in row.others:
            if one.target:
                found[one.target].values[row.index == HNSW] = one.ratio
                if row.index != HNSW:
                    found[one.target].row = row.key
                    found[
                        one.target
                    ].detail = f"ours {row.milliseconds:.2f} ms, theirs {one.milliseconds:.2f} ms"
    for figure in figures:
        found[figure.target].values[figure.index == HNSW] = figure.value
        if figure.index != HNSW:
            found[figure.target].detail = figure.detail
    return [
        Line(name, target, one.values.get(False), one.values.get(True), one.row, one.detail)
        for name, target in TARGETS.items()
        for one in [found[name]]
    ]


def missed(found: Sequence[Line]) -> list[str]:
    """The targets that were measured and not reached."""
    return [
        f"{line.target.what}, against {line.target.against}: {line.target.show(line.value)} instead of {line.target}"
        for line in found
        if line.value is not None and not line.reached
    ]


def markdown(found: Sequence[Line], spent: Sequence[Spent]) -> str:
    """The page's first table, and below it where the time of what is missed goes."""
    table = [
        "| what | against | measured | on HNSW | target | |",
        "|---|---|---:|---:|---:|---|",
    ]
    for line in found:
        what, against, value, on_hnsw, target, verdict = line.cells()
        mark = "**" if line.reached is False else ""
        table.append(
            f"| {what} | {against} | **{value or '–'}** | {on_hnsw} | {target} | {mark}{verdict}{mark} |"
        )
    reasons = [*_reasons(found, spent)]
    if not reasons:
        return "\n".join([*table, "", "Every target that was measured is reached."])
    return "\n".join([*table, "", "Where the time of what is missed goes:", "", *reasons])


def _reasons(found: Sequence[Line], spent: Sequence[Spent]) -> Iterator[str]:
    for line in found:
        if line.value is None or line.reached:
            continue
        parts = [f"{_side(one)} {_split(one)}" for one in spent if one.row == line.row and _is_of(line, one)]
        why = "; ".join(parts) or line.detail
        limit = f"{line.target.show(line.value)} instead of {line.target}"
        yield f"* {_capital(line.target.what)}, {limit}" + (f": {why}." if why else ".")


def _is_of(line: Line, one: Spent) -> bool:
    return one.target in ("", line.name)


def _side(one: Spent) -> str:
    return "theirs" if one.target else "ours"


def _split(one: Spent) -> str:
    return (
        f"{one.total:.2f} ms, of which the server's commands {one.server:.2f}, "
        f"the client's CPU {one.client:.2f}, waiting {one.waiting:.2f}"
    )


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
