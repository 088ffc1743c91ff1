"""The tools with which a model uses a memory, for the user and the thread of its run.

Which user, thread and namespace it is about comes from the run, never from an argument that a model can set.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool, ToolException
from langgraph.prebuilt import ToolRuntime
from pydantic import BaseModel, Field, ValidationError

from langchain_agentmem.chain.failures import Failures, said
from langchain_agentmem.chain.ids import Ids, named_ids
from langchain_agentmem.chain.options import ChainMemory, day_of
from langchain_agentmem.core.embed import Embed
from langchain_agentmem.core.operations import Op, gather, ok
from langchain_agentmem.errors import EmbeddingError, InvalidInputError, WrongOwnerError
from langchain_agentmem.longterm.same_fact import canonical_text
from langchain_agentmem.longterm.types import MemoryRecord, RememberResult

ToolName: TypeAlias = Literal["recall", "remember", "update", "forget", "set_goal", "add_note"]

logger = logging.getLogger("langchain_agentmem")

_CALL = (
    'call the agent with config={"configurable": {"thread_id": "…", "user_id": "…"}}, or with a context that '
    "has them; or fix the user: memory.tools(user=…)."
)
_NO_RUNTIME: Any = None
_SHOWN_NOTES = 10  # lines of notes that the answer to a note repeats, the newest
_NEAREST = 20  # memories among which those are that say the same as another: as many kinds, and more


class _Recall(BaseModel):
    # Key words, which models like to search by, find much less than a question does.
    query: str = Field(description='A question, as the user would ask it: "Where do I live?"')
    limit: int = Field(5, ge=1, le=20, description="How many memories at most.")


class _Remember(BaseModel):
    text: str = Field(
        description="One fact, as the user would state it, in a sentence that makes sense by itself: "
        '"I live in Porto."'
    )
    kind: Literal["semantic", "episodic", "profile"] = Field(
        "semantic",
        description="semantic: a lasting fact. episodic: something that happened, and will be out of date "
        "soon. profile: who the user is, or what they always want.",
    )


class _Update(BaseModel):
    memory_id: str = Field(
        description="The id of the memory that is out of date, as recall or the memory block shows it in "
        "brackets."
    )
    text: str = Field(description='What is true now, as the user would state it: "I live in Braga."')


class _Forget(BaseModel):
    memory_id: str = Field(
        description="The id of the memory, as recall or the memory block shows it in brackets."
    )


class _SetGoal(BaseModel):
    goal: str = Field(description="What the user wants to reach in this conversation, in a sentence.")


class _AddNote(BaseModel):
    text: str = Field(description="The note, in a line.")


class _Tool(NamedTuple):
    """A tool: what a model reads of it, and the operation that it is."""

    description: str
    schema: type[BaseModel]
    op: Callable[..., Op[str]]


def tools_of(memory: ChainMemory, user: str | None, allow: Sequence[ToolName]) -> list[BaseTool]:
    """Return a memory's tools.

    Args:
        memory: The memory.
        user: Whose memory it is, whoever a run names; `None` for whom it names.
        allow: Which tools, in this order.

    Raises:
        InvalidInputError: There is no such tool.
    """
    names = () if isinstance(allow, str) else tuple(dict.fromkeys(allow))
    unknown = [repr(name) for name in names if name not in _TOOLS]
    if unknown or not names:
        raise InvalidInputError(
            f"allow must be a list of {', '.join(get_args(ToolName))}, "
            f"not {', '.join(unknown) or repr(allow)}."
        )
    return [_made(name, _TOOLS[name], _Runs(memory, user)) for name in names]


class MemoryTool(StructuredTool):
    """A tool of a memory."""


def ids_shown(memory: ChainMemory, user: str, tools: Iterable[Any]) -> Callable[[str], str] | None:
    """Return what shows a model the id of a memory, as the tool `recall` does.

    Args:
        memory: The memory.
        user: Whose run it is.
        tools: What the model can call.

    Returns:
        `None` if none of these takes an id.
    """
    takes_ids = any(isinstance(tool, MemoryTool) and tool.name in ("update", "forget") for tool in tools)
    return partial(_shown, memory, user) if takes_ids else None


def _made(name: str, tool: _Tool, runs: _Runs) -> BaseTool:
    # LangChain passes a runtime only if `ToolRuntime` alone is the annotation. Outside of a graph it is None.
    def run(config: RunnableConfig, runtime: ToolRuntime = _NO_RUNTIME, **args: Any) -> str:
        with runs.answering(name, config, runtime) as ids:
            return runs.memory.transport.run(tool.op(runs.memory, ids, **args))

    async def arun(config: RunnableConfig, runtime: ToolRuntime = _NO_RUNTIME, **args: Any) -> str:
        with runs.answering(name, config, runtime) as ids:
            return await runs.memory.transport.arun(tool.op(runs.memory, ids, **args))

    return MemoryTool(
        name=name,
        description=tool.description,
        args_schema=tool.schema,
        func=run,
        coroutine=arun,
        handle_tool_error=True,
        handle_validation_error=_wrong_arguments,
    )


class _Runs:
    """Knows whose run a tool is called in, and what the model is told of what fails."""

    def __init__(self, memory: ChainMemory, user: str | None) -> None:
        self.memory = memory
        self._user = user

    @contextmanager
    def answering(self, name: str, config: RunnableConfig | None, runtime: Any) -> Iterator[Ids]:
        """Give the ids of a run; what fails becomes what the model is told, if it can do something about it.

        Raises:
            ToolException: For the model.
            InvalidInputError: The run names no user.
            Exception: The store or the embeddings failed, and `on_error` is `raise`.
        """
        ids = self._ids(config, runtime)
        try:
            yield ids
        except ToolException:
            raise
        except WrongOwnerError as error:
            raise ToolException(
                "This conversation belongs to another user: its goal and notes are neither read nor changed. "
                "Go on without them."
            ) from error
        except Exception as error:
            if isinstance(error, InvalidInputError) and not isinstance(error, EmbeddingError):
                raise ToolException(
                    f"Nothing was done. {error.plain} Call {name} again without that."
                ) from error
            if self.memory.settings.on_error == "raise":
                raise
            self.memory.failures += 1
            if ids.thread_id:
                Failures(self.memory, ids.thread_id, ids.user).note(name, error)
            else:
                logger.warning("%s failed and the agent goes on: %s", name, said(error))
            raise ToolException(
                "The memory does not answer at the moment: nothing was read, and perhaps nothing stored. "
                "Go on without it, and do not call it again before the user's next message."
            ) from error

    def _ids(self, config: RunnableConfig | None, runtime: Any) -> Ids:
        """Return whose run it is. A runtime that is none comes from a model, and is ignored."""
        trusted = runtime if isinstance(runtime, ToolRuntime) else None
        configurable = ((trusted.config if trusted else config) or {}).get("configurable")
        ids = named_ids(
            configurable,
            trusted.context if trusted else None,
            call=_CALL,
            default_thread=self.memory.session_id or "",
            default_user=self._user,
        )
        return ids if self._user is None else ids._replace(user=self._user)


def _recall(memory: ChainMemory, ids: Ids, query: str, limit: int) -> Op[str]:
    if not query.strip():
        raise ToolException("The query is empty: say what to look for.")
    found = yield from memory.long_term.recall_op(query, user=ids.user, namespace=ids.namespace, k=limit)
    if not found:
        return "Nothing is known about that."
    each: dict[str, MemoryRecord] = {}
    for record in found:
        each.setdefault(canonical_text(record.text), record)
    return "\n".join(_line(memory, ids, record) for record in each.values())


def _remember(memory: ChainMemory, ids: Ids, text: str, kind: str) -> Op[str]:
    result = yield from memory.long_term.remember_op(
        text,
        user=ids.user,
        namespace=ids.namespace,
        kind=kind,
        source_thread=ids.thread_id,
        near=memory.long_term.supports_vectors,
    )
    shown = _shown(memory, ids.user, result.id)
    if result.deduped:
        return f"It is known already: [{shown}]."
    near = result.near
    if near is None or near.distance > memory.settings.recall_threshold:
        return f"Remembered: [{shown}]."
    return (
        f"Remembered: [{shown}]. Something near it is known as well: [{_shown(memory, ids.user, near.id)}] "
        f"{_one_line(near.text)} If that is out of date now, call update with its id."
    )


def _update(memory: ChainMemory, ids: Ids, memory_id: str, text: str) -> Op[str]:
    old = yield from _found(memory, ids, memory_id)

    def instead_of(one: MemoryRecord) -> Op[RememberResult]:
        return memory.long_term.remember_op(
            text,
            user=ids.user,
            namespace=ids.namespace,
            kind="semantic" if one.kind == "episodic" else one.kind,  # said on purpose, it is to last
            source_thread=ids.thread_id,
            metadata=one.metadata or None,
            replaces=one.id,
        )

    stored, others = yield from gather([instead_of(old), _saying_the_same(memory, ids, old)])
    result: RememberResult = ok(stored)
    if result.id == old.id:
        return f"It says that already: [{_shown(memory, ids.user, old.id)}]."
    if canonical_text(text) != canonical_text(old.text):
        for replaced in (yield from gather(map(instead_of, ok(others)))):
            ok(replaced)
    return (
        f"Updated: [{_shown(memory, ids.user, result.id)}] is known now, in place of: {_one_line(old.text)}"
    )


def _forget(memory: ChainMemory, ids: Ids, memory_id: str) -> Op[str]:
    old = yield from _found(memory, ids, memory_id)
    delete = memory.long_term.delete_op
    deleted, others = yield from gather([delete(old.id, ids.user), _saying_the_same(memory, ids, old)])
    ok(deleted)
    for gone in (yield from gather(delete(one.id, ids.user) for one in ok(others))):
        ok(gone)
    return f"Forgotten: {_one_line(old.text)}"


def _saying_the_same(memory: ChainMemory, ids: Ids, old: MemoryRecord) -> Op[list[MemoryRecord]]:
    """Return the other memories that say the same, such as one of another kind that a turn remembered.

    They are the nearest there are. One round trip, and an embedding; on Upstash, those that are indexed.
    """
    long_term, embedding = memory.long_term, None
    if long_term.embeddings is not None:  # as a memory is embedded, and not as a question
        (embedding,) = yield Embed(long_term.embeddings, [old.text])
    found = yield from long_term.recall_op(
        old.text,
        user=ids.user,
        namespace=ids.namespace,
        k=_NEAREST,
        mode="text" if embedding is None else "vector",
        distance_threshold=None,
        embedding=embedding,
    )
    same = canonical_text(old.text)
    return [one for one in found if one.id != old.id and canonical_text(one.text) == same]


def _set_goal(memory: ChainMemory, ids: Ids, goal: str) -> Op[str]:
    thread_id = _thread(ids)
    yield from memory.working.set_op("goal", thread_id, _one_line(goal), user=ids.user)
    return f"The goal of this conversation is: {_one_line(goal)}"


def _add_note(memory: ChainMemory, ids: Ids, text: str) -> Op[str]:
    thread_id = _thread(ids)
    state = yield from memory.working.add_note_op(
        thread_id, text, user=ids.user, agent="default", check_owner=True
    )
    notes = state.scratchpad.splitlines()
    shown = "\n".join(f"- {line}" for line in notes[-_SHOWN_NOTES:])
    return f"Noted. The newest notes of {len(notes)}:\n{shown}"


_TOOLS: dict[str, _Tool] = {
    "recall": _Tool(
        "Look up what is known about the user from earlier conversations: facts, preferences, events. Call "
        "it before you say that you do not know something about the user. Each memory comes as "
        "`[id] date: text`. They are the user's words: `I` is the user. If some contradict each other, the "
        "newest is right.",
        _Recall,
        _recall,
    ),
    "remember": _Tool(
        "Remember a fact about the user for later conversations, when the user states something that will "
        "matter again, or asks you to remember it. One fact per call. Do not store secrets, small talk, or "
        "what you said yourself.",
        _Remember,
        _remember,
    ),
    "update": _Tool(
        "Replace a memory that is out of date or wrong by what is true now. Take its id from recall, or "
        "from the memory block. The old text is kept as history, and no longer recalled.",
        _Update,
        _update,
    ),
    "forget": _Tool(
        "Delete a memory for good, when the user asks you to forget it. Take its id from recall, or from "
        "the memory block.",
        _Forget,
        _forget,
    ),
    "set_goal": _Tool(
        "Set what this conversation is for, when the user says what they want to reach. It replaces the goal "
        "before it.",
        _SetGoal,
        _set_goal,
    ),
    "add_note": _Tool(
        "Add a line to your notes of this conversation: what you found out, decided, or still have to do. "
        "Notes last as long as the conversation; what matters in later ones, remember.",
        _AddNote,
        _add_note,
    ),
}


def _found(memory: ChainMemory, ids: Ids, id: str) -> Op[MemoryRecord]:
    """Return the memory with this id, if it is of the run's user and namespace, and not replaced.

    Raises:
        ToolException: There is none.
    """
    whole = _whole(memory, ids.user, id)
    record = (yield from memory.long_term.get_op(whole, ids.user)) if whole else None
    if record is None or record.namespace != ids.namespace:
        raise ToolException(
            f"There is no memory with the id {id[:100]!r}. Call recall, and use an id that it shows in "
            "brackets."
        )
    if record.superseded_by is not None:
        newer = _shown(memory, ids.user, record.superseded_by)
        raise ToolException(f"That memory was replaced already, by [{newer}]: use that id.")
    return record


def _thread(ids: Ids) -> str:
    if not ids.thread_id:
        raise ToolException("There is no conversation that this could be kept for. Use remember instead.")
    return ids.thread_id


def _line(memory: ChainMemory, ids: Ids, record: MemoryRecord) -> str:
    day = day_of(record)
    return f"[{_shown(memory, ids.user, record.id)}] {f'{day}: ' if day else ''}{_one_line(record.text)}"


def _one_line(text: str) -> str:
    """Return a text on one line, so that no part of it looks like a memory of its own."""
    return " ".join(text.split())


def _own_prefix(memory: ChainMemory, user: str) -> str:
    """Return what ids of this user's memories begin with; a model neither needs it nor should be told it."""
    return "" if memory.long_term.supports_namespaces else f"{user}:"


def _shown(memory: ChainMemory, user: str, id: str) -> str:
    return id.removeprefix(_own_prefix(memory, user))


def _whole(memory: ChainMemory, user: str, shown: str) -> str:
    """Return the id that a model means; it may have repeated the brackets."""
    bare = re.sub(r"^\[|\]$", "", shown.strip())
    return bare and _own_prefix(memory, user) + bare.removeprefix(_own_prefix(memory, user))


def _wrong_arguments(error: ValidationError | Any) -> str:
    wrong = "; ".join(
        f"{'.'.join(map(str, item['loc']))}: {item['msg']}"
        for item in error.errors(include_input=False, include_url=False)
    )
    return f"Nothing was done, for an argument is wrong ({wrong}). Call it again with other arguments."
