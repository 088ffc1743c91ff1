"""`agentmem worker`: does in the background what turns have left to it, or shows what has failed of it."""

from __future__ import annotations

import sys
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from langchain_agentmem.cli import options
from langchain_agentmem.cli.connect import open_memory, open_store, whereabouts
from langchain_agentmem.cli.console import CommandError, Screen, show_json
from langchain_agentmem.cli.ids import shown_ids
from langchain_agentmem.cli.table import Cell, Column
from langchain_agentmem.cli.text import ago, counted, moment, one_line, span

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory
    from langchain_agentmem.worker.metrics import WorkerMetrics

_PAGE = 100
_MODEL_SECONDS = 60  # that a model may take


def worker(
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="With --replay: which ones.", show_default=False),
    ] = None,
    redis: options.Redis = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="PROVIDER:NAME", help="The model that extracts and sums up."),
    ] = None,
    extractor: Annotated[
        str | None,
        typer.Option("--extractor", metavar="MODULE:NAME", help="Who extracts, instead of the model."),
    ] = None,
    summarise: Annotated[
        str | None,
        typer.Option("--summarise", metavar="MODULE:NAME", help="Who sums up, instead of the model."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when everything is done that is there.")] = False,
    group: Annotated[
        str, options.id_option("group", "Workers of one group share the work; by default, agentmem.")
    ] = "agentmem",
    name: Annotated[
        str | None, options.id_option("name", "The worker's own name; by default, a new one.")
    ] = None,
    concurrency: Annotated[
        int,
        typer.Option("--concurrency", metavar="N", min=1, max=1000, help="How many threads' work at once."),
    ] = 8,
    debounce: Annotated[
        float,
        typer.Option("--debounce", metavar="SECONDS", min=0, help="How long a thread has to be quiet."),
    ] = 5.0,
    attempts: Annotated[
        int,
        typer.Option("--attempts", metavar="N", min=1, max=1000, help="After how many a task is set aside."),
    ] = 10,
    consolidate: Annotated[
        bool,
        typer.Option("--consolidate", help="Also merge memories that say the same; by the model, if given."),
    ] = False,
    metrics_every: Annotated[
        float | None,
        typer.Option("--metrics-every", metavar="SECONDS", min=0.1, help="Print metrics to standard error."),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="List the tasks that are set aside.")] = False,
    replay: Annotated[
        bool, typer.Option("--replay", help="Put those with these ids back into their queues.")
    ] = False,
    replay_all: Annotated[bool, typer.Option("--replay-all", help="Put all of them back.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Extract memories and fold summaries in the background.

    \b
      agentmem worker --model openai:gpt-5-mini
      agentmem worker --extractor app.memory:extract --once --json
      agentmem worker --failed
      agentmem worker --replay 1764460800123-0

    It works until Ctrl-C or SIGTERM, and finishes what is in hand then; a second one ends it at once. Any
    number of workers share the work. A task that has failed N times is set aside. MODULE is looked for in
    the current folder, too.
    """
    options.at_most_one(failed=failed, replay=replay, replay_all=replay_all)
    options.at_most_one(model=model if extractor and summarise else None, extractor=extractor)
    screen = Screen()
    if ids and not replay:
        raise typer.BadParameter("ids go with --replay.")
    if failed:
        return _list_failed(screen, redis, as_json)
    if replay or replay_all:
        if replay and not ids:
            raise typer.BadParameter("--replay takes the ids of tasks, as --failed lists them.")
        return _replay(screen, redis, None if replay_all else ids, as_json)
    asked: dict[str, Any] = {
        "extractor": None if extractor is None else _named(extractor, "--extractor"),
        "summarise": None if summarise is None else _named(summarise, "--summarise"),
    }
    if model is not None:
        _ask_model(model, asked, screen, consolidate=consolidate)
    asked.setdefault("consolidate", consolidate)
    if not (asked["extractor"] or asked["summarise"]):
        raise typer.BadParameter("it needs --model, --extractor or --summarise: somebody has to be asked.")
    how = {
        "group": group,
        "name": name,
        "concurrency": concurrency,
        "debounce_seconds": debounce,
        "max_attempts": attempts,
    }
    return _work(screen, redis, {**asked, **how}, once=once, metrics_every=metrics_every, as_json=as_json)


def _named(given: str, option: str) -> Any:
    """Return what MODULE:NAME names; from the current folder, as Python would find it there."""
    module, _, name = given.partition(":")
    if not module or not name:
        raise typer.BadParameter("it takes MODULE:NAME, such as app.memory:extract.", param_hint=option)
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise typer.BadParameter(f"{given}: {error}.", param_hint=option) from error
    if not callable(found):
        raise typer.BadParameter(f"{given} is no function.", param_hint=option)
    return found


def _ask_model(name: str, asked: dict[str, Any], screen: Screen, *, consolidate: bool) -> None:
    """Let a chat model do what nobody else is named for."""
    from langchain_agentmem import (
        AgentMemorySettings,
        model_consolidator,
        model_extractor,
        model_summariser,
    )
    from langchain_agentmem.cli.chat.models import chat_model

    with screen.busy(f"preparing {name} …", step="chat model"):
        model = chat_model(name, timeout=_MODEL_SECONDS)
    asked["extractor"] = asked["extractor"] or model_extractor(model)
    if consolidate:
        asked["consolidate"] = model_consolidator(model)
    if AgentMemorySettings.load(url="redis://localhost").max_turns is not None:  # else nothing is summed up
        asked["summarise"] = asked["summarise"] or model_summariser(model)


def _work(
    screen: Screen,
    redis: str | None,
    how: dict[str, Any],
    *,
    once: bool,
    metrics_every: float | None,
    as_json: bool,
) -> None:
    from langchain_agentmem import MemoryWorker

    with open_memory(redis, screen) as memory:
        progress = _Line(screen, metrics_every)
        made = MemoryWorker(memory, on_progress=progress.show, **how)
        screen.aside(f"memory  {whereabouts(memory)}")
        screen.aside(f"worker  {one_line(made.name, 80)} of group {one_line(how['group'], 60)}")
        with progress:
            screen.err.show_cursor()  # a second signal ends the process at once
            metrics = made.run(once=once)
    if as_json:
        show_json(metrics.as_dict())
    else:
        screen.facts(_told(metrics))
    if once and metrics.failures:
        raise typer.Exit(1)


class _Line(Progress):
    """Shows what has been done: a line that moves on a terminal; on standard error."""

    def __init__(self, screen: Screen, every: float | None) -> None:
        super().__init__(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=screen.err,
            transient=True,
            disable=not screen.err.is_lively,
        )
        self._screen, self._every = screen, every
        self._line = self.add_task("waiting for work", total=None)
        self._said = time.monotonic()

    def show(self, metrics: WorkerMetrics) -> None:
        """Show the metrics."""
        self.update(self._line, description=_summed_up(metrics))
        now = time.monotonic()
        if self._every is not None and now - self._said >= self._every:
            from langchain_agentmem.core import json

            self._said = now
            self._screen.aside(json.dumps(metrics.as_dict()).decode(), is_command=True)


def _summed_up(metrics: WorkerMetrics) -> str:
    changes = sum(number for outcome, number in metrics.changes.items() if outcome != "refused")
    parts = [
        counted(metrics.exchanges, "exchange"),
        counted(changes, "change"),
        f"{metrics.folded_messages:,} folded",
    ]
    if failures := sum(metrics.failures.values()):
        parts.append(counted(failures, "failure"))
    if metrics.waiting:
        parts.append(f"{metrics.waiting:,} waiting")
    return ", ".join(parts)


def _told(metrics: WorkerMetrics) -> list[tuple[str, str]]:
    """Return what was done, as labelled facts."""
    changes = ", ".join(f"{number:,} {outcome}" for outcome, number in sorted(metrics.changes.items()))
    facts = [
        ("extracted", f"{counted(metrics.exchanges, 'exchange')}: {changes or 'nothing to remember'}"),
        ("folded", counted(metrics.folded_messages, "message")),
        ("asked", f"{counted(metrics.model_calls, 'time')}, {span(metrics.model_seconds)}"),
    ]
    if metrics.consolidated:
        facts.append(("merged", counted(metrics.consolidated, "memory")))
    if metrics.failures:
        failures = ", ".join(f"{number:,} {reason}" for reason, number in sorted(metrics.failures.items()))
        facts.append(("failures", failures))
    if metrics.waiting:
        facts.append(("waiting", counted(metrics.waiting, "queue")))
    if metrics.failed:
        facts.append(("set aside", f"{counted(metrics.failed, 'task')}; agentmem worker --failed lists them"))
    return facts


def _list_failed(screen: Screen, redis: str | None, as_json: bool) -> None:
    with open_store(redis, screen) as memory:
        found = list(_failed(memory))
    if as_json:
        for one in found:
            show_json(
                {
                    "id": one.id,
                    "what": one.place.what,
                    "thread": one.place.thread_id,
                    "user": one.place.user,
                    "namespace": one.place.namespace,
                    "attempts": one.attempts,
                    "reason": one.reason,
                    "message": one.message,
                    "ts": one.ts,
                }
            )
        return
    columns = [
        Column("id", 80),
        Column("what"),
        Column("thread", 16),
        Column("user", 14),
        Column("attempts", right=True),
        Column("reason"),
        Column("failed"),
        Column("message"),
    ]
    names = shown_ids(screen, {one.place.thread_id for one in found})
    rows = [
        (
            one.id,
            one.place.what,
            Cell(names[one.place.thread_id], one.place.thread_id),
            one.place.user,
            str(one.attempts),
            one.reason,
            Cell(ago(one.ts), moment(one.ts)),
            one.message,
        )
        for one in found
    ]
    screen.table(columns, rows, empty="no tasks are set aside")


def _failed(memory: AgentMemory) -> Any:
    cursor = ""
    while page := memory.tasks.failed(limit=_PAGE, cursor=cursor):
        yield from page
        cursor = page[-1].id


def _replay(screen: Screen, redis: str | None, ids: list[str] | None, as_json: bool) -> None:
    with options.usage(), open_store(redis, screen) as memory:
        count = memory.tasks.replay(ids)
    if ids is not None and count < len(set(ids)):
        raise CommandError(
            f"Replayed {counted(count, 'task')}; the other ids are of none that is set aside. "
            "agentmem worker --failed lists them."
        )
    return show_json({"replayed": count}) if as_json else screen.facts([("replayed", counted(count, "task"))])
