"""Looking out for changes under a served prompt: reads, and writes what checking.py decides.

Asked at each reconcile, after what the spec itself asks for. While nothing changes, a look costs one read of
the ConfigMap with the samples, and one request to each model server in a resync for all resources together.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from domaintraining.api.budget import Limits, Spent
from domaintraining.api.run import Check, Run
from domaintraining.api.scalars import rfc3339
from domaintraining.api.status import ModelStatus
from domaintraining.controller import manifests
from domaintraining.controller.admission import Waiting
from domaintraining.controller.allowed import as_trained, check_models, endpoint_of, source_of_name
from domaintraining.controller.attempt import Attempt
from domaintraining.controller.checking import CheckPlan, Move, launch_failed, plan_check
from domaintraining.controller.checks import OpenCheck
from domaintraining.controller.cluster import JOB, Cluster
from domaintraining.controller.digests import Digests
from domaintraining.controller.drift import Seen, before, is_looked_at, policies, served_models
from domaintraining.controller.findings import published
from domaintraining.controller.jobs import build_job
from domaintraining.controller.models import ModelServers, unavailable
from domaintraining.controller.network import Network
from domaintraining.controller.observed import Observed, Resource
from domaintraining.controller.parts import parts_of
from domaintraining.controller.places import Places
from domaintraining.controller.preflight import check_data, data_digest
from domaintraining.controller.promotion import compared_with
from domaintraining.controller.removal import take_back_check
from domaintraining.controller.resolve import resolve
from domaintraining.controller.settings import Settings
from domaintraining.controller.settings.patterns import plain_url
from domaintraining.controller.writes import create_job, furnish, put
from domaintraining.errors import DomainTrainingError

log = logging.getLogger(__name__)

LOOK_AGAIN: Final = 30.0
TIDY_LOOK: Final = 2.0
"""What was deleted may take a moment to be gone."""


@dataclass(frozen=True)
class Looked:
    """What came of a look."""

    wrote: bool = False
    """Whether the record was written, so that it is worth to look again at once."""
    again: float | None = None
    """Seconds after which to look again; None: only when something happens."""
    waits: bool = False
    """Whether a check waits for a place."""


class Lookout:
    """Looks at the world under served prompts.

    Args:
        cluster: the API server.
        servers: the model servers.
        settings: of the operator.
        network: gives where trainers may go; None: no policies.
        places: on the model servers.
        now: the clock.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - all that a check needs
        self,
        cluster: Cluster,
        servers: ModelServers,
        settings: Settings,
        network: Callable[[], Network | None],
        places: Places,
        now: Callable[[], datetime],
    ) -> None:
        self._cluster, self._settings, self._network, self._places = cluster, settings, network, places
        # shorter than the pause of the resync, so that each asks anew
        self._digests = Digests(servers, 0.9 * settings.resync_seconds, now)

    async def look(self, observed: Observed, *, resting: bool) -> Looked:
        """Take the next step of the resource's checks.

        Args:
            observed: what the reconcile saw.
            resting: whether no run goes on or is to start.

        Raises:
            ClusterError: the API server failed; the queue tries again.
        """
        seen = await self._seen(observed) if resting and is_looked_at(observed.resource) else Seen()
        plan = plan_check(observed, seen, self._settings.check_seconds, resting=resting)
        if plan.move is Move.LAUNCH:
            return await self._launch(observed)
        if plan.move is Move.WRITE:
            return await self._write(observed, plan)
        if plan.move is Move.TIDY:
            gone = await self._tidy(observed)
            return Looked(again=max(TIDY_LOOK if gone else LOOK_AGAIN, plan.seconds or 0.0))
        return Looked(again=LOOK_AGAIN if plan.move is Move.WATCH else plan.seconds)

    async def _seen(self, observed: Observed) -> Seen:
        """The data, where the controller can see them, and the models on their servers."""
        on_data, on_model = policies(observed.resource)
        data = ""
        if on_data != "Never" and observed.resource.spec.dataset.config_map is not None:
            try:
                data = await data_digest(self._cluster, observed.resource, self._settings)
            except DomainTrainingError as error:
                log.info("%s/%s: %s", *observed.resource.key, error.message)
        model, other = await self._models(observed) if on_model != "Never" else ("", "")
        return Seen(data=data, model=model, other_model=other)

    async def _models(self, observed: Observed) -> tuple[str, str]:
        """Digests of the served prompts' models today; empty: nobody says, or is to be asked."""
        resource, (model, other) = as_trained(observed), served_models(observed)
        try:
            check_models(resource, self._settings)
        except DomainTrainingError:
            return "", ""
        return await self._digest(resource, model), await self._digest(resource, other)

    async def _digest(self, resource: Resource, name: str) -> str:
        return await self._digests.of(endpoint_of(resource, self._settings, name), name) if name else ""

    async def _write(self, observed: Observed, plan: CheckPlan) -> Looked:
        """Write the record; a check that is given up or through is removed by the next look."""
        assert plan.checks is not None
        for job in observed.check.jobs:
            if plan.checks.current is None and job.active:
                await self._cluster.delete(JOB, observed.resource.namespace, job.name, uid=job.uid)
        await put(self._cluster, manifests.build_checks(observed.resource, plan.checks))
        return Looked(wrote=True)

    async def _launch(self, observed: Observed) -> Looked:
        """Give the open check its Job, where it has a place or needs none."""
        resource, check = observed.resource, observed.check.checks.current
        assert check is not None
        try:
            run = await self._run(observed, check)
            if not check.measure:
                await self._start(resource, run, observed)
                return Looked(wrote=True)
            endpoint = plain_url(run.model.endpoint)
            since = datetime.fromisoformat(check.since)
            me = Waiting(resource.key, {endpoint: run.model.name}, since)
            if await self._places.stand(resource, me) is not None:
                return Looked(again=LOOK_AGAIN, waits=True)
            started = await self._places.take(resource, lambda: self._start(resource, run, observed), me)
            return Looked(wrote=started, again=LOOK_AGAIN, waits=not started)
        except DomainTrainingError as error:
            return await self._write(observed, launch_failed(observed, error))

    async def _run(self, observed: Observed, check: OpenCheck) -> Run:
        """What the check's trainer starts from.

        Raises:
            DomainTrainingError: what keeps it from starting.
        """
        resource, served = as_trained(observed), compared_with(observed)
        name, other = served_models(observed)
        check_models(resource, self._settings)
        preflight = await check_data(self._cluster, resource, self._settings)
        if preflight.problem is not None:
            raise preflight.problem
        model = await self._asked(resource, name, check)
        number = served.number if served is not None else check.after
        network = self._network()
        api_server = await network.api_server() if network else []
        was = before(observed)
        asked = Check(
            data_digest=was.dataset,
            data_version=was.version,
            model_changed=check.model_changed,
            measure=check.measure and bool(published(observed)),
        )
        changes = {
            "check": asked,
            "image": self._settings.trainer_image,
            "spent": Spent(),
            "budget": Limits(),
        }
        others = [await self._asked(resource, other, check)] if check.measure and other else []
        run = resolve(observed, number, model, self._settings, api_server=api_server, compare_with=others)
        return run.model_copy(update=changes)

    async def _asked(self, resource: Resource, name: str, check: OpenCheck) -> ModelStatus:
        """A model that a check asks, or that its data are read for.

        Raises:
            DomainTrainingError: its server does not say that it has it: nothing is sent there.
        """
        endpoint = endpoint_of(resource, self._settings, name)
        digest = await self._digests.of(endpoint, name) if check.measure else check.world.model
        if check.measure and not digest:
            raise unavailable(endpoint, f"does not tell the digest of {name}")
        return ModelStatus(name=name, digest=digest, endpoint=endpoint, source=source_of_name(resource))

    async def _start(self, resource: Resource, run: Run, observed: Observed) -> None:
        """Make the check's objects, then its Job. Each step may be repeated.

        Raises:
            DomainTrainingError: an object is refused or belongs to somebody else.
        """
        cluster, settings, checks = self._cluster, self._settings, observed.check.checks
        assert checks.current is not None
        await put(cluster, manifests.build_checks(resource, checks, run, settings.ca_bundle))
        await put(cluster, manifests.empty_report_of(resource, parts_of(run)))
        await furnish(cluster, resource, run)
        network = self._network()
        policy = await network.policy(resource, run) if network else None
        if policy is not None:
            await put(cluster, policy)
        attempt = Attempt(
            number=checks.current.number,
            data_digest=checks.current.world.data,
            start_time=rfc3339(observed.now),
        )
        await create_job(cluster, resource, build_job(resource, run, attempt, settings))

    async def _tidy(self, observed: Observed) -> bool:
        """Remove what a check left: its Jobs, then, once no pod of it runs, all but the record.

        The report, made first, goes last: while it is there, something may be left.

        Returns:
            Whether it is gone soon; a pod may stay as long as its node is dead, and is seen to go.
        """
        resource = observed.resource
        for job in observed.check.jobs:
            await self._cluster.delete(JOB, resource.namespace, job.name, uid=job.uid)
        return await take_back_check(self._cluster, resource.key) or bool(observed.check.jobs)
