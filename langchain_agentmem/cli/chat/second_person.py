"""A statement in the first person, told to whoever made it: "I live in Porto." as "You live in Porto".

A grammar of one plain English sentence, and no more: what it does not know for sure is not rephrased, and
whoever asked quotes it. It changes pronouns, and `am` and `was` behind them; the rest stays as it was said.
"""

from __future__ import annotations

import re


def second_person(text: str, *, days: int = 0) -> str | None:
    """Return what somebody stated as it is told back, without a full stop; `None` if that is not sure.

    Args:
        text: What was stated.
        days: How many days ago. What was said yesterday of "next week", or of a passing state ("I'm tired"),
            need not be true today; nor what was said long ago of an age.
    """
    said = text.replace("’", "'").strip()
    lead = _LEAD.match(said)
    said = _END.sub("", _TRAIL.sub("", _END.sub("", said[lead.end() if lead else 0 :])))
    if not said or len(said) > _LONG or not _PLAIN.fullmatch(said) or _DOUBTFUL.search(said):
        return None
    said = said[0].upper() + said[1:]
    if not any(kind.fullmatch(said) for kind in (_FIRST_PERSON, _MINE, _THIRD_PERSON)):
        return None
    if (_SINGULAR.search(said) and _PLURAL.search(said)) or (
        (days and _PASSES.search(said)) or (days > _LONG_AGO and _AGES.search(said))
    ):
        return None
    told = re.sub(r"[\w']+", lambda word: _WORDS.get(word[0], word[0]), _SUBJECT.sub(_addressed, said))
    if _LEFT.search(told) or _MAY_BE_OWN.search(told):
        return None
    return told[0].upper() + told[1:]


def _addressed(found: re.Match[str]) -> str:
    """Return subject and verb in the second person: "I usually am" as "you usually are"."""
    subject, adverbs, verb = found.groups(default="")
    return _SUBJECTS.get(subject.lower(), "you") + adverbs + _VERBS.get(verb, verb)


def _any(words: str) -> str:
    return "|".join(words.split())


# What is not told back, whatever it is.

_LONG = 200  # characters
_END = re.compile(r"(?:(?<!\b[ap]\.m)\.|[! ])+$")
_LONG_AGO = 90  # days
_PLAIN = re.compile(r"[A-Za-zÀ-ž0-9][A-Za-zÀ-ž0-9 ',.%€$£°&+:/@-]*")
_WEEKDAY = "(?:sun|mon|tues|wednes|thurs|fri|satur)day"
_DOUBTFUL = re.compile(
    # Whom or what these mean depends on who says them, where, and after what; `us` may be a country.
    r"\b(?:[Yy]ou|[Yy]our|[Yy]ours|[Yy]ourself|u|ur|[Tt]his|[Tt]hese|[Tt]hose|[Hh]ere|us"
    r"|[Pp]lease|let's|lol|haha|ain't)\b"
    # More than a sentence, a list, what is said in passing; times, decimal numbers and titles excepted.
    r"|(?<!\bDr)(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bSt)\.(?=\s)|:(?!\d)|\s-|-\s|,,|\.\."
    r"|(?<!\w)['/&+]|[&/](?!\w)|,(?!\s|\d)"
    # Names, titles and abbreviations that look like pronouns, and pronouns that are not what they look like.
    r"|(?<=[\w,.%] )(?:My|Me|Mine|Our|Ours|We|Myself)\b|\b(?:ME|MY|WE|OUR"
    r"|MINE)\b|\bI(?:[/.:,&+-]|'s\b| [A-Z]|$)"
    r"|[/.:&+-]I\b|\b(?:[Ww]ar|[Pp]art|[Tt]ype|[Cc]lass|[Gg]rade|[Ll]evel|[Pp]hase|[Cc]hapter"
    r"|[Vv]olume|[Vv]itamin) [Ii]\b"
    r"|(?<!\bof )(?<!\bis )(?<!\bare )(?<!\bwas )(?<!\bwere )(?<!\blike )(?<!\bthan )\bmine\b"
    # Subjects that are joined, a subject behind its verb, an object that is the subject, a number of people.
    r"|\b(?:[Mm]e|[Mm]yself) and\b|\band (?:me|myself|mine)\b|\b[Ii] and\b|\b[Ii] \w+ me\b"
    r"|\b(?:am|was|were|do|did|have|can|could|should|would|will) (?:I|i|we)\b"
    r"|\b[Ww]e(?:'re| are| were) (?:only )?(?:\d|two|three|four|five|six|seven|eight|nine|ten)"
    # What breaks off, or asks at its end.
    r"|(?<!\d )\b(?:am|is|are|was|were|the|a|an|of|to|my|our|and|or|but|with)$"
    r"|, (?:right|okay|ok|no|don't i|do i|isn't it|aren't i|thanks|any \w+)$"
    # German, maybe
    r"|^[Ii]m (?!.*\b(?:and|i|my|the|a|not|from|of|to|vegan|vegetarian|allergic"
    r"|married)\b)"
)
_SINGULAR = re.compile(r"\b(?:I|i|my|My|me|mine|myself)\b")
_PLURAL = re.compile(r"\b(?:we|We|our|Our|ours|ourselves)\b")
# What was true when it was said, and need not be so on another day.
_PASSES = re.compile(
    r"\b(?:today|tonight|tomorrow|yesterday|now|currently|at the moment|recently|lately|just"
    r"|soon|ago|already|still|yet"
    rf"|(?:last|next|coming|past) (?:\w+ )?(?:night|week|weekend|month|year|spring|summer|autumn"
    rf"|fall|winter|time"
    rf"|{_WEEKDAY})|(?:on|until|till|by|since) {_WEEKDAY}"
    r"|(?:in|for|within) (?:an?|two|three|four|five|six|\d+) (?:\w+ )?(?:minute|hour|day|week|month)s?"
    r"|going to|about to|tired|sick|ill|hungry|thirsty|busy|late|sad|angry|happy|bored|stressed"
    r"|nervous|excited|feel"
    r"|will|won't|i'll|we'll|(?:i'm|i am|we're|we are) (?:not )?(?:in|at|on)"
    r"|(?:i'm|i am|we're|we are|is|are) (?:not )?\w+ing)\b",
    re.IGNORECASE,
)
_AGES = re.compile(
    r"\b(?:'m|am|is|are) (?:\d+|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen"
    r"|\w+ty(?:-\w+)?|in|at|on)\b",
    re.IGNORECASE,
)

