"""Memories of invented users, and what they ask, made of sentences with gaps. The same ones each time."""

from __future__ import annotations

import random
import re
from itertools import product

_PEOPLE = (
    "I", "my sister Ana", "my brother Tom", "my friend Priya", "my neighbour Karl", "my boss Ingrid",
    "my cousin Leo", "my colleague Mei", "my aunt Rosa", "my son Jonas", "my daughter Nina", "my partner Sam",
    "my grandfather Otto", "my flatmate Zoe", "my teacher Mr Hale",
)  # fmt: skip
_EVERYDAY: dict[str, tuple[tuple[str, str], list[str]]] = {
    "home": (("{who} live in {what}", "Where do {who} live?"), """Lisbon|Porto|Oslo|Kyoto|Nairobi|Toronto|
        Krakow|a village near Lyon|a flat by the harbour|Melbourne|Montevideo|Tallinn|a farm in Devon|Seoul""".split("|")),
    "job": (("{who} work as {what}", "What is the job of {who}?"), """a nurse|a tax lawyer|a bus driver|
        a baker|a geologist|a piano tuner|an air traffic controller|a carpenter|a vet|a translator|a chemist|
        a primary school teacher|a data engineer|a firefighter""".split("|")),
    "food": (("{who} love to eat {what}", "What food do {who} like?"), """sushi|lasagne|dark chocolate|ramen|
        dumplings|grilled sardines|mango|spicy curry|rye bread|goat cheese|pancakes|olives|tacos|borscht""".split("|")),
    "health": (("{who} am allergic to {what}", "What are {who} allergic to?"), """peanuts|penicillin|cats|
        birch pollen|shellfish|latex|wasp stings|gluten|strawberries|dust mites|soy|aspirin|kiwi|nickel""".split("|")),
    "pet": (("{who} have {what}", "Which pet do {who} have?"), """a dog named Biscuit|two goldfish|
        a grey parrot|a tortoise|a black cat called Ink|three hens|a hamster|a rabbit|an old horse|a ferret|
        a beagle puppy|a corn snake|a canary|guinea pigs""".split("|")),
    "sport": (("{who} go {what} every week", "Which sport do {who} do?"), """swimming|climbing|rowing|running|
        fencing|surfing|skating|cycling|dancing|skiing|bowling|sailing|boxing|hiking""".split("|")),
    "music": (("{who} play {what}", "Which instrument do {who} play?"), """the violin|the drums|the cello|
        the accordion|the bass guitar|the flute|the church organ|the banjo|the trumpet|the harp|the ukulele|
        the saxophone|the piano|the clarinet""".split("|")),
    "trip": (("{who} will travel to {what} next month", "Where do {who} travel to?"), """Iceland|Morocco|Vietnam|
        Patagonia|Sicily|the Azores|Alaska|Sri Lanka|Georgia|Tasmania|Jordan|Quebec|Cuba|Mongolia""".split("|")),
    "language": (("{who} learn {what}", "Which language do {who} learn?"), """Finnish|Arabic|Korean|Welsh|
        Turkish|Swahili|sign language|Polish|Hindi|Greek|Icelandic|Mandarin|Basque|Latin""".split("|")),
    "car": (("{who} drive {what}", "Which car do {who} drive?"), """an old Volvo|a red van|an electric Mini|
        a pickup truck|a Vespa|a Tesla|a camper|a Fiat Panda|a tractor|a convertible|a hybrid Toyota|a Jeep|
        a minibus|a Land Rover""".split("|")),
    "book": (("{who} read {what} at the moment", "What do {who} read?"), """Middlemarch|a novel by Ishiguro|
        Moby Dick|a book on bees|Russian poetry|crime stories|a biography of Curie|Dune|The Hobbit|manga|
        an atlas of clouds|War and Peace|a cookbook|philosophy by Seneca""".split("|")),
    "birthday": (("the birthday of {who} is on {what}", "When is the birthday of {who}?"), """3 March|21 June|
        9 November|14 February|30 August|1 January|17 May|25 September|8 December|12 July|5 April|
        28 October|2 August|19 January""".split("|")),
    "money": (("{who} pay {what} every month", "What do {who} pay each month?"), """900 euros of rent|a student loan|
        for a gym|a mortgage|for two phones|for streaming films|into a pension|for a parking space|child support|
        for a cleaning lady|car insurance|for a garden plot|union dues|for cloud storage""".split("|")),
    "fear": (("{who} am afraid of {what}", "What are {who} afraid of?"), """heights|spiders|the dark|flying|
        dentists|thunderstorms|needles|deep water|clowns|crowds|lifts|snakes|mice|public speaking""".split("|")),
}  # fmt: skip
_WORK: dict[str, tuple[tuple[str, str], list[str]]] = {
    "database": (("the {who} service stores its data in {what}", "Where does the {who} service store its data?"),
        """Redis|Postgres|SQLite|Cassandra|MongoDB|DuckDB|S3|MySQL|ClickHouse|etcd|DynamoDB|Kafka|CouchDB|Oracle""".split("|")),
    "language": (("the {who} service is written in {what}", "In what is the {who} service written?"),
        """Rust|Python|Go|Kotlin|Erlang|TypeScript|C++|Haskell|Ruby|Zig|Scala|Perl|Swift|Elixir""".split("|")),
    "deploy": (("the {who} service is deployed {what}", "When is the {who} service deployed?"), """every Friday|
        at midnight|by hand|after each merge|twice a day|on Mondays only|by the night shift|with a feature flag|
        behind a canary|from a laptop|once a quarter|by GitHub Actions|on bare metal|to three regions""".split("|")),
    "bug": (("the {who} service fails with {what}", "How does the {who} service fail?"), """a deadlock|
        a memory leak|a stack overflow|an expired certificate|a null pointer|a race condition|a slow query|
        wrong time zones|a full disk|a DNS timeout|bad encodings|a rounding error|a broken cache|an open port""".split("|")),
}  # fmt: skip
_SERVICES = (
    "billing", "search", "login", "email", "payments", "catalogue", "invoice", "chat", "upload", "video",
    "maps", "orders", "refunds", "ads", "metrics",
)  # fmt: skip


