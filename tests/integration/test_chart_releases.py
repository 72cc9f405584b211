"""Install, upgrade, rollback and uninstall with the real helm, on a real API server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.releases import EmptySandbox, Release
from tests.integration.rights import refused
from tests.integration.trainings import GROUP, SAMPLES, apply, condition, jobs, ready, status
from tests.integration.waiting import wait_for
from tests.sandbox.chart import CHART
from tests.sandbox.cluster import REPOSITORY
from tests.sandbox.environment import CONTROLLER, CRD, NAMESPACE, path_of_kubectl
from tests.sandbox.errors import SandboxError

Json = dict[str, Any]
OPERATOR = f"system:serviceaccount:{NAMESPACE}:{CONTROLLER}"
COLUMN = {"name": "Later", "type": "string", "jsonPath": ".status.summary.progress"}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmptySandbox]:
    """A cluster without the operator; in the end, nothing was refused to those that helm has installed."""
    running = EmptySandbox(tmp_path_factory.mktemp("chart") / "state")
    running.up(print)
    yield running
    refusals = refused(one for one in running.cluster.audited() if one["user"]["username"] == OPERATOR)
    running.down()
    assert refusals == []


@pytest.fixture
def release(sandbox: EmptySandbox) -> Iterator[Release]:
    """A release that is to be installed; afterwards there is none, no CRD and no training."""
    one = Release(sandbox)
    yield one
    one.clean()


@pytest.fixture
def later_chart(tmp_path: Path) -> Path:
    """A copy of the chart as a later version: one more column in the CRD."""
    chart = tmp_path / "domaintraining"
    shutil.copytree(CHART, chart)
    file = chart / "files" / "crd.yaml"
    crd = yaml.safe_load(file.read_text(encoding="utf-8"))
    crd["spec"]["versions"][0]["additionalPrinterColumns"].append(COLUMN)
    file.write_text(yaml.safe_dump(crd, sort_keys=False), encoding="utf-8")
    about = (chart / "Chart.yaml").read_text(encoding="utf-8")
    (chart / "Chart.yaml").write_text(about.replace("version: 0.1.0", "version: 0.2.0"), encoding="utf-8")
    return chart


def columns(release: Release) -> list[str]:
    """Names of the CRD's columns."""
    crd = release.definition()
    assert crd
    return [one["name"] for one in crd["spec"]["versions"][0]["additionalPrinterColumns"]]


def resource(sandbox: EmptySandbox, space: str) -> Json:
    """The DomainTraining of a namespace."""
    return sandbox.cluster.api.get(f"{GROUP}/namespaces/{space}/domaintrainings/docs")


def look_at_all(sandbox: EmptySandbox) -> None:
    """Returns when the operator has looked at everything: at a new resource, it comes after all others."""
    sandbox.cluster.kubectl("create", "namespace", "looked-at")
    sandbox.cluster.api.create(
        "/api/v1/namespaces/looked-at/configmaps",
        {"metadata": {"name": "samples"}, "data": {"samples.jsonl": SAMPLES}},
    )
    apply(sandbox, "looked-at", suspend=True)
    wait_for("Suspended", lambda: condition(sandbox, "looked-at", "Ready")[1] == "Suspended")
    sandbox.cluster.kubectl("delete", "namespace", "looked-at")


def shell(sandbox: EmptySandbox, line: str, namespace: str) -> None:
    """Runs one command as a user with kubectl would, in a namespace."""
    folder = path_of_kubectl(sandbox.cluster)
    kubeconfig = sandbox.cluster.state / "user.kubeconfig"
    shutil.copy(sandbox.cluster.admin_kubeconfig, kubeconfig)
    home = {"HOME": str(sandbox.cluster.state)}
    environment = {**home, "PATH": f"{folder}:{os.defpath}", "KUBECONFIG": str(kubeconfig)}
    prefix = f"kubectl config set-context --current --namespace={namespace} && "
    subprocess.run(["bash", "-euc", prefix + line], cwd=REPOSITORY, env=environment, check=True, timeout=60)


