"""Embeddings as an answer like any other: asked through the same seam, kept in the same journal.

https://github.com/ollama/ollama/blob/main/docs/api.md#generate-embeddings
"""

import base64
import binascii
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from domaintraining.trainer.calls.reply import CallFailed, ChatAnswer, counted

EMBEDDING: Final = "embedding"
"""done_reason of such an answer, where one of /api/chat says `stop` or `length`."""
MOST_VALUES: Final = 16_384
"""Longest vector that is taken; the longest of Ollama's library have 4,096 values."""
MOST: Final = sys.float_info.max
BATCH: Final = 32
"""Texts in one call: with vectors of 4,096 values a reply stays below 4 MB."""
REQUESTS: Final = 2
"""In flight at once where nobody knows how many the server serves."""

Vectors = NDArray[np.float32]
"""One row for each text, of length 1."""


Expect = Callable[[Iterable[Mapping[str, Any]]], None]
"""Told all bodies before the first one is asked."""


def ask_embeddings(
    chat: Callable[[Mapping[str, Any]], ChatAnswer], expect: Expect, model: str, texts: Sequence[str]
) -> Iterator[Vectors]:
    """The vectors of texts in their order, some at a time.

    Args:
        chat: answers a body of /api/embed.
        expect: told what is going to be asked.
        model: makes the embeddings.
        texts: none of them empty.

    Raises:
        ValueError: the journal holds something else under such a call.
    """
    batches = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
    bodies = [embed_body(model, batch) for batch in batches]
    expect(bodies)
    for batch, body in zip(batches, bodies, strict=True):
        yield vectors_of(chat(body), len(batch))


def embed_body(model: str, texts: Sequence[str]) -> dict[str, Any]:
    """The body of /api/embed for some texts (at least one, none of them empty).

    No option is sent: num_ctx and keep_alive of the spec are the other model's.
    """
    return {"model": model, "input": list(texts)}


def is_embedding(body: Mapping[str, Any]) -> bool:
    """Whether a body is one of /api/embed."""
    return "input" in body


def read_embeddings(texts: int, values: Mapping[str, Any]) -> ChatAnswer:
    """The answer in what /api/embed replies with 200: its content is the vectors, see `vectors_of`.

    Args:
        texts: how many were asked for.
        values: the reply.

    Raises:
        CallFailed: it does not hold so many vectors of one length.
    """
    rows = values.get("embeddings")
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise CallFailed("HTTP 200 with a reply that is not one of /api/embed")
    lengths = {len(row) for row in rows}
    if len(rows) != texts or len(lengths) != 1 or not 1 <= min(lengths) <= MOST_VALUES:
        raise CallFailed(f"HTTP 200 with other embeddings than those of {texts} texts")
    if not all(_is_number(value) for row in rows for value in row):
        raise CallFailed("HTTP 200 with embeddings that are no numbers")
    return ChatAnswer(
        content=base64.b64encode(_unit(rows).astype("<f4").tobytes()).decode(),
        done_reason=EMBEDDING,
        prompt_tokens=counted(values.get("prompt_eval_count")),
        answer_tokens=0,
        model=str(values.get("model"))[:200],
    )


def vectors_of(answer: ChatAnswer, texts: int) -> Vectors:
    """The vectors of an answer about so many texts.

    Raises:
        ValueError: it holds none of them.
    """
    try:
        flat = np.frombuffer(base64.b64decode(answer.content, validate=True), dtype="<f4")
    except (binascii.Error, ValueError) as error:
        raise ValueError("not an answer with embeddings") from error
    if answer.done_reason != EMBEDDING or not len(flat) or len(flat) % texts:
        raise ValueError(f"not an answer with embeddings of {texts} texts")
    vectors: Vectors = flat.reshape(texts, -1).astype(np.float32)
    return vectors


def _is_number(value: Any) -> bool:
    """Whether it is a number that a float holds; JSON has others."""
    return type(value) in {int, float} and -MOST <= value <= MOST


def _unit(rows: list[list[float]]) -> NDArray[np.float64]:
    """Vectors of length 1; one of nothing but zeros stays, and is near no other."""
    vectors = np.asarray(rows, dtype=np.float64)
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    scaled = vectors / np.where(largest > 0, largest, 1.0)  # the squares of large values have no end
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    unit: NDArray[np.float64] = scaled / np.where(lengths > 0, lengths, 1.0)
    return unit
