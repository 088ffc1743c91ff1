"""Every key this package writes is built here."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, TypeAlias

from langchain_agentmem.core.checks import validate_id
from langchain_agentmem.core.partitions import MAX_PARTITIONS, partition_of, tags
from langchain_agentmem.errors import InvalidInputError

Tier: TypeAlias = Literal["working", "long_term", "events", "store", "tasks"]

# With a letter or digit: a lone underscore is a syntax error in a query.
_PLAIN_TAG = re.compile(r"(?=[_.@:\-]*[A-Za-z0-9])[A-Za-z0-9_.@:\-]{1,128}")
_HASH_TAG = re.compile(r"[^{]*\{[^}]+\}")  # what a cluster's slot is computed from, if it is there
_SAME = re.compile(r"(.+):[0-9a-f]{32}:same", re.DOTALL)
ITEM = "item:"  # between the prefix of a store and what stands for the place of an item
_BRACE = re.compile("[{}]")
_GLOB = re.compile(r"([\\*?\[\]^-])")


@dataclass(frozen=True)
class Keys:
    """The key names of the tiers and of the LangGraph store. Ids stand in keys byte for byte, unescaped.

    Attributes:
        session_prefix: What the key of a session begins with.
        memory_prefix: What the key of a memory begins with.
        events_prefix: What the key of a thread's stream begins with.
        threads_prefix: What the key of a user's record of threads begins with.
        store_prefix: What the keys of the LangGraph store begin with.
        tasks_prefix: What the keys of queues of tasks begin with.
        list_prefix: What the key of a list of messages begins with: nothing, as in LangChain.js.
        reserved: What other keys begin with that no list may have.
        partitions: In how many partitions memories, tasks, records of threads and items of the store are; 0
            for none, and then no key has a hash tag.
        beside_list: Whether the session of a list has its key in the list's slot of a cluster.
    """

    session_prefix: str = "agent:session:"
    memory_prefix: str = "agent:mem:"
    events_prefix: str = "agent:events:"
    threads_prefix: str = "agent:threads:"
    store_prefix: str = "agent:store:"
    tasks_prefix: str = "agent:tasks:"
    list_prefix: str = ""
    reserved: tuple[str, ...] = ()
    partitions: int = 0
    beside_list: bool = False

    def of(self, user: str) -> Keys:
        """Return the key names in the partition of a user; these if there are no partitions."""
        if not self.partitions:
            return self
        return self.in_partition(partition_of(validate_id("user", user), self.partitions))

    def in_partition(self, at: int) -> Keys:
        """Return the key names in a partition, whose hash tag stands behind each prefix."""
        return _in_partition(self, at)

    def every(self) -> list[Keys]:
        """Return the key names in each partition, in order; these alone if there are no partitions."""
        return [self.in_partition(at) for at in range(self.partitions)] or [self]

    def session(self, thread_id: str) -> str:
        """Return the key of a thread's working memory, a Hash.

        Raises:
            InvalidInputError: The id has braces, which would decide about the slot.
        """
        if not self.beside_list:
            return self.session_prefix + validate_id("thread_id", thread_id)
        if _BRACE.search(thread_id):
            raise InvalidInputError(
                "thread_id has braces; on a Redis Cluster, no session whose messages are in a list can."
            )
        return f"{self.session_prefix}{{{self.messages(thread_id)}}}"

    @property
    def sessions_prefix(self) -> str:
        """Return what the keys of all sessions begin with; behind it is the thread id."""
        return f"{self.session_prefix}{{{self.list_prefix}" if self.beside_list else self.session_prefix

    def thread_of(self, key: str) -> str:
        """Return what stands for the thread id in the key of a session."""
        rest = key[len(self.sessions_prefix) :]
        return rest.removesuffix("}") if self.beside_list else rest

    def messages(self, thread_id: str, name: str = "thread_id") -> str:
        """Return the key of a thread's messages, a list.

        Raises:
            InvalidInputError: It begins as keys of other things do; the error calls the id by `name`.
        """
        key = self.list_prefix + validate_id(name, thread_id)
        others = [self.session_prefix, self.memory_prefix, self.events_prefix, self.threads_prefix]
        others += [self.store_prefix, self.tasks_prefix, same_prefix(self.memory_prefix)]
        for prefix in (*others, *self.reserved):
            if key.startswith(prefix):
                raise InvalidInputError(
                    f"{name} begins with {prefix!r}, where the memory keeps other things; choose another."
                )
        return key

    def memory(self, memory_id: str) -> str:
        """Return the key of one memory, a JSON document or a Hash."""
        return self.memory_prefix + validate_id("id", memory_id)

    def same(self, memory_key: str) -> str:
        """Return the key of a pointer: it holds the id of the memory that says what one at a key would.

        The two are in the same cluster slot, unless the prefix of memories has a `}` that ends no hash tag.

        Args:
            memory_key: The key of the memory whose id is the digest of what is said.
        """
        return same_prefix(memory_key) + ("" if _HASH_TAG.match(memory_key) else "}")

    def upstash_memory(self, memory_id: str) -> str:
        """Return the key of one memory on Upstash, whose id begins with its user and may be longer."""
        return self.memory_prefix + memory_id

    def upstash_memories(self, user: str) -> str:
        """Return what the keys of a user's memories on Upstash begin with.

        Those of a user with a longer name may begin with it too.
        """
        return self.upstash_memory(f"{user}:")

    def upstash_same(self, user: str, digest: str) -> str:
        """Return the key of a pointer on Upstash, a String.

        It holds the key of the memory that says what the one whose id is the digest would say.
        """
        return self.upstash_memory(f"{user}:{digest}:same")

    def upstash_same_user(self, key: str) -> str | None:
        """Return the user in the key of a pointer; `None` if it is the key of something else."""
        found = _SAME.fullmatch(key, len(self.memory_prefix)) if key.startswith(self.memory_prefix) else None
        return None if found is None else found[1]

    def events(self, thread_id: str) -> str:
        """Return the key of a thread's events, a stream."""
        return self.events_prefix + validate_id("thread_id", thread_id)

    def threads(self, user: str) -> str:
        """Return the key of a user's threads, a sorted set."""
        return self.threads_prefix + validate_id("user", user)

    @property
    def items_prefix(self) -> str:
        """Return what the keys of the store's items begin with."""
        return f"{self.store_prefix}{ITEM}"

    def item(self, namespace: Sequence[str], key: str) -> str:
        """Return the key of an item of the store: a digest, which no two places have in common."""
        return self.items_prefix + path_digest([*namespace, key])

    def namespace(self, namespace: Sequence[str]) -> str:
        """Return the key of the record of a namespace's items, a sorted set."""
        return f"{self.store_prefix}namespace:{path_digest(namespace)}"

    @property
    def namespaces(self) -> str:
        """Return the key of the record of the store's namespaces, a sorted set."""
        return f"{self.store_prefix}namespaces"

    def user_namespaces(self, user: str) -> str:
        """Return the key of the record of a user's namespaces, a sorted set."""
        return f"{self.store_prefix}user:{validate_id('user', user)}"

    def tasks_queue(self, *place: str) -> str:
        """Return the key of a queue of tasks, a list: a digest, which no two queues have in common."""
        return f"{self.tasks_prefix}queue:{path_digest(place)}"

    def tasks_signal(self, queue: str) -> str:
        """Return the key of the signal of a queue, a String: the id of its entry in the stream of signals."""
        return f"{queue}:signal"

    @property
    def tasks_stream(self) -> str:
        """Return the key of the stream of signals, which has an entry per queue that is not empty."""
        return f"{self.tasks_prefix}stream"

    @property
    def tasks_failed(self) -> str:
        """Return the key of the stream of tasks that are set aside."""
        return f"{self.tasks_prefix}failed"


