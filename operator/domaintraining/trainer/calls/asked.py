"""What a body asks the model server for: where it goes, and how its reply is read. Pure."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from domaintraining.trainer.calls.embedding import is_embedding, read_embeddings
from domaintraining.trainer.calls.reply import ChatAnswer, encode, no_quote, read_chat


class Asked(NamedTuple):
    """One call, ready to be sent."""

    path: str
    data: bytes
    quotable: Callable[[str], str]
    """Filter for the server's words."""
    read: Callable[[Mapping[str, Any]], ChatAnswer]
    """Reads what the server replies with 200."""


def asked_by(body: Mapping[str, Any]) -> Asked:
    """The call of a body of /api/chat or /api/embed.

    Raises:
        UnicodeEncodeError: it holds text that is not valid Unicode.
    """
    if is_embedding(body):
        read = partial(read_embeddings, len(body["input"]))
        return Asked("/api/embed", encode(body), no_quote(body), read)
    return Asked("/api/chat", encode(body), no_quote(body), read_chat)
