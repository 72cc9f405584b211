"""The hash of what starts a run: fixed values, and what changes it or not."""

import random
from typing import Any

import pytest

from domaintraining.api.crd import Schema, structural
from domaintraining.api.hashing import HASH_LENGTH, run_hash, what_starts_a_run
from domaintraining.api.spec import DomainTrainingSpec
from tests.unit.api.specs import SMALLEST, defaults_written_out, merged

SAMPLES: list[dict[str, Any]] = [
    {"text": "Loki stores logs.", "entities": [{"name": "Loki", "type": "Software"}]},
    {"text": "No."},
]

GOLDEN: dict[str, dict[str, Any]] = {
    "smallest": {
        "hash": "2bce752e8b33b7842e0b56624097ad53",
        "spec": {"dataset": {"configMap": {"name": "tech-docs", "key": "samples.jsonl"}}},
    },
    "every default written out": {
        "hash": "2bce752e8b33b7842e0b56624097ad53",
        "spec": {
            "tasks": ["entities", "relations"],
            "model": {
                "pullPolicy": "IfNotPresent",
                "options": {"temperature": 0.0, "maxTokens": 2048, "think": "Disabled"},
            },
            "optimizer": {
                "bootstrappedDemos": 3,
                "labeledDemos": 2,
                "metricThreshold": 1.0,
                "minibatchSize": 10,
                "chainOfThought": True,
                "seed": 9,
            },
            "metric": {"matching": "normalized"},
            "job": {"backoffLimit": 3, "ttlSecondsAfterFinished": 86400},
            "dataset": {
                "format": "auto",
                "split": {"testPercent": 25, "validationPercent": 50, "seed": 9},
                "configMap": {"name": "tech-docs", "key": "samples.jsonl"},
            },
        },
    },
    "the contract's example": {
        "hash": "4e3c0f6dc2ce3a824bf8b7449801f719",
        "spec": {
            "dataset": {"configMap": {"name": "tech-docs", "key": "samples.jsonl"}},
            "model": {"name": "qwen3:32b"},
            "auto": "light",
        },
    },
    "the same on another server": {
        "hash": "4e3c0f6dc2ce3a824bf8b7449801f719",
        "spec": {
            "dataset": {"configMap": {"name": "tech-docs", "key": "samples.jsonl"}},
            "description": "docs",
            "domain": "d",
            "model": {
                "name": "qwen3:32b",
                "endpoint": "http://gpu:11434",
                "pullPolicy": "Never",
                "maxConcurrentRequests": 4,
                "options": {"keepAlive": "1h"},
            },
            "auto": "light",
            "job": {
                "backoffLimit": 1,
                "serviceAccountName": "trainer",
                "imagePullSecrets": [{"name": "registry"}],
            },
        },
    },
    "relations only": {
        "hash": "71e6f5f55f05995373f707d87f2739cd",
        "spec": {
            "dataset": {"configMap": {"name": "tech-docs", "key": "samples.jsonl"}},
            "tasks": ["relations"],
        },
    },
    "both tasks turned round": {
        "hash": "2bce752e8b33b7842e0b56624097ad53",
        "spec": {
            "dataset": {"configMap": {"name": "tech-docs", "key": "samples.jsonl"}},
            "tasks": ["relations", "entities"],
        },
    },
    "inline samples": {
        "hash": "fdc306654b495513c878401b1d556cdc",
        "spec": {
            "dataset": {
                "inline": [
                    {"text": "Loki stores logs.", "entities": [{"name": "Loki", "type": "Software"}]},
                    {"text": "No."},
                ]
            }
        },
    },
    "umlauts": {
        "hash": "025a1fba25cc4260c9cc938643d4fa95",
        "spec": {
            "dataset": {"inline": [{"text": "Der Küstenführer, 概要", "entities": []}]},
            "types": {"entities": [{"name": "Küste", "description": "am Meer"}]},
        },
    },
    "AegisRAG's split": {
        "hash": "41e0d8d4281e5a52dba3033df026d7b5",
        "spec": {
            "dataset": {
                "configMap": {"name": "tech-docs", "key": "samples.jsonl"},
                "format": "json",
                "split": {"testPercent": 0, "validationPercent": 20},
            }
        },
    },
    "instructions only": {
        "hash": "f15037d1cae6353602ffd5a9d26585d0",
        "spec": {
            "dataset": {"configMap": {"name": "tech-docs", "key": "samples.jsonl"}},
            "instructions": {"entities": "Extract.\n", "relations": "Extract who owns what."},
            "optimizer": {"bootstrappedDemos": 0, "labeledDemos": 0},
        },
    },
    "manual": {
        "hash": "5f7d5402a51129b7ed7c9a0befd022e1",
        "spec": {
            "dataset": {"configMap": {"name": "tech-docs", "key": "samples.jsonl"}},
            "auto": "manual",
            "optimizer": {"numCandidates": 8, "numTrials": 20},
        },
    },
    "adaptive, with what a run may cost": {
        "hash": "0ff3011b169e6185286cbfeb27e051d2",
        "spec": {
            "dataset": {"configMap": {"name": "tech-docs", "key": "samples.jsonl"}},
            "auto": "adaptive",
            "budget": {"maxDuration": "2h", "maxModelCalls": 1000},
            "suspend": True,
            "job": {"journal": {"storage": "2Gi", "storageClassName": "fast"}},
        },
    },
    "data of a volume": {
        "hash": "15fda36a6072ef26dc60bacd575b69e9",
        "spec": {
            "dataset": {"persistentVolumeClaim": {"claimName": "samples", "path": "exports/docs.jsonl"}}
        },
    },
    "a model that proposes": {
        "hash": "66d6a6a304506111d560406df36977b7",
        "spec": {
            "dataset": {"configMap": {"name": "tech-docs", "key": "samples.jsonl"}},
            "model": {
                "name": "qwen3:8b",
                "promptModel": {"name": "qwen3:32b", "endpoint": "http://gpu:11434"},
            },
        },
    },
    "models compared": {
        "hash": "8ef8ab897e1e8f377fb5d51c00314d96",
        "spec": {
            "dataset": {"configMap": {"name": "tech-docs", "key": "samples.jsonl"}},
            "model": {"name": "qwen3:8b"},
            "compareWith": [{"name": "qwen3:32b", "endpoint": "http://gpu:11434"}, {"name": "gemma3:4b"}],
        },
    },
    "everything": {
        "hash": "89d0fa1bd9f8f08d27acd715f6abb449",
        "spec": {
            "dataset": {"configMap": {"name": "tech-docs", "key": "samples.jsonl"}, "split": {"seed": 1}},
            "tasks": ["entities"],
            "types": {"entities": [{"name": "A"}, {"name": "B"}]},
            "model": {
                "name": "m",
                "options": {"temperature": 0.25, "maxTokens": 512, "numCtx": 4096, "think": "High"},
            },
            "auto": "heavy",
            "optimizer": {
                "bootstrappedDemos": 1,
                "labeledDemos": 1,
                "metricThreshold": 0.5,
                "minibatchSize": 25,
                "chainOfThought": False,
                "seed": 1,
            },
            "metric": {"matching": "exact"},
        },
    },
}

