"""The part of the spec that says what the graph is to hold."""

from typing import Literal

from domaintraining.api.base import ApiModel


class GraphSpec(ApiModel):
    """The domain in Neo4j."""

    enabled: bool | None = None
    """Whether the domain is written (where the operator has a Neo4j)."""
    deletion_policy: Literal["Retain", "Delete"] = "Retain"
    """What becomes of domain and logs when this resource is deleted: Delete removes them at the next
    resync."""
