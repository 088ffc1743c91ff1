r"""Whether two memories state the same fact, by their words alone: `canonical_text(a) == canonical_text(b)`.

No model and no threshold: a rule below either explains a difference away, or the difference stays. What is
not understood is therefore kept apart, never merged. Paraphrases, plurals and typing errors become memories
of their own, and so do most restatements in other languages than English, whose words are compared as they
are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache


@lru_cache(maxsize=1024)  # what is recalled is compared with what is said, again and again
def canonical_text(text: str) -> str:
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
    text = text.lower() if text.isupper() and len(text.split()) > 2 else text
    if ":" in text:
        text = _AFTERNOON.sub(lambda time: f"{int(time[1]) - 12}:{time[2]} pm", text)
    folded = _folded(text)
    for needed, rules in _REWRITES:
        if not needed or not needed.isdisjoint(text):
            for pattern, replacement, needles in rules:
                if needles and not any(one in folded for one in needles):
                    continue
                rewritten = pattern.sub(replacement, text).strip()
                if rewritten != text:
                    text, folded = rewritten, _folded(rewritten)
    if not _NUMBER_WORDS.isdisjoint(_WORD.findall(folded)):
        text = _NUMBER.sub(lambda found: _NUMBERS[_folded(found[0])], text)
    return (
        _USER_VERB.sub(lambda found: f"{found[1]} {_first_person(found[2])}", text) if _USER in text else text
    )


def _folded(text: str) -> str:
    """Return a text with all letters that patterns without case take for the same made one."""
    return text.casefold().replace("ı", "i")


def _first_person(verb: str) -> str:
    """Return a verb as it follows "I": `has` -> `have`, `tries` -> `try`, `watches` -> `watch`."""
    verb = "have" if verb == "has" else re.sub(r"(?<=\w\w)ies$", "y", verb)
    return re.sub(r"(?<!s)s$", "", re.sub(r"(?<=ss|ch|sh|.x|.o)es$", "", verb))


def _words(text: str) -> Iterator[str]:
    """Yield the words that carry something, each under the one name it has here."""
    for found in _TOKEN.finditer(text):
        word, lower = found[0], found[0].lower()  # `Maße` are no `Masse`
        if word != lower:
            if _ACRONYM.fullmatch(word) and lower not in _SHOUTED:
                yield word  # `US` and `iOS` are other words than `us`, `ios`
                continue
            if word[0].isupper() and word != "I":
                before = text[: found.start()].rstrip("\"'( ")
                if before and before[-1] not in ".!?:":
                    yield lower if word[1:] else word  # a name: `Seymour` is no `Seymor`; `A` is a grade
                    continue
        if lower not in _EMPTY:
            yield _named(lower)


@lru_cache(maxsize=4096)
def _named(word: str) -> str:
    """Return the one name here of a lower-case word that has several names or spellings."""
    word = _SPELLING.sub(lambda part: _AMERICAN[part[0]], word)
    return _SAME.get(word, word)


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

_LONGEST = 500  # characters; some rules take time in the square of it, here 5 ms at most
_SECRET = re.compile(
    r"\b(pass(word|phrase|code)|pin|secret|token|user ?name|handle|login|variable|command"
    r"|(api|access|ssh|licen[cs]e) key)s?\b"
    r"|[`{}<>\\=|]",
    re.IGNORECASE,
)
_TYPOGRAPHY = str.maketrans("’‘ʼ“”„−‑零〇一二两三四五六七八九", "'''\"\"\"--001223456789")
_TOKEN = re.compile(
    r"(?<![^\s(\"'])[-+.]+\w+(?:[.,:@/'+-]\w+)*"  # -5, .env, --verbose
    r"|(?<=\d)['\"](?!\w)"  # feet are no inches
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
    grandmother grandma | grandfather grandpa | bike bicycle | phone telephone | sofa couch
    fridge refrigerator | perhaps maybe | until till | email e-mail | math maths | learned learnt
    dreamed dreamt | burned burnt
    jewelry jewellery | program programme | pajamas pyjamas | cozy cosy | aluminum aluminium
    airplane aeroplane | while whilst | among amongst | toward towards
"""
_SAME = {
    word: same
    for line in _SYNONYMS.splitlines()
    for same, *words in map(str.split, filter(str.strip, line.split("|")))
    for word in words
}
_AFTERNOON = re.compile(r"\b(1[3-9]|2[0-3]):(\d\d)\b")
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
_OTHER_ONES = """
    zwei drei vier fünf sechs sieben acht neun zehn
    deux trois quatre cinq - - huit neuf -
    dos tres cuatro cinco seis siete ocho nueve diez
"""
_NUMBERS = {one: f"{n}" for n, one in enumerate(_ONES)} | {
    nth: f"{n}th" for n, nth in enumerate(_ORDINALS, 1)
}
for _t, _ten in enumerate(_TENS, 2):
    _NUMBERS |= {_ten: f"{_t}0"} | {f"{_ten}-{one}": f"{_t}{n}" for n, one in enumerate(_ONES[1:10], 1)}
