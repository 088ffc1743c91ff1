"""What states something is remembered; what only asks, greets or thanks is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_agentmem.chain.noteworthy import noteworthy

STATES = [
    "Hi, I'm Maria and I live in Lisbon.",
    "I work as a nurse at the children's hospital.",
    "My daughter Ana is five and can't have dairy.",
    "I prefer tea over coffee.",
    "I moved to Porto last week.",
    "Did I tell you that I moved to Porto?",
    "Did I tell you I moved to Porto?",
    "Do you know that my brother is a pilot?",
    "I'm vegan, what can I eat?",
    "What can I eat, given that I'm vegan?",
    "I have a deadline tomorrow, can you help?",
    "I live in Porto, don't I?",
    "I told you I'm allergic to nuts, right?",
    "Have I mentioned that I hate mushrooms?",
    "Can you help me? I lost my passport.",
    "Thanks! My flight is at nine.",
    "Hello! My name is Bob.",
    "No, I don't smoke.",
    "Yes, I have two kids.",
    "What I like most is tea.",
    "When I was young I lived in Rome.",
    "Do not call me after nine.",
    "Will be in Rome on Friday.",
    "Don't use emojis.",
    "Answer in German, please.",
    "Remind me about the dentist on Friday.",
    "Had a baby on Friday.",
    "Am vegan",
    "Allergic to nuts.",
    "My password hint is the dog.",
    "dentist friday 9am",
    "Is allergic to peanuts.",
    "Isn't it great that I got the job?",
    "You know I hate Mondays, right?",
    "Since I'm in Berlin on Friday, where should we eat?",
    "Because my car broke down, how do I get to work?",
    "As I'm diabetic, is honey okay?",
    "I can't eat gluten so what should I order?",
    "I was born in 1988. How old am I?",
    "We have a dog. Should we get a cat?",
    "Why do I keep forgetting? My wedding anniversary is May 12.",
    "Can you believe I turned forty?",
    "Did you know I play the violin?",
    "Did you know my sister lives in Oslo?",
    "Please call me Max.",
    "Ich wohne in Köln.",
    "Ich bin Veganer, was kann ich essen?",
    "Vivo en Madrid.",
    "J'habite à Lyon.",
    "我住在北京。",
    "子供が二人います。",
    "Good news: I got the job!",
    "Thanks for the tip, I bought the bike.",
    "What a day, I lost my keys",
    "I think so, my boss agreed",
    "The meeting is at ten.",
    "The user prefers dark mode.",
    "Anna owes me 50 euros.",
    "Our office moved to Hamburg",
    "Use tabs, not spaces",
    "How I make coffee: two spoons, no sugar.",
    "What matters most to me is honesty",
    "Who I trust most is my sister",
    "I need help with my taxes",
    "I want to visit Iceland. Any tips?",
    "My kid can't have dairy, any ideas for dinner?",
    "It's my birthday today!",
    "Nice, mine is blue.",
    "ok, my code is 5512",
]
STATES_NOTHING = [
    "Where do I live?",
    "What should I avoid when cooking for my kid?",
    "What's my job?",
    "What do I like to drink in the morning?",
    "How old is Ana?",
    "What's my name?",
    "Thanks, that's all!",
    "Where does Maria live?",
    "hello",
    "Hi!",
    "thanks",
    "Thank you so much!",
    "where do i live",
    "what's my name",
    "how old is ana",
    "do i like tea",
    "can you help me",
    "Who is my manager?",
    "Any allergies?",
    "Really?",
    "ok",
    "Good morning!",
    "Yes.",
    "See you later",
    "Should I take the job, or should I stay?",
    "If I take the job, will I be happy?",
    "Do you remember where I live?",
    "Do you know my name?",
    "Tell me what I like",
    "Can you tell me when my flight is?",
    "And what about my sister?",
    "Is my flight booked?",
    "Wo wohne ich?",
    "¿Dónde vivo?",
    "Où est-ce que j'habite?",
    "我住在哪里？",
    "Was ist mein Name?",
    "Danke!",
    "Gracias",
    "Merci beaucoup!",
    "What time is it?",
    "how many kids do i have",
    "Which of my kids is older, Ana or Tom?",
    "Hey, what's my dog called?",
    "When is my birthday?",
    "Great, thanks!",
    "No problem? ",
    "So, where do I work?",
    "do you remember my birthday",
    "What did I say about tea?",
]


@pytest.mark.parametrize("text", STATES)
def test_what_states_something_is_remembered(text: str) -> None:
    assert noteworthy(text) == "episodic"


@pytest.mark.parametrize("text", STATES_NOTHING)
def test_what_only_asks_greets_or_thanks_is_not(text: str) -> None:
    assert noteworthy(text) is None


@given(st.text())
def test_any_text_is_one_or_the_other(text: str) -> None:
    assert noteworthy(text) in (None, "episodic")