# What is.

# What may stand before a statement and adds nothing to it.
_TRAIL = re.compile(r",? (?:btw|by the way)$", re.IGNORECASE)
_LEAD = re.compile(
    r"(?:(?:hi|hello|hey|good (?:morning|afternoon|evening)|thanks|thank you)(?: there| again"
    r"| everyone)?[,.!]+\s+"
    r"|(?:yes|no|well|actually|oh|ok|okay|so|and|but|by the way|fyi|btw),?\s+(?=(?:i|i'm|i've|my"
    r"|our|we)\b))+",
    re.IGNORECASE,
)
# No word is in two alternatives, or matching a row of them would take forever.
_ADVERB = r"\w+ly|always|never|often|sometimes|also|still|just|now|once|already|seldom|even|both|all|almost"
_AUXILIARY = (
    "am|was|wasn't|have|haven't|had|hadn't|do|don't|did|didn't|can|can't|cannot|could|couldn't|will|won't|would"
    "|wouldn't|should|shouldn't|dont|didnt|cant|wont|havent|must|mustn't|may|might|used"
)
# Verbs of which people tell, by their base; and the past of those that have one of their own.
_VERBS_TOLD = """
    add adopt agree answer apply arrive ask attend avoid bake become believe belong borrow bring build
    buy call cancel care celebrate change check choose clean climb close collect commute complete cook
    cycle decide deploy develop dislike do drink drive earn eat enjoy exercise expect fail fear feed
    feel find finish fix fly follow forget get give go graduate grow hate hear help hike hold hope hurt
    injure install join jog keep know lack lead learn leave lend like listen live lose love make manage
    marry mean meet miss move open organise organize owe own paint pay play practise practice prefer
    promise quit read recommend recover rent repair require ride rely run save say see sell send serve
    sing sit ski skip sleep smoke snore speak spend start stay stop struggle study subscribe suffer
    supervise swim switch take talk teach tell tend think translate travel try turn understand use
    volunteer walk want watch wear weigh win wish work worry write"""
_AS_NOUNS_TOO = """
    book camp code count dance design fish garden mentor mind nap need order park plan program sponsor
    support train type visit"""
_PAST = """
    became began bought broke brought built came caught chose did drank drove ate fed fell felt flew
    forgot found gave got grew had heard held hurt kept knew led left lent lost made met paid put ran
    read rode said sang sat saw sent slept sold spent spoke stood swam taught thought told took
    understood went won woke wore wrote"""


def _regular_past(verb: str) -> str:
    """Return a pattern of the past of a regular verb; some double their last letter."""
    if verb.endswith("e"):
        return f"{verb}d"
    return f"{verb[:-1]}ied" if verb[-1] == "y" and verb[-2] not in "aeou" else f"{verb}{verb[-1]}?ed"


