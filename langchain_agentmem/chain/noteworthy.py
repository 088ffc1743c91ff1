"""What of a conversation is worth a memory: what states something, not what only asks, greets or thanks.

The rules work by punctuation in any language, and by words in English and a little in others. In doubt a text
counts as a statement: a question that is stored is found once too often, a fact that is dropped is gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal, TypeAlias

Act: TypeAlias = Literal["states", "asks", "requests", "greets", "thanks", "leaves"]
Occasion: TypeAlias = Literal["question", "request", "thanks", "greeting", "farewell", "small_talk"]


def noteworthy(text: str, *, kind: str = "episodic") -> str | None:
    """Return the kind for a text that states something, `None` for one that only asks, greets or thanks.

    Asking is a question, or for something to be done once: "Tell me a joke", "Forget my birthday".

    This is what `wrap` remembers by default. A question that states something on the way is kept: "Did I tell
    you that I moved to Porto?". For another kind: `remember=partial(noteworthy, kind="semantic")`.

    Args:
        text: What the user said, in any language.
        kind: The kind it is remembered as.
    """
    return kind if any("states" in _acts(*sentence) for sentence in _sentences(text)) else None


def speech_acts(text: str) -> list[frozenset[Act]]:
    """Return what each sentence of a text does, by the rules of `noteworthy`.

    Args:
        text: What somebody said, in any language.

    Returns:
        One set per sentence, in order, of `states`, `asks`, `requests` ("Tell me a joke", "Forget my
        birthday"), `greets`, `thanks` and `leaves`; empty for small talk such as "OK". Several acts may be in
        one, as in "Hi, I'm Ada, what can you do?".
    """
    return [frozenset(_acts(*sentence)) for sentence in _sentences(text)]


def occasion(text: str) -> Occasion | None:
    """Return what a text is that states nothing; `None` for one that does."""
    done = frozenset[Act]().union(*speech_acts(text))
    if "states" in done:
        return None
    return next((occasion for act, occasion in _OCCASIONS.items() if act in done), "small_talk")


def _sentences(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each sentence, and whether its mark makes it a question."""
    parts = _END.split(text.replace("’", "'").strip())
    for sentence, mark in [*pairwise([*parts, ""])][::2]:
        asked = bool(_ASKING_MARK.search(mark)) or bool(_ASKING_ENDING.search(sentence))
        before, opened, question = sentence.partition("¿")  # Spanish says where the question begins
        if opened and asked and len(_WORD.findall(before)) > 1:
            yield before.strip(_AROUND), False
            sentence = question
        if _WORD.search(sentence) or "👋" in sentence:
            yield sentence.strip(_AROUND), asked


def _acts(sentence: str, asked: bool) -> Iterator[Act]:
    if len(sentence) > _LONG:
        yield "states"
        return
    small_talk, phrases = _is_small_talk(sentence), _phrases(sentence)
    opening = phrases if small_talk else phrases[:2]
    if _GREETINGS.intersection(opening) or _PLEASANTRY.fullmatch(sentence) or "👋" in sentence:
        yield "greets"
    if _THANKS.intersection(opening):
        yield "thanks"
    if small_talk:
        if _FAREWELLS.intersection(phrases):
            yield "leaves"
    elif _FORGETTING.match(sentence):
        yield "requests"
        if _says_more(sentence):
            yield "states"
    elif _TASK.match(sentence) and not _STANDING.search(_UNKNOWN.sub("", sentence)):
        yield "requests"
    elif asked or _QUESTION.match(sentence):
        yield "asks"
        if _states_on_the_way(sentence, asked=asked):
            yield "states"
    else:
        yield "states"


def _phrases(sentence: str) -> list[str]:
    """Return each word of a sentence, and each with the one behind it."""
    words = _WORD.findall(sentence.casefold())
    return [phrase for pair in pairwise([*words, ""]) for phrase in (pair[0], " ".join(pair))]


def _is_small_talk(sentence: str) -> bool:
    phrases = _phrases(sentence)
    known = all(word in _KNOWN for word in phrases[::2]) and not _SMALL_TALK.isdisjoint(phrases)
    return known or not phrases or bool(_PLEASANTRY.fullmatch(sentence))


def _states_on_the_way(sentence: str, *, asked: bool) -> bool:
    """Return whether a question says something besides.

    Args:
        sentence: The question.
        asked: Whether it has a question mark. One without is a question by its words only, so each of its
            clauses has to be one.
    """
    if asked and _ASKED_NOUN.fullmatch(sentence):
        return False
    if (
        _TELLS.search(sentence)
        or _REQUEST.match(sentence)
        or any(word.casefold() not in _BEFORE_A_SUBJECT for word in _ASIDE.findall(sentence))
    ):
        return True
    clauses = [clause.strip(_AROUND) for clause in _CLAUSE.split(sentence) if _WORD.search(clause)]
    said = [clause for clause in clauses if not _NO_STATEMENT.match(clause) and not _is_small_talk(clause)]
    if not asked:
        told = any(len(_WORD.findall(clause)) > 2 for clause in said)
        return told or bool(_EXPLAINS.search(sentence)) or _equates(sentence)
    return any(
        _FIRST_PERSON.search(clause) or (len(clauses) > 1 and _DECLARES.search(clause)) for clause in said
    )


def _says_more(sentence: str) -> bool:
    """Return whether a request to forget something says something besides: "…, I live in Lisbon now"."""
    _, *others = (clause.strip(_AROUND) for clause in _CLAUSE.split(sentence) if _WORD.search(clause))
    return bool(_INSTEAD.search(sentence)) or any(
        not _NO_STATEMENT.match(clause) and (_SPEAKS.search(clause) or _DECLARES.search(clause))
        for clause in others
    )


def _equates(sentence: str) -> bool:
    """Return whether a sentence has a verb besides the question's: "What matters to me is honesty"."""
    return bool(_WH_QUESTION.match(sentence)) and bool(
        _FREE_RELATIVE.match(sentence) or _COPULA.search(_ASKED_COPULA.sub(" ", sentence))
    )


_OCCASIONS: dict[Act, Occasion] = {
    "asks": "question",
    "requests": "request",
    "thanks": "thanks",
    "greets": "greeting",
    "leaves": "farewell",
}
_LONG = 500  # characters; such a sentence says something, and matching it could take long
_AROUND = " ¿¡\"'()*-–—,\n\t"
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_END = re.compile(
    r"((?<![.!?…。！？؟\u037e])[.!?…。！？؟\u037e]+(?=[\s\"')*]|$|[^\x00-\u024f])|(?<=[\u0370-\u03ff\u1f00-\u1fff]);(?=\s|$)|\n+)"
)
_ASKING_MARK = re.compile(r"[?？؟;\u037e]")  # the Greek question mark looks like a semicolon
_ASKING_ENDING = re.compile(r"(?:吗|呢|哪里|哪儿|什么|谁|多少|(?:ます|です|でしょう|ました|ません)か)\s*$")
_CLAUSE = re.compile(
    r"[,;:，、–—()]|\s-\s|\b(?:so|because|since|given that|but|as|weil|aber)\b", re.IGNORECASE
)
_AUXILIARY = "is|are|was|were|am|do|does|did|can|could|will|would|shall|should|may|might|must|have|has|had"
_ASKED = "what|where|when|who|whom|whose|which|how|why"
_ASKED_ELSEWHERE = (
    "wo|woher|wohin|was|wer|wen|wem|wann|wie|wieso|warum|welche[rsnm]?|où|que|qui|quand|comment|pourquoi|quel(?:le)?s?|est-ce"
    "|dónde|donde|cuándo|cuál|cuáles|qué|quién|cómo|cuánt[oa]s?|por qué|dove|dov'è|cosa|che|chi|come|perché"
    "|onde|quando|qual|quem|oder|ou|o"
)
_SUBJECT = "i|you|we|he|she|it|they|there|my|your|our|his|her|their|the|this|that|these|those|anyone|any"
_INDIRECT = (
    r"(?:i (?:wonder|was wondering|(?:want|need) to know|forgot|forget|don't (?:know|remember))"
    rf"|i(?:'d| would) like to know|i'm (?:wondering|not sure)) (?:{_ASKED})(?! to\b)"
)
_LEADING = (
    r"(?:(?:and|but|so|or|ok|okay|hey|hi|hello|well|then|also|please|in|on|at|for|from|to|about|with|of|by"
    r"|until|since),? )*"
)
# What is a question without its mark: no words that also begin a statement whose subject is left out, such as
# "did my taxes", "is the oldest of three", "was my birthday".
_QUESTION = re.compile(
    rf"{_LEADING}"
    rf"(?:(?:{_ASKED})(?:'s|'re)\b|whats\b|hows\b|wheres\b|whos\b|(?:what|how) about\b"
    rf"|(?:where|when|who|whom|why)(?: else| exactly)? (?:{_AUXILIARY})(?:n't)?\b"
    rf"|(?:what|how|whose|which(?! (?:is|was) (?:{_ASKED}|because)))"
    r" (?:of (?:my|our|your|the|these|those) )?"
    rf"(?:(?!(?:{_SUBJECT}|a|an)\b)[\w'-]+ ){{0,5}}?(?:{_AUXILIARY})(?:n't)?\b"
    r"|(?:who|what) (?:[a-z]{2,}(?:(?<!i)s|ed)|made|got|took|gave|came|went)\b"
    r"(?!.*\b(?:i|me|is|was|are|were)\b)"
    rf"|(?:{_AUXILIARY}(?<!ha[dsv])(?<!have))(?:n't)? (?:i|you|we|he|she|they|there|any(?:one|body)?)\b"
    rf"|(?:{_AUXILIARY}(?<!ha[dsv])(?<!have)(?<!do)(?<!did))(?:n't)? (?:it|this|that|these|those)\b"
    r"|(?:is|are|can|could|will|would|should|may|might|must|does)(?:n't)? (?:my|your|our)\b"
    r"|(?:are|were|can|could|will|would|should|may|might|must)(?:n't)? (?:the|his|her|their)\b"
    r"|(?:have|has|had)(?:n't)? (?:i|you|we|he|she|it|they)\b"
    rf"|(?:tell|show|remind) me (?:again )?(?:{_ASKED}|if|whether)\b"
    r"|tell me (?:everything|anything|all) (?:that )?you (?:know|remember|have)\b"
    rf"|any \w+$|{_INDIRECT}\b)",
    re.IGNORECASE,
)
_NO_STATEMENT = re.compile(
    rf"\s*{_LEADING}(?:{_ASKED}|whats|{_ASKED_ELSEWHERE}|{_AUXILIARY}|if|whether|any|(?:tell|show) me"
    rf"|remind me (?:again )?(?:{_ASKED}|if|whether)|you"
    rf"|isn't|aren't|don't|doesn't|didn't|won't|can't|{_INDIRECT}|\w+ ich)\b",
    re.IGNORECASE,
)
_COPULA = re.compile(r"\b(?:is|are|was|were)\b", re.IGNORECASE)
_WH_QUESTION = re.compile(rf"{_LEADING}(?:{_ASKED})\b", re.IGNORECASE)
_ASKED_COPULA = re.compile(rf"\b(?:{_ASKED}) (?:[\w'-]+ ){{0,6}}?(?:is|are|was|were)\b", re.IGNORECASE)
_FREE_RELATIVE = re.compile(
    r"(?:and |but |so )?(?:what|who) (?:[\w']+ )*?(?:\w{2,}(?:s|ed)|most|best|me)"
    r" (?:[\w']+ ){0,3}?(?:is|are|was|were)\b",
    re.IGNORECASE,
)
# What only a question mark makes a question: "My phone number?"
_ASKED_NOUN = re.compile(
    rf"{_LEADING}(?:my|our) (?:\w+'s )?(?:\w+ )?"
    r"(?:names?|numbers?|address(?:es)?|birthday|anniversary|age|job|e-?mail|password|pin|code|flight|appointment)",
    re.IGNORECASE,
)
_EXPLAINS = re.compile(r":\s|[–—]|\s-\s")
_FIRST_PERSON = re.compile(
    r"\b(?:i|i'm|im|i've|ive|i'll|i'd|my|we|we're|we've|our|me|ich|wir|mein\w*|je|j'\w+|yo|eu)\b",
    re.IGNORECASE,
)
_DECLARES = re.compile(
    r"\w (?:is|are|was|were|has|had|will|isn't|aren't|can't|doesn't|won't"
    r"|ist|sind|war|hat|heißt|est|es|è|está|tiene)\b"
    r"|\b(?:it|that|he|she|there)'s\b"
    r"|\b(?:soy|estoy|tengo|vivo|trabajo|sono|ho|abito|lavoro|sou|estou|tenho|moro|jestem|mam)\b"
    r"|^(?!.*(?:[什么哪谁吗怎几呢何誰]|どこ|いつ|どう|なぜ|か$)).*(?:我|私|僕|俺|저는|나는)",
    re.IGNORECASE,
)
# "What should I cook I have two kids": a clause of its own, unless what stands before it belongs to it.
_ASIDE = re.compile(
    r"\b(\w+) (?:i'm|im|i am|i've|ive|i have|i was|my \w+ (?:is|are|has)|we're|we have)\b", re.IGNORECASE
)
_BEFORE_A_SUBJECT = frozenset(
    f"{_ASKED}|{_AUXILIARY}|if|whether|while|until|than|as|of|for|with|to|about|in|on|at|from|by|and|or|all|every".split(
        "|"
    )
)
# What is wanted from now on, politely: "Could you answer in German, please?"
_REQUEST = re.compile(
    r".*\b(?:can|could|will|would) you (?:please )?"
    r"(?:remind me (?:to|that|on|at|about)|(?:call|remember) (?!if|whether)\w+ \S"
    rf"|(?!(?:(?:please )?(?:tell|show|say|explain|help|check|remind|remember|repeat)\b|{_AUXILIARY}\b))"
    r".*\b(?:please|from now on|always|never|in (?:the )?future)\b)"
    r"|.*\bplease (?:always|never|don't)\b",
    re.IGNORECASE,
)
# What is to be done once: "Tell me a joke", "Please summarise the text above".
_TASK = re.compile(
    rf"{_LEADING}(?:kindly )?(?:just )?"
    r"(?:(?:tell|show) me (?:an?|the|some|something|more|about|another)\b"
    r"|(?:summari[sz]e|translate|rephrase|rewrite|paraphrase|proofread|explain|continue|repeat)"
    r" (?:this|that|it|these|those|how|why|what"
    r"|the (?:text|above|following|previous|last|first|second|code|article))\b"
    r"|(?:write|draft|compose|generate|create|make)(?: me)? an? (?:(?!an? )[\w'-]+ ){0,3}?"
    r"(?:poem|story|haiku|limerick|essay|joke|song|summary|list|e-?mail|letter|tweet|outline|function|script"
    r"|plan|recipe|table|title|slogan|description)\b"
    r"|(?:stop|continue|go on|next|help|try again|again|repeat|proceed)$)",
    re.IGNORECASE,
)
# What is to be forgotten: "Please delete my address". Not what somebody forgets, or has to remove some day:
# "forget my keys every time", "remove my stitches on Friday".
_POLITELY = (
    r"(?:(?:can|could|would|will|should|may|must) you |you (?:can|could|should|may|must) "
    r"|i(?:'d| would)? (?:want|need|like) you to )?(?:(?:please|kindly|just|now),? )*"
)
_KEPT = (
    r"(?:memor(?:y|ies)|facts?|notes?|entr(?:y|ies)|messages?|conversations?|chats?|history|information|info"
    r"|data|records?|things?)"
)
_NOT_SO = (
    r"(?!.*\b(?:always|often|usually|sometimes|never|easily|constantly|every|all the time|on|at|before|after"
    r"|when(?:ever)?|if|unless|until|till|by|tomorrow|tonight|next|later|this)\b)"
)
_FORGETTING = re.compile(
    rf"{_LEADING}{_POLITELY}(?:"
    r"forget (?:about )?(?:that|what|whatever|where|when|how|who|the fact|everything|anything|all|it|this|me"
    rf"|(?:i|we) (?:said|told|mentioned|wrote|asked)|{_NOT_SO}(?:my|our|the|[\w-]+'s))\b"
    r"|(?:delete|erase|remove|wipe)(?: out)? (?:"
    r"(?:that|this|it|me|everything|anything)(?: please| now| again)?$"
    r"|(?:that|what|whatever|everything|anything|all)(?: that| of (?:it|that))? (?:i|we|you|my|our|about)\b"
    rf"|(?:all|everything|that|this|the|those|these|my|our|your)(?: (?:of )?(?:my|our|your|the))? {_KEPT}\b"
    rf"|{_NOT_SO}(?:my|our|[\w-]+'s) [\w'-]+(?: [\w'-]+){{0,4}}(?:, (?:please|thanks|thank you))?$)"
    rf"|(?:clear|wipe) (?:my|our|your|the|all) {_KEPT}\b)",
    re.IGNORECASE,
)
_INSTEAD = re.compile(r"\b(?:and|but|then) (?:please )?(?:remember|note|know)\b|\binstead\b", re.IGNORECASE)
_SPEAKS = re.compile(r"\b(?:i|i'm|im|i've|ive|i'd|i'll|we|we're|we've)\b", re.IGNORECASE)
_UNKNOWN = re.compile(
    r" (?:that |which )?(?:i|we) (?:(?:don't|do not|didn't|did not|might not|may not)(?: yet)? know"
    r"|(?:haven't|have not|have never) (?:heard|seen|read|tried))\b",
    re.IGNORECASE,
)
# What makes a request more than that, or says something on the way.
_STANDING = re.compile(
    r"\b(?:always|never|only|every|each|from now on|in (?:the )?future|when(?:ever)?|if|until|because|since"
    r"|so|i|i'm|i've|i'd|i'll|my|we|we're|our|instead|again about)\b",
    re.IGNORECASE,
)
_TELLS = re.compile(
    r"\b(?:that|(?:tell|told) you|mention(?:ed)?(?: to you)?|(?:know|heard?|remember|believe|notice)) "
    r"(?:that )?"
    r"(?:i|i'm|im|i've|we|we're|we've|my (?:\w+ ){1,3}?(?:is|are|was|were|has|have|had|\w+ed|\w+s))\b"
    rf"|^(?!{_LEADING}(?:{_ASKED})\b).*\b(?:(?:tell|told) you that\b"
    r"|(?:(?:tell|told) you|mention(?:ed)?|know|heard?|remember|believe|notice)(?: that)?"
    rf" (?!(?:{_ASKED}|if|whether|about)\b)(?:[\w']+ ){{1,4}}?(?:is|are|was|were|has|had|will)\b)"
    r"|\bdass (?:ich|wir|mein\w*)\b"
    r"|\b(?:te (?:dije|conté|he dicho)|sab(?:es|ías)|t'ai(?:-je)? dit|sa(?:is|vais)-tu"
    r"|ti ho detto|sai) (?:que|qu'|che)",
    re.IGNORECASE,
)
_PLEASANTRY = re.compile(
    r"(?:(?:hi|hello|hey|hallo|hola|bonjour|salut|ciao|good (?:morning|afternoon|evening|day)"
    r"|guten (?:morgen|tag|abend)|buen[oa]s (?:d[ií]as|tardes))(?: there)?,? )?(?:and )?"
    r"(?:how are (?:you|things)(?: doing)?|how(?:'s| is) (?:it|everything) going|how do you do"
    r"|how have you been|what's up|wie geht(?:'s| es (?:dir|ihnen))|(?:cómo|como) est[aá]s|qué tal"
    r"|(?:comment )?ça va|come (?:stai|va))(?: today| now)?",
    re.IGNORECASE,
)


def _listed(text: str) -> frozenset[str]:
    return frozenset(" ".join(phrase.split()) for phrase in text.split(","))


_GREETINGS = _listed(
    """hi, hello, hey, heya, hiya, howdy, greetings, good morning, good afternoon, good evening, good day,
    hallo, guten morgen, guten tag, guten abend, moin, servus, hola, buenos días, buenos dias, buenas tardes,
    bonjour, bonsoir, salut, ciao, buongiorno, buonasera, olá, oi, bom dia, boa tarde, cześć, merhaba, привет,
    здравствуйте, γεια, مرحبا, 你好, 您好, こんにちは, こんばんは, おはよう, おはようございます, 안녕하세요"""
)
_THANKS = _listed(
    """thanks, thank you, thank u, thx, ty, cheers, appreciated, danke, vielen dank, gracias, muchas gracias,
    merci, grazie, obrigado, obrigada, dziękuję, dzięki, dank je, teşekkürler, спасибо, ευχαριστώ, شكرا, 谢谢,
    ありがとう, ありがとうございます, 감사합니다"""
)
_FAREWELLS = _listed(
    """bye, goodbye, good night, see you, see ya, later, take care, tschüss, gute nacht, bis bald, bis später,
    auf wiedersehen, adiós, adios, hasta luego, buenas noches, au revoir, à bientôt, arrivederci, tchau,
    até logo, пока, 再见, さようなら"""
)
_CHATTER = _listed(
    """yo, ok, okay, okidoki, k, yes, yeah, yep, yup, sure, no, nope, please, sorry, welcome, right, alright,
    fine, great, good, nice, cool, perfect, awesome, wonderful, excellent, brilliant, amazing, lovely,
    exactly, indeed, understood, got it, i see, that's, thats, sounds, never mind, worries, lol, haha, hehe,
    wow, oh, ah, hm, hmm, um, ja, nein, bitte, schön, sí, si, vale, oye, por favor, de nada, oui, non,
    d'accord, bien, s'il vous plaît, sì, va bene, prego, да, нет, 好的, はい, いいえ, 네"""
)
_SMALL_TALK = _GREETINGS | _THANKS | _FAREWELLS | _CHATTER
# What says nothing beside small talk ("have a good one"), and is not small talk alone.
_KNOWN = frozenset(word for phrase in _SMALL_TALK for word in phrase.split()) | frozenset(
    """a again all and day do everybody everyone folks for go have help i is it it's just lot many meet
    meeting much my now on one so soon take talking that the then there to today tomorrow too u very well ya
    you you're your au auf beaucoup bom dann dia dir mille muchas te tout und vous""".split()
)
