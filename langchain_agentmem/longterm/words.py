"""The words of a text that carry meaning, as the search index knows them: stemmed, without stop words."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

WORD = re.compile(r"[^\W_]+")


@lru_cache(maxsize=16)
def _snowball(language: str) -> Any:
    from snowballstemmer import algorithms, stemmer

    return stemmer(language) if language in algorithms() else None


@lru_cache(maxsize=100_000)
def stem(word: str, language: str = "english") -> str:
    """Return the stem of a lower-case word; the word itself in a language without a Snowball stemmer.

    Irregular English forms have the plain one's stem: `bought` that of `buy`, `children` of `child`.
    """
    snowball = _snowball(language)
    stemmed = word if snowball is None else str(snowball.stemWord(word))
    return _irregular()[0].get(stemmed, stemmed) if language == "english" else stemmed


def forms(word: str, language: str = "english") -> tuple[str, ...]:
    """Return what to search for: a word, and irregular forms, which the server leaves apart."""
    return (word, *_irregular()[1].get(stem(word, language), ())) if language == "english" else (word,)


def related(word: str, language: str = "english") -> tuple[str, ...]:
    """Return what states what a question with a word asks: words, such as `daughter` for `kid`, and phrases.

    A phrase has blanks in it; `X` at its end stands for a word with a capital.
    """
    return _about_oneself().get(stem(word), ()) if language == "english" else ()


def content_words(text: str, language: str = "english") -> dict[str, str]:
    """Return the words of a text that carry meaning: from the stem to the lower-case word, in their order."""
    stop = STOP_WORDS.get(language, frozenset())
    found: dict[str, str] = {}
    for word in WORD.findall(text.lower()):
        if word not in stop and (len(word) > 1 or word.isdigit()):
            found.setdefault(stem(word, language), word)
    return found


STOP_WORDS = {
    "english": frozenset(
        """a about after all also am an and any are as at be been before being between both but by can could
        did do does doing don for from get go got had has have having he her here hers him his how i if in
        into is it its just like ll m me might more most much must my no nor not of off on or other our
        out over own re s same she should so some such t than that the their them then there these they
        this those through to too up ve very was we were what when where which while who whom whose why
        will with would you your yours d yes many during time today day good thanks thank
        welcome okay ok hello hi hey please sorry thing things something someone know tell sure lot
        really""".split()
    ),
    "german": frozenset(
        """aber alle als also am an auch auf aus bei beim bin bis bist da damit dann das dass dein deine dem
        den der des dich die dies diese dieser dir doch du durch ein eine einem einen einer eines er es
        für haben habe hast hat hatte hier ich ihm ihn ihr ihre im in ins ist ja jetzt kann kein keine
        können man mein meine meinem meinen meiner mich mir mit nach nicht noch nur ob oder schon sehr
        sein seine sich sie sind so und uns unser von vom vor war waren was wann warum wie wer wen wem wo
        wohin welche welcher welches wenn werde werden wir wird zu zum zur über danke hallo guten""".split()
    ),
    "french": frozenset(
        """à ai alors as au aussi aux avec avez avons c ce ces cet cette comment d dans de depuis des donc du
        elle elles en es est et était eux il ils j je l la le les leur leurs lui m ma mais me mes moi mon n
        ne nos notre nous on ont ou où par pas plus pour pourquoi qu quand que quel quelle quelles quels
        qui quoi s sa sans se ses si son sont suis sur t ta te tes toi ton très tu un une vos votre vous y
        merci bonjour""".split()
    ),
    "italian": frozenset(
        """a ad ai al alla alle anche c che chi ci come con cosa da dal dalla dei del della delle di dove e è
        ed era gli ha hai hanno ho i il in io l la le lei lo loro lui ma me mi mia mie miei mio molto ne nel
        nella no noi non nostra nostro o per perché più quale quali quando quanto qui se sei si sono su sua
        suo ti tu tuo un una uno vi voi grazie ciao""".split()
    ),
    "portuguese": frozenset(
        """a ao aos as até com como da das de do dos e é ela ele eles em era essa esse esta está este eu foi
        há isso já lhe mais mas me meu meus minha minhas muito na nas não no nos nós nosso nossa o onde os
        ou para pela pelo por porque qual quais quando quanto que quem se sem ser seu sua são sou também te
        tem tenho teu tua um uma você obrigado olá""".split()
    ),
    "dutch": frozenset(
        """aan al als ben bent bij daar dan dat de der deze die dit door een en er ge had hebben hebt heb
        heeft hem het hier hij hoe hun ik in is je jij jouw kan mag me met mij mijn naar niet nog nu of om
        ons onze ook op over te tot u uit van voor waar waarom wanneer was wat we welke wie wij worden wordt
        zal ze zich zij zijn bedankt hallo""".split()
    ),
    "spanish": frozenset(
        """a al algo ante como con cómo cuál cuáles cuando cuándo cuánto cuántos de del desde donde dónde el
        ella ellos en entre era eres es esa ese eso esta este esto estoy está están fue ha había hay he la
        las le les lo los me mi mis mí muy más ni no nos o para pero por porque qué que quien quién se ser
        si sin sobre son soy su sus sí también te tengo ti tiene tienes tu tus tú un una uno unos y ya
        yo gracias hola""".split()
    ),
}
"""What carries no meaning, by language; a language that is not here has none, and finds by all its words."""

_ABOUT_ONESELF = """
    name: called, call, named, i'm X, i am X, call me X, calls me X, this is X
    job, work, profession, occupation, employer, career: job, work, employed, i'm a, i'm an, i am a, i am an,
      work as, works as, working as
    eat, diet, food, meal, cook, dinner, lunch, avoid: eat, diet, food, vegetarian, vegan, allergic,
      intolerant, can't have, can't eat, can't drink, don't eat, don't drink, do not eat, doesn't eat
    live, home, address, city, town, reside: live, home, address, move, based, house, flat, apartment
    child, son, daughter: child, son, daughter, twins, baby
    wife, husband, spouse, partner, married: wife, husband, spouse, partner, married, divorced, engaged
    pet: dog, cat, puppy, kitten, rabbit, parrot, hamster
    parent: mother, father
    sibling: brother, sister
    drink, beverage: drink, tea, coffee, wine, beer
    birthday: born
    boss, manager: boss, manager
    movie, film: movie, film
    car: drive
