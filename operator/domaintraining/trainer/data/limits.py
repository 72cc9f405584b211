"""How large a data set may be: the one place that says so. The README and the error messages follow it."""

from typing import Final

MEBIBYTE: Final = 2**20

MAX_SAMPLES: Final = 6000
"""Most samples with different texts: a manifest names each by its digest, within 450,000 bytes."""
MAX_LABELS: Final = 200_000
"""Most entities and relations of all samples together; each takes about 600 bytes of memory."""
MAX_FILE: Final = 64 * MEBIBYTE
"""Most bytes of a file."""
MAX_LINES: Final = 1_000_000
"""Most lines of a file, empty ones too; a packed file may have any number of those in a few bytes."""
MAX_ROW: Final = MEBIBYTE
"""Most bytes of a line of JSON lines, and most characters of an element of a JSON array."""
