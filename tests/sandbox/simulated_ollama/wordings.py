"""Sentences that the simulated model writes instructions and observations with. Data, no logic."""

from __future__ import annotations

from typing import Final

OPENINGS: Final = {
    "entities": (
        "Read the sentence and list the named entities in it, each with a type.",
        "Find the names in the text and give each one the type it has there.",
        "Given a text, produce the entities that it names together with their types.",
        "Go through the text from left to right and note each entity with its type.",
    ),
    "relations": (
        "Read the sentence and list how the given entities relate to each other.",
        "Given a text and its entities, produce the relations between them.",
        "Decide which of the given entities are linked by the text, and by which relation.",
        "Note each link between two of the given entities with its type.",
    ),
}
# One tuple for each thing that an instruction can ask for.
QUALITIES: Final = {
    "entities": (
        (
            "Copy each name exactly as it appears in the text.",
            "Names are copied verbatim, character for character.",
        ),
        (
            "Take the full name with all its words, without an article at its start.",
            "Mark the whole phrase of a multi-word name, and leave out the article before it.",
        ),
        (
            "List every mention, and do not leave out the short ones.",
            "Be exhaustive: a name that is left out is an error.",
        ),
        (
            "Use only the listed types; what fits none of them is no entity.",
            "Each type is one of the listed ones, and no other type exists.",
        ),
        (
            "Dates, numbers with their units and amounts count as names where a type fits them.",
            "Check numbers, dates and percentages as well as proper names.",
        ),
        (
            "Decide the type by the context, that is by the role the name plays in the sentence.",
            "Look at the surrounding words before you choose a type.",
        ),
        (
            "Names may be lowercase technical terms, so do not rely on capital letters.",
            "A name that is not capitalized counts as well.",
        ),
    ),
    "relations": (
        (
            "Mind the direction: the source acts and the target is acted on.",
            "A relation points from the source to the target, so keep their order right.",
        ),
        (
            "Report only what the sentence states, and do not guess.",
            "Each relation must be supported by the text; never infer one from general knowledge.",
        ),
        (
            "Consider every pair of given entities, also those that stand far apart.",
            "Go pair by pair, and check each pair of entities once.",
        ),
        (
            "Use only the listed types of relation.",
            "Each type is one of the listed ones, and no other type exists.",
        ),
        (
            "Copy the names of source and target exactly as they are given.",
            "Source and target are copied to the letter from the given entities.",
        ),
        (
            "Let the words between two entities decide, not the entities alone.",
            "The context around two names says which relation holds.",
        ),
    ),
}
VAGUE: Final = (
    "Do your best to answer in the expected way.",
    "Think about the input and produce a helpful output.",
    "Please solve the task that the fields describe.",
    "Be brief, and keep to what matters most.",
)
PERSONAS: Final = (
    "You are an experienced annotator of text corpora.",
    "You are a careful librarian who catalogues what texts are about.",
    "You are an information extraction specialist.",
)
STAKES: Final = (
    "A rescue team waits for your answer and lives depend on it.",
    "A wrong answer would be a disaster for the hospital that relies on it.",
)
FLOURISHES: Final = (
    "Imagine that you sort seashells along a beach.",
    "Treat the sentence like a small map that you fold out.",
)
OBSERVATIONS: Final = (
    "The samples are single sentences of written prose, between ten and forty words long.",
    "Most sentences name two to five things, and each name has a short label from a closed list.",
    "The names are usually proper nouns, while some are dates, amounts or technical identifiers.",
    "The labels are few and occur again and again, so that the task looks like information extraction.",
    "Sentences are declarative, in the third person, and say something about the names in them.",
    "Names are copied from the sentence as they stand there, with their punctuation.",
    "Some sentences hold no labelled item at all, and their lists are empty.",
    "Where relations are given, they hold between names of the same sentence and have a direction.",
)
SUMMARIES: Final = (
    "The data are single sentences whose names are labelled with types of a closed list.",
    "The task behind the data is information extraction from short, declarative sentences.",
    "Names are copied from the text, and the labels depend on the role a name has in its sentence.",
)
PROGRAM: Final = (
    (
        "The program extracts structured items from one sentence with one call of a language model. "
        "It reads the text, thinks shortly, and returns a list of typed items."
    ),
    (
        "This is a pipeline of a single step that turns a text into a list of labelled items, "
        "most likely to fill a knowledge graph."
    ),
)
MODULE: Final = (
    "The module is the only step of the program; it takes the text and writes the typed items.",
    "This module asks the language model for the answer and is responsible for its form.",
)
PLAIN: Final = (
    "I am a simulated model: no language model answered this.",
    "This answer is simulated; nothing was understood.",
)
THINGS: Final = {
    "person": "people",
    "place": "places",
    "org": "organizations",
    "date": "dates and times",
    "quantity": "numbers and amounts",
    "code": "technical names and identifiers",
    "term": "terms and concepts",
    "acronym": "names in capital letters",
    "setting": "settings and their names",
    "compound": "names of parts that run by themselves",
}
