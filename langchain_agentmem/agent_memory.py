"""`AgentMemory`: three tiers over one connection, made from a URL, the environment, or nothing."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from typing_extensions import Self

from langchain_agentmem import user_data
from langchain_agentmem.chain.noteworthy import noteworthy
from langchain_agentmem.core import checks
from langchain_agentmem.core.checks import positive, validate_id
from langchain_agentmem.core.lazy import cached_property
from langchain_agentmem.core.node_parameters import NodeParameters
from langchain_agentmem.errors import AgentMemoryError, ConfigurationError
from langchain_agentmem.settings import AgentMemorySettings
from langchain_agentmem.transport.connected import Connected
from langchain_agentmem.transport.rest_api import address_of
from langchain_agentmem.user_data import Forgotten

if TYPE_CHECKING:
    from langchain_core.chat_history import BaseChatMessageHistory
    from langchain_core.documents import BaseDocumentCompressor
    from langchain_core.embeddings import Embeddings
    from langchain_core.runnables.base import RunnableLike

    from langchain_agentmem.chain.options import ExchangeReport, OnAbandon, Remember
    from langchain_agentmem.chain.runnable import MemoryChain
    from langchain_agentmem.core.operations import Op
    from langchain_agentmem.events.callbacks import AsyncEventLogHandler, EventLogHandler
    from langchain_agentmem.events.event_log import EventLog
    from langchain_agentmem.importing.report import ImportReport
    from langchain_agentmem.longterm.long_term_memory import BaseLongTermMemory
    from langchain_agentmem.longterm.retriever import MemoryRetriever
    from langchain_agentmem.longterm.types import Filter, Mode, RecallOptions
    from langchain_agentmem.user_data import Tier
    from langchain_agentmem.working.listing import SessionPage
    from langchain_agentmem.working.working_memory import WorkingMemory


class AgentMemory(Connected):
    """An agent's memory on Redis: `working`, `long_term` and `events`.

    The constructor does no network I/O. Everything shares one connection pool per URL and process.

    Args:
        url: `redis://`, `rediss://`, `unix://`, `redis+sentinel://`, `https://` for the REST API of
            Upstash (with `token=`), or `embedded://` for a private Redis. Without it: `AGENTMEM_URL`,
            `REDIS_URL`, `UPSTASH_REDIS_REST_URL`, else `embedded://`.
        client: A caller-supplied sync client instead of a URL, of `redis` or `upstash_redis`; it is neither
            changed nor closed.
        async_client: A caller-supplied async client.
        embeddings: Any LangChain embeddings; by default all-MiniLM-L6-v2, on this machine. Refused on
            Upstash, which has no vectors.
        settings: Ready settings, instead of keywords.
        **options: The fields of `AgentMemorySettings`.

    Attributes:
        session_id: The session of a memory that was made by `from_node`.

    Raises:
        ConfigurationError: A setting, the URL, a client or the embeddings are not usable.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        client: Any = None,
        async_client: Any = None,
        embeddings: Embeddings | None = None,
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
        self.session_id: str | None = None
        seconds = settings.socket_timeout_seconds
        if supplied is not None:
            self._connect(None, None, client, async_client, seconds)
        else:
            token = None if settings.token is None else settings.token.get_secret_value()
            self._connect(None, settings.url.get_secret_value(), None, None, seconds, token)
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
            **options: Further fields of `AgentMemorySettings`.

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

        return WorkingMemory(transport=self.transport, **vars(self.settings.working))

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

        config = self.settings.working
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
                **options,
            )
        upstash, redis = histories.UpstashChatMessageHistory, histories.RedisListChatMessageHistory
        list_history = upstash if self.transport.rest else redis
        return list_history(key_prefix=config.list_prefix, trim=False, **options)

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

    def wrap(
        self,
        runnable: RunnableLike[Any, Any],
        *,
        input_key: str = "input",
        history_key: str | None = None,
        memories_key: str | None = "memories",
        output_key: str | None = None,
        remember: Remember = noteworthy,
        k: int = 5,
        kind: str | None = None,
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
                those, too. If it raises, nothing is remembered.
            k: How many memories are recalled at most.
            kind: Only memories of this kind are recalled; `None` for all.
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
        )
        return MemoryChain(self, runnable, options)

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

    def forget_user(self, user: str, *, thorough: bool = False) -> Forgotten:
        """Remove a user from every tier: sessions the user began, memories in every namespace, events.

        A session belongs to the user it was begun for (`user=`; through `wrap`, the `user_id`). What the
        user said in somebody else's session stays there, and so does a list that only other programs or
        a chat history wrote, for it names no user.

        Sessions and events are found by the user's record of threads, memories by the search index: a few
        round trips, and one more per 500 threads and per 1,000 memories. The keys of the database are looked
        at only for memories, where the index may not name them all. After a failure, call it again: a
        thread leaves the record when nothing is left of it.

        Args:
            user: The user.
            thorough: Also SCAN the database for sessions, events and memories that the record and the index
                do not name, because another program or an older version wrote them.

        Returns:
            What was removed, and in `unreached` what could not be.

        Raises:
            InvalidInputError: The user is not one.
            StoreConnectionError: The server cannot be reached.
        """
        checked = validate_id("user", user)
        self.events.sink.settle()
        return self.transport.run(user_data.forget_user(self._tiers, checked, thorough=thorough))

    async def aforget_user(self, user: str, *, thorough: bool = False) -> Forgotten:
        """Async version of `forget_user`."""
        checked = validate_id("user", user)
        await self.events.sink.asettle()
        return await self.transport.arun(user_data.forget_user(self._tiers, checked, thorough=thorough))

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

        A session comes as `{"thread", "user", "agent", "goal", "scratchpad"}`, followed by its messages:
        `{"thread", "user", "role", "content", "ts", …}`. A memory is `{"id", "text", "user", "namespace",
        "kind", "thread", "created_ts", "hit_count", "metadata", "ttl_seconds", …}`, without its embedding; an
        event, which is for reading only, `{"thread", "id", "action", "detail", "ts", …}`. Reads 500
        per round trip, as it is iterated over.

        Args:
            user: Whose.
            tiers: Which of `sessions`, `memories` and `events`, in this order.
            thread_id: Only what is of this thread.
            thorough: Also SCAN the database for sessions and events that the user's record does not name.
            on_unreadable: Called with an error for each stored thing that cannot be read; else it is logged.

        Raises:
            InvalidInputError: The user or a tier is not one.
        """
        steps = self._export(validate_id("user", user), tiers, thread_id, thorough)
        self.events.sink.settle()
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
        default_user: str = "default",
        plain: bool = False,
        keep_all: bool = False,
        batch_size: int = 64,
        on_batch: Callable[[ImportReport], None] | None = None,
    ) -> ImportReport:
        """Store conversations and memories as `export_user` yields them, each once, however often it is run.

        A line is a message `{"thread", "role", "content", "ts", …}`, a session's notes `{"thread", "goal",
        …}`, a memory `{"text", "user", …}`, or a memory's text `"…"` alone; events are refused. What an
        import stored before, whatever ended it, is not stored again, nor is what was exported from there. A
        memory that says the same as another one is merged into it, and reported (`merged`); it is not counted
        as a hit. Memories of one thread in a row give each other their context, unless an export has it.
        Four round trips per batch, a few more where ids are taken or lines are merged, and one embedding of
        its new memories.

        Args:
            lines: Dicts, or JSON as bytes or strings, such as the lines of an open file. Iterated over once.
            user: Whose all of it is, whatever a line says; `namespace`, `kind` and `thread_id` likewise.
            namespace: The memories' namespace.
            kind: The memories' kind.
            thread_id: The messages' thread, and where memories were learnt.
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
        op = self._import(user, namespace, kind, thread_id, default_user, plain, keep_all)
        return self.transport.run(op(lines, positive("batch_size", batch_size), on_batch))

    async def aimport_lines(
        self,
        lines: Iterable[bytes | str | dict[str, Any]],
        *,
        user: str | None = None,
        namespace: str | None = None,
        kind: str | None = None,
        thread_id: str | None = None,
        default_user: str = "default",
        plain: bool = False,
        keep_all: bool = False,
        batch_size: int = 64,
        on_batch: Callable[[ImportReport], None] | None = None,
    ) -> ImportReport:
        """Async version of `import_lines`."""
        op = self._import(user, namespace, kind, thread_id, default_user, plain, keep_all)
        return await self.transport.arun(op(lines, positive("batch_size", batch_size), on_batch))

    def _import(
        self,
        user: str | None,
        namespace: str | None,
        kind: str | None,
        thread_id: str | None,
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
        options = ImportOptions(
            user=user,
            namespace=namespace,
            kind=kind,
            thread_id=thread_id,
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

    @property
    def _tiers(self) -> user_data.Tiers:
        return user_data.Tiers(self.working, self.long_term, self.events)

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
