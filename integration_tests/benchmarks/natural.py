"""Made-up sentences that people could say: facts, messages that state something and ask, texts of any length.

They have the words that questions share with memories, so that a search by words has something to find.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

_SEED = 29
_PEOPLE = (
    "my sister Ana", "my brother Tomás", "my colleague Ingrid", "my neighbour Yusuf", "my friend Keiko",
    "my boss Harriet", "my daughter Mila", "my son Leo", "my aunt Rosalind", "our accountant Pavel",
    "the new intern Sofia", "my flatmate Dmitri", "our gardener Bill", "my dentist Dr Okafor",
    "my cousin Marguerite", "our client Mrs Lindqvist", "my old teacher Mr Banerjee", "my partner Robin",
)  # fmt: skip
_PLACES = (
    "Porto", "Bergen", "Kyoto", "Montréal", "Nairobi", "Ljubljana", "Valparaíso", "Edinburgh", "Tallinn",
    "Seville", "Hobart", "Zürich", "Chicago", "Galway", "Hanoi", "Marrakesh", "Leipzig", "Vancouver",
)  # fmt: skip
_TIMES = (
    "on Monday morning", "on Tuesday at ten", "on the ninth of June", "next Wednesday", "in early March",
    "on Thursday afternoon", "the week after next", "on Friday at noon", "at the end of August",
    "on the first weekend of May", "before Christmas", "in the second week of October",
)  # fmt: skip
_HOBBIES = (
    "plays the cello in an orchestra", "grows tomatoes on the balcony", "restores old motorcycles",
    "collects stamps from Finland", "swims two kilometres", "bakes sourdough bread", "sings in a choir",
    "teaches pottery to children", "climbs in the quarry", "repairs wristwatches", "walks the neighbours' dogs",
    "photographs wild birds", "writes crime novels", "brews ginger beer", "keeps three hives of bees",
)  # fmt: skip
_THINGS = (
    "the budget review with finance", "the dinner reservation", "the dental appointment", "the train tickets",
    "the passport renewal", "the insurance contract", "the guitar lesson", "the quarterly report",
    "the parents' evening", "the car inspection", "the flat viewing", "the visa interview", "the blood test",
    "the board meeting", "the theatre tickets", "the delivery of the sofa", "the job interview",
    "the swimming course", "the rental agreement", "the birthday cake",
)  # fmt: skip
_FOODS = (
    "peanuts", "shellfish", "blue cheese", "coriander", "rye bread", "oat milk", "dark chocolate", "mushrooms",
    "aubergines", "green tea", "chilli peppers", "liquorice", "smoked salmon", "celery",
)  # fmt: skip


def _facts(pick: Callable[[tuple[str, ...]], str]) -> Iterator[str]:
    """Yield one fact of each form."""
    while True:
        yield f"{pick(_PEOPLE)} moved to {pick(_PLACES)} {pick(_TIMES)}."
        yield f"{pick(_PEOPLE)} {pick(_HOBBIES)} whenever there is time {pick(_TIMES)}."
        yield f"{pick(_THINGS)} in {pick(_PLACES)} is {pick(_TIMES)}."
        yield f"{pick(_PEOPLE)} is allergic to {pick(_FOODS)}, and cannot stand {pick(_FOODS)}."
        yield f"I moved {pick(_THINGS)} to another day, because {pick(_PEOPLE)} is in {pick(_PLACES)}."
        yield f"{pick(_PEOPLE)} asked me to bring {pick(_FOODS)} and {pick(_FOODS)} to {pick(_PLACES)}."
        yield f"I promised {pick(_PEOPLE)} to take care of {pick(_THINGS)} {pick(_TIMES)}."


def _asked(pick: Callable[[tuple[str, ...]], str]) -> Iterator[str]:
    """Yield messages that state something and ask for something else."""
    while True:
        yield f"I cancelled {pick(_THINGS)} today. When is {pick(_PEOPLE)} back from {pick(_PLACES)}?"
        yield f"I have just paid for {pick(_THINGS)}. Who is allergic to {pick(_FOODS)}, and who moved to {pick(_PLACES)}?"
        yield f"{pick(_PEOPLE)} wants to see {pick(_PLACES)} with me. Where and when is {pick(_THINGS)}?"
        yield f"We ran out of {pick(_FOODS)} again. What did I promise {pick(_PEOPLE)} about {pick(_THINGS)}?"
        yield f"I am learning how {pick(_PEOPLE)} cooks {pick(_FOODS)}. Did I move {pick(_THINGS)}?"


def facts(count: int) -> list[str]:
    """Return different facts, the same at every run."""
    return _different(_facts, count, "facts")


def messages(count: int) -> list[str]:
    """Return different messages of a user, each of which states something and asks; the same at every run."""
    return _different(_asked, count, "messages")


def texts(count: int) -> list[str]:
    """Return texts of one to eight sentences, most of them short; the same at every run."""
    lengths = random.Random(f"{_SEED} lengths")
    sentences = iter(facts(8 * count))
    return [
        " ".join(next(sentences) for _ in range(min(8, 1 + int(lengths.expovariate(0.6)))))
        for _ in range(count)
    ]


def _different(
    forms: Callable[[Callable[[tuple[str, ...]], str]], Iterator[str]], count: int, name: str
) -> list[str]:
    made: dict[str, None] = {}
    for text in forms(random.Random(f"{_SEED} {name}").choice):
        made.setdefault(text[0].upper() + text[1:])
        if len(made) == count:
            break
    return list(made)
