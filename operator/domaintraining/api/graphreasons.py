"""Reasons of GraphSynced, and of a run that waits for the graph: rows of the table of reasons."""

from typing import Final

from domaintraining.api.remedy import ReasonRow

GRAPH_ROWS: Final[dict[str, ReasonRow]] = {
    "GraphSynced": ReasonRow(
        "The domain in the graph holds what this resource says.",
        "Use it: `MATCH (d:Domain {name: …}) RETURN d.entity_prompt, d.relation_prompt`.",
    ),
    "GraphPending": ReasonRow("What changed is being written into the graph.", "Wait a moment."),
    "GraphDisabled": ReasonRow(
        "spec.graph.enabled is false; what the graph holds stays as it is.",
        "Set spec.graph.enabled to true, or leave it out, to have the domain written.",
    ),
    "GraphNotConfigured": ReasonRow(
        "spec.graph.enabled is true, and the operator has no Neo4j. The training goes on.",
        "Ask the operator's owner to set NEO4J_URI (graph.uri of the chart), or remove spec.graph.enabled.",
    ),
    "GraphUnavailable": ReasonRow(
        "Neo4j does not answer. Trainings go on; one whose model is named by the graph waits to start.",
        "Look at Neo4j, and at the network between it and the operator. It is tried again by itself, and all "
        "that is missing is written then; spec.model.name lets a run start without it.",
        passes=True,
    ),
    "GraphRefused": ReasonRow(
        "Neo4j refuses the operator's user, its password, or a right that it needs. Trainings go on.",
        "Correct the Secret behind NEO4J_PASSWORD and restart the operator, or grant the user the "
        "rights that docs/graph.md lists. It is tried again every few minutes: Neo4j locks out who tries "
        "often.",
        passes=True,
    ),
    "GraphInvalid": ReasonRow(
        "The domain in the graph names a model in a form that no model has.",
        "Correct `llm_model` of the domain, or set spec.model.name; the run starts by itself then.",
        stalled=True,
    ),
    "DomainNotOwned": ReasonRow(
        "The domain in the graph belongs to another resource or cluster, or to nobody. It was not touched; "
        "the training goes on.",
        "Choose another spec.domain. Or have the operator's owner give a domain without owner to this "
        "namespace by GRAPH_DOMAINS (graph.domains of the chart), or set its property `owner` to "
        "NAMESPACE/NAME.",
    ),
}