def memories(user: str, count: int) -> list[tuple[str, str, str]]:
    """Return memories of an invented user: what each says, a question that it answers, and its topic.

    Args:
        user: `everyday`, of fourteen topics, or `developer`, of four that are alike.
        count: How many; beyond what the sentences give, with numbers at their ends.
    """
    topics, who = (_EVERYDAY, _PEOPLE) if user == "everyday" else (_WORK, _SERVICES)
    made = [
        (_sentence(said, each, what.strip()) + ".", _sentence(asked, each, ""), topic)
        for topic, ((said, asked), values) in topics.items()
        for each, what in product(who, values)
    ]
    random.Random(7).shuffle(made)
    rounds = [made] + [
        [
            (f"{said[:-1]} {_LATER[again % len(_LATER)]} {2000 + again}.", asked, topic)
            for said, asked, topic in made
        ]
        for again in range(count // len(made))
    ]
    return [one for each in rounds for one in each][:count]


_LATER = ("since", "as of spring", "according to the notes of", "again in", "until the end of")


def _sentence(pattern: str, who: str, what: str) -> str:
    sentence = pattern.format(who=who, what=what)
    if who != "I" and sentence.endswith("?"):
        sentence = sentence.replace(f"are {who}", f"is {who}").replace(f"do {who}", f"does {who}")
    elif who != "I":
        sentence = re.sub(
            rf"({who}) (\w+)", lambda found: f"{found[1]} {_THIRD.get(found[2], found[2])}", sentence
        )
    return sentence[0].upper() + sentence[1:]


_THIRD = {"am": "is", "have": "has", "go": "goes"} | {
    verb: f"{verb}s" for verb in ("live", "work", "love", "play", "learn", "drive", "read", "pay")
}
