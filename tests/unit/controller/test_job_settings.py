"""What spec and operator say about a trainer's pod: the spec's word first, then the operator's."""

from dataclasses import replace
from typing import Any

import pytest

from domaintraining.api.job import Resources
from domaintraining.controller import manifests
from domaintraining.controller.cluster import CONFIG_MAP, JOB, ROLE, ROLE_BINDING, SERVICE_ACCOUNT
from domaintraining.controller.jobs import build_job
from domaintraining.controller.parts import parts_of_run
from domaintraining.controller.settings import Settings
from domaintraining.proxy import Proxy
from tests.unit.controller.test_manifests import SETTINGS, started, wanting
from tests.unit.controller.world import SPEC, WORSE, World

LIMITED = replace(SETTINGS, trainer_resources=Resources(limits={"memory": "2Gi"}))


def pod_of(settings: Settings = SETTINGS, **job: Any) -> dict[str, Any]:
    """The pod of a Job."""
    made = build_job(wanting(job=job), *started(), settings)
    pod: dict[str, Any] = made["spec"]["template"]["spec"]
    return pod


def environment(settings: Settings) -> dict[str, str]:
    """What the trainer finds in its environment."""
    return {one["name"]: one["value"] for one in pod_of(settings)["containers"][0]["env"]}


@pytest.mark.parametrize(
    ("resources", "given"),
    [
        ({}, {"limits": {"memory": "2Gi"}}),
        ({"limits": {}}, {"limits": {"memory": "2Gi"}}),
        ({"requests": {"cpu": 1}}, {"requests": {"cpu": 1}}),
        ({"limits": {"memory": "1Gi"}}, {"limits": {"memory": "1Gi"}}),
    ],
)
def test_the_operators_resources_are_for_specs_that_name_none(
    resources: dict[str, Any], given: dict[str, Any]
) -> None:
    """Never mixed: a limit of one and a request of the other could not be met."""
    assert pod_of(LIMITED, resources=resources)["containers"][0]["resources"] == given


def test_secrets_to_pull_with_are_those_of_both() -> None:
    """The spec's first, each once; none is read."""
    registries = replace(SETTINGS, image_pull_secrets=("mirror", "registry"))
    secrets = [{"name": "registry"}, {"name": "own"}]
    assert pod_of(registries, imagePullSecrets=secrets)["imagePullSecrets"] == [
        *secrets,
        {"name": "mirror"},
    ]
    assert "imagePullSecrets" not in pod_of()


def test_the_proxy_is_told_to_the_trainer() -> None:
    """With the hosts that are asked directly; nothing of it where there is none."""
    proxied = replace(SETTINGS, proxy=Proxy(https="http://proxy:3128", no=".corp"))
    given = environment(proxied)
    assert (given["HTTPS_PROXY"], given["NO_PROXY"]) == ("http://proxy:3128", ".corp")
    assert not [name for name in environment(SETTINGS) if "PROXY" in name]


def test_authorities_are_in_the_runs_config_map() -> None:
    """Which is mounted anyway; the environment names the file."""
    trusting = replace(SETTINGS, ca_bundle="-----BEGIN CERTIFICATE-----")
    assert environment(trusting)["CA_BUNDLE"] == "/etc/domaintraining/run/ca.crt"
    mounts = {one["name"]: one["mountPath"] for one in pod_of(trusting)["containers"][0]["volumeMounts"]}
    assert mounts["run"] == "/etc/domaintraining/run"
    made = manifests.build_run(wanting(), *started(), trusting.ca_bundle)
    assert made["data"]["ca.crt"] == trusting.ca_bundle
    assert "ca.crt" not in manifests.build_run(wanting(), *started())["data"]
    assert "CA_BUNDLE" not in environment(SETTINGS)


def test_a_named_account_gets_the_runs_role_and_no_other_is_made() -> None:
    """Get and patch of one report, for the account that the spec names."""
    assert pod_of(serviceAccountName="trainer")["serviceAccountName"] == "trainer"
    role, binding = manifests.rights_of(
        wanting(job={"serviceAccountName": "trainer"}), parts_of_run("docs", 1)
    )
    assert (role["kind"], binding["kind"]) == ("Role", "RoleBinding")
    assert role["rules"][0]["resourceNames"] == ["docs-r1-report"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "trainer", "namespace": "team"}]
    pod = pod_of(serviceAccountName="trainer")
    assert pod["automountServiceAccountToken"] is False


def test_a_named_account_is_asked_for_and_left_alone() -> None:
    """Without it no pod is made; the run starts when it is there, and takes its rights back at the end."""
    world = World(SPEC | {"job": {"serviceAccountName": "trainer"}})
    world.settle()
    assert world.conditions["Stalled"] == ("True", "ServiceAccountNotFound")
    assert "spec.job.serviceAccountName: ServiceAccount trainer does not exist" in world.says("Stalled")
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"namespace": "team", "name": "trainer"},
    }
    world._put(account)
    world.settle()
    assert world.names(JOB) == ["docs-r1-a1"]
    assert world.names(SERVICE_ACCOUNT) == ["trainer"]
    world.train(WORSE)
    assert (world.names(ROLE), world.names(ROLE_BINDING)) == ([], [])
    assert world.names(SERVICE_ACCOUNT) == ["trainer"]


def test_another_account_starts_no_run() -> None:
    """Nor do secrets to pull with: they are taken up by the next attempt."""
    world = World()
    world.train(WORSE)
    world.change(job={"serviceAccountName": "trainer", "imagePullSecrets": [{"name": "registry"}]})
    world.settle()
    assert world.names(JOB) == ["docs-r1-a1"]


def test_authorities_reach_a_runs_config_map_when_it_starts() -> None:
    """From the operator's settings of that moment."""
    world = World()
    world.controller.settings = replace(world.settings, ca_bundle="-----BEGIN CERTIFICATE-----")
    world.settle()
    assert world.get(CONFIG_MAP, "docs-r1")["data"]["ca.crt"].startswith("-----BEGIN")