CHANGES: dict[str, dict[str, Any]] = {
    "another ConfigMap": {"dataset": {"configMap": {"name": "other"}}},
    "another key": {"dataset": {"configMap": {"key": "more.jsonl"}}},
    "format of the file": {"dataset": {"format": "json"}},
    "held-out part": {"dataset": {"split": {"testPercent": 20}}},
    "validation part": {"dataset": {"split": {"validationPercent": 40}}},
    "seed of the split": {"dataset": {"split": {"seed": 10}}},
    "a rewording of each train sample": {"dataset": {"augment": {}}},
    "two rewordings": {"dataset": {"augment": {"factor": 2}}},
    "model": {"model": {"name": "qwen3:8b"}},
    "temperature": {"model": {"options": {"temperature": 0.1}}},
    "longest answer": {"model": {"options": {"maxTokens": 4096}}},
    "context window": {"model": {"options": {"numCtx": 8192}}},
    "thinking": {"model": {"options": {"think": "Enabled"}}},
    "one task": {"tasks": ["entities"]},
    "the other task": {"tasks": ["relations"]},
    "entity types": {"types": {"entities": [{"name": "Software"}]}},
    "relation types": {"types": {"relations": [{"name": "USES"}]}},
    "description of a type": {"types": {"relations": [{"name": "USES", "description": "at run time"}]}},
    "order of types": {"types": {"entities": [{"name": "A"}, {"name": "B"}]}},
    "other order of types": {"types": {"entities": [{"name": "B"}, {"name": "A"}]}},
    "mode": {"auto": "medium"},
    "mode that is often the operator's": {"auto": "light"},
    "adaptive mode": {"auto": "adaptive"},
    "numbers of one's own": {"auto": "manual", "optimizer": {"numCandidates": 4, "numTrials": 9}},
    "more candidates": {"auto": "manual", "optimizer": {"numCandidates": 5, "numTrials": 9}},
    "more trials": {"auto": "manual", "optimizer": {"numCandidates": 4, "numTrials": 10}},
    "model that proposes": {"model": {"promptModel": {"name": "qwen3:8b"}}},
    "entity instruction": {"instructions": {"entities": "Extract."}},
    "relation instruction": {"instructions": {"relations": "Extract."}},
    "bootstrapped demos": {"optimizer": {"bootstrappedDemos": 4}},
    "labeled demos": {"optimizer": {"labeledDemos": 0}},
    "threshold": {"optimizer": {"metricThreshold": 0.8}},
    "minibatch": {"optimizer": {"minibatchSize": 20}},
    "chain of thought": {"optimizer": {"chainOfThought": False}},
    "seed of the search": {"optimizer": {"seed": 10}},
    "matching": {"metric": {"matching": "exact"}},
    "matching by embeddings": {"metric": {"matching": "semantic"}},
    "how near": {"metric": {"matching": "semantic", "threshold": 0.8}},
    "models to compare with": {"compareWith": [{"name": "a"}, {"name": "b"}]},
    "in another order, which counts between equals": {"compareWith": [{"name": "b"}, {"name": "a"}]},
    "one of them": {"compareWith": [{"name": "a"}]},
    "whose embeddings": {"metric": {"matching": "semantic", "embeddingModel": "nomic-embed-text"}},
}

