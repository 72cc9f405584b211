"""No spelling gets past the operator's lists: what they don't name is refused before any request."""

import pytest

from domaintraining.api.job import Toleration
from domaintraining.controller.settings import Settings, plain_url

IMAGE = {"TRAINER_IMAGE": "registry.example/domaintraining:1"}


def settings(**environ: str) -> Settings:
    return Settings.read(IMAGE | environ)


@pytest.mark.parametrize(
    "url",
    [
        "http://gpu.example:11434@evil.example",
        "http://user:word@gpu.example:11434",
        "http://gpu.example.:11434",
        "http://gpu.example:11434.evil.example",
        "http://gpu.example:11435",
        "http://gpu.example",
        "https://gpu.example:11434",
        "HTTP://gpu.example:11434",
        "ftp://gpu.example:11434",
        "http://gpu.example:11434/v1",
        "http://gpu.example:11434/..",
        "http://gpu.example:11434/./x",
        "http://gpu.example:11434/%2e%2e",
        "http://gpu.example:11434?x=1",
        "http://gpu.example:11434#x",
        "http://gpu.example:11434\n",
        "http://gpu.example:11434\\@evil.example",
        "http://gpu.example %09:11434",
        "http://gpü.example:11434",
        "http://\uff47pu.example:11434",
        "http://gpu\u3002example:11434",
        "http://[::ffff:10.0.0.1]:11434",
        "http://0x0a000001:11434",
        "http://evil.example/gpu.example:11434",
        "//gpu.example:11434",
        "",
    ],
)
@pytest.mark.parametrize(
    "setting",
    [
        {"ALLOWED_ENDPOINTS": "http://gpu.example:11434"},
        {"MODEL_SERVERS": '[{"endpoint": "http://gpu.example:11434"}]'},
        {"OLLAMA_BASE_URL": "http://gpu.example:11434"},
    ],
)
def test_an_endpoint_is_the_listed_one_or_refused(url: str, setting: dict[str, str]) -> None:
    """User parts, dots, ports, schemes, escapes and other alphabets lead nowhere else."""
    given = settings(**setting)
    assert given.endpoint_allowed("http://gpu.example:11434")
    assert not given.endpoint_allowed(url)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://GPU.example:11434", "http://gpu.example:11434/"),
        ("http://gpu.example:80", "http://gpu.example"),
        ("https://gpu.example:0443/", "https://gpu.example"),
        ("http://gpu.example:08080", "http://gpu.example:8080"),
        ("http://[FD00:0:0::1]:11434", "http://[fd00::1]:11434"),
    ],
)
def test_spellings_of_one_server_share_its_limits(one: str, other: str) -> None:
    """Whoever writes the URL in another way gets no calls and no place of its own."""
    assert plain_url(one) == plain_url(other)
    given = settings(MODEL_SERVERS=f'[{{"endpoint": "{one}", "requests": 3, "trainings": 5}}]')
    assert given.endpoint_allowed(other)
    assert (given.permits(other, None), given.trainings(other)) == (3, 5)


@pytest.mark.parametrize(
    ("pattern", "url", "allowed"),
    [
        ("*", "http://anything.example:1/x", True),
        ("http://*", "http://a.b.c", True),
        ("http://*", "http://a.b.c:11434", False),
        ("http://*:*", "http://a.b.c:11434", True),
        ("http://10.0.0.*:11434", "http://10.0.0.7:11434", True),
        ("http://10.0.0.*:11434", "http://10.0.0.evil.example:11434", False),
        ("http://ollama.*.svc:11434", "http://ollama.team-a.svc:11434", True),
        ("http://ollama.*.svc:11434", "http://ollama.a.evil.svc:11434", False),
        ("https://*.corp.example", "https://gpu.corp.example", True),
        ("https://*.corp.example", "https://a.gpu.corp.example", True),
        ("https://*.corp.example", "https://corp.example", False),
        ("https://*.corp.example", "https://evilcorp.example", False),
        ("https://*.corp.example", "https://gpu.corp.example:8443", False),
        ("https://gpu.example/team-*", "https://gpu.example/team-a", True),
        ("https://gpu.example/team-*", "https://gpu.example/team-a/b", False),
        ("https://gpu.example/team-*", "https://gpu.example/team-a/..", False),
    ],
)
def test_a_star_stays_in_its_part_of_the_url(pattern: str, url: str, allowed: bool) -> None:  # noqa: FBT001
    """Scheme, host, port and path are compared each for itself; only `*.` in front crosses dots."""
    assert settings(ALLOWED_ENDPOINTS=pattern).endpoint_allowed(url) is allowed


