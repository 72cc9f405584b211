"""What the chart renders, with the real helm, and what a real API server says to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from domaintraining.controller.settings import GraphSettings, ServerLimits, Settings
from tests.integration.chart_values import BAD, DIGEST, EVERYTHING, MATRIX
from tests.integration.rendered import controller_of, only, variables, with_values
from tests.integration.rights import granted
from tests.sandbox.api import ApiError
from tests.sandbox.chart import CHART, RELEASE, helm, objects, rendered
from tests.sandbox.cluster import Cluster
from tests.sandbox.errors import SandboxError

Json = dict[str, Any]
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


@pytest.fixture
def restricted(cluster: Cluster, namespace: str) -> str:
    """A namespace that lets restricted pods in only."""
    cluster.api.patch(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": RESTRICTED}})
    return namespace


@pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX)
def test_lint_has_no_warning(values: Json, tmp_path: Path) -> None:
    """With --strict a warning is an error."""
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(values), encoding="utf-8")
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART), f"--values={file}")


@pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX)
def test_the_api_server_takes_what_is_rendered(
    values: Json, cluster: Cluster, restricted: str, tmp_path: Path
) -> None:
    """Every object, strictly: no unknown field; and every pod in a namespace that is held to restricted."""
    found = with_values(tmp_path, values, namespace=restricted)
    text = yaml.safe_dump_all(found)
    options = ("--server-side", "--force-conflicts", "--validate=strict", "--dry-run=server")
    said = cluster.kubectl("apply", *options, "--filename=-", input=text)
    assert len(said.splitlines()) == len(found)
    for one in found:
        if one["kind"] == "Deployment":
            admit(cluster, restricted, one["spec"]["template"])


def admit(cluster: Cluster, namespace: str, template: Json) -> None:
    """Asks the API server for the pod of a Deployment, without effect."""
    metadata = {**template["metadata"], "name": "pod"}
    needed_first = {"serviceAccountName", "runtimeClassName"}
    spec = {name: value for name, value in template["spec"].items() if name not in needed_first}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    cluster.api.request("POST", f"/api/v1/namespaces/{namespace}/pods", pod, query={"dryRun": "All"})


def test_a_pod_that_asks_for_more_would_have_been_refused(cluster: Cluster, restricted: str) -> None:
    """What makes the test above worth something."""
    template = {"metadata": {}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    with pytest.raises(ApiError, match='violates PodSecurity "restricted'):
        admit(cluster, restricted, template)


@pytest.mark.parametrize(("values", "words"), BAD.values(), ids=BAD)
def test_wrong_values_are_refused_with_the_place_and_the_reason(
    values: Json, words: str, tmp_path: Path
) -> None:
    with pytest.raises(SandboxError) as refused:
        with_values(tmp_path, values)
    assert words in str(refused.value)


@pytest.mark.parametrize("name", ["proxy with password", "bundle of a key"])
def test_what_may_be_a_secret_is_not_repeated(name: str, tmp_path: Path) -> None:
    """A refusal ends up in the logs of whatever runs helm."""
    with pytest.raises(SandboxError) as refused:
        with_values(tmp_path, BAD[name][0])
    assert not any(secret in str(refused.value) for secret in ("u:p", "MIIE"))


def test_schema_and_values_name_the_same() -> None:
    """What one has and the other lacks would be refused, or undocumented."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    schema["properties"].pop("global")  # helm's own
    assert list(differences(defaults(), schema, schema["definitions"])) == []


def differences(values: Any, schema: Json, definitions: Json, place: str = "") -> Iterator[str]:
    """Places whose names differ, or where the schema takes unknown ones."""
    schema = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    known = schema.get("properties")
    if known is None or not values:
        return
    if known.keys() != values.keys() or schema["additionalProperties"] is not False:
        yield place or "/"
    for name in known.keys() & values.keys():
        yield from differences(values[name], known[name], definitions, f"{place}/{name}")


def test_the_matrix_changes_every_value() -> None:
    """But for the certificates themselves, which exclude the name of their ConfigMap."""
    assert list(alike(defaults(), EVERYTHING)) == ["caBundle.inline"]


