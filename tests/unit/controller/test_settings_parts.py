"""The operator's further settings: servers, resources, authorities, proxies, networks."""

from pathlib import Path

import pytest

from domaintraining.api.job import Resources
from domaintraining.controller.settings import ServerLimits, Settings, SettingsError
from domaintraining.proxy import Proxy
from tests.unit.authority import AUTHORITY

IMAGE = {"TRAINER_IMAGE": "registry.example/domaintraining:1"}


def settings(**environ: str) -> Settings:
    return Settings.read(IMAGE | environ)


def fault(**environ: str) -> str:
    """What is said of wrong settings."""
    with pytest.raises(SettingsError) as error:
        settings(**environ)
    return str(error.value)


def test_a_plain_cluster_needs_none_of_them() -> None:
    """The defaults: two trainings on a server, no registry host, policies on, no proxy."""
    given = settings()
    assert (given.model_servers, given.trainings_per_server, given.allowed_registries) == ((), 2, ())
    assert (given.allowed_tolerations, given.trainer_resources) == (("*",), Resources())
    assert (given.image_pull_secrets, given.ca_bundle, given.proxy) == ((), "", Proxy())
    assert (given.network_policies, given.api_server_cidrs, given.health_port) == (True, (), 8080)


def test_servers_have_numbers_of_their_own() -> None:
    """The default server may be among them; what its entry doesn't say stays as it is elsewhere."""
    given = settings(
        OLLAMA_NUM_PARALLEL="4",
        TRAININGS_PER_SERVER="3",
        MODEL_SERVERS='[{"endpoint": "http://gpu:1/", "requests": 16, "trainings": 9},'
        ' {"endpoint": "http://ollama.ollama:11434", "trainings": 1}]',
    )
    assert given.model_servers[0] == ServerLimits("http://gpu:1", 16, 9)
    assert given.endpoint_allowed("http://gpu:1")
    assert [given.permits("http://gpu:1", wanted) for wanted in (None, 2, 64)] == [16, 2, 16]
    assert given.permits(given.ollama_base_url, None) == 4
    servers = ("http://gpu:1", given.ollama_base_url, "http://other:1")
    assert [given.trainings(url) for url in servers] == [9, 1, 3]


def test_the_entry_of_the_default_server_wins_over_the_older_variable() -> None:
    """MODEL_SERVERS is the more precise one."""
    entry = '[{"endpoint": "http://ollama.ollama:11434", "requests": 8}]'
    given = settings(OLLAMA_NUM_PARALLEL="4", MODEL_SERVERS=entry)
    assert given.permits(given.ollama_base_url, None) == 8


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "MODEL_SERVERS is not JSON"),
        ("{}", "MODEL_SERVERS: must be a JSON list"),
        ("[1]", "entry 1: must be an object"),
        ('[{"endpoint": 1}]', "entry 1: must be an object"),
        ('[{"endpoint": "http://a:1", "slots": 1}]', "entry 1: unknown key 'slots'"),
        ('[{"endpoint": "http://a:1"}, {"endpoint": "http://*:1"}]', "entry 2: endpoint must be a URL"),
        ('[{"endpoint": "http://a:1", "requests": 65}]', "entry 1: requests must be a number from 1 to 64"),
        ('[{"endpoint": "http://a:1", "requests": true}]', "entry 1: requests must be a number"),
        ('[{"endpoint": "http://a:1", "trainings": 0}]', "trainings must be a number from 1 to 1000"),
        ('[{"endpoint": "http://a:1"}, {"endpoint": "http://A:1/"}]', "entry 2: http://A:1 is named twice"),
        ("[" * 100_000, "MODEL_SERVERS"),
    ],
)
def test_a_wrong_server_is_named(text: str, said: str) -> None:
    """By variable, entry and fault."""
    assert said in fault(MODEL_SERVERS=text)


def test_resources_are_those_of_a_container() -> None:
    """Amounts stay as they are written."""
    given = settings(
        TRAINER_RESOURCES='{"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"cpu": "1500m"}}'
    )
    assert given.trainer_resources.requests == {"cpu": 1, "memory": "1Gi"}
    assert given.trainer_resources.limits == {"cpu": "1500m"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "TRAINER_RESOURCES: must be a JSON object"),
        ('{"claims": []}', "TRAINER_RESOURCES: must be a JSON object"),
        ('{"limits": []}', "limits must be an object"),
        ('{"limits": {"ram": "1Gi"}}', "limits: 'ram' is no resource"),
        ('{"limits": {"memory": "1GB"}}', "limits.memory must be an amount"),
        ('{"limits": {"memory": -1}}', "limits.memory must be an amount"),
        ('{"limits": {"memory": true}}', "limits.memory must be an amount"),
        ('{"requests": {"memory": "1Gi"}, "limits": {"memory": "1G"}}', "requests.memory exceeds limits"),
        ('{"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}}', "requests.cpu exceeds limits.cpu"),
    ],
)
def test_wrong_resources_are_named(text: str, said: str) -> None:
    """Before a first Job is refused for them."""
    assert said in fault(TRAINER_RESOURCES=text)


