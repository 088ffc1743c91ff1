"""`python -m integration_tests.evaluation.extraction`: ask a model about each dialogue, count, show."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from langchain_core.embeddings import Embeddings
from langchain_core.output_parsers import StrOutputParser
from rich.console import Console

from integration_tests.evaluation.extraction.dialogues import PATH, Dialogue, load
from integration_tests.evaluation.extraction.extractors import (
    Answers,
    Outcome,
    Script,
    as_said,
    ask,
    read_again,
)
from integration_tests.evaluation.extraction.scores import Counts, Scorer
from integration_tests.evaluation.tables import Rows, markdown, show
from langchain_agentmem import Extractor, MiniLMEmbeddings, model_extractor

SCRIPT, AS_SAID = "scripted answers", "without a model"


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m integration_tests.evaluation.extraction", description=__doc__
    )
    add = parser.add_argument
    add("--model", help="a chat model, such as openai:gpt-5-mini; without one, answers are scripted")
    add(
        "--option",
        action="append",
        default=[],
        type=_option,
        metavar="NAME=VALUE",
        help="an option of the model, such as timeout=60, temperature=0 or max_tokens=800; any number of them",
    )
    add("--text", action="store_true", help="ask for JSON in text, even if the model has structured output")
    add("--instructions", type=Path, help="a file with instructions to try in place of the shipped ones")
    add("--dialogues", type=Path, default=PATH, help="dialogues of your own, in the same form")
    add("--only", metavar="TAG", help="only dialogues with this tag, such as date, or in this language")
    add(
        "--at-once",
        type=int,
        default=4,
        help="requests to the model at the same time; 1 for one on this machine",
    )
    add("--save", type=Path, help="write each answer to this file as it comes, to be read again with --saved")
    add("--saved", type=Path, help="read the answers that another run saved, and ask no model")
    add("--misses", action="store_true", help="show what is missing, and what is needless")
    add("--markdown", action="store_true", help="print the tables as Markdown")
    return parser.parse_args(words)


def _option(words: str) -> tuple[str, Any]:
    name, equals, value = words.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{words} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def table(counted: dict[str, Counts]) -> Rows:
    """The figures of each run, or group."""
    heads = ["", "precision", "recall", "contradictions resolved", "small talk ignored"]
    heads += [
        "nothing expected, nothing extracted",
        "superseded wrongly",
        "leaked",
        "failed",
        "median seconds",
    ]
    return heads, [
        [
            name,
            f"{one.precision:.3f}",
            f"{one.recall:.3f}",
            f"{one.resolved} of {one.contradictions}",
            f"{one.small_talk_ignored} of {one.small_talk}",
            f"{one.ignored} of {one.empty}",
            *(f"{count}" for count in (one.superseded_wrongly, one.leaked)),
            ", ".join(f"{count} {reason}" for reason, count in sorted(one.failures.items())) or "0",
            f"{statistics.median(one.seconds):.2f}",
        ]
        for name, one in counted.items()
    ]


def _grouped(
    scorer: Scorer, dialogues: Sequence[Dialogue], outcomes: dict[str, Outcome]
) -> dict[str, dict[str, Counts]]:
    def counted(groups: Callable[[Dialogue], Sequence[str]]) -> dict[str, Counts]:
        names = sorted({name for one in dialogues for name in groups(one)})
        return {
            f"{name} ({len(of)})": scorer.counts(of, outcomes)
            for name in names
            for of in [[one for one in dialogues if name in groups(one)]]
        }

    return {"by tag": counted(lambda one: one.tags), "by language": counted(lambda one: [one.language])}


def _run(chosen: argparse.Namespace, dialogues: Sequence[Dialogue], console: Console) -> dict[str, Outcome]:
    """What the model, the script, or the file says."""
    if chosen.saved:
        return read_again(json.loads(chosen.saved.read_text("utf-8")), dialogues)
    answers, model, saved = Answers(), Script.expected(dialogues), {}
    if chosen.model:
        from langchain.chat_models import init_chat_model

        model = init_chat_model(chosen.model, **dict(chosen.option))
    model.callbacks = [answers]
    instructions = chosen.instructions.read_text("utf-8") if chosen.instructions else None
    extractor: Extractor = model_extractor(
        model | StrOutputParser() if chosen.text else model, instructions=instructions
    )

    def done(dialogue: Dialogue, outcome: Outcome) -> None:
        saved[dialogue.id] = outcome.to_dict()
        if chosen.save:
            written = json.dumps(saved, indent=1, ensure_ascii=False)
            chosen.save.write_text(f"{written}\n", "utf-8")
        if chosen.model:
            came = outcome.failure or f"{len(outcome.extracted)} extracted"
            at = f"{len(saved)} of {len(dialogues)}"
            console.print(f"{at}, {outcome.seconds:.1f} s, {dialogue.id}: {came}", markup=False)

    return ask(extractor, dialogues, at_once=chosen.at_once, answers=answers.given, done=done)


def main(words: list[str] | None = None, *, embeddings: Embeddings | None = None) -> int:
    """Run the evaluation; the exit code."""
    chosen = _arguments(words)
    console = Console() if sys.stdout.isatty() else Console(width=170)
    dialogues = load(chosen.dialogues)
    if chosen.only:
        dialogues = [one for one in dialogues if chosen.only in (*one.tags, one.language)]
    if not dialogues:
        console.print(f"no dialogue is tagged {chosen.only}", markup=False)
        return 2
    outcomes = _run(chosen, dialogues, console)
    dialogues = [one for one in dialogues if one.id in outcomes]
    if not dialogues:
        console.print(f"{chosen.saved.name} has none of the dialogues", markup=False)
        return 2
    scorer = Scorer(embeddings or MiniLMEmbeddings())
    name = f"saved in {chosen.saved.name}" if chosen.saved else chosen.model or SCRIPT
    runs = {AS_SAID: ask(as_said, dialogues), name: outcomes}
    tables = {f"{len(dialogues)} dialogues": table({n: scorer.counts(dialogues, o) for n, o in runs.items()})}
    tables |= {f"{name}, {by}": table(of) for by, of in _grouped(scorer, dialogues, outcomes).items()}
    for title, rows in tables.items():
        if chosen.markdown:
            console.print(f"{title}\n\n{markdown(rows)}\n", markup=False, soft_wrap=True)
        else:
            show(console, title, rows)
    for dialogue in dialogues if chosen.misses else ():
        outcome = outcomes[dialogue.id]
        missed = scorer.misses(dialogue, outcome)
        for what, texts in (("missing", missed.missing), ("needless", missed.needless)):
            for text in texts:
                console.print(f"{dialogue.id}: {what}: {text}", markup=False)
        if outcome.failure:
            console.print(f"{dialogue.id}: {outcome.failure}", markup=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