def alike(values: Mapping[str, Any], others: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """The names of values that others have in the same way, or not at all."""
    for name, value in values.items():
        other = others.get(name)
        if isinstance(value, dict) and value:
            yield from alike(value, other or {}, f"{before}{name}.")
        elif other is None or other == value:
            yield f"{before}{name}"


def defaults() -> Json:
    """The chart's values.yaml."""
    found: Json = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    return found


def test_every_setting_arrives_where_the_operator_reads_it(tmp_path: Path, authority: str) -> None:
    """The variables are read by the operator's own reader; each setting differs from its default."""
    given = variables(with_values(tmp_path, EVERYTHING))
    assert given["CA_BUNDLE"] == "/etc/domaintraining/ca/bundle.pem"
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(authority, encoding="ascii")
    settings = Settings.read({**given, "CA_BUNDLE": str(bundle)})
    assert settings.trainer_image == f"registry.example.com:5000/extraction/operators/trainer@{DIGEST}"
    assert (settings.model, settings.ollama_base_url) == (EVERYTHING["model"]["name"], "https://ollama.gpu")
    assert (settings.num_parallel, settings.auto, settings.verbose) == (8, "adaptive", True)
    assert settings.model_servers == (ServerLimits("http://ollama.gpu:11434", 4, 3),)
    allowed = EVERYTHING["allowed"]
    assert settings.allowed_endpoints == tuple(allowed["endpoints"])
    assert settings.allowed_pulls == tuple(allowed["pulls"])
    assert settings.allowed_registries == tuple(allowed["registries"])
    assert settings.allowed_data_hosts == tuple(allowed["dataHosts"])
    assert settings.allowed_priority_classes == tuple(allowed["priorityClasses"])
    assert settings.allowed_node_labels == tuple(allowed["nodeLabels"])
    assert settings.allowed_tolerations == tuple(allowed["tolerations"])
    assert settings.trainer_resources.model_dump(mode="json") == EVERYTHING["trainer"]["resources"]
    assert settings.image_pull_secrets == ("first", "second")
    assert settings.namespaces == ("default", "kube-public")
    assert settings.ca_bundle == authority
    proxy = EVERYTHING["proxy"]
    assert (settings.proxy.http, settings.proxy.https, settings.proxy.no) == tuple(proxy.values())
    assert (settings.network_policies, settings.trainings_per_server) == (False, 5)
    assert settings.api_server_cidrs == ("10.0.0.1/32", "fd00::/64")
    assert (settings.resync_seconds, settings.outage_seconds, settings.health_port) == (60, 1200, 9090)
    assert settings.check_seconds == 3600
    graph = EVERYTHING["graph"]
    assert settings.graph == GraphSettings(
        uri=graph["uri"],
        user="operator",
        database="knowledge",
        cluster="east",
        domains=tuple(graph["domains"]),
    )
    assert not unchanged(settings)


def test_the_password_of_the_graph_comes_from_a_secret(tmp_path: Path) -> None:
    """Of the values, or of the trial server; without a graph there is no variable of it."""
    secrets = {"everything": ("graph", "secret"), "trial": ("neo4j", "password"), "defaults": None}
    for name, secret in secrets.items():
        env = controller_of(with_values(tmp_path, MATRIX[name]))["env"]
        found = [one["valueFrom"]["secretKeyRef"] for one in env if one["name"] == "NEO4J_PASSWORD"]
        assert found == ([{"name": secret[0], "key": secret[1]}] if secret else []), name
        assert any(one["name"] == "NEO4J_URI" for one in env) is bool(secret)
    trial = variables(with_values(tmp_path, MATRIX["trial"], namespace="trial"))
    assert trial["NEO4J_URI"] == "bolt://neo4j.trial:7687"


def unchanged(settings: Settings) -> set[str]:
    """The names of settings that have their default."""
    others = vars(Settings(trainer_image=""))
    return {name for name, value in vars(settings).items() if value == others[name]}


@pytest.fixture
def authority(cluster: Cluster) -> str:
    """The certificate of an authority, in PEM."""
    return (cluster.state / "certificates" / "ca.crt").read_text(encoding="ascii")


def test_amounts_in_bytes_are_taken_and_given_on_to_the_letter(tmp_path: Path) -> None:
    """YAML has them as numbers, and helm large numbers as powers of ten."""
    limits = {"memory": 268435456, "cpu": 1, "nvidia.com/gpu": 2}
    every: Json = {"resources": {"limits": limits}}
    values = every | {"trainer": every, "ollama": every | {"enabled": True}}
    values |= {"neo4j": every | {"enabled": True, "existingSecret": "neo4j"}}
    found = with_values(tmp_path, values)
    assert controller_of(found)["resources"]["limits"] == limits
    assert json.loads(variables(found)["TRAINER_RESOURCES"])["limits"] == limits
    assert yaml.safe_dump_all(found).count("memory: 268435456\n") == 3


def test_lists_that_are_empty_allow_nothing(tmp_path: Path) -> None:
    """Not set would mean everything."""
    given = Settings.read(variables(with_values(tmp_path, MATRIX["nothing allowed"])))
    assert (given.allowed_pulls, given.allowed_node_labels, given.allowed_tolerations) == ((), (), ())


def test_a_trial_uses_its_own_model_server(tmp_path: Path) -> None:
    """The Service of that name in the release's namespace, with its number of calls at once."""
    found = with_values(tmp_path, MATRIX["trial"], namespace="trial")
    given = Settings.read(variables(found))
    assert (given.ollama_base_url, given.num_parallel) == ("http://ollama.trial:11434", 4)
    service = only(found, "Service", "ollama")
    assert service["metadata"]["namespace"] == "trial"
    assert service["spec"]["ports"][0]["port"] == 11434
    labels = only(found, "Deployment", "ollama")["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()


def test_a_named_model_server_is_used_also_beside_a_trials(tmp_path: Path) -> None:
    values = {"ollama": {"enabled": True}, "model": {"endpoint": "http://ollama.gpu:11434"}}
    given = Settings.read(variables(with_values(tmp_path, values)))
    assert (given.ollama_base_url, given.num_parallel) == ("http://ollama.gpu:11434", None)


def test_digests_take_the_place_of_tags(tmp_path: Path) -> None:
    found = with_values(tmp_path, MATRIX["digests"])
    assert controller_of(found)["image"] == f"domaintraining-controller@{DIGEST}"
    assert variables(found)["TRAINER_IMAGE"] == f"domaintraining-trainer@{DIGEST}"


def test_a_changed_bundle_restarts_the_controller(tmp_path: Path) -> None:
    """It is read at the start alone: the pod's template changes with it."""
    values = MATRIX["authorities inline"]
    other = {"caBundle": {"inline": values["caBundle"]["inline"].replace("MIIB", "MIIC")}}
    first, second = (
        only(with_values(tmp_path, one), "Deployment")["spec"]["template"] for one in (values, other)
    )
    assert first["spec"] == second["spec"]
    assert first != second


def test_two_releases_do_not_share_a_name() -> None:
    """Each in its namespace, with cluster-wide objects of its own."""
    names = [
        {
            (one["kind"], one["metadata"]["name"])
            for one in objects(rendered("--set=crds.enabled=false", release=one))
        }
        for one in ("blue", "green")
    ]
    assert names[0] & names[1] == set()


def test_in_single_namespaces_there_are_no_rights_elsewhere(tmp_path: Path) -> None:
    """But for one: the API server's own EndpointSlice is in the namespace default."""
    found = with_values(tmp_path, MATRIX["one namespace"])
    roles = {one["metadata"]["namespace"]: one["rules"] for one in found if one["kind"] == "Role"}
    assert set(roles) == {"default", "kube-public"}
    assert [rule["resources"] for rule in roles["default"]] == [["endpointslices"]]
    assert sorted(one["metadata"]["name"] for one in found if one["kind"] == "ClusterRole") == [
        "domaintraining-edit",
        "domaintraining-view",
    ]
    everywhere = only(with_values(tmp_path, {}), "ClusterRole")["rules"]
    assert granted([*roles["default"], *roles["kube-public"]]) == granted(everywhere)


def test_the_release_of_the_tests_is_the_one_of_the_manifest() -> None:
    """Names that users see are made from it."""
    assert RELEASE == CHART.name == "domaintraining"
