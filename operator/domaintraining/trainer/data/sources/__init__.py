"""Sources of samples on servers, by the field of spec.dataset that names them."""

from importlib import import_module
from typing import Final

from domaintraining.api.sources import RemoteSource
from domaintraining.trainer.data.sources.source import Means, Source

SOURCES: Final = {
    "http": "http",
    "s3": "s3",
    "neo4j": "neo4j",
}
"""For each field of `RemoteSources` the module here whose `open_source(spec, means)` opens it; its libraries
are loaded where they are needed."""


def open_source(name: str, spec: RemoteSource, means: Means) -> Source:
    """The source that a field names.

    Args:
        name: of the field.
        spec: what stands in it.
        means: what it works with.
    """
    source: Source = import_module(f"{__name__}.{SOURCES[name]}").open_source(spec, means)
    return source