"""
"""What people ask about themselves: what states it. `X` is a word with a capital."""

_SAME = """
    become became | begin began begun | break broke broken | bring brought | build built | buy bought |
    catch caught | choose chose chosen | come came | draw drew drawn | drink drank drunk | drive drove
    driven | eat ate eaten | fall fell fallen | feel felt | fight fought | find found | fly flew flown |
    forget forgot forgotten | give gave given | grow grew grown | hear heard | hold held | keep kept |
    know knew known | lead led | leave left | lose lost | make made | mean meant | meet met | pay paid |
    ride rode ridden | run ran | say said | see saw seen | sell sold | send sent | sing sang sung | sit
    sat | sleep slept | speak spoke spoken | spend spent | stand stood | steal stole stolen | swim swam
    swum | take took taken | teach taught | think thought | throw threw thrown | understand understood |
    wake woke woken | wear wore worn | win won | write wrote written | child children kid | foot feet |
    man men | mouse mice | person people | tooth teeth | wife wives | woman women | color colour |
    favorite favourite | neighbor neighbour | mother mom mum | father dad
"""


@lru_cache(maxsize=1)
def _about_oneself() -> dict[str, tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = {}
    for line in re.sub(r"\n {6}", " ", _ABOUT_ONESELF).strip().splitlines():
        asked, said = ([word.strip() for word in side.split(",")] for side in line.split(":"))
        once = {stem(one): one for one in reversed(said)}  # `called` and `call` are one word
        for word in asked:
            table[stem(word)] = tuple(one for one in said if one in once.values() and stem(one) != stem(word))
    return table


@lru_cache(maxsize=1)
def _irregular() -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Return the plain stem of each irregular form's stem, and all forms of each plain stem."""
    snowball = _snowball("english")
    plain, forms = {}, {}
    for group in _SAME.split("|"):
        words = tuple(group.split())
        stems = [str(snowball.stemWord(word)) for word in words]
        plain.update(dict.fromkeys(stems, stems[0]))
        forms[stems[0]] = words
    return plain, forms