for _line in _OTHER_ONES.split("\n"):
    _NUMBERS |= {one: f"{n}" for n, one in enumerate(_line.split(), 2) if one != "-"}
_WORD = re.compile(r"\w+")
_NUMBER_WORDS = {word for number in _NUMBERS for word in _WORD.findall(number)}
_NUMBER = re.compile(rf"\b(?:{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})\b", re.IGNORECASE)
_MONTHS = "january february march april may june july august september october november december".split()
_MONTH = rf"(?=(?:{'|'.join([*_MONTHS, *(month[:3] for month in _MONTHS), 'sept'])})\b)(\w\w\w)\w*\.?"
_PARTICIPLE = "(?:got|had|left|lost|come|become|made|met|put|read|said|sold|told|won|bought|begun|moved)\\b"
_OPENER = (
    "(?:oh|well|so|hey|hi|hello|ok|okay|yes|yeah|yep|sure|alright|also|again|anyway|right|now|look|thanks"
    "|honestly|actually|basically|frankly)(?=[,!])|(?:quick |friendly )?(?:note|reminder)(?=:)"
    "|(?:oh,? )?and|by the way|btw|fyi|in fact|of course|for the record|as mentioned|to be (?:honest|clear)"
    "|(?:as|like) i(?: have)?(?: already)? (?:said|told you|mentioned)(?: before| earlier| already)?"
    "|i(?: have)? (?:already (?:said|told you|mentioned)|told you)(?: before| earlier| already)? that"
    "|(?:please )?(?:note|remember|keep in mind) that|just so you know|for your information"
    "|übrigens|wie gesagt|por cierto|au fait|d'ailleurs|moi|顺便说一下"
)
_CLOSER = "you know|just so you know|fyi|as you know|as i said|by the way|btw|of course|thanks|thank you"
_WHOSE = "(?:my|your|his|her|its|our|their|the)"
_CLAUSE = "he|she|it|that|there|here|what|who|where|how"
_UNIT = "kg|km|cm|mm|ml|lbs?|mph|kwh|[mgt]b"
_ANY_MONTH = " | ".join(month[:3] for month in _MONTHS)
_ANY_UNIT = "kg | km | cm | mm | ml | lb | mph | kwh | mb | gb | tb"
# Rules of a section are tried in their order, if the text has one of the characters in brackets. What follows
# `if` is there wherever the rule applies: to look for it takes a fraction of trying the pattern.
_RULES = rf"""
# contractions [']
    \bwon't\b                                      -> will not  if won't
    \bi'm\b                                        -> I is  if i'm
    (\w)'re\b                                      -> \1 are  if 're
    (\w)'ve\b                                      -> \1 have  if 've
    (\w)'ll\b                                      -> \1 will  if 'll
    (\w)'d\b                                       -> \1 would  if 'd
    \b({_CLAUSE})'s(?= (?!\w+(?:ed|en|wn|ne)\b|{_PARTICIPLE})) -> \1 is  if 's
# contractions, written with an apostrophe or without
    \bcan(?:no|')?t\b                              -> can not  if can
    \b(do|does|did|is|are|was|were|has|have|had|could|would|should|must|need)n'?t\b -> \1 not  if n't | nt
    \bi am\b                                       -> I is  if i am
    \bgonna\b                                      -> going to  if gonna
    \bwanna\b                                      -> want to  if wanna
    \b(ha(?:ve|s)) gotta\b                         -> \1 to  if gotta
    \b(ha(?:ve|s)) got(?= (?:to|an?|the|my|no|some|any|one|two|three|four|five|six|\d+)\b) -> \1  if got
# fillers and requests
    ^(?:(?:{_OPENER})[\s,!:，]+)+                   ->
    ,? (?:{_CLOSER})(?=[.!?]*$)                    ->  if know | fyi | said | way | btw | course | thank
    , so\b                                         ->  if , so
    ^(?=.*\bplease\b)(?:please,? )?(?:could|can|would|will) you (.*)\?$ -> \1  if please
    ^kindly\b                                      ->  if kindly
# emphasis [*_]
    (?<!\w)(\*+|_+)(\w.*?\w)\1(?!\w)               -> \2
# signs [-–]
    (?<=\w)(?: ?[-–](?=[.!)]*$)|–(?!\w))           -> -
    (?<![^\s(])[-–] ?(?=[$€£]?\d)                  -> -
# numbers, dates, times [0123456789]
    (?<!\S)(["'])(?=\S)([^"']*)\1(?!\w)            -> \2  if ' | "
    (\d'\d\d?)"(?!\w)                              -> \1  if "
    (?<=\d),(?=\d\d\d\b)                           ->  if ,
    \b(\d+)k\b                                     -> \g<1>000  if k
    (?<!\w)\$ ?(\d+(?:\.\d+)?)                      -> \1 dollars  if $
    (?<!\w)€ ?(\d+(?:\.\d+)?)                      -> \1 euros  if €
    (\d)(?:st|nd|rd)\b                             -> \1th  if st | nd | rd
    \b(\d+)(?:th)?(?: of)? {_MONTH}                -> \2 \1  if {_ANY_MONTH}
    \b{_MONTH} (?:the )?(\d+)(?:th)?\b             -> \1 \2  if {_ANY_MONTH}
    \b(at|by|from|until|before|after|to) (\d\d?):00\b -> \1 \2  if :00
    (\d) ?([ap])\.?m\b\.?                          -> \1\2m  if am | pm | a.m | p.m
    (\d):00(?=[ap]m\b)                             -> \1  if :00
    (\d)({_UNIT})\b                                -> \1 \2  if {_ANY_UNIT}
    (\d)-year-old\b                                -> \1 year old  if year-old
# one way to say it, one name for the user
    \so'clock\b                                    ->  if o'clock
    \bnoon\b                                       -> 12pm  if noon
    (?:\bdo |\bdoes )?\bnot ([^,.;]*?) any ?(?:more|longer)(?=[.,;!]|$) -> no longer \1  if any
    \b(?:have|has|needs?) to\b                     -> must  if e to | s to | d to
    \bwould like\b                                 -> want  if would like
    \b(is|are) called\b                            -> \1 named  if called
    \bevery day\b                                  -> daily  if every day
    \bper ?cent\b                                  -> %  if cent
    \b(?:cell|mobile) ?phone\b                     -> mobile phone  if phone
    \bsearch(ing)? for\b                           -> look\1 for  if search
    \bnot (\w+) any(?= (?!of\b|\w+er\b|more\b))     -> not \1  if any
    ^I is ([\w-]+) years? old(?=[.!]*$)            -> I is \1  if old
    (?:^|\bthe )user's\b                           -> my  if user
    ^user\b:?|\bthe user\b                         -> {_USER}  if user
    \b({_WHOSE} [\w-]+)'s name is\b                -> \1 is named  if name
    ^([\w-]+) is ({_WHOSE} [\w-]+)'s name(?=[.!]*$) -> \2 is named \1  if name
    ^用户                                            -> 我  if 用户
    ^yo\b                                          ->  if yo
    です(?=。?$)                                      ->  if です
"""
_REWRITES = [
    (
        frozenset(heading.partition("[")[2].rstrip("]")),
        [
            (re.compile(pattern, re.IGNORECASE), replacement, [one for one in needles.split(" | ") if one])
            for line in rules
            for rule, _, needles in [line.partition("  if ")]
            for pattern, replacement in [map(str.strip, rule.split("->"))]
        ],
    )
    for section in _RULES.split("\n# ")[1:]
    for heading, *rules in [section.strip().splitlines()]
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
