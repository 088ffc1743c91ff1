"""A turn of an agent: which of the state's messages are its own, what is read, and what is written."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage
from langgraph.types import Overwrite

from langchain_agentmem.agents.messages import (
    after_history,
    in_order_of_calls,
    is_remembered,
    is_summary,
    new_messages,
    newest_question,
    not_stored,
    of_turn,
    seen_with_summary,
    storable,
    unknown,
    without_open_calls,
)
from langchain_agentmem.agents.options import MiddlewareOptions
from langchain_agentmem.agents.turn_state import LiveTurn, TurnState, live_of, summarised_in
from langchain_agentmem.chain.ids import Ids
from langchain_agentmem.chain.messages import text_of
from langchain_agentmem.chain.options import ChainMemory, TurnOptions
from langchain_agentmem.chain.turn import Turn
from langchain_agentmem.core.operations import Op
from langchain_agentmem.working.session import check_owner


def turn_options(options: MiddlewareOptions, ids: Ids, *, remembers: bool, reads: bool = True) -> TurnOptions:
    """Return what a turn recalls and remembers; nothing is remembered where no user speaks."""
    own = options.turn
    return replace(
        own,
        recall=own.recall if reads else None,
        pinned=own.pinned if reads else (),
        remember=own.remember if remembers else None,
        check_owner=options.knows_users or ids.user != "default",
    )


class BeginningTurn:
    """A turn that begins.

    Args:
        memory: The memory.
        options: The middleware's options.
        ids: Whose turn it is.
        state: The agent's state.
        loads: Whether the thread's window is to precede the messages.
        nested: Whether the turn runs inside another one of its thread, which stores what is to be.

    Raises:
        WrongOwnerError: The turn before it in this state is another user's.
    """

    def __init__(
        self,
        memory: ChainMemory,
        options: MiddlewareOptions,
        ids: Ids,
        state: Mapping[str, Any],
        *,
        loads: bool,
        nested: bool,
    ) -> None:
        self._memory = memory
        self._options = options
        self._messages: Sequence[BaseMessage] = state["messages"]
        self._loads = loads and not nested
        self._nested = nested
        before = TurnState.of(state)
        self._is_first = before is None
        self._new = new_messages(self._messages, before)
        asked = self._new.asked
        of_this = turn_options(options, ids, remembers=bool(asked) and not nested)
        if before is not None and of_this.check_owner:  # a checkpoint outlives the session
            check_owner(before.user, ids.user)
        self.turn = Turn(memory, of_this, ids, text_of(asked or newest_question(self._messages)), asked)
        self._began = time.perf_counter()

    def read(self) -> Op[None]:
        """Read and recall, and store what the user said, in one round trip."""
        keeps = self._options.on_failure == "keep_input" and not self._nested
        return self.turn.read(store_input=keeps)

    def update(self) -> dict[str, Any]:
        """Return the update of the state, once it has been read."""
        context = self.turn.context
        earlier, is_known = unknown(self._new.earlier, context.history)
        for entry in self.turn.events.drain():  # at once, for the turn may not come to its end
            if self._options.events and not self._nested:
                self._memory.events.sink.put(*entry)
        messages = without_open_calls(self._messages) or self._messages
        if self._loads and self._is_first and not is_known:
            messages = after_history(context.history, messages)
        asked = [message.id or "" for message in self.turn.asked]
        kept = TurnState(
            *self.turn.ids,
            text=context.text,
            memories=context.memories,
            pinned=context.pinned,
            goal=context.goal,
            notes=context.scratchpad,
            summary=context.summary if self._loads else "",
            asked=asked,
            earlier=[message.id or "" for message in earlier],
            before=[message.id for message in messages if message.id and message.id not in asked],
            replaces=[stored.decode() for stored in self.turn.replaces],
            last=next((message.id or "" for message in reversed(self._messages)), ""),
            nested=self._nested,
        )
        live = LiveTurn()
        live.turn, live.made = self.turn, [*earlier]
        live.summaries = {message.id for message in self._messages if is_summary(message)}
        live.asked_at = time.perf_counter()
        live.read_seconds = live.asked_at - self._began
        # Past the reducer, and so past the stream of messages, which would show old ones as new.
        changed = {"messages": Overwrite(messages)} if len(messages) > len(self._messages) else {}
        return changed | kept.update(live)


class EndingTurn:
    """A turn that has been answered.

    Args:
        memory: The memory.
        options: The middleware's options.
        kept: What the state keeps of the turn.
        state: The agent's state.
    """

    def __init__(
        self, memory: ChainMemory, options: MiddlewareOptions, kept: TurnState, state: Mapping[str, Any]
    ) -> None:
        self._options = options
        self._kept = kept
        self._messages: Sequence[BaseMessage] = state["messages"]
        self._live = live_of(state)
        self._summarised = summarised_in(state)
        self._earlier, self._made = self._own_messages()
        self.turn = self._resumed(memory) if self._live is None else self._live.turn
        self._answered_at = time.perf_counter()

    def _own_messages(self) -> tuple[list[BaseMessage], list[BaseMessage]]:
        """Return the messages before what the user said, and those after it.

        Those that a summary has taken the place of are among them; those removed for another reason are not.
        """
        there = {message.id: message for message in self._messages}
        made = {message.id: message for message in of_turn(self._messages, self._kept)}
        gone = [*self._summarised, *seen_with_summary(self._messages, self._live)]
        seen = [] if self._live is None else [one for one in self._live.made if one.id in there]
        whole = {one.id: there.get(one.id, one) for one in [*gone, *seen] if one.id} | made
        whole |= {id: there[id] for id in self._kept.earlier if id in there}
        first, asked = set(self._kept.earlier), set(self._kept.asked)
        rest = [message for id, message in whole.items() if id not in first and id not in asked]
        return [whole[id] for id in self._kept.earlier if id in whole], in_order_of_calls(rest)

    def _resumed(self, memory: ChainMemory) -> Turn:
        """Return the turn as it goes on elsewhere: what is remembered of its text is embedded again."""
        kept = self._kept
        ids = Ids(kept.thread_id, kept.user, kept.namespace)
        asked = [message for message in self._messages if message.id in kept.asked]
        if not asked and kept.asked:  # a summary has taken its place
            asked = [HumanMessage(kept.text, id=kept.asked[-1])]
        turn = Turn(
            memory,
            turn_options(self._options, ids, remembers=bool(kept.asked) and not kept.nested, reads=False),
            ids,
            kept.text,
            asked,
            replaces=[stored.encode() for stored in kept.replaces],
        )
        turn.events.drain()  # that it began has been recorded
        turn.context.memories.extend(kept.memories)
        turn.context.pinned.extend(kept.pinned)
        return turn

    def write(self) -> Op[Exception | None]:
        """Store the turn's messages, and remember, in one round trip.

        If the turn began in another process or was interrupted, the session is read before: one more. If
        somebody else stores the turn just then, it is read and written again: two more.
        """
        turn, resumed = self.turn, self._live is None
        if is_remembered(turn.context.text, self._made):
            turn.memories.decline()
        if resumed:
            yield from turn.window()
        whole, unstorable = self._encoded()
        answered = bool(self._made) and unstorable is None
        replaces = resumed and bool(turn.replaces)
        messages = self._missing(whole, answered, replaces=replaces)
        error = yield from turn.write(
            messages, answered=answered, unstorable=unstorable, only_replacing=replaces
        )
        if replaces and messages and turn.turn_count is None and error is None:
            turn.replaces = []
            yield from turn.window()
            error = yield from turn.write(self._missing(whole, answered), answered=False)
        return error

    def _encoded(self) -> tuple[list[tuple[BaseMessage, bytes]], Exception | None]:
        """Return the turn's messages as they are stored, and why those of the answer are not among them."""
        turn = self.turn
        if turn.question is None:
            return [], None
        question = list(zip(turn.asked, turn.question, strict=True))
        try:
            return [*map(self._storable, self._earlier), *question, *map(self._storable, self._made)], None
        except Exception as error:  # noqa: BLE001 - raised when it is written, with the answer
            return question, error

    def _storable(self, message: BaseMessage) -> tuple[BaseMessage, bytes]:
        stored, left_out = storable(message, lambda one: self.turn.encoded([one])[0])
        if left_out:
            which = f"{type(message).__name__} is stored without {', '.join(left_out)}, which is not JSON"
            self.turn.failures.note("append", which)
        return message, stored

    def _missing(
        self, whole: list[tuple[BaseMessage, bytes]], answered: bool, *, replaces: bool = False
    ) -> list[bytes]:
        """Return what is to be appended of a turn's messages: without those that the session has already.

        It has some if two resume a turn, or one is run again from an older checkpoint. What the model made
        in this process is new, whatever id a model gave it.

        Args:
            whole: The turn's messages, and how they are stored.
            answered: Whether they hold an answer; else they are marked.
            replaces: Whether the question that the session has is replaced.
        """
        if not answered and self._options.on_failure == "drop":
            return []
        asked, resumed = {id(one) for one in self.turn.asked}, self._live is None
        sought = [one for one, _ in whole if (not replaces if id(one) in asked else resumed)]
        left = {id(one) for one in not_stored(sought, self.turn.context.history)}
        there = {id(one) for one in sought} - left
        messages = [stored for one, stored in whole if id(one) not in there]
        return messages if answered else self.turn.unanswered(messages)

    def update(self) -> dict[str, Any]:
        """Return the update of the state once the turn is stored."""
        last = next((message.id or "" for message in reversed(self._messages)), "")
        return self._kept.closing(last).update()

    def delivering(self) -> AbstractContextManager[None]:
        """Give the answer to the caller with whatever error the write ends with."""
        return self.turn.delivering({"messages": list(self._messages)}, "agent", "turn")

    def report(self) -> None:
        """Tell `on_turn` what became of the turn."""
        if self._options.on_turn is None:
            return
        live = self._live
        with self.turn.failures.passing_over("on_turn"):
            self._options.on_turn(
                self.turn.report(
                    read_seconds=0.0 if live is None else live.read_seconds,
                    chain_seconds=0.0 if live is None else self._answered_at - live.asked_at,
                    write_seconds=time.perf_counter() - self._answered_at,
                )
            )
