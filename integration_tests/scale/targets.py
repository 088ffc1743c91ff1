"""What is to be reached: ratios of times that were measured in one run, and turns per second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from integration_tests.benchmarks.reach import Line
from integration_tests.benchmarks.targets import Target
from integration_tests.scale.at_once import AtOnce
from integration_tests.scale.growth import TOGETHER, Measured, Results
from integration_tests.scale.servers import STANDALONE
from integration_tests.scale.worlds import OPERATIONS, where

GROWN, CLUSTER, AT_ONCE = 1.5, 1.4, 1000.0
_LARGE_CLUSTER = "3"
_MOST_AT_ONCE = 1000  # conversations


def lines(results: Sequence[Results], conversations: Sequence[AtOnce]) -> list[Line]:
    """Return a line per target that was measured."""
    found = [line for one in results for line in _lines(one)]
    turns = [
        one
        for one in conversations
        if not one.profile and one.mode == "hybrid" and one.conversations >= _MOST_AT_ONCE
    ]
    for one in turns:
        how = "as it is" if one.collections == "usual" else "made rare"
        target = Target(
            f"{one.conversations:,} conversations at once over one `AgentMemory`, garbage collection {how}",
            "nothing",
            AT_ONCE,
            "turns/s",
            at_least=True,
        )
        found.append(Line(f"at-once-{one.conversations}-{one.collections}", target, one.turns_per_second))
    return found


def _lines(results: Results) -> Iterator[Line]:
    smallest = min((one.memories for one in results.measured), default=0)
    for one in results.measured:
        if one.memories == smallest:
            continue
        if one.memories >= TOGETHER and (first := _other(results, one, memories=smallest)):
            yield Line(
                f"{one.operation}-{one.on}-{one.memories}",
                Target(
                    f"{OPERATIONS[one.operation].title}, {one.memories:,} memories, {where(one.on)}",
                    f"{smallest:,} memories",
                    GROWN,
                ),
                one.p50 / first.p50,
            )
        alone = _other(results, one, on=STANDALONE)
        if one.operation == "turn" and one.on == _LARGE_CLUSTER and alone:
            yield Line(
                f"cluster-{one.memories}",
                Target(
                    f"{OPERATIONS['turn'].title}, {one.memories:,} memories, {where(one.on)}",
                    f"{where(STANDALONE)}, as many memories",
                    CLUSTER,
                ),
                one.p50 / alone.p50,
            )


def _other(results: Results, one: Measured, on: str | None = None, memories: int = 0) -> Measured | None:
    """Return the same operation in another world of the same run."""
    wanted = (one.operation, on or one.on, memories or one.memories)
    return next(
        (each for each in results.measured if (each.operation, each.on, each.memories) == wanted), None
    )
