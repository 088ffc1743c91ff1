from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from langchain_agentmem.longterm.hits import Candidate, Hit
from langchain_agentmem.longterm.question import Question
from langchain_agentmem.longterm.ranking import rank, recency

DATA = Path(__file__).parents[1] / "data"
DAY = 86_400.0


def found(
    query: str,
    *texts: str | tuple[str, float | None],
    contexts: dict[int, str] | None = None,
    language: str = "english",
    k: int = 5,
    gated: bool = False,
    size: int | None = None,
    unread: int = 0,
) -> list[Hit]:
    """Rank texts, each with its similarity (0.4 by default), stored a day apart, oldest first."""
    pairs = [(text, 0.4) if isinstance(text, str) else text for text in texts]
    candidates = [
        Candidate(text, text, (contexts or {}).get(at, ""), similarity, at * DAY)
        for at, (text, similarity) in enumerate(pairs)
    ]
    return rank(Question(query, language), candidates, k, size=size or len(texts), unread=unread, gated=gated)


def order(query: str, *texts: str | tuple[str, float | None], **options: object) -> list[str]:
    return [str(hit.key) for hit in found(query, *texts, **options)]  # type: ignore[arg-type]


def recalled(query: str, *texts: str | tuple[str, float | None], **options: object) -> list[str]:
    return order(query, *texts, gated=True, **options)


class TestQuestions:
    def test_carry_words_and_names(self) -> None:
        question = Question("When did Caroline go hiking with Mel Brooks?")
        assert list(question.words.values()) == ["caroline", "hiking", "mel", "brooks"]
        assert question.names == {"carolin", "mel", "brook"}
        assert question.required == ["hiking"]

    def test_take_time_by_their_length_and_no_more(self) -> None:
        started = time.process_time()
        assert not Question("word " * 200_000).names
        assert time.process_time() - started < 4  # 8 s, if it took the square of it

    def test_that_are_names_alone_require_them(self) -> None:
        assert Question("Who is Jonas?").required == ["jonas"]

    def test_have_no_names_in_abbreviations_and_first_words(self) -> None:
        assert Question("Where is the TV? Pizza. I'm hungry").names == set()

    def test_have_a_bounded_number_of_words(self) -> None:
        assert len(Question(" ".join(f"word{n}" for n in range(50))).words) == Question.MAX_WORDS

    @pytest.mark.parametrize(
        ("text", "asks", "own"),
        [
            ("Where do I live?", True, True),
            ("where do i live", True, True),
            ("When did Ana move?", True, False),
            ("Suggest a dinner that fits my diet.", True, True),
            ("Tell me a joke.", False, False),
            ("I moved to Porto", False, False),
            ("Wo wohne ich?", True, True),
            ("¿Dónde vivo yo?", True, True),
        ],
    )
    def test_are_about_oneself_or_not(self, text: str, asks: bool, own: bool) -> None:
        question = Question(text)
        assert (question.asks, question.is_own) == (asks, own)

    def test_ask_for_a_name_and_a_job_in_other_words(self) -> None:
        assert Question("Who am I?").words.keys() == {"name"}
        assert "job" in Question("What does she do for a living?").words

    def test_of_a_kind_have_the_kind_as_no_word(self) -> None:
        assert "kind" not in Question("What kind of music do I like?").words
        assert "type" in Question("What's my blood type?").words


