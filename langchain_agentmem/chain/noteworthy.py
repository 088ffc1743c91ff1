"""What of a conversation is worth a memory: what states something, not what only asks, greets or thanks.

In doubt a text is kept: a memory too many is found less often, a fact that was dropped is gone.
"""

from __future__ import annotations

import re
from itertools import pairwise


def noteworthy(text: str) -> str | None:
    """Return `"episodic"` for a text that states something, `None` for one that only asks, greets or thanks.

    Works by punctuation in any language; English questions are known without a question mark, too. A
    question that states something on the way is kept: "Did I tell you that I moved to Porto?".

    Args:
        text: What the user said.
    """
    return "episodic" if any(_states(*sentence) for sentence in _sentences(text)) else None


def _sentences(text: str) -> list[tuple[str, str]]:
    """Return each sentence with the mark that ends it."""
    parts = _END.split(text.replace("’", "'").strip())
    found = [*pairwise([*parts, ""])][::2]
    return [(sentence.strip(" ¿¡\"'()*-–—\n\t"), mark) for sentence, mark in found if _WORD.search(sentence)]


def _states(sentence: str, mark: str) -> bool:
    if all(word in _SMALL_TALK for word in _WORD.findall(sentence.casefold())):
        return False
    if "?" not in mark and "？" not in mark and "؟" not in mark:
        return not (_asks_unmarked(sentence) and "." not in mark)
    if _TELLS.search(sentence):
        return True
    clauses = [clause for clause in _CLAUSE.split(sentence) if clause.strip()]
    return any(_FIRST_PERSON.search(clause) and not _NO_STATEMENT.match(clause) for clause in clauses)


def _asks_unmarked(sentence: str) -> bool:
    return bool(_QUESTION.match(sentence)) and len(_COPULA.findall(sentence)) < 2


_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_END = re.compile(r"([.!?…。！？؟]+(?=\s|$|[^\x00-\u024f])|\n+)")
_CLAUSE = re.compile(r"[,;:，、–—]|\s-\s|\b(?:so|because|since|given that|but|as)\b", re.IGNORECASE)
_AUXILIARY = "is|are|was|were|am|do|does|did|can|could|will|would|shall|should|may|must|have|has|had"
_ASKED = "what|where|when|who|whom|whose|which|how|why"
_ASKED_ELSEWHERE = (
    "wo|wohin|was|wer|wen|wem|wann|wie|warum|welche[rsnm]?|où|que|qui|quand|comment|pourquoi|est-ce"
)
_SUBJECT = "i|you|we|he|she|it|they|there|my|your|our|his|her|their|the|this|that|these|those|anyone|any"
_QUESTION = re.compile(
    rf"(?:(?:and|but|so|or|ok|okay|hey|well|then|also|please),? )*"
    rf"(?:(?:{_ASKED})(?:'s|'re| (?:(?!(?:{_SUBJECT})\b)\w+ ){{0,3}}?(?:{_AUXILIARY}))\b"
    rf"|(?:{_AUXILIARY}(?<!ha[dsv])(?<!have))(?:n't)? (?:{_SUBJECT})\b"
    rf"|(?:have|has|had)(?:n't)? (?:i|you|we|he|she|it|they)\b"
    rf"|(?:please )?(?:tell|show|remind) me (?:again )?(?:{_ASKED}|if|whether)\b)",
    re.IGNORECASE,
)
_NO_STATEMENT = re.compile(
    rf"\s*(?:(?:and|but|so|or|ok|okay|hey|well|then|also|please|in|on|at|for|from|to|about|with|of|by),? )*"
    rf"(?:{_ASKED}|{_ASKED_ELSEWHERE}|{_AUXILIARY}|if|whether|any|tell"
    r"|isn't|aren't|don't|didn't|won't|can't|\w+ ich)\b",
    re.IGNORECASE,
)
_COPULA = re.compile(r"\b(?:is|are|was|were)\b", re.IGNORECASE)
_FIRST_PERSON = re.compile(
    r"\b(?:i|i'm|i've|i'll|i'd|my|we|we're|we've|our|me|ich|je|j'\w+|yo)\b", re.IGNORECASE
)
_TELLS = re.compile(
    r"\b(?:that|(?:tell|told|mention(?:ed)?) (?:you|to you)|(?:know|heard?|remember|believe|notice)) "
    r"(?:that )?"
    r"(?:i|i'm|i've|we|we're|we've|my (?:\w+ ){1,3}?(?:is|are|was|were|has|have|had|\w+ed|\w+s))\b",
    re.IGNORECASE,
)
_SMALL_TALK = frozenset(
    """hi hello hey heya hiya yo there good morning afternoon evening night day everyone all
    again greetings welcome thanks thank thx ty you so very much a lot many cheers
    appreciated please ok okay k sure yes yeah yep no nope right alright fine great cool
    nice perfect awesome wonderful excellent bye goodbye see later soon take care have one
    that's that thats is it it's for now just and then well got understood sounds exactly
    indeed lol haha hehe wow oh ah hmm um sorry hola buenos buenas días dias tardes noches
    gracias muchas adiós adios vale sí si por favor de nada hasta luego hallo guten morgen
    tag abend danke dir schön vielen dank tschüss bitte ja nein auf wiedersehen gut bonjour
    bonsoir salut merci beaucoup bien oui non au revoir d'accord s'il vous plaît te ciao
    buongiorno grazie mille sì va bene prego olá obrigado obrigada bom dia tchau até logo 你好
    您好 谢谢 好的 再见 はい いいえ ありがとう ありがとうございます こんにちは こんばんは おはよう 안녕하세요 감사합니다 네""".split()
)