@lru_cache(maxsize=MAX_PARTITIONS)  # in the way of every turn
def _in_partition(keys: Keys, at: int) -> Keys:
    tag = tags(keys.partitions)[at]
    return replace(
        keys,
        memory_prefix=tagged(keys.memory_prefix, tag),
        threads_prefix=tagged(keys.threads_prefix, tag),
        store_prefix=tagged(keys.store_prefix, tag),
        tasks_prefix=tagged(keys.tasks_prefix, tag),
        partitions=0,
    )


def tagged(prefix: str, tag: str) -> str:
    """Return a prefix of keys in a partition, given its hash tag."""
    return f"{prefix}{{{tag}}}:"


def index_in(index_name: str, tag: str) -> str:
    """Return the name of a search index in a partition, given its hash tag: it lies in the same slot."""
    return f"{index_name}:{{{tag}}}"


def path_digest(path: Sequence[str]) -> str:
    """Return what stands for a path of labels: the same for equal paths only."""
    return hashlib.sha256(json.dumps(list(path)).encode()).hexdigest()[:32]


def store_prefix(memory_prefix: str) -> str:
    """Return the prefix of the store where none is given: beside other memories is another store."""
    return Keys.store_prefix if memory_prefix in (Keys.memory_prefix, "memory:") else f"store:{memory_prefix}"