def _third_person(verb: str) -> str:
    if verb[-1] == "y" and verb[-2] not in "aeou":
        return f"{verb[:-1]}ies"
    return f"{verb}es" if verb in ("go", "do") or verb.endswith(("ch", "sh", "s", "x")) else f"{verb}s"


_DONE = f"{_any(_PAST)}|{'|'.join(map(_regular_past, (_VERBS_TOLD + _AS_NOUNS_TOO).split()))}"
_DOES = "|".join(map(_third_person, _VERBS_TOLD.split()))
_REST = r"(?:,? [\w'.:/&%€$£°+@-]+)+"
_WHEN = (
    r"(?:(?:Yesterday|Today|Usually|Sometimes|Currently|Now|Lately|Recently"
    r"|(?:On|In|At|Since|During|Until|After|Before|Last|Next|Every)(?: (?!and\b|i\b|I\b|we\b"
    r"|my\b|our\b)[\w']+){1,4}),? )?"
)
# "I (usually) live …", "we're …": a subject that is the speaker, and a verb that is known.
_FIRST_PERSON = re.compile(
    rf"{_WHEN}(?:[Ii](?:'m|m|'ve|ve|'d|'ll)|[Ww]e(?:'re| are| were|'ve|'d|'ll)"
    rf"|(?:[Ii]|[Ww]e)(?: (?:{_ADVERB}))* (?:{_AUXILIARY}|{_any(_VERBS_TOLD)}"
    rf"|{_any(_AS_NOUNS_TOO)}|{_DONE}))"
    rf"{_REST}"
)
# "My dog is …", "our services run …": up to six words of which something is said.
_FINITE = (
    "is|isn't|are|aren't|was|wasn't|were|weren't|has|hasn't|had|have|can|can't|cannot|could|will|won't|would|should"
    "|must|does|doesn't|did|didn't"
)
# Up to six words, none of which begins another clause or names another subject.
_NOUN = r"(?: (?!(?:that|which|who|what|where|when|I|i|we)\b)(?!and (?:I|i|we)\b)[\w'.-]+){1,6}?"
_MINE = re.compile(
    rf"{_WHEN}(?:My|my|Our|our)(?:{_NOUN} (?:{_FINITE}|{_DOES}|{_DONE}"
    r"|opened|closed|started|ended|died|retired|costs?|begins|ends|expires|arrives)"
    rf"|(?: [\w-]+){{0,2}} (?:parents|kids|children|friends|family|team"
    rf"|\w+[a-rt-z]s) (?:{_any(_VERBS_TOLD)})"
    rf"| name's){_REST}"
)
# "Ana is …", "the launch was …"
_THIRD_PERSON = re.compile(
    rf"(?:(?:The|An?|Every){_NOUN} (?:{_FINITE})"
    r"|(?!(?:It|She|He|They|There|That|What|Who|Whose|Which|Where|When|Why|How|One|Some|Not|And"
    r"|But|Or|So|If)\b)"
    r"[A-ZÀ-Ž][\w-]+(?: and [A-ZÀ-Ž][\w-]+|'s(?: [\w-]+){1,3}?)? (?:is|are|was|were|has|can't"
    r"|can|will|doesn't|isn't))"
    rf"{_REST}"
)

# How it is told.

_SUBJECTS = {
    "i'm": "you're", "im": "you're", "i've": "you've", "ive": "you've", "i'd": "you'd", "i'll": "you'll",
    "we're": "you're", "we've": "you've", "we'd": "you'd", "we'll": "you'll",
}  # fmt: skip
_VERBS = {" am": " are", " was": " were", " wasn't": " weren't"}
_SUBJECT = re.compile(
    rf"(\b[Ii](?:'m|'ve|'d|'ll)?|^I(?:m|ve)|\b[Ww]e(?:'re|'ve|'d|'ll)?)(?![\w'])"
    rf"((?: (?:{_ADVERB}))*)( am| was| wasn't)?(?![\w'])"
)
_WORDS = {
    "my": "your", "My": "Your", "me": "you", "mine": "yours", "myself": "yourself",
    "our": "your", "Our": "Your", "ours": "yours", "ourselves": "yourselves",
}  # fmt: skip
# What may be left only by mistake; `am` is also a time of day.
_LEFT = re.compile(
    r"(?<!\d)(?<!\d )\bam\b|\b(?:I|i|im|ive|my|me|we)\b|\b[Yy]ou(?:'\w+)? (?:you|is|has|does|was|am)\b"
)
# Behind a speaker, this verb may be the speaker's: "I live here and was born there".
_MAY_BE_OWN = re.compile(
    rf"\b[Yy]ou(?:'\w+)?\b.*(?:\b(?:and|or|but|then|than|as|not|{_ADVERB}) was(?:n't)?\b|, was(?:n't)?\b)"
)
