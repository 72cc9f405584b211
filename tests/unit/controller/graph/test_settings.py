"""What the operator's owner says of the graph is read without surprise, and without telling secrets."""

import pytest

from domaintraining.controller.settings import Settings, SettingsError

IMAGE = {"TRAINER_IMAGE": "registry.example/domaintraining:1"}
CANARY = "canary-of-the-graph"


def test_without_a_uri_there_is_no_graph() -> None:
    """Whatever else is set."""
    assert Settings.read(IMAGE | {"NEO4J_PASSWORD": CANARY, "NEO4J_URI": " "}).graph is None


@pytest.mark.parametrize(
    "uri",
    [
        "bolt://127.0.0.1:7687",
        "neo4j://neo4j.graph",
        "bolt+s://graph.example.com",
        "neo4j+ssc://[fd00::1]:7687",
    ],
)
def test_schemes_are_those_of_the_driver(uri: str) -> None:
    """With TLS and without."""
    given = Settings.read(IMAGE | {"NEO4J_URI": uri, "NEO4J_PASSWORD": CANARY}).graph
    assert given is not None
    assert (given.uri, given.user, given.password) == (uri, "neo4j", CANARY)
    assert CANARY not in repr(given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NEO4J_URI", f"bolt://neo4j:{CANARY}@graph:7687"),
        ("NEO4J_URI", "http://graph:7474"),
        ("NEO4J_URI", "neo4j://graph?policy=x"),
        ("NEO4J_URI", "bolt://neo4j..graph:7687"),
        ("NEO4J_URI", "bolt://-neo4j.graph"),
        ("NEO4J_URI", f"neo4j://{'a' * 64}.graph"),
        ("NEO4J_URI", f"neo4j://{'.'.join(['a' * 60] * 5)}"),
        ("NEO4J_URI", "bolt://graph:70000"),
        ("NEO4J_URI", "bolt://graph:0"),
        ("NEO4J_URI", "bolt://[12:34]:7687"),
        ("NEO4J_URI", "bolt://[1.2.3]"),
        ("NEO4J_DATABASE", "a b"),
        ("GRAPH_CLUSTER", "east west"),
        ("GRAPH_DOMAINS", "tech_docs"),
        ("GRAPH_DOMAINS", "team-a=*,=*"),
    ],
)
def test_what_is_wrong_is_told_without_the_value(name: str, value: str) -> None:
    """A URI may hold a password."""
    environ = IMAGE | {"NEO4J_URI": "bolt://graph:7687"} | {name: value}
    with pytest.raises(SettingsError, match=name) as error:
        Settings.read(environ)
    assert CANARY not in str(error.value)


def test_domains_are_given_by_pattern() -> None:
    """To a namespace, and nothing where nothing is said."""
    environ = IMAGE | {"NEO4J_URI": "bolt://graph:7687"}
    none = Settings.read(environ).graph
    some = Settings.read(environ | {"GRAPH_DOMAINS": "team-a=*, team-?=docs_*"}).graph
    assert none is not None
    assert some is not None
    assert not none.given("team-a", "docs")
    assert some.given("team-a", "anything")
    assert some.given("team-b", "docs_of_b")
    assert not some.given("team-b", "docs")
    assert not some.given("other", "docs_of_b")


def test_no_attempt_depends_on_the_graph() -> None:
    """A changed password starts nothing, and its digest stands in no ConfigMap."""
    plain = Settings.read(IMAGE).digest()
    assert Settings.read(IMAGE | {"NEO4J_URI": "bolt://a", "NEO4J_PASSWORD": CANARY}).digest() == plain
