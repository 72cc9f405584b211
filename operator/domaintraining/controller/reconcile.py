"""One reconcile: observe, decide, apply, project, and one status write when it differs."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from domaintraining.api.reasons import Reason
from domaintraining.api.status import Condition, DomainTrainingStatus
from domaintraining.controller import apply
from domaintraining.controller.allowed import check_models
from domaintraining.controller.cluster import DOMAIN_TRAINING, JOB, Cluster
from domaintraining.controller.decide import Plan, Step, decide, pin_problem
from domaintraining.controller.edits import EditedError, unless_edited
from domaintraining.controller.graph.sync import GraphSync
from domaintraining.controller.graph.told import named, with_graph
from domaintraining.controller.held import is_held
from domaintraining.controller.lookout import Looked, Lookout
from domaintraining.controller.manifests import build_event
from domaintraining.controller.models import ModelServers
from domaintraining.controller.network import Network, look_ahead
from domaintraining.controller.news import DriftNews, drift_news, news, only_progress
from domaintraining.controller.observe import observe, read_resource
from domaintraining.controller.observed import Observed, Preflight, Resource
from domaintraining.controller.outages import Outages
from domaintraining.controller.pace import PROGRESS_PAUSE, is_far, look_again, sooner
from domaintraining.controller.places import Places
from domaintraining.controller.preflight import (
    check_compared_models,
    check_data,
    check_embedding_model,
    check_model,
    check_prompt_model,
)
from domaintraining.controller.project import Outcome, project, status_body
from domaintraining.controller.pulls import Pulls
from domaintraining.controller.removal import clean_up, prune
from domaintraining.controller.reuse import reuse
from domaintraining.controller.settings import Settings
from domaintraining.controller.similar import find_data_model
from domaintraining.controller.sources import Sources, source_of
from domaintraining.controller.uses import (
    OUTAGES,
    TURN_KEPT,
    is_held_up,
    is_queued,
    uses_of_spec,
    waits_for_kueue,
)
from domaintraining.controller.workqueue import Key
from domaintraining.errors import DomainTrainingError

log = logging.getLogger(__name__)

MOST_STEPS: Final = 8
"""Steps of one reconcile; more than any path from nothing to rest needs."""


@dataclass
class Reconciler:
    """Everything a reconcile needs from outside; all of it can be a shipped fake."""

    cluster: Cluster
    servers: ModelServers
    pulls: Pulls
    settings: Settings
    network: Network | None = None
    """Where trainers may go; without one, their pods get no network policy."""
    wake: Callable[[Key], None] = lambda _key: None
    """Puts a key on the queue; without one, what a pull does is seen at the next look."""
    graph: GraphSync | None = None
    """Writes domains into Neo4j; None: the operator has none."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _written: dict[Key, datetime] = field(default_factory=dict)
    """When each status was written last: only paces what is written next."""
    places: Places = field(init=False)
    outages: Outages = field(init=False)
    lookout: Lookout = field(init=False)
    sources: Sources = field(default_factory=Sources)
    """Which ConfigMaps hold samples: who watches them wakes the resources."""

    def __post_init__(self) -> None:
        """Have the places and the outages of this controller, with its clock and its queue."""
        self.outages = Outages(self.now)
        self.places = Places(self.cluster, self.settings, self.now, self._call)
        self.lookout = Lookout(
            self.cluster, self.servers, self.settings, lambda: self.network, self.places, self.now
        )

    def _call(self, key: Key) -> None:
        self.wake(key)

    async def reconcile(self, key: Key) -> float | None:
        """Bring one resource a step closer.

        Args:
            key: namespace and name.

        Returns:
            Seconds after which to look again even if nothing happens; None: only when something does.

        Raises:
            ClusterError: the API server failed; the queue tries again.
        """
        body = await self.cluster.get(DOMAIN_TRAINING, *key)
        if body is None or body["metadata"].get("deletionTimestamp"):
            self._written.pop(key, None)
            if self.graph is not None:
                self.graph.forget(key)
            self.sources.refer(key, None)
            await self.places.leave(key, waits=False, running=False)
            return None
        resource = read_resource(body)
        self.sources.refer(key, source_of(resource))
        try:
            observed, outcome, looked = await self._advance(resource)
        except EditedError:
            return 0.0
        status = with_graph(self.graph, observed, outcome.plan, project(observed, outcome))
        written = await self._write(resource, status, self._pace(observed))
        problem = outcome.problem
        await self.places.leave(
            key,
            waits=looked.waits
            or (
                outcome.plan.step is Step.START
                and (problem is None or problem.reason in TURN_KEPT)
                and not waits_for_kueue(resource)
            ),
            running=any(job.active and not job.suspended for job in (*observed.jobs, *observed.check.jobs)),
        )
        if not written and not is_far(observed):
            return PROGRESS_PAUSE.total_seconds()
        return sooner(look_again(observed, outcome, self.places.askers(key)), looked.again)

    async def _advance(self, resource: Resource) -> tuple[Observed, Outcome, Looked]:
        """Observe, decide and apply until nothing is left to do at once."""
        for _ in range(MOST_STEPS):
            observed = await observe(self.cluster, resource, self.now())
            plan = decide(observed)
            resting = plan.step is Step.REST and not any(job.active for job in observed.jobs)
            if not resting and (await self.lookout.look(observed, resting=False)).wrote:
                continue  # a check never goes on beside a run
            serving = plan.adopt or plan.serve is not None  # which waits for no server's answer
            if not serving and (plan.step in (Step.START, Step.WAIT) or is_held(observed)):
                observed = await self._checked(observed, plan)
                plan = decide(observed)
                if plan.step is Step.START and not _is_checked(observed):
                    observed = await self._checked(observed, plan)
            try:
                if not await self._apply(observed, plan):
                    looked = await self.lookout.look(observed, resting=True) if resting else Looked()
                    if looked.wrote:
                        continue
                    return observed, Outcome(plan), looked
            except DomainTrainingError as error:
                return await observe(self.cluster, resource, self.now()), Outcome(plan, error), Looked()
        raise RuntimeError(f"{resource.namespace}/{resource.name}: no rest after {MOST_STEPS} steps")

    async def _checked(self, observed: Observed, plan: Plan) -> Observed:
        """What was observed, with the checks beside it and, where it has to wait for a place, its place."""
        resource = observed.resource
        preflight = await check_data(self.cluster, resource, self.settings)
        if plan.step is not Step.START or preflight.problem is not None:
            return apply.with_preflight(observed, preflight)
        try:
            check_models(resource, self.settings)
        except DomainTrainingError as error:
            return apply.with_preflight(observed, replace(preflight, model_problem=error))
        place = await self.places.stand(resource)
        if place is None or not is_queued(resource):
            asking = self._asked(observed, preflight, plan.run, waits=place is not None)
            preflight = await unless_edited(self.cluster, resource, asking)
            if preflight.problem is None and is_held_up(resource):
                self.places.line_up(resource.key)
                place = await self.places.stand(resource)
        place = place if preflight.problem is None else None
        return replace(apply.with_preflight(observed, preflight), place=place)

    async def _asked(self, observed: Observed, preflight: Preflight, run: int, *, waits: bool) -> Preflight:
        """The checks with what the model servers say; one that is down is no news to who waits anyway."""
        resource = observed.resource
        servers = uses_of_spec(resource, self.settings).keys()
        try:
            if waits:
                self.outages.check(servers)
            resource = await named(self.graph, observed, run)
            asked = (self.servers, self.pulls, resource, self.settings, lambda: self.wake(resource.key))
            return replace(
                preflight,
                model=await check_model(*asked),
                prompt_model=await check_prompt_model(*asked),
                embedding_model=await check_embedding_model(*asked),
                compare_with=await check_compared_models(*asked),
                data_model=await find_data_model(self.servers, resource, self.settings),
            )
        except DomainTrainingError as error:
            if error.reason is Reason.MODEL_SERVER_UNAVAILABLE:
                self.outages.learn(servers, error)
            if error.reason in OUTAGES and waits and not is_held_up(resource):
                return preflight
            return replace(preflight, model_problem=error)

    async def _apply(self, observed: Observed, plan: Plan) -> bool:
        """Do what the plan says; gives whether anything was written, so that it is worth to look again.

        Raises:
            DomainTrainingError: what keeps the step from being done.
        """
        cluster, resource = self.cluster, observed.resource
        if plan.adopt:
            await apply.adopt(cluster, resource, plan.adopt)
            return True
        for job in plan.stop:
            await cluster.delete(JOB, resource.namespace, job.name, uid=job.uid)
        if await apply.restore_report(cluster, observed) or await apply.publish_baseline(cluster, observed):
            return True
        if plan.serve is not None:
            await apply.serve(cluster, resource, plan.serve)
            return True
        await prune(cluster, observed, plan)
        return await self._step(observed, plan)

    async def _step(self, observed: Observed, plan: Plan) -> bool:
        cluster = self.cluster
        if plan.step is Step.START:
            if astray := pin_problem(observed):
                raise astray  # a run would cost calls, and not be what is asked for
            preflight = observed.preflight or Preflight()
            if preflight.problem is not None:
                raise preflight.problem
            if observed.place is not None:
                return False
            if await reuse(cluster, observed, plan, preflight, self.settings):
                return True
            await look_ahead(observed.resource, self.network)
            await self.places.take(
                observed.resource,
                lambda: apply.start(cluster, observed, plan, preflight, self.settings, self.network),
            )
            return True
        if plan.step is Step.RECORD_FAILURE:
            await apply.record_failure(cluster, observed)
            return True
        if plan.step is Step.TAKE_OVER:
            await apply.take_over(cluster, observed)
            return True
        if plan.step is Step.WATCH and self.network is not None:
            await apply.renew_policy(cluster, observed, self.network)
        if plan.step is Step.REST and not any(job.active for job in observed.jobs):
            await clean_up(cluster, observed)
        return False

    def _pace(self, observed: Observed) -> timedelta:
        """Shortest time between two writes of progress or position; far back, positions wait for a resync."""
        return timedelta(seconds=self.settings.resync_seconds / 2) if is_far(observed) else PROGRESS_PAUSE

    async def _write(self, resource: Resource, status: DomainTrainingStatus, pace: timedelta) -> bool:
        """Write the status where it differs; gives False where progress alone has to wait."""
        before = resource.status
        if status == before:
            return True
        key, now = resource.key, self.now()
        last = self._written.get(key)
        if last is not None and abs(now - last) < pace and only_progress(before, status):
            return False
        await self.cluster.apply_status(status_body(resource, status))
        self._written[key] = now
        await self._tell(resource, status)
        return True

    async def _tell(self, resource: Resource, status: DomainTrainingStatus) -> None:
        """An event for each reason that is news."""
        before = resource.status
        told: list[Condition | DriftNews] = [*news(before.conditions, status.conditions)]
        for one in told + drift_news(before.drift, status.drift):
            now = self.now()
            kind = "Warning" if one.type == "Stalled" else "Normal"
            note = one.message or one.reason
            log.info("%s/%s %s=%s %s", resource.namespace, resource.name, one.type, one.status, one.reason)
            body = build_event(
                resource,
                kind=kind,
                reason=one.reason,
                note=note,
                now=now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                name=apply.event_name(resource, one.type, one.reason, now),
            )
            await self.cluster.post_event(body)


def _is_checked(observed: Observed) -> bool:
    """Whether the models were asked for, or will be when it is its turn."""
    preflight = observed.preflight or Preflight()
    return preflight.model is not None or preflight.problem is not None or observed.place is not None
