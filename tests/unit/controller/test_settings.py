"""What the operator's owner sets is read without surprise, and what isn't allowed stays out."""

import pytest

from domaintraining.controller.settings import Settings, SettingsError

IMAGE = {"TRAINER_IMAGE": "registry.example/domaintraining:1"}


def settings(**environ: str) -> Settings:
    return Settings.read(IMAGE | environ)


def test_only_the_image_is_required() -> None:
    """Everything else has the documented default."""
    given = settings()
    assert given.ollama_base_url == "http://ollama.ollama:11434"
    assert (given.model, given.auto, given.verbose) == ("qwen3:32b", "light", False)
    assert (given.num_parallel, given.resync_seconds, given.outage_seconds) == (None, 300, 600)
    assert given.check_seconds == 21_600
    assert (given.allowed_endpoints, given.allowed_priority_classes, given.namespaces) == ((), (), ())
    assert given.allowed_pulls == given.allowed_node_labels == ("*",)


def test_errors_name_every_variable_at_fault() -> None:
    """One start tells all that is to be corrected."""
    wrong = {
        "OLLAMA_BASE_URL": "ollama:11434",
        "DSPY_AUTO_MODE": "manual",
        "DSPY_VERBOSE": "perhaps",
        "OLLAMA_NUM_PARALLEL": "65",
        "RESYNC_SECONDS": "0",
        "OUTAGE_SECONDS": "1.5",
        "CHECK_SECONDS": "604801",
    }
    with pytest.raises(SettingsError) as error:
        Settings.read(wrong)
    assert all(name in str(error.value) for name in ["TRAINER_IMAGE", *wrong])


def test_empty_values_are_defaults_and_empty_lists_allow_nothing() -> None:
    """A chart that renders an empty value behaves as one that leaves it out; an emptied list forbids."""
    given = settings(OLLAMA_BASE_URL="", OLLAMA_NUM_PARALLEL="", ALLOWED_PULLS="")
    assert given.ollama_base_url == "http://ollama.ollama:11434"
    assert not given.pull_allowed("qwen3:32b")


def test_lists_are_split_at_commas() -> None:
    """White space and empty parts don't count."""
    assert settings(WATCH_NAMESPACES=" a, b,,").namespaces == ("a", "b")


@pytest.mark.parametrize("url", ["http://ollama.ollama:11434", "http://OLLAMA.ollama:11434/"])
def test_the_default_server_is_always_allowed(url: str) -> None:
    """In every spelling of its URL."""
    assert settings().endpoint_allowed(url)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://ollama.team-a:11434", True),
        ("http://ollama.team-a:11434/", True),
        ("http://evil.example/ollama.team-a:11434", False),
        ("http://ollama.evil/team-a:11434", False),
        ("http://ollama.x:80@evil.example:11434", False),
        ("http://ollama.team-a:11434/../admin", False),
        ("http://ollama.team-a:11434/admin", False),
        ("https://ollama.team-a:11434", False),
        ("https://gpu.example", True),
        ("https://gpu.example:443", True),
        ("http://[fd00::1]:11434", True),
        ("http://[fd00::2]:11434", False),
        ("http://169.254.169.254", False),
    ],
)
def test_other_servers_only_as_the_list_allows(url: str, allowed: bool) -> None:  # noqa: FBT001
    """A `*` never crosses a part of the URL."""
    given = settings(ALLOWED_ENDPOINTS="http://ollama.*:11434,https://gpu.example/,http://[fd00::1]:11434")
    assert given.endpoint_allowed(url) is allowed


@pytest.mark.parametrize(
    ("patterns", "name", "allowed"),
    [
        ("*", "qwen3:32b", True),
        ("*", "someone/qwen3", True),
        ("*", "hf.co/someone/model", False),
        ("*", "localhost:5000/x/model", False),
        ("*", "intranet/someone/model", False),
        ("*/*/*", "intranet/someone/model", False),
        ("*", "http://evil.example/x/model", False),
        ("hf.co/*", "hf.co/someone/model", True),
        ("hf.co/*", "evil.example/hf.co/model", False),
        ("*.corp.example/*", "evil.example/x.corp.example/model", False),
        ("*.corp.example/*", "models.corp.example/x/model", True),
        ("hf.co/*", "qwen3:32b", False),
        ("qwen3", "qwen3:latest", True),
        ("qwen3:latest", "qwen3", True),
        ("qwen3", "qwen3:32b", False),
        ("qwen3:*", "qwen3:32b", True),
    ],
)
def test_pulls_from_a_registry_host_need_a_pattern_with_a_host(
    patterns: str,
    name: str,
    allowed: bool,  # noqa: FBT001
) -> None:
    """The default `*` means the default registry alone."""
    assert settings(ALLOWED_PULLS=patterns).pull_allowed(name) is allowed


def test_placement_follows_the_lists() -> None:
    """No priority class unless listed; node labels as KEY=VALUE."""
    assert not settings().priority_class_allowed("system-node-critical")
    assert settings(ALLOWED_PRIORITY_CLASSES="batch-*").priority_class_allowed("batch-low")
    assert settings().node_label_allowed("pool", "gpu")
    assert not settings(ALLOWED_NODE_LABELS="pool=cpu").node_label_allowed("pool", "gpu")


def test_the_default_server_never_gets_more_calls_than_it_serves() -> None:
    """Other servers get what is wanted; where nobody says, the trainer measures."""
    given = settings(OLLAMA_NUM_PARALLEL="4")
    url = given.ollama_base_url
    assert [given.permits(url, wanted) for wanted in (None, 2, 9)] == [4, 2, 4]
    assert [given.permits("http://other:1", wanted) for wanted in (None, 9)] == [None, 9]
    assert [settings().permits(url, wanted) for wanted in (None, 9)] == [None, 9]


def test_the_digest_follows_what_a_trainer_depends_on() -> None:
    """A changed model changes it; a changed resync does not."""
    assert settings().digest() == settings(RESYNC_SECONDS="5").digest()
    assert settings().digest() != settings(OLLAMA_MODEL_GENERATION="qwen3:8b").digest()
    assert len(settings().digest()) == 16
