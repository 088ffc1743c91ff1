r"""Whether two memories state the same fact, by their words alone: `canonical(a) == canonical(b)`.

No model and no threshold: a rule below either explains a difference away, or the difference stays. What is
not understood is therefore kept apart, never merged. Paraphrases, plurals and typing errors become memories
of their own, and so do most restatements in other languages than English, whose words are compared as they
are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator


def canonical(text: str) -> str:
    """Return a text without what carries no fact; texts that say the same have the same form.

    Args:
        text: Any text. One about a secret (a password, a token), and one that is too long to be a single
            fact, is compared letter by letter.

    Returns:
        Lower-case words with a blank between; the text itself if nothing would be left of it.
    """
    if len(text) > _LONGEST or _SECRET.search(text):
        return text.strip()
    plain = " ".join(unicodedata.normalize("NFC", text.translate(_TYPOGRAPHY)).split())
    return " ".join(_ordered(list(_words(_rewritten(plain))))) or plain


def _rewritten(text: str) -> str:
    text = text.casefold() if text.isupper() and len(text.split()) > 2 else text
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text).strip()
    text = _NUMBER.sub(lambda found: _NUMBERS[found[0].lower()], text)
    return (
        _USER_VERB.sub(lambda found: f"{found[1]} {_first_person(found[2])}", text) if _USER in text else text
    )


def _first_person(verb: str) -> str:
    """Return a verb as it follows "I": `has` -> `have`, `tries` -> `try`, `watches` -> `watch`."""
    verb = "have" if verb == "has" else re.sub(r"(?<=\w\w)ies$", "y", verb)
    return re.sub(r"(?<!s)s$", "", re.sub(r"(?<=ss|ch|sh|.x|.o)es$", "", verb))


def _words(text: str) -> Iterator[str]:
    """Yield the words that carry something, each under the one name it has here."""
    for found in _TOKEN.finditer(text):
        word, lower = found[0], found[0].casefold()
        before = text[: found.start()].rstrip("\"'( ")
        if (
            _ACRONYM.fullmatch(word) and lower not in _SHOUTED
        ):  # `US` and `iOS` are other words than `us`, `ios`
            yield word
        elif word[0].isupper() and word != "I" and before and before[-1] not in ".!?:":
            yield lower if word[1:] else word  # a name: `Seymour` is no British `Seymor`; `A` is a grade
        elif lower not in _EMPTY:
            lower = _SPELLING.sub(lambda part: _AMERICAN[part[0]], lower)
            yield _SAME.get(lower, lower)


def _ordered(words: list[str]) -> list[str]:
    """Return the words in the one order that stands for all orders that say the same.

    "Rex is my dog" is "My dog is Rex" where one side is definite and neither is one of many; and what may
    stand in front, "In June …", may stand behind as well if a single clause leaves no doubt where it belongs.
    """
    plain = [word for word in words if word != "the"]
    if _DIVIDES.intersection(words):
        return plain
    starts = [at for at, word in enumerate(plain) if word in _FRONTED]
    if words.count("is") == 1 and not starts:
        at = words.index("is")
        sides = sorted([words[:at], words[at + 1 :]])
        heads = {side[0] for side in sides if side}
        if len(heads) == 2 and heads & _DEFINITE and not heads & _INDEFINITE:
            return [word for word in (*sides[0], "is", *sides[1]) if word != "the"]
    clauses = sum(word in _SUBJECTS for word in plain) or plain.count("is")
    if clauses != 1 and len(starts) > 1:
        return plain
    return min((plain[at:] + plain[:at] for at in starts), default=plain)


# The words and rules, as data.

_LONGEST = 500  # characters; some rules take time in the square of it, here 20 ms at most
_SECRET = re.compile(
    r"\b(pass(word|phrase|code)|pin|secret|token|user ?name|handle|login|variable|command"
    r"|(api|access|ssh|licen[cs]e) key)s?\b"
    r"|[`{}<>\\=|]",
    re.IGNORECASE,
)
_TYPOGRAPHY = str.maketrans("’‘ʼ“”„−‑零〇一二两三四五六七八九", "'''\"\"\"--001223456789")
_TOKEN = re.compile(
    r"(?<!\S)[-+.]+\w+(?:[.,:@/'+-]\w+)*"  # -5, .env, --verbose
    r"|\w+(?:[.,:@/'+-]\w+)*(?:[+-]+(?!\w)|\#)?"  # words, versions, times, addresses, C++, A-
    r"|[^\w\s.,;:!\"'()…–—«»¿¡。、，！-]"  # ? % & emoji
    r"|(?<!\d)[.!](?=\s)|(?<=\b[Nn]o)[,;:]"  # ends a sentence before another; "No, sugar" is not "No sugar"
)
_ACRONYM = re.compile(r"\w*[A-Z]\w*[A-Z]\w*|[a-z]\w*[A-Z]\w*")
_USER = "theuser"
_USER_VERB = re.compile(
    rf"\b({_USER}|also|always|never|often|longer|(?:and|but)(?= \w+ \w)) (?!(?:is|was|always|this)\b)(\w+s)\b"
)
_EMPTY = set("please currently actually".split())
_SHOUTED = set("not no never always only must all any and or a i".split())
_DIVIDES = set(", . ! ? ; and or but".split())
_FRONTED = set("in on at if when after before during since until from every".split())
_SUBJECTS = set("self we you he she it they".split())
_DEFINITE = set("the self's his her our your their its".split())
_INDEFINITE = set(
    "an any every each all some no not only just if when there it that this what who where how why".split()
)
_SYNONYMS = f"""
    self {_USER} i me myself | self's my mine | an a | children kids | child kid | mother mom mum
    father dad | tv television | photo picture | photos pictures | buy purchase | bought purchased
    start begin | started began | often frequently | usually normally | live reside | large big | repair fix
    finished completed | help assistance | film movie | films movies | flat apartment | manager boss
