"""The world of the controller's tests with a graph in memory, where the controller may be killed as well."""

import asyncio
from typing import Any

from domaintraining.controller.cluster import DOMAIN_TRAINING, JOB
from domaintraining.controller.graph.memory import MemoryGraph
from domaintraining.controller.graph.model import Domain, Verdict, Wanted
from domaintraining.controller.graph.sync import GraphSync
from domaintraining.controller.pulls import Pulls
from domaintraining.controller.reconcile import Reconciler
from domaintraining.controller.settings import GraphSettings
from domaintraining.controller.workqueue import Key
from tests.unit.controller.world import KEY, Act, Killed, World

GRAPH = GraphSettings(uri="neo4j://graph:7687", password="canary-of-the-graph", cluster="here")


class KilledAtGraph(BaseException):
    """The controller's process is gone; nothing within it may hold that up."""


class MortalGraph(MemoryGraph):
    """A graph whose client dies after a number of writes, each of which has taken effect."""

    def __init__(self) -> None:
        super().__init__()
        self.dies_after: int | None = None

    async def write(self, wanted: Wanted, cluster: str, *, given: bool) -> tuple[Verdict, Domain | None]:
        """Write, and perhaps die."""
        done = await super().write(wanted, cluster, given=given)
        if self.dies_after is not None and self.writes >= self.dies_after:
            self.dies_after = None
            raise KilledAtGraph
        return done


class GraphWorld(World):
    """One resource, what happens to it, and a graph."""

    def __init__(self, spec: dict[str, Any] | None = None, graph: GraphSettings = GRAPH) -> None:
        self.graph = MortalGraph()
        self.graph_settings = graph
        self.woken: list[Key] = []
        self.model = (spec or {}).get("model")
        super().__init__(spec)
        metadata = self.cluster.objects[DOMAIN_TRAINING, "team", "docs"]["metadata"]
        metadata["creationTimestamp"] = "2026-11-23T11:00:00Z"

    def started(self) -> Reconciler:
        """A controller that knows nothing yet, of the graph neither."""

        async def unknown() -> str:
            await asyncio.sleep(0)
            return ""

        self.sync = GraphSync(self.graph, self.graph_settings, unknown, self.woken.append, self._seconds)
        return Reconciler(
            self.cluster, self.models, Pulls(), self.settings, now=lambda: self.now, graph=self.sync
        )

    @property
    def domain(self) -> dict[str, Any]:
        """The properties of the only domain."""
        (found,) = self.graph.domains.values()
        return found

    def log(self, run: int) -> dict[str, Any]:
        """The properties of the TrainingLog of a run."""
        (found,) = [one for one in self.graph.logs.values() if one["run"] == run]
        return found

    def change(self, **spec: Any) -> None:
        """Apply another spec, for the same model."""
        super().change(**({"model": self.model} if self.model else {}) | spec)

    def _seconds(self) -> float:
        return self.now.timestamp()

    def drain(self) -> None:
        """Let the queue of the graph do all that is due, without a reconcile."""
        asyncio.run(self._drained())

    async def _drained(self) -> None:
        while await self.sync.step() == 0:
            pass

    async def _looked(self) -> float | None:
        """One reconcile beside the queue of the graph, and then what is left in that."""
        look = asyncio.create_task(self.controller.reconcile(KEY))
        try:
            while not look.done():
                if await self.sync.step() != 0:
                    await asyncio.sleep(0)
        finally:
            look.cancel()
            await asyncio.gather(look, return_exceptions=True)
        await self._drained()
        return look.result()

    async def _settled(self, meanwhile: list[Act] | None) -> float | None:
        for _ in range(60):
            before = (self.cluster._version, len(self.cluster.objects), self.graph.writes)
            self.woken.clear()
            try:
                again = await self._looked()
            except (Killed, KilledAtGraph):
                while meanwhile and self.names(JOB):
                    meanwhile.pop(0)(self)
                self.controller = self.started()
                continue
            after = (self.cluster._version, len(self.cluster.objects), self.graph.writes)
            if after == before and not self.woken:
                return again
        raise AssertionError(f"no rest: {self.cluster.writes[-10:]} {self.graph.calls[-10:]}")