def test_authorities_are_read_from_their_file(tmp_path: Path) -> None:
    """The text itself is kept: it goes into the ConfigMaps of runs."""
    file = tmp_path / "ca.crt"
    file.write_text(f"# of the company\n{AUTHORITY}\n{AUTHORITY}", encoding="ascii")
    assert settings(CA_BUNDLE=str(file)).ca_bundle.count("BEGIN CERTIFICATE") == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        ("", "holds no certificates in PEM"),
        ("hello", "holds no certificates in PEM"),
        (AUTHORITY[:200], "holds no certificates in PEM, or a damaged one"),
        (f"{AUTHORITY}-----BEGIN PRIVATE KEY-----\n", "holds a private key"),
        (" " * 600_000 + AUTHORITY, "has more than 524288 bytes"),
    ],
)
def test_a_wrong_bundle_is_named(tmp_path: Path, content: str | None, said: str) -> None:
    """By variable, path and fault; a key would be shown to every namespace."""
    file = tmp_path / "ca.crt"
    if content is not None:
        file.write_text(content, encoding="ascii")
    assert f"CA_BUNDLE: {file}: {said}" in fault(CA_BUNDLE=str(file))


def test_proxies_are_read_in_both_spellings() -> None:
    """As other programs do."""
    given = settings(https_proxy="http://proxy.corp:3128", NO_PROXY=".corp")
    assert given.proxy == Proxy(https="http://proxy.corp:3128", no=".corp")


def test_the_password_of_a_proxy_is_neither_taken_nor_told() -> None:
    """Everybody who sees a trainer's pod would see it."""
    said = fault(HTTP_PROXY="http://me:geheim@proxy.corp:3128")
    assert "HTTP_PROXY must be" in said
    assert "geheim" not in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRAININGS_PER_SERVER", "0"),
        ("TRAININGS_PER_SERVER", "1001"),
        ("IMAGE_PULL_SECRETS", "registry,Not_A_Name"),
        ("NETWORK_POLICIES", "perhaps"),
        ("API_SERVER_CIDRS", "10.0.0.1/8"),
        ("API_SERVER_CIDRS", "kubernetes.default"),
        ("HEALTH_PORT", "65536"),
        ("OLLAMA_MODEL_GENERATION", "qwen3 32b"),
        ("WATCH_NAMESPACES", "team_a"),
    ],
)
def test_other_wrong_values_are_named(name: str, value: str) -> None:
    """By variable and what it must be."""
    assert f"{name} must be" in fault(**{name: value})


def test_networks_may_be_single_addresses() -> None:
    """Which stand for themselves."""
    assert settings(API_SERVER_CIDRS="10.96.0.1, fd00::/8").api_server_cidrs == ("10.96.0.1/32", "fd00::/8")


@pytest.mark.parametrize(
    "changed",
    [
        {"ALLOWED_ENDPOINTS": "http://gpu:1"},
        {"ALLOWED_PULLS": "qwen3"},
        {"ALLOWED_REGISTRIES": "hf.co"},
        {"ALLOWED_DATA_HOSTS": "minio.data.svc:9000"},
        {"ALLOWED_PRIORITY_CLASSES": "batch"},
        {"ALLOWED_NODE_LABELS": "pool=gpu"},
        {"ALLOWED_TOLERATIONS": "pool=gpu"},
        {"MODEL_SERVERS": '[{"endpoint": "http://gpu:1"}]'},
        {"TRAINER_RESOURCES": '{"limits": {"memory": "2Gi"}}'},
        {"IMAGE_PULL_SECRETS": "registry"},
        {"HTTP_PROXY": "http://proxy:3128"},
        {"NETWORK_POLICIES": "false"},
        {"API_SERVER_CIDRS": "10.0.0.1/32"},
        {"OLLAMA_NUM_PARALLEL": "4"},
    ],
)
def test_what_an_attempt_depends_on_changes_the_digest(changed: dict[str, str]) -> None:
    """What waits for a longer list or another proxy goes on when it is there."""
    assert settings(**changed).digest() != settings().digest()


@pytest.mark.parametrize(
    "name", ["TRAININGS_PER_SERVER", "HEALTH_PORT", "RESYNC_SECONDS", "CHECK_SECONDS", "WATCH_NAMESPACES"]
)
def test_what_concerns_the_controller_alone_does_not(name: str) -> None:
    """No failed attempt is repeated for it."""
    assert settings(**{name: "9"}).digest() == settings().digest()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALLOWED_ENDPOINTS", "gpu.example:11434"),
        ("ALLOWED_ENDPOINTS", "http://a:1,ftp://gpu.example"),
        ("ALLOWED_ENDPOINTS", "http://user@gpu.example"),
        ("ALLOWED_REGISTRIES", "https://hf.co"),
        ("ALLOWED_REGISTRIES", "hf.co/someone"),
        ("ALLOWED_DATA_HOSTS", "http://minio.data.svc:9000"),
        ("ALLOWED_DATA_HOSTS", "minio.data.svc:900000"),
        ("ALLOWED_DATA_HOSTS", "fd00::7"),
        ("ALLOWED_PULLS", "hf.co/"),
        ("ALLOWED_PULLS", "all models"),
        ("ALLOWED_PRIORITY_CLASSES", "Batch"),
        ("ALLOWED_NODE_LABELS", "pool"),
        ("ALLOWED_TOLERATIONS", "dedicated"),
    ],
)
def test_a_pattern_that_matches_nothing_is_named(name: str, value: str) -> None:
    """A list that allows less than it was meant to is not found out by a team."""
    said = fault(**{name: value})
    assert f"{name} must be patterns" in said
    assert repr(value.rpartition(",")[2]) in said
