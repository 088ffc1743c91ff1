"""What is said to what no memory answers: greetings, "ok", questions about the memory itself."""

from __future__ import annotations

import re
from collections.abc import Sequence

from langchain_agentmem import MemoryRecord

NO_MODEL = "I only tell what you told me. A model answers more: start me with --model."
CANNOT_DELETE = (
    "Nothing was deleted: I can't delete by being told so yet. On the page, ✕ under All deletes a memory; in "
    "the chat, /memories lists the ids, /delete ID deletes one, and /forget everything."
)
_TRY = "Tell me something, such as “I live in Lisbon.”, and ask me about it, now or another day."


def greeting(text: str) -> str:
    """Return a greeting for a greeting, by the time of day that it names."""
    found = _TIME_OF_DAY.search(text)
    return f"Good {found[1].lower()}!" if found else "Hello!"


def is_to_be_forgotten(request: str) -> bool:
    """Return whether a text that requests something wants something to be forgotten."""
    return bool(_FORGETTING.search(request.replace("’", "'")))


def sympathy(text: str) -> str:
    """Return a word for news that is plainly sad, or plainly glad; nothing for other news, or for both."""
    plain = text.replace("’", "'")
    if _DENIES.search(plain):
        return ""
    sad, glad = _SAD.search(plain), _GLAD.search(plain)
    if bool(sad) == bool(glad):
        return ""
    return "I'm sorry to hear that." if sad else "Glad to hear it!"


def about_itself(text: str, *, has_told: bool) -> str:
    """Return what the memory says of itself; nothing if it is not asked, or what was told says more.

    Args:
        text: What was said.
        has_told: Whether it recalled something.
    """
    plain = text.replace("’", "'")
    return next(
        (
            said
            for pattern, said, says_more in _ITSELF
            if pattern.search(plain) and not (has_told and not says_more)
        ),
        "",
    )


def names_first(text: str, told: list[MemoryRecord]) -> list[MemoryRecord]:
    """Return what was told; for the question for one's own name, only what gives one, if anything does."""
    if not _NAME_ASKED.search(text.replace("’", "'")):
        return told
    return [record for record in told if _NAME_GIVEN.search(record.text.replace("’", "'"))] or told


def reply(text: str) -> str:
    """Return what is said to other small talk."""
    return next((said for pattern, said in _REPLIES if pattern.search(text)), "All right.")


def _rules(*rules: Sequence[str]) -> list[tuple[re.Pattern[str], str, bool]]:
    return [(re.compile(pattern, re.IGNORECASE), said, len(more) > 0) for pattern, said, *more in rules]


