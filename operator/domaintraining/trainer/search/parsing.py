"""Python source parsed by one thread at a time.

CPython's parser counts its depth for all threads together and fails now and then with a SystemError where
two of them parse (https://github.com/python/cpython/issues/106905; seen with 3.11.7). DSPy reads a program's
source with it when it proposes instructions, here in the threads of two searches; it takes the error for a
program without source, and the search would go another way.
"""

import ast
import functools
import threading
from typing import Any

_TURN = threading.Lock()
_PARSE = ast.parse


@functools.wraps(_PARSE)
def _in_turn(*args: Any, **kwargs: Any) -> Any:
    with _TURN:
        return _PARSE(*args, **kwargs)


def parse_in_turn() -> None:
    """Let `ast.parse` be called by one thread at a time from now on; to be called as often as one likes."""
    ast.parse = _in_turn