def lies_in_another_store(prefix: str) -> bool:
    """Return whether the keys of a store with this prefix begin as the items of some other store do."""
    return ITEM in prefix[1:]  # no prefix is empty


def store_index(index_name: str) -> str:
    """Return the name of the store's search index, given that of long-term memory's."""
    return "agentmem:store" if index_name == "agentmem:idx" else f"store:{index_name}"


def same_prefix(memory_prefix: str) -> str:
    """Return what the keys of pointers to memories begin with, given what those of the memories do."""
    return f"agent:same:{'' if _HASH_TAG.match(memory_prefix) else '{'}{memory_prefix}"


def threads_prefix(session_prefix: str) -> str:
    """Return the prefix of records of threads where none is given: those of other sessions have another."""
    return Keys.threads_prefix if session_prefix == Keys.session_prefix else f"threads:{session_prefix}"


def tasks_prefix(session_prefix: str, memory_prefix: str) -> str:
    """Return the prefix of tasks where none is given: those of other sessions or memories have another."""
    if session_prefix == Keys.session_prefix and memory_prefix in (Keys.memory_prefix, "memory:"):
        return Keys.tasks_prefix
    return f"tasks:{session_prefix}:{memory_prefix}"


def index_keys(index_name: str) -> str:
    """Return what the keys begin with that belong to a search index."""
    return f"{index_name}:"


def scope_lock(index_name: str, *tags: str) -> str:
    """Return the lock that writers to one scope of long-term memory take where a script cannot serve them."""
    return f"{index_keys(index_name)}lock:{hashlib.sha256(' '.join(tags).encode()).hexdigest()}"


def never_written(index_name: str) -> str:
    """Return a key nobody writes: an operation waits by blocking on it."""
    return f"{index_keys(index_name)}never"


def backfilling(index_name: str) -> str:
    """Return the key that is there while an index does not hold every memory yet."""
    return f"{index_keys(index_name)}filling"


def partition_count(index_name: str) -> str:
    """Return the key that says how many partitions there are, given the index name without a hash tag."""
    return f"{index_keys(index_name)}partitions"


def tier_prefixes(keys: Keys, index_name: str, *, lists: bool) -> dict[str, Tier]:
    """Return what the keys of each tier begin with. A key belongs to the longest prefix it begins with.

    Args:
        keys: The key names.
        index_name: The search index of long-term memory.
        lists: Whether messages are in lists, whose prefix may be empty.
    """
    prefixes: dict[str, Tier] = {keys.list_prefix: "working"} if lists else {}
    return prefixes | {
        keys.session_prefix: "working",
        keys.threads_prefix: "working",
        keys.memory_prefix: "long_term",
        same_prefix(keys.memory_prefix): "long_term",
        same_prefix(tagged(keys.memory_prefix, "p")).removesuffix("p}:"): "long_term",  # in partitions
        index_keys(index_name): "long_term",
        keys.events_prefix: "events",
        keys.store_prefix: "store",
        index_keys(store_index(index_name)): "store",
        keys.tasks_prefix: "tasks",
    }


def glob(prefix: str) -> str:
    """Return a SCAN pattern for the keys that begin with exactly this prefix."""
    return _GLOB.sub(r"\\\1", prefix) + "*"


def tag(value: str) -> str:
    """Return a scope's value as the search index holds it: equal for equal values only.

    A TAG splits at commas, trims blanks and cannot escape every character. So plain values (up to
    128 ASCII letters, digits and `_.@:-`, not only signs) are indexed as they are, and any other as
    `#` and its SHA-256; no plain value has a `#`.
    """
    if _PLAIN_TAG.fullmatch(value):
        return value
    return "#" + hashlib.sha256(value.encode()).hexdigest()