_ALWAYS = "also if something was recalled"
_ITSELF = _rules(
    (
        r"\bhow(?:'s| is) (?:it|everything|life) going\b|\bhow (?:are (?:you|things)"
        r"|have you been|do you do)\b"
        r"|\bwhat's up\b|\bwie geht(?:'s| es (?:dir|ihnen))\b|\bqué tal\b|\bça va\b|\bcome (?:stai|va)\b",
        "I'm fine, thank you.",
        _ALWAYS,
    ),
    (
        r"\b(?:who|what) (?:exactly )?are you\b|\bwhat(?:'s| is) your name\b|\bwhat are you called\b"
        r"|\bare you (?:an? )?(?:\w+ )?(?:bot|chatbot|human|robot|ai|real|person|machine|computer|model)\b",
        "I'm a memory: I keep what you tell me, and tell it when you ask.",
        _ALWAYS,
    ),
    (
        r"\bwhat (?:can|do) you do\b|\bhow (?:do|does|can) (?:i use )?(?:you|this|it)(?: work)?\W*$"
        r"|\bwhat (?:should|can|do) i (?:say|ask|do|type)(?: here| now| you)?\W*$|\bwhat is this\W*$"
        r"|^\W*(?:please )?help(?: me)?\W*$|\bcan you help(?: me)?\W*$",
        _TRY,
        _ALWAYS,
    ),
    (
        r"\bwhat (?:else )?(?:do|can) you (?:know|remember|recall|tell me) (?:about"
        r"|of) me\b|\bwhat have i told you\b"
        r"|\btell me (?:everything|anything|all|what) (?:that )?you (?:know|remember)\b"
        r"|\bwhat do you (?:know|remember)\W*$"
        r"|\bdo you (?:know|remember) (?:anything|something) (?:about|of) me\b",
        "Ask me about one thing, such as where you live; the list of memories shows all that I keep.",
    ),
    (
        r"\bdo you (?:still )?(?:remember|know|recogni[sz]e) me\b|^\W*remember me\W*$",
        "I remember what you tell me: ask me about it.",
    ),
    (r"\b(?:are|r) (?:you|u) (?:still )?there\b|\bcan you (?:hear|see|read) me\b", "Yes, I'm here.", _ALWAYS),
    (
        r"^\W*(?:(?:and|so|but|hey|hi),? )*(?:do you (?:like|love|want|think|feel|believe"
        r"|have|speak|sleep|eat|drink"
        r"|understand)|are you|have you|can you (?!tell|remember|remind|recall))\b",
        "I'm only a memory: ask me about what you told me.",
    ),
)
_REPLIES = [
    (re.compile(pattern, re.IGNORECASE), said)
    for pattern, said in (
        (r"\b(?:lol|ha(?:ha)+|hehe|rofl)\b|[😀-😆🤣]", "Glad to amuse you."),
        (r"\bsorry\b", "No problem."),
        (
            r"\b(?:great|nice|cool|perfect|awesome|wonderful|excellent|brilliant|amazing|lovely)\b",
            "Glad to hear it.",
        ),
        (r"^[^\w👍👋]*$", _TRY),
    )
]
_FORGETTING = re.compile(
    r"(?:^|[.!?…,])\W*(?:(?:please|can|could|would|will|should|may|must|you|just|kindly|now|hey|hi|hello|ok|okay"
    r"|and|so|but|well|then|also|i|i'd|like|want|need|to),? )*(?:forget|delete|erase|remove|wipe|clear)\b",
    re.IGNORECASE,
)
_SAD = re.compile(
    r"\b(?:my|our)\b(?!.*(?:phone|battery|laptop|computer|car)\b).* (?:died|passed away)\b"
    r"|\b(?:i'm|im|i am|i was|i feel|feeling) (?:so |very |really |a bit |quite )?(?:sad|sick(?! of))\b"
    r"|\b(?:my|our) (?:[\w'-]+ ){1,3}(?:is|are|was|got|fell) (?:very |really )?sick(?! of)\b"
    r"|\bi (?:just |have |recently )*lost my job\b|\b(?:i|we|me) (?:[\w']+ ){0,4}broke up\b",
    re.IGNORECASE,
)
_GLAD = re.compile(
    r"\b(?:i|i've|we|we've|my|our)\b.* (?:(?:got|been) (?:married|promoted)|was promoted|had a baby"
    r"|passed (?:my|the|his|her|their) (?:\w+ ){0,2}exams?)\b",
    re.IGNORECASE,
)
_DENIES = re.compile(
    r"\b(?:not|never|no|nobody|none|nearly|almost|if|when|whether|hope|hoping|wish|afraid|worried|until"
    r"|before)\b|n't\b",
    re.IGNORECASE,
)
_TIME_OF_DAY = re.compile(r"\bgood (morning|afternoon|evening|day)\b", re.IGNORECASE)
_NAME_ASKED = re.compile(r"\bmy (?:own )?(?:first )?name\b|\bwho am i\b|\bwhat am i called\b", re.IGNORECASE)
_NAME_GIVEN = re.compile(
    r"(?i:\b(?:my name(?:'s| is)|i'm|i am|im|call(?:s|ed)? me|i'm called"
    r"|i am called)) [A-ZÀ-Ž]\w+|(?i:\bmy name is\b)"
)
