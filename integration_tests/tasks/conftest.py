"""Queues of tasks on the test's server, and what holds of them at any time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.operations import Op
from langchain_agentmem.tasks.queue import TaskQueue
from langchain_agentmem.tasks.task import Place, Task
from langchain_agentmem.transport.connections import SharedConnection

Run = Callable[[Op[Any]], Any]
PLACE = Place("extract", "t", "alice", "default")
FOLD = Place("fold", "t", "alice", "default")


@pytest.fixture
def queue() -> TaskQueue:
    return TaskQueue(Keys())


@pytest.fixture
def run(transport: SharedConnection) -> Run:
    return transport.run


def task(name: str, *messages: bytes) -> Task:
    return Task(name, 1.5, messages or (b'{"content":"' + name.encode() + b'"}',), (("user", "Hello."),))


_LOOK = """
local entries, queues, signals = {}, {}, {}
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*queue:*')) do
  if string.sub(key, -7) == ':signal' then signals[#signals + 1] = {key, redis.call('GET', key)}
  else queues[#queues + 1] = key end
end
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*stream')) do
  for _, entry in ipairs(redis.call('XRANGE', key, '-', '+')) do entries[#entries + 1] = {key, entry[1], entry[2]} end
end
return {entries, queues, signals}
"""


def check_signals(bare: redis.Redis, prefix: str = "agent:tasks:") -> None:
    """Fail unless every queue that is not empty has exactly one signal, and no other queue has any."""
    found, queues, held = bare.eval(_LOOK, 0, prefix)  # at one moment
    signals = {name.removesuffix(b":signal"): entry for name, entry in held}
    led_to = []
    for stream, entry, fields in found:
        named = dict(zip(fields[::2], fields[1::2], strict=True))
        place = [named[name].decode() for name in (b"what", b"thread", b"user", b"namespace")]
        beside = Keys(tasks_prefix=stream.removesuffix(b"stream").decode())
        led_to.append((beside.tasks_queue(*place).encode(), entry))
    assert sorted(led_to) == sorted(signals.items())
    assert sorted(signals) == sorted(queues)


def dumps(bare: redis.Redis) -> dict[bytes, bytes | None]:
    """Everything that is stored, to see whether something was written."""
    return {key: bare.dump(key) for key in bare.scan_iter()}
