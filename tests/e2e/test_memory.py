"""How much memory the operator's pod takes on a real node: at rest, and while twenty trainings run."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from tests.e2e.product import Product
from tests.e2e.runs import container_id, running_trainer
from tests.integration.trainings import GROUP
from tests.integration.waiting import wait_for
from tests.sandbox import proc
from tests.sandbox.environment import NAMESPACE

Json = dict[str, Any]
TRAININGS: Final = 20
AT_REST_MIB: Final = 110
BUSY_MIB: Final = 140
START_SECONDS: Final = 300
# Long enough that none of them ends before the last one runs.
SLOW: Final = {"slow_rate": 1.0, "slow_seconds": 240.0}


class Memory(NamedTuple):
    """Resident memory of the operator's process, in MiB."""

    now: float
    highest: float
    """Since it started."""


def test_the_operator_stays_small_while_twenty_trainings_run(product: Product, space: str) -> None:
    """Far below its limit of 256 MiB, at rest and with twenty trainings that report."""
    rest = memory_of_the_operator(product)
    product.order_faults(**SLOW)
    try:
        for number in range(TRAININGS):
            product.cluster.api.create(path_of(space), training(number))
        wait_for("all run", lambda: running(product, space) == TRAININGS, START_SECONDS)
        busy = memory_of_the_operator(product)
    finally:
        product.order_faults()
        product.cluster.api.delete(path_of(space))
    print(
        f"\n  the operator's pod: {rest.now:.0f} MiB at rest, {busy.now:.0f} MiB with {TRAININGS} trainings"
        f" running, {busy.highest:.0f} MiB at most"
    )
    assert rest.now <= AT_REST_MIB
    assert busy.highest <= BUSY_MIB


def memory_of_the_operator(product: Product) -> Memory:
    """What the kernel says of its one process (VmRSS, VmHWM)."""
    selector = "app.kubernetes.io/component=controller"
    (pod,) = product.cluster.api.items(f"/api/v1/namespaces/{NAMESPACE}/pods", labelSelector=selector)
    pid = product.cluster.runtime.pid_of(container_id(pod))
    status = (proc.PROC / str(pid) / "status").read_text(encoding="utf-8")
    lines = dict(line.split(":", 1) for line in status.splitlines())
    return Memory(*(int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM")))


def running(product: Product, space: str) -> int:
    """How many trainers run."""
    return sum(running_trainer(product, space, name_of(number)) is not None for number in range(TRAININGS))


def training(number: int) -> Json:
    """One of the trainings, each with data of its own."""
    return {
        "apiVersion": "training.aegisrag.io/v1alpha1",
        "kind": "DomainTraining",
        "metadata": {"name": name_of(number)},
        "spec": {
            "tasks": ["entities"],
            "dataset": {"configMap": {"name": "samples", "key": "samples.jsonl"}},
            "optimizer": {"seed": number + 1},
        },
    }


def name_of(number: int) -> str:
    """The name of one of the trainings."""
    return f"docs-{number}"


def path_of(space: str) -> str:
    """Where the trainings of a namespace are."""
    return f"{GROUP}/namespaces/{space}/domaintrainings"
