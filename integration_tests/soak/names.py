"""Names and filters that are meant to reach what is another's."""

from __future__ import annotations

import hashlib
from itertools import cycle
from random import Random
from typing import Any

import redis
from redisvl.query.filter import Tag, Text

from integration_tests.soak.trial import Clock, Figures
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory, EmbeddedRedis
from langchain_agentmem.errors import AgentMemoryError

LONG = "x" * 4096
NAMES = [
    *("alice", "Alice", "alice ", " alice", "alice\0", "alic", "alice*", "a?ice", "[a]lice", "al\\ice", "*", "?", "**"),
    *("[^b]*", "alice:alice", "alice,bob", "bob", "a|b", "alice|bob", "{alice}", "}{", "{", "}", '"', "'", "`", "\\"),
    *("\0", "\x01\r\n", "\n", "\t", " ", ",", ":", "::", "agent:session:alice", "default", "#", "#alice", "@user", "-"),
    *("é", "e\u0301", "ＡＬＩＣＥ", "аlice", "\u200balice", "😀", "\ufeffalice", "\u202e", "None", "null", "0", "-1", "%s"),
    *(LONG, LONG[:-1], LONG[:-1] + "y", "*" * 4096, "$user", "$.user", "../alice", "alice\u2028", "~", "^", "$"),
]  # fmt: skip
FILTERS: list[Any] = [
    *("@user:{*}", ")) | (@user:{*}", "*", "* | *", "-@user:{alice}", "@namespace:{*}", "=>[KNN 5 @embedding $v]"),
    *("(@user:{bob}) | @user:{alice}", "@created_ts:[-inf +inf]) | (*", "\\) | (*", '"', "(" * 40, ")" * 40, "\0"),
    *(Tag("user") == "*", Tag("user") != "nobody", Tag("kind") == ["*", "}|{"], Tag("namespace") == "a | b"),
    *(Text("text") % "*", Text("text") % "tea) | (@user:{*}", Text("text") == ")|(*", (Tag("user") == "bob") | "*"),
]  # fmt: skip
_ALPHABET = "aA*?[]{}()|,:\\\"'@#-\0 \t\né\u0301😀"
VECTOR = [1.0, 0.0]


def hostile_names(clock: Clock, random: Random) -> Figures:
    """Use hostile names for everything: nothing of one user's, thread's or kind's shows in another's."""
    figures = Figures()
    with EmbeddedRedis() as server, redis.Redis.from_url(server.url) as bare:
        while not figures.counts or not clock.is_over():
            bare.flushall()
            drawn = {"".join(random.choices(_ALPHABET, k=random.randint(1, 12))) for _ in range(20)}
            names = [*NAMES, *sorted(drawn - set(NAMES))]
            random.shuffle(names)
            with AgentMemory(server.url, embeddings=WordEmbeddings(2)) as memory:
                figures.add(_round(memory, names))
            clock.is_over()
    return figures


def _round(memory: AgentMemory, names: list[str]) -> Figures:
    others = dict(
        zip(names, [*names[1:], names[0]], strict=True)
    )  # a namespace, kind and thread for each user
    for user, other in others.items():
        memory.working.append_turn(user, "user", user, user=other)
        memory.events.record(user, "note", _digest(user), user=other)
        memory.long_term.remember(
            "tea", user=user, namespace=other, kind=others[other], source_thread=user, embedding=VECTOR
        )
        memory.long_term.remember("tea", user=user, embedding=VECTOR)
    crossings = missing = refused = 0

    def check(found: list[Any], expected: list[Any]) -> None:
        nonlocal crossings, missing
        crossings += len([one for one in found if one not in expected])
        missing += len([one for one in expected if one not in found])

    def look(users: list[str]) -> None:
        for user in users:
            other = others[user]
            check([message.content for message in memory.working.messages(user)], [user])
            state = memory.working.load(user)
            check([None if state is None else state.user], [other])
            check([event.detail for event in memory.events.recent(user)], [_digest(user)])
            owned = [(user, other, others[other]), (user, "default", "episodic")]
            for namespace, kind in (
                (None, None),
                (other, None),
                (other, others[other]),
                (None, others[other]),
            ):
                expected = [one for one in owned if namespace in (None, one[1]) and kind in (None, one[2])]
                scope: dict[str, Any] = {"user": user, "namespace": namespace, "kind": kind}
                recalled = memory.long_term.recall("tea", k=100, embedding=VECTOR, **scope)
                check([(one.user, one.namespace, one.kind) for one in recalled], expected)
                listed = memory.long_term.list_memories(**scope)
                check([(one.user, one.namespace, one.kind) for one in listed], expected)

    look(names)
    asked = 0
    for hostile, user in zip(FILTERS * 2, cycle(names)):
        asked += 1
        try:
            found = memory.long_term.recall("tea", user=user, k=100, embedding=VECTOR, filter=hostile)
        except AgentMemoryError:
            refused += 1
        else:
            crossings += sum((one.user, one.namespace) != (user, "default") for one in found)
    forgotten, kept = names[::2], names[1::2]
    for user in forgotten:
        memory.forget_user(user)
    for user in forgotten:
        crossings += len(memory.long_term.list_memories(user=user, namespace=None))
    gone = {thread for thread, owner in others.items() if owner in forgotten}
    crossings += sum(memory.working.load(thread) is not None for thread in gone)
    for user in kept:
        found = memory.long_term.list_memories(user=user, namespace=None)
        check([(one.user, one.namespace) for one in found], [(user, others[user]), (user, "default")])
    for thread in set(names) - gone:
        check([message.content for message in memory.working.messages(thread)], [thread])
    return Figures(
        {"names": len(names), "filters": asked, "refused": refused, "forgotten": len(forgotten)},
        {"crossings": crossings, "missing": missing},
    )


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()  # a long name would be cut in an event
