"""The operator's rights on a real cluster are those it uses: what helm granted beside the audit log."""

from __future__ import annotations

from typing import Any

from domaintraining.api.names import run_name
from domaintraining.api.reasons import Reason
from tests.e2e import images
from tests.e2e.product import Product
from tests.integration.rights import Right, granted, is_trainer, refused, used
from tests.integration.trainings import apply, condition, ready, status
from tests.integration.waiting import wait_for
from tests.sandbox.environment import CONTROLLER, NAMESPACE

Json = dict[str, Any]
RBAC = "/apis/rbac.authorization.k8s.io/v1"
OPERATOR = f"system:serviceaccount:{NAMESPACE}:{CONTROLLER}"
OTHERS = (CONTROLLER, "coredns")


def test_a_name_in_use_and_a_run_that_another_follows(product: Product, space: str) -> None:
    """What the other tests here don't come by: a Job of somebody else, and a spec that changes on the way."""
    jobs = f"/apis/batch/v1/namespaces/{space}/jobs"
    stranger = {"name": "main", "image": images.TRAINER, "command": ["true"]}
    template = {"spec": {"restartPolicy": "Never", "containers": [stranger]}}
    product.cluster.api.create(
        jobs, {"metadata": {"name": "docs-r1-a1"}, "spec": {"template": template, "suspend": True}}
    )
    apply(product, space, tasks=["entities"])
    wait_for("Stalled", lambda: condition(product, space, "Stalled")[1] == Reason.NAME_CONFLICT)
    product.cluster.api.delete(f"{jobs}/docs-r1-a1")
    wait_for("Training", lambda: condition(product, space, "Ready")[1] == Reason.TRAINING, 90)
    apply(product, space, tasks=["relations"])
    wait_for("run 2", lambda: status(product, space)["run"]["number"] == 2, 60)
    ready(product, space)
    first = f"/api/v1/namespaces/{space}/configmaps/{run_name('docs', 1)}"
    wait_for("run 1 is forgotten once its pod is gone", lambda: product.cluster.api.find(first) is None, 90)


def test_every_right_of_the_operator_is_used_and_none_is_missing(product: Product) -> None:
    """Over all tests before: no verb is granted in vain, nothing was refused."""
    events = [one for one in product.cluster.audited() if one["user"]["username"] == OPERATOR]
    assert refused(events) == []
    asked = {right for event in events for right in used(event)}
    allowed = granted(rules_of_the_operator(product))
    print(f"{len(events)} requests of the operator used {len(asked)} rights of {len(allowed)}")
    assert asked - allowed == set(), "granted by something else than its roles"
    assert allowed - asked == set(), "granted and of no use"


def test_no_trainer_asked_for_more_than_its_report(product: Product) -> None:
    """Each may get and patch one ConfigMap, and asked for nothing else."""
    events = [one for one in product.cluster.audited() if is_trainer(one["user"]["username"], OTHERS)]
    assert events
    assert refused(events) == []
    asked = {right for event in events for right in used(event)}
    assert asked <= {Right("", "configmaps", "get"), Right("", "configmaps", "patch")}


def rules_of_the_operator(product: Product) -> list[Json]:
    """The rules of all roles that are bound to its ServiceAccount."""
    api = product.cluster.api
    found: list[Json] = []
    for binding in api.items(f"{RBAC}/clusterrolebindings") + api.items(f"{RBAC}/rolebindings"):
        if not any(_is_operator(subject) for subject in binding.get("subjects") or []):
            continue
        kind = "clusterroles" if binding["roleRef"]["kind"] == "ClusterRole" else "roles"
        space = f"/namespaces/{binding['metadata']['namespace']}" if kind == "roles" else ""
        found += api.get(f"{RBAC}{space}/{kind}/{binding['roleRef']['name']}")["rules"]
    return found


def _is_operator(subject: Json) -> bool:
    wanted = ("ServiceAccount", CONTROLLER, NAMESPACE)
    return (subject["kind"], subject["name"], subject.get("namespace")) == wanted