CHANGES_NOTHING: dict[str, dict[str, Any]] = {
    "domain": {"domain": "docs"},
    "description": {"description": "What we know"},
    "endpoint": {"model": {"endpoint": "http://ollama:11434"}},
    "pull policy": {"model": {"pullPolicy": "Never"}},
    "concurrency": {"model": {"maxConcurrentRequests": 4}},
    "keep-alive": {"model": {"options": {"keepAlive": "30m"}}},
    "all of the model that changes no answer": {
        "model": {
            "endpoint": "http://ollama:11434",
            "pullPolicy": "Always",
            "maxConcurrentRequests": 2,
            "options": {"keepAlive": "-1"},
        }
    },
    "nothing to compare with": {"compareWith": []},
    "journal of a class": {"job": {"journal": {"storage": "5Gi", "storageClassName": "fast"}}},
    "journal of a claim": {"job": {"journal": {"claimName": "answers"}}},
    "retrain": {"retrain": {"onDatasetChange": "Never", "onModelChange": "Always"}},
    "suspend": {"suspend": True},
    "budget": {"budget": {"maxDuration": "1h30m", "maxModelCalls": 100}},
    "job": {"job": {"resources": {"limits": {"memory": "4Gi"}}, "backoffLimit": 0, "podLabels": {"a": "b"}}},
    "empty objects": {"model": {"options": {}}, "types": {}, "instructions": {}, "job": {}, "metric": {}},
    "both tasks": {"tasks": ["entities", "relations"]},
    "both tasks the other way round": {"tasks": ["relations", "entities"]},
    "integers for numbers": {"model": {"options": {"temperature": 0}}, "optimizer": {"metricThreshold": 1}},
}


