"""What is kept of runs that are over, and what may go. Pure."""

from dataclasses import replace

from domaintraining.controller.observed import Observed, Revision
from domaintraining.controller.promotion import needed_by, pinned, revision_of
from domaintraining.controller.revisions import accepted_of


def to_prune(observed: Observed, serve: Revision | None) -> tuple[Revision, ...]:
    """Revisions beyond the newest that nobody serves, needs or asked to keep."""
    trained = observed.trained
    newest = {one.number for one in trained[-observed.resource.spec.revision_history_limit :]}
    held = {
        revision.number for revision in (serve, observed.served, pinned(observed)) if revision is not None
    }
    settled = revision_of(observed, observed.resource.hash)
    held |= {settled.number} if settled is not None else set()
    stay = [one for one in trained if one.keep or one.number in held | newest]
    stays = {one.number for one in stay}.union(*(_needs(one) for one in stay)) | _compared_with(observed)
    stays |= needed_by(observed.served) if observed.served is not None else set()
    return tuple(one for one in trained if one.number not in stays and one.owned)


def _needs(revision: Revision) -> set[int]:
    """What it serves by today's acceptance and by that of then: an acceptance may be taken back."""
    manifest = revision.manifest
    then = replace(revision, promoted=manifest.get("promoted") is True, accepted=accepted_of(manifest))
    return needed_by(revision) | needed_by(then)


def _compared_with(observed: Observed) -> set[int]:
    """Revisions that a run without a result mounts, and goes on with where a task fails."""
    record = observed.record
    if record is None or any(one.number == record.run.number for one in observed.trained):
        return set()
    origins = (origin.revision for origin in record.run.served_from.values())
    return {*origins, *([record.run.served] if record.run.served else [])}


def to_forget(observed: Observed) -> tuple[int, ...]:
    """Runs that a later one followed and whose Job, if it goes on, will not read anything any more.

    The last run stays, and with it the last that can be read: number and attempt come from there.
    """
    needed = {job.run for job in observed.jobs if job.active}
    needed |= {observed.record.run.number} if observed.record else set()
    return tuple(number for number in observed.runs[:-1] if number not in needed)
