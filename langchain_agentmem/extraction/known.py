"""What is remembered already of what an exchange is about: an extractor is shown it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any

from langchain_agentmem.core.embed import Embed
from langchain_agentmem.core.operations import Op, gather, late, ok
from langchain_agentmem.longterm.pinned import pinned_op
from langchain_agentmem.longterm.types import MemoryRecord

if TYPE_CHECKING:
    from langchain_agentmem.longterm.long_term_memory import BaseLongTermMemory

KNOWN = 10
"""How many memories are looked for by each text."""

MAX_TEXTS = 8
"""By how many texts of an exchange memories are looked for: its last ones."""

PROFILE = "profile"
"""The kind of what every answer should take into account; always shown, and always given to a model."""


def known_op(
    long_term: BaseLongTermMemory,
    said: Sequence[str],
    *,
    user: str,
    namespace: str,
    vectors: Mapping[str, Any] | None = None,
) -> Op[list[MemoryRecord]]:
    """Return the memories that are nearest to what was said, however far, best first; then the profile.

    However far, because what a fact contradicts need not be an answer to it. One round trip; before it, the
    texts without a vector are embedded at once.

    Args:
        long_term: Where they are.
        said: What the user said, each message by itself; what is too long to be looked for is left out.
        user: Whose memories.
        namespace: In which namespace.
        vectors: The vectors of these texts, as far as there are any.
    """
    most = long_term.config.max_text_bytes
    fit = (text for text in said if text.strip() and len(text.encode(errors="replace")) <= most)
    texts, known = list(dict.fromkeys(fit))[-MAX_TEXTS:], dict(vectors or {})
    if long_term.embeddings is not None and (unknown := [text for text in texts if text not in known]):
        found = yield Embed(long_term.embeddings, unknown, "query")
        known |= zip(unknown, map(long_term.check_embedding, found), strict=True)
    last = texts[-1] if texts else ""

    def near(text: str) -> Op[list[MemoryRecord]]:
        return long_term.recall_op(
            text,
            user=user,
            namespace=namespace,
            k=KNOWN,
            distance_threshold=None,
            embedding=known.get(text),
        )

    profile = partial(
        pinned_op, long_term, (PROFILE,), user=user, namespace=namespace, text=last, embedding=known.get(last)
    )
    results = yield from gather([late(profile), *(late(partial(near, text)) for text in texts)])
    pinned, *recalled = (ok(one) for one in results)
    ranked = filter(None, chain.from_iterable(zip_longest(*recalled)))
    return list({record.id: record for record in [*ranked, *pinned]}.values())
