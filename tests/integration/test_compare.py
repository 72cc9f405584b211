"""On a real control plane: spec.compareWith pulls and trains each model, one after the other on their server,
and status has the table. All three models are simulated; the two worse ones leave answers out on purpose.
"""

from __future__ import annotations

import json
import shlex

from tests.integration.trainings import apply, condition, config_map, ready, status
from tests.integration.waiting import wait_for
from tests.readme import DOCS, block
from tests.sandbox.environment import Sandbox

FAIR, POOR, GOOD = "simulated-fair:3b", "simulated-poor:1b", "simulated-good:7b"
SERVER = "http://simulated.not-allowed:11434"


def test_the_best_of_three_models_is_served_and_the_table_tells_of_each(sandbox: Sandbox, space: str) -> None:
    """Chosen by validation F1; requests, manifest and the MODEL column name the model that is served."""
    apply(sandbox, space, model={"name": FAIR}, compareWith=[{"name": POOR}, {"name": GOOD}])
    wait_for("the first turn", lambda: states(sandbox, space)[:1] == ["Training"], seconds=120)
    assert states(sandbox, space) == ["Training", "Waiting", "Waiting"]
    shown = ready(sandbox, space)
    table = {row["name"]: row for row in shown["models"]}
    assert list(table) == [FAIR, POOR, GOOD]
    assert [name for name, row in table.items() if row.get("chosen")] == [GOOD]
    for row in table.values():
        assert row["state"] == "Compared"
        assert row["digest"]
        assert row["endpoint"] == shown["model"]["endpoint"]
        assert row["modelCalls"] > 50
        assert row["seconds"] > 0
        for task in ("entities", "relations"):
            interval = row[task]["confidenceInterval"]
            assert interval["low"] <= row[task]["f1"] <= interval["high"]
    assert table[GOOD]["entities"]["validationF1"] > table[FAIR]["entities"]["validationF1"]
    assert table[FAIR]["entities"]["validationF1"] > table[POOR]["entities"]["validationF1"]
    assert shown["metrics"]["entities"]["f1"] == table[GOOD]["entities"]["f1"]
    assert shown["model"]["name"] == FAIR
    assert shown["summary"]["model"] == GOOD
    assert shown["promptConfig"]["entities"]["model"] == shown["promptConfig"]["relations"]["model"] == GOOD
    data = config_map(sandbox, space, "docs-prompt")
    manifest = json.loads(data["manifest.json"])
    assert manifest["model"] == {"name": GOOD, "digest": table[GOOD]["digest"]}
    assert manifest["baselineModel"] == {"name": FAIR, "digest": table[FAIR]["digest"]}
    assert manifest["models"] == shown["models"]
    assert json.loads(data["entities.request.json"])["model"] == GOOD
    told = sandbox.cluster.kubectl(*shlex.split(shown_command())[1:], f"--namespace={space}").splitlines()
    assert [row.split("\t")[:2] for row in told] == [[name, "Compared"] for name in table]
    header, line = sandbox.cluster.kubectl("get", "dt", f"--namespace={space}").splitlines()[:2]
    assert "MODEL" in header
    assert GOOD in line


def test_a_server_that_is_not_allowed_is_refused_by_its_entry(sandbox: Sandbox, space: str) -> None:
    apply(sandbox, space, compareWith=[{"name": GOOD, "endpoint": SERVER}])
    wait_for("Stalled", lambda: condition(sandbox, space, "Stalled")[:2] == ("True", "ModelNotAllowed"))
    message = condition(sandbox, space, "Stalled")[2]
    assert f"spec.compareWith[{GOOD}].endpoint: {SERVER} is not allowed" in message


def shown_command() -> str:
    """The command of docs/models.md that shows the table, for the test's resource."""
    return block("What is compared", "sh", page=DOCS / "models.md").replace("tech-docs", "docs")


def states(sandbox: Sandbox, space: str) -> list[str]:
    return [row["state"] for row in status(sandbox, space).get("models", [])]