def test_the_notes_lead_from_an_install_to_a_prompt(release: Release, sandbox: EmptySandbox) -> None:
    """Their commands, word for word, in a namespace that takes restricted pods only."""
    said = release.install()
    assert f"Trainings use the model qwen3:32b of {sandbox.model_server}." in said
    sandbox.cluster.kubectl("create", "namespace", "notes")
    sandbox.cluster.kubectl("label", "namespace", "notes", "pod-security.kubernetes.io/enforce=restricted")
    first, second, watch, log = re.findall(r"^  (kubectl .*)$", said, re.MULTILINE)
    assert watch == "kubectl get dt -w"
    for line in (first, second, log):
        shell(sandbox, line, "notes")
    path = f"{GROUP}/namespaces/notes/domaintrainings/tech-docs"

    def is_ready() -> bool:
        conditions = sandbox.cluster.api.get(path).get("status", {}).get("conditions", [])
        return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)

    wait_for("Ready", is_ready, seconds=240)


def test_the_clusters_roles_have_rights_on_trainings(release: Release, sandbox: EmptySandbox) -> None:
    """By aggregation: view reads, edit and admin write; the status is the operator's alone."""
    release.install()
    for role in ("view", "edit", "admin"):
        binding = [f"--clusterrole={role}", f"--user=the-{role}", "--namespace=default"]
        sandbox.cluster.kubectl("create", "rolebinding", f"the-{role}", *binding)
    wait_for("the aggregation", lambda: allowed(sandbox, "the-admin", "create"))
    wait_for("the aggregation", lambda: allowed(sandbox, "the-edit", "create"))
    wait_for("the aggregation", lambda: allowed(sandbox, "the-view", "list"))
    reading, writing = ("get", "list", "watch"), ("create", "update", "patch", "delete", "deletecollection")
    for user in ("the-edit", "the-admin"):
        assert [verb for verb in (*reading, *writing) if not allowed(sandbox, user, verb)] == []
    assert [verb for verb in (*reading, *writing) if allowed(sandbox, "the-view", verb)] == [*reading]
    users = ("the-view", "the-edit", "the-admin")
    assert [allowed(sandbox, user, "get", "status") for user in users] == [True] * 3
    assert not any(allowed(sandbox, user, verb, "status") for user in users for verb in writing)


def allowed(sandbox: EmptySandbox, user: str, verb: str, part: str = "") -> bool:
    """Whether a user may do something with DomainTrainings, or their status, in the namespace default."""
    attributes = {"namespace": "default", "group": GROUP.split("/")[2], "resource": "domaintrainings"}
    attributes |= {"verb": verb, "subresource": part}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    body = {**review, "spec": {"user": user, "resourceAttributes": attributes}}
    return bool(sandbox.cluster.api.create(path, body)["status"]["allowed"])


def test_an_upgrade_and_a_rollback_leave_trainings_alone(
    release: Release, sandbox: EmptySandbox, space: str, later_chart: Path
) -> None:
    """CRD and settings change and change back under a running training: one Job, one run, one attempt.

    Afterwards the operator writes nothing into what is finished.
    """
    release.install()
    before = columns(release)
    apply(sandbox, space, tasks=["entities"])
    wait_for("Training", lambda: condition(sandbox, space, "Ready")[1] == "Training", seconds=60)
    release.upgrade(chart=later_chart, resyncSeconds=60)
    assert columns(release) == [*before, "Later"]
    assert settings(release)["RESYNC_SECONDS"] == "60"
    run = ready(sandbox, space)["run"]
    assert (run["number"], run["attempts"], jobs(sandbox, space)) == (1, 1, ["docs-r1-a1"])
    look_at_all(sandbox)
    written = resource(sandbox, space)
    release.rollback(1)
    assert columns(release) == before
    assert settings(release)["RESYNC_SECONDS"] == "300"
    look_at_all(sandbox)
    assert resource(sandbox, space) == written


