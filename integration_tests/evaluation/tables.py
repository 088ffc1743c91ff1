"""Tables: of a set of data, of times; on the screen and in the documentation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from integration_tests.evaluation.data import Pairs
from integration_tests.evaluation.latency import Timing
from integration_tests.evaluation.plot import Measured
from integration_tests.evaluation.scores import Figures, K

Rows = tuple[list[str], list[list[str]]]
"""A table: its headings and its rows."""


def chat(systems: Measured, problems: dict[str, str]) -> Rows:
    """Return the table of questions about conversations."""
    heads = ["", *(f"R@{k}" for k in (1, 5, 10, K)), "MRR", "false recalls"]
    heads += ["lower case: R@5", "false recalls"]
    every = any("chat, all categories" in groups for groups in systems.values())
    heads += [f"all categories: R@{K}", "MRR"] if every else []
    rows = []
    for name, groups in systems.items():
        found, typed = groups["chat"], groups["chat, lower case"]
        rows.append([name, *map(_figure, found.recall.values()), _figure(found.mrr)])
        rows[-1] += [_share(groups.get("chat, not known")), _figure(typed.recall[5])]
        rows[-1] += [_share(groups.get("chat, lower case, not known"))]
        if every:
            whole = groups["chat, all categories"]
            rows[-1] += [_figure(whole.recall[K]), _figure(whole.mrr)]
    return heads, rows + _not_run(problems, len(heads))


def facts(systems: Measured, problems: dict[str, str]) -> Rows:
    """Return the table of questions about short facts."""
    heads = ["", "R@1", "R@5", "lower case: R@5", "among chat: R@5"]
    heads += ["false: unrelated", "false: another's chat", "false: never said"]
    rows = []
    for name, groups in systems.items():
        rows.append([name, *(_figure(groups["facts"].recall[k]) for k in (1, 5))])
        rows[-1] += [_recall_at_5(groups.get(f"facts{which}")) for which in (", lower case", " among chat")]
        rows[-1] += [
            _share(groups.get(f"facts, {which}")) for which in ("unrelated", "another's chat", "never said")
        ]
    return _without_empty(heads, rows + _not_run(problems, len(heads)))


def changes(measured: Measured) -> Rows:
    """Return the table of what each part of the ranking gives."""
    heads = ["", "chat: R@5", "R@10", "false recalls", "lower case: R@5"]
    heads += ["facts: R@5", "unrelated: false", "among chat: R@5"]
    rows = []
    for name, groups in measured.items():
        said = groups.get("chat")
        rows.append([name, _recall_at_5(said), "" if said is None else _figure(said.recall[10])])
        rows[-1] += [_share(groups.get("chat, not known")), _recall_at_5(groups.get("chat, lower case"))]
        rows[-1] += [_recall_at_5(groups.get("facts")), _share(groups.get("facts, unrelated"))]
        rows[-1] += [_recall_at_5(groups.get("facts among chat"))]
    return _without_empty(heads, rows)


def _without_empty(heads: list[str], rows: list[list[str]]) -> Rows:
    """Return a table without the columns that this data has nothing for."""
    kept = [at for at in range(len(heads)) if at == 0 or any(row[at] for row in rows)]
    return [heads[at] for at in kept], [[row[at] for at in kept] for row in rows]


def _figure(value: float) -> str:
    return f"{value:.3f}"


def _share(figures: Figures | None) -> str:
    return "" if figures is None else f"{100 * figures.answered:.1f} %"


def _recall_at_5(figures: Figures | None) -> str:
    return "" if figures is None else _figure(figures.recall[5])


def _not_run(problems: dict[str, str], columns: int) -> list[list[str]]:
    return [[f"{name}: not run"] + [""] * (columns - 1) for name in problems]


def parts(measured: Measured) -> Rows:
    """Return R@5 by part, a row for each system."""
    names = [*dict.fromkeys(part for groups in measured.values() for part in groups)]
    sizes = {part: one.questions for groups in measured.values() for part, one in groups.items()}
    heads = ["R@5", *(f"{part} ({sizes[part]})" for part in sorted(names))]
    return heads, [
        [name, *(_recall_at_5(groups.get(part)) for part in sorted(names))]
        for name, groups in measured.items()
    ]


def deduplication(rules: dict[str, dict[str, list[bool]]], pairs: Pairs) -> Rows:
    """Return the table of what each rule of deduplication loses and merges."""
    heads = ["dedup", "changed facts lost", "restatements merged", "of which kinds changed facts are lost"]
    rows = []
    for rule, kinds in rules.items():
        lost = Counter(
            pair.category for pair, one in zip(pairs.different, kinds["different"], strict=True) if one
        )
        rows.append(
            [
                rule,
                f"{sum(kinds['different'])} of {len(kinds['different'])}",
                f"{sum(kinds['restated'])} of {len(kinds['restated'])} "
                f"({100 * sum(kinds['restated']) / max(1, len(kinds['restated'])):.0f} %)",
                ", ".join(f"{category} {count}" for category, count in lost.most_common(6)),
            ]
        )
    return heads, rows


def timings(measured: Sequence[Timing]) -> Rows:
    """Return the table of times."""
    heads = ["", "ms", "ratio", "ms on the client", "of which ranking", "round trips"]
    return heads, [
        [
            one.name,
            f"{one.milliseconds:.3f}",
            f"{one.ratio:.2f}",
            f"{one.client:.3f}",
            f"{one.ranking:.3f}",
            f"{one.round_trips:.0f}",
        ]
        for one in measured
    ]


def growths(measured: dict[int, dict[str, list[Timing]]]) -> Rows:
    """Return the table of times by how many memories there are."""
    names = [one.name for users in measured.values() for one in users["fixed"]]
    heads = ["memories in the index", "of the user", *dict.fromkeys(f"{name}: ms" for name in names)]
    return heads, [
        [f"{size:,}", user, *(f"{one.milliseconds:.3f}" for one in found)]
        for size, users in measured.items()
        for user, found in users.items()
    ]


def show(console: Console, title: str, rows: Rows) -> None:
    """Show a table on the screen."""
    table = Table(title=title, title_justify="left")
    for at, heading in enumerate(rows[0]):
        table.add_column(heading, justify="right" if at else "left")
    for row in rows[1]:
        table.add_row(*row)
    console.print(table)


def markdown(rows: Rows) -> str:
    """Return a table as the documentation has it."""
    heads, body = rows
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in body)])
