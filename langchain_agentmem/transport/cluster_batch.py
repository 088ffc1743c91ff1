"""Decides what of a batch goes to which node of a cluster, and what of it is sent again. No I/O.

Sent again is what certainly did not run: what a node has redirected (MOVED, ASK) or put off (TRYAGAIN,
CLUSTERDOWN, MASTERDOWN, LOADING), what came to a demoted primary (READONLY), a script that the node does not
have, and what there was no connection for; and what only reads, if the connection broke. A write whose answer
was lost has the error as its reply: the others of its batch may well have been answered by other nodes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

from redis.exceptions import (
    AskError,
    ClusterCrossSlotError,
    ClusterDownError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    TryAgainError,
)
from tenacity import RetryCallState

from langchain_agentmem.core.operations import Batch, Command, asks
from langchain_agentmem.errors import (
    AgentMemoryError,
    ClusterNodeError,
    StoreConnectionError,
    StoreError,
    StoreLoadingError,
    StoreTimeoutError,
)
from langchain_agentmem.transport.cluster_scan import ScanPage, Scans, begins, is_scan
from langchain_agentmem.transport.cluster_slots import NodeGoneError, SlotTable, slot_of
from langchain_agentmem.transport.drivers import PACE, InFlightBatch, Retryable, given_up
from langchain_agentmem.transport.redis_errors import quoted

_ASKING = asks("ASKING")
# Without the first, a replica sends every command to its primary. With it, it answers all later reads on that
# connection, also those that are meant for a primary, which it may have been when the table was read.
_READONLY, _READWRITE = asks("READONLY"), asks("READWRITE")


class Unreachable(Retryable):
    """Signals that not one node of the cluster has told where the slots are."""


_SOON, _LATER = given_up(2.0), given_up(10.0)


def _give_up(state: RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome is not None else None
    return (_SOON if isinstance(error, Unreachable) else _LATER)(state)


# How a cluster's driver paces its further attempts. With `cluster-node-timeout 2000`, a replica takes over
# 3.7 to 4.6 seconds after its primary was killed. Where no node answers at all, it is as with one server.
CLUSTER_PACE: dict[str, Any] = PACE | {"stop": _give_up}


class Part(NamedTuple):
    """Holds what of a batch goes to one node.

    Attributes:
        node: The node.
        places: The places in the batch, in order.
        asked: Those of them that another node has sent here for this one time.
        read: Those of them that a replica is to answer.
    """

    node: str
    places: list[int]
    asked: set[int]
    read: set[int]

    def command_before(self, place: int) -> Command | None:
        """Return what is sent in front of a command, and answered by itself."""
        return _ASKING if place in self.asked else _READONLY if place in self.read else None

    def command_behind(self, place: int) -> Command | None:
        """Return what is sent behind a command, and answered by itself."""
        return _READWRITE if place in self.read and place not in self.asked else None


class Outcome(Protocol):
    """Tells what came of sending a part: see `Exchange`."""

    answers: list[Any]
    unsent: AgentMemoryError | None
    lost: StoreError | None


class ClusterBatch(InFlightBatch):
    """Keeps account of a batch that is being sent to the nodes of a cluster.

    A SCAN is left as several commands, for which `left` and `replies` go on behind the batch.

    Args:
        batch: The commands.
        table: Where the slots are.
        scans: Where the scans are.
    """

    __slots__ = (
        "_asked",
        "_asking",
        "_length",
        "_moved",
        "_pages",
        "_read",
        "_scans",
        "_slots",
        "_table",
        "_unanswered",
    )

    def __init__(self, batch: Batch, table: SlotTable, scans: Scans) -> None:
        super().__init__(batch)
        self._length = len(batch)
        self._slots = [slot_of(command) for command in batch]
        self._table = table
        self._scans = scans
        self._pages: dict[int, tuple[ScanPage, slice]] = {}
        self._asking = ""  # the node whose answers are being taken
        self._asked: dict[int, str] = {}
        self._read: set[int] = set()
        self._moved: dict[int, str] = {}
        self._unanswered: set[int] = set()
        if any(is_scan(command) and begins(command) for command in batch):
            table.suspect()  # it has to reach new nodes, too

    def parts(self) -> list[Part]:
        """Return what is left, by node; in one order for all batches, so that none waits for another."""
        table = self._table
        if self._moved:
            for place, node in self._moved.items():
                table.move(self._slots[place], node)
            self._moved = {}
        if not self._pages:
            self._spread_scans()
        parts: dict[str, Part] = {}
        for place, command in list(self.left.items()):
            replica = self._replica(place, command) if command.by_replica else None
            node = self._asked.get(place) or command.node or replica or table.owner(self._slots[place])
            if command.node is not None and not table.has(node):
                self._end(place, NodeGoneError(f"{node} is no primary of the cluster."))
                continue
            part = parts.get(node)
            if part is None:
                part = parts[node] = Part(node, [], set(), set())
            part.places.append(place)
            if node == replica:
                part.read.add(place)
            if place in self._asked:
                part.asked.add(place)
        self._asked = {}
        return sorted(parts.values()) if len(parts) > 1 else list(parts.values())

    def commands(self, part: Part) -> list[Command]:
        """Return the commands to send for a part."""
        if not part.asked and not part.read:
            return [self.left[place] for place in part.places]
        commands: list[Command] = []
        for place in part.places:
            around = part.command_before(place), self.left[place], part.command_behind(place)
            commands += [one for one in around if one is not None]
        return commands

    def take(self, outcomes: Iterable[tuple[Part, Outcome]]) -> None:
        """Take what came of sending the parts, each to its node.

        Raises:
            Retryable: Some of it must be sent again.
        """
        failure: StoreError | None = None
        for part, outcome in outcomes:
            if isinstance(outcome.unsent or outcome.lost, StoreConnectionError):
                self._table.doubt(part.node)
            if outcome.unsent is not None:
                failure = self._without_connection(part.places, outcome.unsent) or failure
                continue
            answers = [_as_cluster(one) for one in _own_answers(part, outcome.answers)]
            self._asking = part.node
            failure = self._take(part.places, answers) or failure
            if outcome.lost is not None:
                failure = self._without_answer(part.places[len(answers) :], outcome.lost) or failure
        if failure is not None:
            raise self.retryable(failure)

    def give_up(self) -> list[Any]:
        """Return the replies, with the failure for what never ran; raise it if nothing was answered."""
        assert self.failure is not None, "nothing has failed"
        for place in list(self.left):
            self._end(place, self.failure)
        return self.result()

    def result(self) -> list[Any]:
        """Return the replies; raise the first of them if not one command was answered."""
        for place, (page, places) in self._pages.items():
            reply = self.replies[place] = page.fold(self.replies[places], self._table)
            if isinstance(reply, StoreConnectionError):
                self._unanswered.add(place)
        if self._unanswered and all(place in self._unanswered for place in range(self._length)):
            raise self.replies[0]
        return self.replies[: self._length]

    def unreachable(self, error: StoreError) -> Unreachable:
        """Return what to raise when no node has told where the slots are."""
        self.failure = error
        return Unreachable(error)

    def _replica(self, place: int, command: Command) -> str | None:
        """Return a replica to send a command to, once: what it does not answer is for its primary."""
        slot = self._slots[place]
        if slot is None or place in self._read or place in self._asked:
            return None
        self._read.add(place)
        return self._table.replica(slot)

    def _spread_scans(self) -> None:
        """Leave a command for each node in place of each SCAN of all of them."""
        for place, command in [one for one in self.left.items() if is_scan(one[1])]:
            del self.left[place]
            try:
                page = self._scans.page(command, self._table)
            except StoreError as error:
                self.replies[place] = error
                continue
            spread = list(page.commands())
            start = len(self.replies)
            self._pages[place] = (page, slice(start, start + len(spread)))
            self.left.update(enumerate(spread, start))
            self.replies += [None] * len(spread)
            self._slots += [None] * len(spread)

    def _end(self, place: int, error: AgentMemoryError) -> None:
        """Have an error as the reply of a command that was not answered, and leave it."""
        self.replies[place] = error
        self._unanswered.add(place)
        del self.left[place]

    def _did_not_run(self, place: int, answer: StoreError) -> bool:
        cause = answer.__cause__
        if isinstance(cause, AskError) and self.left[place].node is None:  # a MovedError is one, too
            node = self._table.address(cause.host, int(cause.port), self._asking)
            if isinstance(cause, MovedError):
                self._table.suspect()
                self._moved[place] = node
            else:
                self._table.meet(node)
                self._asked[place] = node
            return True
        if isinstance(cause, ClusterDownError | ReadOnlyError) or isinstance(answer, StoreLoadingError):
            self._table.suspect()  # a MasterDownError is a ClusterDownError
            return True
        if isinstance(cause, NoScriptError):
            self._read.discard(place)  # what a primary knows, its replicas need not
        return isinstance(cause, TryAgainError) or super()._did_not_run(place, answer)

    def _without_connection(self, places: Iterable[int], error: AgentMemoryError) -> StoreError | None:
        """Take note that these were not sent, and return why they have to be sent again, if they have.

        Another node may have their slots by then, so that a time-out is no reason not to.
        """
        if isinstance(error, StoreConnectionError | StoreLoadingError):
            return error
        for place in places:
            self._end(place, error)
        return None

    def _without_answer(self, places: Iterable[int], error: StoreError) -> StoreError | None:
        """Take note that these were not answered, and return why the reads are sent again, if they are."""
        again: StoreError | None = None
        for place in places:
            if self.left[place].read_only and not isinstance(error, StoreTimeoutError):
                again = error
            else:
                self._end(place, error)
        return again


def _as_cluster(answer: Any) -> Any:
    """Return an answer; if only the node of a cluster answers so, with an error that is for its users."""
    if not isinstance(answer, ClusterNodeError):
        return answer
    said = quoted(answer.__cause__) if isinstance(answer.__cause__, Exception) else ""
    error: StoreError
    if isinstance(answer.__cause__, ClusterCrossSlotError):
        error = StoreError("The command has keys in several slots of the cluster, which no node runs.")
    else:
        error = StoreConnectionError(
            f"The nodes of the cluster could not serve the command: {said}. Look at `CLUSTER INFO`.",
            plain="Nodes of the Redis Cluster are missing, or do not agree about who has the data. agentmem "
            "doctor tells which. Try again later.",
        )
    error.__cause__ = answer.__cause__
    return error


def _own_answers(part: Part, answers: list[Any]) -> list[Any]:
    """Return the answers to the commands of a part, without those to what was sent around them."""
    if not part.asked and not part.read:
        return answers
    own: list[Any] = []
    at = 0
    for place in part.places:
        at += part.command_before(place) is not None
        if at >= len(answers):
            break
        own.append(answers[at])
        at += 1 + (part.command_behind(place) is not None)
    return own
