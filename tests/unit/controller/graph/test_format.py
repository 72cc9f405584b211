"""Prompts in the graph are filled by `str.format`, and that gives what filling in one pass gives."""

import random

import pytest

from domaintraining.controller.graph.format import for_format
from domaintraining.trainer.prompts.prompt import fill

PIECES = [
    "{text}",
    "{entities}",
    "{",
    "}",
    "{{",
    "}}",
    "{0}",
    "{a.b}",
    "{text",
    "text}",
    "{{text}}",
    "é",
    "\n",
    '{"x": 1}',
]


@pytest.mark.parametrize(
    "prompt",
    [
        "Text:\n{text}",
        'Answer {"name": …}.\nText:\n{text}\n\nEntities:\n{entities}\nAnswer:',
        "{{text}} {text} {}",
        "}{{text}{",
        "no placeholder {0!r:>{width}}",
    ],
)
def test_filled_by_format_it_is_the_prompt_filled_in_one_pass(prompt: str) -> None:
    """Whatever braces it holds, and whatever the text holds."""
    text, entities = "{entities} of {text} {{0}}", "- Loki (Software)\n- {text} (Thing)"
    assert for_format(prompt).format(text=text, entities=entities) == fill(prompt, text, entities)


def test_any_mixture_of_braces_is_kept() -> None:
    """2,000 texts of pieces that str.format reads in its own way."""
    dice = random.Random(9)
    for _ in range(2000):
        prompt = "".join(dice.choices(PIECES, k=dice.randrange(1, 12)))
        filled = for_format(prompt).format(text="a {text} b", entities="{0}")
        assert filled == fill(prompt, "a {text} b", "{0}"), prompt
