"""An emulation of Upstash Redis (its REST API and SEARCH.* commands) in front of a real Redis, for tests.

What it is: real HTTP on 127.0.0.1, a real Redis behind it, and the engine Upstash's own search is built on
(tantivy), put together from Upstash's public documentation and what its official clients send and read.

What it is not: Upstash's server. Boosts, and therefore absolute scores, differ from the real ones; the order of
good and bad matches is what tests may rely on. Wordings of errors are those of the documentation where it has
them, and made up in its manner elsewhere.

How it behaves:
    * One request at a time is executed, so `/multi-exec` and scripts are atomic towards everything that comes
      through the emulator. A batch with SEARCH.* commands, or scripts that use them, cannot be one MULTI on the
      Redis: it is run command by command, and an unknown command in it does not discard the batch.
    * Indexing is asynchronous. A write is seen by queries `indexing_delay_seconds` after the request that made
      it; a write by someone else on the same Redis counts from the next request. FLUSHALL is not noticed key by
      key, but a query never returns a key that is gone. The content of a hit is the key's present content.
    * Scripts whose source contains `SEARCH.` (or `FT.`, to refuse it) are run by an own Lua 5.1, all others by
      the Redis. There are KEYS, ARGV, redis.call, redis.pcall, redis.error_reply, redis.status_reply,
      redis.sha1hex and cjson.encode/decode/null; nothing else of Redis' Lua. What a failing script has written stays.

Refused: blocking commands, subscriptions, transactions by command, connection state (SELECT, HELLO, …), FT.*.

Left out: indexes on hashes, strings and streams; FACET; SEARCH.AGGREGATE, aliases, HIGHLIGHT; `$fuzzy`, `$regex`,
`$prefix` and whatever else `filters.py` does not name; commands in the URL's path; limits of size and rate;
several regions.
"""

from __future__ import annotations

from integration_tests.upstash.emulator.server import Emulator, Request

__all__ = ["Emulator", "Request"]