class TestOrder:
    def test_is_by_meaning_if_no_word_is_shared(self) -> None:
        assert order("Where is it warm?", ("a", 0.2), ("b", 0.5)) == ["b", "a"]

    def test_shared_words_count(self) -> None:
        texts = [("We had lunch", 0.45), ("My passport runs out in August", 0.4)]
        assert order("When does my passport run out?", *texts)[0] == texts[1][0]

    def test_rare_words_count_more_than_common_ones(self) -> None:
        texts = ["the cello", *(f"an orchestra {n}" for n in range(8))]
        assert order("cello orchestra", *texts)[0] == "the cello"

    def test_words_that_others_have_beyond_the_candidates_are_less_rare(self) -> None:
        (few,) = found("cello", "the cello", size=1000)
        (many,) = found("cello", "the cello", size=1000, unread=900)
        assert few.words > many.words

    def test_a_word_of_the_context_counts_half(self) -> None:
        texts = ["Yes, on Friday", "The concert was on Friday", "No, on Monday"]
        contexts = {0: "When is the concert?\nI forgot"}
        hits = {hit.key: hit for hit in found("Which concert?", *texts, contexts=contexts)}
        assert hits[texts[1]].words > hits[texts[0]].words > hits[texts[2]].words == 0
        assert hits[texts[0]].context == hits[texts[0]].words
        assert hits[texts[1]].context == 0

    def test_words_of_messages_after_it_count_if_they_are_candidates(self) -> None:
        question, answer = "How was\n the  trip?", "The concert was great"
        contexts = {1: "Hi\nHow was the trip?"}
        hits = {hit.key: hit for hit in found("concert", question, answer, contexts=contexts)}
        assert hits[question].words == hits[question].context > 0

    def test_what_a_named_person_said_ranks_first(self) -> None:
        texts = [("Mel: I paint", 0.5), ("Ana: I run", 0.3)]
        assert order("What does Ana like?", *texts)[0] == "Ana: I run"

    def test_what_others_said_ranks_lower_if_the_question_is_about_oneself(self) -> None:
        assert order("What do I play?", ("Mel: I play chess", 0.45), ("I play the cello", 0.4))[0] == (
            "I play the cello"
        )

    def test_a_question_ranks_lower_than_a_statement(self) -> None:
        assert order("dentist", ("Who is my dentist?", 0.45), ("My dentist is Ms. Sousa", 0.45))[0] == (
            "My dentist is Ms. Sousa"
        )
        (hit,) = found("dentist", "Look, who is this? [a photo of a dentist]")
        assert hit.asks < 0

    def test_irregular_forms_are_the_same_word(self) -> None:
        (hit,) = found("What did I buy?", "I bought a bicycle")
        assert hit.shared == ["buy"]

    def test_what_falls_far_behind_the_best_is_left_out(self) -> None:
        assert order("zebra", ("a", 0.9), ("b", 0.2)) == ["a"]

    def test_has_at_most_k(self) -> None:
        assert len(order("zebra", *(f"text {n}" for n in range(9)), k=3)) == 3
        assert found("zebra") == []

    def test_case_and_letters_do_not_matter(self) -> None:
        (hit,) = found("istanbul", "İ İ İ I lived in ISTANBUL")
        assert hit.shared == ["istanbul"]


class TestWordsOfOneself:
    @pytest.mark.parametrize(
        ("query", "fact"),
        [
            ("What's my name?", "Hi, I'm Maria and I live in Lisbon."),
            ("What's my name?", "Call me Olu."),
            ("Who am I?", "I’m Fatima."),
            ("Where do I live?", "I moved to Porto last week."),
            ("What's my job?", "I'm a nurse."),
            ("What's my occupation?", "I work as a pilot."),
            ("Do I have kids?", "Our son Leo just turned three."),
            ("Am I married?", "My husband is called Lars."),
            ("What pet do I have?", "We have a cat."),
            ("What do I like to drink?", "I prefer tea."),
            ("What should I avoid?", "I don't eat pork."),
        ],
    )
    def test_state_what_is_asked(self, query: str, fact: str) -> None:
        assert recalled(query, (fact, 0.25), ("The sky was grey.", 0.2))[0] == fact

    def test_of_a_name_have_a_capital(self) -> None:
        hits = found("What's my name?", "I'm tired")
        assert hits[0].words == 0

    def test_count_half(self) -> None:
        stated, said = (found("Any kids?", text)[0].words for text in ("My daughter", "My kids"))
        assert 0 < stated < said


class TestGate:
    def test_returns_nothing_if_nothing_is_near(self) -> None:
        assert recalled("Where do I park?", ("I like tea", 0.2)) == []
        assert recalled("Where do I park?", ("I park at the station", 0.6)) == ["I park at the station"]

    def test_asks_for_more_if_the_question_is_not_about_oneself(self) -> None:
        assert recalled("Where do I keep it?", ("In the cellar", 0.5)) != []
        assert recalled("Where does one keep it?", ("In the cellar", 0.4)) == []

    def test_asks_for_more_of_a_larger_scope(self) -> None:
        near = ("In the cellar", 0.42)
        assert recalled("Where do I keep tools?", near, size=1) != []
        assert recalled("Where do I keep tools?", near, size=1_000_000) == []

    def test_asks_for_more_if_no_memory_has_the_words(self) -> None:
        assert recalled("What's my salary?", ("My wage is low", 0.25)) == []
        assert recalled("What's my wage?", ("My wage is low", 0.25)) != []

    def test_asks_for_more_of_what_others_said_if_the_question_is_about_oneself(self) -> None:
        assert recalled("Where do I park?", ("Mel: I park at the station", 0.6)) == []

    @pytest.mark.parametrize(
        "text", ["Thanks, that's all!", "Hello there!", "ok thanks", "Bye!", "Good night"]
    )
    def test_answers_no_small_talk(self, text: str) -> None:
        assert recalled(text, ("I live in Lisbon", 0.45), ("Today is a good day", 0.45)) == []

    def test_goes_by_words_in_other_languages(self) -> None:
        fact = ("Ich trinke meinen Kaffee mit Hafermilch.", 0.5)
        assert recalled("Welchen Sport mag ich?", fact, language="german") == []
        assert recalled("Wie trinke ich Kaffee?", fact, language="german") == [fact[0]]

    def test_can_be_left_open(self) -> None:
        assert order("Where do I park?", ("I like tea", 0.2)) == ["I like tea"]


