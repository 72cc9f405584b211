"""The plain prompt as programs fill it that know `str.format`: braces of its own are doubled. Pure."""

from domaintraining.api.report import PLACEHOLDER


def for_format(prompt: str) -> str:
    """A prompt whose `.format(text=…, entities=…)` gives what filling it in one pass gives.

    Args:
        prompt: the plain form, `<task>.prompt.txt`: `{text}` and `{entities}` are filled, other braces stay.
    """
    escaped, end = "", 0
    for found in PLACEHOLDER.finditer(prompt):
        escaped += _doubled(prompt[end : found.start()]) + found.group()
        end = found.end()
    return escaped + _doubled(prompt[end:])


def _doubled(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