def hash_of(*parts: dict[str, Any]) -> str:
    return run_hash(DomainTrainingSpec.model_validate(merged(SMALLEST, *parts)))


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_values_never_change(name: str) -> None:
    """Another value here would start every user's trainings anew when they upgrade."""
    golden = GOLDEN[name]
    assert run_hash(DomainTrainingSpec.model_validate(golden["spec"])) == golden["hash"]


@pytest.mark.parametrize("change", CHANGES_NOTHING)
def test_what_changes_no_result_starts_nothing(change: str) -> None:
    assert hash_of(CHANGES_NOTHING[change]) == hash_of()


def test_every_field_that_changes_a_result_changes_the_hash_in_its_own_way() -> None:
    hashes = {hash_of(), *(hash_of(change) for change in CHANGES.values())}
    assert len(hashes) == len(CHANGES) + 1


def test_where_the_proposing_model_is_served_starts_nothing() -> None:
    """As with the model itself."""
    there = {"name": "qwen3:8b", "endpoint": "http://gpu:11434"}
    assert hash_of({"model": {"promptModel": there}}) == hash_of(
        {"model": {"promptModel": {"name": "qwen3:8b"}}}
    )


def test_where_a_compared_model_is_served_starts_nothing() -> None:
    """As with the model itself."""
    there = [{"name": "a", "endpoint": "http://gpu:11434"}, {"name": "b"}]
    assert hash_of({"compareWith": there}) == hash_of({"compareWith": [{"name": "a"}, {"name": "b"}]})


def test_each_file_of_a_volume_has_a_hash_of_its_own() -> None:
    """Claim and path are the reference."""
    claims = [("a", "x.jsonl"), ("b", "x.jsonl"), ("a", "y.jsonl")]
    specs = [
        {"dataset": {"persistentVolumeClaim": {"claimName": name, "path": path}}} for name, path in claims
    ]
    assert len({run_hash(DomainTrainingSpec.model_validate(spec)) for spec in specs}) == len(claims)


def test_inline_samples_count_by_content_and_order() -> None:
    inline = [
        {"dataset": {"inline": samples}}
        for samples in (
            SAMPLES,
            SAMPLES[::-1],
            SAMPLES[:1],
            [SAMPLES[0], {"text": "No.", "entities": []}],
            [SAMPLES[0] | {"group": "loki.md"}, SAMPLES[1]],
        )
    ]
    hashes = {run_hash(DomainTrainingSpec.model_validate(spec)) for spec in inline}
    assert len(hashes) == len(inline)


def test_hash_is_a_label_value_of_fixed_length() -> None:
    assert len(hash_of()) == HASH_LENGTH <= 63
    assert set(hash_of()) <= set("0123456789abcdef")


def test_smallest_spec_depends_on_its_data_alone() -> None:
    spec = DomainTrainingSpec.model_validate(SMALLEST)
    assert what_starts_a_run(spec) == {
        "dataset": {"configMap": {"name": "tech-docs", "key": "samples.jsonl"}}
    }


def test_order_of_keys_does_not_count() -> None:
    turned = {key: SMALLEST[key] for key in reversed(SMALLEST)} | {"auto": "light"}
    assert run_hash(DomainTrainingSpec.model_validate(turned)) == hash_of({"auto": "light"})


@pytest.mark.parametrize("seed", range(50))
def test_writing_defaults_out_never_changes_the_hash(seed: int) -> None:
    """For any spec, and any of its absent fields at their default, as a user or the API server adds them."""
    chance = random.Random(seed)
    changes = [change for change in CHANGES.values() if chance.random() < 0.3]
    spec = merged(SMALLEST, *changes)
    schema: Schema = structural(DomainTrainingSpec, defaults=True)
    some = defaults_written_out(spec, schema, lambda: chance.random() < 0.5)
    every = defaults_written_out(spec, schema, lambda: True)
    hashes = {run_hash(DomainTrainingSpec.model_validate(form)) for form in (spec, some, every)}
    assert len(hashes) == 1
