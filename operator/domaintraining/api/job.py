"""The part of the spec that is about the Job; none of it starts a new run."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from domaintraining.api.base import ApiModel
from domaintraining.api.rules import (
    LABEL_KEY,
    LABEL_VALUE,
    ObjectName,
    checked,
    matching,
    matching_keys,
    matching_values,
    rule,
    rules,
)

INT_OR_STRING: Final[dict[str, Any]] = {
    "x-kubernetes-int-or-string": True,
    "minimum": 0,
    "maxLength": 32,
    "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$",
}
Quantity = Annotated[int | str, Field(json_schema_extra=INT_OR_STRING)]
ResourceMap = Annotated[
    dict[str, Quantity],
    Field(max_length=16),
    checked(
        rule(
            "self.all(key, key in ['cpu', 'memory', 'ephemeral-storage']"
            f" || (key.contains('/') && key.matches(r'{LABEL_KEY}')))",
            "keys are cpu, memory, ephemeral-storage, or extended resources such as nvidia.com/gpu",
        ),
        rule(
            "self.all(key, type(self[key]) == int || isQuantity(string(self[key])))",
            "values are quantities such as 500m, 2 or 4Gi",
        ),
    ),
]
KEY_WORDS: Final = (
    "keys must be such as team or example.com/team: letters, digits, '-', '_' and '.', at most 63"
)
LABEL_KEYS: Final = matching_keys(LABEL_KEY, KEY_WORDS)
LabelValue = Annotated[str, StringConstraints(max_length=63, pattern=LABEL_VALUE)]
LabelMap = Annotated[dict[str, LabelValue], Field(max_length=16)]
LABEL_VALUES: Final = matching_values(
    LABEL_VALUE, "values must be letters, digits, '-', '_' and '.', with a letter or digit at both ends"
)


class Resources(ApiModel):
    """Resources of the trainer's container."""

    limits: ResourceMap | None = None
    """Most that the container may use."""
    requests: ResourceMap | None = None
    """What the scheduler sets aside."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "!has(self.limits) || !has(self.requests) || self.requests.all(key, !(key in self.limits)"
                " || !isQuantity(string(self.requests[key])) || !isQuantity(string(self.limits[key])) ||"
                " !quantity(string(self.requests[key])).isGreaterThan(quantity(string(self.limits[key]))))",
                "requests must not exceed limits",
            )
        )
    }


class Toleration(ApiModel):
    """A taint that the trainer's pod tolerates."""

    key: (
        Annotated[
            str,
            StringConstraints(max_length=317, pattern=LABEL_KEY),
            checked(matching(LABEL_KEY, "must be a key such as dedicated or example.com/dedicated")),
        ]
        | None
    ) = None
    """Key of the taint (every key, with operator Exists)."""
    operator: Literal["Exists", "Equal"] = "Equal"
    """How key and value are compared."""
    value: LabelValue | None = None
    """Value of the taint."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect to tolerate (every effect)."""
    toleration_seconds: Annotated[int, Field(ge=0, le=2_592_000)] | None = None
    """How long a NoExecute taint is tolerated (for ever)."""

    model_config = {
        "json_schema_extra": rules(
            rule("self.operator == 'Equal' || !has(self.value)", "leave value out with operator Exists"),
            rule("self.operator == 'Exists' || has(self.key)", "key is required, but with operator Exists"),
            rule(
                "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
                "tolerationSeconds needs effect NoExecute",
            ),
        )
    }


class Journal(ApiModel):
    """Where every answer of the model is kept, so that a lost pod repeats none."""

    storage: Annotated[
        Quantity,
        Field(
            json_schema_extra=INT_OR_STRING
            | rules(
                rule(
                    "isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('1Mi')) >= 0",
                    "must be a size of at least 1Mi, such as 1Gi",
                )
            )
        ),
    ] = "1Gi"
    """Size of the volume; a claim that exists keeps the size it has."""
    storage_class_name: ObjectName | None = None
    """Storage class of a claim `<name>-journal`, which the runs of this resource share (none: the journal
    lives as long as the pod)."""
    claim_name: ObjectName | None = None
    """A claim that exists, for all who name it: runs with the same model share their answers."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "!has(self.storageClassName) || !has(self.claimName)",
                "storageClassName makes a claim and claimName uses one that exists: leave one of them out",
            )
        )
    }


class LocalSecret(ApiModel):
    """A Secret in the same namespace."""

    name: ObjectName
    """Name of the Secret."""


NOT_OURS: Final = rule(
    "self.all(key, !key.contains('k8s.io/') && !key.contains('kubernetes.io/')"
    " && !key.startsWith('training.aegisrag.io/') && key != 'job-name' && key != 'controller-uid')",
    "keys of kubernetes.io, k8s.io and training.aegisrag.io are set by the system; use keys of your own",
)


class Job(ApiModel):
    """The Job that trains. None of these fields starts a new run."""

    resources: Resources = Resources()
    """Resources of the container."""
    node_selector: Annotated[LabelMap, checked(LABEL_KEYS, LABEL_VALUES)] = {}
    """Labels of the node; node pools as the operator's list allows."""
    tolerations: Annotated[list[Toleration], Field(max_length=16)] = []
    """Taints that the pod tolerates."""
    priority_class_name: ObjectName | None = None
    """Priority class of the pod; as the operator's list allows."""
    image_pull_secrets: Annotated[
        list[LocalSecret],
        Field(
            max_length=16,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = []
    """Secrets to pull the trainer's image with, beside those of the operator's IMAGE_PULL_SECRETS."""
    service_account_name: ObjectName | None = None
    """ServiceAccount that the trainer runs under; must exist (one of the run's own, which may write the
    run's report and nothing else)."""
    pod_labels: Annotated[LabelMap, checked(LABEL_KEYS, LABEL_VALUES, NOT_OURS)] = {}
    """Further labels of the pod."""
    pod_annotations: Annotated[
        dict[str, Annotated[str, StringConstraints(max_length=1024)]],
        Field(max_length=16),
        checked(LABEL_KEYS),
    ] = {}
    """Further annotations of the pod."""
    backoff_limit: Annotated[int, Field(ge=0, le=20)] = 3
    """How often a pod that failed is replaced within one attempt."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=31_536_000)] = 86_400
    """How long a finished Job and its log are kept; at least a minute."""
    journal: Journal = Journal()
    """Where the model's answers are kept."""
