"""What a question asks for: its words, the names among them, whose it is."""

from __future__ import annotations

import re

from langchain_agentmem.longterm.words import STOP_WORDS, WORD, content_words, stem


class Question:
    """Holds a question, prepared once per recall.

    Args:
        text: The question, or any text to find memories for.
        language: Of stemming and stop words.

    Attributes:
        words: The words that carry meaning, at most 12: from stem to word.
        names: The stems among them that are names, as their capital letter says.
        spoken: All words of the text.
        asks: Whether it is a question, or a request such as "Suggest a dinner for my diet".
        is_own: Whether it is a question about oneself.
        is_about_everything: Whether it asks for whatever is known about oneself.
        is_small_talk: Whether it says nothing, such as "Thanks, that's all!".
    """

    MAX_WORDS = 12

    def __init__(self, text: str, language: str = "english") -> None:
        self.language = language
        text = as_asked(text)
        words = content_words(_plain(text) if language == "english" else text, language)
        self.words = dict([*words.items()][: self.MAX_WORDS])
        # Without a list of stop words, `where` would be all that is left of "Where is Lisbon?".
        named = _names(text) if language in STOP_WORDS else ()
        self.names = {stem(word, language) for word in named} & self.words.keys()
        self.spoken = frozenset(WORD.findall(text.lower())) - {"i"}
        self.asks = text.rstrip().endswith(("?", "？")) or bool(_ASKING.match(text) or _REQUEST.match(text))
        self.is_own = self.asks and bool(_OWN.search(text))
        self.is_about_everything = bool(_ABOUT_EVERYTHING.fullmatch(text.strip()))
        self.is_small_talk = not self.asks and not self.words

    @property
    def required(self) -> list[str]:
        """Return the words of which a memory must have one to be found by words; names do not suffice."""
        return [word for key, word in self.words.items() if key not in self.names] or [*self.words.values()]


def as_asked(text: str) -> str:
    """Return what a key phrase asks: `user's job`, as agents search for it, is `my job?`.

    Texts of any other form are returned as they are.
    """
    phrase = _USERS.sub("my ", text.strip(), count=1)
    return f"{phrase}?" if _OWN_PHRASE.fullmatch(phrase) else text


_USERS = re.compile(r"^(?:the )?user(?:'s|’s|s') (?=\w)", re.IGNORECASE)
_VERB = r"(?:is|are|was|were|has|have|had|am|be|will|can)\b"
_OWN_PHRASE = re.compile(rf"(?:my|our)(?: (?!{_VERB})[^\W\d_][\w'’-]*){{1,3}}", re.IGNORECASE)
_OF_ME = "(?: about (?:me|myself|us))?(?: so far| already)?"
_ABOUT_EVERYTHING = re.compile(
    r"(?:please |so |ok |and |can you |could you )*(?:"
    rf"what (?:else )?(?:do|can|did) you (?:know|remember|recall|have)(?: of me)?{_OF_ME}"
    rf"|what (?:have|did) i (?:tell|told|say|said)(?: to)?(?: you)?{_OF_ME}"
    r"|(?:tell|show|give|list|remind)(?: me)? (?:everything|all|what)(?: that)? "
    rf"(?:you (?:know|remember)|i(?:'ve| have)? (?:told|said to) you){_OF_ME}"
    r"|tell me about (?:me|myself)|(?:everything|all)(?: you know)? about (?:me|myself)"
    rf"|summari[sz]e (?:everything|all|what) you know{_OF_ME}"
    r")[\s.!?]*",
    re.IGNORECASE,
)
_ASKING = re.compile(
    r"\s*(?:(?:and|but|so|in|on|at|for|from|to|about|until|since|by|with|of|around) )?"
    r"(?:what|who|whom|whose|which|where|when|why|how|do|does|did|is|are|was|were|am|can|could|will|would|should"
    r"|have|has|had|any|wer|was|wo|wann|wie|warum|welche\w*|qué|quién|dónde|cuándo|cómo|cuál\w*)\b",
    re.IGNORECASE,
)
_REQUEST = re.compile(
    r"(?:please |can you |could you )*(?:tell|remind|show|give|list|suggest|recommend|find|plan|help|book"
    r"|order)\b.*\b(?:i|my|our|mine)\b",
    re.IGNORECASE,
)
_OWN = re.compile(
    r"\b(?:i|me|my|mine|we|our|ours|ich|mir|mich|mein\w*|wir|uns\w*|yo|mi|mis|mí|nosotros|nuestr\w+"
    r"|je|moi|mon|notre|io|mio|mia|miei|eu|meus?|minhas?|ik|mijn)\b",
    re.IGNORECASE,
)
_PHRASES = [
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in [
        (r"\bwho am i\b", "my name"),
        (r"\bfor a living\b", "as a job"),
        (r"\b(?:kind|type)s? of\b", ""),
    ]
]
_CAPITALISED = re.compile(r"[^\W\d_][\w'’-]*")


def _plain(text: str) -> str:
    for pattern, replacement in _PHRASES:
        text = pattern.sub(replacement, text)
    return text


def _names(text: str) -> set[str]:
    """Return the lower-case words with a capital that does not begin a sentence; ABBREVIATIONS are none."""
    found: set[str] = set()
    for match in _CAPITALISED.finditer(text):
        word, at = match[0], match.start()
        if not word[0].isupper() or word.isupper() or "'" in word[:2]:
            continue
        while at and text[at - 1] in " \"'“‘(":
            at -= 1
        if at and text[at - 1] not in ".!?:":
            found.update(part for part in WORD.findall(word.lower()) if len(part) > 1)
    return found