"""
_SAME = {
    word: same
    for line in _SYNONYMS.splitlines()
    for same, *words in map(str.split, filter(str.strip, line.split("|")))
    for word in words
}
_SPELLINGS = """
    our or : arm behavi col fav flav glam harb hon hum lab neighb od rum splend vap vig
    re er  : cent fib lit met theat kilomet centimet millimet calib
    is iz  : apolog author categor custom emphas final memor organ optim priorit real recogn special summar
    ys yz  : anal paral
    ll l   : trave cance labe mode signa
    grey gray : -
"""
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split()
_NUMBERS = {one: f"{n}" for n, one in enumerate(_ONES)} | {
    nth: f"{n}th" for n, nth in enumerate(_ORDINALS, 1)
}
for _t, _ten in enumerate(_TENS, 2):
    _NUMBERS |= {_ten: f"{_t}0"} | {f"{_ten}-{one}": f"{_t}{n}" for n, one in enumerate(_ONES[1:10], 1)}
_NUMBER = re.compile(rf"\b(?:{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})\b", re.IGNORECASE)
_MONTHS = "january february march april may june july august september october november december".split()
_MONTH = rf"(?=(?:{'|'.join([*_MONTHS, *(month[:3] for month in _MONTHS), 'sept'])})\b)(\w\w\w)\w*\.?"
_PARTICIPLE = "(?:got|had|left|lost|come|become|made|met|put|read|said|sold|told|won|bought|begun|moved)\\b"
_OPENER = (
    "(?:oh|well|so|hey|hi|hello|ok|okay|yes|also|again|anyway|right|now|look|thanks|honestly|actually)(?=[,!])"
    "|(?:oh,? )?and|by the way|btw|fyi|in fact|of course|for the record|as mentioned|to be (?:honest|clear)"
    "|(?:as|like) i(?: have)?(?: already)? (?:said|told you|mentioned)(?: before| earlier| already)?"
    "|(?:please )?(?:note|remember|keep in mind) that"
    "|übrigens|wie gesagt|por cierto|au fait|d'ailleurs|moi|顺便说一下"
)
_CLOSER = "you know|as you know|as i said|by the way|btw|of course|thanks|thank you"
_RULES = rf"""
# contractions
    \bcan(?:no|')?t\b                              -> can not
    \bwon't\b                                      -> will not
    \b(do|does|did|is|are|was|were|has|have|had|could|would|should|must|need)n'?t\b -> \1 not
    \bi(?:'m| am)\b                                -> I is
    (\w)'re\b                                      -> \1 are
    (\w)'ve\b                                      -> \1 have
    (\w)'ll\b                                      -> \1 will
    (\w)'d\b                                       -> \1 would
    \b(he|she|it|that|there)'s(?= (?!\w+(?:ed|en|wn|ne)\b|{_PARTICIPLE})) -> \1 is
# fillers and requests
    ^(?:(?:{_OPENER})[\s,!:，]+)+                   ->
    ,? (?:{_CLOSER})(?=[.!?]*$)                    ->
    , so\b                                         ->
    ^(?:could|can|would|will) you (?=.*\bplease\b)(.*)\?$ -> \1
# emphasis
    (?<!\w)(\*+|_+)(\w.*?\w)\1(?!\w)               -> \2
# numbers, dates, times
    (?<=\d),(?=\d\d\d\b)                           ->
    \b(\d+)k\b                                     -> \g<1>000
    (?<!\w)\$ ?(\d+(?:\.\d+)?)                      -> \1 dollars
    (?<!\w)€ ?(\d+(?:\.\d+)?)                      -> \1 euros
    (\d)(?:st|nd|rd)\b                             -> \1th
    \b(\d+)(?:th)?(?: of)? {_MONTH}                -> \2 \1
    \b{_MONTH} (?:the )?(\d+)(?:th)?\b             -> \1 \2
    \b(at|by|from|until|before|after|to) (\d\d?):00\b -> \1 \2
    \so'clock\b                                    ->
    \bnoon\b                                       -> 12pm
    (\d) ?([ap])\.?m\b\.?                          -> \1\2m
# one way to say it, one name for the user
    (?:\bdo |\bdoes )?\bnot ([^,.;]*?) any ?(?:more|longer)(?=[.,;!]|$) -> no longer \1
    \b(?:have|has|needs?) to\b                     -> must
    \bwould like\b                                 -> want
    \b(is|are) called\b                            -> \1 named
    \bevery day\b                                  -> daily
    (?:^|\bthe )user's\b                           -> my
    ^user\b:?|\bthe user\b                         -> {_USER}
    ^用户                                            -> 我
    ^yo\b                                          ->
    です(?=。?$)                                      ->
"""
_REWRITES = [
    (re.compile(pattern, re.IGNORECASE), replacement)
    for line in _RULES.splitlines()
    if "->" in line
    for pattern, replacement in [map(str.strip, line.split("->"))]
]
_AMERICAN = {
    stem + british: stem + american
    for line in _SPELLINGS.splitlines()
    if ":" in line
    for endings, stems in [line.split(":")]
    for british, american in [endings.split()]
    for stem in stems.replace("-", "").split() or [""]
}
_SPELLING = re.compile(
    rf"^(?:{'|'.join(_AMERICAN)})(?=(?:s|d|ed|r|rs|er|ers|e|es|ing|ings|able|al|ite|ful|ation|ations|hood)?$)"
)