class TestWordsAlone:
    def test_find_what_shares_a_word(self) -> None:
        texts = [("I like tea", None), ("The tea and the cake", None), ("Nothing of it", None)]
        hits = found("tea cake", *texts)
        assert [hit.key for hit in hits] == ["The tea and the cake", "I like tea"]
        assert [hit.similarity for hit in hits] == [None, None]

    @pytest.mark.parametrize(
        ("query", "known"),
        [
            *(("What tea do I like?", True), ("tea", True), ("Is the tea green?", True)),
            *(("The weather was fine for tea and biscuits", False), ("Thanks!", False)),
            ("How do painters mix green and yellow colours?", False),
        ],
    )
    def test_tell_whether_anything_is_known(self, query: str, known: bool) -> None:
        assert bool(recalled(query, ("I like tea", None), ("A cup of green tea", None))) is known
        assert order("The weather was fine for tea", ("I like tea", None)) == ["I like tea"]

    def test_of_the_same_come_newest_first(self) -> None:
        texts = ["I live in Lisbon", "Now I live in Porto"]
        candidates = [Candidate(text, text, "", None, n) for n, text in enumerate(texts)]
        hits = rank(Question("Where do I live?"), candidates, 5, size=2, unread=0)
        assert [hit.key for hit in hits] == texts[::-1]

    def test_cost_what_a_day_costs(self) -> None:
        candidates = [Candidate(days, "tea", "", None, -days * 86_400) for days in (3, 0, 1)]
        hits = rank(Question("tea"), candidates, 5, size=3, unread=0, recency_per_day=0.01, now=0)
        assert [hit.recency for hit in sorted(hits, key=lambda hit: hit.key)] == [0, -0.01, -0.03]

    def test_leave_the_similarity_unknown(self) -> None:
        hits = found("Where is the cello?", ("A room", 0.6), ("The cello", None))
        cello = next(hit for hit in hits if hit.key == "The cello")
        assert cello.similarity is None
        assert cello.meaning == 0.6  # no nearer than the last of the nearest


class TestNewestFirst:
    def test_among_those_that_state_the_same(self) -> None:
        texts = [("Hi, I'm Maria and I live in Lisbon.", 0.39), ("I moved to Porto last week.", 0.34)]
        assert order("Where do I live?", *texts) == [texts[1][0], texts[0][0]]

    def test_of_more_than_are_asked_for_too(self) -> None:
        texts = [(f"I weigh {84 - n} kg.", 0.6 - n / 100) for n in range(12)]
        assert order("How much do I weigh?", *texts) == [text for text, _ in texts[:-6:-1]]

    @pytest.mark.parametrize(
        ("query", "old", "new"),
        [
            ("What do I prefer to drink?", "I prefer tea over coffee.", "I prefer coffee over tea."),
            ("My number?", "My phone number is 216 555 0134.", "My phone number is 216 555 0178."),
            ("Am I allergic?", "I'm allergic to peanuts.", "The tests say I am not allergic to peanuts."),
            ("When is the deadline?", "Lyra's deadline is in May.", "The deadline was moved to mid January."),
        ],
    )
    def test_among_those_of_nearly_the_same_words(self, query: str, old: str, new: str) -> None:
        assert order(query, (old, 0.6), (new, 0.57)) == [new, old]

    @pytest.mark.parametrize(
        ("query", "old", "new"),
        [
            ("What colour is my car?", "my car is red", "i painted my car blue"),
            ("When is the release?", "release is due on friday", "release slipped to monday"),
            ("How big is the budget?", "budget is about 3000", "the budget went up to 4000"),
            ("Do I have a bike?", "I have a bike", "I sold my bike"),
            ("What laptop do I have?", "My laptop is a Dell", "I bought a Framework laptop"),
            ("When does the flight leave?", "the flight leaves at 9", "the flight is delayed to 11"),
            ("When is my exam?", "my exam is on monday", "the exam was rescheduled to tuesday"),
            ("When is my exam?", "my exam is on monday", "actually the exam starts at noon on tuesday"),
            ("What's my favourite drink?", "i like tea more than coffee", "i don't like tea any more"),
            ("What's my phone number?", "my phone number is 555 123", "sorry, it's 555 124"),
            ("Where do I live?", "I live in Cairo", "I used to live in Cairo, now it's Oslo"),
        ],
    )
    def test_among_those_of_which_the_newer_tells_a_change(self, query: str, old: str, new: str) -> None:
        assert order(query, (old, 0.7), (new, 0.5)) == [new, old]

    @pytest.mark.parametrize(
        ("query", "fact", "past"),
        [
            ("Where do I live?", "I live in Berlin.", "I used to live in Cairo."),
            ("Where do I live?", "I live in Berlin near Ana.", "I formerly lived in Cairo near Ana."),
            ("Wo wohne ich?", "Ich wohne in Berlin.", "Ich habe früher in Kairo gewohnt, neben Berlin."),
            ("¿Dónde vivo?", "Vivo en Madrid.", "Antes vivía en Sevilla."),
            ("What colour is my brother's car?", "My brother's car is red", "I painted my car blue"),
            ("What's my phone number?", "my phone number is 555 123", "sorry, it's raining"),
        ],
    )
    def test_leaves_how_it_was_and_what_changed_of_something_else(
        self, query: str, fact: str, past: str
    ) -> None:
        assert order(query, (fact, 0.46), (past, 0.4))[0] == fact

    def test_what_one_is_used_to_is_no_past(self) -> None:
        old, new = "I'm used to waking up at six on Mondays", "I'm used to waking up at nine on Mondays"
        assert order("When do I wake up?", (old, 0.6), (new, 0.57)) == [new, old]

    def test_leaves_other_facts_where_they_are(self) -> None:
        texts = [
            ("I live in Lisbon.", 0.5),
            ("My sister lives in Berlin.", 0.45),
            ("My favourite author is Le Guin.", 0.4),
            ("My favourite restaurant is the Taberna.", 0.4),
        ]
        assert order("Where do I live?", *texts)[:2] == [texts[0][0], texts[1][0]]
        assert order("What's my favourite author?", *texts)[0] == texts[2][0]

    def test_leaves_what_others_said_unless_the_words_are_nearly_the_same(self) -> None:
        lines = [("Mel: I live near the sea", 0.5), ("Mel: I moved to a farm", 0.45)]
        assert order("Where does Mel live?", *lines) == [lines[0][0], lines[1][0]]
        lines = [("Mel: My number is 216 555 0134", 0.5), ("Mel: My number is 216 555 0178", 0.5)]
        assert order("What is Mel's number?", *lines) == [lines[1][0], lines[0][0]]

    def test_takes_no_places_but_theirs(self) -> None:
        texts = [("My code is 4471 now", 0.6), ("Something far", 0.55), ("My code is 1234 now", 0.5)]
        assert order("What is my code?", *texts)[0] == "My code is 1234 now"
        assert set(order("What is my code?", *texts)) == {text for text, _ in texts}


