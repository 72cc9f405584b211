"""The operator's rights, as the page for platform teams tells them."""

from pathlib import Path

import yaml

RULES = Path(__file__).parents[3] / "charts" / "domaintraining" / "files" / "rules.yaml"
OTHERS = {"escalate", "bind", "impersonate", "approve", "sign"}
"""Verbs that make somebody else of who has them."""
POWERS = {"secrets", "pods/exec", "pods/attach", "pods/portforward", "pods/ephemeralcontainers", "nodes"}


def test_the_operator_reads_no_secret_and_acts_as_nobody_else() -> None:
    """No Secrets, no way into pods, no nodes; no wildcard and no verb that leads past its own rights."""
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    assert rules
    for rule in rules:
        words = {word for part in ("apiGroups", "resources", "verbs") for word in rule[part]}
        assert not words & (OTHERS | POWERS | {"*"}), rule
        assert not any("serviceaccounts/token" in one for one in rule["resources"])


def test_the_operator_changes_no_resource_of_users() -> None:
    """Of DomainTrainings it writes the status alone; claims that exist are never changed."""
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    verbs: dict[str, set[str]] = {}
    for rule in rules:
        for one in rule["resources"]:
            verbs.setdefault(one, set()).update(rule["verbs"])
    assert verbs["domaintrainings"] == {"get", "list", "watch"}
    assert verbs["domaintrainings/status"] == {"patch"}
    assert verbs["persistentvolumeclaims"] == {"get", "create"}
