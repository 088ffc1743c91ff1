"""The rows of the correctness table: each finds out by doing it. Runs in a library's process.

A check gets a way to open the library on an emptied Redis, and returns whether it keeps the promise, and what was
seen. What a library does not offer is said as such; what raises is said by the table.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from integration_tests.benchmarks.peers.bench import Bench, Verdict
from integration_tests.benchmarks.peers.client_checks import client_unchanged, speaks_resp3
from integration_tests.benchmarks.peers.libraries.library import NotOfferedError
from integration_tests.benchmarks.peers.material import CHANGED, exchange, fact

AT_ONCE, EACH, FACTS = 6, 10, 10
_ALL = 1000


MESSAGES: list[BaseMessage] = [
    HumanMessage("Where is the ladder?"),
    HumanMessage("Wo ist die Leiter?\n🪜", id="m-1", name="Ida", additional_kwargs={"lang": ["de", 1]}),
    HumanMessage(
        [
            {"type": "text", "text": "And this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        ]
    ),
    SystemMessage("You are kind.", additional_kwargs={"cache": True}),
    AIMessage(
        "",
        id="run-1",
        tool_calls=[{"name": "find", "args": {"what": "ladder", "depth": 1.5}, "id": "call-1"}],
        usage_metadata={"input_tokens": 7, "output_tokens": 3, "total_tokens": 10},
        response_metadata={"model_name": "m"},
    ),
    AIMessage("", invalid_tool_calls=[{"name": "find", "args": "{", "id": "c", "error": "not JSON"}]),
    ToolMessage(
        "behind the barn", tool_call_id="call-1", name="find", artifact={"rows": [1, 2]}, status="error"
    ),
    AIMessage([{"type": "text", "text": "Behind the barn."}], name="helper"),
    ChatMessage("It is red.", role="critic"),
]


def equal_messages(bench: Bench) -> Verdict:
    """Tool calls, ids, names, multimodal content: what goes in comes out `==`."""
    library, equal, lost = bench.open(window=None), 0, set[str]()
    refused = unreadable = 0
    for at, message in enumerate(MESSAGES):
        try:
            library.append(f"equal{at}", [message])
        except NotOfferedError:
            raise
        except Exception:  # noqa: BLE001 - whatever a library says to a message that it does not take
            refused += 1
            continue
        try:
            (read,) = library.read(f"equal{at}", 1)
        except Exception:  # noqa: BLE001 - whatever it says to what it has stored
            unreadable += 1
        else:
            equal += read == message
            lost |= _different(message, read)
    words = [f"{equal} of {len(MESSAGES)} equal"]
    words += [f"lost: {', '.join(sorted(lost))}"] if lost else []
    words += [
        f"{count} {what}" for count, what in ((refused, "refused"), (unreadable, "unreadable")) if count
    ]
    return Verdict(equal == len(MESSAGES), "; ".join(words))


def _different(one: BaseMessage, other: BaseMessage) -> set[str]:
    if type(one) is not type(other):
        return {f"class {type(one).__name__}"}
    mine, theirs = one.model_dump(), other.model_dump()
    return {name for name in mine if mine[name] != theirs.get(name)}


def no_message_lost(bench: Bench) -> Verdict:
    """Six writers append to one session at once."""
    library = bench.open(window=None)
    library.read("shared", 1)

    def write(writer: int) -> None:
        for number in range(EACH):
            library.append("shared", exchange(writer * EACH + number))

    _at_once(write)
    wanted = {str(message.content) for at in range(AT_ONCE * EACH) for message in exchange(at)}
    found = [str(message.content) for message in library.read("shared", _ALL)]
    lost, extra = len(wanted - {*found}), len(found) - len({*found})
    swapped = sum(_swapped(found, writer) for writer in range(AT_ONCE))
    words = f"lost {lost} of {len(wanted)}" + (f", {extra} twice" if extra else "")
    words += f", {swapped} of a writer's own in another order" if swapped else ""
    return Verdict(not (lost or extra or swapped), words)


def _swapped(found: Sequence[str], writer: int) -> int:
    """Return how many messages of a writer come before one that it wrote earlier."""
    own = [str(m.content) for number in range(EACH) for m in exchange(writer * EACH + number)]
    places = [found.index(content) for content in own if content in found]
    return sum(later < earlier for earlier, later in pairwise(places))


def no_fact_doubled(bench: Bench) -> Verdict:
    """Six learners remember the same fact at once, ten times over."""
    library = bench.open()

    def copies(user: str, remember: Callable[[str, str], object]) -> list[int]:
        remember(user, fact(FACTS))  # what is made on first need is there
        texts = [fact(number) for number in range(FACTS)]
        for text in texts:
            _at_once(lambda _, text=text: remember(user, text))  # type: ignore[misc]
        return [library.recall(user, text, 100).count(text) for text in texts]

    found = copies("ann", library.remember)
    words = f"{sum(found)} memories of {FACTS} facts"
    with suppress(NotOfferedError):
        keyed = copies("bob", lambda user, text: library.remember_as(user, text, _digest(text)))
        words += f"; {sum(keyed)} if the caller makes a fact's key of its text"
    return Verdict(found == [1] * FACTS, words)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


PAIRS = (("Ada", "ada"), ("a,b", "a"), ("ann", "anna"))


def exact_sessions(bench: Bench) -> Verdict:
    """Sessions whose names differ by case, by a comma, or by what follows."""
    library = bench.open(window=None)

    def put(name: str) -> None:
        library.append(name, [HumanMessage(f"of {name}")])

    return _apart(put, lambda name: [str(one.content) for one in library.read(name, _ALL)], "of {}")


def exact_users(bench: Bench) -> Verdict:
    """Users whose names differ by case, by a comma, or by what follows."""
    library = bench.open()
    texts = {name: fact(at) for at, name in enumerate(name for pair in PAIRS for name in pair)}
    return _apart(
        lambda name: library.remember(name, texts[name]),
        lambda name: library.recall(name, texts[name], 50),
        "{}",
        texts,
    )


def _apart(
    put: Callable[[str], object],
    get: Callable[[str], list[str]],
    form: str,
    texts: dict[str, str] | None = None,
) -> Verdict:
    """Put one thing for each name, and see that each name gets what is its own."""
    names = [name for pair in PAIRS for name in pair]
    refused, problems = [], []
    for name in names:
        try:
            put(name)
        except NotOfferedError:
            raise
        except Exception as error:  # noqa: BLE001 - a name that a library refuses is not one that it mixes up
            refused.append(f"{name!r} refused: {type(error).__name__}")
    owners = {(texts[name] if texts else form.format(name)): name for name in names}
    for name in names:
        try:
            found = {owners.get(text, "?") for text in get(name)}
        except Exception as error:  # noqa: BLE001 - as above
            refused.append(f"{name!r} refused: {type(error).__name__}")
            continue
        problems += [f"{name} gets {other}'s" for other in sorted(found - {name})]
        problems += [] if name in found else [f"{name} misses its own"]
    said = [*dict.fromkeys(refused), *problems]
    return Verdict(not said, "; ".join(said) or f"{len(names)} names kept apart")


def expiry_set(bench: Bench) -> Verdict:
    """A TTL was asked for, wherever the library takes one: every key has it."""
    library = bench.open()
    # Keys that were there before the first message or fact hold no data of a user.
    before = {*bench.server.scan_iter(count=1000)}
    for act in (
        lambda: library.append("expiring", exchange(0)),
        lambda: library.append("expiring", exchange(1)),
        lambda: library.remember("ann", fact(0)),
        lambda: library.load("ann", [fact(1), fact(2)]),
    ):
        with suppress(NotOfferedError):
            act()
    keys = [key for key in bench.server.scan_iter(count=1000) if key not in before]
    without = [key for key in keys if bench.server.ttl(key) < 0]
    words = f"{len(keys) - len(without)} of {len(keys)} keys"
    words += "" if library.takes_ttl else "; takes no TTL"
    return Verdict(bool(keys) and not without, words)


def changed_facts_kept(bench: Bench) -> Verdict:
    """What was said first, and what was said later and means something else, are both found."""
    library, texts = bench.open(), [text for pair in CHANGED for text in pair]
    for text in texts:
        library.remember("ann", text)
    found = {text for asked in texts for text in library.recall("ann", asked, 10)}
    return Verdict({*texts} <= found, f"{len({*texts} & found)} of {len(texts)} found")


def _at_once(work: Callable[[int], object]) -> None:
    """Do something in as many threads, which begin together.

    Raises:
        Exception: What one of them raised.
    """
    barrier, raised = threading.Barrier(AT_ONCE), list[Exception]()

    def run(number: int) -> None:
        try:
            barrier.wait(30)
            work(number)
        except Exception as error:  # noqa: BLE001 - raised below, in the thread that asked for it
            raised.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


CHECKS: dict[str, tuple[str, Callable[[Bench], Verdict]]] = {
    "equal": ("messages come back equal", equal_messages),
    "lost": ("no message lost, 6 writers", no_message_lost),
    "doubled": ("no fact doubled, 6 learners", no_fact_doubled),
    "sessions": ("exact sessions (case, comma, prefix)", exact_sessions),
    "users": ("exact users (case, comma, prefix)", exact_users),
    "expiry": ("a TTL that is asked for is on every key", expiry_set),
    "resp3": ("works with RESP3", speaks_resp3),
    "client": ("the caller's client is unchanged", client_unchanged),
    "changed": ("changed facts are kept", changed_facts_kept),
}