@pytest.mark.parametrize(
    "name",
    [
        "hf.co/http://evil.example/x/y",
        "http://evil.example/x/y",
        "https://models.corp/x/y",
        "models.corp/x/../y",
        "models.corp/../y",
        "models.corp/x/y/z",
        "models.corp//y",
        "models.corp/y",
        "models.corp./x/y",
        "models.corp:8443/x/y",
        "evil.example/x/y",
        "intranet/x/y",
        "evil.example:models.corp/x/y",
        "user@models.corp/x/y",
        "../models.corp/x/y",
        "models.corp/x/y:a/b",
        "möbel/x/y",
        "",
    ],
)
def test_a_model_names_an_allowed_registry_or_none(name: str) -> None:
    """Names that could be read in two ways are refused: Ollama looks for the host from the other end."""
    given = settings(ALLOWED_REGISTRIES="models.corp,hf.co")
    assert not given.registry_allowed(name)
    assert not given.pull_allowed(name)


@pytest.mark.parametrize(
    ("pulls", "name", "pulled"),
    [
        ("*", "models.corp/x/y", True),
        ("*", "MODELS.corp/x/y:8b", True),
        ("*", "qwen3", True),
        ("", "models.corp/x/y", False),
        ("qwen3", "models.corp/x/y", False),
        ("qwen3,models.corp/x/*", "models.corp/x/y", True),
        ("models.corp/x/*", "models.corp/z/y", False),
    ],
)
def test_registries_say_who_may_be_named_and_pulls_what_may_be_pulled(
    pulls: str,
    name: str,
    pulled: bool,  # noqa: FBT001
) -> None:
    """A model of an allowed registry that a server has already needs no pull."""
    given = settings(ALLOWED_REGISTRIES="models.corp", ALLOWED_PULLS=pulls)
    assert given.registry_allowed(name)
    assert given.pull_allowed(name) is pulled


@pytest.mark.parametrize(
    ("patterns", "toleration", "allowed"),
    [
        ("*", {"operator": "Exists"}, True),
        ("*", {"key": "pool", "operator": "Exists"}, True),
        ("", {"key": "pool", "value": "gpu"}, False),
        ("pool=gpu", {"key": "pool", "value": "gpu"}, True),
        ("pool=gpu", {"key": "pool", "value": "gpu", "effect": "NoExecute", "tolerationSeconds": 1}, True),
        ("pool=gpu", {"key": "pool", "value": "GPU"}, False),
        ("pool=gpu", {"key": "pool", "operator": "Exists"}, False),
        ("pool=g*", {"key": "pool", "operator": "Exists"}, False),
        ("pool=?", {"key": "pool", "operator": "Exists"}, False),
        ("pool=*", {"key": "pool", "operator": "Exists"}, True),
        ("pool=*", {"operator": "Exists"}, False),
        ("pool=*", {"key": "pool"}, True),
        ("*=gpu", {"key": "pool", "operator": "Exists"}, False),
        ("pool=*", {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}, False),
    ],
)
def test_a_toleration_covers_nothing_that_the_list_does_not(
    patterns: str,
    toleration: dict[str, object],
    allowed: bool,  # noqa: FBT001
) -> None:
    """`Exists` tolerates every value, and without a key every taint."""
    given = Toleration.model_validate(toleration)
    assert settings(ALLOWED_TOLERATIONS=patterns).toleration_allowed(given) is allowed


def test_the_default_model_needs_no_list() -> None:
    """The operator's owner named it; other models of its registry are as far away as before."""
    given = settings(OLLAMA_MODEL_GENERATION="models.corp/x/y:8b")
    assert given.registry_allowed("models.corp/x/y:8b")
    assert given.pull_allowed("models.corp/x/y:8b")
    assert not given.registry_allowed("models.corp/x/z")
