"""Reasons why data can't be fetched from a server: rows of the table of reasons."""

from typing import Final

from domaintraining.api.remedy import ReasonRow

DATA_ROWS: Final[dict[str, ReasonRow]] = {
    "DatasetUnreachable": ReasonRow(
        "The server of the data can't be reached, answers with an error, or breaks off.",
        "Look at the server and at the network between it and the trainer (NetworkPolicies, CA_BUNDLE, the "
        "proxy); it is tried again by itself.",
        passes=True,
    ),
    "DatasetAddressNotAllowed": ReasonRow(
        "The server of the data has an address of the cluster, of a private network or of this machine, or "
        "it redirects elsewhere.",
        "Name a public server, or the one it redirects to, or ask the operator's owner to extend "
        "ALLOWED_DATA_HOSTS (allowed.dataHosts of the chart); the run starts by itself then.",
        stalled=True,
    ),
    "DatasetAccessDenied": ReasonRow(
        "The server of the data refuses the credentials, or asks for some.",
        "Correct the Secret that spec.dataset names, or what its user may read; it is tried again by itself, "
        "at first after 30 s, later every 30 minutes.",
        stalled=True,
    ),
    "DatasetSecretInvalid": ReasonRow(
        "The Secret that spec.dataset names does not exist, lacks a key, or holds what can't be sent.",
        "Create or correct it in the namespace of the resource; it is tried again by itself, at first after "
        "30 s, later every 30 minutes. Naming another Secret starts it at once.",
        stalled=True,
    ),
    "DatasetChecksumMismatch": ReasonRow(
        "The file that was downloaded is not the one that spec.dataset.http.sha256 names.",
        "Correct sha256 if the file was changed on purpose, or the file; no other is used.",
        stalled=True,
    ),
    "DatasetTooLarge": ReasonRow(
        "The file or the query's rows are larger than a data set may be.",
        "Use fewer or shorter samples; docs/data.md has the limits.",
        stalled=True,
    ),
    "DatasetQueryInvalid": ReasonRow(
        "The database refuses the query of spec.dataset.neo4j, or its rows are no samples.",
        "Try it with cypher-shell as the same user. It must only read and return the columns text, entities "
        "and relations.",
        stalled=True,
    ),
}
