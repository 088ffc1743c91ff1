"""`AgentMemory`: three tiers over one connection, made from a URL, the environment, or nothing."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from typing_extensions import Self, Unpack

from langchain_agentmem import user_data
from langchain_agentmem.agents.extra import extra_needed
from langchain_agentmem.chain.ids import Ids
from langchain_agentmem.chain.noteworthy import noteworthy
from langchain_agentmem.core import checks
from langchain_agentmem.core.checks import positive, utf8, validate_id
from langchain_agentmem.core.keys import tier_prefixes
from langchain_agentmem.core.lazy import cached_property
from langchain_agentmem.core.node_parameters import NodeParameters
from langchain_agentmem.core.operations import nothing, ok
from langchain_agentmem.core.partition_count import of_all, without_partitions
from langchain_agentmem.core.partitions import check_names
from langchain_agentmem.errors import AgentMemoryError, ConfigurationError
from langchain_agentmem.settings import AgentMemorySettings
from langchain_agentmem.transport.connected import Connected
from langchain_agentmem.transport.rest_api import address_of
from langchain_agentmem.transport.trace import Trace, tracing
from langchain_agentmem.user_data import Forgotten

if TYPE_CHECKING:
    from langchain_core.chat_history import BaseChatMessageHistory
    from langchain_core.documents import BaseDocumentCompressor
    from langchain_core.embeddings import Embeddings
    from langchain_core.messages import BaseMessage
    from langchain_core.runnables.base import RunnableLike
    from langchain_core.tools import BaseTool
    from langgraph.store.base import TTLConfig

    from langchain_agentmem.agents.middleware import AgentMemoryMiddleware
    from langchain_agentmem.agents.options import HistoryMode, IdsOf, OnError, OnFailure, Place
    from langchain_agentmem.agents.store.config import StoreIndex
    from langchain_agentmem.agents.store.store import MemoryStore
    from langchain_agentmem.agents.tools import ToolName
    from langchain_agentmem.chain.options import ExchangeReport, OnAbandon, Remember, RememberWhen
    from langchain_agentmem.chain.runnable import MemoryChain
    from langchain_agentmem.chain.turn import Turn
    from langchain_agentmem.chain.turn_context import TurnContext, TurnResult
    from langchain_agentmem.core.operations import Op, T
    from langchain_agentmem.events.callbacks import AsyncEventLogHandler, EventLogHandler
    from langchain_agentmem.events.event_log import EventLog
    from langchain_agentmem.events.usage import Usage
    from langchain_agentmem.importing.report import ImportReport
    from langchain_agentmem.longterm.long_term_memory import BaseLongTermMemory
    from langchain_agentmem.longterm.retriever import MemoryRetriever
    from langchain_agentmem.longterm.types import Filter, Mode, RecallOptions
    from langchain_agentmem.tasks.background_tasks import BackgroundTasks
    from langchain_agentmem.user_data import Tier
    from langchain_agentmem.working.listing import SessionPage
    from langchain_agentmem.working.summaries import Summariser
    from langchain_agentmem.working.working_memory import WorkingMemory


_IN_PARTITIONS = ("memory_prefix", "index_name", "threads_prefix", "store_prefix", "tasks_prefix")


class AgentMemory(Connected):
    """An agent's memory on Redis: `working`, `long_term` and `events`.

    The constructor does no network I/O. Everything shares one connection pool per URL and process.

    Args:
        url: `redis://`, `rediss://`, `unix://`, `redis+sentinel://`, `redis+cluster://`, `https://` for the
            REST API of Upstash (with `token=`), or `embedded://` for a private Redis. Without it:
            `AGENTMEM_URL`, `REDIS_URL`, `UPSTASH_REDIS_REST_URL`, else `embedded://`.
        client: A caller-supplied sync client instead of a URL, of `redis` (a `Redis` or a `RedisCluster`) or
            `upstash_redis`; it is neither changed nor closed.
        async_client: A caller-supplied async client.
        embeddings: Any LangChain embeddings; by default all-MiniLM-L6-v2, on this machine. Refused on
            Upstash, which has no vectors.
        summarise: Who folds what leaves a session's window into its summary, instead of dropping it: a
            function, sync or async, of the summary so far and the messages that leave, such as
            `model_summariser(model)`. The summary comes first in what a model is given of the history. The
            settings `summarise_when` and `max_waiting` say when, and how much may wait for it.
        settings: Ready settings, instead of keywords.
        **options: The fields of `AgentMemorySettings`.

    Attributes:
        session_id: The session of a memory that was made by `from_node`.

    Raises:
        ConfigurationError: A setting, the URL, a client, the embeddings or the summariser are not usable.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        client: Any = None,
        async_client: Any = None,
        embeddings: Embeddings | None = None,
        summarise: Summariser | None = None,
        settings: AgentMemorySettings | None = None,
        **options: Any,
    ) -> None:
        if settings is not None and options:
            raise ConfigurationError("Give settings= or single settings, not both.")
        checks.embeddings(embeddings)
        supplied = client if client is not None else async_client
        if supplied is not None and (url is not None or options.get("token") is not None):
            raise ConfigurationError("Give a URL or clients, not both.")
        if supplied is not None:  # settings that are not given depend on where it goes
            url, token = address_of(supplied) or ("redis://", None)
            options |= {} if token is None else {"token": token}
        if url is not None:
            options["url"] = url
        if settings is not None and options:
            given = {name: getattr(settings, name) for name in settings.model_fields_set}
            if "token" not in options and given.get("url") != SecretStr(str(url)):
                given.pop("token", None)  # it is for another URL
            settings = AgentMemorySettings.load(**(given | options))
        elif settings is None:
            settings = AgentMemorySettings.load(**options)
        self.settings = settings
        self._working_config = replace(settings.working, summarise=summarise)
        self.session_id: str | None = None
        seconds = settings.socket_timeout_seconds
        if supplied is not None:
            self._connect(None, None, client, async_client, seconds)
        else:
            token = None if settings.token is None else settings.token.get_secret_value()
            self._connect(None, settings.url.get_secret_value(), None, None, seconds, token)
        try:
            self._keys = settings.keys(cluster=self.transport.cluster)
            if self._keys.partitions:
                check_names(**{name: getattr(settings, name) for name in _IN_PARTITIONS})
                self.transport.partition_counts.add(*of_all(self._keys, settings.index_name))
        except ConfigurationError:
            self.transport.close()
            raise
        if embeddings is not None and self.transport.rest:
            self.transport.close()
            raise ConfigurationError("embeddings= is of no use here: Upstash finds memories by their words.")
        self._embeddings = embeddings
        self.failures = 0
        """How many failures chains passed over: all if `on_error` is `continue`, else those of callbacks."""

    @classmethod
    def from_node(
        cls,
        inputs: Mapping[str, Any],
        credential: Mapping[str, Any] | None = None,
        *,
        embeddings: Embeddings | None = None,
        **options: Any,
    ) -> Self:
        """Return a memory from the parameters of a Flowise memory node, for Upstash or for Redis.

        Its conversations are the node's own: lists under bare session ids. `session_id` is the node's,
        or a random one; `history()` and wrapped chains use it where no other is named. Numbers may be
        texts, and what is blank is unset: without a TTL a session does not expire.

        Args:
            inputs: `baseURL`, `sessionId`, `sessionTTL`, `memoryKey`, as the node calls them; of the Redis
                node also `windowSize`, which limits what is read and deletes nothing.
            credential: `upstashRestToken`; or `redisUrl`; or `redisCacheHost` and, as needed,
                `redisCachePort`, `redisCacheUser`, `redisCachePwd`, `redisCacheSslEnabled`.
            embeddings: Any LangChain embeddings, for long-term memory on Redis.
            **options: Further fields of `AgentMemorySettings`, and `summarise`, which needs a `windowSize`.

        Raises:
            ConfigurationError: A name is unknown, or a value is not usable.
        """
        node = NodeParameters.read(inputs, credential)
        of_node = {
            "url": node.url,
            "session_storage": "list",
            "session_ttl_seconds": node.session_ttl,
            "max_turns": node.max_messages,
            "memory_key": node.memory_key,
        }
        if node.token is not None:
            of_node["token"] = node.token
        memory = cls(embeddings=embeddings, **(of_node | options))
        memory.session_id = node.session_id or uuid.uuid4().hex
        return memory

    @cached_property
    def working(self) -> WorkingMemory:
        """Return tier 1: the conversations."""
        from langchain_agentmem.working.working_memory import WorkingMemory

        return WorkingMemory(transport=self.transport, **vars(self._working_config))

    @cached_property
    def long_term(self) -> BaseLongTermMemory:
        """Return tier 2: facts and episodes. On Upstash, found by their words instead of their meaning."""
        if self.transport.rest:
            from langchain_agentmem.longterm.upstash.memory import UpstashLongTermMemory

            return UpstashLongTermMemory(transport=self.transport, **vars(self.settings.long_term))
        from langchain_agentmem.longterm.redisearch.memory import LongTermMemory

        return LongTermMemory(
            transport=self.transport,
            embeddings=self._embeddings,
            socket_timeout_seconds=self.settings.socket_timeout_seconds,
            **vars(self.settings.long_term),
        )

    @cached_property
    def events(self) -> EventLog:
        """Return tier 3: what happened, by thread."""
        from langchain_agentmem.events.event_log import EventLog

        return EventLog(transport=self.transport, **vars(self.settings.events))

    @cached_property
    def tasks(self) -> BackgroundTasks:
        """Return what turns have left to workers: how much waits, what failed, and how to replay it."""
        from langchain_agentmem.tasks.background_tasks import background_tasks

        return background_tasks(self._keys, self.transport)

    def history(self, session_id: str | None = None, *, user: str = "default") -> BaseChatMessageHistory:
        """Return a LangChain chat history of one session; serves as a `get_session_history`.

        Args:
            session_id: The session; if not given, this memory's own or a random one.
            user: Who reads and writes; whose session it is, if the history begins it in a Hash. The session
                of another user is refused, except to `default`, who is nobody in particular. A list knows no
                user.

        Raises:
            InvalidInputError: The session id or the user is not one.
        """
        from langchain_agentmem.working import histories

        config = self._working_config
        options: dict[str, Any] = {
            "session_id": self.session_id if session_id is None else session_id,
            "session_ttl": config.ttl_seconds,
            "memory_key": self.settings.memory_key,
            "max_messages": config.max_turns,
            "transport": self.transport,
        }
        if config.storage == "hash":
            return histories.RedisHashChatMessageHistory(
                key_prefix=config.key_prefix,
                threads_prefix=config.threads_prefix,
                threads_ttl_seconds=config.threads_ttl_seconds,
                user=user,
                summarise=config.summarise,
                summarise_when=config.summarise_when,
                max_waiting=config.max_waiting,
                partitions=config.partitions,
                **options,
            )
        upstash, redis = histories.UpstashChatMessageHistory, histories.RedisListChatMessageHistory
        list_history = upstash if self.transport.rest else redis
        history = list_history(key_prefix=config.list_prefix, trim=False, **options)
        return history if config.summarise is None else history.with_sessions(self.working)

    def retriever(
        self,
        *,
        user: str,
        k: int = 5,
        kind: str | None = None,
        namespace: str | None = "default",
        mode: Mode | None = None,
        filter: Filter | None = None,
        distance_threshold: float | EllipsisType | None = ...,
        recency_weight: float = 0.0,
        reranker: BaseDocumentCompressor | None = None,
        explain: bool = False,
    ) -> MemoryRetriever:
        """Return a LangChain retriever of one user's memories.

        Args:
            user: Whose memories.
            k: How many at most.
            kind: Of which kind; `None` for all.
            namespace: In which namespace; `None` for all of this user's.
            mode: How memories are found and ranked, as in `recall`: `hybrid`, `vector` or `text`.
            filter: What narrows the search further: a redisvl `FilterExpression`; on Upstash, a dict in the
                language of its search.
            distance_threshold: Up to which cosine distance (0 to 2), as in `recall`; `None` for any.
            recency_weight: What being new adds to a memory's rank, in cosine similarity.
            reranker: A LangChain document compressor, such as a cross-encoder, that orders the candidates.
            explain: Whether each document's metadata says the parts of its rank.

        Raises:
            InvalidInputError: One of them is not usable.
        """
        from langchain_agentmem.longterm.retriever import MemoryRetriever

        # Checked here: a wrong one would otherwise show only when the retriever is called.
        recall: RecallOptions = {
            "kind": kind,
            "k": k,
            "mode": mode,
            "distance_threshold": distance_threshold,
            "filter": filter,
            "recency_weight": recency_weight,
            "reranker": reranker,
            "explain": explain,
        }
        self.long_term.search(user, namespace, recall)
        return MemoryRetriever(memory=self.long_term, user=user, namespace=namespace, **recall)

    def callback(self, thread_id: str, *, user: str = "") -> EventLogHandler:
        """Return a LangChain callback handler that records a thread's events in the background.

        Args:
            thread_id: The thread.
            user: Whose events they are; empty for nobody's.

        Raises:
            InvalidInputError: The thread or the user is not one.
        """
        from langchain_agentmem.events.callbacks import EventLogHandler

        return EventLogHandler(self.events, thread_id, user=user)

    def acallback(self, thread_id: str, *, user: str = "") -> AsyncEventLogHandler:
        """Return what `callback` does, for async chains."""
        from langchain_agentmem.events.callbacks import AsyncEventLogHandler

        return AsyncEventLogHandler(self.events, thread_id, user=user)

    def usage(self, thread_id: str, *, user: str | None = None) -> Usage:
        """Return how many tokens a thread's models took, and how often they and its tools were called.

        See `EventLog.usage`: the events tell it, also those that the server has dropped.

        Args:
            thread_id: The thread.
            user: Whose events are counted; `None` for all of the thread.

        Raises:
            InvalidInputError: The thread or the user is not a valid id.
        """
        return self.events.usage(thread_id, user=user)

    async def ausage(self, thread_id: str, *, user: str | None = None) -> Usage:
        """Async version of `usage`."""
        return await self.events.ausage(thread_id, user=user)

    def wrap(
        self,
        runnable: RunnableLike[Any, Any],
        *,
        input_key: str = "input",
        history_key: str | None = None,
        memories_key: str | None = "memories",
        output_key: str | None = None,
        remember: Remember = noteworthy,
        remember_when: RememberWhen = "inline",
        k: int = 5,
        kind: str | None = None,
        pinned: Sequence[str] = ("profile",),
        mode: Mode | None = None,
        distance_threshold: float | EllipsisType | None = ...,
        filter: Filter | None = None,
        recency_weight: float = 0.0,
        reranker: BaseDocumentCompressor | None = None,
        on_exchange: Callable[[ExchangeReport], None] | None = None,
        on_abandon: OnAbandon = "keep_input",
        check_owner: bool = True,
    ) -> MemoryChain:
        """Put the memory around a runnable.

        An exchange (a question with its answer) costs two round trips besides the model: one that reads
        the session and recalls, one that appends the messages, remembers what the user stated and records
        the events. The user's text is embedded once. Recall runs before the write, so an exchange never
        recalls itself. Streaming stays streaming.

        If the chain raises, or its stream is left early, what the user said is kept, marked as
        unanswered, and the error is recorded as an event; said again right after, it stands once. If
        writing fails once the chain has answered, the answer is the error's `output`.

        The chain is called with `config={"configurable": {"session_id": "…", "user_id": "…"}}`, and
        `namespace` if it is not `default`. A memory made by `from_node` has a session id for those that
        name none; without recall and `remember`, nobody has to name a user.

        Args:
            runnable: What answers: takes a dict, returns a message, a text, messages, or a dict of them.
            input_key: Where the user's words stand in the input. An input that is not a dict is put there.
            history_key: Under which name the chain gets the messages so far; the setting `memory_key`
                if not given.
            memories_key: Under which name the chain gets the recalled memories: a list of
                `MemoryRecord` that reads as lines of text in a prompt. `None` recalls nothing.
            output_key: Where the answer stands, if the runnable returns a dict.
            remember: A function that is given the user's words and returns the kind they are remembered as,
                or `None` for not at all; or one of the two itself. If not given: `noteworthy`, which returns
                `episodic` except for what is only a question, a greeting or thanks; `"episodic"` remembers
                those, too. If it raises, nothing is remembered. Or an extractor, such as
                `model_extractor(model)`: it is given the whole exchange, and returns changes of memories.
                Of other functions, one is an extractor if it is async, or if its parameter is called
                `exchange` or annotated as `Exchange`. If it fails, the answer is delivered all the same, and
                the exchange is left to a worker.
            remember_when: When an extractor is asked: `inline`, once the exchange is stored, which delays the
                end of the call; `background`, by a worker (`MemoryWorker`, `agentmem worker`) with an
                extractor of its own, and none has to be given here.
            k: How many memories are recalled at most.
            kind: Only memories of this kind are recalled; `None` for all.
            pinned: The kinds of which memories are always given, before those recalled, whatever the user
                says: 20 of each at most, those nearest to it, and 8 KiB in all.
            mode: How memories are found and ranked, as in `recall`: `hybrid`, `vector` or `text`.
            distance_threshold: The farthest cosine distance (0 to 2) that is recalled; `None` for any.
            filter: A redisvl `FilterExpression` that recalled memories must meet besides; on Upstash, a
                dict in the language of its search.
            recency_weight: What being new adds to a memory's rank, in cosine similarity.
            reranker: A LangChain document compressor, such as a cross-encoder, that orders the candidates.
            on_exchange: Called with an `ExchangeReport` after every exchange. What it raises is logged and
                counted.
            on_abandon: What is stored of an exchange that ends without an answer: `keep_input`, what the user
                said; `keep_partial`, also what had been streamed by then; `drop`, nothing.
            check_owner: Whether the session of another user than the one that the call names is refused
                with a `WrongOwnerError`, before the chain runs. One of the user `default` is nobody's in
                particular.

        Raises:
            InvalidInputError: An option is not usable, two keys are the same, the runnable is an agent,
                which would ignore its history, or this memory is wrapped around a part of it already.
        """
        from langchain_agentmem.chain.options import WrapOptions
        from langchain_agentmem.chain.runnable import MemoryChain

        # Checked here: a wrong one would otherwise show only in an exchange.
        recall: RecallOptions = {
            "kind": kind,
            "k": k,
            "mode": mode,
            "distance_threshold": distance_threshold,
            "filter": filter,
            "recency_weight": recency_weight,
            "reranker": reranker,
        }
        self.long_term.search("default", "default", recall)
        options = WrapOptions(
            input_key=input_key,
            history_key=history_key or self.settings.memory_key,
            memories_key=memories_key,
            output_key=output_key,
            remember=remember,
            recall=recall,
            on_exchange=on_exchange,
            on_abandon=on_abandon,
            check_owner=check_owner,
            pinned=pinned,
            remember_when=remember_when,
        )
        return MemoryChain(self, runnable, options)

    def read_turn(
        self,
        thread_id: str,
        *,
        user: str,
        namespace: str = "default",
        text: str,
        messages: Sequence[BaseMessage] | None = None,
        k: int = 5,
        kind: str | None = None,
        pinned: Sequence[str] = (),
        mode: Mode | None = None,
        distance_threshold: float | EllipsisType | None = ...,
        filter: Filter | None = None,
        recency_weight: float = 0.0,
        reranker: BaseDocumentCompressor | None = None,
        remember: Remember = noteworthy,
        remember_when: RememberWhen = "inline",
        check_owner: bool = True,
        store_input: bool = False,
    ) -> TurnContext:
        """Read what a model needs for a turn: the session's messages, goal and notes, and what is recalled.

        One round trip, and one embedding, of the text; its vector serves `write_turn` as well. It is what a
        wrapped chain and the middleware of agents do before the model is called.

        Args:
            thread_id: The session.
            user: Who speaks.
            namespace: In which namespace memories are recalled and remembered.
            text: What the user says.
            messages: The messages that say it, if they are more than the text; to tell what was said before
                and not answered, and for `store_input`.
            k: How many memories are recalled at most; 0 for none.
            kind: Only memories of this kind are recalled; `None` for all.
            pinned: The kinds of which memories are always given, 20 of each at most, those nearest to the
                text, and 8 KiB in all; neither they nor what says the same is among the recalled.
            mode: How memories are found and ranked, as in `recall`: `hybrid`, `vector` or `text`.
            distance_threshold: The farthest cosine distance (0 to 2) that is recalled; `None` for any.
            filter: A redisvl `FilterExpression` that recalled memories must meet besides; on Upstash, a
                dict in the language of its search.
            recency_weight: What being new adds to a memory's rank, in cosine similarity.
            reranker: A LangChain document compressor, such as a cross-encoder, that orders the candidates.
            remember: What `write_turn` remembers of the text, as in `wrap`; or an extractor.
            remember_when: When an extractor is asked, as in `wrap`.
            check_owner: Whether the session of another user is refused.
            store_input: Whether what the user says is stored in the same round trip, marked as unanswered,
                so that it is kept even if the process is killed. `write_turn` replaces it by the whole turn.

        Raises:
            InvalidInputError: An argument is not usable; nothing was sent.
            WrongOwnerError: The session is another user's.
            StoreError: The server refused something, or cannot be reached, unless `on_error` is `continue`.
        """
        turn = self._turn(
            Ids(thread_id, user, namespace),
            text,
            messages,
            (pinned, remember, check_owner, remember_when),
            k=k,
            kind=kind,
            mode=mode,
            distance_threshold=distance_threshold,
            filter=filter,
            recency_weight=recency_weight,
            reranker=reranker,
        )
        with turn.failures.tolerating("reading"):
            self.transport.run(turn.read(store_input=store_input))
        return turn.context

    async def aread_turn(
        self,
        thread_id: str,
        *,
        user: str,
        namespace: str = "default",
        text: str,
        messages: Sequence[BaseMessage] | None = None,
        k: int = 5,
        kind: str | None = None,
        pinned: Sequence[str] = (),
        mode: Mode | None = None,
        distance_threshold: float | EllipsisType | None = ...,
        filter: Filter | None = None,
        recency_weight: float = 0.0,
        reranker: BaseDocumentCompressor | None = None,
        remember: Remember = noteworthy,
        remember_when: RememberWhen = "inline",
        check_owner: bool = True,
        store_input: bool = False,
    ) -> TurnContext:
        """Async version of `read_turn`."""
        turn = self._turn(
            Ids(thread_id, user, namespace),
            text,
            messages,
            (pinned, remember, check_owner, remember_when),
            k=k,
            kind=kind,
            mode=mode,
            distance_threshold=distance_threshold,
            filter=filter,
            recency_weight=recency_weight,
            reranker=reranker,
        )
        with turn.failures.tolerating("reading"):
            await self.transport.arun(turn.read(store_input=store_input))
        return turn.context

    def write_turn(
        self,
        context: TurnContext,
        messages: Sequence[BaseMessage],
        *,
        unanswered: bool = False,
        events: Iterable[Mapping[str, Any]] = (),
    ) -> TurnResult:
        """Write a turn: append its messages, remember what the user stated, record its events.

        One round trip; with an extractor or a summariser that is asked inline, one more after each. If it
        fails, the messages are marked as unanswered, where they have been stored, and
        the turn may be written again, in their place.

        Args:
            context: What `read_turn` returned, to be written once; or one made by hand.
            messages: All messages of the turn, oldest first, beginning with what the user said. If all are
                human or system messages, or there are none, the turn gave no answer.
            unanswered: Whether the turn gave no answer, whatever the messages: what is stored is marked,
                nothing is remembered, and the same words said right after take its place.
            events: What happened, besides the turn's beginning and its recall, which are recorded anyway:
                the arguments of `events.record`, except the thread and the user.

        Raises:
            InvalidInputError: An argument is not usable, or the turn is written already; nothing was sent.
            MessageNotStorableError: A message would not come back equal; nothing was sent.
            WrongOwnerError: The session is another user's; nothing was written.
            StoreError: The server refused something, or cannot be reached, unless `on_error` is `continue`.
        """
        turn, stored, answered = self._ending(context, messages, unanswered, events)
        with turn.writing():
            try:
                with turn.failures.tolerating("writing"):
                    ok(self.transport.run(turn.write(stored, answered=answered)))
            except BaseException as error:
                turn.clear_up(error, turn.take_back(error))
                raise
        return turn.result()

    async def awrite_turn(
        self,
        context: TurnContext,
        messages: Sequence[BaseMessage],
        *,
        unanswered: bool = False,
        events: Iterable[Mapping[str, Any]] = (),
    ) -> TurnResult:
        """Async version of `write_turn`."""
        turn, stored, answered = self._ending(context, messages, unanswered, events)
        with turn.writing():
            try:
                with turn.failures.tolerating("writing"):
                    ok(await self.transport.arun(turn.write(stored, answered=answered)))
            except BaseException as error:
                await turn.aclear_up(error, turn.take_back(error))
                raise
        return turn.result()

    def _turn(
        self,
        ids: Ids,
        text: str,
        messages: Sequence[BaseMessage] | None,
        others: tuple[Sequence[str], Remember, bool, RememberWhen],
        **recall: Unpack[RecallOptions],
    ) -> Turn:
        from langchain_agentmem.chain.options import TurnOptions
        from langchain_agentmem.chain.turn import begun

        options = TurnOptions(None if recall["k"] == 0 else recall, *others)
        if options.recall is not None:
            self.long_term.search(ids.user, ids.namespace, options.recall)
        return begun(self, options, ids, text, messages)

    def _ending(
        self,
        context: TurnContext,
        messages: Sequence[BaseMessage],
        unanswered: bool,
        events: Iterable[Mapping[str, Any]],
    ) -> tuple[Turn, list[bytes], bool]:
        from langchain_agentmem.chain.turn import ending, has_answer
        from langchain_agentmem.core.messages import checked_messages

        turn = ending(self, context)
        stored = turn.encoded(checked_messages(messages))
        answered = has_answer(messages) and not unanswered
        turn.add_events(events)
        return turn, stored if answered else turn.unanswered(stored), answered

    def middleware(
        self,
        *,
        history: HistoryMode | None = None,
        k: int = 5,
        kind: str | None = None,
        pinned: Sequence[str] = ("profile",),
        remember: Remember = noteworthy,
        remember_when: RememberWhen = "inline",
        place: Place = "system",
        template: str | None = None,
        ids: IdsOf | None = None,
        on_failure: OnFailure = "keep_input",
        events: bool = True,
        on_error: OnError | None = None,
        on_turn: Callable[[ExchangeReport], None] | None = None,
    ) -> AgentMemoryMiddleware:
        """Return a middleware that gives agents of `create_agent` a memory.

        A turn costs two round trips besides the model: one that reads the thread, recalls, and stores what
        the user says, marked as unanswered; one that stores the whole turn in its place, and remembers
        what the user stated. The user's text is embedded once. Events are written in the background: what
        the model and the tools are given and answer, without a callback. A turn that is resumed after an
        interrupt goes on wherever it is resumed, and each message is stored once.

        One middleware serves any number of users: each call names its own `thread_id` (or `session_id`),
        `user_id`, and perhaps `namespace`, in `context=` or in `config["configurable"]`. Put it first in the
        list: what another one's summary takes the place of in a turn is then stored, too.

        An agent that runs as a tool of another one, in the same thread, is given the memories, and its
        messages are not stored: the outer one stores the call and its result.

        Args:
            history: `load` puts the thread's window before the messages when a turn begins, so that the
                agent's `messages` hold the conversation, as they do with a checkpointer; where the caller
                passes the conversation, or a checkpointer has it already, nothing is added. `mirror` stores
                and never loads. `None`: `mirror` if the run has a checkpointer, else `load`.
            k: How many memories are recalled at most; 0 for none.
            kind: Only memories of this kind are recalled; `None` for all.
            pinned: The kinds of which memories are always given, whatever the user says.
            remember: What is remembered of the user's words, as in `wrap`; or an extractor.
            remember_when: When an extractor is asked, as in `wrap`.
            place: Where a request tells what is remembered: at the end of the `system` message, or in a
                message before the `user`'s, which leaves a cached system message as it is.
            template: How it is told: a text with `{memories}`, and perhaps `{pinned}`, `{goal}` and
                `{notes}`. A paragraph whose fields are all empty is left out. `None`: the default, which
                marks it as data.
            ids: A function of the call's runtime and config that returns its `(thread_id, user)` or
                `(thread_id, user, namespace)`, where they have other names.
            on_failure: What is stored of a turn that ends without an answer, or is left: `keep_input`, what
                the user said; `drop`, nothing.
            events: Whether events are recorded.
            on_error: What happens if the memory fails, `raise` or `continue`; `None` for the setting.
            on_turn: Called with an `ExchangeReport` after every turn that is stored. What it raises is logged
                and counted.

        Raises:
            InvalidInputError, ConfigurationError: An option is not usable.
            MissingDependencyError: The extra `agents` is not installed.
        """
        from langchain_agentmem.chain.options import TurnOptions

        with extra_needed("memory.middleware()"):
            from langchain_agentmem.agents.middleware import AgentMemoryMiddleware
            from langchain_agentmem.agents.options import MiddlewareOptions, OverruledMemory
            from langchain_agentmem.agents.prompt import DEFAULT_TEMPLATE, Template

        recall: RecallOptions | None = {"k": k, "kind": kind} if k != 0 else None
        if recall is not None:
            self.long_term.search("default", "default", recall)
        options = MiddlewareOptions(
            turn=TurnOptions(recall, pinned, remember, remember_when=remember_when),
            template=Template(DEFAULT_TEMPLATE if template is None else template),
            history=history,
            place=place,
            ids=ids,
            on_failure=on_failure,
            events=events,
            on_turn=on_turn,
        )
        return AgentMemoryMiddleware(OverruledMemory(self, on_error), options)

    def store(
        self,
        *,
        index: StoreIndex = None,
        ttl: TTLConfig | None = None,
        user_of: Callable[[tuple[str, ...]], str | None] | None = None,
    ) -> MemoryStore:
        """Return a LangGraph store on this connection, for `create_agent(store=…)` and graphs.

        Its items are no memories: they are found by namespace and key, by filters and by meaning, and nothing
        is merged. Needs the extra `agents`.

        Args:
            index: What is embedded: LangGraph's `IndexConfig`, of `dims`, `embed` and `fields`; `None` for
                the whole value, by this memory's embeddings; `False` for nothing, and queries are ignored.
            ttl: LangGraph's `TTLConfig`, in minutes; `None` for no TTL, unless a put has one.
            user_of: Returns whose the items of a namespace are, or `None`, so that `forget_user` and
                `export_user` find them.

        Raises:
            ConfigurationError: An option is not usable.
            MissingDependencyError: LangGraph is not installed.
        """
        with extra_needed("memory.store()"):
            from langchain_agentmem.agents.store.store import MemoryStore
        return MemoryStore(self, index=index, ttl=ttl, user_of=user_of)

    def tools(
        self,
        *,
        user: str | None = None,
        allow: Sequence[ToolName] = ("recall", "remember", "update", "forget", "set_goal", "add_note"),
    ) -> list[BaseTool]:
        """Return tools with which a model uses this memory, for `create_agent`, `ToolNode` or your own loop.

        Whose memory it is, and which thread and namespace, says each run: `user_id`, `thread_id` (or
        `session_id`) and `namespace`, in its context or in `config["configurable"]`. A model cannot name
        them. `update` and `forget` reach memories of that user and namespace only.

        What a model can do better (an unknown id, a text that is too long) is told to it as the tool's
        answer. If the store fails, the tool raises, as the setting `on_error` says; with `continue` the
        model is told to go on without.

        Args:
            user: Whose memory it is, whoever a run names.
            allow: Which tools, in this order: `recall`, `remember`, `update`, `forget`, `set_goal`,
                `add_note`.

        Raises:
            InvalidInputError: The user is not one, or there is no such tool.
            MissingDependencyError: The extra `agents` is not installed.
        """
        from langchain_agentmem.agents.extra import extra_needed

        with extra_needed("memory.tools()"):
            from langchain_agentmem.agents.tools import tools_of
        return tools_of(self, None if user is None else validate_id("user", user), allow)

    def list_sessions(self, *, user: str, limit: int = 20, cursor: str | None = None) -> SessionPage:
        """Return a user's sessions without their messages, those active last first.

        The same as `working.list_sessions`: from the user's record of threads, in two round trips.

        Args:
            user: Whose sessions.
            limit: How many at most.
            cursor: The `cursor` of the page before; `None` for the first page.

        Raises:
            InvalidInputError: An argument is not usable.
        """
        return self.working.list_sessions(user=user, limit=limit, cursor=cursor)

    async def alist_sessions(self, *, user: str, limit: int = 20, cursor: str | None = None) -> SessionPage:
        """Async version of `list_sessions`."""
        return await self.working.alist_sessions(user=user, limit=limit, cursor=cursor)

    def forget_user(self, user: str, *, thorough: bool = False, dry_run: bool = False) -> Forgotten:
        """Remove a user from every tier: sessions the user began, memories in every namespace, events, items.

        Tasks go too, both those that wait for a worker and those that were set aside, so that no memory comes
        back.

        A session belongs to the user it was begun for (`user=`; through `wrap`, the `user_id`). What the
        user said in somebody else's session stays there, and so does a list that only other programs or
        a chat history wrote, for it names no user.

        Items are those of the LangGraph store in namespaces that its `user_of` says are the user's.
        Sessions and events are found by the user's record of threads, memories by the search index: a few
        round trips, and one more per 500 threads and per 1,000 memories. The keys of the database are looked
        at only for memories, where the index may not name them all. After a failure, call it again: a
        thread leaves the record when nothing is left of it.

        Args:
            user: The user.
            thorough: Also SCAN the database for sessions, events and memories that the record and the index
                do not name, because another program or an older version wrote them.
            dry_run: Remove nothing, and return what would be removed; about the same round trips.

        Returns:
            What was removed, and in `unreached` what could not be.

        Raises:
            InvalidInputError: The user is not one.
            ConfigurationError: Data is in partitions, or in another number of them; nothing was removed.
            StoreConnectionError: The server cannot be reached.
        """
        checked = validate_id("user", user)
        self.events.sink.settle()
        return self.transport.run(
            self._whole(user_data.forget_user(self._tiers, checked, thorough=thorough, dry_run=dry_run))
        )

    async def aforget_user(self, user: str, *, thorough: bool = False, dry_run: bool = False) -> Forgotten:
        """Async version of `forget_user`."""
        checked = validate_id("user", user)
        await self.events.sink.asettle()
        return await self.transport.arun(
            self._whole(user_data.forget_user(self._tiers, checked, thorough=thorough, dry_run=dry_run))
        )

    def export_user(
        self,
        user: str,
        *,
        tiers: Iterable[Tier] = user_data.TIERS,
        thread_id: str | None = None,
        thorough: bool = False,
        on_unreadable: Callable[[AgentMemoryError], None] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield everything of a user as plain dicts: sessions and memories as `agentmem import` reads them.

        A session comes as `{"thread", "user", "agent", "goal", "scratchpad", "created_ts", "last_active_ts",
        …}`, followed by its messages: `{"thread", "user", "role", "content", "ts", …}`. A memory is `{"id",
        "text", "user", "namespace", "kind", "thread", "created_ts", "hit_count", "metadata", "ttl_seconds",
        …}`, without its embedding; an event, which is for reading only, `{"thread", "id", "action", "detail",
        "ts", …}`; so is an item of the LangGraph store, `{"namespace", "key", "value", …}`. Reads 500 per
        round trip, as it is iterated over; items all at once. Tasks for the background are left out: they are
        about messages of the sessions.

        Args:
            user: Whose.
            tiers: Which of `sessions`, `memories`, `events` and `store`, in this order.
            thread_id: Only what is of this thread.
            thorough: Also SCAN the database for sessions and events that the user's record does not name.
            on_unreadable: Called with an error for each stored thing that cannot be read; else it is logged.

        Raises:
            InvalidInputError: The user or a tier is not one.
            ConfigurationError: Data is in partitions, or in another number of them.
        """
        steps = self._export(validate_id("user", user), tiers, thread_id, thorough)
        self.events.sink.settle()
        if self._may_miss_partitions:
            self.transport.run(self._whole(nothing()))
        return user_data.readable(user_data.run(steps, self.transport), on_unreadable)

    async def aexport_user(
        self,
        user: str,
        *,
        tiers: Iterable[Tier] = user_data.TIERS,
        thread_id: str | None = None,
        thorough: bool = False,
        on_unreadable: Callable[[AgentMemoryError], None] | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """Async version of `export_user`."""
        steps = self._export(validate_id("user", user), tiers, thread_id, thorough)
        await self.events.sink.asettle()
        if self._may_miss_partitions:
            await self.transport.arun(self._whole(nothing()))
        async for page in user_data.arun(steps, self.transport):
            for line in user_data.readable([page], on_unreadable):
                yield line

    def import_lines(
        self,
        lines: Iterable[bytes | str | dict[str, Any]],
        *,
        user: str | None = None,
        namespace: str | None = None,
        kind: str | None = None,
        thread_id: str | None = None,
        thread_prefix: str = "",
        default_user: str = "default",
        plain: bool = False,
        keep_all: bool = False,
        batch_size: int = 64,
        on_batch: Callable[[ImportReport], None] | None = None,
    ) -> ImportReport:
        """Store conversations and memories as `export_user` yields them, each once, however often it is run.

        A line is a message `{"thread", "role", "content", "ts", …}`, a session's notes `{"thread", "goal",
        …}`, a memory `{"text", "user", …}`, or a memory's text `"…"` alone; events are refused. Those of a
        ChatGPT or Claude export come from `chat_export_lines`. What an import stored before, whatever ended
        it, is not stored again, nor is what was exported from there. A memory that says the same as another
        one is merged into it, and reported (`merged`); it is not counted as a hit. Memories of one thread in
        a row give each other their context, unless an export has it. What is exported keeps its times.
        Four round trips per batch, a few more where ids are taken or lines are merged, and one embedding of
        its new memories.

        Args:
            lines: Dicts, or JSON as bytes or strings, such as the lines of an open file, or what
                `chat_export_lines` returns. Iterated over once.
            user: Whose all of it is, whatever a line says; `namespace`, `kind` and `thread_id` likewise.
            namespace: The memories' namespace.
            kind: The memories' kind.
            thread_id: The messages' thread, and where memories were learnt.
            thread_prefix: What goes before each thread that a line names, so that it is another one than a
                thread of that name that is here already, perhaps somebody else's.
            default_user: Whose a line is that names no user.
            plain: Whether each line that is no dict is a memory's text as it stands, rather than JSON.
            keep_all: Whether each line becomes a memory of its own, whatever says the same.
            batch_size: How many lines are stored at once.
            on_batch: Called after every batch with the report so far. What it raises ends the import.

        Returns:
            What was new, what was there or was merged, and in `refused` the lines that could not be stored,
            which do not keep the others from being stored.

        Raises:
            InvalidInputError: An argument is not usable; nothing was stored.
            StoreError: The server refused a batch; those before it are stored. Run it again.
        """
        op = self._import(user, namespace, kind, thread_id, thread_prefix, default_user, plain, keep_all)
        return self.transport.run(op(lines, positive("batch_size", batch_size), on_batch))

    async def aimport_lines(
        self,
        lines: Iterable[bytes | str | dict[str, Any]],
        *,
        user: str | None = None,
        namespace: str | None = None,
        kind: str | None = None,
        thread_id: str | None = None,
        thread_prefix: str = "",
        default_user: str = "default",
        plain: bool = False,
        keep_all: bool = False,
        batch_size: int = 64,
        on_batch: Callable[[ImportReport], None] | None = None,
    ) -> ImportReport:
        """Async version of `import_lines`."""
        op = self._import(user, namespace, kind, thread_id, thread_prefix, default_user, plain, keep_all)
        return await self.transport.arun(op(lines, positive("batch_size", batch_size), on_batch))

    def _import(
        self,
        user: str | None,
        namespace: str | None,
        kind: str | None,
        thread_id: str | None,
        thread_prefix: str,
        default_user: str,
        plain: bool,
        keep_all: bool,
    ) -> Callable[..., Op[ImportReport]]:
        from langchain_agentmem.importing.importer import Importer
        from langchain_agentmem.importing.lines import ImportOptions

        given = {"user": user, "namespace": namespace, "kind": kind, "thread_id": thread_id}
        for name, value in given.items():
            if value is not None:
                validate_id(name, value)
        validate_id("default_user", default_user)
        utf8("thread_prefix", thread_prefix)
        options = ImportOptions(
            user=user,
            namespace=namespace,
            kind=kind,
            thread_id=thread_id,
            thread_prefix=thread_prefix,
            default_user=default_user,
            keep_all=keep_all,
        )
        return Importer(self.working, self.long_term, options, plain=plain).run_op

    def _export(
        self, user: str | None, tiers: Iterable[Tier], thread_id: str | None, thorough: bool
    ) -> user_data.Steps:
        return user_data.export(
            self._tiers,
            user,
            wanted=user_data.checked_tiers(tiers),
            thread_id=None if thread_id is None else validate_id("thread_id", thread_id),
            thorough=thorough,
        )

    def trace(self) -> AbstractContextManager[Trace]:
        """Trace what this memory sends inside a `with` block: each command, as redis-cli takes it, and times.

        It sees what runs in the block's task or thread and in tasks and threads that are started there (with
        their context, as `asyncio.to_thread` and LangChain do), sync and async, and nothing else of this
        memory's. A stream is seen where it is consumed. After the block the trace does not change. Traces can
        be nested; each sees what is inside it. Events that a thread writes in the background are not seen.

        Returns:
            A context manager that gives the `Trace`, which fills as the block runs.
        """
        settings = self.settings
        tiers = tier_prefixes(self._keys, settings.index_name, lists=settings.session_storage == "list")
        return tracing(self.transport, tiers, vector_bytes=2 if settings.vector_type == "float16" else 4)

    def _whole(self, op: Op[T]) -> Op[T]:
        """Return an operation that runs only if all data is where this memory looks for it."""
        if not self._may_miss_partitions:
            return op
        return without_partitions(op, of_all(self._keys, self.settings.index_name))

    @property
    def _may_miss_partitions(self) -> bool:
        """Return whether nobody looks for a number of partitions: the transport does if there are any."""
        return not self._keys.partitions and not self.transport.rest  # Upstash has none

    @property
    def _tiers(self) -> user_data.Tiers:
        from langchain_agentmem.agents.store.partitions import ItemPartitions

        items = ItemPartitions(self._keys)
        return user_data.Tiers(self.working, self.long_term, self.events, items, self.tasks)

    def close(self) -> None:
        """Write what events are waiting and close the connection, if this object opened it."""
        if "events" in self.__dict__:
            self.events.close()
        super().close()

    async def aclose(self) -> None:
        """Async version of `close`."""
        if "events" in self.__dict__:
            await self.events.aclose()
        await super().aclose()

    def __repr__(self) -> str:
        return f"AgentMemory(index_name={self.settings.index_name!r})"