class TestParts:
    def test_sum_to_the_total(self) -> None:
        (hit,) = found("Who plays the cello?", ("Mel: Do I play the cello?", 0.5))
        assert hit.total == pytest.approx(hit.meaning + hit.words + hit.speaker + hit.asks + hit.recency)
        assert hit.shared == ["plays", "cello"]
        assert 0 < hit.score < 1

    def test_scores_are_in_the_order_of_the_totals(self) -> None:
        hits = found("cello", ("The cello", 0.9), ("a", 0.5), ("b", 0.45))
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)

    def test_recency_adds_its_weight_and_half_of_it_after_thirty_days(self) -> None:
        question, now = Question("cello"), 100 * DAY
        candidates = [
            Candidate("old", "old", "", 0.5, now - 30 * DAY),
            Candidate("new", "new", "", 0.45, now),
        ]
        assert [hit.key for hit in rank(question, candidates, 2, size=2, unread=0, gated=False)] == [
            "old",
            "new",
        ]
        hits = rank(question, candidates, 2, size=2, unread=0, gated=False, recency_weight=0.2, now=now)
        assert [(hit.key, pytest.approx(hit.recency)) for hit in hits] == [("new", 0.2), ("old", 0.1)]
        assert recency(0.2, now + DAY, now) == 0.2  # a clock that is ahead


@pytest.mark.parametrize("language", ["german", "spanish"])
def test_words_of_a_language_find_its_facts_and_little_else(language: str) -> None:
    data = json.loads((DATA / f"recall-{language}.json").read_text("utf-8"))
    facts = [(fact, None) for fact in data["facts"]]
    for one in data["questions"]:
        expected = {data["facts"][at] for at in one["evidence"]}
        assert expected & set(order(one["question"], *facts, language=language)), one["question"]

    def noise(of: str) -> int:
        return sum(bool(order(text, *facts, language=of)) for text in data["unrelated"])

    assert noise(language) < noise("english") / 2


def test_a_number_that_is_asked_for_keeps_others_from_coming_first() -> None:
    candidates = [
        Candidate("42", "Room 42 is blue", "", 0.6, 1.0),
        Candidate("187", "Room 187 is blue now", "", 0.5, 2.0),
    ]
    hits = rank(Question("Which colour is room 42?"), candidates, 5, size=2, unread=0)
    assert [hit.key for hit in hits] == ["42", "187"]
