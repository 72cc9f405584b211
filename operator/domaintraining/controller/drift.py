"""What changed under a served prompt, and whether a run is wanted for it. Pure.

Known is what the last run of the spec was made with, and what the last check was about: neither is measured
again.

A finding that asks for a run bears the number of the highest run of then, and a later run answers it: so it
starts one run and never a second, whoever is killed when.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from domaintraining.api.model import full_name
from domaintraining.api.retrain import OnChange
from domaintraining.controller.checks import STARTS_A_RUN, Concluded, OpenCheck, World
from domaintraining.controller.observed import Observed, Resource, Revision
from domaintraining.controller.promotion import last_of_spec, origins, promoted_served, trained_tasks
from domaintraining.controller.revisions import compared_models, completion_time, model_named, part_of

LATE: Final = 0.25
"""Part of the period after which a look is long overdue: not by a busy queue, but by an outage."""
SLOTS_WITHIN: Final = 3600.0
"""Seconds within which all that are long overdue are looked at, or a part of the period where it is short."""
SLOT: Final = 120.0
"""Length of a slot: as long as a look may be late, and as short as few share one."""


@dataclass(frozen=True)
class Seen:
    """What is there now, as far as the controller can see it."""

    data: str = ""
    """Digest of the data; empty: they are where a trainer alone sees them, or are not there."""
    model: str = ""
    """Digest of the model; empty: its server does not say, or was not asked."""
    other_model: str = ""
    """The same of a second model that a served prompt is for."""


def policies(resource: Resource) -> tuple[OnChange, OnChange]:
    """What a change of the data and one of the model lead to; changed inline data are another spec."""
    retrain, inline = resource.spec.retrain, resource.spec.dataset.inline is not None
    return "Never" if inline else retrain.on_dataset_change, retrain.on_model_change


def is_hidden(resource: Resource) -> bool:
    """Whether the data are where a trainer alone sees them."""
    dataset = resource.spec.dataset
    return dataset.config_map is None and dataset.inline is None


def is_looked_at(resource: Resource) -> bool:
    """Whether anything is looked at: a suspended or pinned resource asks for no run."""
    spec = resource.spec
    return policies(resource) != ("Never", "Never") and not spec.suspend and spec.pin_revision is None


def drift_wanted(observed: Observed) -> bool:
    """Whether the last check asks for a run that was not started yet."""
    found = _settled(observed)
    return found is not None and is_looked_at(observed.resource) and asks_for_run(found, observed.resource)


def asks_for_run(found: Concluded, resource: Resource) -> bool:
    """Whether a finding is one that a run follows, by what spec.retrain asks today."""
    on_data, on_model = policies(resource)
    of_data = found.data in STARTS_A_RUN and on_data != "Never"
    return of_data or (found.model in STARTS_A_RUN and on_model != "Never")


def highest_run(observed: Observed) -> int:
    """The highest number of a run of which anything is left."""
    numbers = [*observed.runs, *(one.number for one in observed.trained)]
    return max(numbers, default=0)


def serving(observed: Observed) -> str:
    """What is served: its run and, by task, the run that the prompt is of; empty: nothing.

    An acceptance that changes may put another prompt in its place without a run.
    """
    served = promoted_served(observed)
    if served is None:
        return ""
    parts = (f"{task} {one.revision}{'b' * one.baseline}" for task, one in sorted(origins(served).items()))
    return ", ".join((str(served.number), *parts))[:253]


def is_about(check: OpenCheck | Concluded, observed: Observed) -> bool:
    """Whether a check is about this spec, the prompt that is served, and the time since the last run."""
    now = (observed.resource.hash, highest_run(observed), serving(observed))
    return (check.hash, check.after, check.served) == now


def known(observed: Observed) -> World:
    """What the last run of this spec was made with, as its manifest says it."""
    last = last_of_spec(observed)
    if last is None:
        return World()
    dataset, digests = part_of(last.manifest, "dataset"), _digests(last)
    model, other = served_models(observed)
    return World(
        data=_text(last.manifest.get("dataDigest")),
        dataset=_text(dataset.get("digest")),
        version=_text(dataset.get("version")),
        model=digests.get(model, ""),
        other_model=digests.get(other, ""),
    )


def served_models(observed: Observed) -> tuple[str, str]:
    """The models that are watched, one or two: those that the served prompts ask, where the last run of this
    spec knew them, else the one that this run chose, which is first in any case. A changed default of the
    operator's is none.
    """
    last, served = last_of_spec(observed), promoted_served(observed)
    if last is None:
        return "", ""
    own = _text(part_of(last.manifest, "model").get("name"))
    spelled = {full_name(name): name for name in _digests(last)}
    asked = [full_name(model_named(served, task)) for task in trained_tasks(served)] if served else []
    named = dict.fromkeys(spelled[name] for name in asked if name in spelled)
    found = sorted(named, key=lambda name: name != own)
    first, second = (*(found or [own]), "")[:2]
    return first, second


def _digests(revision: Revision) -> dict[str, str]:
    """The models of a run, each with the digest that the run knew."""
    own = part_of(revision.manifest, "model")
    compared = {one.name: one.digest for one in compared_models(revision)}
    return compared | {_text(own.get("name")): _text(own.get("digest"))}


def _text(value: object) -> str:
    return value[:253] if isinstance(value, str) else ""


def _settled(observed: Observed) -> Concluded | None:
    """The last check, where it was about this spec and what is served, and no run came after it."""
    found = observed.check.checks.concluded
    return found if found is not None and is_about(found, observed) else None


def before(observed: Observed) -> World:
    """What the next check is compared with: the last check that found no loss, else the last run."""
    run, settled = known(observed), _settled(observed)
    return _filled(settled.world, run) if settled is not None else run


def _filled(world: World, other: World) -> World:
    """What is not known of one world taken from another."""
    return World(**{key: getattr(world, key) or getattr(other, key) for key in World.model_fields})


@dataclass(frozen=True)
class Change:
    """What changed since it was known."""

    data: bool = False
    """Whether the data did."""
    model: bool = False
    """Whether the model did."""
    wants_run: bool = False
    """Whether a run follows without measuring."""

    @property
    def measure(self) -> bool:
        """Whether the served prompt is to be measured."""
        return (self.data or self.model) and not self.wants_run


def changed(observed: Observed, seen: Seen) -> Change:
    """What changed, by what spec.retrain asks: Always is since the last run, OnLoss since the last check."""
    on_data, on_model = policies(observed.resource)
    run, settled = known(observed), _settled(observed)
    world = before(observed)
    since = _filled(run, world)
    data, model = _differs(seen.data, since.data), _models_differ(seen, since)
    if (data and on_data == "Always") or (model and on_model == "Always"):
        return Change(data and on_data == "Always", model and on_model == "Always", wants_run=True)
    data, model = data and on_data == "OnLoss", model and on_model == "OnLoss"
    if settled is None or not (data or model):
        return Change(data, model)
    new_data = data and _differs(seen.data, world.data)
    new_model = model and _models_differ(seen, world)
    if new_data or new_model:
        return Change(new_data, new_model)
    together = not _differs(seen.data, world.data) and not _models_differ(seen, world)
    return Change() if together else Change(data, model)  # each was measured, and never both at once


def _differs(now: str, then: str) -> bool:
    """Whether two digests say that something changed; one that is not known says nothing."""
    return bool(now and then) and now != then


def _models_differ(seen: Seen, world: World) -> bool:
    """The same of one model or two."""
    return _differs(seen.model, world.model) or _differs(seen.other_model, world.other_model)


def is_other_world(seen: Seen, world: World) -> bool:
    """Whether what is seen is not what a check is about."""
    models = (seen.model, world.model), (seen.other_model, world.other_model)
    return any(now and now != then for now, then in ((seen.data, world.data), *models))


def due(observed: Observed, seen: Seen, period: float) -> float | None:
    """Seconds until a trainer looks at the data, which the controller can't compare; None: it never does.

    Each resource has its own time. Data that the controller can see are read once where nothing is known.
    """
    on_data, _ = policies(observed.resource)
    last, settled = last_of_spec(observed), _settled(observed)
    if on_data == "Never":
        return None
    if not is_hidden(observed.resource):
        unread = seen.data and not known(observed).data and not (settled and settled.world.data)
        return 0.0 if unread else None
    since = settled.time if settled else (completion_time(last) if last is not None else None)
    if since is None:
        return 0.0
    left = left_of(period * spread(observed.resource.uid), since, observed.now)
    return left if left >= -period * LATE else slot(observed.resource.uid, period, observed.now)


def left_of(wait: float, since: str, now: datetime) -> float:
    """Seconds left of a wait. A time ahead of now is now, as clocks differ; one that is far ahead is none."""
    gone = (now - datetime.fromisoformat(since)).total_seconds()
    return wait - max(gone, 0.0) if gone >= -wait else 0.0


def slot(uid: str, period: float, now: datetime) -> float:
    """Seconds until the slot of a resource whose time is long past; 0 within it.

    After an outage, or an upgrade from a release without checks, the time of all is past. Each waits for a
    slot of its own, which the clock and its uid give: so a new process knows it too.
    """
    window = min(period * LATE, SLOTS_WITHIN)
    since = (now.timestamp() - window * _fraction(f"slot of {uid}")) % window
    return 0.0 if since < SLOT else window - since


def spread(uid: str) -> float:
    """0.75 to 1.25, always the same for one resource: many are not looked at in the same minute."""
    return 0.75 + 0.5 * _fraction(uid)


def _fraction(text: str) -> float:
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
