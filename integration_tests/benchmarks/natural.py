"""Made-up sentences that people could say: facts, messages that state something and ask, texts of any length.

Messages share words with facts as questions of long conversations do: three to five words of a message are
looked for, and one fact in twenty has one of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

Pick = Callable[[str], str]

_SEED = 29
_WORDS = {
    name: tuple(one.strip() for one in words.split(","))
    for name, words in {
        "who": """Ana, Tomás, Ingrid, Yusuf, Keiko, Harriet, Mila, Leo, Rosalind, Pavel, Sofia, Dmitri, Bill,
            Marguerite, Robin, Aisha, Björn, Carmen, Desmond, Elif, Fiona, Gustavo, Hanna, Ivo, Jasmin, Kwame,
            my sister, my brother, my boss, my neighbour, my dentist, my flatmate, our accountant, the intern,
            my aunt, the plumber, my tutor, our landlord, my trainer, the vet""",
        "place": """Porto, Bergen, Kyoto, Montréal, Nairobi, Ljubljana, Valparaíso, Edinburgh, Tallinn, Seville,
            Hobart, Zürich, Chicago, Galway, Hanoi, Marrakesh, Leipzig, Vancouver, the harbour, the library,
            the old mill, the airport, the stadium, the botanical garden, the university, the lake, the castle,
            the bakery, the town hall, the observatory, the riverside, the market square, the cottage""",
        "when": """on Monday, on Tuesday at ten, on the ninth of June, next Wednesday, in early March, tomorrow,
            on Thursday afternoon, in a fortnight, on Friday at noon, at the end of August, this evening,
            on the first of May, before Christmas, in October, after lunch, at dawn, over Easter, in winter""",
        "hobby": """the cello, tomatoes, motorcycles, stamps, sourdough, pottery, wristwatches, orchids, chess,
            crime novels, ginger beer, honey bees, origami, watercolours, kayaking, fencing, yoga, calligraphy,
            model railways, the accordion, beekeeping, archery, sudoku, karaoke, mushroom picking, juggling,
            rowing, knitting, astronomy, badminton, salsa, carpentry, bonsai trees, jigsaws, falconry, embroidery""",
        "thing": """budget review, dinner reservation, dental appointment, train ticket, passport, insurance,
            guitar lesson, quarterly report, parents' evening, car inspection, flat viewing, visa interview,
            blood test, board meeting, theatre performance, sofa delivery, job interview, rental agreement,
            birthday cake, tax return, wedding speech, gym membership, fishing licence, roof repair, yoga mat,
            phone contract, laptop charger, hiking boots, violin strings, garden fence, dishwasher, thesis,
            newsletter, spare key, hotel booking, library card, flu vaccination, photo album, heating bill""",
        "food": """peanuts, shellfish, blue cheese, coriander, rye bread, oat milk, dark chocolate, aubergines,
            green tea, chilli, liquorice, smoked salmon, celery, pancakes, lentil soup, raspberries, tofu, olives,
            gnocchi, pickles, walnuts, espresso, rhubarb, halloumi, mango, porridge, anchovies, pumpkin""",
        "quality": """punctual, left-handed, afraid of heights, colour-blind, a vegetarian, a night owl, retired,
            engaged, fluent in Finnish, short-sighted, a twin, new in town, on parental leave, a poor swimmer""",
        "buy": "red, second-hand, expensive, wooden, waterproof, lighter, handmade, foldable, silent, woollen",
    }.items()
}


def _facts(pick: Pick) -> Iterator[str]:
    """Yield one fact of each form, again and again."""
    while True:
        yield f"{pick('who')} moved to {pick('place')} {pick('when')}."
        yield f"{pick('who')} spends every free hour on {pick('hobby')}."
        yield f"the {pick('thing')} is due {pick('when')}."
        yield f"{pick('who')} is allergic to {pick('food')}."
        yield f"I postponed the {pick('thing')} because of {pick('hobby')}."
        yield f"{pick('who')} wants {pick('food')} for breakfast at {pick('place')}."
        yield f"I promised {pick('who')} a {pick('buy')} {pick('thing')}."
        yield f"{pick('who')} is {pick('quality')} and teaches {pick('hobby')} near {pick('place')}."
        yield f"We met {pick('who')} at {pick('place')} {pick('when')}, with {pick('food')} and {pick('food')}."
        yield f"my favourite snack is {pick('food')}, though {pick('who')} prefers {pick('food')}."
        yield f"the {pick('buy')} {pick('thing')} costs more than {pick('hobby')} lessons."
        yield f"{pick('who')} lost the {pick('thing')} somewhere around {pick('place')}."


def _messages(pick: Pick) -> Iterator[str]:
    """Yield messages that state something, and most of which ask for something else."""
    while True:
        yield f"I cancelled the {pick('thing')} today."
        yield f"{pick('who')} is coming over {pick('when')}. Can I serve {pick('food')}?"
        yield f"I am done with the {pick('thing')}. What was it that {pick('who')} wanted?"
        yield f"{pick('who')} called me from {pick('place')}, in tears."
        yield f"I have been up since four. When is the {pick('thing')}?"
        yield f"We ran out of {pick('food')} again. Does {pick('who')} eat {pick('food')}?"
        yield f"I tried {pick('hobby')} for the first time. Who could teach me?"


def facts(count: int) -> list[str]:
    """Return different facts, the same at every run."""
    return _different(_facts, count, "facts")


def messages(count: int) -> list[str]:
    """Return different messages of a user, each of which states something; the same at every run."""
    return _different(_messages, count, "messages")


def texts(count: int) -> list[str]:
    """Return texts of one to six sentences, most of them short; the same at every run."""
    lengths = random.Random(f"{_SEED} lengths")
    sentences = iter(facts(6 * count))
    return [
        " ".join(next(sentences) for _ in range(min(6, 1 + int(lengths.expovariate(0.9)))))
        for _ in range(count)
    ]


def _different(forms: Callable[[Pick], Iterator[str]], count: int, name: str) -> list[str]:
    numbers = random.Random(f"{_SEED} {name}")
    made: dict[str, None] = {}
    for text in forms(lambda kind: numbers.choice(_WORDS[kind])):
        made.setdefault(text[0].upper() + text[1:])
        if len(made) == count:
            break
    return list(made)
