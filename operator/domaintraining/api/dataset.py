"""The part of the spec that says where the labelled samples are."""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from domaintraining.api.base import ApiModel
from domaintraining.api.rules import CONFIG_KEY, INNER_PATH, ObjectName, checked, matching, rule, rules
from domaintraining.api.sample import Sample
from domaintraining.api.sources import SOURCE_NAMES, RemoteSources

ConfigKey = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253, pattern=CONFIG_KEY),
    checked(matching(CONFIG_KEY, "must be a key of a ConfigMap: letters, digits, '-', '_' and '.', no path")),
]
InnerPath = Annotated[
    str,
    StringConstraints(min_length=1, max_length=512, pattern=INNER_PATH),
    checked(
        matching(
            INNER_PATH,
            "must be a path inside of the volume, such as exports/samples.jsonl: "
            "no '/' at an end, no '.' or '..' as a part",
        )
    ),
]


class ConfigMapSource(ApiModel):
    """Samples in a ConfigMap of the same namespace."""

    name: ObjectName
    """Name of the ConfigMap."""
    key: ConfigKey
    """Key whose value is the file of samples."""


class ClaimSource(ApiModel):
    """Samples in a file of a volume, whose claim is in the same namespace; it is mounted read-only."""

    claim_name: ObjectName
    """Name of the PersistentVolumeClaim."""
    path: InnerPath
    """Path of the file in the volume."""


class Split(ApiModel):
    """How samples are divided; what test and validation leave is for training."""

    test_percent: Annotated[int, Field(ge=0, le=80)] = 25
    """Held-out part, which takes part in no choice; at most 500 documents, none below 10."""
    validation_percent: Annotated[int, Field(ge=5, le=80)] = 50
    """Part by which candidates are chosen."""
    seed: Annotated[int, Field(ge=0, le=2_147_483_647)] = 9
    """Seed of the order in which samples are dealt."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "self.testPercent + self.validationPercent <= 95",
                "testPercent + validationPercent must leave at least 5 percent for training",
            )
        )
    }


class Augment(ApiModel):
    """Rewordings of the train samples by the same model, for training only; each costs one call."""

    factor: Annotated[int, Field(ge=1, le=4)] = 1
    """Rewordings asked for each train sample; at most 500 in all."""
    method: Literal["paraphrase"] = "paraphrase"
    """How they are made: the text in other words, with every labelled name to the letter."""


SOURCES: Final = ("inline", "configMap", "persistentVolumeClaim", *SOURCE_NAMES)


class Dataset(RemoteSources):
    """Where the labelled samples are; exactly one source."""

    inline: Annotated[list[Sample], Field(min_length=1, max_length=1000)] | None = None
    """The samples themselves."""
    config_map: ConfigMapSource | None = None
    """Samples in a ConfigMap."""
    persistent_volume_claim: ClaimSource | None = None
    """Samples in a file of a volume."""
    format: Literal["auto", "jsonl", "json", "csv"] = "auto"
    """Format of the file, also of one packed with gzip; auto goes by name and content."""
    split: Split = Split()
    """Sizes of the held-out and the validation part."""
    augment: Augment | None = None
    """Rewordings of the train samples as further ones; absent: none."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                f"[{', '.join(f'has(self.{name})' for name in SOURCES)}].filter(given, given).size() == 1",
                f"exactly one of {', '.join(SOURCES)} is required",
            )
        )
    }