def settings(release: Release) -> dict[str, str]:
    """The variables of the controller."""
    found = release.deployment()
    assert found
    (container,) = found["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one.get("value", "") for one in container["env"]}


def test_an_uninstall_keeps_trainings_and_a_later_install_takes_them_on(
    release: Release, sandbox: EmptySandbox, space: str, later_chart: Path
) -> None:
    """The CRD, the resources and their prompts stay; nothing else does. The next one starts no run."""
    release.install()
    apply(sandbox, space, tasks=["entities"])
    served = ready(sandbox, space)["promptConfig"]["configMap"]
    look_at_all(sandbox)
    written = resource(sandbox, space)
    release.uninstall()
    assert release.deployment() is None
    assert release.cluster_roles() == set()
    prompt = f"/api/v1/namespaces/{space}/configmaps/{served}"
    assert sandbox.cluster.api.get(prompt)["data"]
    release.install(chart=later_chart)
    assert "Later" in columns(release)
    look_at_all(sandbox)
    assert resource(sandbox, space) == written


def test_without_keep_an_uninstall_removes_everything(
    release: Release, sandbox: EmptySandbox, space: str
) -> None:
    """Also where it was kept before: the upgrade says that it will be removed, and the uninstall does it."""
    release.install()
    apply(sandbox, space, suspend=True)
    wait_for("Suspended", lambda: condition(sandbox, space, "Ready")[1] == "Suspended")
    said = release.upgrade(crds={"keep": False})
    assert "`helm uninstall` deletes all DomainTrainings" in said
    release.uninstall()
    wait_for("no CRD", lambda: release.definition() is None)
    assert release.deployment() is None


def test_without_its_crd_the_chart_leaves_yours_alone(release: Release, sandbox: EmptySandbox) -> None:
    """It is not touched by install and uninstall; the notes say how to get it."""
    sandbox.cluster.define(CRD)
    written = release.definition()
    said = release.install(crds={"enabled": False})
    assert "kubectl apply --server-side -f crds/domaintrainings.yaml" in said
    release.uninstall()
    assert release.definition() == written


def test_a_crd_of_kubectl_is_taken_over_where_that_is_asked_for(
    release: Release, sandbox: EmptySandbox
) -> None:
    """Else helm says whose it is; afterwards it is upgraded like any other."""
    sandbox.cluster.kubectl("apply", "--server-side", f"--filename={CRD}")
    with pytest.raises(SandboxError, match="invalid ownership metadata"):
        release.install()
    release.install("--take-ownership")
    definition = release.definition()
    assert definition
    assert definition["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"


def test_in_a_single_namespace_it_trains_there_and_sees_nothing_else(
    release: Release, sandbox: EmptySandbox, space: str
) -> None:
    """With Roles alone; that nothing was refused to it is looked at in the end."""
    release.install(watchNamespaces=[space])
    assert release.cluster_roles() == {"domaintraining-edit", "domaintraining-view"}
    sandbox.cluster.kubectl("create", "namespace", "not-watched")
    apply(sandbox, "not-watched", suspend=True)
    apply(sandbox, space, tasks=["entities"])
    ready(sandbox, space)
    assert status(sandbox, "not-watched") == {"observedGeneration": -1}


def test_authorities_of_the_values_reach_the_controller(release: Release, sandbox: EmptySandbox) -> None:
    """It reads them at its start and ends where they are none: here it serves."""
    authority = (sandbox.cluster.state / "certificates" / "ca.crt").read_text(encoding="ascii")
    release.install(caBundle={"inline": authority})
    assert settings(release)["CA_BUNDLE"] == "/etc/domaintraining/ca/ca.crt"
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/domaintraining-ca"
    assert sandbox.cluster.api.get(path)["data"]["ca.crt"].strip() == authority.strip()
